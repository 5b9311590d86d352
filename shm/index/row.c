/* row.c - see row.h. A row is a fixed header followed by hashes, payload, recipe and the codec's part; one checksum
 * covers all and is seeded with the row number, so that a row read from the wrong place is caught too. */
#include "shm/index/row.h"

#include <string.h>
#include <time.h>
/* Compiled here: see block_hash.c. Every look-up and every put pays it. */
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the store's formats are little-endian");

#define HEADER_BYTES sizeof(loom_row_header)

/* Everything but the checksum itself. `tail` is what follows the 208 bytes we know. */
static uint64_t checksum(const loom_row_header *header, const uint8_t *tail, size_t tail_bytes, uint64_t row) {
    uint64_t seed = XXH3_64bits_withSeed(header, offsetof(loom_row_header, check), row);
    return XXH3_64bits_withSeed(tail, tail_bytes, seed);
}

/* Bounds only: what the codec's part says is checked where it is read (loom_frames_check). */
static loom_status check_codec(const loom_result *result, loom_error *err) {
    if ((unsigned)result->codec > LOOM_CODEC_ZSTD_AES)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result has the unknown codec %u", (unsigned)result->codec);
    if (result->codec == LOOM_CODEC_RAW) {
        if ((result->stored_bytes != 0 && result->stored_bytes != result->bulk.bytes) || result->codec_data_bytes > 0)
            return loom_fail(err, LOOM_BAD_ARGUMENT, "a result with raw bulk bytes came with those of a codec");
        return LOOM_OK;
    }
    if (result->bulk.bytes == 0 || result->stored_bytes == 0 || result->codec_data_bytes == 0 ||
        result->codec_data == NULL)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result with codec %u came without its bytes or its frame table",
                         (unsigned)result->codec);
    if (result->stored_bytes > LOOM_BULK_BYTES_MAX || result->codec_data_bytes > LOOM_ROW_BYTES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "a result occupies %llu bytes; the store holds at most %llu in one",
                         (unsigned long long)result->stored_bytes, (unsigned long long)LOOM_BULK_BYTES_MAX);
    return LOOM_OK;
}

static loom_status check_bulk(const loom_result *result, loom_error *err) {
    const loom_placement *bulk = &result->bulk;
    if (bulk->bytes > LOOM_BULK_BYTES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "a result has %llu bulk bytes; the store holds at most %llu in one",
                         (unsigned long long)bulk->bytes, (unsigned long long)LOOM_BULK_BYTES_MAX);
    if (bulk->bytes == 0) {
        if (result->blob || result->type == LOOM_IMAGE)
            return loom_fail(err, LOOM_BAD_ARGUMENT, "a result of type %s has no bulk bytes",
                             loom_type_name(result->type));
        return LOOM_OK;
    }
    if (bulk->reserved != 0 || bulk->offset % LOOM_PAGE_BYTES != 0 || bulk->offset > INT64_MAX - LOOM_BULK_BYTES_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result's placement (extent %u, offset %llu) is not on a page",
                         bulk->extent, (unsigned long long)bulk->offset);
    if (result->block_hashes == NULL)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result with bulk bytes came without block hashes");
    return LOOM_OK;
}

