/* utf8.c - UTF-8: see utf8.h. */
#include "runtime/kernels/base/utf8.h"

/* Decodes one code point; 0 bytes when ill-formed. */
static size_t decode(const unsigned char *text, size_t length, uint32_t *code) {
    unsigned char lead = text[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length < bytes) return 0;
    static const unsigned char lead_bits[] = {0, 0, 0x1F, 0x0F, 0x07};
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value = lead & lead_bits[bytes];
    for (size_t k = 1; k < bytes; k++) {
        if ((text[k] & 0xC0) != 0x80) return 0;
        value = value << 6 | (text[k] & 0x3F);
    }
    if (value < smallest[bytes] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
    *code = value;
    return bytes;
}

bool loom_utf8_valid(const char *text, size_t length) {
    uint32_t code;
    for (size_t at = 0; at < length;) {
        size_t bytes = decode((const unsigned char *)text + at, length - at, &code);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

uint32_t loom_utf8_next(const char *text, size_t length, size_t *bytes) {
    uint32_t code = 0;
    *bytes = decode((const unsigned char *)text, length, &code);
    if (*bytes > 0) return code;
    *bytes = 1;
    return (unsigned char)text[0];
}

size_t loom_utf8_put(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

size_t loom_utf8_count(const char *text, size_t length) {
    size_t count = 0, bytes = 0;
    for (size_t at = 0; at < length; at += bytes, count++)
        (void)loom_utf8_next(text + at, length - at, &bytes);
    return count;
}
