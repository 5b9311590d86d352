/* list_primitives.c - `voxloom list-primitives`: the operators that programs can call, a line or a few each. */
#include <stdlib.h>
#include <string.h>

#include "planner/domain.h"
#include "runtime/cli/json_line.h"
#include "runtime/cli/settings.h"
#include "runtime/kernels/native.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/nearest.h"

enum { CALL_WIDTH = 38, COST_WIDTH = 7, KERNEL_WIDTH = 8, MARKS_WIDTH = 4, PAGE_WIDTH = 100, NAMESPACES_MAX = 64 };

/* The runtime's own operators: no program can call them. */
static const char private_namespace[] = "loom";

static const char *kind_name(char letter) {
    switch (letter) {
    case 'n':
        return "number";
    case 'b':
        return "truth";
    case 's':
        return "string";
    case 'q':
        return "sequence";
    case 'r':
        return "record";
    case 'i':
        return "image";
    case 'c':
        return "function";
    case 'o':
        return "same";
    default:
        return "any";
    }
}

static const char *cost_name(uint16_t cost) {
    static const char *const names[] = {"scalar", "voxel", "filter", "global", "file"};
    return cost < LOOM_COUNT(names) ? names[cost] : "?";
}

/* ---- what is listed of one ---- */

/* Arguments that the signature names; one that may be repeated counts once. */
static uint32_t argument_count(const loom_operator *op, bool *repeats) {
    uint32_t count = 0;
    *repeats = false;
    for (const char *at = op->signature; *at != '\0' && *at != ':'; at++) {
        if (*at == '*')
            *repeats = true;
        else
            count++;
    }
    return count;
}

static size_t space_length(const loom_operator *op) {
    return strcspn(op->name, ".");
}

/* "near(image) -> image"; what may be left out in brackets. */
static void write_call(const loom_operator *op, char *text, size_t capacity) {
    bool repeats;
    uint32_t count = argument_count(op, &repeats);
    size_t used = 0;
    FILE *out = fmemopen(text, capacity, "w");
    if (out == NULL) {
        snprintf(text, capacity, "%s", op->name);
        return;
    }
    fprintf(out, "%s(", op->name + space_length(op) + 1);
    for (uint32_t k = 0; k < count; k++) {
        const char *kind = kind_name(loom_signature_argument(op, k));
        bool optional = k >= op->arity_min, last = k + 1 == count;
        fprintf(out, "%s%s%s%s%s", k > 0 ? ", " : "", optional ? "[" : "", kind, repeats && last ? "..." : "",
                optional ? "]" : "");
    }
    fprintf(out, ") -> %s", kind_name(loom_signature_result(op)));
    used = (size_t)ftell(out);
    fclose(out);
    text[used < capacity ? used : capacity - 1] = '\0';
}

/* A letter each, as the legend says. */
static void write_marks(const loom_operator *op, char marks[MARKS_WIDTH + 1]) {
    size_t used = 0;
    if (op->flags & LOOM_OP_VOXELWISE) marks[used++] = 'v';
    if (op->flags & LOOM_OP_REDUCTION) marks[used++] = 'r';
    if (loom_kernel_of(op)->loops != NULL) marks[used++] = 's';
    if (op->flags & LOOM_OP_OPEN) marks[used++] = 'g';
    marks[used] = '\0';
}

/* ---- the table ---- */

/* Words of `text` in lines of the page's last column; the cursor stands where it begins. */
static void print_wrapped(const char *text) {
    const size_t margin = 2 + CALL_WIDTH + 1 + COST_WIDTH + 1 + KERNEL_WIDTH + 1 + MARKS_WIDTH + 1;
    size_t column = margin;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > margin && column + 1 + word > PAGE_WIDTH) {
            printf("\n%*s", (int)margin, "");
            column = margin;
        }
        column += (size_t)printf("%s%.*s", column > margin ? " " : "", (int)word, text);
        text += word;
        while (*text == ' ')
            text++;
    }
    putchar('\n');
}

static void print_row(const loom_operator *op) {
    char call[512], marks[MARKS_WIDTH + 1];
    write_call(op, call, sizeof call);
    write_marks(op, marks);
    if (strlen(call) > CALL_WIDTH) {
        printf("  %s\n", call);
        call[0] = '\0';
    }
    printf("  %-*s %-*s %-*s %-*s ", CALL_WIDTH, call, COST_WIDTH, cost_name(op->cost), KERNEL_WIDTH,
           loom_operator_is_native(op) ? "native" : "python", MARKS_WIDTH, marks);
    print_wrapped(op->doc);
}

static void print_legend(void) {
    puts("\nWhat stands in [ ] may be left out. same: an image if an argument is one, a sequence if one is,\n"
         "else a scalar. Cost: scalar, about a microsecond; voxel, one pass; filter, looks around each voxel;\n"
         "global, sorts, labels or measures distances; file. python: no kernel in this version.\n"
         "v: voxel by voxel; r: from an image to numbers; s: split over workers; g: takes its grid from where\n"
         "it is used.");
}

/* ---- JSON ---- */

