/* test_extent.c - extent files: what is reserved, sealed, abandoned, reused, cut and returned, and that a bad placement
 * or a changed byte is an error and never a signal. */
#include "store_support.h"

#include <xxhash.h>

static char folder[256], path[300];
static loom_store *store;
static loom_extents *extents;

static void open_with(uint64_t extent_bytes, uint64_t step_bytes) {
    loom_error err = {0};
    REQUIRE_OK(loom_store_open(
        &(loom_store_options){.path = path, .create = true, .extent_bytes = extent_bytes, .step_bytes = step_bytes},
        &store, &err));
    extents = loom_store_extents(store);
}

static int setup(void **state) {
    (void)state;
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    open_with(1 << 20, 256 << 10);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loom_store_close(store);
    remove_tree(folder);
    return 0;
}

static off_t file_size(unsigned number) {
    char name[400];
    struct stat now;
    snprintf(name, sizeof name, "%s/extents/%08x.ext", path, number);
    return stat(name, &now) == 0 ? now.st_size : -1;
}

static loom_extent_writer *new_writer(void) {
    loom_error err = {0};
    loom_extent_writer *writer;
    REQUIRE_OK(loom_extent_writer_open(extents, &writer, &err));
    return writer;
}

static loom_placement write_object(loom_extent_writer *writer, uint64_t bytes, int byte) {
    loom_error err = {0};
    loom_reservation reservation;
    uint64_t hashes[8], root[2];
    REQUIRE_OK(loom_extent_reserve(writer, bytes, true, &reservation, &err));
    memset(reservation.window, byte, bytes);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, root, &err));
    return reservation.placement;
}

static void require_bytes(const loom_placement *placement, int byte) {
    loom_error err = {0};
    loom_view view;
    REQUIRE_OK(loom_extent_view(extents, placement, false, &view, &err));
    assert_int_equal(view.length, placement->bytes);
    for (uint64_t i = 0; i < view.length; i++)
        assert_int_equal(((const uint8_t *)view.bytes)[i], byte);
    loom_extent_release(&view);
}

static void objects_lie_on_pages_one_after_another(void **state) {
    (void)state;
    loom_extent_writer *writer = new_writer();
    const uint64_t sizes[] = {1, 4096, 4097, 70000, 300000};
    loom_placement placed[5];
    uint64_t expected = 4096;
    for (int i = 0; i < 5; i++) {
        placed[i] = write_object(writer, sizes[i], 'a' + i);
        assert_int_equal(placed[i].offset, expected);
        assert_int_equal(placed[i].bytes, sizes[i]);
        expected += (sizes[i] + 4095) / 4096 * 4096;
        assert_true(file_size(placed[i].extent) >= (off_t)expected); /* allocated before it was handed out */
    }
    loom_extent_writer_close(writer);
    assert_int_equal(file_size(0), expected); /* what was ahead is given back */
    for (int i = 0; i < 5; i++)
        require_bytes(&placed[i], 'a' + i);
}

/* Hashes by an independent path: the whole object in one buffer, block by block. */
static void hashes_are_those_of_the_header(void **state) {
    (void)state;
    loom_error err = {0};
    const uint64_t bytes = (2u << 20) + 5;
    uint8_t *copy = malloc(bytes);
    fill_image(copy, bytes, 3);
    loom_extent_writer *writer = new_writer();
    loom_reservation reservation;
    uint64_t hashes[3], root[2];
    assert_int_equal(loom_extent_block_count(bytes), 3);
    assert_int_equal(loom_extent_block_count(0), 0);
    assert_int_equal(loom_extent_block_count(1 << 20), 1);
    REQUIRE_OK(loom_extent_reserve(writer, bytes, false, &reservation, &err));
    assert_null(reservation.window);
    assert_int_equal(pwrite(reservation.fd, copy, bytes, (off_t)reservation.placement.offset), bytes);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, root, &err));
    loom_extent_writer_close(writer);
    assert_true(hashes[0] == XXH3_64bits(copy, 1 << 20));
    assert_true(hashes[1] == XXH3_64bits(copy + (1 << 20), 1 << 20));
    assert_true(hashes[2] == XXH3_64bits(copy + (2 << 20), 5));
    XXH128_hash_t over = XXH3_128bits_withSeed(hashes, sizeof hashes, bytes);
    assert_true(root[0] == over.low64 && root[1] == over.high64);
    loom_view view;
    REQUIRE_OK(loom_extent_view(extents, &reservation.placement, true, &view, &err));
    REQUIRE_OK(loom_extent_verify(&view, &reservation.placement, hashes, root, &err));
    hashes[1] ^= 1;
    REQUIRE_STATUS(loom_extent_verify(&view, &reservation.placement, hashes, root, &err), LOOM_CORRUPT);
    hashes[1] ^= 1;
    root[0] ^= 1;
    REQUIRE_STATUS(loom_extent_verify(&view, &reservation.placement, hashes, root, &err), LOOM_CORRUPT);
    loom_extent_release(&view);
    free(copy);
}

