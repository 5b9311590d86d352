/* test_crash_flips.c - single bits flipped in 1% of the blocks of a store that has hundreds: verification finds exactly
 * those, and nothing else. */
#include "../shm/store_support.h"

#include "crash_model.h"
#include "io/zstd_codec.h"
#include "shm/care/admin.h"

#define RESULTS 400u
#define LARGE 40u /* of them; several blocks each */
#define BLOCKS_MAX 2000u
#define ROUNDS 8

static char folder[256], path[300];
static uint64_t random_state = 20261122;

/* Every block of the store, as it lies on the disk. */
static struct block {
    uint64_t row, offset, bytes;
    uint32_t extent;
    bool flipped;
} blocks[BLOCKS_MAX];
static size_t block_count;

static bool collect(const loom_result *result, void *context) {
    (void)context;
    for (uint64_t at = 0; at < result->bulk.bytes; at += LOOM_BLOCK_BYTES) {
        uint64_t left = result->bulk.bytes - at;
        assert_int_equal(result->codec, LOOM_CODEC_RAW);
        assert_true(block_count < BLOCKS_MAX);
        blocks[block_count++] = (struct block){.row = result->row,
                                               .extent = result->bulk.extent,
                                               .offset = result->bulk.offset + at,
                                               .bytes = left < LOOM_BLOCK_BYTES ? left : LOOM_BLOCK_BYTES};
    }
    return true;
}

static void make_store(loom_store *store) {
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_batch *batch;
    image_result image;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    for (unsigned i = 0; i < RESULTS; i++) {
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        write_image(writer, i, i % (RESULTS / LARGE) == 0 ? 800000 : 1 + random_below(&random_state, 3000), &image);
        REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
        REQUIRE_OK(loom_batch_commit(batch, &err));
        loom_buffer_free(&image.payload);
    }
    loom_extent_writer_close(writer);
    REQUIRE_OK(loom_store_each(store, collect, NULL, &err));
    print_message("%zu blocks\n", block_count);
    assert_true(block_count > 400);
}

static void flip(const struct block *at, uint64_t bit) {
    char name[400];
    uint8_t byte;
    snprintf(name, sizeof name, "%s/extents/%08x.ext", path, at->extent);
    int fd = open(name, O_RDWR);
    off_t where = (off_t)(at->offset + bit / 8);
    assert_int_equal(pread(fd, &byte, 1, where), 1);
    byte ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    close(fd);
}

typedef struct found {
    uint64_t rows[BLOCKS_MAX], blocks[BLOCKS_MAX];
    size_t count;
} found;

static void note(const loom_finding *finding, void *context) {
    found *all = context;
    if (finding->kind != LOOM_FINDING_BLOCK) print_error("%s\n", finding->text);
    assert_int_equal(finding->kind, LOOM_FINDING_BLOCK);
    all->rows[all->count] = finding->row;
    all->blocks[all->count++] = finding->blocks;
}

static uint64_t flipped_of(uint64_t row) {
    uint64_t count = 0;
    for (size_t i = 0; i < block_count; i++)
        count += blocks[i].flipped && blocks[i].row == row;
    return count;
}

static void require_exactly_the_flipped(loom_store *store, bool repair) {
    loom_error err = {0};
    loom_verify_report report;
    static found all;
    uint64_t sum = 0, flipped = 0;
    all.count = 0;
    loom_verify_options options = {.threads = 2, .repair = repair, .found = note, .context = &all};
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(all.blocks[i], flipped_of(all.rows[i]));
        sum += all.blocks[i];
        for (size_t j = 0; j < i; j++)
            assert_true(all.rows[i] != all.rows[j]);
    }
    for (size_t i = 0; i < block_count; i++)
        flipped += blocks[i].flipped;
    assert_int_equal(sum, flipped);
    assert_int_equal(report.bad_blocks, flipped);
}

static void every_flipped_block_is_found_and_no_other(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    loom_store_options options = {.path = path, .create = true, .step_bytes = 1 << 20, .extent_bytes = 16 << 20};
    REQUIRE_OK(loom_store_open(&options, &store, &err));
    make_store(store);
    require_exactly_the_flipped(store, false);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t bits[BLOCKS_MAX];
        for (size_t i = 0; i < block_count / 100;) {
            size_t chosen = random_below(&random_state, (uint32_t)block_count);
            if (blocks[chosen].flipped) continue;
            blocks[chosen].flipped = true;
            bits[chosen] = random_below(&random_state, (uint32_t)(8 * blocks[chosen].bytes));
            flip(&blocks[chosen], bits[chosen]);
            i++;
        }
        bool last = round == ROUNDS - 1;
        require_exactly_the_flipped(store, last);
        for (size_t i = 0; i < block_count; i++) {
            if (blocks[i].flipped && !last) flip(&blocks[i], bits[i]);
            blocks[i].flipped = false;
        }
    }
    require_exactly_the_flipped(store, false); /* repaired */
    loom_store_close(store);
}

static int setup(void **state) {
    (void)state;
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    loom_zstd_register();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

int main(void) {
    print_message("seed %llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_flipped_block_is_found_and_no_other, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
