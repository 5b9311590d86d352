/* evidence.c - see evidence.h. */
#include "evidence.h"

#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "planner/plan.h"
#include "runtime/kernels/files/json.h"

/* ---- tests that name it ---- */

/* Tests that call every operator whatever it is, and say nothing of its results. */
static bool says_something(const char *name) {
    static const char *const others[] = {"test_arguments.c", "test_parts.c", "test_cpus.c",   "test_pins.c",
                                         "test_needs.c",     "test_itk.c",   "test_golden.c", "test_evidence.c"};
    size_t length = strlen(name);
    if (strncmp(name, "test_", 5) != 0 || length < 2 || strcmp(name + length - 2, ".c") != 0) return false;
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        if (strcmp(name, others[k]) == 0) return false;
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void find_files(harness *h, const char *folder, evidence *found) {
    DIR *all = opendir(folder);
    if (all == NULL) fail_msg("no folder %s", folder);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        if (!says_something(entry->d_name)) continue;
        assert_true(found->file_count < EVIDENCE_FILES_MAX);
        found->files[found->file_count++] = loom_arena_text(h->arena, entry->d_name, strlen(entry->d_name));
    }
    closedir(all);
    qsort(found->files, found->file_count, sizeof found->files[0], by_name);
}

static void read_tests(harness *h, const char *folder, evidence *found) {
    char path[8192], quoted[160];
    size_t length = 0;
    find_files(h, folder, found);
    for (size_t f = 0; f < found->file_count; f++) {
        snprintf(path, sizeof path, "%s/%s", folder, found->files[f]);
        const char *bytes = read_text(h, path, &length);
        const char *text = loom_arena_text(h->arena, bytes, length);
        for (size_t k = 0; k < loom_operators()->count; k++) {
            snprintf(quoted, sizeof quoted, "\"%s\"", loom_operators()->operators[k]->name);
            if (strstr(text, quoted) != NULL) found->of[k].named[f] = true;
        }
    }
}

/* ---- what ITK wrote down ---- */

static bool is_called(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += length) {
        bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (begins && at[length] == '(') return true;
    }
    return false;
}

static void read_itk(harness *h, const char *folder, evidence *found) {
    char path[8192];
    DIR *all = opendir(folder);
    if (all == NULL) return;
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".txt") != 0 ||
            strcmp(entry->d_name, "CMakeLists.txt") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const char *bytes = read_text(h, path, &length), *text = loom_arena_text(h->arena, bytes, length);
        for (size_t k = 0; k < loom_operators()->count; k++) {
            const char *name = loom_operators()->operators[k]->name;
            if (strncmp(name, "simpleitk.", 10) == 0 && is_called(text, name + 10)) found->of[k].itk = true;
        }
    }
    closedir(all);
}

/* ---- recorded cases ---- */

/* Marks the operators of all nodes below `goal`; bodies of loops are applied to an item to see theirs. */
static void mark(loom_plan *plan, loom_node_index goal, evidence *found) {
    loom_node_index stack[4096];
    size_t depth = 0;
    static bool seen[65536];
    memset(seen, 0, sizeof seen);
    stack[depth++] = goal;
    while (depth > 0) {
        loom_node_index index = stack[--depth];
        if (index >= sizeof seen || seen[index]) continue;
        seen[index] = true;
        loom_node node = *loom_plan_node(plan, index);
        if (node.op != NULL) found->of[loom_operator_index(loom_operators(), node.op)].recorded = true;
        for (uint32_t k = 0; k < node.argument_count && depth < sizeof stack / sizeof stack[0]; k++)
            stack[depth++] = node.arguments[k];
        if (node.kind != LOOM_NODE_CLOSURE || depth == sizeof stack / sizeof stack[0]) continue;
        loom_value nothing = loom_null();
        loom_node_index item = LOOM_NODE_NONE, body = LOOM_NODE_NONE;
        if (loom_plan_item(plan, &node.id, 0, &nothing, &item, NULL) == LOOM_OK &&
            loom_plan_apply(plan, index, item, &body, NULL) == LOOM_OK)
            stack[depth++] = body;
    }
}

static void read_case(harness *h, const loom_value *prelude, const loom_value *one, evidence *found) {
    static char program[65536];
    const loom_value *expression = loom_record_get(one, "expression");
    assert_non_null(expression);
    snprintf(program, sizeof program, "%.*s\nresult = %.*s\nprint \"result\" result\n", (int)prelude->text.length,
             prelude->text.bytes, (int)expression->text.length, expression->text.bytes);
    loom_plan_options options = {.operators = loom_operators()};
    loom_plan *plan = NULL;
    if (loom_plan_from_program(&options, "golden.imgql", program, strlen(program), &plan, &h->err) != LOOM_OK)
        fail_msg("%s", h->err.message);
    mark(plan, loom_plan_goal(plan, loom_plan_goal_count(plan) - 1)->node, found);
    loom_plan_free(plan);
}

static void read_recorded(harness *h, const char *shared, evidence *found) {
    static const char *const sets[] = {"small", "field", "chris"};
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        char path[4096];
        size_t length = 0;
        snprintf(path, sizeof path, "%s/golden/%s/manifest.json", shared, sets[s]);
        if (access(path, R_OK) != 0) return;
        const char *text = read_text(h, path, &length);
        loom_value manifest = loom_null();
        if (loom_json_read(path, text, length, h->arena, &manifest, &h->err) != LOOM_OK) fail_msg("%s", h->err.message);
        const loom_value *prelude = loom_record_get(&manifest, "prelude"), *cases = loom_record_get(&manifest, "cases");
        assert_true(prelude != NULL && cases != NULL);
        for (size_t k = 0; k < cases->sequence.count; k++)
            read_case(h, prelude, &cases->sequence.items[k], found);
    }
    found->has_recorded = true;
}

void evidence_find(harness *h, const char *source, const char *shared, evidence *found) {
    char folder[4096];
    memset(found, 0, sizeof *found);
    assert_true(loom_operators()->count <= EVIDENCE_OPERATORS_MAX);
    snprintf(folder, sizeof folder, "%s/tests/kernels", source);
    read_tests(h, folder, found);
    snprintf(folder, sizeof folder, "%s/tests/kernels/itk", source);
    read_itk(h, folder, found);
    if (shared != NULL) read_recorded(h, shared, found);
}
