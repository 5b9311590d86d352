/* tape.h - what a fused task does: operators in order, and where the arguments of each come from.
 *
 * The coordinator writes a tape for a group of steps that are computed together (coordinator/fuse.c), the attributes of
 * the group's task hold it, and the kernel `loom.fused` plays it. All members but the last are voxelwise and give
 * images; the last is voxelwise too, or a reduction. Only operators of this build are on a tape, none of a plug-in. */
#ifndef LOOM_KERNELS_TAPE_H
#define LOOM_KERNELS_TAPE_H

#include "runtime/kernels/kernel.h"
#include "shm/result_key.h"

#define LOOM_TAPE_MEMBERS_MAX 32u
#define LOOM_TAPE_OPERANDS_MAX 128u
/* An operand: the result of an earlier member, by its number; without this bit, the task's argument of that number. */
#define LOOM_TAPE_MEMBER (UINT32_C(1) << 31)

typedef struct loom_tape_member {
    const loom_operator *op;
    uint32_t first, count; /* of the operands: its arguments */
} loom_tape_member;

typedef struct loom_tape {
    uint32_t member_count, operand_count;
    loom_tape_member members[LOOM_TAPE_MEMBERS_MAX]; /* each after those whose results it uses */
    uint32_t operands[LOOM_TAPE_OPERANDS_MAX];
    uint32_t swept; /* position, from 1, in the list that the task's last argument is: there is its result, if it is a
                       number (coordinator/sweep.h). 0: it has no such argument */
    uint32_t steps[LOOM_TAPE_MEMBERS_MAX]; /* the coordinator's numbers of the members; nothing to the kernel */
} loom_tape;

/* Whether the operator may be on a tape: its kernel does any range of voxels by itself, in parts. */
bool loom_is_fusible(const loom_operator *op);
/* Whether it may be the last: that, or a reduction whose parts may be done in pieces (loom_loops.pieces). */
bool loom_ends_fusion(const loom_operator *op);

/* Appends the tape, encoded as the attributes of a task. LOOM_NO_MEMORY. */
loom_status loom_tape_encode(const loom_tape *tape, loom_buffer *out);
/* Reads it back. LOOM_BAD_ARGUMENT unless it is a tape for a task of so many arguments: it came from another process,
 * or from a program. */
loom_status loom_tape_decode(const loom_value *attributes, uint32_t argument_count, loom_tape *tape, loom_error *err);

/* The key of each member's result, `vids` being those of the task's arguments. An image's id is its key. */
void loom_tape_keys(loom_hasher *hasher, const loom_tape *tape, const loom_id *vids,
                    loom_id keys[LOOM_TAPE_MEMBERS_MAX]);

#endif
