/* platform_huge_posix.c - platform_huge.h where nothing is known of huge pages. */
#include <sys/mman.h>

#include "shm/platform_file.h"
#include "shm/platform_huge.h"

bool loom_memory_has_huge(void) {
    return false;
}

int loom_memory_allocate(int fd, uint64_t offset, uint64_t length) {
    return loom_file_allocate(fd, offset, length);
}

void *loom_memory_map(int fd, uint64_t offset, size_t length, int protection) {
    void *map = mmap(NULL, length, protection, MAP_SHARED, fd, (off_t)offset);
    return map == MAP_FAILED ? NULL : map;
}
