/* preview.h - what a run would do, found without doing it: the program is planned, its goals are lowered and settled
 * against the store as a run does, but nothing is computed, written or stored, and no process is started. Files that
 * the store does not know by their times are read, to hash them.
 *
 * Belongs to one thread. Steps are numbered as in the run's graph. */
#ifndef LOOM_RUNTIME_PREVIEW_H
#define LOOM_RUNTIME_PREVIEW_H

#include "runtime/coordinator/run.h"

struct loom_session;
typedef struct loom_preview loom_preview;

typedef enum loom_fate {
    LOOM_FATE_KNOWN,   /* a constant, or an item of a stored sequence */
    LOOM_FATE_STORED,  /* found in the store */
    LOOM_FATE_RUNS,    /* computed, and nothing else can become of it */
    LOOM_FATE_MAY_RUN, /* its key depends on values that are computed first; then the store is asked once more */
    LOOM_FATE_LATER,   /* a loop, or what uses one, whose items depend on values that are computed first */
    LOOM_FATE_UNUSED,  /* not stored; but everything that uses it is */
    LOOM_FATE_FAILS
} loom_fate;

typedef struct loom_preview_step {
    loom_fate fate;
    const char *op; /* "" for a loop whose items are not known */
    loom_id node;   /* zero for internal steps */
    const char *file;
    uint32_t line, column; /* 0 and NULL: unknown */
    uint64_t cost_ns;      /* estimated, as measured by earlier runs of the store, else by the operator's class */
    uint64_t bytes;        /* of its result, estimated: an image has as many voxels as is usual in the store */
} loom_preview_step;

typedef struct loom_preview_goal {
    const char *operation, *name; /* "print" or "save" */
    uint32_t step;                /* of its value; LOOM_STEP_NONE if it fails */
    loom_fate fate;               /* of the value */
    bool writes;                  /* a save whose image file is missing, or differs from what was written */
    bool writes_known;            /* false: only the value tells */
    loom_error error;             /* when it fails */
} loom_preview_goal;

/* Plans and settles all goals. options->config, plan and notice are used and must outlive the preview. A store that
 * does not exist is like an empty one. Errors: of planning and of opening the store; a goal that fails is no error. */
loom_status loom_preview_open(const loom_run_options *options, loom_preview **preview, loom_error *err);
void loom_preview_close(loom_preview *preview); /* NULL is accepted */

uint32_t loom_preview_step_count(const loom_preview *preview);
/* False for steps that are no more than a name of another, which are passed over in lists. */
bool loom_preview_step_of(loom_preview *preview, uint32_t step, loom_preview_step *seen);
size_t loom_preview_goal_count(const loom_preview *preview);
void loom_preview_goal_of(loom_preview *preview, size_t index, loom_preview_goal *goal);
/* The step of a plan node, which is lowered and settled if no goal needs it. */
loom_status loom_preview_find(loom_preview *preview, loom_node_index node, uint32_t *step, loom_error *err);

struct loom_session *loom_preview_session(loom_preview *preview);
loom_fate loom_preview_fate(const loom_preview *preview, uint32_t step);
/* False: it does not exist, and what is said of it holds for an empty one. */
bool loom_preview_has_store(const loom_preview *preview);
/* An input file whose hash the store does not remember: it was never read as it is now, or was younger than two seconds
 * when it was. Where intermediate images are not stored (store.persist), a run computes what lies between it and the
 * goals again, also if these are stored, since it reads the file only then. NULL if there is none, or it is all one. */
const char *loom_preview_unread_input(const loom_preview *preview);

/* ---- for settle.c and submit.c, where a run would go on ---- */

/* Someone needs the step: it would run, and so would what it needs. */
loom_status loom_preview_want(loom_preview *preview, uint32_t step, loom_error *err);
/* Reads a file for its content hash, which the store does not remember. `input`: of a program, not written by one. */
loom_status loom_preview_hash(loom_preview *preview, const char *path, bool input, loom_id *content, loom_error *err);

#endif
