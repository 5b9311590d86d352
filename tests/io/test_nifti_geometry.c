/* test_nifti_geometry.c - where an image lies: a table worked by hand from ITK 5.2's rules, and what we write read
 * back.
 *
 * RAS (NIfTI) to LPS (ITK) negates the first two rows. All angles are right ones unless said otherwise. */
#include "nifti_maker.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/nifti/geometry.h"
#include "io/nifti/voxels.h"

#define HALF 0.70710678118654752 /* sine and cosine of 45 degrees: a quarter turn */

static const unsigned char voxels_of_24[24];

static nifti_recipe recipe_3d(void) {
    const int64_t sizes[] = {4, 3, 2, 0};
    nifti_recipe recipe = nifti_recipe_make(2, 8, sizes);
    recipe.data = voxels_of_24;
    recipe.data_bytes = 24;
    return recipe;
}

static loom_image_header read_header(const nifti_recipe *recipe) {
    loom_error err = {0};
    loom_volume *volume;
    assert_loom_ok(loom_volume_open(nifti_make_file(recipe, "geometry.nii"), &volume, &err), &err);
    loom_image_header header = *loom_volume_header(volume);
    loom_volume_close(volume);
    return header;
}

static void assert_close(double actual, double expected, double tolerance) {
    if (!(fabs(actual - expected) <= tolerance)) fail_msg("%.17g is not %.17g", actual, expected);
}

/* direction: row by row. */
static void check(const loom_image_header *header, const double spacing[3], const double origin[3],
                  const double direction[9]) {
    assert_int_equal(header->rank, 3);
    for (int i = 0; i < 3; i++) {
        assert_close(header->spacing[i], spacing[i], 0.0);
        assert_close(header->origin[i], origin[i], 0.0);
        for (int j = 0; j < 3; j++)
            assert_close(header->direction[i * 4 + j], direction[i * 3 + j], 1e-7);
    }
}

static void set_qform(nifti_recipe *r, int code, double b, double c, double d, double x, double y, double z) {
    r->qform_code = code;
    r->quatern[0] = b;
    r->quatern[1] = c;
    r->quatern[2] = d;
    r->qoffset[0] = x;
    r->qoffset[1] = y;
    r->qoffset[2] = z;
}

static void set_sform(nifti_recipe *r, int code, const double rows[3][4]) {
    r->sform_code = code;
    memcpy(r->srow, rows, sizeof r->srow);
}

static void set_spacing(nifti_recipe *r, double x, double y, double z) {
    r->pixdim[1] = x;
    r->pixdim[2] = y;
    r->pixdim[3] = z;
}

static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
static const double ras[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1}; /* RAS axes as LPS sees them */
static const double nowhere[3] = {0, 0, 0};

static void without_codes_it_lies_at_the_origin(void **state) {
    (void)state;
    nifti_recipe r = recipe_3d();
    set_spacing(&r, 0.5, 2, 3);
    set_qform(&r, 0, 0, 0, 1, 5, 6, 7); /* not looked at */
    loom_image_header h = read_header(&r);
    check(&h, (double[]){0.5, 2, 3}, nowhere, identity);
}

static void qform_is_a_quaternion(void **state) {
    (void)state;
    nifti_recipe r = recipe_3d();
    set_spacing(&r, 1, 2, 3);
    set_qform(&r, 1, 0, 0, 0, 10, 20, 30);
    loom_image_header h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, (double[]){-10, -20, 30}, ras);
    /* Half a turn about z: RAS (-1,-1,1), so LPS (1,1,1). */
    set_qform(&r, 2, 0, 0, 1, 10, 20, 30);
    h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, (double[]){-10, -20, 30}, identity);
    /* A quarter turn about z: x goes to RAS (0,1,0), y to (-1,0,0). */
    set_qform(&r, 1, 0, 0, HALF, 0, 0, 0);
    h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, nowhere, (double[]){0, 1, 0, -1, 0, 0, 0, 0, 1});
    /* A quarter turn about x: y goes to z, z to -y. */
    set_qform(&r, 1, HALF, 0, 0, 0, 0, 0);
    h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, nowhere, (double[]){-1, 0, 0, 0, 0, 1, 0, 1, 0});
    /* qfac -1: the third axis is turned round. */
    set_qform(&r, 1, 0, 0, 0, 0, 0, 0);
    r.pixdim[0] = -1;
    h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, nowhere, (double[]){-1, 0, 0, 0, -1, 0, 0, 0, -1});
    /* Numbers that are none count as 0 (niftilib). */
    r.pixdim[0] = 1;
    set_qform(&r, 1, (double)NAN, 0, 0, 0, (double)INFINITY, 4);
    h = read_header(&r);
    check(&h, (double[]){1, 2, 3}, (double[]){0, 0, 4}, ras);
}

