/* fuzz_volume.h - opens and loads an image file of given bytes into memory, up to a cap. */
#ifndef LOOM_TESTS_FUZZ_VOLUME_H
#define LOOM_TESTS_FUZZ_VOLUME_H

#include <string.h>

#include "fuzz_file.h"
#include "io/volume.h"

#define FUZZ_BYTES_MAX ((uint64_t)4 << 20)

static void fuzz_volume(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    loom_error err;
    loom_error_clear(&err);
    loom_volume *volume;
    loom_status status = loom_volume_open(path, &volume, &err);
    if (status != LOOM_OK) {
        /* Every refusal is one line that names the file. */
        if (volume || err.status != status || strncmp(err.message, path, strlen(path)) != 0) abort();
        if (strchr(err.message, '\n')) abort();
        return;
    }
    const loom_image_header *header = loom_volume_header(volume);
    if (loom_image_header_check(header, NULL) != LOOM_OK) abort();
    uint64_t bytes = loom_image_bytes(header);
    if (bytes <= FUZZ_BYTES_MAX) {
        void *voxels = malloc((size_t)bytes);
        if (!voxels) abort();
        loom_volume_sink sink = {.fd = -1, .memory = voxels};
        (void)loom_volume_load(volume, &sink, &err);
        free(voxels);
    }
    loom_volume_close(volume);
}

#endif
