/* report.c - builds the summary as a record of the language and lets text.h write it: one JSON writer for everything.
 */
#include "runtime/report.h"

#include <string.h>

#include "runtime/text.h"

enum { FIELDS_MAX = 32 };

/* A record under construction. */
typedef struct record_fields {
    loom_field items[FIELDS_MAX];
    size_t count;
} record_fields;

static void add(record_fields *fields, const char *name, loom_value value) {
    if (fields->count == FIELDS_MAX) return; /* cannot be: every caller adds a fixed list */
    fields->items[fields->count++] = (loom_field){.name = name, .name_length = strlen(name), .value = value};
}

static loom_value count_of(uint64_t number) {
    return loom_int(number > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)number);
}

static loom_value text_of(const char *text) {
    return text != NULL && text[0] != '\0' ? loom_string_of(text) : loom_null();
}

/* The record in the arena, or null when out of memory (checked through *full). */
static loom_value record_of(loom_arena *arena, const record_fields *fields, bool *full) {
    const loom_field *items = loom_arena_copy(arena, fields->items, fields->count * sizeof fields->items[0]);
    if (items == NULL) *full = true;
    return items != NULL ? loom_record(items, fields->count) : loom_null();
}

static loom_value goal_of(loom_arena *arena, const loom_goal_report *goal, bool *full) {
    record_fields fields = {.count = 0};
    add(&fields, "operation", text_of(goal->operation));
    add(&fields, "name", loom_string_of(goal->name != NULL ? goal->name : ""));
    add(&fields, "id", text_of(goal->id));
    add(&fields, "status", text_of(goal->status));
    add(&fields, "error", goal->error.status == LOOM_OK ? loom_null() : text_of(goal->error.message));
    add(&fields, "bytes", count_of(goal->bytes));
    return record_of(arena, &fields, full);
}

static loom_value failure_of(loom_arena *arena, const loom_failure *failure, bool *full) {
    record_fields fields = {.count = 0};
    add(&fields, "id", text_of(failure->node));
    add(&fields, "status", loom_string_of(loom_status_name(failure->error.status)));
    add(&fields, "error", text_of(failure->error.message));
    add(&fields, "node", text_of(failure->error.node));
    add(&fields, "file", text_of(failure->error.file));
    add(&fields, "line", count_of(failure->error.line));
    add(&fields, "column", count_of(failure->error.column));
    return record_of(arena, &fields, full);
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
    record_fields fields = {.count = 0};
    add(&fields, "nodes", count_of(summary->nodes));
    add(&fields, "computed", count_of(summary->computed));
    add(&fields, "reused", count_of(summary->reused));
    add(&fields, "failed", count_of(summary->failed));
    add(&fields, "irreproducible", count_of(summary->irreproducible));
    add(&fields, "workers", count_of(summary->workers));
    add(&fields, "worker_deaths", count_of(summary->worker_deaths));
    add(&fields, "seconds", loom_float(summary->seconds));
    add(&fields, "plan_seconds", loom_float(summary->plan_seconds));
    add(&fields, "peak_rss_bytes", count_of(summary->peak_rss_bytes));
    add(&fields, "peak_anon_bytes", count_of(summary->peak_anon_bytes));
    add(&fields, "bytes_written", count_of(summary->bytes_written));
    add(&fields, "segment_bytes", count_of(summary->segment_bytes));
    add(&fields, "segment_tasks", count_of(summary->segment_tasks));
    add(&fields, "memory_budget_bytes", count_of(summary->memory_budget_bytes));
    add(&fields, "memory_peak_bytes", count_of(summary->memory_peak_bytes));
    add(&fields, "held_back", count_of(summary->held_back));
    add(&fields, "steps_peak", count_of(summary->steps_peak));
    add(&fields, "ring", text_of(summary->ring));
    add(&fields, "store", text_of(summary->store));
    add(&fields, "goals", goals_of(arena, summary, full));
    add(&fields, "failures", failures_of(arena, summary, full));
    return record_of(arena, &fields, full);
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
