/* gdcm.h - the little of GDCM that io/ uses, as C: what one DICOM file holds, and its pixels. The only door to C++ in
 * this room. */
#ifndef LOOM_IO_DICOM_GDCM_H
#define LOOM_IO_DICOM_GDCM_H

#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loom_dicom {
    char kind;           /* of a number: 'u', 'i' or 'f', after rescaling to the modality's units */
    uint8_t bytes;       /* of a number */
    uint16_t components; /* 1, or 3 for RGB */
    uint64_t size[3];
    double spacing[3], origin[3];
    double row[3], column[3]; /* directions of the x and the y axis */
    char series[80];          /* Series Instance UID; empty if there is none */
} loom_dicom;

/* Reads the data set up to the pixels. LOOM_BAD_INPUT, LOOM_UNSUPPORTED; messages begin with the path. GDCM ends the
 * process on some damaged files: call both through loom_isolated. */
loom_status loom_dicom_describe(const char *path, loom_dicom *dicom, loom_error *err);
/* Decodes the pixels, rescaled by the file's own numbers, into `length` bytes: size * components * bytes of `dicom`,
 * which describes this file or one that is alike. */
loom_status loom_dicom_decode(const char *path, const loom_dicom *dicom, void *pixels, size_t length, loom_error *err);

#ifdef __cplusplus
}
#endif

#endif
