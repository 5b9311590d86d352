/* format.c - Python's format(value, spec): see format.h.
 *
 * Digits of floats come from printf with an explicit precision, which rounds exactly as Python does. */
#include "runtime/kernels/text/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/utf8.h"
#include "runtime/text.h"
#include "shm/number.h"

#define WIDTH_MAX 100000
#define PRECISION_MAX 5000 /* more digits than any double has */

typedef struct spec {
    char fill[4];
    size_t fill_bytes;
    char align; /* < > ^ = or 0 */
    char sign;  /* + - space or 0 */
    bool no_minus_zero, alternate;
    size_t width;
    char grouping;  /* , _ or 0 */
    long precision; /* -1 if absent */
    char type;      /* 0 if absent */
} spec;

static loom_status refuse(loom_error *err, const char *what) {
    return loom_fail(err, LOOM_BAD_ARGUMENT, "format: %s", what);
}

static bool is_align(char c) {
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static bool read_count(const char *text, size_t length, size_t *at, long limit, long *count) {
    *count = 0;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        *count = *count * 10 + (text[*at] - '0');
        if (*count > limit) return false;
    }
    return true;
}

static loom_status parse_spec(const char *text, size_t length, spec *out, loom_error *err) {
    *out = (spec){.fill = " ", .fill_bytes = 1, .precision = -1};
    size_t at = 0, first = 0;
    if (length > 0) (void)loom_utf8_next(text, length, &first);
    bool fill_given = first > 0 && first < length && is_align(text[first]);
    if (fill_given) {
        memcpy(out->fill, text, first);
        out->fill_bytes = first;
        out->align = text[first];
        at = first + 1;
    } else if (length > 0 && is_align(text[0])) {
        out->align = text[0];
        at = 1;
    }
    if (at < length && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) out->sign = text[at++];
    if (at < length && text[at] == 'z') {
        out->no_minus_zero = true;
        at++;
    }
    if (at < length && text[at] == '#') {
        out->alternate = true;
        at++;
    }
    if (!fill_given && at < length && text[at] == '0') {
        at++;
        out->fill[0] = '0';
        if (out->align == 0) out->align = '0'; /* `=` for numbers, `<` for text: settled by the value */
    }
    long count = 0;
    if (!read_count(text, length, &at, WIDTH_MAX, &count)) return refuse(err, "the width is above 100000");
    out->width = (size_t)count;
    if (at < length && (text[at] == ',' || text[at] == '_')) out->grouping = text[at++];
    if (at < length && text[at] == '.') {
        size_t digits = ++at;
        if (!read_count(text, length, &at, PRECISION_MAX, &out->precision))
            return refuse(err, "the precision is above 5000");
        if (at == digits) return refuse(err, "digits are missing after the point of the specification");
    }
    if (at < length) out->type = text[at++];
    return at == length ? LOOM_OK : refuse(err, "invalid format specification");
}

static loom_status add_fill(loom_buffer *out, const spec *how, size_t count) {
    for (size_t k = 0; k < count; k++)
        LOOM_TRY(loom_buffer_add(out, how->fill, how->fill_bytes));
    return LOOM_OK;
}

/* Writes sign (prefix included) and body, padded to the width. */
static loom_status pad(loom_buffer *out, const spec *how, char align, const char *lead, const char *body,
                       size_t body_bytes) {
    size_t used = strlen(lead) + loom_utf8_count(body, body_bytes);
    size_t missing = used < how->width ? how->width - used : 0;
    size_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    size_t between = align == '=' ? missing : 0;
    LOOM_TRY(add_fill(out, how, before));
    LOOM_TRY(loom_buffer_add(out, lead, strlen(lead)));
    LOOM_TRY(add_fill(out, how, between));
    LOOM_TRY(loom_buffer_add(out, body, body_bytes));
    return add_fill(out, how, missing - before - between);
}

/* ---- text ---- */

static loom_status format_text(const char *text, size_t length, spec *how, loom_buffer *out, loom_error *err) {
    if (how->type != 0 && how->type != 's') return refuse(err, "only `s` formats a string");
    if (how->sign || how->alternate || how->grouping || how->no_minus_zero || how->align == '=')
        return refuse(err, "sign, `#`, `=`, `,` and `_` are for numbers");
    if (how->precision >= 0) {
        size_t at = 0, step = 0;
        for (long k = 0; k < how->precision && at < length; k++, at += step)
            (void)loom_utf8_next(text + at, length - at, &step);
        length = at;
    }
    return pad(out, how, how->align == 0 || how->align == '0' ? '<' : how->align, "", text, length);
}

