/* explain.c - `voxloom explain`: why a node or a goal would run, or would not. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/dry_run.h"
#include "runtime/cli/human.h"
#include "runtime/cli/json_line.h"
#include "runtime/cli/settings.h"
#include "runtime/coordinator/explain.h"
#include "runtime/coordinator/session.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/program.h"

typedef struct explaining {
    loom_config config;
    loom_plan *plan;
    loom_preview *preview;
    loom_arena *arena;
    bool json;
    unsigned told;
    loom_error err;
} explaining;

/* ---- for people ---- */

/* "vox1.near 3fa9b2c1, p.imgql:14:10" */
static void print_step(const explaining *at, uint32_t index) {
    const loom_session *session = loom_preview_session(at->preview);
    loom_error where = {0};
    const loom_step *step = &session->graph.steps[index];
    loom_describe_step(session, index, &where);
    if (step->node == LOOM_NODE_NONE && step->op) snprintf(where.node, sizeof where.node, "%s", step->op->name);
    fputs(where.node[0] ? where.node : "a step of the runtime", stdout);
    if (where.file[0]) printf(", %s:%" PRIu32 ":%" PRIu32, where.file, where.line, where.column);
}

/* " (in f called at p.imgql:12:5, in g ...)": nodes of a function that is called often have one place. */
static void print_calls(const explaining *at, uint32_t index) {
    const loom_session *session = loom_preview_session(at->preview);
    const loom_step *step = &session->graph.steps[index];
    char calls[800];
    if (step->node == LOOM_NODE_NONE) return;
    loom_describe_calls(at->plan, loom_plan_node(at->plan, step->node)->position.calls, calls, sizeof calls);
    if (calls[0]) printf(" (%s)", calls);
}

static void print_cause(const explaining *at, const loom_cause *cause) {
    const loom_config *config = &at->config;
    switch (cause->reason) {
    case LOOM_REASON_STORED:
        puts("its result is in the store");
        break;
    case LOOM_REASON_KNOWN:
        puts("its value is known without computing");
        break;
    case LOOM_REASON_EVICTED:
        puts("its result was stored, and was evicted or removed since");
        break;
    case LOOM_REASON_EXPIRED:
        puts("its result has expired (store.ttl)");
        break;
    case LOOM_REASON_EFFECT:
        printf("the file %s is missing, or holds something else than was written\n", cause->now);
        break;
    case LOOM_REASON_NOT_KEPT:
        puts("results of this operator are never stored");
        break;
    case LOOM_REASON_NEW:
        puts(strcmp(config->store.path, ":memory:") == 0 ? "results are not kept from run to run (store.path)"
                                                         : "no result of this operator was ever stored here");
        break;
    case LOOM_REASON_UNSTORED:
        printf("images between inputs and goals are not kept here (store.persist = \"%s\"): %s\n", cause->now,
               strcmp(cause->now, "goals") == 0 ? "there is none to compare with"
                                                : "of this operator none took longer to compute than to read");
        break;
    case LOOM_REASON_OPERATOR:
        printf("it is computed by %s; it was by %s\n", cause->now, cause->before);
        break;
    case LOOM_REASON_VERSION:
        printf("the operator's kernel is version %s; it was %s\n", cause->now, cause->before);
        break;
    case LOOM_REASON_ATTRIBUTES:
        printf("its attributes are %s; they were %s\n", cause->now, cause->before);
        break;
    case LOOM_REASON_ARITY:
        printf("it has %s arguments; there were %s\n", cause->now, cause->before);
        break;
    case LOOM_REASON_ARGUMENT:
        printf("argument %" PRIu32 " is %s; it was %s\n", cause->argument, cause->now, cause->before);
        break;
    case LOOM_REASON_RESULT:
        printf("argument %" PRIu32 " is another result:\n", cause->argument);
        break;
    case LOOM_REASON_INPUT:
        printf("what it reads has changed: %s\n", cause->now[0] ? cause->now : "a file");
        break;
    case LOOM_REASON_UNREADABLE:
        printf("the file that it reads is missing or cannot be read: %s\n", cause->now);
        break;
    case LOOM_REASON_WAITS:
        printf("argument %" PRIu32 " must be computed before its key is known:\n", cause->argument);
        break;
    case LOOM_REASON_FORGOTTEN:
        puts("how the earlier result was computed is not remembered");
        break;
    case LOOM_REASON_LATER:
        puts("what it needs is known only when others have run");
        break;
    case LOOM_REASON_FAILS:
        puts("it cannot be computed");
        break;
    }
}

