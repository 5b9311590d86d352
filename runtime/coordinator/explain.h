/* explain.h - why a step would run, or why not: what differs from the nearest result that the store knows of.
 *
 * The nearest is, in this order: what met the goal last time (for a goal that was asked for by its label); the newest
 * result of the same node id; else the newest of those of the same operator that agree in most arguments. Recipes are
 * compared with the step, argument by argument and down along the first that differs, to the constant, the version or
 * the file that is the cause. Results that were evicted or expired count: their recipes are remembered. */
#ifndef LOOM_RUNTIME_EXPLAIN_H
#define LOOM_RUNTIME_EXPLAIN_H

#include "runtime/coordinator/preview.h"
#include "shm/care/history.h"

typedef enum loom_reason {
    LOOM_REASON_STORED,     /* nothing to do */
    LOOM_REASON_KNOWN,      /* a constant */
    LOOM_REASON_EVICTED,    /* its value was evicted or removed; the key is the same */
    LOOM_REASON_EXPIRED,    /* its time has come (store.ttl) */
    LOOM_REASON_EFFECT,     /* the file that it wrote is missing, or holds something else: `now` is its path */
    LOOM_REASON_NOT_KEPT,   /* results of its operator are never stored */
    LOOM_REASON_NEW,        /* nothing of its operator was ever stored here */
    LOOM_REASON_UNSTORED,   /* an image between, which store.persist = `now` does not keep */
    LOOM_REASON_OPERATOR,   /* `before` was computed by another operator */
    LOOM_REASON_VERSION,    /* the kernel's version is another */
    LOOM_REASON_ATTRIBUTES, /* such as a fold's operator */
    LOOM_REASON_ARITY,      /* the number of arguments is another */
    LOOM_REASON_ARGUMENT,   /* argument number `argument` is another value */
    LOOM_REASON_RESULT,     /* argument number `argument` is another result; the next link says why */
    LOOM_REASON_INPUT,      /* the file that it reads, `now`, holds something else */
    LOOM_REASON_UNREADABLE, /* the file that it reads, `now`, is missing or cannot be read */
    LOOM_REASON_WAITS,      /* argument number `argument` must be computed before its key is known; next link: why */
    LOOM_REASON_FORGOTTEN,  /* the store has no recipe left to compare with */
    LOOM_REASON_LATER,      /* its items, or its arguments, are known only when others are computed */
    LOOM_REASON_FAILS
} loom_reason;
const char *loom_reason_name(loom_reason reason); /* "evicted": for JSON */

/* One link of the chain from the step that was asked for down to the cause. */
typedef struct loom_cause {
    loom_reason reason;
    uint32_t step;
    uint32_t argument;          /* from 1 */
    char now[200], before[200]; /* values, versions, operators, as text */
} loom_cause;

#define LOOM_CAUSES_MAX 64
typedef enum loom_nearest_by {
    LOOM_NEAREST_NONE,
    LOOM_NEAREST_GOAL,
    LOOM_NEAREST_NODE,
    LOOM_NEAREST_ARGUMENTS
} loom_nearest_by;

typedef struct loom_explanation {
    loom_fate fate;
    uint32_t step;
    bool has_rkey;
    loom_id rkey;
    loom_cause causes[LOOM_CAUSES_MAX];
    uint32_t cause_count;       /* at least 1 */
    loom_nearest_by nearest_by; /* what it was compared with; itself, when it is or was stored */
    loom_past nearest_past;
    loom_result nearest; /* in the arena */
} loom_explanation;

/* `label`: of the goal whose value the step is, or NULL. LOOM_NO_MEMORY; errors of reading the store. Looks at every
 * row of the store unless the step is stored or was. */
loom_status loom_explain(loom_preview *preview, uint32_t step, const char *label, loom_arena *arena,
                         loom_explanation *explanation, loom_error *err);

#endif
