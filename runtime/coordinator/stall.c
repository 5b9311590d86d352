/* stall.c - what a run that does not get on waits for, told instead of silence. */
#include "runtime/coordinator/session.h"
#include "shm/segment/signs.h"
#include "shm/store/others.h"

#define OTHERS_NAMED 4
#define CHAIN_MAX 8

static void notice(const loom_session *session, const char *line) {
    if (session->options->notice) session->options->notice(line, session->options->context);
}

/* "vox1.near 3fa9b2c1 of p.imgql:3:5" */
static void describe(const loom_session *session, uint32_t step, char *text, size_t capacity) {
    loom_error place = {0};
    loom_describe_step(session, step, &place);
    if (place.line)
        snprintf(text, capacity, "%.160s of %.160s:%u:%u", place.node, place.file, place.line, place.column);
    else
        snprintf(text, capacity, "%.160s", place.node[0] ? place.node : "a node");
}

/* "processes 12, 34 use this store" */
static void describe_others(const loom_session *session, char *text, size_t capacity) {
    uint32_t pids[OTHERS_NAMED], count = loom_store_others(session->store, pids, OTHERS_NAMED);
    size_t used = (size_t)snprintf(text, capacity, "%s", count == 0 ? "" : count == 1 ? "; process" : "; processes");
    for (uint32_t i = 0; i < count && i < OTHERS_NAMED && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s %u", i ? "," : "", pids[i]);
    if (count && used < capacity)
        snprintf(text + used, capacity - used, "%s this store",
                 count == 1             ? " uses"
                 : count > OTHERS_NAMED ? ", ... use"
                                        : " use");
}

static void tell_worker(loom_session *session, uint32_t worker, const loom_slow_worker *slow) {
    char line[700], node[400], others[120] = "";
    const loom_task *task = loom_segment_task(session->segment, loom_segment_running(session->segment, worker));
    if (!task || task->cookie >= session->graph.step_count) return; /* it has just ended */
    describe(session, task->cookie, node, sizeof node);
    if (slow->waits) describe_others(session, others, sizeof others);
    snprintf(line, sizeof line, "worker %u (process %ld) has %s %s for %.0f s%s", worker,
             (long)loom_crew_pid(session->crew, worker), slow->waits ? "waited for another run to compute" : "run",
             node, slow->seconds, others);
    notice(session, line);
}

/* A task that nobody runs, of those that were handed out: LOOM_STEP_NONE if there is none. */
static uint32_t open_step(const loom_session *session) {
    for (uint32_t i = 0; i < session->graph.step_count; i++)
        if (session->graph.steps[i].state == LOOM_STEP_TASK) return i;
    return LOOM_STEP_NONE;
}

/* "no worker (process 12, 34) has run anything for a while, though 3 nodes can: vox1.near 3fa9b2c1 of p.imgql:3:5, ..."
 */
static void tell_idle(loom_session *session) {
    char line[700], node[400] = "", pids[160] = "";
    uint32_t open = open_step(session);
    size_t used = 0;
    if (open == LOOM_STEP_NONE) return;
    describe(session, open, node, sizeof node);
    for (uint32_t i = 0; i < session->workers && i < OTHERS_NAMED && used < sizeof pids; i++)
        used += (size_t)snprintf(pids + used, sizeof pids - used, "%s%ld", i ? ", " : "",
                                 (long)loom_crew_pid(session->crew, i));
    bool one = session->in_flight == 1;
    snprintf(
        line, sizeof line,
        "no worker (process%s %s%s) has run anything for a while, but %llu node%s wait%s for one: %s%s; see whether "
        "the processes are stopped",
        session->workers > 1 ? "es" : "", pids, session->workers > OTHERS_NAMED ? ", ..." : "",
        (unsigned long long)session->in_flight, one ? "" : "s", one ? "s" : "", node, one ? "" : ", ...");
    notice(session, line);
}

void loom_tell_stalls(loom_session *session) {
    loom_slow_worker slow;
    for (uint32_t i = 0; i < session->workers; i++)
        if (loom_watch_is_slow(session->watch, i, &slow)) tell_worker(session, i, &slow);
    if (!loom_watch_is_idle(session->watch) || session->in_flight == 0) return;
    if (session->config->workers.notice_s) tell_idle(session);
    loom_segment_search_again(session->segment);
}

/* The first argument that the step still waits for; LOOM_STEP_NONE if none is known. */
static uint32_t waits_for(const loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        if (session->graph.steps[argument].state < LOOM_STEP_DONE) return argument;
    }
    return LOOM_STEP_NONE;
}

loom_status loom_no_progress(const loom_session *session, loom_error *err) {
    static const char *const states[] = {"items not known", "waiting", "not asked for", "handed out", "done", "failed"};
    const loom_goal_state *goal = &session->goals[session->goals_met];
    uint32_t index = loom_graph_resolve(&session->graph, goal->stage == LOOM_GOAL_WRITING ? goal->write : goal->step);
    char chain[1000] = "", node[400];
    size_t used = 0;
    loom_describe_step(session, index, err);
    for (int i = 0; i < CHAIN_MAX && index != LOOM_STEP_NONE && used < sizeof chain; i++) {
        const loom_step *step = &session->graph.steps[index];
        describe(session, index, node, sizeof node);
        used += (size_t)snprintf(chain + used, sizeof chain - used, "\n  %.200s (%s, waits for %u)", node,
                                 states[step->state], step->waits);
        index = waits_for(session, index);
    }
    return loom_fail(err, LOOM_INTERNAL, "no progress is possible: goal %u waits and nothing runs; please report it%s",
                     session->goals_met + 1, chain);
}
