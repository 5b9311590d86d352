/* text.c - values as text, as Python writes them: see text.h. */
#include "runtime/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/kernels/base/unprintable.h"
#include "runtime/kernels/base/utf8.h"
#include "shm/number.h"

static loom_status put(loom_buffer *out, const char *text) {
    return loom_buffer_add(out, text, strlen(text));
}

static loom_status put_integer(loom_buffer *out, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put(out, text);
}

static loom_status put_number(loom_buffer *out, double value) {
    char text[LOOM_NUMBER_TEXT_BYTES];
    return loom_buffer_add(out, text, loom_number_repr(value, text));
}

/* ---- Python's repr of text ---- */

/* Python prefers single quotes, unless the text has some and no double ones. */
static char quote_for(const char *text, size_t length) {
    bool single = length > 0 && memchr(text, '\'', length) != NULL;
    bool twofold = length > 0 && memchr(text, '"', length) != NULL;
    return single && !twofold ? '"' : '\'';
}

/* \\, \n, \r, \t and the quote; NULL for other characters. */
static const char *short_escape(uint32_t code, char quote, char own[3]) {
    if (code == '\n') return "\\n";
    if (code == '\r') return "\\r";
    if (code == '\t') return "\\t";
    if (code != '\\' && code != (unsigned char)quote) return NULL;
    own[0] = '\\';
    own[1] = (char)code;
    own[2] = 0;
    return own;
}

static loom_status put_quoted(loom_buffer *out, const char *text, size_t length, bool bytes) {
    char quote = quote_for(text, length), own[3];
    LOOM_TRY(loom_buffer_add(out, &quote, 1));
    size_t step = 1;
    for (size_t at = 0; at < length; at += step) {
        uint32_t code = bytes ? (unsigned char)text[at] : loom_utf8_next(text + at, length - at, &step);
        const char *escape = short_escape(code, quote, own);
        bool plain = bytes ? code >= 0x20 && code < 0x7F : !loom_is_unprintable(code);
        char number[16];
        if (escape != NULL) {
            LOOM_TRY(put(out, escape));
        } else if (plain) {
            LOOM_TRY(loom_buffer_add(out, text + at, step));
        } else {
            const char *form = code < 0x100 ? "\\x%02" PRIx32 : code < 0x10000 ? "\\u%04" PRIx32 : "\\U%08" PRIx32;
            snprintf(number, sizeof number, form, code);
            LOOM_TRY(put(out, number));
        }
    }
    return loom_buffer_add(out, &quote, 1);
}

/* ---- images ---- */

static loom_status put_axes(loom_buffer *out, const char *name, const double *numbers, unsigned rank) {
    LOOM_TRY(put(out, name));
    for (unsigned d = 0; d < rank; d++) {
        char text[48];
        snprintf(text, sizeof text, "%s%g", d == 0 ? "[" : ", ", numbers[d]);
        LOOM_TRY(put(out, text));
    }
    return put(out, "]\n");
}

/* SimpleITK's description, without addresses, times and what follows from the rest. */
static loom_status put_image(loom_buffer *out, const loom_image_header *header) {
    char text[160];
    unsigned rank = header->rank;
    double size[LOOM_RANK_MAX], zero[LOOM_RANK_MAX] = {0};
    for (unsigned d = 0; d < rank; d++)
        size[d] = (double)header->size[d];
    snprintf(text, sizeof text, "Image\n  PixelType: %s\n", loom_dtype_itk_name(header->dtype));
    LOOM_TRY(put(out, text));
    if (header->components > 1) {
        snprintf(text, sizeof text, "  VectorLength: %u\n", header->components);
        LOOM_TRY(put(out, text));
    }
    snprintf(text, sizeof text, "  LargestPossibleRegion: \n    Dimension: %u\n", rank);
    LOOM_TRY(put(out, text));
    LOOM_TRY(put_axes(out, "    Index: ", zero, rank));
    LOOM_TRY(put_axes(out, "    Size: ", size, rank));
    LOOM_TRY(put_axes(out, "  Spacing: ", header->spacing, rank));
    LOOM_TRY(put_axes(out, "  Origin: ", header->origin, rank));
    LOOM_TRY(put(out, "  Direction: \n"));
    for (unsigned row = 0; row < rank; row++)
        for (unsigned column = 0; column < rank; column++) {
            snprintf(text, sizeof text, "%g%s", header->direction[row * LOOM_RANK_MAX + column],
                     column + 1 < rank ? " " : "\n");
            LOOM_TRY(put(out, text));
        }
    return LOOM_OK;
}