static void an_abandoned_range_is_zero_again(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer = new_writer();
    loom_reservation first, second;
    REQUIRE_OK(loom_extent_reserve(writer, 10000, true, &first, &err));
    memset(first.window, 0xee, 10000);
    REQUIRE_STATUS(loom_extent_reserve(writer, 1, true, &second, &err), LOOM_BUSY);
    loom_extent_abandon(writer, &first);
    REQUIRE_OK(loom_extent_reserve(writer, 20000, true, &second, &err));
    assert_int_equal(second.placement.offset, first.placement.offset);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(((uint8_t *)second.window)[i], 0);
    uint64_t hashes[1], root[2];
    loom_reservation wrong = second;
    wrong.placement.offset += 4096;
    REQUIRE_STATUS(loom_extent_seal(writer, &wrong, hashes, root, &err), LOOM_BAD_ARGUMENT);
    loom_extent_writer_close(writer); /* with the reservation open */
    assert_int_equal(file_size(0), 4096);
}

static void two_writers_never_share_a_file(void **state) {
    (void)state;
    loom_extent_writer *a = new_writer(), *b = new_writer();
    loom_placement in_a = write_object(a, 5000, 1), in_b = write_object(b, 5000, 2);
    assert_true(in_a.extent != in_b.extent);
    loom_extent_writer_close(a);
    loom_extent_writer *c = new_writer(); /* takes a's file, behind what a wrote, which nobody committed */
    loom_placement in_c = write_object(c, 5000, 3);
    assert_int_equal(in_c.extent, in_a.extent);
    assert_true(in_c.offset >= in_a.offset + 8192);
    require_bytes(&in_a, 1);
    require_bytes(&in_b, 2);
    require_bytes(&in_c, 3);
    loom_extent_writer_close(b);
    loom_extent_writer_close(c);
}

static void a_full_file_is_followed_by_the_next(void **state) {
    (void)state;
    loom_extent_writer *writer = new_writer();
    loom_placement placed[9];
    for (int i = 0; i < 9; i++)
        placed[i] = write_object(writer, 300000, i); /* four reach the limit of 1 MiB */
    loom_extent_writer_close(writer);
    assert_int_equal(placed[3].extent, 0);
    assert_int_equal(placed[4].extent, 1);
    assert_int_equal(placed[8].extent, 2);
    for (int i = 0; i < 9; i++)
        require_bytes(&placed[i], i);
}

static void uncommitted_space_is_reused_when_alone(void **state) {
    (void)state;
    loom_extent_writer *writer = new_writer();
    loom_placement lost = write_object(writer, 50000, 9);
    loom_extent_writer_close(writer);
    loom_store_close(store);
    open_with(1 << 20, 256 << 10);
    assert_int_equal(file_size(0), 4096);
    writer = new_writer();
    loom_error err = {0};
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_reserve(writer, 60000, true, &reservation, &err));
    assert_int_equal(reservation.placement.offset, lost.offset);
    for (int i = 0; i < 60000; i++)
        assert_int_equal(((uint8_t *)reservation.window)[i], 0);
    loom_extent_writer_close(writer);
}

