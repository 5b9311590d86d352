/* write.c - 2D images of one or three components of u8 as JPEG of quality 95, ITK's default. Values change a little: it
 * is a format for pictures. The density is not written: whole pixels a centimetre would round the spacing. */
#include "io/jpeg/write.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "io/output.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define QUALITY 95

typedef struct jpeg_job {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf escape;
    bool created;
    const loom_writing *writing;
    loom_status status; /* of our own calls inside libjpeg's */
    loom_error *err;
    char message[JMSG_LENGTH_MAX];
    JOCTET chunk[CHUNK_BYTES];
} jpeg_job;

static void on_error(j_common_ptr jpeg) {
    jpeg_job *job = jpeg->client_data;
    jpeg->err->format_message(jpeg, job->message);
    longjmp(job->escape, 1);
}

static void on_message(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}

static void put_chunk(jpeg_job *job, size_t length) {
    job->status = loom_write_all(job->writing->fd, job->writing->path, job->chunk, length, job->err);
    if (job->status != LOOM_OK) longjmp(job->escape, 1);
    job->destination.next_output_byte = job->chunk;
    job->destination.free_in_buffer = CHUNK_BYTES;
}

static void on_start(j_compress_ptr jpeg) {
    jpeg_job *job = jpeg->client_data;
    job->destination.next_output_byte = job->chunk;
    job->destination.free_in_buffer = CHUNK_BYTES;
}

/* libjpeg asks so when the chunk is full, whatever is left in it by its count. */
static boolean on_full(j_compress_ptr jpeg) {
    put_chunk(jpeg->client_data, CHUNK_BYTES);
    return TRUE;
}

static void on_end(j_compress_ptr jpeg) {
    jpeg_job *job = jpeg->client_data;
    put_chunk(job, CHUNK_BYTES - job->destination.free_in_buffer);
}

static void write_image(jpeg_job *job) {
    struct jpeg_compress_struct *jpeg = &job->jpeg;
    const loom_image_header *header = job->writing->header;
    const unsigned char *voxels = job->writing->voxels;
    size_t length = (size_t)header->size[0] * header->components;
    jpeg_create_compress(jpeg);
    job->created = true;
    jpeg->client_data = job;
    job->destination = (struct jpeg_destination_mgr){
        .init_destination = on_start, .empty_output_buffer = on_full, .term_destination = on_end};
    jpeg->dest = &job->destination;
    jpeg->image_width = (JDIMENSION)header->size[0];
    jpeg->image_height = (JDIMENSION)header->size[1];
    jpeg->input_components = header->components;
    jpeg->in_color_space = header->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, QUALITY, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(voxels + jpeg->next_scanline * length); /* only read */
        (void)jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static bool guarded(jpeg_job *job) {
    if (setjmp(job->escape)) return false;
    write_image(job);
    return true;
}

static loom_status check(const loom_writing *writing, loom_error *err) {
    const loom_image_header *header = writing->header;
    bool type = header->dtype == LOOM_U8 || header->dtype == LOOM_BOOL8;
    if (header->rank != 2 || !type || (header->components != 1 && header->components != 3))
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: JPEG holds 2D images of 1 or 3 components of u8, not %uD %s of %u; take a slice and cast "
                         "it, or write .nii.gz",
                         writing->path, header->rank, loom_dtype_name(header->dtype), header->components);
    if (header->size[0] > JPEG_MAX_DIMENSION || header->size[1] > JPEG_MAX_DIMENSION)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: JPEG images have at most %ld pixels a side; write .nii.gz",
                         writing->path, JPEG_MAX_DIMENSION);
    return LOOM_OK;
}

loom_status loom_jpeg_write(const loom_writing *writing, loom_error *err) {
    LOOM_TRY(check(writing, err));
    jpeg_job *job = calloc(1, sizeof *job);
    if (!job) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", writing->path);
    job->writing = writing;
    job->err = err;
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->jpeg.client_data = job;
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    loom_status status = LOOM_OK;
    if (!guarded(job)) {
        status = job->status;
        if (status == LOOM_OK)
            status = loom_fail(err, LOOM_IO, "%s: cannot be written: %s", writing->path, job->message);
    }
    if (job->created) jpeg_destroy_compress(&job->jpeg);
    free(job);
    return status;
}
