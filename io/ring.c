/* ring.c - chooses the engine of a ring and keeps the queue of finished writes that both engines fill.
 *
 * AUTO asks for io_uring and, when it is refused (containers and hardened kernels often do), takes pwrite and says why.
 */
#include "io/ring_private.h"
#include "shm/activity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 256u
#define REASON_BYTES 160u

static loom_status open_engine(loom_ring *ring, loom_ring_kind kind, char *reason, loom_error *err) {
    if (kind == LOOM_RING_POSIX) return loom_ring_posix_open(ring, err);
    if (kind == LOOM_RING_URING) return loom_ring_uring_open(ring, err);
    loom_error refusal;
    loom_error_clear(&refusal);
    loom_status status = loom_ring_uring_open(ring, &refusal);
    if (status != LOOM_UNSUPPORTED) {
        if (status != LOOM_OK && err) *err = refusal;
        return status;
    }
    if (reason) /* the cause; the remedy is what happens now */
        snprintf(reason, REASON_BYTES, "%.*s", (int)strcspn(refusal.message, ";"), refusal.message);
    return loom_ring_posix_open(ring, err);
}

loom_status loom_ring_open(loom_ring_kind kind, unsigned depth, loom_ring **ring, char *reason, loom_error *err) {
    *ring = NULL;
    if (reason) reason[0] = '\0';
    if (depth < 1 || depth > DEPTH_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a ring of depth %u was asked for; use 1 to %u", depth, DEPTH_MAX);
    loom_ring *made = calloc(1, sizeof *made);
    if (!made) return loom_fail(err, LOOM_NO_MEMORY, "no memory for a ring of writes");
    made->depth = depth;
    loom_status status = open_engine(made, kind, reason, err);
    if (status != LOOM_OK) {
        free(made);
        return status;
    }
    *ring = made;
    return LOOM_OK;
}

void loom_ring_close(loom_ring *ring) {
    if (!ring) return;
    (void)loom_ring_drain(ring, NULL);
    ring->engine->close(ring->state);
    free(ring->results);
    free(ring);
}

loom_ring_kind loom_ring_kind_of(const loom_ring *ring) {
    return ring->kind;
}

loom_status loom_ring_make_room(loom_ring *ring, loom_error *err) {
    size_t needed = ring->count + ring->in_flight + 1;
    if (ring->first + needed <= ring->capacity) return LOOM_OK;
    if (ring->first > 0) {
        memmove(ring->results, ring->results + ring->first, ring->count * sizeof *ring->results);
        ring->first = 0;
    }
    if (needed <= ring->capacity) return LOOM_OK;
    size_t capacity = needed * 2 + ring->depth;
    loom_ring_result *grown = realloc(ring->results, capacity * sizeof *grown);
    if (!grown) return loom_fail(err, LOOM_NO_MEMORY, "no memory for the results of %zu writes", capacity);
    ring->results = grown;
    ring->capacity = capacity;
    return LOOM_OK;
}

void loom_ring_finish(loom_ring *ring, uint64_t token, uint64_t offset, int error) {
    ring->results[ring->first + ring->count++] = (loom_ring_result){token, offset, error};
}

loom_status loom_ring_write(loom_ring *ring, int fd, const void *bytes, size_t length, uint64_t offset, uint64_t token,
                            loom_error *err) {
    if (length == 0 || offset > INT64_MAX || length > (uint64_t)INT64_MAX - offset)
        return loom_fail(err, LOOM_TOO_LARGE, "a write of %zu bytes at offset %llu is outside what a file can hold",
                         length, (unsigned long long)offset);
    LOOM_TRY(loom_ring_make_room(ring, err));
    loom_activity before = loom_enter(LOOM_DOING_IO);
    loom_status status = ring->engine->write(ring, fd, bytes, length, offset, token, err);
    loom_enter(before);
    loom_note_that(LOOM_NOTE_IO_FLIGHT, ring->in_flight);
    return status;
}

static loom_status report(const loom_ring_result *result, loom_error *err) {
    if (result->error == 0) return LOOM_OK;
    loom_status status = result->error == ENOSPC || result->error == EDQUOT ? LOOM_NO_SPACE : LOOM_IO;
    return loom_fail(err, status, "writing at offset %llu failed: %s%s", (unsigned long long)result->offset,
                     strerror(result->error), status == LOOM_NO_SPACE ? "; free some space or use another disk" : "");
}

static loom_status wait_for_one(loom_ring *ring, loom_error *err) {
    loom_activity before = loom_enter(LOOM_DOING_IO);
    loom_status status = ring->engine->wait(ring, err);
    loom_enter(before);
    loom_note_that(LOOM_NOTE_IO_FLIGHT, ring->in_flight);
    return status;
}

loom_status loom_ring_wait(loom_ring *ring, uint64_t *token, loom_error *err) {
    if (ring->count == 0) {
        if (ring->in_flight == 0) return LOOM_NOT_FOUND;
        LOOM_TRY(wait_for_one(ring, err));
    }
    loom_ring_result result = ring->results[ring->first++];
    if (--ring->count == 0) ring->first = 0;
    *token = result.token;
    return report(&result, err);
}

loom_status loom_ring_drain(loom_ring *ring, loom_error *err) {
    loom_status first = LOOM_OK;
    while (ring->count > 0 || ring->in_flight > 0) {
        uint64_t token;
        bool stuck = ring->count == 0;
        unsigned before = ring->in_flight;
        loom_status status = loom_ring_wait(ring, &token, first == LOOM_OK ? err : NULL);
        if (first == LOOM_OK) first = status;
        /* The engine itself failed (not one of its writes): waiting again would spin. */
        if (stuck && ring->in_flight == before) break;
    }
    return first;
}
