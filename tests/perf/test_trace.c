/* The trace of hand-made entries, read back by a strict reader of its own. */
#include "trace_check.h" /* cmocka */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/trace.h"

static const loom_operator ops[] = {{.name = "vox1.near"}, {.name = "strange.\"name\"\\\n\x01"}};
static const loom_operator *const op_list[] = {&ops[0], &ops[1]};
static const loom_operator_table table = {op_list, 2};

enum { WORKERS = 2 };
static const uint64_t start = UINT64_C(5000000000);

typedef struct written {
    FILE *out;
    char *text;
    size_t length;
    loom_trace *trace;
} written;

static void begin(written *at) {
    *at = (written){0};
    at->out = open_memstream(&at->text, &at->length);
    assert_non_null(at->out);
    assert_int_equal(loom_trace_begin(at->out, &table, WORKERS, start, &at->trace, NULL), LOOM_OK);
}

static trace_file end(written *at, const loom_profile *profile) {
    loom_trace_end(at->trace, profile);
    assert_int_equal(fclose(at->out), 0);
    trace_file file = trace_read(at->text);
    free(at->text);
    return file;
}

static loom_log_entry task_at(uint32_t lane, uint64_t from_us, uint64_t us, uint32_t number) {
    return (loom_log_entry){.kind = LOOM_ENTRY_TASK,
                            .lane = lane,
                            .start_ns = start + from_us * 1000,
                            .end_ns = start + (from_us + us) * 1000,
                            .task = number,
                            .attempt = 7,
                            .stolen_from = LOOM_NOT_STOLEN,
                            .state = LOOM_TASK_DONE,
                            .origin = LOOM_ORIGIN_COMPUTED};
}

static const trace_event *find(const trace_file *file, char phase, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (file->events[i].phase == phase && strcmp(file->events[i].name, name) == 0) return &file->events[i];
    fail_msg("no event %c \"%s\"", phase, name);
    return NULL;
}

static void test_empty(void **state) {
    (void)state;
    written at;
    begin(&at);
    trace_file file = end(&at, NULL);
    assert_int_equal(trace_task_count(&file), 0);
    for (size_t i = 0; i < file.count; i++)
        assert_int_equal(file.events[i].phase, 'M');
    trace_free(&file);
    loom_trace_end(NULL, NULL);
}

static void test_task(void **state) {
    (void)state;
    written at;
    begin(&at);
    loom_log_entry entry = task_at(1, 1000, 500, 42);
    entry.bytes_in = 1 << 20;
    entry.bytes_out = 4096;
    entry.io_ns = 70000;
    entry.stolen_from = 0;
    entry.phase_count = 3;
    entry.phases[0] =
        (loom_phase_span){.activity = LOOM_DOING_LOOKUP, .from_ns = 0, .ns = 1000}; /* too short to draw */
    entry.phases[1] = (loom_phase_span){.activity = LOOM_DOING_KERNEL, .from_ns = 1000, .ns = 400000};
    entry.phases[2] =
        (loom_phase_span){.activity = LOOM_DOING_PUBLISH, .from_ns = 401000, .ns = 99000}; /* too short as well */
    entry.counted = 1u << LOOM_COUNTER_FAULTS | 1u << LOOM_COUNTER_CYCLES | 1u << LOOM_COUNTER_INSTRUCTIONS;
    entry.counts[LOOM_COUNTER_FAULTS] = 17;
    entry.counts[LOOM_COUNTER_CYCLES] = 4000;
    entry.counts[LOOM_COUNTER_INSTRUCTIONS] = 10000;
    const loom_trace_place place = {.node = "3fa9b2c1", .file = "a \"b\".imgql", .line = 12, .column = 3};
    loom_trace_add(at.trace, &entry, &place);
    const loom_profile profile = {.tasks = 5, .traced = 1, .sampled = 1};
    trace_file file = end(&at, &profile);
    const trace_event *task = find(&file, 'X', "vox1.near");
    assert_int_equal(task->thread, 2);
    assert_int_equal(task->start_ns, 1000000);
    assert_int_equal(task->end_ns, 1500000);
    assert_string_equal(task->cat, "computed");
    static const struct {
        const char *name, *value;
    } expected[] = {{"task", "42"},
                    {"attempt", "7"},
                    {"node", "\"3fa9b2c1\""},
                    {"file", "\"a \\\"b\\\".imgql\""},
                    {"line", "12"},
                    {"column", "3"},
                    {"bytes_in", "1048576"},
                    {"bytes_out", "4096"},
                    {"io_wait_us", "70"},
                    {"stolen_from", "0"},
                    {"page_faults", "17"},
                    {"instructions", "10000"},
                    {"outcome", "\"computed\""}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const char *value = trace_argument(task, expected[i].name);
        if (!value) fail_msg("no argument %s", expected[i].name);
        assert_string_equal(value, expected[i].value);
    }
    assert_null(trace_argument(task, "llc_misses")); /* not counted: not there */
    assert_int_equal(find(&file, 'i', "steal")->thread, 2);
    assert_int_equal(find(&file, 'X', "kernel")->end_ns, 1401000);
    for (size_t i = 0; i < file.count; i++)
        assert_true(strcmp(file.events[i].name, "look-up") != 0 && strcmp(file.events[i].name, "publication") != 0);
    assert_string_equal(trace_argument(find(&file, 'C', "instructions per cycle, worker 1"), "value"), "2.500");
    assert_string_equal(trace_argument(find(&file, 'C', "page faults, worker 1"), "value"), "17");
    assert_int_equal(trace_task_count(&file), 1);
    trace_free(&file);
}

