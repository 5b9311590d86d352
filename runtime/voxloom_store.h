/* voxloom/store.h - the public interface to a store of results: get, set, delete, list, find, stream, from C and C++.
 *
 *     #include <voxloom/store.h>
 *
 *     loom_error err = {0};
 *     loom_shelf *shelf = NULL;
 *     loom_item *item = NULL;
 *     uint8_t id[32];
 *     loom_shelf_options options = {sizeof options};
 *     options.path = "/data/store";
 *     if (loom_shelf_open(&options, &shelf, &err) != LOOM_OK ||
 *         loom_shelf_lookup(shelf, "goal:tumour_voxels", id, &err) != LOOM_OK ||
 *         loom_shelf_get(shelf, id, &item, &err) != LOOM_OK)
 *         loom_error_print(&err, stderr);
 *     else
 *         printf("%g\n", loom_item_float(item));
 *     loom_item_release(item);
 *     loom_shelf_close(shelf);
 *
 * A shelf is an open store. A result has an id of 32 bytes, the key of what was computed or of the name that it was
 * given; a value never changes under its id, unless it is replaced by name. Runs may use the store at the same time.
 *
 * Conventions, besides those of <voxloom.h>: structs begin with `size`, which the caller sets to sizeof; later versions
 * append fields, and a library reads and writes no more than `size` bytes. Text is UTF-8 with a length, or ends with a
 * NUL where there is none. All types are plain, no macro is needed to call anything.
 *
 * Threads: a shelf may be used by any number of threads at once. An item, maker, batch, list, reader or writer belongs
 * to one thread at a time; while a thread has a batch with changes, another's waits. All of them must be released
 * before their shelf is closed. After fork a child may only close what it has; it opens the store again. */
#ifndef LOOM_VOXLOOM_STORE_H
#define LOOM_VOXLOOM_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <voxloom/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef LOOM_API
#if defined(__GNUC__)
#define LOOM_API __attribute__((visibility("default")))
#else
#define LOOM_API
#endif
#endif

/* Numbers, not enums, stand in signatures and structs. They are written to disk: never renumbered. */
enum {
    LOOM_ITEM_NULL = 0,
    LOOM_ITEM_BOOL = 1,
    LOOM_ITEM_INT = 2,
    LOOM_ITEM_FLOAT = 3,
    LOOM_ITEM_STRING = 4,
    LOOM_ITEM_BYTES = 5,
    LOOM_ITEM_RECORD = 6,
    LOOM_ITEM_SEQUENCE = 7,
    LOOM_ITEM_IMAGE = 8,
    LOOM_ITEM_DATASET = 9,
    LOOM_ITEM_REFERENCE = 11 /* an item of a sequence that is another result: fetch it with loom_shelf_get_value */
};
enum {
    LOOM_PIXEL_BOOL8 = 1, /* 0 or 1 */
    LOOM_PIXEL_U8 = 2,
    LOOM_PIXEL_I8 = 3,
    LOOM_PIXEL_U16 = 4,
    LOOM_PIXEL_I16 = 5,
    LOOM_PIXEL_U32 = 6,
    LOOM_PIXEL_I32 = 7,
    LOOM_PIXEL_U64 = 8,
    LOOM_PIXEL_I64 = 9,
    LOOM_PIXEL_F32 = 10,
    LOOM_PIXEL_F64 = 11
};

/* ---- opening ---- */

typedef struct loom_shelf loom_shelf;

typedef struct loom_shelf_options {
    size_t size;
    const char *path;            /* the store's folder; NULL = as configured */
    const char *key;             /* of an encrypted store: "file:PATH", "env:NAME" or "fd:N"; NULL = as configured */
    const char *config_file;     /* TOML, read after /etc/voxloom.toml and the user's own; NULL = only those */
    const char *const *settings; /* "key=value" each, as --set of the command; override all but path and key */
    size_t setting_count;
    uint32_t create;    /* not 0: make the store when it is missing (encrypted for good, if there is a key) */
    uint32_t read_only; /* not 0: nothing can be set; works in a folder that may not be written */
} loom_shelf_options;

