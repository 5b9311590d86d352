/* `voxloom explain` and `voxloom run --dry-run` after real runs: each reason once, made by what it names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "json_path.h"
#include "shm/care/recipe.h"
#include "volumes.h"

static float ramp(int x, int y, int z) {
    return (float)(x + y + z);
}
static float steeper(int x, int y, int z) {
    return (float)(2 * x + y + z);
}

/* 6 operators: ReadImage, intensity, geq_sv, volume; +; loom.save of the mask. */
static void write_program(scene *at, int threshold) {
    scene_write(at, "p.imgql",
                scene_text(at,
                           "import \"simpleitk\"\n"
                           "a = intensity(ReadImage(\"in.nii\"))\n"
                           "big = geq_sv(%d, a)\n"
                           "print \"size\" volume(big)\n"
                           "print \"more\" volume(big) + 1\n"
                           "save \"big.nii.gz\" big\n",
                           threshold));
}

static void run_once(scene *at) {
    outcome result = run(at, "p.imgql", "--workers 1");
    assert_well(&result);
}

static void prepare(scene *at) {
    volume_make(at, "in.nii", 4, 4, 4, ramp);
    scene_age(at, "in.nii", 3600);
    write_program(at, 3);
    run_once(at);
}

static outcome explain(scene *at, const char *what) {
    outcome result = voxloom(at, "explain p.imgql %s --store store --json", what);
    assert_well(&result);
    return result;
}

/* A text at a path of the first line of JSON; "" for null, and where there is nothing. */
static const char *text_at(scene *at, const char *json, const char *path) {
    size_t length = 0;
    const char *found = json_find(scene_text(at, "%.*s", (int)strcspn(json, "\n"), json), path, &length);
    if (!found || strncmp(found, "null", 4) == 0) return "";
    return *found == '"' ? scene_text(at, "%.*s", (int)length - 2, found + 1)
                         : scene_text(at, "%.*s", (int)length, found);
}

static void assert_at(scene *at, const outcome *result, const char *path, const char *expected) {
    const char *found = text_at(at, result->out, path);
    if (strcmp(found, expected) != 0) fail_msg("%s is %s, not %s, in\n%s", path, found, expected, result->out);
}

static void assert_reason(scene *at, const char *what, const char *fate, const char *reason) {
    outcome result = explain(at, what);
    assert_at(at, &result, "fate", fate);
    assert_at(at, &result, "causes.0.reason", reason);
}

/* The node of a goal's value. */
static const char *node_of(scene *at, const char *goal) {
    outcome result = explain(at, goal);
    return text_at(at, result.out, "node");
}

/* ---- what differs ---- */

static void test_stored_and_constant(void **state) {
    scene *at = *state;
    prepare(at);
    outcome result = explain(at, "size");
    assert_at(at, &result, "fate", "stored");
    assert_at(at, &result, "causes.0.reason", "stored");
    assert_at(at, &result, "compared_with", text_at(at, result.out, "key"));
    assert_reason(at, "more", "stored", "stored");
    result = voxloom(at, "explain p.imgql --store store");
    assert_well(&result);
    assert_contains(result.out, "print \"size\": vox1.volume ");
    assert_contains(result.out, "is in the store\n");
}

static void test_another_constant(void **state) {
    scene *at = *state;
    prepare(at);
    write_program(at, 4);
    outcome result = explain(at, "size");
    assert_at(at, &result, "fate", "runs");
    assert_at(at, &result, "compared_by", "goal");
    assert_at(at, &result, "causes.0.reason", "result");
    assert_at(at, &result, "causes.0.argument", "1");
    assert_at(at, &result, "causes.1.reason", "argument");
    assert_at(at, &result, "causes.1.operator", "vox1.geq_sv");
    assert_at(at, &result, "causes.1.line", "3");
    assert_at(at, &result, "causes.1.now", "4.0");
    assert_at(at, &result, "causes.1.before", "3.0");
    /* By its node, which no goal of the past leads to: the most alike. */
    result = explain(at, node_of(at, "big.nii.gz"));
    assert_at(at, &result, "compared_by", "arguments");
    assert_at(at, &result, "causes.0.reason", "argument");
    assert_at(at, &result, "causes.0.argument", "1");
    /* The value of + depends on a number that is not known: it may be found after all. */
    result = explain(at, "more");
    assert_at(at, &result, "fate", "may run");
    assert_at(at, &result, "causes.0.reason", "waits");
    assert_at(at, &result, "causes.2.before", "3.0");
    run_once(at);
    assert_reason(at, "more", "stored", "stored");
}

