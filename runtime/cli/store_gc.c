/* store_gc.c - `voxloom store gc`: what nobody needs goes away, and its space back to the file system. */
#include <inttypes.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "shm/care/admin.h"

typedef struct gc_request {
    bool dry_run;
    const char *older, *keep;
} gc_request;

static void print_part(const char *what, uint64_t rows, uint64_t bytes) {
    char text[LOOM_HUMAN_BYTES];
    if (rows > 0) printf("  %-34s %10" PRIu64 "  %9s\n", what, rows, loom_human_bytes(bytes, text));
}

static void print_gc(const gc_request *request, const loom_gc_report *report) {
    char text[LOOM_HUMAN_BYTES];
    puts(request->dry_run ? "would be freed (nothing was changed):" : "freed:");
    print_part("expired", report->expired_rows, report->expired_bytes);
    print_part("old, or of no kept goal", report->old_rows, report->old_bytes);
    print_part("evicted to meet the budget", report->evicted_rows, report->evicted_bytes);
    print_part("compressed, bytes saved", report->compressed_rows, report->compressed_saved_bytes);
    if (report->pinned_rows > 0) printf("  %-34s %10" PRIu64 "\n", "kept because pinned", report->pinned_rows);
    if (report->held_rows > 0) printf("  %-34s %10" PRIu64 "\n", "kept because in use", report->held_rows);
    if (report->unowned_bytes > 0)
        printf("  %-34s %10s  %9s\n", "unowned space", "", loom_human_bytes(report->unowned_bytes, text));
    if (report->unowned_kept)
        puts("  unowned space stays while other processes use the store: run gc again when they have ended");
    printf("  %-34s %10s  %9s\n", "disk space", "", loom_human_bytes(report->freed_bytes, text));
}

static loom_status print_gc_json(const gc_request *request, const loom_gc_report *report, loom_error *err) {
    loom_json_line line = {.failed = false};
    loom_line_bool(&line, "dry_run", request->dry_run);
    loom_line_count(&line, "expired_results", report->expired_rows);
    loom_line_count(&line, "expired_bytes", report->expired_bytes);
    loom_line_count(&line, "old_results", report->old_rows);
    loom_line_count(&line, "old_bytes", report->old_bytes);
    loom_line_count(&line, "evicted_results", report->evicted_rows);
    loom_line_count(&line, "evicted_bytes", report->evicted_bytes);
    loom_line_count(&line, "pinned_results", report->pinned_rows);
    loom_line_count(&line, "held_results", report->held_rows);
    loom_line_count(&line, "compressed_results", report->compressed_rows);
    loom_line_count(&line, "compressed_saved_bytes", report->compressed_saved_bytes);
    loom_line_count(&line, "unowned_bytes", report->unowned_bytes);
    loom_line_bool(&line, "unowned_kept", report->unowned_kept);
    loom_line_count(&line, "freed_bytes", report->freed_bytes);
    return loom_line_print(&line, stdout, err);
}

/* The question says what would go, so it is asked after a rehearsal. */
static loom_status confirm_gc(loom_store_job *job, const loom_gc_options *options, loom_error *err) {
    if (job->yes) return LOOM_OK;
    loom_gc_options rehearsal = *options;
    loom_gc_report report;
    char text[LOOM_HUMAN_BYTES];
    rehearsal.dry_run = true;
    LOOM_TRY(loom_store_gc(job->store, &rehearsal, &report, err));
    loom_store_progress_clear(job);
    if (report.old_rows + report.expired_rows + report.evicted_rows == 0) return LOOM_OK;
    return loom_store_confirm(job, err, "remove %" PRIu64 " results of %s?",
                              report.old_rows + report.expired_rows + report.evicted_rows,
                              loom_human_bytes(report.old_bytes + report.expired_bytes + report.evicted_bytes, text));
}

static loom_status collect(loom_store_job *job, void *context, loom_error *err) {
    gc_request *request = context;
    loom_gc_options options = {
        .dry_run = request->dry_run, .keep_goals = UINT64_MAX, .progress = loom_store_progress_show, .context = job};
    loom_gc_report report;
    if (request->older != NULL)
        LOOM_TRY(loom_store_option_time("--older-than", request->older, &options.older_than_s, err));
    if (request->keep != NULL)
        LOOM_TRY(loom_store_option_count("--keep-goals", request->keep, &options.keep_goals, err));
    if (!request->dry_run && (request->older != NULL || request->keep != NULL))
        LOOM_TRY(confirm_gc(job, &options, err));
    LOOM_TRY(loom_store_gc(job->store, &options, &report, err));
    loom_store_progress_clear(job);
    if (job->json) return print_gc_json(request, &report, err);
    print_gc(request, &report);
    return LOOM_OK;
}

static int gc(const loom_command *self, int argc, char **argv) {
    gc_request request = {.dry_run = false};
    const loom_option options[] = {{.name = "--dry-run", .letter = "-n", .flag = &request.dry_run},
                                   {.name = "--older-than", .value = &request.older},
                                   {.name = "--keep-goals", .value = &request.keep}};
    const loom_store_shape shape = {.needs = LOOM_NEED_WRITE | LOOM_NEED_CONFIRM | LOOM_NEED_JSON | LOOM_NEED_PROGRESS,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = collect,
                                    .context = &request};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_gc_command = {
    .name = "store gc",
    .summary = "Collects garbage: what expired, what is over the budget, what dead processes left",
    .usage = "voxloom store gc [--dry-run] [--older-than TIME] [--keep-goals N] [--yes] [--json]",
    .help =
        "Without options nothing goes that the configuration would keep; space is given back to the file system.\n\n"
        "  --dry-run, -n        says what would be freed, and changes nothing\n"
        "  --older-than TIME    also what was not used for so long: 30d, 12h\n"
        "  --keep-goals N       also what no goal of the last N runs is derived from\n"
        "  --yes, -y            does not ask (it asks with the last two only)\n"
        "  --json               one object, described in runtime/API.md\n"
        "Pinned results stay, and what a running process uses.\n",
    .run = gc,
};