/* LOOM_NOT_FOUND, LOOM_DENIED (also: wrong key), LOOM_BAD_STORE, LOOM_NEWER_STORE, LOOM_OLDER_STORE, LOOM_BAD_CONFIG,
 * LOOM_BUSY,
 * LOOM_NO_SPACE, LOOM_UNSUPPORTED (network file system); LOOM_BAD_ARGUMENT for a `size` that is none. */
LOOM_API loom_status loom_shelf_open(const loom_shelf_options *options, loom_shelf **shelf, loom_error *err);
/* NULL is accepted. Loses nothing that was committed. */
LOOM_API void loom_shelf_close(loom_shelf *shelf);

/* ---- ids ---- */

/* The id of a name, whether anything is stored under it or not. LOOM_BAD_ARGUMENT: empty, or above 4096 bytes. */
LOOM_API loom_status loom_name_id(const char *name, size_t length, uint8_t id[32], loom_error *err);
/* What a person calls a result: the first digits (4 or more) of its id, value id or node id; "goal:LABEL" (of the
 * newest run that has it); "key:NAME". LOOM_NOT_FOUND, LOOM_BAD_USAGE (ambiguous, or none of these). */
LOOM_API loom_status loom_shelf_lookup(loom_shelf *shelf, const char *text, uint8_t id[32], loom_error *err);
/* LOOM_OK or LOOM_NOT_FOUND. */
LOOM_API loom_status loom_shelf_exists(loom_shelf *shelf, const uint8_t id[32], loom_error *err);

/* ---- getting ---- */

typedef struct loom_item loom_item;

/* The value of a result, verified against its checksums. Its bytes (an image: a read-only mapping of the store's file,
 * or of private memory where the store encodes) stay as they are until release, whoever deletes or evicts the result.
 * LOOM_NOT_FOUND (err is left alone), LOOM_CORRUPT, LOOM_NO_MEMORY. */
LOOM_API loom_status loom_shelf_get(loom_shelf *shelf, const uint8_t id[32], loom_item **item, loom_error *err);
/* The same by value id, as references name it. */
LOOM_API loom_status loom_shelf_get_value(loom_shelf *shelf, const uint8_t value_id[32], loom_item **item,
                                          loom_error *err);
/* Ends it and all items that came out of it. NULL is accepted. */
LOOM_API void loom_item_release(loom_item *item);

/* Of another type than the one asked for: 0, NULL. */
LOOM_API int32_t loom_item_type(const loom_item *item);
LOOM_API int32_t loom_item_bool(const loom_item *item);
LOOM_API int64_t loom_item_int(const loom_item *item);
LOOM_API double loom_item_float(const loom_item *item); /* every bit, of a NaN too; an int is converted */
/* A string or bytes; not NUL-terminated. */
LOOM_API const char *loom_item_text(const loom_item *item, size_t *length);
/* Items of a sequence or dataset, fields of a record. */
LOOM_API uint64_t loom_item_count(const loom_item *item);
LOOM_API int32_t loom_item_is_tuple(const loom_item *item); /* a sequence that prints with parentheses */
/* An item or field by its place, from 0; NULL beyond the end, and when memory is short. Belongs to `item`. */
LOOM_API const loom_item *loom_item_at(loom_item *item, uint64_t place);
LOOM_API const char *loom_item_field_name(const loom_item *item, uint64_t place, size_t *length);
/* A field by its name; NULL if there is none. */
LOOM_API const loom_item *loom_item_field(loom_item *item, const char *name, size_t length);
/* The record that describes a dataset: what queries look at. NULL for another type. */
LOOM_API const loom_item *loom_item_metadata(loom_item *item);
/* What a reference names: returns the type, or -1 for an item that is none. */
LOOM_API int32_t loom_item_reference(const loom_item *item, uint8_t value_id[32]);
/* MessagePack, as the store has it (shm/value.h; of an image its header); NULL when memory is short. */
LOOM_API const uint8_t *loom_item_encoding(loom_item *item, size_t *length);

