/* image.c - pixel types, and headers: made, checked when they come from outside, and compared as domains. */
#include "shm/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define IMAGE_BYTES_MAX (UINT64_C(1) << 47) /* what one process can map on x86-64 */
#define WHY_BYTES 160

size_t loom_dtype_bytes(uint8_t dtype) {
    switch (dtype) {
#define LOOM_DTYPE_BYTES(name, value, bytes, text, itk)                                                                \
    case name:                                                                                                         \
        return bytes;
        LOOM_DTYPE_LIST(LOOM_DTYPE_BYTES)
#undef LOOM_DTYPE_BYTES
    default:
        return 0;
    }
}

const char *loom_dtype_name(uint8_t dtype) {
    switch (dtype) {
#define LOOM_DTYPE_NAME(name, value, bytes, text, itk)                                                                 \
    case name:                                                                                                         \
        return text;
        LOOM_DTYPE_LIST(LOOM_DTYPE_NAME)
#undef LOOM_DTYPE_NAME
    default:
        return "?";
    }
}

const char *loom_dtype_itk_name(uint8_t dtype) {
    switch (dtype) {
#define LOOM_DTYPE_ITK(name, value, bytes, text, itk)                                                                  \
    case name:                                                                                                         \
        return itk;
        LOOM_DTYPE_LIST(LOOM_DTYPE_ITK)
#undef LOOM_DTYPE_ITK
    default:
        return "?";
    }
}

loom_image_header loom_image_header_make(loom_dtype dtype, unsigned rank, const uint64_t size[]) {
    loom_image_header header;
    memset(&header, 0, sizeof header);
    header.dtype = (uint8_t)dtype;
    header.rank = (uint8_t)rank;
    header.components = 1;
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++) {
        header.size[axis] = axis < rank ? size[axis] : 1;
        header.spacing[axis] = 1.0;
        header.direction[axis * LOOM_RANK_MAX + axis] = 1.0;
    }
    return header;
}

static bool has_bits_of(double value, double expected) {
    return memcmp(&value, &expected, sizeof value) == 0;
}

/* Exactly size 1, spacing 1, origin +0 and identity rows and columns, so that equal images have equal headers. */
static bool axis_is_neutral(const loom_image_header *header, unsigned axis) {
    if (header->size[axis] != 1 || !has_bits_of(header->spacing[axis], 1.0) || !has_bits_of(header->origin[axis], 0.0))
        return false;
    for (unsigned other = 0; other < LOOM_RANK_MAX; other++) {
        double expected = other == axis ? 1.0 : 0.0;
        if (!has_bits_of(header->direction[axis * LOOM_RANK_MAX + other], expected)) return false;
        if (!has_bits_of(header->direction[other * LOOM_RANK_MAX + axis], expected)) return false;
    }
    return true;
}

static loom_status check_geometry(const loom_image_header *header, unsigned axis, loom_error *err) {
    double spacing = header->spacing[axis];
    if (!isfinite(spacing) || spacing <= 0)
        return loom_fail(err, LOOM_BAD_INPUT, "the image's spacing along axis %u is %g; it must be positive", axis,
                         spacing);
    if (!isfinite(header->origin[axis]))
        return loom_fail(err, LOOM_BAD_INPUT, "the image's origin along axis %u is not a finite number", axis);
    for (unsigned other = 0; other < LOOM_RANK_MAX; other++)
        if (!isfinite(header->direction[axis * LOOM_RANK_MAX + other]))
            return loom_fail(err, LOOM_BAD_INPUT, "the image's direction matrix has an entry that is not finite");
    return LOOM_OK;
}

static loom_status check_bytes(const loom_image_header *header, loom_error *err) {
    uint64_t bytes = (uint64_t)header->components * loom_dtype_bytes(header->dtype);
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++) {
        if (header->size[axis] == 0)
            return loom_fail(err, LOOM_BAD_INPUT, "the image's size along axis %u is 0; it must be at least 1", axis);
        if (header->size[axis] > IMAGE_BYTES_MAX / bytes)
            return loom_fail(err, LOOM_TOO_LARGE,
                             "an image of %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                             " voxels exceeds 128 TiB; the header is damaged, or the image must be cut",
                             header->size[0], header->size[1], header->size[2], header->size[3]);
        bytes *= header->size[axis];
    }
    return LOOM_OK;
}

loom_status loom_image_header_check(const loom_image_header *header, loom_error *err) {
    if (loom_dtype_bytes(header->dtype) == 0)
        return loom_fail(err, LOOM_BAD_INPUT, "the image's pixel type %u is unknown", (unsigned)header->dtype);
    if (header->rank < 2 || header->rank > LOOM_RANK_MAX)
        return loom_fail(err, LOOM_BAD_INPUT, "the image has %u axes; 2 to 4 are supported", (unsigned)header->rank);
    if (header->components == 0) return loom_fail(err, LOOM_BAD_INPUT, "the image has no components per voxel");
    if (header->reserved != 0) return loom_fail(err, LOOM_BAD_INPUT, "the image header's reserved field is not 0");
    LOOM_TRY(check_bytes(header, err));
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++) {
        LOOM_TRY(check_geometry(header, axis, err));
        if (axis >= header->rank && !axis_is_neutral(header, axis))
            return loom_fail(err, LOOM_BAD_INPUT, "the image has %u axes but axis %u is not neutral",
                             (unsigned)header->rank, axis);
    }
    return LOOM_OK;
}

uint64_t loom_image_voxels(const loom_image_header *header) {
    return header->size[0] * header->size[1] * header->size[2] * header->size[3];
}

uint64_t loom_image_bytes(const loom_image_header *header) {
    return loom_image_voxels(header) * header->components * loom_dtype_bytes(header->dtype);
}

/* Writes the difference and returns false, for a one-line return. */
static bool differ(char *why, const char *what, unsigned axis, double a, double b) {
    if (why) snprintf(why, WHY_BYTES, "%s along axis %u: %.17g against %.17g", what, axis, a, b);
    return false;
}

/* False for NaN, too. */
static bool within(double a, double b, double tolerance) {
    return fabs(a - b) <= tolerance;
}

bool loom_image_same_domain(const loom_image_header *a, const loom_image_header *b, char *why) {
    if (why) why[0] = '\0';
    if (a->rank != b->rank) {
        if (why) snprintf(why, WHY_BYTES, "%u axes against %u", (unsigned)a->rank, (unsigned)b->rank);
        return false;
    }
    const double tolerance = 1e-6, length_tolerance = tolerance * fabs(a->spacing[0]);
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++) {
        if (a->size[axis] != b->size[axis]) {
            if (why)
                snprintf(why, WHY_BYTES, "size along axis %u: %" PRIu64 " against %" PRIu64, axis, a->size[axis],
                         b->size[axis]);
            return false;
        }
        if (!within(a->spacing[axis], b->spacing[axis], length_tolerance))
            return differ(why, "spacing", axis, a->spacing[axis], b->spacing[axis]);
        if (!within(a->origin[axis], b->origin[axis], length_tolerance))
            return differ(why, "origin", axis, a->origin[axis], b->origin[axis]);
    }
    for (unsigned entry = 0; entry < LOOM_RANK_MAX * LOOM_RANK_MAX; entry++)
        if (!within(a->direction[entry], b->direction[entry], tolerance))
            return differ(why, "direction", entry % LOOM_RANK_MAX, a->direction[entry], b->direction[entry]);
    return true;
}
