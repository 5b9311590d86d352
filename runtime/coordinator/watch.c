/* watch.c - see watch.h. */
#include "runtime/coordinator/watch.h"

#include <stdlib.h>
#include <time.h>

#include "shm/segment/signs.h"

#define LOOK_NS_MAX UINT64_C(500000000)
#define SECOND_NS UINT64_C(1000000000)

typedef struct watched {
    uint64_t silent_ns;  /* since it last gave a sign of life */
    uint64_t running_ns; /* since it began what it runs */
    uint64_t attempt;    /* what that is */
    uint32_t beats;
    loom_offence offence; /* it was killed for it */
} watched;

struct loom_watch {
    loom_watch_options options;
    uint64_t looked_ns;
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
        seen->running_ns = 0;
    else if (loom_segment_wait_of(segment, worker) == LOOM_WAIT_NONE)
        seen->running_ns += elapsed_ns;
    seen->attempt = attempt;
}

void loom_watch_look(loom_watch *watch) {
    if (!watch) return;
    uint64_t now = now_ns(), elapsed_ns = now - watch->looked_ns;
    if (elapsed_ns > LOOK_NS_MAX) elapsed_ns = LOOK_NS_MAX;
    watch->looked_ns = now;
    for (uint32_t i = 0; i < watch->options.workers; i++) {
        watched *seen = &watch->workers[i];
        if (seen->offence != LOOM_OFFENCE_NONE) continue; /* it may take long to die: a disk that does not answer */
        look_at(watch, seen, i, elapsed_ns);
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

double loom_watch_running_seconds(const loom_watch *watch, uint32_t worker) {
    return (double)watch->workers[worker].running_ns / (double)SECOND_NS;
}
