/* json_text.h - JSON as Python's json.dumps writes it: ASCII only, NaN and Infinity allowed, doubles by repr. */
#ifndef LOOM_PLANNER_JSON_TEXT_H
#define LOOM_PLANNER_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shm/id.h"
#include "shm/status.h"
#include "shm/value.h"

/* Text under construction. Failures stick: check `failed` once, at the end. With `out` set, full pages go to the file
 * and the buffer stays small. Zero-initialise; release with loom_text_free. */
typedef struct loom_text {
    loom_buffer buffer;
    FILE *out;
    bool failed;
} loom_text;

void loom_text_free(loom_text *text);
void loom_text_add(loom_text *text, const char *bytes, size_t length);
void loom_text_put(loom_text *text, const char *c_string);
/* Room for so many bytes at the end, which count once the caller adds to buffer.length. NULL: failed. Without `out`. */
char *loom_text_room(loom_text *text, size_t bytes);
void loom_text_number(loom_text *text, uint64_t number);
void loom_text_integer(loom_text *text, int64_t number);
void loom_text_spaces(loom_text *text, uint32_t count);
void loom_text_id(loom_text *text, const loom_id *id); /* 64 hex digits, no quotes */
/* Writes what is left to `out`; false if anything failed before or now. */
bool loom_text_finish(loom_text *text);

/* A JSON string with its quotes; `bytes` is UTF-8. */
void loom_json_string(loom_text *text, const char *bytes, size_t length);
void loom_json_double(loom_text *text, double number);

/* A value of a constant. With indent < 0 in the canonical form of section 3.1 (compact, keys sorted); else as
 * json.dumps(indent=2) with the value's own key order, starting at that depth. False, writing nothing more, for values
 * that JSON cannot hold (bytes, images, references, ...) and for nesting beyond LOOM_JSON_DEPTH. */
#define LOOM_JSON_DEPTH 200
bool loom_json_value(loom_text *text, const loom_value *value, int indent);

#endif
