/* header.h - the text header of a NRRD file: read from its lines, and written. Private to io/nrrd/.
 *
 * Source: "Definition of NRRD File Format" (teem.sourceforge.net/nrrd/format.html); which image a header stands for is
 * as in ITK 5.2's NrrdImageIO. */
#ifndef LOOM_IO_NRRD_HEADER_H
#define LOOM_IO_NRRD_HEADER_H

#include "io/text.h"
#include "shm/image.h"

#define LOOM_NRRD_AXES_MAX (LOOM_RANK_MAX + 1)

/* One axis, as the fields say it. NaN: not said. */
typedef struct loom_nrrd_axis {
    uint64_t size;
    double spacing, min, max;
    bool node;       /* samples lie on the nodes of the grid, not in its cells */
    bool components; /* its kind says that it runs over the values of one voxel */
    bool has_direction;
    double direction[LOOM_RANK_MAX];
} loom_nrrd_axis;

typedef struct loom_nrrd {
    unsigned axes; /* "dimension" */
    loom_nrrd_axis axis[LOOM_NRRD_AXES_MAX];
    unsigned space;             /* dimension of the space, 0: none was given */
    double flip[LOOM_RANK_MAX]; /* 1 or -1: from that space to ITK's */
    bool has_origin;
    double origin[LOOM_RANK_MAX];
    loom_dtype dtype;
    bool swapped, gzip;
    uint64_t line_skip;
    bool skip_to_rest; /* byte skip: -1 */
    uint64_t byte_skip;
    char *data; /* value of "data file", in the text; NULL: the data follow the header */
} loom_nrrd;

bool loom_nrrd_recognise(const uint8_t *start, size_t length);
/* Reads the fields up to the empty line that ends them; of a detached header, or with data in a list of files, up to
 * what follows. `name` is for messages. LOOM_BAD_INPUT, LOOM_UNSUPPORTED, LOOM_TOO_LARGE. */
loom_status loom_nrrd_parse(loom_text *text, const char *name, loom_nrrd *nrrd, loom_error *err);
/* Judges the fields and describes the image. *planar: the components come one after the other. */
loom_status loom_nrrd_describe(const loom_nrrd *nrrd, const char *name, loom_image_header *image, bool *planar,
                               loom_error *err);
/* Writes a header into `text`, with the empty line if `data`, the name of the file of the voxels, is NULL; returns its
 * length. */
#define LOOM_NRRD_TEXT_BYTES 4096
size_t loom_nrrd_format(const loom_image_header *image, const char *data, char text[LOOM_NRRD_TEXT_BYTES]);

#endif
