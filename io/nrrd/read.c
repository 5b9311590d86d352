/* read.c - NRRD files (.nrrd, .nhdr): where the samples are, behind the header, in another file, or in many. */
#include <ctype.h>
#include <string.h>

#include "io/data_files.h"
#include "io/nrrd/header.h"
#include "io/nrrd/write.h"
#include "io/raw.h"

/* So many files that each holds the first `axes` axes. */
static loom_status count_files(const loom_volume *volume, const loom_nrrd *nrrd, uint64_t axes, uint64_t *count,
                               loom_error *err) {
    *count = 1;
    if (axes < 1 || axes > nrrd->axes)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header lists files of %llu axes; the image has %u", volume->path,
                         (unsigned long long)axes, nrrd->axes);
    for (uint64_t axis = axes; axis < nrrd->axes; axis++)
        *count *= nrrd->axis[axis].size; /* below 2^47 in all */
    return LOOM_OK;
}

/* "LIST" or "LIST axes"; the names follow, one a line. */
static loom_status list_files(loom_volume *volume, loom_text *text, const loom_nrrd *nrrd, loom_error *err) {
    uint64_t axes = nrrd->axes - 1u, count;
    const char *rest = nrrd->data + 4;
    if (*rest != '\0' && !loom_parse_counts(rest, &axes, 1)) axes = 0;
    LOOM_TRY(count_files(volume, nrrd, axes, &count, err));
    return loom_list_data_files(volume, text, count, err);
}

/* "slice%03d.raw first last step [axes]"; a step of 0 or less is none that is understood. */
static loom_status pattern_files(loom_volume *volume, const loom_nrrd *nrrd, loom_error *err) {
    uint64_t range[4] = {0, 0, 0, nrrd->axes - 1u}, count;
    char *rest = nrrd->data;
    const char *pattern = loom_next_word(&rest);
    if (!loom_parse_counts(rest, range, 4)) {
        range[3] = nrrd->axes - 1u;
        if (!loom_parse_counts(rest, range, 3)) range[2] = 0;
    }
    LOOM_TRY(count_files(volume, nrrd, range[3], &count, err));
    return loom_pattern_data_files(volume, pattern, range, count, err);
}

static bool is_list(const char *data) {
    return strncmp(data, "LIST", 4) == 0 && (data[4] == '\0' || isspace((unsigned char)data[4]));
}

static loom_status find_data(loom_volume *volume, loom_text *text, const loom_nrrd *nrrd, loom_raw *raw,
                             loom_error *err) {
    if (!nrrd->data) {
        /* Lines or bytes between the header and its own data are allowed, and nobody writes them. */
        if (nrrd->line_skip > 0)
            return loom_fail(err, LOOM_UNSUPPORTED, "%s: its header says line skip; save it again without",
                             volume->path);
        if (__builtin_add_overflow(text->at, nrrd->byte_skip, &raw->offset))
            return loom_fail(err, LOOM_BAD_INPUT, "%s: its header skips more bytes than any file has", volume->path);
        return LOOM_OK;
    }
    raw->offset = nrrd->byte_skip;
    if (nrrd->line_skip > 0)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: its header says line skip; say byte skip instead", volume->path);
    if (is_list(nrrd->data)) return list_files(volume, text, nrrd, err);
    if (strchr(nrrd->data, '%')) return pattern_files(volume, nrrd, err);
    return loom_volume_add_file(volume, loom_volume_beside(volume, nrrd->data), err);
}

static loom_status describe(loom_volume *volume, loom_text *text, loom_raw *raw, loom_error *err) {
    loom_nrrd nrrd;
    *raw = (loom_raw){0};
    LOOM_TRY(loom_nrrd_parse(text, volume->path, &nrrd, err));
    LOOM_TRY(loom_nrrd_describe(&nrrd, volume->path, &volume->header, &raw->planar, err));
    raw->swapped = nrrd.swapped;
    raw->packing = nrrd.gzip ? LOOM_PACKING_GZIP : LOOM_PACKING_NONE;
    raw->at_end = nrrd.skip_to_rest;
    /* Bytes are skipped after decompression. */
    if (nrrd.gzip && (nrrd.skip_to_rest || nrrd.byte_skip > 0))
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: skips bytes of compressed data; save it again without byte skip",
                         volume->path);
    return find_data(volume, text, &nrrd, raw, err);
}

static loom_status nrrd_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    return loom_raw_open(volume, describe, err);
}

const loom_format loom_format_nrrd = {.name = "NRRD",
                                      .suffixes = {".nrrd", ".nhdr"},
                                      .detached = ".nhdr",
                                      .many_files = true,
                                      .recognise = loom_nrrd_recognise,
                                      .open = nrrd_open,
                                      .load = loom_raw_load,
                                      .write = loom_nrrd_write};
