/* cipher.h - the cryptography of an encrypted store: AES-256-GCM (NIST SP 800-38D), HMAC-SHA-256 (RFC 2104), HKDF (RFC
 * 5869), all of libcrypto. Pure functions over buffers; layouts and what is bound to what: shm/SCHEMA.md, "Encryption".
 *
 * Thread-safe: a cipher is read-only once made. */
#ifndef LOOM_SHM_CIPHER_H
#define LOOM_SHM_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/id.h"
#include "shm/status.h"

#define LOOM_CIPHER_SALT_BYTES 32u
#define LOOM_CIPHER_TAG_BYTES 16u
#define LOOM_SEAL_OVERHEAD 28u /* nonce before, tag behind */

/* The keys of one store, derived from its master key, in memory that is locked where allowed and left out of core
 * dumps. */
typedef struct loom_cipher loom_cipher;
loom_status loom_cipher_new(const uint8_t master[32], loom_cipher **cipher, loom_error *err);
void loom_cipher_free(loom_cipher *cipher); /* wipes it; NULL is accepted */
/* The master key itself, 32 bytes, as long as the cipher: to hand it to a worker (secret.h), never to write it. */
const uint8_t *loom_cipher_master(const loom_cipher *cipher);

/* The name under which an id stands in the index, in control and in claims. The same id always has the same. */
loom_id loom_cipher_blind(const loom_cipher *cipher, const loom_id *id);
/* The same for other bytes, e.g. the key of the input memo; `domain` keeps uses apart. */
loom_id loom_cipher_blind_bytes(const loom_cipher *cipher, const char *domain, const void *bytes, size_t length);

/* Seals `length` bytes into length + LOOM_SEAL_OVERHEAD; `context` (row number, table) must be the same to open. The
 * nonce is random, so one master key is good for 2^32 seals (SP 800-38D, 8.3): the store refuses row numbers beyond.
 * LOOM_IO: no random bytes; LOOM_NO_MEMORY. open: LOOM_CORRUPT for a wrong key, context or a flipped bit; `bytes` is
 * then wiped. */
loom_status loom_cipher_seal(const loom_cipher *cipher, const void *context, size_t context_bytes, const void *bytes,
                             size_t length, uint8_t *sealed);
loom_status loom_cipher_open(const loom_cipher *cipher, const void *context, size_t context_bytes,
                             const uint8_t *sealed, size_t sealed_bytes, uint8_t *bytes);

/* Blocks of one bulk object, under a subkey of its random salt; `number` is the block's. In and out may be the same.
 * decrypt: LOOM_CORRUPT when the tag does not hold; *out is then wiped. */
typedef struct loom_block_cipher loom_block_cipher;
loom_status loom_block_cipher_new(const loom_cipher *cipher, const uint8_t salt[LOOM_CIPHER_SALT_BYTES],
                                  loom_block_cipher **blocks, loom_error *err);
void loom_block_cipher_free(loom_block_cipher *blocks);
loom_status loom_block_encrypt(const loom_block_cipher *blocks, uint64_t number, const void *in, size_t length,
                               void *out, uint8_t tag[LOOM_CIPHER_TAG_BYTES]);
loom_status loom_block_decrypt(const loom_block_cipher *blocks, uint64_t number, const void *in, size_t length,
                               void *out, const uint8_t tag[LOOM_CIPHER_TAG_BYTES]);

#endif
