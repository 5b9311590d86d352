/* voxels.c - which image a NIfTI header describes, and the conversion of its stored numbers. */
#include "io/nifti/voxels.h"

#include <float.h>
#include <math.h>

#include "io/nifti/geometry.h"
#include "io/numbers.h"

/* ---- the image ---- */

static loom_status find_type(const loom_nifti *header, const char *name, loom_image_header *image, loom_error *err) {
    static const struct {
        int code;
        loom_dtype dtype;
        uint16_t components;
    } types[] = {
        {LOOM_NIFTI_U8, LOOM_U8, 1},   {LOOM_NIFTI_I8, LOOM_I8, 1},    {LOOM_NIFTI_U16, LOOM_U16, 1},
        {LOOM_NIFTI_I16, LOOM_I16, 1}, {LOOM_NIFTI_U32, LOOM_U32, 1},  {LOOM_NIFTI_I32, LOOM_I32, 1},
        {LOOM_NIFTI_U64, LOOM_U64, 1}, {LOOM_NIFTI_I64, LOOM_I64, 1},  {LOOM_NIFTI_F32, LOOM_F32, 1},
        {LOOM_NIFTI_F64, LOOM_F64, 1}, {LOOM_NIFTI_RGB24, LOOM_U8, 3}, {LOOM_NIFTI_RGBA32, LOOM_U8, 4},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].code != header->datatype) continue;
        image->dtype = (uint8_t)types[i].dtype;
        image->components = types[i].components;
        return LOOM_OK;
    }
    switch (header->datatype) {
    case LOOM_NIFTI_COMPLEX64:
    case LOOM_NIFTI_COMPLEX128:
    case LOOM_NIFTI_COMPLEX256:
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: has complex voxels; save its magnitude or its real part as a float image", name);
    case LOOM_NIFTI_F128:
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: has 128-bit float voxels; save it as float64", name);
    default:
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its header names datatype %d, which NIfTI does not define for images", name,
                         header->datatype);
    }
}

/* dim[1..7] with niftilib's repair: 0 within the defined axes, and anything beyond them, counts as 1. */
static loom_status find_sizes(const loom_nifti *header, const char *name, uint64_t sizes[7], loom_error *err) {
    if (header->dim[0] < 1 || header->dim[0] > 7)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header claims %lld axes; NIfTI has 1 to 7", name,
                         (long long)header->dim[0]);
    for (unsigned axis = 0; axis < 7; axis++) {
        int64_t size = header->dim[axis + 1];
        sizes[axis] = 1;
        if ((int64_t)axis >= header->dim[0]) continue;
        if (size < 0 || (size == 0 && axis == 0))
            return loom_fail(err, LOOM_BAD_INPUT,
                             "%s: its header claims a size of %lld along axis %u; the header is damaged", name,
                             (long long)size, axis + 1);
        if (size > 0) sizes[axis] = (uint64_t)size;
    }
    return LOOM_OK;
}

static bool is_vector(const loom_nifti *header) {
    return header->intent == LOOM_NIFTI_INTENT_VECTOR || header->intent == LOOM_NIFTI_INTENT_DISPVECT;
}

/* ITK's rank: all axes that the header defines, less trailing ones of size 1 down to three; of a vector image the
 * axes up to the last that is longer than 1. */
static unsigned find_rank(const loom_nifti *header, const uint64_t sizes[7]) {
    if (is_vector(header)) {
        unsigned rank = 4;
        while (rank > 2 && sizes[rank - 1] == 1)
            rank--;
        return rank;
    }
    unsigned rank = (unsigned)header->dim[0];
    while (rank > 3 && sizes[rank - 1] == 1)
        rank--;
    return rank;
}

static loom_status find_shape(const loom_nifti *header, const char *name, loom_image_header *image,
                              loom_nifti_layout *layout, loom_error *err) {
    uint64_t sizes[7];
    LOOM_TRY(find_sizes(header, name, sizes, err));
    if (header->intent == LOOM_NIFTI_INTENT_SYMMATRIX)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: holds symmetric matrices; save its elements as separate images",
                         name);
    if (is_vector(header) && sizes[4] > 1) {
        if (image->components > 1 || sizes[4] > UINT16_MAX)
            return loom_fail(err, LOOM_UNSUPPORTED, "%s: has vectors of %llu elements, which are not supported", name,
                             (unsigned long long)sizes[4] * image->components);
        image->components = (uint16_t)sizes[4];
        layout->planar = true;
        sizes[4] = 1;
    }
    unsigned rank = find_rank(header, sizes);
    if (rank == 1) return loom_fail(err, LOOM_UNSUPPORTED, "%s: has one axis; images have two to four", name);
    if (rank > LOOM_RANK_MAX || sizes[4] > 1 || sizes[5] > 1 || sizes[6] > 1)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: has more than four axes; split it along the last one", name);
    image->rank = (uint8_t)rank;
    layout->voxels = 1;
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++) {
        image->size[axis] = axis < rank ? sizes[axis] : 1;
        if (__builtin_mul_overflow(layout->voxels, image->size[axis], &layout->voxels))
            return loom_fail(err, LOOM_TOO_LARGE, "%s: its header claims more voxels than any machine can hold", name);
    }
    return LOOM_OK;
}

/* ITK's MustRescale, where niftilib has turned numbers that are not finite into 0. A slope of 0 means no scaling, as
 * nifti1.h says, and colours are not scaled. */
