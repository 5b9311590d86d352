/* member.h - an operator of a tape, prepared to be run on ranges of voxels.
 *
 * Its kernel is called once, on images that have headers but no voxels, with services that note what it asks for: the
 * header of its result, and the loop that it would run. The checks, messages and conversions are so the kernel's own,
 * and a range of the result is made by that loop, called for the range. A kernel that asks for anything else (memory
 * that parts share, several loops, units that are no whole number a voxel) does not fit; loom.fused then runs the
 * members one after the other on whole images. */
#ifndef LOOM_KERNELS_FUSED_MEMBER_H
#define LOOM_KERNELS_FUSED_MEMBER_H

#include "runtime/kernels/fused/tape.h"

typedef struct loom_member {
    loom_call call;        /* of its kernel */
    loom_call *whole;      /* the call of loom.fused, whose arena and scratch it uses */
    loom_value *arguments; /* those that are results of members are pointed to the tile at hand */
    const uint32_t *operands;
    uint32_t argument_count;
    bool made;   /* its result has a header */
    bool looped; /* there is a loop; else the result is all zeros */
    bool unfit;  /* see above */
    loom_image_header header;
    size_t voxel_bytes; /* of the result */
    uint32_t loop;
    uint64_t units; /* of the loop, a voxel */
    void *state;    /* of the loop */
    void *local;    /* of its parts, in this process */
} loom_member;

/* Prepares member `number` of a tape; `before` are those before it. *fits: false, and nothing else is known, if its
 * kernel does not fit. Errors are those of the kernel. */
loom_status loom_member_prepare(loom_call *whole, const loom_value *arguments, const loom_tape *tape, uint32_t number,
                                loom_member *before, loom_member *member, bool *fits);
/* The same without calling the kernel: what it needs to be run by itself on whole images or, the last one, in pieces.
 */
loom_status loom_member_begin(loom_call *whole, const loom_value *arguments, const loom_tape *tape, uint32_t number,
                              loom_member *before, loom_member *member);

/* Where voxels [first, ..) of a result lie in `tile`, as the address that voxel 0 would have: loops count from there.
 */
void *loom_tile_origin(void *tile, uint64_t first, size_t voxel_bytes);
/* Points the arguments that are results of `before` to their tiles; origins[k] is that of member k. */
void loom_member_look(loom_member *member, void *const *origins);
/* Makes voxels [first, first + count) of the result, in memory where voxel 0 would be at `origin`. */
loom_status loom_member_run(loom_member *member, const loom_part *part, uint64_t first, uint64_t count, void *origin);

#endif
