/* secret.h - memory and descriptors for what must not reach the disk: keys, and the plaintext of an encrypted store.
 *
 * Two twins, secret_linux.c and secret_posix.c, chosen in CMake by VOXLOOM_PORTABLE. What swap and core dumps mean for
 * a user: runtime/DEPLOYMENT.md, "Privacy". */
#ifndef LOOM_SHM_STORE_SECRET_H
#define LOOM_SHM_STORE_SECRET_H

#include <stddef.h>

/* Zero-filled pages, locked into memory where RLIMIT_MEMLOCK allows it and left out of core dumps. NULL: no memory. */
void *loom_secret_alloc(size_t bytes);
/* Wipes and returns them; the same `bytes`. NULL is accepted. */
void loom_secret_free(void *secret, size_t bytes);

/* A descriptor, close-on-exec, that hands `bytes` (1..4096) of `secret` to processes that inherit it: memfd_secret
 * where the kernel has it (never swapped, not in the kernel's own map), else a locked-while-mapped memory file. Returns
 * 0 or an errno value. */
int loom_secret_send(const void *secret, size_t bytes, int *fd);
/* Reads it on the other side. EINVAL when the descriptor is none of these. */
int loom_secret_receive(int fd, void *secret, size_t bytes);

/* Leaves a mapping out of core dumps, where that can be asked for. */
void loom_memory_hide(void *map, size_t bytes);
/* No core dump of this process from now on, whatever takes them: for voxloom's own programs, not for a host program. */
void loom_process_hide(void);

#endif
