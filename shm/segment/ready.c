/* ready.c - from "a predecessor is done" to "the task is in a deque". Every step can be done twice, by anyone, at any
 * time after the first: that is what makes a death in the middle harmless (SCHEMA.md, "What a death leaves"). */
#include "shm/segment/segment_layout.h"

void loom_task_queue(loom_segment *segment, uint32_t index) {
    bool worker = segment->self != LOOM_COORDINATOR;
    uint32_t domain = segment->tasks[index].domain;
    uint32_t number = worker ? segment->self : segment->workers + domain % LOOM_SEGMENT_DOMAINS;
    if (!loom_deque_push(loom_deque_at(segment, number), index)) {
        /* Full. release: who sees the count and searches the table sees the task READY. */
        atomic_fetch_add_explicit(&segment->header->unqueued, 1, memory_order_release);
        loom_wake_one(segment, domain);
    } else if (!worker) {
        /* A worker wakes others in its next take, when it knows that it leaves work behind. */
        loom_wake_one(segment, domain);
    }
}

/* True if the task is to be queued. */
static bool make_ready(loom_segment *segment, uint32_t index, bool redo) {
    loom_task *task = &segment->tasks[index];
    /* It cannot be freed meanwhile: the predecessor on whose behalf we are here is not yet known to be finished. */
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    uint64_t waiting = loom_state_word(LOOM_TASK_WAITING, 0, loom_state_attempt(word));
    uint64_t ready = loom_state_word(LOOM_TASK_READY, 0, loom_state_attempt(word));
    /* release: the worker that claims it (acquire) sees what all predecessors wrote, because every predecessor's
     * clearing of its bit came before this in one chain of read-modify-writes, each acquire and release. */
    bool won = atomic_compare_exchange_strong_explicit(&task->state, &waiting, ready, memory_order_acq_rel,
                                                       memory_order_relaxed);
    LOOM_PROBE("clear:ready");
    return won || (redo && loom_state_of(waiting) == LOOM_TASK_READY);
}

bool loom_task_clear(loom_segment *segment, uint32_t index, uint32_t word, uint64_t mask, bool redo) {
    const loom_task *task = &segment->tasks[index];
    _Atomic uint64_t *pending = loom_segment_pointer(segment, task->pending);
    uint64_t words = loom_links_words(task->argument_count);
    if (!pending || word >= words) return false;
    /* acq_rel: release hands on the result of the predecessor that we clear; acquire takes over those cleared before,
     * so that the last one speaks for all. */
    uint64_t left = atomic_fetch_and_explicit(&pending[word], ~mask, memory_order_acq_rel) & ~mask;
    LOOM_PROBE("clear:bit");
    if (left != 0) return false;
    if (words > 1) {
        uint64_t bit = UINT64_C(1) << word;
        left =
            atomic_fetch_and_explicit(&pending[words], ~bit, memory_order_acq_rel) & ~bit; /* as above, one level up */
        LOOM_PROBE("clear:summary");
        if (left != 0) return false;
    }
    return make_ready(segment, index, redo);
}

/* ---- the order in which what became ready is queued ---- */

/* Successors that one predecessor has readied and that are not queued yet, by ascending priority. */
#define BATCH 64u
typedef struct ready_batch {
    uint32_t count, tasks[BATCH];
} ready_batch;

/* An owner pops what it pushed last, thieves take what was pushed first, and from the coordinator's deques everybody
 * takes what was pushed first. So a worker pushes the most critical last, to go on with it at once, and what is stolen
 * is what can wait; the coordinator pushes it first. The deque itself knows nothing of priorities. Between READY and
 * the push nobody loses a task: the journal says FINISHING, and a recovery queues every READY successor again. */
static void queue_batch(loom_segment *segment, ready_batch *batch) {
    bool worker = segment->self != LOOM_COORDINATOR;
    for (uint32_t i = 0; i < batch->count; i++)
        loom_task_queue(segment, batch->tasks[worker ? i : batch->count - 1 - i]);
    batch->count = 0;
}

/* Equal ones stay in order: of these the walk comes last to the one that was submitted first, which is popped first. */
static void add_to_batch(loom_segment *segment, ready_batch *batch, uint32_t index) {
    if (batch->count == BATCH) queue_batch(segment, batch);
    uint32_t at = batch->count++;
    uint16_t priority = segment->tasks[index].priority;
    for (; at > 0 && segment->tasks[batch->tasks[at - 1]].priority > priority; at--)
        batch->tasks[at] = batch->tasks[at - 1];
    batch->tasks[at] = index;
}

void loom_task_notify_successors(loom_segment *segment, uint32_t index, bool redo) {
    /* seq_cst, after the store of DONE: the other half of link_behind in task.c. Also acquire: the edges are complete.
     */
    loom_offset at = atomic_load_explicit(&segment->tasks[index].edges, memory_order_seq_cst);
    ready_batch batch;
    batch.count = 0;
    for (const loom_edge *edge; (edge = loom_segment_pointer(segment, at)) != NULL; at = edge->next) {
        const loom_task *task = loom_segment_task(segment, edge->successor);
        if (!task) break;
        uint64_t number = at - (task->arguments + loom_links_edges(task->argument_count));
        if (number >= task->argument_count) break;
        if (loom_task_clear(segment, edge->successor, (uint32_t)(number / 64), UINT64_C(1) << number % 64, redo))
            add_to_batch(segment, &batch, edge->successor);
    }
    queue_batch(segment, &batch);
}
