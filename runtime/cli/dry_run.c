/* dry_run.c - see dry_run.h. */
#include "runtime/cli/dry_run.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/cli/command.h"
#include "runtime/cli/human.h"
#include "runtime/cli/json_line.h"
#include "runtime/coordinator/graph.h"

#define LISTED_MAX 200u /* lines for people; --json has no limit */

const char *loom_fate_text(loom_fate fate) {
    static const char *const texts[] = {"is a constant",
                                        "is in the store",
                                        "would run",
                                        "would run, unless it is found once its arguments are known",
                                        "is decided while others run",
                                        "would not run: what uses it is in the store",
                                        "would fail"};
    return texts[fate];
}

const char *loom_fate_name(loom_fate fate) {
    static const char *const names[] = {"constant", "stored", "runs", "may run", "later", "unused", "fails"};
    return names[fate];
}

typedef struct totals {
    uint64_t nodes, runs, stored, later, bytes, cost_ns;
} totals;

static totals sum_up(loom_preview *preview) {
    totals sum = {0};
    for (uint32_t i = 0; i < loom_preview_step_count(preview); i++) {
        loom_preview_step step;
        if (!loom_preview_step_of(preview, i, &step)) continue;
        sum.nodes++;
        sum.stored += step.fate == LOOM_FATE_STORED;
        sum.later += step.fate == LOOM_FATE_LATER;
        if (step.fate != LOOM_FATE_RUNS && step.fate != LOOM_FATE_MAY_RUN) continue;
        sum.runs++;
        sum.bytes += step.bytes;
        sum.cost_ns += step.cost_ns;
    }
    return sum;
}

/* ---- for people ---- */

/* "3fa9b2c1", or spaces for a step without a name. */
static void short_id(const loom_id *id, char text[LOOM_ID_HEX_BYTES]) {
    static const loom_id none;
    loom_id_hex(id, text);
    if (loom_id_equal(id, &none))
        snprintf(text, LOOM_ID_HEX_BYTES, "%8s", "");
    else
        text[8] = '\0';
}

static void print_step(const loom_preview_step *step) {
    char place[160] = "", id[LOOM_ID_HEX_BYTES], bytes[LOOM_HUMAN_BYTES], time[LOOM_HUMAN_BYTES];
    if (step->file && step->line)
        snprintf(place, sizeof place, "%s:%" PRIu32 ":%" PRIu32, step->file, step->line, step->column);
    short_id(&step->node, id);
    if (step->fate == LOOM_FATE_LATER) {
        printf("  %-24s  %-26s  %s\n", place, step->op, id);
        return;
    }
    printf("  %-24s  %-26s  %s  %9s  %8s%s\n", place, step->op, id, loom_human_bytes(step->bytes, bytes),
           loom_human_seconds((double)step->cost_ns * 1e-9, time),
           step->fate == LOOM_FATE_MAY_RUN ? "  unless found then" : "");
}

static void print_steps(loom_preview *preview, bool later, uint64_t count) {
    uint64_t listed = 0;
    for (uint32_t i = 0; i < loom_preview_step_count(preview) && listed < LISTED_MAX; i++) {
        loom_preview_step step;
        if (!loom_preview_step_of(preview, i, &step)) continue;
        bool runs = step.fate == LOOM_FATE_RUNS || step.fate == LOOM_FATE_MAY_RUN;
        if (later ? step.fate != LOOM_FATE_LATER : !runs) continue;
        print_step(&step);
        listed++;
    }
    if (count > listed) printf("  ... and %" PRIu64 " more; --json lists all\n", count - listed);
}

static void print_goal(const loom_preview_goal *goal) {
    const char *file = "";
    if (goal->fate == LOOM_FATE_FAILS)
        printf("  %-5s  %-24s  would fail: %s\n", goal->operation, goal->name, goal->error.message);
    else if (goal->writes)
        file = "; the file would be written";
    else if (goal->writes_known)
        file = "; the file is as it was written";
    if (goal->fate != LOOM_FATE_FAILS)
        printf("  %-5s  %-24s  %s%s\n", goal->operation, goal->name, loom_fate_text(goal->fate), file);
}

