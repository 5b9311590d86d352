/* strings.c - text from values: strings.concat and strings.format_string (Python's str.format). */
#include <stdio.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/items.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/text/format.h"
#include "runtime/text.h"

/* Makes the buffer's text the result, and frees the buffer. */
static loom_status finish(loom_call *call, loom_buffer *text, loom_status status) {
    if (status == LOOM_OK) {
        char *copy = loom_arena_text(call->arena, text->length == 0 ? "" : (const char *)text->bytes, text->length);
        if (copy == NULL)
            status = LOOM_NO_MEMORY;
        else
            call->result = loom_string(copy, text->length);
    }
    loom_buffer_free(text);
    if (status == LOOM_NO_MEMORY) return loom_fail(call->err, status, "out of memory in `%s`", call->op->name);
    return status;
}

loom_status loom_run_concat_text(loom_call *call) {
    loom_buffer text = {0};
    loom_status status = LOOM_OK;
    for (uint32_t k = 0; k < call->argument_count && status == LOOM_OK; k++)
        status = loom_value_str(&call->arguments[k], &text);
    return finish(call, &text, status);
}

/* ---- str.format ---- */

typedef struct template {
    loom_call *call;
    uint32_t next; /* of the arguments, for {} */
    bool automatic, manual;
}
template;

static loom_status bad_template(const template *in, const char *what) {
    return loom_fail(in->call->err, LOOM_BAD_ARGUMENT, "the template of `%s`: %s", in->call->op->name, what);
}

/* The argument that {} or {N} names; *at moves behind the digits. */
static loom_status pick_argument(template *in, const char *text, size_t length, size_t *at, loom_value *value) {
    uint64_t number = 0;
    size_t start = *at;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; (*at)++)
        if (number < UINT32_MAX) number = number * 10 + (uint64_t)(text[*at] - '0');
    if (*at == start) {
        if (*at < length && strchr("[.!:", text[*at]) == NULL)
            return bad_template(in, "fields have numbers, not names: {} or {0}");
        number = in->next++;
        in->automatic = true;
    } else {
        in->manual = true;
    }
    if (in->automatic && in->manual) return bad_template(in, "{} and {0} cannot be mixed");
    if (number + 1 >= in->call->argument_count) return bad_template(in, "it has more fields than there are arguments");
    *value = in->call->arguments[number + 1];
    return LOOM_OK;
}

/* [key] after a field: an item of a sequence or a member of a record. */
static loom_status pick_item(template *in, const char *text, size_t length, size_t *at, loom_value *value) {
    const char *close = memchr(text + *at, ']', length - *at);
    if (close == NULL) return bad_template(in, "a `[` is not closed");
    size_t key_bytes = (size_t)(close - text) - *at;
    loom_value key = loom_string(text + *at, key_bytes);
    *at += key_bytes + 1;
    int64_t index = 0;
    if (value->type == LOOM_SEQUENCE && loom_value_integer(&key, true, &index)) {
        if (index < 0 || (uint64_t)index >= value->sequence.count)
            return bad_template(in, "an index in brackets is out of range");
        *value = value->sequence.items[index];
        return LOOM_OK;
    }
    for (size_t k = 0; value->type == LOOM_RECORD && k < value->record.count; k++) {
        const loom_field *field = &value->record.fields[k];
        if (field->name_length != key_bytes || (key_bytes > 0 && memcmp(field->name, key.text.bytes, key_bytes) != 0))
            continue;
        *value = field->value;
        return LOOM_OK;
    }
    return bad_template(in, "brackets name no item of their value");
}

