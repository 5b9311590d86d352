/* api.c - libvoxloom: <voxloom.h> on top of the same parts as the command line. */
#include <stdlib.h>
#include <string.h>

#include "runtime/api.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/program.h"
#include "runtime/report.h"

struct loom_report {
    loom_buffer json; /* with a NUL at its end */
};

const char *loom_version(void) {
    return LOOM_VERSION;
}

/* ---- opening ---- */

/* The options written as assignments of the configuration's merge. */
typedef struct assignments {
    const char **items;
    size_t count;
    char store[LOOM_PATH_BYTES + 16];
    char workers[64];
} assignments;

static loom_status collect(const loom_runtime_options *options, assignments *all, loom_error *err) {
    all->items = calloc(options->setting_count + 2, sizeof *all->items);
    if (all->items == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    if (options->store_path != NULL) {
        int length = snprintf(all->store, sizeof all->store, "store.path=%s", options->store_path);
        if (length < 0 || (size_t)length >= sizeof all->store)
            return loom_fail(err, LOOM_BAD_ARGUMENT, "store_path is longer than a path can be");
        all->items[all->count++] = all->store;
    }
    if (options->workers != 0) {
        snprintf(all->workers, sizeof all->workers, "workers.count=%u", options->workers);
        all->items[all->count++] = all->workers;
    }
    for (size_t i = 0; i < options->setting_count; i++)
        all->items[all->count++] = options->settings[i];
    return LOOM_OK;
}

static loom_status configure(const loom_runtime_options *options, loom_config *config, loom_error *err) {
    assignments all = {0};
    loom_status status = collect(options, &all, err);
    if (status == LOOM_OK) {
        loom_config_sources sources = {.file = options->config_file, .sets = all.items, .set_count = all.count};
        status = loom_config_load(&sources, config, err);
    }
    free(all.items);
    return status;
}

loom_status loom_runtime_open(const loom_runtime_options *options, loom_runtime **runtime, loom_error *err) {
    static const loom_runtime_options none = {.size = sizeof none};
    *runtime = NULL;
    if (options == NULL) options = &none;
    if (options->size != sizeof none)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "options.size is %zu; set it to sizeof(loom_runtime_options), %zu",
                         options->size, sizeof none);
    loom_runtime *opened = calloc(1, sizeof *opened);
    if (opened == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    loom_status status = configure(options, &opened->config, err);
    if (status == LOOM_OK) status = loom_operators_with(opened->config.kernels.plugins, &opened->operators, err);
    if (status == LOOM_OK && options->worker_program != NULL) {
        opened->worker_program = strdup(options->worker_program);
        if (opened->worker_program == NULL) status = loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    }
    if (status != LOOM_OK) {
        loom_runtime_close(opened);
        return status;
    }
    *runtime = opened;
    return LOOM_OK;
}

void loom_runtime_close(loom_runtime *runtime) {
    if (runtime == NULL) return;
    free(runtime->worker_program);
    free(runtime);
}

void loom_runtime_stop(loom_runtime *runtime) {
    if (atomic_load(&runtime->running) && atomic_load(&runtime->stop) < 2) atomic_fetch_add(&runtime->stop, 1);
}

/* ---- running ---- */

static loom_status report_of(const loom_summary *summary, loom_report **report, loom_error *err) {
    loom_report *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the report");
    loom_status status = loom_report_write(summary, &made->json, err);
    if (status == LOOM_OK) status = loom_buffer_add(&made->json, "", 1);
    if (status != LOOM_OK) {
        loom_report_free(made);
        return status;
    }
    *report = made;
    return LOOM_OK;
}

loom_status loom_api_run(const loom_runtime *runtime, loom_run_options *options, loom_report **report,
                         loom_error *err) {
    FILE *nowhere = options->prints == NULL ? fopen("/dev/null", "we") : NULL;
    if (options->prints == NULL && nowhere == NULL) return loom_fail(err, LOOM_IO, "cannot open /dev/null");
    if (nowhere != NULL) options->prints = nowhere;
    options->config = &runtime->config;
    options->worker_program = runtime->worker_program;
    loom_summary summary = {0};
    loom_status status = loom_run(options, &summary, err);
    if (report != NULL && summary.arena != NULL) {
        loom_status reported = report_of(&summary, report, status == LOOM_OK ? err : NULL);
        if (status == LOOM_OK) status = reported;
    }
    loom_summary_free(&summary);
    if (nowhere != NULL) fclose(nowhere);
    return status;
}

static loom_status run_plan(loom_runtime *runtime, loom_plan *plan, FILE *prints, loom_report **report,
                            loom_error *err) {
    loom_run_options options = {.plan = plan, .prints = prints, .stop = &runtime->stop};
    atomic_store(&runtime->stop, 0);
    atomic_store(&runtime->running, 1);
    loom_status status = loom_api_run(runtime, &options, report, err);
    atomic_store(&runtime->running, 0);
    return status;
}

loom_status loom_runtime_run_text(loom_runtime *runtime, const char *source, const char *text, size_t length,
                                  FILE *prints, loom_report **report, loom_error *err) {
    if (report != NULL) *report = NULL;
    loom_plan *plan = NULL;
    loom_status status = loom_program_plan(runtime->operators, source, text, length, NULL, NULL, &plan, err);
    if (status == LOOM_OK) status = run_plan(runtime, plan, prints, report, err);
    loom_plan_free(plan);
    return status;
}

loom_status loom_runtime_run_file(loom_runtime *runtime, const char *path, FILE *prints, loom_report **report,
                                  loom_error *err) {
    if (report != NULL) *report = NULL;
    char *text = NULL;
    size_t length = 0;
    loom_status status = loom_program_read(path, &text, &length, err);
    if (status == LOOM_OK) status = loom_runtime_run_text(runtime, path, text, length, prints, report, err);
    free(text);
    return status;
}

const char *loom_report_json(const loom_report *report) {
    return (const char *)report->json.bytes;
}

void loom_report_free(loom_report *report) {
    if (report == NULL) return;
    loom_buffer_free(&report->json);
    free(report);
}
