/* input.c - opening and reading files that somebody else made. */
#include "io/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/activity.h"

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void stamp(loom_input *input, const struct stat *status) {
    input->bytes = (uint64_t)status->st_size;
    input->device = (uint64_t)status->st_dev;
    input->inode = (uint64_t)status->st_ino;
    input->mtime_ns = nanoseconds(status->st_mtim);
    input->ctime_ns = nanoseconds(status->st_ctim);
}

static loom_status fail_open(const char *path, int errnum, loom_error *err) {
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return loom_fail(err, LOOM_BAD_INPUT, "%s: no such file; check the path", path);
    case EACCES:
    case EPERM:
        return loom_fail(err, LOOM_DENIED, "%s: not readable for you; check the file's permissions", path);
    case ENXIO:
    case ELOOP:
    case ENAMETOOLONG:
        return loom_fail(err, LOOM_BAD_INPUT, "%s: not a file that can be read: %s", path, strerror(errnum));
    default:
        return loom_fail_errno(err, errnum, "%s: cannot be opened", path);
    }
}

loom_status loom_input_open(const char *path, loom_input *input, loom_error *err) {
    *input = (loom_input){.path = path, .fd = -1};
    /* O_NONBLOCK: a named pipe would otherwise wait for its writer before we can see what it is. */
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_open(path, errno, err);
    input->fd = fd;
    struct stat status;
    if (fstat(fd, &status) != 0) {
        loom_status failed = loom_fail_errno(err, errno, "%s: cannot be examined", path);
        loom_input_close(input);
        return failed;
    }
    if (!S_ISREG(status.st_mode)) {
        loom_input_close(input);
        if (S_ISDIR(status.st_mode)) return loom_fail(err, LOOM_BAD_INPUT, "%s: is a folder; name a file in it", path);
        return loom_fail(err, LOOM_BAD_INPUT, "%s: is not a regular file; copy its content to one", path);
    }
    stamp(input, &status);
    return LOOM_OK;
}

void loom_input_close(loom_input *input) {
    if (input->fd >= 0) close(input->fd);
    input->fd = -1;
}

static loom_status read_fully(const loom_input *input, void *bytes, size_t length, uint64_t offset, size_t *got,
                              loom_error *err) {
    while (*got < length) {
        ssize_t count = pread(input->fd, (char *)bytes + *got, length - *got, (off_t)(offset + *got));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return loom_fail_errno(err, errno, "%s: reading failed", input->path);
        if (count == 0) break;
        *got += (size_t)count;
    }
    return LOOM_OK;
}

loom_status loom_input_read(const loom_input *input, void *bytes, size_t length, uint64_t offset, size_t *got,
                            loom_error *err) {
    *got = 0;
    if (offset > INT64_MAX || length > (uint64_t)INT64_MAX - offset)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: offset %llu is outside any file", input->path,
                         (unsigned long long)offset);
    loom_activity before = loom_enter(LOOM_DOING_IO);
    loom_status status = read_fully(input, bytes, length, offset, got, err);
    loom_enter(before);
    return status;
}

static bool same(const loom_input *a, const loom_input *b) {
    return a->bytes == b->bytes && a->device == b->device && a->inode == b->inode && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

loom_status loom_input_check_unchanged(const loom_input *input, loom_error *err) {
    struct stat by_file, by_path;
    loom_input now_file = {0}, now_path = {0};
    if (fstat(input->fd, &by_file) == 0 && stat(input->path, &by_path) == 0) {
        stamp(&now_file, &by_file);
        stamp(&now_path, &by_path);
        if (same(input, &now_file) && same(input, &now_path)) return LOOM_OK;
    }
    return loom_fail(err, LOOM_STALE_INPUT, "%s: changed while it was read; run again when it is complete",
                     input->path);
}