typedef struct loom_image_info {
    size_t size;
    uint32_t dtype;       /* LOOM_PIXEL_... */
    uint32_t rank;        /* 2 to 4 */
    uint32_t components;  /* of a voxel */
    uint32_t reserved;    /* 0 */
    uint64_t extent[4];   /* voxels along x, y, z, t; 1 beyond the rank */
    double spacing[4];    /* mm; 1 beyond the rank */
    double origin[4];     /* position of voxel 0, ITK's convention (LPS) */
    double direction[16]; /* row-major, 4 a row; columns are the axes; identity beyond the rank */
    const void *voxels;   /* x fastest, components together; page-aligned when it comes from a store */
    uint64_t bytes;       /* of them */
} loom_image_info;
/* LOOM_BAD_ARGUMENT if it is no image. `voxels` is valid until the item is released, and read-only. */
LOOM_API loom_status loom_item_image(const loom_item *item, loom_image_info *image, loom_error *err);
/* One with unit spacing, zero origin and identity direction, for set. LOOM_BAD_ARGUMENT. */
LOOM_API loom_status loom_image_info_init(loom_image_info *image, uint32_t dtype, uint32_t rank,
                                          const uint64_t extent[], loom_error *err);

/* What is known of a result besides its value. */
typedef struct loom_item_info {
    size_t size;
    uint8_t id[32];
    uint8_t value_id[32];
    uint8_t node[32]; /* what was asked in a program; zeros: it has no name there */
    int32_t type;
    uint32_t codec;         /* 0 raw, 1 zstd, 2 AES, 3 both */
    uint64_t bytes;         /* as it is read */
    uint64_t stored_bytes;  /* as it lies there */
    uint64_t created_ns;    /* since 1970 */
    uint64_t cost_ns;       /* of computing it */
    uint64_t expires_ns;    /* since 1970; 0: never */
    uint64_t row;           /* grows with every result that is stored */
    char operator_name[64]; /* "vox1.near"; "loom.set" by name, "loom.put" without; "" unknown */
} loom_item_info;
/* LOOM_BAD_ARGUMENT for an item that came out of another. */
LOOM_API loom_status loom_item_info_of(const loom_item *item, loom_item_info *info, loom_error *err);
/* The name that it was set by; NULL if none. */
LOOM_API const char *loom_item_name(const loom_item *item, size_t *length);

/* ---- making values ---- */

/* One value under construction: a scalar; or begin, items (in a record each behind its name), end. */
typedef struct loom_maker loom_maker;
LOOM_API loom_maker *loom_maker_new(void); /* NULL: out of memory */
LOOM_API void loom_maker_free(loom_maker *maker);
/* LOOM_BAD_ARGUMENT: the value is complete already, a name is missing or out of place, nothing was begun; two fields of
 * one name come out when it is set. LOOM_TOO_LARGE: nested deeper than 64. LOOM_NO_MEMORY. Text is copied. After a
 * failure the maker can only be freed or cleared. */
LOOM_API loom_status loom_maker_null(loom_maker *maker);
LOOM_API loom_status loom_maker_bool(loom_maker *maker, int32_t truth);
LOOM_API loom_status loom_maker_int(loom_maker *maker, int64_t number);
LOOM_API loom_status loom_maker_float(loom_maker *maker, double number);
LOOM_API loom_status loom_maker_string(loom_maker *maker, const char *text, size_t length); /* UTF-8 */
LOOM_API loom_status loom_maker_bytes(loom_maker *maker, const void *bytes, size_t length);
LOOM_API loom_status loom_maker_reference(loom_maker *maker, int32_t type, const uint8_t value_id[32]);
LOOM_API loom_status loom_maker_encoded(loom_maker *maker, const void *bytes, size_t length); /* loom_item_encoding's */
LOOM_API loom_status loom_maker_begin_record(loom_maker *maker);
LOOM_API loom_status loom_maker_begin_sequence(loom_maker *maker);
LOOM_API loom_status loom_maker_begin_tuple(loom_maker *maker);
/* First a record, its metadata; then its items: references, or records that say how each is loaded ("op", "args"). */
LOOM_API loom_status loom_maker_begin_dataset(loom_maker *maker);
LOOM_API loom_status loom_maker_name(loom_maker *maker, const char *name, size_t length);
LOOM_API loom_status loom_maker_end(loom_maker *maker);
LOOM_API void loom_maker_clear(loom_maker *maker); /* for another value */

