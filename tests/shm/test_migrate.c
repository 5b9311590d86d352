/* test_migrate.c - stores of earlier formats: refused as they are, upgraded without losing anything, also when the
 * upgrade is killed at any of its steps and begun again. What each must hold was listed by the version that wrote it.
 */
#include <lmdb.h>
#include <signal.h>

#include "disk_scene.h"
#include "shm/care/admin.h"
#include "shm/control/control.h"
#include "shm/probe.h"
#include "shm/query/query.h"
#include "shm/store/store_folder.h"

#define FIXTURE_ROWS 25

/* ---- a copy of a fixture ---- */

static char fixture[512];

static void copy_file(const char *name) {
    char from[700], to[700];
    snprintf(from, sizeof from, "%s/store/%s", fixture, name);
    snprintf(to, sizeof to, "%s/%s", path, name);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(in >= 0 && out >= 0);
    char bytes[65536];
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)got), got);
    assert_int_equal(got, 0);
    close(in), close(out);
}

static int fixture_setup(void **state) {
    const char *source = getenv("VOXLOOM_SOURCE");
    snprintf(fixture, sizeof fixture, "%s/tests/shm/fixtures/format1", source != NULL ? source : ".");
    disk_setup(state);
    char inside[400];
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(inside, sizeof inside, "%s/index", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    snprintf(inside, sizeof inside, "%s/extents", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    copy_file("FORMAT");
    copy_file("index/data.mdb");
    copy_file("extents/00000000.ext");
    return 0;
}

static loom_status open_copy(bool read_only, loom_store **store, loom_error *err) {
    return loom_store_open(&(loom_store_options){.path = path, .read_only = read_only}, store, err);
}

static uint32_t upgrade_ok(void) {
    loom_error err = {0};
    uint32_t from = 0;
    REQUIRE_OK(loom_store_upgrade(path, NULL, NULL, NULL, &from, &err));
    return from;
}

/* ---- what it must hold ---- */

static loom_id parse_id(const char *hex) {
    loom_id id;
    assert_true(loom_id_from_hex(hex, 64, &id));
    return id;
}

static loom_id bulk_digest(loom_store *store, const loom_result *found) {
    loom_error err = {0};
    loom_view view;
    if (found->bulk.bytes == 0) return loom_sha256("", 0);
    REQUIRE_OK(loom_store_verify(store, found, &err));
    REQUIRE_OK(loom_extent_view(loom_store_extents(store), &found->bulk, true, &view, &err));
    loom_id digest = loom_sha256(view.bytes, view.length);
    loom_extent_release(&view);
    return digest;
}

static void require_result(loom_store *store, const char *rkey, const char *vid, const char *type, const char *payload,
                           const char *bulk) {
    loom_error err = {0};
    loom_result found;
    loom_arena *arena = loom_arena_new();
    loom_id id = parse_id(rkey), expected = parse_id(vid);
    REQUIRE_OK(loom_store_find(store, &id, arena, &found, &err));
    assert_memory_equal(&found.vid, &expected, sizeof expected);
    assert_string_equal(loom_type_name(found.type), type);
    expected = parse_id(payload);
    loom_id digest = loom_sha256(found.payload, found.payload_bytes);
    assert_memory_equal(&digest, &expected, sizeof expected);
    expected = parse_id(bulk);
    digest = bulk_digest(store, &found);
    assert_memory_equal(&digest, &expected, sizeof expected);
    loom_arena_free(arena);
}

static bool count_one(const loom_result *result, void *context) {
    (void)result;
    ++*(uint64_t *)context;
    return true;
}

static void require_listed(loom_store *store) {
    char name[600], rkey[65], vid[65], type[20], payload[65], bulk[65];
    snprintf(name, sizeof name, "%s/expected.txt", fixture);
    FILE *list = fopen(name, "r");
    assert_non_null(list);
    uint64_t listed = 0, stored = 0;
    loom_error err = {0};
    while (fscanf(list, "%64s %64s %19s %64s %64s", rkey, vid, type, payload, bulk) == 5) {
        require_result(store, rkey, vid, type, payload, bulk);
        listed++;
    }
    fclose(list);
    assert_int_equal(listed, FIXTURE_ROWS);
    REQUIRE_OK(loom_store_each(store, count_one, &stored, &err));
    assert_int_equal(stored, FIXTURE_ROWS);
}

/* Tombstones keep their trace; memo and meta are there; new rows go on behind the old ones. */
static void require_rest(loom_store *store) {
    loom_error err = {0};
    loom_id id = id_of("image", 2), vid, content, expected = id_of("content", 1);
    loom_type type;
    REQUIRE_OK(loom_store_trace(store, &id, &vid, &type, &err));
    assert_memory_equal(&vid, &id, sizeof id);
    assert_int_equal(type, LOOM_IMAGE);
    REQUIRE_OK(loom_store_get_file(store, &(loom_file_stamp){7, 8, 9, 10, 11}, &content, &err));
    assert_memory_equal(&content, &expected, sizeof expected);
    const void *bytes;
    size_t length;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_get_meta(store, "topology", arena, &bytes, &length, &err));
    assert_int_equal(length, 4);
    assert_memory_equal(bytes, "kept", 4);
    loom_arena_free(arena);
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, FIXTURE_ROWS);
    assert_int_equal(stats.format, LOOM_STORE_FORMAT);
    put_image(store, 900, 700);
    put_small(store, 1, 50);
    require_image(store, 900, 700);
    require_small(store, 50);
}

