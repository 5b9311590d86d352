/* id.c - 32-byte identities as text, and SHA-256 by OpenSSL's libcrypto.
 *
 * A run hashes about a million short texts. libcrypto's low-level calls need 52 ns for 9 bytes and 89 ns for 106, EVP
 * with a pre-fetched digest and a reused context 93 and 111, the one-shot SHA256() 313 and 353 (OpenSSL 3.0, SHA-NI).
 * They also allocate nothing and so cannot fail. OpenSSL 3 marks them deprecated, not removed; OPENSSL_API_COMPAT
 * declares that we use the 1.1.0 interface on purpose. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "shm/id.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SHA256_DIGEST_LENGTH == sizeof(loom_id), "an id is one SHA-256 digest");

bool loom_id_equal(const loom_id *a, const loom_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool loom_id_is_zero(const loom_id *id) {
    static const loom_id zero;
    return loom_id_equal(id, &zero);
}

int loom_id_compare(const loom_id *a, const loom_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* Plans write four ids a node: eight digits at a time, in the lanes of a word, take a fifth of the time of one by one.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first digit is the lowest byte");

static uint64_t hex_of(uint32_t bytes) {
    uint64_t digits = bytes;
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits >> 4 & UINT64_C(0x000f000f000f000f)) | (digits & UINT64_C(0x000f000f000f000f)) << 8;
    uint64_t letters = (digits + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    return digits + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
}

void loom_id_hex(const loom_id *id, char hex[LOOM_ID_HEX_BYTES]) {
    for (size_t i = 0; i < sizeof id->bytes; i += 4) {
        uint32_t bytes;
        memcpy(&bytes, id->bytes + i, sizeof bytes);
        const uint64_t digits = hex_of(bytes);
        memcpy(hex + 2 * i, &digits, sizeof digits);
    }
    hex[2 * sizeof id->bytes] = '\0';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool loom_id_from_hex(const char *hex, size_t length, loom_id *id) {
    loom_id read;
    if (length != 2 * sizeof read.bytes) return false;
    for (size_t i = 0; i < sizeof read.bytes; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        read.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = read;
    return true;
}

struct loom_hasher {
    SHA256_CTX context;
};

static void begin(SHA256_CTX *context) {
    if (!SHA256_Init(context)) abort(); /* cannot happen: it only sets constants */
}

static void add(SHA256_CTX *context, const void *bytes, size_t length) {
    if (length > 0 && !SHA256_Update(context, bytes, length)) abort();
}

static loom_id end(SHA256_CTX *context) {
    loom_id id;
    if (!SHA256_Final(id.bytes, context)) abort();
    return id;
}

loom_id loom_sha256(const void *bytes, size_t length) {
    SHA256_CTX context;
    begin(&context);
    add(&context, bytes, length);
    return end(&context);
}

loom_hasher *loom_hasher_new(void) {
    loom_hasher *hasher = malloc(sizeof *hasher);
    if (hasher) begin(&hasher->context);
    return hasher;
}

void loom_hasher_free(loom_hasher *hasher) {
    free(hasher);
}

void loom_hasher_begin(loom_hasher *hasher) {
    begin(&hasher->context);
}

void loom_hasher_add(loom_hasher *hasher, const void *bytes, size_t length) {
    add(&hasher->context, bytes, length);
}

loom_id loom_hasher_end(loom_hasher *hasher) {
    return end(&hasher->context);
}
