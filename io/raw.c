/* raw.c - streams plain numbers from one or several files into their place, through cache-sized pieces. */
#include "io/raw.h"

#include <stdlib.h>
#include <string.h>

#include "io/numbers.h"
#include "io/sink.h"

#define SCRATCH_BYTES ((size_t)64 << 10)

static size_t parts_of(const loom_volume *volume) {
    return volume->other_count > 0 ? volume->other_count : 1;
}

/* ---- the files, one after the other ---- */

typedef struct raw_source {
    const loom_volume *volume;
    const loom_raw *raw;
    size_t next;   /* of the files */
    uint64_t left; /* bytes of the present file */
    loom_input input;
    loom_stream *stream;
} raw_source;

static loom_status check_length(const loom_volume *volume, const loom_raw *raw, const loom_input *input,
                                uint64_t offset, uint64_t wanted, loom_error *err) {
    uint64_t there = input->bytes > offset ? input->bytes - offset : 0;
    bool packed = raw->packing != LOOM_PACKING_NONE;
    bool beside = volume->other_count > 0;
    if (packed ? wanted / LOOM_DEFLATE_RATIO_MAX > there : wanted > there)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its header promises %llu bytes of voxels, more than the %llu bytes of %s can hold; get a "
                         "complete copy of the image",
                         volume->path, (unsigned long long)wanted, (unsigned long long)there,
                         beside ? input->path : "data behind it");
    if (!packed && !raw->at_end && wanted < there)
        return loom_fail(
            err, LOOM_BAD_INPUT,
            "%s: has %llu bytes of data%s%s, but its header describes only %llu; the header or the file is "
            "damaged",
            volume->path, (unsigned long long)there, beside ? " in " : "", beside ? input->path : "",
            (unsigned long long)wanted);
    return LOOM_OK;
}

static loom_status open_part(const loom_volume *volume, size_t part, loom_input *input, loom_error *err) {
    loom_error detail;
    loom_error_clear(&detail);
    if (volume->other_count == 0) {
        *input = volume->input;
        return LOOM_OK;
    }
    loom_status status = loom_input_open(volume->others[part], input, &detail);
    return status == LOOM_OK
               ? LOOM_OK
               : loom_fail(err, status, "%s: the file that it names for its data: %s", volume->path, detail.message);
}

static void close_part(const loom_volume *volume, loom_input *input) {
    if (volume->other_count > 0) loom_input_close(input);
    input->fd = -1;
}

/* The last bytes of a file that is cut off would reach into the header before them. */
static uint64_t part_offset(const loom_raw *raw, const loom_input *input, uint64_t wanted) {
    uint64_t last = input->bytes > wanted ? input->bytes - wanted : 0;
    return raw->at_end && last > raw->offset ? last : raw->offset;
}

static loom_status compare_with_files(loom_volume *volume, const loom_raw *raw, loom_error *err) {
    uint64_t wanted = loom_image_bytes(&volume->header) / parts_of(volume);
    loom_raw *kept = malloc(sizeof *kept);
    if (!kept) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    *kept = *raw;
    volume->detail = kept;
    for (size_t part = 0; part < parts_of(volume); part++) {
        loom_input input;
        LOOM_TRY(open_part(volume, part, &input, err));
        loom_status status = check_length(volume, raw, &input, part_offset(raw, &input, wanted), wanted, err);
        close_part(volume, &input);
        LOOM_TRY(status);
    }
    return LOOM_OK;
}

loom_status loom_raw_open(loom_volume *volume, loom_raw_describe *describe, loom_error *err) {
    loom_text text;
    loom_raw raw = {0};
    LOOM_TRY(loom_text_open(&volume->input, &text, err));
    loom_status status = describe(volume, &text, &raw, err);
    loom_text_close(&text);
    return status == LOOM_OK ? compare_with_files(volume, &raw, err) : status;
}

static void source_close(raw_source *source) {
    loom_stream_close(source->stream);
    source->stream = NULL;
    close_part(source->volume, &source->input);
}

