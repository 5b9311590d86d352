/* write.c - 2D and 3D images as TIFF, a page a slice, not compressed: for each page its pixels, then its directory. The
 * offsets are known beforehand, so that the file is written in one go. The spacing goes into the resolution.
 *
 * Source: TIFF, revision 6.0 (Adobe, 1992). */
#include "io/tiff/write.h"

#include <string.h>

#include "io/numbers.h"
#include "io/output.h"

#define FILE_HEADER_BYTES 8u
#define ENTRIES_MAX 14u
#define ENTRY_BYTES 12u

enum { TIFF_SHORT = 3, TIFF_LONG = 4, TIFF_RATIONAL = 5 };

/* A directory, and the values that do not fit into its entries, behind it. */
typedef struct tiff_directory {
    uint8_t bytes[2 + ENTRIES_MAX * ENTRY_BYTES + 4 + 256];
    uint32_t place; /* in the file */
    uint16_t entries;
    size_t extra; /* end of what is behind it */
} tiff_directory;

static void put_entry(tiff_directory *directory, uint16_t tag, uint16_t type, uint32_t count, uint32_t value) {
    uint8_t *entry = directory->bytes + 2 + directory->entries++ * (size_t)ENTRY_BYTES;
    loom_put_le16(entry, tag);
    loom_put_le16(entry + 2, type);
    loom_put_le32(entry + 4, count);
    loom_put_le32(entry + 8, value);
}

/* The same value for each component: two fit into an entry. */
static void put_shorts(tiff_directory *directory, uint16_t tag, uint32_t count, uint16_t value) {
    if (count <= 2) {
        put_entry(directory, tag, TIFF_SHORT, count, count == 2 ? (uint32_t)value << 16 | value : value);
        return;
    }
    put_entry(directory, tag, TIFF_SHORT, count, directory->place + (uint32_t)directory->extra);
    for (uint32_t i = 0; i < count; i++, directory->extra += 2)
        loom_put_le16(directory->bytes + directory->extra, value);
}

/* Pixels an inch, as a fraction that is as fine as 32 bits allow. */
static void put_resolution(tiff_directory *directory, uint16_t tag, double spacing) {
    double value = 25.4 / spacing;
    uint32_t below = 1;
    while (below < 1u << 30 && value * 2 * below < 2e9)
        below *= 2;
    put_entry(directory, tag, TIFF_RATIONAL, 1, directory->place + (uint32_t)directory->extra);
    loom_put_le32(directory->bytes + directory->extra, (uint32_t)(value * below + 0.5));
    loom_put_le32(directory->bytes + directory->extra + 4, below);
    directory->extra += 8;
}

static uint16_t format_of(uint8_t dtype) {
    switch (dtype) {
    case LOOM_I8:
    case LOOM_I16:
    case LOOM_I32:
    case LOOM_I64:
        return 2;
    case LOOM_F32:
    case LOOM_F64:
        return 3;
    default:
        return 1;
    }
}

