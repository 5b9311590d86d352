/* sink.c - delivers voxels in pieces through the ring's tiles or into memory, or opens a window on the whole range. */
#include "io/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/seal/secret.h"

#define TILE_BYTES_DEFAULT ((size_t)256 << 10)
#define TILES 4u

static loom_status check_target(const loom_volume_sink *target, uint64_t bytes, loom_error *err) {
    bool missing = target->fd >= 0 ? target->ring == NULL : target->memory == NULL;
    if (missing || bytes == 0)
        return loom_fail(err, LOOM_INTERNAL, "a volume was to be loaded without a place to put it");
    if (bytes > SIZE_MAX / 2 || (target->fd >= 0 && (target->offset > INT64_MAX || bytes > INT64_MAX - target->offset)))
        return loom_fail(err, LOOM_TOO_LARGE, "%llu bytes of voxels are more than this machine can address",
                         (unsigned long long)bytes);
    return LOOM_OK;
}

loom_status loom_sink_open(const loom_volume_sink *target, uint64_t bytes, loom_sink *sink, loom_error *err) {
    *sink = (loom_sink){.memory = target->memory, .left = bytes};
    LOOM_TRY(check_target(target, bytes, err));
    sink->piece = target->tile_bytes ? target->tile_bytes : TILE_BYTES_DEFAULT;
    if (target->fd < 0) return LOOM_OK;
    return loom_tiles_open(target->ring, target->fd, target->offset, bytes, sink->piece, TILES, &sink->tiles, err);
}

loom_status loom_sink_next(loom_sink *sink, void **piece, size_t *capacity, loom_error *err) {
    if (sink->tiles) return loom_tiles_next(sink->tiles, piece, capacity, err);
    *capacity = sink->left < sink->piece ? (size_t)sink->left : sink->piece;
    *piece = *capacity > 0 ? sink->memory : NULL;
    return LOOM_OK;
}

loom_status loom_sink_put(loom_sink *sink, size_t used, loom_error *err) {
    if (sink->tiles) return loom_tiles_put(sink->tiles, used, err);
    if (used > sink->left) return loom_fail(err, LOOM_INTERNAL, "more voxels were delivered than the image has");
    sink->memory += used;
    sink->left -= used;
    return LOOM_OK;
}

loom_status loom_sink_append(loom_sink *sink, const void *bytes, size_t length, loom_error *err) {
    const unsigned char *from = bytes;
    while (length > 0) {
        if (sink->open_free == 0) {
            void *next;
            LOOM_TRY(loom_sink_next(sink, &next, &sink->open_bytes, err));
            if (sink->open_bytes == 0)
                return loom_fail(err, LOOM_INTERNAL, "more voxels were delivered than the image has");
            sink->open_piece = next;
            sink->open_free = sink->open_bytes;
        }
        size_t portion = length < sink->open_free ? length : sink->open_free;
        memcpy(sink->open_piece, from, portion);
        sink->open_piece += portion;
        sink->open_free -= portion;
        from += portion;
        length -= portion;
        if (sink->open_free == 0) LOOM_TRY(loom_sink_put(sink, sink->open_bytes, err));
    }
    return LOOM_OK;
}

loom_status loom_sink_close(loom_sink *sink, loom_error *err) {
    if (sink->tiles) return loom_tiles_close(sink->tiles, err);
    if (sink->left > 0) return loom_fail(err, LOOM_INTERNAL, "fewer voxels were delivered than the image has");
    return LOOM_OK;
}

void loom_sink_abort(loom_sink *sink) {
    loom_tiles_abort(sink->tiles);
}

loom_status loom_sink_window_open(const loom_volume_sink *target, uint64_t bytes, loom_sink_window *window,
                                  loom_error *err) {
    *window = (loom_sink_window){.bytes = target->memory};
    LOOM_TRY(check_target(target, bytes, err));
    if (target->fd < 0) return LOOM_OK;
    window->bytes = NULL;
    int error = posix_fallocate(target->fd, (off_t)target->offset, (off_t)bytes);
    if (error != 0) return loom_fail_errno(err, error, "no space for %llu bytes of voxels", (unsigned long long)bytes);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = target->offset - target->offset % page;
    window->map_bytes = (size_t)(bytes + (target->offset - start));
    window->map = mmap(NULL, window->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, target->fd, (off_t)start);
    if (window->map == MAP_FAILED) {
        window->map = NULL;
        return loom_fail_errno(err, errno, "%llu bytes of voxels cannot be mapped", (unsigned long long)bytes);
    }
    loom_memory_hide(window->map, window->map_bytes); /* voxels have no place in a core dump, whoever's they are */
    window->bytes = (unsigned char *)window->map + (target->offset - start);
    return LOOM_OK;
}

void loom_sink_window_close(loom_sink_window *window) {
    if (window->map) munmap(window->map, window->map_bytes);
    window->map = NULL;
}
