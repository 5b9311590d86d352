/* store_pins.c - `voxloom store pin`, `unpin`, `pins` and `goals`: what is kept, and what runs were for. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/store.h"

/* ---- pin, unpin ---- */

/* "hand", or the goal's name: the same result may be pinned for several reasons. */
static const char *owner_of(const char *word) {
    return strncmp(word, "goal:", 5) == 0 ? word : "hand";
}

static loom_status change_pin(loom_store_job *job, loom_batch *batch, const char *word, bool pins, loom_error *err) {
    loom_id rkey;
    LOOM_TRY(loom_store_resolve_key(job->store, word, job->arena, &rkey, err));
    if (pins) return loom_batch_pin(batch, &rkey, owner_of(word), err);
    loom_status status = loom_batch_unpin(batch, &rkey, owner_of(word), err);
    if (status != LOOM_NOT_FOUND) return status;
    return loom_fail(err, status, "%s is not pinned by %s; `voxloom store pins` lists what is", word, owner_of(word));
}

static loom_status change_pins(loom_store_job *job, bool pins, loom_error *err) {
    loom_batch *batch = NULL;
    loom_status status = loom_store_begin(job->store, &batch, err);
    for (size_t i = 0; i < job->words.count && status == LOOM_OK; i++)
        status = change_pin(job, batch, job->words.items[i], pins, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

static loom_status pin_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    return change_pins(job, true, err);
}

static loom_status unpin_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    return change_pins(job, false, err);
}

static int pin(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_WRITE, .least = 1, .most = LOOM_WORDS_ANY, .work = pin_results};
    return loom_store_do(self, argc, argv, &shape);
}

static int unpin(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {
        .needs = LOOM_NEED_WRITE, .least = 1, .most = LOOM_WORDS_ANY, .work = unpin_results};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_pin = {
    .name = "store pin",
    .summary = "Keeps results: neither the budget nor gc removes what is pinned",
    .usage = "voxloom store pin ID | goal:LABEL ...",
    .help =
        "ID: the first digits, at least 4, of a key, a value id or a node id; or key:NAME. A whole key (64 digits)\n"
        "may be pinned before it is stored. goal:LABEL: what the newest run that has this goal gave.\n",
    .run = pin,
};

const loom_command loom_store_unpin = {
    .name = "store unpin",
    .summary = "Takes pins away",
    .usage = "voxloom store unpin ID | goal:LABEL ...",
    .help = "The same words as `voxloom store pin`. A result that is pinned for another reason stays pinned.\n",
    .run = unpin,
};

/* ---- pins, goals ---- */

typedef struct note_list {
    loom_store_job *job;
    uint64_t shown;
    loom_status status;
    loom_error *err;
} note_list;

static void format_time(uint64_t ns, char text[32]) {
    time_t seconds = (time_t)(ns / UINT64_C(1000000000));
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M", &local) == 0)
        memcpy(text, "?", 2);
}

static bool print_pin(const loom_pin_record *record, void *context) {
    note_list *list = context;
    char hex[LOOM_ID_HEX_BYTES], when[32];
    loom_id_hex(&record->rkey, hex);
    if (list->job->json) {
        loom_json_line line = {.failed = false};
        loom_line_text(&line, "id", hex);
        loom_line_text(&line, "owner", record->owner);
        loom_line_number(&line, "created", (double)record->created_ns / 1e9);
        list->status = loom_line_print(&line, stdout, list->err);
    } else {
        if (list->shown == 0) printf("%-12s  %-16s  %s\n", "ID", "SINCE", "PINNED BY");
        format_time(record->created_ns, when);
        printf("%.12s  %-16s  %s\n", hex, when, record->owner);
    }
    list->shown++;
    return list->status == LOOM_OK && !ferror(stdout);
}

static bool print_goal(const loom_goal_record *record, void *context) {
    note_list *list = context;
    char hex[LOOM_ID_HEX_BYTES], when[32];
    loom_id_hex(&record->rkey, hex);
    if (list->job->json) {
        loom_json_line line = {.failed = false};
        loom_line_text(&line, "goal", record->label);
        loom_line_count(&line, "run", record->run);
        loom_line_text(&line, "id", hex);
        loom_line_number(&line, "created", (double)record->created_ns / 1e9);
        list->status = loom_line_print(&line, stdout, list->err);
    } else {
        if (list->shown == 0) printf("%-12s  %-16s  %5s  %s\n", "ID", "MET", "RUN", "GOAL");
        format_time(record->created_ns, when);
        printf("%.12s  %-16s  %5" PRIu64 "  %s\n", hex, when, record->run, record->label);
    }
    list->shown++;
    return list->status == LOOM_OK && !ferror(stdout);
}

static loom_status list_notes(loom_store_job *job, bool pins, loom_error *err) {
    note_list list = {.job = job, .err = err};
    LOOM_TRY(pins ? loom_store_each_pin(job->store, print_pin, &list, err)
                  : loom_store_each_goal(job->store, print_goal, &list, err));
    if (list.shown == 0 && list.status == LOOM_OK && !job->quiet)
        fputs(pins ? "nothing is pinned\n" : "no run has recorded a goal yet\n", stderr);
    return list.status;
}

static loom_status list_pins(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    return list_notes(job, true, err);
}

static loom_status list_goals(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    return list_notes(job, false, err);
}

static int pins(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON, .work = list_pins};
    return loom_store_do(self, argc, argv, &shape);
}

static int goals(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON, .work = list_goals};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_pins = {
    .name = "store pins",
    .summary = "Lists what is pinned, and by whom",
    .usage = "voxloom store pins [--json]",
    .help = "Pinned by: hand (`voxloom store pin ID`), goal:LABEL, or put (what nothing can compute again).\n\n"
            "  --json    one object a line: id, owner, created (seconds since 1970)\n",
    .run = pins,
};

const loom_command loom_store_goals = {
    .name = "store goals",
    .summary = "Lists the goals that runs have met, and by which results",
    .usage = "voxloom store goals [--json]",
    .help = "A run that gives what the one before gave adds nothing.\n\n"
            "  --json    one object a line: goal, run, id, created (seconds since 1970)\n",
    .run = goals,
};
