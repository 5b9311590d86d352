/* config.c - merges the sources of settings and remembers which one each value came from. */
#include "runtime/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/config/config_keys.h"
#include "runtime/config/toml_shim.h"
#include "runtime/nearest.h"

#define SYSTEM_FILE "/etc/voxloom.toml"
#define FILE_BYTES_MAX (1u << 20)
#define ORIGIN_BYTES (LOOM_PATH_BYTES + 32)

/* Where each key's value came from, in the order of loom_config_keys. */
struct loom_config_origins {
    char of[LOOM_CONFIG_KEYS_MAX][ORIGIN_BYTES];
};

/* One merge under way. `origins` may be NULL. */
typedef struct merge_state {
    loom_config *config;
    loom_config_origins *origins;
    const char *file; /* being read */
    const char *text; /* of that file */
    bool secret;      /* the line that was refused may hold a secret: it is not quoted */
} merge_state;

static void set_origin(merge_state *merge, const loom_config_key *key, const char *origin) {
    if (merge->origins == NULL) return;
    size_t index = (size_t)(key - loom_config_keys);
    snprintf(merge->origins->of[index], ORIGIN_BYTES, "%s", origin);
}

static loom_status merge_defaults(merge_state *merge, loom_error *err) {
    for (size_t i = 0; i < loom_config_key_count; i++) {
        const loom_config_key *key = &loom_config_keys[i];
        LOOM_TRY(loom_config_set_text(merge->config, key, key->fallback, err));
        set_origin(merge, key, "default");
    }
    return LOOM_OK;
}

/* ---- files ---- */

static void quote_line(const merge_state *merge, uint32_t line, loom_error *err) {
    const char *at = merge->text;
    for (uint32_t i = 1; i < line && at != NULL; i++) {
        at = strchr(at, '\n');
        if (at != NULL) at++;
    }
    if (at != NULL) loom_error_excerpt(err, at, strcspn(at, "\n"));
}

static loom_status unknown_key(const char *name, loom_error *err) {
    const char *nearest = loom_config_nearest(name);
    if (nearest != NULL) return loom_fail(err, LOOM_BAD_CONFIG, "unknown key %s; did you mean %s?", name, nearest);
    return loom_fail(err, LOOM_BAD_CONFIG, "unknown key %s; `voxloom config show` lists all keys", name);
}

static bool is_section(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < loom_config_key_count; i++)
        if (strncmp(loom_config_keys[i].name, name, length) == 0 && loom_config_keys[i].name[length] == '.')
            return true;
    return false;
}

static loom_status unknown_section(const char *name, loom_error *err) {
    for (size_t i = 0; i < loom_config_key_count; i++) {
        char section[64];
        const char *key = loom_config_keys[i].name;
        snprintf(section, sizeof section, "%.*s", (int)strcspn(key, "."), key);
        const char *const only[] = {section};
        if (loom_nearest(name, only, 1) != NULL)
            return loom_fail(err, LOOM_BAD_CONFIG, "unknown section [%s]; did you mean [%s]?", name, section);
    }
    return loom_fail(err, LOOM_BAD_CONFIG, "unknown section [%s]; `voxloom config show` lists all keys", name);
}

static loom_status set_from_entry(merge_state *merge, const loom_config_key *key, const loom_toml_entry *entry,
                                  loom_error *err) {
    char allowed[320];
    switch (entry->kind) {
    case LOOM_TOML_BOOL:
        return loom_config_set_bool(merge->config, key, entry->boolean, err);
    case LOOM_TOML_INT:
        return loom_config_set_integer(merge->config, key, entry->integer, err);
    case LOOM_TOML_TEXT:
        if (strlen(entry->text) != entry->text_length)
            return loom_fail(err, LOOM_BAD_CONFIG, "%s contains a NUL character; remove it", key->name);
        return loom_config_set_string(merge->config, key, entry->text, err);
    case LOOM_TOML_TEXTS:
        if (key->type == LOOM_KEY_PATHS)
            return loom_config_set_array(merge->config, key, entry->text, entry->text_count, err);
        /* fallthrough */
    default:
        loom_config_describe(key, allowed, sizeof allowed);
        return loom_fail(err, LOOM_BAD_CONFIG, "%s cannot be %s %s; it takes %s", key->name,
                         entry->kind_name[0] == 'a' ? "an" : "a", entry->kind_name, allowed);
    }
}

static loom_status merge_entry(const loom_toml_entry *entry, void *context, loom_error *err) {
    merge_state *merge = context;
    const loom_config_key *key = loom_config_key_find(entry->key);
    if (key == NULL && entry->kind == LOOM_TOML_TABLE && is_section(entry->key)) return LOOM_OK;
    loom_toml_place place = key == NULL ? entry->key_place : entry->value_place;
    loom_status status;
    if (key != NULL)
        status = set_from_entry(merge, key, entry, err);
    else if (entry->kind == LOOM_TOML_TABLE)
        status = unknown_section(entry->key, err);
    else
        status = unknown_key(entry->key, err);
    if (status != LOOM_OK) {
        merge->secret = key != NULL && key->type == LOOM_KEY_SECRET;
        loom_error_at(err, merge->file, place.line, place.column);
        return status;
    }
    char origin[ORIGIN_BYTES];
    snprintf(origin, sizeof origin, "%s:%u", merge->file, place.line);
    set_origin(merge, key, origin);
    return LOOM_OK;
}

