/* parts.h - loops over an image that several workers may share.
 *
 * A kernel names its loops in its row of the table (LOOM_ROW_PARTS): functions that do one part each. It calls
 * loom_run_parts where it would loop, once for each loop (phase) after the other; when the call returns, every part is
 * done, and the kernel combines what the parts left in shared memory. Whether others help is none of its business.
 *
 * What a part may rely on:
 *   - units [first, first + count) are its own; each unit is in one part; which units make a part follows from the
 * sizes passed, never from who runs it
 *   - it runs once, on any worker, in any order; it sees what was written before the loop began, and nothing that
 *     another part of the loop writes
 *   - `state` is a copy: plain numbers, no pointers. Arguments are at call->arguments, read with loom_arg_*
 *   - it may use loom_scratch; such memory may be kept in *local for the worker's next parts of the same loop. Parts
 *     come to a worker in ascending order, mostly
 *   - no result, no services that write
 *
 * Results must be the same in whatever order and by whomever parts are run. What is added up in floating point is kept
 * for each part (or finer) and added in a fixed order afterwards; whole numbers may be added in a lane's own place. */
#ifndef LOOM_KERNELS_PARTS_H
#define LOOM_KERNELS_PARTS_H

#include "runtime/kernels/kernel.h"

#define LOOM_PARTS_LIMIT 1024u /* parts a loop has at most */
/* Values a part of a loop that touches each value once or twice has: small enough that the last part to end is no long
 * wait, large enough that taking parts costs nothing (a part takes 50 us to 1 ms). */
#define LOOM_PART_VALUES (UINT64_C(1) << 17)

struct loom_parts {
    uint32_t loop;         /* of the kernel's loops */
    uint32_t count;        /* parts */
    uint64_t units, grain; /* of all; of a part, the last may have fewer */
    const void *state;
    size_t state_bytes;
};

/* Runs loop `loop` over `units` units, at least `grain` of them a part. `state` (at most 512 bytes) is passed to each
 * part. The first part that fails fails the loop; others may not run then. */
loom_status loom_run_parts(loom_call *call, uint32_t loop, uint64_t units, uint64_t grain, const void *state,
                           size_t state_bytes);
/* How many parts that loop has. */
uint32_t loom_count_parts(uint64_t units, uint64_t *grain);
/* Zero-filled memory for all parts of the call: block `number` (part->shared[number]) below LOOM_SHARED_MAX, each asked
 * for once. It appears as it is touched, so an upper bound may be asked for. */
loom_status loom_share(loom_call *call, unsigned number, size_t count, size_t item_bytes, void **memory);
/* Lanes: one place a worker for what is added up in any order. */
uint32_t loom_lanes(loom_call *call);

/* For whoever runs parts: all of them, here, one after the other; and one. */
loom_status loom_run_all_parts(loom_call *call, const loom_parts *parts);
loom_status loom_run_part(loom_call *call, const loom_parts *parts, uint32_t number, uint32_t lane, void *voxels,
                          void **local);

#endif
