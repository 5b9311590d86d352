/* extent_writer.c - writing objects: take a file, reserve recycled space or space at the file's tail, seal.
 *
 * Order at the tail (shm/SCHEMA.md, "Extents"): space is counted in the budget and allocated, then the file's reserved
 * tail is raised on disk, and only then is the range handed out. So whoever takes the file next, after any crash,
 * starts behind every range that was ever passed on. Space behind the tail is always zero. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shm/extent/extent_file.h"
#include "shm/extent/extent_recycle.h"
#include "shm/extent/space.h"
#include "shm/fork.h"
#include "shm/index/row.h"
#include "shm/platform_file.h"
#include "shm/platform_huge.h"
#include "shm/probe.h"
#include "shm/seal/secret.h"

/* Smaller objects would leave gaps of more than a sixteenth, on average, between them. */
#define ALIGNED_BYTES_MIN (UINT64_C(16) << 20)

struct loom_extent_writer {
    loom_extents *extents;
    uint32_t number;
    int fd;
    uint64_t tail;      /* the next object begins here; a multiple of LOOM_PAGE_BYTES */
    uint64_t allocated; /* the file has space up to here; >= tail */
    uint64_t taken;     /* bytes of the open reservation, whole pages; 0 = none */
    uint64_t kept;      /* of these, from the beginning, those that a row owns already; <= taken */
    loom_lent recycled; /* where the open reservation lies if not at the tail; pages = 0: at the tail */
    int recycled_fd;    /* of the file in which the last recycled range lay; -1: none */
    uint32_t recycled_number;
    bool over_budget; /* why space was last refused: not the disk */
    void *map;        /* the reservation's window, with what lies before it on a larger page */
    size_t map_bytes;
};

/* Where the open reservation lies. */
static bool is_recycled(const loom_extent_writer *writer) {
    return writer->recycled.pages > 0;
}

static int range_fd(const loom_extent_writer *writer) {
    return is_recycled(writer) ? writer->recycled_fd : writer->fd;
}

static uint32_t range_number(const loom_extent_writer *writer) {
    return is_recycled(writer) ? writer->recycled.extent : writer->number;
}

static uint64_t range_offset(const loom_extent_writer *writer) {
    return is_recycled(writer) ? writer->recycled.page * LOOM_PAGE_BYTES : writer->tail;
}

/* Pins and lent ranges have 24 bits for the file's number. */
#define EXTENT_NUMBERS (UINT32_C(1) << 24)
/* Room that was made may be taken by another writer first. Each time that happens, that one goes on. */
#define ATTEMPTS 64

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

/* What a dead process left behind the tail need not be zero: it may have died when it had cut the tail and not yet the
 * file, or with the power. Where it cannot be cut, the tail is put behind it. */
