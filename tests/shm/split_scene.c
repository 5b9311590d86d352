/* split_scene.c - see split_scene.h. */
#include "split_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/segment/split.h"

enum { FILL, TWIST, SUM, LOOPS, GRAIN = 40, TAKE_MS = 100 };

split_memory *split_memory_of_test;
void (*split_in_part)(void);
_Thread_local bool split_helps;

void split_memory_make(void) {
    void *map = mmap(NULL, sizeof(split_memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    split_memory_of_test = map;
}

void split_memory_free(void) {
    assert_int_equal(munmap(split_memory_of_test, sizeof(split_memory)), 0);
    split_memory_of_test = NULL;
}

/* ---- the kernel ---- */

static uint64_t units_of(uint32_t task) {
    return SPLIT_VALUES - task * 7 % 90; /* the last part is not always whole */
}

static uint64_t filled(uint32_t task, uint64_t unit) {
    return (task + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ unit * unit;
}

static uint64_t twisted(uint64_t value) {
    return value * 3 + (value >> 7);
}

static void run_part(const loom_split_phase *phase, uint32_t part, uint32_t lane, split_range *range, uint64_t *sums) {
    uint64_t first = part * phase->grain, end = first + phase->grain;
    if (end > phase->units) end = phase->units;
    if (atomic_load_explicit(&range->sealed, memory_order_relaxed))
        atomic_fetch_add(&split_memory_of_test->late_writes, 1);
    for (uint64_t unit = first; unit < end; unit++) {
        if (unit == first + 3 && split_in_part) split_in_part(); /* some are written, some not */
        if (phase->phase == FILL) range->values[unit] = filled((uint32_t)phase->state[0], unit);
        if (phase->phase == TWIST) range->values[unit] = twisted(range->values[unit]);
        if (phase->phase == SUM) sums[lane] += range->values[unit];
    }
}

/* ---- owner ---- */

typedef struct attempt {
    uint32_t task;
    split_range *range;
    loom_split_phase phase;
    uint64_t *sums, alone_sum;
} attempt;

static attempt begin(loom_segment *segment, uint32_t task) {
    uint32_t number = atomic_fetch_add(&split_memory_of_test->ranges_used, 1);
    if (number >= SPLIT_RANGES) abort();
    attempt made = {.task = task, .range = &split_memory_of_test->ranges[number]};
    made.phase = (loom_split_phase){.task = task,
                                    .units = units_of(task),
                                    .grain = GRAIN,
                                    .parts = (uint32_t)((units_of(task) + GRAIN - 1) / GRAIN),
                                    .output = {.extent = number, .bytes = sizeof(split_range)},
                                    .state_bytes = sizeof(uint64_t),
                                    .state = {task}};
    if (loom_split_scratch(segment, sizeof(uint64_t) * SPLIT_WORKERS_MAX, &made.phase.shared[1]))
        made.sums = loom_split_map(segment, &made.phase.shared[1]);
    if (!made.sums) abort();
    return made;
}

static bool run_shared(loom_segment *segment, attempt *at, uint32_t worker) {
    for (uint32_t loop = FILL; loop < LOOPS; loop++) {
        loom_split_seat seat;
        at->phase.phase = loop;
        loom_split_open(segment, &at->phase, &seat);
        for (uint32_t part; (part = loom_split_take(segment, &seat)) != LOOM_PART_NONE;) {
            run_part(&at->phase, part, worker, at->range, at->sums);
            loom_split_report(segment, &seat);
        }
        if (!loom_split_wait(segment, &seat)) return false;
    }
    return true;
}

static void run_alone(attempt *at) {
    atomic_fetch_add(&split_memory_of_test->alone, 1);
    for (uint32_t loop = FILL; loop < LOOPS; loop++)
        for (uint32_t part = 0; part < at->phase.parts; part++) {
            at->phase.phase = loop;
            run_part(&at->phase, part, 0, at->range, &at->alone_sum);
        }
}

static void end(loom_segment *segment, attempt *at, uint64_t *sum) {
    *sum = at->alone_sum;
    for (unsigned lane = 0; lane < SPLIT_WORKERS_MAX; lane++)
        *sum += at->sums[lane];
    if (munmap(at->sums, sizeof(uint64_t) * SPLIT_WORKERS_MAX) != 0) abort();
    loom_split_scratch_free(segment);
}

static void own(loom_segment *segment, uint32_t index, uint32_t worker) {
    loom_task *task = loom_segment_task(segment, index);
    uint64_t result[2], spoilt;
    attempt at = begin(segment, index);
    bool whole = run_shared(segment, &at, worker);
    loom_split_close(segment);
    if (!whole) {
        end(segment, &at, &spoilt);
        at = begin(segment, index);
        run_alone(&at);
    }
    end(segment, &at, &result[0]);
    result[1] = at.phase.output.extent;
    if (task->deaths > 0) loom_split_settle(segment, index);
    atomic_store(&at.range->sealed, 1);
    memcpy(task->inline_payload, result, sizeof result);
    task->inline_bytes = sizeof result;
    loom_task_finish(segment, index, LOOM_TASK_DONE);
}

/* ---- helper ---- */

static void help(loom_segment *segment, uint32_t worker) {
    loom_split_seat seat;
    if (!loom_split_join(segment, &seat)) return;
    loom_split_block block = seat.phase.shared[1];
    uint64_t *sums = loom_split_map(segment, &block);
    if (!sums) abort();
    split_helps = true;
    do {
        for (uint32_t part; (part = loom_split_take(segment, &seat)) != LOOM_PART_NONE;) {
            run_part(&seat.phase, part, worker, &split_memory_of_test->ranges[seat.phase.output.extent], sums);
            atomic_fetch_add(&split_memory_of_test->helped, 1);
            loom_split_report(segment, &seat);
        }
    } while (loom_split_next(segment, &seat));
    if (munmap(sums, (size_t)block.bytes) != 0) abort();
    loom_split_leave(segment, &seat, false);
    split_helps = false;
}

/* ---- all ---- */

void split_submit(loom_segment *segment) {
    for (uint32_t i = 0, index; i < SPLIT_TASKS; i++) {
        uint32_t before = (i & ~1u) - 2; /* 2 and 3 after 0, 4 and 5 after 2, ... */
        assert_int_equal(loom_task_create(segment, &before, i > 1, &index, NULL), LOOM_OK);
        assert_int_equal(index, i);
        assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
    }
}

void split_work(loom_segment *segment, uint32_t worker, pid_t parent) {
    for (bool stopped = false; !stopped && getppid() == parent;) {
        uint32_t index = loom_task_take(segment, TAKE_MS, &stopped);
        if (index != LOOM_TASK_NONE)
            own(segment, index, worker);
        else if (!stopped)
            help(segment, worker);
    }
}

void split_check(const loom_segment *segment) {
    assert_int_equal(atomic_load(&split_memory_of_test->late_writes), 0);
    for (uint32_t index = 0; index < SPLIT_TASKS; index++) {
        const loom_task *task = loom_segment_task(segment, index);
        uint64_t result[2], sum = 0;
        memcpy(result, task->inline_payload, sizeof result);
        assert_int_equal(atomic_load(&((loom_task *)(uintptr_t)task)->state) & 0xff, LOOM_TASK_DONE);
        assert_true(result[1] < SPLIT_RANGES);
        for (uint64_t unit = 0; unit < units_of(index); unit++) {
            uint64_t expected = twisted(filled(index, unit));
            if (split_memory_of_test->ranges[result[1]].values[unit] != expected)
                fail_msg("task %u, value %llu is not what its loops make", index, (unsigned long long)unit);
            sum += expected;
        }
        assert_int_equal(result[0], sum);
    }
}
