/* extent_writer.c - appending to an extent file: take a file, reserve at its tail, seal.
 *
 * Order (shm/SCHEMA.md, "Extents"): space is allocated, then the file's reserved tail is raised on disk, and only then
 * is the range handed out. So whoever takes the file next, after any crash, starts behind every range that was ever
 * passed on. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/platform_file.h"
#include "shm/store/extent_file.h"
#include "shm/store/row.h"
#include "shm/store/secret.h"

struct loom_extent_writer {
    loom_extents *extents;
    uint32_t number;
    int fd;
    uint64_t tail;      /* the next object begins here; a multiple of LOOM_PAGE_BYTES */
    uint64_t allocated; /* the file has space up to here; >= tail */
    uint64_t taken;     /* bytes of the open reservation, whole pages; 0 = none */
    uint64_t kept;      /* of these, from the beginning, those that a row owns already; <= taken */
    void *map;          /* its window, with what lies before it on a larger page */
    size_t map_bytes;
};

static loom_status check_process(const loom_extents *extents, loom_error *err) {
    if (!extents->options.writable)
        return loom_fail(err, LOOM_DENIED, "the store %s is open read-only; open it for writing",
                         extents->options.path);
    if (extents->generation != loom_fork_generation())
        return loom_fail(err, LOOM_UNSUPPORTED, "the store %s was opened before fork; open it again in the child",
                         extents->options.path);
    return LOOM_OK;
}

static bool in_memory(const loom_extents *extents) {
    return extents->options.dir_fd < 0;
}

/* Opens file `number`, whose lock is held. */
static loom_status open_locked(loom_extent_writer *writer, uint32_t number, loom_error *err) {
    LOOM_TRY(loom_extents_open_file(writer->extents, number, &writer->fd, err));
    loom_status status = loom_extents_tail(writer->extents, number, writer->fd, &writer->tail, err);
    struct stat now = {0};
    if (status == LOOM_OK && fstat(writer->fd, &now) != 0)
        status =
            loom_fail_errno(err, errno, "cannot stat extent file %08x of %s", number, writer->extents->options.path);
    if (status != LOOM_OK) {
        close(writer->fd);
        writer->fd = -1;
        return status;
    }
    uint64_t size = (uint64_t)now.st_size / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    writer->allocated = size > writer->tail ? size : writer->tail;
    writer->number = number;
    return LOOM_OK;
}

/* Failure to shorten costs space until the store is next opened alone, nothing else. */
static void give_back_unused(const loom_extent_writer *writer) {
    struct stat now;
    if (fstat(writer->fd, &now) == 0 && (uint64_t)now.st_size > writer->tail)
        (void)loom_file_resize(writer->fd, writer->tail);
}

static void let_go(loom_extent_writer *writer) {
    if (writer->fd < 0) return;
    if (!in_memory(writer->extents) && writer->extents->generation == loom_fork_generation()) give_back_unused(writer);
    close(writer->fd);
    writer->fd = -1;
    loom_extents_unlock(writer->extents, writer->number);
}

static bool is_full(const loom_extent_writer *writer) {
    return !in_memory(writer->extents) && writer->tail >= writer->extents->options.extent_bytes;
}

static loom_status take_memory(loom_extent_writer *writer, loom_error *err) {
    const loom_extents_options *options = &writer->extents->options;
    uint32_t number = options->memory_own, spare = number == 0 ? options->memory_spare : 0;
    loom_status status = loom_extents_lock(writer->extents, number, err);
    for (; status == LOOM_BUSY && spare > 0; spare--)
        status = loom_extents_lock(writer->extents, number = options->memory_count - spare, err);
    LOOM_TRY(status);
    status = open_locked(writer, number, err);
    if (status != LOOM_OK) loom_extents_unlock(writer->extents, number);
    return status;
}

