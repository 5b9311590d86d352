/* header.h - the text header of a MetaImage file: read from its lines, and written. Private to io/metaimage/.
 *
 * Source: "MetaIO" documentation of ITK (itk.org/Wiki/MetaIO); where it is silent, what ITK 5.2 does. */
#ifndef LOOM_IO_METAIMAGE_HEADER_H
#define LOOM_IO_METAIMAGE_HEADER_H

#include "io/text.h"
#include "shm/image.h"

typedef struct loom_metaimage {
    loom_image_header image;
    bool swapped, text, compressed;
    bool header_is_rest;  /* HeaderSize = -1: the data are the last bytes of their file */
    uint64_t header_size; /* bytes before the data in their file */
    char *data;           /* value of ElementDataFile, in the text */
} loom_metaimage;

bool loom_metaimage_recognise(const uint8_t *start, size_t length);
/* Reads up to the line ElementDataFile, the last of a header. `name` is for messages. LOOM_BAD_INPUT, LOOM_UNSUPPORTED,
 * LOOM_TOO_LARGE. */
loom_status loom_metaimage_parse(loom_text *text, const char *name, loom_metaimage *meta, loom_error *err);
/* Writes a header, as ITK does, into `text`; returns its length. `data` is the name of the file of the voxels, or
 * "LOCAL". */
#define LOOM_METAIMAGE_TEXT_BYTES 4096
size_t loom_metaimage_format(const loom_image_header *image, const char *data, char text[LOOM_METAIMAGE_TEXT_BYTES]);

#endif
