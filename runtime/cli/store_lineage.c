/* store_lineage.c - `voxloom store derived-from` and `invalidate`: what follows from an input file or an operator. */
#include <inttypes.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "shm/care/admin.h"

/* ---- derived-from ---- */

typedef struct descent {
    loom_store_job *job;
    uint64_t shown;
    loom_status status;
    loom_error *err;
} descent;

static bool print_row(const loom_result *result, void *context) {
    descent *list = context;
    if (list->shown++ == 0 && !list->job->json) loom_store_print_heading(stdout);
    if (list->job->json)
        list->status = loom_store_print_json(result, list->job->arena, stdout, list->err);
    else
        loom_store_print_row(result, list->job->arena, stdout);
    return list->status == LOOM_OK && !ferror(stdout);
}

static loom_status list_derived(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    const loom_origin origin = {.input = job->words.items[0]};
    descent list = {.job = job, .err = err};
    loom_status status = loom_store_derived(job->store, &origin, print_row, &list, err);
    if (status == LOOM_NOT_FOUND) return loom_fail(err, status, "no stored result comes from %s", origin.input);
    return status != LOOM_OK ? status : list.status;
}

static int derived(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {
        .needs = LOOM_NEED_READ | LOOM_NEED_JSON, .least = 1, .most = 1, .work = list_derived};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_derived_from = {
    .name = "store derived-from",
    .summary = "Lists what was computed from a file, argument before result",
    .usage = "voxloom store derived-from FILE [--json]",
    .help = "FILE: by its path as the program gave it, or by what it holds, wherever it lies now.\n\n"
            "  --json    one object a line, described in runtime/API.md\n",
    .run = derived,
};

/* ---- invalidate ---- */

typedef struct origin_count {
    uint64_t rows, bytes;
} origin_count;

static bool count_row(const loom_result *result, void *context) {
    origin_count *count = context;
    count->rows++;
    count->bytes += loom_store_bytes_of(result);
    return true;
}

static loom_status invalidate_results(loom_store_job *job, void *context, loom_error *err) {
    const loom_origin *origin = context;
    origin_count found = {0};
    uint64_t rows = 0, bytes = 0;
    char text[LOOM_HUMAN_BYTES];
    if ((origin->op == NULL) == (origin->input == NULL))
        return loom_fail(err, LOOM_BAD_USAGE, "say either --op NAME or --input FILE");
    loom_status status = loom_store_derived(job->store, origin, count_row, &found, err);
    if (status == LOOM_NOT_FOUND)
        return loom_fail(err, status, "no stored result comes from %s",
                         origin->op != NULL ? origin->op : origin->input);
    LOOM_TRY(status);
    LOOM_TRY(loom_store_confirm(job, err, "forget %" PRIu64 " results of %s, to compute them again?", found.rows,
                                loom_human_bytes(found.bytes, text)));
    LOOM_TRY(loom_store_invalidate(job->store, origin, &rows, &bytes, err));
    if (job->json) {
        loom_json_line line = {.failed = false};
        loom_line_count(&line, "results", rows);
        loom_line_count(&line, "bytes", bytes);
        return loom_line_print(&line, stdout, err);
    }
    if (!job->quiet) fprintf(stderr, "forgot %" PRIu64 " results of %s\n", rows, loom_human_bytes(bytes, text));
    return LOOM_OK;
}

static int invalidate(const loom_command *self, int argc, char **argv) {
    loom_origin origin = {.op = NULL};
    const loom_option options[] = {{.name = "--op", .value = &origin.op}, {.name = "--input", .value = &origin.input}};
    const loom_store_shape shape = {.needs = LOOM_NEED_WRITE | LOOM_NEED_CONFIRM | LOOM_NEED_JSON,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = invalidate_results,
                                    .context = &origin};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_invalidate_command = {
    .name = "store invalidate",
    .summary = "Forgets what was computed by an operator or from a file, and all that follows from it",
    .usage = "voxloom store invalidate --op NAME | --input FILE [--yes] [--json]",
    .help = "For results that are known to be wrong: they are computed again from nothing.\n\n"
            "  --op NAME       an operator, vox1.near or near\n"
            "  --input FILE    a file that was read; by its path as the program gave it, or by what it holds\n"
            "  --yes, -y       does not ask\n"
            "  --json          one object: results, bytes\n",
    .run = invalidate,
};