static loom_status put_reference(loom_buffer *out, const loom_value *value) {
    char hex[LOOM_ID_HEX_BYTES], text[48];
    loom_id_hex(&value->reference.vid, hex);
    snprintf(text, sizeof text, "<%s %.12s>", loom_type_name(value->reference.type), hex);
    return put(out, text);
}

/* ---- str and repr ---- */

static loom_status put_sequence(const loom_value *value, loom_buffer *out) {
    size_t count = value->sequence.count;
    LOOM_TRY(put(out, value->tuple ? "(" : "["));
    for (size_t k = 0; k < count; k++) {
        if (k > 0) LOOM_TRY(put(out, ", "));
        LOOM_TRY(loom_value_repr(&value->sequence.items[k], out));
    }
    if (!value->tuple) return put(out, "]");
    return put(out, count == 1 ? ",)" : ")");
}

static loom_status put_record(const loom_value *value, loom_buffer *out) {
    LOOM_TRY(put(out, "{"));
    for (size_t k = 0; k < value->record.count; k++) {
        const loom_field *field = &value->record.fields[k];
        if (k > 0) LOOM_TRY(put(out, ", "));
        LOOM_TRY(put_quoted(out, field->name, field->name_length, false));
        LOOM_TRY(put(out, ": "));
        LOOM_TRY(loom_value_repr(&field->value, out));
    }
    return put(out, "}");
}

loom_status loom_value_repr(const loom_value *value, loom_buffer *out) {
    switch (value->type) {
    case LOOM_NULL:
        return put(out, "None");
    case LOOM_BOOL:
        return put(out, value->boolean ? "True" : "False");
    case LOOM_INT:
        return put_integer(out, value->integer);
    case LOOM_FLOAT:
        return put_number(out, value->number);
    case LOOM_STRING:
        return put_quoted(out, value->text.bytes, value->text.length, false);
    case LOOM_BYTES:
        LOOM_TRY(put(out, "b"));
        return put_quoted(out, value->text.bytes, value->text.length, true);
    case LOOM_RECORD:
        return put_record(value, out);
    case LOOM_SEQUENCE:
        return put_sequence(value, out);
    case LOOM_IMAGE:
        return put_image(out, value->image.header);
    case LOOM_DATASET:
        return put(out, "<dataset>");
    case LOOM_CLOSURE:
        return put(out, "<function>");
    case LOOM_REFERENCE:
        return put_reference(out, value);
    }
    return put(out, "<unknown>");
}

loom_status loom_value_str(const loom_value *value, loom_buffer *out) {
    if (value->type == LOOM_STRING) return loom_buffer_add(out, value->text.bytes, value->text.length);
    return loom_value_repr(value, out);
}

/* ---- JSON ---- */

static loom_status put_unicode_escape(loom_buffer *out, uint32_t unit) {
    char text[8];
    snprintf(text, sizeof text, "\\u%04" PRIx32, unit & 0xFFFF);
    return put(out, text);
}

/* As Python's encoder with ensure_ascii. */
static loom_status put_json_text(loom_buffer *out, const char *text, size_t length) {
    static const char special[] = "\"\\\b\f\n\r\t", meaning[] = "\"\\bfnrt";
    LOOM_TRY(put(out, "\""));
    size_t step = 1;
    for (size_t at = 0; at < length; at += step) {
        uint32_t code = loom_utf8_next(text + at, length - at, &step);
        const char *known = code != 0 && code < 0x80 ? strchr(special, (int)code) : NULL;
        if (known != NULL) {
            char escape[3] = {'\\', meaning[known - special], 0};
            LOOM_TRY(put(out, escape));
        } else if (code >= 0x20 && code < 0x7F) {
            LOOM_TRY(loom_buffer_add(out, text + at, 1));
        } else if (code < 0x10000) {
            LOOM_TRY(put_unicode_escape(out, code));
        } else {
            LOOM_TRY(put_unicode_escape(out, 0xD800 + ((code - 0x10000) >> 10)));
            LOOM_TRY(put_unicode_escape(out, 0xDC00 + ((code - 0x10000) & 0x3FF)));
        }
    }
    return put(out, "\"");
}

