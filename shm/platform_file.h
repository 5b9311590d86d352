/* platform_file.h - what the store needs of the operating system's files, and nothing else knows how to get.
 *
 * Two twins: platform_file_linux.c and platform_file_posix.c, chosen in CMake by VOXLOOM_PORTABLE. Functions return 0
 * or an errno value, and never set or read global state. */
#ifndef LOOM_SHM_PLATFORM_FILE_H
#define LOOM_SHM_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Locks `length` bytes from `offset` (they need not exist) without waiting; EAGAIN when another process is in the way.
 * Linux: open-file-description locks, which end when the last copy of the descriptor is closed. POSIX twin: record
 * locks, which end when the process closes *any* descriptor of the file: open such a file once a process. */
int loom_file_lock(int fd, uint64_t offset, uint64_t length, bool exclusive);
int loom_file_unlock(int fd, uint64_t offset, uint64_t length);
/* Whether locks belong to open descriptions, which processes inherit, and not to processes. */
bool loom_file_locks_are_shared(void);
/* Whether another process holds a lock that would stop an exclusive (or shared) one. */
int loom_file_lock_held(int fd, uint64_t offset, uint64_t length, bool exclusive, bool *held);

/* Allocates space for the range and lengthens the file to its end; what was not there reads as zeros, what was there
 * keeps its bytes. ENOSPC leaves the length as it was, or longer by space that is allocated. EFBIG instead of SIGXFSZ
 * beyond RLIMIT_FSIZE. */
int loom_file_allocate(int fd, uint64_t offset, uint64_t length);
/* Returns the range to the file system; it reads as zeros; the length stays. The range must be whole 4 KiB pages.
 * Where holes are unknown the zeros are written. */
int loom_file_punch(int fd, uint64_t offset, uint64_t length);
/* Makes the range, which is allocated and below the file's end, read as zeros without reading its old bytes first. It
 * stays allocated. Whole 4 KiB pages. */
int loom_file_zero(int fd, uint64_t offset, uint64_t length);
/* Which of the pages (of the system's size) of a mapping are in memory: 1 in the lowest bit of a byte each. `bytes`
 * begins on a page. ENOSYS where it cannot be known. */
int loom_memory_resident(void *bytes, size_t length, unsigned char *pages);
/* Sets the length; EFBIG instead of SIGXFSZ beyond RLIMIT_FSIZE. */
int loom_file_resize(int fd, uint64_t length);

/* Advises that the range will be read soon: starts reading it into the page cache where that can be asked for. */
void loom_file_prefetch(int fd, uint64_t offset, uint64_t length);

/* Advises that the range, which was just written, may go to the disk now, so that a later sync finds less to do.
 * Durable only after that sync. */
void loom_file_write_out(int fd, uint64_t offset, uint64_t length);

/* Closes every descriptor from `first` on: of a child that must hold nobody's locks and pipes. */
void loom_file_close_from(int first);

/* A new anonymous file in memory, close-on-exec, shareable by descriptor. `name` (<= 31 letters) is for reports. */
int loom_memory_file(const char *name, int *fd);

/* The name of a file system that is shared between machines or served by a process (nfs, smb, fuse, ...), else NULL. */
const char *loom_file_system_refused(int fd);
/* Identity of this process's pid namespace; 0 where there is only one. */
uint64_t loom_pid_namespace(void);
/* Fills with random bytes. */
int loom_random_bytes(void *bytes, size_t length);

#endif
