/* test_store_traps.c - LMDB's known traps, provoked: a map that is full, readers that died in the middle of a run or
 * stay for long, reader slots that run out, one path under two names, two pid namespaces. Fork: test_storage.c. */
#include <sched.h>
#include <signal.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "disk_scene.h"
#include "shm/store/store_disk.h"

/* ---- the map ---- */

static loom_status try_put(loom_store *store, uint64_t first, uint64_t count, loom_error *err) {
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    loom_status status = LOOM_OK;
    for (uint64_t i = first; i < first + count && status == LOOM_OK; i++) {
        uint8_t payload[64];
        loom_result result = small_result(i, payload);
        status = loom_batch_put(batch, &result, err);
    }
    loom_status committed = loom_batch_commit(batch, status == LOOM_OK ? err : NULL);
    return status == LOOM_OK ? committed : status;
}

static loom_store *open_small_map(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){.map_bytes = 1 << 20, .durability = LOOM_DURABLE_NONE}, &store, &err));
    return store;
}

static void a_small_map_grows(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small_map();
    for (uint64_t i = 0; i < 20000; i += 1000)
        REQUIRE_OK(try_put(store, i, 1000, &err));
    for (uint64_t i = 0; i < 20000; i += 500)
        require_small(store, i);
    loom_store_close(store);
}

typedef struct filling {
    loom_store *store;
    uint64_t stored;
    loom_status status;
    loom_error err;
} filling;

/* While this visit lasts, this process reads, and the map cannot be exchanged. */
static bool fill(const loom_result *result, void *context) {
    (void)result;
    filling *to = context;
    while (to->status == LOOM_OK && to->stored < 1000000) {
        to->status = try_put(to->store, to->stored, 1000, &to->err);
        if (to->status == LOOM_OK) to->stored += 1000;
    }
    return false;
}

static void a_map_that_cannot_grow_is_an_error(void **state) {
    (void)state;
    loom_error err = {0};
    filling to = {.store = open_small_map(), .stored = 1000};
    REQUIRE_OK(try_put(to.store, 0, 1000, &err));
    REQUIRE_OK(loom_store_each(to.store, fill, &to, &err));
    assert_int_equal(to.status, LOOM_NO_SPACE);
    assert_int_equal(to.err.status, LOOM_NO_SPACE);
    assert_non_null(strstr(to.err.message, "store.map_size"));
    assert_false(is_stored(to.store, to.stored)); /* nothing of the batch that failed */
    require_small(to.store, to.stored - 1);
    REQUIRE_OK(try_put(to.store, to.stored, 1000, &err)); /* nobody reads now */
    require_small(to.store, to.stored + 999);
    loom_store_close(to.store);
}

static loom_status put_large(loom_store *store, uint64_t count, loom_error *err) {
    static uint8_t payload[1 << 20];
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    loom_status status = LOOM_OK;
    for (uint64_t i = 0; i < count && status == LOOM_OK; i++) {
        loom_result result = {.rkey = id_of("large", i),
                              .vid = id_of("large", i),
                              .type = LOOM_BYTES,
                              .payload = payload,
                              .payload_bytes = sizeof payload};
        status = loom_batch_put(batch, &result, err);
    }
    loom_status committed = loom_batch_commit(batch, status == LOOM_OK ? err : NULL);
    return status == LOOM_OK ? committed : status;
}

static void a_batch_larger_than_the_room_finds_it_when_begun_again(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small_map();
    REQUIRE_STATUS(put_large(store, 140, &err), LOOM_NO_SPACE);
    REQUIRE_OK(put_large(store, 140, &err));
    loom_result found;
    loom_arena *arena = loom_arena_new();
    loom_id rkey = id_of("large", 139);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    assert_int_equal(found.payload_bytes, 1 << 20);
    loom_arena_free(arena);
    loom_store_close(store);
}

static void put_many_in_child(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){.durability = LOOM_DURABLE_NONE}, &store, &err));
    for (uint64_t i = 10; i < 20000; i += 1000)
        REQUIRE_OK(try_put(store, i, 1000, &err));
    loom_store_close(store);
}

