/* toml_shim.h - a TOML 1.0 file as a flat list of keys, by toml++ (https://marzer.github.io/tomlplusplus).
 *
 * The only C++ of the configuration stands behind this header; no exception leaves it. */
#ifndef LOOM_RUNTIME_TOML_SHIM_H
#define LOOM_RUNTIME_TOML_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum loom_toml_kind {
    LOOM_TOML_TABLE, /* a section header or inline table; its keys follow as entries of their own */
    LOOM_TOML_BOOL,
    LOOM_TOML_INT,
    LOOM_TOML_TEXT,
    LOOM_TOML_TEXTS, /* an array of nothing but texts without NUL; may be empty */
    LOOM_TOML_OTHER  /* float, date, time, other array */
} loom_toml_kind;

typedef struct loom_toml_place {
    uint32_t line, column; /* 1-based; column in characters */
} loom_toml_place;

typedef struct loom_toml_entry {
    const char *key; /* with the sections: "store.path" */
    loom_toml_kind kind;
    const char *kind_name; /* as TOML calls it: "floating-point" */
    bool boolean;
    int64_t integer;
    const char *text; /* NUL-terminated; of an array each, one after the other */
    size_t text_length;
    size_t text_count; /* of an array */
    loom_toml_place key_place;
    loom_toml_place value_place;
} loom_toml_entry;

typedef loom_status (*loom_toml_visit)(const loom_toml_entry *entry, void *context, loom_error *err);

/* Parses `text` and visits every table and key in the order of the file; an entry is valid during its visit. Stops at
 * the first visit that fails and returns its status. Malformed TOML is LOOM_BAD_CONFIG with toml++'s message, line and
 * column. Thread-safe. */
loom_status loom_toml_read(const char *text, size_t length, const char *file, loom_toml_visit visit, void *context,
                           loom_error *err);

#ifdef __cplusplus
}
#endif
#endif
