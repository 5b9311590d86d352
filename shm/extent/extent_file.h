/* extent_file.h - the extent files of a store, for the store's own files (storage, writer): what extent.h hides.
 *
 * Layout, tails and locks: shm/SCHEMA.md, "Extents". */
#ifndef LOOM_SHM_EXTENT_FILE_H
#define LOOM_SHM_EXTENT_FILE_H

#include <pthread.h>

#include "shm/extent/extent.h"

#define LOOM_EXTENT_MAGIC UINT64_C(0x315458454d4f4f4c) /* "LOOMEXT1" */
#define LOOM_EXTENT_VERSION 1u
#define LOOM_EXTENT_LOCK_BYTE (UINT64_C(1) << 40) /* + file number: in `control` */
#define LOOM_EXTENT_FIRST_OFFSET ((uint64_t)LOOM_PAGE_BYTES)

/* The first bytes of an extent file; the rest of the page is zero. */
typedef struct loom_extent_header {
    uint64_t magic;
    uint32_t version;
    uint32_t number;
    uint8_t uuid[16];
    uint64_t reserved_tail;
} loom_extent_header;

_Static_assert(sizeof(loom_extent_header) == 40, "the extent header is a disk format: see shm/SCHEMA.md");

/* The end of the last row's range in a file, as committed; 0 when no row lies in it. */
typedef loom_status (*loom_committed_tail)(void *context, uint32_t number, uint64_t *tail, loom_error *err);

typedef struct loom_extents_options {
    const char *path; /* for messages */
    int dir_fd;       /* STORE/extents, borrowed; -1 in memory */
    int lock_fd;      /* control, borrowed; -1 in memory */
    const int *memory_fds;
    uint32_t memory_count;
    uint32_t memory_own;   /* the one memfd that this process may append to ... */
    uint32_t memory_spare; /* ... and with number 0, the opener's, the last so many, for streams at the same time */
    bool memory_hidden;    /* what is mapped is left out of core dumps */
    bool writable;
    uint8_t uuid[16];
    uint64_t extent_bytes, step_bytes;
    loom_committed_tail committed_tail; /* NULL in memory */
    void *context;
} loom_extents_options;

#define LOOM_EXTENT_CACHE 64u

struct loom_extents {
    loom_extents_options options;
    unsigned generation; /* of the process that made it */
    pthread_mutex_t lock;
    struct {
        uint32_t number;
        int fd;
    } cache[LOOM_EXTENT_CACHE]; /* read-only descriptors, by number modulo; fd -1: none */
    struct loom_space *space;   /* budget and free ranges; NULL in memory and for readers. Set by space.c */
    uint32_t *busy;             /* files that this process appends to */
    size_t busy_count, busy_capacity;
};

loom_status loom_extents_new(const loom_extents_options *options, loom_extents **extents, loom_error *err);
/* All writers must be closed. Views stay valid. */
void loom_extents_free(loom_extents *extents);

#define LOOM_EXTENT_NAME_BYTES 13
void loom_extent_name(uint32_t number, char name[LOOM_EXTENT_NAME_BYTES]); /* "0000002a.ext" */

/* A descriptor of a file that is there, to read and write. */
loom_status loom_extents_open_existing(loom_extents *extents, uint32_t number, int *fd, loom_error *err);
/* Whether this process appends to any file. */
bool loom_extents_have_writers(loom_extents *extents);
/* Takes and gives back the right to append to a file. LOOM_BUSY when it is someone else's. */
loom_status loom_extents_lock(loom_extents *extents, uint32_t number, loom_error *err);
void loom_extents_unlock(loom_extents *extents, uint32_t number);
/* A descriptor of the file for its writer, created if missing. The caller closes it. */
loom_status loom_extents_open_file(loom_extents *extents, uint32_t number, int *fd, loom_error *err);
/* Where appending may go on: reads the header page (writes it when it is missing or not ours). */
loom_status loom_extents_tail(loom_extents *extents, uint32_t number, int fd, uint64_t *tail, loom_error *err);
loom_status loom_extents_set_reserved(loom_extents *extents, uint32_t number, int fd, uint64_t tail, loom_error *err);

/* Maps a range of a file, shared. NULL with errno set. */
void *loom_extent_map(const loom_extents *extents, int fd, uint64_t offset, size_t length, int protection);

/* Makes the bytes of a file durable (and its name). */
loom_status loom_extents_sync(loom_extents *extents, uint32_t number, loom_error *err);
/* Only while no other process is attached and no writer open: cuts every file to its committed tail. */
loom_status loom_extents_cut(loom_extents *extents, loom_error *err);
/* A power failure may take the end of a file, or all of it: it gets the length that the index counts on, and what is
 * new in it reads as zeros. Results that lay there do not match their hashes. */
loom_status loom_extents_complete(loom_extents *extents, uint32_t number, uint64_t tail, loom_error *err);
/* Returns an object's pages to the file system. Only while no process may see it. */
loom_status loom_extents_punch(loom_extents *extents, const loom_placement *placement, loom_error *err);
/* Files, and bytes as the file system counts them. */
loom_status loom_extents_usage(loom_extents *extents, uint64_t *files, uint64_t *allocated_bytes, loom_error *err);

/* Block hashes and root of an object (see extent.h, "Trust"). */
void loom_extent_hash(const void *bytes, uint64_t length, uint64_t *hashes, uint64_t root[2]);
/* The root alone, over hashes that are there. */
void loom_extent_root(const uint64_t *hashes, uint64_t length, uint64_t root[2]);

#endif
