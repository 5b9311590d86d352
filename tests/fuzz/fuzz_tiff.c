/* fuzz_tiff.c - any bytes as a TIFF file, into memory. */
#include "fuzz_volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_volume(data, size);
    return 0;
}
