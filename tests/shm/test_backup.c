/* Backup and restore: a store that comes back result by result. */
#include "disk_scene.h"
#include "shm/pack/backup.h"
#include "shm/store/admin.h"

static void round_trip(void **state) {
    (void)state;
    loom_error err = {0};
    char target[600], copy[600];
    snprintf(target, sizeof target, "%s/backup", folder);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    loom_store *store = open_ok();
    put_small(store, 0, 3000);
    for (uint64_t i = 0; i < 5; i++)
        put_image(store, i, 1000 * i + 77);
    loom_pack_report report;
    REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 3005);
    loom_store_close(store);
    REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 3005);
    snprintf(path, sizeof path, "%s", copy);
    store = open_ok();
    for (uint64_t i = 0; i < 3000; i++)
        require_small(store, i);
    for (uint64_t i = 0; i < 5; i++)
        require_image(store, i, 1000 * i + 77);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
