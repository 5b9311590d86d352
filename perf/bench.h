/* bench.h - what the store's benchmarks share: a temporary folder, a clock, medians, and ends that say why. */
#ifndef LOOM_PERF_BENCH_H
#define LOOM_PERF_BENCH_H

#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/store/storage.h"

static loom_error err;

static inline void check(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s failed (%s)\n", what, strerror(errno));
    exit(1);
}

static inline void check_store(loom_status status) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "%s: %s\n", loom_status_name(status), err.message);
    exit(1);
}

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static inline void clear(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A folder under $TMPDIR or /tmp. */
static inline void make_folder(char path[256], const char *name) {
    const char *root = getenv("TMPDIR");
    snprintf(path, 256, "%s/%s-XXXXXX", root != NULL && strlen(root) < 200 ? root : "/tmp", name);
    check(mkdtemp(path) != NULL, "mkdtemp");
}

static inline int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* Visits 0..count-1 once each, far apart: a step that shares no factor with the count. */
static inline size_t jump(size_t i, size_t count) {
    return (size_t)((uint64_t)i * UINT64_C(7368787) % count);
}

static inline loom_store *open_store(const char *path, loom_durability durability) {
    loom_store *store;
    loom_store_options options = {.path = path, .create = true, .durability = durability};
    check_store(loom_store_open(&options, &store, &err));
    return store;
}

static inline loom_id id_of(const char *kind, uint64_t number) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s %llu", kind, (unsigned long long)number);
    return loom_sha256(text, (size_t)length);
}

#endif