/* A depth from which on no lines are broken: deeper than any value. */
enum { ONE_LINE = 1 << 16 };

static loom_status new_line(loom_buffer *out, unsigned depth) {
    if (depth >= ONE_LINE) return LOOM_OK;
    LOOM_TRY(put(out, "\n"));
    for (unsigned k = 0; k < depth; k++)
        LOOM_TRY(put(out, "  "));
    return LOOM_OK;
}

static loom_status put_json(const loom_value *value, loom_buffer *out, unsigned depth, loom_error *err);

static loom_status put_json_array(const loom_value *value, loom_buffer *out, unsigned depth, loom_error *err) {
    if (value->sequence.count == 0) return put(out, "[]");
    for (size_t k = 0; k < value->sequence.count; k++) {
        LOOM_TRY(put(out, k == 0 ? "[" : ","));
        LOOM_TRY(new_line(out, depth + 1));
        LOOM_TRY(put_json(&value->sequence.items[k], out, depth + 1, err));
    }
    LOOM_TRY(new_line(out, depth));
    return put(out, "]");
}

static loom_status put_json_object(const loom_value *value, loom_buffer *out, unsigned depth, loom_error *err) {
    if (value->record.count == 0) return put(out, "{}");
    for (size_t k = 0; k < value->record.count; k++) {
        const loom_field *field = &value->record.fields[k];
        LOOM_TRY(put(out, k == 0 ? "{" : ","));
        LOOM_TRY(new_line(out, depth + 1));
        LOOM_TRY(put_json_text(out, field->name, field->name_length));
        LOOM_TRY(put(out, depth >= ONE_LINE ? ":" : ": "));
        LOOM_TRY(put_json(&field->value, out, depth + 1, err));
    }
    LOOM_TRY(new_line(out, depth));
    return put(out, "}");
}

static loom_status put_json_number(loom_buffer *out, double number) {
    if (number != number) return put(out, "NaN");
    if (number > 1.7976931348623157e308) return put(out, "Infinity");
    if (number < -1.7976931348623157e308) return put(out, "-Infinity");
    return put_number(out, number);
}

static loom_status put_json(const loom_value *value, loom_buffer *out, unsigned depth, loom_error *err) {
    switch (value->type) {
    case LOOM_NULL:
        return put(out, "null");
    case LOOM_BOOL:
        return put(out, value->boolean ? "true" : "false");
    case LOOM_INT:
        return put_integer(out, value->integer);
    case LOOM_FLOAT:
        return put_json_number(out, value->number);
    case LOOM_STRING:
        return put_json_text(out, value->text.bytes, value->text.length);
    case LOOM_SEQUENCE:
        return put_json_array(value, out, depth, err);
    case LOOM_RECORD:
        return put_json_object(value, out, depth, err);
    default:
        return loom_fail(err, LOOM_BAD_ARGUMENT,
                         "JSON holds numbers, text, lists and records; this has %s: save it apart",
                         value->type == LOOM_IMAGE || value->type == LOOM_REFERENCE ? "an image"
                         : value->type == LOOM_BYTES                                ? "bytes"
                                                                                    : "another value");
    }
}

static loom_status json_from(const loom_value *value, unsigned depth, loom_buffer *out, loom_error *err) {
    loom_status status = put_json(value, out, depth, err);
    return status == LOOM_NO_MEMORY ? loom_fail(err, status, "no memory for the JSON text") : status;
}

loom_status loom_value_json(const loom_value *value, loom_buffer *out, loom_error *err) {
    return json_from(value, 0, out, err);
}

loom_status loom_value_json_line(const loom_value *value, loom_buffer *out, loom_error *err) {
    return json_from(value, ONE_LINE, out, err);
}
