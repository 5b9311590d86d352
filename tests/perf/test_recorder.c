/* The recorder, driven by real tasks of a real segment within this process: its clock adds up, its log holds what was
 * done, fine tasks are sampled, and nothing that a worker could write makes the reader go astray. */
#include "trace_check.h" /* cmocka */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perf/recorder_layout.h"
#include "shm/platform_file.h"

enum { WORKERS = 2, OPERATORS = 3 };

typedef struct scene {
    loom_recorder *reader, *writer;
    loom_segment *segment;
    uint32_t task; /* one that can be told of */
} scene;

static int setup(void **state) {
    static scene at;
    at = (scene){0};
    const loom_segment_options options = {.workers = WORKERS, .tasks_max = 1024, .heap_bytes = 1 << 20};
    assert_int_equal(loom_recorder_create(WORKERS, OPERATORS, loom_recorder_now_ns(), &at.reader, NULL), LOOM_OK);
    assert_int_equal(loom_recorder_attach(dup(loom_recorder_fd(at.reader)), 1, &at.writer, NULL), LOOM_OK);
    assert_int_equal(loom_segment_create(&options, &at.segment, NULL), LOOM_OK);
    assert_int_equal(loom_task_create(at.segment, NULL, 0, &at.task, NULL), LOOM_OK);
    loom_task *task = loom_segment_task(at.segment, at.task);
    task->cookie = 77;
    task->bulk.bytes = 4096;
    task->origin = LOOM_ORIGIN_COMPUTED;
    *state = &at;
    return 0;
}

static int teardown(void **state) {
    scene *at = *state;
    loom_recorder_close(at->writer);
    loom_recorder_close(at->reader);
    loom_segment_close(at->segment);
    assert_null(loom_thread_observer);
    return 0;
}

static void busy_ns(uint64_t ns) {
    uint64_t end = loom_recorder_now_ns() + ns;
    while (loom_recorder_now_ns() < end) {
    }
}

static void do_task(scene *at, uint32_t op, uint64_t kernel_ns) {
    loom_recorder_task_begins(at->writer, op);
    loom_enter(LOOM_DOING_LOOKUP);
    loom_enter(LOOM_DOING_ARGUMENTS);
    loom_recorder_kernel_begins(at->writer);
    if (kernel_ns > 0) busy_ns(kernel_ns);
    loom_recorder_kernel_ends(at->writer);
    loom_enter(LOOM_DOING_PUBLISH);
    loom_recorder_task_ends(at->writer, at->segment, at->task, LOOM_TASK_DONE);
}

static uint64_t lane_sum(const scene *at, uint32_t lane, uint64_t end_ns) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < LOOM_ACTIVITY_COUNT; i++)
        sum += loom_recorder_activity_ns(at->reader, lane, (loom_activity)i, end_ns);
    return sum;
}

static void test_clock(void **state) {
    scene *at = *state;
    loom_activity before = loom_enter(LOOM_DOING_NOTHING);
    assert_int_equal(before, LOOM_DOING_START);
    busy_ns(300000);
    before = loom_enter(LOOM_DOING_IO);
    assert_int_equal(before, LOOM_DOING_NOTHING);
    busy_ns(200000);
    loom_enter(before);
    loom_enter(LOOM_DOING_END);
    uint64_t end = loom_recorder_now_ns(), whole = end - loom_recorder_start_ns(at->reader);
    assert_true(loom_recorder_activity_ns(at->reader, 1, LOOM_DOING_NOTHING, end) >= 300000);
    assert_true(loom_recorder_activity_ns(at->reader, 1, LOOM_DOING_IO, end) >= 200000);
    assert_int_equal(loom_recorder_activity_ns(at->reader, 1, LOOM_DOING_KERNEL, end), 0);
    assert_int_equal(lane_sum(at, 1, end), whole);
    /* nobody attached to the other lane: all of it is start-up */
    assert_int_equal(loom_recorder_activity_ns(at->reader, 0, LOOM_DOING_START, end), whole);
}

