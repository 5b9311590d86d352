/* platform_huge.h - files in memory (loom_memory_file) in huge pages, where the system has them.
 *
 * A page is mapped by a fault, which costs from 0.2 us to, in guests whose page tables their host keeps, 20 us; an
 * image of 36 MiB is 9,216 pages, or 18 huge ones. Two twins, as platform_file.h: platform_huge_linux.c and
 * platform_huge_posix.c, which knows no huge pages and does the same with small ones. Thread-safe. */
#ifndef LOOM_SHM_PLATFORM_HUGE_H
#define LOOM_SHM_PLATFORM_HUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOM_HUGE_BYTES (UINT64_C(2) << 20)

/* Whether there may be any. Where not, nothing need be laid out for them; nor can holes be made in files in memory. */
bool loom_memory_has_huge(void);
/* As loom_file_allocate, for a range of a file in memory that begins on a page of 4 KiB and holds no bytes yet. What
 * lies in whole huge pages of the file becomes such pages if the system has any; no more is allocated than was asked
 * for. 0 or an errno value: then nothing is. */
int loom_memory_allocate(int fd, uint64_t offset, uint64_t length);
/* As mmap with MAP_SHARED of a file in memory, at an address at which huge pages of the file can be mapped whole.
 * NULL with errno set. */
void *loom_memory_map(int fd, uint64_t offset, size_t length, int protection);

#endif
