/* run.h - kernels as workers run them, but in one process: loops go in parts over threads. A kernel knows no
 * difference, and neither pages of shared memory nor a coordinator are in its time. */
#ifndef LOOM_PERF_KERNELS_RUN_H
#define LOOM_PERF_KERNELS_RUN_H

#include "runtime/kernels/kernel.h"

#define BENCH_THREADS_MAX 64u

typedef struct bench_workers bench_workers;

/* `count` threads, the caller's among them. */
bench_workers *bench_workers_start(unsigned count);
void bench_workers_stop(bench_workers *workers);

/* Whether result images lie in fresh memory (huge pages, as in production), or in memory that an earlier one had. */
void bench_fresh_memory(bench_workers *workers, bool fresh);

/* Runs an operator by its qualified name and returns its wall time in seconds. Ends the program if it fails.
 * `attributes`: NULL but for loom.fused. */
double bench_call(bench_workers *workers, const char *name, const loom_value *arguments, uint32_t count,
                  const loom_value *attributes, loom_value *result);
/* Frees the result's voxels, or keeps the memory for a result to come. */
void bench_drop(bench_workers *workers, const loom_value *result);

/* An image whose voxels are the caller's; the header lives as long as the workers. */
loom_value bench_image(bench_workers *workers, loom_dtype dtype, const uint64_t size[3], const double spacing[3],
                       const void *voxels);
/* Bytes a second, read and written, of all threads copying `bytes` bytes together. */
double bench_copy(bench_workers *workers, size_t bytes);

#endif
