/* slice.c - picks the voxels of a slice, stretches their grey values, enlarges them and draws a mask over them. */
#include "runtime/cli/slice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pixels_wanted = 512;
static const uint64_t edge_max = 16384;

static double voxel_at(const loom_image_header *header, const void *voxels, uint64_t index) {
    switch ((loom_dtype)header->dtype) {
    case LOOM_BOOL8:
    case LOOM_U8:
        return ((const uint8_t *)voxels)[index];
    case LOOM_I8:
        return ((const int8_t *)voxels)[index];
    case LOOM_U16:
        return ((const uint16_t *)voxels)[index];
    case LOOM_I16:
        return ((const int16_t *)voxels)[index];
    case LOOM_U32:
        return ((const uint32_t *)voxels)[index];
    case LOOM_I32:
        return ((const int32_t *)voxels)[index];
    case LOOM_U64:
        return (double)((const uint64_t *)voxels)[index];
    case LOOM_I64:
        return (double)((const int64_t *)voxels)[index];
    case LOOM_F32:
        return (double)((const float *)voxels)[index];
    case LOOM_F64:
        return ((const double *)voxels)[index];
    }
    return 0;
}

/* A slice: `across` and `down` are the volume's axes that its columns and rows run along. */
typedef struct slice_plane {
    unsigned axis, across, down;
    uint64_t index, columns, rows;
} slice_plane;

static slice_plane plane_of(const loom_image_header *header, unsigned axis, uint64_t index) {
    slice_plane plane = {.axis = axis, .across = axis == 0 ? 1 : 0, .down = axis == 2 ? 1 : 2, .index = index};
    plane.columns = header->size[plane.across];
    plane.rows = header->size[plane.down];
    return plane;
}

/* Coordinates grow towards the patient's left, back and top (LPS): an axial slice is read as it lies, the others from
 * the top down. */
static uint64_t index_of(const loom_image_header *header, const slice_plane *plane, uint64_t column, uint64_t row) {
    uint64_t at[3] = {0, 0, 0};
    at[plane->axis] = plane->index;
    at[plane->across] = column;
    at[plane->down] = plane->axis == 2 ? row : plane->rows - 1 - row;
    return at[0] + header->size[0] * (at[1] + header->size[1] * at[2]);
}

uint64_t loom_slice_fullest(const loom_image_header *header, const void *voxels, unsigned axis) {
    uint64_t best = header->size[axis] / 2;
    uint64_t most = 0;
    for (uint64_t index = 0; index < header->size[axis]; index++) {
        slice_plane plane = plane_of(header, axis, index);
        uint64_t count = 0;
        for (uint64_t row = 0; row < plane.rows; row++)
            for (uint64_t column = 0; column < plane.columns; column++)
                count += voxel_at(header, voxels, index_of(header, &plane, column, row)) != 0;
        if (count <= most) continue;
        most = count;
        best = index;
    }
    return best;
}

/* ---- grey values ---- */

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The window [low, high] of the finite values. */
static void window_of(double *sorted, uint64_t count, double *low, double *high) {
    qsort(sorted, count, sizeof *sorted, ascending);
    *low = count > 0 ? sorted[count / 100] : 0;
    *high = count > 0 ? sorted[count - 1 - count / 200] : 1;
    /* A mask, or a slice that is nearly empty: use the whole range. */
    if (!(*high > *low)) {
        *low = count > 0 ? sorted[0] : 0;
        *high = count > 0 ? sorted[count - 1] : 1;
    }
    if (!(*high > *low)) *high = *low + 1;
}

/* The slice's values, scaled to 0..1; what is not a number becomes 0. NULL when out of memory. */
static double *grey_values(const loom_image_header *header, const void *voxels, const slice_plane *plane) {
    uint64_t count = plane->columns * plane->rows;
    double *values = malloc(count * sizeof *values);
    double *sorted = malloc(count * sizeof *sorted);
    uint64_t finite = 0;
    for (uint64_t i = 0; i < count && values != NULL && sorted != NULL; i++) {
        values[i] = voxel_at(header, voxels, index_of(header, plane, i % plane->columns, i / plane->columns));
        if (isfinite(values[i])) sorted[finite++] = values[i];
    }
    if (values != NULL && sorted != NULL) {
        double low, high;
        window_of(sorted, finite, &low, &high);
        for (uint64_t i = 0; i < count; i++)
            values[i] = isnan(values[i]) ? 0 : fmin(fmax((values[i] - low) / (high - low), 0), 1);
    } else {
        free(values);
        values = NULL;
    }
    free(sorted);
    return values;
}

/* ---- enlarging ---- */

