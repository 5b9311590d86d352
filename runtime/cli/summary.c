/* summary.c - the closing lines of a run. */
#include "runtime/cli/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/human.h"
#include "runtime/report.h"
#include "runtime/report_profile.h"

/* More would scroll the cause off the screen; the JSON file has them all. */
static const size_t failures_shown_max = 10;
static const size_t failures_looked_at_max = 1000;

static bool same_cause(const loom_failure *a, const loom_failure *b) {
    return a->cause_bytes == b->cause_bytes && memcmp(a->error.message, b->error.message, a->cause_bytes) == 0;
}

/* A full disk fails many nodes for one reason, which is told once, whatever items and calls they belong to. */
static bool told_before(const loom_summary *summary, size_t index) {
    const loom_failure *failure = &summary->failures[index];
    for (size_t i = 0; i < index; i++) {
        const loom_failure *told = &summary->failures[i];
        if (failure->error.status == LOOM_NO_SPACE && same_cause(told, failure)) return true;
        if (strcmp(told->error.message, failure->error.message) == 0) return true;
    }
    return false;
}

void loom_summary_print_failures(const loom_summary *summary, FILE *out) {
    size_t shown = 0, seen = summary->failure_count;
    if (seen > failures_looked_at_max) seen = failures_looked_at_max;
    for (size_t i = 0; i < seen && shown < failures_shown_max; i++) {
        if (told_before(summary, i)) continue;
        loom_error_print(&summary->failures[i].error, out);
        shown++;
    }
    if (summary->failure_count > shown)
        fprintf(out, "... and %zu more failures; --summary FILE.json lists all\n", summary->failure_count - shown);
    for (size_t i = 0; i < summary->goal_count; i++) {
        const loom_goal_report *goal = &summary->goals[i];
        if (strcmp(goal->status, "ok") != 0) fprintf(out, "not done: %s \"%s\"\n", goal->operation, goal->name);
    }
}

void loom_summary_print(const loom_summary *summary, FILE *out) {
    char seconds[LOOM_HUMAN_BYTES], written[LOOM_HUMAN_BYTES], rss[LOOM_HUMAN_BYTES];
    loom_summary_print_failures(summary, out);
    fprintf(out, "%" PRIu64 " nodes: %" PRIu64 " computed", summary->nodes, summary->computed);
    if (summary->fused > 0)
        fprintf(out, " (%" PRIu64 " in %" PRIu64 " fused pass%s", summary->fused, summary->passes,
                summary->passes > 1 ? "es" : "");
    if (summary->swept > 0)
        fprintf(out, ", of them %" PRIu64 " sweep%s of %" PRIu64 " volumes", summary->sweeps,
                summary->sweeps > 1 ? "s" : "", summary->swept);
    if (summary->fused > 0) fputc(')', out);
    fprintf(out, ", %" PRIu64 " from store", summary->reused);
    if (summary->failed > 0) fprintf(out, ", %" PRIu64 " failed", summary->failed);
    fprintf(out, "; %s", loom_human_seconds(summary->seconds, seconds));
    if (summary->workers > 0)
        fprintf(out, " with %" PRIu32 " worker%s", summary->workers, summary->workers > 1 ? "s" : "");
    fprintf(out, "; %s written", loom_human_bytes(summary->bytes_written, written));
    if (summary->ring != NULL && summary->bytes_written > 0) fprintf(out, " (%s)", summary->ring);
    fprintf(out, "; peak %s; store %s\n", loom_human_bytes(summary->peak_rss_bytes, rss),
            summary->store != NULL ? summary->store : "-");
    if (summary->held_back > 0) {
        char peak[LOOM_HUMAN_BYTES], budget[LOOM_HUMAN_BYTES];
        fprintf(out, "memory: tasks were held back %" PRIu64 " times; peak %s committed of %s (memory.budget)\n",
                summary->held_back, loom_human_bytes(summary->memory_peak_bytes, peak),
                loom_human_bytes(summary->memory_budget_bytes, budget));
    }
    if (summary->irreproducible > 0)
        fprintf(out,
                "warning: %" PRIu64 " results differ from what is stored under their keys; the stored ones were kept\n",
                summary->irreproducible);
    if (summary->worker_deaths > 0)
        fprintf(out, "warning: %" PRIu32 " worker%s died and %s replaced\n", summary->worker_deaths,
                summary->worker_deaths > 1 ? "s" : "", summary->worker_deaths > 1 ? "were" : "was");
}

static loom_status write_whole(const char *path, const char *what, const loom_buffer *bytes, loom_error *err) {
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary)
        return loom_fail(err, LOOM_BAD_USAGE, "--%s: the path is longer than a path can be", what);
    FILE *file = fopen(temporary, "wbe");
    if (file == NULL) return loom_fail_errno(err, errno, "cannot write the %s %s", what, path);
    bool written = fwrite(bytes->bytes, 1, bytes->length, file) == bytes->length;
    int cause = errno;
    if (fclose(file) != 0 && written) {
        written = false;
        cause = errno;
    }
    if (written && rename(temporary, path) == 0) return LOOM_OK;
    if (written) cause = errno;
    unlink(temporary);
    return loom_fail_errno(err, cause, "cannot write the %s %s", what, path);
}

loom_status loom_summary_save(const loom_summary *summary, const char *path, loom_error *err) {
    loom_buffer json = {0};
    loom_status status = loom_report_write(summary, &json, err);
    if (status == LOOM_OK) status = write_whole(path, "summary", &json, err);
    loom_buffer_free(&json);
    return status;
}

loom_status loom_summary_save_profile(const loom_summary *summary, const char *path, loom_error *err) {
    loom_buffer json = {0};
    loom_status status = loom_profile_write(summary->profile, &json, err);
    if (status == LOOM_OK) status = write_whole(path, "profile", &json, err);
    loom_buffer_free(&json);
    return status;
}
