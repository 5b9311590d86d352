/* test_image.c - pixel types, the frozen layout of headers, checks of lying headers, and equality of domains. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "shm/image.h"

static loom_image_header head(void) {
    return loom_image_header_make(LOOM_F32, 3, (const uint64_t[]){256, 256, 138});
}

static void pixel_types(void **state) {
    (void)state;
    static const struct {
        uint8_t number;
        size_t bytes;
        const char *name, *itk;
    } table[] = {
        {1, 1, "bool8", "8-bit unsigned integer"},
        {2, 1, "u8", "8-bit unsigned integer"},
        {3, 1, "i8", "8-bit signed integer"},
        {4, 2, "u16", "16-bit unsigned integer"},
        {5, 2, "i16", "16-bit signed integer"},
        {6, 4, "u32", "32-bit unsigned integer"},
        {7, 4, "i32", "32-bit signed integer"},
        {8, 8, "u64", "64-bit unsigned integer"},
        {9, 8, "i64", "64-bit signed integer"},
        {10, 4, "f32", "32-bit float"},
        {11, 8, "f64", "64-bit float"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(loom_dtype_bytes(table[i].number), table[i].bytes);
        assert_string_equal(loom_dtype_name(table[i].number), table[i].name);
        assert_string_equal(loom_dtype_itk_name(table[i].number), table[i].itk);
    }
    for (unsigned number = 0; number < 256; number++) {
        if (number >= 1 && number <= 11) continue;
        assert_int_equal(loom_dtype_bytes((uint8_t)number), 0);
        assert_string_equal(loom_dtype_name((uint8_t)number), "?");
        assert_string_equal(loom_dtype_itk_name((uint8_t)number), "?");
    }
}

static void layout_is_frozen(void **state) {
    (void)state;
    assert_int_equal(sizeof(loom_image_header), 232);
    assert_int_equal(offsetof(loom_image_header, components), 2);
    assert_int_equal(offsetof(loom_image_header, size), 8);
    assert_int_equal(offsetof(loom_image_header, spacing), 40);
    assert_int_equal(offsetof(loom_image_header, origin), 72);
    assert_int_equal(offsetof(loom_image_header, direction), 104);
}

static void a_made_header_is_sound(void **state) {
    (void)state;
    loom_image_header header = head();
    loom_error err = {0};
    assert_int_equal(loom_image_header_check(&header, &err), LOOM_OK);
    assert_int_equal(loom_image_voxels(&header), 256 * 256 * 138);
    assert_int_equal(loom_image_bytes(&header), 4 * 256 * 256 * 138);
    header.components = 3;
    assert_int_equal(loom_image_bytes(&header), 12 * 256 * 256 * 138);
    assert_int_equal(header.size[3], 1);
    for (unsigned rank = 2; rank <= 4; rank++) {
        loom_image_header any = loom_image_header_make(LOOM_BOOL8, rank, (const uint64_t[]){2, 3, 4, 5});
        assert_int_equal(loom_image_header_check(&any, &err), LOOM_OK);
    }
}

static void assert_refused(const loom_image_header *header, loom_status status) {
    loom_error err = {0};
    assert_int_equal(loom_image_header_check(header, &err), status);
    assert_int_equal(err.status, status);
    assert_true(strlen(err.message) > 0);
    assert_int_equal(loom_image_header_check(header, NULL), status);
}

#define ASSERT_REFUSED_WITH(assignment, status)                                                                        \
    do {                                                                                                               \
        loom_image_header header = head();                                                                             \
        assignment;                                                                                                    \
        assert_refused(&header, status);                                                                               \
    } while (0)

static void lying_headers_are_refused(void **state) {
    (void)state;
    ASSERT_REFUSED_WITH(header.dtype = 0, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.dtype = 12, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.rank = 1, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.rank = 5, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.rank = 2, LOOM_BAD_INPUT); /* axis 2 has 138 voxels */
    ASSERT_REFUSED_WITH(header.components = 0, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.reserved = 1, LOOM_BAD_INPUT);
    for (unsigned axis = 0; axis < 3; axis++) {
        ASSERT_REFUSED_WITH(header.size[axis] = 0, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.spacing[axis] = 0, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.spacing[axis] = -1, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.spacing[axis] = (double)NAN, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.spacing[axis] = (double)INFINITY, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.origin[axis] = (double)NAN, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.origin[axis] = -(double)INFINITY, LOOM_BAD_INPUT);
        ASSERT_REFUSED_WITH(header.size[axis] = UINT64_MAX, LOOM_TOO_LARGE);
    }
    for (unsigned entry = 0; entry < 16; entry++)
        ASSERT_REFUSED_WITH(header.direction[entry] = (double)NAN, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.size[3] = 2, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.spacing[3] = 2, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.origin[3] = 1, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.origin[3] = -0.0, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.direction[3] = 0.5, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.direction[12] = 0.5, LOOM_BAD_INPUT);
    ASSERT_REFUSED_WITH(header.direction[15] = -1, LOOM_BAD_INPUT);
}

