/* costs.h - what an operator costs on this machine, as the runs of this store have measured it.
 *
 * Two figures an operator and version: nanoseconds of a call without images, and nanoseconds a voxel. They are
 * estimates, for priorities, placement, splitting and what is worth keeping; no result depends on them. Read once a
 * run, from the small named blob "costs" of the store, and written once. Belongs to the coordinator's main thread. */
#ifndef LOOM_RUNTIME_COSTS_H
#define LOOM_RUNTIME_COSTS_H

#include <stdint.h>

#include "shm/operator.h"
#include "shm/status.h"
#include "shm/store/storage.h"

typedef struct loom_costs loom_costs;

/* Knows nothing yet but the operators' rough classes. The table must outlive it. NULL: out of memory. */
loom_costs *loom_costs_new(const loom_operator_table *operators);
void loom_costs_free(loom_costs *costs); /* NULL is accepted */

/* Takes over what earlier runs measured. What is missing, damaged or of another version of an operator counts as never
 * measured. */
void loom_costs_load(loom_costs *costs, loom_store *store);

/* Nanoseconds that a call takes, at least 1: `voxels` is the largest of its images, arguments and result (0: none is an
 * image). Measured, by this run if not before, else by the operator's class. */
uint64_t loom_costs_estimate_ns(const loom_costs *costs, const loom_operator *op, uint64_t voxels);
/* Picoseconds a voxel, as measured; 0: never. */
uint64_t loom_costs_voxel_ps(const loom_costs *costs, const loom_operator *op);
/* Voxels of an image of which nothing is known yet: as many as images of earlier runs had. */
uint64_t loom_costs_typical_voxels(const loom_costs *costs);

/* A kernel ran for so long. */
void loom_costs_add(loom_costs *costs, const loom_operator *op, uint64_t voxels, uint64_t ns);

/* Puts what was measured into the batch, beside the figures of operators that this run did not use; nothing if nothing
 * was. Two runs that end at once may lose the figures of one: they are averages of many. Errors: the batch's. */
loom_status loom_costs_put(loom_costs *costs, loom_store *store, loom_batch *batch, loom_error *err);

#endif
