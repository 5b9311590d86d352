/* json_read.h - a strict JSON reader that keeps positions and the spelling of numbers.
 *
 * Plans need three things together that neither json-c nor RapidJSON gives: numbers by their text (5 and 5.0 have
 * different ids, and integers may be of any size), Python's NaN and Infinity, and a position for every value, so that a
 * wrong plan is refused by line and column. What is read is RFC 8259 plus those three words; repeated keys and lone
 * surrogates are refused. Nothing recurses. */
#ifndef LOOM_PLANNER_JSON_READ_H
#define LOOM_PLANNER_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/ast.h"
#include "shm/arena.h"
#include "shm/status.h"
#include "shm/value.h"

typedef enum loom_json_kind {
    LOOM_JSON_NULL,
    LOOM_JSON_BOOL,
    LOOM_JSON_NUMBER,
    LOOM_JSON_STRING,
    LOOM_JSON_ARRAY,
    LOOM_JSON_OBJECT
} loom_json_kind;

typedef struct loom_json loom_json;

/* Part of an array or object; `key` is for objects. */
struct loom_json {
    loom_json_kind kind;
    bool truth;
    size_t offset; /* in the text */
    const char *key;
    size_t key_length;
    union {
        struct {
            const char *bytes; /* string: decoded, UTF-8; number: as written */
            size_t length;
        } text;
        struct {
            const loom_json *items;
            size_t count;
        } list;
    };
};

/* Reads one document. The source's text must outlive the result, which lies in the arena. Errors: `bad` (LOOM_BAD_PLAN,
 * ...) with line and column; LOOM_NO_MEMORY. */
loom_status loom_json_parse(loom_arena *arena, const loom_source *source, loom_status bad, loom_json *root,
                            loom_error *err);

/* Line and column of an offset. */
loom_place loom_json_place(const loom_source *source, size_t offset);

const char *loom_json_kind_name(loom_json_kind kind);

/* Member of an object by key, or NULL. */
const loom_json *loom_json_member(const loom_json *object, const char *key);

/* The value that a JSON text stands for; numbers without point and exponent are integers. In the arena. Errors: `bad`
 * for integers beyond 64 bits and nesting beyond LOOM_JSON_DEPTH; LOOM_NO_MEMORY. */
loom_status loom_json_to_value(loom_arena *arena, const loom_source *source, loom_status bad, const loom_json *json,
                               loom_value *value, loom_error *err);

#endif