/* ---- setting, in batches: all of it or nothing, visible to others after commit ---- */

enum {
    LOOM_SET_REPLACE = 1,  /* another value under this name is given up; else that is LOOM_IRREPRODUCIBLE */
    LOOM_SET_EVICTABLE = 2 /* the budget may take it; what is set is pinned otherwise: nothing can compute it again */
};

typedef struct loom_shelf_batch loom_shelf_batch;
LOOM_API loom_status loom_shelf_begin(loom_shelf *shelf, loom_shelf_batch **batch, loom_error *err);
/* `name` NULL: the id follows from the content, and the same value set twice is one result. *id may be NULL. Voxels and
 * values are copied. LOOM_IRREPRODUCIBLE (the batch may go on), LOOM_NO_SPACE, LOOM_BUSY (this thread has another batch
 * with changes), LOOM_BAD_ARGUMENT. */
LOOM_API loom_status loom_batch_set(loom_shelf_batch *batch, const char *name, size_t name_length,
                                    const loom_maker *maker, uint32_t flags, uint8_t id[32], loom_error *err);
LOOM_API loom_status loom_batch_set_image(loom_shelf_batch *batch, const char *name, size_t name_length,
                                          const loom_image_info *image, uint32_t flags, uint8_t id[32],
                                          loom_error *err);
/* LOOM_NOT_FOUND: the batch may go on. */
LOOM_API loom_status loom_batch_remove(loom_shelf_batch *batch, const uint8_t id[32], loom_error *err);
/* `owner`: 1 to 64 bytes, who wants it kept. Neither budget nor gc takes what is pinned. */
LOOM_API loom_status loom_batch_keep(loom_shelf_batch *batch, const uint8_t id[32], const char *owner, loom_error *err);
LOOM_API loom_status loom_batch_unkeep(loom_shelf_batch *batch, const uint8_t id[32], const char *owner,
                                       loom_error *err);
/* Both free the batch. NULL is accepted by drop. */
LOOM_API loom_status loom_shelf_commit(loom_shelf_batch *batch, loom_error *err);
LOOM_API void loom_shelf_drop(loom_shelf_batch *batch);

/* A batch of one. */
LOOM_API loom_status loom_shelf_set(loom_shelf *shelf, const char *name, size_t name_length, const loom_maker *maker,
                                    uint32_t flags, uint8_t id[32], loom_error *err);
LOOM_API loom_status loom_shelf_set_image(loom_shelf *shelf, const char *name, size_t name_length,
                                          const loom_image_info *image, uint32_t flags, uint8_t id[32],
                                          loom_error *err);
LOOM_API loom_status loom_shelf_remove(loom_shelf *shelf, const uint8_t id[32], loom_error *err);
LOOM_API loom_status loom_shelf_pin(loom_shelf *shelf, const uint8_t id[32], const char *owner, loom_error *err);
LOOM_API loom_status loom_shelf_unpin(loom_shelf *shelf, const uint8_t id[32], const char *owner, loom_error *err);

/* ---- lists ---- */

typedef struct loom_list loom_list;
/* All results in the order in which they were stored, as they are now. */
LOOM_API loom_status loom_shelf_list(loom_shelf *shelf, loom_list **list, loom_error *err);
/* The records for which a query holds: `patient.age > 60 and modality == "flair"` (voxloom help store find).
 * LOOM_BAD_USAGE with the column. */
