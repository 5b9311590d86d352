/* store_action.c - what happens around every action of `voxloom store`: options, opening, questions, progress. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cli/human.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/store.h"
#include "runtime/config/config_keys.h"
#include "runtime/store_settings.h"

enum { OPTIONS_MAX = 16 };

/* ---- opening ---- */

static loom_status open_store(loom_store_job *job, unsigned needs, loom_error *err) {
    unsigned opens = needs & (LOOM_NEED_READ | LOOM_NEED_WRITE | LOOM_NEED_CREATE);
    if (opens == 0) return LOOM_OK;
    if (strcmp(job->config.store.path, ":memory:") == 0)
        return loom_fail(err, LOOM_BAD_USAGE,
                         "the store is :memory:, which is empty between runs; name a folder with --store");
    const loom_store_access access = {.create = (needs & LOOM_NEED_CREATE) != 0, .read_only = needs & LOOM_NEED_READ};
    return loom_store_open_configured(&job->config, &access, &job->store, err);
}

static loom_status work(loom_store_job *job, const loom_settings *settings, const loom_store_shape *shape,
                        loom_error *err) {
    LOOM_TRY(loom_settings_load(settings, &job->config, err));
    if (shape->needs & LOOM_NEED_PROGRESS) {
        job->stop = loom_interrupt_install();
        job->live = isatty(STDERR_FILENO) == 1 && job->config.output.progress && !job->config.output.quiet;
    }
    job->quiet = job->config.output.quiet;
    LOOM_TRY(open_store(job, shape->needs, err));
    return shape->work(job, shape->context, err);
}

static size_t collect_options(loom_store_job *job, loom_settings *settings, const loom_store_shape *shape,
                              loom_option options[OPTIONS_MAX]) {
    const loom_option config[] = {LOOM_SETTINGS_CONFIG(settings)};
    size_t count = 0;
    options[count++] = config[0];
    options[count++] = config[1];
    options[count++] = (loom_option){.name = "--quiet", .letter = "-q", .flag = &settings->quiet};
    if ((shape->needs & LOOM_NEED_ANOTHER) == 0) options[count++] = (loom_option)LOOM_SETTINGS_STORE(settings);
    if (shape->needs & LOOM_NEED_CONFIRM)
        options[count++] = (loom_option){.name = "--yes", .letter = "-y", .flag = &job->yes};
    if (shape->needs & LOOM_NEED_JSON) options[count++] = (loom_option){.name = "--json", .flag = &job->json};
    for (size_t i = 0; i < shape->option_count && count < OPTIONS_MAX; i++)
        options[count++] = shape->options[i];
    return count;
}

static int report(loom_store_job *job, loom_status status, const loom_error *err) {
    if (status == LOOM_OK) return job->exit_status;
    if (err->status == LOOM_OK) { /* a status alone: give it its own words */
        loom_error plain = {0};
        loom_fail(&plain, status, "%s", loom_status_message(status));
        return loom_exit_failed(&plain);
    }
    return loom_exit_failed(err);
}

int loom_store_do(const loom_command *self, int argc, char **argv, const loom_store_shape *shape) {
    loom_settings settings = {0};
    loom_option options[OPTIONS_MAX];
    loom_store_job *job = calloc(1, sizeof *job);
    loom_arena *arena = loom_arena_new();
    loom_error err = {0};
    if (job == NULL || arena == NULL) {
        loom_fail(&err, LOOM_NO_MEMORY, "out of memory");
        free(job);
        loom_arena_free(arena);
        return loom_exit_failed(&err);
    }
    job->command = self;
    job->arena = arena;
    size_t count = collect_options(job, &settings, shape, options);
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, count, shape->least, shape->most, &job->words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        loom_status done = work(job, &settings, shape, &err);
        loom_store_progress_clear(job);
        status = report(job, done, &err);
    }
    loom_store_close(job->store);
    loom_words_free(&job->words);
    loom_settings_free(&settings);
    loom_arena_free(arena);
    free(job);
    return status;
}

/* ---- questions ---- */

loom_status loom_store_confirm(const loom_store_job *job, loom_error *err, const char *format, ...) {
    if (job->yes) return LOOM_OK;
    if (isatty(STDIN_FILENO) != 1)
        return loom_fail(err, LOOM_BAD_USAGE, "this asks before it goes on, and nobody is here to answer; pass --yes");
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(" [y/N] ", stderr);
    char answer[16] = "";
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y')) return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "nothing was changed");
}

/* ---- progress ---- */

static double now_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9 : 0;
}

static size_t terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

bool loom_store_progress_show(const char *phase, uint64_t done, uint64_t total, void *context) {
    static const double interval_seconds = 0.1;
    loom_store_job *job = context;
    if (job->stop != NULL && atomic_load(job->stop) != 0) return false;
    double now = now_seconds();
    if (!job->live || now - job->shown_at < interval_seconds) return true;
    char line[256];
    if (total > 0)
        snprintf(line, sizeof line, "%s: %.0f%%", phase, 100.0 * (double)(done < total ? done : total) / (double)total);
    else
        snprintf(line, sizeof line, "%s", phase);
    size_t columns = terminal_columns();
    if (strlen(line) >= columns) line[columns - 1] = '\0'; /* a wrapped line could not be taken back */
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    job->shown_at = now;
    job->shown = true;
    return true;
}

void loom_store_progress_clear(loom_store_job *job) {
    if (!job->shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    job->shown = false;
}

/* ---- words ---- */

loom_status loom_store_resolve_all(const loom_store_job *job, size_t first, loom_id **rkeys, size_t *count,
                                   loom_error *err) {
    *count = job->words.count - first;
    *rkeys = loom_arena_array(job->arena, *count, sizeof **rkeys);
    if (*rkeys == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < *count; i++) {
        loom_result result;
        LOOM_TRY(loom_store_resolve(job->store, job->words.items[first + i], job->arena, &result, err));
        (*rkeys)[i] = result.rkey;
    }
    return LOOM_OK;
}

/* ---- options ---- */

loom_status loom_store_option_time(const char *option, const char *text, uint64_t *seconds, loom_error *err) {
    if (loom_duration_parse(text, seconds)) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_USAGE, "%s %.40s: not a time; give \"30d\", \"12h\", \"90m\" or seconds", option,
                     text);
}

loom_status loom_store_option_size(const char *option, const char *text, uint64_t *bytes, loom_error *err) {
    if (loom_size_parse(text, bytes)) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_USAGE, "%s %.40s: not a size; give \"10MiB\", \"2G\" or bytes", option, text);
}

loom_status loom_store_option_count(const char *option, const char *text, uint64_t *count, loom_error *err) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return loom_fail(err, LOOM_BAD_USAGE, "%s %.40s: not a whole number", option, text);
    *count = number;
    return LOOM_OK;
}