/* Images between inputs and goals that store.persist does not keep; and a goal that is stored, which a run would
 * compute its way to all the same, as the file was too young to be remembered. */
static void test_images_between_are_not_kept(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 4, 4, 4, ramp);
    const char *text = "import \"simpleitk\"\nprint \"size\" volume(geq_sv(%d, intensity(ReadImage(\"in.nii\"))))\n";
    scene_write(at, "p.imgql", scene_text(at, text, 3));
    outcome cold = run(at, "p.imgql", "--workers 1 --set store.persist=\"goals\"");
    assert_well(&cold);
    const char *note = "the store does not remember what is in in.nii";
    outcome result = voxloom(at, "explain p.imgql --store store --set store.persist=\"goals\"");
    assert_well(&result);
    assert_contains(result.out, "its result is in the store");
    assert_contains(result.out, note);
    result = voxloom(at, "run p.imgql --dry-run --store store --set store.persist=\"goals\"");
    assert_well(&result);
    assert_contains(result.out, note);
    result = voxloom(at, "explain p.imgql --store store"); /* all are kept: it is found however it is read */
    assert_null(strstr(result.out, note));

    scene_write(at, "p.imgql", scene_text(at, text, 4));
    result = voxloom(at, "explain p.imgql size --store store --json --set store.persist=\"goals\"");
    assert_well(&result);
    assert_at(at, &result, "causes.0.reason", "result");
    assert_at(at, &result, "causes.1.operator", "vox1.geq_sv");
    assert_at(at, &result, "causes.1.reason", "unstored");
    assert_at(at, &result, "causes.1.now", "goals");
    result = voxloom(at, "explain p.imgql size --store store --set store.persist=\"goals\"");
    assert_contains(result.out, "are not kept here (store.persist = \"goals\")");

    /* The step at the end of the chain is told with the calls that it comes from. */
    scene_write(at, "p.imgql",
                scene_text(at, "import \"simpleitk\"\nabove(t) = geq_sv(t, intensity(ReadImage(\"in.nii\")))\n"
                               "print \"size\" volume(above(4))\n"));
    result = voxloom(at, "explain p.imgql size --store store --set store.persist=\"goals\"");
    assert_contains(result.out, "p.imgql:2:12 (in above called at p.imgql:3:21)");
}

static void test_another_input(void **state) {
    scene *at = *state;
    prepare(at);
    volume_make(at, "in.nii", 4, 4, 4, steeper);
    outcome result = explain(at, "size");
    assert_at(at, &result, "fate", "runs");
    assert_at(at, &result, "causes.3.operator", "simpleitk.ReadImage");
    assert_at(at, &result, "causes.3.reason", "input");
    assert_contains(text_at(at, result.out, "causes.3.now"), "in.nii");
    scene_remove(at, "in.nii");
    result = explain(at, "size");
    assert_at(at, &result, "fate", "may run");
    assert_at(at, &result, "causes.3.reason", "unreadable");
}

static void test_another_operator_and_attribute(void **state) {
    scene *at = *state;
    scene_write(at, "p.imgql", "xs = [3, 1, 2]\nprint \"f\" fold + xs\nprint \"g\" 1 + 2\n");
    run_once(at);
    scene_write(at, "p.imgql", "xs = [3, 1, 2]\nprint \"f\" fold max xs\nprint \"g\" 1 * 2\n");
    outcome result = explain(at, "f");
    assert_at(at, &result, "causes.0.reason", "attributes");
    assert_contains(text_at(at, result.out, "causes.0.now"), "max");
    assert_contains(text_at(at, result.out, "causes.0.before"), "+");
    result = explain(at, "g");
    assert_at(at, &result, "causes.0.reason", "operator");
    assert_at(at, &result, "causes.0.now", "vox1.*");
    assert_at(at, &result, "causes.0.before", "vox1.+");
}

