/* test_store_disk.c - the store in a folder when things are not as they should be: wrong folders, damaged and cut
 * files, full disks, missing permission, limits, several opens and processes. */
#include "store_support.h"

#include <sys/mount.h>
#include <sys/resource.h>

static char folder[256], path[300];

static int setup(void **state) {
    (void)state;
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static loom_status try_open(loom_store_options options, loom_store **store, loom_error *err) {
    options.path = path;
    options.create = !options.read_only;
    return loom_store_open(&options, store, err);
}

static loom_store *open_ok(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){0}, &store, &err));
    return store;
}

static void write_file(const char *name, const void *bytes, size_t length) {
    char full[600];
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static void flip(const char *name, off_t offset) {
    char full[600];
    uint8_t byte;
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void put_image(loom_store *store, uint64_t number, uint64_t width) {
    loom_error err = {0};
    static image_result image;
    loom_extent_writer *writer;
    loom_batch *batch;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, number, width, &image);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
}

/* ---- which folders are stores ---- */

static void only_stores_are_opened(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = path}, &store, &err), LOOM_NOT_FOUND);
    assert_int_equal(mkdir(path, 0700), 0);
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = path}, &store, &err), LOOM_NOT_FOUND);
    write_file("thesis.txt", "do not touch", 12);
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    char name[600];
    snprintf(name, sizeof name, "%s/control", path);
    assert_int_equal(access(name, F_OK), -1); /* nothing was made in it */
    snprintf(name, sizeof name, "%s/thesis.txt", path);
    assert_int_equal(unlink(name), 0);
    store = open_ok();
    loom_store_close(store);
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 0777, 0700);
    snprintf(name, sizeof name, "%s/FORMAT", path);
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = name}, &store, &err), LOOM_BAD_STORE);
}

/* What a process leaves that is killed between FORMAT and the index: empty to a reader, completed by a writer. */
static void a_store_without_its_index_is_empty(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    char name[600];
    snprintf(name, sizeof name, "%s/index/data.mdb", path);
    for (int empty_file = 0; empty_file < 2; empty_file++) {
        loom_store_close(open_ok());
        assert_int_equal(unlink(name), 0);
        if (empty_file) write_file("index/data.mdb", "", 0);
        REQUIRE_STATUS(try_open((loom_store_options){.read_only = true}, &store, &err), LOOM_NOT_FOUND);
    }
    store = open_ok();
    put_small(store, 1, 1);
    loom_store_close(store);
    store = open_ok();
    require_small(store, 1);
    loom_store_close(store);
}

static void a_store_is_made_with_its_parents(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    loom_store *store = open_ok();
    put_small(store, 1, 1);
    loom_store_close(store);
    store = open_ok();
    require_small(store, 1);
    loom_store_close(store);
}

static void format_is_checked(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    loom_store_close(open_ok());
    static const char newer[] = "voxloom store\nformat 2\nuuid 00112233445566778899aabbccddeeff\ncreated x\nmore\n";
    write_file("FORMAT", newer, strlen(newer));
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_NEWER_STORE);
    const char *const damaged[] = {"",
                                   "x",
                                   "voxloom store",
                                   "voxloom store\nformat 0\nuuid 0\n",
                                   "voxloom store\nformat 1\n",
                                   "voxloom store\nformat -1\n",
                                   "voxloom store\nformat 99999999999999999999\n",
                                   "voxloom store\nformat 1\nuuid 00112233445566778899aabbccddeef\ncreated x\n",
                                   "voxloom store\nformat 1\nuuid 00112233445566778899aabbccddeegg\ncreated x\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_file("FORMAT", damaged[i], strlen(damaged[i]));
        REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    }
    char garbage[5000];
    memset(garbage, 0xff, sizeof garbage);
    write_file("FORMAT", garbage, sizeof garbage);
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    static const char other[] = "voxloom store\nformat 1\nuuid 00112233445566778899aabbccddeeff\ncreated x\n";
    write_file("FORMAT", other, strlen(other)); /* of another store than the index */
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    char name[600];
    snprintf(name, sizeof name, "%s/FORMAT", path);
    assert_int_equal(unlink(name), 0); /* lost: nothing is made anew over an index */
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
}

static void an_unfinished_creation_is_finished(void **state) {
    (void)state;
    char name[600];
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(name, sizeof name, "%s/index", path);
    assert_int_equal(mkdir(name, 0700), 0);
    write_file("control", "", 0);
    write_file("FORMAT.new", "voxloom st", 10);
    loom_store *store = open_ok();
    put_small(store, 1, 1);
    loom_store_close(store);
}

