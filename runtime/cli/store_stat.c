/* store_stat.c - `voxloom store stat`: what a store holds, by type and by operator, how often it helped, and where its
 * disk space went. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/stored_value.h"

enum { NAME_BYTES = 64, OPERATORS_MAX = 512, OPERATORS_SHOWN = 8, TYPES = LOOM_REFERENCE + 1, BAR_COLUMNS = 20 };

typedef struct total {
    char name[NAME_BYTES];
    uint64_t results, bytes, stored_bytes, cost_ns;
} total;

typedef struct store_totals {
    loom_arena *arena;
    total operators[OPERATORS_MAX];
    size_t operator_count;
    total types[TYPES];
    total all;
    uint64_t oldest_ns, newest_ns;
} store_totals;

static total *total_for(store_totals *totals, const char *name) {
    for (size_t i = 0; i < totals->operator_count; i++)
        if (strcmp(totals->operators[i].name, name) == 0) return &totals->operators[i];
    if (totals->operator_count == OPERATORS_MAX) return NULL; /* more than there are operators: plug-ins only */
    total *made = &totals->operators[totals->operator_count++];
    snprintf(made->name, sizeof made->name, "%s", name);
    return made;
}

static void add(total *sum, const loom_result *result) {
    if (sum == NULL) return;
    sum->results++;
    sum->bytes += loom_store_bytes_of(result);
    sum->stored_bytes +=
        result->payload_bytes + (result->stored_bytes != 0 ? result->stored_bytes : result->bulk.bytes);
    sum->cost_ns += result->cost_ns;
}

static bool add_row(const loom_result *result, void *context) {
    store_totals *totals = context;
    char name[NAME_BYTES];
    loom_arena_reset(totals->arena);
    loom_operator_of(result, totals->arena, name, sizeof name);
    add(total_for(totals, name), result);
    if ((unsigned)result->type < TYPES) add(&totals->types[result->type], result);
    add(&totals->all, result);
    if (totals->oldest_ns == 0 || result->created_ns < totals->oldest_ns) totals->oldest_ns = result->created_ns;
    if (result->created_ns > totals->newest_ns) totals->newest_ns = result->created_ns;
    return true;
}

/* Time first, where there is any; then bytes. */
static int by_cost(const void *a, const void *b) {
    const total *left = a, *right = b;
    if (left->cost_ns != right->cost_ns) return left->cost_ns < right->cost_ns ? 1 : -1;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? 1 : -1;
    return strcmp(left->name, right->name);
}

/* ---- for people ---- */

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t number, char text[32]) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static void print_bar(double share, FILE *out) {
    int filled = share > 0 ? (int)(share * BAR_COLUMNS + 0.5) : 0;
    fputc('[', out);
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', out);
    fputc(']', out);
}

