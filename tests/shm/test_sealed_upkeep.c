/* test_sealed_upkeep.c - looking after an encrypted store: queries, verification and repair, eviction, gc, backup,
 * export. What works on a plain store works here, and brings nothing to the disk in plain that was not asked for. */
#include "sealed_scene.h"

#include "shm/care/admin.h"
#include "shm/extent/extent_file.h"
#include "shm/pack/backup.h"
#include "shm/query/query.h"

static char backup_path[320], copy_path[320], pack_path[320];

static int setup(void **state) {
    disk_setup(state);
    snprintf(backup_path, sizeof backup_path, "%s/backup", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy", folder);
    snprintf(pack_path, sizeof pack_path, "%s/results.pack", folder);
    return 0;
}

static size_t found_in_plain(void) {
    size_t searched;
    return search_folder(folder, &searched, true);
}

/* ---- queries ---- */

static bool count(const loom_result *result, void *context) {
    (void)result;
    ++*(int *)context;
    return true;
}

static int matches(loom_store *store, const char *text) {
    loom_error err = {0};
    loom_query *query;
    loom_query_report report;
    int found = 0;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_query_parse(text, strlen(text), arena, &query, &err));
    REQUIRE_OK(loom_store_query(store, query, count, &found, &report, &err));
    loom_arena_free(arena);
    return found;
}

static void test_queries(void **state) {
    (void)state;
    loom_store *store = open_sealed();
    put_everything(store);
    assert_int_equal(matches(store, "age == 61"), 2); /* the record and the dataset: by the blinded index */
    assert_int_equal(matches(store, "age == 62"), 0);
    assert_int_equal(matches(store, "age > 60"), 2); /* by reading every record */
    assert_int_equal(matches(store, "diagnosis_of_record == \"Jane-Q-Patient-1957-glioblastoma\""), 2);
    loom_store_close(store);
    assert_int_equal(found_in_plain(), 0);
}

/* ---- verify ---- */

static loom_verify_report verified(loom_store *store, bool repair) {
    loom_error err = {0};
    loom_verify_report report;
    loom_verify_options options = {.repair = repair, .threads = 2};
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    return report;
}

static void test_verify_and_repair(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_everything(store);
    for (uint64_t i = 1; i <= 4; i++)
        put_image(store, i, 500000);
    loom_verify_report report = verified(store, false);
    assert_int_equal(report.findings, 2); /* the scene's sequence and dataset refer to items that are not there */
    loom_arena *arena = loom_arena_new();
    loom_result found;
    char name[32];
    for (uint64_t i = 2; i <= 3; i++) {
        loom_id rkey = id_of("image", i);
        REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
        snprintf(name, sizeof name, "extents/%08x.ext", found.bulk.extent);
        flip(name, (off_t)(found.bulk.offset + 1234567));
    }
    report = verified(store, false);
    assert_int_equal(report.bad_blocks, 2);
    report = verified(store, true);
    assert_int_equal(report.bad_blocks, 2);
    report = verified(store, false);
    assert_int_equal(report.bad_blocks, 0);
    require_image(store, 1, 500000);
    require_image(store, 4, 500000);
    for (uint64_t i = 2; i <= 3; i++) {
        loom_id rkey = id_of("image", i);
        REQUIRE_STATUS(loom_store_find(store, &rkey, arena, &found, &err), LOOM_NOT_FOUND);
        put_image(store, i, 500000);
        require_image(store, i, 500000);
    }
    loom_arena_free(arena);
    loom_store_close(store);
    assert_int_equal(found_in_plain(), 0);
}

/* ---- space ---- */

