/* build_files.c - see build_files.h. */
#include "shm/pack/build_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/extent/extent_file.h"
#include "shm/platform_file.h"

#define FILES_MAX 65536u /* of 64 GiB each */

void loom_build_files_begin(loom_build_files *files, int dir_fd, const char *path, const uint8_t uuid[16]) {
    *files = (loom_build_files){.dir_fd = dir_fd, .path = path, .fd = -1};
    memcpy(files->uuid, uuid, sizeof files->uuid);
}

void loom_build_files_end(loom_build_files *files) {
    if (files->fd >= 0) close(files->fd);
    if (files->dir_fd >= 0) close(files->dir_fd);
    free(files->files);
    *files = (loom_build_files){.dir_fd = -1, .fd = -1};
}

/* The file of the number, added where it belongs. */
static loom_build_file *file_of(loom_build_files *files, uint32_t number) {
    size_t low = 0, high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (files->files[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < files->count && files->files[low].number == number) return &files->files[low];
    if (files->count == FILES_MAX) return NULL;
    if (files->count == files->capacity) {
        size_t capacity = files->capacity == 0 ? 16 : 2 * files->capacity;
        loom_build_file *grown = realloc(files->files, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        files->files = grown;
        files->capacity = capacity;
    }
    memmove(files->files + low + 1, files->files + low, (files->count - low) * sizeof *files->files);
    files->count++;
    files->files[low] = (loom_build_file){.number = number, .tail = LOOM_EXTENT_FIRST_OFFSET};
    return &files->files[low];
}

loom_status loom_build_files_own(loom_build_files *files, uint32_t number, uint64_t offset, uint64_t bytes,
                                 loom_error *err) {
    loom_build_file *file = file_of(files, number);
    if (file == NULL && files->count == FILES_MAX)
        return loom_fail(err, LOOM_CORRUPT, "the backup is damaged: it names more than %u extent files", FILES_MAX);
    if (file == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while restoring");
    uint64_t padded = (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    if (offset + padded > file->tail) file->tail = offset + padded;
    return LOOM_OK;
}

static loom_status open_file(loom_build_files *files, uint32_t number, loom_error *err) {
    if (files->fd >= 0 && files->open == number) return LOOM_OK;
    char name[LOOM_EXTENT_NAME_BYTES];
    loom_extent_name(number, name);
    if (files->fd >= 0) close(files->fd);
    files->fd = openat(files->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    files->open = number;
    return files->fd >= 0 ? LOOM_OK : loom_fail_errno(err, errno, "cannot write %s/extents/%s", files->path, name);
}

static loom_status write_at(const loom_build_files *files, uint64_t offset, const void *bytes, size_t length,
                            loom_error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t wrote = pwrite(files->fd, (const uint8_t *)bytes + done, length - done, (off_t)(offset + done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return loom_fail_errno(err, errno, "cannot write %s/extents", files->path);
        done += (size_t)wrote;
    }
    return LOOM_OK;
}

loom_status loom_build_files_write(loom_build_files *files, uint32_t number, uint64_t offset, const void *bytes,
                                   size_t length, loom_error *err) {
    LOOM_TRY(open_file(files, number, err));
    LOOM_TRY(write_at(files, offset, bytes, length, err));
    loom_file_write_out(files->fd, offset, length);
    return LOOM_OK;
}

loom_status loom_build_files_sync(loom_build_files *files, loom_error *err) {
    for (size_t i = 0; i < files->count; i++) {
        const loom_build_file *file = &files->files[i];
        uint8_t page[LOOM_PAGE_BYTES] = {0};
        loom_extent_header header = {.magic = LOOM_EXTENT_MAGIC,
                                     .version = LOOM_EXTENT_VERSION,
                                     .number = file->number,
                                     .reserved_tail = file->tail};
        memcpy(header.uuid, files->uuid, sizeof header.uuid);
        memcpy(page, &header, sizeof header);
        LOOM_TRY(open_file(files, file->number, err));
        LOOM_TRY(write_at(files, 0, page, sizeof page, err));
        int failed = loom_file_resize(files->fd, file->tail);
        if (failed == 0 && fsync(files->fd) != 0) failed = errno;
        if (failed != 0) return loom_fail_errno(err, failed, "cannot write %s/extents", files->path);
    }
    return fsync(files->dir_fd) == 0 ? LOOM_OK : loom_fail_errno(err, errno, "cannot write %s/extents", files->path);
}
