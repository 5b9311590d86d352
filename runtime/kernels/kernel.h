/* kernel.h - how code is bound to an operator.
 *
 * A kernel reads its arguments (images are mapped read-only), asks for space for its result, writes it in place and
 * returns. It runs in a worker process, one call at a time a process; it keeps no state between calls. Results must not
 * depend on anything but arguments and attributes: no threads' order, no CPU, no environment. */
#ifndef LOOM_RUNTIME_KERNEL_H
#define LOOM_RUNTIME_KERNEL_H

#include "io/ring.h"
#include "shm/arena.h"
#include "shm/operator.h"
#include "shm/status.h"
#include "shm/value.h"

typedef struct loom_call loom_call;

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
} loom_call_services;

struct loom_call {
    const loom_operator *op;
    const loom_value *arguments;
    uint32_t argument_count;
    const loom_value *attributes; /* a record, or NULL */
    const loom_call_services *services;
    void *context;     /* of the services */
    loom_arena *arena; /* for results and small things: lives until the result is published */
    loom_ring *ring;   /* for new_stream */
    size_t tile_bytes; /* of a stream's tiles; 0 = default */
    loom_error *err;
    loom_value result; /* set by the kernel; new_image and new_stream set it to the image */
};

typedef loom_status (*loom_kernel_run)(loom_call *call);

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
} loom_kernel;

/* The table of every operator this build knows, and the kernel of one. */
const loom_operator_table *loom_operators(void);
const loom_kernel *loom_kernel_of(const loom_operator *op);

#endif
