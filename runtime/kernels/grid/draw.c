/* draw.c - plane shapes: blank, circle, regular_polygon. Rows in parts, no scratch memory. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"

enum { BLANK_LOOP, SHAPE_LOOP };

/* Voxels on the edge of a polygon belong to it, whatever the last bits of sines: so much is added to its size. */
#define EDGE 1e-12

/* A disc, or with sides a regular polygon in it, one of whose corners points to smaller x. */
typedef struct shape {
    double cx, cy, radius;
    double sides; /* 0: a disc */
    loom_pixel value;
} shape;

/* ---- blank ---- */

static loom_status blank_part(loom_part *part) {
    const float value = *(const float *)part->state;
    float *out = (float *)part->voxels + part->first;
    for (uint64_t k = 0; k < part->count; k++)
        out[k] = value;
    return LOOM_OK;
}

loom_status loom_run_blank(loom_call *call) {
    int64_t height = 0, width = 0;
    double number = 0;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_integer(call, 0, true, &height));
    LOOM_TRY(loom_arg_integer(call, 1, true, &width));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &number));
    if (height <= 0 || width <= 0)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got a height of %lld and a width of %lld; both must be positive", call->op->name,
                         (long long)height, (long long)width);
    const uint64_t size[] = {(uint64_t)width, (uint64_t)height};
    loom_image_header header = loom_image_header_make(LOOM_F32, 2, size);
    LOOM_TRY(loom_image_header_check(&header, call->err));
    LOOM_TRY(loom_result_image(call, &header, LOOM_F32, 1, &voxels));
    float value = (float)number;
    return loom_run_parts(call, BLANK_LOOP, loom_image_voxels(&header), LOOM_PART_VALUES, &value, sizeof value);
}

/* ---- shapes ---- */

static bool is_inside(const shape *of, double dx, double dy) {
    if (of->sides == 0) return dx * dx + dy * dy <= of->radius * of->radius;
    const double pi = 3.14159265358979323846, sector = 2 * pi / of->sides, apothem = of->radius * cos(sector / 2);
    double distance = hypot(dx, dy);
    if (distance > of->radius * (1 + EDGE)) return false;
    if (distance <= apothem) return true;
    double from_corner = fmod(atan2(dy, dx) + pi, sector); /* of the angle, 0 up to the sector */
    double across = cos(from_corner - sector / 2);
    return distance <= apothem / (across > 1e-9 ? across : 1e-9) * (1 + EDGE);
}

/* Some rows. */
static loom_status shape_part(loom_part *part) {
    const shape *of = part->state;
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t width = header->size[0];
    const size_t bytes = loom_dtype_bytes(header->dtype);
    for (uint64_t y = part->first; y < part->first + part->count; y++) {
        uint8_t *row = loom_values_of(part->voxels, header->dtype, y * width);
        double dy = (double)y - of->cy;
        memcpy(row, loom_values_at(image, y * width), width * bytes);
        if (fabs(dy) > of->radius) continue;
        for (uint64_t x = 0; x < width; x++)
            if (is_inside(of, (double)x - of->cx, dy)) memcpy(row + x * bytes, &of->value, bytes);
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {[BLANK_LOOP] = blank_part, [SHAPE_LOOP] = shape_part};
const loom_loops loom_loops_draw = {.run = loops, .count = 2};

static loom_status draw(loom_call *call, bool polygon) {
    const loom_value *image = NULL;
    int64_t cx = 0, cy = 0, radius = 0, sides = 0;
    double value = 0;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_integer(call, 1, true, &cx));
    LOOM_TRY(loom_arg_integer(call, 2, true, &cy));
    LOOM_TRY(loom_arg_integer(call, 3, true, &radius));
    if (polygon) LOOM_TRY(loom_arg_integer(call, 4, true, &sides));
    LOOM_TRY(loom_arg_number(call, polygon ? 5 : 4, &value));
    const loom_image_header *header = image->image.header;
    if (header->rank != 2)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got an image of %u dimensions; it draws on 2",
                         call->op->name, header->rank);
    if (radius <= 0)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got a radius of %lld; it must be positive", call->op->name,
                         (long long)radius);
    if (polygon && sides < 3)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got %lld sides; a polygon has 3 or more", call->op->name,
                         (long long)sides);
    shape of = {.cx = (double)cx,
                .cy = (double)cy,
                .radius = (double)radius,
                .sides = (double)sides,
                .value = loom_pixel_from_double(header->dtype, value)};
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)header->dtype, 1, &voxels));
    return loom_run_parts(call, SHAPE_LOOP, header->size[1], loom_rows_a_part(header), &of, sizeof of);
}

loom_status loom_run_circle(loom_call *call) {
    return draw(call, false);
}
loom_status loom_run_regular_polygon(loom_call *call) {
    return draw(call, true);
}
