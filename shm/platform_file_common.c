/* platform_file_common.c - what both twins of platform_file.h do alike. */
#include "shm/platform_file_common.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"

/* Where any number is allowed. A run has some hundreds. */
#define CLOSE_MAX 65536

int loom_file_check_limit(uint64_t end) {
    struct rlimit limit;
    if (end > INT64_MAX) return EFBIG;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return errno;
    return limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur ? EFBIG : 0;
}

void loom_file_close_each(int first) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    int end = limit.rlim_cur < CLOSE_MAX ? (int)limit.rlim_cur : CLOSE_MAX;
    for (int fd = first; fd < end; fd++)
        (void)close(fd);
}

int loom_file_write_zeros(int fd, uint64_t offset, uint64_t length) {
    static const char zeros[65536];
    while (length > 0) {
        size_t piece = length < sizeof zeros ? (size_t)length : sizeof zeros;
        ssize_t done = pwrite(fd, zeros, piece, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done < 0 ? errno : EIO;
        offset += (uint64_t)done;
        length -= (uint64_t)done;
    }
    return 0;
}

int loom_file_lengthen(int fd, uint64_t end) {
    struct stat now;
    if (fstat(fd, &now) != 0) return errno;
    uint64_t size = (uint64_t)now.st_size;
    return end > size ? loom_file_write_zeros(fd, size, end - size) : 0;
}

int loom_file_resize(int fd, uint64_t length) {
    struct stat now;
    if (fstat(fd, &now) != 0) return errno;
    if (length > (uint64_t)now.st_size) {
        int refused = loom_file_check_limit(length);
        if (refused) return refused;
    }
    while (ftruncate(fd, (off_t)length) != 0)
        if (errno != EINTR) return errno;
    return 0;
}
