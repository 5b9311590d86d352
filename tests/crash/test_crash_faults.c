/* test_crash_faults.c - one scene with one failing system call: the first that can fail, the second, and so on until
 * none does, for every kind of failure. Whatever is done says that it was done, or why not in one line; nothing
 * crashes or hangs; afterwards the store opens, holds what it acknowledged, and verifies clean. */
#include "../shm/store_support.h"

#include "crash_model.h"
#include "faults.h"
#include "io/zstd_codec.h"
#include "kill.h"
#include "shm/care/admin.h"

#define NTH_MAX 5000u

static char folder[256], path[300], backup[300];

/* ---- the scene, in a child ---- */

static const op scene[] = {
    {.kind = OP_PUT, .count = 5, .keys = {0, 2, 4, 6, 7}},
    {.kind = OP_PUT, .count = 3, .keys = {1, 3, 11}},
    {.kind = OP_STREAM, .count = 1, .keys = {17}},
    {.kind = OP_DELETE, .count = 3, .keys = {0, 4, 6}},
    {.kind = OP_RECLAIM},
    {.kind = OP_PUT, .count = 3, .keys = {12, 14, 16}}, /* in space that is used again */
    {.kind = OP_REPLACE, .count = 1, .keys = {2}},
    {.kind = OP_EVICT},
    {.kind = OP_GC},
    {.kind = OP_PUT, .count = 2, .keys = {0, 18}}, /* over a tombstone */
    {.kind = OP_BACKUP},
    {.kind = OP_DELETE, .count = 2, .keys = {12, 18}},
    {.kind = OP_COMPRESS},
};
#define STEPS (sizeof scene / sizeof *scene)

typedef struct failure {
    fault_kind kind;
    unsigned nth;
    bool from_then_on;
} failure;

static loom_status open_scene(actor *who, loom_error *err) {
    loom_store_options options = {.path = path,
                                  .create = true,
                                  .durability = LOOM_DURABLE_STRICT,
                                  .compression = LOOM_COMPRESS_ALWAYS,
                                  .reuse_bytes = 64 << 10,
                                  .ballast_bytes = 32 << 10,
                                  .extent_bytes = 64 << 10,
                                  .step_bytes = 16 << 10};
    return loom_store_open(&options, &who->store, err);
}

/* What went wrong must be told in one line. */
static void require_told(const op *todo, loom_status status, const loom_error *err) {
    char text[200];
    bool told = err->message[0] != '\0' && strchr(err->message, '\n') == NULL && err->status == status;
    if (told) return;
    snprintf(text, sizeof text, "%s: %s without a message: %.80s", todo != NULL ? op_name(todo->kind) : "open",
             loom_status_name(status), err->message);
    kill_note(NOTE_FAILED, todo, text);
    _exit(1);
}

static void act(void *context) {
    const failure *of = context;
    actor who = {.backup = backup};
    fault_arm(folder, of->kind, of->nth, of->from_then_on);
    for (size_t i = 0; i < STEPS; i++) {
        loom_error err = {0};
        loom_status status = LOOM_OK;
        if (i == STEPS / 2) actor_close(&who); /* and is opened again */
        if (who.store == NULL) status = open_scene(&who, &err);
        if (status != LOOM_OK) {
            require_told(NULL, status, &err);
            who.store = NULL;
            continue;
        }
        kill_note(NOTE_BEGUN, &scene[i], NULL);
        status = op_run(&who, &scene[i], &err);
        if (status == LOOM_OK)
            kill_note(NOTE_DONE, &scene[i], NULL);
        else
            require_told(&scene[i], status, &err);
    }
    actor_close(&who);
    if (fault_fired()) kill_note(NOTE_FIRED, NULL, NULL);
}

/* ---- what must hold afterwards ---- */

static bool stored[MODEL_KEYS], unsure[MODEL_KEYS];

static void take_note(const note *got, const failure *of) {
    if (got->type == NOTE_FAILED) fail_msg("%s, call %u: %s", fault_name(of->kind), of->nth, got->text);
    if (got->type == NOTE_FIRED || (!op_puts(&got->todo) && !op_deletes(&got->todo))) return;
    for (unsigned i = 0; i < got->todo.count; i++) {
        unsigned key = got->todo.keys[i];
        unsure[key] = got->type == NOTE_BEGUN;
        if (got->type == NOTE_DONE) stored[key] = op_puts(&got->todo);
    }
}