static void a_moved_store_is_the_same(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 1, 10);
    put_image(store, 5, 1000);
    loom_store_close(store);
    char moved[300];
    snprintf(moved, sizeof moved, "%s/elsewhere", folder);
    assert_int_equal(rename(path, moved), 0);
    memcpy(path, moved, sizeof path);
    store = open_ok();
    require_small(store, 10);
    require_image(store, 5, 1000);
    loom_store_close(store);
}

/* ---- damage ---- */

static void flipped_bulk_bytes_are_found(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_image(store, 1, 1000000);
    put_image(store, 2, 1000);
    loom_id rkey = id_of("image", 1);
    loom_result found;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    const off_t places[] = {0, 1 << 20, 2999999};
    for (int i = 0; i < 3; i++) {
        flip("extents/00000000.ext", (off_t)found.bulk.offset + places[i]);
        REQUIRE_STATUS(loom_store_verify(store, &found, &err), LOOM_CORRUPT);
        assert_non_null(strstr(err.message, "block"));
        flip("extents/00000000.ext", (off_t)found.bulk.offset + places[i]);
        REQUIRE_OK(loom_store_verify(store, &found, &err));
    }
    require_image(store, 2, 1000);
    loom_store_close(store);
    loom_arena_free(arena);
}

static void a_cut_or_missing_extent_is_an_error(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_image(store, 1, 100000);
    put_image(store, 2, 100000);
    loom_store_close(store);
    char name[600];
    snprintf(name, sizeof name, "%s/extents/00000000.ext", path);
    assert_int_equal(truncate(name, 4096 + 400000), 0);
    loom_result found;
    loom_value value;
    loom_view view;
    loom_arena *arena = loom_arena_new();
    store = open_ok();
    require_image(store, 1, 100000);
    loom_id rkey = id_of("image", 2);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_STATUS(loom_store_verify(store, &found, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_store_value(store, &found, arena, &value, &view, &err), LOOM_CORRUPT);
    put_image(store, 3, 100000); /* goes behind the lost bytes */
    require_image(store, 3, 100000);
    loom_store_close(store);
    assert_int_equal(unlink(name), 0);
    store = open_ok();
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_STATUS(loom_store_verify(store, &found, &err), LOOM_CORRUPT);
    loom_store_close(store);
    loom_arena_free(arena);
}

static bool ignore_row(const loom_result *result, void *context) {
    (void)result;
    ++*(int *)context;
    return true;
}

/* Where a row's payload lies in data.mdb. */
static off_t find_in_index(const void *bytes, size_t length) {
    char name[600];
    snprintf(name, sizeof name, "%s/index/data.mdb", path);
    FILE *file = fopen(name, "rb");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    char *all = malloc(size);
    rewind(file);
    assert_int_equal(fread(all, 1, size, file), size);
    fclose(file);
    char *at = memmem(all, size, bytes, length);
    assert_non_null(at);
    off_t offset = at - all;
    free(all);
    return offset;
}

static void a_damaged_row_counts_as_absent_and_heals(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_small(store, 0, 40);
    loom_store_close(store);
    uint8_t payload[64];
    loom_result result = small_result(17, payload);
    flip("index/data.mdb", find_in_index(payload, 64) + 40);
    store = open_ok();
    assert_false(is_stored(store, 17));
    int visited = 0;
    REQUIRE_STATUS(loom_store_each(store, ignore_row, &visited, &err), LOOM_CORRUPT);
    assert_int_equal(visited, 39);
    loom_batch *batch;
    result = small_result(17, payload);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    for (uint64_t i = 0; i < 40; i++)
        require_small(store, i);
    loom_store_close(store);
}

static void a_ruined_index_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    loom_store_close(store);
    char garbage[8192];
    memset(garbage, 0x5a, sizeof garbage);
    write_file("index/data.mdb", garbage, sizeof garbage);
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
}

static void a_ruined_control_is_made_anew(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    loom_store_close(store);
    char garbage[9000];
    memset(garbage, 0x5a, sizeof garbage);
    write_file("control", garbage, sizeof garbage);
    store = open_ok();
    require_small(store, 3);
    put_image(store, 1, 10);
    loom_store_close(store);
}

/* ---- many opens ---- */

static void one_close_of_two_opens_harms_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *first = open_ok(), *second = open_ok(), *attached;
    char token[4200];
    REQUIRE_OK(loom_store_token(first, token, sizeof token));
    REQUIRE_OK(loom_store_attach(token, 0, &attached, &err));
    put_small(first, 0, 10);
    require_small(second, 3);
    loom_store_close(first);
    put_small(second, 10, 10);
    require_small(second, 12);
    require_small(attached, 12);
    loom_store_close(second);
    require_small(attached, 13);
    loom_store_close(attached);
    first = open_ok();
    require_small(first, 19);
    loom_store_close(first);
}

