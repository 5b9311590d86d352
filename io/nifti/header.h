/* header.h - the header of a NIfTI file as numbers: read from its bytes, and written to them. Pure: no files, no
 * allocation.
 *
 * Formats: NIfTI-1 (348 bytes; https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h) and NIfTI-2 (540 bytes;
 * https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h), either byte order. */
#ifndef LOOM_IO_NIFTI_HEADER_H
#define LOOM_IO_NIFTI_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

#define LOOM_NIFTI1_BYTES 348u
#define LOOM_NIFTI2_BYTES 540u
/* Header, then four bytes that say "no extensions": where voxels start in the files that we write. */
#define LOOM_NIFTI1_DATA 352u
#define LOOM_NIFTI2_DATA 544u

/* Codes of the field `datatype`. */
typedef enum loom_nifti_type {
    LOOM_NIFTI_U8 = 2,
    LOOM_NIFTI_I16 = 4,
    LOOM_NIFTI_I32 = 8,
    LOOM_NIFTI_F32 = 16,
    LOOM_NIFTI_COMPLEX64 = 32,
    LOOM_NIFTI_F64 = 64,
    LOOM_NIFTI_RGB24 = 128,
    LOOM_NIFTI_I8 = 256,
    LOOM_NIFTI_U16 = 512,
    LOOM_NIFTI_U32 = 768,
    LOOM_NIFTI_I64 = 1024,
    LOOM_NIFTI_U64 = 1280,
    LOOM_NIFTI_F128 = 1536,
    LOOM_NIFTI_COMPLEX128 = 1792,
    LOOM_NIFTI_COMPLEX256 = 2048,
    LOOM_NIFTI_RGBA32 = 2304
} loom_nifti_type;

enum {
    LOOM_NIFTI_INTENT_SYMMATRIX = 1005,
    LOOM_NIFTI_INTENT_DISPVECT = 1006,
    LOOM_NIFTI_INTENT_VECTOR = 1007,
    LOOM_NIFTI_XFORM_SCANNER = 1,
    LOOM_NIFTI_UNITS_MM = 2
};

typedef struct loom_nifti {
    int version;  /* 1 or 2 */
    bool swapped; /* the file is big-endian, its voxels too */
    bool pair;    /* header of a .hdr/.img pair */
    int64_t dim[8];
    int datatype; /* loom_nifti_type, or anything else */
    int bitpix;
    double pixdim[8];
    double vox_offset;
    double slope, inter;
    int xyzt_units;
    int intent;
    int qform_code, sform_code;
    double quatern[3], qoffset[3];
    double srow[3][4];
} loom_nifti;

/* True if the bytes begin like a NIfTI header (size field and magic), of a single file or of a pair. */
bool loom_nifti_recognise(const uint8_t *bytes, size_t length);
/* Reads the fields as they are. `name` is for messages. LOOM_BAD_INPUT when truncated or no NIfTI header. */
loom_status loom_nifti_parse(const uint8_t *bytes, size_t length, const char *name, loom_nifti *header,
                             loom_error *err);
/* Writes header and the empty extension flag, little-endian; returns the offset of the voxels (352 or 544). */
size_t loom_nifti_format(const loom_nifti *header, uint8_t bytes[LOOM_NIFTI2_DATA]);

#endif