static void a_map_that_another_process_outgrew_is_adopted(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small_map();
    assert_int_equal(in_child(put_many_in_child, NULL), 0);
    require_small(store, 15000);
    put_small(store, 0, 10);
    require_small(store, 9);
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_true(stats.index_bytes > 1 << 20);
    loom_store_close(store);
}

static void a_larger_map_is_had_by_opening_again(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small_map(), *larger;
    REQUIRE_OK(try_open((loom_store_options){.map_bytes = 256 << 20}, &larger, &err));
    MDB_envinfo info;
    assert_int_equal(mdb_env_info(loom_disk_of(store)->index->env, &info), MDB_SUCCESS);
    assert_int_equal(info.me_mapsize, 256 << 20);
    put_small(store, 0, 10);
    loom_store_close(larger);
    require_small(store, 9);
    loom_store_close(store);
}

/* ---- readers ---- */

typedef struct reader {
    int told, go;
} reader;

static bool sleep_in_visit(const loom_result *result, void *context) {
    (void)result;
    const reader *self = context;
    char byte = 'r';
    if (write(self->told, &byte, 1) != 1) _exit(9);
    (void)!read(self->go, &byte, 1);
    return false;
}

static pid_t start_reader(reader *ends) {
    int told[2], go[2];
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(go), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        loom_error err = {0};
        loom_store *store;
        close(go[1]);
        if (try_open((loom_store_options){0}, &store, &err) != LOOM_OK) _exit(8);
        reader self = {told[1], go[0]};
        (void)loom_store_each(store, sleep_in_visit, &self, &err);
        loom_store_close(store);
        _exit(0);
    }
    close(told[1]), close(go[0]);
    char byte;
    assert_int_equal(read(told[0], &byte, 1), 1);
    *ends = (reader){told[0], go[1]};
    return child;
}

static void stop_reader(const reader *ends, pid_t child, int signal) {
    int status;
    if (signal != 0) kill(child, signal);
    close(ends->go);
    close(ends->told);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (signal == 0) assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static uint64_t oldest_reader_ms(loom_store *store) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    return stats.oldest_reader_ms;
}

static void a_long_reader_is_told(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    reader ends;
    pid_t child = start_reader(&ends);
    assert_int_equal(oldest_reader_ms(store), 0); /* it sees everything */
    loom_disk_of(store)->index->clock_ns = 0;     /* as if a second had passed */
    put_small(store, 10, 10);
    uint64_t first = oldest_reader_ms(store);
    assert_true(first > 0);
    while (oldest_reader_ms(store) == first)
        sched_yield(); /* its age grows by the clock */
    assert_true(oldest_reader_ms(store) > first);
    stop_reader(&ends, child, 0);
    assert_int_equal(oldest_reader_ms(store), 0);
    loom_store_close(store);
}

static void a_reader_that_died_is_cleared_in_the_middle_of_a_run(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    reader ends;
    pid_t child = start_reader(&ends);
    put_small(store, 10, 10);
    stop_reader(&ends, child, SIGKILL);
    assert_true(oldest_reader_ms(store) > 0);           /* its slot is still there */
    loom_disk_of(store)->index->readers_checked_ns = 0; /* as if a second had passed */
    put_small(store, 20, 10);
    assert_int_equal(oldest_reader_ms(store), 0);
    loom_store_close(store);
}

#define NESTED_MAX 2200
typedef struct nesting {
    loom_store *store;
    unsigned depth;
    bool die; /* at the deepest */
    loom_status status;
    loom_error err;
} nesting;

static bool go_deeper(const loom_result *result, void *context) {
    (void)result;
    nesting *at = context;
    if (++at->depth < NESTED_MAX) {
        loom_status status = loom_store_each(at->store, go_deeper, at, &at->err);
        if (status != LOOM_OK) at->status = status;
    }
    if (at->die) kill(getpid(), SIGKILL);
    return false;
}

static void take_every_slot_and_die(void *context) {
    (void)context;
    nesting at = {.store = open_ok(), .die = true};
    (void)go_deeper(NULL, &at);
}

