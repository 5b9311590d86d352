/* inflate.h - the bytes of a file in order, decompressed on the way if it is a gzip file (RFC 1952; zlib).
 *
 * A stream knows how many bytes its reader wants in all, so a file that holds more (a gzip bomb) or less is found
 * before a byte too many is delivered. */
#ifndef LOOM_IO_INFLATE_H
#define LOOM_IO_INFLATE_H

#include "io/input.h"

/* Deflate cannot expand by more than this (zlib's technical notes: 1032:1). */
#define LOOM_DEFLATE_RATIO_MAX 1032u

typedef struct loom_stream loom_stream;

/* Borrows the input. Recognises gzip by its magic. */
loom_status loom_stream_open(const loom_input *input, loom_stream **stream, loom_error *err);
void loom_stream_close(loom_stream *stream); /* NULL is accepted */
bool loom_stream_is_gzip(const loom_stream *stream);
/* No more than this many bytes can come out: the file's length, or what its compressed length allows. */
uint64_t loom_stream_limit(const loom_stream *stream);

/* Reads up to `length` bytes; *got is less only at the end. LOOM_BAD_INPUT for corrupt gzip data. */
loom_status loom_stream_read(loom_stream *stream, void *bytes, size_t length, size_t *got, loom_error *err);
/* Reads exactly `length` bytes; LOOM_BAD_INPUT "truncated" when there are fewer. */
loom_status loom_stream_read_all(loom_stream *stream, void *bytes, size_t length, loom_error *err);
loom_status loom_stream_skip(loom_stream *stream, uint64_t length, loom_error *err);
/* Checks that nothing follows: LOOM_BAD_INPUT if a byte does, or if the last checksum is wrong or missing. */
loom_status loom_stream_end(loom_stream *stream, loom_error *err);
/* Starts again at the first byte. */
loom_status loom_stream_rewind(loom_stream *stream, loom_error *err);

#endif
