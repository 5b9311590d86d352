/* write.c - streams an image into a .nii or .nii.gz file, NIfTI-1 unless an axis is too long for it. The bytes
 * depend on the image and the compression level only: no time, no name. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/nifti/geometry.h"
#include "io/nifti/write.h"
#include "io/output.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define GZIP_WINDOW (15 + 16)

/* ---- bytes out, compressed or not ---- */

typedef struct byte_writer {
    int fd;
    const char *path;
    bool gzip;
    z_stream zlib;
    unsigned char *chunk; /* compressed bytes on their way out */
} byte_writer;

static loom_status writer_open(byte_writer *writer, int fd, const char *path, bool gzip, int level, loom_error *err) {
    *writer = (byte_writer){.fd = fd, .path = path, .gzip = gzip};
    if (!gzip) return LOOM_OK;
    writer->chunk = malloc(CHUNK_BYTES);
    if (writer->chunk && deflateInit2(&writer->zlib, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        writer->zlib.next_out = writer->chunk;
        writer->zlib.avail_out = CHUNK_BYTES;
        return LOOM_OK;
    }
    free(writer->chunk);
    return loom_fail(err, LOOM_NO_MEMORY, "no memory to compress %s", path);
}

static loom_status flush_chunk(byte_writer *writer, loom_error *err) {
    LOOM_TRY(loom_write_all(writer->fd, writer->path, writer->chunk, CHUNK_BYTES - writer->zlib.avail_out, err));
    writer->zlib.next_out = writer->chunk;
    writer->zlib.avail_out = CHUNK_BYTES;
    return LOOM_OK;
}

static loom_status compress_some(byte_writer *writer, const void *bytes, unsigned length, int flush, loom_error *err) {
    z_stream *zlib = &writer->zlib;
    zlib->next_in = (z_const Bytef *)bytes;
    zlib->avail_in = length;
    for (;;) {
        int result = deflate(zlib, flush);
        if (result == Z_STREAM_ERROR)
            return loom_fail(err, LOOM_INTERNAL, "%s: the compressor is in disorder", writer->path);
        if (zlib->avail_out == 0) {
            LOOM_TRY(flush_chunk(writer, err));
            continue;
        }
        if (flush != Z_FINISH || result == Z_STREAM_END) return LOOM_OK;
    }
}

static loom_status writer_put(byte_writer *writer, const void *bytes, size_t length, loom_error *err) {
    if (!writer->gzip) return loom_write_all(writer->fd, writer->path, bytes, length, err);
    const unsigned char *next = bytes;
    while (length > 0) {
        unsigned portion = length < (1u << 30) ? (unsigned)length : 1u << 30;
        LOOM_TRY(compress_some(writer, next, portion, Z_NO_FLUSH, err));
        next += portion;
        length -= portion;
    }
    return LOOM_OK;
}

static loom_status writer_finish(byte_writer *writer, loom_error *err) {
    if (!writer->gzip) return LOOM_OK;
    LOOM_TRY(compress_some(writer, NULL, 0, Z_FINISH, err));
    return flush_chunk(writer, err);
}

static void writer_close(byte_writer *writer) {
    if (!writer->gzip) return;
    deflateEnd(&writer->zlib);
    free(writer->chunk);
}

/* ---- the image ---- */

static bool is_colour(const loom_image_header *image) {
    return image->dtype == LOOM_U8 && (image->components == 3 || image->components == 4);
}

static int type_of(const loom_image_header *image) {
    static const int codes[] = {[LOOM_BOOL8] = LOOM_NIFTI_U8, [LOOM_U8] = LOOM_NIFTI_U8,   [LOOM_I8] = LOOM_NIFTI_I8,
                                [LOOM_U16] = LOOM_NIFTI_U16,  [LOOM_I16] = LOOM_NIFTI_I16, [LOOM_U32] = LOOM_NIFTI_U32,
                                [LOOM_I32] = LOOM_NIFTI_I32,  [LOOM_U64] = LOOM_NIFTI_U64, [LOOM_I64] = LOOM_NIFTI_I64,
                                [LOOM_F32] = LOOM_NIFTI_F32,  [LOOM_F64] = LOOM_NIFTI_F64};
    if (is_colour(image)) return image->components == 3 ? LOOM_NIFTI_RGB24 : LOOM_NIFTI_RGBA32;
    return codes[image->dtype];
}

static void describe(const loom_image_header *image, loom_nifti *header) {
    *header = (loom_nifti){.version = 1, .slope = 1.0, .xyzt_units = LOOM_NIFTI_UNITS_MM};
    bool vector = image->components > 1 && !is_colour(image);
    header->dim[0] = vector ? 5 : image->rank;
    for (unsigned axis = 0; axis < 7; axis++) {
        header->dim[axis + 1] = axis < image->rank ? (int64_t)image->size[axis] : 1;
        if (header->dim[axis + 1] > INT16_MAX) header->version = 2;
    }
    if (vector) {
        header->dim[5] = image->components;
        header->intent = LOOM_NIFTI_INTENT_VECTOR;
        if (image->components > INT16_MAX) header->version = 2;
    }
    header->datatype = type_of(image);
    header->bitpix = (int)(8 * loom_dtype_bytes(image->dtype) * (is_colour(image) ? image->components : 1u));
    loom_nifti_from_geometry(image, header);
}

/* One component of every voxel after the other, as NIfTI keeps vectors. */
static loom_status put_planar(byte_writer *writer, const loom_image_header *image, const unsigned char *voxels,
                              loom_error *err) {
    size_t number = loom_dtype_bytes(image->dtype), stride = number * image->components;
    unsigned char *plane = malloc(CHUNK_BYTES);
    if (!plane) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", writer->path);
    loom_status status = LOOM_OK;
    for (size_t component = 0; component < image->components && status == LOOM_OK; component++) {
        const unsigned char *from = voxels + component * number;
        for (uint64_t left = loom_image_voxels(image); left > 0 && status == LOOM_OK;) {
            size_t portion = left < CHUNK_BYTES / number ? (size_t)left : CHUNK_BYTES / number;
            for (size_t i = 0; i < portion; i++, from += stride)
                memcpy(plane + i * number, from, number);
            status = writer_put(writer, plane, portion * number, err);
            left -= portion;
        }
    }
    free(plane);
    return status;
}

static loom_status put_image(byte_writer *writer, const loom_image_header *image, const void *voxels, loom_error *err) {
    loom_nifti header;
    uint8_t start[LOOM_NIFTI2_DATA];
    describe(image, &header);
    LOOM_TRY(writer_put(writer, start, loom_nifti_format(&header, start), err));
    if (header.intent == LOOM_NIFTI_INTENT_VECTOR)
        LOOM_TRY(put_planar(writer, image, voxels, err));
    else
        LOOM_TRY(writer_put(writer, voxels, (size_t)loom_image_bytes(image), err));
    return writer_finish(writer, err);
}

loom_status loom_nifti_write(const loom_writing *writing, loom_error *err) {
    byte_writer writer;
    bool gzip = loom_path_has_suffix(writing->path, ".gz");
    LOOM_TRY(writer_open(&writer, writing->fd, writing->path, gzip, writing->level, err));
    loom_status status = put_image(&writer, writing->header, writing->voxels, err);
    writer_close(&writer);
    return status;
}
