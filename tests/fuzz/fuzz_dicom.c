/* fuzz_dicom.c - any bytes as a DICOM file, into memory. */
#include "fuzz_volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_volume(data, size);
    return 0;
}
