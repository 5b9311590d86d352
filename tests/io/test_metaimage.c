/* test_metaimage.c - MetaImage files whose text and bytes are written here. Geometry is what ITK 5.2's MetaImageIO read
 * from the same bytes (recorded once; io/README.md says where we differ on purpose). */
#include "written.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define HEAD "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_UCHAR\n"
#define LOCAL "ElementDataFile = LOCAL\n"

static const unsigned char numbers[24] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                          13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
static const expected_image plain = {.dtype = LOOM_U8, .rank = 3, .size = {2, 3, 4}};

static const char *make(const char *text) {
    const char *path = scratch_path("image.mha");
    write_text_file(path, text, numbers, sizeof numbers);
    return path;
}

static void geometry_is_as_in_itk(void **state) {
    (void)state;
    check_file(make(HEAD LOCAL), &plain, numbers);
    expected_image turned = {.dtype = LOOM_U8,
                             .rank = 3,
                             .size = {2, 3, 4},
                             .spacing = {0.5, 2, 3},
                             .origin = {1, 2, 3},
                             .axes = {{0.8, 0.6, 0}, {-0.6, 0.8, 0}, {0, 0, 1}}};
    check_file(
        make(HEAD "TransformMatrix = 0.8 0.6 0 -0.6 0.8 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 0.5 2 3\n" LOCAL),
        &turned, numbers);
    check_file(
        make(HEAD "Rotation = 0.8 0.6 0 -0.6 0.8 0 0 0 1\r\nPosition = 1 2 3\r\nElementSize = 0.5 2 3\r\n" LOCAL),
        &turned, numbers);
    /* Spacing goes before the size of an element; where the axes lead is told by the matrix alone. */
    expected_image spaced = {.dtype = LOOM_U8, .rank = 3, .size = {2, 3, 4}, .spacing = {1, 2, 3}};
    check_file(make(HEAD "ElementSize = 0.5 2 3\nElementSpacing = 1 2 3\nAnatomicalOrientation = RAS\n"
                         "CenterOfRotation = 5 6 7\nComment = none\n" LOCAL),
               &spaced, numbers);
    expected_image flat = {
        .dtype = LOOM_U8, .rank = 2, .size = {6, 4}, .spacing = {2, 3}, .origin = {1, 2}, .axes = {{0, 1}, {-1, 0}}};
    check_file(make("NDims = 2\nDimSize = 6 4\nElementType = MET_UCHAR\nTransformMatrix = 0 1 -1 0\nOffset = 1 2\n"
                    "ElementSpacing = 2 3\n" LOCAL),
               &flat, numbers);
}

