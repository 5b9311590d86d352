/* The loop of a run: do what can be done, take what workers report, meet goals, sleep until something happens. */
#include "runtime/coordinator/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "planner/check.h"
#include "runtime/coordinator/keep.h"
#include "runtime/coordinator/loop.h"
#include "runtime/coordinator/session.h"
#include "runtime/coordinator/sweep.h"
#include "runtime/kernels/native.h"
#include "runtime/program.h"
#include "runtime/store_settings.h"
#include "runtime/topology.h"
#include "shm/platform_array.h"

#define TICK_MS 100

static double now_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9 : 0;
}

static int stop_asked(const loom_session *session) {
    /* relaxed: nothing else is concluded from it */
    return session->options->stop ? atomic_load_explicit(session->options->stop, memory_order_relaxed) : 0;
}

/* ---- opening and closing ---- */

static loom_status open_store(loom_session *session, loom_error *err) {
    bool quiet = session->preview && strcmp(session->config->store.path, ":memory:") != 0;
    const loom_store_access access = {.create = !quiet, .read_only = quiet, .writers = session->workers};
    return loom_store_open_configured(session->config, &access, &session->store, err);
}

static loom_status find_workers(loom_session *session, loom_error *err) {
    uint64_t count = session->config->workers.count;
    if (count == 0)
        LOOM_TRY(loom_topology_usable_cores(&session->workers, err));
    else
        session->workers = count < LOOM_WORKERS_MAX ? (uint32_t)count : LOOM_WORKERS_MAX;
    if (session->workers > LOOM_WORKERS_MAX) session->workers = LOOM_WORKERS_MAX;
    return LOOM_OK;
}

/* What will fail for certain is told before anything runs, with its line. */
static loom_status check_plan(loom_plan *plan, loom_error *err) {
    loom_status status = loom_plan_check(plan, loom_operator_check_native, true, err);
    if (status != LOOM_OK && err) loom_program_quote(err);
    return status;
}

