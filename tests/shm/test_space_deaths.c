/* test_space_deaths.c - a writer is killed at every named step of reserving, recycling and evicting, while another
 * process is attached. That one goes on; then the store opens alone, nothing acknowledged is wrong, and a sweep finds
 * every page. The sources are compiled with their probes. */
#include "space_scene.h"

#include <signal.h>
#include <sys/mman.h>

#include "shm/platform_file.h"
#include "shm/probe.h"

#define WIDTH 20000u /* 60,000 bytes: 15 pages */
#define PAGES (UINT64_C(15) * LOOM_PAGE_BYTES)
#define IMAGES 70u
#define PROBES_MAX 32u

/* Shared with the writers. */
static struct record {
    char names[PROBES_MAX][32];
    uint32_t hits[PROBES_MAX];
    _Atomic uint32_t acknowledged; /* images below it were committed, unless told otherwise */
} * record;
static const char *kill_at; /* in a writer; NULL: only count */
static uint32_t kill_after;

void loom_probe(const char *name) {
    if (kill_at != NULL) {
        if (strcmp(name, kill_at) == 0 && kill_after-- == 0) raise(SIGKILL);
        return;
    }
    for (unsigned i = 0; i < PROBES_MAX; i++) {
        if (record->names[i][0] == '\0') snprintf(record->names[i], sizeof record->names[i], "%s", name);
        if (strcmp(record->names[i], name) != 0) continue;
        record->hits[i]++;
        return;
    }
    abort();
}

static const loom_store_options options = {
    .budget_bytes = 3 << 20, .step_bytes = 1 << 16, .ballast_bytes = 4096, .reuse_bytes = 8 * PAGES};

/* Writes, deletes and reclaims in a budget that holds about half of it. */
static void work(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store;
    if (try_open(options, &store, &err) != LOOM_OK) _exit(2);
    for (uint64_t i = 0; i < IMAGES; i++) {
        if (try_put(store, i, WIDTH, 1000 * (i % 7), 0, &err) != LOOM_OK) _exit(3);
        atomic_store(&record->acknowledged, (uint32_t)i + 1);
        if (i % 5 == 4 && has_image(store, i - 2)) delete_image(store, i - 2);
        if (i % 10 == 9 && loom_space_reclaim(space_of(store), i % 20 == 9 ? 0 : 4 * PAGES, &err) != LOOM_OK) _exit(4);
    }
    loom_store_close(store);
}

static bool check_row(const loom_result *result, void *context) {
    loom_error err = {0};
    REQUIRE_OK(loom_store_verify(context, result, &err));
    return true;
}

static void require_all_right(loom_store *store) {
    loom_error err = {0};
    REQUIRE_OK(loom_store_each(store, check_row, store, &err));
    for (uint64_t i = 0; i < atomic_load(&record->acknowledged); i++) {
        loom_id rkey = id_of("image", i), vid;
        loom_type type;
        if (has_image(store, i))
            require_image(store, i, WIDTH);
        else /* evicted or deleted: what it was is known */
            REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err));
    }
}

static void kill_one(const char *name, uint32_t after) {
    loom_error err = {0};
    loom_store *store;
    atomic_store(&record->acknowledged, 0);
    REQUIRE_OK(try_open(options, &store, &err));
    for (uint64_t i = 0; i < 8; i++)
        REQUIRE_OK(try_put(store, 1000 + i, WIDTH, i, 0, &err));
    kill_at = name;
    kill_after = after;
    int status = in_child(work, NULL);
    kill_at = "";
    if (status != 128 + SIGKILL) fail_msg("%s, hit %u: the writer ended with %d", name, after, status);
    /* The survivor goes on at once. */
    for (uint64_t i = 0; i < 12; i++)
        REQUIRE_OK(try_put(store, 2000 + i, WIDTH, UINT64_C(1) << 40, 0, &err));
    require_all_right(store);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    loom_store_close(store);
    REQUIRE_OK(try_open(options, &store, &err));
    require_all_right(store);
    for (uint64_t i = 0; i < 12; i++)
        require_image(store, 2000 + i, WIDTH);
    uint64_t found;
    bool kept;
    loom_space_usage before = usage_of(store);
    REQUIRE_OK(loom_space_sweep(space_of(store), &found, &kept, &err));
    assert_false(kept);
    loom_space_usage after_sweep = usage_of(store);
    if (found != before.unowned_bytes || after_sweep.unowned_bytes != 0 || after_sweep.deleted_bytes != 0 ||
        after_sweep.live_bytes != before.live_bytes)
        fail_msg("%s, hit %u: unowned %llu, found %llu, left %llu", name, after,
                 (unsigned long long)before.unowned_bytes, (unsigned long long)found,
                 (unsigned long long)after_sweep.unowned_bytes);
    for (uint64_t i = 0; i < 40; i++)
        REQUIRE_OK(try_put(store, 3000 + i, WIDTH, 1, 0, &err));
    require_all_right(store);
    loom_store_close(store);
}

static void every_step_may_be_the_last(void **state) {
    (void)state;
    static const char *const steps[] = {"reserve:charged", "reserve:allocated", "reserve:raised", "reserve:ready",
                                        "reserve:sealed",  "recycle:chosen",    "recycle:lent",   "recycle:taken",
                                        "recycle:secured", "recycle:synced",    "recycle:moved",  "recycle:punching",
                                        "recycle:written", "recycle:committed", "evict:chosen",   "evict:deleted",
                                        "evict:committed"};
    kill_at = NULL;
    assert_int_equal(in_child(work, NULL), 0);
    kill_at = "";
    unsigned kills = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint32_t hits = 0;
        for (unsigned k = 0; k < PROBES_MAX; k++)
            if (strcmp(record->names[k], steps[i]) == 0) hits = record->hits[k];
        if (hits == 0) fail_msg("%s was never reached", steps[i]);
        for (uint32_t n = 0; n < 2 && n < hits; n++) {
            disk_teardown(NULL);
            disk_setup(NULL);
            kill_one(steps[i], n * (hits - 1) / 2); /* at the first time, and in the middle */
            kills++;
        }
    }
    print_message("%u kills\n", kills);
}

int main(void) {
    int fd;
    if (loom_memory_file("record", &fd) != 0 || ftruncate(fd, sizeof *record) != 0) return 1;
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (record == MAP_FAILED) return 1;
    const struct CMUnitTest tests[] = {DISK_TEST(every_step_may_be_the_last)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
