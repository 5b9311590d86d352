/* stream.h - objects larger than memory, in and out of a store in bounded memory.
 *
 * A writer takes bytes in any chunks and holds at most LOOM_STREAM_MEMORY_BYTES, whatever the size of the object (and 8
 * bytes a MiB: its block hashes; 16 more where it encrypts). A reader holds as much, and hands out no byte of a block
 * that was not compared with its hash; it reads results of every codec and however they came in. Positions count bytes
 * of content: voxels of an image, characters of a string, without the head of its encoding.
 *
 * Nothing of a stream is visible as a result before its commit, which is one transaction. A writer that ends otherwise
 * leaves nothing: abort gives its space back, and what a process leaves that dies is unowned space, as after any death.
 * A writer may also be suspended, and be taken up again by another process: shm/SCHEMA.md, "Streams".
 *
 * A reader cannot follow a writer: a key that is being written is LOOM_BUSY, and the message says how far it is.
 *
 * A writer or reader belongs to one thread; any number of them, in any processes, work at once (in a store in memory:
 * up to 7 writers beside the opener's own extent writer). The store must outlive them. */
#ifndef LOOM_SHM_STREAM_H
#define LOOM_SHM_STREAM_H

#include "shm/store/storage.h"

#define LOOM_STREAM_MEMORY_BYTES (4u << 20)
#define LOOM_STREAM_INLINE_BYTES 16384u
/* A suspended stream that nobody takes up for so long is dropped by gc, like any result that expired. */
#define LOOM_STREAM_KEPT_S (UINT64_C(7) * 24 * 3600)

typedef struct loom_stream_writer loom_stream_writer;
typedef struct loom_stream_reader loom_stream_reader;

typedef struct loom_stream_options {
    loom_id rkey;
    loom_id node; /* zero: none */
    /* LOOM_STRING or LOOM_BYTES of up to 2^32 - 1 bytes, or LOOM_IMAGE: its voxels. */
    loom_type type;
    const loom_image_header *image; /* LOOM_IMAGE only; copied. Says how many bytes must come */
    uint64_t bytes;        /* how many will come, when that is known: then recycled space is used. 0: unknown */
    uint64_t inline_bytes; /* encodings up to this length go into the index; 0 = LOOM_STREAM_INLINE_BYTES */
    const uint8_t *recipe; /* copied */
    size_t recipe_bytes;
    uint64_t expires_ns;
} loom_stream_options;

/* Begins a stream. LOOM_BUSY: this key is being written by another writer. A stream of this key that was suspended is
 * dropped. The result may exist already: commit then compares, as loom_batch_put does. Needs a store that is open for
 * writing (LOOM_DENIED). */
loom_status loom_stream_writer_create(loom_store *store, const loom_stream_options *options,
                                      loom_stream_writer **writer, loom_error *err);
/* Takes up a suspended one: every byte so far is read and compared with its hash (LOOM_CORRUPT: abandon it with
 * loom_stream_drop). It goes on in place where nothing came behind it meanwhile, else (and always in an encrypted
 * store) what is there is copied on the way. Go on writing at loom_stream_writer_position. LOOM_NOT_FOUND: none, or it
 * was dropped; LOOM_BUSY: it has a writer. */
loom_status loom_stream_writer_resume(loom_store *store, const loom_id *rkey, loom_stream_writer **writer,
                                      loom_error *err);
/* Drops a suspended stream. LOOM_NOT_FOUND, LOOM_BUSY. */
loom_status loom_stream_drop(loom_store *store, const loom_id *rkey, loom_error *err);

/* Pieces of 2 MiB (or multiples) that continue where a piece of 2 MiB ended are written as they lie; others are copied
 * once. LOOM_NO_SPACE, LOOM_TOO_LARGE (more than was announced, or than fits), LOOM_IO. After an error the writer can
 * only be aborted or suspended; `position` says what was taken. */
loom_status loom_stream_writer_write(loom_stream_writer *writer, const void *bytes, size_t length, loom_error *err);
uint64_t loom_stream_writer_position(const loom_stream_writer *writer);
/* Ends the stream with its result: *vid (may be NULL) is the hash of the encoding where that lies in the index, else
 * the rkey. LOOM_BAD_ARGUMENT: fewer bytes came than were announced; LOOM_IRREPRODUCIBLE: another value has the key.
 * The writer is freed in any case; after an error nothing is left (a stream that was resumed is still suspended). */
loom_status loom_stream_writer_commit(loom_stream_writer *writer, loom_id *vid, loom_error *err);
/* Ends the writer and keeps what it has written, under the stream's key, for loom_stream_writer_resume. On a full disk
 * up to 2 MiB at the end is not kept: go on where resume says. Freed in any case; after an error only what was
 * suspended earlier is kept. */
loom_status loom_stream_writer_suspend(loom_stream_writer *writer, loom_error *err);
/* Ends the writer and leaves nothing behind, not even what was suspended earlier. NULL is accepted. */
void loom_stream_writer_abort(loom_stream_writer *writer);

/* Opens a result for reading, by rkey or by vid, and holds it: neither eviction nor gc takes its bytes. LOOM_NOT_FOUND;
 * LOOM_BUSY: "is being written". Content: voxels, text, bytes; of other types the encoding (shm/value.h). */
loom_status loom_stream_reader_open(loom_store *store, const loom_id *rkey, loom_stream_reader **reader,
                                    loom_error *err);
loom_status loom_stream_reader_open_value(loom_store *store, const loom_id *vid, loom_stream_reader **reader,
                                          loom_error *err);
/* Reads on from the position; *got < capacity only at the end, 0 there. LOOM_CORRUPT names the block; `bytes` then
 * holds nothing unverified. Reading again, or elsewhere, is allowed. */
loom_status loom_stream_reader_read(loom_stream_reader *reader, void *bytes, size_t capacity, size_t *got,
                                    loom_error *err);
/* LOOM_BAD_ARGUMENT beyond the end. */
loom_status loom_stream_reader_seek(loom_stream_reader *reader, uint64_t position, loom_error *err);
uint64_t loom_stream_reader_tell(const loom_stream_reader *reader);
uint64_t loom_stream_reader_length(const loom_stream_reader *reader);
/* Type, ids, times: valid until close. Of an image also the header, else NULL. */
const loom_result *loom_stream_reader_result(const loom_stream_reader *reader);
const loom_image_header *loom_stream_reader_image(const loom_stream_reader *reader);
void loom_stream_reader_close(loom_stream_reader *reader); /* NULL is accepted */

#endif