/* The whole file, NUL-terminated, for the caller to free. LOOM_NOT_FOUND leaves `err` alone. */
static loom_status read_text(const char *path, char **text, size_t *length, loom_error *err) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL && (errno == ENOENT || errno == ENOTDIR)) return LOOM_NOT_FOUND;
    if (file == NULL) return loom_fail_errno(err, errno, "cannot open the configuration file %s", path);
    char *bytes = malloc(FILE_BYTES_MAX + 1);
    if (bytes == NULL) {
        fclose(file);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", path);
    }
    errno = 0;
    size_t got = fread(bytes, 1, FILE_BYTES_MAX + 1, file);
    int failed = ferror(file) ? (errno != 0 ? errno : EIO) : 0;
    fclose(file);
    if (failed != 0 || got > FILE_BYTES_MAX) {
        free(bytes);
        if (failed != 0) return loom_fail_errno(err, failed, "cannot read the configuration file %s", path);
        return loom_fail(err, LOOM_BAD_CONFIG, "%s is larger than 1 MiB; is it a configuration file?", path);
    }
    bytes[got] = '\0';
    *text = bytes;
    *length = got;
    return LOOM_OK;
}

static loom_status merge_file(merge_state *merge, const char *path, bool required, loom_error *err) {
    char *text = NULL;
    size_t length = 0;
    loom_status status = read_text(path, &text, &length, err);
    if (status == LOOM_NOT_FOUND && !required) return LOOM_OK;
    if (status == LOOM_NOT_FOUND)
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the configuration file %s does not exist; `voxloom config init %s` "
                         "writes one",
                         path, path);
    if (status != LOOM_OK) return status;
    merge->file = path;
    merge->text = text;
    status = loom_toml_read(text, length, path, merge_entry, merge, err);
    if (status != LOOM_OK && err != NULL && !merge->secret) quote_line(merge, err->line, err);
    free(text);
    return status;
}

/* A folder of the XDG base directories (freedesktop.org, 0.8): the variable if it is an absolute path, else under the
 * home folder. False if there is no home either. */
static bool base_folder(const char *variable, const char *under_home, char *path, size_t capacity) {
    const char *folder = getenv(variable);
    int length = -1;
    if (folder != NULL && folder[0] == '/') {
        length = snprintf(path, capacity, "%s", folder);
    } else {
        const char *home = getenv("HOME");
        if (home == NULL || home[0] != '/') {
            const struct passwd *user = getpwuid(getuid());
            home = user != NULL ? user->pw_dir : NULL;
        }
        if (home != NULL) length = snprintf(path, capacity, "%s/%s", home, under_home);
    }
    return length >= 0 && (size_t)length < capacity;
}

static loom_status merge_system_files(merge_state *merge, loom_error *err) {
    LOOM_TRY(merge_file(merge, SYSTEM_FILE, false, err));
    char folder[LOOM_PATH_BYTES];
    char path[LOOM_PATH_BYTES + 32];
    if (!base_folder("XDG_CONFIG_HOME", ".config", folder, sizeof folder)) return LOOM_OK;
    snprintf(path, sizeof path, "%s/voxloom/voxloom.toml", folder);
    return merge_file(merge, path, false, err);
}

/* ---- environment and --set ---- */

extern char **environ;

static const loom_config_key *key_of_variable(const char *name, size_t length) {
    for (size_t i = 0; i < loom_config_key_count; i++) {
        char variable[LOOM_CONFIG_VARIABLE_BYTES];
        loom_config_variable(&loom_config_keys[i], variable);
        if (strlen(variable) == length && strncmp(variable, name, length) == 0) return &loom_config_keys[i];
    }
    return NULL;
}

/* VOXLOOM_WORKERS_CUONT begins as a setting does and is none: a misspelling that must not pass unseen. Other VOXLOOM_
 * variables belong to someone else. `name` is the part before '='. */
static loom_status check_variable(const char *name, loom_error *err) {
    for (size_t i = 0; i < loom_config_key_count; i++) {
        char variable[LOOM_CONFIG_VARIABLE_BYTES];
        loom_config_variable(&loom_config_keys[i], variable);
        size_t section = sizeof "VOXLOOM_" + strcspn(loom_config_keys[i].name, ".");
        if (strncmp(name, variable, section) != 0) continue;
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the environment variable %s is no setting; `voxloom config show` lists all", name);
    }
    return LOOM_OK;
}

static loom_status merge_variable(merge_state *merge, const char *assignment, loom_error *err) {
    size_t length = strcspn(assignment, "=");
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), assignment);
    const loom_config_key *key = key_of_variable(assignment, length);
    loom_status status = key == NULL ? check_variable(name, err)
                                     : loom_config_set_text(merge->config, key, assignment + length + 1, err);
    if (status != LOOM_OK) loom_error_at(err, name, 0, 0);
    if (status == LOOM_OK && key != NULL) set_origin(merge, key, name);
    return status;
}

