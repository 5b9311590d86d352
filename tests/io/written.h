/* written.h - image files whose bytes a test writes itself, against what must be read from them; and round trips
 * through a writer. */
#ifndef LOOM_TESTS_IO_WRITTEN_H
#define LOOM_TESTS_IO_WRITTEN_H

#include "support.h"

/* What must be read. Zeros stand for: one component, spacing 1, origin 0, the identity. */
typedef struct expected_image {
    loom_dtype dtype;
    unsigned rank;
    uint16_t components;
    uint64_t size[LOOM_RANK_MAX];
    double spacing[LOOM_RANK_MAX];
    double origin[LOOM_RANK_MAX];
    double axes[LOOM_RANK_MAX][LOOM_RANK_MAX]; /* the direction of each axis */
} expected_image;

/* Writes text and data into one file. */
void write_text_file(const char *path, const char *text, const void *data, size_t length);
/* Loads a file and compares geometry (within 1e-12) and bytes. */
void check_file(const char *path, const expected_image *expected, const void *voxels);
/* An image of these sizes with a geometry that is not simple, and voxels that are all different; the caller frees. */
unsigned char *make_image(loom_dtype dtype, unsigned rank, uint16_t components, loom_image_header *header);
/* Writes and reads it: all must be the same (bool8 comes back as u8). `tolerance` is for the geometry. */
void check_round_trip(const char *path, const loom_image_header *header, const void *voxels, double tolerance);
/* Every truncation of the file must be refused, and every changed byte must do no harm. */
void check_hostile(const char *path, size_t step);

#endif
