/* seal.h - rows and small values of an encrypted store, as its index holds them. Pure functions over buffers; used by
 * index_row.c alone. Layout: shm/SCHEMA.md, "Encryption". */
#ifndef LOOM_SHM_STORE_SEAL_H
#define LOOM_SHM_STORE_SEAL_H

#include "shm/index/row.h"
#include "shm/seal/cipher.h"

/* Random nonces under one key: SP 800-38D allows 2^32. A row is sealed when it is put, and again when it expires
 * otherwise, moves or becomes a tombstone. */
#define LOOM_SEALED_ROWS_MAX (UINT64_C(1) << 30)

/* Bytes of the sealed row of a plain one. */
size_t loom_seal_row_bytes(size_t plain_bytes);
/* Writes loom_seal_row_bytes(...) bytes, any alignment: a header that says where the bytes lie and under which blinded
 * names, then the true row sealed under row number and header. LOOM_TOO_LARGE: LOOM_SEALED_ROWS_MAX rows. */
loom_status loom_seal_row(const loom_cipher *cipher, const loom_result *result, loom_row_kind kind, uint64_t row,
                          uint8_t *out, loom_error *err);
/* Makes it the plain row, in place. LOOM_CORRUPT: damaged, moved, or of another store. */
loom_status loom_seal_open_row(const loom_cipher *cipher, uint64_t row, uint8_t *bytes, size_t *length,
                               loom_error *err);

/* The value under `key` of a small table; `table` is its name. Sealed bytes are length + LOOM_SEAL_OVERHEAD. */
loom_status loom_seal_value(const loom_cipher *cipher, const char *table, const void *key, size_t key_bytes,
                            const void *value, size_t length, uint8_t *sealed, loom_error *err);
/* In place: the plain value stands at `bytes` afterwards. LOOM_CORRUPT. */
loom_status loom_seal_open_value(const loom_cipher *cipher, const char *table, const void *key, size_t key_bytes,
                                 uint8_t *bytes, size_t *length, loom_error *err);

#endif
