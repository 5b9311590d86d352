/* extent.c - reading bulk bytes: hashes, views, verification. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/extent/block_hash.h"
#include "shm/extent/extent_file.h"
#include "shm/seal/secret.h"
#include "shm/store/storage.h"

static uint64_t block_bytes(uint64_t length, size_t block) {
    uint64_t left = length - (uint64_t)block * LOOM_BLOCK_BYTES;
    return left < LOOM_BLOCK_BYTES ? left : LOOM_BLOCK_BYTES;
}

static uint64_t block_hash(const void *bytes, uint64_t length, size_t block) {
    return loom_block_hash((const uint8_t *)bytes + (uint64_t)block * LOOM_BLOCK_BYTES,
                           (size_t)block_bytes(length, block));
}

/* The length is the seed: objects whose last blocks hash alike but differ in length have different roots. */
static void root_of(const uint64_t *hashes, uint64_t length, uint64_t root[2]) {
    XXH128_hash_t hash = XXH3_128bits_withSeed(hashes, loom_extent_block_count(length) * sizeof *hashes, length);
    root[0] = hash.low64;
    root[1] = hash.high64;
}

void loom_extent_hash_blocks(const void *bytes, uint64_t length, size_t first, size_t count, uint64_t *hashes) {
    for (size_t i = first; i < first + count; i++)
        hashes[i] = block_hash(bytes, length, i);
}

void loom_extent_root(const uint64_t *hashes, uint64_t length, uint64_t root[2]) {
    root_of(hashes, length, root);
}

void loom_extent_hash(const void *bytes, uint64_t length, uint64_t *hashes, uint64_t root[2]) {
    loom_extent_hash_blocks(bytes, length, 0, loom_extent_block_count(length), hashes);
    root_of(hashes, length, root);
}

/* ---- views ---- */

