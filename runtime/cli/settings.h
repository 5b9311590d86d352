/* settings.h - the options that every command with a configuration takes: --config, --set, --store, --workers. */
#ifndef LOOM_CLI_SETTINGS_H
#define LOOM_CLI_SETTINGS_H

#include "runtime/cli/command.h"
#include "runtime/config/config.h"

typedef struct loom_settings {
    const char *config_file;
    const char *store;
    const char *workers;
    loom_words sets;
    bool no_progress;
    bool quiet;
} loom_settings;

/* Options for loom_options_parse, by what a command needs. */
/* clang-format off */
#define LOOM_SETTINGS_CONFIG(s) {.name = "--config", .value = &(s)->config_file}, {.name = "--set", .list = &(s)->sets}
#define LOOM_SETTINGS_STORE(s) {.name = "--store", .value = &(s)->store}
#define LOOM_SETTINGS_WORKERS(s) {.name = "--workers", .letter = "-j", .value = &(s)->workers}
/* clang-format on */

/* Merges the configuration; flags come after --set and win. */
loom_status loom_settings_load(const loom_settings *settings, loom_config *config, loom_error *err);
/* `config show`: the same merge, printed. */
loom_status loom_settings_show(const loom_settings *settings, FILE *out, loom_error *err);
void loom_settings_free(loom_settings *settings);

#endif
