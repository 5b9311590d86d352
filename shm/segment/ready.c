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

static void make_ready(loom_segment *segment, uint32_t index, bool redo) {
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
    if (won || (redo && loom_state_of(waiting) == LOOM_TASK_READY)) loom_task_queue(segment, index);
}

void loom_task_clear(loom_segment *segment, uint32_t index, uint32_t word, uint64_t mask, bool redo) {
    const loom_task *task = &segment->tasks[index];
    _Atomic uint64_t *pending = loom_segment_pointer(segment, task->pending);
    uint64_t words = loom_links_words(task->argument_count);
    if (!pending || word >= words) return;
    /* acq_rel: release hands on the result of the predecessor that we clear; acquire takes over those cleared before,
     * so that the last one speaks for all. */
    uint64_t left = atomic_fetch_and_explicit(&pending[word], ~mask, memory_order_acq_rel) & ~mask;
    LOOM_PROBE("clear:bit");
    if (left != 0) return;
    if (words > 1) {
        uint64_t bit = UINT64_C(1) << word;
        left =
            atomic_fetch_and_explicit(&pending[words], ~bit, memory_order_acq_rel) & ~bit; /* as above, one level up */
        LOOM_PROBE("clear:summary");
        if (left != 0) return;
    }
    make_ready(segment, index, redo);
}

void loom_task_notify_successors(loom_segment *segment, uint32_t index, bool redo) {
    /* seq_cst, after the store of DONE: the other half of link_behind in task.c. Also acquire: the edges are complete.
     */
    loom_offset at = atomic_load_explicit(&segment->tasks[index].edges, memory_order_seq_cst);
    for (const loom_edge *edge; (edge = loom_segment_pointer(segment, at)) != NULL; at = edge->next) {
        const loom_task *task = loom_segment_task(segment, edge->successor);
        if (!task) return;
        uint64_t number = at - (task->arguments + loom_links_edges(task->argument_count));
        if (number >= task->argument_count) return;
        loom_task_clear(segment, edge->successor, (uint32_t)(number / 64), UINT64_C(1) << number % 64, redo);
    }
}
