/* nifti_maker.c - NIfTI files from a recipe, for tests. */
#include "nifti_maker.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static void put(unsigned char *at, const void *value, size_t width, bool big) {
    const unsigned char *from = value; /* this machine is little-endian */
    for (size_t i = 0; i < width; i++)
        at[i] = from[big ? width - 1 - i : i];
}

static void put_i16(unsigned char *at, int64_t value, bool big) {
    int16_t narrow = (int16_t)value;
    put(at, &narrow, 2, big);
}

static void put_i32(unsigned char *at, int64_t value, bool big) {
    int32_t narrow = (int32_t)value;
    put(at, &narrow, 4, big);
}

static void put_i64(unsigned char *at, int64_t value, bool big) {
    put(at, &value, 8, big);
}

static void put_f32(unsigned char *at, double value, bool big) {
    float narrow = (float)value;
    put(at, &narrow, 4, big);
}

static void put_f64(unsigned char *at, double value, bool big) {
    put(at, &value, 8, big);
}

nifti_recipe nifti_recipe_make(int16_t datatype, int16_t bitpix, const int64_t sizes[]) {
    nifti_recipe recipe = {.version = 1, .datatype = datatype, .bitpix = bitpix, .slope = 1.0, .units = 10};
    for (int i = 0; i < 8; i++) {
        recipe.dim[i] = 1;
        recipe.pixdim[i] = 1.0;
    }
    int rank = 0;
    for (; rank < 7 && sizes[rank] != 0; rank++)
        recipe.dim[rank + 1] = sizes[rank];
    recipe.dim[0] = rank;
    return recipe;
}

static void put_version_1(const nifti_recipe *r, unsigned char *h) {
    put_i32(h, 348, r->big);
    for (int i = 0; i < 8; i++) {
        put_i16(h + 40 + 2 * i, r->dim[i], r->big);
        put_f32(h + 76 + 4 * i, r->pixdim[i], r->big);
    }
    put_i16(h + 68, r->intent, r->big);
    put_i16(h + 70, r->datatype, r->big);
    put_i16(h + 72, r->bitpix, r->big);
    put_f32(h + 108, r->vox_offset != 0.0 ? r->vox_offset : 352, r->big);
    put_f32(h + 112, r->slope, r->big);
    put_f32(h + 116, r->inter, r->big);
    h[123] = (unsigned char)r->units;
    put_i16(h + 252, r->qform_code, r->big);
    put_i16(h + 254, r->sform_code, r->big);
    for (int i = 0; i < 3; i++) {
        put_f32(h + 256 + 4 * i, r->quatern[i], r->big);
        put_f32(h + 268 + 4 * i, r->qoffset[i], r->big);
        for (int j = 0; j < 4; j++)
            put_f32(h + 280 + 16 * i + 4 * j, r->srow[i][j], r->big);
    }
    memcpy(h + 344, r->magic ? r->magic : "n+1", 4);
}

static void put_version_2(const nifti_recipe *r, unsigned char *h) {
    put_i32(h, 540, r->big);
    memcpy(h + 4, r->magic ? r->magic : "n+2\0\r\n\032\n", 8);
    put_i16(h + 12, r->datatype, r->big);
    put_i16(h + 14, r->bitpix, r->big);
    for (int i = 0; i < 8; i++) {
        put_i64(h + 16 + 8 * i, r->dim[i], r->big);
        put_f64(h + 104 + 8 * i, r->pixdim[i], r->big);
    }
    put_i64(h + 168, r->vox_offset != 0.0 ? (int64_t)r->vox_offset : 544, r->big);
    put_f64(h + 176, r->slope, r->big);
    put_f64(h + 184, r->inter, r->big);
    put_i32(h + 344, r->qform_code, r->big);
    put_i32(h + 348, r->sform_code, r->big);
    for (int i = 0; i < 3; i++) {
        put_f64(h + 352 + 8 * i, r->quatern[i], r->big);
        put_f64(h + 376 + 8 * i, r->qoffset[i], r->big);
        for (int j = 0; j < 4; j++)
            put_f64(h + 400 + 32 * i + 8 * j, r->srow[i][j], r->big);
    }
    put_i32(h + 500, r->units, r->big);
    put_i32(h + 504, r->intent, r->big);
}

unsigned char *nifti_make(const nifti_recipe *recipe, size_t *length) {
    size_t start = recipe->version == 1 ? 352 : 544;
    if (recipe->vox_offset > (double)start && recipe->vox_offset < 1e6) start = (size_t)recipe->vox_offset;
    *length = start + recipe->data_bytes;
    unsigned char *bytes = calloc(1, *length);
    assert_non_null(bytes);
    if (recipe->version == 1)
        put_version_1(recipe, bytes);
    else
        put_version_2(recipe, bytes);
    size_t width = recipe->number_bytes ? recipe->number_bytes : (size_t)recipe->bitpix / 8;
    for (size_t i = 0; i + width <= recipe->data_bytes; i += width)
        put(bytes + start + i, (const unsigned char *)recipe->data + i, width, recipe->big);
    return bytes;
}

const char *nifti_make_file(const nifti_recipe *recipe, const char *name) {
    size_t length, packed;
    unsigned char *bytes = nifti_make(recipe, &length);
    const char *path = scratch_path(name);
    size_t name_length = strlen(name);
    if (name_length > 3 && strcmp(name + name_length - 3, ".gz") == 0) {
        unsigned char *gzip = gzip_bytes(bytes, length, &packed);
        write_file(path, gzip, packed);
        free(gzip);
    } else {
        write_file(path, bytes, length);
    }
    free(bytes);
    return path;
}
