/* run.c - `voxloom run`: a program or a plan, from its text to its closing summary. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/dry_run.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/profile_table.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/settings.h"
#include "runtime/cli/summary.h"
#include "runtime/coordinator/run.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/program.h"

/* Files to be written beside the results; NULL: none. */
typedef struct run_files {
    const char *summary, *profile, *trace;
    bool profiled; /* with or without a file */
} run_files;

/* What the callbacks of a run share. */
typedef struct run_stage {
    loom_config config;
    run_files files;
    loom_progress_view view;
    /* Where stdout and stderr are one terminal, a print would land inside the live line: prints are then held in
     * memory until the line has been taken away. */
    FILE *held;
    char *held_text;
    size_t held_length, held_shown;
} run_stage;

static void show_held(run_stage *stage) {
    if (stage->held == NULL || fflush(stage->held) != 0 || stage->held_length == stage->held_shown) return;
    loom_progress_clear(&stage->view);
    fwrite(stage->held_text + stage->held_shown, 1, stage->held_length - stage->held_shown, stdout);
    fflush(stdout); /* an error stays in the stream: loom_exit_flushed reports it */
    stage->held_shown = stage->held_length;
}

static void show_progress(const loom_progress *progress, void *context) {
    run_stage *stage = context;
    show_held(stage);
    loom_progress_show(&stage->view, progress);
}

static void show_notice(const char *line, void *context) {
    run_stage *stage = context;
    loom_progress_clear(&stage->view);
    if (!stage->config.output.quiet) fprintf(stderr, "voxloom: %s\n", line);
}

static void show_planning_notice(const loom_position *position, const char *text, void *context) {
    const run_stage *stage = context;
    if (stage->config.output.quiet) return;
    if (position != NULL && position->file != NULL)
        fprintf(stderr, "%s:%u:%u: note: %s\n", position->file, position->line, position->column, text);
    else
        fprintf(stderr, "voxloom: note: %s\n", text);
}

/* Prints how the run ended. The error of a run that got as far as a summary is among its failures. */
static void report(const run_stage *stage, const loom_summary *summary, loom_status status, const loom_error *err) {
    bool failures_told = summary->failure_count > 0 && status != LOOM_CANCELLED;
    if (status != LOOM_OK && !failures_told) loom_error_print(err, stderr);
    if (summary->arena == NULL) return;
    if (status != LOOM_OK && summary->goal_count == 0) return; /* nothing ran: figures would say nothing */
    if (stage->config.output.quiet)
        loom_summary_print_failures(summary, stderr);
    else
        loom_summary_print(summary, stderr);
    if (summary->profile != NULL && !stage->config.output.quiet) loom_profile_print(summary->profile, stderr);
}

/* Summary and profile as JSON; the run's exit status, or 1 if one cannot be written. */
static int save_files(const run_files *files, const loom_summary *summary, int exit_status) {
    loom_error err = {0};
    if (files->summary != NULL && loom_summary_save(summary, files->summary, &err) != LOOM_OK)
        exit_status = loom_exit_failed(&err);
    loom_error_clear(&err);
    if (files->profile != NULL && summary->profile != NULL &&
        loom_summary_save_profile(summary, files->profile, &err) != LOOM_OK)
        exit_status = loom_exit_failed(&err);
    return exit_status;
}

typedef struct dry_options {
    bool only_looks, json;
} dry_options;

static int run_plan(run_stage *stage, loom_plan *plan) {
    loom_progress_begin(&stage->view, stderr);
    bool progress = stage->config.output.progress && !stage->config.output.quiet;
    if (progress && stage->view.live && isatty(STDOUT_FILENO) == 1)
        stage->held = open_memstream(&stage->held_text, &stage->held_length);
    const loom_run_options options = {.config = &stage->config,
                                      .plan = plan,
                                      .prints = stage->held != NULL ? stage->held : stdout,
                                      .progress = progress ? show_progress : NULL,
                                      .notice = show_notice,
                                      .context = stage,
                                      .profile = stage->files.profiled,
                                      .trace = stage->files.trace,
                                      .stop = loom_interrupt_install()};
    loom_summary summary = {0};
    loom_error err = {0};
    loom_status status = loom_run(&options, &summary, &err);
    show_held(stage);
    if (stage->held != NULL) fclose(stage->held);
    free(stage->held_text);
    loom_progress_clear(&stage->view);
    fflush(stdout);
    if (status == LOOM_BAD_PROGRAM) loom_program_quote(&err);
    report(stage, &summary, status, &err);
    int exit_status = loom_exit_status(status);
    if (summary.arena != NULL) exit_status = save_files(&stage->files, &summary, exit_status);
    loom_summary_free(&summary);
    return exit_status;
}