static loom_status merge_environment(merge_state *merge, loom_error *err) {
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        if (strncmp(*at, "VOXLOOM_", 8) != 0 || strchr(*at, '=') == NULL) continue;
        LOOM_TRY(merge_variable(merge, *at, err));
    }
    return LOOM_OK;
}

static loom_status merge_set(merge_state *merge, const char *assignment, loom_error *err) {
    char name[128];
    const char *equals = strchr(assignment, '=');
    loom_status status;
    const loom_config_key *key = NULL;
    if (equals == NULL) {
        status = loom_fail(err, LOOM_BAD_CONFIG, "\"%.80s\" is not of the form key=value", assignment);
    } else {
        size_t length = (size_t)(equals - assignment);
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), assignment);
        key = loom_config_key_find(name);
        status = key == NULL ? unknown_key(name, err) : loom_config_set_text(merge->config, key, equals + 1, err);
    }
    if (status != LOOM_OK) loom_error_at(err, "--set", 0, 0);
    if (status == LOOM_OK) set_origin(merge, key, "--set");
    return status;
}

/* ---- all together ---- */

static loom_status default_store(loom_config *config, loom_error *err) {
    if (config->store.path[0] != '\0') return LOOM_OK;
    char folder[LOOM_PATH_BYTES - 16];
    if (!base_folder("XDG_DATA_HOME", ".local/share", folder, sizeof folder))
        return loom_fail(err, LOOM_BAD_CONFIG, "there is no home folder for the store; set store.path or pass --store");
    snprintf(config->store.path, sizeof config->store.path, "%s/voxloom", folder);
    return LOOM_OK;
}

static loom_status merge_all(const loom_config_sources *sources, loom_config *config, loom_config_origins *origins,
                             loom_error *err) {
    merge_state merge = {.config = config, .origins = origins};
    memset(config, 0, sizeof *config);
    LOOM_TRY(merge_defaults(&merge, err));
    if (!sources->skip_system_files) LOOM_TRY(merge_system_files(&merge, err));
    if (sources->file != NULL) LOOM_TRY(merge_file(&merge, sources->file, true, err));
    LOOM_TRY(merge_environment(&merge, err));
    for (size_t i = 0; i < sources->set_count; i++)
        LOOM_TRY(merge_set(&merge, sources->sets[i], err));
    return default_store(config, err);
}

loom_status loom_config_load(const loom_config_sources *sources, loom_config *config, loom_error *err) {
    return merge_all(sources, config, NULL, err);
}

/* ---- writing ---- */

/* Prints a [section] line when the key opens one. */
static void write_section(FILE *out, size_t index) {
    const char *name = loom_config_keys[index].name;
    size_t length = strcspn(name, ".");
    if (index > 0 && strncmp(loom_config_keys[index - 1].name, name, length + 1) == 0) return;
    fprintf(out, "%s[%.*s]\n", index > 0 ? "\n" : "", (int)length, name);
}

static void write_comment(FILE *out, const char *text) {
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        fprintf(out, "# %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

loom_status loom_config_write_default(FILE *out) {
    fputs("# Settings of voxloom. Every line that sets something is commented out and shows the default.\n"
          "# Read in this order, later wins: /etc/voxloom.toml, ~/.config/voxloom/voxloom.toml, --config FILE,\n"
          "# environment variables (VOXLOOM_STORE_PATH for store.path), --set key=value and other flags.\n\n",
          out);
    for (size_t i = 0; i < loom_config_key_count; i++) {
        const loom_config_key *key = &loom_config_keys[i];
        char allowed[320];
        loom_config_describe(key, allowed, sizeof allowed);
        write_section(out, i);
        fputc('\n', out);
        write_comment(out, key->doc);
        fprintf(out, "# Takes %s.\n", allowed);
        fprintf(out, "#%s = %s\n", strchr(key->name, '.') + 1, key->fallback);
    }
    return ferror(out) ? LOOM_IO : LOOM_OK;
}

loom_status loom_config_show(const loom_config_sources *sources, FILE *out, loom_error *err) {
    loom_config *config = malloc(sizeof *config);
    loom_config_origins *origins = calloc(1, sizeof *origins);
    char *value = malloc(LOOM_CONFIG_TEXT_BYTES);
    loom_status status = config == NULL || origins == NULL || value == NULL
                             ? loom_fail(err, LOOM_NO_MEMORY, "out of memory")
                             : merge_all(sources, config, origins, err);
    for (size_t i = 0; i < loom_config_key_count && status == LOOM_OK; i++) {
        const loom_config_key *key = &loom_config_keys[i];
        status = loom_config_get_text(config, key, value, LOOM_CONFIG_TEXT_BYTES);
        fprintf(out, "%s = %s  # %s\n", key->name, value, origins->of[i]);
    }
    free(value);
    free(origins);
    free(config);
    if (status == LOOM_OK && ferror(out)) return loom_fail(err, LOOM_IO, "cannot write the settings");
    return status;
}
