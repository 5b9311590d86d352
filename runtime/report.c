/* report.c - builds the summary as a record of the language and lets text.h write it: one JSON writer for everything.
 */
#include "runtime/report.h"

#include <string.h>

#include "runtime/report_fields.h"
#include "runtime/report_profile.h"
#include "runtime/text.h"

static loom_value goal_of(loom_arena *arena, const loom_goal_report *goal, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "operation", loom_report_text(goal->operation));
    loom_fields_add(&fields, "name", loom_string_of(goal->name != NULL ? goal->name : ""));
    loom_fields_add(&fields, "id", loom_report_text(goal->id));
    loom_fields_add(&fields, "status", loom_report_text(goal->status));
    loom_fields_add(&fields, "error",
                    goal->error.status == LOOM_OK ? loom_null() : loom_report_text(goal->error.message));
    loom_fields_add(&fields, "bytes", loom_report_count(goal->bytes));
    return loom_fields_record(arena, &fields, full);
}

static loom_value calls_of(loom_arena *arena, const loom_failure *failure, bool *full) {
    loom_value *items = loom_arena_array(arena, failure->call_count, sizeof *items);
    if (items == NULL) *full = true;
    for (size_t i = 0; i < failure->call_count && items != NULL; i++) {
        const loom_call_site *site = &failure->calls[i];
        loom_fields fields = {.count = 0};
        loom_fields_add(&fields, "function", loom_string_of(site->function));
        loom_fields_add(&fields, "file", loom_string_of(site->position.file));
        loom_fields_add(&fields, "line", loom_report_count(site->position.line));
        loom_fields_add(&fields, "column", loom_report_count(site->position.column));
        items[i] = loom_fields_record(arena, &fields, full);
    }
    return loom_sequence(items, items != NULL ? failure->call_count : 0);
}

static loom_value failure_of(loom_arena *arena, const loom_failure *failure, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "id", loom_report_text(failure->node));
    loom_fields_add(&fields, "status", loom_string_of(loom_status_name(failure->error.status)));
    loom_fields_add(&fields, "error", loom_report_text(failure->error.message));
    loom_fields_add(&fields, "node", loom_report_text(failure->error.node));
    loom_fields_add(&fields, "file", loom_report_text(failure->error.file));
    loom_fields_add(&fields, "line", loom_report_count(failure->error.line));
    loom_fields_add(&fields, "column", loom_report_count(failure->error.column));
    loom_fields_add(&fields, "calls", calls_of(arena, failure, full));
    return loom_fields_record(arena, &fields, full);
}

static loom_value goals_of(loom_arena *arena, const loom_summary *summary, bool *full) {
    loom_value *items = loom_arena_array(arena, summary->goal_count, sizeof *items);
    if (items == NULL) *full = true;
    for (size_t i = 0; i < summary->goal_count && items != NULL; i++)
        items[i] = goal_of(arena, &summary->goals[i], full);
    return loom_sequence(items, items != NULL ? summary->goal_count : 0);
}

static loom_value failures_of(loom_arena *arena, const loom_summary *summary, bool *full) {
    loom_value *items = loom_arena_array(arena, summary->failure_count, sizeof *items);
    if (items == NULL) *full = true;
    for (size_t i = 0; i < summary->failure_count && items != NULL; i++)
        items[i] = failure_of(arena, &summary->failures[i], full);
    return loom_sequence(items, items != NULL ? summary->failure_count : 0);
}

static loom_value summary_of(loom_arena *arena, const loom_summary *summary, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "nodes", loom_report_count(summary->nodes));
    loom_fields_add(&fields, "computed", loom_report_count(summary->computed));
    loom_fields_add(&fields, "reused", loom_report_count(summary->reused));
    loom_fields_add(&fields, "failed", loom_report_count(summary->failed));
    loom_fields_add(&fields, "fused", loom_report_count(summary->fused));
    loom_fields_add(&fields, "passes", loom_report_count(summary->passes));
    loom_fields_add(&fields, "swept", loom_report_count(summary->swept));
    loom_fields_add(&fields, "sweeps", loom_report_count(summary->sweeps));
    loom_fields_add(&fields, "irreproducible", loom_report_count(summary->irreproducible));
    loom_fields_add(&fields, "workers", loom_report_count(summary->workers));
    loom_fields_add(&fields, "worker_deaths", loom_report_count(summary->worker_deaths));
    loom_fields_add(&fields, "parts_helped", loom_report_count(summary->parts_helped));
    loom_fields_add(&fields, "seconds", loom_float(summary->seconds));
    loom_fields_add(&fields, "plan_seconds", loom_float(summary->plan_seconds));
    loom_fields_add(&fields, "peak_rss_bytes", loom_report_count(summary->peak_rss_bytes));
    loom_fields_add(&fields, "peak_anon_bytes", loom_report_count(summary->peak_anon_bytes));
    loom_fields_add(&fields, "bytes_written", loom_report_count(summary->bytes_written));
    loom_fields_add(&fields, "segment_bytes", loom_report_count(summary->segment_bytes));
    loom_fields_add(&fields, "segment_tasks", loom_report_count(summary->segment_tasks));
    loom_fields_add(&fields, "memory_budget_bytes", loom_report_count(summary->memory_budget_bytes));
    loom_fields_add(&fields, "memory_peak_bytes", loom_report_count(summary->memory_peak_bytes));
    loom_fields_add(&fields, "held_back", loom_report_count(summary->held_back));
    loom_fields_add(&fields, "steps_peak", loom_report_count(summary->steps_peak));
    loom_fields_add(&fields, "ring", loom_report_text(summary->ring));
    loom_fields_add(&fields, "store", loom_report_text(summary->store));
    loom_fields_add(&fields, "goals", goals_of(arena, summary, full));
    loom_fields_add(&fields, "failures", failures_of(arena, summary, full));
    if (summary->profile) loom_fields_add(&fields, "profile", loom_profile_value(arena, summary->profile, full));
    return loom_fields_record(arena, &fields, full);
}

loom_status loom_report_write(const loom_summary *summary, loom_buffer *out, loom_error *err) {
    loom_arena *arena = loom_arena_new();
    bool full = arena == NULL;
    loom_value value = full ? loom_null() : summary_of(arena, summary, &full);
    loom_status status =
        full ? loom_fail(err, LOOM_NO_MEMORY, "out of memory for the summary") : loom_value_json(&value, out, err);
    loom_arena_free(arena);
    if (status == LOOM_OK) status = loom_buffer_add(out, "\n", 1);
    return status;
}
