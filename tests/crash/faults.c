/* faults.c - see faults.h. Each wrapper tells the watcher, asks whether it is its turn to fail, else calls the next
 * definition. */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    char folder[PATH_MAX];
    size_t folder_length;
    fault_kind kind;
    unsigned left; /* calls until it strikes; 0 = disarmed */
    bool from_then_on, fired;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *fault_name(fault_kind kind) {
    static const char *const names[] = {"short write", "EIO",           "ENOSPC",      "EINTR",
                                        "fallocate",   "mmap (ENOMEM)", "fsync (EIO)", "rename"};
    return kind < FAULT_KINDS ? names[kind] : "?";
}

void fault_arm(const char *folder, fault_kind kind, unsigned nth, bool from_then_on) {
    pthread_mutex_lock(&fault.lock);
    if (!realpath(folder, fault.folder)) abort();
    fault.folder_length = strlen(fault.folder);
    fault.kind = kind;
    fault.left = nth;
    fault.from_then_on = from_then_on;
    fault.fired = false;
    pthread_mutex_unlock(&fault.lock);
}

void fault_disarm(void) {
    pthread_mutex_lock(&fault.lock);
    fault.left = 0;
    pthread_mutex_unlock(&fault.lock);
}

bool fault_fired(void) {
    pthread_mutex_lock(&fault.lock);
    bool fired = fault.fired;
    pthread_mutex_unlock(&fault.lock);
    return fired;
}

static struct {
    char folder[PATH_MAX];
    size_t folder_length;
    fault_watcher watcher;
} watch;
static __thread bool watching; /* inside the watcher */

void fault_watch(const char *folder, fault_watcher watcher) {
    if (watcher != NULL && !realpath(folder, watch.folder)) abort();
    watch.folder_length = strlen(watch.folder);
    watch.watcher = watcher;
}

static bool is_in(const char *path, const char *folder, size_t length) {
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    return true;
}

static bool is_under(int fd) {
    char path[PATH_MAX];
    return path_of(fd, path) && is_in(path, fault.folder, fault.folder_length);
}

static void tell(watch_call call, int fd, const void *data, size_t bytes, off_t offset) {
    char path[PATH_MAX];
    int saved = errno;
    if (watch.watcher != NULL && !watching && path_of(fd, path) && is_in(path, watch.folder, watch.folder_length)) {
        watching = true;
        watch.watcher(call, fd, path, data, bytes, offset);
        watching = false;
    }
    errno = saved;
}

/* Whether this call, which `kinds` could strike, is the one. */
static bool strikes(unsigned kinds, int fd) {
    int saved = errno;
    pthread_mutex_lock(&fault.lock);
    bool struck = false;
    if (fault.left > 0 && (kinds & 1u << fault.kind) && is_under(fd)) {
        struck = --fault.left == 0;
        if (struck) fault.fired = true;
        if (struck && fault.from_then_on) fault.left = 1;
    }
    pthread_mutex_unlock(&fault.lock);
    errno = saved;
    return struck;
}

#define KIND(name) (1u << FAULT_##name)
#define OF_WRITES (KIND(SHORT_WRITE) | KIND(EIO) | KIND(ENOSPC) | KIND(EINTR))
#define OF_GROWTH (KIND(ENOSPC) | KIND(EINTR) | KIND(ALLOCATE))

static int error_of(void) {
    switch (fault.kind) {
    case FAULT_ENOSPC:
        return ENOSPC;
    case FAULT_EINTR:
        return EINTR;
    case FAULT_MMAP:
        return ENOMEM;
    default:
        return EIO;
    }
}

