/* platform_file_linux.c - platform_file.h with Linux calls: OFD locks, fallocate, memfd, statfs magic numbers. */
#include "shm/platform_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shm/platform_file_common.h"

/* Linux 5.9. */
void loom_file_close_from(int first) {
    if (close_range((unsigned)first, ~0u, 0) != 0) loom_file_close_each(first);
}

static struct flock lock_range(short kind, uint64_t offset, uint64_t length) {
    /* l_pid must be 0 for OFD locks. */
    return (struct flock){.l_type = kind, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)length};
}

int loom_file_lock(int fd, uint64_t offset, uint64_t length, bool exclusive) {
    struct flock range = lock_range(exclusive ? F_WRLCK : F_RDLCK, offset, length);
    if (fcntl(fd, F_OFD_SETLK, &range) == 0) return 0;
    return errno == EACCES ? EAGAIN : errno;
}

int loom_file_unlock(int fd, uint64_t offset, uint64_t length) {
    struct flock range = lock_range(F_UNLCK, offset, length);
    return fcntl(fd, F_OFD_SETLK, &range) == 0 ? 0 : errno;
}

int loom_file_lock_held(int fd, uint64_t offset, uint64_t length, bool exclusive, bool *held) {
    struct flock range = lock_range(exclusive ? F_WRLCK : F_RDLCK, offset, length);
    if (fcntl(fd, F_OFD_GETLK, &range) != 0) return errno;
    *held = range.l_type != F_UNLCK;
    return 0;
}

bool loom_file_locks_are_shared(void) {
    return true;
}

int loom_file_allocate(int fd, uint64_t offset, uint64_t length) {
    if (length > UINT64_MAX - offset) return EFBIG;
    int refused = loom_file_check_limit(offset + length);
    if (refused) return refused;
    while (fallocate(fd, 0, (off_t)offset, (off_t)length) != 0) {
        if (errno == EINTR) continue;
        if (errno == EOPNOTSUPP) return loom_file_lengthen(fd, offset + length);
        return errno;
    }
    return 0;
}

int loom_file_punch(int fd, uint64_t offset, uint64_t length) {
    while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) != 0) {
        if (errno == EINTR) continue;
        if (errno == EOPNOTSUPP) return loom_file_write_zeros(fd, offset, length);
        return errno;
    }
    return 0;
}

int loom_file_zero(int fd, uint64_t offset, uint64_t length) {
    while (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) != 0) {
        if (errno == EINTR) continue;
        if (errno == EOPNOTSUPP) return loom_file_write_zeros(fd, offset, length);
        return errno;
    }
    return 0;
}

int loom_memory_resident(void *bytes, size_t length, unsigned char *pages) {
    return mincore(bytes, length, pages) == 0 ? 0 : errno;
}

void loom_file_write_out(int fd, uint64_t offset, uint64_t length) {
    (void)sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE);
}

void loom_file_prefetch(int fd, uint64_t offset, uint64_t length) {
    /* Linux reads no more than the device's largest request for one call: ask piece by piece. */
    const uint64_t piece = 128u << 10;
    for (uint64_t at = 0; at < length; at += piece)
        if (posix_fadvise(fd, (off_t)(offset + at), (off_t)piece, POSIX_FADV_WILLNEED) != 0) break;
}

int loom_memory_file(const char *name, int *fd) {
    int made = memfd_create(name, MFD_CLOEXEC);
    *fd = made;
    if (made >= 0 && made <= STDERR_FILENO) { /* of a host that closed its own: a child's would take its place */
        *fd = fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int failed = errno;
        close(made);
        errno = failed;
    }
    return *fd < 0 ? errno : 0;
}

const char *loom_file_system_refused(int fd) {
    /* Numbers that <linux/magic.h> of Debian 12 does not have are from the file systems' own sources. */
    static const struct {
        unsigned long magic;
        const char *name;
    } refused[] = {
        {NFS_SUPER_MAGIC, "nfs"},   {SMB_SUPER_MAGIC, "smb"},   {CIFS_SUPER_MAGIC, "cifs"}, {SMB2_SUPER_MAGIC, "smb2"},
        {AFS_SUPER_MAGIC, "afs"},   {AFS_FS_MAGIC, "afs"},      {CEPH_SUPER_MAGIC, "ceph"}, {V9FS_MAGIC, "9p"},
        {FUSE_SUPER_MAGIC, "fuse"}, {CODA_SUPER_MAGIC, "coda"}, {NCP_SUPER_MAGIC, "ncp"},   {0x0bd00bd0, "lustre"},
        {0x47504653, "gpfs"},       {0x01161970, "gfs2"},       {0x7461636f, "ocfs2"},      {0xaad7aaea, "panfs"},
        {0x19830326, "beegfs"},
    };
    struct statfs system;
    if (fstatfs(fd, &system) != 0) return NULL; /* unknown is not refused: open goes on and reports real errors */
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (((unsigned long)system.f_type & 0xffffffffUL) == refused[i].magic) return refused[i].name;
    return NULL;
}

uint64_t loom_pid_namespace(void) {
    struct stat space;
    return stat("/proc/self/ns/pid", &space) == 0 ? (uint64_t)space.st_ino : 0;
}

int loom_random_bytes(void *bytes, size_t length) {
    char *at = bytes;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        at += got;
        length -= (size_t)got;
    }
    return 0;
}