LOOM_API loom_status loom_shelf_find(loom_shelf *shelf, const char *query, size_t length, loom_list **list,
                                     loom_error *err);
LOOM_API uint64_t loom_list_count(const loom_list *list);
/* The next one; LOOM_NOT_FOUND at the end. What was removed meanwhile is left out. */
LOOM_API loom_status loom_list_next(loom_list *list, loom_item_info *info, loom_error *err);
/* The name of the one that next gave; NULL if none. Valid until the next call. */
LOOM_API const char *loom_list_name(const loom_list *list, size_t *length);
LOOM_API void loom_list_free(loom_list *list);

/* ---- streams: results larger than memory, in a few MiB ---- */

typedef struct loom_shelf_writer loom_shelf_writer;
typedef struct loom_shelf_reader loom_shelf_reader;
/* A string, bytes, or an image (its header in `image`, whose voxels are not looked at) under a name; NULL for the other
 * types. LOOM_BUSY: another writer has this name. A result that is there already is compared at commit
 * (LOOM_IRREPRODUCIBLE): remove it first, to stream another. The value id of a large one is its id, so what is new
 * should have a new name where other results refer to it. */
LOOM_API loom_status loom_shelf_write(loom_shelf *shelf, const char *name, size_t name_length, int32_t type,
                                      const loom_image_info *image, loom_shelf_writer **writer, loom_error *err);
/* Goes on with one that was suspended, in this process or another: LOOM_NOT_FOUND if there is none. */
LOOM_API loom_status loom_shelf_resume(loom_shelf *shelf, const char *name, size_t name_length,
                                       loom_shelf_writer **writer, loom_error *err);
LOOM_API loom_status loom_writer_add(loom_shelf_writer *writer, const void *bytes, size_t length, loom_error *err);
LOOM_API uint64_t loom_writer_position(const loom_shelf_writer *writer); /* bytes taken so far */
/* These three end the writer. commit: `flags` is 0 or LOOM_SET_EVICTABLE, *id may be NULL; suspend keeps what came, for
 * resume; abort leaves nothing. */
LOOM_API loom_status loom_writer_commit(loom_shelf_writer *writer, uint32_t flags, uint8_t id[32], loom_error *err);
LOOM_API loom_status loom_writer_suspend(loom_shelf_writer *writer, loom_error *err);
LOOM_API void loom_writer_abort(loom_shelf_writer *writer);

/* Voxels of an image, characters, bytes; of another type its encoding. No byte comes that was not verified. */
LOOM_API loom_status loom_shelf_read(loom_shelf *shelf, const uint8_t id[32], loom_shelf_reader **reader,
                                     loom_error *err);
LOOM_API uint64_t loom_reader_length(const loom_shelf_reader *reader);
/* *got < capacity at the end only. */
LOOM_API loom_status loom_reader_next(loom_shelf_reader *reader, void *bytes, size_t capacity, size_t *got,
                                      loom_error *err);
LOOM_API loom_status loom_reader_seek(loom_shelf_reader *reader, uint64_t position, loom_error *err);
LOOM_API void loom_reader_close(loom_shelf_reader *reader);

/* ---- the store as a whole ---- */

typedef struct loom_shelf_stats {
    size_t size;
    uint64_t results, images;
    uint64_t payload_bytes, bulk_bytes;            /* of values in the index; of images and large values */
    uint64_t index_bytes, extent_bytes;            /* on disk */
    uint64_t free_bytes, budget_bytes, used_bytes; /* for reuse; 0 = none; of the budget */
    uint64_t hits, misses, evicted, pins, processes;
    uint32_t format, encrypted;
} loom_shelf_stats;
LOOM_API loom_status loom_shelf_stat(loom_shelf *shelf, loom_shelf_stats *stats, loom_error *err);

#ifdef __cplusplus
}
#endif
#endif
