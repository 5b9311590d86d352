/* platform_file_posix.c - platform_file.h with POSIX calls only: record locks, posix_fallocate, unlinked shm objects.
 *
 * A record lock belongs to the process and vanishes when the process closes any descriptor of the file; the store
 * therefore opens `control` once a process (shm/SCHEMA.md). */
#include "shm/platform_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file_common.h"

void loom_file_close_from(int first) {
    loom_file_close_each(first);
}

static struct flock lock_range(short kind, uint64_t offset, uint64_t length) {
    return (struct flock){.l_type = kind, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)length};
}

int loom_file_lock(int fd, uint64_t offset, uint64_t length, bool exclusive) {
    struct flock range = lock_range(exclusive ? F_WRLCK : F_RDLCK, offset, length);
    if (fcntl(fd, F_SETLK, &range) == 0) return 0;
    return errno == EACCES ? EAGAIN : errno;
}

int loom_file_unlock(int fd, uint64_t offset, uint64_t length) {
    struct flock range = lock_range(F_UNLCK, offset, length);
    return fcntl(fd, F_SETLK, &range) == 0 ? 0 : errno;
}

int loom_file_lock_held(int fd, uint64_t offset, uint64_t length, bool exclusive, bool *held) {
    struct flock range = lock_range(exclusive ? F_WRLCK : F_RDLCK, offset, length);
    if (fcntl(fd, F_GETLK, &range) != 0) return errno;
    *held = range.l_type != F_UNLCK;
    return 0;
}

bool loom_file_locks_are_shared(void) {
    return false;
}

int loom_file_allocate(int fd, uint64_t offset, uint64_t length) {
    if (length > UINT64_MAX - offset) return EFBIG;
    int refused = loom_file_check_limit(offset + length);
    if (refused) return refused;
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
    for (;;) {
        int result = posix_fallocate(fd, (off_t)offset, (off_t)length);
        if (result == EINTR) continue;
        if (result == EINVAL || result == EOPNOTSUPP) break;
        return result;
    }
#endif
    return loom_file_lengthen(fd, offset + length);
}

int loom_file_punch(int fd, uint64_t offset, uint64_t length) {
#ifdef F_PUNCHHOLE /* macOS */
    struct fpunchhole hole = {.fp_offset = (off_t)offset, .fp_length = (off_t)length};
    if (fcntl(fd, F_PUNCHHOLE, &hole) == 0) return 0;
#endif
    return loom_file_write_zeros(fd, offset, length);
}

int loom_file_zero(int fd, uint64_t offset, uint64_t length) {
    return loom_file_write_zeros(fd, offset, length);
}

int loom_memory_resident(void *bytes, size_t length, unsigned char *pages) {
    (void)bytes, (void)length, (void)pages;
    return ENOSYS;
}

void loom_file_write_out(int fd, uint64_t offset, uint64_t length) {
    (void)fd, (void)offset, (void)length;
}

void loom_file_prefetch(int fd, uint64_t offset, uint64_t length) {
#ifdef POSIX_FADV_WILLNEED
    /* Linux reads no more than the device's largest request for one call: ask piece by piece. */
    const uint64_t piece = 128u << 10;
    for (uint64_t at = 0; at < length; at += piece)
        if (posix_fadvise(fd, (off_t)(offset + at), (off_t)piece, POSIX_FADV_WILLNEED) != 0) break;
#else
    (void)fd, (void)offset, (void)length;
#endif
}

int loom_memory_file(const char *name, int *fd) {
    for (unsigned attempt = 0; attempt < 64; attempt++) {
        uint32_t salt;
        char path[32];
        int result = loom_random_bytes(&salt, sizeof salt);
        if (result) return result;
        (void)name; /* POSIX names are too short (macOS: 31 bytes) to carry it */
        snprintf(path, sizeof path, "/loom-%08x", salt);
        int made = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (made < 0 && errno == EEXIST) continue;
        if (made < 0) return errno;
        shm_unlink(path);
        *fd = fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); /* a host may have closed its own 0 to 2 */
        result = *fd < 0 ? errno : 0;
        close(made);
        return result;
    }
    return EEXIST;
}

const char *loom_file_system_refused(int fd) {
    (void)fd; /* POSIX has no portable name for a file system's kind */
    return NULL;
}

uint64_t loom_pid_namespace(void) {
    return 0;
}

int loom_random_bytes(void *bytes, size_t length) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    char *at = bytes;
    int result = 0;
    while (length > 0 && result == 0) {
        ssize_t got = read(fd, at, length);
        if (got > 0) {
            at += got;
            length -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            result = got == 0 ? EIO : errno;
        }
    }
    close(fd);
    return result;
}
