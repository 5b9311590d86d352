/* activity.h - what a thread of a run is doing now, told to whoever wants to know (perf/recorder.h).
 *
 * Code that waits or works for a reason says so, in one line, on the way in and on the way out:
 *
 *      loom_activity before = loom_enter(LOOM_DOING_IO);
 *      ... wait ...
 *      loom_enter(before);
 *
 * Exactly one activity holds at a time, so times add up to the whole. Without an observer, as in every run that is not
 * profiled and in host processes, each call is one load and one predictable branch. */
#ifndef LOOM_SHM_ACTIVITY_H
#define LOOM_SHM_ACTIVITY_H

#include <stddef.h>
#include <stdint.h>

/* name, what reports call it. Numbers are positions in shared tables: a change is a change of layout (recorder.c). */
#define LOOM_ACTIVITY_LIST(X)                                                                                          \
    X(LOOM_DOING_START, "start-up")        /* planning; the process starts and attaches */                             \
    X(LOOM_DOING_NOTHING, "no work")       /* no task is ready */                                                      \
    X(LOOM_DOING_SCHEDULING, "scheduling") /* finding and claiming a task, preparing it, telling others of its end */  \
    X(LOOM_DOING_LOOKUP, "look-up")        /* its key, the store, comparing stored bytes with their hashes */          \
    X(LOOM_DOING_CLAIM, "another run")     /* waiting for a run that computes the same */                              \
    X(LOOM_DOING_ARGUMENTS, "arguments")   /* decoding and mapping them */                                             \
    X(LOOM_DOING_KERNEL, "kernel")         /* the operator's own code */                                               \
    X(LOOM_DOING_IO, "I/O wait")           /* reading and writing files, waiting for writes in flight */               \
    X(LOOM_DOING_PUBLISH, "publication")   /* encoding, hashing and sealing the result */                              \
    X(LOOM_DOING_MEMORY, "memory brake")   /* no room for results: tasks are held back, or put back */                 \
    X(LOOM_DOING_RECORDING, "profiling")   /* reading counters, writing the log */                                     \
    X(LOOM_DOING_END, "wind-down")         /* ended; the last results are stored */                                    \
    X(LOOM_DOING_OTHER, "other")

typedef enum loom_activity {
#define LOOM_ACTIVITY_ENUM(name, text) name,
    LOOM_ACTIVITY_LIST(LOOM_ACTIVITY_ENUM)
#undef LOOM_ACTIVITY_ENUM
        LOOM_ACTIVITY_COUNT
} loom_activity;

/* "no work"; "?" beyond the list. */
const char *loom_activity_name(unsigned activity);

/* Things that happen, with a number. */
typedef enum loom_note {
    LOOM_NOTE_STEAL,    /* the next task comes from this worker's deque */
    LOOM_NOTE_IO_FLIGHT /* writes in flight now */
} loom_note;

/* Both are called by the thread that they are about, often: they must be quick and must not fail. */
typedef struct loom_observer {
    /* `next` holds from now on; returns what held before. */
    loom_activity (*enter)(struct loom_observer *observer, loom_activity next);
    void (*note)(struct loom_observer *observer, loom_note what, uint64_t value);
} loom_observer;

/* Of this thread; NULL: nobody asks. initial-exec: no call to find it, in the shared library either. */
extern _Thread_local loom_observer *loom_thread_observer __attribute__((tls_model("initial-exec")));

static inline loom_activity loom_enter(loom_activity next) {
    loom_observer *observer = loom_thread_observer;
    return __builtin_expect(observer != NULL, 0) ? observer->enter(observer, next) : next;
}

static inline void loom_note_that(loom_note what, uint64_t value) {
    loom_observer *observer = loom_thread_observer;
    if (__builtin_expect(observer != NULL, 0)) observer->note(observer, what, value);
}

#endif
