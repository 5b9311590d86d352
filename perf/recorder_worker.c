/* recorder_worker.c - the writing side: a worker's clock, its task at hand, and what of it is counted and logged. */
#include <string.h>

#include "perf/recorder.h"
#include "perf/recorder_layout.h"

/* Reading counters, and entries of fine tasks, may each cost this part of a worker's time ... */
#define COST_PER_MILLE 5u
/* ... after this much, so that of a short run all is seen. */
#define COST_FREE_NS 1000000u
/* An entry of the log: written by us, read and made text by the coordinator (measured: perf/ANALYSIS.md). */
#define LOGGING_NS 700u
#define FIRST_CALLS 8u /* of an operator: counted whatever they cost */
#define IO_NOTE_NS 100000u
/* What one task counts for at most: reading its own counters is paid for then. */
#define CREDIT_NS_MAX 1000000u

/* ---- the clock ---- */

static bool is_phase(loom_activity activity) {
    return activity == LOOM_DOING_LOOKUP || activity == LOOM_DOING_CLAIM || activity == LOOM_DOING_ARGUMENTS ||
           activity == LOOM_DOING_KERNEL || activity == LOOM_DOING_PUBLISH;
}

/* I/O and profiling belong to the phase that they interrupt. */
static void follow_phase(loom_task_notes *task, loom_activity next, uint64_t now) {
    if (!task->open || next == LOOM_DOING_IO || next == LOOM_DOING_RECORDING) return;
    loom_phase_span *last = task->phase_count > 0 ? &task->phases[task->phase_count - 1] : NULL;
    if (task->phase_open && last->activity == (uint32_t)next) return;
    if (task->phase_open) last->ns = now - task->start_ns - last->from_ns;
    task->phase_open = is_phase(next) && (task->phase_count < LOOM_PHASES_MAX || last->activity == (uint32_t)next);
    if (!task->phase_open || (last && last->activity == (uint32_t)next)) return;
    task->phases[task->phase_count++] = (loom_phase_span){.activity = (uint32_t)next, .from_ns = now - task->start_ns};
}

static bool in_kernel(const loom_task_notes *task) {
    return task->phase_open && task->phases[task->phase_count - 1].activity == LOOM_DOING_KERNEL;
}

static void spend(loom_recorder *recorder, loom_activity next, uint64_t now) {
    loom_lane *lane = recorder->lane;
    uint64_t spent = now - recorder->since_ns;
    loom_task_notes *task = &recorder->task;
    if (recorder->activity == LOOM_DOING_KERNEL) task->kernel_ns += spent;
    if (recorder->activity == LOOM_DOING_IO) {
        task->io_ns += spent;
        if (in_kernel(task)) task->kernel_io_ns += spent;
    }
    /* The time first: a death in between loses a little, which is told as "other", and counts nothing twice. */
    atomic_store_explicit(&lane->since_ns, now, memory_order_relaxed);
    atomic_store_explicit(&lane->activity, (uint32_t)next, memory_order_relaxed);
    loom_tally(&lane->activity_ns[recorder->activity], spent);
    recorder->since_ns = now;
    recorder->activity = next;
}

static loom_activity enter(loom_observer *observer, loom_activity next) {
    loom_recorder *recorder = (loom_recorder *)(void *)observer;
    loom_activity before = recorder->activity;
    if (next == before || (unsigned)next >= LOOM_ACTIVITY_COUNT) return before;
    uint64_t now = loom_recorder_now_ns();
    spend(recorder, next, now);
    follow_phase(&recorder->task, next, now);
    return before;
}

/* ---- notes ---- */

static bool log_has_room(const loom_lane *lane) {
    uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed);
    return tail - atomic_load_explicit(&lane->head, memory_order_relaxed) < LOOM_LOG_SLOTS / 4;
}

/* Writes in flight change by the tile: a point each 0.1 ms is enough to draw, and tasks keep their room. */
static void note_io(loom_recorder *recorder, uint64_t now) {
    if (recorder->io_now == recorder->io_noted || !log_has_room(recorder->lane)) return;
    recorder->io_noted = recorder->io_now;
    recorder->io_noted_ns = now;
    const loom_log_entry entry = {
        .kind = LOOM_ENTRY_IO_FLIGHT, .start_ns = now, .end_ns = now, .value = recorder->io_now};
    (void)loom_lane_push(recorder->lane, &entry);
}

