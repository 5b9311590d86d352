/* storage.h - the store: results under their keys, in one interface with two implementations.
 *
 * "disk": LMDB for the index, extent files for bulk bytes. "memory": a hash table in the opening process, memfd extents
 * that workers inherit. Both carry every value type. A result is immutable: putting a key that exists verifies
 * equality.
 *
 * Processes: the one that opens a store is its writer (one committer thread: batches); others attach with the token and
 * read. All reads are thread-safe; a batch belongs to one thread. Layouts and orders of memory operations:
 * shm/SCHEMA.md. */
#ifndef LOOM_SHM_STORAGE_H
#define LOOM_SHM_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/arena.h"
#include "shm/id.h"
#include "shm/status.h"
#include "shm/store/extent.h"
#include "shm/value.h"

#define LOOM_STORE_FORMAT 1u

typedef enum loom_durability {
    LOOM_DURABLE_VERIFIED, /* index synced in batches; bulk bytes verified at first use */
    LOOM_DURABLE_STRICT,   /* bulk synced before its row */
    LOOM_DURABLE_NONE      /* index synced at close only */
} loom_durability;

typedef struct loom_store_options {
    const char *path; /* folder, or ":memory:" */
    bool create;      /* make it when missing (mode 0700) */
    bool read_only;
    loom_durability durability;
    uint64_t map_bytes;      /* LMDB map size; 0 = min(1 TiB, RLIMIT_AS / 4) */
    uint64_t extent_bytes;   /* an extent file is closed to new objects beyond this; 0 = 64 GiB */
    uint64_t step_bytes;     /* preallocation step; 0 = 32 MiB */
    uint32_t memory_writers; /* ":memory:" only: how many extent memfds to make, one per future writer; 0 = 1 */
} loom_store_options;

typedef struct loom_store loom_store;

/* One stored result. Pointers belong to the arena given to the reader, or to the caller on put. */
typedef struct loom_result {
    loom_id rkey; /* what was computed: the key */
    loom_id vid;  /* what it is */
    loom_id node; /* what was asked; zero if it has no name */
    loom_type type;
    bool blob;              /* the bulk bytes are an encoded value too large for the row, not voxels */
    uint32_t worker;        /* that computed it; for reports */
    const uint8_t *payload; /* encoded value (images: the header); NULL for a blob */
    size_t payload_bytes;
    loom_placement bulk;
    const uint64_t *block_hashes; /* loom_extent_block_count(bulk.bytes) */
    uint64_t root[2];
    const uint8_t *recipe; /* MessagePack: [operator, version, attributes, [rkey or constant of each argument]] */
    size_t recipe_bytes;
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t cost_ns;    /* of the kernel */
    uint64_t row;        /* sequential number; set by the store */
} loom_result;

/* Opens or creates. Errors name the path, cause and remedy: LOOM_NOT_FOUND, LOOM_DENIED, LOOM_BAD_STORE (a folder that
 * is not a store, or a damaged FORMAT or index), LOOM_NEWER_STORE, LOOM_NO_SPACE, LOOM_BUSY, LOOM_UNSUPPORTED (network
 * file system). One process may open one store many times; the environment is shared and counted. */
loom_status loom_store_open(const loom_store_options *options, loom_store **store, loom_error *err);
/* Loses nothing committed. Batches and extent writers must be ended before. After the last handle of a process that
 * wrote, the index is tidied and synced, which takes milliseconds. NULL is accepted. A handle may not be used in a
 * forked child (LOOM_UNSUPPORTED), only closed. */
void loom_store_close(loom_store *store);

/* Text with which another process attaches, e.g. "disk:/home/me/.local/share/voxloom" or "memory:7,8" (inherited file
 * descriptors; loom_store_inherit lists them so that they can be passed on). Returns LOOM_TOO_LARGE if it does not fit.
 */
