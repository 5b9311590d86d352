/* bulk_codec_threads.h - the same work on several threads, the caller's among them. */
#ifndef LOOM_SHM_BULK_CODEC_THREADS_H
#define LOOM_SHM_BULK_CODEC_THREADS_H

#define LOOM_BULK_THREADS_MAX 64u

/* Runs work(context) on `threads` threads and returns when all have returned. When threads cannot be started fewer do
 * it: `work` must not wait for a certain number of them. */
void loom_bulk_on_threads(unsigned threads, void (*work)(void *context), void *context);

#endif