/* Takes the first file from `number` on that is free and not full. */
static loom_status take_file(loom_extent_writer *writer, uint32_t number, loom_error *err) {
    const loom_extents_options *options = &writer->extents->options;
    if (in_memory(writer->extents)) return take_memory(writer, err);
    for (; number < UINT32_MAX; number++) {
        loom_status status = loom_extents_lock(writer->extents, number, NULL);
        if (status == LOOM_BUSY) continue;
        if (status != LOOM_OK)
            return loom_fail(err, status, "cannot lock extent file %08x of %s", number, options->path);
        status = open_locked(writer, number, err);
        if (status != LOOM_OK) {
            loom_extents_unlock(writer->extents, number);
            return status;
        }
        if (!is_full(writer)) return LOOM_OK;
        let_go(writer);
    }
    return loom_fail(err, LOOM_NO_SPACE, "the store %s has used every extent number", options->path);
}

loom_status loom_extent_writer_open(loom_extents *extents, loom_extent_writer **writer, loom_error *err) {
    *writer = NULL;
    LOOM_TRY(check_process(extents, err));
    loom_extent_writer *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening an extent file");
    made->extents = extents;
    made->fd = -1;
    loom_status status = take_file(made, 0, err);
    if (status != LOOM_OK) {
        free(made);
        return status;
    }
    *writer = made;
    return LOOM_OK;
}

static void unmap_window(loom_extent_writer *writer) {
    if (writer->map != NULL) munmap(writer->map, writer->map_bytes);
    writer->map = NULL;
}

void loom_extent_writer_close(loom_extent_writer *writer) {
    if (writer == NULL) return;
    if (writer->taken > 0) loom_extent_abandon(writer, NULL);
    let_go(writer);
    free(writer);
}

static loom_status no_space(const loom_extent_writer *writer, uint64_t bytes, int cause, loom_error *err) {
    const loom_extents_options *options = &writer->extents->options;
    if (cause == EFBIG)
        return loom_fail(
            err, LOOM_NO_SPACE,
            "extent file %08x of %s cannot grow by %llu bytes: the process's file size limit (ulimit -f) or "
            "the file system's is reached; raise it or lower store.extent_size",
            writer->number, options->path, (unsigned long long)bytes);
    struct statvfs disk = {0};
    if (cause != ENOSPC && cause != EDQUOT && cause != ENOMEM)
        return loom_fail_errno(err, cause, "cannot allocate %llu bytes in extent file %08x of %s",
                               (unsigned long long)bytes, writer->number, options->path);
    if (fstatvfs(writer->fd, &disk) != 0) disk = (struct statvfs){0};
    return loom_fail(err, LOOM_NO_SPACE,
                     "no space for %llu bytes in %s (%llu bytes free%s); free some or move the store (store.path)",
                     (unsigned long long)bytes, options->path,
                     (unsigned long long)disk.f_bavail * (unsigned long long)disk.f_frsize,
                     cause == EDQUOT ? ", quota exceeded" : "");
}

/* Makes sure that [tail, end) is allocated, a step ahead where there is room for it. */
static loom_status allocate_up_to(loom_extent_writer *writer, uint64_t end, loom_error *err) {
    if (end <= writer->allocated) return LOOM_OK;
    uint64_t ahead = writer->allocated + writer->extents->options.step_bytes;
    int refused = ENOSPC;
    if (!in_memory(writer->extents) && ahead > end) {
        refused = loom_file_allocate(writer->fd, writer->allocated, ahead - writer->allocated);
        if (refused == 0) writer->allocated = ahead;
    }
    if (refused != 0) {
        refused = loom_file_allocate(writer->fd, writer->allocated, end - writer->allocated);
        if (refused == 0) writer->allocated = end;
    }
    return refused == 0 ? LOOM_OK : no_space(writer, end - writer->tail, refused, err);
}

static loom_status map_reserved(loom_extent_writer *writer, uint64_t bytes, int protection, void **window,
                                loom_error *err) {
    uint64_t before = writer->tail % (uint64_t)sysconf(_SC_PAGESIZE);
    writer->map_bytes = (size_t)(bytes + before);
    uint8_t *map = mmap(NULL, writer->map_bytes, protection, MAP_SHARED, writer->fd, (off_t)(writer->tail - before));
    if (map == MAP_FAILED) {
        writer->map = NULL;
        return loom_fail_errno(err, errno, "cannot map %llu bytes of extent file %08x of %s", (unsigned long long)bytes,
                               writer->number, writer->extents->options.path);
    }
    if (writer->extents->options.memory_hidden) loom_memory_hide(map, writer->map_bytes);
    writer->map = map;
    *window = map + before;
    return LOOM_OK;
}

