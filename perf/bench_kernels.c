/* bench_kernels.c - kernels against ITK 5.2, the same work with the same number of threads in one process, on a head of
 * 256 x 256 x 192 voxels made by the code of `voxloom phantom`.
 *
 *      bench_kernels [--threads T] [--rounds R] [--only NAME]        default: all cores, 5, every row
 *
 * A row: the median wall time of the kernel with fresh memory for its result (huge pages, as a worker's) and in memory
 * that was there before, the peer's, which takes fresh memory too; processor time of both; the ratios; what share of
 * the bandwidth of copying (memcpy by all threads, of four arrays of floats, measured at the beginning) the kernel
 * moves with memory that was there, counting each byte of its arguments and result once; whether both results are the
 * same. Kernel and peer take turns. Kernels run in parts over threads (kernels/run.h): not as whole runs, whose profile
 * also holds the coordinator, page tables of shared memory and the store, which bench_run measures. Peers are in
 * kernels/itk_*.cpp, built where CMake finds ITK; without it only their columns are missing. Fused chains are one call
 * of loom.fused against a pipeline of ITK filters, each of which writes its image. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "perf/bench.h"
#include "perf/kernels/chain.h"
#include "perf/kernels/itk.h"
#include "perf/kernels/run.h"
#include "runtime/cli/phantom.h"

#define ROUNDS_MAX 99

enum { WIDTH = 256, HEIGHT = 256, DEPTH = 192, VOXELS = WIDTH * HEIGHT * DEPTH };

#ifdef BENCH_ITK
#define ITK(peer_) (peer_)
#else
#define ITK(peer_) NULL
#endif

typedef enum sameness { BYTES, LABELS, NUMBER, PAIR } sameness;

/* Arguments are letters: s the head, m a mask, e seeds (a smaller mask), M the mask of e for the peer too; else numbers
 * 0 (0), a (300), b (500). */
typedef struct row {
    const char *name, *op, *arguments;
    itk_peer *peer;
    double goal; /* of the ratio of wall times */
    sameness how;
    bool sparse;             /* the peer's mask is the seeds */
    const bench_link *chain; /* of loom.fused; else NULL */
} row;

static const bench_link four[BENCH_LINKS_MAX] = {
    {"vox1.geq_sv", "as"}, {"vox1.leq_sv", "bs"}, {"vox1.and", "12"}, {"vox1.or", "3m"}};
static const bench_link three_and_volume[BENCH_LINKS_MAX] = {
    {"vox1.between", "abs"}, {"vox1.and", "1m"}, {"vox1.not", "2"}, {"vox1.volume", "3"}};

static const row rows[] = {
    {"near", "vox1.near", "m", ITK(itk_near), 25, BYTES, false, NULL},
    {"interior", "vox1.interior", "m", ITK(itk_interior), 25, BYTES, false, NULL},
    {"distance map", "vox1.dt", "m", ITK(itk_distance), 4, BYTES, false, NULL},
    {"distance map of few", "vox1.dt", "e", ITK(itk_distance), 4, BYTES, true, NULL},
    {"components", "vox1.lcc", "m", ITK(itk_components), 5, LABELS, false, NULL},
    {"through", "vox1.through", "em", ITK(itk_through), 5, BYTES, false, NULL},
    {"percentiles", "vox1.percentiles", "sm0", sort_percentiles, 15, BYTES, false, NULL},
    {"greater or equal", "vox1.geq_sv", "as", ITK(itk_greater_equal), 2, BYTES, false, NULL},
    {"between", "vox1.between", "abs", ITK(itk_between), 2, BYTES, false, NULL},
    {"and", "vox1.and", "me", ITK(itk_and), 2, BYTES, false, NULL},
    {"or", "vox1.or", "me", ITK(itk_or), 2, BYTES, false, NULL},
    {"not", "vox1.not", "m", ITK(itk_not), 2, BYTES, false, NULL},
    {"mask", "vox1.mask", "sm", ITK(itk_mask), 2, BYTES, false, NULL},
    {"gradient", "vox1.gradient", "s", ITK(itk_gradient), 5, BYTES, false, NULL},
    {"largest value", "vox1.max", "s", ITK(itk_extremes), 2, PAIR, false, NULL},
    {"volume", "vox1.volume", "m", ITK(itk_volume), 2, NUMBER, false, NULL},
    {"fused chain of four", "loom.fused", "asbm", ITK(itk_chain), 4, BYTES, false, four},
    {"fused, then volume", "loom.fused", "absm", ITK(itk_chain_volume), 4, NUMBER, false, three_and_volume},
};

