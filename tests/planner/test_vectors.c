/* Node ids: every vector of ../shared/node_id_vectors.json, recorded from VoxLogicA-2. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/json_read.h"
#include "planner/node_id.h"
#include "planner/parser.h"
#include "planner/plan_state.h"

static loom_arena *arena;
static loom_source *source;
static loom_json root;

static int read_vectors(void **state) {
    (void)state;
    arena = loom_arena_new();
    return arena ? 0 : -1;
}

static int free_vectors(void **state) {
    (void)state;
    loom_arena_free(arena);
    return 0;
}

/* The list of that name. */
static const loom_json *list(const char *name) {
    if (!source) {
        size_t length;
        loom_error err = {0};
        char *text = shared_file("node_id_vectors.json", &length);
        assert_int_equal(loom_source_make(arena, "vectors", text, length, &source, &err), LOOM_OK);
        free(text);
        assert_int_equal(loom_json_parse(arena, source, LOOM_BAD_PLAN, &root, &err), LOOM_OK);
    }
    const loom_json *found = loom_json_member(&root, name);
    assert_non_null(found);
    assert_int_equal(found->kind, LOOM_JSON_ARRAY);
    assert_true(found->list.count > 0);
    return found;
}

static const loom_json *member(const loom_json *object, const char *key) {
    const loom_json *found = loom_json_member(object, key);
    if (!found) fail_msg("no %s", key);
    return found;
}

static const char *text_of(const loom_json *json) {
    assert_int_equal(json->kind, LOOM_JSON_STRING);
    char *text = loom_arena_text(arena, json->text.bytes, json->text.length);
    assert_non_null(text);
    return text;
}

static loom_id id_of(const loom_json *json) {
    loom_id id;
    assert_true(loom_id_from_hex(json->text.bytes, json->text.length, &id));
    return id;
}

static loom_value value_of(const loom_json *json) {
    loom_value value;
    loom_error err = {0};
    if (loom_json_to_value(arena, source, LOOM_BAD_PLAN, json, &value, &err) != LOOM_OK) fail_msg("%s", err.message);
    return value;
}

/* `got` is the canonical text that we make; its hash is what the vector says. */
static void assert_canonical(const char *label, const loom_text *got, const loom_json *vector) {
    const loom_json *canonical = member(vector, "canonical");
    assert_false(got->failed);
    if (got->buffer.length != canonical->text.length ||
        memcmp(got->buffer.bytes, canonical->text.bytes, got->buffer.length) != 0)
        fail_msg("%s\ngave     %.*s\nexpected %s", label, (int)got->buffer.length, (const char *)got->buffer.bytes,
                 text_of(canonical));
    loom_id id = loom_sha256(got->buffer.bytes, got->buffer.length), expected = id_of(member(vector, "id"));
    assert_memory_equal(id.bytes, expected.bytes, sizeof id.bytes);
}

static loom_node_kind kind_of(const char *name) {
    return strcmp(name, "constant") == 0    ? LOOM_NODE_CONSTANT
           : strcmp(name, "primitive") == 0 ? LOOM_NODE_PRIMITIVE
                                            : LOOM_NODE_CLOSURE;
}

static void fill_arguments(loom_payload *payload, const loom_json *args) {
    loom_id *ids = loom_arena_array(arena, args->list.count, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < args->list.count; i++)
        ids[i] = id_of(&args->list.items[i]);
    payload->arguments = ids;
    payload->argument_count = (uint32_t)args->list.count;
}

static void fill_keywords(loom_payload *payload, const loom_json *kwargs) {
    loom_payload_keyword *keywords = loom_arena_array(arena, kwargs->list.count, sizeof *keywords);
    assert_non_null(keywords);
    for (size_t i = 0; i < kwargs->list.count; i++) {
        const loom_json *pair = &kwargs->list.items[i];
        keywords[i].name = text_of(&pair->list.items[0]);
        keywords[i].id = id_of(&pair->list.items[1]);
    }
    payload->keywords = keywords;
    payload->keyword_count = (uint32_t)kwargs->list.count;
}

