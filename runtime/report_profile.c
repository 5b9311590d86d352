/* report_profile.c - the profile of a run, for text.h to write as JSON. */
#include "runtime/report_profile.h"

#include "runtime/report_fields.h"
#include "runtime/text.h"

static loom_value seconds_of(uint64_t ns) {
    return loom_float((double)ns * 1e-9);
}

static loom_value causes_of(loom_arena *arena, const uint64_t *cause_ns, bool *full) {
    loom_fields fields = {.count = 0};
    for (unsigned i = 0; i < LOOM_CAUSE_COUNT; i++)
        loom_fields_add(&fields, loom_cause_name(loom_cause_shown(i)), seconds_of(cause_ns[loom_cause_shown(i)]));
    return loom_fields_record(arena, &fields, full);
}

static loom_value counters_of(loom_arena *arena, const loom_counts *counts, bool *full) {
    loom_fields fields = {.count = 0};
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        if (counts->valid >> i & 1) loom_fields_add(&fields, loom_counter_key(i), loom_report_count(counts->value[i]));
    return loom_fields_record(arena, &fields, full);
}

static loom_value missing_of(loom_arena *arena, const loom_profile *profile, bool *full) {
    loom_fields fields = {.count = 0};
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        if (profile->reasons[i] != NULL && profile->reasons[i][0] != '\0')
            loom_fields_add(&fields, loom_counter_key(i), loom_string_of(profile->reasons[i]));
    return loom_fields_record(arena, &fields, full);
}

static double share_of(const loom_profile *profile, uint64_t ns) {
    double all = (double)profile->workers * (double)profile->wall_ns;
    return all > 0 ? (double)ns / all : 0;
}

static loom_value row_of(loom_arena *arena, const loom_profile *profile, const loom_profile_row *row, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "operator", loom_string_of(row->name));
    loom_fields_add(&fields, "calls", loom_report_count(row->calls));
    loom_fields_add(&fields, "reused", loom_report_count(row->reused));
    loom_fields_add(&fields, "failed", loom_report_count(row->failed));
    loom_fields_add(&fields, "seconds", seconds_of(row->task_ns));
    loom_fields_add(&fields, "kernel_seconds", seconds_of(row->kernel_ns));
    loom_fields_add(&fields, "io_seconds", seconds_of(row->io_ns));
    loom_fields_add(&fields, "page_fault_seconds", seconds_of(row->fault_ns));
    loom_fields_add(&fields, "share", loom_float(share_of(profile, row->task_ns)));
    loom_fields_add(&fields, "bytes_in", loom_report_count(row->bytes_in));
    loom_fields_add(&fields, "bytes_out", loom_report_count(row->bytes_out));
    loom_fields_add(&fields, "sampled", loom_report_count(row->sampled));
    loom_fields_add(&fields, "counters", counters_of(arena, &row->counts, full));
    return loom_fields_record(arena, &fields, full);
}

static loom_value worker_of(loom_arena *arena, const loom_profile_worker *worker, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "causes", causes_of(arena, worker->cause_ns, full));
    loom_fields_add(&fields, "tasks", loom_report_count(worker->tasks));
    loom_fields_add(&fields, "steals", loom_report_count(worker->steals));
    loom_fields_add(&fields, "counters", counters_of(arena, &worker->counts, full));
    return loom_fields_record(arena, &fields, full);
}

static loom_value node_of(loom_arena *arena, const loom_profile_node *node, bool *full) {
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "operator", loom_string_of(node->name));
    loom_fields_add(&fields, "id", loom_report_text(node->id));
    loom_fields_add(&fields, "file", loom_report_text(node->file));
    loom_fields_add(&fields, "line", loom_report_count(node->line));
    loom_fields_add(&fields, "column", loom_report_count(node->column));
    loom_fields_add(&fields, "worker", loom_report_count(node->worker));
    loom_fields_add(&fields, "calls", loom_report_count(node->calls));
    loom_fields_add(&fields, "seconds", seconds_of(node->task_ns));
    loom_fields_add(&fields, "longest_seconds", seconds_of(node->longest_ns));
    loom_fields_add(&fields, "kernel_seconds", seconds_of(node->kernel_ns));
    loom_fields_add(&fields, "io_seconds", seconds_of(node->io_ns));
    loom_fields_add(&fields, "bytes_in", loom_report_count(node->bytes_in));
    loom_fields_add(&fields, "bytes_out", loom_report_count(node->bytes_out));
    loom_fields_add(&fields, "counted", loom_report_count(node->counted));
    loom_fields_add(&fields, "counters", counters_of(arena, &node->counts, full));
    return loom_fields_record(arena, &fields, full);
}

