/* test_crash_workers.c - workers that are killed under a coordinator that lives: what they sealed and passed on stays
 * whole, though it is committed only after their successors have written. And a store that many processes create at
 * once. */
#include "../shm/store_support.h"

#include <signal.h>
#include <time.h>

#include "crash_model.h"

#define WORKER_KILLS 40
#define OBJECTS_MAX 100000

static char folder[256], path[300];
static uint64_t seed = 20261122;

static int setup(void **state) {
    (void)state;
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static uint64_t width_of(uint64_t number) {
    uint64_t random = number;
    next_random(&random);
    return number % 17 == 0 ? 100000 : 1 + next_random(&random) % 4000;
}

/* A small extent size makes writers roll over; a small step makes allocation frequent. */
static loom_store *open_store(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(loom_store_open(
        &(loom_store_options){.path = path, .create = true, .extent_bytes = 2 << 20, .step_bytes = 64 << 10}, &store,
        &err));
    return store;
}

static void pause_random_us(uint64_t us_max) {
    uint64_t ns = next_random(&seed) % (us_max * 1000);
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

static void kill_and_reap(pid_t child) {
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

typedef struct range {
    uint32_t extent;
    uint64_t offset, end;
} range;

typedef struct ranges {
    range *items;
    size_t count, capacity;
    loom_store *store;
    uint64_t rows;
} ranges;

static bool collect_range(const loom_result *result, void *context) {
    loom_error err = {0};
    ranges *all = context;
    all->rows++;
    if (result->bulk.bytes == 0) return true;
    REQUIRE_OK(loom_store_verify(all->store, result, &err));
    if (all->count == all->capacity) {
        all->capacity = all->capacity == 0 ? 1024 : 2 * all->capacity;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        assert_non_null(all->items);
    }
    all->items[all->count++] =
        (range){result->bulk.extent, result->bulk.offset, result->bulk.offset + result->bulk.bytes};
    return true;
}

static int compare_ranges(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->extent != y->extent) return x->extent < y->extent ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Every stored object matches its hashes, and none touches another. Returns the number of live rows. */
static uint64_t require_sound(loom_store *store) {
    loom_error err = {0};
    ranges all = {.store = store};
    REQUIRE_OK(loom_store_each(store, collect_range, &all, &err));
    if (all.count > 0) qsort(all.items, all.count, sizeof *all.items, compare_ranges);
    for (size_t i = 1; i < all.count; i++)
        if (all.items[i].extent == all.items[i - 1].extent) assert_true(all.items[i].offset >= all.items[i - 1].end);
    free(all.items);
    return all.rows;
}

typedef struct sealed {
    uint64_t number;
    loom_placement placement;
    uint64_t hashes[4], root[2];
} sealed;

static void write_objects(const char *token, uint64_t first, int report_to) {
    loom_error err = {0};
    loom_store *store;
    loom_extent_writer *writer;
    REQUIRE_OK(loom_store_attach(token, 0, &store, &err));
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    for (uint64_t number = first;; number++) {
        loom_reservation reservation;
        sealed report = {.number = number};
        REQUIRE_OK(loom_extent_reserve(writer, 3 * width_of(number), true, &reservation, &err));
        fill_image(reservation.window, 3 * width_of(number), number);
        REQUIRE_OK(loom_extent_seal(writer, &reservation, report.hashes, report.root, &err));
        report.placement = reservation.placement;
        if (write(report_to, &report, sizeof report) != (ssize_t)sizeof report) _exit(1);
    }
}

static void put_sealed(loom_batch *batch, const sealed *report) {
    loom_error err = {0};
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){width_of(report->number), 3});
    loom_value value = loom_image(&header, NULL);
    loom_buffer payload = {0};
    REQUIRE_OK(loom_value_encode(&value, &payload));
    loom_result result = {.rkey = id_of("image", report->number),
                          .vid = id_of("image", report->number),
                          .type = LOOM_IMAGE,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length,
                          .bulk = report->placement,
                          .block_hashes = report->hashes,
                          .root = {report->root[0], report->root[1]}};
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    loom_buffer_free(&payload);
}

/* What a dead worker sealed and passed on is committed only after its successor has written: its ranges must stay. */
static void a_killed_workers_objects_stay_whole(void **state) {
    (void)state;
    loom_error err = {0};
    char token[400];
    loom_store *store = open_store();
    REQUIRE_OK(loom_store_token(store, token, sizeof token));
    static sealed reports[OBJECTS_MAX];
    size_t count = 0, committed = 0;
    for (int kills = 0; kills < WORKER_KILLS; kills++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_objects(token, 1000000 * (uint64_t)(kills + 1), ends[1]);
        }
        close(ends[1]);
        size_t wanted = 1 + next_random(&seed) % 20, before = count;
        while (count < before + wanted && read(ends[0], &reports[count], sizeof *reports) == (ssize_t)sizeof *reports)
            count++;
        assert_int_equal(count, before + wanted);
        pause_random_us(1000);
        kill_and_reap(child);
        while (count < OBJECTS_MAX && read(ends[0], &reports[count], sizeof *reports) == (ssize_t)sizeof *reports)
            count++;
        close(ends[0]);
        loom_batch *batch; /* one round late */
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        for (; committed < before; committed++)
            put_sealed(batch, &reports[committed]);
        REQUIRE_OK(loom_batch_commit(batch, &err));
    }
    assert_int_equal(require_sound(store), committed);
    loom_store_close(store); /* the last round is never committed: its space is reused */
    store = open_store();
    assert_int_equal(require_sound(store), committed);
    for (size_t i = 0; i < committed; i++)
        require_image(store, reports[i].number, width_of(reports[i].number));
    loom_store_close(store);
    print_message("%d kills, %zu objects\n", WORKER_KILLS, count);
}

/* ---- a store that many create at once ---- */

#define CREATORS 6
#define CREATIONS 40

static void create(int go) {
    loom_error err = {0};
    loom_store *store;
    char byte;
    if (read(go, &byte, 1) < 0) _exit(1); /* all begin when the other end is closed */
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = path, .create = true}, &store, &err));
    loom_store_close(store);
    _exit(0);
}

static void many_processes_create_one_store(void **state) {
    (void)state;
    for (int round = 0; round < CREATIONS; round++) {
        int go[2];
        pid_t children[CREATORS];
        remove_tree(path);
        assert_int_equal(pipe(go), 0);
        fflush(NULL);
        for (int i = 0; i < CREATORS; i++) {
            children[i] = fork();
            if (children[i] != 0) continue;
            close(go[1]);
            create(go[0]);
        }
        close(go[0]), close(go[1]);
        for (int i = 0; i < CREATORS; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
    }
}

int main(void) {
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_workers_objects_stay_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(many_processes_create_one_store, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
