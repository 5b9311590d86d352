/* geometry.c - qform, sform and pixdim of NIfTI against spacing, origin and direction of ITK. */
#include "io/nifti/geometry.h"

#include <math.h>
#include <string.h>

/* Row-major; rows are world axes, columns are voxel axes, the last column is the position of voxel 0. */
typedef struct transform {
    double m[3][4];
} transform;

/* niftilib keeps matrices in single precision; NIfTI-2 numbers are doubles from the start. */
static double as_stored(const loom_nifti *header, double value) {
    return header->version == 1 ? (double)(float)value : value;
}

static double finite_or_zero(double value) {
    return isfinite(value) ? value : 0.0;
}

/* niftilib: a spacing of 0, or one that is no number, counts as 1. */
static double pixdim_of(const loom_nifti *header, unsigned axis) {
    double spacing = header->pixdim[axis + 1];
    if (header->dim[0] < (int64_t)axis + 1) return spacing;
    return isfinite(spacing) && spacing != 0.0 ? spacing : 1.0;
}

/* Rotation matrix of the unit quaternion (a, b, c, d), a >= 0 implied (nifti1.h, "QUATERNION REPRESENTATION"). */
static void rotation_of_quaternion(const double quatern[3], double r[3][3]) {
    double b = finite_or_zero(quatern[0]), c = finite_or_zero(quatern[1]), d = finite_or_zero(quatern[2]);
    double a = 1.0 - (b * b + c * c + d * d);
    if (a < 1e-7) { /* half a turn, up to rounding */
        double scale = 1.0 / sqrt(b * b + c * c + d * d);
        b *= scale;
        c *= scale;
        d *= scale;
        a = 0.0;
    } else {
        a = sqrt(a);
    }
    double rotation[3][3] = {{a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)},
                             {2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)},
                             {2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b}};
    memcpy(r, rotation, sizeof rotation);
}

static transform qform_of(const loom_nifti *header) {
    transform q = {0};
    double scale[3];
    for (unsigned axis = 0; axis < 3; axis++)
        scale[axis] = pixdim_of(header, axis);
    if (header->qform_code <= 0) {
        for (unsigned axis = 0; axis < 3; axis++)
            q.m[axis][axis] = as_stored(header, scale[axis]);
        return q;
    }
    double r[3][3];
    rotation_of_quaternion(header->quatern, r);
    for (unsigned axis = 0; axis < 3; axis++)
        if (!(scale[axis] > 0.0)) scale[axis] = 1.0;
    if (header->pixdim[0] < 0.0) scale[2] = -scale[2]; /* qfac */
    for (unsigned row = 0; row < 3; row++) {
        for (unsigned column = 0; column < 3; column++)
            q.m[row][column] = as_stored(header, r[row][column] * scale[column]);
        q.m[row][3] = as_stored(header, finite_or_zero(header->qoffset[row]));
    }
    return q;
}

static transform sform_of(const loom_nifti *header) {
    transform s = {0};
    if (header->sform_code > 0) memcpy(s.m, header->srow, sizeof s.m);
    return s;
}

/* ITK: "qform and sform are nearly the same element by element". Without an sform its matrix is all zero, even in the
 * last row, so it is never similar. */
static bool nearly_equal(const loom_nifti *header, const transform *s, const transform *q) {
    if (header->sform_code <= 0) return false;
    double offset = 0.0;
    for (unsigned row = 0; row < 3; row++) {
        for (unsigned column = 0; column < 3; column++)
            if (!(fabs(s->m[row][column] - q->m[row][column]) <= 1e-5)) return false;
        offset += fabs(s->m[row][3] - q->m[row][3]);
    }
    return offset <= 1e-7;
}

static double column_length(const transform *t, unsigned column) {
    return sqrt(t->m[0][column] * t->m[0][column] + t->m[1][column] * t->m[1][column] +
                t->m[2][column] * t->m[2][column]);
}

static double determinant(const double m[3][3]) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* The sform is a rotation times the spacing: invertible, column lengths within 1e-3 of pixdim, unit columns whose rows
 * are orthonormal within 1e-4 (ITK's `sform_decomposable_without_skew`; its further comparison of two inverses of the
 * same matrix only measures rounding and is left out). */
