/* settings.c - flags as the last assignments of the configuration's merge. */
#include "runtime/cli/settings.h"

#include <string.h>

#include "shm/seal/secret.h"

/* Storage for the flags written as assignments. */
typedef struct assignments {
    loom_words words;
    char store[LOOM_PATH_BYTES + 16];
    char workers[64];
} assignments;

static loom_status collect(const loom_settings *settings, assignments *all, loom_error *err) {
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < settings->sets.count && status == LOOM_OK; i++)
        status = loom_words_add(&all->words, settings->sets.items[i]);
    if (settings->store != NULL && status == LOOM_OK) {
        int length = snprintf(all->store, sizeof all->store, "store.path=%s", settings->store);
        if (length < 0 || (size_t)length >= sizeof all->store)
            return loom_fail(err, LOOM_BAD_USAGE, "--store: the path is longer than a path can be");
        if (settings->store[0] == '\0') return loom_fail(err, LOOM_BAD_USAGE, "--store: the path is empty");
        status = loom_words_add(&all->words, all->store);
    }
    if (settings->workers != NULL && status == LOOM_OK) {
        snprintf(all->workers, sizeof all->workers, "workers.count=%.40s", settings->workers);
        status = loom_words_add(&all->words, all->workers);
    }
    if (settings->no_progress && status == LOOM_OK) status = loom_words_add(&all->words, "output.progress=false");
    if (settings->quiet && status == LOOM_OK) status = loom_words_add(&all->words, "output.quiet=true");
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "out of memory");
}

static loom_config_sources sources_of(const loom_settings *settings, const assignments *all) {
    return (loom_config_sources){
        .file = settings->config_file, .sets = all->words.items, .set_count = all->words.count};
}

loom_status loom_settings_load(const loom_settings *settings, loom_config *config, loom_error *err) {
    assignments all = {0};
    loom_status status = collect(settings, &all, err);
    if (status == LOOM_OK) {
        loom_config_sources sources = sources_of(settings, &all);
        status = loom_config_load(&sources, config, err);
    }
    if (status == LOOM_OK && config->store.key[0] != '\0') loom_process_hide(); /* workers inherit it */
    loom_words_free(&all.words);
    return status;
}

loom_status loom_settings_show(const loom_settings *settings, FILE *out, loom_error *err) {
    assignments all = {0};
    loom_status status = collect(settings, &all, err);
    if (status == LOOM_OK) {
        loom_config_sources sources = sources_of(settings, &all);
        status = loom_config_show(&sources, out, err);
    }
    loom_words_free(&all.words);
    return status;
}

void loom_settings_free(loom_settings *settings) {
    loom_words_free(&settings->sets);
}
