/* bench_sealed.c - what encryption costs: bench_sealed FOLDER.
 *
 * The same work in a plain and in an encrypted store below FOLDER, in turns, the least of RUNS: small rows put in
 * batches of 1,000 and got in another order (cached), and an image of 36 MiB written by a worker's writer and put, read
 * by value, and made mappable. Also the primitives alone. Prints a Markdown table with ratios. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "shm/seal/cipher.h"
#include "shm/seal/key.h"
#include "shm/store/storage.h"

#define RUNS 15
#define ROWS 50000u
#define BATCH 1000u
#define PAYLOAD 100u
#define IMAGE_BYTES (36u << 20)

static loom_error err;

static void check(loom_status status) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "bench_sealed: %s\n", err.message);
    exit(1);
}

static void *need(void *memory) {
    if (memory != NULL) return memory;
    fputs("bench_sealed: out of memory\n", stderr);
    exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The least is what the work takes; all else is what others did meanwhile. */
static double least(const double *values) {
    double best = values[0];
    for (unsigned i = 1; i < RUNS; i++)
        if (values[i] < best) best = values[i];
    return best;
}

static loom_id id_of(const char *kind, unsigned run, unsigned number) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s %u %u", kind, run, number);
    return loom_sha256(text, (size_t)length);
}

/* ---- small rows ---- */

static double put_rows(loom_store *store, unsigned run) {
    static const char recipe[] = "a recipe of fifty bytes, as it is for an operator.";
    uint8_t payload[PAYLOAD];
    double spent = 0;
    memset(payload, 7, sizeof payload);
    payload[0] = 0xc4; /* MessagePack: bytes */
    payload[1] = PAYLOAD - 2;
    for (unsigned first = 0; first < ROWS; first += BATCH) {
        loom_id rkeys[BATCH], vids[BATCH];
        for (unsigned i = 0; i < BATCH; i++) {
            rkeys[i] = id_of("rkey", run, first + i);
            vids[i] = id_of("vid", run, first + i);
        }
        loom_batch *batch;
        double begin = seconds();
        check(loom_store_begin(store, &batch, &err));
        for (unsigned i = 0; i < BATCH; i++) {
            loom_result result = {.rkey = rkeys[i],
                                  .vid = vids[i],
                                  .node = rkeys[i],
                                  .type = LOOM_BYTES,
                                  .payload = payload,
                                  .payload_bytes = PAYLOAD,
                                  .recipe = (const uint8_t *)recipe,
                                  .recipe_bytes = sizeof recipe - 1,
                                  .created_ns = 1};
            check(loom_batch_put(batch, &result, &err));
        }
        check(loom_batch_commit(batch, &err));
        spent += seconds() - begin;
    }
    return spent / ROWS;
}

static double get_rows(loom_store *store, unsigned run) {
    loom_arena *arena = need(loom_arena_new());
    double spent = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        loom_id rkey = id_of("rkey", run, (unsigned)((uint64_t)i * 7919 % ROWS));
        loom_result result;
        loom_arena_reset(arena);
        double begin = seconds();
        check(loom_store_find(store, &rkey, arena, &result, &err));
        spent += seconds() - begin;
    }
    loom_arena_free(arena);
    return spent / ROWS;
}

/* ---- a large image ---- */

static uint8_t *voxels;

static double put_image(loom_store *store, loom_extent_writer *writer, unsigned run) {
    uint64_t hashes[IMAGE_BYTES / LOOM_BLOCK_BYTES];
    loom_image_header header = loom_image_header_make(LOOM_U8, 3, (uint64_t[]){1024, 1024, 36});
    loom_value value = loom_image(&header, NULL);
    loom_buffer payload = {0};
    check(loom_value_encode(&value, &payload));
    loom_reservation reservation;
    loom_batch *batch;
    double begin = seconds();
    check(loom_extent_reserve(writer, IMAGE_BYTES, true, &reservation, &err));
    memcpy(reservation.window, voxels, IMAGE_BYTES);
    loom_result result = {.rkey = id_of("image", run, 0),
                          .type = LOOM_IMAGE,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length,
                          .block_hashes = hashes};
    result.vid = result.rkey;
    check(loom_extent_seal(writer, &reservation, hashes, result.root, &err));
    result.bulk = reservation.placement;
    check(loom_store_begin(store, &batch, &err));
    check(loom_batch_put(batch, &result, &err));
    check(loom_batch_commit(batch, &err));
    double spent = seconds() - begin;
    check(loom_store_discard(store, &result.bulk, &err));
    loom_buffer_free(&payload);
    return spent;
}

static uint64_t sum_of(const void *bytes) {
    uint64_t sum = 0, word;
    for (size_t i = 0; i < IMAGE_BYTES; i += sizeof word) {
        memcpy(&word, (const uint8_t *)bytes + i, sizeof word);
        sum += word;
    }
    return sum;
}

static double read_image(loom_store *store, unsigned run, uint64_t expected) {
    loom_arena *arena = need(loom_arena_new());
    loom_id rkey = id_of("image", run, 0);
    loom_result found;
    loom_value value;
    loom_view view;
    double begin = seconds();
    check(loom_store_find(store, &rkey, arena, &found, &err));
    /* Raw bytes are verified at their first use; decryption verifies. */
    if (found.codec == LOOM_CODEC_RAW) check(loom_store_verify(store, &found, &err));
    check(loom_store_value(store, &found, arena, &value, &view, &err));
    bool same = sum_of(value.image.voxels) == expected;
    double spent = seconds() - begin;
    loom_extent_release(&view);
    loom_arena_free(arena);
    if (!same) fputs("bench_sealed: other voxels\n", stderr);
    return spent;
}

