/* profile.c - sums of a recorder's lanes, and what must be estimated.
 *
 * The clock knows when a kernel ran, not what happened in it. From the counters of its kernels, an operator's time is
 * split further:
 *
 *   off the CPU   kernel time - I/O wait - task clock. As far as there were major faults it waited for a disk (up to
 *                 MAJOR_FAULT_NS each: I/O wait), for the rest for a core;
 *   page fault    minor faults x what one cost this worker at its start, at most the task clock. Time within a fault
 *                 cannot be had without tracing the kernel. */
#include "perf/profile.h"

#include <stdlib.h>
#include <string.h>

#define MAJOR_FAULT_NS UINT64_C(10000000)

const char *loom_cause_name(unsigned cause) {
    if (cause == LOOM_CAUSE_FAULTS) return "page fault";
    return cause == LOOM_CAUSE_CORE ? "no core" : loom_activity_name(cause);
}

unsigned loom_cause_shown(unsigned position) {
    static const unsigned order[] = {LOOM_DOING_KERNEL,  LOOM_CAUSE_FAULTS,    LOOM_DOING_IO,    LOOM_DOING_ARGUMENTS,
                                     LOOM_DOING_LOOKUP,  LOOM_DOING_PUBLISH,   LOOM_CAUSE_CORE,  LOOM_DOING_SCHEDULING,
                                     LOOM_DOING_NOTHING, LOOM_DOING_MEMORY,    LOOM_DOING_CLAIM, LOOM_DOING_START,
                                     LOOM_DOING_END,     LOOM_DOING_RECORDING, LOOM_DOING_OTHER};
    _Static_assert(sizeof order / sizeof order[0] == LOOM_CAUSE_COUNT, "every cause is shown once");
    return position < LOOM_CAUSE_COUNT ? order[position] : LOOM_DOING_OTHER;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

static uint64_t product(uint64_t a, uint64_t b) {
    return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* The counts of one operator in one lane, for all of its kernels. */
static loom_counts counts_of(const loom_operator_account *account) {
    loom_counts counts = {.valid = 0};
    uint64_t kernel_ns = loom_tally_read(&account->kernel_ns);
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        uint64_t counted_ns = loom_tally_read(&account->counted_ns[i]);
        if (counted_ns == 0) continue;
        counts.value[i] = loom_counter_scale(loom_tally_read(&account->counts[i]), kernel_ns, counted_ns);
        counts.valid |= 1u << i;
    }
    return counts;
}

static void add_counts(loom_counts *sum, const loom_counts *more) {
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        sum->value[i] += more->value[i];
    sum->valid |= more->valid;
}

/* From the clock's kernel time to what it was really spent on; no more than there is. Returns how much. */
static uint64_t move_time(loom_profile_worker *worker, unsigned cause, uint64_t ns) {
    ns = least(ns, worker->cause_ns[LOOM_DOING_KERNEL]);
    worker->cause_ns[LOOM_DOING_KERNEL] -= ns;
    worker->cause_ns[cause] += ns;
    return ns;
}

/* One operator in one lane: into its row and its worker. */
static void add_account(const loom_operator_account *account, uint64_t fault_cost_ns, loom_profile_row *row,
                        loom_profile_worker *worker) {
    uint64_t calls = loom_tally_read(&account->calls);
    if (calls == 0) return;
    loom_counts counts = counts_of(account);
    uint64_t kernel_ns = loom_tally_read(&account->kernel_ns);
    uint64_t io_ns = loom_tally_read(&account->io_ns);
    uint64_t computing_ns = less(kernel_ns, io_ns), cpu_ns = computing_ns;
    if (counts.valid >> LOOM_COUNTER_TASK_CLOCK & 1) cpu_ns = least(cpu_ns, counts.value[LOOM_COUNTER_TASK_CLOCK]);
    uint64_t off_ns = computing_ns - cpu_ns;
    uint64_t disk_ns = least(off_ns, product(counts.value[LOOM_COUNTER_MAJOR_FAULTS], MAJOR_FAULT_NS));
    uint64_t minor = less(counts.value[LOOM_COUNTER_FAULTS], counts.value[LOOM_COUNTER_MAJOR_FAULTS]);
    uint64_t fault_ns = least(product(minor, fault_cost_ns), cpu_ns);
    disk_ns = move_time(worker, LOOM_DOING_IO, disk_ns);
    fault_ns = move_time(worker, LOOM_CAUSE_FAULTS, fault_ns);
    (void)move_time(worker, LOOM_CAUSE_CORE, less(off_ns, disk_ns));
    add_counts(&worker->counts, &counts);

    row->calls += calls;
    row->reused += loom_tally_read(&account->reused);
    row->failed += loom_tally_read(&account->failed);
    row->task_ns += loom_tally_read(&account->task_ns);
    row->kernel_ns += kernel_ns;
    row->io_ns += io_ns + disk_ns;
    row->fault_ns += fault_ns;
    row->bytes_in += loom_tally_read(&account->bytes_in);
    row->bytes_out += loom_tally_read(&account->bytes_out);
    row->sampled += loom_tally_read(&account->sampled);
    add_counts(&row->counts, &counts);
}

/* The lane's clock; what it does not account for is "other", so that a lane always adds up to the whole. */
static void read_clock(const loom_recorder *recorder, uint32_t lane, uint64_t end_ns, loom_profile_worker *worker) {
    uint64_t left = less(end_ns, loom_recorder_start_ns(recorder));
    for (unsigned i = 0; i < LOOM_ACTIVITY_COUNT; i++) {
        uint64_t spent = loom_recorder_activity_ns(recorder, lane, (loom_activity)i, end_ns);
        worker->cause_ns[i] = least(spent, left);
        left -= worker->cause_ns[i];
    }
    worker->cause_ns[LOOM_DOING_OTHER] += left;
}

static int by_time(const void *a, const void *b) {
    const loom_profile_row *first = a, *second = b;
    if (first->task_ns != second->task_ns) return first->task_ns < second->task_ns ? 1 : -1;
    return strcmp(first->name, second->name);
}

static size_t keep_called(loom_profile_row *rows, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i].calls > 0) rows[kept++] = rows[i];
    return kept;
}

