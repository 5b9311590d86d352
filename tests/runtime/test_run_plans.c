/* `voxloom plan --format json` against the plans that VoxLogicA-2 exports for the same programs, and runs of exported
 * plans. Plans are compared as data: the order of nodes and of an object's members says nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "runtime/kernels/files/json.h"

/* ---- JSON as data ---- */

static loom_value read_json(loom_arena *arena, const char *name, const char *text) {
    loom_value value = loom_null();
    loom_error err = {0};
    if (loom_json_read(name, text, strlen(text), arena, &value, &err) != LOOM_OK) fail_msg("%s", err.message);
    return value;
}

/* The member of an object that has the name of another's; names have no NUL behind them. */
static const loom_value *namesake(const loom_value *object, const loom_field *of) {
    for (size_t i = 0; i < object->record.count; i++) {
        const loom_field *one = &object->record.fields[i];
        if (one->name_length == of->name_length && memcmp(one->name, of->name, of->name_length) == 0)
            return &one->value;
    }
    return NULL;
}

static bool same_data(const loom_value *a, const loom_value *b) {
    if (a->type != b->type) return false;
    if (a->type == LOOM_SEQUENCE) {
        bool same = a->sequence.count == b->sequence.count;
        for (size_t i = 0; same && i < a->sequence.count; i++)
            same = same_data(&a->sequence.items[i], &b->sequence.items[i]);
        return same;
    }
    if (a->type != LOOM_RECORD) return loom_value_equal(a, b);
    bool same = a->record.count == b->record.count; /* names are unique */
    for (size_t i = 0; same && i < a->record.count; i++) {
        const loom_value *other = namesake(b, &a->record.fields[i]);
        same = other && same_data(&a->record.fields[i].value, other);
    }
    return same;
}

static const loom_value *field(const loom_value *record, const char *name, loom_type type) {
    const loom_value *found = record->type == LOOM_RECORD ? loom_record_get(record, name) : NULL;
    if (!found || found->type != type) fail_msg("the plan has no %s that is a %s", name, loom_type_name(type));
    return found;
}

static bool same_string(const loom_value *a, const loom_value *b) {
    return a->type == LOOM_STRING && loom_value_equal(a, b);
}

/* ---- plans ---- */

static bool mentions(const loom_value *value, const loom_value *id) {
    if (same_string(value, id)) return true;
    bool found = false;
    if (value->type == LOOM_SEQUENCE)
        for (size_t i = 0; !found && i < value->sequence.count; i++)
            found = mentions(&value->sequence.items[i], id);
    if (value->type == LOOM_RECORD)
        for (size_t i = 0; !found && i < value->record.count; i++)
            found = mentions(&value->record.fields[i].value, id);
    return found;
}

/* A string constant that neither a node nor a goal names: the recorded plans leave these out. */
static bool is_idle_string(const loom_value *plan, const loom_value *node) {
    const loom_value *value = loom_record_get(node, "value"), *id = field(node, "id", LOOM_STRING);
    if (!value || value->type != LOOM_STRING || mentions(field(plan, "goals", LOOM_SEQUENCE), id)) return false;
    const loom_value *nodes = field(plan, "nodes", LOOM_SEQUENCE);
    for (size_t i = 0; i < nodes->sequence.count; i++)
        if (&nodes->sequence.items[i] != node && mentions(&nodes->sequence.items[i], id)) return false;
    return true;
}

static const loom_value *node_of(const loom_value *plan, const loom_value *id) {
    const loom_value *nodes = field(plan, "nodes", LOOM_SEQUENCE);
    for (size_t i = 0; i < nodes->sequence.count; i++)
        if (same_string(field(&nodes->sequence.items[i], "id", LOOM_STRING), id)) return &nodes->sequence.items[i];
    return NULL;
}

