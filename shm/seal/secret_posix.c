/* secret_posix.c - secret.h with what POSIX has: mlock, and a memory file to hand a key on. */
#include "shm/seal/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"

void *loom_secret_alloc(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    (void)mlock(pages, bytes); /* refused beyond RLIMIT_MEMLOCK: then swap may see it */
    return pages;
}

void loom_secret_free(void *secret, size_t bytes) {
    if (secret == NULL) return;
    OPENSSL_cleanse(secret, bytes);
    munmap(secret, bytes); /* unlocks too */
}

int loom_secret_send(const void *secret, size_t bytes, int *fd) {
    int failed = loom_memory_file("voxloom-key", fd);
    if (failed) return failed;
    failed = ftruncate(*fd, (off_t)bytes) == 0 ? 0 : errno;
    void *map = failed ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (failed == 0 && map == MAP_FAILED) failed = errno;
    if (failed) {
        close(*fd);
        *fd = -1;
        return failed;
    }
    memcpy(map, secret, bytes);
    munmap(map, bytes);
    return 0;
}

int loom_secret_receive(int fd, void *secret, size_t bytes) {
    struct stat now;
    if (fstat(fd, &now) != 0) return errno;
    if (now.st_size < (off_t)bytes) return EINVAL; /* some systems round the length of a memory file up */
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return errno;
    memcpy(secret, map, bytes);
    munmap(map, bytes);
    return 0;
}

void loom_memory_hide(void *map, size_t bytes) {
    (void)map, (void)bytes;
}

void loom_process_hide(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
    limit.rlim_cur = 0;
    (void)setrlimit(RLIMIT_CORE, &limit);
}
