/* task.c - the coordinator's side of tasks: making them, linking them behind their arguments, failing them. */
#include <string.h>

#include "shm/segment/segment_layout.h"

loom_task *loom_segment_task(const loom_segment *segment, uint32_t index) {
    return index < segment->tasks_max ? &segment->tasks[index] : NULL;
}

uint32_t loom_segment_task_count(const loom_segment *segment) {
    /* acquire: whoever learns of a task by the count sees it WAITING, not FREE */
    return atomic_load_explicit(&segment->header->task_count, memory_order_acquire);
}

/* A slot that was freed, the last first: its cache lines are still near; else one that was never used. It is taken by
 * count_task. */
static loom_status new_task(loom_segment *segment, loom_task **task, uint32_t *index, loom_error *err) {
    uint32_t count = atomic_load_explicit(&segment->header->task_count, memory_order_relaxed); /* only we write it */
    if (!segment->free_slots && count >= segment->tasks_max)
        return loom_fail(err, LOOM_NO_MEMORY, "all %u tasks of the shared segment are in use; raise memory.tasks_max",
                         segment->tasks_max);
    *index = segment->free_slots ? segment->free_slots - 1 : count;
    *task = &segment->tasks[*index];
    return LOOM_OK;
}

static void count_task(loom_segment *segment, uint32_t index) {
    loom_task *task = &segment->tasks[index];
    /* relaxed: only we change a FREE task's word; readers are told by the release below, or by the submit's */
    uint64_t free_word = atomic_load_explicit(&task->state, memory_order_relaxed);
    atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_WAITING, 0, loom_state_attempt(free_word)),
                          memory_order_relaxed);
    segment->live++;
    if (segment->free_slots) {
        segment->free_slots = task->list_next == LOOM_TASK_NONE ? 0 : task->list_next;
        task->list_next = 0;
        return;
    }
    /* release: see loom_segment_task_count */
    atomic_store_explicit(&segment->header->task_count, index + 1, memory_order_release);
}

static loom_status heap_full(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "the heap of the shared segment is full; raise memory.segment");
}

/* Sets the n lowest bits of a task's readiness words, and the summary's. */
static void set_all_bits(_Atomic uint64_t *pending, uint32_t argument_count) {
    uint64_t words = loom_links_words(argument_count);
    /* relaxed: nobody knows the task yet; edges publish it */
    for (uint64_t word = 0; word < words; word++) {
        uint64_t left = argument_count - word * 64;
        atomic_store_explicit(&pending[word], left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1,
                              memory_order_relaxed);
    }
    if (words > 1)
        atomic_store_explicit(&pending[words], words >= 64 ? UINT64_MAX : (UINT64_C(1) << words) - 1,
                              memory_order_relaxed);
}

static bool is_free(const loom_task *task) {
    return loom_state_of(atomic_load_explicit(&task->state, memory_order_relaxed)) == LOOM_TASK_FREE;
}

loom_status loom_task_create(loom_segment *segment, const uint32_t *arguments, uint32_t argument_count, uint32_t *index,
                             loom_error *err) {
    loom_task *task = NULL;
    if (argument_count > LOOM_ARGUMENTS_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "a task cannot have %u arguments; %u are possible", argument_count,
                         LOOM_ARGUMENTS_MAX);
    uint32_t count = loom_segment_task_count(segment);
    for (uint32_t i = 0; i < argument_count; i++)
        if (arguments[i] >= count || is_free(&segment->tasks[arguments[i]]))
            return loom_fail(err, LOOM_INTERNAL, "argument %u is no task; please report it", i);
    LOOM_TRY(new_task(segment, &task, index, err));
    if (argument_count > 0) {
        loom_offset links = loom_segment_alloc_units(segment, loom_links_units(argument_count));
        if (!links) return heap_full(err);
        task->arguments = links;
        task->pending = (loom_offset)(links + loom_links_edges(argument_count) + argument_count);
        memcpy(loom_segment_pointer(segment, links), arguments, argument_count * sizeof *arguments);
        set_all_bits(loom_segment_pointer(segment, task->pending), argument_count);
    }
    task->argument_count = argument_count;
    count_task(segment, *index);
    return LOOM_OK;
}

loom_status loom_task_create_done(loom_segment *segment, uint32_t *index, loom_error *err) {
    loom_task *task = NULL;
    LOOM_TRY(new_task(segment, &task, index, err));
    count_task(segment, *index);
    return LOOM_OK;
}

