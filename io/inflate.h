/* inflate.h - the bytes of a file in order, decompressed on the way if they are gzip or zlib data (RFC 1952, RFC 1950).
 *
 * A stream knows how many bytes its reader wants in all, so a file that holds more (a gzip bomb) or less is found
 * before a byte too many is delivered. */
#ifndef LOOM_IO_INFLATE_H
#define LOOM_IO_INFLATE_H

#include "io/input.h"

/* Deflate cannot expand by more than this (zlib's technical notes: 1032:1). */
#define LOOM_DEFLATE_RATIO_MAX 1032u

typedef struct loom_stream loom_stream;

/* How bytes are packed. AUTO: gzip if they begin like it, else plain. */
typedef enum loom_packing { LOOM_PACKING_AUTO, LOOM_PACKING_NONE, LOOM_PACKING_GZIP, LOOM_PACKING_ZLIB } loom_packing;

/* Borrows the input. The stream begins at its first byte, or at `offset`. */
loom_status loom_stream_open(const loom_input *input, loom_stream **stream, loom_error *err);
loom_status loom_stream_open_at(const loom_input *input, uint64_t offset, loom_packing packing, loom_stream **stream,
                                loom_error *err);
void loom_stream_close(loom_stream *stream);         /* NULL is accepted */
bool loom_stream_is_gzip(const loom_stream *stream); /* or zlib */
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
void loom_stream_rewind(loom_stream *stream);

#endif
