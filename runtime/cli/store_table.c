/* store_table.c - stored results as lines and tables for people. What a row holds comes from disk: it is decoded with
 * checks, and what cannot be decoded is shown as "?". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/text.h"

enum { PREVIEW_COLUMNS = 34, NAME_BYTES = 64 };

/* ---- one row ---- */

/* The first of `text` on one line of at most PREVIEW_COLUMNS characters; control characters become spaces. */
static void shorten(const uint8_t *text, size_t length, char *line, size_t capacity) {
    size_t used = 0;
    size_t columns = 0;
    for (size_t i = 0; i < length && used + 8 < capacity; i++) {
        bool starts_character = (text[i] & 0xC0u) != 0x80u;
        if (starts_character && columns == PREVIEW_COLUMNS - 3) {
            memcpy(line + used, "...", 3);
            used += 3;
            break;
        }
        columns += starts_character;
        line[used++] = text[i] < 0x20 || text[i] == 0x7f ? ' ' : (char)text[i];
    }
    line[used] = '\0';
}

static void describe_image(const loom_image_header *header, char *line, size_t capacity) {
    int used = 0;
    unsigned rank = header->rank <= LOOM_RANK_MAX ? header->rank : LOOM_RANK_MAX;
    for (unsigned axis = 0; axis < rank && used >= 0 && (size_t)used < capacity; axis++)
        used += snprintf(line + used, capacity - (size_t)used, "%s%" PRIu64, axis > 0 ? "x" : "", header->size[axis]);
    if (used >= 0 && (size_t)used < capacity)
        used += snprintf(line + used, capacity - (size_t)used, " %s", loom_dtype_name(header->dtype));
    if (header->components > 1 && used >= 0 && (size_t)used < capacity)
        snprintf(line + used, capacity - (size_t)used, " x %u", header->components);
}

static void describe_value(const loom_result *result, loom_arena *arena, char *line, size_t capacity) {
    snprintf(line, capacity, "%s", result->blob ? "(large)" : "?");
    loom_value value;
    if (result->blob || result->payload == NULL ||
        loom_value_decode(result->payload, result->payload_bytes, arena, &value, NULL) != LOOM_OK)
        return;
    if (value.type == LOOM_IMAGE) {
        describe_image(value.image.header, line, capacity);
        return;
    }
    loom_buffer text = {0};
    if (loom_value_str(&value, &text) == LOOM_OK) shorten(text.bytes, text.length, line, capacity);
    loom_buffer_free(&text);
}

/* The operator of the recipe: its first item. */
static void operator_of(const loom_result *result, loom_arena *arena, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "-");
    loom_value recipe;
    if (result->recipe == NULL || result->recipe_bytes == 0 ||
        loom_value_decode(result->recipe, result->recipe_bytes, arena, &recipe, NULL) != LOOM_OK)
        return;
    if (recipe.type != LOOM_SEQUENCE || recipe.sequence.count == 0) return;
    const loom_value *first = &recipe.sequence.items[0];
    if (first->type != LOOM_STRING || first->text.length >= NAME_BYTES) return;
    memcpy(name, first->text.bytes, first->text.length);
    name[first->text.length] = '\0';
}

static const char *age_of(uint64_t created_ns, char text[LOOM_HUMAN_BYTES]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)created_ns * 1e-9;
    if (seconds < 1) return "now"; /* also a clock that was set back */
    if (seconds >= 10) return loom_human_seconds(seconds, text);
    snprintf(text, LOOM_HUMAN_BYTES, "%d s", (int)seconds);
    return text;
}

static uint64_t bytes_of(const loom_result *result) {
    return result->payload_bytes + result->bulk.bytes;
}

static void print_row(const loom_result *result, loom_arena *arena, FILE *out) {
    char hex[LOOM_ID_HEX_BYTES], preview[256], name[NAME_BYTES], bytes[LOOM_HUMAN_BYTES], age[LOOM_HUMAN_BYTES];
    loom_id_hex(&result->rkey, hex);
    describe_value(result, arena, preview, sizeof preview);
    operator_of(result, arena, name);
    fprintf(out, "%.12s  %-8s  %-*s  %9s  %-24s  %s\n", hex, loom_type_name(result->type), PREVIEW_COLUMNS, preview,
            loom_human_bytes(bytes_of(result), bytes), name, age_of(result->created_ns, age));
}

void loom_store_print_row(const loom_result *result, FILE *out) {
    loom_arena *arena = loom_arena_new();
    if (arena != NULL) print_row(result, arena, out);
    loom_arena_free(arena);
}

/* ---- ls ---- */

typedef struct listing {
    FILE *out;
    loom_arena *arena;
    uint64_t rows;
} listing;

static bool list_row(const loom_result *result, void *context) {
    listing *list = context;
    if (list->rows++ == 0)
        fprintf(list->out, "%-12s  %-8s  %-*s  %9s  %-24s  %s\n", "ID", "TYPE", PREVIEW_COLUMNS, "VALUE", "BYTES",
                "OPERATOR", "AGE");
    loom_arena_reset(list->arena);
    print_row(result, list->arena, list->out);
    return !ferror(list->out);
}

