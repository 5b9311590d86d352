/* volumes.c - offsets are those of the NIfTI-1 header (nifti1.h). */
#include "volumes.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_BYTES = 352, DIM = 40, DATATYPE = 70, BITPIX = 72, PIXDIM = 76, VOX_OFFSET = 108, QFORM_CODE = 252 };

static size_t datatype_bytes(int datatype) {
    switch (datatype) {
    case NIFTI_U8:
        return 1;
    case NIFTI_I16:
        return 2;
    case NIFTI_F32:
        return 4;
    case NIFTI_F64:
        return 8;
    default:
        fail_msg("datatype %d is not one that the tests use", datatype);
    }
    return 0;
}

size_t volume_count(const volume *v) {
    return (size_t)v->nx * (size_t)v->ny * (size_t)(v->nz ? v->nz : 1);
}

size_t volume_bytes(const volume *v) {
    return volume_count(v) * datatype_bytes(v->datatype);
}

static void put_i16(uint8_t *header, size_t at, int value) {
    int16_t number = (int16_t)value;
    memcpy(header + at, &number, sizeof number);
}

static void put_f32(uint8_t *header, size_t at, float value) {
    memcpy(header + at, &value, sizeof value);
}

static int get_i16(const uint8_t *header, size_t at) {
    int16_t number;
    memcpy(&number, header + at, sizeof number);
    return number;
}

void volume_header(const volume *v, uint8_t header[352]) {
    memset(header, 0, HEADER_BYTES);
    int32_t size = 348;
    memcpy(header, &size, sizeof size);
    put_i16(header, DIM, v->nz ? 3 : 2);
    put_i16(header, DIM + 2, v->nx);
    put_i16(header, DIM + 4, v->ny);
    for (size_t axis = 3; axis <= 7; axis++)
        put_i16(header, DIM + 2 * axis, axis == 3 && v->nz ? v->nz : 1);
    put_i16(header, DATATYPE, v->datatype);
    put_i16(header, BITPIX, (int)datatype_bytes(v->datatype) * 8);
    for (size_t axis = 0; axis <= 7; axis++)
        put_f32(header, PIXDIM + 4 * axis, 1);
    put_f32(header, VOX_OFFSET, HEADER_BYTES);
    put_i16(header, QFORM_CODE, 1);
    memcpy(header + 344, "n+1", 4);
}

void volume_write(scene *at, const char *name, const volume *v) {
    uint8_t header[HEADER_BYTES];
    volume_header(v, header);
    size_t length = strlen(name);
    bool zipped = length > 3 && strcmp(name + length - 3, ".gz") == 0;
    gzFile file = gzopen(scene_path(at, name), zipped ? "wb1" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, header, HEADER_BYTES), HEADER_BYTES);
    assert_int_equal(gzwrite(file, v->voxels, (unsigned)volume_bytes(v)), volume_bytes(v));
    assert_int_equal(gzclose(file), Z_OK);
}

void volume_make(scene *at, const char *name, int nx, int ny, int nz, float (*value)(int x, int y, int z)) {
    volume v = {nx, ny, nz, NIFTI_F32, NULL};
    float *voxels = malloc(volume_bytes(&v));
    assert_non_null(voxels);
    v.voxels = voxels;
    size_t i = 0;
    for (int z = 0; z < (nz ? nz : 1); z++)
        for (int y = 0; y < ny; y++)
            for (int x = 0; x < nx; x++)
                voxels[i++] = value(x, y, z);
    volume_write(at, name, &v);
    free(voxels);
}

volume volume_read(scene *at, const char *name) {
    uint8_t header[HEADER_BYTES];
    gzFile file = gzopen(scene_path(at, name), "rb");
    if (!file) fail_msg("%s was not written", name);
    assert_int_equal(gzread(file, header, HEADER_BYTES), HEADER_BYTES);
    assert_memory_equal(header + 344, "n+1", 4);
    float offset;
    memcpy(&offset, header + VOX_OFFSET, sizeof offset);
    int rank = get_i16(header, DIM);
    assert_in_range(rank, 2, 3);
    volume v = {.nx = get_i16(header, DIM + 2),
                .ny = get_i16(header, DIM + 4),
                .nz = rank == 3 ? get_i16(header, DIM + 6) : 0,
                .datatype = get_i16(header, DATATYPE)};
    size_t bytes = volume_bytes(&v);
    char *text = scene_text(at, "%*s", (int)bytes, ""); /* room that lives as long as the scene */
    assert_int_equal(gzseek(file, (z_off_t)offset, SEEK_SET), (z_off_t)offset);
    assert_int_equal(gzread(file, text, (unsigned)bytes), bytes);
    assert_int_equal(gzread(file, header, 1), 0); /* and no byte more */
    gzclose(file);
    v.voxels = text;
    return v;
}

void volume_hash(const volume *v, char hex[LOOM_ID_HEX_BYTES]) {
    loom_id id = loom_sha256(v->voxels, volume_bytes(v));
    loom_id_hex(&id, hex);
}
