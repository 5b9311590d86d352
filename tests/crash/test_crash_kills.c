/* test_crash_kills.c - one store, written by one process after another, each killed inside a phase; after every kill
 * the store is opened and compared with what was acknowledged. `test_crash_kills PHASE... [--kills N] [--seed S]`; the
 * phase "any" is a kill at a random moment. */
#include "../shm/store_support.h"

#include "crash_model.h"
#include "io/zstd_codec.h"
#include "kill.h"
#include "shm/care/admin.h"
#include "shm/pack/backup.h"

#if defined(__SANITIZE_ADDRESS__)
#define KILLS_DEFAULT 12
#else
#define KILLS_DEFAULT 70
#endif
#define LIFE_OPS 60
#define SERIES_KILLS 10u /* then the store is swept and verified */

static char folder[256], path[300], backup[300];
static uint64_t seed = 20261122, random_state;
static unsigned kills_wanted = KILLS_DEFAULT;
static const char *phases[16];
static size_t phase_count;

/* What the store must hold. */
static bool stored[MODEL_KEYS]; /* acknowledged and not deleted; of bulk results: or evicted */
static uint64_t evicted_before;
static bool compress_always;

/* ---- the writer ---- */

static const unsigned plain_weights[OP_KINDS] = {
    [OP_PUT] = 14,     [OP_STREAM] = 4,  [OP_DELETE] = 10, [OP_REPLACE] = 5, [OP_EVICT] = 1,
    [OP_COMPRESS] = 1, [OP_RECLAIM] = 4, [OP_GC] = 1,      [OP_ABANDON] = 2};
typedef struct life {
    const char *phase;
    uint64_t random;
} life;

static loom_store_options options_of(bool small) {
    return (loom_store_options){.path = path,
                                .create = true,
                                .budget_bytes = small ? 3 << 20 : 0,
                                .compression = compress_always ? LOOM_COMPRESS_ALWAYS : LOOM_COMPRESS_OFF,
                                .reuse_bytes = 1 << 20,
                                .ballast_bytes = 64 << 10,
                                .extent_bytes = 1 << 20,
                                .step_bytes = 64 << 10};
}

static void weigh(const char *phase, unsigned weights[OP_KINDS]) {
    memcpy(weights, plain_weights, sizeof plain_weights);
    if (phase == NULL) return;
    if (strcmp(phase, "backup") == 0) weights[OP_BACKUP] = 20;
    if (strcmp(phase, "evict") == 0) weights[OP_EVICT] = 20;
    if (strcmp(phase, "recycle") == 0) weights[OP_RECLAIM] = 15;
}

static void refuse(const op *todo, const loom_error *err) {
    char text[200];
    snprintf(text, sizeof text, "%s: %.150s", todo != NULL ? op_name(todo->kind) : "open", err->message);
    kill_note(NOTE_FAILED, todo, text);
    _exit(1);
}

static void live(void *context) {
    life *of = context;
    loom_error err = {0};
    unsigned weights[OP_KINDS];
    actor who = {.backup = backup};
    kill_watch(folder);
    weigh(of->phase, weights);
    compress_always = random_below(&of->random, 3) == 0;
    loom_store_options options = options_of(of->phase != NULL && strcmp(of->phase, "evict") == 0);
    options.durability = random_below(&of->random, 4) == 0 ? LOOM_DURABLE_STRICT : LOOM_DURABLE_VERIFIED;
    if (loom_store_open(&options, &who.store, &err) != LOOM_OK) refuse(NULL, &err);
    for (unsigned i = 0; i < LIFE_OPS; i++) {
        op todo = op_random(&of->random, weights);
        kill_note(NOTE_BEGUN, &todo, NULL);
        loom_status status = op_run(&who, &todo, &err);
        /* What the dead left is given back only when nobody is attached: meanwhile a budget may be too small. */
        bool refused = status == LOOM_NO_SPACE && options.budget_bytes != 0;
        if (status != LOOM_OK && !refused) refuse(&todo, &err);
        kill_note(refused ? NOTE_REFUSED : NOTE_DONE, &todo, NULL);
    }
    actor_close(&who);
}

/* ---- comparing ---- */

static loom_store *open_store(bool small) {
    loom_error err = {0};
    loom_store *store;
    loom_store_options options = options_of(small);
    REQUIRE_OK(loom_store_open(&options, &store, &err));
    return store;
}

static uint64_t evicted_rows(loom_store *store) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    return stats.evicted_rows;
}

/* How the results of the operation under way stand: all as before it, or all as behind it. */
typedef struct outcome {
    unsigned before, behind;
    unsigned evictable; /* of those that look as if not stored: may have been stored, then evicted */
} outcome;

