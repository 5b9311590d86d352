/* registry.c - every operator that this build knows, in one sorted table, and the kernel behind each.
 *
 * The rows come from the tables in the folder tables. Sorting happens once a process, at first use. */
#include "runtime/kernels/kernel.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/tables/table.h"

#define OPERATORS_MAX 512

static const loom_operator *operators[OPERATORS_MAX];
static loom_operator_table table = {.operators = operators};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int compare_names(const void *a, const void *b) {
    const loom_operator *const *left = a;
    const loom_operator *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* A table that does not fit or names an operator twice is a mistake in this program, which no caller could mend. */
static void refuse(const char *what, const char *name) {
    fprintf(stderr, "voxloom: internal error: operator table: %s (%s)\n", what, name);
    abort();
}

static void build(void) {
    const loom_kernel_list *lists[] = {&loom_table_default, &loom_table_vox1, &loom_table_simpleitk,
                                       &loom_table_arrays,  &loom_table_geom, &loom_table_python};
    size_t count = 0;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++)
        for (size_t k = 0; k < lists[l]->count; k++) {
            if (count == OPERATORS_MAX) refuse("more rows than OPERATORS_MAX", lists[l]->kernels[k].op.name);
            operators[count++] = &lists[l]->kernels[k].op;
        }
    qsort(operators, count, sizeof operators[0], compare_names);
    for (size_t k = 1; k < count; k++)
        if (strcmp(operators[k - 1]->name, operators[k]->name) == 0) refuse("listed twice", operators[k]->name);
    table.count = count;
}

const loom_operator_table *loom_operators(void) {
    pthread_once(&once, build);
    return &table;
}

const loom_kernel *loom_kernel_of(const loom_operator *op) {
    /* Every descriptor of the table is the first member of its kernel. */
    _Static_assert(offsetof(loom_kernel, op) == 0, "an operator pointer is also its kernel's");
    return (const loom_kernel *)(const void *)op;
}

loom_status loom_input_add(loom_input_list *list, const char *path, const loom_id *content) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct loom_input *items = loom_arena_array(list->arena, capacity, sizeof *items);
        if (items == NULL) return LOOM_NO_MEMORY;
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    const char *copy = loom_arena_text(list->arena, path, strlen(path));
    if (copy == NULL) return LOOM_NO_MEMORY;
    list->items[list->count++] = (struct loom_input){.path = copy, .content = *content};
    return LOOM_OK;
}