static void reader_slots_run_out_with_an_error_and_come_back(void **state) {
    (void)state;
    loom_error err = {0};
    nesting at = {.store = open_ok()};
    put_small(at.store, 0, 10);
    (void)go_deeper(NULL, &at);
    assert_int_equal(at.status, LOOM_BUSY);
    assert_non_null(strstr(at.err.message, "too many readers"));
    assert_true(at.depth > 2000 && at.depth < NESTED_MAX);
    require_small(at.store, 5);
    assert_int_equal(in_child(take_every_slot_and_die, NULL), 128 + SIGKILL);
    nesting again = {.store = at.store, .depth = NESTED_MAX};
    REQUIRE_OK(loom_store_each(again.store, go_deeper, &again, &err)); /* dead readers give their slots back */
    loom_store_close(at.store);
}

/* ---- one path, two names; two process numberings ---- */

static void a_link_leads_to_the_same_open_store(void **state) {
    (void)state;
    loom_error err = {0};
    char link[400];
    snprintf(link, sizeof link, "%s/link", folder);
    loom_store *store = open_ok(), *linked;
    assert_int_equal(symlink(path, link), 0);
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = link}, &linked, &err));
    assert_ptr_equal(loom_disk_of(store), loom_disk_of(linked));
    put_small(linked, 0, 10);
    loom_store_close(linked);
    require_small(store, 9); /* the locks of the first are still there */
    put_small(store, 10, 10);
    loom_store_close(store);
}

#ifndef VOXLOOM_PORTABLE /* the twin knows no namespaces */
static void open_in_other_namespace(void *context) {
    (void)context;
    if (unshare(CLONE_NEWPID) != 0) _exit(77);
    pid_t child = fork();
    if (child < 0) _exit(77);
    if (child == 0) {
        loom_error err = {0};
        loom_store *store;
        loom_status status = try_open((loom_store_options){0}, &store, &err);
        _exit(status == LOOM_BUSY && strstr(err.message, "container") != NULL ? 0 : 3);
    }
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) _exit(4);
    _exit(WEXITSTATUS(status));
}

static void two_pid_namespaces_are_told_apart(void **state) {
    (void)state;
    loom_store *store = open_ok();
    int status = in_child(open_in_other_namespace, NULL);
    loom_store_close(store);
    if (status == 77) {
        print_message("cannot make a pid namespace here: not tested\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- network file systems ---- */

static long pretended; /* f_type of the file system that the store seems to lie on; 0: its own */

/* In place of the C library's. */
int fstatfs(int fd, struct statfs *system) {
    long failed = syscall(SYS_fstatfs, fd, system);
    if (failed == 0 && pretended != 0) system->f_type = (__fsword_t)pretended;
    return (int)failed;
}

static void a_network_file_system_is_refused(void **state) {
    (void)state;
    static const struct {
        long type;
        const char *name;
    } systems[] = {{0x6969, "nfs"}, {0x00c36400, "ceph"}, {0x0bd00bd0, "lustre"}, {0x65735546, "fuse"}};
    loom_error err = {0};
    loom_store *store;
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        pretended = systems[i].type;
        REQUIRE_STATUS(try_open((loom_store_options){0}, &store, &err), LOOM_UNSUPPORTED);
        assert_non_null(strstr(err.message, systems[i].name));
        assert_non_null(strstr(err.message, "store.path"));
    }
    pretended = 0;
    loom_store_close(open_ok());
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(a_small_map_grows),
        DISK_TEST(a_map_that_cannot_grow_is_an_error),
        DISK_TEST(a_batch_larger_than_the_room_finds_it_when_begun_again),
        DISK_TEST(a_map_that_another_process_outgrew_is_adopted),
        DISK_TEST(a_larger_map_is_had_by_opening_again),
        DISK_TEST(a_long_reader_is_told),
        DISK_TEST(a_reader_that_died_is_cleared_in_the_middle_of_a_run),
        DISK_TEST(reader_slots_run_out_with_an_error_and_come_back),
        DISK_TEST(a_link_leads_to_the_same_open_store),
#ifndef VOXLOOM_PORTABLE
        DISK_TEST(two_pid_namespaces_are_told_apart),
        DISK_TEST(a_network_file_system_is_refused),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
