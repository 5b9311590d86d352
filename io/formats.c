/* formats.c - the table of image formats: by content when reading, by suffix when writing. */
#include <ctype.h>
#include <string.h>

#include "io/volume_private.h"

/* The first that recognises a file reads it: those with a magic number come before those that are known by their text.
 */
static const loom_format *const formats[] = {&loom_format_nifti, &loom_format_dicom,    &loom_format_png,
                                             &loom_format_nrrd,  &loom_format_jpeg,     &loom_format_tiff,
                                             &loom_format_bmp,   &loom_format_metaimage};

#define FORMATS (sizeof formats / sizeof formats[0])

const loom_format *loom_format_of_content(const uint8_t *start, size_t length, bool gzip) {
    for (size_t i = 0; i < FORMATS; i++)
        if ((!gzip || formats[i]->compressed) && formats[i]->recognise(start, length)) return formats[i];
    return NULL;
}

bool loom_path_has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), wanted = strlen(suffix);
    if (length <= wanted) return false;
    for (size_t i = 0; i < wanted; i++)
        if (tolower((unsigned char)path[length - wanted + i]) != suffix[i]) return false;
    return path[length - wanted - 1] != '/';
}

const loom_format *loom_format_of_suffix(const char *path) {
    for (size_t i = 0; i < FORMATS; i++)
        for (const char *const *suffix = formats[i]->suffixes; formats[i]->write && *suffix; suffix++)
            if (loom_path_has_suffix(path, *suffix)) return formats[i];
    return NULL;
}

const char *loom_volume_suffixes(void) {
    return ".nii.gz, .nii, .nrrd, .nhdr, .mha, .mhd, .tif, .png, .bmp or .jpg";
}
