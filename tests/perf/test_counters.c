/* Counters: scaling by hand-made figures, differences of hand-made readings, and what this machine really gives. */
#include "trace_check.h" /* cmocka */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "perf/counters_private.h"

static void test_scale(void **state) {
    (void)state;
    assert_int_equal(loom_counter_scale(100, 10, 10), 100);
    assert_int_equal(loom_counter_scale(100, 10, 5), 200); /* ran half of the time */
    assert_int_equal(loom_counter_scale(100, 30, 10), 300);
    assert_int_equal(loom_counter_scale(7, 10, 3), 23);     /* 23.3, rounded down */
    assert_int_equal(loom_counter_scale(100, 10, 20), 100); /* cannot be: not made smaller */
    assert_int_equal(loom_counter_scale(100, 10, 0), 0);    /* never ran */
    assert_int_equal(loom_counter_scale(0, 10, 1), 0);
    assert_true(loom_counter_scale(UINT64_MAX, 10, 10) == UINT64_MAX);
    assert_true(loom_counter_scale(UINT64_MAX / 2, 1000, 10) == UINT64_MAX); /* saturates */
    assert_true(loom_counter_scale(UINT64_C(1) << 60, UINT64_C(1) << 40, UINT64_C(1) << 39) == UINT64_C(1) << 61);
}

static void test_between(void **state) {
    (void)state;
    const loom_counters counters = {.given = 1u << LOOM_COUNTER_FAULTS | 1u << LOOM_COUNTER_CYCLES |
                                             1u << LOOM_COUNTER_INSTRUCTIONS | 1u << LOOM_COUNTER_LLC_MISSES};
    loom_reading from = {0}, to = {0};
    loom_counts counts;
    from.value[LOOM_COUNTER_FAULTS] = 5, to.value[LOOM_COUNTER_FAULTS] = 12; /* software: exact */
    from.value[LOOM_COUNTER_CYCLES] = 1000, to.value[LOOM_COUNTER_CYCLES] = 4000;
    from.enabled_ns[LOOM_COUNTER_CYCLES] = 100, to.enabled_ns[LOOM_COUNTER_CYCLES] = 700;
    from.running_ns[LOOM_COUNTER_CYCLES] = 100, to.running_ns[LOOM_COUNTER_CYCLES] = 300; /* a third of it */
    from.value[LOOM_COUNTER_INSTRUCTIONS] = 9, to.value[LOOM_COUNTER_INSTRUCTIONS] = 9;
    to.enabled_ns[LOOM_COUNTER_INSTRUCTIONS] = 600;                                   /* did not run at all */
    from.value[LOOM_COUNTER_LLC_MISSES] = 50, to.value[LOOM_COUNTER_LLC_MISSES] = 40; /* cannot be */
    loom_counters_between(&counters, &from, &to, &counts);
    assert_int_equal(counts.value[LOOM_COUNTER_FAULTS], 7);
    assert_int_equal(counts.value[LOOM_COUNTER_CYCLES], 9000);
    assert_int_equal(counts.value[LOOM_COUNTER_LLC_MISSES], 0);
    assert_int_equal(counts.valid,
                     1u << LOOM_COUNTER_FAULTS | 1u << LOOM_COUNTER_CYCLES | 1u << LOOM_COUNTER_LLC_MISSES);
}

enum { TOUCHES = 50 };

/* Faults and CPU time are given everywhere; what is done shows in them. */
static void test_real(void **state) {
    (void)state;
    loom_counters *counters;
    loom_reading before, after;
    loom_counts counts;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(loom_counters_open(&counters, NULL), LOOM_OK);
    volatile char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)memory != MAP_FAILED);
    loom_counters_read(counters, &before);
    for (int i = 0; i < TOUCHES; i++) { /* each a fault */
        memory[0] = 1;
        assert_int_equal(madvise((void *)memory, page, MADV_DONTNEED), 0);
    }
    struct timespec now;
    do /* 2 ms of CPU time */
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec < 2000000u);
    loom_counters_read(counters, &after);
    loom_counters_between(counters, &before, &after, &counts);
    (void)munmap((void *)memory, page);
    for (unsigned i = 0; i < LOOM_COUNTER_FIRST_HARDWARE; i++)
        assert_true(counts.valid >> i & 1);
    assert_in_range(counts.value[LOOM_COUNTER_FAULTS], TOUCHES, TOUCHES + 1000);
    assert_true(counts.value[LOOM_COUNTER_TASK_CLOCK] > 0);
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        bool given = counters->given >> i & 1;
        /* named as missing with a reason, or there */
        assert_int_equal(strlen(loom_counters_reason(counters, i)) > 0, !given);
        if (!given) print_message("%s: %s\n", loom_counter_key(i), loom_counters_reason(counters, i));
        assert_true(strcmp(loom_counter_key(i), "?") != 0);
    }
    if (counters->given >> LOOM_COUNTER_INSTRUCTIONS & 1)
        assert_true(counts.value[LOOM_COUNTER_INSTRUCTIONS] > TOUCHES);
    assert_true(loom_counters_cost_ns(counters) > 0);
    loom_counters_close(counters);
    loom_counters_close(NULL);
}

static void test_fault_cost(void **state) {
    (void)state;
    uint64_t cost = loom_page_fault_cost_ns();
    assert_in_range(cost, 20, 2000000); /* of no use to anybody outside: a mistake of units */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scale), cmocka_unit_test(test_between),
                                       cmocka_unit_test(test_real), cmocka_unit_test(test_fault_cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
