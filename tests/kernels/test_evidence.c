/* test_evidence.c - every native operator has evidence that its results are right, and tests/README.md lists it.
 *
 * The table there has a row for the operators of a namespace that the same things speak for. It must have every native
 * operator, and say of none what is not so; `test_kernels_evidence --update` writes it. Evidence that this program does
 * not find by itself (files outside tests/kernels, with their folder) is kept as it stands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "evidence.h"
#include "runtime/kernels/native.h"

#define BEGIN "<!-- evidence: written by test_kernels_evidence --update -->\n"
#define END "<!-- end of evidence -->\n"

typedef struct listed {
    char name[128];
    char words[512]; /* "recorded, ITK, `test_laws.c`" */
} listed;

static listed table[EVIDENCE_OPERATORS_MAX];
static size_t table_count;

static const char *readme_path(void) {
    static char path[4096];
    const char *source = getenv("VOXLOOM_SOURCE");
    if (source == NULL) fail_msg("VOXLOOM_SOURCE is not set: run this with ctest, or set it to the source folder");
    snprintf(path, sizeof path, "%s/tests/README.md", source);
    return path;
}

static listed *find(const char *name) {
    for (size_t k = 0; k < table_count; k++)
        if (strcmp(table[k].name, name) == 0) return &table[k];
    return NULL;
}

/* ---- the table as it stands ---- */

/* "| vox1 | `near` `interior` | recorded, ... |" */
static void read_row(char *line) {
    char *rest = NULL, *space = strtok_r(line, "|", &rest), *names = strtok_r(NULL, "|", &rest);
    char *words = strtok_r(NULL, "|", &rest), *more = NULL;
    if (words == NULL || space[0] != ' ') fail_msg("tests/README.md: not a row of the table of evidence: %s", line);
    space[strcspn(space + 1, " ") + 1] = '\0';
    words += strspn(words, " ");
    size_t length = strlen(words);
    while (length > 0 && words[length - 1] == ' ')
        words[--length] = '\0';
    for (char *name = strtok_r(names, " `", &more); name != NULL; name = strtok_r(NULL, " `", &more)) {
        assert_true(table_count < EVIDENCE_OPERATORS_MAX);
        listed *one = &table[table_count];
        snprintf(one->name, sizeof one->name, "%s.%s", space + 1, name);
        snprintf(one->words, sizeof one->words, "%s", words);
        if (find(one->name) != NULL) fail_msg("tests/README.md lists the evidence of %s twice", one->name);
        table_count++;
    }
}

