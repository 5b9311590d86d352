/* index_row.c - ids as the index names them and rows as its tables hold them: the one place where an encrypted store
 * differs from a plain one (SCHEMA.md, "Encryption"). */
#include <string.h>

#include "shm/store/index_lmdb.h"

loom_id loom_index_name(const loom_index *index, const loom_id *id) {
    (void)index;
    return *id;
}

size_t loom_index_row_bytes(const loom_index *index, const loom_result *result, loom_row_kind kind) {
    (void)index;
    return kind == LOOM_ROW_LIVE ? loom_row_bytes(result) : loom_row_encode_tombstone(result, 0, NULL);
}

loom_status loom_index_write_row(const loom_index *index, const loom_result *result, loom_row_kind kind, uint64_t row,
                                 uint8_t *out, loom_error *err) {
    (void)index, (void)err;
    if (kind == LOOM_ROW_LIVE)
        loom_row_encode(result, row, out);
    else
        loom_row_encode_tombstone(result, row, out);
    return LOOM_OK;
}

loom_status loom_index_open_row(const loom_index *index, uint64_t row, uint8_t *bytes, size_t *length,
                                loom_error *err) {
    (void)index, (void)row, (void)bytes, (void)length, (void)err;
    return LOOM_OK;
}

size_t loom_index_small_key(const loom_index *index, const loom_id *id, const char *text, uint64_t number,
                            uint8_t key[LOOM_SMALL_KEY_MAX]) {
    size_t length = 0;
    if (id != NULL) {
        loom_id name = loom_index_name(index, id);
        memcpy(key, name.bytes, sizeof name.bytes);
        length = sizeof name.bytes;
    }
    size_t text_bytes = strlen(text);
    memcpy(key + length, text, text_bytes);
    length += text_bytes;
    if (number == 0) return length;
    for (unsigned i = 0; i < 8; i++)
        key[length + i] = (uint8_t)(number >> (56 - 8 * i));
    return length + 8;
}
