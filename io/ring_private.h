/* ring_private.h - what ring.c and its two engines share: the table of engine calls and the queue of finished writes.
 */
#ifndef LOOM_IO_RING_PRIVATE_H
#define LOOM_IO_RING_PRIVATE_H

#include "io/ring.h"

/* One finished write that nobody has asked for yet. */
typedef struct loom_ring_result {
    uint64_t token;
    uint64_t offset; /* where in the file it failed */
    int error;       /* errno, 0 if written whole */
} loom_ring_result;

typedef struct loom_ring_engine {
    /* Starts one write, or does it at once. Waits for a free place. */
    loom_status (*write)(loom_ring *ring, int fd, const void *bytes, size_t length, uint64_t offset, uint64_t token,
                         loom_error *err);
    /* Waits until at least one more write is in the queue of results; called only while `in_flight` > 0. */
    loom_status (*wait)(loom_ring *ring, loom_error *err);
    void (*close)(void *state);
} loom_ring_engine;

struct loom_ring {
    loom_ring_kind kind;
    unsigned depth;
    unsigned in_flight; /* started, not yet in the queue */
    const loom_ring_engine *engine;
    void *state; /* the engine's own */
    /* First in, first out; results[first .. first + count). Grows when a caller writes much and asks late. */
    loom_ring_result *results;
    size_t first, count, capacity;
};

/* Makes room for one more result beyond those in flight, so that a completion can never be lost for want of memory. */
loom_status loom_ring_make_room(loom_ring *ring, loom_error *err);
void loom_ring_finish(loom_ring *ring, uint64_t token, uint64_t offset, int error);

/* Set the ring's engine and state. URING is LOOM_UNSUPPORTED, with the kernel's reason, where it is refused. */
loom_status loom_ring_uring_open(loom_ring *ring, loom_error *err);
loom_status loom_ring_posix_open(loom_ring *ring, loom_error *err);

#endif