static void every_pixel_type(void **state) {
    (void)state;
    static const struct {
        const char *name;
        loom_dtype dtype;
        size_t bytes;
    } types[] = {{"CHAR", LOOM_I8, 1},       {"UCHAR", LOOM_U8, 1},       {"SHORT", LOOM_I16, 2},
                 {"USHORT", LOOM_U16, 2},    {"INT", LOOM_I32, 4},        {"UINT", LOOM_U32, 4},
                 {"LONG", LOOM_I32, 4},      {"ULONG", LOOM_U32, 4},      {"FLOAT", LOOM_F32, 4},
                 {"LONG_LONG", LOOM_I64, 8}, {"ULONG_LONG", LOOM_U64, 8}, {"DOUBLE", LOOM_F64, 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char text[300];
        uint64_t width = 24 / types[i].bytes;
        expected_image expected = {.dtype = types[i].dtype, .rank = 2, .size = {width, 1}};
        snprintf(text, sizeof text, "NDims = 2\nDimSize = %d 1\nElementType = MET_%s\n" LOCAL, (int)width,
                 types[i].name);
        check_file(make(text), &expected, numbers);
        unsigned char reversed[24];
        for (size_t k = 0; k < 24; k++)
            reversed[k] = numbers[k - k % types[i].bytes + types[i].bytes - 1 - k % types[i].bytes];
        snprintf(text, sizeof text,
                 "NDims = 2\nDimSize = %d 1\nBinaryDataByteOrderMSB = True\nElementType = MET_%s\n" LOCAL, (int)width,
                 types[i].name);
        check_file(make(text), &expected, reversed);
    }
    expected_image vector = {.dtype = LOOM_U8, .rank = 3, .components = 3, .size = {2, 2, 2}};
    check_file(make("NDims = 3\nDimSize = 2 2 2\nElementNumberOfChannels = 3\nElementType = MET_UCHAR\n" LOCAL),
               &vector, numbers);
    check_file(make("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR_ARRAY\nElementNumberOfChannels = 3\n" LOCAL),
               &vector, numbers);
}

static void check_files(const char *path, size_t count, const char *last) {
    loom_error err = {0};
    loom_volume *volume;
    assert_true(loom_volume_may_have_more_files(path));
    assert_loom_ok(loom_volume_open(path, &volume, &err), &err);
    assert_int_equal(loom_volume_file_count(volume), count);
    assert_string_equal(loom_volume_file(volume, 0), path);
    assert_string_equal(loom_volume_file(volume, count - 1), last);
    loom_volume_close(volume);
}

static void voxels_in_other_files(void **state) {
    (void)state;
    const char *header = scratch_path("image.mhd");
    write_file(scratch_path("all.raw"), numbers, 24);
    write_text_file(header, HEAD "ElementDataFile = all.raw\n", "", 0);
    check_file(header, &plain, numbers);
    check_files(header, 2, scratch_path("all.raw"));
    /* A header of known or unknown length before them. */
    unsigned char longer[30] = "header";
    memcpy(longer + 6, numbers, 24);
    write_file(scratch_path("longer.raw"), longer, 30);
    write_text_file(header, HEAD "HeaderSize = 6\nElementDataFile = longer.raw\n", "", 0);
    check_file(header, &plain, numbers);
    write_text_file(header, HEAD "HeaderSize = -1\nElementDataFile = longer.raw\n", "", 0);
    check_file(header, &plain, numbers);
    /* A slice a file, by a list or a pattern. */
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%02d.raw", 10 + 2 * i);
        write_file(scratch_path(name), numbers + 6 * i, 6);
    }
    write_text_file(header, HEAD "ElementDataFile = LIST\ns10.raw\ns12.raw\ns14.raw\ns16.raw\n", "", 0);
    check_file(header, &plain, numbers);
    check_files(header, 5, scratch_path("s16.raw"));
    write_text_file(header, HEAD "ElementDataFile = LIST 2D\ns10.raw\ns12.raw\ns14.raw\ns16.raw", "", 0);
    check_file(header, &plain, numbers);
    write_text_file(header, HEAD "ElementDataFile = s%02d.raw 10 16 2\n", "", 0);
    check_file(header, &plain, numbers);
    check_files(header, 5, scratch_path("s16.raw"));
    /* Refused: too few, too many, missing, too short, too long, a pattern that is more than a number. */
    write_text_file(header, HEAD "ElementDataFile = LIST\ns10.raw\ns12.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "names 2 files"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = LIST\ns10.raw\ns12.raw\ns14.raw\ns16.raw\ns16.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "more files"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = s%02d.raw 10 18 2\n", "", 0);
    assert_int_equal(expect_refusal(header, "5 files"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = s%02d%s.raw 10 16 2\n", "", 0);
    assert_int_equal(expect_refusal(header, "pattern"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = s%n.raw 10 16 2\n", "", 0);
    assert_int_equal(expect_refusal(header, "pattern"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = gone.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "gone.raw"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = s10.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "s10.raw"), LOOM_BAD_INPUT);
    write_text_file(header, HEAD "ElementDataFile = longer.raw\n", "", 0);
    assert_int_equal(expect_refusal(header, "longer.raw"), LOOM_BAD_INPUT);
    write_text_file(header,
                    "NDims = 3\nDimSize = 1 1 90000000\nElementType = MET_UCHAR\n"
                    "ElementDataFile = s%d.raw 1 90000000 1\n",
                    "", 0);
    assert_int_equal(expect_refusal(header, "at most"), LOOM_TOO_LARGE);
}

static void compressed_voxels(void **state) {
    (void)state;
    unsigned char packed[100];
    uLongf length = sizeof packed;
    assert_int_equal(compress(packed, &length, numbers, sizeof numbers), Z_OK);
    const char *path = scratch_path("packed.mha");
    write_text_file(path, HEAD "CompressedData = True\n" LOCAL, packed, length);
    check_file(path, &plain, numbers);
    for (size_t cut = 0; cut < length; cut++) {
        write_text_file(path, HEAD "CompressedData = True\n" LOCAL, packed, cut);
        assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
    }
    packed[length] = 1;
    write_text_file(path, HEAD "CompressedData = True\n" LOCAL, packed, length + 1);
    assert_int_equal(expect_refusal(path, "follow"), LOOM_BAD_INPUT);
    packed[length - 1] ^= 1;
    write_text_file(path, HEAD "CompressedData = True\n" LOCAL, packed, length);
    assert_int_equal(expect_refusal(path, "checksum"), LOOM_BAD_INPUT);
    packed[length - 1] ^= 1;
    write_text_file(path, "NDims = 3\nDimSize = 2000 3000 4000\nElementType = MET_UCHAR\nCompressedData = True\n" LOCAL,
                    packed, length);
    assert_int_equal(expect_refusal(path, "promises"), LOOM_BAD_INPUT);
    write_file(scratch_path("packed.zraw"), packed, length);
    write_text_file(path, HEAD "CompressedData = True\nElementDataFile = packed.zraw\n", "", 0);
    check_file(path, &plain, numbers);
}

static void headers_that_lie(void **state) {
    (void)state;
    static const struct {
        const char *text, *fragment;
        loom_status status;
    } cases[] = {
        {"NDims = 3\nDimSize = 2 3 5\nElementType = MET_UCHAR\n" LOCAL, "promises", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 3 3\nElementType = MET_UCHAR\n" LOCAL, "describes only", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 4000000000 4000000000 4000000000\nElementType = MET_UCHAR\n" LOCAL, "", LOOM_TOO_LARGE},
        {"NDims = 3\nDimSize = 2 3 99999999999999999999\nElementType = MET_UCHAR\n" LOCAL, "DimSize", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 3 -4\nElementType = MET_UCHAR\n" LOCAL, "DimSize", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 0 4\nElementType = MET_UCHAR\n" LOCAL, "", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 3\nElementType = MET_UCHAR\n" LOCAL, "DimSize", LOOM_BAD_INPUT},
        {"NDims = 5\nDimSize = 2 3 4 1 1\nElementType = MET_UCHAR\n" LOCAL, "5 axes", LOOM_UNSUPPORTED},
        {"NDims = 1\nDimSize = 24\nElementType = MET_UCHAR\n" LOCAL, "1 axes", LOOM_UNSUPPORTED},
        {"NDims = 3\nElementType = MET_UCHAR\n" LOCAL, "lacks", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 3 4\nElementType = MET_STRING\n" LOCAL, "MET_STRING", LOOM_UNSUPPORTED},
        {"ObjectType = Tube\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_UCHAR\n" LOCAL, "Tube", LOOM_UNSUPPORTED},
        {HEAD "NDims = 3\n" LOCAL, "twice", LOOM_BAD_INPUT},
        {HEAD "ElementSpacing = 0 1 1\n" LOCAL, "spacing", LOOM_BAD_INPUT},
        {HEAD "ElementSpacing = -1 1 1\n" LOCAL, "spacing", LOOM_BAD_INPUT},
        {HEAD "ElementSpacing = 1 1 x\n" LOCAL, "ElementSpacing", LOOM_BAD_INPUT},
        {HEAD "Offset = nan 1 1\n" LOCAL, "origin", LOOM_BAD_INPUT},
        {HEAD "ElementNumberOfChannels = 0\n" LOCAL, "Channels", LOOM_BAD_INPUT},
        {HEAD "BinaryData = False\n" LOCAL, "text", LOOM_UNSUPPORTED},
        {HEAD "CompressedData = Maybe\n" LOCAL, "CompressedData", LOOM_BAD_INPUT},
        {HEAD "HeaderSize = 9\n" LOCAL, "HeaderSize", LOOM_BAD_INPUT},
        {HEAD "nonsense\n" LOCAL, "nonsense", LOOM_BAD_INPUT},
        {"NDims = 3\nDimSize = 2 3 5\nElementType = MET_UCHAR\nHeaderSize = -1\n" LOCAL, "promises", LOOM_BAD_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(expect_refusal(make(cases[i].text), cases[i].fragment), cases[i].status);
    write_text_file(scratch_path("end.mha"), HEAD, "", 0);
    assert_int_equal(expect_refusal(scratch_path("end.mha"), "ends before"), LOOM_BAD_INPUT);
    check_hostile(make(HEAD LOCAL), 1);
}

static void written_as_itk_writes(void **state) {
    (void)state;
    const uint64_t size[2] = {2, 2};
    loom_image_header image = loom_image_header_make(LOOM_U16, 2, size);
    image.components = 3;
    image.spacing[0] = 0.5;
    image.origin[1] = -20.25;
    image.direction[0] = image.direction[5] = 0;
    image.direction[1] = -1;
    image.direction[4] = 1;
    loom_error err = {0};
    const char *path = scratch_path("new.MHA");
    assert_loom_ok(loom_volume_write(path, &image, numbers, &err), &err);
    static const char text[] =
        "ObjectType = Image\nNDims = 2\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        "TransformMatrix = 0 1 -1 0\nOffset = 0 -20.25\nCenterOfRotation = 0 0\nElementSpacing = 0.5 1\nDimSize = 2 2\n"
        "ElementNumberOfChannels = 3\nElementType = MET_USHORT\nElementDataFile = LOCAL\n";
    size_t length;
    unsigned char *bytes = read_file(path, &length);
    assert_int_equal(length, strlen(text) + 24);
    assert_memory_equal(bytes, text, strlen(text));
    assert_memory_equal(bytes + strlen(text), numbers, 24);
    free(bytes);
    path = scratch_path("pair.mhd");
    assert_loom_ok(loom_volume_write(path, &image, numbers, &err), &err);
    check_files(path, 2, scratch_path("pair.mhd.raw"));
    bytes = read_file(scratch_path("pair.mhd.raw"), &length);
    assert_int_equal(length, 24);
    assert_memory_equal(bytes, numbers, 24);
    free(bytes);
    /* Names that readers would take for something else, and those that they would not. */
    static const char *const odd[] = {"s%03d.mhd", "LIST 2.mhd", " blank.mhd", "line\nbreak.mhd", "s%d.nhdr"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_int_equal(loom_volume_write(scratch_path(odd[i]), &image, numbers, &err), LOOM_BAD_ARGUMENT);
    static const char *const plain_names[] = {"two words.mhd", "#LISTE.mhd", "two words.nhdr", "#LISTE.nhdr"};
    for (size_t i = 0; i < sizeof plain_names / sizeof plain_names[0]; i++)
        check_round_trip(scratch_path(plain_names[i]), &image, numbers, 0);
}

static void round_trips(void **state) {
    (void)state;
    for (loom_dtype dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 4; rank++)
            for (uint16_t components = 1; components <= 3; components += 2) {
                loom_image_header header;
                unsigned char *voxels = make_image(dtype, rank, components, &header);
                check_round_trip(scratch_path("round.mha"), &header, voxels, 0);
                check_round_trip(scratch_path("round.mhd"), &header, voxels, 0);
                free(voxels);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(geometry_is_as_in_itk), cmocka_unit_test(every_pixel_type),
        cmocka_unit_test(voxels_in_other_files), cmocka_unit_test(compressed_voxels),
        cmocka_unit_test(headers_that_lie),      cmocka_unit_test(written_as_itk_writes),
        cmocka_unit_test(round_trips),
    };
    return cmocka_run_group_tests_name("io metaimage", tests, scratch_setup, scratch_teardown);
}
