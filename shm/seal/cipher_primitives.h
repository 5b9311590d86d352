/* cipher_primitives.h - what cipher.c and key.c take from libcrypto, under names of ours and with published test
 * vectors (tests/shm/test_cipher.c): AES-256-GCM (NIST SP 800-38D), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869),
 * scrypt (RFC 7914). */
#ifndef LOOM_SHM_STORE_CIPHER_PRIMITIVES_H
#define LOOM_SHM_STORE_CIPHER_PRIMITIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOM_GCM_KEY_BYTES 32u
#define LOOM_GCM_NONCE_BYTES 12u
#define LOOM_GCM_TAG_BYTES 16u

/* AES-256-GCM under one key. Thread-safe: prepared contexts are kept for reuse, since expanding the key costs more
 * than sealing a small row. */
typedef struct loom_gcm loom_gcm;
loom_gcm *loom_gcm_new(const uint8_t key[LOOM_GCM_KEY_BYTES]); /* NULL: no memory */
void loom_gcm_free(loom_gcm *gcm);                             /* NULL is accepted */
/* `in` and `out` are equal or do not overlap; at most INT_MAX bytes each. False: libcrypto failed (no memory). */
bool loom_gcm_encrypt(loom_gcm *gcm, const uint8_t nonce[LOOM_GCM_NONCE_BYTES], const void *context,
                      size_t context_bytes, const void *in, size_t length, void *out, uint8_t tag[LOOM_GCM_TAG_BYTES]);
/* False, and `out` wiped: the tag does not hold. */
bool loom_gcm_decrypt(loom_gcm *gcm, const uint8_t nonce[LOOM_GCM_NONCE_BYTES], const void *context,
                      size_t context_bytes, const void *in, size_t length, void *out,
                      const uint8_t tag[LOOM_GCM_TAG_BYTES]);

/* HMAC-SHA-256 with the key's two blocks hashed once. Plain data: keep it in secret memory. */
typedef struct loom_hmac_key {
    uint64_t inner[14], outer[14]; /* SHA256_CTX of the key xor ipad, opad */
} loom_hmac_key;
void loom_hmac_prepare(const void *key, size_t key_bytes, loom_hmac_key *prepared);
/* Over two pieces, one after the other; either may be empty. */
void loom_hmac(const loom_hmac_key *key, const void *first, size_t first_bytes, const void *second, size_t second_bytes,
               uint8_t mac[32]);

/* False: no memory. */
bool loom_hkdf(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const char *info,
               size_t info_bytes, uint8_t *out, size_t out_bytes);
/* N = 2^cost_log2; needs 128 N r bytes. False: no memory. */
bool loom_scrypt(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, unsigned cost_log2,
                 unsigned r, unsigned p, uint8_t *out, size_t out_bytes);

#endif
