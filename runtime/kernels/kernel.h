/* kernel.h - how code is bound to an operator.
 *
 * A kernel reads its arguments (images are mapped read-only), asks for space for its result, writes it in place and
 * returns. It runs in a worker process, one call at a time a process; it keeps no state between calls. Results must not
 * depend on anything but arguments and attributes: no threads' order, no CPU, no environment. Loops over an image may
 * be done in parts (parts.h), which other workers then help with. */
#ifndef LOOM_RUNTIME_KERNEL_H
#define LOOM_RUNTIME_KERNEL_H

#include "io/ring.h"
#include "shm/arena.h"
#include "shm/operator.h"
#include "shm/status.h"
#include "shm/value.h"

typedef struct loom_call loom_call;
typedef struct loom_parts loom_parts;

/* What the worker (or a test) provides. */
typedef struct loom_call_services {
    /* Space for the one result image: sets *voxels to zero-filled writable bytes in bulk space. The header is checked
     * and copied. */
    loom_status (*new_image)(loom_call *call, const loom_image_header *header, void **voxels);
    /* The same without a window, to be streamed to fd at offset through call->ring (importers). */
    loom_status (*new_stream)(loom_call *call, const loom_image_header *header, int *fd, uint64_t *offset);
    /* Scratch memory (anonymous), counted against the budget and freed after the call. NULL when refused. */
    void *(*scratch)(loom_call *call, size_t bytes);
    /* Fetches what a reference names (an item of a sequence that is an image): value valid during the call. */
    loom_status (*fetch)(loom_call *call, const loom_value *reference, loom_value *value);
    /* Runs all parts of one loop (parts.h), perhaps with the help of other workers. NULL: the caller runs them. */
    loom_status (*run_parts)(loom_call *call, const loom_parts *parts);
    /* Zero-filled scratch memory that parts see wherever they run: block `number`. NULL service: as scratch. */
    void *(*share)(loom_call *call, unsigned number, size_t bytes);
    /* How many workers may take part in this call. NULL service: 1. */
    uint32_t (*lanes)(loom_call *call);
} loom_call_services;

#define LOOM_SHARED_MAX 4u /* blocks of shared scratch memory a call */

struct loom_call {
    const loom_operator *op;
    const loom_value *arguments;
    uint32_t argument_count;
    const loom_value *attributes; /* a record, or NULL; of loom.fused, a tape (fused/tape.h) */
    const loom_call_services *services;
    void *context;     /* of the services */
    loom_arena *arena; /* for results and small things: lives until the result is published */
    loom_ring *ring;   /* for new_stream */
    size_t tile_bytes; /* of a stream's tiles; 0 = default */
    loom_error *err;
    loom_value result;             /* set by the kernel; new_image and new_stream set it to the image */
    uint32_t culprit;              /* of loom.fused, when it fails: the member of the tape that did */
    void *shared[LOOM_SHARED_MAX]; /* set by loom_share */
};

typedef loom_status (*loom_kernel_run)(loom_call *call);

/* One part of a loop over an image: see parts.h. */
typedef struct loom_part {
    loom_call *call;       /* arguments, arena, scratch, err of the worker that runs it */
    const void *state;     /* what the kernel passed with the loop; a copy */
    void *voxels;          /* of the result image; NULL before there is one */
    void *const *shared;   /* blocks of loom_share */
    void **local;          /* NULL before a worker's first part of a loop; its own to the end of the loop */
    uint32_t number, lane; /* of the part; of the worker: below loom_lanes, never twice at a time */
    uint64_t first, count; /* its units */
} loom_part;
typedef loom_status (*loom_part_run)(loom_part *part);
typedef struct loom_loops { /* the loops of a kernel, by number */
    const loom_part_run *run;
    uint32_t count;
    /* Bytes of scratch that the call takes, of so many workers, as far as sizes and types tell: taken on before the
     * kernel begins. NULL: it takes little, or what the data ask for, which is taken on when it is asked for. The
     * arguments are not checked yet. */
    uint64_t (*scratch)(const loom_call *call, uint32_t lanes);
    /* Of a reduction: a part may be done in pieces, called for one range of its units after the other, cut at multiples
     * of LOOM_CHUNK. It reads nothing but its units of the images, which are voxels, and what it leaves is the same.
     * The images may then be made while the parts run (fused/fused.c). */
    bool pieces;
} loom_loops;
/* Header of the first argument, for these; NULL if it is no image. */
const loom_image_header *loom_first_image(const loom_call *call);

/* What the call depends on outside its arguments: called before look-up; adds (path, content) pairs to the key. */
typedef struct loom_input_list {
    loom_arena *arena;
    struct loom_input {
        const char *path;
        loom_id content;
    } * items;
    size_t count, capacity;
    /* Content hash of one file, memoised by stat fields where the worker can. */
    loom_status (*hash_file)(const char *path, loom_id *content, void *context, loom_error *err);
    void *context;
} loom_input_list;
loom_status loom_input_add(loom_input_list *list, const char *path, const loom_id *content);
typedef loom_status (*loom_kernel_inputs)(loom_call *call, loom_input_list *list);

typedef struct loom_kernel {
    loom_operator op;
    loom_kernel_run run;       /* NULL: no native kernel yet, or structural */
    loom_kernel_inputs inputs; /* operators that read files; else NULL */
    const loom_loops *loops;   /* those that are done in parts; NULL: none */
} loom_kernel;

/* The table of every operator this build knows, and the kernel of one. */
const loom_operator_table *loom_operators(void);
const loom_kernel *loom_kernel_of(const loom_operator *op);

#endif
