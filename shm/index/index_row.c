/* index_row.c - ids as the index names them and rows as its tables hold them: the one place where an encrypted store
 * differs from a plain one (SCHEMA.md, "Encryption"). */
#include <string.h>

#include "shm/index/index_lmdb.h"
#include "shm/seal/seal.h"

loom_id loom_index_name(const loom_index *index, const loom_id *id) {
    return index->cipher == NULL ? *id : loom_cipher_blind(index->cipher, id);
}

size_t loom_index_row_bytes(const loom_index *index, const loom_result *result, loom_row_kind kind) {
    size_t plain = kind == LOOM_ROW_LIVE ? loom_row_bytes(result) : loom_row_encode_tombstone(result, 0, NULL);
    return index->cipher == NULL ? plain : loom_seal_row_bytes(plain);
}

loom_status loom_index_write_row(const loom_index *index, const loom_result *result, loom_row_kind kind, uint64_t row,
                                 uint8_t *out, loom_error *err) {
    if (index->cipher != NULL) return loom_seal_row(index->cipher, result, kind, row, out, err);
    if (kind == LOOM_ROW_LIVE)
        loom_row_encode(result, row, out);
    else
        loom_row_encode_tombstone(result, row, out);
    return LOOM_OK;
}

loom_status loom_index_open_row(const loom_index *index, uint64_t row, uint8_t *bytes, size_t *length,
                                loom_error *err) {
    return index->cipher == NULL ? LOOM_OK : loom_seal_open_row(index->cipher, row, bytes, length, err);
}

size_t loom_index_small_key(const loom_index *index, const loom_id *id, const char *text, uint64_t number,
                            uint8_t key[LOOM_SMALL_KEY_MAX]) {
    size_t length = 0;
    if (id != NULL) {
        loom_id name = loom_index_name(index, id);
        memcpy(key, name.bytes, sizeof name.bytes);
        length = sizeof name.bytes;
    }
    length += loom_index_hidden_key(index, "text", text, strlen(text), key + length);
    if (number == 0) return length;
    for (unsigned i = 0; i < 8; i++)
        key[length + i] = (uint8_t)(number >> (56 - 8 * i));
    return length + 8;
}

size_t loom_index_hidden_key(const loom_index *index, const char *table, const void *key, size_t key_bytes,
                             uint8_t *out) {
    if (index->cipher == NULL) {
        memcpy(out, key, key_bytes);
        return key_bytes;
    }
    loom_id name = loom_cipher_blind_bytes(index->cipher, table, key, key_bytes);
    memcpy(out, name.bytes, sizeof name.bytes);
    return sizeof name.bytes;
}

loom_status loom_index_identity(const loom_index *index, const uint8_t uuid[16], uint8_t identity[LOOM_IDENTITY_MAX],
                                size_t *length, loom_error *err) {
    memcpy(identity, uuid, 16);
    *length = index->cipher == NULL ? 16 : LOOM_IDENTITY_MAX;
    if (index->cipher == NULL) return LOOM_OK;
    return loom_seal_value(index->cipher, "identity", "", 0, uuid, 16, identity + 16, err);
}

bool loom_index_is_of(const loom_index *index, const uint8_t uuid[16], const void *identity, size_t length) {
    uint8_t copy[LOOM_IDENTITY_MAX];
    if (length != (index->cipher == NULL ? 16 : sizeof copy) || memcmp(identity, uuid, 16) != 0) return false;
    if (index->cipher == NULL) return true;
    memcpy(copy, identity, sizeof copy);
    size_t sealed = sizeof copy - 16;
    return loom_seal_open_value(index->cipher, "identity", "", 0, copy + 16, &sealed, NULL) == LOOM_OK &&
           memcmp(copy + 16, uuid, 16) == 0;
}

const char *loom_index_sealed_table(const loom_index *index, MDB_dbi table, const void *key, size_t key_bytes) {
    if (index->cipher == NULL) return NULL;
    if (table == index->files) return "files";
    if (table == index->pins) return "pins";
    if (table == index->goals) return "goals";
    if (table == index->runs) return "runs";
    /* The store's own entries ("s:...") count rows and pages: what the files' sizes tell as well. */
    return table == index->meta && key_bytes >= 2 && memcmp(key, "m:", 2) == 0 ? "meta" : NULL;
}

loom_status loom_index_open_value(const loom_index *index, MDB_dbi table, const void *key, size_t key_bytes,
                                  uint8_t *value, size_t *length, loom_error *err) {
    const char *sealed = loom_index_sealed_table(index, table, key, key_bytes);
    if (sealed == NULL) return LOOM_OK;
    return loom_seal_open_value(index->cipher, sealed, key, key_bytes, value, length, err);
}
