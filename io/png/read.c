/* read.c - PNG images as 2D images of one to four components of u8 or u16; palettes and small grey depths are
 * expanded as ITK's PNGImageIO does. Rows are streamed; only interlaced files are decoded in place.
 *
 * libpng reports errors by longjmp. Everything that must be released lives in a png_job outside the guarded calls, and
 * the function that calls setjmp has no locals that change afterwards. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "io/png/write.h"
#include "io/sink.h"

#define PIXELS_MAX ((uint64_t)1 << 31)
/* Of a chunk that is no pixel data (comments, colour profiles). */
#define CHUNK_BYTES_MAX 8000000u

typedef struct png_job {
    loom_volume *volume;
    const loom_volume_sink *target;
    png_structp png;
    png_infop info;
    loom_status status; /* of our own calls inside libpng's */
    loom_error *err;
    char message[160]; /* libpng's */
    loom_sink sink;
    bool sink_open;
    loom_sink_window window;
    png_bytep row;
} png_job;

typedef void png_step(png_job *job);

static PNG_NORETURN void on_error(png_structp png, png_const_charp message) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

/* Leaves a step because of a failure of ours, already told to job->err. */
static PNG_NORETURN void leave(png_job *job, loom_status status) {
    job->status = status;
    png_longjmp(job->png, 1);
}

/* libpng allocates what a chunk's length field claims, up to 2 GiB: its own limit only warns. */
static void check_chunk(png_structp png, const png_job *job, png_const_bytep start) {
    uint64_t length = png_get_uint_32(start);
    bool pixels = memcmp(start + 4, "IDAT", 4) == 0;
    if (length > job->volume->input.bytes) png_error(png, "it ends early");
    if (!pixels && length > CHUNK_BYTES_MAX) png_error(png, "a chunk is too long");
}

static void on_read(png_structp png, png_bytep bytes, size_t length) {
    png_job *job = png_get_io_ptr(png);
    size_t got;
    loom_status status = loom_stream_read(job->volume->stream, bytes, length, &got, job->err);
    if (status != LOOM_OK) leave(job, status);
    if (got < length) png_error(png, "it ends early");
    if (length == 8 && (png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR) check_chunk(png, job, bytes);
}

/* False if libpng or the step gave up; see job->status and job->message. */
static bool guarded(png_job *job, png_step *step) {
    if (setjmp(png_jmpbuf(job->png))) return false;
    step(job);
    return true;
}

static loom_status job_failure(png_job *job) {
    if (job->status != LOOM_OK) return job->status;
    return loom_fail(job->err, LOOM_BAD_INPUT, "%s: the PNG data is damaged (%s); get a fresh copy of the file",
                     job->volume->path, job->message[0] ? job->message : "unknown reason");
}

static loom_status job_open(png_job *job, loom_volume *volume, const loom_volume_sink *target, loom_error *err) {
    *job = (png_job){.volume = volume, .target = target, .err = err};
    loom_stream_rewind(volume->stream);
    job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    if (job->info) {
        png_set_read_fn(job->png, job, on_read);
        return LOOM_OK;
    }
    png_destroy_read_struct(&job->png, NULL, NULL);
    return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
}

static void job_close(png_job *job) {
    if (job->sink_open) loom_sink_abort(&job->sink);
    loom_sink_window_close(&job->window);
    free(job->row);
    png_destroy_read_struct(&job->png, &job->info, NULL);
}

/* A header may claim more than its file can hold; nothing is reserved for such a claim. */
static void check_claim(png_job *job) {
    uint64_t width = png_get_image_width(job->png, job->info), height = png_get_image_height(job->png, job->info);
    uint64_t bits = (uint64_t)png_get_channels(job->png, job->info) * png_get_bit_depth(job->png, job->info);
    uint64_t file = job->volume->input.bytes;
    const char *path = job->volume->path;
    if (width * height > PIXELS_MAX)
        leave(job, loom_fail(job->err, LOOM_TOO_LARGE, "%s: claims %llu x %llu pixels; PNG images are read up to 2^31",
                             path, (unsigned long long)width, (unsigned long long)height));
    if (width * height / 8 * bits / LOOM_DEFLATE_RATIO_MAX > file)
        leave(job, loom_fail(job->err, LOOM_BAD_INPUT,
                             "%s: claims %llu x %llu pixels, more than %llu bytes can hold; the file is truncated or "
                             "its header damaged",
                             path, (unsigned long long)width, (unsigned long long)height, (unsigned long long)file));
}

/* Sizes, and the conversions to whole bytes, whole colours and the machine's byte order. */
static void read_header(png_job *job) {
    png_read_info(job->png, job->info);
    check_claim(job);
    png_set_expand(job->png); /* palette to RGB, 1-2-4 bit grey to 8, tRNS to alpha */
    if (png_get_bit_depth(job->png, job->info) == 16) png_set_swap(job->png);
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
}

/* libpng's sCAL is where ITK keeps the spacing. */
static void read_spacing(png_job *job) {
    int unit = 0;
    double x = 1.0, y = 1.0;
    if (png_get_sCAL(job->png, job->info, &unit, &x, &y) != PNG_INFO_sCAL) return;
    if (!(x > 0.0 && y > 0.0 && x < 1e300 && y < 1e300)) return;
    job->volume->header.spacing[0] = x;
    job->volume->header.spacing[1] = y;
}

static void read_description(png_job *job) {
    read_header(job);
    const uint64_t size[2] = {png_get_image_width(job->png, job->info), png_get_image_height(job->png, job->info)};
    bool wide = png_get_bit_depth(job->png, job->info) == 16;
    job->volume->header = loom_image_header_make(wide ? LOOM_U16 : LOOM_U8, 2, size);
    job->volume->header.components = png_get_channels(job->png, job->info);
    read_spacing(job);
    if (png_get_rowbytes(job->png, job->info) != loom_image_bytes(&job->volume->header) / size[1])
        png_error(job->png, "its rows have an unexpected length");
}

static bool png_recognise(const uint8_t *start, size_t length) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    return length >= sizeof signature && memcmp(start, signature, sizeof signature) == 0;
}

