/* bulk_codec_threads.h - the same work on several threads, the caller's among them; and the memory each
 * works in. */
#ifndef LOOM_SHM_BULK_CODEC_THREADS_H
#define LOOM_SHM_BULK_CODEC_THREADS_H

#include <stdbool.h>
#include <stddef.h>

#define LOOM_BULK_THREADS_MAX 64u

/* Runs work(context) on `threads` threads and returns when all have returned. When threads cannot be started fewer do
 * it: `work` must not wait for a certain number of them. `idle`: only on
 * threads that run when nobody else wants the core, where the system has such (Linux); the caller waits for them. */
void loom_bulk_on_threads(unsigned threads, bool idle, void (*work)(void *context), void *context);

/* Working memory of one thread; `secret`: of an encrypted object, kept out of core dumps and wiped when it is freed.
 * NULL: no memory. */
void *loom_bulk_buffer(size_t bytes, bool secret);
void loom_bulk_buffer_free(void *buffer, size_t bytes, bool secret);

#endif
