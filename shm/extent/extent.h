/* extent.h - bulk bytes: where they are, how a worker writes them, how anyone maps them.
 *
 * An extent file (STORE/extents/%08x.ext, or a memfd for a store in memory) grows by steps that are allocated before a
 * pointer into them is handed out, so a full disk is an error here and never a SIGBUS in a kernel. Exactly one writer
 * at a time appends to a file (it holds the file's lock); any number of processes map it read-only. Objects start on a
 * 4 KiB page, are sealed when complete, and are never rewritten while a reader may see them.
 *
 * Trust: a sealed object carries the XXH3-64 of each of its 1 MiB blocks and the XXH3-128-based root over them. */
#ifndef LOOM_SHM_EXTENT_H
#define LOOM_SHM_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

#define LOOM_PAGE_BYTES 4096u
#define LOOM_BLOCK_BYTES (1u << 20)

/* Where bulk bytes lie. bytes = 0 means there are none. Written to disk (row) and to the segment. */
typedef struct loom_placement {
    uint32_t extent;   /* file number */
    uint32_t reserved; /* 0 */
    uint64_t offset;   /* of the first byte; a multiple of LOOM_PAGE_BYTES */
    uint64_t bytes;    /* length of the object, without padding */
} loom_placement;

_Static_assert(sizeof(loom_placement) == 24, "the placement is a disk format: see shm/SCHEMA.md");

/* The extent files of one open store, as one process sees them. Thread-safe. */
typedef struct loom_extents loom_extents;
/* One active file, to which this process appends. Belongs to one thread. */
typedef struct loom_extent_writer loom_extent_writer;
/* An object being written, and its writable window. */
typedef struct loom_reservation {
    loom_placement placement;
    void *window; /* `placement.bytes` writable bytes (MAP_SHARED), or NULL when reserved without a window */
    int fd;       /* the extent file, for io/ring to write at placement.offset; owned by the writer */
    bool hashed;  /* set by a caller who has filled in the block hashes that it seals with */
} loom_reservation;
/* A read-only view of an object. */
typedef struct loom_view {
    const void *bytes;
    uint64_t length;
    uint32_t extent; /* where the bytes lie, as in the placement */
    uint64_t offset;
    void *map; /* private to extent.c */
    size_t map_bytes;
    struct loom_store *held_by; /* whose hold ends with the view; NULL = none */
    uint32_t pin;
} loom_view;

/* Takes an active file: one whose tail is free and unlocked, else a new one. LOOM_NO_SPACE, LOOM_DENIED, LOOM_IO. */
loom_status loom_extent_writer_open(loom_extents *extents, loom_extent_writer **writer, loom_error *err);
/* Gives unused preallocated space back and releases the file. NULL is accepted. */
void loom_extent_writer_close(loom_extent_writer *writer);

/* How to reserve: or of these. */
typedef enum loom_reserve_how {
    LOOM_RESERVE_WINDOW = 1, /* with a writable window; else `fd` is written to */
    LOOM_RESERVE_ZEROED = 2  /* the bytes are 0: a caller that does not write each of them needs this */
} loom_reserve_how;
/* Reserves `bytes` (>= 1): space that an evicted or deleted object had, which is fastest when it is simply overwritten,
 * so the window holds ANY BYTES unless LOOM_RESERVE_ZEROED; or new space at the tail. The rest of the object's last
 * page is zero when it is sealed. One reservation at a time a writer. May reclaim and evict to get below the store's
 * budget. Errors: LOOM_NO_SPACE (says what is missing, where, and the remedy), LOOM_TOO_LARGE, LOOM_IO. */
loom_status loom_extent_reserve(loom_extent_writer *writer, uint64_t bytes, unsigned how, loom_reservation *reservation,
                                loom_error *err);
