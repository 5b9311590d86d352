/* test_nrrd.c - NRRD files whose text and bytes are written here. Geometry is what ITK 5.2's NrrdImageIO read from the
 * same bytes (recorded once; io/README.md says where we differ on purpose). */
#include "written.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "NRRD0004\n# made by a test\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n"
#define HEAD4 "NRRD0005\ntype: uint8\ndimension: 4\nsizes: 3 2 2 2\nencoding: raw\n"
#define SPACE "space directions: (0.5,0,0) (0,1.6,1.2) (0,-1.8,2.4)\nspace origin: (10,20,30)\n"

static const unsigned char numbers[24] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                          13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
static const expected_image plain = {.dtype = LOOM_U8, .rank = 3, .size = {2, 3, 4}};

static const char *make(const char *text) {
    const char *path = scratch_path("image.nrrd");
    write_text_file(path, text, numbers, sizeof numbers);
    return path;
}

static void axes_without_a_space(void **state) {
    (void)state;
    check_file(make(HEAD "\n"), &plain, numbers);
    static const struct {
        const char *fields;
        double spacing[3], origin[3];
    } cases[] = {
        {"spacings: 0.5 2 3\n", {0.5, 2, 3}, {0, 0, 0}},
        {"spacings: 0.5 nan 3\n", {0.5, 1, 3}, {0, 0, 0}},
        {"spacings: 0.5 2 3\naxis mins: 1 2 3\n", {0.5, 2, 3}, {1.25, 3, 4.5}},
        {"spacings: 0.5 2 3\naxismins: 1 2 3\ncenters: cell cell cell\n", {0.5, 2, 3}, {1.25, 3, 4.5}},
        {"spacings: 0.5 2 3\naxis mins: 1 2 3\ncenterings: node node node\n", {0.5, 2, 3}, {1, 2, 3}},
        {"axis mins: 1 2 3\naxis maxs: 3 6 9\ncenters: node node node\n", {1, 1, 1}, {1, 2, 3}},
        {"axis mins: 1 2 3\naxis maxs: 3 6 9\n", {1, 1, 1}, {1.5, 2 + 2. / 3, 3.75}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        expected_image expected = plain;
        memcpy(expected.spacing, cases[i].spacing, sizeof cases[i].spacing);
        memcpy(expected.origin, cases[i].origin, sizeof cases[i].origin);
        snprintf(text, sizeof text, HEAD "%s\n", cases[i].fields);
        check_file(make(text), &expected, numbers);
    }
}

static void spaces_are_turned_to_lps(void **state) {
    (void)state;
    static const char *const unchanged[] = {"space: LPS\n", "space: left-posterior-superior\n", "space: scanner-xyz\n",
                                            "space: 3D-right-handed\n", "space dimension: 3\n"};
    expected_image expected = {.dtype = LOOM_U8,
                               .rank = 3,
                               .size = {2, 3, 4},
                               .spacing = {0.5, 2, 3},
                               .origin = {10, 20, 30},
                               .axes = {{1, 0, 0}, {0, 0.8, 0.6}, {0, -0.6, 0.8}}};
    char text[400];
    for (size_t i = 0; i < sizeof unchanged / sizeof unchanged[0]; i++) {
        snprintf(text, sizeof text, HEAD "%s" SPACE "\n", unchanged[i]);
        check_file(make(text), &expected, numbers);
    }
    expected_image mirrored = expected;
    mirrored.origin[0] = -10;
    mirrored.origin[1] = -20;
    mirrored.axes[0][0] = -1;
    mirrored.axes[1][1] = -0.8;
    mirrored.axes[2][1] = 0.6;
    check_file(make(HEAD "space: RAS\n" SPACE "\n"), &mirrored, numbers);
    check_file(
        make(HEAD
             "space: right-anterior-superior\nspace directions: ( 0.5, 0, 0 ) (0,1.6,1.2)(0,-1.8,2.4)\n"
             "space origin: (10, 20, 30)\ncenters: node node node\nspace units: \"mm\" \"mm\" \"mm\"\nkey:=value\n\n"),
        &mirrored, numbers);
    expected_image placed = {.dtype = LOOM_U8, .rank = 3, .size = {2, 3, 4}, .origin = {10, 20, 30}};
    check_file(make(HEAD "space: LPS\nspace origin: (10,20,30)\n\n"), &placed, numbers);
    expected_image flat = {
        .dtype = LOOM_U8, .rank = 2, .size = {6, 4}, .spacing = {2, 3}, .origin = {1, 2}, .axes = {{0, 1}, {-1, 0}}};
    check_file(make("NRRD0004\ntype: uchar\ndimension: 2\nsizes: 6 4\nencoding: raw\nspace dimension: 2\n"
                    "space directions: (0,2) (-3,0)\nspace origin: (1,2)\n\n"),
               &flat, numbers);
}

static void components(void **state) {
    (void)state;
    static const char *const kinds[] = {"vector domain domain domain", "RGB-color space space space",
                                        "list domain domain domain",   "3-vector space space space",
                                        "3-color domain domain time",  "point domain domain domain"};
    expected_image vector = {.dtype = LOOM_U8, .rank = 3, .components = 3, .size = {2, 2, 2}};
    char text[400];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(text, sizeof text, HEAD4 "kinds: %s\n\n", kinds[i]);
        check_file(make(text), &vector, numbers);
    }
    expected_image four = {.dtype = LOOM_U8, .rank = 4, .size = {3, 2, 2, 2}};
    check_file(make(HEAD4 "\n"), &four, numbers);
    check_file(make(HEAD4 "kinds: ??? none domain time\n\n"), &four, numbers);
    /* One component after the other: brought side by side. */
    unsigned char interleaved[24];
    for (size_t i = 0; i < 24; i++)
        interleaved[i % 8 * 3 + i / 8] = numbers[i];
    expected_image last = {.dtype = LOOM_U8,
                           .rank = 3,
                           .components = 3,
                           .size = {2, 2, 2},
                           .spacing = {1, 1, 2},
                           .origin = {-1, -2, 3},
                           .axes = {{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}}};
    check_file(
        make("NRRD0005\ntype: uint8\ndimension: 4\nsizes: 2 2 2 3\nencoding: raw\nkinds: space space space list\n"
             "space: RAS\nspace directions: (1,0,0) (0,1,0) (0,0,2) none\nspace origin: (1,2,3)\n\n"),
        &last, interleaved);
}

