/* test_jobs.c - plans built in C and runs in threads of the library, as a host program sees them: linked against the
 * shared library, through <voxloom.h> alone. Operators of its own come from the plug-in of tests/runtime/plugins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <voxloom.h>

static char folder[64];
static loom_error err;

#define OK(call) require((call), #call, __LINE__)

static void require(loom_status status, const char *what, int line) {
    if (status != LOOM_OK) fail_msg("line %d: %s: %s: %s", line, what, loom_status_name(status), err.message);
}

static loom_runtime *opened(const char *store) {
    char worker[4096], plugins[4096];
    const char *build = getenv("VOXLOOM_BUILD");
    assert_non_null(build);
    snprintf(worker, sizeof worker, "%s/voxloom-worker", build);
    snprintf(plugins, sizeof plugins, "kernels.plugins=%s/tests/runtime/plugins/toy.so", build);
    const char *const settings[] = {"workers.pin=false", plugins};
    const loom_runtime_options options = {.size = sizeof options,
                                          .store_path = store,
                                          .workers = 2,
                                          .settings = settings,
                                          .setting_count = 2,
                                          .worker_program = worker};
    loom_runtime *runtime = NULL;
    OK(loom_runtime_open(&options, &runtime, &err));
    return runtime;
}

static loom_builder *builder_of(loom_runtime *runtime) {
    loom_builder *builder = NULL;
    OK(loom_builder_new(runtime, &builder, &err));
    return builder;
}

static loom_builder_node number(loom_builder *builder, double value) {
    loom_builder_node node;
    OK(loom_builder_float(builder, value, &node, &err));
    return node;
}

static loom_builder_node call(loom_builder *builder, const char *name, uint32_t count, const loom_builder_node *nodes) {
    loom_builder_node node = 0;
    OK(loom_builder_call(builder, name, nodes, count, &node, &err));
    return node;
}
#define CALL(builder, name, ...)                                                                                       \
    call(builder, name, sizeof((loom_builder_node[]){__VA_ARGS__}) / sizeof(loom_builder_node),                        \
         (loom_builder_node[]){__VA_ARGS__})

static loom_job *submitted(loom_runtime *runtime, loom_builder *builder) {
    loom_job *job = NULL;
    OK(loom_runtime_submit_builder(runtime, builder, NULL, &job, &err));
    return job;
}

static loom_job *submitted_text(loom_runtime *runtime, const char *program, const loom_job_options *options) {
    loom_job *job = NULL;
    OK(loom_runtime_submit_text(runtime, "test.imgql", program, strlen(program), options, &job, &err));
    return job;
}

static loom_item *result(loom_job *job, const char *name) {
    loom_item *item = NULL;
    OK(loom_job_result(job, name, &item, &err));
    return item;
}

/* ---- building ---- */

static void test_build_and_run(void **state) {
    (void)state;
    loom_runtime *runtime = opened(":memory:");
    loom_builder *builder = builder_of(runtime);
    loom_builder_node one = number(builder, 1), again = number(builder, 1), two = number(builder, 2), text;
    assert_int_equal(one, again);
    loom_builder_node sum = CALL(builder, "default.addition", one, two);
    assert_int_equal(sum, CALL(builder, "default.addition", one, two));
    loom_builder_node pair[2] = {one, two}; /* the result may go where an argument was */
    OK(loom_builder_call(builder, "default.addition", pair, 2, &pair[0], &err));
    assert_int_equal(pair[0], sum);
    OK(loom_builder_call(builder, "default.subtraction", pair, 2, &pair[1], &err));
    assert_int_equal(pair[1], CALL(builder, "default.subtraction", sum, two));
    OK(loom_builder_string(builder, "s\xc3\xa9", 3, &text, &err));
    OK(loom_builder_keep(builder, sum, "sum", &err));
    OK(loom_builder_keep(builder, one, "one", &err));
    OK(loom_builder_keep(builder, CALL(builder, "default.sequence", text, CALL(builder, "toy.twice", sum)), "list",
                         &err));
    loom_job *job = submitted(runtime, builder);
    OK(loom_job_wait(job, -1, &err));
    OK(loom_job_wait(job, 0, &err));
    OK(loom_job_poll(job, NULL));
    loom_item *item = result(job, "sum");
    assert_int_equal(loom_item_type(item), LOOM_ITEM_FLOAT);
    assert_true(loom_item_float(item) == 3);
    loom_item_release(item);
    item = result(job, "one"); /* a constant */
    assert_true(loom_item_float(item) == 1);
    loom_item_release(item);
    item = result(job, "list");
    size_t length;
    assert_int_equal(loom_item_count(item), 2);
    assert_memory_equal(loom_item_text(loom_item_at(item, 0), &length), "s\xc3\xa9", 3);
    assert_true(loom_item_float(loom_item_at(item, 1)) == 6);
    loom_item_release(item);
    assert_non_null(strstr(loom_job_report_json(job), "\"operation\": \"keep\""));
    assert_int_equal(loom_job_result(job, "other", &item, &err), LOOM_NOT_FOUND);
    assert_null(item);
    loom_job_free(job);
    loom_runtime_close(runtime);
}

