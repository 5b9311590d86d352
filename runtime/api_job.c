/* api_job.c - <voxloom.h>: runs in threads of their own, and the values that they leave. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/api.h"
#include "runtime/coordinator/keep.h"
#include "runtime/program.h"
#include "runtime/store_api.h"

/* What a job leaves, shared by the job and the items that came out of it; the last one ends it. */
typedef struct leftovers {
    atomic_uint users;
    loom_kept kept;
} leftovers;

struct loom_job {
    loom_runtime *runtime;
    loom_job_options options;
    loom_plan *plan;
    char *text; /* of a program; positions in messages name its file */
    leftovers *left;
    atomic_int stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by the lock, all below; once `ended`, they change no more */
    bool ended;
    loom_job_progress progress;
    loom_status status;
    loom_error error;
    loom_report *report;
};

/* ---- what is left ---- */

static void drop(void *context) {
    leftovers *left = context;
    /* acq_rel: whoever is last sees what the others did with the values */
    if (atomic_fetch_sub_explicit(&left->users, 1, memory_order_acq_rel) != 1) return;
    loom_kept_release(&left->kept);
    free(left);
}

static leftovers *share(leftovers *left) {
    atomic_fetch_add_explicit(&left->users, 1, memory_order_relaxed); /* the caller's own use keeps it alive */
    return left;
}

/* ---- the thread ---- */

static void note_progress(const loom_progress *progress, void *context) {
    loom_job *job = context;
    const loom_job_progress now = {.size = sizeof now,
                                   .nodes_total = progress->nodes_total,
                                   .nodes_done = progress->nodes_done,
                                   .nodes_reused = progress->nodes_reused,
                                   .bytes_written = progress->bytes_written,
                                   .workers = progress->workers,
                                   .workers_busy = progress->workers_busy,
                                   .seconds = progress->seconds};
    pthread_mutex_lock(&job->lock);
    job->progress = now;
    pthread_mutex_unlock(&job->lock);
    if (job->options.progress != NULL) job->options.progress(&now, job->options.context);
}

static void pass_notice(const char *line, void *context) {
    const loom_job *job = context;
    if (job->options.notice != NULL) job->options.notice(line, job->options.context);
}

static void *run_job(void *context) {
    loom_job *job = context;
    loom_error err = {.status = LOOM_OK};
    loom_report *report = NULL;
    loom_run_options options = {.plan = job->plan,
                                .prints = job->options.prints,
                                .progress = note_progress,
                                .notice = pass_notice,
                                .context = job,
                                .kept = &job->left->kept,
                                .stop = &job->stop};
    loom_status status = loom_api_run(job->runtime, &options, &report, &err);
    pthread_mutex_lock(&job->lock);
    job->status = status;
    job->error = err;
    job->report = report;
    job->ended = true;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    return NULL;
}

