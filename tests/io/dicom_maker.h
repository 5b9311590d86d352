/* dicom_maker.h - writes small DICOM files (explicit VR, little-endian) element by element, after PS3.5 and PS3.10. */
#ifndef LOOM_TESTS_IO_DICOM_MAKER_H
#define LOOM_TESTS_IO_DICOM_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dicom_recipe {
    const char *series;
    const char *position, *orientation, *spacing; /* text, "x\\y\\z"; NULL: the element is left out */
    const char *intercept, *slope, *thickness;
    const char *colours; /* "MONOCHROME2" */
    uint16_t rows, columns, samples, bits, stored;
    bool is_signed, in_planes;
    int number;
    const void *pixels;
    size_t pixels_bytes;
} dicom_recipe;

/* A CT slice of 3 x 2 pixels of 16 bits. */
dicom_recipe dicom_slice(const void *pixels, size_t bytes);
/* Writes it; returns its length. */
size_t dicom_make(const dicom_recipe *recipe, unsigned char file[4096]);

#endif