/* ---- numbers ---- */

/* Digits of a whole part with separators, and zeros in front until `width` characters stand. */
static size_t group(const char *digits, size_t count, char separator, size_t every, size_t width, char *out) {
    size_t total = count;
    if (separator == 0) {
        if (total < width) total = width;
    } else {
        while (total + (total - 1) / every < width)
            total++;
    }
    size_t used = 0;
    for (size_t k = 0; k < total; k++) {
        size_t left = total - k;
        if (separator != 0 && k > 0 && left % every == 0) out[used++] = separator;
        out[used++] = left > count ? '0' : digits[count - left];
    }
    return used;
}

/* Pads a number given as sign, prefix (0x), digits of the whole part, and the rest (point, exponent, %). */
static loom_status put_number(loom_buffer *out, const spec *how, const char *sign, const char *prefix,
                              const char *digits, size_t digit_count, const char *rest, loom_error *err) {
    char align = how->align == 0 ? '>' : how->align == '0' ? '=' : how->align, lead[8];
    snprintf(lead, sizeof lead, "%s%s", sign, prefix);
    size_t rest_bytes = strlen(rest), taken = strlen(lead) + rest_bytes, zeros = 0;
    bool zero_padded = align == '=' && how->fill_bytes == 1 && how->fill[0] == '0';
    if (zero_padded && digit_count > 0 && how->width > taken) zeros = how->width - taken;
    size_t every = how->type == 'b' || how->type == 'o' || how->type == 'x' || how->type == 'X' ? 4 : 3;
    char *body = malloc(2 * (digit_count + zeros) + rest_bytes + 2);
    if (body == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while formatting");
    size_t used = digit_count == 0 ? 0 : group(digits, digit_count, how->grouping, every, zeros, body);
    memcpy(body + used, rest, rest_bytes);
    loom_status status = pad(out, how, align, lead, body, used + rest_bytes);
    free(body);
    return status;
}

static const char *sign_of(const spec *how, bool negative) {
    if (negative) return "-";
    return how->sign == '+' ? "+" : how->sign == ' ' ? " " : "";
}

static loom_status format_character(int64_t value, spec *how, loom_buffer *out, loom_error *err) {
    char text[4];
    if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF) || how->sign != 0)
        return refuse(err, "`c` needs a code point from 0 to 1114111, and no sign");
    size_t bytes = loom_utf8_put((uint32_t)value, text);
    return pad(out, how, how->align == 0 ? '<' : how->align == '0' ? '=' : how->align, "", text, bytes);
}

static loom_status format_integer(int64_t value, spec *how, loom_buffer *out, loom_error *err) {
    if (how->precision >= 0) return refuse(err, "a precision is not allowed for a whole number");
    if (how->no_minus_zero) return refuse(err, "`z` is for decimal numbers");
    if (how->type == 'c') return format_character(value, how, out, err);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned base = how->type == 'b' ? 2 : how->type == 'o' ? 8 : how->type == 'x' || how->type == 'X' ? 16 : 10;
    if (base != 10 && how->grouping == ',') return refuse(err, "`,` is for decimal digits; use `_`");
    const char *alphabet = how->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char digits[64], prefix[3] = "";
    size_t at = sizeof digits;
    do {
        digits[--at] = alphabet[rest % base];
        rest /= base;
    } while (rest > 0);
    if (how->alternate && base != 10) snprintf(prefix, sizeof prefix, "0%c", how->type);
    return put_number(out, how, sign_of(how, value < 0), prefix, digits + at, sizeof digits - at, "", err);
}