/* The keys of a batch that failed, and that nothing touched since, are as before or as behind it. */
static void require_whole(const op *todo, const bool *there, const failure *of) {
    unsigned as_behind = 0;
    for (unsigned i = 0; i < todo->count; i++)
        as_behind += there[todo->keys[i]];
    if (as_behind != 0 && as_behind != todo->count)
        fail_msg("%s, call %u: %u of %u results of a failed batch are there", fault_name(of->kind), of->nth, as_behind,
                 todo->count);
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("verify: %s\n", finding->text);
}

static void require_store(const failure *of) {
    loom_error err = {0};
    loom_verify_report report;
    loom_gc_report collected;
    actor who = {0};
    bool there[MODEL_KEYS];
    char why[256] = "";
    REQUIRE_OK(open_scene(&who, &err));
    for (unsigned i = 0; i < 20; i++) {
        model_state state = model_check(who.store, i, why);
        there[i] = state == MODEL_EXACT;
        if (state == MODEL_WRONG || state == MODEL_DAMAGED)
            fail_msg("%s, call %u: result %u: %s", fault_name(of->kind), of->nth, i, why);
        bool evicted = state == MODEL_GONE && model_has_bulk(i) && !model_is_pinned(i);
        if (!unsure[i] && there[i] != stored[i] && !evicted)
            fail_msg("%s, call %u: result %u was %s and is %s", fault_name(of->kind), of->nth, i,
                     stored[i] ? "acknowledged" : "deleted", there[i] ? "there" : "not there");
    }
    if (unsure[1] && unsure[3] && unsure[11]) require_whole(&scene[1], there, of);
    REQUIRE_OK(loom_store_gc(who.store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &collected, &err));
    REQUIRE_OK(
        loom_store_verify_all(who.store, &(loom_verify_options){.threads = 1, .found = show_finding}, &report, &err));
    if (report.findings != 0 || report.unowned_bytes != 0)
        fail_msg("%s, call %u%s: %llu findings, %llu bytes lost", fault_name(of->kind), of->nth,
                 of->from_then_on ? " and later" : "", (unsigned long long)report.findings,
                 (unsigned long long)report.unowned_bytes);
    op again = {.kind = OP_PUT, .count = 2, .keys = {8, 9}};
    REQUIRE_OK(op_run(&who, &again, &err));
    actor_close(&who);
}

/* False when the call that should fail never came. */
static bool fail_at(failure *of) {
    victim child;
    note got;
    target aim = {.phase = "none"};
    bool fired = false;
    remove_tree(path), remove_tree(backup);
    memset(stored, 0, sizeof stored);
    memset(unsure, 0, sizeof unsure);
    kill_start(&child, &aim, act, of);
    while (kill_next_note(&child, &aim, false, &got)) {
        take_note(&got, of);
        fired = fired || got.type == NOTE_FIRED;
    }
    int status = kill_wait(&child);
    close(child.notes);
    if (status != 0) fail_msg("%s, call %u: the process ended with %d", fault_name(of->kind), of->nth, status);
    require_store(of);
    return fired;
}

static void sweep(fault_kind kind, bool from_then_on) {
    failure of = {.kind = kind, .nth = 1, .from_then_on = from_then_on};
    while (fail_at(&of))
        if (++of.nth > NTH_MAX) fail_msg("%s never ends", fault_name(kind));
    print_message("%-14s%s: each of %u calls failed\n", fault_name(kind), from_then_on ? " and later" : "", of.nth - 1);
    assert_true(of.nth > 1);
}

static fault_kind only = FAULT_KINDS;

static void every_failure_is_a_clean_error(void **state) {
    (void)state;
    for (fault_kind kind = 0; kind < FAULT_KINDS; kind++)
        if (only == FAULT_KINDS || only == kind) sweep(kind, false);
    if (only == FAULT_KINDS || only == FAULT_ENOSPC) sweep(FAULT_ENOSPC, true);
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
    if (getenv("CRASH_KEEP") == NULL) remove_tree(folder);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2) only = (fault_kind)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_failure_is_a_clean_error, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