static void print_nearest(const loom_explanation *why) {
    static const char *const as[] = {"", "what met the goal last", "the newest result of the same node",
                                     "the stored result that is most alike"};
    char key[LOOM_ID_HEX_BYTES], date[32] = "", cost[LOOM_HUMAN_BYTES], bytes[LOOM_HUMAN_BYTES];
    const loom_result *result = &why->nearest;
    if (why->nearest_by == LOOM_NEAREST_NONE) return;
    time_t seconds = (time_t)(result->created_ns / 1000000000u);
    struct tm local;
    if (localtime_r(&seconds, &local)) strftime(date, sizeof date, "%Y-%m-%d %H:%M", &local);
    loom_id_hex(&result->rkey, key);
    bool itself = why->has_rkey && loom_id_equal(&why->rkey, &result->rkey);
    printf("\n  %s%s: %.8s of %s, took %s", itself ? "" : "compared with ", itself ? "its result" : as[why->nearest_by],
           key, date, loom_human_seconds((double)result->cost_ns * 1e-9, cost));
    if (result->bulk.bytes) printf(", %s", loom_human_bytes(result->bulk.bytes, bytes));
    puts(why->nearest_past == LOOM_PAST_STORED ? "" : why->nearest_past == LOOM_PAST_GONE ? ", gone" : ", expired");
}

static void print_explanation(explaining *at, const char *title, const loom_explanation *why) {
    if (at->told++ > 0) putchar('\n');
    printf("%s", title);
    print_step(at, why->step);
    printf("\n%s\n\n", loom_fate_text(why->fate));
    for (uint32_t i = 0; i < why->cause_count; i++) {
        const loom_cause *cause = &why->causes[i];
        fputs("  ", stdout);
        if (cause->step != why->step) {
            print_step(at, cause->step);
            if (i + 1 == why->cause_count) print_calls(at, cause->step); /* where it comes from */
            fputs("\n    ", stdout);
        }
        print_cause(at, cause);
    }
    print_nearest(why);
}

/* ---- for programs ---- */

static void add_step(const explaining *at, loom_json_line *line, uint32_t index) {
    const loom_session *session = loom_preview_session(at->preview);
    const loom_step *step = &session->graph.steps[index];
    loom_error where = {0};
    static const loom_id none;
    loom_describe_step(session, index, &where);
    loom_line_text(line, "operator", step->op ? step->op->name : NULL);
    loom_line_id(line, "node", step->node != LOOM_NODE_NONE ? &loom_plan_node(session->plan, step->node)->id : &none);
    loom_line_text(line, "file", where.file[0] ? where.file : NULL);
    loom_line_count(line, "line", where.line);
    loom_line_count(line, "column", where.column);
}

static loom_status print_explanation_json(explaining *at, const char *goal, const loom_explanation *why) {
    static const char *const as[] = {NULL, "goal", "node", "arguments"};
    static const char *const pasts[] = {"stored", "expired", "gone"};
    static const loom_id none;
    loom_json_line line = {.failed = false};
    loom_line_text(&line, "goal", goal);
    add_step(at, &line, why->step);
    loom_line_text(&line, "fate", loom_fate_name(why->fate));
    loom_line_id(&line, "key", why->has_rkey ? &why->rkey : &none);
    loom_line_array(&line, "causes");
    for (uint32_t i = 0; i < why->cause_count; i++) {
        const loom_cause *cause = &why->causes[i];
        loom_line_object(&line, NULL);
        loom_line_text(&line, "reason", loom_reason_name(cause->reason));
        add_step(at, &line, cause->step);
        if (cause->argument) loom_line_count(&line, "argument", cause->argument);
        if (cause->now[0]) loom_line_text(&line, "now", cause->now);
        if (cause->before[0]) loom_line_text(&line, "before", cause->before);
        loom_line_end_object(&line);
    }
    loom_line_end_array(&line);
    loom_line_text(&line, "compared_by", as[why->nearest_by]);
    if (why->nearest_by != LOOM_NEAREST_NONE) {
        loom_line_id(&line, "compared_with", &why->nearest.rkey);
        loom_line_text(&line, "compared_state", pasts[why->nearest_past]);
    }
    return loom_line_print(&line, stdout, &at->err);
}

/* ---- what is asked for ---- */

static loom_status explain_step(explaining *at, uint32_t step, const char *goal, const char *title) {
    loom_explanation *why = loom_arena_alloc(at->arena, sizeof *why);
    if (!why) return loom_fail(&at->err, LOOM_NO_MEMORY, "out of memory while explaining");
    LOOM_TRY(loom_explain(at->preview, step, goal, at->arena, why, &at->err));
    if (at->json) return print_explanation_json(at, goal, why);
    print_explanation(at, title, why);
    return LOOM_OK;
}

static loom_status explain_goal(explaining *at, size_t index) {
    loom_preview_goal goal;
    char title[300];
    loom_preview_goal_of(at->preview, index, &goal);
    snprintf(title, sizeof title, "%s \"%.200s\": ", goal.operation, goal.name);
    if (goal.step == LOOM_STEP_NONE) {
        printf("%swould fail: %s\n", title, goal.error.message);
        return LOOM_OK;
    }
    LOOM_TRY(explain_step(at, goal.step, goal.name, title));
    uint32_t write = loom_preview_session(at->preview)->goals[index].write;
    if (write == LOOM_STEP_NONE || !goal.writes) return LOOM_OK;
    snprintf(title, sizeof title, "the file \"%.200s\": ", goal.name);
    return explain_step(at, write, NULL, title);
}