/* The records of the fixture: 0 to 11, every third of which is "flair"; 3 was deleted. */
static void require_fields(loom_store *store) {
    static const char text[] = "modality == \"flair\"";
    loom_error err = {0};
    loom_query *query;
    loom_query_report report;
    uint64_t visited = 0;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_query_parse(text, sizeof text - 1, arena, &query, &err));
    REQUIRE_OK(loom_store_query(store, query, count_one, &visited, &report, &err));
    assert_int_equal(visited, 3);
    assert_int_equal(report.candidates, 3); /* by the index */
    loom_arena_free(arena);
}

static void require_sound(loom_store *store) {
    loom_error err = {0};
    loom_verify_report report;
    REQUIRE_OK(loom_store_verify_all(store, &(loom_verify_options){.threads = 1}, &report, &err));
    assert_int_equal(report.findings, 0);
    assert_true(report.blocks > 0 && report.rows >= FIXTURE_ROWS);
}

static void require_upgraded(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(open_copy(false, &store, &err));
    require_listed(store);
    require_fields(store);
    require_sound(store);
    require_rest(store);
    loom_store_close(store);
    REQUIRE_OK(open_copy(true, &store, &err));
    loom_id id = id_of("sequence", 1);
    loom_result found;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_find(store, &id, arena, &found, &err));
    REQUIRE_OK(loom_store_find_value(store, &found.vid, arena, &found, &err));
    loom_arena_free(arena);
    loom_store_close(store);
}

/* ---- tests ---- */

static void an_older_store_is_refused_with_the_way_out(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    for (int read_only = 0; read_only < 2; read_only++) {
        REQUIRE_STATUS(open_copy(read_only, &store, &err), LOOM_OLDER_STORE);
        assert_non_null(strstr(err.message, "format 1"));
        assert_non_null(strstr(err.message, "voxloom store upgrade"));
    }
    char token[320];
    snprintf(token, sizeof token, "disk:%s", path);
    REQUIRE_STATUS(loom_store_attach(token, 0, &store, &err), LOOM_OLDER_STORE);
}

static void a_newer_store_is_refused_and_not_upgraded(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    uint32_t from;
    static const char text[] =
        "voxloom store\nformat 3\nuuid 1c4eb55da19f023f678930fae1c2fdef\ncreated 2026-11-22T19:00:47Z\n";
    write_file("FORMAT", text, sizeof text - 1);
    REQUIRE_STATUS(open_copy(false, &store, &err), LOOM_NEWER_STORE);
    REQUIRE_STATUS(loom_store_upgrade(path, NULL, NULL, NULL, &from, &err), LOOM_NEWER_STORE);
    assert_non_null(strstr(err.message, "not converted back"));
}

static void upgrading_keeps_every_result(void **state) {
    (void)state;
    assert_int_equal(upgrade_ok(), 1);
    require_upgraded();
    assert_int_equal(upgrade_ok(), LOOM_STORE_FORMAT); /* nothing to do, nothing done */
    loom_error err = {0};
    uint32_t from;
    REQUIRE_STATUS(loom_store_upgrade("/nonexistent/store", NULL, NULL, NULL, &from, &err), LOOM_NOT_FOUND);
}

