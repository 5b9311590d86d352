/* id.h - 32-byte identities: node ids, result keys (rkey) and value ids (vid), and the SHA-256 that makes them. */
#ifndef LOOM_SHM_ID_H
#define LOOM_SHM_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

typedef struct loom_id {
    uint8_t bytes[32];
} loom_id;

#define LOOM_ID_HEX_BYTES 65 /* 64 lower-case hex digits and a NUL */

bool loom_id_equal(const loom_id *a, const loom_id *b);
bool loom_id_is_zero(const loom_id *id);
int loom_id_compare(const loom_id *a, const loom_id *b); /* as memcmp */
void loom_id_hex(const loom_id *id, char hex[LOOM_ID_HEX_BYTES]);
/* Reads exactly 64 hex digits (either case); false, leaving *id alone, for anything else. */
bool loom_id_from_hex(const char *hex, size_t length, loom_id *id);

/* SHA-256 (FIPS 180-4, by OpenSSL's libcrypto) of one buffer. Thread-safe. Aborts only if libcrypto cannot allocate. */
loom_id loom_sha256(const void *bytes, size_t length);

/* The same over several buffers. A hasher belongs to one thread and may be reused after loom_hasher_end. */
typedef struct loom_hasher loom_hasher;
loom_hasher *loom_hasher_new(void);
void loom_hasher_free(loom_hasher *hasher);
void loom_hasher_begin(loom_hasher *hasher);
void loom_hasher_add(loom_hasher *hasher, const void *bytes, size_t length);
loom_id loom_hasher_end(loom_hasher *hasher);

#endif
