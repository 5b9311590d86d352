/* test_crash_store.c - real processes killed with SIGKILL while they write. After each kill the store opens without
 * help, every acknowledged result is bit-exact, a batch is there whole or not at all, and no two results share a byte.
 * The record of what was acknowledged is a pipe, outside the store. */
#include "store_support.h"

#include <signal.h>
#include <time.h>

#define BATCH_ROWS 6u   /* small results of a batch */
#define BATCH_IMAGES 3u /* and images */
#define COORDINATOR_KILLS 50
#define WORKER_KILLS 20

static char folder[256], path[300];
static uint64_t seed = 20261122;

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

/* ---- a coordinator that dies ---- */

static void commit_batch(loom_store *store, loom_extent_writer *writer, uint64_t number) {
    loom_error err = {0};
    static image_result images[BATCH_IMAGES];
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = 0; i < BATCH_IMAGES; i++) {
        uint64_t image = number * BATCH_IMAGES + i;
        write_image(writer, image, width_of(image), &images[i]);
        REQUIRE_OK(loom_batch_put(batch, &images[i].result, &err));
    }
    for (uint64_t i = 0; i < BATCH_ROWS; i++) {
        uint8_t payload[64];
        loom_result result = small_result(number * BATCH_ROWS + i, payload);
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    if (number >= 4 && number % 2 == 0) { /* deletions, too: the small results of an older batch */
        loom_id rkey = id_of("rkey", (number - 4) * BATCH_ROWS);
        REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
    for (uint64_t i = 0; i < BATCH_IMAGES; i++)
        loom_buffer_free(&images[i].payload);
}

static void write_batches(uint64_t first, int acknowledge) {
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_store *store = open_store();
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    for (uint64_t number = first;; number++) {
        commit_batch(store, writer, number);
        if (write(acknowledge, &number, sizeof number) != (ssize_t)sizeof number) _exit(1);
    }
}

static bool was_deleted(uint64_t number, uint64_t batches) {
    uint64_t batch = number / BATCH_ROWS;
    return number % BATCH_ROWS == 0 && batch % 2 == 0 && batch + 4 < batches;
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

/* How many batches the store has, from `least` (acknowledged) on; the last may be whole or absent. */
static uint64_t count_batches(loom_store *store, uint64_t least) {
    uint64_t batches = least;
    while (is_stored(store, batches * BATCH_ROWS + 1))
        batches++;
    assert_true(batches <= least + 1);
    for (uint64_t i = 0; i < BATCH_ROWS; i++)
        assert_false(is_stored(store, batches * BATCH_ROWS + i));
    return batches;
}

static void require_batches(loom_store *store, uint64_t first, uint64_t batches) {
    for (uint64_t number = first * BATCH_ROWS; number < batches * BATCH_ROWS; number++) {
        if (was_deleted(number, batches))
            assert_false(is_stored(store, number));
        else
            require_small(store, number);
    }
    for (uint64_t image = first * BATCH_IMAGES; image < batches * BATCH_IMAGES; image++)
        require_image(store, image, width_of(image));
}

static uint64_t deleted_by(uint64_t batches) {
    return batches > 4 ? (batches - 4 + 1) / 2 : 0; /* one by each even batch from number 4 on */
}

static void a_killed_coordinator_loses_nothing_acknowledged(void **state) {
    (void)state;
    uint64_t batches = 0;
    for (int kills = 0; kills < COORDINATOR_KILLS; kills++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_batches(batches, ends[1]);
        }
        close(ends[1]);
        uint64_t acknowledged = batches, number, wanted = next_random(&seed) % 4;
        while (wanted-- > 0 && read(ends[0], &number, sizeof number) == (ssize_t)sizeof number)
            acknowledged = number + 1;
        pause_random_us(4000);
        kill_and_reap(child);
        while (read(ends[0], &number, sizeof number) == (ssize_t)sizeof number)
            acknowledged = number + 1;
        close(ends[0]);
        loom_store *store = open_store();
        uint64_t found = count_batches(store, acknowledged);
        require_batches(store, batches > 3 ? batches - 3 : 0, found); /* what this kill could have hurt */
        assert_int_equal(require_sound(store), found * (BATCH_ROWS + BATCH_IMAGES) - deleted_by(found));
        loom_store_close(store);
        batches = found;
    }
    loom_store *store = open_store();
    require_batches(store, 0, batches);
    loom_store_close(store);
    print_message("%d kills, %llu batches\n", COORDINATOR_KILLS, (unsigned long long)batches);
}

/* ---- workers that die under a coordinator that lives ---- */

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
    static sealed reports[100000];
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
        while (count < sizeof reports / sizeof *reports &&
               read(ends[0], &reports[count], sizeof *reports) == (ssize_t)sizeof *reports)
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

int main(void) {
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_coordinator_loses_nothing_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_workers_objects_stay_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