static void check_node(const loom_json *vector) {
    const char *label = text_of(member(vector, "label"));
    const loom_json *output_kind = member(vector, "output_kind");
    bool known;
    loom_payload payload = {.kind = kind_of(text_of(member(vector, "kind"))),
                            .operator_name = text_of(member(vector, "operator")),
                            .output_kind =
                                loom_output_kind_named(output_kind->text.bytes, output_kind->text.length, &known)};
    assert_true(known);
    fill_arguments(&payload, member(vector, "args"));
    fill_keywords(&payload, member(vector, "kwargs"));
    loom_value attributes = value_of(member(vector, "attrs"));
    payload.attributes = &attributes;
    loom_text text = {0};
    assert_true(loom_payload_write(&text, &payload));
    assert_canonical(label, &text, vector);
    loom_text_free(&text);
}

static void nodes(void **state) {
    (void)state;
    const loom_json *vectors = list("nodes");
    size_t checked = 0;
    for (size_t i = 0; i < vectors->list.count; i++) {
        /* 2^70: values hold 64-bit integers; plans that contain more are refused (test_plan_json.c). */
        if (strstr(text_of(member(&vectors->list.items[i], "label")), "big integer")) continue;
        check_node(&vectors->list.items[i]);
        checked++;
    }
    assert_int_equal(checked, 62);
}

static void nonfinite(void **state) {
    (void)state;
    static const double numbers[] = {1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0};
    const loom_json *vectors = list("nonfinite");
    assert_int_equal(vectors->list.count, 3);
    for (size_t i = 0; i < 3; i++) {
        loom_field field = {.name = "value", .name_length = 5, .value = loom_float(numbers[i])};
        loom_value attributes = loom_record(&field, 1);
        loom_payload payload = {.kind = LOOM_NODE_CONSTANT, .operator_name = "constant", .attributes = &attributes};
        loom_text text = {0};
        assert_true(loom_payload_write(&text, &payload));
        assert_canonical("nonfinite", &text, &vectors->list.items[i]);
        loom_text_free(&text);
    }
}

static void sequence_items(void **state) {
    (void)state;
    const loom_json *vectors = list("sequence_items");
    for (size_t i = 0; i < vectors->list.count; i++) {
        const loom_json *vector = &vectors->list.items[i], *parent = member(vector, "parent_node_id");
        loom_value index = value_of(member(vector, "index"));
        loom_text text = {0};
        loom_id general, expected = id_of(member(vector, "id")), parent_id;
        assert_true(loom_child_id("sequence-item-ref", text_of(parent), &index, &text, &general));
        assert_canonical("item", &text, vector);
        assert_memory_equal(general.bytes, expected.bytes, sizeof general.bytes);
        if (loom_id_from_hex(parent->text.bytes, parent->text.length, &parent_id)) {
            loom_id item = loom_item_id(&parent_id, index.integer);
            assert_memory_equal(item.bytes, expected.bytes, sizeof item.bytes);
        }
        loom_text_free(&text);
    }
}

static void child_references(void **state) {
    (void)state;
    const loom_json *vectors = list("child_refs");
    for (size_t i = 0; i < vectors->list.count; i++) {
        const loom_json *vector = &vectors->list.items[i];
        loom_value token = value_of(member(vector, "token"));
        loom_text text = {0};
        loom_id id, expected = id_of(member(vector, "id"));
        assert_true(loom_child_id(text_of(member(vector, "family")), text_of(member(vector, "parent_node_id")), &token,
                                  &text, &id));
        assert_canonical("child", &text, vector);
        assert_memory_equal(id.bytes, expected.bytes, sizeof id.bytes);
        loom_text_free(&text);
    }
}

