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

/* GDCM's part. It is a library of its own, voxloom-dicom.so, because GDCM has 70,000 addresses to put right whenever a
 * program that is linked with it starts. */
typedef struct loom_gdcm {
    size_t dicom_bytes; /* sizeof(loom_dicom), as it was built */
    /* Reads the data set up to the pixels. LOOM_BAD_INPUT, LOOM_UNSUPPORTED; messages begin with the path. GDCM ends
     * the process on some damaged files: call both through loom_isolated. */
    loom_status (*describe)(const char *path, loom_dicom *dicom, loom_error *err);
    /* Decodes the pixels, rescaled by the file's own numbers, into `length` bytes: size * components * bytes of
     * `dicom`, which describes this file or one that is alike. */
    loom_status (*decode)(const char *path, const loom_dicom *dicom, void *pixels, size_t length, loom_error *err);
} loom_gdcm;

/* What voxloom-dicom.so exports, by LOOM_GDCM_SYMBOL. */
typedef const loom_gdcm *loom_gdcm_entry(void);
#define LOOM_GDCM_SYMBOL "loom_gdcm_functions"
__attribute__((visibility("default"))) const loom_gdcm *loom_gdcm_functions(void);

/* Loads it at the first call, for the rest of the process; *gdcm is static. LOOM_NOT_FOUND if it cannot be loaded, or
 * is of another version. Thread-safe. Call it before forking, so that children need not. */
loom_status loom_gdcm_load(const loom_gdcm **gdcm, loom_error *err);

#ifdef __cplusplus
}
#endif

#endif
