/* read.c - streams the voxels of a NIfTI file into their place. Decompression, byte order and scaling happen in
 * cache-sized pieces; no second buffer of the image's size exists. */
#include <stdlib.h>
#include <string.h>

#include "io/nifti/voxels.h"
#include "io/nifti/write.h"
#include "io/sink.h"
#include "io/volume_private.h"

/* Pieces in which numbers are read that are not stored as they are delivered. */
#define SCRATCH_BYTES ((size_t)64 << 10)

static loom_status check_against_file(const loom_volume *volume, loom_error *err) {
    const loom_nifti_layout *layout = volume->detail;
    uint64_t needed = layout->data_offset + layout->data_bytes; /* both below 2^47 */
    uint64_t limit = loom_stream_limit(volume->stream);
    if (needed > limit && loom_stream_is_gzip(volume->stream))
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its header promises %llu bytes, more than %llu compressed bytes can hold; the file is "
                         "truncated or its header damaged",
                         volume->path, (unsigned long long)needed, (unsigned long long)volume->input.bytes);
    if (needed > limit)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its header promises %llu bytes but the file has %llu; get a complete copy of the file",
                         volume->path, (unsigned long long)needed, (unsigned long long)limit);
    if (needed < limit && !loom_stream_is_gzip(volume->stream))
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: has %llu bytes but its header describes only %llu; the header or the file is damaged",
                         volume->path, (unsigned long long)limit, (unsigned long long)needed);
    return LOOM_OK;
}

static loom_status nifti_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    loom_nifti header;
    LOOM_TRY(loom_nifti_parse(start, length, volume->path, &header, err));
    volume->detail = calloc(1, sizeof(loom_nifti_layout));
    if (!volume->detail) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    LOOM_TRY(loom_nifti_describe(&header, volume->path, &volume->header, volume->detail, err));
    return check_against_file(volume, err);
}

/* Reads numbers that keep their size straight into their piece, others through scratch. */
static loom_status fill(loom_volume *volume, void *piece, size_t bytes, void *scratch, loom_error *err) {
    const loom_nifti_layout *layout = volume->detail;
    size_t stored = loom_dtype_bytes(layout->stored_type), delivered = loom_dtype_bytes(volume->header.dtype);
    size_t count = bytes / delivered;
    if (volume->header.dtype == layout->stored_type) {
        LOOM_TRY(loom_stream_read_all(volume->stream, piece, bytes, err));
        loom_nifti_convert(layout, piece, piece, count);
        return LOOM_OK;
    }
    unsigned char *next = piece;
    while (count > 0) {
        size_t portion = count < SCRATCH_BYTES / stored ? count : SCRATCH_BYTES / stored;
        LOOM_TRY(loom_stream_read_all(volume->stream, scratch, portion * stored, err));
        loom_nifti_convert(layout, scratch, next, portion);
        next += portion * delivered;
        count -= portion;
    }
    return LOOM_OK;
}

static loom_status load_in_order(loom_volume *volume, const loom_volume_sink *target, void *scratch, loom_error *err) {
    loom_sink sink;
    LOOM_TRY(loom_sink_open(target, loom_image_bytes(&volume->header), &sink, err));
    for (;;) {
        void *piece;
        size_t bytes;
        loom_status status = loom_sink_next(&sink, &piece, &bytes, err);
        if (status == LOOM_OK && bytes == 0) break;
        if (status == LOOM_OK) status = fill(volume, piece, bytes, scratch, err);
        if (status == LOOM_OK) status = loom_sink_put(&sink, bytes, err);
        if (status != LOOM_OK) {
            loom_sink_abort(&sink);
            return status;
        }
    }
    return loom_sink_close(&sink, err);
}

/* Components come one after the other, and are delivered side by side. */
static loom_status scatter(loom_volume *volume, unsigned char *voxels, void *scratch, loom_error *err) {
    const loom_nifti_layout *layout = volume->detail;
    size_t number = loom_dtype_bytes(volume->header.dtype), stride = number * volume->header.components;
    unsigned char *numbers = (unsigned char *)scratch + SCRATCH_BYTES;
    for (size_t component = 0; component < volume->header.components; component++) {
        unsigned char *to = voxels + component * number;
        for (uint64_t left = layout->voxels; left > 0;) {
            size_t portion = left < SCRATCH_BYTES / number ? (size_t)left : SCRATCH_BYTES / number;
            LOOM_TRY(fill(volume, numbers, portion * number, scratch, err));
            for (size_t i = 0; i < portion; i++, to += stride)
                memcpy(to, numbers + i * number, number);
            left -= portion;
        }
    }
    return LOOM_OK;
}

static loom_status load_planar(loom_volume *volume, const loom_volume_sink *target, void *scratch, loom_error *err) {
    loom_sink_window window;
    LOOM_TRY(loom_sink_window_open(target, loom_image_bytes(&volume->header), &window, err));
    loom_status status = scatter(volume, window.bytes, scratch, err);
    loom_sink_window_close(&window);
    return status;
}

static loom_status nifti_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    const loom_nifti_layout *layout = volume->detail;
    loom_stream_rewind(volume->stream);
    LOOM_TRY(loom_stream_skip(volume->stream, layout->data_offset, err));
    void *scratch = malloc(2 * SCRATCH_BYTES);
    if (!scratch) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    loom_status status =
        layout->planar ? load_planar(volume, sink, scratch, err) : load_in_order(volume, sink, scratch, err);
    free(scratch);
    LOOM_TRY(status);
    return loom_stream_end(volume->stream, err);
}

const loom_format loom_format_nifti = {.name = "NIfTI",
                                       .suffixes = {".nii", ".nii.gz"},
                                       .compressed = true,
                                       .recognise = loom_nifti_recognise,
                                       .open = nifti_open,
                                       .load = nifti_load,
                                       .write = loom_nifti_write};
