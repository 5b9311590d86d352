/* ring.h - asynchronous writes to a file: io_uring where the kernel allows it, a POSIX twin elsewhere.
 *
 * The caller fills a buffer, queues it, and fills the next while the first is written. At most `depth` writes are in
 * flight. One thread a ring. */
#ifndef LOOM_IO_RING_H
#define LOOM_IO_RING_H

#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

typedef enum loom_ring_kind { LOOM_RING_AUTO, LOOM_RING_URING, LOOM_RING_POSIX } loom_ring_kind;

typedef struct loom_ring loom_ring;

/* AUTO tries io_uring and falls back; `reason` (>= 160 bytes, may be NULL) then says why in one line, else "". URING
 * fails with LOOM_UNSUPPORTED where refused. depth 1..256. */
loom_status loom_ring_open(loom_ring_kind kind, unsigned depth, loom_ring **ring, char *reason, loom_error *err);
/* Waits for what is in flight. NULL is accepted. */
void loom_ring_close(loom_ring *ring);
loom_ring_kind loom_ring_kind_of(const loom_ring *ring); /* URING or POSIX */

/* Queues one write; `bytes` must stay untouched until loom_ring_wait reports its token. Waits if depth writes are in
 * flight. Short writes are continued inside. */
loom_status loom_ring_write(loom_ring *ring, int fd, const void *bytes, size_t length, uint64_t offset, uint64_t token,
                            loom_error *err);
/* Waits for one write and returns its token; LOOM_NOT_FOUND when none is in flight. A failed write is LOOM_NO_SPACE or
 * LOOM_IO and names the offset. */
loom_status loom_ring_wait(loom_ring *ring, uint64_t *token, loom_error *err);
/* Waits for all. Returns the first error. */
loom_status loom_ring_drain(loom_ring *ring, loom_error *err);

#endif