loom_status loom_session_open(loom_session *session, const loom_run_options *options, loom_preview *preview,
                              loom_error *err) {
    *session = (loom_session){.options = options,
                              .preview = preview,
                              .config = options->config,
                              .plan = options->plan,
                              .operators = loom_plan_operators(options->plan),
                              .program_domain = LOOM_STEP_NONE,
                              .brake = {.beyond = LOOM_STEP_NONE}};
    session->facts = loom_facts_new(options->plan);
    session->hasher = loom_hasher_new();
    session->arena = loom_arena_new();
    session->scratch = loom_arena_new();
    if (!session->facts || !session->hasher || !session->arena || !session->scratch ||
        loom_graph_init(&session->graph) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting the run");
    LOOM_TRY(check_plan(options->plan, err));
    LOOM_TRY(find_workers(session, err));
    LOOM_TRY(open_store(session, err));
    if (!preview) loom_cold_thread_start(session->store, &session->cold);
    return LOOM_OK;
}

void loom_session_close(loom_session *session) {
    loom_cold_thread_stop(session->cold);
    loom_crew_stop(session->crew);
    loom_watch_free(session->watch);
    loom_committer_stop(session->committer);
    loom_profiling_close(session->profiling);
    loom_extent_writer_close(session->writer);
    for (uint32_t i = 0; i < session->hold_count; i++)
        loom_store_unhold(session->store, &session->holds[i]);
    for (uint32_t i = 0; i < session->graph.step_count; i++)
        loom_unhold_step(session, i);
    loom_costs_free(session->costs);
    loom_brake_free(&session->brake);
    loom_levels_free(&session->levels);
    loom_segment_close(session->segment);
    loom_seats_release(&session->seats);
    if (!session->options->kept || session->options->kept->store != session->store) loom_store_close(session->store);
    loom_facts_free(session->facts);
    loom_hasher_free(session->hasher);
    loom_arena_free(session->arena);
    loom_arena_free(session->scratch);
    loom_loops_release(session);
    loom_memo_release(&session->audited);
    loom_sweeps_free(session);
    loom_memo_release(&session->picked_sources);
    free(session->picked_values);
    loom_graph_release(&session->graph);
    loom_memo_release(&session->lowered);
    loom_array_free(session->lowered_closed, session->lowered_closed_capacity * sizeof *session->lowered_closed);
    loom_memo_release(&session->twins);
    loom_memo_release(&session->domains);
    loom_memo_release(&session->expanded);
    loom_memo_release(&session->gathered);
    free(session->expansions);
    free(session->shapes);
    free(session->places);
    free(session->work);
    free(session->submission.roots);
    free(session->submission.stack);
    free(session->ending);
    free(session->late);
    free(session->goals);
    free(session->failures);
    free(session->condemned);
    free(session->withdrawn);
    free(session->holds);
}

/* ---- the loop ---- */

static uint64_t bytes_written(const loom_session *session) {
    uint64_t sum = 0;
    for (uint32_t i = 0; session->segment && i < session->workers; i++)
        sum += atomic_load_explicit(&loom_segment_counters(session->segment, i)->bytes_written, memory_order_relaxed);
    return sum;
}

static uint64_t parts_helped(const loom_session *session) {
    uint64_t sum = 0;
    for (uint32_t i = 0; session->segment && i < session->workers; i++)
        sum += atomic_load_explicit(&loom_segment_counters(session->segment, i)->parts_helped, memory_order_relaxed);
    return sum;
}

static void report_progress(loom_session *session, double start) {
    loom_profiling_drain(session);
    if (session->crew) {
        uint64_t rss, anonymous;
        loom_watch_look(session->watch);
        loom_tell_stalls(session);
        loom_crew_memory(session->crew, &rss, &anonymous);
    }
    if (!session->options->progress) return;
    loom_progress progress = {.nodes_total = session->graph.operators,
                              .nodes_done = session->done,
                              .nodes_reused = session->reused,
                              .bytes_written = bytes_written(session),
                              .workers = session->crew ? session->workers : 0,
                              .seconds = now_seconds() - start};
    for (uint32_t i = 0; session->crew && i < session->workers; i++)
        progress.workers_busy += loom_segment_running(session->segment, i) != LOOM_TASK_NONE;
    session->options->progress(&progress, session->options->context);
}

/* What is not needed any more makes room for what is to be submitted. */
static loom_status make_room(loom_session *session, loom_error *err) {
    if (loom_release_late(session) != LOOM_OK || loom_release_withdrawn(session) != LOOM_OK ||
        loom_release_stored(session) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while results came in");
    return loom_submit_more(session, err);
}

#define REPORTS_AT_ONCE 256u /* then tasks are submitted in the places of those that ended */

static loom_status take_reports(loom_session *session, loom_error *err) {
    uint32_t number, taken = 0;
    loom_death death;
    while (session->segment && loom_completion_pop(session->segment, &number)) {
        LOOM_TRY(loom_complete(session, number, err));
        LOOM_TRY(loom_work_drain(session, err));
        if (++taken % REPORTS_AT_ONCE == 0) LOOM_TRY(make_room(session, err));
    }
    LOOM_TRY(make_room(session, err));
    while (session->crew && loom_crew_next_death(session->crew, &death))
        LOOM_TRY(loom_bury(session, &death, err));
    loom_fail_condemned(session);
    return LOOM_OK;
}

/* After a failure what is independent of it is still computed, so that the next run has only the failed part to do; not
 * where there is no room for it. */
static bool others_may_complete(const loom_session *session) {
    return session->failure_count > 0 && session->in_flight > 0 && !session->out_of_space;
}

static bool is_over(const loom_session *session, size_t goals) {
    if (session->options->audit) return loom_audit_is_over(session);
    return session->goals_met == goals && !others_may_complete(session);
}

static loom_status drive(loom_session *session, double start, loom_error *err) {
    size_t goals = loom_plan_goal_count(session->plan);
    double last_tick = start;
    for (;;) {
        LOOM_TRY(loom_work_drain(session, err));
        LOOM_TRY(take_reports(session, err));
        loom_brake_release(session);
        if (session->segment && loom_segment_take_space_wanted(session->segment))
            (void)loom_committer_hurry(session->committer);
        LOOM_TRY(loom_goals_advance(session, err));
        if (is_over(session, goals)) return LOOM_OK;
        if (stop_asked(session)) return loom_fail(err, LOOM_CANCELLED, "stopped on request; what was finished is kept");
        if (session->work_count > 0) continue;
        LOOM_TRY(loom_sweeps_begin(session, err));
        if (session->in_flight == 0 && session->committing > 0) {
            (void)loom_committer_hurry(session->committer); /* loops go on when the items before are stored */
        } else if (session->in_flight == 0 && loom_submission_is_over(session)) {
            uint32_t before = session->goals_met;
            LOOM_TRY(loom_goals_advance(session, err));
            if (session->goals_met == before && session->in_flight == 0 && session->work_count == 0)
                return loom_no_progress(session, err);
            continue;
        }
        loom_completion_wait(session->segment, TICK_MS);
        double now = now_seconds();
        if (now - last_tick >= TICK_MS * 1e-3) {
            last_tick = now;
            report_progress(session, start);
        }
    }
}

/* Workers finish the kernels they run and end; what they finished is stored. A second request to stop kills them. */
static loom_status wind_down(loom_session *session, loom_error *err) {
    uint32_t number;
    loom_status status = LOOM_OK;
    if (!session->segment) return LOOM_OK;
    loom_segment_stop(session->segment);
    bool ended = !session->crew;
    while (status == LOOM_OK) {
        while (status == LOOM_OK && loom_completion_pop(session->segment, &number))
            status = loom_complete(session, number, err);
        if (ended) break;
        if (stop_asked(session) > 1) loom_crew_kill(session->crew);
        loom_completion_wait(session->segment, TICK_MS);
        loom_watch_look(session->watch);
        loom_recover_last(session);
        ended = loom_crew_ended(session->crew); /* asked before the last look at the rings */
    }
    if (!ended) loom_crew_kill(session->crew);
    if (!session->committer) return status;
    loom_status stored = loom_committer_flush(session->committer, status == LOOM_OK ? err : NULL);
    return status == LOOM_OK ? stored : status;
}

/* ---- the summary ---- */

static void fill_summary(loom_session *session, loom_summary *summary, double start) {
    struct rusage self;
    summary->nodes = session->graph.operators;
    summary->computed = session->computed;
    summary->reused = session->reused;
    summary->failed = session->failed;
    summary->fused = session->fused;
    summary->passes = session->passes;
    summary->swept = session->swept;
    summary->sweeps = session->sweep_passes;
    summary->steps_peak = session->graph.step_count;
    if (session->ring) summary->ring = session->ring;
    summary->workers = session->crew ? session->workers : 0;
    summary->worker_deaths = session->deaths;
    summary->bytes_written = bytes_written(session);
    summary->parts_helped = parts_helped(session);
    if (session->segment) {
        summary->segment_bytes = loom_segment_used_bytes(session->segment);
        summary->segment_tasks = loom_segment_task_count(session->segment);
        summary->memory_budget_bytes = loom_segment_budget(session->segment);
        summary->memory_peak_bytes = loom_segment_committed_peak(session->segment);
        summary->held_back = session->brake.times;
    }
    if (session->crew) loom_crew_memory(session->crew, &summary->peak_rss_bytes, &summary->peak_anon_bytes);
    if (getrusage(RUSAGE_SELF, &self) == 0 && (uint64_t)self.ru_maxrss * 1024 > summary->peak_rss_bytes)
        summary->peak_rss_bytes = (uint64_t)self.ru_maxrss * 1024;
    const char *path = session->store ? loom_store_path(session->store) : session->config->store.path;
    summary->store = loom_arena_text(summary->arena, path, strlen(path));
    summary->seconds = now_seconds() - start;
}

static void report_differences(loom_session *session, loom_summary *summary) {
    loom_error first = {0};
    summary->irreproducible = loom_committer_irreproducible(session->committer, &first);
    if (!summary->irreproducible || !session->options->notice) return;
    char line[600];
    snprintf(
        line, sizeof line,
        "warning: %llu results differ from what is stored under their keys (kept as stored); the first: %.100s: %.300s",
        (unsigned long long)summary->irreproducible, first.node, first.message);
    session->options->notice(line, session->options->context);
}

/* The first goal that failed decides how the run ended. */
static loom_status verdict(const loom_session *session, loom_error *err) {
    for (size_t i = 0; i < loom_plan_goal_count(session->plan); i++) {
        if (session->goals[i].stage != LOOM_GOAL_FAILED) continue;
        *err = session->failures[session->goals[i].failure].error;
        return err->status;
    }
    return LOOM_OK;
}

loom_status loom_run(const loom_run_options *options, loom_summary *summary, loom_error *err) {
    loom_error unused = {0};
    if (!err) err = &unused;
    *summary = (loom_summary){.arena = loom_arena_new(), .store = "", .ring = ""};
    if (!summary->arena) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting the run");
    double start = now_seconds();
    loom_session session;
    loom_status status = loom_session_open(&session, options, NULL, err);
    if (status == LOOM_OK) status = loom_profiling_open(&session, (uint64_t)(start * 1e9), err);
    if (status == LOOM_OK) status = options->audit ? loom_audit_start(&session, err) : loom_goals_start(&session, err);
    summary->plan_seconds = now_seconds() - start;
    if (status == LOOM_OK) status = drive(&session, start, err);
    loom_error late = {0};
    loom_status ended = wind_down(&session, status == LOOM_OK ? err : &late);
    if (status == LOOM_OK) status = ended;
    if (status == LOOM_OK && options->audit) loom_audit_finish(&session);
    if (status == LOOM_OK && !options->audit) status = loom_record_goals(&session, err);
    if (options->kept && session.goals) { /* whatever failed: independent goals were met */
        loom_status kept = loom_keep_goals(&session, status == LOOM_OK ? err : &late);
        if (status == LOOM_OK) status = kept;
    }
    if (session.committer) report_differences(&session, summary);
    fill_summary(&session, summary, start);
    loom_status profiled = loom_profiling_finish(&session, summary, status == LOOM_OK ? err : &late);
    if (status == LOOM_OK) status = profiled;
    if (loom_goals_report(&session, summary) != LOOM_OK && status == LOOM_OK) status = LOOM_NO_MEMORY;
    if (status == LOOM_OK) status = verdict(&session, err);
    loom_session_close(&session);
    return status;
}

void loom_summary_free(loom_summary *summary) {
    loom_arena_free(summary->arena);
    *summary = (loom_summary){0};
}