/* ---- what is gone ---- */

static void change_row(scene *at, const char *key, bool expire, const loom_result *put) {
    loom_store *store;
    loom_batch *batch;
    loom_error err = {0};
    loom_id rkey;
    const loom_store_options options = {.path = scene_path(at, "store")};
    assert_true(loom_id_from_hex(key, strlen(key), &rkey));
    assert_int_equal(loom_store_open(&options, &store, &err), LOOM_OK);
    assert_int_equal(loom_store_begin(store, &batch, &err), LOOM_OK);
    if (expire) assert_int_equal(loom_batch_set_expiry(batch, &rkey, 1, &err), LOOM_OK); /* in 1970 */
    if (put) assert_int_equal(loom_batch_forget(batch, &rkey, &err), LOOM_OK);
    if (put) assert_int_equal(loom_batch_put(batch, put, &err), LOOM_OK);
    assert_int_equal(loom_batch_commit(batch, &err), LOOM_OK);
    loom_store_close(store);
}

static void test_evicted_expired_unused(void **state) {
    scene *at = *state;
    prepare(at);
    outcome removed = voxloom(at, "store rm goal:big.nii.gz --yes --store store");
    assert_well(&removed);
    outcome result = explain(at, node_of(at, "big.nii.gz"));
    assert_at(at, &result, "causes.0.reason", "evicted");
    assert_at(at, &result, "compared_state", "gone");
    /* volume(big) is stored and needs it no more; the file holds what it should. */
    assert_reason(at, "size", "stored", "stored");
    outcome size = explain(at, "size");
    change_row(at, text_at(at, size.out, "key"), true, NULL);
    result = explain(at, "size");
    assert_at(at, &result, "fate", "runs");
    assert_at(at, &result, "causes.0.reason", "expired");
}

/* A result of an earlier version of the kernel, as an earlier voxloom would have left it. */
static void test_another_version(void **state) {
    scene *at = *state;
    prepare(at);
    outcome size = explain(at, "size");
    const char *key = text_at(at, size.out, "key"), *node = text_at(at, size.out, "node");
    loom_value argument = loom_int(7), value = loom_float(5);
    loom_value parts[] = {loom_string_of("vox1.volume"), loom_int(999), loom_null(), loom_sequence(&argument, 1)};
    loom_value whole = loom_sequence(parts, 4);
    loom_buffer recipe = {0}, payload = {0};
    assert_int_equal(loom_value_encode(&whole, &recipe), LOOM_OK);
    assert_int_equal(loom_value_encode(&value, &payload), LOOM_OK);
    loom_result old = {.type = LOOM_FLOAT,
                       .payload = payload.bytes,
                       .payload_bytes = payload.length,
                       .recipe = recipe.bytes,
                       .recipe_bytes = recipe.length,
                       .created_ns = 1};
    memset(&old.rkey, 0x5a, sizeof old.rkey);
    assert_true(loom_id_from_hex(node, strlen(node), &old.node));
    assert_int_equal(loom_value_id(&value, &old.vid), LOOM_OK);
    change_row(at, key, false, &old);
    outcome result = explain(at, node);
    assert_at(at, &result, "fate", "runs");
    assert_at(at, &result, "compared_by", "node");
    assert_at(at, &result, "causes.0.reason", "version");
    assert_at(at, &result, "causes.0.before", "999");
    loom_buffer_free(&recipe);
    loom_buffer_free(&payload);
}

static void test_file_of_a_save(void **state) {
    scene *at = *state;
    prepare(at);
    outcome dry = voxloom(at, "run p.imgql --dry-run --store store");
    assert_well(&dry);
    assert_contains(dry.out, "nothing to compute: 6 of 6 nodes are in the store\n");
    assert_contains(dry.out, "the file is as it was written\n");
    scene_write(at, "big.nii.gz", "not what was written");
    outcome result = voxloom(at, "explain p.imgql big.nii.gz --store store");
    assert_well(&result);
    assert_contains(result.out, "the file big.nii.gz is missing, or holds something else than was written\n");
    scene_remove(at, "big.nii.gz");
    dry = voxloom(at, "run p.imgql --dry-run --store store");
    assert_contains(dry.out, "would compute 1 of 6 nodes");
    assert_contains(dry.out, "is in the store; the file would be written\n");
}