/* Tags in ascending order. `next` is the place of the next page's directory, or 0. Returns the length. */
static size_t make_directory(const loom_image_header *image, uint32_t pixels, uint32_t pixel_bytes, uint32_t next,
                             tiff_directory *directory) {
    uint32_t components = image->components;
    bool colour = components == 3 || components == 4;
    bool resolution = 25.4 / image->spacing[0] < 2e9 && 25.4 / image->spacing[1] < 2e9;
    uint16_t entries = (uint16_t)(10 + (resolution ? 3 : 0) + (components == 2 || components == 4 ? 1 : 0));
    memset(directory->bytes, 0, sizeof directory->bytes);
    directory->entries = 0;
    directory->extra = 2u + (size_t)entries * ENTRY_BYTES + 4u;
    put_entry(directory, 256, TIFF_LONG, 1, (uint32_t)image->size[0]);
    put_entry(directory, 257, TIFF_LONG, 1, (uint32_t)image->size[1]);
    put_shorts(directory, 258, components, (uint16_t)(8 * loom_dtype_bytes(image->dtype)));
    put_entry(directory, 259, TIFF_SHORT, 1, 1);              /* not compressed */
    put_entry(directory, 262, TIFF_SHORT, 1, colour ? 2 : 1); /* RGB, or black is 0 */
    put_entry(directory, 273, TIFF_LONG, 1, pixels);
    put_entry(directory, 277, TIFF_SHORT, 1, components);
    put_entry(directory, 278, TIFF_LONG, 1, (uint32_t)image->size[1]); /* one strip */
    put_entry(directory, 279, TIFF_LONG, 1, pixel_bytes);
    if (resolution) {
        put_resolution(directory, 282, image->spacing[0]);
        put_resolution(directory, 283, image->spacing[1]);
        put_entry(directory, 296, TIFF_SHORT, 1, 2); /* an inch */
    }
    if (components == 2 || components == 4)
        put_entry(directory, 338, TIFF_SHORT, 1, colour ? 2 : 0); /* alpha, or anything */
    put_shorts(directory, 339, components, format_of(image->dtype));
    loom_put_le16(directory->bytes, directory->entries);
    loom_put_le32(directory->bytes + 2 + directory->entries * (size_t)ENTRY_BYTES, next);
    return directory->extra;
}

static loom_status check(const loom_writing *writing, loom_error *err) {
    const loom_image_header *header = writing->header;
    if (header->rank > 3 || header->components > 4)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: TIFF holds 2D and 3D images of 1 to 4 components, not %uD of %u; write .nii.gz",
                         writing->path, header->rank, header->components);
    uint64_t pages = header->size[2], overhead = FILE_HEADER_BYTES + pages * (sizeof(tiff_directory) + 2);
    if (loom_image_bytes(header) > UINT32_MAX || overhead > UINT32_MAX - loom_image_bytes(header))
        return loom_fail(err, LOOM_TOO_LARGE, "%s: TIFF files have at most 4 GiB; write .nii.gz or .nrrd",
                         writing->path);
    return LOOM_OK;
}

/* Directories begin at even places. */
static uint32_t even(uint64_t place) {
    return (uint32_t)(place + (place & 1));
}

loom_status loom_tiff_write(const loom_writing *writing, loom_error *err) {
    LOOM_TRY(check(writing, err));
    const loom_image_header *image = writing->header;
    const uint8_t *voxels = writing->voxels;
    static const uint8_t zero[1] = {0};
    uint32_t page_bytes = (uint32_t)(loom_image_bytes(image) / image->size[2]);
    uint8_t start[FILE_HEADER_BYTES] = {'I', 'I', 42, 0};
    uint32_t pixels = FILE_HEADER_BYTES;
    loom_put_le32(start + 4, even((uint64_t)pixels + page_bytes));
    LOOM_TRY(loom_write_all(writing->fd, writing->path, start, sizeof start, err));
    for (uint64_t page = 0; page < image->size[2]; page++, voxels += page_bytes) {
        tiff_directory directory = {.place = even((uint64_t)pixels + page_bytes)};
        size_t length = make_directory(image, pixels, page_bytes, 0, &directory); /* all are equally long */
        uint32_t after = directory.place + (uint32_t)length;
        bool last = page + 1 == image->size[2];
        (void)make_directory(image, pixels, page_bytes, last ? 0 : even((uint64_t)after + page_bytes), &directory);
        LOOM_TRY(loom_write_all(writing->fd, writing->path, voxels, page_bytes, err));
        LOOM_TRY(loom_write_all(writing->fd, writing->path, zero, directory.place - pixels - page_bytes, err));
        LOOM_TRY(loom_write_all(writing->fd, writing->path, directory.bytes, length, err));
        pixels = after;
    }
    return LOOM_OK;
}
