/* store_find.c - `voxloom store find QUERY`: records by what they hold. The table's columns are the paths that the
 * query names, so that one sees why a record was found. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/text.h"
#include "shm/query/query.h"

enum { PATHS_SHOWN = 4, PATH_COLUMNS = 18, RECORD_COLUMNS = 48 };

typedef struct finding {
    const char *limit_text;
    bool explain;
    loom_store_job *job;
    loom_query *query;
    loom_arena *arena; /* of one record */
    uint64_t limit, shown;
    bool more; /* than the limit */
    loom_status status;
    loom_error *err;
} finding;

/* ---- cells ---- */

/* A cell holds one line, cut off with "..." at `columns` characters, filled with spaces up to that unless last. */
static void print_cell(const uint8_t *text, size_t length, size_t columns, bool last, FILE *out) {
    size_t characters = 0, used = 0;
    for (size_t i = 0; i < length; i++)
        characters += (text[i] & 0xC0u) != 0x80u;
    bool cut = characters > columns;
    size_t room = cut ? columns - 3 : columns, width = 0;
    for (; used < length; used++) {
        bool starts = (text[used] & 0xC0u) != 0x80u;
        if (starts && width == room) break;
        width += starts;
        bool harmless = text[used] >= 0x20 && text[used] != 0x7f;
        fputc(harmless ? text[used] : ' ', out);
    }
    if (cut) fputs("...", out);
    width += cut ? 3 : 0;
    for (; !last && width < columns; width++)
        fputc(' ', out);
    if (!last) fputs("  ", out);
}

static void print_text_cell(const char *text, size_t columns, bool last, FILE *out) {
    print_cell((const uint8_t *)text, strlen(text), columns, last, out);
}

static void print_value_cell(const loom_value *value, size_t columns, bool last, FILE *out) {
    loom_buffer text = {0};
    if (value == NULL)
        print_text_cell("-", columns, last, out);
    else if (loom_value_str(value, &text) == LOOM_OK)
        print_cell(text.bytes, text.length, columns, last, out);
    else
        print_text_cell("?", columns, last, out);
    loom_buffer_free(&text);
}

static void age_of(uint64_t created_ns, char text[LOOM_HUMAN_BYTES]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)created_ns * 1e-9;
    snprintf(text, LOOM_HUMAN_BYTES, "now"); /* also a clock that was set back */
    if (seconds >= 1) loom_human_seconds(seconds, text);
}

/* ---- rows ---- */

static size_t columns_of(const finding *find) {
    size_t count = loom_query_path_count(find->query);
    return count < PATHS_SHOWN ? count : PATHS_SHOWN;
}

static void print_heading(const finding *find, FILE *out) {
    print_text_cell("ID", 12, false, out);
    print_text_cell("AGE", 12, false, out);
    for (size_t i = 0; i < columns_of(find); i++)
        print_text_cell(loom_query_path_text(find->query, i), PATH_COLUMNS, false, out);
    print_text_cell("RECORD", RECORD_COLUMNS, true, out);
    fputc('\n', out);
}

static void print_record(finding *find, const loom_result *result, const loom_value *value, FILE *out) {
    char hex[LOOM_ID_HEX_BYTES], age[LOOM_HUMAN_BYTES];
    const loom_value *record = value->type == LOOM_DATASET ? value->dataset.metadata : value;
    loom_id_hex(&result->rkey, hex);
    age_of(result->created_ns, age);
    hex[12] = '\0';
    print_text_cell(hex, 12, false, out);
    print_text_cell(age, 12, false, out);
    for (size_t i = 0; i < columns_of(find); i++)
        print_value_cell(loom_query_path_value(find->query, i, record), PATH_COLUMNS, false, out);
    print_value_cell(record, RECORD_COLUMNS, true, out);
    fputc('\n', out);
}

static loom_status print_found(finding *find, const loom_result *result) {
    loom_arena_reset(find->arena);
    if (find->job->json) return loom_store_print_json(result, find->arena, stdout, find->err);
    loom_value value;
    loom_view view;
    LOOM_TRY(loom_store_value(find->job->store, result, find->arena, &value, &view, find->err));
    if (find->shown == 0) print_heading(find, stdout);
    print_record(find, result, &value, stdout);
    loom_extent_release(&view);
    return LOOM_OK;
}

static bool show(const loom_result *result, void *context) {
    finding *find = context;
    if (find->shown == find->limit) {
        find->more = true;
        return false;
    }
    find->status = print_found(find, result);
    if (find->status == LOOM_NOT_FOUND) { /* evicted since it was found */
        find->status = LOOM_OK;
        return true;
    }
    find->shown += find->status == LOOM_OK;
    return find->status == LOOM_OK;
}

/* ---- the action ---- */

static void print_report(const finding *find, const loom_query_report *report, FILE *out) {
    if (find->explain)
        fprintf(out, "plan: %s\nlooked at %" PRIu64 " of %" PRIu64 " results\n", report->plan, report->candidates,
                report->results);
    if (find->more)
        fprintf(out, "there are more than %" PRIu64 "; raise --limit\n", find->limit);
    else if (find->shown == 0)
        fputs("no record matches\n", out);
}

static loom_status find_all(loom_store_job *job, void *context, loom_error *err) {
    finding *find = context;
    const char *text = job->words.items[0];
    loom_query_report report;
    find->job = job;
    find->err = err;
    find->limit = UINT64_MAX;
    if (find->limit_text != NULL) LOOM_TRY(loom_store_option_count("--limit", find->limit_text, &find->limit, err));
    LOOM_TRY(loom_query_parse(text, strlen(text), job->arena, &find->query, err));
    find->arena = loom_arena_new();
    if (find->arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    loom_status status = loom_store_query(job->store, find->query, show, find, &report, err);
    loom_arena_free(find->arena);
    LOOM_TRY(find->status);
    LOOM_TRY(status);
    fflush(stdout); /* before what goes to stderr */
    print_report(find, &report, stderr);
    return LOOM_OK;
}

static int find_command(const loom_command *self, int argc, char **argv) {
    finding find = {.status = LOOM_OK};
    const loom_option options[] = {{.name = "--limit", .value = &find.limit_text},
                                   {.name = "--explain", .flag = &find.explain}};
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON,
                                    .least = 1,
                                    .most = 1,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = find_all,
                                    .context = &find};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_find_command = {
    .name = "store find",
    .summary = "Finds records by what they hold",
    .usage = "voxloom store find 'QUERY' [--explain] [--limit N] [--json]",
    .help = "  patient.age > 60 and modality == \"flair\"     and, or, not, parentheses; == != < <= > >=\n"
            "  scans[0].dose < 2, scans[*].dose < 2         an item of a list; any of them\n"
            "  modality in [\"flair\", \"t1\"]                  numbers, strings, true, false, null\n"
            "  name contains \"x\", name startswith \"x\"       also: an item of a list\n"
            "  exists patient.weight                        a test on what is missing never holds\n"
            "  patient.\"odd name\".x == 1                    names with other signs are quoted\n\n"
            "  --explain    says on stderr which index answered, and how many results were looked at\n"
            "  --limit N    the first N, in the order in which they were stored\n"
            "  --json       one object a line, described in runtime/API.md\n",
    .run = find_command,
};
