/* codec_support.c - see codec_support.h. */
#include "codec_support.h"

#include <math.h>

#include "shm/extent/extent_file.h"

static void fill_item(uint8_t *item, size_t i, pattern kind, uint64_t *state) {
    double x = (double)(i % 512), y = (double)(i / 512);
    switch (kind) {
    case PATTERN_MASK:
        item[0] = (x - 256) * (x - 256) + (y - 100) * (y - 100) < 5000;
        break;
    case PATTERN_LABELS:
        item[0] = (uint8_t)(i / 700 % 9);
        break;
    case PATTERN_SCAN: {
        int16_t value = (int16_t)(600 * sin(x / 40) * cos(y / 50) + (double)(next_random(state) % 8));
        memcpy(item, &value, sizeof value);
        break;
    }
    case PATTERN_COUNTS: {
        uint32_t value = (uint32_t)(i / 3);
        memcpy(item, &value, sizeof value);
        break;
    }
    case PATTERN_SMOOTH: {
        float value = (float)floor(1000 * sin(x / 40));
        memcpy(item, &value, sizeof value);
        break;
    }
    case PATTERN_DOUBLE: {
        static const uint64_t special[] = {0x7ff8000000001234, 0xfff0dead00000001, 0x8000000000000000,
                                           0x7ff0000000000000};
        double value = floor(x);
        memcpy(item, i % 17 == 0 ? (const void *)&special[i / 17 % 4] : (const void *)&value, sizeof value);
        break;
    }
    case PATTERN_NOISE:
        item[0] = (uint8_t)next_random(state);
        break;
    case PATTERN_MIXED:
        item[0] = i / LOOM_BLOCK_BYTES % 2 == 0 ? (uint8_t)next_random(state) : 0;
        break;
    case PATTERN_ZERO:
    case PATTERNS:
        item[0] = 0;
        break;
    }
}

static size_t item_bytes(pattern kind) {
    static const size_t bytes[PATTERNS] = {1, 1, 1, 2, 4, 4, 8, 1, 1};
    return bytes[kind];
}

void fill_pattern(uint8_t *bytes, size_t length, pattern kind) {
    uint64_t state = 42 + (uint64_t)kind;
    size_t step = item_bytes(kind);
    for (size_t at = 0; at < length; at += step) {
        uint8_t item[8];
        fill_item(item, at / step, kind, &state);
        memcpy(bytes + at, item, length - at < step ? length - at : step);
    }
}

bool is_compressible(pattern kind) {
    return kind != PATTERN_NOISE;
}

object make_object(size_t bytes, pattern kind) {
    object made = {.raw = malloc(bytes)};
    assert_non_null(made.raw);
    assert_true(loom_extent_block_count(bytes) <= HASHES_MAX);
    fill_pattern(made.raw, bytes, kind);
    made.result = (loom_result){.type = LOOM_IMAGE, .bulk.bytes = bytes};
    loom_extent_hash(made.raw, bytes, made.hashes, made.result.root);
    return made;
}

void free_object(object *made) {
    free(made->raw);
    *made = (object){0};
}
