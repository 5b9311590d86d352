/* store_verify.c - `voxloom store verify`: every byte of a store is checked; --repair sets apart what is broken. */
#include <inttypes.h>
#include <string.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/store_settings.h"
#include "runtime/topology.h"
#include "shm/care/admin.h"

typedef struct verify_request {
    bool repair, index_only;
    loom_store_job *job;
    loom_status status;
    loom_error *err;
} verify_request;

static const char *kind_name(loom_finding_kind kind) {
    static const char *const names[] = {"row", "block", "place", "overlap", "reference", "entry", "count", "tree"};
    return (unsigned)kind < LOOM_COUNT(names) ? names[kind] : "?";
}

static void print_finding_json(const loom_finding *finding, verify_request *request) {
    loom_json_line line = {.failed = false};
    loom_line_text(&line, "finding", kind_name(finding->kind));
    loom_line_id(&line, "id", &finding->rkey);
    loom_line_count(&line, "row", finding->row);
    loom_line_count(&line, "extent", finding->at.extent);
    loom_line_count(&line, "offset", finding->at.offset);
    loom_line_count(&line, "bytes", finding->at.bytes);
    loom_line_count(&line, "blocks", finding->blocks);
    loom_line_bool(&line, "repaired", finding->repaired);
    loom_line_text(&line, "text", finding->text);
    loom_status status = loom_line_print(&line, stdout, request->err);
    if (request->status == LOOM_OK) request->status = status;
}

/* One context serves both callbacks: the job comes first. */
typedef struct verify_context {
    loom_store_job *job;
    verify_request *request;
} verify_context;

static void print_finding(const loom_finding *finding, void *context) {
    verify_context *both = context;
    loom_store_progress_clear(both->job);
    if (both->job->json)
        print_finding_json(finding, both->request);
    else
        printf("%-9s  %s%s\n", kind_name(finding->kind), finding->text, finding->repaired ? " (repaired)" : "");
}

static bool show_progress(const char *phase, uint64_t done, uint64_t total, void *context) {
    return loom_store_progress_show(phase, done, total, ((verify_context *)context)->job);
}

static loom_status print_report_json(const loom_verify_report *report, loom_error *err) {
    loom_json_line line = {.failed = false};
    loom_line_count(&line, "results", report->rows);
    loom_line_count(&line, "blocks", report->blocks);
    loom_line_count(&line, "bytes", report->bytes);
    loom_line_count(&line, "findings", report->findings);
    loom_line_count(&line, "bad_blocks", report->bad_blocks);
    loom_line_count(&line, "repaired", report->repaired);
    loom_line_count(&line, "live_bytes", report->live_bytes);
    loom_line_count(&line, "free_bytes", report->free_bytes);
    loom_line_count(&line, "deleted_bytes", report->deleted_bytes);
    loom_line_count(&line, "unowned_bytes", report->unowned_bytes);
    loom_line_count(&line, "header_bytes", report->header_bytes);
    return loom_line_print(&line, stdout, err);
}

static void print_report(const verify_request *request, const loom_verify_report *report) {
    char bytes[LOOM_HUMAN_BYTES];
    printf("%" PRIu64 " results and %" PRIu64 " blocks (%s) checked: ", report->rows, report->blocks,
           loom_human_bytes(report->bytes, bytes));
    if (report->findings == 0)
        puts("everything is as it was stored");
    else if (request->repair)
        printf("%" PRIu64 " findings; %" PRIu64 " results are computed again when they are needed\n", report->findings,
               report->repaired);
    else
        printf("%" PRIu64 " findings; `voxloom store verify --repair` sets what is broken apart\n", report->findings);
}

/* The pages of the index before anything opens them: LMDB ends a process that meets some damaged ones. Where somebody
 * has the store open, or it may not be written, this is left out: it could be opened then. */
static loom_status check_pages(verify_context *both, bool *damaged, loom_error *err) {
    loom_error why = {0};
    uint64_t damages = 0;
    bool rebuilt = false;
    const char *path = both->job->config.store.path;
    loom_status status = loom_store_salvage(path, both->request->repair, print_finding, both, &damages, &rebuilt, &why);
    *damaged = status == LOOM_OK && damages > 0 && !rebuilt;
    if (status == LOOM_OK && rebuilt && !both->job->quiet)
        fprintf(stderr, "the index of %s was written anew; the damaged one is %s/index/damaged.mdb\n", path, path);
    bool excused = (status == LOOM_BUSY || status == LOOM_DENIED) && !both->request->repair;
    if (status != LOOM_OK && !excused) *err = why;
    return excused ? LOOM_OK : status;
}

static loom_status open_store(loom_store_job *job, const verify_request *request, loom_error *err) {
    const loom_store_access access = {.read_only = !request->repair};
    return loom_store_open_configured(&job->config, &access, &job->store, err);
}

static loom_status verify_store(loom_store_job *job, void *context, loom_error *err) {
    verify_request *request = context;
    uint32_t cores = 1;
    bool damaged = false;
    loom_verify_report report;
    verify_context both = {.job = job, .request = request};
    request->err = err;
    if (loom_topology_usable_cores(&cores, NULL) != LOOM_OK) cores = 1;
    if (strcmp(job->config.store.path, ":memory:") == 0)
        return loom_fail(err, LOOM_BAD_USAGE,
                         "the store is :memory:, which is empty between runs; name a folder with --store");
    if (request->repair)
        LOOM_TRY(loom_store_confirm(job, err, "set apart what is broken in %s? Nothing that is good is touched.",
                                    job->config.store.path));
    LOOM_TRY(check_pages(&both, &damaged, err));
    if (damaged) {
        job->exit_status = 1;
        return request->status;
    }
    LOOM_TRY(open_store(job, request, err));
    const loom_verify_options options = {.repair = request->repair,
                                         .index_only = request->index_only,
                                         .threads = cores,
                                         .found = print_finding,
                                         .progress = show_progress,
                                         .context = &both};
    LOOM_TRY(loom_store_verify_all(job->store, &options, &report, err));
    LOOM_TRY(request->status);
    loom_store_progress_clear(job);
    job->exit_status = report.findings > 0 && !request->repair ? 1 : 0;
    if (job->json) return print_report_json(&report, err);
    print_report(request, &report);
    return LOOM_OK;
}

static int verify(const loom_command *self, int argc, char **argv) {
    verify_request request = {.repair = false};
    const loom_option options[] = {{.name = "--repair", .flag = &request.repair},
                                   {.name = "--index", .flag = &request.index_only}};
    const loom_store_shape shape = {.needs = LOOM_NEED_CONFIRM | LOOM_NEED_JSON | LOOM_NEED_PROGRESS,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = verify_store,
                                    .context = &request};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_verify_command = {
    .name = "store verify",
    .summary = "Checks every byte, checksum and reference",
    .usage = "voxloom store verify [--index] [--repair] [--yes] [--json]",
    .help = "Prints what is wrong, one finding a line, and ends with status 1 if anything is.\n\n"
            "  --index     the index only, not the images\n"
            "  --repair    sets apart what is broken; those results are computed again when they are needed, and\n"
            "              nothing that is good is lost. Nobody else may use the store meanwhile\n"
            "  --yes, -y   does not ask before it repairs\n"
            "  --json      one object a finding, then one for the report: runtime/API.md\n",
    .run = verify,
};
