/* fuzz_nifti.c - any bytes as a NIfTI file, plain or gzipped: header, geometry, and voxels into memory. */
#include "fuzz_volume.h"
#include "io/nifti/voxels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* The header by itself first: it must stand alone, whatever the file's length. */
    loom_nifti header;
    loom_image_header image;
    loom_nifti_layout layout;
    if (loom_nifti_parse(data, size, "fuzz", &header, NULL) == LOOM_OK &&
        loom_nifti_describe(&header, "fuzz", &image, &layout, NULL) == LOOM_OK) {
        uint8_t bytes[LOOM_NIFTI2_DATA];
        if (layout.voxels != loom_image_voxels(&image)) abort();
        (void)loom_nifti_format(&header, bytes);
    }
    fuzz_volume(data, size);
    return 0;
}
