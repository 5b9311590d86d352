/* numbers.c - byte order of stored numbers. */
#include "io/numbers.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "voxels are kept little-endian, in memory and in the store");

void loom_swap_numbers(void *numbers, size_t bytes, size_t count) {
    if (bytes == 2) {
        uint16_t *n = numbers;
        for (size_t i = 0; i < count; i++)
            n[i] = __builtin_bswap16(n[i]);
    } else if (bytes == 4) {
        uint32_t *n = numbers;
        for (size_t i = 0; i < count; i++)
            n[i] = __builtin_bswap32(n[i]);
    } else if (bytes == 8) {
        uint64_t *n = numbers;
        for (size_t i = 0; i < count; i++)
            n[i] = __builtin_bswap64(n[i]);
    }
}

uint16_t loom_le16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint32_t loom_le32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void loom_put_le16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

void loom_put_le32(uint8_t *bytes, uint32_t value) {
    loom_put_le16(bytes, (uint16_t)value);
    loom_put_le16(bytes + 2, (uint16_t)(value >> 16));
}
