/* seal.c - see seal.h. */
#include "shm/seal/seal.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HEADER_BYTES sizeof(loom_row_header)

/* What a sealed row is bound to: its number and every byte of its visible header before the checksum. */
typedef struct row_context {
    char use[8];
    uint64_t row;
    uint8_t header[offsetof(loom_row_header, check)];
} row_context;

static row_context context_of(const loom_row_header *header, uint64_t row) {
    row_context context = {.use = "row 1", .row = row};
    memcpy(context.header, header, sizeof context.header);
    return context;
}

size_t loom_seal_row_bytes(size_t plain_bytes) {
    return HEADER_BYTES + LOOM_SEAL_OVERHEAD + plain_bytes;
}

/* A vid that nothing is looked up by is not told; rkey in its place says "no entry in vids", whatever the type. */
static loom_row_header visible_header(const loom_cipher *cipher, const loom_result *result, loom_row_kind kind,
                                      size_t sealed_bytes) {
    loom_row_header header = {.version = LOOM_ROW_VERSION,
                              .header_bytes = HEADER_BYTES,
                              .kind = (uint8_t)kind,
                              .flags = LOOM_ROW_SEALED,
                              .rkey = loom_cipher_blind(cipher, &result->rkey),
                              .extra_bytes = (uint32_t)sealed_bytes};
    header.vid = header.rkey;
    if (loom_row_has_vid_entry(&result->rkey, &result->vid, result->type)) {
        header.vid = loom_cipher_blind(cipher, &result->vid);
        header.type = LOOM_SEQUENCE;
    }
    if (kind != LOOM_ROW_LIVE) return header;
    if (result->bulk.bytes == 0) return header;
    header.bulk = result->bulk;
    header.codec = (uint8_t)result->codec;
    header.stored_bytes = loom_result_range(result).bytes;
    return header;
}

/* Not against an attacker, whom the seal keeps away, but so that `voxloom store verify` can tell a damaged row without
 * the key. As in row.c. */
static uint64_t checksum(const uint8_t *bytes, size_t length, uint64_t row) {
    uint64_t seed = XXH3_64bits_withSeed(bytes, offsetof(loom_row_header, check), row);
    return XXH3_64bits_withSeed(bytes + HEADER_BYTES, length - HEADER_BYTES, seed);
}

loom_status loom_seal_row(const loom_cipher *cipher, const loom_result *result, loom_row_kind kind, uint64_t row,
                          uint8_t *out, loom_error *err) {
    if (kind == LOOM_ROW_LIVE && result->bulk.bytes > 0 && result->codec == LOOM_CODEC_RAW)
        return loom_fail(err, LOOM_INTERNAL, "bulk bytes of an encrypted store were not encrypted before their row");
    if (row >= LOOM_SEALED_ROWS_MAX)
        return loom_fail(err, LOOM_TOO_LARGE,
                         "an encrypted store holds at most 2^30 rows under one master key; export what matters into a "
                         "new store");
    size_t plain_bytes = kind == LOOM_ROW_LIVE ? loom_row_bytes(result) : loom_row_encode_tombstone(result, row, NULL);
    size_t sealed_bytes = plain_bytes + LOOM_SEAL_OVERHEAD;
    loom_row_header header = visible_header(cipher, result, kind, sealed_bytes);
    row_context context = context_of(&header, row);
    uint8_t small[2048], *plain = plain_bytes <= sizeof small ? small : malloc(plain_bytes);
    if (plain == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while sealing a row");
    if (kind == LOOM_ROW_LIVE)
        loom_row_encode(result, row, plain);
    else
        loom_row_encode_tombstone(result, row, plain);
    memcpy(out, &header, sizeof header);
    loom_status status = loom_cipher_seal(cipher, &context, sizeof context, plain, plain_bytes, out + HEADER_BYTES);
    OPENSSL_cleanse(plain, plain_bytes);
    if (plain != small) free(plain);
    uint64_t check = checksum(out, HEADER_BYTES + sealed_bytes, row);
    memcpy(out + offsetof(loom_row_header, check), &check, sizeof check);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "cannot seal a row: no random bytes or no memory");
}

static loom_status damaged(uint64_t row, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "row %llu of the encrypted index is damaged or was put there from elsewhere",
                     (unsigned long long)row);
}

/* The seal vouches for the header as it stands; this vouches for what was sealed under it. */
static bool agree(const loom_row_header *header, const loom_row_header *inner) {
    return header->kind == inner->kind && header->codec == inner->codec &&
           header->stored_bytes == inner->stored_bytes && memcmp(&header->bulk, &inner->bulk, sizeof header->bulk) == 0;
}

loom_status loom_seal_open_row(const loom_cipher *cipher, uint64_t row, uint8_t *bytes, size_t *length,
                               loom_error *err) {
    loom_row_header header, inner;
    if (*length < loom_seal_row_bytes(HEADER_BYTES) || *length > LOOM_ROW_BYTES_MAX + loom_seal_row_bytes(0) ||
        !loom_row_peek(bytes, *length, &header) || header.header_bytes != HEADER_BYTES ||
        (header.flags & LOOM_ROW_SEALED) == 0 || header.extra_bytes != *length - HEADER_BYTES)
        return damaged(row, err);
    row_context context = context_of(&header, row);
    size_t plain_bytes = *length - HEADER_BYTES - LOOM_SEAL_OVERHEAD;
    if (loom_cipher_open(cipher, &context, sizeof context, bytes + HEADER_BYTES, *length - HEADER_BYTES,
                         bytes + HEADER_BYTES) != LOOM_OK)
        return damaged(row, err);
    memmove(bytes, bytes + HEADER_BYTES, plain_bytes);
    if (!loom_row_peek(bytes, plain_bytes, &inner) || !agree(&header, &inner)) return damaged(row, err);
    *length = plain_bytes;
    return LOOM_OK;
}

/* ---- small values ---- */

#define CONTEXT_MAX 640u

static size_t value_context(const char *table, const void *key, size_t key_bytes, uint8_t context[CONTEXT_MAX]) {
    size_t length = strlen(table) + 1; /* with its NUL: no name is the beginning of another's context */
    memcpy(context, table, length);
    if (key_bytes > CONTEXT_MAX - length) return 0;
    memcpy(context + length, key, key_bytes);
    return length + key_bytes;
}

loom_status loom_seal_value(const loom_cipher *cipher, const char *table, const void *key, size_t key_bytes,
                            const void *value, size_t length, uint8_t *sealed, loom_error *err) {
    uint8_t context[CONTEXT_MAX];
    size_t context_bytes = value_context(table, key, key_bytes, context);
    loom_status status =
        context_bytes == 0 ? LOOM_TOO_LARGE : loom_cipher_seal(cipher, context, context_bytes, value, length, sealed);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "cannot seal an entry of the table %s", table);
}

loom_status loom_seal_open_value(const loom_cipher *cipher, const char *table, const void *key, size_t key_bytes,
                                 uint8_t *bytes, size_t *length, loom_error *err) {
    uint8_t context[CONTEXT_MAX];
    size_t context_bytes = value_context(table, key, key_bytes, context);
    if (context_bytes == 0 || *length < LOOM_SEAL_OVERHEAD ||
        loom_cipher_open(cipher, context, context_bytes, bytes, *length, bytes) != LOOM_OK)
        return loom_fail(err, LOOM_CORRUPT, "an entry of the table %s of the encrypted index is damaged", table);
    *length -= LOOM_SEAL_OVERHEAD;
    return LOOM_OK;
}
