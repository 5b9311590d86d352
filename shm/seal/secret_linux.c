/* secret_linux.c - secret.h with memfd_secret, mlock and MADV_DONTDUMP. */
#include "shm/seal/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/platform_file.h"

void *loom_secret_alloc(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    (void)mlock(pages, bytes); /* refused beyond RLIMIT_MEMLOCK: then swap may see it */
    loom_memory_hide(pages, bytes);
    return pages;
}

void loom_secret_free(void *secret, size_t bytes) {
    if (secret == NULL) return;
    OPENSSL_cleanse(secret, bytes);
    munmap(secret, bytes); /* unlocks too */
}

static int fill(int fd, const void *secret, size_t bytes) {
    if (ftruncate(fd, (off_t)bytes) != 0) return errno;
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return errno;
    memcpy(map, secret, bytes);
    munmap(map, bytes);
    return 0;
}

static int secret_file(void) {
#ifdef SYS_memfd_secret
    return (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
#else
    errno = ENOSYS;
    return -1;
#endif
}

int loom_secret_send(const void *secret, size_t bytes, int *fd) {
    /* Absent before Linux 5.14, where it is switched off (secretmem.enable), or beyond RLIMIT_MEMLOCK. */
    *fd = secret_file();
    if (*fd >= 0) {
        if (fill(*fd, secret, bytes) == 0) return 0;
        close(*fd);
    }
    int failed = loom_memory_file("voxloom-key", fd);
    if (failed) return failed;
    failed = fill(*fd, secret, bytes);
    if (failed) {
        close(*fd);
        *fd = -1;
    }
    return failed;
}

int loom_secret_receive(int fd, void *secret, size_t bytes) {
    struct stat now;
    if (fstat(fd, &now) != 0) return errno;
    if (now.st_size != (off_t)bytes) return EINVAL; /* and a map of more than the file would fault */
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return errno;
    memcpy(secret, map, bytes);
    munmap(map, bytes);
    return 0;
}

void loom_memory_hide(void *map, size_t bytes) {
    (void)madvise(map, bytes, MADV_DONTDUMP);
}

void loom_process_hide(void) {
    /* 1, not 0: a core_pattern that pipes to a program ignores every other limit, see core(5) and fs/coredump.c; and
     * one byte is less than the least core file. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max < 1 ? 0 : 1;
    (void)setrlimit(RLIMIT_CORE, &limit);
}
