/* read.c - TIFF files as 2D images, or as 3D images of their pages: grey and colours of 8 to 64 bits, in strips or
 * tiles, compressed in any way that libtiff knows. The spacing is the resolution, as in ITK; between pages it is 1. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "io/sink.h"
#include "io/tiff/write.h"

/* No way to compress yields more; a larger claim is a lie, and nothing is reserved for it. */
#define RATIO_MAX 32768u
#define PAGES_MAX 65536u
/* One allocation of libtiff, whatever a file says. */
#define ALLOCATION_MAX ((tmsize_t)1 << 30)

typedef struct tiff_job {
    TIFF *tiff;
    const loom_volume *volume;
    loom_status status; /* of our own calls inside libtiff's */
    loom_error *err;
    uint64_t offset;
    bool in_pixels;
    char message[200]; /* libtiff's first */
} tiff_job;

/* ---- libtiff's view of the file ---- */

static tmsize_t on_read(thandle_t handle, void *bytes, tmsize_t length) {
    tiff_job *job = handle;
    size_t got = 0;
    if (length <= 0) return 0;
    loom_status status = loom_input_read(&job->volume->input, bytes, (size_t)length, job->offset, &got, job->err);
    if (status != LOOM_OK) {
        job->status = status;
        return -1;
    }
    /* libtiff takes a missing offset of the next directory for none. */
    if (got < (size_t)length && job->message[0] == '\0') snprintf(job->message, sizeof job->message, "it ends early");
    job->offset += got;
    return (tmsize_t)got;
}

static tmsize_t on_write(thandle_t handle, void *bytes, tmsize_t length) {
    (void)handle;
    (void)bytes;
    (void)length;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    tiff_job *job = handle;
    uint64_t base = whence == SEEK_CUR ? job->offset : whence == SEEK_END ? job->volume->input.bytes : 0;
    job->offset = base + offset; /* libtiff never goes beyond 2^63 */
    return job->offset;
}

static toff_t on_size(thandle_t handle) {
    return ((tiff_job *)handle)->volume->input.bytes;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

__attribute__((format(printf, 4, 0))) static int on_error(TIFF *tiff, void *context, const char *module,
                                                          const char *format, va_list arguments) {
    (void)tiff;
    (void)module;
    tiff_job *job = context;
    if (job->message[0] == '\0') {
        vsnprintf(job->message, sizeof job->message, format, arguments);
        for (char *c = job->message; *c != '\0'; c++)
            if ((unsigned char)*c < ' ' || (unsigned char)*c > '~') *c = '?';
    }
    return 1;
}

/* Of directories libtiff warns for little. Of pixels it warns when some are missing, and makes them up. */
__attribute__((format(printf, 4, 0))) static int on_warning(TIFF *tiff, void *context, const char *module,
                                                            const char *format, va_list arguments) {
    tiff_job *job = context;
    return job->in_pixels ? on_error(tiff, context, module, format, arguments) : 1;
}

static loom_status fail_damaged(tiff_job *job) {
    if (job->status != LOOM_OK) return job->status;
    return loom_fail(job->err, LOOM_BAD_INPUT, "%s: the TIFF data is damaged (%s); get a fresh copy of the file",
                     job->volume->path, job->message[0] ? job->message : "unknown reason");
}

static loom_status job_open(tiff_job *job, const loom_volume *volume, loom_error *err) {
    *job = (tiff_job){.volume = volume, .err = err};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, ALLOCATION_MAX);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, job);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, job);
    /* m: no mapping, c: no repair of strips. */
    job->tiff =
        TIFFClientOpenExt(volume->path, "rmc", job, on_read, on_write, on_seek, on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return job->tiff ? LOOM_OK : fail_damaged(job);
}

static void job_close(tiff_job *job) {
    if (job->tiff) TIFFClose(job->tiff);
}

/* ---- what a page holds ---- */

typedef struct tiff_page {
    uint32_t width, height;
    uint8_t dtype;
    uint16_t components;
} tiff_page;

static uint8_t type_of(uint16_t bits, uint16_t format) {
    switch (format) {
    case SAMPLEFORMAT_VOID:
    case SAMPLEFORMAT_UINT:
        return bits == 8 ? LOOM_U8 : bits == 16 ? LOOM_U16 : bits == 32 ? LOOM_U32 : bits == 64 ? LOOM_U64 : 0;
    case SAMPLEFORMAT_INT:
        return bits == 8 ? LOOM_I8 : bits == 16 ? LOOM_I16 : bits == 32 ? LOOM_I32 : bits == 64 ? LOOM_I64 : 0;
    case SAMPLEFORMAT_IEEEFP:
        return bits == 32 ? LOOM_F32 : bits == 64 ? LOOM_F64 : 0;
    default:
        return 0;
    }
}

