/* plan.c - `voxloom plan`: shows what a program asks for, without running it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/settings.h"
#include "runtime/coordinator/partition_dot.h"
#include "runtime/kernels/plugin/plugin.h"
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

/* What is written, and where. */
typedef struct plan_request {
    plan_writer write;
    const char *path; /* NULL: stdout */
    bool partition;
    const char *machine; /* of the partition, in hwloc's synthetic language; NULL: this one */
    loom_settings settings;
    const loom_config *config;
} plan_request;

/* The cut, by the estimates that the store's runs have measured. */
static loom_status write_partition(loom_plan *plan, const plan_request *request, FILE *out, loom_error *err) {
    loom_topology topology;
    loom_preview *preview;
    if (request->machine == NULL)
        LOOM_TRY(loom_topology_discover(&topology, err));
    else if (loom_topology_synthetic(request->machine, NULL, &topology, err) != LOOM_OK)
        return err->status = LOOM_BAD_USAGE; /* the user's word was wrong */
    const loom_run_options options = {.config = request->config, .plan = plan};
    LOOM_TRY(loom_preview_open(&options, &preview, err));
    loom_status status = loom_partition_draw(preview, &topology, out, err);
    loom_preview_close(preview);
    return status;
}

static loom_status write_to(loom_plan *plan, const plan_request *request, FILE *out, loom_error *err) {
    return request->partition ? write_partition(plan, request, out, err) : request->write(plan, out, err);
}

static loom_status write_plan(loom_plan *plan, const plan_request *request, loom_error *err) {
    const char *path = request->path;
    if (path == NULL) return write_to(plan, request, stdout, err);
    FILE *out = fopen(path, "we");
    if (out == NULL) return loom_fail_errno(err, errno, "cannot write %s", path);
    loom_status status = write_to(plan, request, out, err);
    bool broken = ferror(out) != 0;
    if ((fclose(out) != 0 || broken) && status == LOOM_OK)
        status = loom_fail_errno(err, errno != 0 ? errno : EIO, "cannot write %s", path);
    return status;
}

static int plan_file(const loom_operator_table *operators, const char *path, const plan_request *request) {
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
    if (status == LOOM_OK) status = write_plan(plan, request, &err);
    loom_plan_free(plan);
    free(text);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}

/* Plug-ins add operators. */
static int plan_with_plugins(const char *path, plan_request *request) {
    loom_error err = {0};
    const loom_operator_table *operators;
    loom_config *config = malloc(sizeof *config);
    loom_status status = config == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory")
                                        : loom_settings_load(&request->settings, config, &err);
    if (status == LOOM_OK) status = loom_operators_with(config->kernels.plugins, &operators, &err);
    request->config = config;
    int exit_status = status == LOOM_OK ? plan_file(operators, path, request) : loom_exit_failed(&err);
    free(config);
    return exit_status;
}

static int plan(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    const char *format = "text";
    plan_request request = {.path = NULL};
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&request.settings),
                                   LOOM_SETTINGS_STORE(&request.settings),
                                   {.name = "--format", .value = &format},
                                   {.name = "--partition", .flag = &request.partition, .value = &request.machine},
                                   {.name = "--output", .letter = "-o", .value = &request.path}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 1, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    request.write = writer_of(format);
    if (parsed == LOOM_PARSED && request.write == NULL)
        status = loom_exit_usage(self, "unknown format %s; there are json, dot and text", format);
    else if (parsed == LOOM_PARSED)
        status = plan_with_plugins(words.items[0], &request);
    loom_words_free(&words);
    loom_settings_free(&request.settings);
    return status;
}

const loom_command loom_command_plan = {
    .name = "plan",
    .summary = "Shows the plan of a program without running it",
    .usage = "voxloom plan PROGRAM.imgql|PLAN.json [--format json|dot|text] [--partition[=MACHINE]] [-o FILE]",
    .help = "  --format text    a line per node, for reading (default)\n"
            "  --format json    VoxLogicA-2's export; `voxloom run` accepts it\n"
            "  --format dot     for Graphviz: voxloom plan p.imgql --format dot | dot -Tsvg -o p.svg\n"
            "  --partition[=MACHINE]  the cut over NUMA domains, for Graphviz: coloured by domain, edges with their\n"
            "                   bytes, red where they cross. MACHINE in hwloc's words: \"numa:2 core:8 pu:1\"\n"
            "  --store DIR      whose measured costs the partition goes by\n"
            "  -o, --output     writes to FILE instead of stdout\n"
            "  --config FILE    reads this configuration file too (for kernels.plugins)\n"
            "  --set KEY=VALUE  sets one setting; `voxloom config show` lists them\n",
    .run = plan,
};