/* Signals are for the host's threads. Workers and watchers are started from this thread and inherit that. */
static int start_thread(loom_job *job) {
    sigset_t all, before;
    sigfillset(&all);
    int failed = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failed != 0) return failed;
    failed = pthread_create(&job->thread, NULL, run_job, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* ---- submitting ---- */

static void free_job(loom_job *job) {
    loom_plan_free(job->plan);
    loom_report_free(job->report);
    free(job->text);
    free(job);
}

static loom_status start(loom_job *job, loom_error *err) {
    pthread_condattr_t clock;
    job->left = calloc(1, sizeof *job->left);
    if (job->left == NULL) return loom_api_exhausted(err);
    atomic_init(&job->left->users, 1);
    int failed = pthread_condattr_init(&clock);
    if (failed == 0) failed = pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    if (failed == 0) failed = pthread_cond_init(&job->changed, &clock);
    if (failed == 0) failed = pthread_mutex_init(&job->lock, NULL);
    if (failed == 0) failed = start_thread(job);
    if (failed == 0) return LOOM_OK;
    free(job->left);
    return loom_fail_errno(err, failed, "cannot start a thread for the job");
}

/* Takes plan and text over. */
static loom_status submit(loom_runtime *runtime, loom_plan *plan, char *text, const loom_job_options *options,
                          loom_job **job, loom_error *err) {
    loom_job_options known = {.size = sizeof known};
    loom_status status = LOOM_OK;
    *job = NULL;
    if (options != NULL) status = loom_copy_in("loom_job_options", options, &known, sizeof known, sizeof known, err);
    loom_job *made = status == LOOM_OK ? calloc(1, sizeof *made) : NULL;
    if (status == LOOM_OK && made == NULL) status = loom_api_exhausted(err);
    if (status != LOOM_OK) {
        loom_plan_free(plan);
        free(text);
        return status;
    }
    *made = (loom_job){.runtime = runtime, .options = known, .plan = plan, .text = text};
    status = start(made, err);
    if (status == LOOM_OK)
        *job = made;
    else
        free_job(made);
    return status;
}

static loom_status submit_program(loom_runtime *runtime, const char *source, char *text, size_t length,
                                  const loom_job_options *options, loom_job **job, loom_error *err) {
    loom_plan *plan = NULL;
    loom_status status = loom_program_plan(runtime->operators, source, text, length, NULL, NULL, &plan, err);
    if (status == LOOM_OK) return submit(runtime, plan, text, options, job, err);
    free(text);
    return status;
}

loom_status loom_runtime_submit_text(loom_runtime *runtime, const char *source, const char *text, size_t length,
                                     const loom_job_options *options, loom_job **job, loom_error *err) {
    *job = NULL;
    char *copy = malloc(length + 1);
    if (copy == NULL) return loom_api_exhausted(err);
    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    return submit_program(runtime, source, copy, length, options, job, err);
}

loom_status loom_runtime_submit_file(loom_runtime *runtime, const char *path, const loom_job_options *options,
                                     loom_job **job, loom_error *err) {
    char *text = NULL;
    size_t length = 0;
    *job = NULL;
    LOOM_TRY(loom_program_read(path, &text, &length, err));
    return submit_program(runtime, path, text, length, options, job, err);
}

loom_status loom_runtime_submit_builder(loom_runtime *runtime, loom_builder *builder, const loom_job_options *options,
                                        loom_job **job, loom_error *err) {
    return submit(runtime, loom_builder_take(builder), NULL, options, job, err);
}

/* ---- waiting ---- */

static struct timespec deadline_of(int64_t timeout_ms) {
    struct timespec at = {0};
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t longest = INT64_C(1000) * 1000 * 1000 * 1000; /* 30 years: what is longer cannot be told from no limit */
    if (timeout_ms > longest) timeout_ms = longest;
    at.tv_sec += (time_t)(timeout_ms / 1000);
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

loom_status loom_job_wait(loom_job *job, int64_t timeout_ms, loom_error *err) {
    const struct timespec deadline = deadline_of(timeout_ms > 0 ? timeout_ms : 0);
    int timed_out = 0;
    pthread_mutex_lock(&job->lock);
    while (!job->ended && timed_out != ETIMEDOUT)
        timed_out = timeout_ms < 0 ? pthread_cond_wait(&job->changed, &job->lock)
                                   : pthread_cond_timedwait(&job->changed, &job->lock, &deadline);
    loom_status status = job->ended ? job->status : LOOM_BUSY;
    if (job->ended && status != LOOM_OK && err != NULL) *err = job->error;
    pthread_mutex_unlock(&job->lock);
    return status;
}

loom_status loom_job_poll(loom_job *job, loom_job_progress *progress) {
    pthread_mutex_lock(&job->lock);
    loom_status status = job->ended ? job->status : LOOM_BUSY;
    loom_job_progress now = job->progress;
    pthread_mutex_unlock(&job->lock);
    if (progress == NULL) return status;
    loom_status copied = loom_copy_out("loom_job_progress", progress, &now, sizeof now, sizeof now, NULL);
    return copied == LOOM_OK ? status : copied;
}

void loom_job_cancel(loom_job *job) {
    /* relaxed, as below: it says no more than itself. Two at once count as two. */
    if (atomic_load_explicit(&job->stop, memory_order_relaxed) < 2)
        atomic_fetch_add_explicit(&job->stop, 1, memory_order_relaxed);
}

const char *loom_job_report_json(loom_job *job) {
    pthread_mutex_lock(&job->lock);
    const loom_report *report = job->ended ? job->report : NULL;
    pthread_mutex_unlock(&job->lock);
    return report != NULL ? loom_report_json(report) : NULL;
}

void loom_job_free(loom_job *job) {
    if (job == NULL) return;
    atomic_store_explicit(&job->stop, 2, memory_order_relaxed);
    pthread_join(job->thread, NULL);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->changed);
    drop(job->left);
    free_job(job);
}

/* ---- results ---- */

static loom_status check_ended(loom_job *job, loom_error *err) {
    pthread_mutex_lock(&job->lock);
    bool ended = job->ended;
    pthread_mutex_unlock(&job->lock);
    return ended ? LOOM_OK : loom_fail(err, LOOM_BUSY, "the job still runs; wait for it (loom_job_wait)");
}

/* The last goal of that name; SIZE_MAX if there is none. */
static size_t goal_named(const loom_plan *plan, const char *name) {
    for (size_t i = loom_plan_goal_count(plan); i > 0; i--)
        if (strcmp(loom_plan_goal(plan, i - 1)->name, name) == 0) return i - 1;
    return SIZE_MAX;
}

/* Whoever asks again gets the same answer: the job has ended. */
static loom_status why_not_met(loom_job *job, const char *name, loom_error *err) {
    if (job->status != LOOM_OK) {
        if (err != NULL) *err = job->error;
        return job->status;
    }
    return loom_fail(err, LOOM_INTERNAL, "the goal \"%.100s\" has no value; please report it", name);
}

loom_status loom_job_result(loom_job *job, const char *name, loom_item **item, loom_error *err) {
    *item = NULL;
    if (name == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "the result of no goal was asked for");
    LOOM_TRY(check_ended(job, err));
    size_t index = goal_named(job->plan, name);
    if (index == SIZE_MAX) return loom_fail(err, LOOM_NOT_FOUND, "the job has no goal \"%.100s\"", name);
    const loom_kept *kept = &job->left->kept;
    if (index >= kept->count || !kept->goals[index].met) return why_not_met(job, name, err);
    const loom_kept_goal *goal = &kept->goals[index];
    const loom_result known = {.rkey = goal->rkey,
                               .vid = goal->vid,
                               .type = goal->value.type,
                               .node = loom_plan_node(job->plan, loom_plan_goal(job->plan, index)->node)->id};
    loom_arena *arena = loom_arena_new();
    leftovers *left = share(job->left);
    *item = arena != NULL ? loom_item_of(&goal->value, &known, arena, drop, left) : NULL;
    if (*item != NULL) return LOOM_OK;
    loom_arena_free(arena);
    drop(left);
    return loom_api_exhausted(err);
}

loom_status loom_job_fetch(loom_job *job, const uint8_t value_id[32], loom_item **item, loom_error *err) {
    *item = NULL;
    LOOM_TRY(check_ended(job, err));
    if (job->left->kept.store == NULL) return loom_fail(err, LOOM_NOT_FOUND, "the job ended before it had results");
    const loom_id vid = loom_id_of(value_id);
    leftovers *left = share(job->left);
    loom_status status = loom_item_fetch(job->left->kept.store, &vid, drop, left, item, err);
    if (status == LOOM_OK) return LOOM_OK;
    drop(left);
    return status == LOOM_NOT_FOUND ? loom_fail(err, status, "no such result is in the store of this job") : status;
}
