/* quick_scrypt.c - stands before loom_scrypt (linked with --wrap) and stretches the user's key with the least cost, not
 * with a quarter of a second at each opening of an encrypted store: for tests that open many. What they write nobody
 * else can open. The real cost stays in test_key.c, in test_cipher.c, and in whole runs. */
#include "shm/seal/cipher_primitives.h"

bool __real_loom_scrypt(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes,
                        unsigned cost_log2, unsigned r, unsigned p, uint8_t *out, size_t out_bytes);
bool __wrap_loom_scrypt(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes,
                        unsigned cost_log2, unsigned r, unsigned p, uint8_t *out, size_t out_bytes);

bool __wrap_loom_scrypt(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes,
                        unsigned cost_log2, unsigned r, unsigned p, uint8_t *out, size_t out_bytes) {
    (void)cost_log2, (void)r, (void)p;
    return __real_loom_scrypt(secret, secret_bytes, salt, salt_bytes, 1, 1, 1, out, out_bytes);
}
