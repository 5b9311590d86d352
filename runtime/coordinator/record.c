/* What the store remembers of a run: which result met which goal. So goals can be listed and pinned by name, and a
 * collection can keep what the last runs gave. A run that gave what is remembered already adds nothing. What operators
 * cost goes into the same batch, so that it needs no commit of its own. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/session.h"

#define LABEL_BYTES_MAX 200

typedef struct met_goal {
    const char *label;
    loom_id rkey;
    bool known; /* the newest record of this label names the same result */
} met_goal;

typedef struct met_goals {
    met_goal *goals;
    size_t count, at;
} met_goals;

static int by_label(const void *a, const void *b) {
    return strcmp(((const met_goal *)a)->label, ((const met_goal *)b)->label);
}

/* The results of this run's goals, by label; of two goals with one label the last. Constants have no result. */
static loom_status gather(const loom_session *session, met_goals *met) {
    size_t count = loom_plan_goal_count(session->plan);
    met->goals = loom_arena_array(session->arena, count, sizeof *met->goals);
    if (!met->goals) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const loom_goal_state *goal = &session->goals[i];
        const char *label = loom_plan_goal(session->plan, i)->name;
        if (goal->stage != LOOM_GOAL_MET || !label[0] || strlen(label) > LABEL_BYTES_MAX) continue;
        const loom_step *step = &session->graph.steps[loom_graph_resolve(&session->graph, goal->step)];
        if (step->has_rkey) met->goals[met->count++] = (met_goal){.label = label, .rkey = step->rkey};
    }
    if (met->count > 1) qsort(met->goals, met->count, sizeof *met->goals, by_label);
    size_t kept = 0;
    for (size_t i = 0; i < met->count; i++)
        if (i + 1 == met->count || strcmp(met->goals[i].label, met->goals[i + 1].label) != 0)
            met->goals[kept++] = met->goals[i];
    met->count = kept;
    return LOOM_OK;
}

/* Records come in order of label, then run: the last of a label is its newest. */
static bool compare_record(const loom_goal_record *record, void *context) {
    met_goals *met = context;
    while (met->at < met->count && strcmp(met->goals[met->at].label, record->label) < 0)
        met->at++;
    if (met->at == met->count) return false;
    met_goal *goal = &met->goals[met->at];
    if (strcmp(goal->label, record->label) == 0) goal->known = loom_id_equal(&goal->rkey, &record->rkey);
    return true;
}

static bool all_known(const met_goals *met) {
    for (size_t i = 0; i < met->count; i++)
        if (!met->goals[i].known) return false;
    return true;
}

static loom_status write_records(loom_session *session, const met_goals *met, loom_error *err) {
    loom_batch *batch;
    uint64_t run = 0;
    const char *program = loom_plan_goal(session->plan, 0)->position.file;
    LOOM_TRY(loom_store_begin(session->store, &batch, err));
    loom_status status = loom_batch_begin_run(batch, program && program[0] ? program : "plan", &run, err);
    for (size_t i = 0; i < met->count && status == LOOM_OK; i++)
        status = loom_batch_put_goal(batch, run, met->goals[i].label, &met->goals[i].rkey, err);
    if (status == LOOM_OK && session->costs) status = loom_costs_put(session->costs, session->store, batch, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

loom_status loom_record_goals(loom_session *session, loom_error *err) {
    met_goals met = {0};
    if (!session->goals || loom_store_in_memory(session->store)) return LOOM_OK;
    if (gather(session, &met) != LOOM_OK) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while ending the run");
    if (met.count == 0) return LOOM_OK;
    LOOM_TRY(loom_store_each_goal(session->store, compare_record, &met, err));
    return all_known(&met) ? LOOM_OK : write_records(session, &met, err);
}
