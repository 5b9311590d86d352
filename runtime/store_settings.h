/* store_settings.h - from the configuration to an open store: the one place where settings become loom_store_options,
 * the user's key is read, and the compressor is registered. For runs, the store's commands, the C library, doctor. */
#ifndef LOOM_RUNTIME_STORE_SETTINGS_H
#define LOOM_RUNTIME_STORE_SETTINGS_H

#include "runtime/config/config.h"
#include "shm/seal/key.h"
#include "shm/store/storage.h"

/* What the configuration does not say. */
typedef struct loom_store_access {
    bool create; /* make it when missing */
    bool read_only;
    uint32_t writers; /* processes that will write bulk bytes; 0 = 1 */
} loom_store_access;

typedef struct loom_store_settings {
    loom_store_options options; /* options.key points to `key`, options.path into the configuration */
    loom_key key;
} loom_store_settings;

/* Fills in the options. Reads the key from where store.key says: each call reads it again, so a key from "fd:" can be
 * had once, unless the descriptor is of a file. The settings must stay where they are until they are wiped, also after
 * an error. Errors: those of loom_key_read. */
loom_status loom_store_settings_read(const loom_config *config, const loom_store_access *access,
                                     loom_store_settings *settings, loom_error *err);
void loom_store_settings_wipe(loom_store_settings *settings);

/* Both around loom_store_open. */
loom_status loom_store_open_configured(const loom_config *config, const loom_store_access *access, loom_store **store,
                                       loom_error *err);

#endif
