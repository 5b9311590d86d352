/* test_crash_power.c - power cuts that are simulated: a scene is recorded (disk_record.h), and at every moment of it
 * images of what the disk may hold are opened, by a reader and by a writer, and compared with what was acknowledged.
 * `test_crash_power [strict|verified|none]... [--images N] [--ops N] [--seed S]`. */
#include "../shm/store_support.h"

#include "crash_model.h"
#include "disk_record.h"
#include "io/zstd_codec.h"
#include "shm/care/admin.h"

#define OPS_MAX 4000u
#define KEYS 48u
#define WITNESS 54u       /* put after each power cut: the store goes on */
#define WITNESS_IMAGE 60u /* with bulk bytes */

static char folder[256], path[300], image[300];
static uint64_t seed = 20261122, random_state;
static unsigned images_each = 5, ops_count = 30;
static const char *modes[3];
static size_t mode_count;

/* The scene: what was done, and which results there were after each operation. */
static op ops[OPS_MAX];
static bool states[OPS_MAX + 1][KEYS];

static loom_store_options options_of(const char *where, loom_durability durability) {
    return (loom_store_options){.path = where,
                                .create = true,
                                .durability = durability,
                                .compression = LOOM_COMPRESS_OFF,
                                .reuse_bytes = 256 << 10,
                                .ballast_bytes = 32 << 10,
                                .extent_bytes = 256 << 10,
                                .step_bytes = 32 << 10};
}

static void act(loom_durability durability, disk_record *record) {
    static const unsigned weights[OP_KINDS] = {[OP_PUT] = 12,     [OP_STREAM] = 3,  [OP_DELETE] = 9, [OP_REPLACE] = 5,
                                               [OP_COMPRESS] = 2, [OP_RECLAIM] = 6, [OP_GC] = 1,     [OP_ABANDON] = 2};
    loom_error err = {0};
    actor who = {0};
    loom_store_options options = options_of(path, durability);
    for (unsigned i = 0; i < ops_count; i++) {
        if (i % 10 == 0) { /* once in a while another process goes on, which compresses or does not */
            actor_close(&who);
            options.compression = i / 10 % 2 == 1 ? LOOM_COMPRESS_ALWAYS : LOOM_COMPRESS_OFF;
            REQUIRE_OK(loom_store_open(&options, &who.store, &err));
        }
        ops[i] = op_random(&random_state, weights);
        REQUIRE_OK(op_run(&who, &ops[i], &err));
        memcpy(states[i + 1], states[i], sizeof states[i]);
        for (unsigned k = 0; k < ops[i].count; k++)
            if (op_puts(&ops[i]) || op_deletes(&ops[i])) states[i + 1][ops[i].keys[k]] = op_puts(&ops[i]);
        disk_record_mark(record, i + 1);
    }
    actor_close(&who);
}

/* ---- what an image may hold ---- */

static unsigned damaged_seen, images_seen;

/* Every byte that is given out is right; *damaged: results whose bytes are said to be lost. */
static void look(loom_store *store, bool there[KEYS], unsigned *damaged) {
    char why[256] = "";
    for (unsigned i = 0; i < KEYS; i++) {
        model_state state = model_check(store, i, why);
        if (state == MODEL_WRONG) fail_msg("result %u: %s", i, why);
        there[i] = state == MODEL_EXACT || state == MODEL_DAMAGED;
        *damaged += state == MODEL_DAMAGED;
    }
}

/* The first operation whose effect may be missing: none that was acknowledged, or the last commit. */
static unsigned least_of(loom_durability durability, unsigned mark) {
    unsigned at = mark;
    if (durability == LOOM_DURABLE_NONE) return 0;
    if (durability == LOOM_DURABLE_STRICT) return mark;
    while (at > 0 && memcmp(states[at], states[at - 1], sizeof states[at]) == 0) /* nothing was committed, perhaps */
        at--;
    return at > 0 ? at - 1 : 0;
}

static void require_some_state(loom_durability durability, unsigned mark, const bool there[KEYS]) {
    for (unsigned i = least_of(durability, mark); i <= mark + 1 && i <= ops_count; i++)
        if (memcmp(states[i], there, sizeof states[i]) == 0) return;
    for (unsigned i = 0; i < KEYS; i++)
        if (there[i] != states[mark][i]) print_error("result %u: %s\n", i, there[i] ? "there" : "not there");
    fail_msg("what the store holds is no state that it had around operation %u (%s)", mark,
             mark < ops_count ? op_name(ops[mark].kind) : "close");
}

static void read_image(loom_durability durability, unsigned mark) {
    loom_error err = {0};
    loom_store *store;
    bool there[KEYS] = {0};
    unsigned damaged = 0;
    loom_status status = loom_store_open(&(loom_store_options){.path = image, .read_only = true}, &store, &err);
    if (status == LOOM_NOT_FOUND && mark == 0) return; /* there never was an acknowledged result */
    REQUIRE_OK(status);
    look(store, there, &damaged);
    require_some_state(durability, mark, there);
    loom_store_close(store);
}

static bool only_lost_bytes;
static void see_finding(const loom_finding *finding, void *context) {
    bool strict = *(const bool *)context;
    if (!strict && (finding->kind == LOOM_FINDING_BLOCK || finding->kind == LOOM_FINDING_PLACE)) return;
    only_lost_bytes = false;
    print_error("verify: %s\n", finding->text);
}

