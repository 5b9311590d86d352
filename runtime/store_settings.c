/* store_settings.c - settings as loom_store_options, and the user's key. */
#include "runtime/store_settings.h"

#include "io/zstd_codec.h"

loom_status loom_store_settings_read(const loom_config *config, const loom_store_access *access,
                                     loom_store_settings *settings, loom_error *err) {
    *settings = (loom_store_settings){.options = {.path = config->store.path,
                                                  .create = access->create,
                                                  .read_only = access->read_only,
                                                  .durability = config->store.durability,
                                                  .budget_bytes = config->store.budget_bytes,
                                                  .eviction = config->store.eviction,
                                                  .compression = config->store.compression,
                                                  .compression_level = (int)config->store.compression_level,
                                                  .cold_after_s = config->store.cold_after_s,
                                                  .ballast_bytes = config->store.ballast_bytes,
                                                  .reuse_bytes = config->store.reuse_bytes,
                                                  .map_bytes = config->store.map_bytes,
                                                  .extent_bytes = config->store.extent_bytes,
                                                  .step_bytes = config->store.step_bytes,
                                                  .memory_writers = access->writers}};
    if (config->store.key[0] == '\0') return LOOM_OK;
    LOOM_TRY(loom_key_read(config->store.key, &settings->key, err));
    settings->options.key = &settings->key;
    return LOOM_OK;
}

void loom_store_settings_wipe(loom_store_settings *settings) {
    loom_key_wipe(&settings->key);
    settings->options.key = NULL;
}

loom_status loom_store_open_configured(const loom_config *config, const loom_store_access *access, loom_store **store,
                                       loom_error *err) {
    loom_store_settings settings;
    *store = NULL;
    loom_zstd_register(); /* what is compressed can be read whatever the settings say */
    loom_status status = loom_store_settings_read(config, access, &settings, err);
    if (status == LOOM_OK) status = loom_store_open(&settings.options, store, err);
    loom_store_settings_wipe(&settings);
    return status;
}
