/* write.c - 2D images of one to four components of u8, bool8 or u16 as PNG. Values are kept as they are (a bool8
 * stays 0 or 1). The spacing goes into an sCAL chunk, as ITK does. */
#include <png.h>
#include <setjmp.h>

#include "io/output.h"
#include "io/png/write.h"

typedef struct png_job {
    int fd;
    const char *path;
    int level;
    const loom_image_header *header;
    const unsigned char *voxels;
    png_structp png;
    png_infop info;
    loom_status status;
    loom_error *err;
    char message[160];
} png_job;

static PNG_NORETURN void on_error(png_structp png, png_const_charp message) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep bytes, size_t length) {
    png_job *job = png_get_io_ptr(png);
    job->status = loom_write_all(job->fd, job->path, bytes, length, job->err);
    if (job->status != LOOM_OK) png_longjmp(png, 1);
}

static void on_flush(png_structp png) {
    (void)png;
}

static void write_image(png_job *job) {
    static const int colour_types[5] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                        PNG_COLOR_TYPE_RGB_ALPHA};
    const loom_image_header *header = job->header;
    size_t number = loom_dtype_bytes(header->dtype);
    png_set_compression_level(job->png, job->level);
    png_set_IHDR(job->png, job->info, (png_uint_32)header->size[0], (png_uint_32)header->size[1], (int)(8 * number),
                 colour_types[header->components], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (header->spacing[0] != 1.0 || header->spacing[1] != 1.0)
        png_set_sCAL(job->png, job->info, PNG_SCALE_METER, header->spacing[0], header->spacing[1]);
    png_write_info(job->png, job->info);
    if (number == 2) png_set_swap(job->png);
    size_t length = (size_t)header->size[0] * header->components * number;
    for (uint64_t row = 0; row < header->size[1]; row++)
        png_write_row(job->png, job->voxels + row * length);
    png_write_end(job->png, job->info);
}

static bool guarded(png_job *job) {
    if (setjmp(png_jmpbuf(job->png))) return false;
    write_image(job);
    return true;
}

static loom_status check(const char *path, const loom_image_header *header, loom_error *err) {
    bool type = header->dtype == LOOM_U8 || header->dtype == LOOM_BOOL8 || header->dtype == LOOM_U16;
    if (header->rank != 2 || !type || header->components > 4)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: PNG holds 2D images of 1 to 4 components of u8 or u16, not %uD %s; take a slice and cast "
                         "it, or write .nii.gz",
                         path, header->rank, loom_dtype_name(header->dtype));
    if (header->size[0] > PNG_USER_WIDTH_MAX || header->size[1] > PNG_USER_HEIGHT_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: PNG images have at most 1000000 pixels a side; write .nii.gz", path);
    return LOOM_OK;
}

loom_status loom_png_write(const loom_writing *writing, loom_error *err) {
    const char *path = writing->path;
    LOOM_TRY(check(path, writing->header, err));
    png_job job = {.fd = writing->fd,
                   .path = path,
                   .level = writing->level,
                   .header = writing->header,
                   .voxels = writing->voxels,
                   .err = err};
    job.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    if (!job.info) {
        png_destroy_write_struct(&job.png, NULL);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", path);
    }
    png_set_write_fn(job.png, &job, on_write, on_flush);
    loom_status status = LOOM_OK;
    if (!guarded(&job)) {
        status = job.status;
        if (status == LOOM_OK) status = loom_fail(err, LOOM_IO, "%s: cannot be written: %s", path, job.message);
    }
    png_destroy_write_struct(&job.png, &job.info);
    return status;
}
