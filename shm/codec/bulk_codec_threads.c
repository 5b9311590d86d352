/* bulk_codec_threads.c - see bulk_codec_threads.h. Threads are started for one call and end with it: a library in a
 * host process keeps none of its own, and a start costs 20 us where a block costs milliseconds. */
#include "shm/codec/bulk_codec_threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/codec/bulk_codec.h"
#include "shm/seal/secret.h"

typedef struct shared_work {
    void (*work)(void *context);
    void *context;
    bool idle;
} shared_work;

static void *thread_main(void *context) {
    const shared_work *shared = context;
#ifdef SCHED_IDLE
    /* For good: without privileges no thread comes back from it. Refused: it only costs others time. */
    if (shared->idle) (void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){0});
#endif
    shared->work(shared->context);
    return NULL;
}

void loom_bulk_on_threads(unsigned threads, bool idle, void (*work)(void *context), void *context) {
    pthread_t others[LOOM_BULK_THREADS_MAX];
    unsigned started = 0;
    shared_work shared = {work, context, idle};
    if (threads > LOOM_BULK_THREADS_MAX) threads = LOOM_BULK_THREADS_MAX;
    unsigned wanted = idle ? threads : threads - (threads > 0);
    if (wanted > 0) {
        /* A new thread has its maker's mask: signals stay with the threads of the program. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (started < wanted && pthread_create(&others[started], NULL, thread_main, &shared) == 0)
            started++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (!idle || started == 0) work(context);
    for (unsigned i = 0; i < started; i++)
        pthread_join(others[i], NULL);
}

unsigned loom_bulk_threads(uint64_t bytes) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t worth = bytes / (4 * LOOM_BLOCK_BYTES); /* four blocks a thread pay for its start */
    if (worth > 4) worth = 4;
    if (online > 0 && worth > (uint64_t)online) worth = (uint64_t)online;
    return worth < 1 ? 1 : (unsigned)worth;
}

void *loom_bulk_buffer(size_t bytes, bool secret) {
    return secret ? loom_secret_alloc(bytes) : malloc(bytes);
}

void loom_bulk_buffer_free(void *buffer, size_t bytes, bool secret) {
    if (secret)
        loom_secret_free(buffer, bytes);
    else
        free(buffer);
}
