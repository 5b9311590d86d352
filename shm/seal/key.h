/* key.h - the user's key of an encrypted store: where it comes from, and how it wraps the store's master key. */
#ifndef LOOM_SHM_STORE_KEY_H
#define LOOM_SHM_STORE_KEY_H

#include <stdint.h>

#include "shm/status.h"

/* Derived from what the user gave; wipe with loom_key_wipe. */
struct loom_key {
    uint8_t bytes[32];
};
typedef struct loom_key loom_key;

/* Reads a key from "file:PATH", "env:NAME" or "fd:NUMBER". The secret is 16 to 4096 bytes, a final newline not counted;
 * `openssl rand -hex 32` makes a good one. Text that a person chose is stretched (scrypt, RFC 7914) by loom_key_unwrap,
 * with the store's salt. LOOM_BAD_CONFIG names the source and the remedy; a key file that others may read is refused.
 */
loom_status loom_key_read(const char *source, loom_key *key, loom_error *err);
void loom_key_wipe(loom_key *key);

/* The line of FORMAT: salt, nonce, wrapped master key and tag, in hex. */
#define LOOM_WRAPPED_BYTES 76u
loom_status loom_key_wrap(const loom_key *key, const uint8_t uuid[16], const uint8_t master[32],
                          uint8_t wrapped[LOOM_WRAPPED_BYTES], loom_error *err);
/* LOOM_DENIED: not the key of this store. */
loom_status loom_key_unwrap(const loom_key *key, const uint8_t uuid[16], const uint8_t wrapped[LOOM_WRAPPED_BYTES],
                            uint8_t master[32], loom_error *err);

#endif
