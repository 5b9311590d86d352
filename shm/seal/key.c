/* key.c - see key.h. What the user gave is hashed to 32 bytes at once, so that it need not be kept; with the salt in
 * FORMAT, scrypt makes of that the key that wraps the master key. */
#include "shm/seal/key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/id.h"
#include "shm/seal/cipher_primitives.h"

#define SECRET_BYTES_MIN 16u
#define SECRET_BYTES_MAX 4096u
#define SALT_BYTES 16u
/* 32 MiB and about 0.2 s: what OWASP's list of 2023 counts as strong as N = 2^17, r = 8, p = 1 with a quarter of the
 * memory, so that a store opens under RLIMIT_AS and in small containers. Changing them needs another number in FORMAT.
 */
#define SCRYPT_COST_LOG2 15u
#define SCRYPT_R 8u
#define SCRYPT_P 3u

/* ---- reading ---- */

typedef struct secret_text {
    uint8_t bytes[SECRET_BYTES_MAX + 2]; /* one more than allowed, and a newline */
    size_t length;
} secret_text;

/* To the end. A file is read from its beginning, so that a descriptor can be read twice. Returns an errno value. */
static int read_all(int fd, secret_text *text) {
    bool seekable = lseek(fd, 0, SEEK_CUR) >= 0;
    while (text->length < sizeof text->bytes) {
        uint8_t *at = text->bytes + text->length;
        size_t room = sizeof text->bytes - text->length;
        ssize_t got = seekable ? pread(fd, at, room, (off_t)text->length) : read(fd, at, room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return 0;
        text->length += (size_t)got;
    }
    return 0;
}

static loom_status read_file(const char *path, secret_text *text, loom_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat now;
    if (fd < 0 || fstat(fd, &now) != 0) {
        int failed = errno;
        if (fd >= 0) close(fd);
        return loom_fail(err, LOOM_BAD_CONFIG, "cannot read the key file %s: %s; check store.key", path,
                         strerror(failed));
    }
    loom_status status = LOOM_OK;
    if ((now.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        status = loom_fail(err, LOOM_BAD_CONFIG, "the key file %s is open to other users; chmod 600 %s", path, path);
    int failed = status == LOOM_OK ? read_all(fd, text) : 0;
    if (failed)
        status =
            loom_fail(err, LOOM_BAD_CONFIG, "cannot read the key file %s: %s; check store.key", path, strerror(failed));
    close(fd);
    return status;
}

static loom_status read_environment(const char *name, secret_text *text, loom_error *err) {
    const char *value = getenv(name);
    if (value == NULL)
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the environment variable %s, which store.key names, is not set; set it to the key", name);
    text->length = strnlen(value, sizeof text->bytes);
    memcpy(text->bytes, value, text->length);
    return LOOM_OK;
}

static loom_status read_descriptor(const char *digits, secret_text *text, loom_error *err) {
    char *end;
    errno = 0;
    long fd = strtol(digits, &end, 10);
    if (errno != 0 || digits[0] < '0' || digits[0] > '9' || *end != '\0' || fd > 1 << 20)
        return loom_fail(err, LOOM_BAD_CONFIG, "store.key = \"fd:%.40s\" names no file descriptor; give its number",
                         digits);
    int flags = fcntl((int)fd, F_GETFD);
    if (flags >= 0) (void)fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC); /* no program started later inherits it */
    int failed = flags < 0 ? errno : read_all((int)fd, text);
    if (failed == 0) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_CONFIG, "cannot read the key from descriptor %ld: %s; check store.key", fd,
                     strerror(failed));
}

static loom_status read_source(const char *source, secret_text *text, loom_error *err) {
    if (strncmp(source, "file:", 5) == 0 && source[5] != '\0') return read_file(source + 5, text, err);
    if (strncmp(source, "env:", 4) == 0 && source[4] != '\0') return read_environment(source + 4, text, err);
    if (strncmp(source, "fd:", 3) == 0) return read_descriptor(source + 3, text, err);
    /* Not repeated in the message: it may be the key itself. */
    return loom_fail(err, LOOM_BAD_CONFIG,
                     "store.key does not say where the key is; give file:PATH, env:NAME or fd:NUMBER");
}

static loom_status digest(const char *source, secret_text *text, loom_key *key, loom_error *err) {
    static const char use[] = "voxloom user key 1";
    if (text->length > 0 && text->bytes[text->length - 1] == '\n') text->length--;
    if (text->length < SECRET_BYTES_MIN || text->length > SECRET_BYTES_MAX)
        return loom_fail(err, LOOM_BAD_CONFIG, "the key from %s has %s bytes; give %u to %u, e.g. openssl rand -hex 32",
                         source, text->length < SECRET_BYTES_MIN ? "too few" : "too many", SECRET_BYTES_MIN,
                         SECRET_BYTES_MAX);
    loom_hmac_key prepared;
    loom_hmac_prepare(use, sizeof use - 1, &prepared);
    loom_hmac(&prepared, text->bytes, text->length, NULL, 0, key->bytes);
    return LOOM_OK;
}

loom_status loom_key_read(const char *source, loom_key *key, loom_error *err) {
    memset(key, 0, sizeof *key);
    secret_text text = {.length = 0};
    loom_status status = read_source(source, &text, err);
    if (status == LOOM_OK) status = digest(source, &text, key, err);
    OPENSSL_cleanse(&text, sizeof text);
    return status;
}

void loom_key_wipe(loom_key *key) {
    OPENSSL_cleanse(key, sizeof *key);
}

/* ---- wrapping ---- */

/* What a wrapped master key is bound to: its use and its store. */
typedef struct wrap_context {
    char use[16];
    uint8_t uuid[16];
} wrap_context;

static wrap_context context_of(const uint8_t uuid[16]) {
    wrap_context context = {.use = "voxloom master1"};
    memcpy(context.uuid, uuid, sizeof context.uuid);
    return context;
}

static loom_status stretch(const loom_key *key, const uint8_t salt[SALT_BYTES], loom_gcm **gcm, loom_error *err) {
    uint8_t stretched[LOOM_GCM_KEY_BYTES];
    bool ok = loom_scrypt(key->bytes, sizeof key->bytes, salt, SALT_BYTES, SCRYPT_COST_LOG2, SCRYPT_R, SCRYPT_P,
                          stretched, sizeof stretched);
    *gcm = ok ? loom_gcm_new(stretched) : NULL;
    OPENSSL_cleanse(stretched, sizeof stretched);
    return *gcm != NULL ? LOOM_OK
                        : loom_fail(err, LOOM_NO_MEMORY,
                                    "the key of an encrypted store needs 32 MiB of memory to be "
                                    "stretched (scrypt); allow the process more");
}

loom_status loom_key_wrap(const loom_key *key, const uint8_t uuid[16], const uint8_t master[32],
                          uint8_t wrapped[LOOM_WRAPPED_BYTES], loom_error *err) {
    if (RAND_bytes(wrapped, SALT_BYTES + LOOM_GCM_NONCE_BYTES) != 1)
        return loom_fail(err, LOOM_IO, "the system gave no random bytes for a key");
    loom_gcm *gcm;
    LOOM_TRY(stretch(key, wrapped, &gcm, err));
    wrap_context context = context_of(uuid);
    uint8_t *nonce = wrapped + SALT_BYTES, *text = nonce + LOOM_GCM_NONCE_BYTES;
    bool ok = loom_gcm_encrypt(gcm, nonce, &context, sizeof context, master, 32, text, text + 32);
    loom_gcm_free(gcm);
    return ok ? LOOM_OK : loom_fail(err, LOOM_NO_MEMORY, "out of memory while wrapping a key");
}

loom_status loom_key_unwrap(const loom_key *key, const uint8_t uuid[16], const uint8_t wrapped[LOOM_WRAPPED_BYTES],
                            uint8_t master[32], loom_error *err) {
    loom_gcm *gcm;
    LOOM_TRY(stretch(key, wrapped, &gcm, err));
    wrap_context context = context_of(uuid);
    const uint8_t *nonce = wrapped + SALT_BYTES, *text = nonce + LOOM_GCM_NONCE_BYTES;
    bool ok = loom_gcm_decrypt(gcm, nonce, &context, sizeof context, text, 32, master, text + 32);
    loom_gcm_free(gcm);
    return ok ? LOOM_OK
              : loom_fail(err, LOOM_DENIED,
                          "this is not the key of the store, or its FORMAT is damaged; check store.key");
}

_Static_assert(LOOM_WRAPPED_BYTES == SALT_BYTES + LOOM_GCM_NONCE_BYTES + 32 + LOOM_GCM_TAG_BYTES,
               "the wrapped key is a disk format: see shm/SCHEMA.md");
