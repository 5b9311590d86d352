/* extent_file.c - the extent files of a store as one process sees them: opening, header pages, who may append, cutting
 * and punching. Appending is in extent_writer.c, reading in extent.c. */
#include "shm/extent/extent_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/platform_file.h"
#include "shm/platform_huge.h"

loom_status loom_extents_new(const loom_extents_options *options, loom_extents **extents, loom_error *err) {
    *extents = NULL;
    loom_extents *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the store");
    made->options = *options;
    made->generation = loom_fork_generation();
    pthread_mutex_init(&made->lock, NULL);
    for (size_t i = 0; i < LOOM_EXTENT_CACHE; i++)
        made->cache[i].fd = -1;
    *extents = made;
    return LOOM_OK;
}

void loom_extents_free(loom_extents *extents) {
    if (extents == NULL) return;
    for (size_t i = 0; i < LOOM_EXTENT_CACHE; i++)
        if (extents->cache[i].fd >= 0) close(extents->cache[i].fd);
    free(extents->busy);
    pthread_mutex_destroy(&extents->lock);
    free(extents);
}

static bool in_memory(const loom_extents *extents) {
    return extents->options.dir_fd < 0;
}

void loom_extent_name(uint32_t number, char name[LOOM_EXTENT_NAME_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 8; i++)
        name[i] = digits[number >> (28 - 4 * i) & 15];
    memcpy(name + 8, ".ext", 5);
}

/* ---- who may append ---- */

static bool is_busy(const loom_extents *extents, uint32_t number) {
    for (size_t i = 0; i < extents->busy_count; i++)
        if (extents->busy[i] == number) return true;
    return false;
}

static bool reserve_busy_entry(loom_extents *extents) {
    if (extents->busy_count < extents->busy_capacity) return true;
    size_t capacity = extents->busy_capacity == 0 ? 8 : 2 * extents->busy_capacity;
    uint32_t *grown = realloc(extents->busy, capacity * sizeof *grown);
    if (grown == NULL) return false;
    extents->busy = grown;
    extents->busy_capacity = capacity;
    return true;
}

static loom_status lock_locked(loom_extents *extents, uint32_t number, loom_error *err) {
    if (is_busy(extents, number)) return loom_fail(err, LOOM_BUSY, "extent file %08x has a writer", number);
    if (!reserve_busy_entry(extents))
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while taking an extent file");
    if (!in_memory(extents)) {
        int result = loom_file_lock(extents->options.lock_fd, LOOM_EXTENT_LOCK_BYTE + number, 1, true);
        if (result == EAGAIN) return loom_fail(err, LOOM_BUSY, "extent file %08x has a writer", number);
        if (result)
            return loom_fail_errno(err, result, "cannot lock extent file %08x of %s", number, extents->options.path);
    }
    extents->busy[extents->busy_count++] = number;
    return LOOM_OK;
}

loom_status loom_extents_lock(loom_extents *extents, uint32_t number, loom_error *err) {
    pthread_mutex_lock(&extents->lock);
    loom_status status = lock_locked(extents, number, err);
    pthread_mutex_unlock(&extents->lock);
    return status;
}

void loom_extents_unlock(loom_extents *extents, uint32_t number) {
    pthread_mutex_lock(&extents->lock);
    for (size_t i = 0; i < extents->busy_count; i++) {
        if (extents->busy[i] != number) continue;
        extents->busy[i] = extents->busy[--extents->busy_count];
        if (!in_memory(extents) && extents->generation == loom_fork_generation())
            loom_file_unlock(extents->options.lock_fd, LOOM_EXTENT_LOCK_BYTE + number, 1);
        break;
    }
    pthread_mutex_unlock(&extents->lock);
}

/* ---- the header page ---- */

