/* plan.c - `voxloom plan`: shows what a program asks for, without running it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/settings.h"
#include "runtime/kernels/plugin.h"
#include "runtime/program.h"

typedef loom_status (*plan_writer)(const loom_plan *plan, FILE *out, loom_error *err);

static const struct {
    const char *name;
    plan_writer write;
} formats[] = {{"json", loom_plan_write_json}, {"dot", loom_plan_write_dot}, {"text", loom_plan_write_text}};

static plan_writer writer_of(const char *format) {
    for (size_t i = 0; i < LOOM_COUNT(formats); i++)
        if (strcmp(formats[i].name, format) == 0) return formats[i].write;
    return NULL;
}

static void show_notice(const loom_position *position, const char *text, void *context) {
    (void)context;
    if (position != NULL && position->file != NULL)
        fprintf(stderr, "%s:%u:%u: note: %s\n", position->file, position->line, position->column, text);
    else
        fprintf(stderr, "voxloom: note: %s\n", text);
}

static loom_status write_plan(const loom_plan *plan, plan_writer write, const char *path, loom_error *err) {
    if (path == NULL) return write(plan, stdout, err);
    FILE *out = fopen(path, "we");
    if (out == NULL) return loom_fail_errno(err, errno, "cannot write %s", path);
    loom_status status = write(plan, out, err);
    bool broken = ferror(out) != 0;
    if ((fclose(out) != 0 || broken) && status == LOOM_OK)
        status = loom_fail_errno(err, errno != 0 ? errno : EIO, "cannot write %s", path);
    return status;
}

static int plan_file(const loom_operator_table *operators, const char *path, plan_writer write, const char *out_path) {
    loom_error err = {0};
    char *text = NULL;
    size_t length = 0;
    loom_plan *plan = NULL;
    if (loom_program_read(path, &text, &length, &err) != LOOM_OK) {
        loom_exit_failed(&err);
        return 2;
    }
    loom_status status = loom_program_plan(operators, path, text, length, show_notice, NULL, &plan, &err);
    if (status == LOOM_OK) status = loom_program_check(plan, &err);
    if (status == LOOM_OK) status = write_plan(plan, write, out_path, &err);
    loom_plan_free(plan);
    free(text);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}

/* Plug-ins add operators. */
static int plan_with_plugins(const loom_settings *settings, const char *path, plan_writer write, const char *out_path) {
    loom_error err = {0};
    const loom_operator_table *operators;
    loom_config *config = malloc(sizeof *config);
    loom_status status =
        config == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory") : loom_settings_load(settings, config, &err);
    if (status == LOOM_OK) status = loom_operators_with(config->kernels.plugins, &operators, &err);
    free(config);
    return status == LOOM_OK ? plan_file(operators, path, write, out_path) : loom_exit_failed(&err);
}

static int plan(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    const char *format = "text";
    const char *path = NULL;
    loom_settings settings = {0};
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&settings),
                                   {.name = "--format", .value = &format},
                                   {.name = "--output", .letter = "-o", .value = &path}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 1, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    plan_writer write = writer_of(format);
    if (parsed == LOOM_PARSED && write == NULL)
        status = loom_exit_usage(self, "unknown format %s; there are json, dot and text", format);
    else if (parsed == LOOM_PARSED)
        status = plan_with_plugins(&settings, words.items[0], write, path);
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_plan = {
    .name = "plan",
    .summary = "Shows the plan of a program without running it",
    .usage = "voxloom plan PROGRAM.imgql|PLAN.json [--format json|dot|text] [-o FILE]",
    .help = "  --format text    a line per node, for reading (default)\n"
            "  --format json    VoxLogicA-2's export; `voxloom run` accepts it\n"
            "  --format dot     for Graphviz: voxloom plan p.imgql --format dot | dot -Tsvg -o p.svg\n"
            "  -o, --output     writes to FILE instead of stdout\n"
            "  --config FILE    reads this configuration file too (for kernels.plugins)\n"
            "  --set KEY=VALUE  sets one setting; `voxloom config show` lists them\n",
    .run = plan,
};