int loom_store_list(loom_store *store, FILE *out) {
    loom_error err = {0};
    listing list = {.out = out, .arena = loom_arena_new()};
    loom_status status = list.arena == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory")
                                            : loom_store_each(store, list_row, &list, &err);
    loom_arena_free(list.arena);
    if (status != LOOM_OK) return loom_exit_failed(&err);
    if (list.rows == 0) fprintf(stderr, "%s holds no results yet\n", loom_store_path(store));
    return 0;
}

/* ---- stat ---- */

enum { OPERATORS_MAX = 512, OPERATORS_SHOWN = 6, BAR_COLUMNS = 20 };

typedef struct operator_total {
    char name[NAME_BYTES];
    uint64_t results, bytes, cost_ns;
} operator_total;

typedef struct store_totals {
    loom_arena *arena;
    operator_total operators[OPERATORS_MAX];
    size_t operator_count;
    uint64_t cost_ns;
    uint64_t oldest_ns, newest_ns;
} store_totals;

static operator_total *total_for(store_totals *totals, const char *name) {
    for (size_t i = 0; i < totals->operator_count; i++)
        if (strcmp(totals->operators[i].name, name) == 0) return &totals->operators[i];
    if (totals->operator_count == OPERATORS_MAX) return NULL; /* more than there are operators: plug-ins only */
    operator_total *total = &totals->operators[totals->operator_count++];
    memcpy(total->name, name, NAME_BYTES);
    return total;
}

static bool add_row(const loom_result *result, void *context) {
    store_totals *all = context;
    char name[NAME_BYTES] = "";
    loom_arena_reset(all->arena);
    operator_of(result, all->arena, name);
    operator_total *total = total_for(all, name);
    all->cost_ns += result->cost_ns;
    if (all->oldest_ns == 0 || result->created_ns < all->oldest_ns) all->oldest_ns = result->created_ns;
    if (result->created_ns > all->newest_ns) all->newest_ns = result->created_ns;
    if (total == NULL) return true;
    total->results++;
    total->bytes += bytes_of(result);
    total->cost_ns += result->cost_ns;
    return true;
}

static int by_cost(const void *a, const void *b) {
    const operator_total *left = a;
    const operator_total *right = b;
    if (left->cost_ns != right->cost_ns) return left->cost_ns < right->cost_ns ? 1 : -1;
    return strcmp(left->name, right->name);
}

static void print_bar(double share, FILE *out) {
    int filled = (int)(share * BAR_COLUMNS + 0.5);
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', out);
}

static void print_operators(store_totals *all, FILE *out) {
    if (all->cost_ns == 0) return;
    qsort(all->operators, all->operator_count, sizeof all->operators[0], by_cost);
    fprintf(out, "\n  %-24s %8s  %9s  %s\n", "operator", "results", "bytes", "time saved");
    for (size_t i = 0; i < all->operator_count && i < OPERATORS_SHOWN; i++) {
        const operator_total *total = &all->operators[i];
        char bytes[LOOM_HUMAN_BYTES], seconds[LOOM_HUMAN_BYTES];
        fprintf(out, "  %-24s %8" PRIu64 "  %9s  ", total->name, total->results, loom_human_bytes(total->bytes, bytes));
        print_bar((double)total->cost_ns / (double)all->cost_ns, out);
        fprintf(out, " %s\n", loom_human_seconds((double)total->cost_ns * 1e-9, seconds));
    }
    if (all->operator_count > OPERATORS_SHOWN)
        fprintf(out, "  ... and %zu more operators\n", all->operator_count - OPERATORS_SHOWN);
}

static void print_totals(loom_store *store, const loom_store_stats *stats, store_totals *all, FILE *out) {
    char text[LOOM_HUMAN_BYTES], more[LOOM_HUMAN_BYTES];
    fprintf(out, "%s (format %" PRIu64 ")\n\n", loom_store_path(store), stats->format);
    fprintf(out, "  results       %" PRIu64 ", of which %" PRIu64 " images\n", stats->rows, stats->images);
    fprintf(out, "  images        %s", loom_human_bytes(stats->bulk_bytes, text));
    fprintf(out, " in %" PRIu64 " extent file%s (%s on disk)\n", stats->extent_files,
            stats->extent_files == 1 ? "" : "s", loom_human_bytes(stats->extent_allocated_bytes, more));
    fprintf(out, "  small values  %s in an index of %s\n", loom_human_bytes(stats->payload_bytes, text),
            loom_human_bytes(stats->index_bytes, more));
    fprintf(out, "  time saved    %s of computing\n", loom_human_seconds((double)all->cost_ns * 1e-9, text));
    if (stats->rows > 0)
        fprintf(out, "  age           %s to %s\n", age_of(all->newest_ns, text), age_of(all->oldest_ns, more));
    print_operators(all, out);
}

int loom_store_describe(loom_store *store, FILE *out) {
    loom_error err = {0};
    loom_store_stats stats = {0};
    store_totals *all = calloc(1, sizeof *all);
    if (all != NULL) all->arena = loom_arena_new();
    bool ready = all != NULL && all->arena != NULL;
    loom_status status =
        ready ? loom_store_stat(store, &stats, &err) : loom_fail(&err, LOOM_NO_MEMORY, "out of memory");
    if (status == LOOM_OK) status = loom_store_each(store, add_row, all, &err);
    if (status == LOOM_OK) print_totals(store, &stats, all, out);
    if (all != NULL) loom_arena_free(all->arena);
    free(all);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}
