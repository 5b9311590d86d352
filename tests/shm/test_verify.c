/* Verification and repair: damage made by hand, of each kind, in a store of a few thousand results. */
#include <lmdb.h>

#include "disk_scene.h"
#include "shm/store/admin.h"
#include "shm/store/store.h"

#define SMALLS 3000
#define IMAGES 12
#define WIDTH 1000000 /* 3 MB: three blocks each */

typedef struct findings {
    unsigned of[LOOM_FINDING_TREE + 1], all, repaired;
    uint64_t blocks;
    loom_finding last;
} findings;

static void count_finding(const loom_finding *finding, void *context) {
    findings *found = context;
    found->of[finding->kind]++;
    found->all++;
    found->repaired += finding->repaired;
    found->blocks += finding->blocks;
    found->last = *finding;
    assert_null(strchr(finding->text, '\n'));
    assert_true(strlen(finding->text) > 10);
    if (getenv("VERIFY_PRINT") != NULL) print_message("%s\n", finding->text);
}

static findings verify(loom_store *store, bool repair, loom_verify_report *report) {
    loom_error err = {0};
    findings found = {0};
    loom_verify_options options = {.repair = repair, .threads = 2, .found = count_finding, .context = &found};
    REQUIRE_OK(loom_store_verify_all(store, &options, report, &err));
    assert_int_equal(report->findings, found.all);
    assert_int_equal(report->bad_blocks, found.blocks);
    return found;
}

static uint64_t extent_file_bytes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        char full[600];
        struct stat now;
        snprintf(full, sizeof full, "%s/extents/%08x.ext", path, i);
        if (stat(full, &now) == 0) sum += (uint64_t)now.st_size;
    }
    return sum;
}

static void require_clean(loom_store *store, uint64_t rows) {
    loom_verify_report report;
    findings found = verify(store, false, &report);
    if (found.all != 0) print_error("%s\n", found.last.text);
    assert_int_equal(found.all, 0);
    assert_int_equal(report.rows, rows);
    assert_int_equal(report.header_bytes + report.live_bytes + report.free_bytes + report.deleted_bytes +
                         report.unowned_bytes,
                     extent_file_bytes());
}

static void fill(void) {
    loom_store *store = open_ok();
    put_small(store, 0, SMALLS);
    for (uint64_t i = 0; i < IMAGES; i++)
        put_image(store, i, WIDTH);
    loom_store_close(store);
}

static void a_sound_store_is_clean(void **state) {
    (void)state;
    fill();
    loom_store *store = open_ok();
    require_clean(store, SMALLS + IMAGES);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(a_sound_store_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