static void every_sample_type(void **state) {
    (void)state;
    static const struct {
        const char *name;
        loom_dtype dtype;
        size_t bytes;
    } types[] = {{"signed char", LOOM_I8, 1},    {"int8_t", LOOM_I8, 1},
                 {"unsigned char", LOOM_U8, 1},  {"short", LOOM_I16, 2},
                 {"int16", LOOM_I16, 2},         {"unsigned short", LOOM_U16, 2},
                 {"int", LOOM_I32, 4},           {"uint32_t", LOOM_U32, 4},
                 {"long long int", LOOM_I64, 8}, {"unsigned long long", LOOM_U64, 8},
                 {"float", LOOM_F32, 4},         {"double", LOOM_F64, 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (int big = 0; big < 2; big++) {
            char text[300];
            uint64_t width = 24 / types[i].bytes;
            expected_image expected = {.dtype = types[i].dtype, .rank = 2, .size = {width, 1}};
            unsigned char voxels[24];
            for (size_t k = 0; k < 24; k++)
                voxels[k] =
                    big ? numbers[k - k % types[i].bytes + types[i].bytes - 1 - k % types[i].bytes] : numbers[k];
            snprintf(text, sizeof text, "NRRD0001\ntype: %s\ndimension: 2\nsizes: %d 1\nendian: %s\nencoding: raw\n\n",
                     types[i].name, (int)width, big ? "big" : "little");
            check_file(make(text), &expected, voxels);
        }
}

static void samples_in_other_files(void **state) {
    (void)state;
    const char *header = scratch_path("image.nhdr");
    write_file(scratch_path("all.raw"), numbers, 24);
    write_text_file(header, HEAD "data file: all.raw\n", "", 0);
    check_file(header, &plain, numbers);
    unsigned char longer[30] = "header";
    memcpy(longer + 6, numbers, 24);
    write_file(scratch_path("longer.raw"), longer, 30);
    write_text_file(header, HEAD "byte skip: 6\ndatafile: longer.raw\n", "", 0);
    check_file(header, &plain, numbers);
    write_text_file(header, HEAD "byteskip: -1\ndatafile: longer.raw\n\n", "", 0);
    check_file(header, &plain, numbers);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d.raw", i + 1);
        write_file(scratch_path(name), numbers + 6 * i, 6);
    }
    write_text_file(header, HEAD "data file: LIST\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n", "", 0);
    check_file(header, &plain, numbers);
    loom_volume *volume;
    loom_error err = {0};
    assert_true(loom_volume_may_have_more_files(header));
    assert_loom_ok(loom_volume_open(header, &volume, &err), &err);
    assert_int_equal(loom_volume_file_count(volume), 5);
    assert_string_equal(loom_volume_file(volume, 2), scratch_path("s2.raw"));
    loom_volume_close(volume);
    write_text_file(header, HEAD "data file: s%d.raw 1 4 1\n", "", 0);
    check_file(header, &plain, numbers);
    write_text_file(header, HEAD "data file: s%d.raw 1 4 1 2\n", "", 0);
    check_file(header, &plain, numbers);
    write_text_file(header, HEAD "data file: LIST\ns1.raw\ns2.raw\ns3.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "3 files"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "data file: gone.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "gone.raw"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "data file: longer.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "longer.raw"), LOOM_BAD_INPUT);
}

static void compressed_samples(void **state) {
    (void)state;
    static const char text[] = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: gzip\n\n";
    size_t length;
    unsigned char *packed = gzip_bytes(numbers, sizeof numbers, &length);
    const char *path = scratch_path("packed.nrrd");
    write_text_file(path, text, packed, length);
    check_file(path, &plain, numbers);
    for (size_t cut = 0; cut < length; cut++) {
        write_text_file(path, text, packed, cut);
        assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
    }
    write_text_file(path, "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 5\nencoding: gzip\n\n", packed, length);
    assert_int_equal(expect_refusal(path, "truncated"), LOOM_BAD_INPUT);
    write_text_file(path, "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 3\nencoding: gzip\n\n", packed, length);
    assert_int_equal(expect_refusal(path, "more data"), LOOM_BAD_INPUT);
    write_file(scratch_path("packed.raw.gz"), packed, length);
    write_text_file(path, "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: gz\ndata file: packed.raw.gz\n",
                    "", 0);
    check_file(path, &plain, numbers);
    free(packed);
}

static void headers_that_lie(void **state) {
    (void)state;
    static const struct {
        const char *text, *fragment;
        loom_status status;
    } cases[] = {
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 5\nencoding: raw\n\n", "promises", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 3\nencoding: raw\n\n", "describes only", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 90000000000 90000000000 9\nencoding: raw\n\n", "",
         LOOM_TOO_LARGE},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 0 4\nencoding: raw\n\n", "", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 -3 4\nencoding: raw\n\n", "sizes", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: uchar\ndimension: 6\nsizes: 2 3 4 1 1 1\nencoding: raw\n\n", "6 axes", LOOM_UNSUPPORTED},
        {"NRRD0004\ntype: uchar\ndimension: 1\nsizes: 24\nencoding: raw\n\n", "1 axes", LOOM_UNSUPPORTED},
        {"NRRD0004\ntype: uchar\nsizes: 2 3 4\ndimension: 3\nencoding: raw\n\n", "dimension", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: uchar\ndimension: 3\nencoding: raw\n\n", "lacks", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: short\ndimension: 3\nsizes: 1 3 4\nencoding: raw\n\n", "endian", LOOM_BAD_INPUT},
        {"NRRD0004\ntype: block\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n\n", "block", LOOM_UNSUPPORTED},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: bzip2\n\n", "bzip2", LOOM_UNSUPPORTED},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: ascii\n\n", "ascii", LOOM_UNSUPPORTED},
        {HEAD "sizes: 2 3 4\n\n", "twice", LOOM_BAD_INPUT},
        {HEAD "space directions: (1,0,0) (0,1,0) (0,0,1)\n\n", "space", LOOM_BAD_INPUT},
        {HEAD "space: LPS\nspace directions: (1,0,0) (0,1,0)\n\n", "space directions", LOOM_BAD_INPUT},
        {HEAD "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0)\n\n", "space directions", LOOM_BAD_INPUT},
        {HEAD "space: LPS\nspace directions: (1,0,0) (0,1,0) none\n\n", "some axes", LOOM_BAD_INPUT},
        {HEAD "space: LPS\nspace directions: (0,0,0) (0,1,0) (0,0,1)\n\n", "spacing", LOOM_BAD_INPUT},
        {HEAD "space: LPS\nspace origin: (nan,0,0)\n\n", "origin", LOOM_BAD_INPUT},
        {HEAD "space: LAS\n" SPACE "\n", "LAS", LOOM_UNSUPPORTED},
        {HEAD "space dimension: 2\n\n", "2 dimensions", LOOM_UNSUPPORTED},
        {HEAD "spacings: -0.5 1 1\n\n", "spacing", LOOM_BAD_INPUT},
        {HEAD4 "kinds: 3D-symmetric-matrix domain domain domain\n\n", "matrix", LOOM_UNSUPPORTED},
        {HEAD4 "kinds: domain vector domain domain\n\n", "middle", LOOM_UNSUPPORTED},
        {HEAD "line skip: 1\n\n", "line skip", LOOM_UNSUPPORTED},
        {"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 5\nencoding: raw\nbyte skip: -1\n\n", "promises",
         LOOM_BAD_INPUT},
        {HEAD "nonsense\n\n", "nonsense", LOOM_BAD_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(expect_refusal(make(cases[i].text), cases[i].fragment), cases[i].status);
    write_text_file(scratch_path("end.nrrd"), HEAD, "", 0);
    assert_int_equal(expect_refusal(scratch_path("end.nrrd"), "empty line"), LOOM_BAD_INPUT);
    check_hostile(make(HEAD "space: RAS\n" SPACE "\n"), 1);
}

static void written_as_itk_writes(void **state) {
    (void)state;
    const uint64_t size[3] = {2, 2, 2};
    loom_image_header image = loom_image_header_make(LOOM_U8, 3, size);
    image.components = 3;
    image.spacing[0] = 0.5;
    image.origin[1] = -20.25;
    image.direction[0] = image.direction[5] = 0;
    image.direction[1] = -1;
    image.direction[4] = 1;
    loom_error err = {0};
    const char *path = scratch_path("new.nrrd");
    assert_loom_ok(loom_volume_write(path, &image, numbers, &err), &err);
    static const char text[] =
        "NRRD0004\n# Complete NRRD file format specification at:\n# http://teem.sourceforge.net/nrrd/format.html\n"
        "type: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 2 2 2\n"
        "space directions: none (0,0.5,0) (-1,0,0) (0,0,1)\nkinds: RGB-color domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (0,-20.25,0)\n\n";
    size_t length;
    unsigned char *bytes = read_file(path, &length);
    assert_int_equal(length, strlen(text) + 24);
    assert_memory_equal(bytes, text, strlen(text));
    assert_memory_equal(bytes + strlen(text), numbers, 24);
    free(bytes);
}

static void round_trips(void **state) {
    (void)state;
    for (loom_dtype dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 4; rank++)
            for (uint16_t components = 1; components <= 3; components += 2) {
                loom_image_header header;
                unsigned char *voxels = make_image(dtype, rank, components, &header);
                /* Spacing and direction are kept as one vector. */
                check_round_trip(scratch_path("round.nrrd"), &header, voxels, 1e-14);
                check_round_trip(scratch_path("round.nhdr"), &header, voxels, 1e-14);
                free(voxels);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_without_a_space),
        cmocka_unit_test(spaces_are_turned_to_lps),
        cmocka_unit_test(components),
        cmocka_unit_test(every_sample_type),
        cmocka_unit_test(samples_in_other_files),
        cmocka_unit_test(compressed_samples),
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(written_as_itk_writes),
        cmocka_unit_test(round_trips),
    };
    return cmocka_run_group_tests_name("io nrrd", tests, scratch_setup, scratch_teardown);
}
