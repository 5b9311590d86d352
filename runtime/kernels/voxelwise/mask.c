/* mask.c - an image where a mask is set, another value elsewhere: vox1.mask and simpleitk.Mask. One pass in parts, no
 * scratch memory.
 *
 * vox1's mask is set where as-bool is not 0, and 0 stands elsewhere; SimpleITK's where the voxel, of whole numbers, is
 * not the masking value, in its own pixel type (itkMaskImageFilter.h). */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/operands.h"

/* Pixels move as bits; without a branch, which the compiler would not vectorise. */
#define KEEP_WHERE(type_)                                                                                              \
    static LOOM_SIMD void keep_##type_(const void *source, const uint8_t *restrict mask, type_ outside, void *target,  \
                                       size_t count) {                                                                 \
        const type_ *restrict in = source;                                                                             \
        type_ *restrict out = target;                                                                                  \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (type_)(outside ^ ((in[k] ^ outside) & (mask[k] != 0 ? ~(type_)0 : (type_)0)));                   \
    }
KEEP_WHERE(uint8_t)
KEEP_WHERE(uint16_t)
KEEP_WHERE(uint32_t)
KEEP_WHERE(uint64_t)

/* Masks `count` voxels of so many components, `bytes` each. */
static void keep_where(size_t bytes, size_t components, const uint8_t *in, const uint8_t *mask, loom_pixel outside,
                       uint8_t *out, size_t count) {
    const size_t voxel_bytes = bytes * components;
    if (components > 1) {
        for (size_t k = 0; k < count; k++)
            if (mask[k] != 0)
                memcpy(out + k * voxel_bytes, in + k * voxel_bytes, voxel_bytes);
            else
                for (size_t c = 0; c < components; c++)
                    memcpy(out + k * voxel_bytes + c * bytes, &outside, bytes);
    } else if (bytes == 1) {
        keep_uint8_t(in, mask, outside.as_uint8_t, out, count);
    } else if (bytes == 2) {
        keep_uint16_t(in, mask, outside.as_uint16_t, out, count);
    } else if (bytes == 4) {
        keep_uint32_t(in, mask, outside.as_uint32_t, out, count);
    } else {
        keep_uint64_t(in, mask, outside.as_uint64_t, out, count);
    }
}

typedef struct masking {
    bool exact;         /* set where the voxel is not `unset`; else where as-bool is not 0 */
    int64_t unset;      /* in the mask's pixel type, its bits as those of a 64-bit number */
    loom_pixel outside; /* in the image's */
} masking;

static LOOM_SIMD void where_bytes(const uint8_t *in, uint8_t unset, uint8_t *restrict out, size_t count) {
    for (size_t k = 0; k < count; k++)
        out[k] = in[k] != unset;
}

/* Truth of `count` voxels, at most LOOM_CHUNK; in the buffer or in the image. */
static const uint8_t *truth_of(const masking *how, const loom_value *mask, uint64_t first, size_t count,
                               uint8_t *buffer) {
    enum { ROW = 512 };
    int64_t wide[ROW];
    const uint8_t dtype = mask->image.header->dtype;
    if (!how->exact) return loom_as_u8(mask, first, count, buffer);
    if (loom_dtype_bytes(dtype) == 1) {
        where_bytes(loom_values_at(mask, first), (uint8_t)how->unset, buffer, count);
        return buffer;
    }
    for (size_t at = 0; at < count; at += ROW) {
        const size_t some = count - at < ROW ? count - at : ROW;
        loom_cast(dtype, loom_values_at(mask, first + at), LOOM_I64, wide, some);
        for (size_t k = 0; k < some; k++)
            buffer[at + k] = wide[k] != how->unset;
    }
    return buffer;
}

static loom_status mask_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    const masking *how = part->state;
    uint8_t buffer[LOOM_CHUNK];
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    const size_t bytes = loom_dtype_bytes(image->image.header->dtype), components = image->image.header->components;
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        const uint8_t *truth = truth_of(how, mask, first, count, buffer);
        keep_where(bytes, components, (const uint8_t *)image->image.voxels + first * bytes * components, truth,
                   how->outside, (uint8_t *)part->voxels + first * bytes * components, count);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {mask_part};
const loom_loops loom_loops_mask = {.run = loops, .count = 1};

static loom_status run_mask(loom_call *call, const loom_value *image, loom_dtype dtype, masking how) {
    void *voxels = NULL;
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header), LOOM_PART_VALUES, &how, sizeof how);
}

static loom_status read_images(loom_call *call, unsigned kinds, const loom_value **image, const loom_value **mask) {
    LOOM_TRY(loom_arg_any_image(call, 0, image));
    LOOM_TRY(loom_arg_pixels_of(call, 1, kinds, mask));
    return loom_arg_same_domain(call, *image, 0, *mask, 1);
}

loom_status loom_run_mask(loom_call *call) {
    const loom_value *image = NULL, *mask = NULL;
    LOOM_TRY(read_images(call, 0, &image, &mask));
    return run_mask(call, image, (loom_dtype)image->image.header->dtype, (masking){.exact = false});
}

loom_status loom_run_sitk_mask(loom_call *call) {
    const loom_value *image = NULL, *mask = NULL;
    masking how = {.exact = true};
    double outside = 0, unset = 0;
    LOOM_TRY(read_images(call, LOOM_OPERANDS_WHOLE, &image, &mask));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &outside));
    if (call->argument_count > 3) LOOM_TRY(loom_arg_number(call, 3, &unset));
    const uint8_t dtype = image->image.header->dtype, mask_dtype = mask->image.header->dtype;
    const loom_pixel of_mask = loom_pixel_from_double(mask_dtype, unset);
    loom_cast(mask_dtype, &of_mask, LOOM_I64, &how.unset, 1);
    how.outside = loom_pixel_from_double(dtype, outside);
    /* What is put into a boolean image may be no truth value. */
    const bool boolean = dtype == LOOM_BOOL8 && how.outside.as_uint8_t <= 1;
    return run_mask(call, image, dtype == LOOM_BOOL8 && !boolean ? LOOM_U8 : (loom_dtype)dtype, how);
}
