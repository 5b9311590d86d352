/* worker_take.c - a worker's side of tasks: finding one, claiming it, finishing it. */
#include <time.h>

#include "shm/activity.h"
#include "shm/segment/segment_layout.h"
#include "shm/usdt.h"

/* How often a worker that found nothing looks again before it sleeps. A look costs about 50 ns, a sleep and a wake-up 5
 * to 50 us; but where workers outnumber cores, whoever spins takes the core from whoever has work, so: a few
 * microseconds. */
#define LOOKS_BEFORE_SLEEP 64u

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- finding ---- */

static loom_worker_slot *own_slot(const loom_segment *segment) {
    return &segment->slots[segment->self];
}

static uint32_t steal_from(loom_segment *segment, uint32_t number, bool *contended) {
    loom_deque_view view = loom_deque_at(segment, number);
    /* A look without a fence first: most are empty. What it misses, the look in loom_worker_park sees. */
    if (loom_deque_length(view) == 0) return LOOM_TASK_NONE;
    return loom_deque_steal(view, &own_slot(segment)->journal, contended);
}

static void count_steal(loom_segment *segment) {
    _Atomic uint64_t *steals = &own_slot(segment)->counters.steals;
    atomic_store_explicit(steals, atomic_load_explicit(steals, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* The other workers, from the last victim on, either those of our domain or all others. */
static uint32_t steal_from_workers(loom_segment *segment, uint32_t domain, bool inside, bool *contended,
                                   uint32_t *from) {
    for (uint32_t i = 0; i < segment->workers; i++) {
        uint32_t victim = (segment->victim + i) % segment->workers;
        bool near = atomic_load_explicit(&segment->slots[victim].domain, memory_order_relaxed) == domain;
        if (victim == segment->self || near != inside) continue;
        uint32_t task = steal_from(segment, victim, contended);
        if (task == LOOM_TASK_NONE) continue;
        segment->victim = *from = victim;
        count_steal(segment);
        loom_note_that(LOOM_NOTE_STEAL, victim);
        LOOM_USDT2(steal, task, victim);
        return task;
    }
    return LOOM_TASK_NONE;
}

/* The coordinator's deques of other domains. */
static uint32_t steal_from_coordinator(loom_segment *segment, uint32_t domain, bool *contended, uint32_t *from) {
    for (uint32_t i = 1; i < LOOM_SEGMENT_DOMAINS; i++) {
        *from = segment->workers + (domain + i) % LOOM_SEGMENT_DOMAINS;
        uint32_t task = steal_from(segment, *from, contended);
        if (task != LOOM_TASK_NONE) return task;
    }
    return LOOM_TASK_NONE;
}

/* When some deque was full: the table, from where we last were, until a whole search found nothing. O(tasks), but only
 * where recoveries queued tasks many times over. */
static uint32_t search_table(loom_segment *segment) {
    loom_segment_header *header = segment->header;
    uint64_t searched = atomic_load_explicit(&header->searched, memory_order_relaxed);
    /* acquire: the tasks that were announced up to this count are READY, or past it */
    uint64_t announced = atomic_load_explicit(&header->unqueued, memory_order_acquire);
    if (searched >= announced) return LOOM_TASK_NONE;
    uint32_t count = loom_segment_task_count(segment);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = segment->scan_from = (segment->scan_from + 1) % count;
        if (loom_state_of(atomic_load_explicit(&segment->tasks[index].state, memory_order_relaxed)) != LOOM_TASK_READY)
            continue;
        loom_journal_write(&own_slot(segment)->journal, LOOM_PHASE_TAKING, index);
        LOOM_PROBE("search:announced");
        return index;
    }
    LOOM_PROBE("search:vain");
    /* To the maximum of both: another search may have got further. relaxed: nothing is published by it. */
    while (searched < announced && !atomic_compare_exchange_weak_explicit(&header->searched, &searched, announced,
                                                                          memory_order_relaxed, memory_order_relaxed)) {
    }
    return LOOM_TASK_NONE;
}

/* Own deque (hot), coordinator's deque of our domain, neighbours, coordinator's other deques, the rest. The coordinator
 * comes before stealing, because a theft disturbs a working owner and takes a task whose arguments lie in its cache,
 * while a new root costs nobody anything; and it cannot widen the frontier by more than one root per idle worker. */
static uint32_t find(loom_segment *segment, bool *contended, uint32_t *from) {
    uint32_t domain = atomic_load_explicit(&own_slot(segment)->domain, memory_order_relaxed);
    *from = segment->self;
    uint32_t task = loom_deque_pop(loom_deque_at(segment, segment->self), &own_slot(segment)->journal);
    if (task != LOOM_TASK_NONE) return task;
    *from = segment->workers + domain % LOOM_SEGMENT_DOMAINS;
    task = steal_from(segment, *from, contended);
    if (task == LOOM_TASK_NONE) task = steal_from_workers(segment, domain, true, contended, from);
    if (task == LOOM_TASK_NONE) task = steal_from_coordinator(segment, domain, contended, from);
    if (task == LOOM_TASK_NONE) task = steal_from_workers(segment, domain, false, contended, from);
    return task == LOOM_TASK_NONE ? search_table(segment) : task;
}

/* ---- claiming ---- */

static bool claim(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task) return false;
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (loom_state_of(word) != LOOM_TASK_READY) return false;
    uint64_t running = loom_state_word(LOOM_TASK_RUNNING, segment->self, loom_state_attempt(word) + 1);
    /* acquire: arguments and their results are visible. release: the journal's TAKING stays before it. */
    if (!atomic_compare_exchange_strong_explicit(&task->state, &word, running, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    LOOM_PROBE("take:claimed");
    loom_journal_write(&own_slot(segment)->journal, LOOM_PHASE_RUNNING, index);
    LOOM_PROBE("take:running");
    return true;
}

/* Wakes one more when we leave work behind. Finding the task went through a seq_cst fence, so this look at the sleepers
 * comes after whatever we pushed before. A worker that was woken for a task and found another one passes the call on.
 */
static void pass_on(loom_segment *segment, uint32_t from, bool signalled) {
    if (!loom_segment_has_sleeper(segment)) return;
    if (loom_deque_length(loom_deque_at(segment, from)) > 0 ||
        (signalled && (loom_segment_has_work(segment) || loom_split_waits(segment))))
        loom_wake_one(segment, atomic_load_explicit(&own_slot(segment)->domain, memory_order_relaxed));
}

uint32_t loom_task_take(loom_segment *segment, int timeout_ms, bool *stopped) {
    *stopped = segment->self >= segment->workers;
    if (*stopped) return LOOM_TASK_NONE;
    int64_t end = -1;
    bool signalled = false;
    for (unsigned looks = 0;; looks++) {
        /* acquire: what was done before the stop is visible to a worker that sees it */
        if (atomic_load_explicit(&segment->header->stop, memory_order_acquire)) {
            *stopped = true;
            return LOOM_TASK_NONE;
        }
        bool contended = false;
        uint32_t from;
        uint32_t task = find(segment, &contended, &from);
        if (task != LOOM_TASK_NONE) {
            if (!claim(segment, task)) continue;
            pass_on(segment, from, signalled);
            return task;
        }
        if (contended) continue;
        if (loom_split_waits(segment)) return LOOM_TASK_NONE;
        loom_enter(loom_segment_held_back(segment) > 0 ? LOOM_DOING_MEMORY : LOOM_DOING_NOTHING);
        if (looks < LOOKS_BEFORE_SLEEP) {
            loom_relax();
            continue;
        }
        int left = timeout_ms;
        if (timeout_ms >= 0) {
            int64_t now = now_ms();
            if (end < 0) end = now + timeout_ms;
            if (now >= end) return LOOM_TASK_NONE;
            left = (int)(end - now);
        }
        bool woken = false;
        loom_worker_park(segment, left, &woken);
        signalled = signalled || woken;
    }
}

/* ---- finishing ---- */

void loom_task_finish(loom_segment *segment, uint32_t index, loom_task_state state) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task || segment->self >= segment->workers) return;
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (loom_state_of(word) != LOOM_TASK_RUNNING || loom_state_worker(word) != segment->self) return;
    loom_task_state final = state == LOOM_TASK_DONE ? LOOM_TASK_DONE : LOOM_TASK_FAILED;
    loom_journal *journal = &own_slot(segment)->journal;
    loom_journal_write(journal, LOOM_PHASE_FINISHING, index);
    LOOM_PROBE("finish:announced");
    /* release: who sees DONE sees the result. seq_cst, before the load of `edges`: the other half of link_behind. A
     * swap, not a store: only a worker that was declared dead while it lives can lose it, and then it must do nothing
     * more. */
    bool ours = atomic_compare_exchange_strong_explicit(&task->state, &word,
                                                        loom_state_word(final, segment->self, loom_state_attempt(word)),
                                                        memory_order_seq_cst, memory_order_relaxed);
    LOOM_PROBE("finish:done");
    if (ours) {
        atomic_store_explicit(&own_slot(segment)->starving, 0,
                              memory_order_relaxed); /* a hint, see loom_task_put_back */
        loom_committed_settle(own_slot(segment), final == LOOM_TASK_DONE);
        if (final == LOOM_TASK_DONE) loom_task_notify_successors(segment, index, false);
        LOOM_PROBE("finish:notified");
        loom_completion_push(segment, index, loom_state_attempt(word));
        LOOM_PROBE("finish:told");
    }
    loom_journal_write(journal, LOOM_PHASE_IDLE, LOOM_TASK_NONE);
}

/* ---- giving up for now ---- */

void loom_task_put_back(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task || segment->self >= segment->workers) return;
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (loom_state_of(word) != LOOM_TASK_RUNNING || loom_state_worker(word) != segment->self) return;
    loom_segment_header *header = segment->header;
    loom_worker_slot *slot = own_slot(segment);
    /* relaxed: hints for others' patience */
    atomic_store_explicit(&slot->starving, 1, memory_order_relaxed);
    loom_committed_settle(slot, false);
    /* As if it were only being taken: a death from here on queues the task and counts as no death of its. */
    loom_journal_write(&slot->journal, LOOM_PHASE_TAKING, index);
    LOOM_PROBE("back:announced");
    /* release: the next claim sees the fields as we leave them. A swap for the reason given in loom_task_finish. */
    if (atomic_compare_exchange_strong_explicit(&task->state, &word,
                                                loom_state_word(LOOM_TASK_READY, 0, loom_state_attempt(word)),
                                                memory_order_release, memory_order_relaxed)) {
        LOOM_PROBE("back:ready");
        /* Not into a deque, from where it would come back at once: found by a search of the table, when there is
         * nothing else. release: who sees the count and searches sees the task READY. */
        atomic_fetch_add_explicit(&header->unqueued, 1, memory_order_release);
    }
    LOOM_PROBE("back:counted");
    loom_journal_write(&slot->journal, LOOM_PHASE_IDLE, LOOM_TASK_NONE);
    atomic_store_explicit(&header->space_wanted, 1, memory_order_release);
    loom_segment_ring_doorbell(segment);
}

bool loom_segment_others_run(const loom_segment *segment) {
    for (uint32_t i = 0; i < segment->workers; i++)
        if (i != segment->self && loom_segment_running(segment, i) != LOOM_TASK_NONE &&
            !atomic_load_explicit(&segment->slots[i].starving, memory_order_relaxed))
            return true;
    return false;
}

uint64_t loom_segment_finished(const loom_segment *segment) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < segment->workers; i++) {
        const loom_worker_counters *counters = &segment->slots[i].counters;
        sum += atomic_load_explicit(&counters->computed, memory_order_relaxed) +
               atomic_load_explicit(&counters->reused, memory_order_relaxed) +
               atomic_load_explicit(&counters->failed, memory_order_relaxed);
    }
    return sum;
}
