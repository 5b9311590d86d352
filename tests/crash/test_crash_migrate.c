/* test_crash_migrate.c - the upgrade of a store of format 1, killed again and again before it is done. What the store
 * must hold then was listed by the version that wrote it. */
#include "../shm/store_support.h"

#include "crash_model.h"
#include "kill.h"
#include "shm/care/admin.h"

#if defined(__SANITIZE_ADDRESS__)
#define KILLS 12u
#else
#define KILLS 60u
#endif
#define LISTED 25u

static char folder[256], path[300], fixture[512];
static uint64_t random_state = 20261122;

static void copy_file(const char *name) {
    char from[700], to[700], bytes[65536];
    snprintf(from, sizeof from, "%s/store/%s", fixture, name);
    snprintf(to, sizeof to, "%s/%s", path, name);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)got), got);
    assert_int_equal(got, 0);
    close(in), close(out);
}

static void copy_fixture(void) {
    char inside[400];
    remove_tree(path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(inside, sizeof inside, "%s/index", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    snprintf(inside, sizeof inside, "%s/extents", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    copy_file("FORMAT"), copy_file("index/data.mdb"), copy_file("extents/00000000.ext");
}

static void upgrade(void *context) {
    (void)context;
    loom_error err = {0};
    uint32_t from;
    kill_watch(folder);
    if (loom_store_upgrade(path, NULL, NULL, NULL, &from, &err) == LOOM_OK) return;
    kill_note(NOTE_FAILED, NULL, err.message);
    _exit(1);
}

static loom_id id_from(const char *hex) {
    loom_id id;
    for (size_t i = 0; i < sizeof id; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ((uint8_t *)&id)[i] = (uint8_t)byte;
    }
    return id;
}

static void require_digest(const char *expected, const void *bytes, size_t length) {
    loom_id digest = loom_sha256(bytes, length), wanted = id_from(expected);
    assert_memory_equal(&digest, &wanted, sizeof digest);
}

static void require_result(loom_store *store, const char *rkey, const char *vid, const char *payload,
                           const char *bulk) {
    loom_error err = {0};
    loom_result found;
    loom_view view = {0};
    loom_arena *arena = loom_arena_new();
    loom_id id = id_from(rkey), value = id_from(vid);
    REQUIRE_OK(loom_store_find(store, &id, arena, &found, &err));
    assert_memory_equal(&found.vid, &value, sizeof value);
    require_digest(payload, found.payload, found.payload_bytes);
    if (found.bulk.bytes > 0) {
        REQUIRE_OK(loom_store_verify(store, &found, &err));
        REQUIRE_OK(loom_extent_view(loom_store_extents(store), &found.bulk, true, &view, &err));
        require_digest(bulk, view.bytes, view.length);
        loom_extent_release(&view);
    }
    loom_arena_free(arena);
}

static void require_listed(loom_store *store) {
    char name[600], rkey[65], vid[65], type[20], payload[65], bulk[65];
    snprintf(name, sizeof name, "%s/expected.txt", fixture);
    FILE *list = fopen(name, "r");
    assert_non_null(list);
    unsigned listed = 0;
    for (; fscanf(list, "%64s %64s %19s %64s %64s", rkey, vid, type, payload, bulk) == 5; listed++)
        require_result(store, rkey, vid, payload, bulk);
    fclose(list);
    assert_int_equal(listed, LISTED);
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("verify: %s\n", finding->text);
}

static void require_upgraded(void) {
    loom_error err = {0};
    loom_store *store;
    loom_verify_report report;
    loom_gc_report collected;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = path}, &store, &err));
    require_listed(store);
    REQUIRE_OK(loom_store_gc(store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &collected, &err));
    REQUIRE_OK(
        loom_store_verify_all(store, &(loom_verify_options){.threads = 1, .found = show_finding}, &report, &err));
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.unowned_bytes, 0);
    loom_store_close(store);
}

/* True if it was killed. A store between two formats is refused as the older one, and no other way. */
static bool kill_upgrade(const target *aim) {
    victim of;
    note got;
    loom_error err = {0};
    kill_start(&of, aim, upgrade, NULL);
    while (kill_next_note(&of, aim, true, &got))
        fail_msg("upgrade: %s", got.text);
    bool killed = kill_finish(&of);
    while (kill_next_note(&of, aim, false, &got))
        fail_msg("upgrade: %s", got.text);
    close(of.notes);
    loom_store *store;
    loom_status status = loom_store_open(&(loom_store_options){.path = path}, &store, &err);
    if (status == LOOM_OK)
        loom_store_close(store);
    else if (status != LOOM_OLDER_STORE)
        fail_msg("after a kill at %s: %s: %s", of.where, loom_status_name(status), err.message);
    return killed && (of.standing || aim->phase == NULL);
}

static void an_upgrade_is_done_however_often_it_is_killed(void **state) {
    (void)state;
    static const char *const phases[] = {"migrate", "index", NULL};
    unsigned in_phase = 0, others = 0;
    loom_error err = {0};
    while (in_phase < KILLS || others < KILLS / 2) {
        copy_fixture();
        do {
            target aim = {.phase = phases[random_below(&random_state, 3)], .skip = random_below(&random_state, 7)};
            aim.random_us = random_below(&random_state, 20000);
            bool killed = kill_upgrade(&aim);
            if (aim.phase != NULL && strcmp(aim.phase, "migrate") == 0)
                in_phase += killed;
            else
                others += killed;
        } while (random_below(&random_state, 3) != 0);
        uint32_t from;
        REQUIRE_OK(loom_store_upgrade(path, NULL, NULL, NULL, &from, &err));
        require_upgraded();
    }
    print_message("phase migrate: %u kills, and %u elsewhere in upgrades\n", in_phase, others);
}

static int setup(void **state) {
    (void)state;
    const char *source = getenv("VOXLOOM_SOURCE");
    snprintf(fixture, sizeof fixture, "%s/tests/shm/fixtures/format1", source != NULL ? source : ".");
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seed") == 0) random_state = strtoull(argv[2], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upgrade_is_done_however_often_it_is_killed, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