static loom_status read_page(tiff_job *job, tiff_page *page) {
    uint16_t bits, format, components, planes, colours = PHOTOMETRIC_MINISBLACK, orientation;
    TIFF *tiff = job->tiff;
    *page = (tiff_page){0};
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page->width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page->height))
        return fail_damaged(job);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &components);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    (void)TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &colours);
    page->dtype = type_of(bits, format);
    page->components = components;
    if (page->dtype == 0 || components == 0 || (colours != PHOTOMETRIC_MINISBLACK && colours != PHOTOMETRIC_RGB))
        return loom_fail(job->err, LOOM_UNSUPPORTED,
                         "%s: is a TIFF image of %u bits, format %u and colour space %u, which is not read; save it as "
                         "grey or RGB of 8 or 16 bits",
                         job->volume->path, bits, format, colours);
    if (planes != PLANARCONFIG_CONTIG && components > 1)
        return loom_fail(
            job->err, LOOM_UNSUPPORTED,
            "%s: is a TIFF image with each component in a plane of its own; save it with them side by side",
            job->volume->path);
    if (orientation != ORIENTATION_TOPLEFT)
        return loom_fail(job->err, LOOM_UNSUPPORTED,
                         "%s: is a TIFF image that does not begin at its upper left (orientation %u); save it again",
                         job->volume->path, orientation);
    return LOOM_OK;
}

/* A preview of another page. */
static bool is_reduced(tiff_job *job) {
    uint32_t kind = 0;
    return TIFFGetField(job->tiff, TIFFTAG_SUBFILETYPE, &kind) && (kind & FILETYPE_REDUCEDIMAGE) != 0;
}

static void read_spacing(tiff_job *job, loom_image_header *header) {
    uint16_t unit;
    float x = 0, y = 0;
    TIFFGetFieldDefaulted(job->tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
    (void)TIFFGetField(job->tiff, TIFFTAG_XRESOLUTION, &x);
    (void)TIFFGetField(job->tiff, TIFFTAG_YRESOLUTION, &y);
    double length = unit == RESUNIT_INCH ? 25.4 : unit == RESUNIT_CENTIMETER ? 10.0 : 0.0;
    if (length == 0.0 || !(x > 0 && y > 0 && x < 1e30f && y < 1e30f && x > 1e-30f && y > 1e-30f)) return;
    header->spacing[0] = length / (double)x;
    header->spacing[1] = length / (double)y;
}

/* All pages, which must be alike. */
static loom_status describe(tiff_job *job, loom_image_header *header) {
    tiff_page first, page;
    uint64_t pages = 0;
    do {
        if (is_reduced(job)) continue;
        LOOM_TRY(read_page(job, &page));
        if (pages++ == 0) {
            first = page;
            const uint64_t size[2] = {page.width, page.height};
            *header = loom_image_header_make(page.dtype, 2, size);
            read_spacing(job, header);
        }
        if (page.width != first.width || page.height != first.height || page.dtype != first.dtype ||
            page.components != first.components)
            return loom_fail(job->err, LOOM_UNSUPPORTED,
                             "%s: has pages of different sizes or types; save page %llu in a file of its own",
                             job->volume->path, (unsigned long long)pages);
        if (pages > PAGES_MAX)
            return loom_fail(job->err, LOOM_TOO_LARGE, "%s: has more than %u pages; split it", job->volume->path,
                             PAGES_MAX);
    } while (TIFFReadDirectory(job->tiff));
    if (pages == 0 || job->message[0] != '\0' || job->status != LOOM_OK) return fail_damaged(job);
    header->components = first.components;
    header->rank = pages > 1 ? 3 : 2;
    header->size[2] = pages;
    return LOOM_OK;
}

static loom_status check(const loom_volume *volume, loom_error *err) {
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(&volume->header, &detail);
    if (status != LOOM_OK)
        return loom_fail(err, status == LOOM_TOO_LARGE ? status : LOOM_BAD_INPUT, "%s: %s", volume->path,
                         detail.message);
    if (loom_image_bytes(&volume->header) / RATIO_MAX > volume->input.bytes)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: claims more pixels than %llu bytes can hold; the file is truncated or its header damaged",
                         volume->path, (unsigned long long)volume->input.bytes);
    return LOOM_OK;
}

static bool tiff_recognise(const uint8_t *start, size_t length) {
    return length >= 8 && (memcmp(start, "II*\0", 4) == 0 || memcmp(start, "MM\0*", 4) == 0 ||
                           memcmp(start, "II+\0", 4) == 0 || memcmp(start, "MM\0+", 4) == 0);
}

static loom_status tiff_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    tiff_job job;
    loom_status status = job_open(&job, volume, err);
    if (status == LOOM_OK) status = describe(&job, &volume->header);
    job_close(&job);
    return status == LOOM_OK ? check(volume, err) : status;
}

/* ---- pixels ---- */

/* Rows of a page that are read together: one, or a row of tiles. */
typedef struct tiff_band {
    uint32_t rows;
    uint64_t row_bytes;
    unsigned char *pixels; /* rows * row_bytes */
    unsigned char *tile;   /* NULL: not in tiles */
    uint32_t tile_width;
} tiff_band;

