/* audit.h - a run that computes stored results again, from their recipes, and compares.
 *
 * Nothing is looked up but arguments, nothing is stored. So what is compared was made by other processes, on other
 * workers, and fused or not, as the configuration has it now. */
#ifndef LOOM_RUNTIME_AUDIT_H
#define LOOM_RUNTIME_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/arena.h"
#include "shm/id.h"
#include "shm/status.h"

typedef enum loom_audit_verdict {
    LOOM_AUDIT_UNKNOWN, /* it could not be computed here: the cause says why */
    LOOM_AUDIT_SAME,    /* computed again, and the same */
    LOOM_AUDIT_DIFFERS, /* computed again, and another value */
    LOOM_AUDIT_DAMAGED, /* its stored bytes are not what was stored */
    LOOM_AUDIT_REFUSES, /* its operator refuses what it once computed from */
    LOOM_AUDIT_ELSE     /* its file, or an argument, is another by now: nothing to compare with */
} loom_audit_verdict;

typedef struct loom_audited {
    loom_id rkey, node; /* node: zero if nobody asked for it by name */
    const char *op;
    loom_audit_verdict verdict;
    loom_id stored, computed; /* digests of type, value and voxels */
    loom_error cause;
    uint32_t step; /* of the run */
} loom_audited;

typedef struct loom_audit {
    uint64_t sample, seed;
    /* Filled by loom_run. */
    loom_audited *items;
    uint64_t count;
    uint64_t candidates;  /* stored results of an operator and version that this build has */
    uint64_t passed_over; /* of those drawn, whose arguments are not stored, and cannot be computed */
    loom_arena *arena;    /* the caller's; owns the above */
} loom_audit;

#endif