static void a_lost_header_page_costs_nothing_but_space(void **state) {
    (void)state;
    loom_extent_writer *writer = new_writer();
    loom_placement placed = write_object(writer, 50000, 9);
    loom_extent_writer_close(writer);
    char name[400];
    snprintf(name, sizeof name, "%s/extents/00000000.ext", path);
    int fd = open(name, O_WRONLY);
    static const char zeros[4096];
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    close(fd);
    writer = new_writer();
    loom_placement next = write_object(writer, 50000, 8);
    assert_true(next.offset >= placed.offset + 53248);
    require_bytes(&placed, 9);
    loom_extent_writer_close(writer);
}

static void bad_placements_are_errors(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer = new_writer();
    loom_placement good = write_object(writer, 5000, 1);
    loom_extent_writer_close(writer);
    loom_view view;
    loom_placement bad[] = {{.extent = 77, .offset = 4096, .bytes = 10},
                            {.offset = 0, .bytes = 10},
                            {.offset = 4097, .bytes = 10},
                            {.offset = good.offset, .bytes = 8193},
                            {.offset = 1 << 30, .bytes = 1},
                            {.offset = UINT64_MAX - 4095, .bytes = 4096},
                            {.offset = 4096, .bytes = UINT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REQUIRE_STATUS(loom_extent_view(extents, &bad[i], true, &view, &err), LOOM_CORRUPT);
        loom_extent_release(&view);
    }
    loom_placement none = {.bytes = 0};
    REQUIRE_OK(loom_extent_view(extents, &none, true, &view, &err));
    loom_extent_release(&view);
    require_bytes(&good, 1);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer = new_writer();
    loom_reservation reservation;
    REQUIRE_STATUS(loom_extent_reserve(writer, 0, true, &reservation, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_extent_reserve(writer, UINT64_MAX, true, &reservation, &err), LOOM_TOO_LARGE);
    REQUIRE_STATUS(loom_extent_reserve(writer, (UINT64_C(1) << 40) + 1, true, &reservation, &err), LOOM_TOO_LARGE);
    loom_placement still = write_object(writer, 100, 5);
    require_bytes(&still, 5);
    loom_extent_writer_close(writer);
}

/* A view keeps its bytes while the file is appended to, shortened behind it, and deleted results are committed. */
static void a_view_keeps_its_bytes(void **state) {
    (void)state;
    loom_error err = {0};
    static image_result image;
    loom_extent_writer *writer = new_writer();
    write_image(writer, 1, 40000, &image);
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_view view;
    REQUIRE_OK(loom_extent_view(extents, &image.result.bulk, false, &view, &err));
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &image.result.rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_store *again;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = path}, &again, &err)); /* not alone: returns nothing */
    for (int i = 0; i < 5; i++)
        write_object(writer, 120000, 0x55);
    loom_extent_writer_close(writer);
    uint8_t *expected = malloc(120000);
    fill_image(expected, 120000, 1);
    assert_memory_equal(view.bytes, expected, 120000);
    loom_store_close(again);
    assert_memory_equal(view.bytes, expected, 120000);
    loom_extent_release(&view);
    free(expected);
    loom_buffer_free(&image.payload);
}

int main(void) {
#define EXTENT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EXTENT_TEST(objects_lie_on_pages_one_after_another),
        EXTENT_TEST(hashes_are_those_of_the_header),
        EXTENT_TEST(an_abandoned_range_is_zero_again),
        EXTENT_TEST(two_writers_never_share_a_file),
        EXTENT_TEST(a_full_file_is_followed_by_the_next),
        EXTENT_TEST(uncommitted_space_is_reused_when_alone),
        EXTENT_TEST(a_lost_header_page_costs_nothing_but_space),
        EXTENT_TEST(bad_placements_are_errors),
        EXTENT_TEST(impossible_sizes_are_refused),
        EXTENT_TEST(a_view_keeps_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
