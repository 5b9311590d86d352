/* worker_environment.c - see worker_environment.h. */
#include "runtime/coordinator/worker_environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* OpenMP; OpenBLAS and its forerunner; MKL; BLIS; Apple's Accelerate; ITK; numba; NumExpr; Rayon; Julia; polars. */
static char *const limits[] = {
    "OMP_NUM_THREADS=1",        "OMP_THREAD_LIMIT=1",
    "OPENBLAS_NUM_THREADS=1",   "GOTO_NUM_THREADS=1",
    "MKL_NUM_THREADS=1",        "BLIS_NUM_THREADS=1",
    "VECLIB_MAXIMUM_THREADS=1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1",
    "NUMBA_NUM_THREADS=1",      "NUMEXPR_NUM_THREADS=1",
    "NUMEXPR_MAX_THREADS=1",    "RAYON_NUM_THREADS=1",
    "JULIA_NUM_THREADS=1",      "POLARS_MAX_THREADS=1",
};
enum { LIMITS = sizeof limits / sizeof limits[0] };

/* Does the entry set one of the limits? */
static bool is_limit(const char *entry) {
    const char *sign = strchr(entry, '=');
    if (!sign) return false;
    size_t length = (size_t)(sign - entry) + 1;
    for (size_t i = 0; i < LIMITS; i++)
        if (strncmp(entry, limits[i], length) == 0) return true;
    return false;
}

char **loom_worker_environment(char *const *environment) {
    size_t count = 0;
    while (environment && environment[count])
        count++;
    char **made = calloc(count + LIMITS + 1, sizeof *made);
    if (!made) return NULL;
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_limit(environment[i])) made[at++] = environment[i];
    for (size_t i = 0; i < LIMITS; i++)
        made[at++] = limits[i];
    return made;
}
