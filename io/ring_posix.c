/* ring_posix.c - the portable engine of a ring: each write is done at once with pwrite.
 *
 * A helper thread would let the caller fill the next tile meanwhile, but a buffered pwrite is a copy into the page
 * cache at memory speed: handing it over costs about as much, and takes a core from another worker. */
#include "io/ring_private.h"

#include <errno.h>
#include <unistd.h>

/* Some systems refuse single writes above 2 GiB. */
#define WRITE_MAX ((size_t)1 << 30)

static loom_status write_now(loom_ring *ring, int fd, const void *bytes, size_t length, uint64_t offset, uint64_t token,
                             loom_error *err) {
    (void)err;
    const char *next = bytes;
    int error = 0;
    while (length > 0) {
        ssize_t written = pwrite(fd, next, length < WRITE_MAX ? length : WRITE_MAX, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            error = written < 0 ? errno : EIO;
            break;
        }
        next += written;
        length -= (size_t)written;
        offset += (uint64_t)written;
    }
    loom_ring_finish(ring, token, offset, error);
    return LOOM_OK;
}

/* Nothing is ever in flight. */
static loom_status wait_none(loom_ring *ring, loom_error *err) {
    (void)ring;
    return loom_fail(err, LOOM_INTERNAL, "a ring without writes in flight was waited for");
}

static void close_nothing(void *state) {
    (void)state;
}

loom_status loom_ring_posix_open(loom_ring *ring, loom_error *err) {
    static const loom_ring_engine engine = {write_now, wait_none, close_nothing};
    (void)err;
    ring->kind = LOOM_RING_POSIX;
    ring->engine = &engine;
    return LOOM_OK;
}