/* The same nodes, from C and from a text: what one stores the other finds. */
static void test_the_ids_of_programs(void **state) {
    (void)state;
    loom_runtime *runtime = opened(folder);
    loom_job *job = submitted_text(runtime, "print \"x\" toy.twice(1 + 2)\nprint \"r\" range(1, 4)\n", NULL);
    OK(loom_job_wait(job, -1, &err));
    loom_item *item = result(job, "x");
    loom_item_info programs = {.size = sizeof programs}, ours = {.size = sizeof ours};
    OK(loom_item_info_of(item, &programs, &err));
    loom_item_release(item);
    loom_job_free(job);
    loom_builder *builder = builder_of(runtime);
    loom_builder_node sum = CALL(builder, "vox1.+", number(builder, 1), number(builder, 2));
    OK(loom_builder_keep(builder, CALL(builder, "toy.twice", sum), "y", &err));
    OK(loom_builder_keep(builder, CALL(builder, "default.range", number(builder, 1), number(builder, 4)), "r", &err));
    job = submitted(runtime, builder);
    OK(loom_job_wait(job, -1, &err));
    assert_non_null(strstr(loom_job_report_json(job), "\"computed\": 0"));
    item = result(job, "y");
    assert_true(loom_item_float(item) == 6);
    OK(loom_item_info_of(item, &ours, &err));
    assert_memory_equal(ours.node, programs.node, 32);
    assert_memory_equal(ours.id, programs.id, 32);
    loom_item_release(item);
    loom_job_free(job);
    loom_runtime_close(runtime);
}