static int run_file(run_stage *stage, const char *path, const dry_options *dry) {
    loom_error err = {0};
    char *text = NULL;
    size_t length = 0;
    loom_plan *plan = NULL;
    const loom_operator_table *operators;
    if (loom_operators_with(stage->config.kernels.plugins, &operators, &err) != LOOM_OK) return loom_exit_failed(&err);
    if (loom_program_read(path, &text, &length, &err) != LOOM_OK) {
        loom_exit_failed(&err);
        return 2; /* the command line names a file that cannot be read */
    }
    loom_status status = loom_program_plan(operators, path, text, length, show_planning_notice, stage, &plan, &err);
    int exit_status;
    if (status != LOOM_OK)
        exit_status = loom_exit_failed(&err);
    else if (dry->only_looks)
        exit_status = loom_dry_run(&stage->config, plan, dry->json);
    else
        exit_status = run_plan(stage, plan);
    loom_plan_free(plan);
    free(text);
    return exit_status;
}

static int run(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    run_files files = {0};
    dry_options dry = {0};
    bool no_fuse = false;
    const loom_option options[] = {{.name = "--dry-run", .flag = &dry.only_looks},
                                   {.name = "--json", .flag = &dry.json},
                                   LOOM_SETTINGS_CONFIG(&settings),
                                   LOOM_SETTINGS_STORE(&settings),
                                   LOOM_SETTINGS_WORKERS(&settings),
                                   {.name = "--summary", .value = &files.summary},
                                   {.name = "--profile", .flag = &files.profiled, .value = &files.profile},
                                   {.name = "--trace", .value = &files.trace},
                                   {.name = "--no-fuse", .flag = &no_fuse},
                                   {.name = "--no-progress", .flag = &settings.no_progress},
                                   {.name = "--quiet", .letter = "-q", .flag = &settings.quiet}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 1, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED && dry.json && !dry.only_looks) {
        status = loom_exit_usage(self, "--json goes with --dry-run; a run's figures come with --summary FILE.json");
    } else if (parsed == LOOM_PARSED) {
        loom_error err = {0};
        run_stage stage = {.files = files};
        bool loaded = loom_settings_load(&settings, &stage.config, &err) == LOOM_OK;
        stage.config.kernels.fuse &= !no_fuse;
        status = loaded ? run_file(&stage, words.items[0], &dry) : loom_exit_failed(&err);
    }
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_run = {
    .name = "run",
    .summary = "Runs a program and meets its print and save goals",
    .usage = "voxloom run PROGRAM.imgql|PLAN.json [options]",
    .help = "What `print` shows goes to stdout, everything else to stderr. Results are kept in the store:\n"
            "running again computes only what changed. Ctrl-C once stops cleanly, twice at once.\n\n"
            "options:\n"
            "  --store DIR|:memory:   where results are kept (default ~/.local/share/voxloom)\n"
            "  -j, --workers N        worker processes (default: one per core)\n"
            "  --dry-run [--json]     lists what would be computed, and does nothing\n"
            "  --summary FILE.json    writes figures, goals and failures as JSON\n"
            "  --profile[=FILE.json]  shows what the time went to; writes it as JSON too\n"
            "  --trace FILE.json      writes a timeline for ui.perfetto.dev or chrome://tracing\n"
            "  --config FILE          reads this configuration file too\n"
            "  --set KEY=VALUE        sets one setting; `voxloom config show` lists them\n"
            "  --no-fuse              runs every operator by itself; results are the same\n"
            "  --no-progress          no progress line\n"
            "  -q, --quiet            only results and errors\n",
    .run = run,
};
