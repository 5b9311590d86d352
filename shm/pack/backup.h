/* backup.h - a store's results outside a store: backup and restore of all, export and import of some.
 *
 * All are one stream format, "pack" (shm/SCHEMA.md, "Pack"): self-describing, checksummed record by record, written and
 * read front to back in bounded memory, so that it goes through a pipe. */
#ifndef LOOM_SHM_BACKUP_H
#define LOOM_SHM_BACKUP_H

#include "shm/store/storage.h"

typedef struct loom_pack_report {
    uint64_t results, bytes; /* written or read now */
    uint64_t skipped;        /* there already */
    uint64_t deleted;        /* known to an earlier backup, gone since */
    uint64_t damaged;        /* whose bulk bytes do not match their hashes: copied as they are, computed again on use */
} loom_pack_report;

/* A consistent copy while others use the store: one snapshot of the index; no byte that it names is reused until it is
 * done. `target` is a folder (made when missing; later calls add what is new, in a new file) or "-" for stdout. An
 * interrupted call leaves what was there before. The rows of an encrypted store are copied as they are, encrypted. */
loom_status loom_backup(loom_store *store, const char *target, loom_store_progress progress, void *context,
                        loom_pack_report *report, loom_error *err);
/* Makes a new store at `path` (LOOM_BAD_USAGE if one is there) from a backup folder, a file that a
 * backup was streamed to, or "-". Every record is checked;
 * nothing is left behind after an error. */
loom_status loom_restore(const char *source, const char *path, loom_store_progress progress, void *context,
                         loom_pack_report *report, loom_error *err);

/* The named results and all that sequences among them refer to; decoded (readable without the key).
 * `target` is a file or "-". */
loom_status loom_export(loom_store *store, const loom_id *rkeys, size_t count, const char *target,
                        loom_store_progress progress, void *context, loom_pack_report *report, loom_error *err);
/* Puts each result that is not there; equal ones are skipped, different ones are LOOM_IRREPRODUCIBLE (the rest still
 * comes in). `source` is a file or "-". */
loom_status loom_import(loom_store *store, const char *source, loom_store_progress progress, void *context,
                        loom_pack_report *report, loom_error *err);

#endif
