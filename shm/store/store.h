/* store.h - what storage.c and the implementations in this folder share besides the contract (backend.h). */
#ifndef LOOM_SHM_STORE_H
#define LOOM_SHM_STORE_H

#include "shm/index/index_lmdb.h"
#include "shm/index/row.h"
#include "shm/seal/cipher.h"
#include "shm/store/backend.h"
#include "shm/store/storage.h"

loom_status loom_store_open_disk(const loom_store_options *options, loom_store **store, loom_error *err);
loom_status loom_store_open_memory(const loom_store_options *options, loom_store **store, loom_error *err);
/* What follows "disk:", "sealed:" (encrypted) or "memory:" in a token. */
loom_status loom_store_attach_disk(const char *token, loom_store **store, loom_error *err);
loom_status loom_store_attach_sealed(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);
loom_status loom_store_attach_memory(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);

/* LOOM_UNSUPPORTED in a child of the process that opened the store. */
loom_status loom_store_check_process(const loom_store *store, loom_error *err);
/* Holds the bytes of a row that was just found, if it is still there: else LOOM_NOT_FOUND, and nothing is held. */
loom_status loom_store_pin_row(loom_store *store, const loom_result *result, loom_hold *hold, loom_error *err);

/* What looks after a whole store (verification, gc, backup) needs of a store in a folder. */
typedef struct loom_store_parts {
    loom_index *index;
    struct loom_control *control;
    struct loom_space *space;
    int folder_fd, extents_fd; /* of STORE and STORE/extents */
    const uint8_t *uuid;
    bool read_only;
} loom_store_parts;
/* LOOM_UNSUPPORTED for a store in memory. */
loom_status loom_store_parts_of(loom_store *store, loom_store_parts *parts, loom_error *err);

#define LOOM_EXTENT_BYTES_DEFAULT (UINT64_C(64) << 30)
#define LOOM_STEP_BYTES_DEFAULT (UINT64_C(32) << 20)
#define LOOM_COLD_AFTER_S_DEFAULT (UINT64_C(7) * 24 * 3600)

#endif
