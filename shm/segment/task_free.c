/* task_free.c - the end of a task: its slot and its heap pieces serve the next ones. Coordinator only.
 *
 * Stale hints may name the slot for long: an entry of a deque or a ring, a journal. All are harmless: a claim asks the
 * state word alone, and takes whatever task is READY there; a completion carries the attempt, which grows over all uses
 * of a slot; a journal counts only for a task that is RUNNING or finished by its worker. What must be over is every
 * walk over the edges that lie in the task's links, hence the rules of loom_task_free. */
#include <string.h>

#include "shm/segment/segment_layout.h"

/* A piece that begins with its length. */
static void free_text(loom_segment *segment, loom_offset offset) {
    size_t length;
    if (offset && loom_segment_get(segment, offset, &length))
        loom_segment_free_units(segment, offset, (sizeof(uint32_t) + length + LOOM_HEAP_UNIT - 1) / LOOM_HEAP_UNIT);
}

static void free_pieces(loom_segment *segment, const loom_task *task) {
    if (task->arguments) loom_segment_free_units(segment, task->arguments, loom_links_units(task->argument_count));
    free_text(segment, task->attributes);
    free_text(segment, task->error);
    free_text(segment, task->payload);
    free_text(segment, task->memo);
    if (task->hashes) loom_segment_free_units(segment, task->hashes, loom_extent_block_count(task->bulk.bytes));
}

/* Out of the list of completions that a recovery found. */
static void unlist(loom_segment *segment, uint32_t index) {
    uint32_t next = segment->tasks[index].list_next, *at = &segment->recovered_list;
    if (!next) return;
    while (*at != index + 1 && *at && *at != LOOM_TASK_NONE)
        at = &segment->tasks[*at - 1].list_next;
    if (*at == index + 1) *at = at == &segment->recovered_list && next == LOOM_TASK_NONE ? 0 : next;
}

loom_status loom_task_free(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    uint64_t word = task ? atomic_load_explicit(&task->state, memory_order_relaxed) : 0;
    loom_task_state state = loom_state_of(word);
    if (state != LOOM_TASK_DONE && state != LOOM_TASK_FAILED) return LOOM_INTERNAL;
    unlist(segment, index);
    free_pieces(segment, task);
    /* The attempt grows, so that a task that is born done here is not taken for the one of a late completion. relaxed:
     * whoever looks at the word meanwhile only finds that there is nothing to do. */
    atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_FREE, 0, loom_state_attempt(word) + 1),
                          memory_order_relaxed);
    atomic_store_explicit(&task->edges, 0, memory_order_relaxed);
    memset(&task->operator_index, 0, sizeof *task - offsetof(loom_task, operator_index));
    task->list_next = segment->free_slots ? segment->free_slots : LOOM_TASK_NONE;
    segment->free_slots = index + 1;
    segment->live--;
    return LOOM_OK;
}