/* Format 1 entered fewer kinds of values: as if none of these had been. */
static void missing_names_of_values_are_added(void **state) {
    (void)state;
    char index[400];
    snprintf(index, sizeof index, "%s/index", path);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi vids;
    assert_int_equal(mdb_env_create(&env), MDB_SUCCESS);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), MDB_SUCCESS);
    assert_int_equal(mdb_env_open(env, index, 0, 0600), MDB_SUCCESS);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), MDB_SUCCESS);
    assert_int_equal(mdb_dbi_open(txn, "vids", 0, &vids), MDB_SUCCESS);
    assert_int_equal(mdb_drop(txn, vids, 0), MDB_SUCCESS);
    assert_int_equal(mdb_txn_commit(txn), MDB_SUCCESS);
    mdb_env_close(env);
    assert_int_equal(upgrade_ok(), 1);
    require_upgraded();
}

static bool refuse(const char *phase, uint64_t done, uint64_t total, void *context) {
    (void)context;
    assert_non_null(phase);
    assert_true(done <= total);
    return false;
}

static void an_upgrade_that_is_stopped_changes_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    uint32_t from;
    REQUIRE_STATUS(loom_store_upgrade(path, NULL, refuse, NULL, &from, &err), LOOM_CANCELLED);
    REQUIRE_STATUS(open_copy(false, &store, &err), LOOM_OLDER_STORE);
    assert_int_equal(upgrade_ok(), 1);
    require_upgraded();
}

/* Attached as another process would be, through control alone. */
static void upgrade_beside_another(void *context) {
    (void)context;
    loom_error err = {0};
    uint32_t from;
    REQUIRE_STATUS(loom_store_upgrade(path, NULL, NULL, NULL, &from, &err), LOOM_BUSY);
}

static void a_store_in_use_is_not_upgraded(void **state) {
    (void)state;
    loom_error err = {0};
    loom_folder used;
    loom_control *control;
    bool quiet, present;
    uint64_t extent_bytes = 1 << 30, step_bytes = 1 << 20;
    REQUIRE_OK(loom_folder_open(path, false, &used, &err));
    REQUIRE_OK(loom_folder_read_any_format(&used, &present, &err));
    assert_int_equal(used.format, 1);
    REQUIRE_OK(loom_control_enter(used.fd, path, &control, &quiet, &err));
    REQUIRE_OK(loom_control_attach(control, true, used.uuid, LOOM_ROLE_OPENER, &extent_bytes, &step_bytes, &err));
    loom_control_leave_gate(control);
    int status = in_child(upgrade_beside_another, NULL);
    loom_control_close(control);
    loom_folder_close(&used);
    assert_int_equal(status, 0);
    assert_int_equal(upgrade_ok(), 1);
}

/* ---- killed at every probe ---- */

static const char *deadly; /* the probe that kills this process; NULL: none */

void loom_probe(const char *name) {
    if (deadly != NULL && strcmp(deadly, name) == 0) kill(getpid(), SIGKILL);
}

static void upgrade_in_child(void *context) {
    (void)context;
    uint32_t from;
    loom_error err = {0};
    REQUIRE_OK(loom_store_upgrade(path, NULL, NULL, NULL, &from, &err));
}

static void a_killed_upgrade_goes_on(void **state) {
    static const char *const probes[] = {"migrate:step",      "migrate:entries", "migrate:space",  "migrate:fields",
                                         "migrate:committed", "migrate:format",  "migrate:written"};
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        if (i > 0) fixture_setup(state);
        deadly = probes[i];
        assert_int_equal(in_child(upgrade_in_child, NULL), 128 + SIGKILL);
        deadly = NULL;
        bool written = i + 1 == sizeof probes / sizeof *probes;
        assert_int_equal(upgrade_ok(), written ? LOOM_STORE_FORMAT : 1);
        require_upgraded();
        if (i + 1 < sizeof probes / sizeof *probes) disk_teardown(state);
    }
}

#define MIGRATE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, disk_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        MIGRATE_TEST(an_older_store_is_refused_with_the_way_out),
        MIGRATE_TEST(a_newer_store_is_refused_and_not_upgraded),
        MIGRATE_TEST(upgrading_keeps_every_result),
        MIGRATE_TEST(missing_names_of_values_are_added),
        MIGRATE_TEST(an_upgrade_that_is_stopped_changes_nothing),
        MIGRATE_TEST(a_store_in_use_is_not_upgraded),
        MIGRATE_TEST(a_killed_upgrade_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
