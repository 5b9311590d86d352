/* json_line.h - one JSON object on one line: what `--json` prints. Values go through runtime/text.h. */
#ifndef LOOM_CLI_JSON_LINE_H
#define LOOM_CLI_JSON_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shm/id.h"
#include "shm/value.h"

/* Zero-initialise; the object begins with the first field. Memory that is short is remembered until print. */
typedef struct loom_json_line {
    loom_buffer text;
    bool failed;
    bool more; /* a comma comes first */
} loom_json_line;

void loom_line_value(loom_json_line *line, const char *name, const loom_value *value); /* as JSON, or null */
void loom_line_text(loom_json_line *line, const char *name, const char *text);         /* NULL: null */
void loom_line_count(loom_json_line *line, const char *name, uint64_t count);
void loom_line_number(loom_json_line *line, const char *name, double number);
void loom_line_bool(loom_json_line *line, const char *name, bool truth);
void loom_line_id(loom_json_line *line, const char *name, const loom_id *id); /* a zero id: null */
void loom_line_null(loom_json_line *line, const char *name);
/* Until end, fields belong to an object, or items (name NULL) to an array. */
void loom_line_object(loom_json_line *line, const char *name);
void loom_line_array(loom_json_line *line, const char *name);
void loom_line_end_object(loom_json_line *line);
void loom_line_end_array(loom_json_line *line);
/* Closes the object, prints it with a line feed, and forgets it. LOOM_NO_MEMORY. */
loom_status loom_line_print(loom_json_line *line, FILE *out, loom_error *err);

#endif
