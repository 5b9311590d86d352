/* task_result.h - reading and writing the result fields of a task: what coordinator and workers both do. */
#ifndef LOOM_RUNTIME_TASK_RESULT_H
#define LOOM_RUNTIME_TASK_RESULT_H

#include "shm/segment/segment.h"
#include "shm/store/storage.h"

/* What a worker leaves of a task that failed: task->error. */
typedef struct loom_task_failure {
    loom_error error;
    uint32_t member; /* of a fused task's tape: which failed */
} loom_task_failure;

/* The error of whoever finds the segment full, with its remedy. Returns LOOM_NO_MEMORY. */
loom_status loom_segment_full(loom_error *err);

/* The encoded value of a done task; NULL, with *length 0, if it is a blob or has none. Valid until the task is freed.
 */
const void *loom_task_payload(const loom_segment *segment, const loom_task *task, size_t *length);
/* Writes an encoded value into a task: inline when it fits. LOOM_NO_MEMORY when the segment is full. */
loom_status loom_task_put_payload(loom_segment *segment, loom_task *task, const void *bytes, size_t length);
/* The block hashes of its bulk bytes. */
loom_status loom_task_put_hashes(loom_segment *segment, loom_task *task, const uint64_t *hashes, size_t count);
/* Bytes of memory that were committed for its bulk bytes (loom_segment_commit_bytes), in whole pages: of a computed
 * result, or of the raw copy of a stored one that a worker made. To be released once. */
uint64_t loom_task_committed_bytes(const loom_task *task);
/* Makes a stored result the task's own: type, vid, payload, placement, hashes, origin. */
loom_status loom_task_adopt(loom_segment *segment, loom_task *task, const loom_result *result);

#endif
