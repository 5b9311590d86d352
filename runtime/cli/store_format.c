/* store_format.c - `voxloom store upgrade` and `rekey`: the store as a whole becomes another, while nobody uses it. */
#include <inttypes.h>
#include <string.h>

#include "runtime/cli/store.h"
#include "runtime/config/config_keys.h"
#include "runtime/store_settings.h"
#include "shm/care/admin.h"

static loom_status refuse_memory(const loom_store_job *job, loom_error *err) {
    if (strcmp(job->config.store.path, ":memory:") != 0) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_USAGE,
                     "the store is :memory:, which is empty between runs; name a folder with --store");
}

/* ---- upgrade ---- */

static loom_status upgrade_store(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    const char *path = job->config.store.path;
    loom_store_settings settings;
    uint32_t from = 0;
    LOOM_TRY(refuse_memory(job, err));
    LOOM_TRY(loom_store_confirm(job, err, "bring %s to format %u? Older versions of voxloom cannot open it then.", path,
                                LOOM_STORE_FORMAT));
    loom_status status = loom_store_settings_read(&job->config, &(loom_store_access){0}, &settings, err);
    if (status == LOOM_OK)
        status = loom_store_upgrade(path, settings.options.key, loom_store_progress_show, job, &from, err);
    loom_store_settings_wipe(&settings);
    LOOM_TRY(status);
    loom_store_progress_clear(job);
    if (job->quiet) return LOOM_OK;
    if (from == LOOM_STORE_FORMAT)
        fprintf(stderr, "%s has format %u already\n", path, LOOM_STORE_FORMAT);
    else
        fprintf(stderr, "%s: from format %u to %u\n", path, from, LOOM_STORE_FORMAT);
    return LOOM_OK;
}

static int upgrade(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_CONFIRM | LOOM_NEED_PROGRESS, .work = upgrade_store};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_upgrade_command = {
    .name = "store upgrade",
    .summary = "Brings a store of an earlier version to this version's format",
    .usage = "voxloom store upgrade [--yes]",
    .help = "Nothing is dropped; each step is one transaction, so that an interrupted upgrade goes on where it was.\n"
            "There is no way back: make a backup with the earlier version first if you may need it again.\n\n"
            "  --yes, -y    does not ask\n",
    .run = upgrade,
};

/* ---- rekey ---- */

static loom_status rekey_store(loom_store_job *job, void *context, loom_error *err) {
    const char *const *new_key = context;
    loom_store_settings old = {0}, fresh = {0};
    LOOM_TRY(refuse_memory(job, err));
    if (*new_key == NULL)
        return loom_fail(err, LOOM_BAD_USAGE,
                         "say where the new key comes from: --new-key file:PATH, env:NAME or fd:N");
    if (job->config.store.key[0] == '\0')
        return loom_fail(err, LOOM_BAD_USAGE, "store.key says nothing; it must name the key that the store has now");
    loom_config changed = job->config;
    LOOM_TRY(loom_config_set_text(&changed, loom_config_key_find("store.key"), *new_key, err));
    LOOM_TRY(
        loom_store_confirm(job, err, "give %s another key? The old one opens it no more.", job->config.store.path));
    const loom_store_access access = {.create = false};
    loom_status status = loom_store_settings_read(&job->config, &access, &old, err);
    if (status == LOOM_OK) status = loom_store_settings_read(&changed, &access, &fresh, err);
    if (status == LOOM_OK) status = loom_store_rekey(job->config.store.path, old.options.key, fresh.options.key, err);
    loom_store_settings_wipe(&old);
    loom_store_settings_wipe(&fresh);
    if (status == LOOM_OK && !job->quiet) fprintf(stderr, "%s has its new key\n", job->config.store.path);
    return status;
}

static int rekey(const loom_command *self, int argc, char **argv) {
    const char *new_key = NULL;
    const loom_option options[] = {{.name = "--new-key", .value = &new_key}};
    const loom_store_shape shape = {.needs = LOOM_NEED_CONFIRM,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = rekey_store,
                                    .context = &new_key};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_rekey_command = {
    .name = "store rekey",
    .summary = "Gives an encrypted store another key",
    .usage = "voxloom store rekey --new-key SOURCE [--yes]",
    .help = "The present key comes from store.key. No result is rewritten: the key of the results is wrapped anew, so\n"
            "that whoever had both the old key and a copy of the store can still read that copy.\n\n"
            "  --new-key SOURCE    file:PATH, env:NAME or fd:NUMBER\n"
            "  --yes, -y           does not ask\n",
    .run = rekey,
};
