/* program.c - a whole program to a plan: its variables, commands in order, imports spliced in where they stand
 * (voxlogica2.md, 2.1 and 2.2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/parser.h"
#include "planner/plan_state.h"
#include "planner/program_paths.h"
#include "planner/stdlib_text.h"

/* A text whose commands are being carried out. Imports stack up here, not on the C stack. */
typedef struct running {
    const loom_program *program;
    size_t next;
    const char *path; /* as opened; NULL for texts that are no file */
    const char *real; /* without symbolic links */
} running;

typedef struct builder {
    loom_plan *plan;
    running *stack;
    size_t depth, capacity;
    loom_error *err;
} builder;

static running *current(const builder *b) {
    return &b->stack[b->depth - 1];
}

static loom_status enter(builder *b, running next) {
    if (b->depth == b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : 8;
        running *grown = realloc(b->stack, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(b->err);
        b->stack = grown;
        b->capacity = capacity;
    }
    b->stack[b->depth++] = next;
    return LOOM_OK;
}

static loom_environment environment(const builder *b) {
    return (loom_environment){.version = b->plan->version};
}

static loom_position position_of(loom_place place) {
    return (loom_position){.file = place.source->name, .line = place.line, .column = place.column};
}

static loom_status bind(builder *b, const loom_name *name, loom_binding binding) {
    if (b->plan->version == UINT32_MAX) return loom_fail(b->err, LOOM_TOO_LARGE, "too many declarations");
    b->plan->version++;
    if (!loom_global_bind(b->plan->arena, (loom_name *)name, b->plan->version, binding))
        return loom_plan_no_memory(b->err);
    return LOOM_OK;
}

/* ---- $variables ---- */

static loom_status bind_variable(builder *b, const char *name, const char *text) {
    loom_plan *plan = b->plan;
    const loom_name *variable = loom_names_get(&plan->names, name, strlen(name));
    if (!variable) return loom_plan_no_memory(b->err);
    loom_value value = loom_string_of(text);
    loom_binding binding = {0};
    LOOM_TRY(loom_plan_add_constant(plan, &value, (loom_position){0}, &binding.node, b->err));
    plan->program_variables[plan->program_variable_count++] = binding.node;
    return bind(b, variable, binding);
}

static loom_status bind_variables(builder *b, const char *source) {
    loom_program_paths paths;
    LOOM_TRY(loom_program_paths_find(b->plan->arena, source, &paths, b->err));
    LOOM_TRY(bind_variable(b, "$cwd", paths.cwd));
    LOOM_TRY(bind_variable(b, "$dir", paths.dir));
    LOOM_TRY(bind_variable(b, "$file", paths.file));
    LOOM_TRY(bind_variable(b, "$filename", paths.file));
    return bind_variable(b, "$stem", paths.stem);
}

/* ---- imports ---- */

static loom_status enter_text(builder *b, const char *name, const char *text, size_t length, running next,
                              bool library) {
    loom_source *source;
    loom_program *program;
    LOOM_TRY(loom_source_make(b->plan->arena, name, text, length, &source, b->err));
    source->library = library;
    LOOM_TRY(loom_parse_program(&b->plan->names, source, &program, b->err));
    next.program = program;
    return enter(b, next);
}

static loom_status import_namespace(builder *b, const char *name) {
    if (!loom_import_namespace(b->plan, name)) return loom_plan_no_memory(b->err);
    if (strcmp(name, "vox1") != 0) return LOOM_OK;
    return enter_text(b, "vox1/stdlib.imgql", loom_stdlib_text, loom_stdlib_length, (running){0}, true);
}

static loom_status unknown_namespace(builder *b, loom_place place, const char *name) {
    char known[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < b->plan->namespace_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", b->plan->namespaces[i]);
    return loom_diagnose(
        b->err, LOOM_BAD_PROGRAM, place,
        "Unknown primitive namespace: %.100s; known are %s. A file is imported by its full name, as in "
        "import \"%.100s.imgql\"",
        name, known, name);
}

static bool is_running(const builder *b, const char *real) {
    for (size_t i = 0; i < b->depth; i++)
        if (b->stack[i].real && strcmp(b->stack[i].real, real) == 0) return true;
    return false;
}

static loom_status import_found(builder *b, loom_place place, const char *path) {
    running next = {.path = path, .real = loom_real_path(b->plan->arena, path)};
    if (next.real && is_running(b, next.real)) {
        char text[300];
        snprintf(text, sizeof text, "%.200s is being read already; this import of it is ignored", path);
        loom_plan_notice(b->plan, place, text);
        return LOOM_OK;
    }
    const char *text;
    size_t length;
    loom_error cause;
    loom_error_clear(&cause);
    if (loom_read_text(b->plan->arena, path, &text, &length, &cause) != LOOM_OK)
        return loom_diagnose(b->err, LOOM_BAD_PROGRAM, place, "%s", cause.message);
    return enter_text(b, path, text, length, next, false);
}

static loom_status import_file(builder *b, loom_place place, const char *written) {
    const char *path = loom_find_import(b->plan->arena, written, current(b)->path);
    if (path) return import_found(b, place, path);
    if (strcmp(written, "stdlib.imgql") == 0) {
        loom_plan_notice(b->plan, place, "`import \"stdlib.imgql\"` is VoxLogicA-1 syntax; read as import \"vox1\"");
        return import_namespace(b, "vox1");
    }
    return loom_diagnose(b->err, LOOM_BAD_PROGRAM, place,
                         "cannot import \"%.200s\": there is no such file in the working directory or beside the "
                         "importing file; correct the name, or run from the folder that holds it",
                         written);
}

static const char *strip_quotes(loom_arena *arena, const char *label) {
    label += strspn(label, "\"'");
    size_t length = strlen(label);
    while (length && strchr("\"'", label[length - 1]))
        length--;
    return loom_arena_text(arena, label, length);
}

static loom_status run_import(builder *b, const loom_command *command) {
    loom_name *seen = loom_names_get(&b->plan->names, command->label, strlen(command->label));
    const char *target = strip_quotes(b->plan->arena, command->label);
    if (!seen || !target) return loom_plan_no_memory(b->err);
    if (seen->imported) return LOOM_OK;
    seen->imported = true;
    if (strpbrk(target, "./")) return import_file(b, command->place, target);
    if (!loom_is_namespace(b->plan, target, strlen(target))) return unknown_namespace(b, command->place, target);
    return import_namespace(b, target);
}

/* ---- commands ---- */

static loom_status declare_function(builder *b, const loom_command *command) {
    loom_function *function = loom_arena_alloc(b->plan->arena, sizeof *function);
    if (!function) return loom_plan_no_memory(b->err);
    function->name = command->name;
    function->environment = environment(b);
    function->body = loom_template_new(b->plan->arena, command->parameters, command->parameter_count, command->expr);
    if (!function->body) return loom_plan_no_memory(b->err);
    return bind(b, command->name, (loom_binding){.node = LOOM_NODE_NONE, .function = function});
}

static loom_status run_declaration(builder *b, const loom_command *command) {
    LOOM_TRY(loom_check_reserved(command->name, command->place, b->err));
    if (command->parameter_count) return declare_function(b, command);
    loom_binding binding = {0};
    LOOM_TRY(loom_reduce(b->plan, command->expr, environment(b), 0, &binding.node, b->err));
    return bind(b, command->name, binding);
}

/* `load x = "file"` as x = simpleitk.ReadImage("file"). */
static loom_status run_load(builder *b, const loom_command *command) {
    loom_expr *call = loom_arena_alloc(b->plan->arena, sizeof *call);
    loom_expr **arguments = loom_arena_copy(b->plan->arena, &command->expr, sizeof command->expr);
    const loom_name *reader = loom_names_get(&b->plan->names, "simpleitk.ReadImage", 19);
    if (!call || !arguments || !reader) return loom_plan_no_memory(b->err);
    *call = (loom_expr){.kind = LOOM_EXPR_CALL, .place = command->place, .name = reader};
    call->list.items = arguments;
    call->list.count = 1;
    loom_command declaration = *command;
    declaration.expr = call;
    loom_text file = {0};
    loom_print_expr(&file, command->expr, false);
    char text[300];
    int shown = file.buffer.length < 100 ? (int)file.buffer.length : 100;
    snprintf(text, sizeof text, "`load %.60s = %.*s` is VoxLogicA-1 syntax; read as %.60s = ReadImage(%.*s)",
             command->name->text, shown, (const char *)file.buffer.bytes, command->name->text, shown,
             (const char *)file.buffer.bytes);
    bool failed = file.failed;
    loom_text_free(&file);
    if (failed) return loom_plan_no_memory(b->err);
    loom_plan_notice(b->plan, command->place, text);
    return run_declaration(b, &declaration);
}

static loom_status run_goal(builder *b, const loom_command *command) {
    loom_goal goal = {.kind = command->kind == LOOM_COMMAND_PRINT ? LOOM_GOAL_PRINT : LOOM_GOAL_SAVE,
                      .name = command->label,
                      .position = position_of(command->place)};
    LOOM_TRY(loom_reduce(b->plan, command->expr, environment(b), 0, &goal.node, b->err));
    return loom_plan_add_goal(b->plan, goal, b->err);
}

static loom_status run_command(builder *b, const loom_command *command) {
    switch (command->kind) {
    case LOOM_COMMAND_DECLARE:
        return run_declaration(b, command);
    case LOOM_COMMAND_LOAD:
        return run_load(b, command);
    case LOOM_COMMAND_PRINT:
    case LOOM_COMMAND_SAVE:
        return run_goal(b, command);
    case LOOM_COMMAND_IMPORT:
        return run_import(b, command);
    }
    return loom_fail(b->err, LOOM_INTERNAL, "a command of no kind");
}

static loom_status run_all(builder *b) {
    while (b->depth) {
        running *now = current(b);
        if (now->next == now->program->count)
            b->depth--;
        else
            LOOM_TRY(run_command(b, &now->program->commands[now->next++]));
    }
    return LOOM_OK;
}

static loom_status build(builder *b, const char *source, const char *text, size_t length) {
    LOOM_TRY(bind_variables(b, source));
    running main = {.path = source, .real = loom_real_path(b->plan->arena, source)};
    LOOM_TRY(enter_text(b, source, text, length, main, false));
    return run_all(b);
}

loom_status loom_plan_from_program(const loom_plan_options *options, const char *source, const char *text,
                                   size_t length, loom_plan **plan, loom_error *err) {
    builder b = {.err = err};
    LOOM_TRY(loom_plan_new(options, plan, err));
    b.plan = *plan;
    loom_status status = build(&b, source, text, length);
    free(b.stack);
    if (status != LOOM_OK) {
        loom_plan_free(*plan);
        *plan = NULL;
    }
    return status;
}
