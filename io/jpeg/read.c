/* read.c - JPEG images as 2D images of one (grey) or three (RGB) components of u8; the spacing is the density of the
 * JFIF header, as in ITK. Rows are streamed. What libjpeg only warns of (missing or damaged data, which it would fill
 * with grey) is an error here.
 *
 * libjpeg reports errors by longjmp. Everything that must be released lives in a jpeg_job outside the guarded calls,
 * and the function that calls setjmp has no locals that change afterwards. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "io/jpeg/write.h"
#include "io/sink.h"

#define CHUNK_BYTES ((size_t)64 << 10)
/* libjpeg keeps all coefficients of a progressive image in memory. A block of 64 pixels takes at least a bit. */
#define PIXELS_PER_BYTE_MAX 1024u
/* Each scan of a progressive image goes over all of it: a small file could keep a worker busy for hours. */
#define SCANS_MAX 200

typedef struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    bool created, sink_open;
    loom_volume *volume;
    const loom_volume_sink *target;
    loom_status status; /* of our own calls inside libjpeg's */
    loom_error *err;
    char message[JMSG_LENGTH_MAX]; /* libjpeg's */
    loom_sink sink;
    JSAMPLE *row;
    uint64_t offset; /* of the next byte to read */
    JOCTET chunk[CHUNK_BYTES];
} jpeg_job;

static jpeg_job *job_of(j_common_ptr jpeg) {
    return jpeg->client_data;
}

static void on_error(j_common_ptr jpeg) {
    jpeg->err->format_message(jpeg, job_of(jpeg)->message);
    longjmp(job_of(jpeg)->escape, 1);
}

/* Levels below 0 are warnings: data are missing or damaged. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) on_error(jpeg);
}

static void give_up(jpeg_job *job, const char *message) {
    snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->escape, 1);
}

/* Leaves a step because of a failure of ours, already told to job->err. */
static void leave_on(jpeg_job *job, loom_status status) {
    if (status == LOOM_OK) return;
    job->status = status;
    longjmp(job->escape, 1);
}

static void on_start(j_decompress_ptr jpeg) {
    (void)jpeg;
}

static boolean on_fill(j_decompress_ptr jpeg) {
    jpeg_job *job = jpeg->client_data;
    size_t got;
    leave_on(job, loom_input_read(&job->volume->input, job->chunk, CHUNK_BYTES, job->offset, &got, job->err));
    if (got == 0) give_up(job, "it ends early");
    job->offset += got;
    job->source.next_input_byte = job->chunk;
    job->source.bytes_in_buffer = got;
    return TRUE;
}

static void on_skip(j_decompress_ptr jpeg, long count) {
    jpeg_job *job = jpeg->client_data;
    if (count <= 0) return;
    size_t skip = (size_t)count;
    if (skip > job->source.bytes_in_buffer) {
        job->offset += skip - job->source.bytes_in_buffer;
        skip = job->source.bytes_in_buffer;
    }
    job->source.next_input_byte += skip;
    job->source.bytes_in_buffer -= skip;
}

static void on_progress(j_common_ptr jpeg) {
    jpeg_job *job = job_of(jpeg);
    if (job->jpeg.input_scan_number > SCANS_MAX) give_up(job, "it has too many scans");
}

static void on_end(j_decompress_ptr jpeg) {
    (void)jpeg;
}

typedef void jpeg_step(jpeg_job *job);

/* False if libjpeg or the step gave up; see job->status and job->message. */
static bool guarded(jpeg_job *job, jpeg_step *step) {
    if (setjmp(job->escape)) return false;
    step(job);
    return true;
}

static void create(jpeg_job *job) {
    jpeg_create_decompress(&job->jpeg);
    job->created = true;
    job->jpeg.client_data = job;
    job->source = (struct jpeg_source_mgr){.init_source = on_start,
                                           .fill_input_buffer = on_fill,
                                           .skip_input_data = on_skip,
                                           .resync_to_restart = jpeg_resync_to_restart,
                                           .term_source = on_end};
    job->jpeg.src = &job->source;
    job->progress.progress_monitor = on_progress;
    job->jpeg.progress = &job->progress;
}

