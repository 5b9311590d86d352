/* cipher_primitives.c - see cipher_primitives.h. HMAC uses libcrypto's low-level SHA-256, for the reasons in id.c: a
 * blinded look-up would else spend more on EVP than on hashing. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "shm/seal/cipher_primitives.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "shm/seal/secret.h"

/* ---- AES-256-GCM ---- */

#define GCM_CONTEXTS 8u

struct loom_gcm {
    EVP_CIPHER *cipher;
    _Atomic(EVP_CIPHER_CTX *) idle[2][GCM_CONTEXTS]; /* [encrypting]: keyed, waiting for a nonce */
    uint8_t *key;                                    /* secret memory */
};

loom_gcm *loom_gcm_new(const uint8_t key[LOOM_GCM_KEY_BYTES]) {
    loom_gcm *gcm = calloc(1, sizeof *gcm);
    if (gcm == NULL) return NULL;
    gcm->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    gcm->key = loom_secret_alloc(LOOM_GCM_KEY_BYTES);
    if (gcm->cipher == NULL || gcm->key == NULL) {
        loom_gcm_free(gcm);
        return NULL;
    }
    memcpy(gcm->key, key, LOOM_GCM_KEY_BYTES);
    return gcm;
}

void loom_gcm_free(loom_gcm *gcm) {
    if (gcm == NULL) return;
    for (unsigned way = 0; way < 2; way++)
        for (unsigned i = 0; i < GCM_CONTEXTS; i++)
            EVP_CIPHER_CTX_free(gcm->idle[way][i]); /* wipes its key schedule */
    EVP_CIPHER_free(gcm->cipher);
    loom_secret_free(gcm->key, LOOM_GCM_KEY_BYTES);
    free(gcm);
}

/* An idle context belongs to whoever swaps it out. Acquire: what its last user left in it is visible; release on the
 * way back for the same reason. */
static EVP_CIPHER_CTX *take_context(loom_gcm *gcm, bool encrypting) {
    for (unsigned i = 0; i < GCM_CONTEXTS; i++) {
        if (atomic_load_explicit(&gcm->idle[encrypting][i], memory_order_relaxed) == NULL) continue;
        EVP_CIPHER_CTX *context = atomic_exchange_explicit(&gcm->idle[encrypting][i], NULL, memory_order_acquire);
        if (context != NULL) return context;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context != NULL && EVP_CipherInit_ex2(context, gcm->cipher, gcm->key, NULL, encrypting, NULL) == 1)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static void give_context(loom_gcm *gcm, bool encrypting, EVP_CIPHER_CTX *context) {
    for (unsigned i = 0; i < GCM_CONTEXTS; i++) {
        EVP_CIPHER_CTX *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&gcm->idle[encrypting][i], &none, context, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    EVP_CIPHER_CTX_free(context);
}

static bool feed(EVP_CIPHER_CTX *gcm, const uint8_t *nonce, const void *context, size_t context_bytes, const void *in,
                 size_t length, void *out) {
    int done;
    if (context_bytes > INT_MAX || length > INT_MAX) return false;
    if (EVP_CipherInit_ex2(gcm, NULL, NULL, nonce, -1, NULL) != 1) return false;
    if (context_bytes > 0 && EVP_CipherUpdate(gcm, NULL, &done, context, (int)context_bytes) != 1) return false;
    return length == 0 || EVP_CipherUpdate(gcm, out, &done, in, (int)length) == 1;
}

bool loom_gcm_encrypt(loom_gcm *gcm, const uint8_t nonce[LOOM_GCM_NONCE_BYTES], const void *context,
                      size_t context_bytes, const void *in, size_t length, void *out, uint8_t tag[LOOM_GCM_TAG_BYTES]) {
    EVP_CIPHER_CTX *with = take_context(gcm, true);
    if (with == NULL) return false;
    int done;
    uint8_t rest[16];
    bool ok = feed(with, nonce, context, context_bytes, in, length, out) &&
              EVP_CipherFinal_ex(with, rest, &done) == 1 &&
              EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_GET_TAG, LOOM_GCM_TAG_BYTES, tag) == 1;
    give_context(gcm, true, with);
    return ok;
}

bool loom_gcm_decrypt(loom_gcm *gcm, const uint8_t nonce[LOOM_GCM_NONCE_BYTES], const void *context,
                      size_t context_bytes, const void *in, size_t length, void *out,
                      const uint8_t tag[LOOM_GCM_TAG_BYTES]) {
    EVP_CIPHER_CTX *with = take_context(gcm, false);
    bool ok = with != NULL;
    int done;
    uint8_t rest[16], expected[LOOM_GCM_TAG_BYTES];
    memcpy(expected, tag, sizeof expected);
    /* libcrypto compares the tag in constant time. */
    ok = ok && feed(with, nonce, context, context_bytes, in, length, out) &&
         EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_SET_TAG, LOOM_GCM_TAG_BYTES, expected) == 1 &&
         EVP_CipherFinal_ex(with, rest, &done) == 1;
    if (with != NULL) give_context(gcm, false, with);
    if (!ok && length > 0) OPENSSL_cleanse(out, length);
    return ok;
}

