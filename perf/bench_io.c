/* bench_io.c - what reading a volume and writing an image cost: bench_io [VOLUME.nii.gz] [FOLDER]
 *
 * Prints medians. Reading: zlib alone, into memory, into a file through each ring. Writing 64 MiB that a producer makes
 * tile by tile: through each ring, and with one pwrite from a full-size buffer. Files are preallocated, as extents are.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "io/tile.h"
#include "io/volume.h"

#define ROUNDS 9
#define WRITE_BYTES ((size_t)64 << 20)
#define TILE_BYTES ((size_t)256 << 10)

static char scratch[600];

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void stop_on(loom_status status, const loom_error *err) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "bench_io: %s\n", err->message);
    exit(1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A file of preallocated but never written space, as at the tail of an extent. */
static int fresh_file(size_t bytes) {
    unlink(scratch);
    int fd = open(scratch, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)bytes) != 0) {
        perror(scratch);
        exit(1);
    }
    return fd;
}

typedef double measurement(const char *path, loom_ring *ring);

static void report(const char *what, measurement *measure, const char *path, loom_ring *ring, double bytes) {
    double times[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        times[i] = measure(path, ring);
    qsort(times, ROUNDS, sizeof times[0], by_value);
    printf("%-44s %7.1f ms  (%.1f to %.1f)  %6.0f MB/s\n", what, times[ROUNDS / 2], times[0], times[ROUNDS - 1],
           bytes / times[ROUNDS / 2] / 1e3);
}

static double read_zlib(const char *path, loom_ring *ring) {
    (void)ring;
    static unsigned char buffer[TILE_BYTES];
    double start = now_ms();
    gzFile file = gzopen(path, "rb");
    gzbuffer(file, 128 << 10);
    while (gzread(file, buffer, sizeof buffer) > 0) {
    }
    gzclose(file);
    return now_ms() - start;
}

static double read_volume(const char *path, loom_ring *ring) {
    loom_error err = {0};
    loom_volume *volume;
    double start = now_ms();
    stop_on(loom_volume_open(path, &volume, &err), &err);
    size_t bytes = (size_t)loom_image_bytes(loom_volume_header(volume));
    double elapsed = now_ms() - start;
    loom_volume_sink sink = {.ring = ring, .fd = -1};
    if (ring)
        sink.fd = fresh_file(bytes);
    else
        sink.memory = malloc(bytes);
    start = now_ms();
    stop_on(loom_volume_load(volume, &sink, &err), &err);
    loom_volume_close(volume);
    elapsed += now_ms() - start;
    if (ring) close(sink.fd);
    free(sink.memory);
    return elapsed;
}

/* About as dear as a voxelwise kernel. */
static void produce(void *buffer, size_t bytes, uint64_t seed) {
    uint64_t *words = buffer;
    for (size_t i = 0; i < bytes / 8; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        words[i] = seed;
    }
}

static double write_tiles(const char *path, loom_ring *ring) {
    (void)path;
    loom_error err = {0};
    loom_tiles *tiles;
    int fd = fresh_file(WRITE_BYTES);
    double start = now_ms();
    stop_on(loom_tiles_open(ring, fd, 0, WRITE_BYTES, TILE_BYTES, 4, &tiles, &err), &err);
    for (;;) {
        void *buffer;
        size_t capacity;
        stop_on(loom_tiles_next(tiles, &buffer, &capacity, &err), &err);
        if (capacity == 0) break;
        produce(buffer, capacity, 88172645463325252u);
        stop_on(loom_tiles_put(tiles, capacity, &err), &err);
    }
    stop_on(loom_tiles_close(tiles, &err), &err);
    double elapsed = now_ms() - start;
    close(fd);
    return elapsed;
}

static double write_whole(const char *path, loom_ring *ring) {
    (void)path;
    (void)ring;
    int fd = fresh_file(WRITE_BYTES);
    double start = now_ms();
    char *buffer = malloc(WRITE_BYTES);
    for (size_t at = 0; at < WRITE_BYTES; at += TILE_BYTES)
        produce(buffer + at, TILE_BYTES, 88172645463325252u);
    for (size_t at = 0; at < WRITE_BYTES;) {
        ssize_t written = pwrite(fd, buffer + at, WRITE_BYTES - at, (off_t)at);
        if (written <= 0) exit(1);
        at += (size_t)written;
    }
    free(buffer);
    double elapsed = now_ms() - start;
    close(fd);
    return elapsed;
}

static double produce_only(const char *path, loom_ring *ring) {
    (void)path;
    (void)ring;
    static unsigned char buffer[TILE_BYTES];
    double start = now_ms();
    for (size_t at = 0; at < WRITE_BYTES; at += TILE_BYTES) {
        produce(buffer, TILE_BYTES, 88172645463325252u + at);
        __asm__ volatile("" ::: "memory");
    }
    return now_ms() - start;
}

int main(int argc, char **argv) {
    const char *shared = getenv("VOXLOOM_SHARED");
    char volume[1024];
    snprintf(volume, sizeof volume, "%s/data/chris_t1.nii.gz", shared ? shared : "../shared");
    const char *path = argc > 1 ? argv[1] : volume;
    snprintf(scratch, sizeof scratch, "%s/voxloom-bench-io", argc > 2 ? argv[2] : "/tmp");
    loom_error err = {0};
    char reason[160];
    loom_ring *first, *posix;
    stop_on(loom_ring_open(LOOM_RING_AUTO, 4, &first, reason, &err), &err);
    stop_on(loom_ring_open(LOOM_RING_POSIX, 4, &posix, NULL, &err), &err);
    bool uring = loom_ring_kind_of(first) == LOOM_RING_URING;
    if (!uring) printf("no io_uring: %s\n", reason);

    loom_volume *opened;
    stop_on(loom_volume_open(path, &opened, &err), &err);
    double bytes = (double)loom_image_bytes(loom_volume_header(opened));
    loom_volume_close(opened);
    printf("reading %s (%.1f MB of voxels)\n", path, bytes * 1e-6);
    report("  gzread, voxels thrown away", read_zlib, path, NULL, bytes);
    report("  into memory", read_volume, path, NULL, bytes);
    report("  into a file, posix ring", read_volume, path, posix, bytes);
    if (uring) report("  into a file, io_uring", read_volume, path, first, bytes);
    printf("writing 64 MiB\n");
    report("  producing alone", produce_only, path, NULL, (double)WRITE_BYTES);
    report("  one buffer of 64 MiB, pwrite", write_whole, path, NULL, (double)WRITE_BYTES);
    report("  tiles, posix ring", write_tiles, path, posix, (double)WRITE_BYTES);
    if (uring) report("  tiles, io_uring", write_tiles, path, first, (double)WRITE_BYTES);
    loom_ring_close(first);
    loom_ring_close(posix);
    unlink(scratch);
    return 0;
}