loom_status loom_extents_open_file(loom_extents *extents, uint32_t number, int *fd, loom_error *err) {
    if (in_memory(extents)) {
        if (number >= extents->options.memory_count)
            return loom_fail(err, LOOM_NO_SPACE, "the store in memory has no extent %u; raise memory_writers", number);
        *fd = fcntl(extents->options.memory_fds[number], F_DUPFD_CLOEXEC, 0);
    } else {
        char name[LOOM_EXTENT_NAME_BYTES];
        loom_extent_name(number, name);
        *fd = openat(extents->options.dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (*fd < 0)
        return loom_fail_errno(err, errno, "cannot open extent file %08x of %s", number, extents->options.path);
    return LOOM_OK;
}

static bool write_all(int fd, const void *bytes, size_t length, off_t offset) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = pwrite(fd, at, length, offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            if (done == 0) errno = EIO;
            return false;
        }
        at += done;
        offset += done;
        length -= (size_t)done;
    }
    return true;
}

static loom_status write_header(const loom_extents *extents, uint32_t number, int fd, uint64_t tail, loom_error *err) {
    union {
        loom_extent_header header;
        uint8_t bytes[LOOM_PAGE_BYTES];
    } page;
    memset(&page, 0, sizeof page);
    page.header = (loom_extent_header){
        .magic = LOOM_EXTENT_MAGIC, .version = LOOM_EXTENT_VERSION, .number = number, .reserved_tail = tail};
    memcpy(page.header.uuid, extents->options.uuid, sizeof page.header.uuid);
    int refused = loom_file_allocate(fd, 0, sizeof page);
    if (refused == 0 && !write_all(fd, &page, sizeof page, 0)) refused = errno;
    if (refused == EFBIG) refused = ENOSPC;
    if (refused)
        return loom_fail_errno(err, refused, "cannot write extent file %08x of %s", number, extents->options.path);
    return LOOM_OK;
}

static bool header_is_ours(const loom_extents *extents, uint32_t number, const loom_extent_header *header) {
    return header->magic == LOOM_EXTENT_MAGIC && header->version == LOOM_EXTENT_VERSION && header->number == number &&
           memcmp(header->uuid, extents->options.uuid, sizeof header->uuid) == 0 &&
           header->reserved_tail % LOOM_PAGE_BYTES == 0 && header->reserved_tail <= INT64_MAX - LOOM_PAGE_BYTES;
}

