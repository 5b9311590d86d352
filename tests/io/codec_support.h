/* codec_support.h - bytes as voxels of every type are, and objects of them in extents in memory that a test can damage.
 */
#ifndef LOOM_TESTS_CODEC_SUPPORT_H
#define LOOM_TESTS_CODEC_SUPPORT_H

#include "shm/codec/bulk_codec.h"
#include "tests/shm/store_support.h"

typedef enum pattern {
    PATTERN_ZERO,
    PATTERN_MASK,   /* bool8 */
    PATTERN_LABELS, /* u8 */
    PATTERN_SCAN,   /* i16, smooth with noise in the low bits */
    PATTERN_COUNTS, /* u32 */
    PATTERN_SMOOTH, /* f32 */
    PATTERN_DOUBLE, /* f64, some NaNs with payloads, -0 and infinities */
    PATTERN_NOISE,  /* incompressible */
    PATTERN_MIXED,  /* a block of noise, a block of zeros, in turn */
    PATTERNS
} pattern;

void fill_pattern(uint8_t *bytes, size_t length, pattern kind);
/* Whether zstd is sure to save an eighth of many blocks of it. */
bool is_compressible(pattern kind);

/* An object whose raw bytes are known, with the hashes of extent.h. */
typedef struct object {
    uint8_t *raw;
    loom_result result;
    uint64_t hashes[HASHES_MAX];
} object;

object make_object(size_t bytes, pattern kind);
void free_object(object *made);

#endif
