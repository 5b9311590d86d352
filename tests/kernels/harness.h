/* harness.h - runs kernels without a worker: space comes from malloc, streams from memfds.
 *
 * Results live until harness_free. Scratch memory is filled with rubbish, so that a kernel which relies on zeros shows.
 */
#ifndef LOOM_TESTS_KERNELS_HARNESS_H
#define LOOM_TESTS_KERNELS_HARNESS_H

#include "runtime/kernels/kernel.h"

typedef struct harness {
    loom_arena *arena;
    loom_ring *ring;
    loom_error err; /* of the last call */
    struct block {
        void *bytes;
        size_t mapped; /* 0: from malloc */
        struct block *next;
    } * blocks, *scratch;
    uint64_t scratch_bytes; /* of the last call */
    /* During a call: the stream that its result was promised, if any. */
    int stream_fd;
    loom_image_header stream_header;
    bool streaming;
    struct kept { /* images that evaluate() shares between programs */
        loom_id node;
        loom_value value;
    } kept[16];
    size_t kept_count;
    uint64_t shuffle; /* not 0: loops are run in parts in an order drawn from it, by HARNESS_LANES workers in turn */
    uint64_t parts;   /* run so */
    const loom_value *pool; /* what references name: item k has a vid whose first bytes are k */
    size_t pool_count;
} harness;

enum { HARNESS_LANES = 3 };

harness *harness_new(void);
void harness_free(harness *h);

/* Runs an operator by its qualified name. */
loom_status harness_run(harness *h, const char *name, const loom_value *arguments, uint32_t count,
                        const loom_value *attributes, loom_value *result);
/* The same; a failure ends the test with its message. */
loom_value run(harness *h, const char *name, uint32_t count, const loom_value *arguments);
#define RUN(h, name, ...)                                                                                              \
    run(h, name, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})

/* Frees one image before its time. */
void harness_drop(harness *h, const void *voxels);

/* An image of zeros. */
loom_value make_image(harness *h, loom_dtype dtype, unsigned rank, const uint64_t size[], uint16_t components);
/* Path of a file below ../shared; skips the test when there is none. */
const char *shared_path(harness *h, const char *name);
/* Reads the file whole (bytes in the arena). */
const char *read_text(harness *h, const char *path, size_t *length);

/* A small repeatable random number generator (xorshift64*, S. Vigna 2016). */
uint64_t next_random(uint64_t *state);

#endif