/* The data of a file must end where they should, and the file be the one that was measured. */
static loom_status leave_part(raw_source *source, loom_error *err) {
    loom_status status = source->raw->at_end ? LOOM_OK : loom_stream_end(source->stream, err);
    if (status == LOOM_OK) status = loom_input_check_unchanged(&source->input, err);
    source_close(source);
    return status;
}

static loom_status enter_part(raw_source *source, loom_error *err) {
    const loom_volume *volume = source->volume;
    source->left = loom_image_bytes(&volume->header) / parts_of(volume);
    LOOM_TRY(open_part(volume, source->next++, &source->input, err));
    uint64_t offset = part_offset(source->raw, &source->input, source->left);
    loom_status status = check_length(volume, source->raw, &source->input, offset, source->left, err);
    if (status == LOOM_OK)
        status = loom_stream_open_at(&source->input, offset, source->raw->packing, &source->stream, err);
    if (status != LOOM_OK) source_close(source);
    return status;
}

static loom_status source_read(raw_source *source, unsigned char *bytes, size_t length, loom_error *err) {
    while (length > 0) {
        if (!source->stream) LOOM_TRY(enter_part(source, err));
        size_t portion = length < source->left ? length : (size_t)source->left;
        LOOM_TRY(loom_stream_read_all(source->stream, bytes, portion, err));
        bytes += portion;
        length -= portion;
        source->left -= portion;
        if (source->left == 0) LOOM_TRY(leave_part(source, err));
    }
    return LOOM_OK;
}

static loom_status read_numbers(raw_source *source, void *numbers, size_t bytes, loom_error *err) {
    LOOM_TRY(source_read(source, numbers, bytes, err));
    size_t number = loom_dtype_bytes(source->volume->header.dtype);
    if (source->raw->swapped) loom_swap_numbers(numbers, number, bytes / number);
    return LOOM_OK;
}

/* ---- loading ---- */

static loom_status load_in_order(raw_source *source, const loom_volume_sink *target, loom_error *err) {
    loom_sink sink;
    LOOM_TRY(loom_sink_open(target, loom_image_bytes(&source->volume->header), &sink, err));
    for (;;) {
        void *piece;
        size_t bytes;
        loom_status status = loom_sink_next(&sink, &piece, &bytes, err);
        if (status == LOOM_OK && bytes == 0) break;
        if (status == LOOM_OK) status = read_numbers(source, piece, bytes, err);
        if (status == LOOM_OK) status = loom_sink_put(&sink, bytes, err);
        if (status != LOOM_OK) {
            loom_sink_abort(&sink);
            return status;
        }
    }
    return loom_sink_close(&sink, err);
}

/* Components come one after the other, and are delivered side by side. */
static loom_status scatter(raw_source *source, unsigned char *voxels, unsigned char *scratch, loom_error *err) {
    const loom_image_header *header = &source->volume->header;
    size_t number = loom_dtype_bytes(header->dtype), stride = number * header->components;
    for (size_t component = 0; component < header->components; component++) {
        unsigned char *to = voxels + component * number;
        for (uint64_t left = loom_image_voxels(header); left > 0;) {
            size_t portion = left < SCRATCH_BYTES / number ? (size_t)left : SCRATCH_BYTES / number;
            LOOM_TRY(read_numbers(source, scratch, portion * number, err));
            for (size_t i = 0; i < portion; i++, to += stride)
                memcpy(to, scratch + i * number, number);
            left -= portion;
        }
    }
    return LOOM_OK;
}

static loom_status load_planar(raw_source *source, const loom_volume_sink *target, loom_error *err) {
    loom_sink_window window;
    unsigned char *scratch = malloc(SCRATCH_BYTES);
    if (!scratch) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", source->volume->path);
    loom_status status = loom_sink_window_open(target, loom_image_bytes(&source->volume->header), &window, err);
    if (status == LOOM_OK) status = scatter(source, window.bytes, scratch, err);
    loom_sink_window_close(&window);
    free(scratch);
    return status;
}

loom_status loom_raw_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    raw_source source = {.volume = volume, .raw = volume->detail, .input.fd = -1};
    loom_status status = source.raw->planar ? load_planar(&source, sink, err) : load_in_order(&source, sink, err);
    source_close(&source);
    return status;
}