/* field ['!' conversion]; *at moves to ':' or the end. The value is text after a conversion. */
static loom_status pick_value(template *in, const char *text, size_t length, size_t *at, loom_value *value) {
    LOOM_TRY(pick_argument(in, text, length, at, value));
    while (*at < length && text[*at] == '[') {
        (*at)++;
        LOOM_TRY(pick_item(in, text, length, at, value));
    }
    if (*at < length && text[*at] == '.') return bad_template(in, "attributes (`.name`) are not supported");
    if (*at >= length || text[*at] != '!') return LOOM_OK;
    char conversion = *at + 1 < length ? text[*at + 1] : 0;
    if (conversion != 'r' && conversion != 's') return bad_template(in, "conversions are !r and !s");
    *at += 2;
    loom_buffer buffer = {0};
    loom_status status = conversion == 'r' ? loom_value_repr(value, &buffer) : loom_value_str(value, &buffer);
    char *copy = status != LOOM_OK
                     ? NULL
                     : loom_arena_text(in->call->arena, buffer.length == 0 ? "" : (char *)buffer.bytes, buffer.length);
    *value = loom_string(copy, buffer.length);
    loom_buffer_free(&buffer);
    return copy == NULL ? LOOM_NO_MEMORY : LOOM_OK;
}

/* Where the field that begins at `at` (after its brace) ends, nested braces skipped; length if it does not. */
static size_t field_end(const char *text, size_t length, size_t at) {
    for (unsigned depth = 0; at < length; at++) {
        if (text[at] == '{') depth++;
        if (text[at] == '}' && depth-- == 0) return at;
    }
    return length;
}

/* The specification with its own {} filled in (one level, as in Python). */
static loom_status expand_spec(template *in, const char *text, size_t length, loom_buffer *spec) {
    for (size_t at = 0; at < length;) {
        if (text[at] != '{') {
            LOOM_TRY(loom_buffer_add(spec, text + at++, 1));
            continue;
        }
        size_t end = field_end(text, length, ++at);
        loom_value value = loom_null();
        if (end == length) return bad_template(in, "a `{` is not closed");
        LOOM_TRY(pick_value(in, text, end, &at, &value));
        if (at != end) return bad_template(in, "a field within a specification takes none itself");
        LOOM_TRY(loom_value_str(&value, spec));
        at = end + 1;
    }
    return LOOM_OK;
}

static loom_status format_field(template *in, const char *text, size_t length, loom_buffer *out) {
    size_t at = 0;
    loom_value value = loom_null();
    LOOM_TRY(pick_value(in, text, length, &at, &value));
    if (at == length) return loom_format_value(&value, "", 0, out, in->call->err);
    if (text[at] != ':') return bad_template(in, "`:` or `}` is expected after a field");
    loom_buffer spec = {0};
    loom_status status = expand_spec(in, text + at + 1, length - at - 1, &spec);
    if (status == LOOM_OK)
        status = loom_format_value(&value, spec.length == 0 ? "" : (const char *)spec.bytes, spec.length, out,
                                   in->call->err);
    loom_buffer_free(&spec);
    return status;
}

static loom_status format_template(loom_call *call, const char *text, size_t length, loom_buffer *out) {
    template in = {.call = call};
    for (size_t at = 0; at < length;) {
        char c = text[at];
        bool doubled = (c == '{' || c == '}') && at + 1 < length && text[at + 1] == c;
        if (c != '{' && c != '}') {
            LOOM_TRY(loom_buffer_add(out, text + at++, 1));
        } else if (doubled) {
            LOOM_TRY(loom_buffer_add(out, text + at, 1));
            at += 2;
        } else if (c == '}') {
            return bad_template(&in, "a single `}`; write `}}` for a brace");
        } else {
            size_t end = field_end(text, length, at + 1);
            if (end == length) return bad_template(&in, "a `{` is not closed; write `{{` for a brace");
            LOOM_TRY(format_field(&in, text + at + 1, end - at - 1, out));
            at = end + 1;
        }
    }
    return LOOM_OK;
}

loom_status loom_run_format(loom_call *call) {
    const char *text = NULL;
    size_t length = 0;
    loom_buffer out = {0};
    LOOM_TRY(loom_arg_string(call, 0, &text, &length));
    return finish(call, &out, format_template(call, text, length, &out));
}
