/* describe.c - which image the fields of a NRRD header stand for, as ITK 5.2's NrrdImageIO judges them. */
#include <math.h>

#include "io/nrrd/header.h"

/* The axes of the image, without that of the components. */
static loom_status find_axes(const loom_nrrd *nrrd, const char *name, unsigned domain[LOOM_NRRD_AXES_MAX],
                             unsigned *rank, loom_image_header *image, bool *planar, loom_error *err) {
    uint64_t components = 1;
    unsigned vectors = 0;
    *rank = 0;
    *planar = false;
    for (unsigned axis = 0; axis < nrrd->axes; axis++) {
        if (!nrrd->axis[axis].components) {
            domain[(*rank)++] = axis;
            continue;
        }
        if (vectors++ > 0 || (axis > 0 && axis + 1 < nrrd->axes))
            return loom_fail(err, LOOM_UNSUPPORTED,
                             "%s: has components along several axes, or along one in the middle; make it the first",
                             name);
        components = nrrd->axis[axis].size;
        *planar = axis > 0 && components > 1;
    }
    if (components < 1 || components > UINT16_MAX)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: has vectors of %llu elements, which are not supported", name,
                         (unsigned long long)components);
    if (*rank < 2 || *rank > LOOM_RANK_MAX)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: has %u axes; images have two to four", name, *rank);
    const uint64_t unit[LOOM_RANK_MAX] = {1, 1, 1, 1};
    *image = loom_image_header_make(nrrd->dtype, *rank, unit);
    image->components = (uint16_t)components;
    for (unsigned i = 0; i < *rank; i++)
        image->size[i] = nrrd->axis[domain[i]].size;
    return LOOM_OK;
}

/* A vector from one sample to the next: its length is the spacing. Scaled as teem does, by the reciprocal. */
static void use_direction(const loom_nrrd *nrrd, const loom_nrrd_axis *axis, unsigned column,
                          loom_image_header *image) {
    double sum = 0.0;
    for (unsigned row = 0; row < nrrd->space; row++)
        sum += axis->direction[row] * axis->direction[row];
    double length = sqrt(sum), scale = 1.0 / length;
    image->spacing[column] = length;
    for (unsigned row = 0; row < nrrd->space; row++)
        image->direction[row * LOOM_RANK_MAX + column] = axis->direction[row] * scale * nrrd->flip[row];
}

static loom_status use_space(const loom_nrrd *nrrd, const char *name, const unsigned *domain, unsigned rank,
                             loom_image_header *image, loom_error *err) {
    if (nrrd->space != rank)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: has %u axes in a space of %u dimensions; give each axis a direction, or its kind", name,
                         rank, nrrd->space);
    unsigned directed = 0;
    for (unsigned i = 0; i < rank; i++) {
        const loom_nrrd_axis *axis = &nrrd->axis[domain[i]];
        if (axis->has_direction)
            use_direction(nrrd, axis, i, image);
        else if (!isnan(axis->spacing))
            image->spacing[i] = axis->spacing;
        directed += axis->has_direction;
    }
    if (directed != 0 && directed != rank)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header gives a direction to some axes only; give all or none",
                         name);
    for (unsigned i = 0; i < rank && nrrd->has_origin; i++)
        image->origin[i] = nrrd->origin[i] * nrrd->flip[i];
    return LOOM_OK;
}

/* Where the first sample lies on an axis from min to max; NaN if that is not said. */
static double first_sample(const loom_nrrd_axis *axis) {
    double steps = (double)axis->size - (axis->node ? 1.0 : 0.0);
    double spacing = isnan(axis->spacing) ? (axis->max - axis->min) / steps : axis->spacing;
    return axis->node ? axis->min : axis->min + spacing / 2.0;
}

static void use_axes(const loom_nrrd *nrrd, const unsigned *domain, unsigned rank, loom_image_header *image) {
    bool placed = true;
    for (unsigned i = 0; i < rank; i++) {
        const loom_nrrd_axis *axis = &nrrd->axis[domain[i]];
        if (!isnan(axis->spacing)) image->spacing[i] = axis->spacing;
        placed = placed && isfinite(first_sample(axis));
    }
    for (unsigned i = 0; i < rank && placed; i++)
        image->origin[i] = first_sample(&nrrd->axis[domain[i]]);
}

loom_status loom_nrrd_describe(const loom_nrrd *nrrd, const char *name, loom_image_header *image, bool *planar,
                               loom_error *err) {
    unsigned domain[LOOM_NRRD_AXES_MAX], rank;
    LOOM_TRY(find_axes(nrrd, name, domain, &rank, image, planar, err));
    if (nrrd->space > 0)
        LOOM_TRY(use_space(nrrd, name, domain, rank, image, err));
    else
        use_axes(nrrd, domain, rank, image);
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(image, &detail);
    if (status == LOOM_OK) return LOOM_OK;
    return loom_fail(err, status == LOOM_TOO_LARGE ? status : LOOM_BAD_INPUT, "%s: %s", name, detail.message);
}
