/* Profile and trace of a run. Workers write into the recorder; here its entries are given their place in the program,
 * go to the trace's file, and the most expensive are remembered. */
#include "runtime/coordinator/profiling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/output.h"
#include "perf/trace.h"
#include "runtime/coordinator/session.h"

enum { NODES_KEPT = 32, FILE_BUFFER_BYTES = 1 << 18 };

/* A task among the most expensive so far. */
typedef struct costly {
    loom_log_entry entry;
    loom_node_index node; /* LOOM_NODE_NONE: an internal step */
} costly;

struct loom_profiling {
    uint64_t start_ns;
    loom_recorder *recorder; /* NULL until there are workers */
    loom_counters *probe;    /* what the machine counts, for the reasons; workers have their own */
    loom_output output;      /* of the trace */
    FILE *file;              /* NULL: no trace */
    loom_trace *trace;
    costly kept[NODES_KEPT];
    size_t kept_count, cheapest; /* `cheapest` of the kept, once they are full */
    uint64_t commits;
};

/* ---- opening ---- */

static loom_status open_trace(loom_session *session, loom_profiling *profiling, const char *path, loom_error *err) {
    LOOM_TRY(loom_output_open(path, &profiling->output, err));
    int copy = dup(profiling->output.fd); /* the stream closes its own; the output is synced and renamed afterwards */
    profiling->file = copy >= 0 ? fdopen(copy, "wb") : NULL;
    if (!profiling->file) {
        loom_fail_errno(err, errno, "%s: cannot be written", path);
        if (copy >= 0) (void)close(copy);
        return err ? err->status : LOOM_IO;
    }
    (void)setvbuf(profiling->file, NULL, _IOFBF, FILE_BUFFER_BYTES); /* refused: slower */
    return loom_trace_begin(profiling->file, session->operators, session->workers, profiling->start_ns,
                            &profiling->trace, err);
}

loom_status loom_profiling_open(loom_session *session, uint64_t start_ns, loom_error *err) {
    const loom_run_options *options = session->options;
    if (!options->profile && !options->trace) return LOOM_OK;
    loom_profiling *profiling = calloc(1, sizeof *profiling);
    if (!profiling) return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the profile");
    profiling->start_ns = start_ns;
    profiling->output.fd = -1;
    session->profiling = profiling;
    LOOM_TRY(loom_counters_open(&profiling->probe, err));
    return options->trace ? open_trace(session, profiling, options->trace, err) : LOOM_OK;
}

loom_status loom_profiling_engage(loom_session *session, loom_error *err) {
    loom_profiling *profiling = session->profiling;
    if (!profiling || profiling->recorder) return LOOM_OK;
    return loom_recorder_create(session->workers, (uint32_t)session->operators->count, profiling->start_ns,
                                &profiling->recorder, err);
}

loom_recorder *loom_profiling_recorder(const loom_session *session) {
    return session->profiling ? session->profiling->recorder : NULL;
}

/* ---- entries ---- */

static loom_node_index node_of(const loom_session *session, const loom_log_entry *entry) {
    if (entry->kind != LOOM_ENTRY_TASK || entry->cookie >= session->graph.step_count) return LOOM_NODE_NONE;
    const loom_step *step = &session->graph.steps[entry->cookie];
    return step->node != LOOM_NODE_NONE ? step->node : step->blame;
}

static void find_cheapest(loom_profiling *profiling) {
    profiling->cheapest = 0;
    for (size_t i = 1; i < profiling->kept_count; i++) {
        const loom_log_entry *entry = &profiling->kept[i].entry, *least = &profiling->kept[profiling->cheapest].entry;
        if (entry->end_ns - entry->start_ns < least->end_ns - least->start_ns) profiling->cheapest = i;
    }
}

static void keep_if_costly(loom_profiling *profiling, const loom_log_entry *entry, loom_node_index node) {
    if (profiling->kept_count < NODES_KEPT) {
        profiling->kept[profiling->kept_count++] = (costly){.entry = *entry, .node = node};
        if (profiling->kept_count == NODES_KEPT) find_cheapest(profiling);
        return;
    }
    const loom_log_entry *least = &profiling->kept[profiling->cheapest].entry;
    if (entry->end_ns - entry->start_ns <= least->end_ns - least->start_ns) return;
    profiling->kept[profiling->cheapest] = (costly){.entry = *entry, .node = node};
    find_cheapest(profiling);
}

static void trace_entry(const loom_session *session, loom_trace *trace, const loom_log_entry *entry,
                        loom_node_index index) {
    char hex[LOOM_ID_HEX_BYTES];
    if (index == LOOM_NODE_NONE) {
        loom_trace_add(trace, entry, NULL);
        return;
    }
    const loom_node *node = loom_plan_node(session->plan, index);
    loom_id_hex(&node->id, hex);
    hex[8] = '\0'; /* as in messages */
    const loom_trace_place place = {
        .node = hex, .file = node->position.file, .line = node->position.line, .column = node->position.column};
    loom_trace_add(trace, entry, &place);
}

