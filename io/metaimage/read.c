/* read.c - MetaImage files (.mha, .mhd): where the voxels are, in the file itself, in another, or one slice a file. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/data_files.h"
#include "io/metaimage/header.h"
#include "io/metaimage/write.h"
#include "io/raw.h"

/* So many files that each holds the first `axes` axes. */
static loom_status count_files(const loom_volume *volume, uint64_t axes, uint64_t *count, loom_error *err) {
    *count = 1;
    const loom_image_header *image = &volume->header;
    if (axes < 1 || axes > image->rank)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header lists files of %llu axes; the image has %u", volume->path,
                         (unsigned long long)axes, image->rank);
    for (uint64_t axis = axes; axis < image->rank; axis++)
        *count *= image->size[axis]; /* below 2^47 in all */
    return LOOM_OK;
}

/* "LIST", or "LIST 2D": the names follow, one a line. */
static loom_status list_files(loom_volume *volume, loom_text *text, const char *words, loom_error *err) {
    uint64_t axes = volume->header.rank - 1u, count;
    if (words[4] != '\0') {
        char *end;
        axes = strtoull(words + 4, &end, 10);
        if (*end != '\0' && strcasecmp(end, "D") != 0) axes = 0;
    }
    LOOM_TRY(count_files(volume, axes, &count, err));
    return loom_list_data_files(volume, text, count, err);
}

/* "slice%03d.raw 1 60 1": first, last and step. */
static loom_status pattern_files(loom_volume *volume, char *words, loom_error *err) {
    uint64_t range[3] = {0, 0, 1}, count;
    char *rest = words;
    const char *pattern = loom_next_word(&rest);
    if (!loom_parse_counts(rest, range, 3) && !loom_parse_counts(rest, range, 2)) range[2] = 0;
    LOOM_TRY(count_files(volume, volume->header.rank - 1u, &count, err));
    return loom_pattern_data_files(volume, pattern, range, count, err);
}

static loom_status find_data(loom_volume *volume, loom_text *text, const loom_metaimage *meta, loom_raw *raw,
                             loom_error *err) {
    char *data = meta->data;
    raw->offset = meta->header_size;
    if (strcasecmp(data, "LOCAL") == 0) {
        if (meta->header_size > 0)
            return loom_fail(err, LOOM_BAD_INPUT, "%s: its header says HeaderSize beside LOCAL data; remove it",
                             volume->path);
        raw->offset = text->at;
        return LOOM_OK;
    }
    if (strncmp(data, "LIST", 4) == 0 && (data[4] == '\0' || isspace((unsigned char)data[4])))
        return list_files(volume, text, data, err);
    if (strchr(data, '%')) return pattern_files(volume, data, err);
    if (*data == '\0')
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header names no file after ElementDataFile", volume->path);
    return loom_volume_add_file(volume, loom_volume_beside(volume, data), err);
}

static loom_status describe(loom_volume *volume, loom_text *text, loom_raw *raw, loom_error *err) {
    loom_metaimage meta;
    LOOM_TRY(loom_metaimage_parse(text, volume->path, &meta, err));
    volume->header = meta.image;
    *raw = (loom_raw){.swapped = meta.swapped,
                      .packing = meta.compressed ? LOOM_PACKING_ZLIB : LOOM_PACKING_NONE,
                      .at_end = meta.header_is_rest};
    if (meta.compressed && meta.header_is_rest)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: has compressed data behind a header of unknown length; save it again", volume->path);
    return find_data(volume, text, &meta, raw, err);
}

static loom_status metaimage_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    return loom_raw_open(volume, describe, err);
}

const loom_format loom_format_metaimage = {.name = "MetaImage",
                                           .suffixes = {".mha", ".mhd"},
                                           .detached = ".mhd",
                                           .many_files = true,
                                           .recognise = loom_metaimage_recognise,
                                           .open = metaimage_open,
                                           .load = loom_raw_load,
                                           .write = loom_metaimage_write};
