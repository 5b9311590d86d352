/* cipher.c - see cipher.h. Three keys come from the master key by HKDF, one a use: sealing, blinding, bulk objects; so
 * that no use can be played against another. */
#include "shm/seal/cipher.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/seal/cipher_primitives.h"
#include "shm/seal/secret.h"

/* In secret memory. */
typedef struct cipher_keys {
    uint8_t master[32];
    loom_hmac_key blind;
    uint8_t bulk[32];
} cipher_keys;

struct loom_cipher {
    cipher_keys *keys;
    loom_gcm *seal;
};

static bool derive(const uint8_t master[32], const char *use, uint8_t key[32]) {
    return loom_hkdf(master, 32, NULL, 0, use, strlen(use), key, 32);
}

static bool fill(loom_cipher *cipher, const uint8_t master[32]) {
    uint8_t key[32];
    cipher->keys = loom_secret_alloc(sizeof *cipher->keys);
    if (cipher->keys == NULL) return false;
    memcpy(cipher->keys->master, master, 32);
    bool ok = derive(master, "voxloom bulk 1", cipher->keys->bulk) && derive(master, "voxloom blind 1", key);
    if (ok) loom_hmac_prepare(key, sizeof key, &cipher->keys->blind);
    ok = ok && derive(master, "voxloom seal 1", key) && (cipher->seal = loom_gcm_new(key)) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

loom_status loom_cipher_new(const uint8_t master[32], loom_cipher **cipher, loom_error *err) {
    *cipher = calloc(1, sizeof **cipher);
    if (*cipher != NULL && fill(*cipher, master)) return LOOM_OK;
    loom_cipher_free(*cipher);
    *cipher = NULL;
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while preparing the keys of an encrypted store");
}

void loom_cipher_free(loom_cipher *cipher) {
    if (cipher == NULL) return;
    loom_gcm_free(cipher->seal);
    loom_secret_free(cipher->keys, sizeof *cipher->keys);
    free(cipher);
}

const uint8_t *loom_cipher_master(const loom_cipher *cipher) {
    return cipher->keys->master;
}

/* ---- blinding ---- */

loom_id loom_cipher_blind_bytes(const loom_cipher *cipher, const char *domain, const void *bytes, size_t length) {
    loom_id blinded;
    loom_hmac(&cipher->keys->blind, domain, strlen(domain) + 1, bytes, length, blinded.bytes);
    return blinded;
}

loom_id loom_cipher_blind(const loom_cipher *cipher, const loom_id *id) {
    return loom_cipher_blind_bytes(cipher, "id", id->bytes, sizeof id->bytes);
}

/* ---- sealing ---- */

#define NONCES 64u

/* Random nonces, fetched many at a time because a call of the generator costs more than sealing a small row. They are
 * public, so they need no hiding; but two processes must never use the same ones: a forked child starts anew. */
static _Thread_local struct {
    uint8_t bytes[NONCES][LOOM_GCM_NONCE_BYTES];
    unsigned left, generation;
    pid_t process;
} nonces;

static bool next_nonce(uint8_t nonce[LOOM_GCM_NONCE_BYTES]) {
    if (nonces.left == 0 || nonces.process != getpid() || nonces.generation != loom_fork_generation()) {
        nonces.left = 0;
        if (RAND_bytes(nonces.bytes[0], sizeof nonces.bytes) != 1) return false;
        nonces.left = NONCES;
        nonces.process = getpid();
        nonces.generation = loom_fork_generation();
    }
    memcpy(nonce, nonces.bytes[--nonces.left], LOOM_GCM_NONCE_BYTES);
    return true;
}

loom_status loom_cipher_seal(const loom_cipher *cipher, const void *context, size_t context_bytes, const void *bytes,
                             size_t length, uint8_t *sealed) {
    if (!next_nonce(sealed)) return LOOM_IO;
    uint8_t *text = sealed + LOOM_GCM_NONCE_BYTES;
    return loom_gcm_encrypt(cipher->seal, sealed, context, context_bytes, bytes, length, text, text + length)
               ? LOOM_OK
               : LOOM_NO_MEMORY;
}

loom_status loom_cipher_open(const loom_cipher *cipher, const void *context, size_t context_bytes,
                             const uint8_t *sealed, size_t sealed_bytes, uint8_t *bytes) {
    if (sealed_bytes < LOOM_SEAL_OVERHEAD) return LOOM_CORRUPT;
    size_t length = sealed_bytes - LOOM_SEAL_OVERHEAD;
    const uint8_t *text = sealed + LOOM_GCM_NONCE_BYTES;
    return loom_gcm_decrypt(cipher->seal, sealed, context, context_bytes, text, length, bytes, text + length)
               ? LOOM_OK
               : LOOM_CORRUPT;
}

/* ---- bulk objects ---- */

struct loom_block_cipher {
    loom_gcm *gcm;
};

loom_status loom_block_cipher_new(const loom_cipher *cipher, const uint8_t salt[LOOM_CIPHER_SALT_BYTES],
                                  loom_block_cipher **blocks, loom_error *err) {
    static const char use[] = "voxloom object 1";
    uint8_t key[32];
    loom_block_cipher *made = calloc(1, sizeof *made);
    bool ok = made != NULL && loom_hkdf(cipher->keys->bulk, sizeof cipher->keys->bulk, salt, LOOM_CIPHER_SALT_BYTES,
                                        use, sizeof use - 1, key, sizeof key);
    ok = ok && (made->gcm = loom_gcm_new(key)) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    *blocks = ok ? made : NULL;
    if (ok) return LOOM_OK;
    free(made);
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while preparing the key of a stored object");
}

void loom_block_cipher_free(loom_block_cipher *blocks) {
    if (blocks == NULL) return;
    loom_gcm_free(blocks->gcm);
    free(blocks);
}

/* A key is of one object and writes each block once: the block's number can be its nonce. */
static void block_nonce(uint64_t number, uint8_t nonce[LOOM_GCM_NONCE_BYTES]) {
    memset(nonce, 0, LOOM_GCM_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++)
        nonce[i] = (uint8_t)(number >> 8 * i);
}

loom_status loom_block_encrypt(const loom_block_cipher *blocks, uint64_t number, const void *in, size_t length,
                               void *out, uint8_t tag[LOOM_CIPHER_TAG_BYTES]) {
    uint8_t nonce[LOOM_GCM_NONCE_BYTES];
    block_nonce(number, nonce);
    return loom_gcm_encrypt(blocks->gcm, nonce, NULL, 0, in, length, out, tag) ? LOOM_OK : LOOM_NO_MEMORY;
}

loom_status loom_block_decrypt(const loom_block_cipher *blocks, uint64_t number, const void *in, size_t length,
                               void *out, const uint8_t tag[LOOM_CIPHER_TAG_BYTES]) {
    uint8_t nonce[LOOM_GCM_NONCE_BYTES];
    block_nonce(number, nonce);
    return loom_gcm_decrypt(blocks->gcm, nonce, NULL, 0, in, length, out, tag) ? LOOM_OK : LOOM_CORRUPT;
}