/* ---- dry runs ---- */

static void test_touches_nothing(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 4, 4, 4, ramp);
    write_program(at, 3);
    outcome dry = voxloom(at, "run p.imgql --dry-run --store store");
    assert_well(&dry);
    assert_contains(dry.out, "does not exist yet");
    assert_contains(dry.out, "would compute 6 of 6 nodes");
    assert_false(scene_has(at, "store"));
    assert_false(scene_has(at, "big.nii.gz"));
    outcome never = explain(at, "size");
    assert_at(at, &never, "causes.0.reason", "new");
    assert_false(scene_has(at, "store"));
    run_once(at);
    write_program(at, 4);
    size_t before = 0, after = 0;
    char *index = scene_read(at, "store/index/data.mdb", &before);
    dry = voxloom(at, "run p.imgql --dry-run --store store --json");
    assert_well(&dry);
    char *again = scene_read(at, "store/index/data.mdb", &after);
    assert_int_equal(before, after);
    assert_memory_equal(index, again, before);
    assert_int_equal(results_in(at, "store"), 6);
    assert_string_equal(text_at(at, dry.out, "kind"), "node");
    assert_string_equal(text_at(at, dry.out, "fate"), "stored"); /* ReadImage comes first */
    /* It told what the run then does: geq_sv, volume, +, save. */
    size_t runs = 0;
    for (const char *line = dry.out; *line; line += strcspn(line, "\n") + 1) {
        bool node = strcmp(text_at(at, line, "kind"), "node") == 0;
        const char *fate = text_at(at, line, "fate");
        runs += node && (strcmp(fate, "runs") == 0 || strcmp(fate, "may run") == 0);
    }
    assert_int_equal(runs, 4);
    outcome result = run(at, "p.imgql", "--workers 1");
    assert_well(&result);
    assert_int_equal(computed_by(&result), 4);
}

static void test_loops_over_what_is_not_known(void **state) {
    scene *at = *state;
    scene_mkdir(at, "cases");
    volume_make(at, "cases/a.nii", 4, 4, 4, ramp);
    scene_write(at, "p.imgql",
                "import \"simpleitk\"\n"
                "print \"all\" for n in range(volume(geq_sv(3, intensity(ReadImage(\"cases/a.nii\"))))) do n + 1\n");
    outcome dry = voxloom(at, "run p.imgql --dry-run --store store");
    assert_well(&dry);
    assert_contains(dry.out, "only a run tells what these need");
    assert_reason(at, "all", "later", "later");
}

/* The items of a long loop have no plan nodes, nor have their elements. */
static void test_elements_of_a_long_loop(void **state) {
    scene *at = *state;
    outcome before = run_text(at,
                              "print \"sum\" fold + (for i in range(0, 100) do i * 3)\n"
                              "print \"other\" range(1000, 1100)\n",
                              "--workers 1 --set memory.loop_items=0");
    assert_well(&before);
    scene_write(at, "p.imgql", "print \"sum\" fold + (for i in range(1000, 1100) do i * 3)\n");
    outcome result = voxloom(at, "explain p.imgql sum --store store --set memory.loop_items=0");
    assert_well(&result);
    assert_contains(result.out, "argument 1 is 1000; it was 0");
}

static void test_wrong_words(void **state) {
    scene *at = *state;
    prepare(at);
    outcome result = voxloom(at, "explain p.imgql nothing --store store");
    assert_int_equal(result.status, 2);
    assert_contains(result.err, "no goal and no node nothing");
    result = voxloom(at, "explain p.imgql 00 --store store");
    assert_int_equal(result.status, 2);
    result = voxloom(at, "run p.imgql --json --store store");
    assert_int_equal(result.status, 2);
    assert_contains(result.err, "--dry-run");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored_and_constant, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_another_constant, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_images_between_are_not_kept, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_another_input, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_another_operator_and_attribute, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_evicted_expired_unused, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_another_version, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_file_of_a_save, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_touches_nothing, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_loops_over_what_is_not_known, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_elements_of_a_long_loop, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_words, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