static double percent(uint64_t part, uint64_t whole) {
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

static uint64_t on_disk(const loom_store_stats *stats) {
    return stats->extent_allocated_bytes + stats->index_bytes;
}

/* Of the bytes in extent files, those that belong to no result. */
static double fragmentation(const loom_store_stats *stats, const store_totals *totals) {
    uint64_t dead = stats->free_bytes + stats->deleted_bytes + stats->unowned_bytes;
    return percent(dead, dead + totals->all.stored_bytes);
}

static void print_disk(loom_store *store, const loom_store_stats *stats, FILE *out) {
    char used[LOOM_HUMAN_BYTES], limit[LOOM_HUMAN_BYTES];
    struct statvfs disk;
    uint64_t bytes = stats->budget_bytes != 0 ? stats->used_bytes : on_disk(stats);
    uint64_t whole = stats->budget_bytes;
    bool known = whole == 0 && statvfs(loom_store_path(store), &disk) == 0;
    if (known) whole = bytes + (uint64_t)disk.f_bavail * disk.f_frsize;
    fprintf(out, "  disk        ");
    print_bar(whole > 0 ? (double)bytes / (double)whole : 0, out);
    fprintf(out, " %s of %s%s\n", loom_human_bytes(bytes, used), whole > 0 ? loom_human_bytes(whole, limit) : "?",
            stats->budget_bytes != 0 ? ", the budget" : " that the disk has for it; no budget is set");
}

static void print_space(const loom_store_stats *stats, const store_totals *totals, FILE *out) {
    char text[LOOM_HUMAN_BYTES], more[LOOM_HUMAN_BYTES];
    fprintf(out, "  images      %s in %" PRIu64 " extent file%s", loom_human_bytes(stats->bulk_bytes, text),
            stats->extent_files, stats->extent_files == 1 ? "" : "s");
    if (totals->all.stored_bytes < totals->all.bytes)
        fprintf(out, ", compressed to %s", loom_human_bytes(totals->all.stored_bytes, more));
    fprintf(out, "\n  index       %s, with small values of %s\n", loom_human_bytes(stats->index_bytes, text),
            loom_human_bytes(stats->payload_bytes, more));
    fprintf(out, "  free        %s for the next results; %.1f%% fragmented\n",
            loom_human_bytes(stats->free_bytes, text), fragmentation(stats, totals));
    if (stats->deleted_bytes > 0)
        fprintf(out, "  given up    %s, still in use by somebody or not yet durable\n",
                loom_human_bytes(stats->deleted_bytes, text));
    if (stats->unowned_bytes > 0)
        fprintf(out, "  unowned     %s, left by processes that died; `voxloom store gc` returns it\n",
                loom_human_bytes(stats->unowned_bytes, text));
}

static void print_use(const loom_store_stats *stats, const store_totals *totals, FILE *out) {
    char text[LOOM_HUMAN_BYTES], count[32], more[32];
    uint64_t lookups = stats->hits + stats->misses;
    fprintf(out, "  time saved  %s of computing\n", loom_human_seconds((double)totals->all.cost_ns / 1e9, text));
    if (lookups > 0)
        fprintf(out, "  look-ups    %.1f%% found (%s of %s)\n", percent(stats->hits, lookups),
                grouped(stats->hits, count), grouped(lookups, more));
    if (stats->evicted_rows > 0)
        fprintf(out, "  evicted     %s results, %s\n", grouped(stats->evicted_rows, count),
                loom_human_bytes(stats->evicted_bytes, text));
    if (stats->pins > 0) fprintf(out, "  pinned      %s\n", grouped(stats->pins, count));
    fprintf(out, "  in use by   %" PRIu64 " process%s", stats->processes, stats->processes == 1 ? "" : "es");
    if (stats->oldest_reader_ms > 0)
        fprintf(out, "; the oldest reader is %s old", loom_human_seconds((double)stats->oldest_reader_ms * 1e-3, text));
    fputc('\n', out);
}

static void print_total(const total *row, const char *name, uint64_t whole_bytes, FILE *out) {
    char count[32], bytes[LOOM_HUMAN_BYTES], seconds[LOOM_HUMAN_BYTES];
    fprintf(out, "  %-24s %11s  %9s  ", name, grouped(row->results, count), loom_human_bytes(row->bytes, bytes));
    print_bar(whole_bytes > 0 ? (double)row->bytes / (double)whole_bytes : 0, out);
    fprintf(out, "  %s\n", loom_human_seconds((double)row->cost_ns / 1e9, seconds));
}

static void print_tables(store_totals *totals, FILE *out) {
    fprintf(out, "\n  %-24s %11s  %9s  %-22s  %s\n", "type", "results", "bytes", "share of bytes", "time saved");
    for (size_t i = 0; i < TYPES; i++)
        if (totals->types[i].results > 0)
            print_total(&totals->types[i], loom_type_name((loom_type)i), totals->all.bytes, out);
    fprintf(out, "\n  %-24s %11s  %9s  %-22s  %s\n", "operator", "results", "bytes", "share of bytes", "time saved");
    for (size_t i = 0; i < totals->operator_count && i < OPERATORS_SHOWN; i++)
        print_total(&totals->operators[i], totals->operators[i].name, totals->all.bytes, out);
    if (totals->operator_count > OPERATORS_SHOWN)
        fprintf(out, "  ... and %zu more (--json has them all)\n", totals->operator_count - OPERATORS_SHOWN);
}

static void print_all(loom_store *store, const loom_store_stats *stats, store_totals *totals, FILE *out) {
    char count[32], images[32], blobs[32];
    fprintf(out, "%s (format %" PRIu64 "%s)\n\n", loom_store_path(store), stats->format,
            stats->encrypted ? ", encrypted" : "");
    fprintf(out, "  results     %s: %s images, %s other large values\n", grouped(stats->rows, count),
            grouped(stats->images, images), grouped(stats->blobs, blobs));
    print_disk(store, stats, out);
    print_space(stats, totals, out);
    print_use(stats, totals, out);
    if (totals->all.results > 0) print_tables(totals, out);
}

/* ---- for programs ---- */

static void add_total(loom_json_line *line, const char *name, const total *sum) {
    loom_line_object(line, NULL);
    loom_line_text(line, "name", name);
    loom_line_count(line, "results", sum->results);
    loom_line_count(line, "bytes", sum->bytes);
    loom_line_count(line, "stored_bytes", sum->stored_bytes);
    loom_line_number(line, "cost_seconds", (double)sum->cost_ns / 1e9);
    loom_line_end_object(line);
}

static void add_stats(loom_json_line *line, const loom_store_stats *stats) {
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {{"format", stats->format},
                  {"results", stats->rows},
                  {"images", stats->images},
                  {"large_values", stats->blobs},
                  {"payload_bytes", stats->payload_bytes},
                  {"bulk_bytes", stats->bulk_bytes},
                  {"extent_files", stats->extent_files},
                  {"extent_allocated_bytes", stats->extent_allocated_bytes},
                  {"index_bytes", stats->index_bytes},
                  {"free_bytes", stats->free_bytes},
                  {"deleted_bytes", stats->deleted_bytes},
                  {"unowned_bytes", stats->unowned_bytes},
                  {"budget_bytes", stats->budget_bytes},
                  {"used_bytes", stats->used_bytes},
                  {"hits", stats->hits},
                  {"misses", stats->misses},
                  {"evicted_results", stats->evicted_rows},
                  {"evicted_bytes", stats->evicted_bytes},
                  {"pins", stats->pins},
                  {"processes", stats->processes},
                  {"oldest_reader_ms", stats->oldest_reader_ms}};
    loom_line_bool(line, "encrypted", stats->encrypted);
    for (size_t i = 0; i < LOOM_COUNT(counts); i++)
        loom_line_count(line, counts[i].name, counts[i].count);
}

static loom_status print_json(loom_store *store, const loom_store_stats *stats, const store_totals *totals,
                              loom_error *err) {
    loom_json_line line = {.failed = false};
    loom_line_text(&line, "path", loom_store_path(store));
    add_stats(&line, stats);
    loom_line_number(&line, "fragmentation_percent", fragmentation(stats, totals));
    loom_line_number(&line, "cost_seconds", (double)totals->all.cost_ns / 1e9);
    loom_line_array(&line, "types");
    for (size_t i = 0; i < TYPES; i++)
        if (totals->types[i].results > 0) add_total(&line, loom_type_name((loom_type)i), &totals->types[i]);
    loom_line_end_array(&line);
    loom_line_array(&line, "operators");
    for (size_t i = 0; i < totals->operator_count; i++)
        add_total(&line, totals->operators[i].name, &totals->operators[i]);
    loom_line_end_array(&line);
    return loom_line_print(&line, stdout, err);
}

static loom_status describe(loom_store_job *job, void *context, loom_error *err) {
    store_totals *totals = context;
    loom_store_stats stats;
    totals->arena = job->arena;
    LOOM_TRY(loom_store_stat(job->store, &stats, err));
    /* Where no writer is attached nobody has set one: the next will set this. */
    if (stats.budget_bytes == 0) stats.budget_bytes = job->config.store.budget_bytes;
    LOOM_TRY(loom_store_each(job->store, add_row, totals, err));
    qsort(totals->operators, totals->operator_count, sizeof totals->operators[0], by_cost);
    if (job->json) return print_json(job->store, &stats, totals, err);
    print_all(job->store, &stats, totals, stdout);
    return LOOM_OK;
}

static int stat_store(const loom_command *self, int argc, char **argv) {
    store_totals *totals = calloc(1, sizeof *totals);
    if (totals == NULL) {
        loom_error err = {0};
        loom_fail(&err, LOOM_NO_MEMORY, "out of memory");
        return loom_exit_failed(&err);
    }
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON, .work = describe, .context = totals};
    int status = loom_store_do(self, argc, argv, &shape);
    free(totals);
    return status;
}

const loom_command loom_store_stat_command = {
    .name = "store stat",
    .summary = "Says what the store holds, how much it helped, and where its space went",
    .usage = "voxloom store stat [--json]",
    .help = "Counts and bytes by type and by operator, the budget, look-ups that were found, free, given-up and\n"
            "unowned space, pins, processes that use the store, and the time it would take to compute all again.\n\n"
            "  --json    one object, described in runtime/API.md\n",
    .run = stat_store,
};
