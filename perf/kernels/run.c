/* run.c - kernels over threads: see run.h. */
#include "perf/kernels/run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime/kernels/base/parts.h"

enum { SCRATCH_MAX = 256, SPARE_MAX = 16 };

typedef struct lane {
    loom_call call; /* of the loop that runs: the kernel's, with an arena and an error of its own */
    loom_error err;
    loom_arena *arena;
    void *scratch[SCRATCH_MAX]; /* of the call */
    unsigned scratch_count;
    loom_status status;
} lane;

typedef struct memory {
    void *bytes;
    size_t length;
} memory;

struct bench_workers {
    unsigned count;
    pthread_t threads[BENCH_THREADS_MAX];
    pthread_barrier_t begin, end;
    bool stopping, fresh;
    lane lanes[BENCH_THREADS_MAX];
    loom_arena *arena; /* headers */
    memory spare[SPARE_MAX];
    /* The job: a loop, or a copy. */
    const loom_parts *parts;
    void *voxels;
    _Atomic uint32_t next;
    char *copy_from, *copy_to;
    size_t copy_bytes;
};

typedef struct seat {
    bench_workers *workers;
    unsigned number;
} seat;

static void die(const char *what) {
    fprintf(stderr, "bench_kernels: %s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- threads ---- */

static void do_share(bench_workers *workers, unsigned number) {
    if (workers->parts == NULL) {
        size_t each = workers->copy_bytes / workers->count;
        memcpy(workers->copy_to + number * each, workers->copy_from + number * each, each);
        return;
    }
    lane *own = &workers->lanes[number];
    void *local = NULL;
    uint32_t part;
    while ((part = atomic_fetch_add(&workers->next, 1)) < workers->parts->count && own->status == LOOM_OK)
        own->status = loom_run_part(&own->call, workers->parts, part, number, workers->voxels, &local);
}

static void *work(void *argument) {
    seat own = *(seat *)argument;
    free(argument);
    for (;;) {
        pthread_barrier_wait(&own.workers->begin);
        if (own.workers->stopping) return NULL;
        do_share(own.workers, own.number);
        pthread_barrier_wait(&own.workers->end);
    }
}

static void do_together(bench_workers *workers) {
    pthread_barrier_wait(&workers->begin);
    do_share(workers, 0);
    pthread_barrier_wait(&workers->end);
}

bench_workers *bench_workers_start(unsigned count) {
    bench_workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL || count == 0 || count > BENCH_THREADS_MAX) die("bad number of threads");
    workers->count = count;
    workers->arena = loom_arena_new();
    pthread_barrier_init(&workers->begin, NULL, count);
    pthread_barrier_init(&workers->end, NULL, count);
    for (unsigned k = 0; k < count; k++) {
        workers->lanes[k].arena = loom_arena_new();
        seat *place = malloc(sizeof *place);
        if (workers->lanes[k].arena == NULL || place == NULL) die("out of memory");
        *place = (seat){.workers = workers, .number = k};
        if (k == 0)
            free(place);
        else if (pthread_create(&workers->threads[k], NULL, work, place) != 0)
            die("cannot start threads");
    }
    return workers;
}

void bench_workers_stop(bench_workers *workers) {
    workers->stopping = true;
    pthread_barrier_wait(&workers->begin);
    for (unsigned k = 0; k < workers->count; k++) {
        if (k > 0) pthread_join(workers->threads[k], NULL);
        loom_arena_free(workers->lanes[k].arena);
    }
    bench_fresh_memory(workers, true);
    loom_arena_free(workers->arena);
    free(workers);
}

/* ---- memory ---- */

static void *map(size_t length) {
    void *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) die("out of memory");
#ifdef MADV_HUGEPAGE
    (void)madvise(bytes, length, MADV_HUGEPAGE);
#endif
    return bytes;
}

void bench_fresh_memory(bench_workers *workers, bool fresh) {
    workers->fresh = fresh;
    for (unsigned k = 0; k < SPARE_MAX; k++) {
        if (workers->spare[k].bytes != NULL) munmap(workers->spare[k].bytes, workers->spare[k].length);
        workers->spare[k] = (memory){0};
    }
}

static void *result_memory(bench_workers *workers, size_t length) {
    for (unsigned k = 0; k < SPARE_MAX; k++)
        if (workers->spare[k].bytes != NULL && workers->spare[k].length == length) {
            void *bytes = workers->spare[k].bytes;
            workers->spare[k] = (memory){0};
            return bytes;
        }
    return map(length);
}

void bench_drop(bench_workers *workers, const loom_value *result) {
    if (result->type != LOOM_IMAGE) return;
    memory of = {.bytes = (void *)(uintptr_t)result->image.voxels, .length = loom_image_bytes(result->image.header)};
    for (unsigned k = 0; !workers->fresh && k < SPARE_MAX; k++)
        if (workers->spare[k].bytes == NULL) {
            memset(of.bytes, 0, of.length); /* kernels are promised zeros */
            workers->spare[k] = of;
            return;
        }
    munmap(of.bytes, of.length);
}

