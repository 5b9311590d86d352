/* platform_huge_linux.c - platform_huge.h with MADV_COLLAPSE (Linux 6.1), which needs no setting of the machine, where
 * MADV_HUGEPAGE does nothing to memfds unless /sys/kernel/mm/transparent_hugepage/shmem_enabled says so. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/platform_huge.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* glibc 2.37 */
#endif

bool loom_memory_has_huge(void) {
    return true;
}

static uint64_t up(uint64_t bytes) {
    return (bytes + LOOM_HUGE_BYTES - 1) / LOOM_HUGE_BYTES * LOOM_HUGE_BYTES;
}

/* [offset, end): whole huge pages, of which the first small one of each is there. Collapsing fills the rest with
 * zeros; the kernel does it range by range as far as it finds memory. */
static void collapse(int fd, uint64_t offset, uint64_t end) {
    size_t length = (size_t)(end - offset);
    void *map = loom_memory_map(fd, offset, length, PROT_READ | PROT_WRITE);
    if (!map) return;
    (void)madvise(map, length, MADV_COLLAPSE); /* advice: small pages are as good, but slower */
    (void)munmap(map, length);
}

/* 0 or an errno value; what was allocated before a refusal is there. */
static int allocate(int fd, uint64_t offset, uint64_t length) {
    uint64_t first = up(offset), end = (offset + length) / LOOM_HUGE_BYTES * LOOM_HUGE_BYTES;
    /* A page each, and not all, which collapsing would copy; and asked for, as a store to a page that the machine does
     * not have is a signal, not an error. */
    int refused = 0;
    for (uint64_t at = first; at < end && refused == 0; at += LOOM_HUGE_BYTES)
        refused = loom_file_allocate(fd, at, 4096);
    if (refused == 0 && first < end) {
        refused = loom_file_allocate(fd, end - 4096, 4096); /* the file must not end inside the last one */
        if (refused == 0) collapse(fd, first, end);
    }
    return refused ? refused : loom_file_allocate(fd, offset, length);
}

int loom_memory_allocate(int fd, uint64_t offset, uint64_t length) {
    if (offset > INT64_MAX - LOOM_HUGE_BYTES || length > INT64_MAX - LOOM_HUGE_BYTES - offset) return EFBIG;
    int refused = allocate(fd, offset, length);
    /* Memory is short then, and nobody else would ever return these pages. */
    if (refused) (void)loom_file_punch(fd, offset, length);
    return refused;
}

/* `hole` is address space of `reserved` bytes, a huge page more than the map needs; what the map leaves of it goes. */
static void *map_into(uint8_t *hole, size_t reserved, int fd, uint64_t offset, size_t length, int protection) {
    uint64_t into = offset % LOOM_HUGE_BYTES, has = (uintptr_t)hole % LOOM_HUGE_BYTES;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (size_t)((into + LOOM_HUGE_BYTES - has) % LOOM_HUGE_BYTES);
    size_t used = before + (length + page - 1) / page * page;
    void *map = mmap(hole + before, length, protection, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
    if (map == MAP_FAILED) {
        int failed = errno;
        (void)munmap(hole, reserved);
        errno = failed;
        return NULL;
    }
    if (before > 0) (void)munmap(hole, before);
    if (reserved > used) (void)munmap(hole + used, reserved - used);
    return map;
}

void *loom_memory_map(int fd, uint64_t offset, size_t length, int protection) {
    void *hole = MAP_FAILED;
    size_t reserved = length + LOOM_HUGE_BYTES;
    if (length >= LOOM_HUGE_BYTES && reserved > length)
        hole = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hole != MAP_FAILED) return map_into(hole, reserved, fd, offset, length, protection);
    void *map = mmap(NULL, length, protection, MAP_SHARED, fd, (off_t)offset);
    return map == MAP_FAILED ? NULL : map;
}
