/* platform_futex_linux.c - platform_futex.h by futex(2), without FUTEX_PRIVATE_FLAG: the kernel finds sleepers by the
 * page of the shared file, so every process may map it elsewhere. The kernel drops a sleeper that dies. */
#include "shm/platform_futex.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic uint32_t) == 4, "the kernel reads a plain 32-bit word");

void loom_futex_wait(_Atomic uint32_t *word, uint32_t expected, int timeout_ms) {
    struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ms < 0 ? NULL : &limit, NULL, 0);
}

void loom_futex_wake(_Atomic uint32_t *word) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