static void cut_left_over(loom_extent_writer *writer, uint64_t size) {
    if (size <= writer->tail) return;
    if (loom_file_resize(writer->fd, writer->tail) == 0) {
        if (writer->extents->space != NULL) loom_space_uncharge(writer->extents->space, size - writer->tail);
        writer->allocated = writer->tail;
    } else {
        writer->tail = writer->allocated = (size + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    }
}

/* Opens file `number`, whose lock is held. */
static loom_status open_locked(loom_extent_writer *writer, uint32_t number, loom_error *err) {
    LOOM_TRY(loom_extents_open_file(writer->extents, number, &writer->fd, err));
    struct stat now = {0};
    bool is_new = fstat(writer->fd, &now) == 0 && now.st_size == 0;
    loom_status status = loom_extents_tail(writer->extents, number, writer->fd, &writer->tail, err);
    if (status == LOOM_OK && is_new && writer->extents->space != NULL)
        loom_space_count(writer->extents->space, LOOM_PAGE_BYTES); /* the header */
    if (status == LOOM_OK && fstat(writer->fd, &now) != 0)
        status =
            loom_fail_errno(err, errno, "cannot stat extent file %08x of %s", number, writer->extents->options.path);
    if (status != LOOM_OK) {
        close(writer->fd);
        writer->fd = -1;
        return status;
    }
    uint64_t size = (uint64_t)now.st_size / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    /* A file in memory may have holes behind its tail, where a writer died. */
    writer->allocated = size > writer->tail && !in_memory(writer->extents) ? size : writer->tail;
    writer->number = number;
    if (!in_memory(writer->extents)) cut_left_over(writer, (uint64_t)now.st_size);
    return LOOM_OK;
}

/* Failure to shorten costs space until the store is next opened alone, nothing else. */
static void give_back_unused(const loom_extent_writer *writer) {
    struct stat now;
    if (fstat(writer->fd, &now) != 0 || (uint64_t)now.st_size <= writer->tail) return;
    if (loom_file_resize(writer->fd, writer->tail) == 0 && writer->extents->space != NULL)
        loom_space_uncharge(writer->extents->space, (uint64_t)now.st_size - writer->tail);
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
    for (; number < EXTENT_NUMBERS; number++) {
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
    made->fd = made->recycled_fd = -1;
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
    if (writer->recycled_fd >= 0) close(writer->recycled_fd);
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

static bool charge(loom_extent_writer *writer, uint64_t bytes) {
    return writer->extents->space == NULL || loom_space_charge(writer->extents->space, bytes);
}

/* Counted first, so that no process allocates what the budget does not have; 0 or an errno. */
static int allocate_counted(loom_extent_writer *writer, uint64_t end) {
    uint64_t bytes = end - writer->allocated;
    writer->over_budget = !charge(writer, bytes);
    if (writer->over_budget) return ENOSPC;
    LOOM_PROBE("reserve:charged");
    int refused = in_memory(writer->extents) ? loom_memory_allocate(writer->fd, writer->allocated, bytes)
                                             : loom_file_allocate(writer->fd, writer->allocated, bytes);
    LOOM_PROBE("reserve:allocated");
    if (refused == 0)
        writer->allocated = end;
    else if (writer->extents->space != NULL)
        loom_space_uncharge(writer->extents->space, bytes);
    return refused;
}

/* Makes sure that [tail, end) is allocated, a step ahead where there is room for it. */
static loom_status allocate_up_to(loom_extent_writer *writer, uint64_t end, loom_error *err) {
    if (end <= writer->allocated) return LOOM_OK;
    uint64_t ahead = writer->allocated + writer->extents->options.step_bytes;
    int refused = ENOSPC;
    if (!in_memory(writer->extents) && ahead > end) refused = allocate_counted(writer, ahead);
    if (refused != 0) refused = allocate_counted(writer, end);
    return refused == 0 ? LOOM_OK : no_space(writer, end - writer->tail, refused, err);
}

static loom_status map_reserved(loom_extent_writer *writer, uint64_t bytes, int protection, void **window,
                                loom_error *err) {
    uint64_t offset = range_offset(writer), before = offset % (uint64_t)sysconf(_SC_PAGESIZE);
    writer->map_bytes = (size_t)(bytes + before);
    uint8_t *map = loom_extent_map(writer->extents, range_fd(writer), offset - before, writer->map_bytes, protection);
    if (map == NULL) {
        writer->map = NULL;
        return loom_fail_errno(err, errno, "cannot map %llu bytes of extent file %08x of %s", (unsigned long long)bytes,
                               range_number(writer), writer->extents->options.path);
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
static loom_status take_up_to_once(loom_extent_writer *writer, uint64_t end, loom_error *err) {
    LOOM_TRY(allocate_up_to(writer, end, err));
    LOOM_TRY(loom_extents_set_reserved(writer->extents, writer->number, writer->fd, end, err));
    LOOM_PROBE("reserve:raised");
    return LOOM_OK;
}

/* After a refusal: reclaims and evicts. A disk that is full has the refusal's own words; a budget has its own. */
static loom_status make_room(loom_extent_writer *writer, uint64_t bytes, bool at_tail, loom_status refusal,
                             loom_error *err) {
    loom_space *space = writer->extents->space;
    if (refusal != LOOM_NO_SPACE || space == NULL) return refusal;
    if (writer->over_budget) return loom_space_make_room(space, bytes, at_tail, false, err);
    return loom_space_make_room(space, bytes, at_tail, true, NULL) == LOOM_OK ? LOOM_OK : refusal;
}

static loom_status take_up_to(loom_extent_writer *writer, uint64_t end, loom_error *err) {
    loom_status status = take_up_to_once(writer, end, err);
    for (int i = 0; i < ATTEMPTS && status != LOOM_OK; i++) {
        LOOM_TRY(make_room(writer, end - writer->tail, true, status, err));
        status = take_up_to_once(writer, end, err);
    }
    if (status == LOOM_OK && err != NULL) loom_error_clear(err); /* what was refused at first is of no interest */
    return status;
}

static loom_status check_reservation(loom_extent_writer *writer, uint64_t bytes, loom_error *err) {
    LOOM_TRY(check_process(writer->extents, err));
    LOOM_TRY(check_size(bytes, err));
    if (writer->taken > 0) return loom_fail(err, LOOM_BUSY, "this writer has a reservation; seal or abandon it first");
    return LOOM_OK;
}

static void begin_reservation(loom_extent_writer *writer, uint64_t bytes, loom_reservation *reservation) {
    writer->taken = whole_pages(bytes);
    writer->kept = 0;
    reservation->placement =
        (loom_placement){.extent = range_number(writer), .offset = range_offset(writer), .bytes = bytes};
    reservation->fd = range_fd(writer);
}

/* In memory the pages that are left out are never there, or go. */
static void align_in_memory(loom_extent_writer *writer, uint64_t aligned) {
    uint64_t behind = writer->allocated < aligned ? writer->allocated : aligned;
    if (behind > writer->tail && loom_file_punch(writer->fd, writer->tail, behind - writer->tail) != 0) return;
    writer->tail = aligned;
    if (writer->allocated < aligned) writer->allocated = aligned;
}

/* A large object begins at a multiple of a huge page: what is then written there in pieces of that size stands in the
 * page cache as huge pages and is mapped as such, which makes a first look at it fifty times cheaper
 * (perf/ANALYSIS.md). What is left out is listed for smaller objects. Where space is short there is no such luxury. */
static void align_tail(loom_extent_writer *writer, uint64_t bytes) {
    loom_space *space = writer->extents->space;
    uint64_t aligned = (writer->tail + LOOM_HUGE_BYTES - 1) / LOOM_HUGE_BYTES * LOOM_HUGE_BYTES;
    if (in_memory(writer->extents) && bytes >= LOOM_HUGE_BYTES && loom_memory_has_huge())
        align_in_memory(writer, aligned);
    if (bytes < ALIGNED_BYTES_MIN || space == NULL || aligned == writer->tail) return;
    if (take_up_to_once(writer, aligned, NULL) != LOOM_OK) return;
    loom_lent gap = {.extent = writer->number,
                     .page = writer->tail / LOOM_PAGE_BYTES,
                     .pages = (aligned - writer->tail) / LOOM_PAGE_BYTES};
    writer->tail = aligned;
    loom_space_give_back(space, &gap);
}

loom_status loom_extent_reserve_tail(loom_extent_writer *writer, uint64_t bytes, loom_reservation *reservation,
                                     loom_error *err) {
    *reservation = (loom_reservation){.fd = -1};
    LOOM_TRY(check_reservation(writer, bytes, err));
    LOOM_TRY(roll_over(writer, err));
    align_tail(writer, bytes);
    LOOM_TRY(take_up_to(writer, writer->tail + whole_pages(bytes), err));
    begin_reservation(writer, bytes, reservation);
    return LOOM_OK;
}

/* ---- recycled space ---- */

static bool open_recycled(loom_extent_writer *writer, uint32_t number) {
    if (writer->recycled_fd >= 0 && writer->recycled_number == number) return true;
    if (writer->recycled_fd >= 0) close(writer->recycled_fd);
    writer->recycled_number = number;
    if (loom_extents_open_existing(writer->extents, number, &writer->recycled_fd, NULL) == LOOM_OK) return true;
    writer->recycled_fd = -1;
    return false;
}

/* Makes sure of the space: what is listed came through shared memory, and may be punched. */
static bool secure_recycled(loom_extent_writer *writer, loom_lent *range) {
    uint64_t offset = range->page * LOOM_PAGE_BYTES, bytes = range->pages * LOOM_PAGE_BYTES;
    struct stat now;
    if (!open_recycled(writer, range->extent) || fstat(writer->recycled_fd, &now) != 0 ||
        (uint64_t)now.st_size < bytes || (uint64_t)now.st_size - bytes < offset)
        return false; /* not a range of that file: nobody's, and not given back */
    if (range->punched && !charge(writer, bytes)) {
        loom_space_give_back(writer->extents->space, range);
        return false;
    }
    int refused = loom_file_allocate(writer->recycled_fd, offset, bytes);
    if (refused != 0) {
        if (range->punched) loom_space_uncharge(writer->extents->space, bytes);
        loom_space_give_back(writer->extents->space, range);
    }
    return refused == 0;
}

/* A range that nobody owns, allocated; its bytes are those of an object that is gone, unless *clean. */
static bool take_recycled(loom_extent_writer *writer, uint64_t pages, bool *clean) {
    loom_space *space = writer->extents->space;
    loom_lent range;
    if (space == NULL || !loom_space_borrow(space, pages, &range) || !secure_recycled(writer, &range)) return false;
    LOOM_PROBE("recycle:secured");
    *clean = range.punched;
    range.punched = false;
    writer->recycled = range;
    return true;
}

/* Recycled space if there is any, else at the tail. */
static loom_status take_any(loom_extent_writer *writer, uint64_t bytes, bool *clean, loom_error *err) {
    loom_status status = LOOM_NO_SPACE;
    for (int i = 0; i < ATTEMPTS; i++) {
        if (take_recycled(writer, whole_pages(bytes) / LOOM_PAGE_BYTES, clean)) return LOOM_OK;
        *clean = true;
        LOOM_TRY(roll_over(writer, err));
        align_tail(writer, bytes);
        status = take_up_to_once(writer, writer->tail + whole_pages(bytes), err);
        if (status == LOOM_OK) return status;
        LOOM_TRY(make_room(writer, whole_pages(bytes), false, status, err));
    }
    return status;
}

loom_status loom_extent_reserve(loom_extent_writer *writer, uint64_t bytes, unsigned how, loom_reservation *reservation,
                                loom_error *err) {
    bool clean = true;
    *reservation = (loom_reservation){.fd = -1};
    LOOM_TRY(check_reservation(writer, bytes, err));
    LOOM_TRY(take_any(writer, bytes, &clean, err));
    if (err != NULL) loom_error_clear(err); /* what was refused at first is of no interest */
    begin_reservation(writer, bytes, reservation);
    loom_status status = LOOM_OK;
    if (how & LOOM_RESERVE_WINDOW)
        status = map_reserved(writer, bytes, PROT_READ | PROT_WRITE, &reservation->window, err);
    if (status == LOOM_OK && !clean) status = loom_extent_prepare(writer->extents->options.path, reservation, how, err);
    LOOM_PROBE("reserve:ready");
    if (status != LOOM_OK) loom_extent_abandon(writer, reservation);
    return status;
}

static bool is_open(const loom_extent_writer *writer, const loom_reservation *reservation) {
    return writer->taken > 0 && reservation->placement.extent == range_number(writer) &&
           reservation->placement.offset == range_offset(writer);
}

static bool is_at_tail(const loom_extent_writer *writer, const loom_reservation *reservation) {
    return !is_recycled(writer) && is_open(writer, reservation);
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
    if (is_open(writer, reservation) && whole_pages(bytes) <= writer->taken) writer->kept = whole_pages(bytes);
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
    made->fd = made->recycled_fd = -1;
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

/* The object came out shorter than was reserved: what is behind its last page is given back. At the tail only without
 * a window: then nothing was written there, and the pages stay allocated and zero. */
static void give_back_end(loom_extent_writer *writer, uint64_t bytes) {
    uint64_t used = whole_pages(bytes);
    if (used >= writer->taken) return;
    if (is_recycled(writer)) {
        loom_lent rest = writer->recycled;
        rest.page += used / LOOM_PAGE_BYTES;
        rest.pages -= used / LOOM_PAGE_BYTES;
        loom_space_give_back(writer->extents->space, &rest);
        writer->recycled.pages = used / LOOM_PAGE_BYTES;
        writer->taken = used;
    } else if (loom_extents_set_reserved(writer->extents, writer->number, writer->fd, writer->tail + used, NULL) ==
               LOOM_OK) {
        writer->taken = used;
    }
}

/* The rest of the last page of recycled space may hold bytes of an object that is gone. */
static loom_status clear_padding(loom_extent_writer *writer, uint64_t bytes, loom_error *err) {
    static const uint8_t zeros[LOOM_PAGE_BYTES];
    uint64_t padding = whole_pages(bytes) - bytes;
    off_t at = (off_t)(range_offset(writer) + bytes);
    if (!is_recycled(writer)) return LOOM_OK;
    while (padding > 0) {
        ssize_t done = pwrite(writer->recycled_fd, zeros, (size_t)padding, at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            return loom_fail_errno(err, done < 0 ? errno : EIO, "cannot write extent file %08x of %s",
                                   range_number(writer), writer->extents->options.path);
        padding -= (uint64_t)done;
        at += done;
    }
    return LOOM_OK;
}

static loom_status hash_reserved(loom_extent_writer *writer, const loom_reservation *reservation, uint64_t *hashes,
                                 uint64_t root[2], loom_error *err) {
    void *window = reservation->window;
    if (reservation->hashed) {
        loom_extent_root(hashes, reservation->placement.bytes, root);
        return LOOM_OK;
    }
    if (window == NULL) LOOM_TRY(map_reserved(writer, reservation->placement.bytes, PROT_READ, &window, err));
    loom_extent_hash(window, reservation->placement.bytes, hashes, root);
    return LOOM_OK;
}

loom_status loom_extent_seal(loom_extent_writer *writer, loom_reservation *reservation, uint64_t *hashes,
                             uint64_t root[2], loom_error *err) {
    if (writer->taken == 0 || reservation->placement.extent != range_number(writer) ||
        reservation->placement.offset != range_offset(writer) || reservation->placement.bytes == 0 ||
        reservation->placement.bytes > writer->taken)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "sealed what this writer has not reserved");
    loom_status status = clear_padding(writer, reservation->placement.bytes, err);
    LOOM_PROBE("write:padded");
    if (status == LOOM_OK && hashes != NULL) status = hash_reserved(writer, reservation, hashes, root, err);
    LOOM_PROBE("write:hashed");
    if (status != LOOM_OK) {
        loom_extent_abandon(writer, reservation);
        return status;
    }
    if (reservation->window == NULL) give_back_end(writer, reservation->placement.bytes);
    unmap_window(writer);
    reservation->window = NULL;
    if (!is_recycled(writer)) writer->tail += writer->taken;
    writer->recycled = (loom_lent){0};
    writer->taken = writer->kept = 0;
    LOOM_PROBE("reserve:sealed");
    return LOOM_OK;
}

/* The space is punched before it is offered again, so that the next reservation reads zeros there. */
static void abandon_tail(loom_extent_writer *writer) {
    uint64_t begin = writer->tail + writer->kept, bytes = writer->taken - writer->kept;
    bool clean = bytes == 0 || loom_file_punch(writer->fd, begin, bytes) == 0;
    if (!clean) {
        writer->tail += writer->taken;
        return;
    }
    /* Allocated again by the next reservation. The reserved tail may stay high: it only bounds. */
    (void)loom_extents_set_reserved(writer->extents, writer->number, writer->fd, begin, NULL);
    /* What was allocated behind it is given back as well: from here on nothing is. */
    if (!in_memory(writer->extents) && loom_file_resize(writer->fd, begin) == 0 && writer->extents->space != NULL)
        loom_space_uncharge(writer->extents->space, writer->allocated - begin);
    writer->allocated = writer->tail = begin;
}

static void abandon_recycled(const loom_extent_writer *writer) {
    loom_lent rest = writer->recycled;
    rest.page += writer->kept / LOOM_PAGE_BYTES;
    rest.pages -= writer->kept / LOOM_PAGE_BYTES;
    if (rest.pages > 0) loom_space_give_back(writer->extents->space, &rest);
}

void loom_extent_abandon(loom_extent_writer *writer, loom_reservation *reservation) {
    if (reservation != NULL) reservation->window = NULL;
    unmap_window(writer);
    if (writer->taken == 0) return;
    if (!is_recycled(writer))
        abandon_tail(writer);
    else if (writer->extents->generation == loom_fork_generation())
        abandon_recycled(writer);
    writer->recycled = (loom_lent){0};
    writer->taken = writer->kept = 0;
}
