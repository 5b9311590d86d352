/* config.c - `voxloom config`: writes, checks and shows the configuration. */
#include <errno.h>
#include <string.h>

#include "runtime/cli/settings.h"

/* Writes a new file; an existing one is somebody's work and is left alone. */
static int init(const loom_command *self, const char *path) {
    loom_error err = {0};
    if (path == NULL) return loom_config_write_default(stdout) == LOOM_OK ? 0 : 1;
    FILE *out = fopen(path, "wxe");
    if (out == NULL && errno == EEXIST)
        return loom_exit_usage(self, "%s exists and is not overwritten; give another name", path);
    if (out == NULL) {
        loom_fail_errno(&err, errno, "cannot write %s", path);
        return loom_exit_failed(&err);
    }
    loom_status status = loom_config_write_default(out);
    if (fclose(out) != 0 || status != LOOM_OK) {
        loom_fail_errno(&err, errno, "cannot write %s", path);
        return loom_exit_failed(&err);
    }
    fprintf(stderr, "wrote %s: uncomment what you want to change\n", path);
    return 0;
}

static int check(loom_settings *settings, const char *path) {
    loom_error err = {0};
    loom_config config;
    if (path != NULL) settings->config_file = path;
    if (loom_settings_load(settings, &config, &err) != LOOM_OK) return loom_exit_failed(&err);
    puts("the configuration is well-formed");
    return 0;
}

static int show(const loom_settings *settings) {
    loom_error err = {0};
    return loom_settings_show(settings, stdout, &err) == LOOM_OK ? 0 : loom_exit_failed(&err);
}

static int act(const loom_command *self, loom_settings *settings, const loom_words *words) {
    const char *action = words->items[0];
    const char *path = words->count > 1 ? words->items[1] : NULL;
    if (strcmp(action, "init") == 0) return init(self, path);
    if (strcmp(action, "check") == 0) return check(settings, path);
    if (strcmp(action, "show") == 0 && path == NULL) return show(settings);
    if (strcmp(action, "show") == 0) return loom_exit_usage(self, "show takes no file; use --config %s", path);
    return loom_exit_usage(self, "unknown action %s; there are init, check and show", action);
}

static int config(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&settings), LOOM_SETTINGS_STORE(&settings),
                                   LOOM_SETTINGS_WORKERS(&settings)};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 2, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) status = act(self, &settings, &words);
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_config = {
    .name = "config",
    .summary = "Writes, checks or shows the settings",
    .usage = "voxloom config init [FILE] | check [FILE] | show",
    .help = "  init [FILE]    a commented file with every setting and its default (stdout without FILE)\n"
            "  check [FILE]   reads all settings, FILE among them, and says what is wrong and where\n"
            "  show           every setting in force, and where it comes from\n\n"
            "options:\n"
            "  --config FILE        read this file too\n"
            "  --set KEY=VALUE      as in `voxloom run`\n"
            "  --store DIR, --workers N\n\n"
            "Settings are read in this order, later wins: /etc/voxloom.toml, ~/.config/voxloom/voxloom.toml,\n"
            "--config FILE, environment (VOXLOOM_STORE_PATH for store.path), --set and other flags.\n",
    .run = config,
};