loom_status loom_profile_sum(const loom_recorder *recorder, const loom_operator_table *operators, uint64_t end_ns,
                             loom_arena *arena, loom_profile *profile) {
    uint32_t workers = loom_recorder_workers(recorder);
    size_t count = least(operators->count, loom_recorder_operators(recorder));
    profile->workers = workers;
    profile->wall_ns = less(end_ns, loom_recorder_start_ns(recorder));
    profile->rows = loom_arena_array(arena, count, sizeof *profile->rows);
    profile->worker_rows = loom_arena_array(arena, workers, sizeof *profile->worker_rows);
    if (!profile->rows || !profile->worker_rows) return LOOM_NO_MEMORY;
    for (size_t op = 0; op < count; op++)
        profile->rows[op].name = operators->operators[op]->name;
    for (uint32_t lane = 0; lane < workers; lane++) {
        loom_profile_worker *worker = &profile->worker_rows[lane];
        loom_lane_facts facts = loom_recorder_facts(recorder, lane);
        read_clock(recorder, lane, end_ns, worker);
        for (size_t op = 0; op < count; op++)
            add_account(loom_recorder_account(recorder, lane, (uint32_t)op), facts.fault_cost_ns, &profile->rows[op],
                        worker);
        worker->tasks = facts.tasks;
        for (unsigned i = 0; i < LOOM_CAUSE_COUNT; i++)
            profile->cause_ns[i] += worker->cause_ns[i];
        profile->tasks += facts.tasks;
        profile->traced += facts.traced;
        profile->sampled += facts.sampled;
        profile->lost += facts.lost;
        profile->fault_cost_ns += facts.fault_cost_ns / workers;
        profile->reading_cost_ns += facts.reading_cost_ns / workers;
    }
    profile->row_count = keep_called(profile->rows, count);
    qsort(profile->rows, profile->row_count, sizeof *profile->rows, by_time);
    return LOOM_OK;
}