static uint64_t size[3] = {WIDTH, HEIGHT, DEPTH};
static double spacing[3] = {1, 1, 1};
static float *head;
static uint8_t *mask, *seeds;

/* The voxels of an uncompressed NIfTI file begin at byte 352. */
static void make_head(void) {
    char folder[256], path[300];
    int16_t *voxels = malloc(VOXELS * sizeof *voxels);
    head = malloc(VOXELS * sizeof *head);
    mask = malloc(VOXELS);
    seeds = malloc(VOXELS);
    check(voxels != NULL && head != NULL && mask != NULL && seeds != NULL, "malloc");
    make_folder(folder, "bench-kernels");
    snprintf(path, sizeof path, "%s/head.nii", folder);
    check_store(loom_phantom_write(path, size, 1, &err));
    FILE *file = fopen(path, "rb");
    check(file != NULL && fseek(file, 352, SEEK_SET) == 0 && fread(voxels, sizeof *voxels, VOXELS, file) == VOXELS,
          "reading the head");
    fclose(file);
    clear(folder);
    for (size_t v = 0; v < VOXELS; v++) {
        head[v] = voxels[v];
        mask[v] = voxels[v] >= 100;
        seeds[v] = voxels[v] >= 600;
    }
    free(voxels);
}

static loom_value argument(bench_workers *workers, char letter) {
    switch (letter) {
    case 's':
        return bench_image(workers, LOOM_F32, size, spacing, head);
    case 'm':
        return bench_image(workers, LOOM_BOOL8, size, spacing, mask);
    case 'e':
        return bench_image(workers, LOOM_BOOL8, size, spacing, seeds);
    default:
        return loom_float(letter == 'a' ? 300 : letter == 'b' ? 500 : 0);
    }
}

static double moved(const loom_value *value) {
    return value->type == LOOM_IMAGE ? (double)loom_image_bytes(value->image.header) : 0;
}

static double processor_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* What the two found, in words. */
static const char *compared(const row *what, const loom_value *ours, const void *theirs) {
    bool same = true;
    if (what->how == NUMBER || what->how == PAIR) {
        double number = ours->type == LOOM_FLOAT ? ours->number : (double)ours->integer;
        return number == ((const double *)theirs)[what->how == PAIR] ? "same" : "DIFFERENT";
    }
    if (what->how == BYTES)
        same = memcmp(ours->image.voxels, theirs, loom_image_bytes(ours->image.header)) == 0;
    else
        for (size_t v = 0; v < VOXELS && same; v++)
            same = ((const float *)ours->image.voxels)[v] == (float)((const uint32_t *)theirs)[v];
    return same ? "same" : "DIFFERENT";
}

typedef struct figures {
    double fresh[ROUNDS_MAX], warm[ROUNDS_MAX], peer[ROUNDS_MAX];
    double our_cpu, peer_cpu;
    const char *same;
} figures;

