/* store.c - `voxloom store`: looks into the result store, takes results out of it, removes them. */
#include "runtime/cli/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/volume.h"
#include "runtime/cli/settings.h"
#include "runtime/store_settings.h"
#include "runtime/text.h"

/* ---- get ---- */

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static loom_status write_bytes(const loom_buffer *text, const char *path, loom_error *err) {
    FILE *out = path != NULL ? fopen(path, "we") : stdout;
    if (out == NULL) return loom_fail_errno(err, errno, "cannot write %s", path != NULL ? path : "stdout");
    bool written = fwrite(text->bytes, 1, text->length, out) == text->length && fflush(out) == 0;
    int cause = errno;
    if (path != NULL) fclose(out); /* flushed above: nothing is left to fail */
    return written ? LOOM_OK : loom_fail_errno(err, cause, "cannot write %s", path != NULL ? path : "stdout");
}

static loom_status write_text(const loom_value *value, const char *path, loom_error *err) {
    loom_buffer text = {0};
    bool json = path != NULL && ends_with(path, ".json");
    loom_status status = json ? loom_value_json(value, &text, err) : loom_value_str(value, &text);
    if (status == LOOM_OK) status = loom_buffer_add(&text, "\n", 1);
    if (status == LOOM_NO_MEMORY) loom_fail(err, status, "out of memory for the text of this value");
    if (status == LOOM_OK) status = write_bytes(&text, path, err);
    loom_buffer_free(&text);
    return status;
}

static loom_status write_value(const loom_value *value, const char *path, loom_error *err) {
    if (value->type != LOOM_IMAGE) return write_text(value, path, err);
    if (path == NULL)
        return loom_fail(err, LOOM_BAD_USAGE, "this result is an image; name a file: .nii.gz, .nii or .png");
    if (!loom_volume_can_write(path))
        return loom_fail(err, LOOM_BAD_USAGE, "%s: the suffix of an image file is .nii.gz, .nii or .png", path);
    return loom_volume_write(path, value->image.header, value->image.voxels, err);
}

static loom_status get_value(loom_store *store, const char *id, const char *path, loom_arena *arena, loom_error *err) {
    loom_result result;
    loom_value value;
    loom_view view = {0};
    loom_status status = loom_store_find_prefix(store, id, arena, &result, err);
    if (status == LOOM_NOT_FOUND) return loom_fail(err, status, "no result %s; `voxloom store ls` lists them", id);
    LOOM_TRY(status);
    LOOM_TRY(loom_store_verify(store, &result, err));
    LOOM_TRY(loom_store_value(store, &result, arena, &value, &view, err));
    status = write_value(&value, path, err);
    loom_extent_release(&view);
    return status;
}

static int get(loom_store *store, const char *id, const char *path) {
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    loom_status status =
        arena == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory") : get_value(store, id, path, arena, &err);
    loom_arena_free(arena);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}

/* ---- rm ---- */

