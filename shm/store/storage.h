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
#include "shm/extent/extent.h"
#include "shm/id.h"
#include "shm/status.h"
#include "shm/value.h"

#define LOOM_STORE_FORMAT 2u

typedef enum loom_durability {
    LOOM_DURABLE_VERIFIED, /* index synced in batches; bulk bytes verified at first use */
    LOOM_DURABLE_STRICT,   /* bulk synced before its row */
    LOOM_DURABLE_NONE      /* index synced at close only */
} loom_durability;

/* How the bulk bytes of a result lie in their extent. Written to disk: append, never renumber. */
typedef enum loom_codec {
    LOOM_CODEC_RAW = 0,     /* mappable */
    LOOM_CODEC_ZSTD = 1,    /* independent frames, one a block */
    LOOM_CODEC_AES = 2,     /* AES-256-GCM, block by block */
    LOOM_CODEC_ZSTD_AES = 3 /* frames, each encrypted */
} loom_codec;

typedef enum loom_compression {
    LOOM_COMPRESS_OFF,
    LOOM_COMPRESS_COLD,  /* what has not been used for `cold_after_s`, in the background and by gc */
    LOOM_COMPRESS_ALWAYS /* as results are put */
} loom_compression;

typedef enum loom_eviction {
    LOOM_EVICT_COST, /* GreedyDual-Size (Cao and Irani 1997): what is cheap to compute again per byte goes first */
    LOOM_EVICT_LRU
} loom_eviction;

typedef struct loom_key loom_key; /* shm/seal/key.h */

typedef struct loom_store_options {
    const char *path; /* folder, or ":memory:" */
    bool create;      /* make it when missing (mode 0700) */
    bool read_only;
    loom_durability durability;
    const loom_key *key;   /* of an encrypted store, or to create one encrypted; NULL = plain */
    uint64_t budget_bytes; /* of disk space, for the folder, machine-wide; 0 = none. The newest opener's holds */
    loom_eviction eviction;
    loom_compression compression;
    int compression_level;  /* zstd's; 0 = 3 */
    uint64_t cold_after_s;  /* 0 = 7 days */
    uint64_t ballast_bytes; /* kept back so that a full disk can be emptied; 0 = 4 MiB */
    uint64_t reuse_bytes;   /* free space kept allocated for reuse, before holes are punched; 0 = 1 GiB */
    uint64_t map_bytes;     /* LMDB map size; 0 = min(1 TiB, RLIMIT_AS / 4) */
    uint64_t extent_bytes;  /* an extent file is closed to new objects beyond this; 0 = 64 GiB */
    uint64_t step_bytes;    /* preallocation step; 0 = 32 MiB */
    uint32_t
        memory_writers; /* ":memory:" and encrypted: how many extent memfds to make, one per future writer; 0 = 1 */
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
    loom_placement bulk; /* bulk.bytes: of the object as it is read, whatever the codec */
    loom_codec codec;
    uint64_t stored_bytes;     /* occupied at bulk.offset; 0 on put means bulk.bytes (raw) */
    const uint8_t *codec_data; /* frame table, salt and tags: written and read by bulk_codec.c; NULL when raw */
    size_t codec_data_bytes;
    const uint64_t *block_hashes; /* of the object as it is read: loom_extent_block_count(bulk.bytes) */
    uint64_t root[2];
    const uint8_t *recipe; /* MessagePack: [operator, version, attributes, [rkey or constant of each argument]] */
    size_t recipe_bytes;
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t cost_ns;    /* of the kernel */
    uint64_t expires_ns; /* CLOCK_REALTIME after which it counts as absent; 0 = never */
    uint64_t row;        /* sequential number; set by the store. A row never changes where its bytes lie */
} loom_result;

/* Opens or creates. Errors name the path, cause and remedy: LOOM_NOT_FOUND, LOOM_DENIED, LOOM_BAD_STORE (a folder that
 * is not a store, or a damaged FORMAT or index), LOOM_NEWER_STORE, LOOM_OLDER_STORE (admin.h, loom_store_upgrade),
 * LOOM_NO_SPACE, LOOM_BUSY, LOOM_UNSUPPORTED (network file system). One process may open one store many times; the
 * environment is shared and counted. */
loom_status loom_store_open(const loom_store_options *options, loom_store **store, loom_error *err);
/* Loses nothing committed. Batches and extent writers must be ended before. After the last handle of a process that
 * wrote, the index is tidied and synced, which takes milliseconds. NULL is accepted. A handle may not be used in a
 * forked child (LOOM_UNSUPPORTED), only closed. */