static loom_status png_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    png_job job;
    LOOM_TRY(job_open(&job, volume, NULL, err));
    loom_status status = guarded(&job, read_description) ? LOOM_OK : job_failure(&job);
    job_close(&job);
    return status;
}

static void read_rows(png_job *job) {
    size_t length = png_get_rowbytes(job->png, job->info);
    for (uint64_t row = 0; row < job->volume->header.size[1]; row++) {
        png_read_row(job->png, job->row, NULL);
        loom_status status = loom_sink_append(&job->sink, job->row, length, job->err);
        if (status != LOOM_OK) leave(job, status);
    }
}

/* Seven passes over rows that must keep their pixels in between. */
static void read_interlaced(png_job *job) {
    size_t length = png_get_rowbytes(job->png, job->info);
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
        for (uint64_t row = 0; row < job->volume->header.size[1]; row++)
            png_read_row(job->png, job->window.bytes + row * length, NULL);
}

static void read_pixels(png_job *job) {
    const loom_image_header *header = &job->volume->header;
    read_header(job);
    size_t length = png_get_rowbytes(job->png, job->info);
    bool interlaced = png_get_interlace_type(job->png, job->info) == PNG_INTERLACE_ADAM7;
    uint64_t total = loom_image_bytes(header);
    if (length * (uint64_t)png_get_image_height(job->png, job->info) != total || length != total / header->size[1])
        png_error(job->png, "it changed while it was read");
    loom_status status;
    if (interlaced) {
        status = loom_sink_window_open(job->target, total, &job->window, job->err);
        if (status != LOOM_OK) leave(job, status);
        memset(job->window.bytes, 0, (size_t)total);
        read_interlaced(job);
    } else {
        job->row = malloc(length);
        if (!job->row) png_error(job->png, "no memory for a row");
        status = loom_sink_open(job->target, total, &job->sink, job->err);
        if (status != LOOM_OK) leave(job, status);
        job->sink_open = true;
        read_rows(job);
    }
    png_read_end(job->png, NULL);
}

static loom_status png_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    png_job job;
    LOOM_TRY(job_open(&job, volume, sink, err));
    loom_status status = guarded(&job, read_pixels) ? LOOM_OK : job_failure(&job);
    if (status == LOOM_OK && job.sink_open) {
        job.sink_open = false;
        status = loom_sink_close(&job.sink, err);
    }
    job_close(&job);
    return status;
}

const loom_format loom_format_png = {.name = "PNG",
                                     .suffixes = {".png"},
                                     .recognise = png_recognise,
                                     .open = png_open,
                                     .load = png_load,
                                     .write = loom_png_write};