static void note(loom_observer *observer, loom_note what, uint64_t value) {
    loom_recorder *recorder = (loom_recorder *)(void *)observer;
    if (what == LOOM_NOTE_STEAL) {
        recorder->stolen_from = value < recorder->workers ? (uint32_t)value : LOOM_NOT_STOLEN;
        return;
    }
    recorder->io_now = value;
    uint64_t now = loom_recorder_now_ns();
    if (now - recorder->io_noted_ns >= IO_NOTE_NS) note_io(recorder, now);
}

/* ---- attaching ---- */

/* Touches the first pages of the log, so that no task pays for it: a fault costs as much as twenty entries. */
static void bring_in_log(loom_lane *lane) {
    if (atomic_load_explicit(&lane->tail, memory_order_relaxed) > 0) return; /* a successor: they are there */
    for (size_t i = 0; i < LOOM_LOG_HOT_SLOTS; i++)
        *(volatile uint32_t *)&lane->log[i].kind = 0;
}

loom_status loom_recorder_attach(int fd, uint32_t lane, loom_recorder **recorder, loom_error *err) {
    LOOM_TRY(loom_recorder_map(fd, lane, recorder, err));
    loom_recorder *made = *recorder;
    loom_status status = loom_counters_open(&made->counters, err);
    if (status != LOOM_OK) {
        loom_recorder_close(made);
        *recorder = NULL;
        return status;
    }
    uint64_t now = loom_recorder_now_ns();
    bring_in_log(made->lane);
    made->reading_cost_ns = loom_counters_cost_ns(made->counters);
    atomic_store_explicit(&made->lane->reading_cost_ns, made->reading_cost_ns, memory_order_relaxed);
    atomic_store_explicit(&made->lane->fault_cost_ns, loom_page_fault_cost_ns(), memory_order_relaxed);
    made->observer = (loom_observer){.enter = enter, .note = note};
    made->stolen_from = LOOM_NOT_STOLEN;
    /* What a worker that died here did last, it is taken to have done until now. */
    uint32_t was = atomic_load_explicit(&made->lane->activity, memory_order_relaxed);
    uint64_t since = loom_tally_read(&made->lane->since_ns);
    made->activity = was < LOOM_ACTIVITY_COUNT ? (loom_activity)was : LOOM_DOING_OTHER;
    made->since_ns = since < now ? since : now;
    loom_thread_observer = &made->observer;
    loom_enter(LOOM_DOING_START);
    return LOOM_OK;
}

/* ---- a task ---- */

/* Whether `cost` more still keeps within the part of our tasks' time that such things may take. Not of all time: what a
 * worker has waited, or a task without a core, is no credit for the tasks that come then. */
static bool affordable(const loom_recorder *recorder, uint64_t spent_ns, uint64_t cost_ns) {
    return spent_ns + cost_ns <= COST_FREE_NS + recorder->tasks_ns / 1000 * COST_PER_MILLE;
}

void loom_recorder_task_begins(loom_recorder *recorder, uint32_t operator_index) {
    if (!recorder) return;
    spend(recorder, LOOM_DOING_SCHEDULING, loom_recorder_now_ns()); /* until it says what it does: preparing */
    loom_task_notes *task = &recorder->task;
    task->open = true;
    task->counted = task->phase_open = false;
    task->counts.valid = 0;
    task->phase_count = 0;
    task->kernel_ns = task->kernel_io_ns = task->io_ns = 0;
    task->start_ns = recorder->since_ns;
    task->operator_index = operator_index < recorder->operators ? operator_index : 0;
    task->stolen_from = recorder->stolen_from;
    recorder->stolen_from = LOOM_NOT_STOLEN;
    uint64_t cost = 2 * recorder->reading_cost_ns;
    task->sampled = loom_tally_read(&recorder->accounts[task->operator_index].sampled) < FIRST_CALLS ||
                    affordable(recorder, recorder->spent_reading_ns, cost);
}

void loom_recorder_kernel_begins(loom_recorder *recorder) {
    if (!recorder) return;
    if (recorder->task.sampled) {
        enter(&recorder->observer, LOOM_DOING_RECORDING);
        loom_counters_read(recorder->counters, &recorder->task.before);
    }
    enter(&recorder->observer, LOOM_DOING_KERNEL);
}

void loom_recorder_kernel_ends(loom_recorder *recorder) {
    if (!recorder) return;
    loom_task_notes *task = &recorder->task;
    if (!task->sampled || task->counted) return;
    enter(&recorder->observer, LOOM_DOING_RECORDING);
    loom_reading after;
    loom_counters_read(recorder->counters, &after);
    loom_counters_between(recorder->counters, &task->before, &after, &task->counts);
    task->counted = true;
    recorder->spent_reading_ns += 2 * recorder->reading_cost_ns;
}