static loom_status print_json(const loom_operator *op, loom_error *err) {
    loom_json_line line = {0};
    bool repeats;
    uint32_t count = argument_count(op, &repeats);
    char call[512], space[256];
    write_call(op, call, sizeof call);
    snprintf(space, sizeof space, "%.*s", (int)space_length(op), op->name);
    loom_line_text(&line, "name", op->name);
    loom_line_text(&line, "namespace", space);
    loom_line_text(&line, "call", call);
    loom_line_array(&line, "arguments");
    for (uint32_t k = 0; k < count; k++)
        loom_line_text(&line, NULL, kind_name(loom_signature_argument(op, k)));
    loom_line_end_array(&line);
    loom_line_bool(&line, "repeats", repeats);
    loom_line_text(&line, "result", kind_name(loom_signature_result(op)));
    loom_line_count(&line, "arity_min", op->arity_min);
    if (op->arity_max == LOOM_ARITY_ANY)
        loom_line_null(&line, "arity_max");
    else
        loom_line_count(&line, "arity_max", op->arity_max);
    loom_line_text(&line, "cost", cost_name(op->cost));
    loom_line_text(&line, "kernel", loom_operator_is_native(op) ? "native" : "python");
    loom_line_bool(&line, "voxelwise", (op->flags & LOOM_OP_VOXELWISE) != 0);
    loom_line_bool(&line, "reduction", (op->flags & LOOM_OP_REDUCTION) != 0);
    loom_line_bool(&line, "split", loom_kernel_of(op)->loops != NULL);
    loom_line_bool(&line, "reads_files", (op->flags & LOOM_OP_READS_FILES) != 0);
    loom_line_bool(&line, "effect", (op->flags & LOOM_OP_EFFECT) != 0);
    loom_line_count(&line, "version", (uint64_t)op->version);
    loom_line_text(&line, "doc", op->doc);
    return loom_line_print(&line, stdout, err);
}

/* ---- the command ---- */

static bool is_in(const loom_operator *op, const char *space) {
    size_t length = space_length(op);
    return strlen(space) == length && memcmp(op->name, space, length) == 0;
}

/* LOOM_BAD_USAGE, with the namespaces that there are, unless the table has this one. */
static loom_status check_namespace(const loom_operator_table *table, const char *space, loom_error *err) {
    char names[NAMESPACES_MAX][64], list[1024] = "";
    const char *pointers[NAMESPACES_MAX];
    size_t count = 0;
    for (size_t k = 0; k < table->count; k++) {
        const loom_operator *op = table->operators[k];
        if (is_in(op, private_namespace) || (count > 0 && is_in(op, names[count - 1]))) continue;
        if (is_in(op, space)) return LOOM_OK;
        if (count == NAMESPACES_MAX) break;
        snprintf(names[count], sizeof names[count], "%.*s", (int)space_length(op), op->name);
        pointers[count] = names[count];
        if (count > 0) strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, names[count], sizeof list - strlen(list) - 1);
        count++;
    }
    loom_error_at(err, "voxloom list-primitives", 0, 0);
    const char *nearest = loom_nearest(space, pointers, count);
    if (nearest != NULL)
        return loom_fail(err, LOOM_BAD_USAGE, "unknown namespace %.80s; did you mean %s? There are %s", space, nearest,
                         list);
    return loom_fail(err, LOOM_BAD_USAGE, "unknown namespace %.80s; there are %s", space, list);
}

static loom_status list(const loom_operator_table *table, const char *space, bool json, loom_error *err) {
    const loom_operator *last = NULL;
    if (space != NULL) LOOM_TRY(check_namespace(table, space, err));
    for (size_t k = 0; k < table->count; k++) {
        const loom_operator *op = table->operators[k];
        if (is_in(op, private_namespace) || (space != NULL && !is_in(op, space))) continue;
        if (json) {
            LOOM_TRY(print_json(op, err));
            continue;
        }
        if (last == NULL || space_length(last) != space_length(op) ||
            memcmp(last->name, op->name, space_length(op)) != 0)
            printf("%s%.*s\n", last != NULL ? "\n" : "", (int)space_length(op), op->name);
        print_row(op);
        last = op;
    }
    if (!json) print_legend();
    return LOOM_OK;
}

static int list_primitives(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    loom_settings settings = {0};
    loom_error err = {0};
    bool json = false;
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&settings), {.name = "--json", .flag = &json}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 0, 1, &words);
    int exit_status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        const loom_operator_table *table;
        loom_config *config = malloc(sizeof *config);
        loom_status status = config == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory")
                                            : loom_settings_load(&settings, config, &err);
        if (status == LOOM_OK) status = loom_operators_with(config->kernels.plugins, &table, &err);
        if (status == LOOM_OK) status = list(table, words.count > 0 ? words.items[0] : NULL, json, &err);
        if (status != LOOM_OK) exit_status = loom_exit_failed(&err);
        free(config);
    }
    loom_words_free(&words);
    loom_settings_free(&settings);
    return exit_status;
}

const loom_command loom_command_list_primitives = {
    .name = "list-primitives",
    .summary = "Lists the operators that programs can call",
    .usage = "voxloom list-primitives [NAMESPACE] [--json]",
    .help = "  NAMESPACE        only those of default, vox1, simpleitk, ...\n"
            "  --json           one object a line (runtime/API.md)\n"
            "  --config FILE    reads this configuration file too (for kernels.plugins)\n"
            "  --set KEY=VALUE  sets one setting; `voxloom config show` lists them\n",
    .run = list_primitives,
};