static void test_eviction_keeps_to_the_budget(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    loom_store_options options = {.path = path,
                                  .create = true,
                                  .key = &scene_key,
                                  .budget_bytes = 12 << 20,
                                  .ballast_bytes = 4096,
                                  .step_bytes = 1 << 20};
    REQUIRE_OK(loom_store_open(&options, &store, &err));
    loom_store_stats stats;
    for (uint64_t i = 1; i <= 30; i++) {
        put_image(store, i, 500000);
        require_image(store, i, 500000);
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_true(stats.used_bytes <= 12 << 20);
    }
    assert_true(stats.evicted_rows > 15);
    int live = 0;
    REQUIRE_OK(loom_store_each(store, count, &live, &err));
    assert_int_equal(live, stats.rows);
    loom_verify_report report = verified(store, false);
    assert_int_equal(report.findings, 0);
    loom_store_close(store);
}

static void test_gc(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_image(store, 1, 500000);
    put_image(store, 2, 500000);
    loom_batch *batch;
    loom_id first = id_of("image", 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &first, 1, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_gc_options options = {.keep_goals = UINT64_MAX};
    loom_gc_report report;
    REQUIRE_OK(loom_store_gc(store, &options, &report, &err));
    assert_int_equal(report.expired_rows, 1);
    require_image(store, 2, 500000);
    loom_store_close(store);
    store = open_sealed();
    require_image(store, 2, 500000);
    assert_int_equal(verified(store, false).findings, 0);
    loom_store_close(store);
}

/* ---- copies ---- */

static void test_a_backup_is_encrypted(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    loom_store *store = open_sealed();
    put_everything(store);
    REQUIRE_OK(loom_backup(store, backup_path, NULL, NULL, &report, &err));
    loom_store_close(store);
    assert_int_equal(found_in_plain(), 0);
    REQUIRE_OK(loom_restore(backup_path, copy_path, NULL, NULL, &report, &err));
    assert_int_equal(found_in_plain(), 0);
    loom_store_options options = {.path = copy_path};
    REQUIRE_STATUS(loom_store_open(&options, &store, &err), LOOM_DENIED);
    options.key = &other_key;
    REQUIRE_STATUS(loom_store_open(&options, &store, &err), LOOM_DENIED);
    options.key = &scene_key;
    REQUIRE_OK(loom_store_open(&options, &store, &err));
    require_everything(store);
    loom_store_close(store);
    assert_int_equal(found_in_plain(), 0);
}

/* Results move from an encrypted store to a plain one and back; the file between is plain, as its help says. */
static void test_export_and_import(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    loom_store *store = open_sealed(), *other;
    put_image(store, 1, 500000);
    put_small(store, 0, 3);
    uint8_t payload[64];
    loom_result small = small_result(2, payload);
    loom_id rkeys[] = {id_of("image", 1), small.rkey};
    REQUIRE_OK(loom_export(store, rkeys, 2, pack_path, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 2);
    loom_store_options options = {.path = copy_path, .create = true};
    REQUIRE_OK(loom_store_open(&options, &other, &err));
    REQUIRE_OK(loom_import(other, pack_path, NULL, NULL, &report, &err));
    require_image(other, 1, 500000);
    require_small(other, 2);
    loom_store_close(other);
    loom_store_close(store);
    remove_tree(path);
    store = open_sealed(); /* a new one, with another master key */
    REQUIRE_OK(loom_import(store, pack_path, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 2);
    require_image(store, 1, 500000);
    require_small(store, 2);
    REQUIRE_OK(loom_import(store, pack_path, NULL, NULL, &report, &err));
    assert_int_equal(report.skipped, 2);
    require_image(store, 1, 500000);
    assert_int_equal(verified(store, false).findings, 0);
    loom_store_close(store);
}

#define UPKEEP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, disk_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        UPKEEP_TEST(test_queries),
        UPKEEP_TEST(test_verify_and_repair),
        UPKEEP_TEST(test_eviction_keeps_to_the_budget),
        UPKEEP_TEST(test_gc),
        UPKEEP_TEST(test_a_backup_is_encrypted),
        UPKEEP_TEST(test_export_and_import),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
