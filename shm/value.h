/* value.h - values of the language, and their one encoding.
 *
 * A loom_value borrows what it points to (text, items, voxels): its arena, the encoded buffer or the mapped extent must
 * outlive it. Values are immutable once made.
 *
 * Encoding: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), always the shortest form, so equal
 * values have equal bytes and the SHA-256 of the bytes is the value id. int64 and float64 stay distinct types; NaN
 * payloads and -0 survive. Extension types: 1 = image header (232 bytes, shm/image.h), 2 = reference (type byte,
 * 32-byte vid), 3 = tuple (an encoded array), 4 = dataset (an encoded record, then its items as an encoded sequence),
 * 5 = long sequence, in pages with a directory, so that one item is reached without the others (shm/SCHEMA.md,
 * "Values"). Sequences and tuples of more than LOOM_SEQUENCE_PLAIN_MAX items are encoded as 5 wherever they stand, all
 * others never. */
#ifndef LOOM_SHM_VALUE_H
#define LOOM_SHM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/arena.h"
#include "shm/id.h"
#include "shm/image.h"
#include "shm/status.h"

/* Sequences and records may hold each other this deep; a scalar has depth 0. */
#define LOOM_VALUE_DEPTH_MAX 64
/* More items than this are encoded in pages of LOOM_SEQUENCE_PAGE_ITEMS. Part of the encoding, so of value ids. */
#define LOOM_SEQUENCE_PLAIN_MAX 4096u
#define LOOM_SEQUENCE_PAGE_ITEMS 1024u

/* Written to disk: append, never renumber. */
typedef enum loom_type {
    LOOM_NULL = 0,
    LOOM_BOOL = 1,
    LOOM_INT = 2,
    LOOM_FLOAT = 3,
    LOOM_STRING = 4,
    LOOM_BYTES = 5,
    LOOM_RECORD = 6,
    LOOM_SEQUENCE = 7,
    LOOM_IMAGE = 8,
    LOOM_DATASET = 9,
    LOOM_CLOSURE = 10,
    LOOM_REFERENCE = 11 /* an item of a sequence that is another result: named by vid, fetched on use */
} loom_type;

const char *loom_type_name(loom_type type); /* "float"; "?" if unknown */

typedef struct loom_value loom_value;
typedef struct loom_field loom_field;

struct loom_value {
    loom_type type;
    bool tuple; /* a sequence that prints with parentheses */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *bytes; /* not NUL-terminated; any bytes survive */
            size_t length;
        } text; /* string (UTF-8) or bytes */
        struct {
            const loom_value *items;
            size_t count;
        } sequence;
        struct {
            const loom_field *fields;
            size_t count;
        } record; /* in order; names are unique */
        struct {
            const loom_image_header *header;
            const void *voxels; /* NULL while not mapped */
        } image;
        struct {
            loom_type type; /* what it refers to */
            loom_id vid;
        } reference;
        struct {
            const loom_value *metadata; /* a record: what queries look at */
            const loom_value *items;    /* references, or descriptions: see loom_dataset_item_check */
            size_t count;
        } dataset;
    };
};

struct loom_field {
    const char *name;
    size_t name_length;
    loom_value value;
};

/* Makers; text and items are borrowed. */
loom_value loom_null(void);
loom_value loom_bool(bool value);
loom_value loom_int(int64_t value);
loom_value loom_float(double value);
loom_value loom_string(const char *bytes, size_t length);
loom_value loom_string_of(const char *text); /* NUL-terminated */
loom_value loom_bytes(const void *bytes, size_t length);
loom_value loom_sequence(const loom_value *items, size_t count);
loom_value loom_tuple(const loom_value *items, size_t count);
loom_value loom_record(const loom_field *fields, size_t count);
loom_value loom_image(const loom_image_header *header, const void *voxels);
loom_value loom_reference(loom_type type, const loom_id *vid);
/* A dataset: metadata (a record) and items that are materialised when they are first used. */
loom_value loom_dataset(const loom_value *metadata, const loom_value *items, size_t count);

/* An item of a dataset is a reference to a stored result, or describes an input that is loaded on first use: a record
 * with a field "op" (a string that is not empty: the operator that loads it, e.g. "simpleitk.ReadImage") and a field
 * "args" (a sequence: its arguments); other fields are the item's own metadata. LOOM_BAD_ARGUMENT for anything else. */
loom_status loom_dataset_item_check(const loom_value *item);

/* Field of a record by name, or NULL. */
const loom_value *loom_record_get(const loom_value *record, const char *name);

/* Python's truth: null, false, 0, empty string, bytes, sequence or record are false; everything else is true, NaN,
 * images and references included (fetch a reference first if what it names may be small). */
bool loom_value_is_true(const loom_value *value);

/* Equality of meaning bits: type, bits of doubles, text, items; images compare headers and voxels (both mapped, or
 * neither); datasets compare metadata and items as they stand, not what they load. Closures are never equal: compare
 * their ids. */
bool loom_value_equal(const loom_value *a, const loom_value *b);

/* A deep copy into the arena, text with a NUL behind it (voxels are not copied; the pointer is kept). LOOM_NO_MEMORY;
 * LOOM_TOO_LARGE when nested deeper than LOOM_VALUE_DEPTH_MAX. */
loom_status loom_value_copy(loom_arena *arena, const loom_value *value, loom_value *copy);

/* A growing byte buffer. Zero-initialise; release with loom_buffer_free. */
typedef struct loom_buffer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
} loom_buffer;
loom_status loom_buffer_add(loom_buffer *buffer, const void *bytes, size_t length);
void loom_buffer_free(loom_buffer *buffer);

/* Appends the encoding. An image encodes its header only. Nothing is allocated while it fits into the buffer's
 * capacity. After an error the buffer holds what it held before. Errors: LOOM_NO_MEMORY; LOOM_TOO_LARGE beyond
 * MessagePack's 2^32-1 lengths or LOOM_VALUE_DEPTH_MAX; LOOM_BAD_ARGUMENT for a record with two fields of one name,
 * for references to references or closures and for datasets whose metadata is no record or whose items are neither
 * references nor descriptions; the error of loom_image_header_check; LOOM_UNSUPPORTED for closures. */
loom_status loom_value_encode(const loom_value *value, loom_buffer *out);

/* The same into the caller's bytes, without allocation (records of more than 16 fields excepted). LOOM_TOO_LARGE also
 * when it does not fit; *length is set on success only. */
loom_status loom_value_encode_into(const loom_value *value, uint8_t *bytes, size_t capacity, size_t *length);

/* Decodes one value that fills `length` bytes exactly. Text points into `bytes`; items, fields and image headers are
 * allocated in the arena (scalars and text allocate nothing). Safe on hostile bytes: bounded nesting, counts checked
 * against what is left. Refuses everything loom_value_encode would not have written, so bytes and values correspond
 * one to one (except that a long sequence may also be a plain array, as stores of format 1 have it). After an error
 * *value is null. Errors: LOOM_CORRUPT, LOOM_NO_MEMORY. */
loom_status loom_value_decode(const uint8_t *bytes, size_t length, loom_arena *arena, loom_value *value,
                              loom_error *err);

/* The vid of a small value: SHA-256 of its encoding. */
loom_status loom_value_id(const loom_value *value, loom_id *vid);

#endif
