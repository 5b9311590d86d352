/* store_pack.c - `voxloom store backup`, `restore`, `export` and `import`: results outside a store. Where data goes to
 * stdout, the report goes to stderr. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "shm/pack/backup.h"

static bool is_stream(const char *path) {
    return strcmp(path, "-") == 0;
}

static loom_status refuse_terminal(const char *target, int fd, loom_error *err) {
    if (!is_stream(target) || isatty(fd) != 1) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_USAGE, "- is a terminal here; redirect it to a file or a pipe");
}

static loom_status print_report(loom_store_job *job, const char *done, const loom_pack_report *report, bool to_stderr,
                                loom_error *err) {
    FILE *out = to_stderr ? stderr : stdout;
    char bytes[LOOM_HUMAN_BYTES];
    loom_store_progress_clear(job);
    if (job->json) {
        loom_json_line line = {.failed = false};
        loom_line_count(&line, "results", report->results);
        loom_line_count(&line, "bytes", report->bytes);
        loom_line_count(&line, "skipped", report->skipped);
        loom_line_count(&line, "deleted", report->deleted);
        return loom_line_print(&line, out, err);
    }
    if (job->quiet) return LOOM_OK;
    fprintf(out, "%s %" PRIu64 " result%s, %s", done, report->results, report->results == 1 ? "" : "s",
            loom_human_bytes(report->bytes, bytes));
    if (report->skipped > 0) fprintf(out, "; %" PRIu64 " were there already", report->skipped);
    if (report->deleted > 0) fprintf(out, "; %" PRIu64 " are gone since the last backup", report->deleted);
    fputc('\n', out);
    return LOOM_OK;
}

/* ---- backup, restore ---- */

static loom_status back_up(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    const char *target = job->words.items[0];
    loom_pack_report report = {0};
    LOOM_TRY(refuse_terminal(target, STDOUT_FILENO, err));
    LOOM_TRY(loom_backup(job->store, target, loom_store_progress_show, job, &report, err));
    return print_report(job, "backed up", &report, is_stream(target), err);
}

static int backup(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {
        .needs = LOOM_NEED_READ | LOOM_NEED_JSON | LOOM_NEED_PROGRESS, .least = 1, .most = 1, .work = back_up};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_backup = {
    .name = "store backup",
    .summary = "Copies the store while others use it; the next time only what is new",
    .usage = "voxloom store backup DIR | - [--json]",
    .help =
        "DIR: a folder, made when missing; what an earlier backup has there is not copied again. -: a whole backup\n"
        "as a stream to stdout, for a pipe. Results of an encrypted store stay encrypted.\n\n"
        "  --json    the report as one object (to stderr with -): results, bytes, skipped, deleted\n",
    .run = backup,
};

static loom_status restore_store(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    loom_pack_report report = {0};
    LOOM_TRY(refuse_terminal(job->words.items[0], STDIN_FILENO, err));
    LOOM_TRY(loom_restore(job->words.items[0], job->words.items[1], loom_store_progress_show, job, &report, err));
    return print_report(job, "restored", &report, false, err);
}

static int restore(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {
        .needs = LOOM_NEED_ANOTHER | LOOM_NEED_JSON | LOOM_NEED_PROGRESS, .least = 2, .most = 2, .work = restore_store};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_restore = {
    .name = "store restore",
    .summary = "Makes a store from a backup",
    .usage = "voxloom store restore SOURCE | - DIR [--json]",
    .help =
        "SOURCE: the folder of a backup, or - for a stream on stdin. DIR: the store to make; nothing may be there.\n"
        "Every record is checked; after an error nothing is left behind.\n\n"
        "  --json    the report as one object: results, bytes, skipped, deleted\n",
    .run = restore,
};

/* ---- export, import ---- */

static loom_status export_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    const char *target = job->words.items[job->words.count - 1];
    loom_pack_report report = {0};
    loom_id *rkeys;
    size_t count;
    LOOM_TRY(refuse_terminal(target, STDOUT_FILENO, err));
    job->words.count--; /* the last word is the target */
    LOOM_TRY(loom_store_resolve_all(job, 0, &rkeys, &count, err));
    LOOM_TRY(loom_export(job->store, rkeys, count, target, loom_store_progress_show, job, &report, err));
    return print_report(job, "exported", &report, is_stream(target), err);
}

static int export(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON | LOOM_NEED_PROGRESS,
                                    .least = 2,
                                    .most = LOOM_WORDS_ANY,
                                    .work = export_results};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_export = {
    .name = "store export",
    .summary = "Writes chosen results to a file, for another store",
    .usage = "voxloom store export ID... FILE | - [--json]",
    .help = "With all that sequences among them refer to. What is exported from an encrypted store is not encrypted.\n"
            "ID: the first digits, at least 4, of a key, a value id or a node id; goal:LABEL; or key:NAME.\n\n"
            "  --json    the report as one object (to stderr with -): results, bytes, skipped, deleted\n",
    .run = export,
};

static loom_status import_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    loom_pack_report report = {0};
    LOOM_TRY(refuse_terminal(job->words.items[0], STDIN_FILENO, err));
    LOOM_TRY(loom_import(job->store, job->words.items[0], loom_store_progress_show, job, &report, err));
    return print_report(job, "imported", &report, false, err);
}

static int import(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_WRITE | LOOM_NEED_CREATE | LOOM_NEED_JSON | LOOM_NEED_PROGRESS,
                                    .least = 1,
                                    .most = 1,
                                    .work = import_results};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_import = {
    .name = "store import",
    .summary = "Takes in results that another store exported",
    .usage = "voxloom store import FILE | - [--json]",
    .help =
        "What is there already is skipped. A result that differs from the one under its key is not taken; the rest\n"
        "is, and the command ends with status 1.\n\n"
        "  --json    the report as one object: results, bytes, skipped, deleted\n",
    .run = import,
};