static bool confirmed(size_t count) {
    fprintf(stderr, "remove %zu result%s? They can be computed again. [y/N] ", count, count == 1 ? "" : "s");
    char answer[16] = "";
    if (fgets(answer, sizeof answer, stdin) == NULL) return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

static loom_status delete_all(loom_store *store, const loom_id *rkeys, size_t count, loom_error *err) {
    loom_batch *batch = NULL;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    for (size_t i = 0; i < count; i++) {
        loom_status status = loom_batch_delete(batch, &rkeys[i], err);
        if (status == LOOM_OK || status == LOOM_NOT_FOUND) continue; /* one result named twice */
        loom_batch_abort(batch);
        return status;
    }
    return loom_batch_commit(batch, err);
}

static loom_status resolve_all(loom_store *store, const loom_words *ids, loom_arena *arena, loom_id *rkeys,
                               loom_error *err) {
    for (size_t i = 0; i < ids->count; i++) {
        loom_result result;
        loom_status status = loom_store_find_prefix(store, ids->items[i], arena, &result, err);
        if (status == LOOM_NOT_FOUND) return loom_fail(err, status, "no result %s; nothing was removed", ids->items[i]);
        LOOM_TRY(status);
        rkeys[i] = result.rkey;
        loom_store_print_row(&result, stderr);
    }
    return LOOM_OK;
}

static int remove_results(const loom_command *self, loom_store *store, const loom_words *ids, bool yes) {
    if (!yes && isatty(STDIN_FILENO) != 1) return loom_exit_usage(self, "rm asks before it removes; pass --yes here");
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    loom_id *rkeys = calloc(ids->count, sizeof *rkeys);
    loom_status status = arena == NULL || rkeys == NULL ? loom_fail(&err, LOOM_NO_MEMORY, "out of memory")
                                                        : resolve_all(store, ids, arena, rkeys, &err);
    bool go = status == LOOM_OK && (yes || confirmed(ids->count));
    if (go) status = delete_all(store, rkeys, ids->count, &err);
    if (go && status == LOOM_OK) fprintf(stderr, "removed %zu\n", ids->count);
    free(rkeys);
    loom_arena_free(arena);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}

/* ---- the command ---- */

static loom_status open_store(const loom_settings *settings, bool read_only, loom_store **store, loom_error *err) {
    loom_config config;
    LOOM_TRY(loom_settings_load(settings, &config, err));
    if (strcmp(config.store.path, ":memory:") == 0)
        return loom_fail(err, LOOM_BAD_USAGE,
                         "the store is :memory:, which is empty between runs; name a folder with "
                         "--store");
    return loom_store_open_configured(&config, &(loom_store_access){.read_only = read_only}, store, err);
}

typedef enum store_action { ACTION_NONE, ACTION_LS, ACTION_STAT, ACTION_GET, ACTION_RM } store_action;

/* The action that the first word names, if the right number of words follows; else it was reported. */
static store_action action_of(const loom_command *self, const loom_words *words) {
    static const struct {
        const char *name;
        store_action action;
        size_t least, most;
        const char *takes;
    } actions[] = {{"ls", ACTION_LS, 1, 1, "nothing more"},
                   {"stat", ACTION_STAT, 1, 1, "nothing more"},
                   {"get", ACTION_GET, 2, 3, "ID and FILE"},
                   {"rm", ACTION_RM, 2, LOOM_WORDS_ANY, "one ID or more"}};
    for (size_t i = 0; i < LOOM_COUNT(actions); i++) {
        if (strcmp(actions[i].name, words->items[0]) != 0) continue;
        if (words->count >= actions[i].least && words->count <= actions[i].most) return actions[i].action;
        loom_exit_usage(self, "%s takes %s", actions[i].name, actions[i].takes);
        return ACTION_NONE;
    }
    loom_exit_usage(self, "unknown action %s; there are ls, stat, get and rm", words->items[0]);
    return ACTION_NONE;
}

static int act(const loom_command *self, const loom_settings *settings, const loom_words *words, bool yes) {
    store_action action = action_of(self, words);
    if (action == ACTION_NONE) return 2;
    loom_error err = {0};
    loom_store *store = NULL;
    if (open_store(settings, action != ACTION_RM, &store, &err) != LOOM_OK) return loom_exit_failed(&err);
    int status = 0;
    const loom_words ids = {.items = words->items + 1, .count = words->count - 1};
    if (action == ACTION_LS) status = loom_store_list(store, stdout);
    if (action == ACTION_STAT) status = loom_store_describe(store, stdout);
    if (action == ACTION_GET) status = get(store, ids.items[0], ids.count > 1 ? ids.items[1] : NULL);
    if (action == ACTION_RM) status = remove_results(self, store, &ids, yes);
    loom_store_close(store);
    return status;
}

static int store_command(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    bool yes = false;
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&settings),
                                   LOOM_SETTINGS_STORE(&settings),
                                   {.name = "--yes", .letter = "-y", .flag = &yes}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, LOOM_WORDS_ANY, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) status = act(self, &settings, &words, yes);
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_store = {
    .name = "store",
    .summary = "Lists, describes, extracts and removes stored results",
    .usage = "voxloom store ls | stat | get ID [FILE] | rm ID... [--yes]",
    .help = "  ls             every result: id, type, value or shape, bytes, operator, age\n"
            "  stat           what the store holds and what it would take to compute it again\n"
            "  get ID FILE    an image to .nii.gz, .nii or .png; any other value as text, or as JSON to .json;\n"
            "                 without FILE to stdout\n"
            "  rm ID...       removes results (asks first, or --yes); they are computed again when needed\n\n"
            "ID: the first digits, at least 4, of a key, a value id or a node id.\n\n"
            "options:\n"
            "  --store DIR      another store than the configured one\n"
            "  --config FILE, --set KEY=VALUE   as in `voxloom run`\n",
    .run = store_command,
};
