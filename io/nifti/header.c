/* header.c - the fields of NIfTI-1 and NIfTI-2 headers by their offsets; values are judged elsewhere. */
#include "io/nifti/header.h"

#include <string.h>

/* Reads little- or big-endian fields at fixed offsets; the caller has checked the length. */
typedef struct field_reader {
    const uint8_t *bytes;
    bool big;
} field_reader;

static uint64_t bits_at(const field_reader *reader, size_t offset, size_t width) {
    uint64_t bits = 0;
    for (size_t i = 0; i < width; i++)
        bits = bits << 8 | reader->bytes[offset + (reader->big ? i : width - 1 - i)];
    return bits;
}

static int16_t i16_at(const field_reader *reader, size_t offset) {
    return (int16_t)(uint16_t)bits_at(reader, offset, 2);
}
static int32_t i32_at(const field_reader *reader, size_t offset) {
    return (int32_t)(uint32_t)bits_at(reader, offset, 4);
}
static int64_t i64_at(const field_reader *reader, size_t offset) {
    return (int64_t)bits_at(reader, offset, 8);
}

static double f32_at(const field_reader *reader, size_t offset) {
    uint32_t bits = (uint32_t)bits_at(reader, offset, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double f64_at(const field_reader *reader, size_t offset) {
    uint64_t bits = bits_at(reader, offset, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

typedef enum file_kind { NOT_NIFTI, SINGLE, PAIR } file_kind;

static file_kind kind_of_magic(const uint8_t *magic, int version) {
    const char *single = version == 1 ? "n+1" : "n+2\0\r\n\032\n";
    const char *pair = version == 1 ? "ni1" : "ni2\0\r\n\032\n";
    size_t length = version == 1 ? 4 : 8;
    if (memcmp(magic, single, length) == 0) return SINGLE;
    return memcmp(magic, pair, length) == 0 ? PAIR : NOT_NIFTI;
}

/* Finds version and byte order by the size field, and checks the magic. */
static file_kind identify(const uint8_t *bytes, size_t length, int *version, bool *big) {
    if (length < LOOM_NIFTI1_BYTES) return NOT_NIFTI;
    for (int order = 0; order < 2; order++) {
        field_reader reader = {bytes, order == 1};
        *big = order == 1;
        int32_t size = i32_at(&reader, 0);
        if (size == (int32_t)LOOM_NIFTI1_BYTES) {
            *version = 1;
            return kind_of_magic(bytes + 344, 1);
        }
        if (size == (int32_t)LOOM_NIFTI2_BYTES) {
            *version = 2;
            return kind_of_magic(bytes + 4, 2);
        }
    }
    return NOT_NIFTI;
}

bool loom_nifti_recognise(const uint8_t *bytes, size_t length) {
    int version;
    bool big;
    return identify(bytes, length, &version, &big) != NOT_NIFTI;
}

static void parse_version_1(const field_reader *reader, loom_nifti *header) {
    for (size_t i = 0; i < 8; i++) {
        header->dim[i] = i16_at(reader, 40 + 2 * i);
        header->pixdim[i] = f32_at(reader, 76 + 4 * i);
    }
    header->intent = i16_at(reader, 68);
    header->datatype = i16_at(reader, 70);
    header->bitpix = i16_at(reader, 72);
    header->vox_offset = f32_at(reader, 108);
    header->slope = f32_at(reader, 112);
    header->inter = f32_at(reader, 116);
    header->xyzt_units = reader->bytes[123];
    header->qform_code = i16_at(reader, 252);
    header->sform_code = i16_at(reader, 254);
    for (size_t i = 0; i < 3; i++) {
        header->quatern[i] = f32_at(reader, 256 + 4 * i);
        header->qoffset[i] = f32_at(reader, 268 + 4 * i);
        for (size_t j = 0; j < 4; j++)
            header->srow[i][j] = f32_at(reader, 280 + 16 * i + 4 * j);
    }
}

static void parse_version_2(const field_reader *reader, loom_nifti *header) {
    header->datatype = i16_at(reader, 12);
    header->bitpix = i16_at(reader, 14);
    for (size_t i = 0; i < 8; i++) {
        header->dim[i] = i64_at(reader, 16 + 8 * i);
        header->pixdim[i] = f64_at(reader, 104 + 8 * i);
    }
    header->vox_offset = (double)i64_at(reader, 168);
    header->slope = f64_at(reader, 176);
    header->inter = f64_at(reader, 184);
    header->qform_code = i32_at(reader, 344);
    header->sform_code = i32_at(reader, 348);
    for (size_t i = 0; i < 3; i++) {
        header->quatern[i] = f64_at(reader, 352 + 8 * i);
        header->qoffset[i] = f64_at(reader, 376 + 8 * i);
        for (size_t j = 0; j < 4; j++)
            header->srow[i][j] = f64_at(reader, 400 + 32 * i + 8 * j);
    }
    header->xyzt_units = i32_at(reader, 500);
    header->intent = i32_at(reader, 504);
}

loom_status loom_nifti_parse(const uint8_t *bytes, size_t length, const char *name, loom_nifti *header,
                             loom_error *err) {
    memset(header, 0, sizeof *header);
    bool big;
    file_kind kind = identify(bytes, length, &header->version, &big);
    if (kind == NOT_NIFTI)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: has no NIfTI header; is it an image in another format?", name);
    if (header->version == 2 && length < LOOM_NIFTI2_BYTES)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: truncated within its header; get a complete copy of the file", name);
    header->swapped = big;
    header->pair = kind == PAIR;
    field_reader reader = {bytes, big};
    if (header->version == 1)
        parse_version_1(&reader, header);
    else
        parse_version_2(&reader, header);
    return LOOM_OK;
}

static void put_bits(uint8_t *bytes, size_t offset, size_t width, uint64_t bits) {
    for (size_t i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(bits >> (8 * i));
}

static void put_int(uint8_t *bytes, size_t offset, size_t width, int64_t value) {
    put_bits(bytes, offset, width, (uint64_t)value);
}

static void put_f32(uint8_t *bytes, size_t offset, double value) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_bits(bytes, offset, 4, bits);
}

static void put_f64(uint8_t *bytes, size_t offset, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bits(bytes, offset, 8, bits);
}

static void format_version_1(const loom_nifti *header, uint8_t *bytes) {
    put_int(bytes, 0, 4, (int64_t)LOOM_NIFTI1_BYTES);
    bytes[38] = 'r'; /* `regular`, which old ANALYZE programs want */
    for (size_t i = 0; i < 8; i++) {
        put_int(bytes, 40 + 2 * i, 2, header->dim[i]);
        put_f32(bytes, 76 + 4 * i, header->pixdim[i]);
    }
    put_int(bytes, 68, 2, header->intent);
    put_int(bytes, 70, 2, header->datatype);
    put_int(bytes, 72, 2, header->bitpix);
    put_f32(bytes, 108, (double)LOOM_NIFTI1_DATA);
    put_f32(bytes, 112, header->slope);
    put_f32(bytes, 116, header->inter);
    bytes[123] = (uint8_t)header->xyzt_units;
    put_int(bytes, 252, 2, header->qform_code);
    put_int(bytes, 254, 2, header->sform_code);
    for (size_t i = 0; i < 3; i++) {
        put_f32(bytes, 256 + 4 * i, header->quatern[i]);
        put_f32(bytes, 268 + 4 * i, header->qoffset[i]);
        for (size_t j = 0; j < 4; j++)
            put_f32(bytes, 280 + 16 * i + 4 * j, header->srow[i][j]);
    }
    memcpy(bytes + 344, "n+1", 4);
}

static void format_version_2(const loom_nifti *header, uint8_t *bytes) {
    put_int(bytes, 0, 4, (int64_t)LOOM_NIFTI2_BYTES);
    memcpy(bytes + 4, "n+2\0\r\n\032\n", 8);
    put_int(bytes, 12, 2, header->datatype);
    put_int(bytes, 14, 2, header->bitpix);
    for (size_t i = 0; i < 8; i++) {
        put_int(bytes, 16 + 8 * i, 8, header->dim[i]);
        put_f64(bytes, 104 + 8 * i, header->pixdim[i]);
    }
    put_int(bytes, 168, 8, (int64_t)LOOM_NIFTI2_DATA);
    put_f64(bytes, 176, header->slope);
    put_f64(bytes, 184, header->inter);
    put_int(bytes, 344, 4, header->qform_code);
    put_int(bytes, 348, 4, header->sform_code);
    for (size_t i = 0; i < 3; i++) {
        put_f64(bytes, 352 + 8 * i, header->quatern[i]);
        put_f64(bytes, 376 + 8 * i, header->qoffset[i]);
        for (size_t j = 0; j < 4; j++)
            put_f64(bytes, 400 + 32 * i + 8 * j, header->srow[i][j]);
    }
    put_int(bytes, 500, 4, header->xyzt_units);
    put_int(bytes, 504, 4, header->intent);
}

size_t loom_nifti_format(const loom_nifti *header, uint8_t bytes[LOOM_NIFTI2_DATA]) {
    memset(bytes, 0, LOOM_NIFTI2_DATA);
    if (header->version == 1) {
        format_version_1(header, bytes);
        return LOOM_NIFTI1_DATA;
    }
    format_version_2(header, bytes);
    return LOOM_NIFTI2_DATA;
}