static double map_image(loom_store *store, loom_extent_writer *writer, unsigned run, uint64_t expected) {
    loom_arena *arena = need(loom_arena_new());
    loom_id rkey = id_of("image", run, 0);
    loom_result found;
    loom_hold hold;
    loom_view view;
    bool fresh;
    double begin = seconds();
    check(loom_store_hold(store, &rkey, arena, &found, &hold, &err));
    if (found.codec == LOOM_CODEC_RAW) check(loom_store_verify(store, &found, &err));
    check(loom_store_materialise(store, writer, arena, &found, &fresh, &err));
    check(loom_extent_view(loom_store_extents(store), &found.bulk, true, &view, &err));
    bool same = sum_of(view.bytes) == expected;
    double spent = seconds() - begin;
    loom_extent_release(&view);
    if (fresh) check(loom_store_discard(store, &found.bulk, &err));
    loom_store_unhold(store, &hold);
    loom_arena_free(arena);
    if (!same) fputs("bench_sealed: other voxels\n", stderr);
    return spent;
}

/* ---- primitives ---- */

static void measure_primitives(void) {
    static uint8_t bytes[LOOM_BLOCK_BYTES], tag[16], sealed[400];
    uint8_t master[32] = {1}, salt[32] = {2};
    loom_cipher *cipher;
    loom_block_cipher *blocks;
    loom_id id = {{0}};
    check(loom_cipher_new(master, &cipher, &err));
    check(loom_block_cipher_new(cipher, salt, &blocks, &err));
    double begin = seconds();
    for (int i = 0; i < 1000000; i++)
        id = loom_cipher_blind(cipher, &id);
    double blind = (seconds() - begin) / 1e6;
    begin = seconds();
    for (int i = 0; i < 300000; i++)
        check(loom_cipher_seal(cipher, &i, sizeof i, bytes, 372, sealed));
    double seal = (seconds() - begin) / 3e5;
    int last = 299999;
    begin = seconds();
    for (int i = 0; i < 300000; i++)
        check(loom_cipher_open(cipher, &last, sizeof last, sealed, sizeof sealed, bytes));
    double open = (seconds() - begin) / 3e5;
    begin = seconds();
    for (uint64_t i = 0; i < 1000; i++)
        check(loom_block_encrypt(blocks, i, bytes, sizeof bytes, bytes, tag));
    double block = (seconds() - begin) / 1000;
    printf("Primitives: an id blinded %.0f ns; 372 bytes sealed %.0f ns, opened %.0f ns; AES-256-GCM of 1 MiB blocks "
           "%.2f GB/s a core.\n",
           blind * 1e9, seal * 1e9, open * 1e9, LOOM_BLOCK_BYTES / block / 1e9);
    loom_block_cipher_free(blocks);
    loom_cipher_free(cipher);
}

/* ---- both stores ---- */

static loom_store *open_in(const char *folder, const char *name, const loom_key *key, double *spent) {
    char path[1024];
    loom_store *store;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    loom_store_options options = {.path = path, .create = true, .key = key, .memory_writers = 1};
    double begin = seconds();
    check(loom_store_open(&options, &store, &err));
    *spent = seconds() - begin;
    return store;
}

static void print_row(const char *what, const double *plain, const double *sealed, double unit, const char *name) {
    double p = least(plain), s = least(sealed);
    printf("| %s | %.2f %s | %.2f %s | %.2f |\n", what, p / unit, name, s / unit, name, s / p);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: bench_sealed FOLDER\n", stderr);
        return 2;
    }
    voxels = need(malloc(IMAGE_BYTES));
    uint64_t state = 1;
    for (size_t i = 0; i < IMAGE_BYTES; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        voxels[i] = (uint8_t)(state >> 56);
    }
    uint64_t expected = sum_of(voxels);
    loom_key key = {{1, 2, 3}};
    double spent[2], times[5][2][RUNS];
    loom_store *stores[2] = {open_in(arguments[1], "plain", NULL, &spent[0]),
                             open_in(arguments[1], "sealed", &key, &spent[1])};
    loom_extent_writer *writers[2];
    for (int s = 0; s < 2; s++)
        check(loom_extent_writer_open(loom_store_extents(stores[s]), &writers[s], &err));
    for (unsigned run = 0; run < RUNS; run++)
        for (int s = 0; s < 2; s++) {
            times[0][s][run] = put_rows(stores[s], run);
            times[1][s][run] = get_rows(stores[s], run);
            times[2][s][run] = put_image(stores[s], writers[s], run);
            times[3][s][run] = read_image(stores[s], run, expected);
            times[4][s][run] = map_image(stores[s], writers[s], run, expected);
        }
    printf("| what | plain | encrypted | ratio |\n| --- | --- | --- | --- |\n");
    print_row("put of a row of 100 bytes, batches of 1,000", times[0][0], times[0][1], 1e-6, "us");
    print_row("get of it", times[1][0], times[1][1], 1e-6, "us");
    print_row("36 MiB image: filled, sealed, put", times[2][0], times[2][1], 1e-3, "ms");
    print_row("the same: found, verified, its value read", times[3][0], times[3][1], 1e-3, "ms");
    print_row("the same: found, verified, mapped for a kernel, read", times[4][0], times[4][1], 1e-3, "ms");
    printf("\n");
    measure_primitives();
    printf("Creating the store: plain %.1f ms, encrypted %.1f ms.\n", spent[0] * 1e3, spent[1] * 1e3);
    for (int s = 0; s < 2; s++) {
        loom_extent_writer_close(writers[s]);
        loom_store_close(stores[s]);
    }
    free(voxels);
    return 0;
}
