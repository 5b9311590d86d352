/* store_verify.c - `voxloom store verify`: every byte of a store is checked; --repair sets apart what is broken. */
#include <inttypes.h>
#include <string.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/topology.h"
#include "shm/store/admin.h"

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

static loom_status verify_store(loom_store_job *job, void *context, loom_error *err) {
    verify_request *request = context;
    uint32_t cores = 1;
    loom_verify_report report;
    verify_context both = {.job = job, .request = request};
    request->err = err;
    if (loom_topology_usable_cores(&cores, NULL) != LOOM_OK) cores = 1;
    if (request->repair)
        LOOM_TRY(loom_store_confirm(job, err, "set apart what is broken in %s? Nothing that is good is touched.",
                                    loom_store_path(job->store)));
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
    loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_CONFIRM | LOOM_NEED_JSON | LOOM_NEED_PROGRESS,
                              .options = options,
                              .option_count = LOOM_COUNT(options),
                              .work = verify_store,
                              .context = &request};
    /* Repair writes; what only looks must work where nothing may be written. */
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--repair") == 0) shape.needs ^= LOOM_NEED_READ | LOOM_NEED_WRITE;
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