static loom_status band_open(tiff_job *job, tiff_band *band) {
    const loom_image_header *header = &job->volume->header;
    size_t pixel = loom_dtype_bytes(header->dtype) * header->components;
    bool tiled = TIFFIsTiled(job->tiff) != 0;
    uint64_t bytes, encoded = (uint64_t)(tiled ? TIFFTileSize(job->tiff) : TIFFScanlineSize(job->tiff));
    *band = (tiff_band){.rows = 1, .row_bytes = header->size[0] * pixel};
    if (tiled && (!TIFFGetField(job->tiff, TIFFTAG_TILELENGTH, &band->rows) ||
                  !TIFFGetField(job->tiff, TIFFTAG_TILEWIDTH, &band->tile_width)))
        return fail_damaged(job);
    /* What libtiff delivers must be as long as it is taken for. */
    uint64_t expected = tiled ? (uint64_t)band->tile_width * band->rows * pixel : band->row_bytes;
    if (__builtin_mul_overflow(band->row_bytes, (uint64_t)band->rows, &bytes) || bytes == 0 ||
        bytes > (uint64_t)ALLOCATION_MAX || encoded != expected || encoded > (uint64_t)ALLOCATION_MAX || encoded == 0)
        return fail_damaged(job);
    band->pixels = malloc((size_t)bytes);
    if (tiled) band->tile = malloc((size_t)encoded);
    if (band->pixels && (band->tile || !tiled)) return LOOM_OK;
    return loom_fail(job->err, LOOM_NO_MEMORY, "no memory to read %s", job->volume->path);
}

static void band_close(tiff_band *band) {
    free(band->pixels);
    free(band->tile);
}

static loom_status read_tiles(tiff_job *job, const tiff_band *band, uint32_t y, uint32_t rows) {
    const loom_image_header *header = &job->volume->header;
    size_t pixel = loom_dtype_bytes(header->dtype) * header->components;
    for (uint64_t x = 0; x < header->size[0]; x += band->tile_width) {
        if (TIFFReadTile(job->tiff, band->tile, (uint32_t)x, y, 0, 0) < 0) return fail_damaged(job);
        uint64_t count = header->size[0] - x < band->tile_width ? header->size[0] - x : band->tile_width;
        for (uint32_t row = 0; row < rows; row++)
            memcpy(band->pixels + row * band->row_bytes + x * pixel,
                   band->tile + (size_t)row * band->tile_width * pixel, (size_t)count * pixel);
    }
    return LOOM_OK;
}

static loom_status read_band(tiff_job *job, const tiff_band *band, uint32_t y, uint32_t rows) {
    if (band->tile)
        LOOM_TRY(read_tiles(job, band, y, rows));
    else if (TIFFReadScanline(job->tiff, band->pixels, y, 0) < 0)
        return fail_damaged(job);
    return job->message[0] == '\0' && job->status == LOOM_OK ? LOOM_OK : fail_damaged(job);
}

static loom_status read_page_rows(tiff_job *job, const tiff_page *page, loom_sink *sink) {
    tiff_band band = {0};
    loom_status status = band_open(job, &band);
    job->in_pixels = true;
    for (uint32_t y = 0; y < page->height && status == LOOM_OK;) {
        uint32_t rows = page->height - y < band.rows ? page->height - y : band.rows;
        status = read_band(job, &band, y, rows);
        if (status == LOOM_OK) status = loom_sink_append(sink, band.pixels, rows * band.row_bytes, job->err);
        y += rows;
    }
    job->in_pixels = false;
    band_close(&band);
    return status;
}

static loom_status read_pages(tiff_job *job, loom_sink *sink) {
    const loom_image_header *header = &job->volume->header;
    uint64_t pages = 0;
    do {
        tiff_page page;
        if (is_reduced(job)) continue;
        LOOM_TRY(read_page(job, &page));
        if (pages++ == header->size[2] || page.width != header->size[0] || page.height != header->size[1] ||
            page.dtype != header->dtype || page.components != header->components)
            return loom_fail(job->err, LOOM_STALE_INPUT, "%s: changed while it was read; run again when it is complete",
                             job->volume->path);
        LOOM_TRY(read_page_rows(job, &page, sink));
    } while (TIFFReadDirectory(job->tiff));
    return job->message[0] == '\0' && job->status == LOOM_OK ? LOOM_OK : fail_damaged(job);
}

static loom_status tiff_load(loom_volume *volume, const loom_volume_sink *target, loom_error *err) {
    tiff_job job;
    loom_sink sink;
    LOOM_TRY(job_open(&job, volume, err));
    loom_status status = loom_sink_open(target, loom_image_bytes(&volume->header), &sink, err);
    if (status == LOOM_OK) {
        status = read_pages(&job, &sink);
        if (status == LOOM_OK)
            status = loom_sink_close(&sink, err);
        else
            loom_sink_abort(&sink);
    }
    job_close(&job);
    return status;
}

const loom_format loom_format_tiff = {.name = "TIFF",
                                      .suffixes = {".tif", ".tiff"},
                                      .recognise = tiff_recognise,
                                      .open = tiff_open,
                                      .load = tiff_load,
                                      .write = loom_tiff_write};
