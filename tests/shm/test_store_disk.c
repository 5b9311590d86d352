/* test_store_disk.c - the store in a folder when things are not as they should be: wrong folders, damaged and cut
 * files, several opens and processes. */
#include "disk_scene.h"

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
    static const char newer[] = "voxloom store\nformat 3\nuuid 00112233445566778899aabbccddeeff\ncreated x\nmore\n";
    write_file("FORMAT", newer, strlen(newer));
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_NEWER_STORE);
    const char *const damaged[] = {"",
                                   "x",
                                   "voxloom store",
                                   "voxloom store\nformat 0\nuuid 0\n",
                                   "voxloom store\nformat 2\n",
                                   "voxloom store\nformat -1\n",
                                   "voxloom store\nformat 99999999999999999999\n",
                                   "voxloom store\nformat 2\nuuid 00112233445566778899aabbccddeef\ncreated x\n",
                                   "voxloom store\nformat 2\nuuid 00112233445566778899aabbccddeegg\ncreated x\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_file("FORMAT", damaged[i], strlen(damaged[i]));
        REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    }
    char garbage[5000];
    memset(garbage, 0xff, sizeof garbage);
    write_file("FORMAT", garbage, sizeof garbage);
    REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_BAD_STORE);
    static const char other[] = "voxloom store\nformat 2\nuuid 00112233445566778899aabbccddeeff\ncreated x\n";
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

int main(void) {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