static bool may_be_evicted(unsigned number, model_state state) {
    return state == MODEL_GONE && model_has_bulk(number) && !model_is_pinned(number);
}

static void require_whole(const op *pending, const outcome *found) {
    if (found->before == 0 || found->behind == 0) return;
    unsigned out = op_puts(pending) ? found->before : found->behind;
    if (found->evictable < out)
        fail_msg("of a batch (%s) that was under way %u results are as before and %u as behind it",
                 op_name(pending->kind), found->before, found->behind);
}

static bool is_in(const op *pending, unsigned number) {
    for (unsigned i = 0; pending != NULL && i < pending->count; i++)
        if (pending->keys[i] == number) return op_puts(pending) || op_deletes(pending);
    return false;
}

/* Results that were acknowledged and are not there must have been evicted, and the store must have counted them.
 * `pending`: the operation that was under way; NULL: none. */
static void require_state(loom_store *store, const op *pending) {
    char why[256] = "";
    outcome found = {0};
    uint64_t missing = 0, evicted = evicted_rows(store);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        model_state state = model_check(store, i, why);
        bool there = state == MODEL_EXACT, evictable = may_be_evicted(i, state);
        if (!there && state != MODEL_GONE && state != MODEL_ABSENT) fail_msg("result %u: %s", i, why);
        if (is_in(pending, i) && stored[i] != op_puts(pending)) {
            *(there == stored[i] ? &found.before : &found.behind) += 1;
            found.evictable += evictable;
        } else if (stored[i] && !there) {
            if (!evictable) fail_msg("result %u was acknowledged and is not there", i);
            missing++;
        } else if (!stored[i] && there) {
            fail_msg("result %u was deleted and is there", i);
        }
        stored[i] = there;
    }
    if (pending != NULL) require_whole(pending, &found);
    if (missing > evicted - evicted_before)
        fail_msg("%llu results are gone, %llu were evicted", (unsigned long long)missing,
                 (unsigned long long)(evicted - evicted_before));
    evicted_before = evicted;
}

typedef struct range {
    uint32_t extent;
    uint64_t begin, end;
} range;

typedef struct ranges {
    range items[MODEL_KEYS + 1];
    size_t count;
} ranges;

static bool collect(const loom_result *result, void *context) {
    ranges *all = context;
    uint64_t bytes = result->stored_bytes != 0 ? result->stored_bytes : result->bulk.bytes;
    uint64_t pages = (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES;
    if (bytes == 0) return true;
    if (all->count == MODEL_KEYS) return false; /* one too many: the count tells */
    all->items[all->count++] =
        (range){result->bulk.extent, result->bulk.offset, result->bulk.offset + pages * LOOM_PAGE_BYTES};
    return true;
}

static int compare_ranges(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->extent != y->extent) return x->extent < y->extent ? -1 : 1;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void require_own_pages(loom_store *store) {
    loom_error err = {0};
    static ranges all;
    all.count = 0;
    REQUIRE_OK(loom_store_each(store, collect, &all, &err));
    qsort(all.items, all.count, sizeof *all.items, compare_ranges);
    for (size_t i = 1; i < all.count; i++)
        if (all.items[i].extent == all.items[i - 1].extent && all.items[i].begin < all.items[i - 1].end)
            fail_msg("two results share a page of extent file %08x", all.items[i].extent);
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("verify: %s\n", finding->text);
}

/* The end of a series: no space is lost, and every checksum, reference, entry and sum holds. */
static void require_clean(loom_store *store) {
    loom_error err = {0};
    loom_gc_report collected;
    loom_verify_report report;
    loom_store_stats stats;
    REQUIRE_OK(loom_store_gc(store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &collected, &err));
    assert_false(collected.unowned_kept);
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.unowned_bytes, 0);
    assert_int_equal(stats.deleted_bytes, 0);
    REQUIRE_OK(
        loom_store_verify_all(store, &(loom_verify_options){.threads = 1, .found = show_finding}, &report, &err));
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.unowned_bytes, 0);
}

/* ---- killing ---- */

#define STEPS_MAX 64
static struct {
    char name[64];
    unsigned kills;
} steps[STEPS_MAX];

static void count_step(const char *name) {
    for (size_t i = 0; i < STEPS_MAX; i++) {
        if (steps[i].name[0] == '\0') snprintf(steps[i].name, sizeof steps[i].name, "%s", name);
        if (strcmp(steps[i].name, name) != 0) continue;
        steps[i].kills++;
        return;
    }
}

static unsigned refusals;