static int open_for_reading(const loom_extents *extents, uint32_t number) {
    char name[LOOM_EXTENT_NAME_BYTES];
    loom_extent_name(number, name);
    return openat(extents->options.dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* The lock must be held while the descriptor is used: another thread may replace the cache entry. */
static int cached_fd(loom_extents *extents, uint32_t number) {
    if (extents->options.dir_fd < 0) {
        if (number < extents->options.memory_count) return extents->options.memory_fds[number];
        errno = ENOENT;
        return -1;
    }
    size_t slot = number % LOOM_EXTENT_CACHE;
    if (extents->cache[slot].fd >= 0 && extents->cache[slot].number == number) return extents->cache[slot].fd;
    int fd = open_for_reading(extents, number);
    if (fd < 0) return -1;
    if (extents->cache[slot].fd >= 0) close(extents->cache[slot].fd);
    extents->cache[slot].fd = fd;
    extents->cache[slot].number = number;
    return fd;
}

static loom_status map_range(const loom_extents *extents, int fd, const loom_placement *placement, int protection,
                             loom_view *view, loom_error *err) {
    const char *path = extents->options.path;
    struct stat now;
    if (fstat(fd, &now) != 0)
        return loom_fail_errno(err, errno, "cannot stat extent file %08x of %s", placement->extent, path);
    uint64_t size = (uint64_t)now.st_size;
    if (placement->offset < LOOM_EXTENT_FIRST_OFFSET || placement->offset % LOOM_PAGE_BYTES != 0 ||
        placement->offset > size || placement->bytes > size - placement->offset || placement->bytes > SIZE_MAX / 2)
        return loom_fail(err, LOOM_CORRUPT,
                         "extent file %08x of %s ends at %llu, before the object at %llu (%llu bytes)",
                         placement->extent, path, (unsigned long long)size, (unsigned long long)placement->offset,
                         (unsigned long long)placement->bytes);
    /* Where pages are larger than ours, the object may begin inside one. */
    uint64_t before = placement->offset % (uint64_t)sysconf(_SC_PAGESIZE);
    size_t map_bytes = (size_t)(placement->bytes + before);
    uint8_t *map = loom_extent_map(extents, fd, placement->offset - before, map_bytes, protection);
    if (map == NULL)
        return loom_fail_errno(err, errno, "cannot map %zu bytes of extent file %08x of %s", map_bytes,
                               placement->extent, path);
    if (extents->options.memory_hidden) loom_memory_hide(map, map_bytes);
    *view = (loom_view){.bytes = map + before,
                        .length = placement->bytes,
                        .extent = placement->extent,
                        .offset = placement->offset,
                        .map = map,
                        .map_bytes = map_bytes};
    return LOOM_OK;
}

static loom_status map_object(loom_extents *extents, const loom_placement *placement, loom_view *view,
                              loom_error *err) {
    const char *path = extents->options.path;
    int fd = cached_fd(extents, placement->extent);
    if (fd < 0 && errno == ENOENT)
        return loom_fail(err, LOOM_CORRUPT, "extent file %08x of %s is missing", placement->extent, path);
    if (fd < 0) return loom_fail_errno(err, errno, "cannot open extent file %08x of %s", placement->extent, path);
    return map_range(extents, fd, placement, PROT_READ, view, err);
}

loom_status loom_extent_share(loom_extents *extents, const loom_placement *placement, loom_view *view, void **window,
                              loom_error *err) {
    int fd;
    *view = (loom_view){0};
    *window = NULL;
    if (!extents->options.writable)
        return loom_fail(err, LOOM_DENIED, "the store %s is open read-only; open it for writing",
                         extents->options.path);
    LOOM_TRY(loom_extents_open_existing(extents, placement->extent, &fd, err));
    loom_status status = map_range(extents, fd, placement, PROT_READ | PROT_WRITE, view, err);
    close(fd);
    if (status == LOOM_OK) *window = (uint8_t *)view->map + (view->map_bytes - view->length);
    return status;
}

/* A fault maps the cached pages around it, all within an aligned 64 KiB, where MADV_POPULATE_READ maps one after the
 * other: 1 MiB mapped, read and unmapped in 81 us instead of 112. From LARGE_BYTES on objects lie so that huge pages
 * can map them: the kernel maps these faster in one call. Advice only: pages that do not come now come on use. */
#define FAULT_BYTES ((uintptr_t)65536)
#define LARGE_BYTES ((size_t)16 << 20)

static void touch(const loom_view *view) {
    const volatile uint8_t *first = view->map;
    uintptr_t into = (uintptr_t)first % FAULT_BYTES;
    for (size_t at = 0; at < view->map_bytes; at += FAULT_BYTES - (at == 0 ? into : 0))
        (void)first[at];
}

#ifdef MADV_POPULATE_READ
/* Whether all pages are in memory: then reading them cannot fail. */
static bool is_resident(const loom_view *view) {
    unsigned char pages[LARGE_BYTES / LOOM_PAGE_BYTES + 1];
    if (mincore(view->map, view->map_bytes, pages) != 0) return false;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), count = (view->map_bytes + page_bytes - 1) / page_bytes;
    for (size_t i = 0; i < count; i++)
        if (!(pages[i] & 1)) return false;
    return true;
}

/* False if the bytes cannot be read: the disk fails, or the file was cut off meanwhile. Who touched them would get a
 * SIGBUS. */
static bool bring_in(const loom_view *view) {
    if (view->map_bytes < LARGE_BYTES && is_resident(view)) {
        touch(view);
        return true;
    }
    if (madvise(view->map, view->map_bytes, MADV_POPULATE_READ) == 0) return true;
    if (errno == EFAULT || errno == EHWPOISON || errno == EIO) return false;
    (void)madvise(view->map, view->map_bytes, MADV_WILLNEED); /* an older kernel */
    return true;
}
#else
static bool bring_in(const loom_view *view) {
    if (view->map_bytes < LARGE_BYTES)
        touch(view);
    else
        (void)madvise(view->map, view->map_bytes, MADV_WILLNEED);
    return true;
}
#endif

loom_status loom_extent_view(loom_extents *extents, const loom_placement *placement, bool populate, loom_view *view,
                             loom_error *err) {
    *view = (loom_view){0};
    if (placement->bytes == 0) return LOOM_OK;
    pthread_mutex_lock(&extents->lock);
    loom_status status = map_object(extents, placement, view, err);
    pthread_mutex_unlock(&extents->lock);
    if (status != LOOM_OK || !populate || bring_in(view)) return status; /* outside the lock: may wait for the disk */
    loom_extent_release(view);
    return loom_fail(err, LOOM_CORRUPT,
                     "cannot read %llu bytes at offset %llu of extent file %08x of %s: the disk fails",
                     (unsigned long long)placement->bytes, (unsigned long long)placement->offset, placement->extent,
                     extents->options.path);
}

void loom_extent_release(loom_view *view) {
    if (view == NULL || view->map == NULL) return;
    munmap(view->map, view->map_bytes);
    if (view->held_by != NULL) loom_store_unhold(view->held_by, &(loom_hold){.pin = view->pin});
    *view = (loom_view){0};
}

loom_status loom_extent_verify(const loom_view *view, const loom_placement *placement, const uint64_t *hashes,
                               const uint64_t root[2], loom_error *err) {
    if (view->length != placement->bytes)
        return loom_fail(err, LOOM_CORRUPT, "a view of %llu bytes does not show an object of %llu",
                         (unsigned long long)view->length, (unsigned long long)placement->bytes);
    if (placement->bytes == 0) return LOOM_OK;
    uint64_t expected[2];
    root_of(hashes, placement->bytes, expected);
    if (expected[0] != root[0] || expected[1] != root[1])
        return loom_fail(err, LOOM_CORRUPT, "the block hashes of the object at %08x:%llu do not match their root",
                         placement->extent, (unsigned long long)placement->offset);
    size_t count = loom_extent_block_count(placement->bytes);
    for (size_t i = 0; i < count; i++)
        if (block_hash(view->bytes, view->length, i) != hashes[i])
            return loom_fail(err, LOOM_CORRUPT,
                             "block %zu of %zu of the object at offset %llu of extent file %08x does "
                             "not match its hash",
                             i, count, (unsigned long long)placement->offset, placement->extent);
    return LOOM_OK;
}
