/* Export and import: chosen results from store to store, readable without key or codec. */
#include "disk_scene.h"
#include "sealed_scene.h"
#include "shm/care/admin.h"
#include "shm/pack/backup.h"

static char file[300], second[300];

static void name_places(void) {
    snprintf(file, sizeof file, "%.250s/results.loom", folder);
    snprintf(second, sizeof second, "%.250s/second", folder);
}

static loom_store *open_second(const loom_key *key) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = second, .create = true, .key = key}, &store, &err));
    return store;
}

/* A sequence of two images and a nested sequence, by reference. */
static loom_id put_sequence(loom_store *store) {
    loom_error err = {0};
    loom_batch *batch;
    loom_id a = id_of("image", 1), b = id_of("image", 2);
    loom_value inner_items[] = {loom_reference(LOOM_IMAGE, &b), loom_int(5)};
    loom_value inner = loom_sequence(inner_items, 2);
    loom_buffer inner_bytes = {0}, bytes = {0};
    REQUIRE_OK(loom_value_encode(&inner, &inner_bytes));
    loom_result inner_result = {.rkey = id_of("inner", 1),
                                .vid = loom_sha256(inner_bytes.bytes, inner_bytes.length),
                                .type = LOOM_SEQUENCE,
                                .payload = inner_bytes.bytes,
                                .payload_bytes = inner_bytes.length};
    loom_value items[] = {loom_reference(LOOM_IMAGE, &a), loom_reference(LOOM_SEQUENCE, &inner_result.vid)};
    loom_value outer = loom_sequence(items, 2);
    REQUIRE_OK(loom_value_encode(&outer, &bytes));
    loom_result result = {.rkey = id_of("outer", 1),
                          .vid = loom_sha256(bytes.bytes, bytes.length),
                          .node = id_of("node", 1),
                          .type = LOOM_SEQUENCE,
                          .payload = bytes.bytes,
                          .payload_bytes = bytes.length,
                          .recipe = (const uint8_t *)"\x94\xa1x\x01\xc0\x90",
                          .recipe_bytes = 6,
                          .created_ns = 12345,
                          .cost_ns = 99};
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &inner_result, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&inner_bytes);
    loom_buffer_free(&bytes);
    return result.rkey;
}

static void fill(loom_store *store) {
    put_small(store, 0, 30);
    put_image(store, 1, 900000); /* three blocks */
    put_image(store, 2, 10);
    put_image(store, 3, 5000);
    (void)put_sequence(store);
}

static void require_exported(loom_store *store) {
    loom_error err = {0};
    require_image(store, 1, 900000);
    require_image(store, 2, 10);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_id outer = id_of("outer", 1), inner = id_of("inner", 1), other = id_of("image", 3);
    REQUIRE_OK(loom_store_find(store, &inner, arena, &found, &err));
    REQUIRE_OK(loom_store_find(store, &outer, arena, &found, &err));
    assert_int_equal(found.created_ns, 12345);
    assert_int_equal(found.cost_ns, 99);
    assert_int_equal(found.recipe_bytes, 6);
    loom_id node = id_of("node", 1);
    assert_memory_equal(&found.node, &node, sizeof node);
    REQUIRE_STATUS(loom_store_find(store, &other, arena, &found, &err), LOOM_NOT_FOUND);
    loom_arena_free(arena);
    require_small(store, 3);
    assert_false(is_stored(store, 4));
}