static bool is_prefix(const loom_id *id, const char *digits) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(id, hex);
    size_t length = strlen(digits);
    if (length < 4 || length >= LOOM_ID_HEX_BYTES) return false;
    for (size_t i = 0; i < length; i++)
        if (tolower((unsigned char)digits[i]) != hex[i]) return false;
    return true;
}

static loom_status explain_node(explaining *at, const char *digits) {
    loom_node_index found = LOOM_NODE_NONE;
    for (size_t i = 0; i < loom_plan_node_count(at->plan); i++) {
        if (!is_prefix(&loom_plan_node(at->plan, (loom_node_index)i)->id, digits)) continue;
        if (found != LOOM_NODE_NONE)
            return loom_fail(&at->err, LOOM_BAD_USAGE, "%s begins several node ids; give more digits", digits);
        found = (loom_node_index)i;
    }
    if (found == LOOM_NODE_NONE)
        return loom_fail(&at->err, LOOM_BAD_USAGE,
                         "the program has no goal and no node %.80s; `voxloom run --dry-run` lists them", digits);
    if (loom_plan_node(at->plan, found)->kind == LOOM_NODE_CLOSURE)
        return loom_fail(&at->err, LOOM_BAD_USAGE, "%s is a function; ask for a node that calls it", digits);
    uint32_t step;
    LOOM_TRY(loom_preview_find(at->preview, found, &step, &at->err));
    return explain_step(at, step, NULL, "");
}

/* What is said of stored results is true, and yet a run would compute on the way to them. */
static void tell_unread_input(const explaining *at) {
    const char *path = loom_preview_unread_input(at->preview);
    if (path && !at->json) printf("\n" LOOM_UNREAD_NOTE "\n", path);
}

static loom_status explain_all(explaining *at, const char *wanted) {
    size_t goals = loom_preview_goal_count(at->preview);
    bool found = false;
    for (size_t i = 0; i < goals; i++) {
        if (wanted && strcmp(loom_plan_goal(at->plan, i)->name, wanted) != 0) continue;
        found = true;
        LOOM_TRY(explain_goal(at, i));
    }
    return found || !wanted ? LOOM_OK : explain_node(at, wanted);
}

static int explain_plan(explaining *at, const char *wanted) {
    const loom_run_options options = {.config = &at->config, .plan = at->plan};
    loom_status status = loom_preview_open(&options, &at->preview, &at->err);
    at->arena = status == LOOM_OK ? loom_arena_new() : NULL;
    if (status == LOOM_OK && !at->arena) status = loom_fail(&at->err, LOOM_NO_MEMORY, "out of memory while explaining");
    if (status == LOOM_OK) status = explain_all(at, wanted);
    if (status == LOOM_OK) tell_unread_input(at);
    loom_arena_free(at->arena);
    loom_preview_close(at->preview);
    return loom_exit_flushed(status == LOOM_OK ? 0 : loom_exit_failed(&at->err));
}

static int explain_file(explaining *at, const char *path, const char *wanted) {
    char *text = NULL;
    size_t length = 0;
    if (loom_program_read(path, &text, &length, &at->err) != LOOM_OK) {
        loom_exit_failed(&at->err);
        return 2;
    }
    const loom_operator_table *operators = NULL;
    loom_status status = loom_operators_with(at->config.kernels.plugins, &operators, &at->err);
    if (status == LOOM_OK) status = loom_program_plan(operators, path, text, length, NULL, NULL, &at->plan, &at->err);
    int exit_status = status == LOOM_OK ? explain_plan(at, wanted) : loom_exit_failed(&at->err);
    loom_plan_free(at->plan);
    free(text);
    return exit_status;
}

static int explain(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    explaining at = {0};
    const loom_option options[] = {
        LOOM_SETTINGS_CONFIG(&settings), LOOM_SETTINGS_STORE(&settings), {.name = "--json", .flag = &at.json}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 2, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        if (loom_settings_load(&settings, &at.config, &at.err) == LOOM_OK)
            status = explain_file(&at, words.items[0], words.count > 1 ? words.items[1] : NULL);
        else
            status = loom_exit_failed(&at.err);
    }
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_explain = {
    .name = "explain",
    .summary = "Says why a goal or a node would run, or would not",
    .usage = "voxloom explain PROGRAM.imgql|PLAN.json [GOAL|NODE] [options]",
    .help = "GOAL: a label or path of a goal. NODE: the first digits of a node's id, as `voxloom run --dry-run`,\n"
            "failures and `voxloom plan --format json` show them. Neither: every goal.\n"
            "What would run is compared with the nearest result that the store has or remembers, down to the\n"
            "argument, the version or the input file that differs. Nothing is computed or stored.\n\n"
            "options:\n"
            "  --store DIR      the store to look in\n"
            "  --json           an object a line, described in runtime/API.md\n"
            "  --config FILE, --set KEY=VALUE   as in `voxloom run`\n",
    .run = explain,
};