static void test_wrong_building(void **state) {
    (void)state;
    loom_runtime *runtime = opened(":memory:");
    loom_builder *builder = builder_of(runtime);
    loom_builder_node one = number(builder, 1), node = 77, wrong[] = {one, 99};
    assert_int_equal(loom_builder_call(builder, "toy.thrice", &one, 1, &node, &err), LOOM_BAD_PROGRAM);
    assert_non_null(strstr(err.message, "toy.thrice"));
    assert_int_equal(loom_builder_call(builder, "addition", wrong, 2, &node, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(loom_builder_call(builder, "loom.save", wrong, 2, &node, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(loom_builder_call(builder, "default.map", wrong, 2, &node, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(loom_builder_call(builder, "default.fold", &one, 1, &node, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(loom_builder_call(builder, "toy.twice", wrong, 2, &node, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(loom_builder_call(builder, "default.addition", wrong, 2, &node, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_call(builder, "default.addition", NULL, 2, &node, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_call(builder, NULL, &one, 1, &node, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_call(builder, "", &one, 1, &node, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_string(builder, "\xff", 1, &node, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_keep(builder, 99, "x", &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_keep(builder, one, NULL, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_builder_save(builder, one, "", &err), LOOM_BAD_ARGUMENT);
    loom_maker *maker = loom_maker_new();
    assert_int_equal(loom_builder_value(builder, maker, &node, &err), LOOM_BAD_ARGUMENT);
    OK(loom_maker_bytes(maker, "ab", 2));
    assert_int_equal(loom_builder_value(builder, maker, &node, &err), LOOM_UNSUPPORTED);
    loom_maker_free(maker);
    loom_job *job = (loom_job *)1;
    const loom_job_options options = {.size = 3};
    assert_int_equal(loom_runtime_submit_builder(runtime, builder, &options, &job, &err), LOOM_BAD_ARGUMENT);
    assert_null(job);
    /* What is wrong with types is found when it is run; nothing to run is well. */
    builder = builder_of(runtime);
    OK(loom_builder_string(builder, "text", 4, &node, &err));
    OK(loom_builder_keep(builder, CALL(builder, "toy.sum", node), "x", &err));
    job = submitted(runtime, builder);
    assert_int_equal(loom_job_wait(job, -1, &err), LOOM_BAD_PROGRAM);
    loom_item *item;
    assert_int_equal(loom_job_result(job, "x", &item, &err), LOOM_BAD_PROGRAM);
    loom_job_free(job);
    job = submitted(runtime, builder_of(runtime));
    OK(loom_job_wait(job, -1, &err));
    loom_job_free(job);
    assert_int_equal(loom_runtime_submit_text(runtime, "x.imgql", "print (", 7, NULL, &job, &err), LOOM_BAD_SYNTAX);
    assert_null(job);
    assert_int_equal(loom_runtime_submit_file(runtime, "/nowhere.imgql", NULL, &job, &err), LOOM_NOT_FOUND);
    loom_job_free(NULL);
    loom_builder_free(NULL);
    loom_builder_free(builder_of(runtime));
    loom_runtime_close(runtime);
}

/* ---- images ---- */

static void check_ramp(const loom_item *item, uint64_t width, uint64_t height) {
    loom_image_info image = {.size = sizeof image};
    OK(loom_item_image(item, &image, &err));
    assert_int_equal(image.dtype, LOOM_PIXEL_F32);
    assert_int_equal(image.extent[0], width);
    assert_int_equal(image.extent[1], height);
    assert_true(image.spacing[1] == 0.5);
    assert_int_equal((uintptr_t)image.voxels % 4096, 0);
    for (uint64_t y = 0; y < height; y++)
        for (uint64_t x = 0; x < width; x++)
            assert_true(((const float *)image.voxels)[y * width + x] == (float)(x + 10 * y));
}

static void images_in(const char *store) {
    loom_runtime *runtime = opened(store);
    for (int turn = 0; turn < 2; turn++) { /* the second finds them, if they are stored */
        loom_job *job = submitted_text(runtime,
                                       "import \"toy\"\nprint \"one\" ramp(600, 700)\n"
                                       "print \"many\" for n in range(1, 4) do ramp(n, 2)\n",
                                       NULL);
        OK(loom_job_wait(job, -1, &err));
        loom_item *one = result(job, "one"), *many = result(job, "many"), *image = NULL;
        uint8_t id[32];
        assert_int_equal(loom_item_count(many), 3);
        assert_int_equal(loom_item_reference(loom_item_at(many, 2), id), LOOM_ITEM_IMAGE);
        OK(loom_job_fetch(job, id, &image, &err));
        id[0] ^= 1;
        loom_item *none = (loom_item *)1;
        assert_int_equal(loom_job_fetch(job, id, &none, &err), LOOM_NOT_FOUND);
        assert_null(none);
        loom_job_free(job); /* items outlive it */
        check_ramp(one, 600, 700);
        check_ramp(image, 3, 2);
        loom_item_release(one);
        loom_item_release(many);
        loom_item_release(image);
    }
    loom_runtime_close(runtime);
}

static void test_images(void **state) {
    (void)state;
    images_in(folder);
    images_in(":memory:");
}

/* ---- failing, and stopping ---- */

static void test_failures(void **state) {
    (void)state;
    loom_runtime *runtime = opened(":memory:");
    loom_job *job = submitted_text(runtime, "print \"bad\" toy.twice([\"x\"][0])\nprint \"good\" toy.twice(1)\n", NULL);
    assert_int_equal(loom_job_wait(job, -1, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(err.line, 1);
    assert_string_equal(err.file, "test.imgql");
    loom_item *item = result(job, "good"); /* met, whatever else failed */
    assert_true(loom_item_float(item) == 2);
    loom_item_release(item);
    assert_int_equal(loom_job_result(job, "bad", &item, &err), LOOM_BAD_ARGUMENT);
    assert_null(item);
    assert_non_null(strstr(loom_job_report_json(job), "\"failed\": 1"));
    loom_job_free(job);
    loom_runtime_close(runtime);
}

/* What the callbacks of a test share. */
typedef struct observed {
    _Atomic(loom_job *) job;
    atomic_int calls;
} observed;

/* Stops a job that never ends by itself, once it is seen to run. */
static void stop_when_running(const loom_job_progress *progress, void *context) {
    observed *seen = context;
    loom_job *job = seen->job;
    seen->calls++;
    if (job == NULL || progress->workers_busy == 0) return;
    loom_job_cancel(job);
    loom_job_cancel(job);
}

static void test_cancelled_from_a_callback(void **state) {
    (void)state;
    loom_runtime *runtime = opened(":memory:");
    observed seen = {.job = NULL};
    const loom_job_options options = {.size = sizeof options, .progress = stop_when_running, .context = &seen};
    loom_job *job = submitted_text(runtime, "print \"x\" toy.forever(1)\n", &options);
    loom_item *item = (loom_item *)1;
    loom_job_progress progress = {.size = sizeof progress};
    assert_int_equal(loom_job_wait(job, 1, &err), LOOM_BUSY);
    assert_int_equal(loom_job_poll(job, &progress), LOOM_BUSY);
    assert_int_equal(loom_job_result(job, "x", &item, &err), LOOM_BUSY);
    assert_null(item);
    assert_null(loom_job_report_json(job));
    seen.job = job;
    assert_int_equal(loom_job_wait(job, -1, &err), LOOM_CANCELLED);
    assert_int_equal(loom_job_poll(job, &progress), LOOM_CANCELLED);
    assert_int_equal(progress.nodes_total, 1);
    assert_int_equal(progress.nodes_done, 0);
    assert_true(seen.calls > 0);
    progress.size = 1;
    assert_int_equal(loom_job_poll(job, &progress), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_job_result(job, "x", &item, &err), LOOM_CANCELLED);
    loom_job_free(job);
    job = submitted_text(runtime, "print \"x\" toy.forever(1)\n", NULL); /* freeing stops it */
    loom_job_free(job);
    loom_runtime_close(runtime);
}

/* ---- threads ---- */

static void *wait_for(void *context) {
    loom_error own = {0};
    loom_item *item = NULL;
    loom_status status = loom_job_wait(context, -1, &own);
    if (status == LOOM_OK) status = loom_job_result(context, "n", &item, &own);
    double value = status == LOOM_OK ? loom_item_float(item) : -1;
    loom_item_release(item);
    return (void *)(uintptr_t)(value == 55);
}

static void test_many_wait(void **state) {
    (void)state;
    loom_runtime *runtime = opened(":memory:");
    pthread_t threads[8];
    loom_job *job = submitted_text(runtime, "print \"n\" fold + (for i in range(1, 11) do toy.twice(i) / 2)\n", NULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for, job), 0);
    for (int i = 0; i < 8; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
    loom_job_free(job);
    loom_runtime_close(runtime);
}

/* Jobs at the same time, from threads that share a runtime and a store. */
typedef struct one_of_many {
    loom_runtime *runtime;
    int number;
    bool good;
} one_of_many;

static void *build_and_run(void *context) {
    one_of_many *self = context;
    loom_error own = {0};
    loom_builder *builder = NULL;
    loom_job *job = NULL;
    loom_item *item = NULL;
    loom_builder_node node = 0;
    loom_status status = loom_builder_new(self->runtime, &builder, &own);
    if (status == LOOM_OK) status = loom_builder_float(builder, self->number, &node, &own);
    for (int i = 0; i < 50 && status == LOOM_OK; i++)
        status = loom_builder_call(builder, i % 2 ? "default.division" : "toy.twice", (loom_builder_node[]){node, 1},
                                   i % 2 ? 2 : 1, &node, &own);
    if (status == LOOM_OK) status = loom_builder_keep(builder, node, "end", &own);
    if (status == LOOM_OK) status = loom_runtime_submit_builder(self->runtime, builder, NULL, &job, &own);
    if (status == LOOM_OK) status = loom_job_wait(job, -1, &own);
    if (status == LOOM_OK) status = loom_job_result(job, "end", &item, &own);
    if (status != LOOM_OK) print_message("job %d: %s\n", self->number, own.message);
    self->good = status == LOOM_OK && loom_item_float(item) > 0;
    loom_item_release(item);
    loom_job_free(job);
    return NULL;
}

static void test_jobs_at_once(void **state) {
    (void)state;
    loom_runtime *runtime = opened(folder);
    pthread_t threads[4];
    one_of_many jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (one_of_many){.runtime = runtime, .number = i / 2 + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, build_and_run, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_true(jobs[i].good);
    loom_runtime_close(runtime);
}

static int set_up(void **state) {
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.30s/loom-jobs-XXXXXX", temporary != NULL ? temporary : "/tmp");
    memset(&err, 0, sizeof err);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_build_and_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_ids_of_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_building, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_images, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_from_a_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