static loom_value *array_for(loom_arena *arena, size_t count, bool *full) {
    loom_value *items = loom_arena_array(arena, count, sizeof *items);
    if (items == NULL) *full = true;
    return items;
}

loom_value loom_profile_value(loom_arena *arena, const loom_profile *profile, bool *full) {
    loom_value *rows = array_for(arena, profile->row_count, full);
    loom_value *workers = array_for(arena, profile->workers, full);
    loom_value *nodes = array_for(arena, profile->node_count, full);
    if (rows == NULL || workers == NULL || nodes == NULL) return loom_null();
    for (size_t i = 0; i < profile->row_count; i++)
        rows[i] = row_of(arena, profile, &profile->rows[i], full);
    for (uint32_t i = 0; i < profile->workers; i++)
        workers[i] = worker_of(arena, &profile->worker_rows[i], full);
    for (size_t i = 0; i < profile->node_count; i++)
        nodes[i] = node_of(arena, &profile->nodes[i], full);
    loom_fields fields = {.count = 0};
    loom_fields_add(&fields, "workers", loom_report_count(profile->workers));
    loom_fields_add(&fields, "wall_seconds", seconds_of(profile->wall_ns));
    loom_fields_add(&fields, "worker_seconds", loom_float((double)profile->workers * (double)profile->wall_ns * 1e-9));
    loom_fields_add(&fields, "causes", causes_of(arena, profile->cause_ns, full));
    loom_fields_add(&fields, "counters_missing", missing_of(arena, profile, full));
    loom_fields_add(&fields, "tasks", loom_report_count(profile->tasks));
    loom_fields_add(&fields, "tasks_in_trace", loom_report_count(profile->traced));
    loom_fields_add(&fields, "tasks_with_counters", loom_report_count(profile->sampled));
    loom_fields_add(&fields, "entries_lost", loom_report_count(profile->lost));
    loom_fields_add(&fields, "commits", loom_report_count(profile->commits));
    loom_fields_add(&fields, "page_fault_cost_us", loom_float((double)profile->fault_cost_ns * 1e-3));
    loom_fields_add(&fields, "reading_cost_us", loom_float((double)profile->reading_cost_ns * 1e-3));
    loom_fields_add(&fields, "operators", loom_sequence(rows, profile->row_count));
    loom_fields_add(&fields, "worker_rows", loom_sequence(workers, profile->workers));
    loom_fields_add(&fields, "nodes", loom_sequence(nodes, profile->node_count));
    loom_fields_add(&fields, "nodes_left_out", loom_report_count(profile->nodes_left_out));
    loom_fields_add(&fields, "calls_left_out", loom_report_count(profile->left_out_calls));
    loom_fields_add(&fields, "seconds_left_out", seconds_of(profile->left_out_ns));
    return loom_fields_record(arena, &fields, full);
}

loom_status loom_profile_write(const loom_profile *profile, loom_buffer *out, loom_error *err) {
    loom_arena *arena = loom_arena_new();
    bool full = arena == NULL;
    loom_value value = full ? loom_null() : loom_profile_value(arena, profile, &full);
    loom_status status =
        full ? loom_fail(err, LOOM_NO_MEMORY, "out of memory for the profile") : loom_value_json(&value, out, err);
    loom_arena_free(arena);
    if (status == LOOM_OK) status = loom_buffer_add(out, "\n", 1);
    return status;
}
