/* nifti_maker.h - writes NIfTI files byte by byte from nifti1.h and nifti2.h, independently of io/: the tests'
 * reference.
 */
#ifndef LOOM_TESTS_IO_NIFTI_MAKER_H
#define LOOM_TESTS_IO_NIFTI_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nifti_recipe {
    int version;
    bool big;
    int16_t datatype, bitpix;
    int64_t dim[8];
    double pixdim[8];
    double vox_offset; /* 0 = right after header and extension flag */
    double slope, inter;
    int units, intent;
    int qform_code, sform_code;
    double quatern[3], qoffset[3], srow[3][4];
    const char *magic; /* NULL = the right one */
    const void *data;  /* little-endian numbers of bitpix / 8 bytes each */
    size_t data_bytes;
    size_t number_bytes; /* 0 = bitpix / 8; the unit of byte order */
} nifti_recipe;

/* A NIfTI-1 recipe of the given axes (ends at 0) with unit spacing and no transform. */
nifti_recipe nifti_recipe_make(int16_t datatype, int16_t bitpix, const int64_t sizes[]);
/* The file's bytes; the caller frees. */
unsigned char *nifti_make(const nifti_recipe *recipe, size_t *length);
/* Makes it at a path in the scratch folder, gzipped if the name ends in .gz. */
const char *nifti_make_file(const nifti_recipe *recipe, const char *name);

#endif
