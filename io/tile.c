/* tile.c - a stream into one reserved object: a few cache-sized buffers go round between the producer and the ring. */
#include "io/tile.h"

#include <stdlib.h>

#define TILE_BYTES_MIN ((size_t)64 << 10)
#define TILE_BYTES_MAX ((size_t)4 << 20)
#define TILES_MIN 2u
#define TILES_MAX 16u
#define ALIGNMENT 4096u
#define NO_TILE UINT32_MAX

struct loom_tiles {
    loom_ring *ring;
    int fd;
    uint64_t offset; /* of the next put */
    uint64_t left;   /* bytes not yet put */
    size_t tile_bytes;
    unsigned count;
    unsigned given;     /* the tile in the caller's hands, or NO_TILE */
    uint32_t free_set;  /* bit i: tile i is neither given nor being written */
    loom_status failed; /* of an earlier write; sticky */
    unsigned char *memory;
};

loom_status loom_tiles_open(loom_ring *ring, int fd, uint64_t offset, uint64_t bytes_total, size_t tile_bytes,
                            unsigned count, loom_tiles **tiles, loom_error *err) {
    *tiles = NULL;
    if (tile_bytes < TILE_BYTES_MIN || tile_bytes > TILE_BYTES_MAX || tile_bytes % ALIGNMENT != 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a tile of %zu bytes; use a multiple of 4096 from 64 KiB to 4 MiB",
                         tile_bytes);
    if (count < TILES_MIN || count > TILES_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "%u tiles; use %u to %u", count, TILES_MIN, TILES_MAX);
    if (offset > INT64_MAX || bytes_total > (uint64_t)INT64_MAX - offset)
        return loom_fail(err, LOOM_TOO_LARGE, "%llu bytes at offset %llu are more than a file can hold",
                         (unsigned long long)bytes_total, (unsigned long long)offset);
    /* Answers to somebody else's writes must not be taken for tiles. */
    LOOM_TRY(loom_ring_drain(ring, err));
    loom_tiles *made = calloc(1, sizeof *made);
    unsigned char *memory = made ? aligned_alloc(ALIGNMENT, tile_bytes * count) : NULL;
    if (!memory) {
        free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory for %u tiles of %zu bytes", count, tile_bytes);
    }
    *made = (loom_tiles){.ring = ring,
                         .fd = fd,
                         .offset = offset,
                         .left = bytes_total,
                         .tile_bytes = tile_bytes,
                         .count = count,
                         .given = NO_TILE,
                         .free_set = (1u << count) - 1u,
                         .memory = memory};
    *tiles = made;
    return LOOM_OK;
}

static loom_status fail_once(loom_tiles *tiles, loom_status status) {
    if (status != LOOM_OK) tiles->failed = status;
    return status;
}

/* Waits for one write and takes its tile back. */
static loom_status reclaim(loom_tiles *tiles, loom_error *err) {
    uint64_t token = 0;
    LOOM_TRY(fail_once(tiles, loom_ring_wait(tiles->ring, &token, err)));
    if (token >= tiles->count)
        return fail_once(tiles, loom_fail(err, LOOM_INTERNAL, "the ring of a tile stream was used by another"));
    tiles->free_set |= 1u << token;
    return LOOM_OK;
}

static loom_status refuse_if_failed(const loom_tiles *tiles, loom_error *err) {
    if (tiles->failed == LOOM_OK) return LOOM_OK;
    return loom_fail(err, tiles->failed, "an earlier write of this stream failed");
}

static size_t next_capacity(const loom_tiles *tiles) {
    return tiles->left < tiles->tile_bytes ? (size_t)tiles->left : tiles->tile_bytes;
}

loom_status loom_tiles_next(loom_tiles *tiles, void **buffer, size_t *capacity, loom_error *err) {
    *buffer = NULL;
    *capacity = 0;
    LOOM_TRY(refuse_if_failed(tiles, err));
    if (tiles->given != NO_TILE)
        return loom_fail(err, LOOM_INTERNAL, "a second tile was asked for before the first was put");
    if (tiles->left == 0) return LOOM_OK;
    while (tiles->free_set == 0)
        LOOM_TRY(reclaim(tiles, err));
    tiles->given = (unsigned)__builtin_ctz(tiles->free_set);
    tiles->free_set &= ~(1u << tiles->given);
    *buffer = tiles->memory + (size_t)tiles->given * tiles->tile_bytes;
    *capacity = next_capacity(tiles);
    return LOOM_OK;
}

loom_status loom_tiles_put(loom_tiles *tiles, size_t used, loom_error *err) {
    if (tiles->given == NO_TILE || used == 0 || used > next_capacity(tiles))
        return fail_once(tiles,
                         loom_fail(err, LOOM_INTERNAL, "%zu bytes were put into a tile that was not given", used));
    unsigned tile = tiles->given;
    tiles->given = NO_TILE;
    LOOM_TRY(fail_once(tiles, loom_ring_write(tiles->ring, tiles->fd, tiles->memory + (size_t)tile * tiles->tile_bytes,
                                              used, tiles->offset, tile, err)));
    tiles->offset += used;
    tiles->left -= used;
    return LOOM_OK;
}

static void release(loom_tiles *tiles) {
    free(tiles->memory);
    free(tiles);
}

loom_status loom_tiles_close(loom_tiles *tiles, loom_error *err) {
    /* Drained even after a failure: the kernel may still be reading the tiles. An earlier message is the better one. */
    loom_status failed = tiles->failed;
    loom_status status = loom_ring_drain(tiles->ring, failed == LOOM_OK ? err : NULL);
    if (failed != LOOM_OK) {
        status = loom_fail(err, failed, "an earlier write of this stream failed");
    } else if (status == LOOM_OK && tiles->left > 0) {
        status =
            loom_fail(err, LOOM_INTERNAL, "%llu bytes of a stream were never put", (unsigned long long)tiles->left);
    }
    release(tiles);
    return status;
}

void loom_tiles_abort(loom_tiles *tiles) {
    if (!tiles) return;
    (void)loom_ring_drain(tiles->ring, NULL);
    release(tiles);
}