/* ---- HMAC-SHA-256 ---- */

_Static_assert(sizeof(SHA256_CTX) <= sizeof((loom_hmac_key){0}.inner), "a prepared key holds two SHA256_CTX");

static void start(const uint8_t key[SHA256_CBLOCK], uint8_t pad, uint64_t *prepared) {
    uint8_t block[SHA256_CBLOCK];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    SHA256_CTX context;
    if (!SHA256_Init(&context) || !SHA256_Update(&context, block, sizeof block)) abort(); /* cannot fail */
    memcpy(prepared, &context, sizeof context);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&context, sizeof context);
}

void loom_hmac_prepare(const void *key, size_t key_bytes, loom_hmac_key *prepared) {
    uint8_t block[SHA256_CBLOCK] = {0};
    if (key_bytes > sizeof block)
        SHA256(key, key_bytes, block);
    else if (key_bytes > 0)
        memcpy(block, key, key_bytes);
    start(block, 0x36, prepared->inner);
    start(block, 0x5c, prepared->outer);
    OPENSSL_cleanse(block, sizeof block);
}

void loom_hmac(const loom_hmac_key *key, const void *first, size_t first_bytes, const void *second, size_t second_bytes,
               uint8_t mac[32]) {
    SHA256_CTX context;
    uint8_t inner[32];
    memcpy(&context, key->inner, sizeof context);
    if (first_bytes > 0 && !SHA256_Update(&context, first, first_bytes)) abort();
    if (second_bytes > 0 && !SHA256_Update(&context, second, second_bytes)) abort();
    if (!SHA256_Final(inner, &context)) abort();
    memcpy(&context, key->outer, sizeof context);
    if (!SHA256_Update(&context, inner, sizeof inner) || !SHA256_Final(mac, &context)) abort();
}

/* ---- HKDF, scrypt ---- */

static bool derive(const char *name, OSSL_PARAM *params, uint8_t *out, size_t out_bytes) {
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = context != NULL && EVP_KDF_derive(context, out, out_bytes, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

static OSSL_PARAM octets(const char *name, const void *bytes, size_t length) {
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, length);
}

bool loom_hkdf(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const char *info,
               size_t info_bytes, uint8_t *out, size_t out_bytes) {
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                           octets(OSSL_KDF_PARAM_KEY, secret, secret_bytes),
                           octets(OSSL_KDF_PARAM_INFO, info, info_bytes),
                           salt_bytes > 0 ? octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes) : OSSL_PARAM_construct_end(),
                           OSSL_PARAM_construct_end()};
    return derive("HKDF", params, out, out_bytes);
}

bool loom_scrypt(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, unsigned cost_log2,
                 unsigned r, unsigned p, uint8_t *out, size_t out_bytes) {
    uint64_t n = UINT64_C(1) << cost_log2;
    uint64_t memory_max = 128 * n * r + UINT64_C(128) * r * p + (UINT64_C(1) << 20);
    uint32_t blocks = r, lanes = p;
    OSSL_PARAM params[] = {octets(OSSL_KDF_PARAM_PASSWORD, secret, secret_bytes),
                           octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes),
                           OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                           OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &blocks),
                           OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &lanes),
                           OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory_max),
                           OSSL_PARAM_construct_end()};
    return derive("SCRYPT", params, out, out_bytes);
}