static void account(loom_recorder *recorder, const loom_log_entry *entry) {
    const loom_task_notes *task = &recorder->task;
    loom_operator_account *at = &recorder->accounts[task->operator_index];
    uint64_t kernel_ns = task->kernel_ns + task->kernel_io_ns;
    loom_tally(&at->calls, 1);
    if (entry->state != LOOM_TASK_DONE)
        loom_tally(&at->failed, 1);
    else if (entry->origin == LOOM_ORIGIN_STORED)
        loom_tally(&at->reused, 1);
    loom_tally(&at->task_ns, entry->end_ns - entry->start_ns);
    loom_tally(&at->kernel_ns, kernel_ns);
    loom_tally(&at->io_ns, task->io_ns);
    loom_tally(&at->bytes_in, entry->bytes_in);
    loom_tally(&at->bytes_out, entry->bytes_out);
    loom_tally(&recorder->lane->tasks, 1);
    if (!task->counted) return;
    loom_tally(&recorder->lane->sampled, 1);
    loom_tally(&at->sampled, 1);
    loom_tally(&at->sampled_kernel_ns, kernel_ns);
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        if (!(task->counts.valid >> i & 1)) continue;
        loom_tally(&at->counts[i], task->counts.value[i]);
        loom_tally(&at->counted_ns[i], kernel_ns);
    }
}

/* Bytes of images and large values that it was given. */
static uint64_t bytes_of_arguments(const loom_segment *segment, const loom_task *task) {
    uint64_t sum = 0;
    const uint32_t *numbers = task->argument_count ? loom_segment_pointer(segment, task->arguments) : NULL;
    for (uint32_t i = 0; numbers && i < task->argument_count; i++) {
        const loom_task *argument = loom_segment_task(segment, numbers[i]);
        if (argument) sum += argument->bulk.bytes;
    }
    return sum;
}

static bool is_logged(loom_recorder *recorder, uint64_t task_ns) {
    if (task_ns >= LOOM_TRACED_NS) return true;
    if (!affordable(recorder, recorder->spent_logging_ns, LOGGING_NS)) return false;
    recorder->spent_logging_ns += LOGGING_NS;
    return true;
}

void loom_recorder_task_ends(loom_recorder *recorder, const loom_segment *segment, uint32_t number,
                             loom_task_state state) {
    if (!recorder || !recorder->task.open) return;
    enter(&recorder->observer, LOOM_DOING_RECORDING);
    loom_task_notes *notes = &recorder->task;
    const loom_task *task = loom_segment_task(segment, number);
    uint64_t now = recorder->since_ns;
    follow_phase(notes, LOOM_DOING_OTHER, now);
    notes->open = false;
    recorder->tasks_ns += now - notes->start_ns < CREDIT_NS_MAX ? now - notes->start_ns : CREDIT_NS_MAX;
    loom_log_entry entry = {.kind = LOOM_ENTRY_TASK,
                            .start_ns = notes->start_ns,
                            .end_ns = now,
                            .bytes_in = bytes_of_arguments(segment, task),
                            .bytes_out = state == LOOM_TASK_DONE ? task->bulk.bytes : 0,
                            .task = number,
                            .cookie = task->cookie,
                            .attempt = loom_task_attempt(task),
                            .operator_index = notes->operator_index,
                            .stolen_from = notes->stolen_from,
                            .state = (uint8_t)state,
                            .origin = task->origin,
                            .type = task->type,
                            .phase_count = (uint8_t)notes->phase_count,
                            .counted = notes->counted ? notes->counts.valid : 0,
                            .io_ns = notes->io_ns};
    account(recorder, &entry);
    if (is_logged(recorder, now - notes->start_ns)) {
        memcpy(entry.counts, notes->counts.value, sizeof entry.counts);
        memcpy(entry.phases, notes->phases, sizeof entry.phases);
        if (loom_lane_push(recorder->lane, &entry)) loom_tally(&recorder->lane->traced, 1);
    }
    if (recorder->io_noted != recorder->io_now) note_io(recorder, now);
    enter(&recorder->observer, LOOM_DOING_SCHEDULING);
}

void loom_recorder_task_put_back(loom_recorder *recorder) {
    if (!recorder) return;
    recorder->task.open = false;
    enter(&recorder->observer, LOOM_DOING_MEMORY);
}