static void export_some(loom_store *store) {
    loom_error err = {0};
    loom_pack_report report;
    loom_id wanted[] = {id_of("outer", 1), id_of("rkey", 3), id_of("outer", 1)};
    REQUIRE_OK(loom_export(store, wanted, 3, file, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 5);
}

static void what_is_chosen_moves_with_its_items(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    loom_store *store = open_ok();
    fill(store);
    export_some(store);
    loom_id wanted = id_of("rkey", 3), missing = id_of("rkey", 3000);
    REQUIRE_STATUS(loom_export(store, &wanted, 1, file, NULL, NULL, &report, &err), LOOM_BAD_USAGE); /* it exists */
    REQUIRE_STATUS(loom_export(store, &missing, 1, second, NULL, NULL, &report, &err), LOOM_NOT_FOUND);
    assert_int_equal(access(second, F_OK), -1);
    loom_store *other = open_second(NULL);
    REQUIRE_OK(loom_import(other, file, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 5);
    require_exported(other);
    REQUIRE_OK(loom_import(other, file, NULL, NULL, &report, &err)); /* all there */
    assert_int_equal(report.results, 0);
    assert_int_equal(report.skipped, 5);
    loom_store_close(other);
    REQUIRE_STATUS(loom_restore(file, second, NULL, NULL, &report, &err), LOOM_BAD_USAGE);
    loom_store *memory;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:"}, &memory, &err));
    REQUIRE_OK(loom_import(memory, file, NULL, NULL, &report, &err));
    require_exported(memory);
    loom_store_close(memory);
    loom_store_close(store);
}

static void a_difference_is_told_and_the_rest_comes(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    loom_store *store = open_ok(), *other = open_second(NULL);
    fill(store);
    export_some(store);
    uint8_t payload[64];
    loom_result result = small_result(3, payload);
    payload[20] ^= 1;
    result.vid = loom_sha256(payload, 64);
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(other, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_STATUS(loom_import(other, file, NULL, NULL, &report, &err), LOOM_IRREPRODUCIBLE);
    assert_int_equal(report.results, 4);
    require_image(other, 1, 900000);
    loom_store_close(other);
    loom_store_close(store);
}

static void from_and_to_encrypted_stores(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    loom_store *store = open_sealed();
    fill(store);
    export_some(store);
    loom_store_close(store);
    store = open_second(&other_key);
    REQUIRE_OK(loom_import(store, file, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 5);
    loom_store_close(store);
    store = open_second(&other_key);
    require_exported(store);
    loom_store_close(store);
}

static void count_finding(const loom_finding *finding, void *context) {
    assert_int_equal(finding->kind, LOOM_FINDING_REFERENCE); /* put_everything refers to results that it does not put */
    ++*(unsigned *)context;
}

static unsigned findings_in(loom_store *store) {
    loom_error err = {0};
    unsigned count = 0;
    loom_verify_report report;
    loom_verify_options options = {.threads = 1, .found = count_finding, .context = &count};
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    return count;
}

/* Rows and bytes of an encrypted store go as they are: the backup is made and restored without decrypting, and opens
 * with the key that it had. */
static void a_backup_stays_encrypted(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    char target[300];
    name_places();
    snprintf(target, sizeof target, "%.250s/backup", folder);
    loom_store *store = open_sealed();
    put_everything(store);
    fill(store);
    REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
    put_small(store, 100, 10);
    REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 10);
    unsigned findings = findings_in(store);
    loom_store_close(store);
    size_t searched;
    assert_int_equal(search_folder(target, &searched, true), 0);
    REQUIRE_OK(loom_restore(target, second, NULL, NULL, &report, &err));
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = second, .key = &other_key}, &store, &err),
                   LOOM_DENIED);
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = second, .key = &scene_key}, &store, &err));
    require_everything(store);
    require_image(store, 1, 900000);
    require_small(store, 105);
    assert_int_equal(findings_in(store), findings);
    loom_store_close(store);
}

static void a_damaged_export_brings_nothing_wrong(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    loom_store *store = open_ok();
    put_small(store, 0, 30);
    put_image(store, 1, 1500);
    loom_id wanted[] = {id_of("rkey", 3), id_of("image", 1), id_of("rkey", 4)};
    REQUIRE_OK(loom_export(store, wanted, 3, file, NULL, NULL, &report, &err));
    loom_store_close(store);
    struct stat now;
    int fd = open(file, O_RDWR);
    assert_int_equal(fstat(fd, &now), 0);
    for (off_t at = 0; at < now.st_size; at += 97) {
        uint8_t byte, flipped;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        flipped = byte ^ 0x40;
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err));
        loom_status status = loom_import(store, file, NULL, NULL, &report, &err);
        assert_true(status == LOOM_CORRUPT || status == LOOM_NEWER_STORE || status == LOOM_BAD_USAGE);
        if (is_stored(store, 3)) require_small(store, 3); /* what came before the damage is right */
        assert_false(is_stored(store, 5));
        loom_store_close(store);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_is_chosen_moves_with_its_items),   DISK_TEST(a_difference_is_told_and_the_rest_comes),
        DISK_TEST(from_and_to_encrypted_stores),          DISK_TEST(a_backup_stays_encrypted),
        DISK_TEST(a_damaged_export_brings_nothing_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