static void measure(bench_workers *workers, const row *what, const loom_value *arguments, uint32_t count,
                    const loom_value *attributes, int rounds, double *bytes, figures *f) {
    itk_images images = {.scalars = head, .mask = what->sparse ? seeds : mask, .seeds = seeds};
    loom_value result;
    void *theirs = calloc(VOXELS, sizeof(float));
    check(theirs != NULL, "calloc");
    memcpy(images.size, size, sizeof size);
    memcpy(images.spacing, spacing, sizeof spacing);
    *bytes = 0;
    for (uint32_t k = 0; k < count; k++)
        *bytes += moved(&arguments[k]);
    bench_fresh_memory(workers, true);
    for (int r = 0; r < rounds; r++) {
        double cpu = processor_seconds();
        f->fresh[r] = bench_call(workers, what->op, arguments, count, attributes, &result);
        f->our_cpu += (processor_seconds() - cpu) / rounds;
        cpu = processor_seconds();
        if (what->peer != NULL) f->peer[r] = what->peer(&images, NULL);
        f->peer_cpu += (processor_seconds() - cpu) / rounds;
        if (r + 1 == rounds) {
            *bytes += moved(&result);
            if (what->peer != NULL) what->peer(&images, theirs);
            f->same = what->peer == NULL ? "" : compared(what, &result, theirs);
        }
        bench_drop(workers, &result);
    }
    bench_fresh_memory(workers, false);
    for (int r = 0; r <= rounds; r++) { /* the first makes the memory */
        double took = bench_call(workers, what->op, arguments, count, attributes, &result);
        if (r > 0) f->warm[r - 1] = took;
        bench_drop(workers, &result);
    }
    free(theirs);
}

static void print_row(bench_workers *workers, const row *what, int rounds, double copy) {
    static figures f;
    loom_value arguments[4], tape = loom_null();
    uint32_t count = 0;
    double bytes = 0;
    const loom_operator *op = loom_operator_find(loom_operators(), what->op, strlen(what->op));
    if (op == NULL || loom_kernel_of(op)->run == NULL) {
        printf("| %-20s | no kernel yet |\n", what->name);
        return;
    }
    memset(&f, 0, sizeof f);
    for (const char *letter = what->arguments; *letter != '\0'; letter++)
        arguments[count++] = argument(workers, *letter);
    loom_arena *arena = loom_arena_new();
    check(arena != NULL, "loom_arena_new");
    if (what->chain != NULL) tape = bench_chain(what->chain, what->arguments, arena);
    measure(workers, what, arguments, count, what->chain != NULL ? &tape : NULL, rounds, &bytes, &f);
    loom_arena_free(arena);
    double fresh = median(f.fresh, (size_t)rounds), warm = median(f.warm, (size_t)rounds);
    double peer = median(f.peer, (size_t)rounds);
    printf("| %-20s | %8.2f | %8.2f |", what->name, fresh * 1e3, warm * 1e3);
    if (what->peer != NULL)
        printf(" %8.2f | %5.1f | %5.1f | %4.0f |", peer * 1e3, peer / fresh, f.peer_cpu / f.our_cpu, what->goal);
    else
        printf("        - |     - |     - | %4.0f |", what->goal);
    printf(" %4.0f%% | %s |\n", 100 * bytes / warm / copy, f.same);
    fflush(stdout);
}

static int number_of(const char *text, int most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end == '\0' && value >= 1 && value <= most) return (int)value;
    fprintf(stderr, "bench_kernels: %s is no whole number from 1 to %d\n", text, most);
    exit(2);
}

int main(int argc, char **argv) {
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN), rounds = 5;
    const char *only = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            threads = number_of(argv[i + 1], BENCH_THREADS_MAX);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = number_of(argv[i + 1], ROUNDS_MAX);
        else
            only = argv[i + 1];
    }
    if (threads > (int)BENCH_THREADS_MAX) threads = BENCH_THREADS_MAX;
    bench_workers *workers = bench_workers_start((unsigned)threads);
    sort_use_threads((unsigned)threads);
#ifdef BENCH_ITK
    itk_use_threads((unsigned)threads);
#endif
    make_head();
    double copy = bench_copy(workers, (size_t)VOXELS * 4 * sizeof(float));
    printf("%d threads, %d x %d x %d voxels, medians of %d; copying: %.1f GB/s read and written\n\n", threads, WIDTH,
           HEIGHT, DEPTH, rounds, copy * 1e-9);
    printf("| kernel               | fresh ms |  warm ms |   ITK ms | ratio |  CPU  | goal | copy  | result |\n"
           "| -------------------- | -------: | -------: | -------: | ----: | ----: | ---: | ----: | ------ |\n");
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
        if (only == NULL || strcmp(only, rows[k].name) == 0) print_row(workers, &rows[k], rounds, copy);
    bench_workers_stop(workers);
    return 0;
}