/* *before and *after: what stands around the table. */
static void read_table(harness *h, const char **before, const char **after) {
    size_t length = 0;
    const char *bytes = read_text(h, readme_path(), &length);
    char *text = loom_arena_text(h->arena, bytes, length), *begin = strstr(text, BEGIN), *end = strstr(text, END);
    if (begin == NULL || end == NULL || end < begin) fail_msg("tests/README.md has no table between\n%s%s", BEGIN, END);
    *before = loom_arena_text(h->arena, text, (size_t)(begin - text));
    *after = loom_arena_text(h->arena, end + strlen(END), strlen(end + strlen(END)));
    *end = '\0';
    char *rest = NULL;
    table_count = 0;
    for (char *line = strtok_r(begin + strlen(BEGIN), "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, "| ---", 5) != 0 && strncmp(line, "| namespace", 11) != 0) read_row(line);
}

/* ---- what is so ---- */

static void append(char *words, size_t capacity, const char *word, bool quoted) {
    size_t used = strlen(words);
    snprintf(words + used, capacity - used, "%s%s%s%s", used > 0 ? ", " : "", quoted ? "`" : "", word,
             quoted ? "`" : "");
}

/* Files with a folder in front, which the table had. */
static void keep_others(const listed *known, char *words, size_t capacity) {
    char copy[sizeof known->words], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", known->words);
    for (char *word = strtok_r(copy, ", `", &rest); word != NULL; word = strtok_r(NULL, ", `", &rest))
        if (strchr(word, '/') != NULL) append(words, capacity, word, true);
}

static void describe(const evidence *found, size_t k, char *words, size_t capacity) {
    const listed *known = find(loom_operators()->operators[k]->name);
    words[0] = '\0';
    if (found->of[k].recorded) append(words, capacity, "recorded", false);
    if (found->of[k].itk) append(words, capacity, "ITK", false);
    for (size_t f = 0; f < found->file_count; f++)
        if (found->of[k].named[f]) append(words, capacity, found->files[f], true);
    if (known != NULL) keep_others(known, words, capacity);
}

/* True if what the table says of operator k is so. */
static bool holds(const evidence *found, size_t k, const char *word) {
    if (strcmp(word, "recorded") == 0) return !found->has_recorded || found->of[k].recorded;
    if (strcmp(word, "ITK") == 0) return found->of[k].itk;
    for (size_t f = 0; f < found->file_count; f++)
        if (strcmp(word, found->files[f]) == 0) return found->of[k].named[f];
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/%s", getenv("VOXLOOM_SOURCE"), word);
    return strchr(word, '/') != NULL && access(path, R_OK) == 0;
}

/* ---- the tests ---- */

static void every_native_operator_has_evidence(void **state) {
    (void)state;
    static evidence found;
    harness *h = harness_new();
    const char *before, *after;
    unsigned wrong = 0;
    read_table(h, &before, &after);
    evidence_find(h, getenv("VOXLOOM_SOURCE"), getenv("VOXLOOM_SHARED"), &found);
    if (!found.has_recorded) print_message("no recorded cases below VOXLOOM_SHARED: that column is not checked\n");
    for (size_t k = 0; k < loom_operators()->count; k++) {
        const loom_operator *op = loom_operators()->operators[k];
        if (!loom_operator_is_native(op)) continue;
        const listed *one = find(op->name);
        char words[512] = "", *rest = NULL;
        if (one != NULL) snprintf(words, sizeof words, "%s", one->words);
        unsigned count = 0;
        for (char *word = strtok_r(words, ", `", &rest); word != NULL; word = strtok_r(NULL, ", `", &rest), count++)
            if (!holds(&found, k, word)) {
                print_error("%s: %s does not speak for it\n", op->name, word);
                wrong++;
            }
        if (count > 0) continue;
        print_error("%s has no evidence in tests/README.md: compare its results with something independent, then run "
                    "test_kernels_evidence --update\n",
                    op->name);
        wrong++;
    }
    for (size_t k = 0; k < table_count; k++)
        if (loom_operator_find(loom_operators(), table[k].name, strlen(table[k].name)) == NULL) {
            print_error("tests/README.md lists %s, which is no operator\n", table[k].name);
            wrong++;
        }
    harness_free(h);
    assert_int_equal(wrong, 0);
}

static size_t space_length(size_t k) {
    return strcspn(loom_operators()->operators[k]->name, ".");
}

static void write_table(FILE *out, char (*words)[512]) {
    const loom_operator *const *operators = loom_operators()->operators;
    size_t count = loom_operators()->count;
    static bool done[EVIDENCE_OPERATORS_MAX];
    fputs(BEGIN "| namespace | operators | evidence |\n| --- | --- | --- |\n", out);
    for (size_t k = 0; k < count; k++) {
        if (done[k] || !loom_operator_is_native(operators[k])) continue;
        size_t length = space_length(k);
        fprintf(out, "| %.*s |", (int)length, operators[k]->name);
        for (size_t j = k; j < count; j++) {
            bool alike = space_length(j) == length && memcmp(operators[j]->name, operators[k]->name, length) == 0 &&
                         strcmp(words[j], words[k]) == 0 && loom_operator_is_native(operators[j]);
            if (!alike) continue;
            fprintf(out, " `%s`", operators[j]->name + length + 1);
            done[j] = true;
        }
        fprintf(out, " | %s |\n", words[k]);
    }
    fputs(END, out);
}

static void update(void **state) {
    (void)state;
    static evidence found;
    static char words[EVIDENCE_OPERATORS_MAX][512];
    harness *h = harness_new();
    const char *before, *after;
    read_table(h, &before, &after);
    evidence_find(h, getenv("VOXLOOM_SOURCE"), getenv("VOXLOOM_SHARED"), &found);
    if (!found.has_recorded) fail_msg("set VOXLOOM_SHARED to the folder of recorded data");
    for (size_t k = 0; k < loom_operators()->count; k++) {
        describe(&found, k, words[k], sizeof words[k]);
        if (words[k][0] == '\0' && loom_operator_is_native(loom_operators()->operators[k]))
            print_error("%s has no evidence\n", loom_operators()->operators[k]->name);
    }
    FILE *out = fopen(readme_path(), "w");
    if (out == NULL) fail_msg("cannot write %s: %s", readme_path(), strerror(errno));
    fputs(before, out);
    write_table(out, words);
    fputs(after, out);
    assert_int_equal(fclose(out), 0);
    harness_free(h);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_native_operator_has_evidence)};
    const struct CMUnitTest updates[] = {cmocka_unit_test(update)};
    if (argc > 1 && strcmp(argv[1], "--update") == 0) return cmocka_run_group_tests(updates, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
