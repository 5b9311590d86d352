/* ring_uring.c - the Linux engine of a ring: writes are handed to the kernel through io_uring (liburing) and done there
 * while the caller fills its next buffer.
 *
 * Buffered writes are done by the kernel's io-wq threads. They inherit the affinity of their creator, which here is a
 * worker pinned to one core: without a wider mask they would run on the very core they are to relieve. */
#include "io/ring_private.h"

#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_MAX ((size_t)1 << 30)

typedef struct pending_write {
    const char *bytes;
    size_t length;
    uint64_t offset;
    uint64_t token;
    int fd;
    bool busy;
} pending_write;

typedef struct uring_state {
    struct io_uring ring;
    unsigned depth;
    pending_write writes[]; /* `depth` of them */
} uring_state;

/* Queues what is left of one write. A place in the submission queue is always free: it has as many as `writes`. */
static int submit(uring_state *state, unsigned slot) {
    pending_write *write = &state->writes[slot];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&state->ring);
    if (!sqe) return -EBUSY;
    unsigned length = (unsigned)(write->length < WRITE_MAX ? write->length : WRITE_MAX);
    io_uring_prep_write(sqe, write->fd, write->bytes, length, write->offset);
    /* Otherwise the kernel tries the copy first inside our system call, and nothing overlaps. */
    sqe->flags |= IOSQE_ASYNC;
    io_uring_sqe_set_data64(sqe, slot);
    int submitted;
    do {
        submitted = io_uring_submit(&state->ring);
    } while (submitted == -EINTR || submitted == -EAGAIN);
    return submitted < 0 ? submitted : 0;
}

static void finish(loom_ring *ring, pending_write *write, int error) {
    write->busy = false;
    ring->in_flight--;
    loom_ring_finish(ring, write->token, write->offset, error);
}

/* One answer of the kernel: done, to be continued, or failed. */
static void take_completion(loom_ring *ring, unsigned slot, int result) {
    uring_state *state = ring->state;
    pending_write *write = &state->writes[slot];
    if (result == -EINTR || result == -EAGAIN) {
        result = 0;
    } else if (result <= 0) {
        finish(ring, write, result < 0 ? -result : EIO);
        return;
    }
    write->bytes += result;
    write->length -= (size_t)result;
    write->offset += (uint64_t)result;
    if (write->length == 0) {
        finish(ring, write, 0);
        return;
    }
    int error = submit(state, slot);
    if (error != 0) finish(ring, write, -error);
}

static loom_status wait_one(loom_ring *ring, loom_error *err) {
    uring_state *state = ring->state;
    unsigned before = ring->in_flight;
    while (ring->in_flight == before) {
        struct io_uring_cqe *cqe;
        int error = io_uring_wait_cqe(&state->ring, &cqe);
        if (error == -EINTR || error == -EAGAIN) continue;
        if (error < 0) return loom_fail(err, LOOM_IO, "waiting for io_uring failed: %s", strerror(-error));
        unsigned slot = (unsigned)io_uring_cqe_get_data64(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(&state->ring, cqe);
        take_completion(ring, slot, result);
    }
    return LOOM_OK;
}

static loom_status write_later(loom_ring *ring, int fd, const void *bytes, size_t length, uint64_t offset,
                               uint64_t token, loom_error *err) {
    uring_state *state = ring->state;
    if (ring->in_flight == ring->depth) LOOM_TRY(wait_one(ring, err));
    unsigned slot = 0;
    while (state->writes[slot].busy)
        slot++;
    state->writes[slot] = (pending_write){bytes, length, offset, token, fd, true};
    ring->in_flight++;
    int error = submit(state, slot);
    if (error == 0) return LOOM_OK;
    ring->in_flight--;
    state->writes[slot].busy = false;
    return loom_fail(err, LOOM_IO, "handing a write to io_uring failed: %s", strerror(-error));
}

static void close_uring(void *opaque) {
    uring_state *state = opaque;
    io_uring_queue_exit(&state->ring);
    free(state);
}

/* Best effort: an older kernel without these calls only loses the overlap. */
static void place_kernel_threads(struct io_uring *ring) {
    cpu_set_t all;
    CPU_ZERO(&all);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        CPU_SET(cpu, &all); /* the kernel cuts it down to what this process may use */
    (void)io_uring_register_iowq_aff(ring, sizeof all, &all);
    /* Buffered writes to one file are serialised anyway, so more threads would only wait for each other. */
    unsigned threads[2] = {2, 1};
    (void)io_uring_register_iowq_max_workers(ring, threads);
}

static const char *why_refused(int error) {
    switch (error) {
    case ENOSYS:
        return "the kernel has no io_uring";
    case EPERM:
    case EACCES:
        return "io_uring is not allowed here (seccomp or kernel.io_uring_disabled)";
    case ENOMEM:
        return "the limit on locked memory is too small for io_uring (ulimit -l)";
    case EMFILE:
    case ENFILE:
        return "no file descriptor is left for io_uring (ulimit -n)";
    default:
        return "the kernel refused io_uring";
    }
}

loom_status loom_ring_uring_open(loom_ring *ring, loom_error *err) {
    static const loom_ring_engine engine = {write_later, wait_one, close_uring};
    uring_state *state = calloc(1, sizeof *state + ring->depth * sizeof state->writes[0]);
    if (!state) return loom_fail(err, LOOM_NO_MEMORY, "no memory for a ring of writes");
    int error = io_uring_queue_init(ring->depth, &state->ring, 0);
    if (error < 0) {
        free(state);
        return loom_fail(err, LOOM_UNSUPPORTED, "%s (%s); set io.ring to auto or posix", why_refused(-error),
                         strerror(-error));
    }
    place_kernel_threads(&state->ring);
    state->depth = ring->depth;
    ring->kind = LOOM_RING_URING;
    ring->engine = &engine;
    ring->state = state;
    return LOOM_OK;
}