/* Bilinear; x and y in voxels, voxel centres at whole numbers. */
static double sample(const double *values, const slice_plane *plane, double x, double y) {
    x = fmin(fmax(x, 0), (double)(plane->columns - 1));
    y = fmin(fmax(y, 0), (double)(plane->rows - 1));
    uint64_t x0 = (uint64_t)x;
    uint64_t y0 = (uint64_t)y;
    uint64_t x1 = x0 + 1 < plane->columns ? x0 + 1 : x0;
    uint64_t y1 = y0 + 1 < plane->rows ? y0 + 1 : y0;
    double fx = x - (double)x0;
    double fy = y - (double)y0;
    double top = values[y0 * plane->columns + x0] * (1 - fx) + values[y0 * plane->columns + x1] * fx;
    double bottom = values[y1 * plane->columns + x0] * (1 - fx) + values[y1 * plane->columns + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

/* Pixels per voxel along both axes: a whole factor where voxels are square. */
static loom_status scale_of(const loom_image_header *header, const slice_plane *plane, double scale[2],
                            loom_error *err) {
    double across = header->spacing[plane->across];
    double down = header->spacing[plane->down];
    double finest = fmin(across, down);
    double longest = fmax((double)plane->columns * across, (double)plane->rows * down) / finest;
    double factor = fmax(ceil(pixels_wanted / longest), 1);
    scale[0] = factor * across / finest;
    scale[1] = factor * down / finest;
    if ((double)plane->columns * scale[0] <= (double)edge_max && (double)plane->rows * scale[1] <= (double)edge_max)
        return LOOM_OK;
    return loom_fail(err, LOOM_TOO_LARGE, "the slice would have an edge above 16384 pixels; look along another axis");
}

static void draw_grey(const double *values, const slice_plane *plane, const double scale[2], loom_canvas *canvas) {
    for (uint64_t y = 0; y < canvas->height; y++) {
        for (uint64_t x = 0; x < canvas->width; x++) {
            double grey = sample(values, plane, ((double)x + 0.5) / scale[0] - 0.5, ((double)y + 0.5) / scale[1] - 0.5);
            memset(canvas->rgb + 3 * (y * canvas->width + x), (int)lround(grey * 255), 3);
        }
    }
}

/* ---- the mask ---- */

/* One byte a pixel: inside the mask or not, voxel for voxel (a mask has no halves). NULL when out of memory. */
static uint8_t *mask_pixels(const loom_image_header *header, const void *mask, const slice_plane *plane,
                            const double scale[2], const loom_canvas *canvas) {
    uint8_t *inside = malloc(canvas->width * canvas->height);
    for (uint64_t y = 0; y < canvas->height && inside != NULL; y++) {
        for (uint64_t x = 0; x < canvas->width; x++) {
            uint64_t column = (uint64_t)(((double)x + 0.5) / scale[0]);
            uint64_t row = (uint64_t)(((double)y + 0.5) / scale[1]);
            if (column >= plane->columns) column = plane->columns - 1;
            if (row >= plane->rows) row = plane->rows - 1;
            inside[y * canvas->width + x] = voxel_at(header, mask, index_of(header, plane, column, row)) != 0;
        }
    }
    return inside;
}

/* Within two pixels of the outside: a line that is seen at a glance, inside the mask. */
static bool is_edge(const uint8_t *inside, const loom_canvas *canvas, uint64_t x, uint64_t y) {
    for (uint64_t reach = 1; reach <= 2; reach++) {
        const uint8_t *at = inside + y * canvas->width + x;
        if ((x >= reach && !*(at - reach)) || (x + reach < canvas->width && !at[reach])) return true;
        if ((y >= reach && !*(at - reach * canvas->width)) ||
            (y + reach < canvas->height && !at[reach * canvas->width]))
            return true;
    }
    return false;
}

static void draw_mask(const uint8_t *inside, loom_canvas *canvas) {
    static const uint8_t red[3] = {255, 40, 40};
    for (uint64_t y = 0; y < canvas->height; y++) {
        for (uint64_t x = 0; x < canvas->width; x++) {
            if (!inside[y * canvas->width + x]) continue;
            uint8_t *pixel = canvas->rgb + 3 * (y * canvas->width + x);
            unsigned share = is_edge(inside, canvas, x, y) ? 100 : 25; /* percent of red */
            for (int i = 0; i < 3; i++)
                pixel[i] = (uint8_t)((pixel[i] * (100 - share) + red[i] * share) / 100);
        }
    }
}

loom_status loom_slice_draw(const loom_image_header *header, const void *voxels, const loom_image_header *mask_header,
                            const void *mask, unsigned axis, uint64_t index, loom_canvas *canvas, loom_error *err) {
    slice_plane plane = plane_of(header, axis, index);
    double scale[2];
    LOOM_TRY(scale_of(header, &plane, scale, err));
    canvas->width = (uint64_t)fmax(floor((double)plane.columns * scale[0]), 1);
    canvas->height = (uint64_t)fmax(floor((double)plane.rows * scale[1]), 1);
    canvas->rgb = malloc(3 * canvas->width * canvas->height);
    double *values = grey_values(header, voxels, &plane);
    uint8_t *inside =
        mask != NULL && canvas->rgb != NULL ? mask_pixels(mask_header, mask, &plane, scale, canvas) : NULL;
    bool complete = canvas->rgb != NULL && values != NULL && (mask == NULL || inside != NULL);
    if (complete) draw_grey(values, &plane, scale, canvas);
    if (complete && inside != NULL) draw_mask(inside, canvas);
    free(values);
    free(inside);
    if (complete) return LOOM_OK;
    free(canvas->rgb);
    canvas->rgb = NULL;
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the picture");
}
