/* pack.h - the stream in which results leave a store: a header, records, an end. Written and read front to back in
 * bounded memory, so that it goes through a pipe. Layout: shm/SCHEMA.md, "Pack".
 *
 * Every record is checksummed together with its place in this very stream: what was flipped, cut, moved, doubled or
 * spliced in from another pack is LOOM_CORRUPT. Bytes that a reader has not accepted are hostile. Objects belong to one
 * thread. */
#ifndef LOOM_SHM_PACK_H
#define LOOM_SHM_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

#define LOOM_PACK_MAGIC UINT64_C(0x314b43504d4f4f4c) /* "LOOMPCK1" */
#define LOOM_PACK_VERSION 1u
#define LOOM_PACK_BLOCK_BYTES (1u << 20)             /* bulk bytes come in records of at most this */
#define LOOM_PACK_RECORD_BYTES_MAX ((64u << 20) + 8) /* a row, and its number */

typedef enum loom_pack_kind { LOOM_PACK_BACKUP = 1, LOOM_PACK_EXPORT = 2 } loom_pack_kind;

/* Written to disk: append, never renumber. */
typedef enum loom_pack_type {
    LOOM_PACK_FORMAT = 1,   /* the text of FORMAT */
    LOOM_PACK_ENTRY = 2,    /* one entry of a small table */
    LOOM_PACK_ROW = 3,      /* u64 number, then the row as the index has it */
    LOOM_PACK_OBJECT = 4,   /* loom_pack_object; its bytes follow as BLOCK records */
    LOOM_PACK_BLOCK = 5,    /* at most LOOM_PACK_BLOCK_BYTES */
    LOOM_PACK_MANIFEST = 6, /* u64 place of the one before it, then loom_pack_item: what the store held */
    LOOM_PACK_END = 7       /* loom_pack_end; nothing follows */
} loom_pack_type;

typedef struct loom_pack_header {
    uint64_t magic;
    uint32_t version;
    uint32_t kind;
    uint8_t uuid[16]; /* of the store it comes from */
    uint32_t store_format;
    uint32_t number; /* of the pack in its folder, from 1 */
    uint64_t created_ns;
    uint64_t random; /* tells packs apart */
    uint64_t check;  /* XXH3-64 of what is before it */
} loom_pack_header;

typedef struct loom_pack_object {
    uint64_t row;
    uint32_t extent;
    uint32_t reserved;
    uint64_t offset;
    uint64_t bytes; /* as stored */
} loom_pack_object;

typedef struct loom_pack_item {
    uint64_t row;
    uint64_t check; /* XXH3-64 of the row's bytes, seeded with its number */
    uint32_t pack;  /* that holds it */
    uint32_t kind;  /* loom_row_kind */
} loom_pack_item;

typedef struct loom_pack_end {
    uint64_t records;       /* before this one */
    uint64_t rows;          /* ROW records */
    uint64_t object_bytes;  /* in BLOCK records */
    uint64_t items;         /* in all MANIFEST records */
    uint64_t last_manifest; /* its place in the stream; 0 = none */
    uint64_t tables;        /* what loom_pack_digest got: tells whether the small tables changed since another pack */
} loom_pack_end;

_Static_assert(sizeof(loom_pack_header) == 64 && sizeof(loom_pack_object) == 32 && sizeof(loom_pack_item) == 24 &&
                   sizeof(loom_pack_end) == 48,
               "the pack is a disk format: see shm/SCHEMA.md");

/* ---- writing ---- */

typedef struct loom_pack_writer loom_pack_writer;

/* Begins a stream on `fd`, which stays the caller's; `name` (kept by reference) is for messages. magic, version, random
 * and check of the header are filled in. LOOM_NO_MEMORY, LOOM_IO, LOOM_NO_SPACE. */
loom_status loom_pack_begin(int fd, const char *name, const loom_pack_header *header, loom_pack_writer **writer,
                            loom_error *err);
/* Adds a record of two parts put together; either may be empty. LOOM_TOO_LARGE beyond LOOM_PACK_RECORD_BYTES_MAX. */
loom_status loom_pack_add(loom_pack_writer *writer, loom_pack_type type, const void *first, size_t first_bytes,
                          const void *second, size_t second_bytes, loom_error *err);
/* Notes an item of the manifest; they are written as they fill a record. Rows must rise. */
loom_status loom_pack_note(loom_pack_writer *writer, const loom_pack_item *item, loom_error *err);
/* Adds to the digest in END. */
void loom_pack_digest(loom_pack_writer *writer, const void *bytes, size_t length);
/* Writes out the notes that are waiting, then END and all that is buffered. */
loom_status loom_pack_finish(loom_pack_writer *writer, loom_error *err);
/* The counts so far, and the bytes of the stream. */
const loom_pack_end *loom_pack_counts(const loom_pack_writer *writer);
uint64_t loom_pack_written(const loom_pack_writer *writer);
void loom_pack_writer_free(loom_pack_writer *writer); /* NULL is accepted */

/* ---- reading ---- */

typedef struct loom_pack_reader loom_pack_reader;

typedef struct loom_pack_record {
    loom_pack_type type;
    const uint8_t *bytes; /* aligned to 8; valid until the next call on the reader */
    size_t length;
} loom_pack_record;

/* Reads and checks the header. `fd` stays the caller's. LOOM_CORRUPT, LOOM_NEWER_STORE (a later version), LOOM_IO. */
loom_status loom_pack_open(int fd, const char *name, loom_pack_reader **reader, loom_error *err);
const loom_pack_header *loom_pack_header_of(const loom_pack_reader *reader);
/* The next record, checked. After END (whose counts are checked too) and the end of the stream: LOOM_NOT_FOUND, err
 * untouched. A stream that ends before END, or goes on behind it, is LOOM_CORRUPT. */
loom_status loom_pack_next(loom_pack_reader *reader, loom_pack_record *record, loom_error *err);
/* Passes over `bytes` of BLOCK records, without reading them where `fd` can seek; the counts of END are then not
 * compared. */
loom_status loom_pack_skip_object(loom_pack_reader *reader, uint64_t bytes, loom_error *err);
void loom_pack_reader_free(loom_pack_reader *reader); /* NULL is accepted */

/* ---- the manifest of a finished pack in a file, front to back ---- */

typedef struct loom_pack_manifest loom_pack_manifest;

/* `fd` must be a file. LOOM_CORRUPT when the pack has no sound END. */
loom_status loom_pack_manifest_open(int fd, const char *name, loom_pack_manifest **manifest, loom_error *err);
const loom_pack_header *loom_pack_manifest_header(const loom_pack_manifest *manifest);
const loom_pack_end *loom_pack_manifest_end(const loom_pack_manifest *manifest);
/* The next item; LOOM_NOT_FOUND behind the last, err untouched. Rows rise. */
loom_status loom_pack_manifest_next(loom_pack_manifest *manifest, loom_pack_item *item, loom_error *err);
void loom_pack_manifest_rewind(loom_pack_manifest *manifest);
void loom_pack_manifest_free(loom_pack_manifest *manifest); /* NULL is accepted */

/* `check` of an item. */
uint64_t loom_pack_row_check(uint64_t row, const void *bytes, size_t length);

#endif
