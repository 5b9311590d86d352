/* The profile of hand-made lanes: every figure by hand, causes sum to worker-seconds exactly, estimates are bounded. */
#include "trace_check.h" /* cmocka */

#include <string.h>

#include "perf/profile.h"
#include "perf/recorder_layout.h"

enum { WORKERS = 2, MS = 1000000 };

static const loom_operator ops[] = {{.name = "a.cheap"}, {.name = "b.dear"}, {.name = "c.never"}};
static const loom_operator *const op_list[] = {&ops[0], &ops[1], &ops[2]};
static const loom_operator_table table = {op_list, 3};

static const uint64_t start = 1000;

static loom_recorder *recorder_with(uint64_t fault_cost_ns) {
    loom_recorder *recorder;
    assert_int_equal(loom_recorder_create(WORKERS, 3, start, &recorder, NULL), LOOM_OK);
    for (uint32_t i = 0; i < WORKERS; i++)
        loom_lane_at(recorder, i)->fault_cost_ns = fault_cost_ns;
    return recorder;
}

/* Spends time of a lane. */
static void spend(loom_recorder *recorder, uint32_t lane, loom_activity activity, uint64_t ns) {
    loom_lane *at = loom_lane_at(recorder, lane);
    at->activity_ns[activity] += ns;
    at->since_ns += ns;
    at->activity = LOOM_DOING_END;
}

static uint64_t sum_of(const uint64_t *cause_ns) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < LOOM_CAUSE_COUNT; i++)
        sum += cause_ns[i];
    return sum;
}

static void test_sums(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    loom_recorder *recorder = recorder_with(1000);
    loom_profile profile = {0};
    spend(recorder, 0, LOOM_DOING_START, 10 * MS);
    spend(recorder, 0, LOOM_DOING_KERNEL, 60 * MS);
    spend(recorder, 0, LOOM_DOING_IO, 20 * MS);
    spend(recorder, 1, LOOM_DOING_START, 15 * MS);
    spend(recorder, 1, LOOM_DOING_NOTHING, 70 * MS);
    loom_operator_account *dear = &loom_lane_accounts(recorder, 0)[1];
    *dear = (loom_operator_account){.calls = 4,
                                    .reused = 1,
                                    .task_ns = 90 * MS,
                                    .kernel_ns = 80 * MS, /* 20 of them I/O */
                                    .io_ns = 20 * MS,
                                    .bytes_in = 100,
                                    .bytes_out = 50,
                                    .sampled = 1,
                                    .sampled_kernel_ns = 20 * MS};
    /* Of a quarter of the kernel time: 12.5 ms on the CPU, 2,000 minor faults. */
    dear->counts[LOOM_COUNTER_TASK_CLOCK] = 12500000;
    dear->counts[LOOM_COUNTER_FAULTS] = 2000;
    dear->counted_ns[LOOM_COUNTER_TASK_CLOCK] = dear->counted_ns[LOOM_COUNTER_FAULTS] = 20 * MS;
    loom_lane_at(recorder, 0)->tasks = 4;
    uint64_t end = start + 100 * MS;
    assert_int_equal(loom_profile_sum(recorder, &table, end, arena, &profile), LOOM_OK);
    assert_int_equal(profile.workers, WORKERS);
    assert_int_equal(profile.wall_ns, 100 * MS);
    assert_int_equal(profile.row_count, 1); /* what was not called has no row */
    const loom_profile_row *row = &profile.rows[0];
    assert_string_equal(row->name, "b.dear");
    assert_int_equal(row->calls, 4);
    assert_int_equal(row->counts.value[LOOM_COUNTER_TASK_CLOCK], 50 * MS); /* scaled by kernel time */
    assert_int_equal(row->counts.value[LOOM_COUNTER_FAULTS], 8000);
    assert_int_equal(row->counts.valid, 1u << LOOM_COUNTER_TASK_CLOCK | 1u << LOOM_COUNTER_FAULTS);
    assert_int_equal(row->fault_ns, 8 * MS);
    /* 60 ms of kernel: 50 on the CPU, of which 8 in faults; 10 without a core */
    assert_int_equal(profile.cause_ns[LOOM_DOING_KERNEL], 42 * MS);
    assert_int_equal(profile.cause_ns[LOOM_CAUSE_FAULTS], 8 * MS);
    assert_int_equal(profile.cause_ns[LOOM_CAUSE_CORE], 10 * MS);
    assert_int_equal(profile.cause_ns[LOOM_DOING_IO], 20 * MS);
    assert_int_equal(profile.cause_ns[LOOM_DOING_START], 25 * MS);
    assert_int_equal(profile.cause_ns[LOOM_DOING_NOTHING], 70 * MS);
    assert_int_equal(profile.cause_ns[LOOM_DOING_END], 25 * MS); /* 10 and 15: what holds goes on to the end */
    assert_int_equal(profile.cause_ns[LOOM_DOING_OTHER], 0);
    assert_int_equal(sum_of(profile.cause_ns), 2 * 100 * MS);
    assert_int_equal(sum_of(profile.worker_rows[0].cause_ns), 100 * MS);
    assert_int_equal(profile.tasks, 4);
    loom_recorder_close(recorder);
    loom_arena_free(arena);
}

