/* program_test.c - see program_test.h. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/parser.h"
#include "planner/template.h"
#include "runtime/kernels/kernel.h"
#include "shm/number.h"

char notices[4096];
static char told[8192];

static void keep_notice(const loom_position *position, const char *text, void *context) {
    (void)context;
    size_t used = strlen(notices);
    snprintf(notices + used, sizeof notices - used, "%s:%u:%u: %s\n", position->file, position->line, position->column,
             text);
}

static loom_plan_options options(void) {
    notices[0] = '\0';
    return (loom_plan_options){.operators = loom_operators(), .notice = keep_notice};
}

static const char *tell(const loom_error *err) {
    FILE *stream = fmemopen(told, sizeof told, "w");
    assert_non_null(stream);
    loom_error_print(err, stream);
    fclose(stream);
    size_t length = strlen(told);
    if (length && told[length - 1] == '\n') told[length - 1] = '\0';
    return told;
}

loom_plan *plan_named(const char *source, const char *text) {
    loom_plan_options with = options();
    loom_error err = {0};
    loom_plan *plan = NULL;
    if (loom_plan_from_program(&with, source, text, strlen(text), &plan, &err) != LOOM_OK)
        fail_msg("%s\nrefused: %s", text, tell(&err));
    return plan;
}

loom_plan *plan_of(const char *text) {
    return plan_named("prog.imgql", text);
}

const char *error_named(const char *source, const char *text) {
    loom_plan_options with = options();
    loom_error err = {0};
    loom_plan *plan = NULL;
    loom_status status = loom_plan_from_program(&with, source, text, strlen(text), &plan, &err);
    if (status == LOOM_OK) fail_msg("accepted: %.300s", text);
    assert_null(plan);
    assert_int_equal(status, err.status);
    return tell(&err);
}

const char *error_of(const char *text) {
    return error_named("prog.imgql", text);
}

loom_status status_of(const char *text) {
    loom_plan_options with = options();
    loom_error err = {0};
    loom_plan *plan = NULL;
    loom_status status = loom_plan_from_program(&with, "prog.imgql", text, strlen(text), &plan, &err);
    loom_plan_free(plan);
    return status;
}

/* ---- nodes as text ---- */

static char shown_text[65536];

static void show(const loom_plan *plan, loom_node_index index);

static void add(const char *text) {
    size_t used = strlen(shown_text);
    assert_true(used + strlen(text) + 1 < sizeof shown_text);
    strcpy(shown_text + used, text);
}

static void show_arguments(const loom_plan *plan, const loom_node *node) {
    for (uint32_t i = 0; i < node->argument_count; i++) {
        add(i ? ", " : "(");
        show(plan, node->arguments[i]);
    }
    add(node->argument_count ? ")" : "()");
}

static void show_constant(const loom_value *value) {
    char digits[LOOM_NUMBER_TEXT_BYTES + 1] = "";
    switch (value->type) {
    case LOOM_FLOAT:
        digits[loom_number_repr(value->number, digits)] = '\0';
        add(digits);
        break;
    case LOOM_INT:
        snprintf(digits, sizeof digits, "%lld", (long long)value->integer);
        add(digits);
        break;
    case LOOM_BOOL:
        add(value->boolean ? "true" : "false");
        break;
    case LOOM_NULL:
        add("null");
        break;
    case LOOM_STRING: {
        char text[1024];
        snprintf(text, sizeof text, "\"%.*s\"", (int)value->text.length, value->text.bytes);
        add(text);
        break;
    }
    default:
        add(loom_type_name(value->type));
    }
}

static void show(const loom_plan *plan, loom_node_index index) {
    const loom_node *node = loom_plan_node(plan, index);
    switch (node->kind) {
    case LOOM_NODE_CONSTANT:
        show_constant(&node->value);
        break;
    case LOOM_NODE_PRIMITIVE:
        add(node->op->name);
        if (node->fold_operator) add(node->fold_operator);
        show_arguments(plan, node);
        break;
    case LOOM_NODE_CLOSURE:
        add("closure");
        show_arguments(plan, node);
        break;
    case LOOM_NODE_ITEM:
        add("item:");
        show_constant(&node->value);
    }
}

const char *shown(const loom_plan *plan, loom_node_index node) {
    shown_text[0] = '\0';
    show(plan, node);
    return shown_text;
}

const char *goal_shown(const loom_plan *plan, size_t k) {
    assert_true(k < loom_plan_goal_count(plan));
    return shown(plan, loom_plan_goal(plan, k)->node);
}

/* ---- texts ---- */

static loom_status print_back(loom_names *names, const char *text, loom_error *err) {
    loom_source *source;
    loom_program *program;
    LOOM_TRY(loom_source_make(names->arena, "prog.imgql", text, strlen(text), &source, err));
    LOOM_TRY(loom_parse_program(names, source, &program, err));
    loom_text out = {0};
    loom_print_program(&out, program);
    assert_false(out.failed);
    assert_true(out.buffer.length < sizeof told);
    if (out.buffer.length) memcpy(told, out.buffer.bytes, out.buffer.length);
    told[out.buffer.length] = '\0';
    loom_text_free(&out);
    return LOOM_OK;
}

const char *printed(const char *text) {
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    loom_names names;
    assert_non_null(arena);
    assert_true(loom_names_start(&names, arena));
    if (print_back(&names, text, &err) != LOOM_OK) tell(&err);
    loom_names_end(&names);
    loom_arena_free(arena);
    return told;
}

char *shared_file(const char *name, size_t *length) {
    const char *folder = getenv("VOXLOOM_SHARED");
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("skipped: %s cannot be read; set VOXLOOM_SHARED\n", path);
        skip();
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    *length = fread(text, 1, (size_t)size, file);
    assert_int_equal(*length, size);
    text[*length] = '\0';
    fclose(file);
    return text;
}

char *json_of(const loom_plan *plan, size_t *length) {
    char *text = NULL;
    loom_error err = {0};
    FILE *stream = open_memstream(&text, length);
    assert_non_null(stream);
    if (loom_plan_write_json(plan, stream, &err) != LOOM_OK) fail_msg("%s", err.message);
    fclose(stream);
    return text;
}

loom_plan *plan_from(const char *json) {
    loom_plan_options with = options();
    loom_error err = {0};
    loom_plan *plan = NULL;
    if (loom_plan_from_json(&with, "plan.json", json, strlen(json), &plan, &err) != LOOM_OK)
        fail_msg("%.500s\nrefused: %s", json, tell(&err));
    return plan;
}

const char *plan_error(const char *json) {
    loom_plan_options with = options();
    loom_error err = {0};
    loom_plan *plan = NULL;
    loom_status status = loom_plan_from_json(&with, "plan.json", json, strlen(json), &plan, &err);
    if (status == LOOM_OK) fail_msg("accepted: %.300s", json);
    assert_null(plan);
    assert_int_equal(status, LOOM_BAD_PLAN);
    assert_int_equal(err.status, LOOM_BAD_PLAN);
    return tell(&err);
}
