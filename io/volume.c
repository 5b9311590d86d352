/* volume.c - one door for image files of every format: finds the format by content when reading, by suffix when
 * writing, and replaces files whole or not at all. */
#include "io/volume_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "io/output.h"

#define LEVEL_DEFAULT 6

/* ---- reading ---- */

static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static loom_status fail_unknown(const loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    if (length == 0) return loom_fail(err, LOOM_BAD_INPUT, "%s: is empty; get a fresh copy of the file", volume->path);
    if (length > 132 && memcmp(start + 128, "DICM", 4) == 0)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: is a DICOM file; convert the series to .nii.gz, e.g. with dcm2niix",
                         volume->path);
    return loom_fail(err, LOOM_BAD_INPUT, "%s: is neither a NIfTI (.nii, .nii.gz) nor a PNG image; convert it to one",
                     volume->path);
}

static loom_status recognise(loom_volume *volume, loom_error *err) {
    LOOM_TRY(loom_input_open(volume->path, &volume->input, err));
    LOOM_TRY(loom_stream_open(&volume->input, &volume->stream, err));
    uint8_t start[LOOM_NIFTI2_BYTES];
    size_t length;
    LOOM_TRY(loom_stream_read(volume->stream, start, sizeof start, &length, err));
    if (length >= sizeof png_signature && memcmp(start, png_signature, sizeof png_signature) == 0 &&
        !loom_stream_is_gzip(volume->stream))
        return loom_png_open(volume, err);
    if (loom_nifti_recognise(start, length)) return loom_nifti_open(volume, start, length, err);
    return fail_unknown(volume, start, length, err);
}

loom_status loom_volume_open(const char *path, loom_volume **volume, loom_error *err) {
    *volume = NULL;
    loom_volume *made = calloc(1, sizeof *made);
    char *copy = made ? strdup(path) : NULL;
    if (!copy) {
        free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to open %s", path);
    }
    made->path = copy;
    made->input.fd = -1;
    loom_status status = recognise(made, err);
    if (status != LOOM_OK) {
        loom_volume_close(made);
        return status;
    }
    *volume = made;
    return LOOM_OK;
}

const loom_image_header *loom_volume_header(const loom_volume *volume) {
    return &volume->header;
}

loom_status loom_volume_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    loom_status status =
        volume->format == LOOM_FORMAT_PNG ? loom_png_load(volume, sink, err) : loom_nifti_load(volume, sink, err);
    /* A file that is being replaced looks damaged: say which of the two it is. */
    if (status == LOOM_OK || status == LOOM_BAD_INPUT) {
        loom_error changed;
        loom_error_clear(&changed);
        if (loom_input_check_unchanged(&volume->input, &changed) != LOOM_OK) {
            if (err) *err = changed;
            return changed.status;
        }
    }
    return status;
}

void loom_volume_close(loom_volume *volume) {
    if (!volume) return;
    loom_stream_close(volume->stream);
    loom_input_close(&volume->input);
    free(volume->path);
    free(volume);
}

/* ---- writing ---- */

typedef enum suffix_kind { SUFFIX_NONE, SUFFIX_NII, SUFFIX_NII_GZ, SUFFIX_PNG } suffix_kind;

static bool ends_with(const char *path, const char *suffix) {
    size_t length = strlen(path), wanted = strlen(suffix);
    if (length <= wanted) return false;
    for (size_t i = 0; i < wanted; i++)
        if (tolower((unsigned char)path[length - wanted + i]) != suffix[i]) return false;
    return path[length - wanted - 1] != '/';
}

static suffix_kind suffix_of(const char *path) {
    if (ends_with(path, ".nii")) return SUFFIX_NII;
    if (ends_with(path, ".nii.gz")) return SUFFIX_NII_GZ;
    return ends_with(path, ".png") ? SUFFIX_PNG : SUFFIX_NONE;
}

bool loom_volume_can_write(const char *path) {
    return suffix_of(path) != SUFFIX_NONE;
}

static loom_status write_content(suffix_kind suffix, int fd, const char *path, int level,
                                 const loom_image_header *header, const void *voxels, loom_error *err) {
    if (suffix == SUFFIX_PNG) return loom_png_write(fd, path, level, header, voxels, err);
    return loom_nifti_write(fd, path, suffix == SUFFIX_NII_GZ, level, header, voxels, err);
}

loom_status loom_volume_write_level(const char *path, const loom_image_header *header, const void *voxels, int level,
                                    loom_error *err) {
    suffix_kind suffix = suffix_of(path);
    if (suffix == SUFFIX_NONE)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: images are written as .nii, .nii.gz or .png; change the suffix",
                         path);
    if (level < 0 || level > 9)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "compression level %d; use 0 (none) to 9 (smallest)", level);
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(header, &detail);
    if (status != LOOM_OK) return loom_fail(err, status, "%s: cannot be written: %s", path, detail.message);
    loom_output output;
    LOOM_TRY(loom_output_open(path, &output, err));
    status = write_content(suffix, output.fd, path, level, header, voxels, err);
    if (status != LOOM_OK) {
        loom_output_abandon(&output);
        return status;
    }
    return loom_output_commit(&output, err);
}

loom_status loom_volume_write(const char *path, const loom_image_header *header, const void *voxels, loom_error *err) {
    return loom_volume_write_level(path, header, voxels, LEVEL_DEFAULT, err);
}
