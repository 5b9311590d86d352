/* space_ballast.c - a file in the index's folder whose space is kept back: when the disk is full, deleting (which
 * writes to the index first) is still possible after the file is emptied. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shm/extent/space_parts.h"
#include "shm/platform_file.h"

#define NAME "index/ballast"

static uint64_t disk_free(const loom_space *space) {
    struct statvfs disk;
    if (fstatvfs(space->options.folder_fd, &disk) != 0) return UINT64_MAX;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

static uint64_t size_of(int fd) {
    struct stat now;
    return fstat(fd, &now) == 0 ? (uint64_t)now.st_size : 0;
}

void loom_space_make_ballast(loom_space *space) {
    uint64_t bytes = space->options.ballast_bytes;
    struct stat now;
    if (bytes == 0 || !space->options.opener) return;
    if (fstatat(space->options.folder_fd, NAME, &now, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)now.st_size == bytes)
        return;
    /* Made only while there is room besides, or it would be what fills the disk. */
    if (disk_free(space) < 2 * bytes) return;
    int fd = openat(space->options.folder_fd, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    if (size_of(fd) > bytes) (void)loom_file_resize(fd, bytes);
    if (loom_file_allocate(fd, 0, bytes) != 0) (void)loom_file_resize(fd, 0);
    close(fd);
}

bool loom_space_drop_ballast(loom_space *space) {
    int fd = openat(space->options.folder_fd, NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    bool dropped = size_of(fd) > 0 && loom_file_resize(fd, 0) == 0;
    close(fd);
    return dropped;
}

void loom_space_before_delete(loom_space *space) {
    if (space->options.ballast_bytes != 0 && disk_free(space) < space->options.ballast_bytes)
        (void)loom_space_drop_ballast(space);
}
