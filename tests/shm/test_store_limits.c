/* test_store_limits.c - the store in a folder where something is short: disk, address space, permission.
 * The index's map: test_store_traps.c. */
#include "disk_scene.h"

#include <sys/mount.h>
#include <sys/resource.h>

static void deleted_bytes_return_to_the_disk(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_image(store, 1, 1000000);
    put_image(store, 2, 1000);
    loom_batch *batch;
    loom_id rkey = id_of("image", 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_true(stats.extent_allocated_bytes > 3000000);
    assert_int_equal(stats.bulk_bytes, 3000);
    loom_store_close(store);
    REQUIRE_OK(try_open((loom_store_options){.reuse_bytes = 4096}, &store, &err)); /* little is kept for reuse */
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
#ifndef VOXLOOM_PORTABLE /* the twin writes zeros: no hole */
    assert_true(stats.extent_allocated_bytes < 100000);
#endif
    require_image(store, 2, 1000);
    loom_store_close(store);
}

static void durabilities_store_alike(void **state) {
    (void)state;
    loom_error err = {0};
    for (uint64_t i = 0; i < 3; i++) {
        loom_store *store;
        REQUIRE_OK(try_open((loom_store_options){.durability = (loom_durability)i}, &store, &err));
        put_small(store, 10 * i, 10);
        put_image(store, i, 1000);
        loom_store_close(store);
    }
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 30; i++)
        require_small(store, i);
    for (uint64_t i = 0; i < 3; i++)
        require_image(store, i, 1000);
    loom_store_close(store);
}

static void fill_until_refused(loom_store *store, loom_status *status, uint64_t *stored) {
    loom_error err = {0};
    loom_extent_writer *writer;
    static image_result image;
    *stored = 0;
    *status = loom_extent_writer_open(loom_store_extents(store), &writer, &err);
    while (*status == LOOM_OK) {
        loom_reservation reservation;
        *status = loom_extent_reserve(writer, 300000, true, &reservation, &err);
        if (*status != LOOM_OK) break;
        loom_extent_abandon(writer, &reservation);
        write_image(writer, *stored, 100000, &image);
        loom_batch *batch;
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        *status = loom_batch_put(batch, &image.result, &err);
        loom_status committed = loom_batch_commit(batch, &err);
        loom_buffer_free(&image.payload);
        if (*status == LOOM_OK) *status = committed;
        if (*status == LOOM_OK) ++*stored;
        assert_true(*stored < 1000);
    }
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(err.status, *status);
    loom_extent_writer_close(writer);
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    char disk[300];
    snprintf(disk, sizeof disk, "%s/small", folder);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=4m") != 0) {
        print_message("cannot mount a small tmpfs (%s): the full disk is not tested\n", strerror(errno));
        skip();
    }
    snprintf(path, sizeof path, "%s/small/store", folder);
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    loom_status status;
    uint64_t stored;
    fill_until_refused(store, &status, &stored);
    int failed = status != LOOM_NO_SPACE || stored < 3;
    for (uint64_t i = 0; i < stored; i++)
        require_image(store, i, 100000);
    loom_store_close(store);
    store = open_ok(); /* on the full disk */
    for (uint64_t i = 0; i < stored; i++)
        require_image(store, i, 100000);
    require_small(store, 9);
    loom_error err = {0};
    loom_batch *batch; /* deleting makes room again */
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    loom_id rkey = id_of("image", 0);
    loom_status deleted = loom_batch_delete(batch, &rkey, &err);
    loom_status committed = loom_batch_commit(batch, &err);
    loom_store_close(store);
    umount2(disk, MNT_DETACH);
    assert_int_equal(failed, 0);
    assert_int_equal(deleted, LOOM_OK);
    assert_true(committed == LOOM_OK || committed == LOOM_NO_SPACE);
}

