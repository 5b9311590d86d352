/* store_folder.h - the folder of a store and its FORMAT file: what makes a folder a store (shm/SCHEMA.md). */
#ifndef LOOM_SHM_STORE_FOLDER_H
#define LOOM_SHM_STORE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/seal/key.h"
#include "shm/status.h"

typedef struct loom_folder {
    int fd;     /* of STORE; -1 when closed */
    char *path; /* absolute, without links */
    uint64_t device, inode;
    /* Once FORMAT was read or written: */
    uint32_t format;
    uint8_t uuid[16];
    char created[32];
    bool encrypted;
    uint8_t wrapped[LOOM_WRAPPED_BYTES]; /* the master key, if encrypted */
} loom_folder;

/* Opens the folder, making it and its parents (mode 0700) if `create`. LOOM_NOT_FOUND, LOOM_DENIED, LOOM_BAD_STORE. */
loom_status loom_folder_open(const char *path, bool create, loom_folder *folder, loom_error *err);
void loom_folder_close(loom_folder *folder);

/* Refuses file systems that cannot hold a store. */
loom_status loom_folder_check_system(const loom_folder *folder, loom_error *err);
/* Reads FORMAT if it is there (*present); without it the folder must be empty or a creation that did not finish.
 * LOOM_BAD_STORE, LOOM_NEWER_STORE, LOOM_OLDER_STORE. */
loom_status loom_folder_read_format(loom_folder *folder, bool *present, loom_error *err);
/* The same, and an older format is accepted: for migration. */
loom_status loom_folder_read_any_format(loom_folder *folder, bool *present, loom_error *err);
/* Makes the parts of a new store, FORMAT last; encrypted under `key` unless NULL. Inside the gate of `control`. */
loom_status loom_folder_create(loom_folder *folder, const loom_key *key, loom_error *err);
/* The master key, if the store is encrypted and this is its key; untouched if it is plain and no key is given. Every
 * other case is LOOM_DENIED: also a key for a plain store, whose user believes in encryption that is not there. */
loom_status loom_folder_unlock(const loom_folder *folder, const loom_key *key, uint8_t master[32], loom_error *err);
/* Replaces FORMAT in one step by what `folder` says, in the format of today; durable when it returns. */
loom_status loom_folder_write_format(const loom_folder *folder, loom_error *err);

#endif