typedef struct other_process {
    uint64_t first;
    int ready;
} other_process;

static void write_in_child(void *context) {
    const other_process *other = context;
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 20; i++)
        put_small(store, other->first + 5 * i, 5);
    require_small(store, other->first);
    put_image(store, other->first, 5000);
    loom_store_close(store);
}

static void two_processes_write_one_store(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 100000, 3);
    pid_t children[3];
    for (uint64_t i = 0; i < 3; i++) {
        other_process other = {.first = 1000 * i};
        fflush(NULL);
        children[i] = fork();
        if (children[i] == 0) {
            write_in_child(&other);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < 20; i++)
        put_small(store, 5000 + 5 * i, 5);
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    for (uint64_t i = 0; i < 3; i++) {
        for (uint64_t k = 0; k < 100; k++)
            require_small(store, 1000 * i + k);
        require_image(store, 1000 * i, 5000);
    }
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, 3 + 3 * 101 + 100);
    loom_store_close(store);
    store = open_ok();
    require_small(store, 2099);
    require_small(store, 5099);
    loom_store_close(store);
}

static void a_batch_held_open_ends_with_its_process(void **state) {
    (void)state;
    loom_store_close(open_ok());
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        loom_error err = {0};
        loom_batch *batch;
        uint8_t payload[64];
        loom_store *store = open_ok();
        loom_result result = small_result(1, payload);
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
        _exit(0); /* holding LMDB's writer lock and a slot */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    loom_store *store = open_ok();
    assert_false(is_stored(store, 1));
    put_small(store, 1, 1);
    loom_store_close(store);
}

static void rows_above_the_index_survive_a_kill(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        loom_store *store = open_ok();
        put_small(store, 0, 3000); /* below the bound of the tail: not in `keys` */
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 3000; i += 11)
        require_small(store, i);
    loom_store_close(store);
}

/* ---- space and limits ---- */

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
    store = open_ok();
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

static void a_full_map_is_an_error_and_grows(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){.map_bytes = 1 << 20}, &store, &err));
    loom_status status = LOOM_OK;
    uint64_t stored = 0;
    for (uint64_t i = 0; i < 10000 && status == LOOM_OK; i += 100) {
        loom_batch *batch;
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        for (uint64_t k = i; k < i + 100 && status == LOOM_OK; k++) {
            uint8_t payload[64];
            loom_result result = small_result(k, payload);
            status = loom_batch_put(batch, &result, &err);
        }
        loom_status committed = loom_batch_commit(batch, &err);
        if (status == LOOM_OK) status = committed;
        assert_int_equal(committed, status);
        if (status == LOOM_OK) stored += 100;
    }
    assert_int_equal(status, LOOM_NO_SPACE);
    assert_int_equal(err.status, LOOM_NO_SPACE);
    assert_true(stored > 0);
    for (uint64_t i = 0; i < stored; i += 50)
        require_small(store, i);
    assert_false(is_stored(store, stored));
    loom_store *larger; /* a second open with a larger map grows the first */
    REQUIRE_OK(try_open((loom_store_options){.map_bytes = 64 << 20}, &larger, &err));
    put_small(store, stored, 1000);
    loom_store_close(larger);
    loom_store_close(store);
    store = open_ok();
    require_small(store, stored + 999);
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
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        DISK_TEST(only_stores_are_opened),
        DISK_TEST(a_store_without_its_index_is_empty),
        DISK_TEST(a_store_is_made_with_its_parents),
        DISK_TEST(format_is_checked),
        DISK_TEST(an_unfinished_creation_is_finished),
        DISK_TEST(a_moved_store_is_the_same),
        DISK_TEST(flipped_bulk_bytes_are_found),
        DISK_TEST(a_cut_or_missing_extent_is_an_error),
        DISK_TEST(a_damaged_row_counts_as_absent_and_heals),
        DISK_TEST(a_ruined_index_is_refused),
        DISK_TEST(a_ruined_control_is_made_anew),
        DISK_TEST(one_close_of_two_opens_harms_nothing),
        DISK_TEST(two_processes_write_one_store),
        DISK_TEST(a_batch_held_open_ends_with_its_process),
        DISK_TEST(rows_above_the_index_survive_a_kill),
        DISK_TEST(deleted_bytes_return_to_the_disk),
        DISK_TEST(durabilities_store_alike),
        DISK_TEST(a_full_map_is_an_error_and_grows),
        DISK_TEST(a_full_disk_is_an_error),
        DISK_TEST(a_file_size_limit_is_an_error_not_a_signal),
        DISK_TEST(little_address_space_is_enough),
        DISK_TEST(a_read_only_open_reads),
        DISK_TEST(a_folder_without_write_permission_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