static bool decomposable_without_skew(const loom_nifti *header, const transform *s) {
    double r[3][3];
    for (unsigned row = 0; row < 3; row++)
        for (unsigned column = 0; column < 3; column++)
            r[row][column] = s->m[row][column];
    if (header->sform_code <= 0 || !(fabs(determinant(r)) > 1e-5)) return false;
    for (unsigned column = 0; column < 3; column++) {
        double length = column_length(s, column);
        if (!(fabs(pixdim_of(header, column) - length) <= 1e-3)) return false;
        for (unsigned row = 0; row < 3; row++)
            r[row][column] /= length;
    }
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 3; j++) {
            double dot = r[i][0] * r[j][0] + r[i][1] * r[j][1] + r[i][2] * r[j][2];
            if (!(fabs(dot - (i == j ? 1.0 : 0.0)) <= 1e-4)) return false;
        }
    return true;
}

/* ITK 5.2's test whether two transforms "are very similar": S times Q transposed is the identity within 1e-4. It says
 * so only at unit spacing and zero offset (the transpose is not the inverse), and decides which matrix is used, so it
 * is kept as it is. */
static bool very_similar(const transform *s, const transform *q) {
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++) {
            double dot = 0.0;
            for (unsigned k = 0; k < 4; k++) {
                double left = i < 3 ? s->m[i][k] : (k == 3 ? 1.0 : 0.0);
                double right = j < 3 ? q->m[j][k] : (k == 3 ? 1.0 : 0.0);
                dot += left * right;
            }
            if (!(fabs(dot - (i == j ? 1.0 : 0.0)) <= 1e-4)) return false;
        }
    return true;
}

static bool prefer_sform(const loom_nifti *header, const transform *s, const transform *q) {
    bool similar = nearly_equal(header, s, q);
    if (!decomposable_without_skew(header, s)) return similar;
    if (header->qform_code <= 0 || header->sform_code == LOOM_NIFTI_XFORM_SCANNER) return true;
    return very_similar(s, q);
}

/* Adding zero turns -0 into 0, so that equal geometries are equal bytes. */
static double without_minus_zero(double value) {
    return value + 0.0;
}

static loom_status set_direction(const transform *t, const char *name, loom_image_header *image, loom_error *err) {
    unsigned axes = image->rank < 3 ? image->rank : 3;
    double square[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    for (unsigned column = 0; column < axes; column++) {
        double sum = 0.0;
        for (unsigned row = 0; row < axes; row++)
            sum += t->m[row][column] * t->m[row][column];
        double length = sum == 0.0 ? 1.0 : sqrt(sum);
        for (unsigned row = 0; row < axes; row++) {
            square[row][column] = t->m[row][column] / length;
            double lps = row < 2 ? -square[row][column] : square[row][column];
            image->direction[row * LOOM_RANK_MAX + column] = without_minus_zero(lps);
        }
    }
    double volume = determinant(square);
    if (isfinite(volume) && fabs(volume) > 1e-6) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_INPUT,
                     "%s: its axes do not span %s; repair the qform or sform, or save it as a 3D image", name,
                     axes == 2 ? "the plane of a 2D image" : "space");
}

static void set_spacing(const loom_nifti *header, loom_image_header *image) {
    static const double space_units[8] = {1.0, 1e3, 1.0, 1e-3, 1.0, 1.0, 1.0, 1.0}; /* -, metre, mm, micron */
    double time_unit = 1.0;
    if ((header->xyzt_units & 0x38) == 16) time_unit = 1e-3;
    if ((header->xyzt_units & 0x38) == 24) time_unit = 1e-6;
    for (unsigned axis = 0; axis < image->rank; axis++) {
        double unit = axis < 3 ? space_units[header->xyzt_units & 7] : time_unit;
        image->spacing[axis] = fabs(pixdim_of(header, axis)) * unit;
    }
}

loom_status loom_nifti_to_geometry(const loom_nifti *header, const char *name, loom_image_header *image,
                                   loom_error *err) {
    set_spacing(header, image);
    /* Without both codes: origin 0 and identity, in ITK's LPS as they stand. */
    if (header->qform_code <= 0 && header->sform_code <= 0) return LOOM_OK;
    transform s = sform_of(header), q = qform_of(header);
    bool use_sform = prefer_sform(header, &s, &q);
    if (!use_sform && header->qform_code <= 0)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its sform is skewed or disagrees with pixdim, and it has no qform; set the qform, or "
                         "resample the image to perpendicular axes",
                         name);
    const transform *t = use_sform ? &s : &q;
    for (unsigned axis = 0; axis < image->rank && axis < 3; axis++) {
        double position = axis < 2 ? -t->m[axis][3] : t->m[axis][3];
        if (!isfinite(position))
            return loom_fail(err, LOOM_BAD_INPUT, "%s: its position in space is not a finite number", name);
        image->origin[axis] = without_minus_zero(position);
    }
    return set_direction(t, name, image, err);
}