void loom_store_close(loom_store *store);

/* Text with which another process attaches, e.g. "disk:5:/home/me/.local/share/voxloom" or "memory:7,8" (inherited file
 * descriptors; loom_store_inherit lists them so that they can be passed on). Returns LOOM_TOO_LARGE if it does not fit.
 */
loom_status loom_store_token(const loom_store *store, char *text, size_t capacity);
size_t loom_store_inherit(const loom_store *store, int *fds, size_t capacity);
/* Attaches a worker: reads the index (disk; a worker of a store in memory has none and finds nothing), maps and appends
 * extents. `writer_index` (below memory_writers) selects its memfd (memory, encrypted). A worker of an encrypted store
 * leaves no core dump from then on. */
loom_status loom_store_attach(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);

/* Where the workers of a run write and map bulk bytes. For an encrypted store: memory (memfd), never the disk. */
loom_extents *loom_store_extents(loom_store *store);
/* Gives the memory of plain bytes in loom_store_extents(store) of an encrypted store back, when no process of the run
 * will read them any more and no batch that puts them is open; any process of the run may call it. The range reads as
 * zeros afterwards. Does nothing in other stores, where those bytes are the stored ones. */
loom_status loom_store_discard(loom_store *store, const loom_placement *placement, loom_error *err);
/* True for an encrypted store on disk: what this run writes and maps are plain copies of what is stored. */
bool loom_store_has_working_copies(const loom_store *store);
bool loom_store_in_memory(const loom_store *store);
const char *loom_store_path(const loom_store *store); /* ":memory:" for memory */

/* Looks up by rkey; LOOM_NOT_FOUND is not an error (err untouched). The result points into the arena. Counts as a use.
 * Its bulk bytes may be evicted at any time unless the result is held: loom_store_hold, loom_store_value. */
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

/* ---- holding: what is held keeps its bytes, whoever evicts, collects or compresses. Holds end with the process. ----
 */

typedef struct loom_hold {
    uint32_t pin; /* 0: nothing is held */
} loom_hold;
/* As find and find_value, and held before it returns (published, then looked up again). Costs a few hundred
 * nanoseconds; a result without bulk bytes needs no hold and gets none. */
loom_status loom_store_hold(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                            loom_hold *hold, loom_error *err);
loom_status loom_store_hold_value(loom_store *store, const loom_id *vid, loom_arena *arena, loom_result *result,
                                  loom_hold *hold, loom_error *err);
/* Bytes that a writer of this run sealed and no row names yet: hold them before the batch that puts them. */
loom_status loom_store_hold_range(loom_store *store, const loom_placement *placement, loom_hold *hold, loom_error *err);
void loom_store_unhold(loom_store *store, loom_hold *hold);

/* Single flight between runs: LOOM_OK, this run computes `rkey` and others wait; LOOM_BUSY, another live run does (look
 * the key up again from time to time). All processes of a run are one owner; a claim ends with unclaim or when the last
 * of them is gone. Look the key up once more after LOOM_OK: it may have been stored just before. */
loom_status loom_store_claim(loom_store *store, const loom_id *rkey, loom_error *err);
void loom_store_unclaim(loom_store *store, const loom_id *rkey);

/* Makes the bulk bytes of a held result mappable in loom_store_extents(store). Raw bytes on disk are so already (*fresh
 * false). Others are decoded through `writer`, checked against the block hashes, and result->bulk, codec and
 * stored_bytes say where they are now (*fresh true): in a plain store commit that with loom_batch_replace, so that
 * reading makes a cold result mappable again. LOOM_CORRUPT names the block; in an encrypted store also for a flipped
 * bit. */
loom_status loom_store_materialise(loom_store *store, loom_extent_writer *writer, loom_arena *arena,
                                   loom_result *result, bool *fresh, loom_error *err);

/* Checks the bulk bytes of a found result against its block hashes (no bulk: LOOM_OK). LOOM_CORRUPT if they differ. */
loom_status loom_store_verify(loom_store *store, const loom_result *result, loom_error *err);

/* The value of a found result: decodes the payload or the blob; an image is mapped read-only into *view (release it
 * after use and before the store is closed; for other values the view may hold the blob that the value points into).
 * The view holds its bytes; those of another codec are decoded into private memory and verified. A result that was
 * replaced since it was found is read where it lies now; LOOM_NOT_FOUND: it was deleted or evicted. */
loom_status loom_store_value(loom_store *store, const loom_result *result, loom_arena *arena, loom_value *value,
                             loom_view *view, loom_error *err);