loom_status loom_row_check_result(const loom_result *result, loom_error *err) {
    if ((unsigned)result->type > LOOM_REFERENCE)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result has the unknown type %u", (unsigned)result->type);
    if ((result->payload_bytes > 0 && result->payload == NULL) || (result->recipe_bytes > 0 && result->recipe == NULL))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result has a length without bytes");
    if (result->blob && result->payload_bytes > 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result is both inline and a blob");
    if (!result->blob && result->payload_bytes == 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result has neither an encoded value nor a blob");
    LOOM_TRY(check_bulk(result, err));
    LOOM_TRY(check_codec(result, err));
    if (result->payload_bytes > LOOM_ROW_BYTES_MAX || result->recipe_bytes > LOOM_ROW_BYTES_MAX ||
        loom_row_bytes(result) > LOOM_ROW_BYTES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE,
                         "a result needs a row of more than %u bytes; store its value as a blob in an extent",
                         LOOM_ROW_BYTES_MAX);
    return LOOM_OK;
}

static size_t hash_count_of(const loom_result *result) {
    return result->bulk.bytes == 0 ? 0 : loom_extent_block_count(result->bulk.bytes);
}

size_t loom_row_bytes(const loom_result *result) {
    return HEADER_BYTES + hash_count_of(result) * sizeof(uint64_t) + result->payload_bytes + result->recipe_bytes +
           result->codec_data_bytes;
}

static uint8_t *append(uint8_t *at, const void *bytes, size_t length) {
    if (length > 0) memcpy(at, bytes, length);
    return at + length;
}

void loom_row_encode(const loom_result *result, uint64_t row, uint8_t *out) {
    size_t hashes = hash_count_of(result);
    loom_row_header header = {
        .version = LOOM_ROW_VERSION,
        .header_bytes = HEADER_BYTES,
        .kind = LOOM_ROW_LIVE,
        .type = (uint8_t)result->type,
        .flags = result->blob ? LOOM_ROW_BLOB : 0,
        .worker = result->worker,
        .rkey = result->rkey,
        .vid = result->vid,
        .node = result->node,
        .created_ns = result->created_ns,
        .cost_ns = result->cost_ns,
        .expires_ns = result->expires_ns,
        .hash_count = (uint32_t)hashes,
        .payload_bytes = (uint32_t)result->payload_bytes,
        .recipe_bytes = (uint32_t)result->recipe_bytes,
        .extra_bytes = (uint32_t)result->codec_data_bytes,
    };
    if (hashes > 0) {
        header.bulk = result->bulk;
        header.codec = (uint8_t)result->codec;
        header.stored_bytes = loom_result_range(result).bytes;
        header.root[0] = result->root[0];
        header.root[1] = result->root[1];
    }
    uint8_t *tail = out + HEADER_BYTES;
    uint8_t *end = append(tail, result->block_hashes, hashes * sizeof(uint64_t));
    end = append(end, result->payload, result->payload_bytes);
    end = append(end, result->recipe, result->recipe_bytes);
    end = append(end, result->codec_data, result->codec_data_bytes);
    header.check = checksum(&header, tail, (size_t)(end - tail), row);
    memcpy(out, &header, HEADER_BYTES);
}

size_t loom_row_encode_tombstone(const loom_result *result, uint64_t row, uint8_t *out) {
    size_t bytes = HEADER_BYTES + result->recipe_bytes;
    if (out == NULL) return bytes;
    loom_row_header header = {
        .version = LOOM_ROW_VERSION,
        .header_bytes = HEADER_BYTES,
        .kind = LOOM_ROW_TOMBSTONE,
        .type = (uint8_t)result->type,
        .worker = result->worker,
        .rkey = result->rkey,
        .vid = result->vid,
        .node = result->node,
        .created_ns = result->created_ns,
        .cost_ns = result->cost_ns,
        .recipe_bytes = (uint32_t)result->recipe_bytes,
    };
    uint8_t *tail = out + HEADER_BYTES;
    append(tail, result->recipe, result->recipe_bytes);
    header.check = checksum(&header, tail, result->recipe_bytes, row);
    memcpy(out, &header, HEADER_BYTES);
    return bytes;
}

bool loom_row_peek(const void *bytes, size_t length, loom_row_header *header) {
    if (length < HEADER_BYTES) return false;
    memcpy(header, bytes, HEADER_BYTES);
    return true;
}

static const char *damage_of_bulk(const loom_row_header *header) {
    const loom_placement *bulk = &header->bulk;
    if (bulk->bytes == 0) {
        if (header->hash_count != 0 || header->stored_bytes != 0) return "hashes without bulk bytes";
        if (header->codec != LOOM_CODEC_RAW) return "a codec without bulk bytes";
        if (header->kind == LOOM_ROW_LIVE && (header->type == LOOM_IMAGE || (header->flags & LOOM_ROW_BLOB)))
            return "no bulk bytes";
        return NULL;
    }
    if (header->kind != LOOM_ROW_LIVE) return "a tombstone with bulk bytes";
    if (bulk->bytes > LOOM_BULK_BYTES_MAX || header->hash_count != loom_extent_block_count(bulk->bytes))
        return "the wrong number of block hashes";
    if (bulk->reserved != 0 || bulk->offset % LOOM_PAGE_BYTES != 0 || bulk->offset > INT64_MAX - LOOM_BULK_BYTES_MAX)
        return "a placement off the page grid";
    if (header->codec == LOOM_CODEC_RAW && header->stored_bytes != bulk->bytes)
        return "a stored length that its codec does not explain";
    if (header->stored_bytes == 0 || header->stored_bytes > LOOM_BULK_BYTES_MAX) return "an impossible stored length";
    if (header->codec != LOOM_CODEC_RAW && header->extra_bytes == 0) return "a codec without a frame table";
    return NULL;
}

/* Whether the bytes are those that were written. The lengths come first: the checksum reads as far as they say. */
static const char *damage_of_bytes(const loom_row_header *header, const uint8_t *bytes, size_t length, uint64_t row) {
    if (header->header_bytes < HEADER_BYTES || header->header_bytes % 8 != 0) return "a wrong header length";
    uint64_t total = (uint64_t)header->header_bytes + (uint64_t)header->hash_count * sizeof(uint64_t) +
                     (uint64_t)header->payload_bytes + (uint64_t)header->recipe_bytes + (uint64_t)header->extra_bytes;
    if (total != length) return "parts that do not add up to its length";
    if (checksum(header, bytes + HEADER_BYTES, length - HEADER_BYTES, row) != header->check) return "a wrong checksum";
    return NULL;
}

/* Whether the bytes mean something: a checksum does not stop a row that was made to deceive. */
static const char *damage_of_meaning(const loom_row_header *header) {
    if (header->kind != LOOM_ROW_LIVE && header->kind != LOOM_ROW_TOMBSTONE) return "an unknown kind";
    if (header->type > LOOM_REFERENCE) return "an unknown type";
    if ((header->flags & LOOM_ROW_BLOB) && header->payload_bytes != 0) return "both payload and blob";
    if (header->kind == LOOM_ROW_TOMBSTONE && header->payload_bytes != 0) return "a tombstone with a payload";
    return damage_of_bulk(header);
}

static bool is_newer(const loom_row_header *header) {
    return (header->flags & ~LOOM_ROW_BLOB) != 0 || header->codec > LOOM_CODEC_ZSTD_AES;
}

loom_status loom_row_decode(const uint8_t *bytes, size_t length, uint64_t row, loom_result *result, loom_row_kind *kind,
                            loom_error *err) {
    loom_row_header header;
    if (!loom_row_peek(bytes, length, &header))
        return loom_fail(err, LOOM_CORRUPT, "row %llu of the index is %zu bytes long, shorter than a header",
                         (unsigned long long)row, length);
    const char *damage = header.version == LOOM_ROW_VERSION ? damage_of_bytes(&header, bytes, length, row)
                         : header.version == 0              ? "version 0"
                                                            : NULL;
    if (damage == NULL && (header.flags & LOOM_ROW_SEALED))
        damage = "a seal that does not open: it is damaged or was moved";
    if (damage == NULL && (header.version > LOOM_ROW_VERSION || is_newer(&header)))
        return loom_fail(err, LOOM_NEWER_STORE,
                         "row %llu of the index has the form (version %u, flags %#x, codec %u) of a newer voxloom; "
                         "use that one",
                         (unsigned long long)row, header.version, header.flags, header.codec);
    if (damage == NULL) damage = damage_of_meaning(&header);
    if (damage != NULL)
        return loom_fail(err, LOOM_CORRUPT, "row %llu of the index has %s", (unsigned long long)row, damage);
    const uint8_t *hashes = bytes + header.header_bytes;
    const uint8_t *payload = hashes + (size_t)header.hash_count * sizeof(uint64_t);
    const uint8_t *extra = payload + header.payload_bytes + header.recipe_bytes;
    *kind = (loom_row_kind)header.kind;
    *result = (loom_result){
        .rkey = header.rkey,
        .vid = header.vid,
        .node = header.node,
        .type = (loom_type)header.type,
        .blob = (header.flags & LOOM_ROW_BLOB) != 0,
        .worker = header.worker,
        .payload = header.payload_bytes > 0 ? payload : NULL,
        .payload_bytes = header.payload_bytes,
        .bulk = header.bulk,
        .codec = (loom_codec)header.codec,
        .stored_bytes = header.stored_bytes,
        /* Of a raw row this part is a later version's, which this one skips. */
        .codec_data = header.codec != LOOM_CODEC_RAW ? extra : NULL,
        .codec_data_bytes = header.codec != LOOM_CODEC_RAW ? header.extra_bytes : 0,
        .block_hashes = header.hash_count > 0 ? (const uint64_t *)(const void *)hashes : NULL,
        .root = {header.root[0], header.root[1]},
        .recipe = header.recipe_bytes > 0 ? payload + header.payload_bytes : NULL,
        .recipe_bytes = header.recipe_bytes,
        .created_ns = header.created_ns,
        .cost_ns = header.cost_ns,
        .expires_ns = header.expires_ns,
        .row = row,
    };
    return LOOM_OK;
}

bool loom_row_same_value(const loom_result *stored, const loom_result *computed) {
    if (stored->type != computed->type || !loom_id_equal(&stored->vid, &computed->vid)) return false;
    /* A vid that is a content hash settles it, whether the value lies inline or in an extent. */
    if (!loom_id_equal(&stored->vid, &stored->rkey)) return true;
    return stored->blob == computed->blob && stored->payload_bytes == computed->payload_bytes &&
           (stored->payload_bytes == 0 || memcmp(stored->payload, computed->payload, stored->payload_bytes) == 0) &&
           stored->bulk.bytes == computed->bulk.bytes &&
           (stored->bulk.bytes == 0 || (stored->root[0] == computed->root[0] && stored->root[1] == computed->root[1]));
}

bool loom_row_has_vid_entry(const loom_id *rkey, const loom_id *vid, loom_type type) {
    /* An image that was put by name has a vid of its own; a computed one's is its rkey. */
    bool referable = type == LOOM_SEQUENCE || type == LOOM_RECORD || type == LOOM_DATASET || type == LOOM_IMAGE;
    return referable && !loom_id_equal(rkey, vid);
}

bool loom_result_expired(const loom_result *result) {
    if (result->expires_ns == 0) return false;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= result->expires_ns;
}

loom_result loom_row_moved(const loom_result *stored, const loom_result *result) {
    loom_result row = *stored;
    row.bulk = result->bulk;
    row.codec = result->codec;
    row.stored_bytes = result->stored_bytes;
    row.codec_data = result->codec_data;
    row.codec_data_bytes = result->codec_data_bytes;
    return row;
}