/* A worker dies; its successor goes on in the same lane, and no time is lost or counted twice. */
static void test_successor(void **state) {
    scene *at = *state;
    loom_enter(LOOM_DOING_KERNEL);
    busy_ns(100000);
    loom_thread_observer = NULL; /* as if the process were gone: it does not close anything */
    loom_recorder *dead = at->writer;
    busy_ns(100000);
    assert_int_equal(loom_recorder_attach(dup(loom_recorder_fd(at->reader)), 1, &at->writer, NULL), LOOM_OK);
    uint64_t end = loom_recorder_now_ns();
    assert_true(loom_recorder_activity_ns(at->reader, 1, LOOM_DOING_KERNEL, end) >= 200000);
    assert_int_equal(lane_sum(at, 1, end), end - loom_recorder_start_ns(at->reader));
    loom_recorder_close(dead);
}

static void test_log(void **state) {
    scene *at = *state;
    loom_log_entry entry;
    assert_false(loom_recorder_next(at->reader, &entry));
    loom_note_that(LOOM_NOTE_STEAL, 0);
    do_task(at, 2, 100000);
    do_task(at, 1, 60000);
    assert_true(loom_recorder_next(at->reader, &entry));
    assert_int_equal(entry.kind, LOOM_ENTRY_TASK);
    assert_int_equal(entry.lane, 1);
    assert_int_equal(entry.task, at->task);
    assert_int_equal(entry.cookie, 77);
    assert_int_equal(entry.operator_index, 2);
    assert_int_equal(entry.stolen_from, 0);
    assert_int_equal(entry.bytes_out, 4096);
    assert_int_equal(entry.state, LOOM_TASK_DONE);
    assert_true(entry.counted >> LOOM_COUNTER_TASK_CLOCK & 1);
    static const loom_activity phases[] = {LOOM_DOING_LOOKUP, LOOM_DOING_ARGUMENTS, LOOM_DOING_KERNEL,
                                           LOOM_DOING_PUBLISH};
    assert_int_equal(entry.phase_count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(entry.phases[i].activity, phases[i]);
    assert_true(entry.phases[2].ns >= 100000);
    uint64_t first_end = entry.end_ns;
    assert_true(loom_recorder_next(at->reader, &entry));
    assert_int_equal(entry.operator_index, 1);
    assert_int_equal(entry.stolen_from, LOOM_NOT_STOLEN);
    assert_true(entry.start_ns >= first_end);
    assert_false(loom_recorder_next(at->reader, &entry));
    const loom_operator_account *account = loom_recorder_account(at->reader, 1, 2);
    assert_int_equal(loom_tally_read(&account->calls), 1);
    assert_int_equal(loom_tally_read(&account->bytes_out), 4096);
    assert_true(loom_tally_read(&account->kernel_ns) >= 100000);
    assert_true(loom_tally_read(&account->task_ns) >= loom_tally_read(&account->kernel_ns));
}

/* I/O within a kernel is told apart, but does not end its phase. */
static void test_io_in_kernel(void **state) {
    scene *at = *state;
    loom_log_entry entry;
    loom_recorder_task_begins(at->writer, 0);
    loom_recorder_kernel_begins(at->writer);
    busy_ns(50000);
    loom_activity before = loom_enter(LOOM_DOING_IO);
    busy_ns(80000);
    loom_enter(before);
    loom_note_that(LOOM_NOTE_IO_FLIGHT, 3);
    busy_ns(50000);
    loom_recorder_kernel_ends(at->writer);
    loom_recorder_task_ends(at->writer, at->segment, at->task, LOOM_TASK_FAILED);
    assert_true(loom_recorder_next(at->reader, &entry));
    assert_int_equal(entry.kind, LOOM_ENTRY_IO_FLIGHT);
    assert_int_equal(entry.value, 3);
    assert_true(loom_recorder_next(at->reader, &entry));
    assert_int_equal(entry.phase_count, 1);
    assert_true(entry.phases[0].ns >= 180000);
    assert_true(entry.io_ns >= 80000);
    const loom_operator_account *account = loom_recorder_account(at->reader, 1, 0);
    assert_true(loom_tally_read(&account->kernel_ns) >= 180000); /* I/O included */
    assert_true(loom_tally_read(&account->io_ns) >= 80000);
    assert_int_equal(loom_tally_read(&account->failed), 1);
}

enum { FINE = 20000 };

/* Of tasks that take no time only a part is logged and counted; calls are exact; none is lost. */
static void test_sampling(void **state) {
    scene *at = *state;
    loom_log_entry entry;
    uint64_t seen = 0;
    for (unsigned i = 0; i < FINE; i++) {
        do_task(at, 0, 0);
        if (i % 1000 == 0)
            while (loom_recorder_next(at->reader, &entry))
                seen++;
    }
    do_task(at, 1, LOOM_TRACED_NS); /* this one is long enough to be seen in any case */
    bool long_one = false;
    while (loom_recorder_next(at->reader, &entry)) {
        seen++;
        long_one |= entry.operator_index == 1;
    }
    assert_true(long_one);
    loom_lane_facts facts = loom_recorder_facts(at->reader, 1);
    assert_int_equal(facts.tasks, FINE + 1);
    assert_int_equal(facts.lost, 0);
    assert_int_equal(facts.traced, seen);
    assert_true(facts.traced < FINE);
    assert_in_range(facts.sampled, 8, FINE - 1);
    assert_int_equal(loom_tally_read(&loom_recorder_account(at->reader, 1, 0)->calls), FINE);
    assert_true(loom_tally_read(&loom_recorder_account(at->reader, 1, 1)->sampled) == 1);
}

/* A reader that does not come loses entries, which are counted; what is there stays whole and in order. */
static void test_full_log(void **state) {
    scene *at = *state;
    loom_lane *lane = loom_lane_at(at->writer, 1);
    loom_log_entry entry = {.kind = LOOM_ENTRY_TASK};
    uint64_t start = loom_recorder_start_ns(at->reader);
    for (uint64_t i = 0; i < LOOM_LOG_SLOTS + 10; i++) {
        entry.start_ns = entry.end_ns = start + i;
        assert_int_equal(loom_lane_push(lane, &entry), i < LOOM_LOG_SLOTS);
    }
    assert_int_equal(loom_recorder_facts(at->reader, 1).lost, 10);
    for (uint64_t i = 0; i < LOOM_LOG_SLOTS; i++) {
        assert_true(loom_recorder_next(at->reader, &entry));
        assert_int_equal(entry.start_ns, start + i);
    }
    assert_false(loom_recorder_next(at->reader, &entry));
}

/* A reader that keeps up sees everything in order, while the writer stays in the first slots. */
static void test_hot_log(void **state) {
    scene *at = *state;
    loom_lane *lane = loom_lane_at(at->writer, 1);
    loom_log_entry entry = {.kind = LOOM_ENTRY_TASK};
    uint64_t start = loom_recorder_start_ns(at->reader), written = 0, seen = 0;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i <= round % 40; i++, written++) {
            entry.start_ns = entry.end_ns = start + written;
            assert_true(loom_lane_push(lane, &entry));
        }
        for (; loom_recorder_next(at->reader, &entry); seen++)
            assert_int_equal(entry.start_ns, start + seen);
        assert_int_equal(seen, written);
    }
    assert_true(written > 2 * LOOM_LOG_SLOTS);
    for (size_t i = LOOM_LOG_HOT_SLOTS + 40; i < LOOM_LOG_SLOTS; i++)
        assert_int_equal(lane->log[i].kind, 0);
    assert_int_equal(loom_recorder_facts(at->reader, 1).lost, 0);
}

