/* vectors.c - components of images: simpleitk's Compose and VectorIndexSelectionCast, vox1's rgb, rgba, red, green,
 * blue, alpha. Components are gathered and scattered in their own type, and converted a row at a time. In parts, no
 * scratch memory. */
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/image_list.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/pixel_ids.h"

enum { ROW = 1024 }; /* voxels that are worked on at a time */
enum { SELECT_LOOP, COMPOSE_LOOP, FILL_LOOP };

/* Values `stride` apart, moved as bits. */
#define MOVE_EACH(type_)                                                                                               \
    static void move_##type_(const void *source, size_t from_stride, void *target, size_t to_stride, size_t count) {   \
        const type_ *in = source;                                                                                      \
        type_ *out = target;                                                                                           \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k * to_stride] = in[k * from_stride];                                                                  \
    }
MOVE_EACH(uint8_t)
MOVE_EACH(uint16_t)
MOVE_EACH(uint32_t)
MOVE_EACH(uint64_t)

static void move_values(size_t bytes, const void *in, size_t from_stride, void *out, size_t to_stride, size_t count) {
    if (bytes == 1)
        move_uint8_t(in, from_stride, out, to_stride, count);
    else if (bytes == 2)
        move_uint16_t(in, from_stride, out, to_stride, count);
    else if (bytes == 4)
        move_uint32_t(in, from_stride, out, to_stride, count);
    else
        move_uint64_t(in, from_stride, out, to_stride, count);
}

/* ---- one component ---- */

typedef struct selection {
    uint32_t component;
    uint8_t to; /* pixel type of the result */
} selection;

static loom_status select_part(loom_part *part) {
    const loom_value *image = NULL;
    const selection *how = part->state;
    uint64_t row[ROW]; /* values of any type */
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const size_t components = image->image.header->components;
    const uint8_t dtype = image->image.header->dtype;
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += ROW) {
        const size_t count = end - first < ROW ? (size_t)(end - first) : ROW;
        move_values(loom_dtype_bytes(dtype), loom_values_at(image, first * components + how->component), components,
                    row, 1, count);
        loom_cast(dtype, row, how->to, loom_values_of(part->voxels, how->to, first), count);
    }
    return LOOM_OK;
}

static loom_status run_selection(loom_call *call, const loom_image_header *header, selection how) {
    void *voxels = NULL;
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)how.to, 1, &voxels));
    return loom_run_parts(call, SELECT_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, &how, sizeof how);
}

static loom_status colour(loom_call *call, unsigned component) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    if (header->components < 2 || component >= header->components)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 has %u component%s a voxel; `%s` needs a colour image: make one with `rgb`",
                         header->components, header->components == 1 ? "" : "s", call->op->name);
    return run_selection(call, header, (selection){.component = component, .to = LOOM_F32});
}

loom_status loom_run_red(loom_call *call) {
    return colour(call, 0);
}
loom_status loom_run_green(loom_call *call) {
    return colour(call, 1);
}
loom_status loom_run_blue(loom_call *call) {
    return colour(call, 2);
}

static loom_status opaque_part(loom_part *part) {
    float *out = (float *)part->voxels + part->first;
    for (uint64_t k = 0; k < part->count; k++)
        out[k] = 255.0f;
    return LOOM_OK;
}

loom_status loom_run_alpha(loom_call *call) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    if (header->components >= 4) return colour(call, 3);
    void *voxels = NULL;
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    return loom_run_parts(call, FILL_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, NULL, 0);
}

/* The index, and the pixel type of the result: by default that of the components. */
loom_status loom_run_sitk_select_component(loom_call *call) {
    const loom_value *image = NULL;
    int64_t index = 0, number = LOOM_PIXEL_ID_UNKNOWN;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    if (header->components < 2) return loom_arg_refuse(call, 0, "an image of several components");
    if (call->argument_count > 1) LOOM_TRY(loom_arg_integer(call, 1, false, &index));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_integer(call, 2, false, &number));
    if (index < 0 || index >= header->components)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument 1 of `%s` has components 0 to %u, and none %lld",
                         call->op->name, header->components - 1u, (long long)index);
    selection how = {.component = (uint32_t)index, .to = header->dtype};
    bool vector = false;
    if (number != LOOM_PIXEL_ID_UNKNOWN && !loom_pixel_id_dtype(number, &how.to, &vector))
        return loom_arg_refuse(call, 2, "the number of a pixel type: GetPixelIDValueFromString(\"sitkFloat32\")");
    return run_selection(call, header, how);
}

/* ---- all components ---- */

typedef struct composition {
    uint16_t components;
    uint8_t to;
} composition;

static loom_status compose_part(loom_part *part) {
    const composition *how = part->state;
    const size_t bytes = loom_dtype_bytes(how->to);
    uint64_t row[ROW];
    for (uint32_t c = 0; c < how->components; c++) {
        const loom_value *image = NULL;
        LOOM_TRY(loom_arg_image_at(part->call, c, &image));
        for (uint64_t first = part->first, end = part->first + part->count; first < end; first += ROW) {
            const size_t count = end - first < ROW ? (size_t)(end - first) : ROW;
            loom_cast(image->image.header->dtype, loom_values_at(image, first), how->to, row, count);
            move_values(bytes, row, 1, loom_values_of(part->voxels, how->to, first * how->components + c),
                        how->components, count);
        }
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {
    [SELECT_LOOP] = select_part, [COMPOSE_LOOP] = compose_part, [FILL_LOOP] = opaque_part};
const loom_loops loom_loops_vectors = {.run = loops, .count = 3};

static loom_status run_composition(loom_call *call, const loom_image_header *header, composition how) {
    void *voxels = NULL;
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)how.to, how.components, &voxels));
    return loom_run_parts(call, COMPOSE_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, &how, sizeof how);
}

static loom_status colours(loom_call *call, uint16_t components) {
    const loom_value *image[4] = {NULL};
    for (uint16_t c = 0; c < components; c++) {
        LOOM_TRY(loom_arg_image(call, c, &image[c]));
        if (c > 0) LOOM_TRY(loom_arg_same_domain(call, image[0], 0, image[c], c));
    }
    return run_composition(call, image[0]->image.header, (composition){.components = components, .to = LOOM_F32});
}

loom_status loom_run_rgb(loom_call *call) {
    return colours(call, 3);
}
loom_status loom_run_rgba(loom_call *call) {
    return colours(call, 4);
}

loom_status loom_run_sitk_compose(loom_call *call) {
    const loom_value *first = NULL;
    uint32_t count = 0, next = 0;
    LOOM_TRY(loom_arg_image_count(call, &count, &next));
    LOOM_TRY(loom_arg_images_alike(call, count));
    LOOM_TRY(loom_arg_image_at(call, 0, &first));
    const loom_image_header *header = first->image.header;
    if (header->components > 1)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "the images of `%s` have %u components; it needs one each",
                         call->op->name, header->components);
    if (call->argument_count > next) return loom_arg_refuse(call, next, "images only");
    const uint8_t to = header->dtype == LOOM_BOOL8 ? (uint8_t)LOOM_U8 : header->dtype;
    return run_composition(call, header, (composition){.components = (uint16_t)count, .to = to});
}
