/* row.h - the bytes of one row of the index: encode, check, decode. Pure functions over buffers.
 *
 * The layout is in shm/SCHEMA.md, "Row". Bytes that come from disk are hostile until loom_row_decode has accepted them:
 * it checks every length against the buffer and the checksum against the content. */
#ifndef LOOM_SHM_ROW_H
#define LOOM_SHM_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "shm/store/storage.h"

#define LOOM_ROW_VERSION 1u
#define LOOM_ROW_BYTES_MAX (64u << 20)
#define LOOM_BULK_BYTES_MAX (UINT64_C(1) << 40)

typedef enum loom_row_kind { LOOM_ROW_LIVE = 1, LOOM_ROW_TOMBSTONE = 2 } loom_row_kind;
typedef enum loom_find_by { LOOM_BY_RKEY, LOOM_BY_VID } loom_find_by;
/* A row as bytes of any alignment, for the time of the call; false ends the scan. */
typedef bool (*loom_row_visit)(uint64_t row, const void *bytes, size_t length, void *context);
typedef enum loom_row_flag {
    LOOM_ROW_BLOB = 1 << 0,
    LOOM_ROW_SEALED = 1 << 1 /* of an encrypted store: the true row is in the extra part (seal.h) */
} loom_row_flag;

typedef struct loom_row_header {
    uint16_t version;
    uint16_t header_bytes;
    uint8_t kind; /* loom_row_kind */
    uint8_t type; /* loom_type */
    uint16_t flags;
    uint8_t codec; /* of the bulk bytes; 0 = raw */
    uint8_t reserved[3];
    uint32_t worker;
    loom_id rkey;
    loom_id vid;
    loom_id node;
    loom_placement bulk;
    uint64_t stored_bytes;
    uint64_t root[2];
    uint64_t created_ns;
    uint64_t cost_ns;
    uint64_t expires_ns;
    uint32_t hash_count;
    uint32_t payload_bytes;
    uint32_t recipe_bytes;
    uint32_t extra_bytes;
    uint64_t check;
} loom_row_header;

_Static_assert(sizeof(loom_row_header) == 208, "the row header is a disk format: see shm/SCHEMA.md");
_Static_assert(offsetof(loom_row_header, bulk) == 112 && offsetof(loom_row_header, hash_count) == 184 &&
                   offsetof(loom_row_header, check) == 200,
               "the row header is a disk format: see shm/SCHEMA.md");

/* Whether a result may become a row: known type, consistent bulk, hashes and payload, sizes within limits. Pointers
 * that go with a length must not be NULL. LOOM_BAD_ARGUMENT or LOOM_TOO_LARGE. */
loom_status loom_row_check_result(const loom_result *result, loom_error *err);
/* Bytes of the row of a checked result. */
size_t loom_row_bytes(const loom_result *result);
/* Writes loom_row_bytes(result) bytes; any alignment. */
void loom_row_encode(const loom_result *result, uint64_t row, uint8_t *out);

/* The tombstone of a decoded row: its trace and recipe. Returns the bytes needed; writes them when `out` is not NULL.
 */
size_t loom_row_encode_tombstone(const loom_result *result, uint64_t row, uint8_t *out);

/* Reads a row. `bytes` must be aligned to 8 and outlive the result, which points into it. *kind says whether the result
 * is live; a tombstone's has no payload and no bulk. LOOM_CORRUPT, or LOOM_NEWER_STORE for a later row version. */
loom_status loom_row_decode(const uint8_t *bytes, size_t length, uint64_t row, loom_result *result, loom_row_kind *kind,
                            loom_error *err);

/* The header alone, from unaligned bytes, lengths and checksum unchecked: for filters before the copy. False when too
 * short. */
bool loom_row_peek(const void *bytes, size_t length, loom_row_header *header);

/* The range that the result's bulk bytes occupy, whatever their codec; bytes = 0 when it has none. */
static inline loom_placement loom_result_range(const loom_result *result) {
    loom_placement range = result->bulk;
    if (range.bytes != 0 && result->stored_bytes != 0) range.bytes = result->stored_bytes;
    return range;
}
/* The stored row with its bytes in another place or codec, as `result` has them. */
loom_result loom_row_moved(const loom_result *stored, const loom_result *result);
/* Whether its time has come: it counts as absent, and gc deletes it. */
bool loom_result_expired(const loom_result *result);

/* Whether a second computation of the same key gave the same value. */
bool loom_row_same_value(const loom_result *stored, const loom_result *computed);
/* Whether a row has an entry in the table `vids`. */
bool loom_row_has_vid_entry(const loom_id *rkey, const loom_id *vid, loom_type type);

#endif