/* Ends the reservation: the bytes are complete. Unmaps the window, computes block hashes into `hashes`
 * (caller's array of loom_extent_block_count(bytes), unless reservation->hashed says that they are in it) and their
 * root. The object becomes readable at its placement. placement.bytes of a reservation without a window may have been
 * lowered, by who wrote nothing behind it: the pages there are given back (an encoder knows only at the end how much it
 * needs). hashes = NULL: nothing is hashed (the hashes of an encoded object are those of the raw bytes). */
loom_status loom_extent_seal(loom_extent_writer *writer, loom_reservation *reservation, uint64_t *hashes,
                             uint64_t root[2], loom_error *err);
/* ---- objects whose size is not known when they are begun, and that more than one process writes in turn (streams)
 * ----
 */

/* As reserve without a window, but always at the tail of the file, never in recycled space: so it can be extended. */
loom_status loom_extent_reserve_tail(loom_extent_writer *writer, uint64_t bytes, loom_reservation *reservation,
                                     loom_error *err);
/* Makes an open reservation at the tail `bytes` long (at least as long as now), in place. The errors of reserve; the
 * reservation is then as it was. LOOM_UNSUPPORTED when it is not at the tail (recycled space) or has a window. */
loom_status loom_extent_extend(loom_extent_writer *writer, loom_reservation *reservation, uint64_t bytes,
                               loom_error *err);
/* A committed row owns the first `bytes` now (whole pages of them): abandon and close leave these alone. */
void loom_extent_keep(loom_extent_writer *writer, const loom_reservation *reservation, uint64_t bytes);
/* Takes up an object that a row owns where it ends, so that it can be extended: a writer of its own and an open
 * reservation of all its bytes, which are kept. LOOM_BUSY when another object lies behind it or its file has a writer;
 * LOOM_CORRUPT when the file does not reach so far. */
loom_status loom_extent_resume(loom_extents *extents, const loom_placement *placement, loom_extent_writer **writer,
                               loom_reservation *reservation, loom_error *err);

/* Ends the reservation and gives its space back (but not what is kept). */
void loom_extent_abandon(loom_extent_writer *writer, loom_reservation *reservation);

/* A sealed object that no row will ever name and that nobody uses (an intermediate result, a failed commit): its space
 * is reused at once. Not for what a batch named, successful or not. */
void loom_extent_recycle(loom_extents *extents, const loom_placement *placement);

static inline size_t loom_extent_block_count(uint64_t bytes) {
    return (size_t)(bytes / LOOM_BLOCK_BYTES + (bytes % LOOM_BLOCK_BYTES != 0));
}
/* Hashes of the blocks [first, first + count) of an object of `length` bytes that begins at `bytes`, to hashes[first]
 * on: for those who share the work. */
void loom_extent_hash_blocks(const void *bytes, uint64_t length, size_t first, size_t count, uint64_t *hashes);

/* Maps what another process of the store has reserved, to write into it on its behalf: the one who reserved says where
 * it lies, and waits for this view's end before it seals or abandons. *window: the view's bytes, writable. Errors as
 * loom_extent_view; LOOM_DENIED where the store is open read-only. */
loom_status loom_extent_share(loom_extents *extents, const loom_placement *placement, loom_view *view, void **window,
                              loom_error *err);

/* Maps an object read-only (MAP_SHARED, its pages mapped at once when `populate`). The placement is checked against the
 * file's size, so bad bytes from disk are LOOM_CORRUPT, not SIGBUS; with `populate` (Linux 5.14 and later) so are bytes
 * that the disk does not give. */
loom_status loom_extent_view(loom_extents *extents, const loom_placement *placement, bool populate, loom_view *view,
                             loom_error *err);
/* Also lets go of the bytes, for which the store (held_by) must still be open. */
void loom_extent_release(loom_view *view);

/* Compares every block with its hash, and the hashes with the root. LOOM_CORRUPT names extent, offset and block. */
loom_status loom_extent_verify(const loom_view *view, const loom_placement *placement, const uint64_t *hashes,
                               const uint64_t root[2], loom_error *err);

#endif
