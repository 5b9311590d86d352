/* Giving space back: a dry run says what a real one then does, and only what may go goes. */
#include <time.h>

#include "shm/care/admin.h"
#include "shm/care/verify_parts.h"
#include "space_scene.h"

#define WIDTH 20000 /* 60,000 bytes: 15 pages */
#define PAGES_BYTES UINT64_C(61440)

static loom_gc_report gc(loom_store *store, loom_gc_options options, bool dry_run) {
    loom_error err = {0};
    loom_gc_report report;
    options.dry_run = dry_run;
    REQUIRE_OK(loom_store_gc(store, &options, &report, &err));
    return report;
}

static uint64_t allocated(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < 16; i++) {
        char full[600];
        struct stat now;
        snprintf(full, sizeof full, "%s/extents/%08x.ext", path, i);
        if (stat(full, &now) == 0) sum += (uint64_t)now.st_blocks * 512;
    }
    return sum;
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("%s\n", finding->text);
}

/* Where the platform's twin cannot make holes, space comes back only from the ends of files: less than foretold. */
#ifdef VOXLOOM_PORTABLE
#define HAS_HOLES 0
#else
#define HAS_HOLES 1
#endif

static void require_alike(const loom_gc_report *foretold, const loom_gc_report *report) {
    loom_gc_report real = *report;
    if (!HAS_HOLES) real.freed_bytes = foretold->freed_bytes;
    assert_memory_equal(foretold, &real, sizeof real);
}

/* The dry run, then the real one: alike, and as the file system counts. A second real one finds nothing. */
static loom_gc_report require_as_foretold(loom_store *store, loom_gc_options options) {
    loom_error err = {0};
    uint64_t before = allocated();
    loom_gc_report foretold = gc(store, options, true);
    assert_int_equal(allocated(), before);
    loom_gc_report report = gc(store, options, false);
    require_alike(&foretold, &report);
    assert_int_equal(before - allocated(), report.freed_bytes); /* by another count */
    loom_gc_report again = gc(store, options, false);
    assert_int_equal(again.expired_rows + again.old_rows + again.evicted_rows + again.freed_bytes, 0);
    loom_verify_report verified;
    loom_verify_options checking = {.threads = 1, .found = show_finding};
    REQUIRE_OK(loom_store_verify_all(store, &checking, &verified, &err));
    assert_int_equal(verified.findings, 0);
    assert_int_equal(verified.unowned_bytes, 0);
    return report;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const loom_gc_options nothing_asked = {.keep_goals = UINT64_MAX};

static void expired_results_go(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 20; i++)
        REQUIRE_OK(try_put(store, i, WIDTH, 1000,
                           i % 4 == 0   ? now_ns() - 1
                           : i % 4 == 1 ? now_ns() + 3600000000000u
                                        : 0,
                           &err));
    loom_store_close(store);
    store = open_ok();
    loom_gc_report report = require_as_foretold(store, nothing_asked);
    assert_int_equal(report.expired_rows, 5);
    assert_int_equal(report.expired_bytes, 5 * PAGES_BYTES);
    assert_int_equal(report.old_rows + report.evicted_rows, 0);
    if (HAS_HOLES) assert_true(report.freed_bytes >= 5 * PAGES_BYTES);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(has_image(store, i), i % 4 != 0);
    loom_store_close(store);
}

/* Old by their making (tests make results in 1970); what was used just now is not, nor what is pinned or held. */
static void old_results_go(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 12; i++)
        REQUIRE_OK(try_put(store, i, WIDTH, 1000, 0, &err));
    put_small(store, 0, 50);
    loom_batch *batch;
    loom_id pinned = id_of("image", 3), held = id_of("image", 4);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_pin(batch, &pinned, "hand", &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_store_close(store);
    char control[600];
    snprintf(control, sizeof control, "%s/control", path);
    assert_int_equal(unlink(control), 0); /* with the marks of use */
    store = open_ok();
    assert_true(has_image(store, 7)); /* a use */
    loom_arena *arena = loom_arena_new();
    loom_result result;
    loom_hold hold;
    REQUIRE_OK(loom_store_hold(store, &held, arena, &result, &hold, &err));
    loom_gc_options options = {.older_than_s = 3600, .keep_goals = UINT64_MAX};
    loom_gc_report dry = gc(store, options, true);
    assert_int_equal(dry.old_rows, 12 - 3 + 50);
    assert_int_equal(dry.pinned_rows, 1);
    loom_gc_report report = gc(store, options, false);
    require_alike(&dry, &report);
    assert_int_equal(report.old_bytes, 9 * PAGES_BYTES);
    require_image(store, 4, WIDTH);
    require_image(store, 3, WIDTH);
    require_image(store, 7, WIDTH);
    assert_false(has_image(store, 5));
    assert_false(is_stored(store, 5));
    loom_store_unhold(store, &hold);
    loom_arena_free(arena);
    loom_store_close(store);
}

