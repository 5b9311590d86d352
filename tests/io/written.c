/* written.c - comparing what is read with what a test wrote. */
#include "written.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void write_text_file(const char *path, const char *text, const void *data, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    if (length > 0) assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void check_number(const char *path, const char *what, double got, double wanted, double tolerance) {
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%s: %s is %.17g, not %.17g", path, what, got, wanted);
}

static void check_geometry(const char *path, const loom_image_header *got, const expected_image *expected) {
    bool identity = expected->axes[0][0] == 0 && expected->axes[0][1] == 0 && expected->axes[0][2] == 0;
    for (unsigned axis = 0; axis < expected->rank; axis++) {
        double spacing = expected->spacing[axis];
        check_number(path, "the spacing", got->spacing[axis], spacing != 0 ? spacing : 1.0, 1e-12);
        check_number(path, "the origin", got->origin[axis], expected->origin[axis], 1e-12);
        for (unsigned row = 0; row < expected->rank; row++)
            check_number(path, "the direction", got->direction[row * LOOM_RANK_MAX + axis],
                         identity ? (row == axis ? 1.0 : 0.0) : expected->axes[axis][row], 1e-12);
    }
}

void check_file(const char *path, const expected_image *expected, const void *voxels) {
    loom_image_header header;
    unsigned char *got = load_volume(path, &header);
    assert_int_equal(header.dtype, expected->dtype);
    assert_int_equal(header.rank, expected->rank);
    assert_int_equal(header.components, expected->components > 0 ? expected->components : 1);
    for (unsigned axis = 0; axis < expected->rank; axis++)
        assert_int_equal(header.size[axis], expected->size[axis]);
    check_geometry(path, &header, expected);
    assert_memory_equal(got, voxels, (size_t)loom_image_bytes(&header));
    free(got);
}

unsigned char *make_image(loom_dtype dtype, unsigned rank, uint16_t components, loom_image_header *header) {
    static const uint64_t size[LOOM_RANK_MAX] = {7, 5, 3, 2};
    *header = loom_image_header_make(dtype, rank, size);
    header->components = components;
    for (unsigned axis = 0; axis < rank; axis++) {
        header->spacing[axis] = 0.3 + 0.7 * axis;
        header->origin[axis] = -10.1 + 3.3 * axis;
    }
    header->direction[0] = header->direction[5] = 0.8;
    header->direction[1] = -0.6;
    header->direction[4] = 0.6;
    size_t length = (size_t)loom_image_bytes(header);
    unsigned char *voxels = malloc(length);
    assert_non_null(voxels);
    for (size_t i = 0; i < length; i++)
        voxels[i] = (unsigned char)(dtype == LOOM_BOOL8 ? i / 3 & 1 : i * 29 + i / 256);
    return voxels;
}

void check_round_trip(const char *path, const loom_image_header *header, const void *voxels, double tolerance) {
    loom_error err = {0};
    loom_image_header back;
    assert_loom_ok(loom_volume_write(path, header, voxels, &err), &err);
    unsigned char *got = load_volume(path, &back);
    assert_int_equal(back.dtype, header->dtype == LOOM_BOOL8 ? LOOM_U8 : header->dtype);
    assert_int_equal(back.rank, header->rank);
    assert_int_equal(back.components, header->components);
    assert_memory_equal(back.size, header->size, sizeof back.size);
    for (unsigned i = 0; i < LOOM_RANK_MAX; i++) {
        check_number(path, "the spacing", back.spacing[i], header->spacing[i], tolerance);
        check_number(path, "the origin", back.origin[i], header->origin[i], tolerance);
    }
    for (unsigned i = 0; i < LOOM_RANK_MAX * LOOM_RANK_MAX; i++)
        check_number(path, "the direction", back.direction[i], header->direction[i], tolerance);
    assert_memory_equal(got, voxels, (size_t)loom_image_bytes(header));
    free(got);
}

/* Whatever it is, it is read or refused with one line that names the file. Images of many megabytes are not loaded. */
static loom_status read_anything(const char *path) {
    loom_error err = {0};
    loom_volume *volume;
    loom_status status = loom_volume_open(path, &volume, &err);
    if (status == LOOM_OK) {
        uint64_t bytes = loom_image_bytes(loom_volume_header(volume));
        void *voxels = bytes < 1 << 24 ? malloc((size_t)bytes) : NULL;
        loom_volume_sink sink = {.fd = -1, .memory = voxels};
        if (voxels) status = loom_volume_load(volume, &sink, &err);
        free(voxels);
        loom_volume_close(volume);
    }
    if (status == LOOM_OK) return status;
    if (strncmp(err.message, path, strlen(path)) != 0) fail_msg("the message does not name the file: %s", err.message);
    if (strchr(err.message, '\n')) fail_msg("the message has more than one line: %s", err.message);
    return status;
}

void check_hostile(const char *path, size_t step) {
    size_t length;
    unsigned char *bytes = read_file(path, &length);
    for (size_t cut = 0; cut < length; cut += step) {
        write_file(path, bytes, cut);
        loom_status status = read_anything(path);
        if (status == LOOM_OK) fail_msg("%s is read although it ends after %zu bytes", path, cut);
    }
    static const unsigned char changes[] = {0x01, 0x10, 0x80, 0xff};
    for (size_t at = 0; at < length; at += step)
        for (size_t k = 0; k < sizeof changes; k++) {
            bytes[at] ^= changes[k];
            write_file(path, bytes, length);
            (void)read_anything(path);
            bytes[at] ^= changes[k];
        }
    write_file(path, bytes, length);
    free(bytes);
}
