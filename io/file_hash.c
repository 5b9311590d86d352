/* file_hash.c - the content hash of an input file, by which results that depend on it are known. */
#include <stdlib.h>

#include "io/input.h"
#include "io/volume.h"

#define CHUNK_BYTES ((size_t)256 << 10)

static loom_status hash_open_file(const loom_input *input, loom_hasher *hasher, void *chunk, uint64_t *bytes,
                                  loom_error *err) {
    *bytes = 0;
    for (;;) {
        size_t got;
        LOOM_TRY(loom_input_read(input, chunk, CHUNK_BYTES, *bytes, &got, err));
        loom_hasher_add(hasher, chunk, got);
        *bytes += got;
        if (got < CHUNK_BYTES) break;
    }
    return loom_input_check_unchanged(input, err);
}

loom_status loom_file_hash(const char *path, loom_id *content, uint64_t *bytes, loom_error *err) {
    loom_input input;
    LOOM_TRY(loom_input_open(path, &input, err));
    loom_hasher *hasher = loom_hasher_new();
    void *chunk = malloc(CHUNK_BYTES);
    loom_status status;
    if (!hasher || !chunk) {
        status = loom_fail(err, LOOM_NO_MEMORY, "no memory to hash %s", path);
    } else {
        uint64_t length;
        loom_hasher_begin(hasher);
        status = hash_open_file(&input, hasher, chunk, &length, err);
        loom_id id = loom_hasher_end(hasher);
        if (status == LOOM_OK) {
            *content = id;
            if (bytes) *bytes = length;
        }
    }
    free(chunk);
    loom_hasher_free(hasher);
    loom_input_close(&input);
    return status;
}