static void test_outcomes_and_tracks(void **state) {
    (void)state;
    written at;
    begin(&at);
    loom_log_entry hit = task_at(0, 0, 60, 1), failed = task_at(0, 60, 60, 2), odd = task_at(1, 0, 60, 3);
    hit.origin = LOOM_ORIGIN_STORED;
    failed.state = LOOM_TASK_FAILED;
    odd.operator_index = 1;
    loom_trace_add(at.trace, &hit, NULL);
    loom_trace_add(at.trace, &failed, NULL);
    loom_trace_add(at.trace, &odd, NULL);
    const loom_log_entry commit = {.kind = LOOM_ENTRY_COMMIT,
                                   .lane = WORKERS,
                                   .start_ns = start + 1234567,
                                   .end_ns = start + 2234568,
                                   .value = 100,
                                   .bytes_out = 5000,
                                   .state = 1};
    const loom_log_entry flight = {
        .kind = LOOM_ENTRY_IO_FLIGHT, .lane = 1, .start_ns = start + 10, .end_ns = start + 10, .value = 4};
    loom_trace_add(at.trace, &commit, NULL);
    loom_trace_add(at.trace, &flight, NULL);
    trace_file file = end(&at, NULL);
    assert_int_equal(trace_task_count(&file), 3);
    assert_string_equal(find(&file, 'X', "vox1.near")->cat, "store hit");
    const trace_event *batch = find(&file, 'X', "commit");
    assert_int_equal(batch->thread, WORKERS + 1);
    assert_int_equal(batch->start_ns, 1234567);
    assert_int_equal(batch->end_ns, 2234568);
    assert_string_equal(trace_argument(batch, "rows"), "100");
    assert_string_equal(trace_argument(find(&file, 'C', "writes in flight, worker 1"), "value"), "4");
    trace_free(&file);
}

/* What cannot be is not written, long names are cut between characters, and the file stays readable. */
static void test_hostile(void **state) {
    (void)state;
    written at;
    char name[3000];
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 2); /* two bytes a letter */
    name[sizeof name - 2] = name[sizeof name - 1] = '\0';
    begin(&at);
    loom_log_entry entry = task_at(WORKERS, 0, 60, 1); /* no such worker */
    loom_trace_add(at.trace, &entry, NULL);
    entry = task_at(0, 0, 60, 1);
    entry.operator_index = 2; /* no such operator */
    loom_trace_add(at.trace, &entry, NULL);
    entry = task_at(0, 0, 60, 1);
    entry.start_ns = start - 1; /* before the run */
    loom_trace_add(at.trace, &entry, NULL);
    entry = task_at(0, 0, 60, 1);
    const loom_trace_place place = {.node = "n", .file = name, .line = UINT32_MAX, .column = UINT32_MAX};
    loom_trace_add(at.trace, &entry, &place);
    memset(name, '\x01', sizeof name - 1); /* six bytes each when escaped */
    entry = task_at(0, 60, 60, 2);
    entry.bytes_in = entry.bytes_out = entry.io_ns = UINT64_MAX;
    entry.counted = UINT32_MAX;
    memset(entry.counts, 0xff, sizeof entry.counts);
    loom_trace_add(at.trace, &entry, &place);
    trace_file file = end(&at, NULL);
    assert_int_equal(trace_task_count(&file), 2);
    trace_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_empty), cmocka_unit_test(test_task),
                                       cmocka_unit_test(test_outcomes_and_tracks), cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