static void the_byte_limit_is_exact(void **state) {
    (void)state;
    const uint64_t limit = UINT64_C(1) << 47;
    loom_image_header header = loom_image_header_make(LOOM_F64, 2, (const uint64_t[]){limit / 16, 2});
    assert_int_equal(loom_image_header_check(&header, NULL), LOOM_OK);
    assert_int_equal(loom_image_bytes(&header), limit);
    header.size[1] = 3;
    assert_refused(&header, LOOM_TOO_LARGE);
    header.size[1] = 2;
    header.components = 2;
    assert_refused(&header, LOOM_TOO_LARGE);
    /* The product wraps to a small number. */
    header = loom_image_header_make(LOOM_U8, 4, (const uint64_t[]){1 << 16, 1 << 16, 1 << 16, 1 << 16});
    assert_refused(&header, LOOM_TOO_LARGE);
}

static void same_domain_within_the_tolerance_of_itk(void **state) {
    (void)state;
    char why[160];
    loom_image_header a = head(), b = head();
    a.spacing[0] = b.spacing[0] = 0.5; /* lengths may differ by 1e-6 * 0.5 */
    b.dtype = LOOM_BOOL8;
    b.components = 3;
    assert_true(loom_image_same_domain(&a, &b, why)); /* pixel types are no part of a domain */
    b.origin[2] = 4.9e-7;
    b.spacing[1] = 1 + 4.9e-7;
    b.direction[1] = 9e-7;
    assert_true(loom_image_same_domain(&a, &b, why));
    assert_true(loom_image_same_domain(&b, &a, NULL));

    b = a;
    b.origin[2] = 5.1e-7;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_non_null(strstr(why, "origin along axis 2"));
    b = a;
    b.spacing[1] = 1 + 5.1e-7;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_non_null(strstr(why, "spacing along axis 1"));
    b = a;
    b.direction[1] = 1.1e-6;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_non_null(strstr(why, "direction"));
    b = a;
    b.size[0] = 255;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_non_null(strstr(why, "size along axis 0: 256 against 255"));
    b = a;
    b.rank = 4;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_non_null(strstr(why, "axes"));
    b = a;
    b.origin[0] = (double)NAN;
    assert_false(loom_image_same_domain(&a, &b, NULL));
}

static void the_reason_fits_its_buffer(void **state) {
    (void)state;
    char why[161];
    why[160] = '#';
    loom_image_header a = head(), b = head();
    a.origin[0] = -1.2345678901234567e-300;
    b.origin[0] = -1.2345678901234567e+300;
    assert_false(loom_image_same_domain(&a, &b, why));
    assert_int_equal(why[160], '#');
    assert_true(strlen(why) < 160);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixel_types),
        cmocka_unit_test(layout_is_frozen),
        cmocka_unit_test(a_made_header_is_sound),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(the_byte_limit_is_exact),
        cmocka_unit_test(same_domain_within_the_tolerance_of_itk),
        cmocka_unit_test(the_reason_fits_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