static void find_scaling(const loom_nifti *header, loom_image_header *image, loom_nifti_layout *layout) {
    layout->slope = isfinite(header->slope) ? header->slope : 0.0;
    layout->inter = isfinite(header->inter) ? header->inter : 0.0;
    bool colour = header->datatype == LOOM_NIFTI_RGB24 || header->datatype == LOOM_NIFTI_RGBA32;
    layout->scaled = !colour && fabs(layout->slope) > DBL_EPSILON &&
                     (fabs(layout->slope - 1.0) > DBL_EPSILON || fabs(layout->inter) > DBL_EPSILON);
    if (layout->scaled && image->dtype != LOOM_F64) image->dtype = LOOM_F32;
}

static loom_status find_data(const loom_nifti *header, const char *name, const loom_image_header *image,
                             loom_nifti_layout *layout, loom_error *err) {
    uint64_t number_bytes = (uint64_t)loom_dtype_bytes(layout->stored_type) * image->components;
    if (__builtin_mul_overflow(layout->voxels, number_bytes, &layout->data_bytes) || layout->data_bytes > (uint64_t)1
                                                                                                              << 47)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: its header claims more voxels than a store can hold", name);
    if (!(header->vox_offset >= 0.0 && header->vox_offset < 0x1p47))
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header puts the voxels at offset %g; the header is damaged",
                         name, header->vox_offset);
    uint64_t smallest = header->version == 1 ? LOOM_NIFTI1_BYTES : LOOM_NIFTI2_BYTES;
    layout->data_offset = (uint64_t)header->vox_offset;
    if (layout->data_offset < smallest) layout->data_offset = smallest; /* as niftilib */
    return LOOM_OK;
}

loom_status loom_nifti_describe(const loom_nifti *header, const char *name, loom_image_header *image,
                                loom_nifti_layout *layout, loom_error *err) {
    if (header->pair)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: is the header of a .hdr/.img pair; convert the pair to a single .nii.gz file", name);
    const uint64_t unit[LOOM_RANK_MAX] = {1, 1, 1, 1};
    *image = loom_image_header_make(LOOM_U8, LOOM_RANK_MAX, unit);
    *layout = (loom_nifti_layout){.swapped = header->swapped};
    LOOM_TRY(find_type(header, name, image, err));
    layout->stored_type = image->dtype;
    LOOM_TRY(find_shape(header, name, image, layout, err));
    find_scaling(header, image, layout);
    LOOM_TRY(find_data(header, name, image, layout, err));
    LOOM_TRY(loom_nifti_to_geometry(header, name, image, err));
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(image, &detail);
    if (status == LOOM_OK) return LOOM_OK;
    return loom_fail(err, status == LOOM_TOO_LARGE ? status : LOOM_BAD_INPUT, "%s: %s", name, detail.message);
}

/* ---- the voxels ---- */

/* All bits of the exponent set: an infinity or a NaN. */
static void clear_non_finite(uint8_t dtype, void *numbers, size_t count) {
    if (dtype == LOOM_F32) {
        uint32_t *n = numbers;
        for (size_t i = 0; i < count; i++)
            n[i] = (n[i] & 0x7f800000u) == 0x7f800000u ? 0 : n[i];
    } else if (dtype == LOOM_F64) {
        const uint64_t exponent = (uint64_t)0x7ff << 52;
        uint64_t *n = numbers;
        for (size_t i = 0; i < count; i++)
            n[i] = (n[i] & exponent) == exponent ? 0 : n[i];
    }
}

/* ITK first casts to float, then scales in double and rounds to float. */
#define DEFINE_SCALE(name, type)                                                                                       \
    static void scale_##name(const void *from, float *to, size_t count, double slope, double inter) {                  \
        const type *numbers = from;                                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                           \
            double value = (double)(float)numbers[i] * slope;                                                          \
            to[i] = (float)(value + inter);                                                                            \
        }                                                                                                              \
    }
DEFINE_SCALE(u8, uint8_t)
DEFINE_SCALE(i8, int8_t)
DEFINE_SCALE(u16, uint16_t)
DEFINE_SCALE(i16, int16_t)
DEFINE_SCALE(u32, uint32_t)
DEFINE_SCALE(i32, int32_t)
DEFINE_SCALE(u64, uint64_t)
DEFINE_SCALE(i64, int64_t)
DEFINE_SCALE(f32, float)
#undef DEFINE_SCALE

static void scale_f64(const double *from, double *to, size_t count, double slope, double inter) {
    for (size_t i = 0; i < count; i++) {
        double value = from[i] * slope;
        to[i] = value + inter;
    }
}

static void scale(const loom_nifti_layout *layout, const void *from, void *to, size_t count) {
    typedef void scaler(const void *from, float *to, size_t count, double slope, double inter);
    static scaler *const scalers[] = {[LOOM_U8] = scale_u8,   [LOOM_I8] = scale_i8,   [LOOM_U16] = scale_u16,
                                      [LOOM_I16] = scale_i16, [LOOM_U32] = scale_u32, [LOOM_I32] = scale_i32,
                                      [LOOM_U64] = scale_u64, [LOOM_I64] = scale_i64, [LOOM_F32] = scale_f32};
    if (layout->stored_type == LOOM_F64)
        scale_f64(from, to, count, layout->slope, layout->inter);
    else
        scalers[layout->stored_type](from, to, count, layout->slope, layout->inter);
}

void loom_nifti_convert(const loom_nifti_layout *layout, void *from, void *to, size_t count) {
    if (layout->swapped) loom_swap_numbers(from, loom_dtype_bytes(layout->stored_type), count);
    clear_non_finite(layout->stored_type, from, count);
    if (layout->scaled) scale(layout, from, to, count);
}