static void test_insane_entries(void **state) {
    scene *at = *state;
    loom_lane *lane = loom_lane_at(at->writer, 0);
    uint64_t start = loom_recorder_start_ns(at->reader);
    const loom_log_entry good = {.kind = LOOM_ENTRY_TASK,
                                 .start_ns = start + 10,
                                 .end_ns = start + 110,
                                 .phase_count = 2,
                                 .phases = {{.from_ns = 0, .ns = 50}, {.from_ns = 50, .ns = 50}}};
    loom_log_entry bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].kind = 0;
    bad[1].kind = 99;
    bad[2].start_ns = start - 1; /* before the run */
    bad[3].end_ns = start;       /* ends before it begins */
    bad[4].operator_index = OPERATORS;
    bad[5].phase_count = LOOM_PHASES_MAX + 1;
    bad[6].phases[1].from_ns = 49; /* overlaps */
    bad[7].phases[1].ns = 51;      /* longer than the task */
    bad[8].phases[0].activity = LOOM_ACTIVITY_COUNT;
    loom_log_entry entry;
    for (size_t i = 0; i < 9; i++)
        assert_true(loom_lane_push(lane, &bad[i]));
    assert_true(loom_lane_push(lane, &good));
    assert_true(loom_recorder_next(at->reader, &entry)); /* the good one, and nothing else */
    assert_int_equal(entry.end_ns, start + 110);
    assert_false(loom_recorder_next(at->reader, &entry));
    /* counts that cannot be are not followed */
    atomic_store(&lane->tail, atomic_load(&lane->head) + UINT64_C(1000000));
    assert_false(loom_recorder_next(at->reader, &entry));
}

