/* Profile and trace of a run. Workers write into the recorder; here its entries are given their place in the program,
 * go to the trace's file, and are summed up by node. */
#include "runtime/coordinator/profiling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/output.h"
#include "perf/trace.h"
#include "runtime/coordinator/profile_nodes.h"
#include "runtime/coordinator/session.h"

enum { FILE_BUFFER_BYTES = 1 << 18 };

struct loom_profiling {
    uint64_t start_ns;
    loom_recorder *recorder; /* NULL until there are workers */
    loom_counters *probe;    /* what the machine counts, for the reasons; workers have their own */
    loom_output output;      /* of the trace */
    FILE *file;              /* NULL: no trace */
    loom_trace *trace;
    loom_profile_nodes nodes;
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

/* The step that a task was of; NULL if that cannot be told any more: numbers of tasks and steps are used again. Workers
 * write the entry before they report the task, and it is read before anything is done about a report or a death, so
 * what it names is still there. That is checked, since a wrong name would be worse than none. */
static const loom_step *step_of(const loom_session *session, const loom_log_entry *entry) {
    if (entry->kind != LOOM_ENTRY_TASK || entry->cookie >= session->graph.step_count) return NULL;
    const loom_step *step = &session->graph.steps[entry->cookie];
    const loom_task *task = loom_segment_task(session->segment, entry->task);
    bool same =
        task && step->task == entry->task && task->cookie == entry->cookie && loom_task_attempt(task) == entry->attempt;
    return same ? step : NULL;
}

static loom_node_index node_of(const loom_step *step) {
    return !step ? LOOM_NODE_NONE : step->node != LOOM_NODE_NONE ? step->node : step->blame;
}

static void trace_entry(const loom_session *session, loom_trace *trace, const loom_log_entry *entry,
                        loom_node_index index, bool unnamed) {
    char hex[LOOM_ID_HEX_BYTES];
    if (index == LOOM_NODE_NONE) {
        loom_trace_add(trace, entry, NULL);
        return;
    }
    const loom_node *node = loom_plan_node(session->plan, index);
    loom_id_hex(&node->id, hex);
    hex[8] = '\0'; /* as in messages */
    const loom_trace_place place = {.node = unnamed ? NULL : hex,
                                    .file = node->position.file,
                                    .line = node->position.line,
                                    .column = node->position.column};
    loom_trace_add(trace, entry, &place);
}

void loom_profiling_drain(loom_session *session) {
    loom_profiling *profiling = session->profiling;
    loom_log_entry entry;
    if (!profiling || !profiling->recorder) return;
    while (loom_recorder_next(profiling->recorder, &entry)) {
        const loom_step *step = step_of(session, &entry);
        loom_node_index node = node_of(step);
        bool unnamed = step && step->unnamed;
        if (profiling->trace) trace_entry(session, profiling->trace, &entry, node, unnamed);
        if (entry.kind == LOOM_ENTRY_TASK && session->options->profile)
            (void)loom_profile_nodes_add(&profiling->nodes, &entry, node, unnamed); /* out of memory: not listed */
        profiling->commits += entry.kind == LOOM_ENTRY_COMMIT;
    }
}

/* ---- the end ---- */

static bool describe(const loom_session *session, const loom_node_sum *sum, loom_arena *arena,
                     loom_profile_node *made) {
    *made = (loom_profile_node){.name = session->operators->operators[sum->operator_index]->name,
                                .worker = sum->worker,
                                .calls = sum->calls,
                                .task_ns = sum->task_ns,
                                .longest_ns = sum->longest_ns,
                                .kernel_ns = sum->kernel_ns,
                                .io_ns = sum->io_ns,
                                .bytes_in = sum->bytes_in,
                                .bytes_out = sum->bytes_out,
                                .counted = sum->counted,
                                .counts = sum->counts};
    if (sum->node == LOOM_NODE_NONE) return true;
    const loom_node *node = loom_plan_node(session->plan, sum->node);
    if (!sum->unnamed) loom_id_hex(&node->id, made->id);
    if (!node->position.file) return true;
    made->file = loom_arena_text(arena, node->position.file, strlen(node->position.file));
    made->line = node->position.line;
    made->column = node->position.column;
    return made->file != NULL;
}

static loom_status fill_nodes(loom_session *session, loom_profile *profile, loom_arena *arena) {
    loom_profile_nodes *nodes = &session->profiling->nodes;
    loom_profile_nodes_finish(nodes);
    profile->nodes = loom_arena_array(arena, nodes->count, sizeof *profile->nodes);
    if (!profile->nodes) return LOOM_NO_MEMORY;
    for (; profile->node_count < nodes->count; profile->node_count++)
        if (!describe(session, &nodes->rows[profile->node_count], arena, &profile->nodes[profile->node_count]))
            return LOOM_NO_MEMORY;
    profile->nodes_left_out = nodes->left_out;
    profile->left_out_calls = nodes->left_out_calls;
    profile->left_out_ns = nodes->left_out_ns;
    return LOOM_OK;
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
    return fill_nodes(session, profile, arena);
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
    loom_profile_nodes_release(&profiling->nodes);
    free(profiling);
}