/* Rewrites d.ddde+XX (as %e prints it) as `g` does: fixed notation unless the exponent is small or large. */
static void general(char *text, size_t capacity, int precision, bool at_least_tenths, bool keep_zeros, char e) {
    char digits[PRECISION_MAX + 8];
    char *mark = strpbrk(text, "eE");
    int exponent = atoi(mark + 1), count = 0;
    for (char *c = text; c < mark; c++)
        if (*c >= '0' && *c <= '9') digits[count++] = *c;
    if (!keep_zeros)
        while (count > 1 && digits[count - 1] == '0')
            count--;
    int decimal_point = exponent + 1;
    size_t used = 0;
    if (decimal_point <= -4 || decimal_point > precision - (at_least_tenths ? 1 : 0)) {
        text[used++] = digits[0];
        if (count > 1 || keep_zeros) text[used++] = '.';
        for (int k = 1; k < count; k++)
            text[used++] = digits[k];
        snprintf(text + used, capacity - used, "%c%c%02d", e, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (decimal_point <= 0) {
        text[used++] = '0';
        text[used++] = '.';
        for (int k = 0; k < -decimal_point; k++)
            text[used++] = '0';
    }
    for (int k = 0; k < count || k < decimal_point; k++) {
        if (k == decimal_point && k > 0) text[used++] = '.';
        text[used++] = k < count ? digits[k] : '0';
    }
    if (decimal_point >= count && (keep_zeros || at_least_tenths)) text[used++] = '.';
    if (decimal_point >= count && at_least_tenths) text[used++] = '0';
    text[used] = 0;
}

/* The digits of |value|, without sign. */
static loom_status real_digits(double value, const spec *how, char *text, size_t capacity, loom_error *err) {
    char type = how->type;
    int precision = how->precision < 0 ? 6 : (int)how->precision;
    if (type == '%') value *= 100.0;
    switch (type) {
    case 'f':
    case 'F':
    case '%':
        snprintf(text, capacity, how->alternate ? "%#.*f" : "%.*f", precision, value);
        break;
    case 'e':
    case 'E':
        snprintf(text, capacity, how->alternate ? (type == 'e' ? "%#.*e" : "%#.*E") : (type == 'e' ? "%.*e" : "%.*E"),
                 precision, value);
        break;
    case 'g':
    case 'G':
    case 'n':
    case 0:
        if (type == 0 && how->precision < 0) {
            loom_number_repr(value, text);
            return LOOM_OK;
        }
        if (precision == 0) precision = 1;
        snprintf(text, capacity, "%.*e", precision - 1, value);
        general(text, capacity, precision, type == 0, how->alternate, type == 'G' ? 'E' : 'e');
        break;
    default:
        return refuse(err, "unknown format code for a number; e f g % d and `,` are the usual ones");
    }
    return LOOM_OK;
}

static loom_status format_real(double value, spec *how, loom_buffer *out, loom_error *err) {
    char text[PRECISION_MAX + 400];
    bool negative = signbit(value) && value == value;
    value = fabs(value);
    bool capitals = how->type == 'F' || how->type == 'E' || how->type == 'G';
    if (!isfinite(value)) {
        /* Checks the format code too. */
        LOOM_TRY(real_digits(1.0, how, text, sizeof text, err));
        const char *word = value != value ? (capitals ? "NAN" : "nan") : (capitals ? "INF" : "inf");
        snprintf(text, sizeof text, "%s%s", word, how->type == '%' ? "%" : "");
        return put_number(out, how, sign_of(how, negative), "", "", 0, text, err);
    }
    LOOM_TRY(real_digits(value, how, text, sizeof text - 2, err));
    if (how->type == '%') strcat(text, "%");
    if (how->no_minus_zero && negative && strcspn(text, "123456789") >= strcspn(text, "eE%")) negative = false;
    size_t whole = strspn(text, "0123456789");
    return put_number(out, how, sign_of(how, negative), "", text, whole, text + whole, err);
}

loom_status loom_format_value(const loom_value *value, const char *text, size_t length, loom_buffer *out,
                              loom_error *err) {
    if (length == 0) {
        loom_status status = loom_value_str(value, out);
        return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "out of memory while formatting");
    }
    spec how;
    LOOM_TRY(parse_spec(text, length, &how, err));
    bool whole_type = how.type != 0 && strchr("bcdoxX", how.type) != NULL;
    switch (value->type) {
    case LOOM_STRING:
        return format_text(value->text.bytes, value->text.length, &how, out, err);
    case LOOM_BOOL:
    case LOOM_INT: {
        int64_t whole = value->type == LOOM_INT ? value->integer : (int64_t)value->boolean;
        if (how.type == 0 || how.type == 'n' || whole_type) return format_integer(whole, &how, out, err);
        return format_real((double)whole, &how, out, err);
    }
    case LOOM_FLOAT:
        if (whole_type)
            return refuse(err, "a number of the program is decimal, and `d` and the like need a whole one; use `.0f`");
        return format_real(value->number, &how, out, err);
    default:
        return refuse(err, "only numbers and strings take a format specification");
    }
}
