/* watch.c - see watch.h. */
#include "runtime/coordinator/watch.h"

#include <stdlib.h>
#include <time.h>

#include "shm/segment/signs.h"

#define LOOK_NS_MAX UINT64_C(500000000)
#define SECOND_NS UINT64_C(1000000000)
#define IDLE_NS (30 * SECOND_NS)

typedef struct watched {
    uint64_t silent_ns;  /* since it last gave a sign of life */
    uint64_t running_ns; /* since it began what it runs, but for waits */
    uint64_t waiting_ns; /* for another run, since then */
    uint64_t told_ns;    /* of either, when it was last told */
    uint64_t attempt;    /* what that is */
    uint32_t beats;
    loom_offence offence; /* it was killed for it */
} watched;

struct loom_watch {
    loom_watch_options options;
    uint64_t looked_ns;
    uint64_t idle_ns; /* since some worker was last seen to run something */
    watched workers[];
};

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec : 0;
}

loom_watch *loom_watch_new(const loom_watch_options *options) {
    loom_watch *watch = calloc(1, sizeof *watch + options->workers * sizeof *watch->workers);
    if (!watch) return NULL;
    watch->options = *options;
    watch->looked_ns = now_ns();
    return watch;
}

void loom_watch_free(loom_watch *watch) {
    free(watch);
}

static bool is_over(uint64_t ns, uint64_t limit_s) {
    return limit_s > 0 && ns / SECOND_NS >= limit_s;
}

static void look_at(const loom_watch *watch, watched *seen, uint32_t worker, uint64_t elapsed_ns) {
    const loom_segment *segment = watch->options.segment;
    uint32_t beats = loom_segment_beats(segment, worker);
    seen->silent_ns = beats == seen->beats ? seen->silent_ns + elapsed_ns : 0;
    seen->beats = beats;
    uint64_t attempt = loom_segment_attempt(segment, worker);
    if (attempt != seen->attempt || attempt == 0)
        seen->running_ns = seen->waiting_ns = seen->told_ns = 0;
    else if (loom_segment_wait_of(segment, worker) == LOOM_WAIT_NONE)
        seen->running_ns += elapsed_ns;
    else
        seen->waiting_ns += elapsed_ns;
    seen->attempt = attempt;
}

void loom_watch_look(loom_watch *watch) {
    if (!watch) return;
    uint64_t now = now_ns(), elapsed_ns = now - watch->looked_ns;
    if (elapsed_ns > LOOK_NS_MAX) elapsed_ns = LOOK_NS_MAX;
    watch->looked_ns = now;
    watch->idle_ns += elapsed_ns;
    for (uint32_t i = 0; i < watch->options.workers; i++) {
        watched *seen = &watch->workers[i];
        if (seen->offence != LOOM_OFFENCE_NONE) continue; /* it may take long to die: a disk that does not answer */
        look_at(watch, seen, i, elapsed_ns);
        if (seen->attempt != 0) watch->idle_ns = 0;
        if (is_over(seen->silent_ns, watch->options.heartbeat_s))
            seen->offence = LOOM_OFFENCE_SILENT;
        else if (is_over(seen->running_ns, watch->options.node_timeout_s))
            seen->offence = LOOM_OFFENCE_OVERTIME;
        if (seen->offence != LOOM_OFFENCE_NONE) loom_crew_kill_worker(watch->options.crew, i);
    }
}

loom_offence loom_watch_bury(loom_watch *watch, uint32_t worker) {
    loom_offence offence = watch->workers[worker].offence;
    watch->workers[worker] = (watched){.beats = loom_segment_beats(watch->options.segment, worker)};
    return offence;
}

bool loom_watch_is_slow(loom_watch *watch, uint32_t worker, loom_slow_worker *slow) {
    watched *seen = &watch->workers[worker];
    bool waits = seen->waiting_ns > seen->running_ns;
    uint64_t ns = waits ? seen->waiting_ns : seen->running_ns, first = watch->options.notice_s * SECOND_NS;
    if (waits) first /= 12;
    if (first == 0 || ns < first || ns < 2 * seen->told_ns) return false;
    seen->told_ns = ns;
    *slow = (loom_slow_worker){.waits = waits, .seconds = (double)ns / (double)SECOND_NS};
    return true;
}

bool loom_watch_is_idle(loom_watch *watch) {
    uint64_t notice_ns = watch->options.notice_s * SECOND_NS;
    if (watch->idle_ns < (notice_ns ? notice_ns / 2 : IDLE_NS)) return false;
    watch->idle_ns = 0;
    return true;
}
