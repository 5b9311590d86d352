/* chain.h - operators that loom.fused runs as one, as the coordinator would write them down (kernels/fused/tape.h). */
#ifndef LOOM_PERF_KERNELS_CHAIN_H
#define LOOM_PERF_KERNELS_CHAIN_H

#include "shm/arena.h"
#include "shm/value.h"

#define BENCH_LINKS_MAX 4u

typedef struct bench_link {
    const char *op;       /* NULL: the chain ends before it */
    const char *operands; /* letters of arguments, or 1 to 9: the result of that link */
} bench_link;

/* The attributes of a call of loom.fused whose arguments are `letters`, in `arena`. Ends the program if they cannot be
 * made. */
loom_value bench_chain(const bench_link links[BENCH_LINKS_MAX], const char *letters, loom_arena *arena);

#endif
