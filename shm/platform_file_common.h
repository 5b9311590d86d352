/* platform_file_common.h - for the twins of platform_file.h only. They return 0 or an errno, if anything. */
#ifndef LOOM_SHM_PLATFORM_FILE_COMMON_H
#define LOOM_SHM_PLATFORM_FILE_COMMON_H

#include <stdint.h>

/* EFBIG if a file may not end there: growing it beyond RLIMIT_FSIZE would raise SIGXFSZ, which ends a process that did
 * not ask for it. */
int loom_file_check_limit(uint64_t end);
/* Writes zeros from the file's end to `end`, where a file system cannot allocate: so that the space is really there.
 * What lies before keeps its bytes. */
int loom_file_lengthen(int fd, uint64_t end);
/* Closes one after the other, up to RLIMIT_NOFILE or 65536. */
void loom_file_close_each(int first);
/* Writes zeros, where a file system cannot punch. */
int loom_file_write_zeros(int fd, uint64_t offset, uint64_t length);

#endif