/* NULL when out of memory. */
static jpeg_job *job_open(loom_volume *volume, const loom_volume_sink *target, loom_error *err) {
    jpeg_job *job = calloc(1, sizeof *job);
    if (!job) {
        loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
        return NULL;
    }
    job->volume = volume;
    job->target = target;
    job->err = err;
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->jpeg.client_data = job;
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    return job;
}

static loom_status job_close(jpeg_job *job, bool done) {
    loom_status status = job->status;
    if (!done && status == LOOM_OK)
        status = loom_fail(job->err, LOOM_BAD_INPUT, "%s: the JPEG data is damaged (%s); get a fresh copy of the file",
                           job->volume->path, job->message[0] ? job->message : "unknown reason");
    if (job->sink_open && status == LOOM_OK)
        status = loom_sink_close(&job->sink, job->err);
    else if (job->sink_open)
        loom_sink_abort(&job->sink);
    if (job->created) jpeg_destroy_decompress(&job->jpeg);
    free(job->row);
    free(job);
    return status;
}

static void read_header(jpeg_job *job) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    create(job);
    (void)jpeg_read_header(jpeg, TRUE);
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        leave_on(job, loom_fail(job->err, LOOM_UNSUPPORTED,
                                "%s: is a JPEG image of %d components; grey and RGB are read, convert it to PNG",
                                job->volume->path, jpeg->num_components));
    uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    if (pixels / PIXELS_PER_BYTE_MAX > job->volume->input.bytes)
        leave_on(job,
                 loom_fail(job->err, LOOM_BAD_INPUT,
                           "%s: claims %u x %u pixels, more than %llu bytes can hold; the file is truncated or its "
                           "header damaged",
                           job->volume->path, jpeg->image_width, jpeg->image_height,
                           (unsigned long long)job->volume->input.bytes));
}

static void describe(jpeg_job *job) {
    read_header(job);
    const struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const uint64_t size[2] = {jpeg->image_width, jpeg->image_height};
    loom_image_header *header = &job->volume->header;
    *header = loom_image_header_make(LOOM_U8, 2, size);
    header->components = (uint16_t)jpeg->num_components;
    double unit = jpeg->density_unit == 1 ? 25.4 : jpeg->density_unit == 2 ? 10.0 : 0.0;
    if (unit == 0.0 || jpeg->X_density == 0 || jpeg->Y_density == 0) return;
    header->spacing[0] = unit / jpeg->X_density;
    header->spacing[1] = unit / jpeg->Y_density;
}

static void read_rows(jpeg_job *job) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const loom_image_header *header = &job->volume->header;
    read_header(job);
    jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    (void)jpeg_start_decompress(jpeg);
    if (jpeg->output_width != header->size[0] || jpeg->output_height != header->size[1] ||
        jpeg->output_components != header->components)
        give_up(job, "it changed while it was read");
    size_t length = (size_t)header->size[0] * header->components;
    job->row = malloc(length);
    if (!job->row) leave_on(job, loom_fail(job->err, LOOM_NO_MEMORY, "no memory to read %s", job->volume->path));
    leave_on(job, loom_sink_open(job->target, loom_image_bytes(header), &job->sink, job->err));
    job->sink_open = true;
    while (jpeg->output_scanline < jpeg->output_height) {
        if (jpeg_read_scanlines(jpeg, &job->row, 1) != 1) give_up(job, "it ends early");
        leave_on(job, loom_sink_append(&job->sink, job->row, length, job->err));
    }
    (void)jpeg_finish_decompress(jpeg);
}

static bool jpeg_recognise(const uint8_t *start, size_t length) {
    return length >= 3 && start[0] == 0xff && start[1] == 0xd8 && start[2] == 0xff;
}

static loom_status jpeg_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    jpeg_job *job = job_open(volume, NULL, err);
    if (!job) return LOOM_NO_MEMORY;
    bool done = guarded(job, describe);
    return job_close(job, done);
}

static loom_status jpeg_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    jpeg_job *job = job_open(volume, sink, err);
    if (!job) return LOOM_NO_MEMORY;
    bool done = guarded(job, read_rows);
    return job_close(job, done);
}

const loom_format loom_format_jpeg = {.name = "JPEG",
                                      .suffixes = {".jpg", ".jpeg"},
                                      .recognise = jpeg_recognise,
                                      .open = jpeg_open,
                                      .load = jpeg_load,
                                      .write = loom_jpeg_write};
