/* platform_futex_posix.c - platform_futex.h with POSIX calls only: bounded polling.
 *
 * A process-shared mutex and condition variable would wake sooner, but a process that is killed while it holds the
 * mutex (or while it waits on the condition) leaves them unusable, and robust condition variables do not exist. Polling
 * has no state to leave behind: nothing can be lost, and a wake-up is late by at most POLL_LONGEST_NS. */
#include "shm/platform_futex.h"

#include <stdbool.h>
#include <time.h>

#define POLL_SHORTEST_NS 20000L
#define POLL_LONGEST_NS 1000000L

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void loom_futex_wait(_Atomic uint32_t *word, uint32_t expected, int timeout_ms) {
    int64_t end = timeout_ms < 0 ? INT64_MAX : now_ns() + (int64_t)timeout_ms * 1000000;
    long nap = POLL_SHORTEST_NS;
    /* acquire: what the waker wrote before it changed the word is visible to whoever returns because of the change */
    while (atomic_load_explicit(word, memory_order_acquire) == expected) {
        if (timeout_ms >= 0 && now_ns() >= end) return;
        if (nanosleep(&(struct timespec){.tv_nsec = nap}, NULL) != 0) return;
        nap = nap * 2 < POLL_LONGEST_NS ? nap * 2 : POLL_LONGEST_NS;
    }
}

void loom_futex_wake(_Atomic uint32_t *word) {
    (void)word;
}
