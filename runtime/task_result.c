/* The result fields of a task, written once, before the task is published. */
#include "runtime/task_result.h"

#include <string.h>

loom_status loom_segment_full(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY,
                     "the shared segment is full; raise memory.segment or memory.tasks_max (voxloom config show)");
}

const void *loom_task_payload(const loom_segment *segment, const loom_task *task, size_t *length) {
    *length = task->inline_bytes;
    if (*length) return *length <= sizeof task->inline_payload ? task->inline_payload : NULL;
    return task->payload ? loom_segment_get(segment, task->payload, length) : NULL;
}

loom_status loom_task_put_payload(loom_segment *segment, loom_task *task, const void *bytes, size_t length) {
    if (length >= 1 && length <= sizeof task->inline_payload) {
        memcpy(task->inline_payload, bytes, length);
        task->inline_bytes = (uint8_t)length;
        return LOOM_OK;
    }
    task->payload = loom_segment_put(segment, bytes, length);
    return task->payload ? LOOM_OK : LOOM_NO_MEMORY;
}

loom_status loom_task_put_hashes(loom_segment *segment, loom_task *task, const uint64_t *hashes, size_t count) {
    if (!count) return LOOM_OK;
    task->hashes = loom_segment_alloc(segment, count * sizeof *hashes);
    if (!task->hashes) return LOOM_NO_MEMORY;
    memcpy(loom_segment_pointer(segment, task->hashes), hashes, count * sizeof *hashes);
    return LOOM_OK;
}

uint64_t loom_task_committed_bytes(const loom_task *task) {
    bool its = task->origin == LOOM_ORIGIN_COMPUTED || task->flags & LOOM_TASK_FRESH;
    return its ? (task->bulk.bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES : 0;
}

loom_status loom_task_adopt(loom_segment *segment, loom_task *task, const loom_result *result) {
    if (result->payload_bytes) LOOM_TRY(loom_task_put_payload(segment, task, result->payload, result->payload_bytes));
    LOOM_TRY(loom_task_put_hashes(segment, task, result->block_hashes, loom_extent_block_count(result->bulk.bytes)));
    task->bulk = result->bulk;
    memcpy(task->root, result->root, sizeof task->root);
    if (result->blob) task->flags |= LOOM_TASK_BLOB;
    task->type = (uint8_t)result->type;
    task->vid = result->vid;
    task->origin = LOOM_ORIGIN_STORED;
    return LOOM_OK;
}