/* Every node of `a` that counts is in `b`, and equal. */
static void assert_nodes_in(const char *name, const loom_value *a, const loom_value *b, const char *whose) {
    const loom_value *nodes = field(a, "nodes", LOOM_SEQUENCE);
    for (size_t i = 0; i < nodes->sequence.count; i++) {
        const loom_value *node = &nodes->sequence.items[i], *id = field(node, "id", LOOM_STRING);
        if (is_idle_string(a, node)) continue;
        const loom_value *other = node_of(b, id);
        if (!other) fail_msg("%s: only %s has node %.*s", name, whose, (int)id->text.length, id->text.bytes);
        if (!same_data(node, other)) fail_msg("%s: node %.*s differs", name, (int)id->text.length, id->text.bytes);
        if (node_of(a, id) != node) fail_msg("%s: two nodes have id %.*s", name, (int)id->text.length, id->text.bytes);
    }
}

static void assert_same_plan(const char *name, const char *ours, const char *recorded) {
    loom_arena *arena = loom_arena_new();
    assert_non_null(arena);
    loom_value a = read_json(arena, name, ours), b = read_json(arena, name, recorded);
    assert_nodes_in(name, &a, &b, "ours");
    assert_nodes_in(name, &b, &a, "the recorded one");
    static const char *const lists[] = {"goals", "imported_namespaces"};
    for (size_t i = 0; i < 2; i++)
        if (!same_data(field(&a, lists[i], LOOM_SEQUENCE), field(&b, lists[i], LOOM_SEQUENCE)))
            fail_msg("%s: %s differ:\n%s", name, lists[i], ours);
    assert_int_equal(a.record.count, b.record.count); /* and no member more */
    loom_arena_free(arena);
}

static const char *export_of(scene *at, const char *file) {
    outcome result = voxloom(at, "plan --format json %s", file);
    assert_well(&result);
    assert_string_equal(result.err, "");
    return result.out;
}

/* The program's plan, and what becomes of the recorded plan when it is read and written again. */
static void check_program(scene *at, const char *name) {
    const char *program = scene_text(at, "%s.imgql", name), *plan = scene_text(at, "%s.plan.json", name);
    scene_copy(at, shared_file(at, scene_text(at, "golden/plans/%s", program)), program);
    scene_copy(at, shared_file(at, scene_text(at, "golden/plans/%s", plan)), plan);
    const char *recorded = scene_read(at, plan, NULL);
    assert_same_plan(program, export_of(at, program), recorded);
    assert_same_plan(plan, export_of(at, plan), recorded);
}

static void test_recorded_plans(void **state) {
    static const char *const names[] = {"arith", "closures", "ops_spacing", "shadow", "spatial", "strings"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_program(*state, names[i]);
}

/* ---- runs ---- */

static void prepare_sweep(scene *at) {
    scene_copy(at, shared_file(at, "data/case_000_0000.nii.gz"), "flair.nii.gz");
    scene_age(at, "flair.nii.gz", 3600);
    scene_copy(at, scene_text(at, "%s/tests/programs/sweep.imgql", getenv("VOXLOOM_SOURCE")), "sweep.imgql");
    outcome exported = voxloom(at, "plan --format json -o sweep.json sweep.imgql");
    assert_prints(&exported, "");
}

/* `first` and then `second` in one store: both print the same, the second computes nothing. */
static void check_pair(scene *at, const char *first, const char *second) {
    scene_remove(at, "store");
    outcome cold = run(at, first, "--workers 2");
    assert_well(&cold);
    assert_contains(cold.out, "volumes=[");
    assert_true(computed_by(&cold) > 20);
    outcome warm = run(at, second, "--workers 2");
    assert_prints(&warm, cold.out);
    assert_int_equal(computed_by(&warm), 0);
    assert_int_equal(number_of(&warm, "nodes"), number_of(&cold, "nodes"));
}

static void test_exported_sweep(void **state) {
    prepare_sweep(*state);
    check_pair(*state, "sweep.imgql", "sweep.json");
    check_pair(*state, "sweep.json", "sweep.imgql");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recorded_plans, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_exported_sweep, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