/* The inverse transpose; false for a singular matrix. */
static bool inverse_transpose(const double m[3][3], double result[3][3]) {
    double det = determinant(m);
    if (!isfinite(1.0 / det)) return false;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 3; j++) {
            unsigned i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
            result[i][j] = (m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1]) / det;
        }
    return true;
}

/* The orthogonal factor of the polar decomposition, by Newton's iteration (N. J. Higham, "Computing the polar
 * decomposition - with applications", SIAM J. Sci. Stat. Comput. 7, 1986). A rotation is its own. */
static void make_orthogonal(double m[3][3]) {
    for (int step = 0; step < 100; step++) {
        double y[3][3], change = 0.0;
        if (!inverse_transpose(m, y)) return;
        for (unsigned i = 0; i < 3; i++)
            for (unsigned j = 0; j < 3; j++) {
                double next = 0.5 * (m[i][j] + y[i][j]);
                change += fabs(next - m[i][j]);
                m[i][j] = next;
            }
        if (change < 1e-14) return;
    }
}

/* b, c, d of the rotation; a third column of an improper rotation has been flipped by the caller. The largest of the
 * four components is computed first, so that nothing is divided by a small number. */
static void quaternion_of_rotation(double r[3][3], double quatern[3]) {
    double a, b, c, d, trace = r[0][0] + r[1][1] + r[2][2];
    if (trace > -0.5) {
        a = 0.5 * sqrt(trace + 1.0);
        b = 0.25 * (r[2][1] - r[1][2]) / a;
        c = 0.25 * (r[0][2] - r[2][0]) / a;
        d = 0.25 * (r[1][0] - r[0][1]) / a;
    } else if (r[0][0] >= r[1][1] && r[0][0] >= r[2][2]) {
        b = 0.5 * sqrt(1.0 + r[0][0] - r[1][1] - r[2][2]);
        a = 0.25 * (r[2][1] - r[1][2]) / b;
        c = 0.25 * (r[0][1] + r[1][0]) / b;
        d = 0.25 * (r[0][2] + r[2][0]) / b;
    } else if (r[1][1] >= r[2][2]) {
        c = 0.5 * sqrt(1.0 + r[1][1] - r[0][0] - r[2][2]);
        a = 0.25 * (r[0][2] - r[2][0]) / c;
        b = 0.25 * (r[0][1] + r[1][0]) / c;
        d = 0.25 * (r[1][2] + r[2][1]) / c;
    } else {
        d = 0.5 * sqrt(1.0 + r[2][2] - r[0][0] - r[1][1]);
        a = 0.25 * (r[1][0] - r[0][1]) / d;
        b = 0.25 * (r[0][2] + r[2][0]) / d;
        c = 0.25 * (r[1][2] + r[2][1]) / d;
    }
    double sign = a < 0.0 ? -1.0 : 1.0; /* q and -q are one rotation; the file keeps the one with a >= 0 */
    quatern[0] = sign * b;
    quatern[1] = sign * c;
    quatern[2] = sign * d;
}

void loom_nifti_from_geometry(const loom_image_header *image, loom_nifti *header) {
    unsigned axes = image->rank < 3 ? image->rank : 3;
    double r[3][3] = {{0}, {0}, {0, 0, 1}};
    for (unsigned row = 0; row < axes; row++)
        for (unsigned column = 0; column < axes; column++) {
            double lps = image->direction[row * LOOM_RANK_MAX + column];
            r[row][column] = row < 2 ? -lps : lps;
        }
    make_orthogonal(r);
    for (unsigned axis = 0; axis < image->rank; axis++)
        header->pixdim[axis + 1] = image->spacing[axis];
    for (unsigned row = 0; row < 3; row++) {
        double position = row < axes ? image->origin[row] : 0.0;
        header->qoffset[row] = header->srow[row][3] = row < 2 ? -position : position;
        for (unsigned column = 0; column < 3; column++) {
            double scale = column < axes ? as_stored(header, image->spacing[column]) : 1.0;
            header->srow[row][column] = scale * as_stored(header, r[row][column]);
        }
    }
    header->qform_code = header->sform_code = LOOM_NIFTI_XFORM_SCANNER;
    header->pixdim[0] = 1.0;
    if (determinant(r) < 0.0) {
        header->pixdim[0] = -1.0;
        for (unsigned row = 0; row < 3; row++)
            r[row][2] = -r[row][2];
    }
    quaternion_of_rotation(r, header->quatern);
}