static void limit_file_size(void *context) {
    (void)context;
    struct rlimit limit = {2 << 20, 2 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    loom_store *store = open_ok();
    loom_status status;
    uint64_t stored;
    put_small(store, 0, 10);
    fill_until_refused(store, &status, &stored);
    if (status != LOOM_NO_SPACE || stored < 3) _exit(9);
    require_image(store, 2, 100000);
    loom_store_close(store);
}

static void a_file_size_limit_is_an_error_not_a_signal(void **state) {
    (void)state;
    assert_int_equal(in_child(limit_file_size, NULL), 0);
    loom_store *store = open_ok();
    require_image(store, 0, 100000);
    require_small(store, 9);
    loom_store_close(store);
}

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#else
#define ADDRESS_SANITIZER 0
#endif

static void limit_address_space(void *context) {
    (void)context;
    struct rlimit limit = {1 << 30, 1 << 30};
    setrlimit(RLIMIT_AS, &limit);
    loom_store *store = open_ok();
    put_small(store, 0, 1000);
    require_small(store, 999);
    loom_store_close(store);
}

static void little_address_space_is_enough(void **state) {
    (void)state;
    if (ADDRESS_SANITIZER) {
        print_message("the address sanitizer needs the address space: RLIMIT_AS is not tested\n");
        skip();
    }
    assert_int_equal(in_child(limit_address_space, NULL), 0);
}

/* ---- reading only ---- */

static void a_read_only_open_reads(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok(), *writable;
    put_small(store, 0, 10);
    put_image(store, 1, 1000);
    loom_store_close(store);
    REQUIRE_OK(try_open((loom_store_options){.read_only = true}, &store, &err));
    require_small(store, 4);
    require_image(store, 1, 1000);
    loom_batch *batch;
    loom_extent_writer *writer;
    REQUIRE_STATUS(loom_store_begin(store, &batch, &err), LOOM_DENIED);
    REQUIRE_STATUS(loom_extent_writer_open(loom_store_extents(store), &writer, &err), LOOM_DENIED);
    REQUIRE_STATUS(try_open((loom_store_options){0}, &writable, &err), LOOM_BUSY);
    loom_store_close(store);
}

static void change_modes(mode_t folders, mode_t files) {
    static const char *const names[] = {"",         "/index",          "/extents",        "/FORMAT",
                                        "/control", "/index/data.mdb", "/index/lock.mdb", "/extents/00000000.ext"};
    char name[600];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s%s", path, names[i]);
        assert_int_equal(chmod(name, i < 3 ? folders : files), 0);
    }
}

static void read_as_another_user(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store;
    if (geteuid() == 0 && setuid(65534) != 0) _exit(9);
    if (try_open((loom_store_options){0}, &store, &err) != LOOM_DENIED) _exit(10);
    REQUIRE_OK(try_open((loom_store_options){.read_only = true}, &store, &err));
    require_small(store, 4);
    require_image(store, 1, 1000);
    loom_store_close(store);
}

static void expect_busy_reader(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store;
    if (geteuid() == 0 && setuid(65534) != 0) _exit(9);
    if (try_open((loom_store_options){.read_only = true}, &store, &err) != LOOM_BUSY) _exit(11);
}

static void a_folder_without_write_permission_is_read(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    put_image(store, 1, 1000);
    loom_store_close(store);
    chmod(folder, 0755);
    change_modes(0555, 0444);
    assert_int_equal(in_child(read_as_another_user, NULL), 0);
    change_modes(0755, 0644);
    store = open_ok(); /* now a writer is there: LMDB could not see such a reader */
    assert_int_equal(in_child(expect_busy_reader, NULL), 0);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(deleted_bytes_return_to_the_disk),
        DISK_TEST(durabilities_store_alike),
        DISK_TEST(a_full_disk_is_an_error),
        DISK_TEST(a_file_size_limit_is_an_error_not_a_signal),
        DISK_TEST(little_address_space_is_enough),
        DISK_TEST(a_read_only_open_reads),
        DISK_TEST(a_folder_without_write_permission_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