static void link_result(loom_store *store, uint64_t number, const uint64_t *arguments, size_t count) {
    loom_error err = {0};
    loom_value items[4];
    loom_id ids[4];
    loom_buffer recipe = {0};
    uint8_t payload[64];
    for (size_t i = 0; i < count; i++) {
        ids[i] = arguments[i] < 100 ? id_of("image", arguments[i]) : id_of("rkey", arguments[i]);
        items[i] = loom_reference(LOOM_BYTES, &ids[i]);
    }
    loom_value parts[] = {loom_string_of("f"), loom_int(1), loom_null(), loom_sequence(items, count)};
    loom_value whole = loom_sequence(parts, 4);
    REQUIRE_OK(loom_value_encode(&whole, &recipe));
    loom_result result = small_result(number, payload);
    result.recipe = recipe.bytes;
    result.recipe_bytes = recipe.length;
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&recipe);
}

static void put_goal(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_batch *batch;
    uint64_t run;
    loom_id rkey = id_of("rkey", number);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_begin_run(batch, "p.imgql", &run, &err));
    REQUIRE_OK(loom_batch_put_goal(batch, run, "goal", &rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static void what_goals_need_stays(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 8; i++)
        REQUIRE_OK(try_put(store, i, WIDTH, 1000, 0, &err));
    link_result(store, 100, (uint64_t[]){0, 1}, 2); /* run 1: 101 from 100 from images 0, 1 */
    link_result(store, 101, (uint64_t[]){100}, 1);
    link_result(store, 110, (uint64_t[]){2, 3}, 2); /* run 2: 111 from 110 (evicted) from images 2, 3, and from 1 */
    link_result(store, 111, (uint64_t[]){110, 1}, 2);
    link_result(store, 120, (uint64_t[]){5}, 1); /* nobody's */
    loom_batch *batch;
    loom_id evicted = id_of("rkey", 110);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &evicted, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    put_goal(store, 101);
    put_goal(store, 111);
    loom_store_close(store);
    store = open_ok();
    loom_gc_report report = require_as_foretold(store, (loom_gc_options){.keep_goals = 2});
    assert_int_equal(report.old_rows, 5); /* images 4 to 7, and 120 */
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(has_image(store, i), i < 4);
    report = require_as_foretold(store, (loom_gc_options){.keep_goals = 1});
    assert_int_equal(report.old_rows, 3); /* image 0, 100, 101 */
    assert_true(has_image(store, 1) && has_image(store, 2) && has_image(store, 3) && is_stored(store, 111));
    assert_false(has_image(store, 0) || is_stored(store, 101));
    report = require_as_foretold(store, (loom_gc_options){.keep_goals = 0});
    assert_int_equal(report.old_rows, 4);
    loom_store_close(store);
}

static void the_budget_is_kept(void **state) {
    (void)state;
    if (!HAS_HOLES) skip();
    loom_error err = {0};
    loom_store *store = open_ok();
    for (uint64_t i = 0; i < 40; i++)
        REQUIRE_OK(try_put(store, i, WIDTH, 1000000 * (i + 1), i % 10 == 0 ? now_ns() - 1 : 0, &err));
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    loom_store_close(store);
    uint64_t budget = stats.index_bytes + 20 * PAGES_BYTES;
    REQUIRE_OK(try_open((loom_store_options){.budget_bytes = budget}, &store, &err));
    loom_gc_report dry = gc(store, nothing_asked, true), report = gc(store, nothing_asked, false);
    assert_int_equal(dry.expired_rows, report.expired_rows);
    assert_int_equal(dry.evicted_rows, report.evicted_rows);
    assert_int_equal(dry.evicted_bytes, report.evicted_bytes);
    assert_int_equal(dry.freed_bytes, report.freed_bytes);
    assert_int_equal(report.expired_rows, 4);
    assert_true(report.evicted_rows >= 16);
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_true(stats.used_bytes <= budget);
    for (uint64_t i = 31; i < 40; i++)
        assert_true(has_image(store, i)); /* the dearest */
    loom_store_close(store);
}

/* What a writer leaves that died: returned when nobody else is attached, kept and said else. */
static void unowned_space_is_returned(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    loom_extent_writer *writer;
    static image_result lost;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 500, WIDTH, &lost); /* sealed and never committed */
    loom_buffer_free(&lost.payload);
    loom_reservation reservation;
    static uint64_t hashes[HASHES_MAX];
    image_result image = {0};
    image.header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){WIDTH, 3});
    loom_value value = loom_image(&image.header, NULL);
    REQUIRE_OK(loom_value_encode(&value, &image.payload));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW, &reservation, &err));
    fill_image(reservation.window, 3 * WIDTH, 1);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, image.result.root, &err));
    image.result = (loom_result){.rkey = id_of("image", 1),
                                 .vid = id_of("image", 1),
                                 .type = LOOM_IMAGE,
                                 .payload = image.payload.bytes,
                                 .payload_bytes = image.payload.length,
                                 .bulk = reservation.placement,
                                 .block_hashes = hashes,
                                 .root = {image.result.root[0], image.result.root[1]}};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
    loom_gc_report report = require_as_foretold(store, nothing_asked);
    assert_int_equal(report.unowned_bytes, PAGES_BYTES);
    if (HAS_HOLES) assert_int_equal(report.freed_bytes, PAGES_BYTES);
    assert_false(report.unowned_kept);
    require_image(store, 1, WIDTH);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(expired_results_go),        DISK_TEST(old_results_go),
        DISK_TEST(what_goals_need_stays),     DISK_TEST(the_budget_is_kept),
        DISK_TEST(unowned_space_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