/* Nodes in order of creation, the constants of the program variables left out. */
static void check_nodes_of(const loom_plan *plan, const loom_json *expected, const char *program) {
    size_t next = 0, count = loom_plan_node_count(plan);
    for (size_t i = plan->program_variables[plan->program_variable_count - 1] + 1; i < count; i++) {
        if (next == expected->list.count) fail_msg("%s: more nodes than recorded", program);
        const loom_json *vector = &expected->list.items[next++];
        loom_id id = id_of(member(vector, "id"));
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        if (!loom_id_equal(&node->id, &id))
            fail_msg("%s: node %zu is not %s", program, next - 1, text_of(member(vector, "canonical")));
        assert_int_equal(loom_plan_find(plan, &id), i);
    }
    assert_int_equal(next, expected->list.count);
}

static void check_goals_of(const loom_plan *plan, const loom_json *expected) {
    assert_int_equal(loom_plan_goal_count(plan), expected->list.count);
    for (size_t i = 0; i < expected->list.count; i++) {
        const loom_json *vector = &expected->list.items[i];
        const loom_goal *goal = loom_plan_goal(plan, i);
        loom_id id = id_of(member(vector, "id"));
        assert_string_equal(goal->name, text_of(member(vector, "name")));
        assert_string_equal(goal->kind == LOOM_GOAL_PRINT ? "print" : "save", text_of(member(vector, "operation")));
        assert_memory_equal(loom_plan_node(plan, goal->node)->id.bytes, id.bytes, sizeof id.bytes);
    }
}

static void programs(void **state) {
    (void)state;
    const loom_json *vectors = list("programs");
    assert_int_equal(vectors->list.count, 16);
    for (size_t i = 0; i < vectors->list.count; i++) {
        const loom_json *vector = &vectors->list.items[i], *imports = member(vector, "imports");
        const char *program = text_of(member(vector, "source"));
        loom_plan *plan = plan_of(program);
        check_nodes_of(plan, member(vector, "nodes_in_creation_order"), program);
        check_goals_of(plan, member(vector, "goals"));
        assert_int_equal(loom_plan_import_count(plan), imports->list.count);
        for (size_t k = 0; k < imports->list.count; k++)
            assert_string_equal(loom_plan_import(plan, k), text_of(&imports->list.items[k]));
        loom_plan_free(plan);
    }
}

static const char *const golden[] = {"arith", "closures", "ops_spacing", "shadow", "spatial", "strings"};

/* The recorded plans were written with one space of indentation, ours with two, as VoxLogicA-2's command does. */
static char *without_indentation(const char *text) {
    char *out = malloc(strlen(text) + 1), *to = out;
    assert_non_null(out);
    bool in_string = false;
    for (; *text; text++) {
        if (*text == '"') in_string = !in_string;
        if (in_string && *text == '\\') *to++ = *text++;
        if (in_string || (*text != ' ' && *text != '\n')) *to++ = *text;
    }
    *to = '\0';
    return out;
}

static void golden_plans(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char name[64];
        size_t length;
        snprintf(name, sizeof name, "golden/plans/%s.imgql", golden[i]);
        char *program = shared_file(name, &length);
        snprintf(name, sizeof name, "golden/plans/%s.plan.json", golden[i]);
        char *recorded = shared_file(name, &length);
        loom_plan *plan = plan_named(name, program);
        char *written = json_of(plan, &length);
        char *expected = without_indentation(recorded), *got = without_indentation(written);
        assert_string_equal(got, expected);
        loom_plan *again = plan_from(recorded);
        char *rewritten = json_of(again, &length);
        assert_string_equal(rewritten, written);
        loom_plan_free(again);
        loom_plan_free(plan);
        free(program);
        free(recorded);
        free(written);
        free(rewritten);
        free(expected);
        free(got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes),          cmocka_unit_test(nonfinite),
        cmocka_unit_test(sequence_items), cmocka_unit_test(child_references),
        cmocka_unit_test(programs),       cmocka_unit_test(golden_plans),
    };
    return cmocka_run_group_tests(tests, read_vectors, free_vectors);
}
