/* platform_futex.h - sleep until a word in shared memory changes, across processes.
 *
 * Two twins: platform_futex_linux.c (futex) and platform_futex_posix.c (polling), chosen in CMake by VOXLOOM_PORTABLE.
 * Both may return early; callers look at their own condition again. */
#ifndef LOOM_SHM_PLATFORM_FUTEX_H
#define LOOM_SHM_PLATFORM_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Returns at once when *word != expected; else sleeps until loom_futex_wake on the word (in any mapping of the same
 * memory), a signal, or timeout_ms (negative: no limit). */
void loom_futex_wait(_Atomic uint32_t *word, uint32_t expected, int timeout_ms);
/* Wakes all who sleep on the word. Change the word first. */
void loom_futex_wake(_Atomic uint32_t *word);

#endif