static void sform_and_qform_are_chosen_as_itk_chooses(void **state) {
    (void)state;
    static const double flipped[3][4] = {{-2, 0, 0, 5}, {0, 3, 0, 6}, {0, 0, 4, 7}};
    static const double flipped_lps[9] = {1, 0, 0, 0, -1, 0, 0, 0, 1};
    nifti_recipe r = recipe_3d();
    const double spacing[3] = {2, 3, 4}, s_origin[3] = {-5, -6, 7}, q_origin[3] = {-1, -1, 1};
    set_spacing(&r, 2, 3, 4);
    set_qform(&r, 1, 0, 0, 0, 1, 1, 1);
    for (int code = 1; code <= 4; code++) {
        /* A scanner sform wins; any other loses against a qform that differs. */
        set_sform(&r, code, flipped);
        r.qform_code = 1;
        loom_image_header h = read_header(&r);
        check(&h, spacing, code == 1 ? s_origin : q_origin, code == 1 ? flipped_lps : ras);
        /* Alone it is used whatever its code. */
        r.qform_code = 0;
        h = read_header(&r);
        check(&h, spacing, s_origin, flipped_lps);
    }
}

/* S times Q transposed near the identity: so only at unit spacing and zero offset. */
static void itk_prefers_a_similar_sform_only_at_unit_spacing(void **state) {
    (void)state;
    const double tilt = 3e-5; /* more than 1e-5, less than 1e-4 */
    nifti_recipe r = recipe_3d();
    set_qform(&r, 1, 0, 0, 0, 0, 0, 0);
    const double unit[3][4] = {{1, -tilt, 0, 0}, {tilt, 1, 0, 0}, {0, 0, 1, 0}};
    set_sform(&r, 2, unit);
    loom_image_header h = read_header(&r);
    assert_close(h.direction[4], -tilt, 1e-8);
    const double twice[3][4] = {{2, -2 * tilt, 0, 0}, {2 * tilt, 2, 0, 0}, {0, 0, 2, 0}};
    set_spacing(&r, 2, 2, 2);
    set_sform(&r, 2, twice);
    h = read_header(&r);
    assert_close(h.direction[4], 0.0, 0.0);
}

static void skewed_or_misscaled_sforms_are_not_used(void **state) {
    (void)state;
    static const double skewed[3][4] = {{1, 0.01, 0, 3}, {0, 1, 0, 2}, {0, 0, 1, 1}};
    static const double doubled[3][4] = {{2, 0, 0, 3}, {0, 2, 0, 2}, {0, 0, 2, 1}};
    static const double singular[3][4] = {{1, 1, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 0}};
    static const double unknown[3][4] = {{1, 0, 0, 0}, {0, (double)NAN, 0, 0}, {0, 0, 1, 0}};
    const double(*bad[4])[4] = {skewed, doubled, singular, unknown};
    for (int i = 0; i < 4; i++) {
        nifti_recipe r = recipe_3d();
        set_sform(&r, 1, bad[i]);
        expect_refusal(nifti_make_file(&r, "bad.nii"), "sform");
        set_qform(&r, 1, 0, 0, 0, 1, 2, 3);
        loom_image_header h = read_header(&r);
        check(&h, (double[]){1, 1, 1}, (double[]){-1, -2, 3}, ras);
    }
    nifti_recipe r = recipe_3d();
    static const double lost[3][4] = {{1, 0, 0, (double)NAN}, {0, 1, 0, 0}, {0, 0, 1, 0}};
    set_sform(&r, 1, lost);
    expect_refusal(nifti_make_file(&r, "lost.nii"), "finite");
}

