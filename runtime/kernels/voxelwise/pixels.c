/* pixels.c - images in other pixels: intensity and Cast.
 *
 * intensity of a colour image is the float32 luminance that was meant (defect S4 of VoxLogicA-2 is not reproduced). One
 * pass, no scratch memory. */
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/pixel_ids.h"

enum { CAST_LOOP, LUMINANCE_LOOP };

/* Units are component values; state: the pixel type of the result. */
static loom_status cast_part(loom_part *part) {
    const loom_value *image = NULL;
    const uint8_t *to = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    loom_cast(image->image.header->dtype, loom_values_at(image, part->first), *to,
              loom_values_of(part->voxels, *to, part->first), part->count);
    return LOOM_OK;
}

static loom_status cast_all(loom_call *call, const loom_image_header *header, loom_dtype to) {
    const uint8_t dtype = (uint8_t)to;
    return loom_run_parts(call, CAST_LOOP, loom_image_voxels(header) * header->components, LOOM_PART_VALUES, &dtype,
                          sizeof dtype);
}

static loom_status luminance_part(loom_part *part) {
    const loom_value *image = NULL;
    float buffer[3], *out = part->voxels;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    size_t components = image->image.header->components;
    for (uint64_t voxel = part->first; voxel < part->first + part->count; voxel++) {
        const float *c = loom_as_float(image, voxel * components, 3, buffer);
        out[voxel] = 0.2126f * c[0] + 0.7152f * c[1] + 0.0722f * c[2];
    }
    return LOOM_OK;
}

loom_status loom_run_intensity(loom_call *call) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    if (header->components == 2)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 of `%s` has 2 components a voxel; it needs 1, or at least 3 for a colour image",
                         call->op->name);
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    if (header->components == 1) return cast_all(call, header, LOOM_F32);
    return loom_run_parts(call, LUMINANCE_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, NULL, 0);
}

/* Vectors to vectors and scalars to both; as SimpleITK, a vector image to no scalar type. */
loom_status loom_run_cast(loom_call *call) {
    const loom_value *image = NULL;
    int64_t number = 0;
    uint8_t to = 0;
    bool vector = false;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    LOOM_TRY(loom_arg_integer(call, 1, false, &number));
    const loom_image_header *header = image->image.header;
    if (!loom_pixel_id_dtype(number, &to, &vector))
        return loom_arg_refuse(call, 1,
                               "the number of a pixel type, not complex and no label map: "
                               "GetPixelIDValueFromString(\"sitkFloat32\")");
    if (header->components > 1 && !vector)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` makes no scalars of %u components; use a vector type, or VectorIndexSelectionCast",
                         call->op->name, header->components);
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)to, header->components, &voxels));
    return cast_all(call, header, (loom_dtype)to);
}

static const loom_part_run loops[] = {[CAST_LOOP] = cast_part, [LUMINANCE_LOOP] = luminance_part};
const loom_loops loom_loops_pixels = {.run = loops, .count = 2};
