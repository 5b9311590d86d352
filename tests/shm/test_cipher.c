/* test_cipher.c - the cryptography against published vectors, and everything sealed against tampering: whatever bit is
 * flipped, it must not open. Vectors: NIST's gcmEncryptExtIV256.rsp and the GCM specification (McGrew and Viega), RFC
 * 4231, RFC 5869, RFC 7914. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/seal/cipher.h"
#include "shm/seal/cipher_primitives.h"

/* Hex to bytes; returns the count. */
static size_t unhex(const char *hex, uint8_t *bytes) {
    size_t count = 0;
    for (; hex[0] != '\0'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};
        bytes[count++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return count;
}

static void require_hex(const uint8_t *bytes, const char *hex) {
    uint8_t expected[256];
    size_t count = unhex(hex, expected);
    assert_memory_equal(bytes, expected, count);
}

/* ---- AES-256-GCM ---- */

typedef struct gcm_vector {
    const char *key, *nonce, *text, *context, *sealed, *tag;
} gcm_vector;

static const gcm_vector gcm_vectors[] = {
    /* The specification, test cases 13 to 16. */
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b391aafd255",
     "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    /* NIST, gcmEncryptExtIV256.rsp, the first of [PTlen = 0, AADlen = 0] and of [PTlen = 128, AADlen = 0]. */
    {"b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4", "516c33929df5a3284ff463d7", "", "", "",
     "bdc1ac884d332457a1d2664f168c76f0"},
    {"31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce",
     "2db5168e932556f8089a0622981d017d", "", "fa4362189661d163fcd6a56d8bf0405a", "d636ac1bbedd5cc3ee727dc2ab4a9489"},
};

static void test_gcm_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof gcm_vectors / sizeof *gcm_vectors; i++) {
        const gcm_vector *vector = &gcm_vectors[i];
        uint8_t key[32], nonce[12], text[64], context[32], out[64], back[64], tag[16];
        assert_int_equal(unhex(vector->key, key), 32);
        assert_int_equal(unhex(vector->nonce, nonce), 12);
        size_t length = unhex(vector->text, text), context_bytes = unhex(vector->context, context);
        loom_gcm *gcm = loom_gcm_new(key);
        assert_non_null(gcm);
        for (int again = 0; again < 3; again++) { /* contexts are reused */
            assert_true(loom_gcm_encrypt(gcm, nonce, context, context_bytes, text, length, out, tag));
            require_hex(out, vector->sealed);
            require_hex(tag, vector->tag);
            assert_true(loom_gcm_decrypt(gcm, nonce, context, context_bytes, out, length, back, tag));
            assert_memory_equal(back, text, length);
            memcpy(back, text, length); /* in place */
            assert_true(loom_gcm_encrypt(gcm, nonce, context, context_bytes, back, length, back, tag));
            assert_memory_equal(back, out, length);
            assert_true(loom_gcm_decrypt(gcm, nonce, context, context_bytes, back, length, back, tag));
            assert_memory_equal(back, text, length);
        }
        loom_gcm_free(gcm);
    }
}

/* ---- HMAC, RFC 4231 ---- */

static void require_hmac(const char *key_hex, const void *text, size_t length, const char *expected) {
    uint8_t key[160], mac[32];
    size_t key_bytes = unhex(key_hex, key);
    loom_hmac_key prepared;
    loom_hmac_prepare(key, key_bytes, &prepared);
    for (size_t cut = 0; cut <= length; cut++) {
        loom_hmac(&prepared, text, cut, (const uint8_t *)text + cut, length - cut, mac);
        require_hex(mac, expected);
    }
}