#define NEXT(type, name)                                                                                               \
    static type next_##name;                                                                                           \
    if (!next_##name) *(void **)&next_##name = dlsym(RTLD_NEXT, #name)

typedef ssize_t (*write_call)(int, const void *, size_t);
typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
typedef ssize_t (*writev_call)(int, const struct iovec *, int);
typedef ssize_t (*pwritev_call)(int, const struct iovec *, int, off_t);
typedef int (*fd_call)(int);
typedef int (*truncate_call)(int, off_t);
typedef int (*fallocate_call)(int, int, off_t, off_t);
typedef int (*posix_fallocate_call)(int, off_t, off_t);
typedef void *(*mmap_call)(void *, size_t, int, int, int, off_t);
typedef int (*rename_call)(int, const char *, int, const char *);

/* How much of a write is let through: all, half, or none (-1, errno set). */
static ssize_t admitted(int fd, size_t bytes) {
    if (!strikes(OF_WRITES, fd)) return (ssize_t)bytes;
    if (fault.kind == FAULT_SHORT_WRITE && bytes > 1) return (ssize_t)(bytes / 2);
    errno = fault.kind == FAULT_SHORT_WRITE ? EIO : error_of();
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    NEXT(write_call, write);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    ssize_t some = admitted(fd, count);
    return some < 0 ? -1 : next_write(fd, bytes, (size_t)some);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite_call, pwrite);
    tell(WATCH_WRITE, fd, bytes, count, offset);
    ssize_t some = admitted(fd, count);
    return some < 0 ? -1 : next_pwrite(fd, bytes, (size_t)some, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite(fd, bytes, count, offset);
}

/* A short vectored write ends within its first piece. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    NEXT(writev_call, writev);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    if (count < 1) return next_writev(fd, pieces, count);
    ssize_t some = admitted(fd, pieces[0].iov_len);
    if (some < 0) return -1;
    if ((size_t)some == pieces[0].iov_len) return next_writev(fd, pieces, count);
    struct iovec part = {.iov_base = pieces[0].iov_base, .iov_len = (size_t)some};
    return next_writev(fd, &part, 1);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    NEXT(pwritev_call, pwritev);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    if (count < 1) return next_pwritev(fd, pieces, count, offset);
    ssize_t some = admitted(fd, pieces[0].iov_len);
    if (some < 0) return -1;
    if ((size_t)some == pieces[0].iov_len) return next_pwritev(fd, pieces, count, offset);
    struct iovec part = {.iov_base = pieces[0].iov_base, .iov_len = (size_t)some};
    return next_pwritev(fd, &part, 1, offset);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t offset) {
    return pwritev(fd, pieces, count, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    NEXT(fallocate_call, fallocate);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    if (!strikes(OF_GROWTH, fd)) return next_fallocate(fd, mode, offset, length);
    errno = error_of();
    return -1;
}

int fallocate64(int fd, int mode, off_t offset, off_t length) {
    return fallocate(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    NEXT(posix_fallocate_call, posix_fallocate);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    return strikes(OF_GROWTH, fd) ? error_of() : next_posix_fallocate(fd, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length) {
    return posix_fallocate(fd, offset, length);
}

int ftruncate(int fd, off_t length) {
    NEXT(truncate_call, ftruncate);
    tell(WATCH_WRITE, fd, NULL, 0, 0);
    struct stat now;
    bool grows = fstat(fd, &now) == 0 && length > now.st_size;
    if (!strikes(grows ? KIND(EIO) | KIND(ENOSPC) : KIND(EIO), fd)) return next_ftruncate(fd, length);
    errno = error_of();
    return -1;
}

int ftruncate64(int fd, off_t length) {
    return ftruncate(fd, length);
}

int fsync(int fd) {
    NEXT(fd_call, fsync);
    tell(WATCH_SYNC, fd, NULL, 0, 0);
    if (!strikes(KIND(SYNC), fd)) return next_fsync(fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd) {
    NEXT(fd_call, fdatasync);
    tell(WATCH_SYNC, fd, NULL, 0, 0);
    if (!strikes(KIND(SYNC), fd)) return next_fdatasync(fd);
    errno = EIO;
    return -1;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    NEXT(mmap_call, mmap);
    if (fd < 0 || !strikes(KIND(MMAP), fd)) return next_mmap(address, length, protection, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    NEXT(rename_call, renameat);
    tell(WATCH_RENAME, from_folder, NULL, 0, 0);
    if (!strikes(KIND(RENAME), from_folder)) return next_renameat(from_folder, from, to_folder, to);
    errno = EIO;
    return -1;
}