void loom_task_publish_done(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task) return;
    uint64_t attempt = loom_state_attempt(atomic_load_explicit(&task->state, memory_order_relaxed)); /* only ours */
    /* seq_cst: the same store and load as in loom_task_finish; see "Edges" in SCHEMA.md */
    atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_DONE, LOOM_COORDINATOR, attempt),
                          memory_order_seq_cst);
    loom_task_notify_successors(segment, index, false);
}

/* Puts edge `number` of task `index` at the head of the predecessor's list. */
static void link_behind(loom_segment *segment, loom_task *predecessor, uint32_t index, uint32_t number) {
    const loom_task *task = &segment->tasks[index];
    loom_offset offset = (loom_offset)(task->arguments + loom_links_edges(task->argument_count) + number);
    loom_edge *edge = loom_segment_pointer(segment, offset);
    edge->successor = index;
    edge->next = atomic_load_explicit(&predecessor->edges, memory_order_relaxed); /* only we write it */
    /* seq_cst, before the load of the predecessor's state: its finisher stores DONE and then loads `edges`. One of the
     * two must see the other's store, or the bit would never be cleared. Release publishes the edge and the task. */
    atomic_store_explicit(&predecessor->edges, offset, memory_order_seq_cst);
}

/* True if the argument is done, so that its bit can go at once; else an edge leads from it to the task. */
static bool link_argument(loom_segment *segment, uint32_t index, uint32_t number, uint32_t argument) {
    loom_task *predecessor = &segment->tasks[argument];
    /* acquire: its result is visible to whoever learns of us by our release */
    if (loom_state_of(atomic_load_explicit(&predecessor->state, memory_order_acquire)) == LOOM_TASK_DONE) return true;
    link_behind(segment, predecessor, index, number);
    return loom_state_of(atomic_load_explicit(&predecessor->state, memory_order_seq_cst)) == LOOM_TASK_DONE;
}

loom_status loom_task_submit(loom_segment *segment, uint32_t index, loom_error *err) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task || task->flags & LOOM_TASK_SUBMITTED ||
        loom_state_of(atomic_load_explicit(&task->state, memory_order_relaxed)) != LOOM_TASK_WAITING)
        return loom_fail(err, LOOM_INTERNAL, "task %u cannot be submitted now; please report it", index);
    task->flags |= LOOM_TASK_SUBMITTED;
    uint32_t count = task->argument_count;
    const uint32_t *arguments = loom_segment_pointer(segment, task->arguments);
    if (count == 0) {
        /* release: the claim's acquire sees operator and attributes. No one else changes a WAITING task without
         * arguments: a plain store will do. */
        uint64_t attempt = loom_state_attempt(atomic_load_explicit(&task->state, memory_order_relaxed));
        atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_READY, 0, attempt), memory_order_release);
        loom_task_queue(segment, index);
        return LOOM_OK;
    }
    for (uint32_t word = 0; word * 64 < count; word++) {
        uint64_t done = 0;
        uint32_t end = count - word * 64 < 64 ? count - word * 64 : 64;
        for (uint32_t bit = 0; bit < end; bit++)
            if (link_argument(segment, index, word * 64 + bit, arguments[word * 64 + bit])) done |= UINT64_C(1) << bit;
        if (done && loom_task_clear(segment, index, word, done, false)) loom_task_queue(segment, index);
    }
    return LOOM_OK;
}

/* Takes a task away from every worker, so that its fields can be written. */
static bool hold(loom_task *task, uint64_t *held) {
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    for (;;) {
        loom_task_state state = loom_state_of(word);
        bool held_back = state == LOOM_TASK_RUNNING && loom_state_worker(word) == LOOM_COORDINATOR;
        if (state != LOOM_TASK_WAITING && state != LOOM_TASK_READY && !held_back) return false;
        *held = loom_state_word(LOOM_TASK_RUNNING, LOOM_COORDINATOR, loom_state_attempt(word));
        /* acquire: what a dead worker or recovery wrote into the task comes before what we write */
        if (atomic_compare_exchange_weak_explicit(&task->state, &word, *held, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return true;
    }
}

bool loom_task_fail(loom_segment *segment, uint32_t index, loom_status status, const loom_error *err) {
    loom_task *task = loom_segment_task(segment, index);
    uint64_t held;
    if (!task || !hold(task, &held)) return false;
    task->status = (uint16_t)status;
    task->bulk = (loom_placement){0}; /* of one held back: what it wanted, at no place */
    task->error = err ? loom_segment_put(segment, err, sizeof *err) : 0;
    /* release: who sees FAILED sees status and error */
    atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_FAILED, LOOM_COORDINATOR, loom_state_attempt(held)),
                          memory_order_release);
    return true;
}