void loom_profiling_drain(loom_session *session) {
    loom_profiling *profiling = session->profiling;
    loom_log_entry entry;
    if (!profiling || !profiling->recorder) return;
    while (loom_recorder_next(profiling->recorder, &entry)) {
        loom_node_index node = node_of(session, &entry);
        if (profiling->trace) trace_entry(session, profiling->trace, &entry, node);
        if (entry.kind == LOOM_ENTRY_TASK) keep_if_costly(profiling, &entry, node);
        profiling->commits += entry.kind == LOOM_ENTRY_COMMIT;
    }
}

/* ---- the end ---- */

static int by_time(const void *a, const void *b) {
    const loom_log_entry *first = &((const costly *)a)->entry, *second = &((const costly *)b)->entry;
    uint64_t one = first->end_ns - first->start_ns, other = second->end_ns - second->start_ns;
    return one == other ? 0 : one < other ? 1 : -1;
}

static loom_profile_node describe(const loom_session *session, const costly *kept, loom_arena *arena) {
    const loom_log_entry *entry = &kept->entry;
    loom_profile_node made = {.name = session->operators->operators[entry->operator_index]->name,
                              .worker = entry->lane,
                              .task_ns = entry->end_ns - entry->start_ns,
                              .io_ns = entry->io_ns,
                              .bytes_in = entry->bytes_in,
                              .bytes_out = entry->bytes_out,
                              .counts = {.valid = entry->counted}};
    memcpy(made.counts.value, entry->counts, sizeof made.counts.value);
    if (kept->node == LOOM_NODE_NONE) return made;
    const loom_node *node = loom_plan_node(session->plan, kept->node);
    loom_id_hex(&node->id, made.id);
    if (node->position.file) made.file = loom_arena_text(arena, node->position.file, strlen(node->position.file));
    made.line = node->position.line;
    made.column = node->position.column;
    return made;
}

static loom_status fill_profile(loom_session *session, loom_profile *profile, loom_arena *arena) {
    loom_profiling *profiling = session->profiling;
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        const char *reason = loom_counters_reason(profiling->probe, i);
        profile->reasons[i] = loom_arena_text(arena, reason, strlen(reason));
        if (!profile->reasons[i]) return LOOM_NO_MEMORY;
    }
    profile->commits = profiling->commits;
    if (!profiling->recorder) return LOOM_OK; /* nothing had to be computed: no workers */
    LOOM_TRY(loom_profile_sum(profiling->recorder, session->operators, loom_recorder_now_ns(), arena, profile));
    for (uint32_t i = 0; i < profile->workers; i++)
        profile->worker_rows[i].steals = loom_tally_read(&loom_segment_counters(session->segment, i)->steals);
    qsort(profiling->kept, profiling->kept_count, sizeof *profiling->kept, by_time);
    profile->nodes = loom_arena_array(arena, profiling->kept_count, sizeof *profile->nodes);
    if (!profile->nodes) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < profiling->kept_count; i++)
        profile->nodes[profile->node_count++] = describe(session, &profiling->kept[i], arena);
    return LOOM_OK;
}

static loom_status finish_trace(loom_profiling *profiling, const char *path, const loom_profile *profile,
                                loom_error *err) {
    loom_trace_end(profiling->trace, profile);
    profiling->trace = NULL;
    FILE *file = profiling->file;
    profiling->file = NULL;
    bool well = !ferror(file);
    errno = well ? 0 : EIO;
    if (fclose(file) == 0 && well) return loom_output_commit(&profiling->output, err);
    loom_status status = loom_fail_errno(err, errno ? errno : EIO, "%s: cannot be written", path);
    loom_output_abandon(&profiling->output);
    return status;
}

loom_status loom_profiling_finish(loom_session *session, loom_summary *summary, loom_error *err) {
    loom_profiling *profiling = session->profiling;
    if (!profiling || !profiling->probe) return LOOM_OK;
    loom_profiling_drain(session);
    loom_profile *profile = loom_arena_alloc(summary->arena, sizeof *profile);
    if (!profile || fill_profile(session, profile, summary->arena) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the profile");
    if (session->options->profile) summary->profile = profile;
    return profiling->trace ? finish_trace(profiling, session->options->trace, profile, err) : LOOM_OK;
}

void loom_profiling_close(loom_profiling *profiling) {
    if (!profiling) return;
    loom_trace_end(profiling->trace, NULL);
    if (profiling->file) fclose(profiling->file);
    if (profiling->output.path) loom_output_abandon(&profiling->output);
    loom_recorder_close(profiling->recorder);
    loom_counters_close(profiling->probe);
    free(profiling);
}