static void test_hmac_vectors(void **state) {
    (void)state;
    uint8_t bytes[50];
    require_hmac("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", 8,
                 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    require_hmac("4a656665", "what do ya want for nothing?", 28,
                 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(bytes, 0xdd, sizeof bytes);
    require_hmac("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", bytes, 50,
                 "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    memset(bytes, 0xcd, sizeof bytes);
    require_hmac("0102030405060708090a0b0c0d0e0f10111213141516171819", bytes, 50,
                 "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    char key[263] = "";
    for (int i = 0; i < 131; i++)
        memcpy(key + 2 * i, "aa", 3);
    static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    static const char long_both[] = "This is a test using a larger than block-size key and a larger than block-size "
                                    "data. The key needs to be hashed before being used by the HMAC algorithm.";
    require_hmac(key, long_key, sizeof long_key - 1,
                 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    require_hmac(key, long_both, sizeof long_both - 1,
                 "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* ---- HKDF, RFC 5869, test cases 1 to 3 ---- */

static void test_hkdf_vectors(void **state) {
    (void)state;
    uint8_t secret[80], salt[80], info[80], out[82];
    memset(secret, 0x0b, 22);
    unhex("000102030405060708090a0b0c", salt);
    unhex("f0f1f2f3f4f5f6f7f8f9", info);
    assert_true(loom_hkdf(secret, 22, salt, 13, (const char *)info, 10, out, 42));
    require_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    for (int i = 0; i < 80; i++) {
        secret[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    assert_true(loom_hkdf(secret, 80, salt, 80, (const char *)info, 80, out, 82));
    require_hex(out, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
                     "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    memset(secret, 0x0b, 22);
    assert_true(loom_hkdf(secret, 22, NULL, 0, "", 0, out, 42));
    require_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* ---- scrypt, RFC 7914, section 12 ---- */

static void test_scrypt_vectors(void **state) {
    (void)state;
    uint8_t out[64];
    assert_true(loom_scrypt("", 0, "", 0, 4, 1, 1, out, sizeof out));
    require_hex(out, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17"
                     "e8d3e0fb2e0d3628cf35e20c38d18906");
    assert_true(loom_scrypt("password", 8, "NaCl", 4, 10, 8, 16, out, sizeof out));
    require_hex(out, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830da"
                     "c727afb94a83ee6d8360cbdfa2cc0640");
    assert_true(loom_scrypt("pleaseletmein", 13, "SodiumChloride", 14, 14, 8, 1, out, sizeof out));
    require_hex(out, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9"
                     "e61e85dc0d651e40dfcf017b45575887");
}

/* ---- sealing ---- */

static loom_cipher *cipher_of(uint8_t seed) {
    uint8_t master[32];
    for (int i = 0; i < 32; i++)
        master[i] = (uint8_t)(seed + i);
    loom_cipher *cipher;
    assert_int_equal(loom_cipher_new(master, &cipher, NULL), LOOM_OK);
    assert_memory_equal(loom_cipher_master(cipher), master, 32);
    return cipher;
}

static void test_every_flip_of_a_sealed_text_is_refused(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1), *other = cipher_of(2);
    uint8_t text[96], sealed[sizeof text + LOOM_SEAL_OVERHEAD], again[sizeof sealed], back[sizeof text];
    uint8_t zeros[sizeof text] = {0};
    memset(text, 0x5a, sizeof text);
    assert_int_equal(loom_cipher_seal(cipher, "row 7", 5, text, sizeof text, sealed), LOOM_OK);
    assert_int_equal(loom_cipher_seal(cipher, "row 7", 5, text, sizeof text, again), LOOM_OK);
    assert_memory_not_equal(sealed, again, 12); /* nonces differ */
    assert_int_equal(loom_cipher_open(cipher, "row 7", 5, sealed, sizeof sealed, back), LOOM_OK);
    assert_memory_equal(back, text, sizeof text);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(loom_cipher_open(cipher, "row 7", 5, sealed, sizeof sealed, back), LOOM_CORRUPT);
        assert_memory_equal(back, zeros, sizeof back);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < sizeof sealed; length++)
        assert_int_equal(loom_cipher_open(cipher, "row 7", 5, sealed, length, back), LOOM_CORRUPT);
    assert_int_equal(loom_cipher_open(cipher, "row 8", 5, sealed, sizeof sealed, back), LOOM_CORRUPT);
    assert_int_equal(loom_cipher_open(cipher, "row 7", 4, sealed, sizeof sealed, back), LOOM_CORRUPT);
    assert_int_equal(loom_cipher_open(other, "row 7", 5, sealed, sizeof sealed, back), LOOM_CORRUPT);
    assert_int_equal(loom_cipher_open(cipher, "row 7", 5, sealed, sizeof sealed, back), LOOM_OK);
    /* Nothing can be sealed too. */
    assert_int_equal(loom_cipher_seal(cipher, "", 0, NULL, 0, sealed), LOOM_OK);
    assert_int_equal(loom_cipher_open(cipher, "", 0, sealed, LOOM_SEAL_OVERHEAD, back), LOOM_OK);
    loom_cipher_free(cipher);
    loom_cipher_free(other);
}

/* Not even processes that were forked in the middle use one nonce twice; more are drawn than are fetched at a time. */
static void test_nonces_are_used_once(void **state) {
    (void)state;
    enum { SEALS = 200 };
    loom_cipher *cipher = cipher_of(1);
    uint8_t sealed[LOOM_SEAL_OVERHEAD];
    uint8_t(*seen)[12] = mmap(NULL, (2 * SEALS + 1) * 12, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    assert_int_equal(loom_cipher_seal(cipher, "", 0, NULL, 0, sealed), LOOM_OK);
    memcpy(seen[2 * SEALS], sealed, 12);
    pid_t child = fork();
    assert_true(child >= 0);
    for (int i = 0; i < SEALS; i++) {
        if (loom_cipher_seal(cipher, "", 0, NULL, 0, sealed) != LOOM_OK) _exit(1);
        memcpy(seen[child == 0 ? i : SEALS + i], sealed, 12);
    }
    if (child == 0) _exit(0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i <= 2 * SEALS; i++)
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], 12);
    munmap(seen, (2 * SEALS + 1) * 12);
    loom_cipher_free(cipher);
}

static void test_blinding(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1), *other = cipher_of(2);
    loom_id a = loom_sha256("a", 1), b = loom_sha256("b", 1);
    loom_id blind_a = loom_cipher_blind(cipher, &a), again = loom_cipher_blind(cipher, &a);
    loom_id blind_b = loom_cipher_blind(cipher, &b), elsewhere = loom_cipher_blind(other, &a);
    assert_true(loom_id_equal(&blind_a, &again));
    assert_false(loom_id_equal(&blind_a, &a));
    assert_false(loom_id_equal(&blind_a, &blind_b));
    assert_false(loom_id_equal(&blind_a, &elsewhere));
    loom_id file = loom_cipher_blind_bytes(cipher, "files", a.bytes, sizeof a);
    assert_false(loom_id_equal(&blind_a, &file));
    loom_cipher_free(cipher);
    loom_cipher_free(other);
}

/* ---- blocks ---- */

static loom_block_cipher *blocks_of(const loom_cipher *cipher, uint8_t salt_byte) {
    uint8_t salt[LOOM_CIPHER_SALT_BYTES];
    memset(salt, salt_byte, sizeof salt);
    loom_block_cipher *blocks;
    assert_int_equal(loom_block_cipher_new(cipher, salt, &blocks, NULL), LOOM_OK);
    return blocks;
}

static void test_every_flip_of_a_block_is_refused(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1), *other = cipher_of(2);
    loom_block_cipher *blocks = blocks_of(cipher, 7), *salted = blocks_of(cipher, 8), *foreign = blocks_of(other, 7);
    uint8_t text[256], block[sizeof text], back[sizeof text], tag[16];
    memset(text, 0, sizeof text);
    assert_int_equal(loom_block_encrypt(blocks, 3, text, sizeof text, block, tag), LOOM_OK);
    for (size_t bit = 0; bit < 8 * sizeof block; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(loom_block_decrypt(blocks, 3, block, sizeof block, back, tag), LOOM_CORRUPT);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof tag; bit++) {
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(loom_block_decrypt(blocks, 3, block, sizeof block, back, tag), LOOM_CORRUPT);
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(loom_block_decrypt(blocks, 4, block, sizeof block, back, tag), LOOM_CORRUPT);
    assert_int_equal(loom_block_decrypt(blocks, 3 + (UINT64_C(1) << 56), block, sizeof block, back, tag), LOOM_CORRUPT);
    assert_int_equal(loom_block_decrypt(blocks, 3, block, sizeof block - 1, back, tag), LOOM_CORRUPT);
    assert_int_equal(loom_block_decrypt(salted, 3, block, sizeof block, back, tag), LOOM_CORRUPT);
    assert_int_equal(loom_block_decrypt(foreign, 3, block, sizeof block, back, tag), LOOM_CORRUPT);
    assert_int_equal(loom_block_decrypt(blocks, 3, block, sizeof block, block, tag), LOOM_OK); /* in place */
    assert_memory_equal(block, text, sizeof text);
    loom_block_cipher_free(blocks);
    loom_block_cipher_free(salted);
    loom_block_cipher_free(foreign);
    loom_cipher_free(cipher);
    loom_cipher_free(other);
}

/* ---- threads: more of them than contexts are kept ---- */

#define THREADS 12
#define ROUNDS 200

typedef struct shared {
    const loom_cipher *cipher;
    const loom_block_cipher *blocks;
    bool failed[THREADS];
} shared;

typedef struct job {
    shared *with;
    unsigned number;
} job;

static void *work(void *argument) {
    const job *mine = argument;
    uint8_t text[512], sealed[sizeof text + LOOM_SEAL_OVERHEAD], back[sizeof text], tag[16];
    bool ok = true;
    for (unsigned round = 0; round < ROUNDS && ok; round++) {
        memset(text, (int)(mine->number * 31 + round), sizeof text);
        ok = loom_cipher_seal(mine->with->cipher, &round, sizeof round, text, sizeof text, sealed) == LOOM_OK &&
             loom_cipher_open(mine->with->cipher, &round, sizeof round, sealed, sizeof sealed, back) == LOOM_OK &&
             memcmp(text, back, sizeof text) == 0 &&
             loom_block_encrypt(mine->with->blocks, round, text, sizeof text, back, tag) == LOOM_OK &&
             loom_block_decrypt(mine->with->blocks, round, back, sizeof back, back, tag) == LOOM_OK &&
             memcmp(text, back, sizeof text) == 0;
    }
    mine->with->failed[mine->number] = !ok;
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1);
    loom_block_cipher *blocks = blocks_of(cipher, 7);
    shared with = {.cipher = cipher, .blocks = blocks};
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (job){&with, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(with.failed[i]);
    }
    loom_block_cipher_free(blocks);
    loom_cipher_free(cipher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm_vectors),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hkdf_vectors),
        cmocka_unit_test(test_scrypt_vectors),
        cmocka_unit_test(test_every_flip_of_a_sealed_text_is_refused),
        cmocka_unit_test(test_nonces_are_used_once),
        cmocka_unit_test(test_blinding),
        cmocka_unit_test(test_every_flip_of_a_block_is_refused),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