/* Goes on in the next free file when this one is closed to new objects. */
static loom_status roll_over(loom_extent_writer *writer, loom_error *err) {
    if (writer->fd >= 0 && !is_full(writer)) return LOOM_OK;
    let_go(writer);
    return take_file(writer, writer->number, err);
}

static uint64_t whole_pages(uint64_t bytes) {
    return (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
}

static loom_status check_size(uint64_t bytes, loom_error *err) {
    if (bytes == 0) return loom_fail(err, LOOM_BAD_ARGUMENT, "a reservation of no bytes");
    if (bytes > LOOM_BULK_BYTES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "an object of %llu bytes; the store holds at most %llu in one",
                         (unsigned long long)bytes, (unsigned long long)LOOM_BULK_BYTES_MAX);
    return LOOM_OK;
}

/* Allocates, then raises the reserved tail: see the top of this file. */
static loom_status take_up_to(loom_extent_writer *writer, uint64_t end, loom_error *err) {
    LOOM_TRY(allocate_up_to(writer, end, err));
    return loom_extents_set_reserved(writer->extents, writer->number, writer->fd, end, err);
}

loom_status loom_extent_reserve_tail(loom_extent_writer *writer, uint64_t bytes, loom_reservation *reservation,
                                     loom_error *err) {
    *reservation = (loom_reservation){.fd = -1};
    LOOM_TRY(check_process(writer->extents, err));
    LOOM_TRY(check_size(bytes, err));
    if (writer->taken > 0) return loom_fail(err, LOOM_BUSY, "this writer has a reservation; seal or abandon it first");
    LOOM_TRY(roll_over(writer, err));
    LOOM_TRY(take_up_to(writer, writer->tail + whole_pages(bytes), err));
    writer->taken = whole_pages(bytes);
    writer->kept = 0;
    reservation->placement = (loom_placement){.extent = writer->number, .offset = writer->tail, .bytes = bytes};
    reservation->fd = writer->fd;
    return LOOM_OK;
}

loom_status loom_extent_reserve(loom_extent_writer *writer, uint64_t bytes, bool window, loom_reservation *reservation,
                                loom_error *err) {
    LOOM_TRY(loom_extent_reserve_tail(writer, bytes, reservation, err));
    if (!window) return LOOM_OK;
    loom_status status = map_reserved(writer, bytes, PROT_READ | PROT_WRITE, &reservation->window, err);
    if (status != LOOM_OK) loom_extent_abandon(writer, reservation);
    return status;
}

static bool is_at_tail(const loom_extent_writer *writer, const loom_reservation *reservation) {
    return writer->taken > 0 && reservation->placement.extent == writer->number &&
           reservation->placement.offset == writer->tail;
}

loom_status loom_extent_extend(loom_extent_writer *writer, loom_reservation *reservation, uint64_t bytes,
                               loom_error *err) {
    LOOM_TRY(check_process(writer->extents, err));
    LOOM_TRY(check_size(bytes, err));
    if (!is_at_tail(writer, reservation) || reservation->window != NULL)
        return loom_fail(err, LOOM_UNSUPPORTED, "only a reservation at the tail of its file, without a window, grows");
    if (bytes < reservation->placement.bytes)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a reservation is not extended by making it shorter");
    uint64_t taken = whole_pages(bytes);
    if (taken > writer->taken) LOOM_TRY(take_up_to(writer, writer->tail + taken, err));
    writer->taken = taken;
    reservation->placement.bytes = bytes;
    return LOOM_OK;
}

void loom_extent_keep(loom_extent_writer *writer, const loom_reservation *reservation, uint64_t bytes) {
    if (is_at_tail(writer, reservation) && whole_pages(bytes) <= writer->taken) writer->kept = whole_pages(bytes);
}

static loom_status resume_locked(loom_extent_writer *writer, const loom_placement *placement, loom_error *err) {
    LOOM_TRY(open_locked(writer, placement->extent, err));
    uint64_t end = placement->offset + whole_pages(placement->bytes);
    if (writer->tail > end)
        return loom_fail(err, LOOM_BUSY, "another object lies behind the one at offset %llu of extent file %08x",
                         (unsigned long long)placement->offset, placement->extent);
    if (writer->tail < end || writer->allocated < end)
        return loom_fail(err, LOOM_CORRUPT, "extent file %08x ends before the object at offset %llu does",
                         placement->extent, (unsigned long long)placement->offset);
    writer->tail = placement->offset;
    writer->taken = writer->kept = end - placement->offset;
    return LOOM_OK;
}

loom_status loom_extent_resume(loom_extents *extents, const loom_placement *placement, loom_extent_writer **writer,
                               loom_reservation *reservation, loom_error *err) {
    *writer = NULL;
    *reservation = (loom_reservation){.fd = -1};
    LOOM_TRY(check_process(extents, err));
    LOOM_TRY(check_size(placement->bytes, err));
    if (placement->offset < LOOM_EXTENT_FIRST_OFFSET || placement->offset % LOOM_PAGE_BYTES != 0 ||
        placement->offset > INT64_MAX - LOOM_BULK_BYTES_MAX - LOOM_PAGE_BYTES)
        return loom_fail(err, LOOM_CORRUPT, "an object at offset %llu of an extent file cannot be",
                         (unsigned long long)placement->offset);
    LOOM_TRY(loom_extents_lock(extents, placement->extent, err));
    loom_extent_writer *made = calloc(1, sizeof *made);
    if (made == NULL) {
        loom_extents_unlock(extents, placement->extent);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening an extent file");
    }
    made->extents = extents;
    made->fd = -1;
    loom_status status = resume_locked(made, placement, err);
    if (status != LOOM_OK) {
        if (made->fd >= 0) close(made->fd);
        loom_extents_unlock(extents, placement->extent);
        free(made);
        return status;
    }
    reservation->placement = *placement;
    reservation->fd = made->fd;
    *writer = made;
    return LOOM_OK;
}

/* The object came out shorter than was reserved: the next one begins behind its last page. Only without a window: then
 * nothing was written there, and the pages stay allocated and zero. */
static void give_back_end(loom_extent_writer *writer, uint64_t bytes) {
    uint64_t used = (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    if (used < writer->taken &&
        loom_extents_set_reserved(writer->extents, writer->number, writer->fd, writer->tail + used, NULL) == LOOM_OK)
        writer->taken = used;
}

loom_status loom_extent_seal(loom_extent_writer *writer, loom_reservation *reservation, uint64_t *hashes,
                             uint64_t root[2], loom_error *err) {
    if (writer->taken == 0 || reservation->placement.extent != writer->number ||
        reservation->placement.offset != writer->tail || reservation->placement.bytes > writer->taken)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "sealed what this writer has not reserved");
    const void *bytes = reservation->window;
    if (bytes == NULL && hashes != NULL) {
        void *window = NULL;
        loom_status status = map_reserved(writer, reservation->placement.bytes, PROT_READ, &window, err);
        if (status != LOOM_OK) {
            loom_extent_abandon(writer, reservation);
            return status;
        }
        bytes = window;
    }
    if (hashes != NULL) loom_extent_hash(bytes, reservation->placement.bytes, hashes, root);
    if (reservation->window == NULL) give_back_end(writer, reservation->placement.bytes);
    unmap_window(writer);
    reservation->window = NULL;
    writer->tail += writer->taken;
    writer->taken = writer->kept = 0;
    return LOOM_OK;
}

/* The space is punched before it is offered again, so that the next reservation reads zeros there. */
void loom_extent_abandon(loom_extent_writer *writer, loom_reservation *reservation) {
    if (reservation != NULL) reservation->window = NULL;
    unmap_window(writer);
    if (writer->taken == 0) return;
    uint64_t begin = writer->tail + writer->kept, bytes = writer->taken - writer->kept;
    bool clean = bytes == 0 || loom_file_punch(writer->fd, begin, bytes) == 0;
    if (clean) {
        /* Allocated again by the next reservation. The reserved tail may stay high: it only bounds. */
        (void)loom_extents_set_reserved(writer->extents, writer->number, writer->fd, begin, NULL);
        writer->allocated = writer->tail = begin;
    } else {
        writer->tail += writer->taken;
    }
    writer->taken = writer->kept = 0;
}
