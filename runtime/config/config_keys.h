/* config_keys.h - the one table of settings: what the parser accepts, the default file says and `config show` prints.
 */
#ifndef LOOM_RUNTIME_CONFIG_KEYS_H
#define LOOM_RUNTIME_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/config/config.h"

typedef enum loom_key_type {
    LOOM_KEY_BOOL,
    LOOM_KEY_COUNT,    /* an integer */
    LOOM_KEY_SIZE,     /* bytes: an integer, or text with a binary unit, "64MiB" */
    LOOM_KEY_DURATION, /* seconds: an integer, or text with a unit, "30d" */
    LOOM_KEY_PATH,     /* text; a leading ~/ is the home folder */
    LOOM_KEY_PATHS,    /* an array of such texts, or one text with them separated by ':', which is what is kept */
    LOOM_KEY_SECRET, /* where a secret comes from: "file:PATH", "env:NAME" or "fd:NUMBER"; "" = nowhere. What is set is
                        never shown when it is refused: it might be the secret itself */
    LOOM_KEY_CHOICE  /* text, one of `choices`, stored as its index in an int-sized enum */
} loom_key_type;

typedef struct loom_config_key {
    const char *name; /* "store.path": section, dot, key */
    loom_key_type type;
    size_t offset;              /* of the field in loom_config */
    uint64_t min, max;          /* COUNT, SIZE and DURATION; 0 is allowed below min when zero_means says what it does */
    uint64_t multiple;          /* SIZE: bytes that it must be a multiple of; 0 = any */
    const char *zero_means;     /* NULL when 0 is like any other number */
    const char *const *choices; /* CHOICE: NULL-terminated, in the order of the enum */
    const char *fallback;       /* default, as it is written in TOML */
    const char *doc;            /* one or more lines, for the default file */
} loom_config_key;

#define LOOM_CONFIG_KEYS_MAX 64u
extern const loom_config_key loom_config_keys[];
extern const size_t loom_config_key_count;

const loom_config_key *loom_config_key_find(const char *name);

/* The key or section whose name needs the fewest edits to become `name`, if few enough to be a misspelling; else NULL.
 */
const char *loom_config_nearest(const char *name);

/* VOXLOOM_STORE_PATH for store.path. */
#define LOOM_CONFIG_VARIABLE_BYTES 64
void loom_config_variable(const loom_config_key *key, char name[LOOM_CONFIG_VARIABLE_BYTES]);

/* What a key takes: "a size in bytes from 64 KiB to 4 MiB, such as 262144 or \"256KiB\"". */
void loom_config_describe(const loom_config_key *key, char *text, size_t capacity);

/* Sets one field from a value that a file, a variable or --set gave. Each returns LOOM_BAD_CONFIG with the key and what
 * is allowed. set_text reads any type from text, as variables and --set need it. */
loom_status loom_config_set_bool(loom_config *config, const loom_config_key *key, bool value, loom_error *err);
loom_status loom_config_set_integer(loom_config *config, const loom_config_key *key, int64_t value, loom_error *err);
loom_status loom_config_set_string(loom_config *config, const loom_config_key *key, const char *text, loom_error *err);
/* `texts`: each ended by a NUL, one after the other. */
loom_status loom_config_set_array(loom_config *config, const loom_config_key *key, const char *texts, size_t count,
                                  loom_error *err);
loom_status loom_config_set_text(loom_config *config, const loom_config_key *key, const char *text, loom_error *err);

/* The field as TOML text: 4, true, "64MiB", "/home/me/store". */
loom_status loom_config_get_text(const loom_config *config, const loom_config_key *key, char *text, size_t capacity);
#define LOOM_CONFIG_TEXT_BYTES (LOOM_PATH_BYTES * 6 + 8) /* every byte of a path as \u00XX, quotes, brackets, NUL */
/* A text as a TOML basic string: quotes, backslashes and control characters are escaped. */
void loom_config_quote(const char *source, char *text, size_t capacity);

/* Reads "64MiB", "1.5 GiB" is refused: whole numbers of B, KiB, MiB, GiB, TiB (K, M, G, T for short). False if
 * malformed or above 2^63 - 1. */
bool loom_size_parse(const char *text, uint64_t *bytes);
/* Reads "30d": whole numbers of weeks (w), days (d), hours (h), minutes (m or min) or seconds (s or nothing). False if
 * malformed or above a thousand years. */
bool loom_duration_parse(const char *text, uint64_t *seconds);
/* The largest unit that divides it: "30d", "90s"; "0". */
#define LOOM_DURATION_TEXT_BYTES 24
void loom_duration_text(uint64_t seconds, char text[LOOM_DURATION_TEXT_BYTES]);
/* The largest unit that divides it: "64MiB", "1000". */
#define LOOM_SIZE_TEXT_BYTES 24
void loom_size_text(uint64_t bytes, char text[LOOM_SIZE_TEXT_BYTES]);

#endif