/* Writing: batches by the opening process only. Nothing of a batch is visible before commit; all of it after.
 * LOOM_NO_SPACE: the batch is lost; an index whose map was too small has a larger one when it is begun again.
 * put: LOOM_IRREPRODUCIBLE (the first is kept) if the key exists with another vid or other content hashes. What has
 * expired counts as absent. */
typedef struct loom_batch loom_batch;
loom_status loom_store_begin(loom_store *store, loom_batch **batch, loom_error *err);
/* Before the first put of a batch, for each result with bulk bytes that it will put: compresses or encrypts them now,
 * where the store wants that (else costs nothing). Otherwise put does it, while it keeps other processes from writing
 * and cannot evict to make space. */
loom_status loom_batch_prepare(loom_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_batch_put(loom_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_batch_delete(loom_batch *batch, const loom_id *rkey, loom_error *err); /* LOOM_NOT_FOUND if absent */
/* As delete, and its trace and recipe go too: the next run computes it from nothing. Also for a key whose payload is
 * gone already. LOOM_NOT_FOUND. */
loom_status loom_batch_forget(loom_batch *batch, const loom_id *rkey, loom_error *err);
/* The same value in another place or codec (rkey, vid, hashes as stored): the old bytes are given up. LOOM_NOT_FOUND if
 * the key is gone, LOOM_IRREPRODUCIBLE if it is not the same value: then the bytes that came are given up, the batch
 * goes on. */
loom_status loom_batch_replace(loom_batch *batch, const loom_result *result, loom_error *err);
/* After this time the result counts as absent and gc deletes it; 0 = never. LOOM_NOT_FOUND. */
loom_status loom_batch_set_expiry(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err);
/* Pinned results are never evicted. `owner` (1..64 bytes: "hand", "goal:tumour") may pin a result once; a pin outlives
 * processes, and may name a key that is not stored (yet). unpin: LOOM_NOT_FOUND if there is no such pin. */
loom_status loom_batch_pin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
loom_status loom_batch_unpin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
/* Records that a run's goal `label` (1..200 bytes) was met by `rkey`; `run` numbers grow (loom_batch_begin_run). */
loom_status loom_batch_begin_run(loom_batch *batch, const char *program, uint64_t *run, loom_error *err);
loom_status loom_batch_put_goal(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                loom_error *err);
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

typedef struct loom_pin_record {
    loom_id rkey;
    const char *owner;
    uint64_t created_ns;
} loom_pin_record;
typedef struct loom_goal_record {
    const char *label;
    uint64_t run;
    loom_id rkey;
    uint64_t created_ns;
} loom_goal_record;
typedef bool (*loom_pin_visit)(const loom_pin_record *pin, void *context);
typedef bool (*loom_goal_visit)(const loom_goal_record *goal, void *context);
/* Pins in order of rkey; goals in order of label, then run. Until the visit returns false. */
loom_status loom_store_each_pin(loom_store *store, loom_pin_visit visit, void *context, loom_error *err);
loom_status loom_store_each_goal(loom_store *store, loom_goal_visit visit, void *context, loom_error *err);

/* For work that takes long: what is being done, how far; false cancels (LOOM_CANCELLED, nothing half done). */
typedef bool (*loom_store_progress)(const char *phase, uint64_t done, uint64_t total, void *context);

typedef struct loom_store_stats {
    uint64_t rows, images, blobs;
    uint64_t payload_bytes; /* inline */
    uint64_t bulk_bytes;    /* of live objects, without padding */
    uint64_t extent_files;
    uint64_t extent_allocated_bytes; /* as the file system counts them */
    uint64_t index_bytes;
    uint64_t format;
    bool encrypted;
    uint64_t free_bytes;               /* in extent files, allocated or not, for reuse */
    uint64_t deleted_bytes;            /* given up, still held by someone or not yet durable */
    uint64_t unowned_bytes;            /* left by processes that died; gc returns them */
    uint64_t budget_bytes, used_bytes; /* of the budget; 0 = none */
    uint64_t hits, misses; /* look-ups since the store was made, of processes that may write; fewer after a crash */
    uint64_t evicted_rows, evicted_bytes;
    uint64_t pins;
    uint64_t processes;        /* attached now, this one included */
    uint64_t oldest_reader_ms; /* for how long a reader, in any process, has not seen what was committed; 0: none is
                                * behind. Meanwhile the index grows instead of reusing its pages */
} loom_store_stats;
loom_status loom_store_stat(loom_store *store, loom_store_stats *stats, loom_error *err);

#endif