/* Estimates that would take more than there is take what there is; the sum holds. */
static void test_bounds(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    loom_recorder *recorder = recorder_with(UINT64_MAX / 2);
    loom_profile profile = {0};
    spend(recorder, 0, LOOM_DOING_KERNEL, 10 * MS);
    for (int op = 0; op < 2; op++) {
        loom_operator_account *account = &loom_lane_accounts(recorder, 0)[op];
        account->calls = 1;
        account->task_ns = account->kernel_ns = (uint64_t)(op + 1) * 8 * MS; /* together more than the clock has */
        account->counts[LOOM_COUNTER_FAULTS] = UINT64_MAX / 2;
        account->counted_ns[LOOM_COUNTER_FAULTS] = 1;
    }
    assert_int_equal(loom_profile_sum(recorder, &table, start + 20 * MS, arena, &profile), LOOM_OK);
    assert_int_equal(profile.cause_ns[LOOM_DOING_KERNEL], 0);
    assert_int_equal(profile.cause_ns[LOOM_CAUSE_FAULTS], 10 * MS);
    assert_int_equal(sum_of(profile.cause_ns), 2 * 20 * MS);
    assert_string_equal(profile.rows[0].name, "b.dear"); /* most expensive first */
    assert_string_equal(profile.rows[1].name, "a.cheap");
    loom_recorder_close(recorder);
    loom_arena_free(arena);
}

/* A kernel that met major faults waited for the disk: at most 10 ms each, the rest for a core. */
static void test_major_faults(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    loom_recorder *recorder = recorder_with(0);
    loom_profile profile = {0};
    spend(recorder, 0, LOOM_DOING_KERNEL, 100 * MS);
    loom_operator_account *account = &loom_lane_accounts(recorder, 0)[0];
    *account = (loom_operator_account){.calls = 1, .task_ns = 100 * MS, .kernel_ns = 100 * MS};
    account->counts[LOOM_COUNTER_TASK_CLOCK] = 40 * MS;
    account->counts[LOOM_COUNTER_FAULTS] = account->counts[LOOM_COUNTER_MAJOR_FAULTS] = 3;
    for (int i = LOOM_COUNTER_TASK_CLOCK; i <= LOOM_COUNTER_MAJOR_FAULTS; i++)
        account->counted_ns[i] = 100 * MS;
    assert_int_equal(loom_profile_sum(recorder, &table, start + 100 * MS, arena, &profile), LOOM_OK);
    assert_int_equal(profile.cause_ns[LOOM_DOING_KERNEL], 40 * MS);
    assert_int_equal(profile.cause_ns[LOOM_DOING_IO], 30 * MS);
    assert_int_equal(profile.cause_ns[LOOM_CAUSE_CORE], 30 * MS);
    assert_int_equal(profile.rows[0].io_ns, 30 * MS);
    loom_recorder_close(recorder);
    loom_arena_free(arena);
}

/* A lane whose clock says more than the whole (it was written while it was read), or less (its worker died between two
 * writes): the sum is the whole all the same. */
static void test_odd_clocks(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    loom_recorder *recorder = recorder_with(0);
    loom_profile profile = {0};
    spend(recorder, 0, LOOM_DOING_KERNEL, 500 * MS);
    loom_lane_at(recorder, 1)->since_ns = start + 60 * MS; /* 60 ms are nowhere */
    loom_lane_at(recorder, 1)->activity = LOOM_DOING_NOTHING;
    assert_int_equal(loom_profile_sum(recorder, &table, start + 100 * MS, arena, &profile), LOOM_OK);
    assert_int_equal(profile.worker_rows[0].cause_ns[LOOM_DOING_KERNEL], 100 * MS);
    assert_int_equal(profile.worker_rows[1].cause_ns[LOOM_DOING_NOTHING], 40 * MS);
    assert_int_equal(profile.worker_rows[1].cause_ns[LOOM_DOING_OTHER], 60 * MS);
    assert_int_equal(sum_of(profile.cause_ns), 2 * 100 * MS);
    loom_recorder_close(recorder);
    loom_arena_free(arena);
}

static void test_names(void **state) {
    (void)state;
    bool shown[LOOM_CAUSE_COUNT] = {false};
    for (unsigned i = 0; i < LOOM_CAUSE_COUNT; i++) {
        assert_false(shown[loom_cause_shown(i)]); /* each once */
        shown[loom_cause_shown(i)] = true;
        assert_string_not_equal(loom_cause_name(i), "?");
    }
    assert_string_equal(loom_cause_name(LOOM_CAUSE_FAULTS), "page fault");
    assert_string_equal(loom_cause_name(LOOM_DOING_MEMORY), "memory brake");
    assert_string_equal(loom_cause_name(LOOM_CAUSE_COUNT), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_major_faults), cmocka_unit_test(test_odd_clocks),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
