/* fuzz_inflate.c - any bytes as a stream: read in pieces, read exactly, skipped, started again. */
#include <string.h>

#include "fuzz_file.h"
#include "io/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX ((size_t)1 << 20)

/* Reads up to BYTES_MAX in pieces of `piece`; returns how much came. */
static size_t read_pieces(loom_stream *stream, uint8_t *bytes, size_t piece, loom_status *status) {
    size_t total = 0, got = piece;
    *status = LOOM_OK;
    while (*status == LOOM_OK && got == piece && total + piece <= BYTES_MAX) {
        *status = loom_stream_read(stream, bytes + total, piece, &got, NULL);
        total += got;
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t first[BYTES_MAX], second[BYTES_MAX];
    loom_input input;
    loom_stream *stream;
    if (loom_input_open(fuzz_file(data, size), &input, NULL) != LOOM_OK) abort();
    if (loom_stream_open(&input, &stream, NULL) != LOOM_OK) abort();
    loom_status a, b;
    size_t large = read_pieces(stream, first, 65536, &a);
    loom_stream_rewind(stream);
    /* The pieces must not matter, where both came to the end. */
    size_t small = read_pieces(stream, second, 251, &b);
    size_t common = large < small ? large : small;
    if (memcmp(first, second, common) != 0) abort();
    if (a == LOOM_OK && b == LOOM_OK && large < BYTES_MAX - 65536 && large != small) abort();
    if (a == LOOM_OK && !loom_stream_is_gzip(stream) && large < BYTES_MAX - 65536 && large != size) abort();
    if (large > loom_stream_limit(stream)) abort();
    loom_stream_rewind(stream);
    if (loom_stream_skip(stream, common / 2, NULL) == LOOM_OK)
        (void)loom_stream_read_all(stream, first, common - common / 2, NULL);
    (void)loom_stream_end(stream, NULL);
    loom_stream_close(stream);
    loom_input_close(&input);
    return 0;
}