static void test_hostile_memory(void **state) {
    scene *at = *state;
    loom_recorder *none = NULL;
    loom_error err = {0};
    int fd;
    assert_int_equal(loom_recorder_attach(dup(loom_recorder_fd(at->reader)), WORKERS, &none, &err), LOOM_INTERNAL);
    assert_null(none);
    assert_int_equal(loom_memory_file("short", &fd), 0);
    assert_int_equal(loom_recorder_attach(fd, 0, &none, &err), LOOM_LAYOUT_MISMATCH);
    assert_int_equal(loom_file_resize(fd, 1 << 16), 0);
    assert_int_equal(loom_recorder_attach(fd, 0, &none, &err), LOOM_LAYOUT_MISMATCH); /* zeros */
    loom_recorder_header header = *at->reader->header;
    header.workers = LOOM_WORKERS_MAX + 1;
    assert_int_equal(pwrite(fd, &header, sizeof header, 0), sizeof header);
    assert_int_equal(loom_recorder_attach(fd, 0, &none, &err), LOOM_LAYOUT_MISMATCH);
    header = *at->reader->header; /* right, but the file is shorter than it says */
    assert_int_equal(pwrite(fd, &header, sizeof header, 0), sizeof header);
    assert_int_equal(loom_recorder_attach(fd, 0, &none, &err), LOOM_LAYOUT_MISMATCH);
    (void)close(fd);
    assert_int_equal(loom_recorder_create(0, OPERATORS, 1, &none, &err), LOOM_INTERNAL);
    assert_int_equal(loom_recorder_create(WORKERS, LOOM_OPERATORS_MAX + 1, 1, &none, &err), LOOM_INTERNAL);
}

/* Without a recorder every call is nothing. */
static void test_off(void **state) {
    (void)state;
    assert_null(loom_thread_observer);
    assert_int_equal(loom_enter(LOOM_DOING_IO), LOOM_DOING_IO);
    loom_note_that(LOOM_NOTE_STEAL, 1);
    loom_recorder_task_begins(NULL, 0);
    loom_recorder_kernel_begins(NULL);
    loom_recorder_kernel_ends(NULL);
    loom_recorder_task_ends(NULL, NULL, 0, LOOM_TASK_DONE);
    loom_recorder_task_put_back(NULL);
    loom_recorder_commit(NULL, 0, 0, 0, 0, true);
    loom_recorder_close(NULL);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SCENE(test_clock),        WITH_SCENE(test_successor),      WITH_SCENE(test_log),
        WITH_SCENE(test_io_in_kernel), WITH_SCENE(test_sampling),       WITH_SCENE(test_full_log),
        WITH_SCENE(test_hot_log),      WITH_SCENE(test_insane_entries), WITH_SCENE(test_hostile_memory),
        cmocka_unit_test(test_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
