/* json_line.c - one JSON object on one line. */
#include "runtime/cli/json_line.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/text.h"

static void add(loom_json_line *line, const char *text, size_t length) {
    if (!line->failed && loom_buffer_add(&line->text, text, length) != LOOM_OK) line->failed = true;
}

static void add_value(loom_json_line *line, const loom_value *value) {
    size_t before = line->text.length;
    if (line->failed) return;
    loom_status status = loom_value_json_line(value, &line->text, NULL);
    if (status == LOOM_OK) return;
    line->text.length = before; /* what JSON cannot say */
    if (status == LOOM_NO_MEMORY)
        line->failed = true;
    else
        add(line, "null", 4);
}

/* Comma, name and colon. */
static void begin(loom_json_line *line, const char *name) {
    if (line->text.length == 0) add(line, "{", 1);
    if (line->more) add(line, ",", 1);
    line->more = true;
    if (name == NULL) return;
    const loom_value text = loom_string_of(name);
    add_value(line, &text);
    add(line, ":", 1);
}

void loom_line_value(loom_json_line *line, const char *name, const loom_value *value) {
    begin(line, name);
    add_value(line, value);
}

void loom_line_null(loom_json_line *line, const char *name) {
    const loom_value value = loom_null();
    loom_line_value(line, name, &value);
}

void loom_line_text(loom_json_line *line, const char *name, const char *text) {
    const loom_value value = text != NULL ? loom_string_of(text) : loom_null();
    loom_line_value(line, name, &value);
}

void loom_line_count(loom_json_line *line, const char *name, uint64_t count) {
    char digits[24];
    begin(line, name);
    snprintf(digits, sizeof digits, "%" PRIu64, count);
    add(line, digits, strlen(digits));
}

void loom_line_number(loom_json_line *line, const char *name, double number) {
    const loom_value value = loom_float(number);
    loom_line_value(line, name, &value);
}

void loom_line_bool(loom_json_line *line, const char *name, bool truth) {
    const loom_value value = loom_bool(truth);
    loom_line_value(line, name, &value);
}

void loom_line_id(loom_json_line *line, const char *name, const loom_id *id) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(id, hex);
    loom_line_text(line, name, loom_id_is_zero(id) ? NULL : hex);
}

static void open_with(loom_json_line *line, const char *name, const char *bracket) {
    begin(line, name);
    add(line, bracket, 1);
    line->more = false;
}

static void close_with(loom_json_line *line, const char *bracket) {
    add(line, bracket, 1);
    line->more = true;
}

void loom_line_object(loom_json_line *line, const char *name) {
    open_with(line, name, "{");
}

void loom_line_array(loom_json_line *line, const char *name) {
    open_with(line, name, "[");
}

void loom_line_end_object(loom_json_line *line) {
    close_with(line, "}");
}

void loom_line_end_array(loom_json_line *line) {
    close_with(line, "]");
}

loom_status loom_line_print(loom_json_line *line, FILE *out, loom_error *err) {
    if (line->text.length == 0) add(line, "{", 1);
    add(line, "}\n", 2);
    bool failed = line->failed;
    if (!failed) fwrite(line->text.bytes, 1, line->text.length, out); /* loom_exit_flushed sees failures */
    loom_buffer_free(&line->text);
    *line = (loom_json_line){.failed = false};
    return failed ? loom_fail(err, LOOM_NO_MEMORY, "out of memory for JSON") : LOOM_OK;
}