static void print_all(loom_preview *preview, const char *store) {
    char bytes[LOOM_HUMAN_BYTES], time[LOOM_HUMAN_BYTES];
    totals sum = sum_up(preview);
    if (!loom_preview_has_store(preview))
        printf("the store %s does not exist yet: nothing can be found in it\n", store);
    if (sum.runs == 0 && sum.later == 0) {
        printf("nothing to compute: %" PRIu64 " of %" PRIu64 " nodes are in the store\n", sum.stored, sum.nodes);
    } else {
        printf("would compute %" PRIu64 " of %" PRIu64 " nodes: about %s of results, %s of kernels on one core\n",
               sum.runs, sum.nodes, loom_human_bytes(sum.bytes, bytes),
               loom_human_seconds((double)sum.cost_ns * 1e-9, time));
        if (sum.runs > 0) putchar('\n');
        print_steps(preview, false, sum.runs);
    }
    if (sum.later > 0) {
        printf("\nonly a run tells what these need, since it depends on values that are computed first:\n");
        print_steps(preview, true, sum.later);
    }
    const char *unread = loom_preview_unread_input(preview);
    if (unread) printf("\n" LOOM_UNREAD_NOTE "\n", unread);
    printf("\ngoals:\n");
    for (size_t i = 0; i < loom_preview_goal_count(preview); i++) {
        loom_preview_goal goal;
        loom_preview_goal_of(preview, i, &goal);
        print_goal(&goal);
    }
}

/* ---- for programs ---- */

static loom_status print_step_json(const loom_preview_step *step, loom_error *err) {
    loom_json_line line = {.failed = false};
    loom_line_text(&line, "kind", "node");
    loom_line_text(&line, "fate", loom_fate_name(step->fate));
    loom_line_text(&line, "operator", step->op);
    loom_line_id(&line, "node", &step->node);
    loom_line_text(&line, "file", step->file);
    loom_line_count(&line, "line", step->line);
    loom_line_count(&line, "column", step->column);
    loom_line_count(&line, "bytes", step->bytes);
    loom_line_number(&line, "seconds", (double)step->cost_ns * 1e-9);
    return loom_line_print(&line, stdout, err);
}

static loom_status print_goal_json(const loom_preview_goal *goal, loom_error *err) {
    loom_json_line line = {.failed = false};
    loom_line_text(&line, "kind", "goal");
    loom_line_text(&line, "operation", goal->operation);
    loom_line_text(&line, "name", goal->name);
    loom_line_text(&line, "fate", loom_fate_name(goal->fate));
    if (goal->writes || goal->writes_known)
        loom_line_bool(&line, "writes", goal->writes);
    else
        loom_line_null(&line, "writes");
    loom_line_text(&line, "error", goal->fate == LOOM_FATE_FAILS ? goal->error.message : NULL);
    return loom_line_print(&line, stdout, err);
}

static loom_status print_all_json(loom_preview *preview, loom_error *err) {
    for (uint32_t i = 0; i < loom_preview_step_count(preview); i++) {
        loom_preview_step step;
        if (loom_preview_step_of(preview, i, &step)) LOOM_TRY(print_step_json(&step, err));
    }
    for (size_t i = 0; i < loom_preview_goal_count(preview); i++) {
        loom_preview_goal goal;
        loom_preview_goal_of(preview, i, &goal);
        LOOM_TRY(print_goal_json(&goal, err));
    }
    return LOOM_OK;
}

int loom_dry_run(const loom_config *config, loom_plan *plan, bool json) {
    const loom_run_options options = {.config = config, .plan = plan};
    loom_preview *preview;
    loom_error err = {0};
    if (loom_preview_open(&options, &preview, &err) != LOOM_OK) return loom_exit_failed(&err);
    loom_status status = LOOM_OK;
    if (json)
        status = print_all_json(preview, &err);
    else
        print_all(preview, config->store.path);
    loom_preview_close(preview);
    return loom_exit_flushed(status == LOOM_OK ? 0 : loom_exit_failed(&err));
}
