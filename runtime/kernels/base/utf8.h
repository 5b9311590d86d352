/* utf8.h - UTF-8 text, code point by code point (RFC 3629: no surrogates, no overlong forms). */
#ifndef LOOM_KERNELS_UTF8_H
#define LOOM_KERNELS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool loom_utf8_valid(const char *text, size_t length);
/* Code point at the front of valid text (length > 0) and its bytes. Ill-formed bytes count as themselves. */
uint32_t loom_utf8_next(const char *text, size_t length, size_t *bytes);
/* Writes a code point; returns its bytes (1..4). */
size_t loom_utf8_put(uint32_t code, char out[4]);
size_t loom_utf8_count(const char *text, size_t length);

#endif
