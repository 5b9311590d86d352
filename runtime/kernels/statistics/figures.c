/* figures.c - records of named numbers: see figures.h. */
#include "runtime/kernels/statistics/figures.h"

#include <string.h>

static loom_status no_memory(loom_call *call) {
    return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
}

loom_status loom_figures_open(loom_call *call, size_t count, loom_figures *figures) {
    *figures = (loom_figures){.call = call, .fields = loom_arena_array(call->arena, count, sizeof(loom_field))};
    return figures->fields == NULL ? no_memory(call) : LOOM_OK;
}

static void add(loom_figures *figures, const char *name, loom_value value) {
    figures->fields[figures->count++] = (loom_field){.name = name, .name_length = strlen(name), .value = value};
    figures->call->result = loom_record(figures->fields, figures->count);
}

void loom_figure_real(loom_figures *figures, const char *name, double number) {
    add(figures, name, loom_float(number));
}

void loom_figure_whole(loom_figures *figures, const char *name, uint64_t number) {
    add(figures, name, loom_int((int64_t)number));
}

void loom_figure_list(loom_figures *figures, const char *name, const loom_value *items, size_t count) {
    add(figures, name, loom_sequence(items, count));
}

loom_status loom_figures_list(loom_call *call, uint64_t count, loom_value **items) {
    *items = loom_arena_array(call->arena, count == 0 ? 1 : count, sizeof **items);
    return *items == NULL ? no_memory(call) : LOOM_OK;
}