static void spacing_is_positive_and_in_millimetres(void **state) {
    (void)state;
    nifti_recipe r = recipe_3d();
    set_spacing(&r, 0, (double)NAN, -2.5);
    loom_image_header h = read_header(&r);
    check(&h, (double[]){1, 1, 2.5}, nowhere, identity);
    set_spacing(&r, 0.5, 1, (double)INFINITY);
    r.units = 1; /* metres */
    h = read_header(&r);
    check(&h, (double[]){500, 1000, 1000}, nowhere, identity);
    r.units = 3; /* microns */
    h = read_header(&r);
    check(&h, (double[]){0.5e-3, 1e-3, 1e-3}, nowhere, identity);
    /* A float spacing keeps its float value. */
    r.units = 2;
    set_spacing(&r, 0.88, 0.9, 1.1);
    h = read_header(&r);
    check(&h, (double[]){0.8799999952316284, 0.8999999761581421, 1.100000023841858}, nowhere, identity);
    /* NIfTI-2 keeps doubles. */
    r.version = 2;
    h = read_header(&r);
    check(&h, (double[]){0.88, 0.9, 1.1}, nowhere, identity);
}

static void other_ranks(void **state) {
    (void)state;
    const double rows[3][4] = {{0, 3, 0, 5}, {2, 0, 0, 6}, {0, 0, 4, 7}};
    nifti_recipe r = recipe_3d();
    set_spacing(&r, 2, 3, 4);
    set_sform(&r, 1, rows);
    /* 2D takes the upper left 2x2. */
    r.dim[0] = 2;
    r.dim[1] = 8;
    loom_image_header h = read_header(&r);
    assert_int_equal(h.rank, 2);
    const double plane[16] = {0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    for (int i = 0; i < 16; i++)
        assert_close(h.direction[i], plane[i], 1e-7);
    assert_close(h.origin[0], -5, 0);
    assert_close(h.origin[1], -6, 0);
    assert_close(h.origin[2], 0, 0);
    assert_close(h.spacing[2], 1, 0);
    /* Time has a unit of its own, no origin and no direction. */
    r.dim[0] = 4;
    r.dim[1] = 4;
    r.dim[3] = 1;
    r.dim[4] = 2;
    r.pixdim[4] = 1500;
    r.units = 2 | 16; /* milliseconds */
    h = read_header(&r);
    assert_int_equal(h.rank, 4);
    const double space[16] = {0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    for (int i = 0; i < 16; i++)
        assert_close(h.direction[i], space[i], 1e-7);
    assert_close(h.spacing[3], 1.5, 0);
    assert_close(h.origin[2], 7, 0);
    assert_close(h.origin[3], 0, 0);
    /* A sagittal plane has no 2D direction. */
    const double sagittal[3][4] = {{0, 0, 1, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}};
    r = recipe_3d();
    r.dim[0] = 2;
    r.dim[1] = 8;
    set_sform(&r, 1, sagittal);
    expect_refusal(nifti_make_file(&r, "sagittal.nii"), "plane");
}

/* ---- and back ---- */

/* Rotation about an axis by an angle (Rodrigues), columns scaled by `mirror` for the last. */
static void rotate(loom_image_header *h, double x, double y, double z, double angle, double mirror) {
    double length = sqrt(x * x + y * y + z * z), c = cos(angle), s = sin(angle), t = 1 - c;
    x /= length;
    y /= length;
    z /= length;
    const double m[9] = {t * x * x + c,     t * x * y - s * z, t * x * z + s * y, t * x * y + s * z, t * y * y + c,
                         t * y * z - s * x, t * x * z - s * y, t * y * z + s * x, t * z * z + c};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            h->direction[i * 4 + j] = m[i * 3 + j] * (j == 2 ? mirror : 1.0);
}

static void compare_back(const loom_image_header *image, int version, bool by_qform) {
    loom_nifti written = {.version = version}, read;
    for (int i = 0; i < 8; i++)
        written.dim[i] = i == 0 ? image->rank : 1;
    for (int i = 0; i < image->rank; i++)
        written.dim[i + 1] = (int64_t)image->size[i];
    written.datatype = LOOM_NIFTI_U8;
    loom_nifti_from_geometry(image, &written);
    if (by_qform) written.sform_code = 0;
    uint8_t bytes[LOOM_NIFTI2_DATA];
    size_t length = loom_nifti_format(&written, bytes);
    loom_error err = {0};
    assert_loom_ok(loom_nifti_parse(bytes, length, "name", &read, &err), &err);
    loom_image_header back;
    loom_nifti_layout layout;
    assert_loom_ok(loom_nifti_describe(&read, "name", &back, &layout, &err), &err);
    assert_int_equal(layout.data_offset, version == 1 ? 352 : 544);
    assert_int_equal(back.rank, image->rank);
    /* Near half a turn the quaternion's fourth part, sqrt(1 - b2 - c2 - d2), is lost below 3e-4 (niftilib's limit). */
    double precision = by_qform ? 1e-3 : version == 1 ? 1e-6 : 1e-12;
    for (int i = 0; i < 4; i++) {
        assert_close(back.spacing[i], version == 1 ? (double)(float)image->spacing[i] : image->spacing[i], 0.0);
        assert_close(back.origin[i], version == 1 ? (double)(float)image->origin[i] : image->origin[i], 0.0);
    }
    for (int i = 0; i < 16; i++)
        assert_close(back.direction[i], image->direction[i], precision);
}

static void geometry_survives_a_round_trip(void **state) {
    (void)state;
    const uint64_t size[4] = {4, 3, 2, 2};
    static const double axes[][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 2, 3}, {-3, 1, 0.2}, {0.1, -5, 1}};
    for (unsigned rank = 3; rank <= 4; rank++)
        for (size_t axis = 0; axis < sizeof axes / sizeof axes[0]; axis++)
            for (int step = 0; step < 24; step++)
                for (int mirror = -1; mirror <= 1; mirror += 2)
                    for (int how = 0; how < 4; how++) {
                        loom_image_header image = loom_image_header_make(LOOM_U8, rank, size);
                        rotate(&image, axes[axis][0], axes[axis][1], axes[axis][2],
                               step * 0.26179938779914941 /* 15 degrees */, mirror);
                        for (unsigned i = 0; i < rank; i++)
                            image.spacing[i] = 0.7 + 0.4 * i;
                        for (unsigned i = 0; i < 3; i++)
                            image.origin[i] = 83.12 - 70.3 * i;
                        compare_back(&image, 1 + how % 2, how >= 2);
                    }
}

static void a_sheared_direction_becomes_the_nearest_rotation(void **state) {
    (void)state;
    const uint64_t size[3] = {4, 3, 2};
    loom_image_header image = loom_image_header_make(LOOM_U8, 3, size);
    image.direction[1] = 0.02; /* the nearest rotation shares the shear between both axes */
    loom_nifti header = {.version = 2};
    loom_nifti_from_geometry(&image, &header);
    assert_close(header.srow[0][1], -0.01 / sqrt(1 + 1e-4), 1e-12);
    assert_close(header.srow[1][0], 0.01 / sqrt(1 + 1e-4), 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_codes_it_lies_at_the_origin),
        cmocka_unit_test(qform_is_a_quaternion),
        cmocka_unit_test(sform_and_qform_are_chosen_as_itk_chooses),
        cmocka_unit_test(itk_prefers_a_similar_sform_only_at_unit_spacing),
        cmocka_unit_test(skewed_or_misscaled_sforms_are_not_used),
        cmocka_unit_test(spacing_is_positive_and_in_millimetres),
        cmocka_unit_test(other_ranks),
        cmocka_unit_test(geometry_survives_a_round_trip),
        cmocka_unit_test(a_sheared_direction_becomes_the_nearest_rotation),
    };
    return cmocka_run_group_tests_name("io nifti geometry", tests, scratch_setup, scratch_teardown);
}
