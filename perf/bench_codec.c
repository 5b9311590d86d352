/* bench_codec.c - what compression of bulk bytes costs and saves: bench_codec VOLUME.nii.gz...
 *
 * Each volume as it is, and what programs make of it: the same as f32 (a filtered image), its gradient's length (f32
 * from differences of neighbours), a mask (bool8: above the mean), and noise that nothing compresses. Encoded into and
 * decoded from extents in memory, so that no disk is measured, with 1 and 2 threads at levels 1, 3 and 9. Prints a
 * Markdown table: ratio raw / stored, MB/s of raw bytes, medians of RUNS. What does not save an eighth is stored raw:
 * its encoding is the time of finding that out and of a copy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/volume.h"
#include "io/zstd_codec.h"
#include "shm/codec/bulk_codec.h"
#include "shm/extent/extent_file.h"

#define RUNS 3
#define BYTES_MAX ((size_t)256 << 20)

typedef struct sample {
    char name[80];
    uint8_t *bytes;
    size_t length;
} sample;

static loom_error err;

static void check(loom_status status) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "bench_codec: %s\n", err.message);
    exit(1);
}

static void *need(void *memory) {
    if (memory != NULL) return memory;
    fputs("bench_codec: out of memory\n", stderr);
    exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- what is measured ---- */

static sample load(const char *path, loom_image_header *header) {
    loom_volume *volume;
    sample loaded = {.bytes = NULL};
    check(loom_volume_open(path, &volume, &err));
    *header = *loom_volume_header(volume);
    loaded.length = (size_t)loom_image_bytes(header);
    loaded.bytes = need(malloc(loaded.length));
    loom_volume_sink sink = {.fd = -1, .memory = loaded.bytes};
    check(loom_volume_load(volume, &sink, &err));
    loom_volume_close(volume);
    const char *name = strrchr(path, '/');
    snprintf(loaded.name, sizeof loaded.name, "%.40s", name != NULL ? name + 1 : path);
    return loaded;
}

static float voxel(const sample *of, loom_dtype type, size_t i) {
    int16_t i16;
    uint16_t u16;
    float f32;
    switch (type) {
    case LOOM_I16:
        memcpy(&i16, of->bytes + 2 * i, 2);
        return i16;
    case LOOM_U16:
        memcpy(&u16, of->bytes + 2 * i, 2);
        return u16;
    case LOOM_F32:
        memcpy(&f32, of->bytes + 4 * i, 4);
        return f32;
    default:
        return of->bytes[i];
    }
}

static sample derive(const sample *from, const loom_image_header *header, const char *what, size_t voxel_bytes) {
    size_t count = (size_t)(header->size[0] * header->size[1] * header->size[2]);
    sample made = {.length = count * voxel_bytes};
    made.bytes = need(malloc(made.length));
    snprintf(made.name, sizeof made.name, "%.40s, %.30s", from->name, what);
    return made;
}

/* ---- measuring ---- */

static loom_store *store;
static loom_extent_writer *writer;

typedef struct timing {
    double encode[RUNS], decode[RUNS];
} timing;

/* One store per measurement: in memory nothing is recycled. */
static void once(const sample *of, int level, unsigned threads, timing *times, unsigned run, loom_result *result) {
    check(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err));
    check(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    loom_arena *arena = need(loom_arena_new());
    uint64_t *hashes = need(malloc(loom_extent_block_count(of->length) * sizeof *hashes));
    *result = (loom_result){.type = LOOM_IMAGE, .bulk.bytes = of->length, .block_hashes = hashes};
    loom_extent_hash(of->bytes, of->length, hashes, result->root);
    double start = seconds();
    check(loom_bulk_encode(of->bytes, LOOM_CODEC_ZSTD, level, NULL, writer, threads, arena, result, &err));
    times->encode[run] = seconds() - start;
    uint8_t *out = need(malloc(of->length));
    memset(out, 1, of->length); /* its pages are there */
    start = seconds();
    check(loom_bulk_decode(loom_store_extents(store), result, NULL, 0, of->length, threads, out, &err));
    times->decode[run] = seconds() - start;
    if (memcmp(out, of->bytes, of->length) != 0) {
        fputs("bench_codec: decoded bytes differ\n", stderr);
        exit(1);
    }
    free(out);
    free(hashes);
    loom_arena_free(arena);
    loom_extent_writer_close(writer);
    loom_store_close(store);
}

static void measure(const sample *of) {
    static const int levels[] = {1, 3, 9};
    for (unsigned i = 0; i < 3; i++) {
        double encode[2], decode[2], ratio = 0;
        for (unsigned threads = 1; threads <= 2; threads++) {
            timing times;
            loom_result result;
            for (unsigned run = 0; run < RUNS; run++)
                once(of, levels[i], threads, &times, run, &result);
            qsort(times.encode, RUNS, sizeof(double), by_value);
            qsort(times.decode, RUNS, sizeof(double), by_value);
            encode[threads - 1] = (double)of->length / times.encode[RUNS / 2] / 1e6;
            decode[threads - 1] = (double)of->length / times.decode[RUNS / 2] / 1e6;
            ratio = (double)of->length / (double)result.stored_bytes;
        }
        printf("| %s | %.1f | %d | %.2f | %.0f | %.0f | %.0f | %.0f |\n", of->name, (double)of->length / 1e6, levels[i],
               ratio, encode[0], encode[1], decode[0], decode[1]);
        fflush(stdout);
    }
}

static void measure_derived(const sample *from, const loom_image_header *header) {
    loom_dtype type = (loom_dtype)header->dtype;
    size_t count = from->length / loom_dtype_bytes(header->dtype);
    size_t row = (size_t)header->size[0];
    sample floats = derive(from, header, "as f32", 4), gradient = derive(from, header, "gradient, f32", 4);
    sample mask = derive(from, header, "mask", 1), noise = derive(from, header, "noise", 1);
    double sum = 0;
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++)
        sum += voxel(from, type, i);
    for (size_t i = 0; i < count; i++) {
        float here = voxel(from, type, i), next = i + 1 < count ? voxel(from, type, i + 1) : here;
        float below = i + row < count ? voxel(from, type, i + row) : here;
        float length = sqrtf((next - here) * (next - here) + (below - here) * (below - here));
        memcpy(floats.bytes + 4 * i, &here, 4);
        memcpy(gradient.bytes + 4 * i, &length, 4);
        mask.bytes[i] = here > sum / (double)count;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        noise.bytes[i] = (uint8_t)(state >> 56);
    }
    sample *all[] = {&floats, &gradient, &mask, &noise};
    for (unsigned i = 0; i < 4; i++) {
        measure(all[i]);
        free(all[i]->bytes);
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        fputs("usage: bench_codec VOLUME.nii.gz...\n", stderr);
        return 2;
    }
    loom_zstd_register();
    puts("| image | MB | level | ratio | encode MB/s, 1 thread | 2 | decode MB/s, 1 thread | 2 |");
    puts("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (int i = 1; i < count; i++) {
        loom_image_header header;
        sample volume = load(arguments[i], &header);
        if (volume.length > BYTES_MAX || header.rank != 3 || header.components != 1) {
            fprintf(stderr, "bench_codec: %s: give volumes of one component, below 256 MiB\n", arguments[i]);
            return 1;
        }
        measure(&volume);
        measure_derived(&volume, &header);
        free(volume.bytes);
    }
    return 0;
}