static void take_note(const note *got, op *pending, bool *is_pending) {
    if (got->type == NOTE_FAILED) fail_msg("the writer: %s", got->text);
    *is_pending = got->type == NOTE_BEGUN;
    if (*is_pending) *pending = got->todo;
    refusals += got->type == NOTE_REFUSED;
    if (got->type != NOTE_DONE) return;
    for (unsigned i = 0; i < got->todo.count; i++)
        if (op_puts(&got->todo) || op_deletes(&got->todo)) stored[got->todo.keys[i]] = op_puts(&got->todo);
}

/* One life and its end; false if it ended by itself. */
static bool kill_one(const target *aim, op *pending, bool *is_pending) {
    victim of;
    note got;
    life its = {.phase = aim->phase, .random = random_state};
    *is_pending = false;
    kill_start(&of, aim, live, &its);
    while (kill_next_note(&of, aim, true, &got))
        take_note(&got, pending, is_pending);
    bool killed = kill_finish(&of);
    while (kill_next_note(&of, aim, false, &got))
        take_note(&got, pending, is_pending);
    close(of.notes);
    if (killed && of.standing) count_step(of.where);
    return killed && (of.standing || aim->phase == NULL);
}

/* However many backups were killed, the next one is complete. */
static void require_backup(loom_store *store) {
    loom_error err = {0};
    loom_pack_report report;
    char copy[320];
    snprintf(copy, sizeof copy, "%s/copy", folder);
    REQUIRE_OK(loom_backup(store, backup, NULL, NULL, &report, &err));
    REQUIRE_OK(loom_restore(backup, copy, NULL, NULL, &report, &err));
    loom_store *restored;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = copy}, &restored, &err));
    uint64_t evicted = evicted_before;
    evicted_before = evicted_rows(restored);
    require_state(restored, NULL);
    evicted_before = evicted;
    require_clean(restored);
    loom_store_close(restored);
    remove_tree(copy);
}

static void finish_series(const char *phase) {
    loom_store *store = open_store(strcmp(phase, "evict") == 0);
    require_state(store, NULL);
    if (strcmp(phase, "backup") == 0) require_backup(store);
    require_clean(store);
    loom_store_close(store);
}

/* In every second series a process that lives holds the store open all the while. */
static void kill_in(const char *phase) {
    bool any = strcmp(phase, "any") == 0, evicting = strcmp(phase, "evict") == 0;
    unsigned kills = 0, lives = 0, reach = 150;
    loom_store *kept = NULL;
    remove_tree(path);
    memset(stored, 0, sizeof stored);
    evicted_before = refusals = 0;
    while (kills < kills_wanted) {
        target aim = {.phase = any ? NULL : phase, .skip = random_below(&random_state, reach)};
        aim.random_us = random_below(&random_state, 15000);
        op pending;
        bool is_pending;
        bool killed = kill_one(&aim, &pending, &is_pending);
        kills += killed;
        reach = killed ? reach + 1 : reach / 2 + 1;
        if (++lives > 20 * kills_wanted) fail_msg("phase %s: %u kills in %u lives", phase, kills, lives);
        loom_store *store = kept != NULL ? kept : open_store(evicting);
        require_state(store, is_pending ? &pending : NULL);
        require_own_pages(store);
        kept = lives / SERIES_KILLS % 2 == 1 ? store : NULL;
        if (kept == NULL) loom_store_close(store);
        if (lives % SERIES_KILLS == SERIES_KILLS - 1 && kept == NULL) finish_series(phase);
    }
    loom_store_close(kept);
    finish_series(phase);
    unsigned there = 0;
    for (unsigned i = 0; i < MODEL_KEYS; i++)
        there += stored[i];
    print_message("phase %s: %u kills in %u lives, %u operations refused, %u results at the end\n", phase, kills, lives,
                  refusals, there);
}

static void a_kill_in_any_phase_loses_nothing_acknowledged(void **state) {
    (void)state;
    for (size_t i = 0; i < phase_count; i++)
        kill_in(phases[i]);
    for (size_t i = 0; i < STEPS_MAX && steps[i].name[0] != '\0'; i++)
        print_message("  %-20s %u\n", steps[i].name, steps[i].kills);
}

static int setup(void **state) {
    (void)state;
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    snprintf(backup, sizeof backup, "%s/backup", folder);
    loom_zstd_register();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--kills") == 0 && i + 1 < argc)
            kills_wanted = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (phase_count < sizeof phases / sizeof *phases)
            phases[phase_count++] = argv[i];
    }
    random_state = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kill_in_any_phase_loses_nothing_acknowledged, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