/* With bytes that were never synced, verification finds them and nothing else; repair leaves a clean store. */
static void require_repairable(loom_store *store, bool strict) {
    loom_error err = {0};
    loom_verify_report report;
    loom_gc_report collected;
    loom_verify_options options = {.threads = 1, .found = see_finding, .context = &strict};
    only_lost_bytes = true;
    REQUIRE_OK(loom_store_gc(store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &collected, &err));
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    assert_true(only_lost_bytes);
    if (strict) assert_int_equal(report.findings, 0);
    if (report.findings == 0) return;
    options.repair = true;
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    REQUIRE_OK(loom_store_verify_all(store, &(loom_verify_options){.threads = 1}, &report, &err));
    assert_int_equal(report.findings, 0);
}

static void go_on_with_image(loom_durability durability, unsigned mark) {
    loom_error err = {0};
    loom_store_options options = options_of(image, durability);
    actor who = {0};
    bool there[KEYS] = {0}, again[KEYS] = {0};
    unsigned damaged = 0;
    char why[256] = "";
    op witness = {.kind = OP_PUT, .count = 2, .keys = {WITNESS, WITNESS_IMAGE}};
    REQUIRE_OK(loom_store_open(&options, &who.store, &err));
    look(who.store, there, &damaged);
    require_some_state(durability, mark, there);
    if (durability == LOOM_DURABLE_STRICT && damaged > 0) fail_msg("%u results have lost bytes", damaged);
    damaged_seen += damaged;
    REQUIRE_OK(op_run(&who, &witness, &err));
    loom_extent_writer_close(who.writer);
    who.writer = NULL;
    if (images_seen % 6 == 0) require_repairable(who.store, durability == LOOM_DURABLE_STRICT);
    bool repaired = images_seen % 6 == 0 && damaged > 0;
    actor_close(&who);
    REQUIRE_OK(loom_store_open(&options, &who.store, &err));
    damaged = 0;
    look(who.store, again, &damaged);
    if (!repaired) assert_memory_equal(again, there, sizeof there);
    assert_int_equal(model_check(who.store, WITNESS, why), MODEL_EXACT);
    assert_int_equal(model_check(who.store, WITNESS_IMAGE, why), MODEL_EXACT);
    actor_close(&who);
}

/* Without syncs the index may be damaged, and LMDB may end the process that meets it: in a child, so that this is seen.
 * What is opened is right, or the store says in one line what is wrong. */
static void try_image(void *context) {
    loom_durability durability = LOOM_DURABLE_NONE;
    loom_error err = {0};
    loom_store *store;
    loom_store_options options = options_of(image, durability);
    bool there[KEYS];
    unsigned damaged = 0;
    (void)context;
    if (loom_store_open(&options, &store, &err) != LOOM_OK) {
        if (err.message[0] == '\0' || strchr(err.message, '\n') != NULL) _exit(3);
        _exit(2);
    }
    look(store, there, &damaged);
    loom_store_close(store);
}

/* ---- the test ---- */

static unsigned refused;

static void cut_here(disk_record *record, loom_durability durability, unsigned mark, disk_choice choice,
                     uint64_t draw) {
    uint64_t random = draw;
    bool writes = durability != LOOM_DURABLE_NONE;
    images_seen++;
    if (writes && images_seen % 3 == 0) {
        disk_record_image(record, choice, &random, image);
        read_image(durability, mark);
        random = draw;
    }
    disk_record_image(record, choice, &random, image);
    if (writes) {
        go_on_with_image(durability, mark);
        return;
    }
    int status = in_child(try_image, NULL);
    if (status != 0 && status != 2) fail_msg("opening a damaged store ends with %d", status);
    refused += status == 2;
}

static unsigned moment_now, mark_now, choice_now;

static void cut_everywhere(disk_record *record, loom_durability durability) {
    unsigned mark, moment = 0;
    while (disk_record_next(record, &mark)) {
        for (unsigned i = 0; i < images_each; i++) {
            disk_choice choice = i < 2 || (moment + i) % 3 == 0 ? DISK_SECTORS : (disk_choice)((moment + i) % 6);
            moment_now = moment, mark_now = mark, choice_now = choice;
            cut_here(record, durability, mark, choice, seed + moment * 1000 + i);
        }
        moment++;
    }
    print_message("%u moments, %u images, %u results with lost bytes, %u stores refused\n", moment, images_seen,
                  damaged_seen, refused);
}

static void a_power_cut_gives_no_wrong_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < mode_count; i++) {
        loom_durability durability = strcmp(modes[i], "strict") == 0 ? LOOM_DURABLE_STRICT
                                     : strcmp(modes[i], "none") == 0 ? LOOM_DURABLE_NONE
                                                                     : LOOM_DURABLE_VERIFIED;
        remove_tree(path);
        assert_int_equal(mkdir(path, 0700), 0);
        memset(states[0], 0, sizeof states[0]);
        images_seen = damaged_seen = refused = 0;
        random_state = seed;
        print_message("durability %s: ", modes[i]);
        disk_record *record = disk_record_start(path);
        act(durability, record);
        disk_record_stop(record);
        cut_everywhere(record, durability);
        disk_record_free(record);
    }
}

static int setup(void **state) {
    (void)state;
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    snprintf(image, sizeof image, "%s/image", folder);
    model_keys = KEYS;
    loom_zstd_register();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (moment_now > 0) print_message("last: moment %u, operation %u, choice %u\n", moment_now, mark_now, choice_now);
    if (getenv("CRASH_KEEP") == NULL) remove_tree(folder);
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--images") == 0 && i + 1 < argc)
            images_each = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            ops_count = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (mode_count < 3)
            modes[mode_count++] = argv[i];
    }
    if (ops_count > OPS_MAX) ops_count = OPS_MAX;
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_power_cut_gives_no_wrong_byte, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
