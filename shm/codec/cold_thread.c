/* cold_thread.c - see cold_thread.h. It looks again every minute while a run lasts; an error ends it, for what it does
 * is never needed and the next run tries again. */
#include "shm/codec/cold_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "shm/codec/codec.h"
#include "shm/codec/cold.h"
#include "shm/store/store.h"

#define PIECE_BYTES (UINT64_C(256) << 20)
#define FIRST_S 1
#define REST_S 60

struct loom_cold_thread {
    loom_store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    uint64_t compressed; /* read when the thread has ended */
};

/* False: it is time to end. */
static bool rest(loom_cold_thread *of, time_t seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&of->lock);
    int waited = 0;
    while (!of->stop && waited == 0)
        waited = pthread_cond_timedwait(&of->stopped, &of->lock, &until);
    bool go_on = !of->stop;
    pthread_mutex_unlock(&of->lock);
    return go_on;
}

static bool go_on(const char *phase, uint64_t done, uint64_t total, void *context) {
    (void)phase, (void)done, (void)total;
    return rest(context, 0);
}

static void *compress(void *context) {
    loom_cold_thread *of = context;
    const loom_cold_options options = {
        .limit_bytes = PIECE_BYTES, .threads = 1, .idle = true, .progress = go_on, .context = of};
    loom_cold_report report = {.finished = true};
    time_t pause = FIRST_S;
    while (rest(of, pause)) {
        loom_status status = loom_store_compress_cold(of->store, &options, &report, NULL);
        of->compressed += report.compressed;
        if (status != LOOM_OK) break;
        pause = report.finished || report.no_space ? REST_S : 0;
    }
    return NULL;
}

void loom_cold_thread_start(loom_store *store, loom_cold_thread **thread) {
    *thread = NULL;
    if (store->compression == LOOM_COMPRESS_OFF || store->in_memory || !store->writable ||
        loom_compressor_registered() == NULL)
        return;
    loom_cold_thread *made = calloc(1, sizeof *made);
    if (made == NULL) return;
    made->store = store;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->stopped, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&made->thread, NULL, compress, made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        *thread = made;
    else
        free(made);
}

uint64_t loom_cold_thread_stop(loom_cold_thread *thread) {
    if (thread == NULL) return 0;
    pthread_mutex_lock(&thread->lock);
    thread->stop = true;
    pthread_cond_broadcast(&thread->stopped);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->thread, NULL);
    uint64_t compressed = thread->compressed;
    pthread_mutex_destroy(&thread->lock);
    pthread_cond_destroy(&thread->stopped);
    free(thread);
    return compressed;
}