loom_status loom_store_token(const loom_store *store, char *text, size_t capacity);
size_t loom_store_inherit(const loom_store *store, int *fds, size_t capacity);
/* Attaches a worker: reads the index (disk; a worker of a store in memory has none and finds nothing), maps and appends
 * extents. `writer_index` (below memory_writers) selects its memfd (memory). */
loom_status loom_store_attach(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);

loom_extents *loom_store_extents(loom_store *store);
bool loom_store_in_memory(const loom_store *store);
const char *loom_store_path(const loom_store *store); /* ":memory:" for memory */

/* Looks up by rkey; LOOM_NOT_FOUND is not an error (err untouched). The result points into the arena. */
loom_status loom_store_find(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                            loom_error *err);
/* Looks up by the beginning of a vid, rkey or node id in hex (>= 4 digits): for people. LOOM_BAD_USAGE if ambiguous.
 * Latest row wins for a node id. */
loom_status loom_store_find_prefix(loom_store *store, const char *hex, loom_arena *arena, loom_result *result,
                                   loom_error *err);
/* By vid, for references in sequences: finds large results (whose vid is their rkey) and sequences, records and
 * datasets by content. Scalars and strings, which nothing refers to, are not found this way. */
loom_status loom_store_find_value(loom_store *store, const loom_id *vid, loom_arena *arena, loom_result *result,
                                  loom_error *err);
/* rkey -> vid, which outlives an evicted payload. */
loom_status loom_store_trace(loom_store *store, const loom_id *rkey, loom_id *vid, loom_type *type, loom_error *err);

/* Checks the bulk bytes of a found result against its block hashes (no bulk: LOOM_OK). LOOM_CORRUPT if they differ. */
loom_status loom_store_verify(loom_store *store, const loom_result *result, loom_error *err);

/* The value of a found result: decodes the payload or the blob; an image is mapped read-only into *view (release it
 * after use; for other values the view may hold the blob that the value points into). */
loom_status loom_store_value(loom_store *store, const loom_result *result, loom_arena *arena, loom_value *value,
                             loom_view *view, loom_error *err);

/* Writing: batches by the opening process only. Nothing of a batch is visible before commit; all of it after.
 * put: LOOM_IRREPRODUCIBLE (the first is kept) if the key exists with another vid or other content hashes. */
typedef struct loom_batch loom_batch;
loom_status loom_store_begin(loom_store *store, loom_batch **batch, loom_error *err);
loom_status loom_batch_put(loom_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_batch_delete(loom_batch *batch, const loom_id *rkey, loom_error *err); /* LOOM_NOT_FOUND if absent */
/* Remembers the content hash of an input file by its stat fields; small named blobs for topology, costs and the like.
 */
typedef struct loom_file_stamp {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
} loom_file_stamp;
loom_status loom_batch_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                loom_error *err);
loom_status loom_batch_put_meta(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err);
/* Commits (synced per durability) and frees the batch, also on failure. */
loom_status loom_batch_commit(loom_batch *batch, loom_error *err);
void loom_batch_abort(loom_batch *batch);

loom_status loom_store_get_file(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err);
loom_status loom_store_get_meta(loom_store *store, const char *key, loom_arena *arena, const void **bytes,
                                size_t *length, loom_error *err);

/* Calls `visit` for every live row in order of row number, until it returns false. The result is valid during the call.
 */
typedef bool (*loom_store_visit)(const loom_result *result, void *context);
loom_status loom_store_each(loom_store *store, loom_store_visit visit, void *context, loom_error *err);

typedef struct loom_store_stats {
    uint64_t rows, images, blobs;
    uint64_t payload_bytes; /* inline */
    uint64_t bulk_bytes;    /* of live objects, without padding */
    uint64_t extent_files;
    uint64_t extent_allocated_bytes; /* as the file system counts them */
    uint64_t index_bytes;
    uint64_t format;
} loom_store_stats;
loom_status loom_store_stat(loom_store *store, loom_store_stats *stats, loom_error *err);

#endif
