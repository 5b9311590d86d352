/* platform_file_common.h - for the twins of platform_file.h only. Both return 0 or an errno. */
#ifndef LOOM_SHM_PLATFORM_FILE_COMMON_H
#define LOOM_SHM_PLATFORM_FILE_COMMON_H

#include <stdint.h>

/* EFBIG if a file may not end there: growing it beyond RLIMIT_FSIZE would raise SIGXFSZ, which ends a process that did
 * not ask for it. */
int loom_file_check_limit(uint64_t end);
/* Writes zeros, where a file system cannot allocate or punch: so that the space is really there. */
int loom_file_write_zeros(int fd, uint64_t offset, uint64_t length);

#endif