static uint64_t page_up(uint64_t bytes) {
    return (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
}

loom_status loom_extents_tail(loom_extents *extents, uint32_t number, int fd, uint64_t *tail, loom_error *err) {
    uint64_t committed = 0;
    if (extents->options.committed_tail != NULL)
        LOOM_TRY(extents->options.committed_tail(extents->options.context, number, &committed, err));
    if (committed < LOOM_EXTENT_FIRST_OFFSET) committed = LOOM_EXTENT_FIRST_OFFSET;
    loom_extent_header header = {0};
    ssize_t got;
    do {
        got = pread(fd, &header, sizeof header, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return loom_fail_errno(err, errno, "cannot read extent file %08x of %s", number, extents->options.path);
    if (got == (ssize_t)sizeof header && header_is_ours(extents, number, &header)) {
        *tail = header.reserved_tail > committed ? header.reserved_tail : committed;
        return LOOM_OK;
    }
    /* New, or its header was lost with the power: nothing below its end may be handed out again. */
    struct stat now;
    if (fstat(fd, &now) != 0)
        return loom_fail_errno(err, errno, "cannot stat extent file %08x of %s", number, extents->options.path);
    uint64_t end = page_up((uint64_t)now.st_size);
    *tail = end > committed ? end : committed;
    return write_header(extents, number, fd, *tail, err);
}

loom_status loom_extents_set_reserved(loom_extents *extents, uint32_t number, int fd, uint64_t tail, loom_error *err) {
    if (write_all(fd, &tail, sizeof tail, offsetof(loom_extent_header, reserved_tail))) return LOOM_OK;
    return loom_fail_errno(err, errno, "cannot write extent file %08x of %s", number, extents->options.path);
}

void *loom_extent_map(const loom_extents *extents, int fd, uint64_t offset, size_t length, int protection) {
    if (in_memory(extents)) return loom_memory_map(fd, offset, length, protection);
    void *map = mmap(NULL, length, protection, MAP_SHARED, fd, (off_t)offset);
    return map == MAP_FAILED ? NULL : map;
}

/* ---- upkeep ---- */

static loom_status open_existing(const loom_extents *extents, uint32_t number, int flags, int *fd, loom_error *err) {
    if (in_memory(extents) && number >= extents->options.memory_count)
        return loom_fail(err, LOOM_CORRUPT, "the store in memory has no extent %u", number);
    if (in_memory(extents)) {
        *fd = fcntl(extents->options.memory_fds[number], F_DUPFD_CLOEXEC, 0);
        if (*fd >= 0) return LOOM_OK;
        return loom_fail_errno(err, errno, "cannot open extent file %08x of %s", number, extents->options.path);
    }
    char name[LOOM_EXTENT_NAME_BYTES];
    loom_extent_name(number, name);
    *fd = openat(extents->options.dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW);
    if (*fd >= 0) return LOOM_OK;
    return loom_fail_errno(err, errno, "cannot open extent file %08x of %s", number, extents->options.path);
}

loom_status loom_extents_open_existing(loom_extents *extents, uint32_t number, int *fd, loom_error *err) {
    return open_existing(extents, number, O_RDWR, fd, err);
}

bool loom_extents_have_writers(loom_extents *extents) {
    pthread_mutex_lock(&extents->lock);
    bool any = extents->busy_count > 0;
    pthread_mutex_unlock(&extents->lock);
    return any;
}

loom_status loom_extents_sync(loom_extents *extents, uint32_t number, loom_error *err) {
    if (in_memory(extents)) return LOOM_OK;
    int fd;
    LOOM_TRY(open_existing(extents, number, O_RDONLY, &fd, err));
    int failed = fdatasync(fd) != 0 || fsync(extents->options.dir_fd) != 0 ? errno : 0;
    close(fd);
    if (failed)
        return loom_fail_errno(err, failed, "cannot sync extent file %08x of %s", number, extents->options.path);
    return LOOM_OK;
}

static loom_status cut_file(loom_extents *extents, uint32_t number, loom_error *err) {
    uint64_t tail = 0;
    LOOM_TRY(extents->options.committed_tail(extents->options.context, number, &tail, err));
    if (tail < LOOM_EXTENT_FIRST_OFFSET) tail = LOOM_EXTENT_FIRST_OFFSET;
    int fd;
    LOOM_TRY(open_existing(extents, number, O_RDWR, &fd, err));
    struct stat now;
    int failed = fstat(fd, &now) != 0 ? errno : 0;
    if (failed == 0 && (uint64_t)now.st_size > tail) failed = loom_file_resize(fd, tail);
    loom_status status = failed ? loom_fail_errno(err, failed, "cannot cut extent file %08x of %s to its last result",
                                                  number, extents->options.path)
                                : write_header(extents, number, fd, tail, err);
    close(fd);
    return status;
}

static bool is_whole(const loom_extents *extents, const char *name, uint64_t tail) {
    struct stat now;
    return fstatat(extents->options.dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)now.st_size >= tail;
}

loom_status loom_extents_complete(loom_extents *extents, uint32_t number, uint64_t tail, loom_error *err) {
    char name[LOOM_EXTENT_NAME_BYTES];
    struct stat now;
    loom_extent_name(number, name);
    if (tail <= LOOM_EXTENT_FIRST_OFFSET || is_whole(extents, name, tail)) return LOOM_OK;
    int fd;
    LOOM_TRY(loom_extents_open_file(extents, number, &fd, err));
    int failed = fstat(fd, &now) != 0 ? errno : 0;
    if (failed == 0 && (uint64_t)now.st_size < tail) failed = loom_file_resize(fd, tail);
    loom_status status =
        failed ? loom_fail_errno(err, failed, "cannot lengthen extent file %08x of %s", number, extents->options.path)
               : write_header(extents, number, fd, tail, err);
    close(fd);
    return status;
}

static bool number_of_name(const char *name, uint32_t *number) {
    uint32_t value = 0;
    for (int i = 0; i < 8; i++) {
        char c = name[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                : 16;
        if (digit == 16) return false;
        value = value << 4 | digit;
    }
    *number = value;
    return strcmp(name + 8, ".ext") == 0;
}

typedef loom_status (*file_visit)(loom_extents *extents, uint32_t number, void *context, loom_error *err);

static loom_status each_file(loom_extents *extents, file_visit visit, void *context, loom_error *err) {
    int fd = openat(extents->options.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        int failed = errno;
        if (fd >= 0) close(fd);
        return loom_fail_errno(err, failed, "cannot list the extents of %s", extents->options.path);
    }
    loom_status status = LOOM_OK;
    const struct dirent *entry;
    uint32_t number;
    while (status == LOOM_OK && (entry = readdir(folder)) != NULL)
        if (number_of_name(entry->d_name, &number)) status = visit(extents, number, context, err);
    closedir(folder);
    return status;
}

static loom_status visit_cut(loom_extents *extents, uint32_t number, void *context, loom_error *err) {
    (void)context;
    return cut_file(extents, number, err);
}

loom_status loom_extents_cut(loom_extents *extents, loom_error *err) {
    return each_file(extents, visit_cut, NULL, err);
}

loom_status loom_extents_punch(loom_extents *extents, const loom_placement *placement, loom_error *err) {
    int fd;
    if (open_existing(extents, placement->extent, O_RDWR, &fd, NULL) != LOOM_OK) return LOOM_OK; /* nothing to return */
    struct stat now;
    int failed = fstat(fd, &now) != 0 ? errno : 0;
    uint64_t size = failed ? 0 : (uint64_t)now.st_size / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    uint64_t end = page_up(placement->offset + placement->bytes);
    if (end > size) end = size;
    if (failed == 0 && placement->offset < end)
        failed = loom_file_punch(fd, placement->offset, end - placement->offset);
    close(fd);
    if (failed)
        return loom_fail_errno(err, failed, "cannot return space of extent file %08x of %s", placement->extent,
                               extents->options.path);
    return LOOM_OK;
}

struct usage {
    uint64_t files, bytes;
};

static loom_status add_usage(const loom_extents *extents, int fd, uint32_t number, struct usage *usage,
                             loom_error *err) {
    struct stat now;
    if (fstat(fd, &now) != 0)
        return loom_fail_errno(err, errno, "cannot stat extent file %08x of %s", number, extents->options.path);
    usage->files++;
    usage->bytes += (uint64_t)now.st_blocks * 512;
    return LOOM_OK;
}

static loom_status visit_usage(loom_extents *extents, uint32_t number, void *context, loom_error *err) {
    int fd;
    LOOM_TRY(open_existing(extents, number, O_RDONLY, &fd, err));
    loom_status status = add_usage(extents, fd, number, context, err);
    close(fd);
    return status;
}

loom_status loom_extents_usage(loom_extents *extents, uint64_t *files, uint64_t *allocated_bytes, loom_error *err) {
    struct usage usage = {0, 0};
    if (in_memory(extents)) {
        for (uint32_t i = 0; i < extents->options.memory_count; i++)
            LOOM_TRY(add_usage(extents, extents->options.memory_fds[i], i, &usage, err));
    } else {
        LOOM_TRY(each_file(extents, visit_usage, &usage, err));
    }
    *files = usage.files;
    *allocated_bytes = usage.bytes;
    return LOOM_OK;
}