/* ---- services of the kernels; the context is the workers', lanes are told apart by their arena ---- */

static loom_status new_image(loom_call *call, const loom_image_header *header, void **voxels) {
    bench_workers *workers = call->context;
    LOOM_TRY(loom_image_header_check(header, call->err));
    loom_image_header *copy = loom_arena_copy(workers->arena, header, sizeof *header);
    if (copy == NULL) return LOOM_NO_MEMORY;
    *voxels = result_memory(workers, loom_image_bytes(header));
    call->result = loom_image(copy, *voxels);
    return LOOM_OK;
}

static lane *lane_of(loom_call *call) {
    bench_workers *workers = call->context;
    for (unsigned k = 0; k < workers->count; k++)
        if (workers->lanes[k].arena == call->arena) return &workers->lanes[k];
    return NULL;
}

static void *scratch(loom_call *call, size_t bytes) {
    lane *own = lane_of(call);
    if (own == NULL || own->scratch_count == SCRATCH_MAX) return NULL;
    void *got = malloc(bytes);
    if (got != NULL) own->scratch[own->scratch_count++] = got;
    return got;
}

static void *share(loom_call *call, unsigned number, size_t bytes) {
    lane *own = lane_of(call);
    (void)number;
    if (own == NULL || own->scratch_count == SCRATCH_MAX) return NULL;
    void *got = calloc(1, bytes);
    if (got != NULL) own->scratch[own->scratch_count++] = got;
    return got;
}

static uint32_t lanes(loom_call *call) {
    const bench_workers *workers = call->context;
    return workers->count;
}

static loom_status run_parts(loom_call *call, const loom_parts *parts) {
    bench_workers *workers = call->context;
    workers->parts = parts;
    workers->voxels = call->result.type == LOOM_IMAGE ? (void *)(uintptr_t)call->result.image.voxels : NULL;
    atomic_store(&workers->next, 0);
    for (unsigned k = 0; k < workers->count; k++) {
        lane *own = &workers->lanes[k];
        own->call = *call;
        own->call.arena = own->arena;
        own->call.err = &own->err;
        own->status = LOOM_OK;
    }
    do_together(workers);
    for (unsigned k = 0; k < workers->count; k++)
        if (workers->lanes[k].status != LOOM_OK) die(workers->lanes[k].err.message);
    return LOOM_OK;
}

static const loom_call_services services = {
    .new_image = new_image, .scratch = scratch, .run_parts = run_parts, .share = share, .lanes = lanes};

/* ---- calls ---- */

double bench_call(bench_workers *workers, const char *name, const loom_value *arguments, uint32_t count,
                  const loom_value *attributes, loom_value *result) {
    const loom_operator *op = loom_operator_find(loom_operators(), name, strlen(name));
    if (op == NULL || loom_kernel_of(op)->run == NULL) die(name);
    loom_error err = {0};
    loom_call call = {.op = op,
                      .arguments = arguments,
                      .argument_count = count,
                      .attributes = attributes,
                      .services = &services,
                      .context = workers,
                      .arena = workers->lanes[0].arena,
                      .err = &err,
                      .result = loom_null()};
    double start = now();
    if (loom_kernel_of(op)->run(&call) != LOOM_OK) die(err.message);
    for (unsigned k = 0; k < workers->count; k++)
        while (workers->lanes[k].scratch_count > 0)
            free(workers->lanes[k].scratch[--workers->lanes[k].scratch_count]);
    double took = now() - start;
    *result = call.result;
    return took;
}

loom_value bench_image(bench_workers *workers, loom_dtype dtype, const uint64_t size[3], const double spacing[3],
                       const void *voxels) {
    loom_image_header header = loom_image_header_make(dtype, 3, size);
    for (unsigned d = 0; d < 3; d++)
        header.spacing[d] = spacing[d];
    loom_image_header *copy = loom_arena_copy(workers->arena, &header, sizeof header);
    if (copy == NULL) die("out of memory");
    return loom_image(copy, voxels);
}

double bench_copy(bench_workers *workers, size_t bytes) {
    double best = 0;
    workers->parts = NULL;
    workers->copy_bytes = bytes;
    workers->copy_from = map(bytes);
    workers->copy_to = map(bytes);
    memset(workers->copy_from, 1, bytes);
    memset(workers->copy_to, 2, bytes);
    for (int k = 0; k < 7; k++) {
        double start = now();
        do_together(workers);
        double speed = 2 * (double)bytes / (now() - start);
        if (speed > best) best = speed;
    }
    munmap(workers->copy_from, bytes);
    munmap(workers->copy_to, bytes);
    return best;
}
