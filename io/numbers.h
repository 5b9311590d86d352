/* numbers.h - byte order of stored numbers. Pure. */
#ifndef LOOM_IO_NUMBERS_H
#define LOOM_IO_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* Reverses the bytes of each of `count` numbers of `bytes` bytes (1, 2, 4 or 8), which are aligned for their size. */
void loom_swap_numbers(void *numbers, size_t bytes, size_t count);

/* Little- and big-endian fields of headers, at any address. */
uint16_t loom_le16(const uint8_t *bytes);
uint32_t loom_le32(const uint8_t *bytes);
void loom_put_le16(uint8_t *bytes, uint16_t value);
void loom_put_le32(uint8_t *bytes, uint32_t value);

#endif
