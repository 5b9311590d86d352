/* crash_model.h - results whose every byte follows from a number, and the operations of a store on them: what is read
 * back after a crash is compared with what is made anew here, never with what a store said earlier. */
#ifndef LOOM_TESTS_CRASH_MODEL_H
#define LOOM_TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/store/storage.h"

#define MODEL_KEYS 240u
/* Operations are on numbers below this (at most MODEL_KEYS). */
extern unsigned model_keys;
#define OP_KEYS 12u

typedef enum model_kind {
    MODEL_WINDOW, /* an image written through a window */
    MODEL_PWRITE, /* an image written to the file */
    MODEL_SMOOTH, /* an image that zstd makes smaller */
    MODEL_BLOB,   /* bytes whose encoding lies in an extent */
    MODEL_STREAM, /* bytes that come in pieces */
    MODEL_BYTES,  /* the rest lie in the index */
    MODEL_RECORD,
    MODEL_SEQUENCE
} model_kind;

model_kind model_kind_of(unsigned number);
bool model_has_bulk(unsigned number);  /* whether it can be evicted */
bool model_is_pinned(unsigned number); /* whether it is pinned when it is put: never evicted */
loom_id model_rkey(unsigned number);

bool model_equals(unsigned number, const loom_value *value);

typedef enum model_state {
    MODEL_ABSENT,  /* never stored, or forgotten */
    MODEL_GONE,    /* deleted or evicted: its trace is there */
    MODEL_EXACT,   /* every byte is right */
    MODEL_DAMAGED, /* the store says that its bytes are lost */
    MODEL_WRONG    /* the store gives something else, or an error that is none of these */
} model_state;
/* Looks the result up, verifies and reads it; `why` (256 bytes) says what is wrong with DAMAGED and WRONG. */
model_state model_check(loom_store *store, unsigned number, char *why);

/* Who writes. */
typedef struct actor {
    loom_store *store;
    loom_extent_writer *writer; /* opened when it is first needed */
    const char *backup;         /* folder */
} actor;
void actor_close(actor *of);

typedef enum op_kind {
    OP_PUT,    /* one batch of all keys: all or nothing */
    OP_STREAM, /* one key, by a stream */
    OP_DELETE, /* one batch */
    OP_REPLACE,
    OP_COMPRESS,
    OP_EVICT,
    OP_RECLAIM,
    OP_GC,
    OP_BACKUP,
    OP_ABANDON, /* space that is reserved and given back, sealed and recycled */
    OP_KINDS
} op_kind;

typedef struct op {
    op_kind kind;
    uint16_t count;
    uint16_t keys[OP_KEYS];
} op;
const char *op_name(op_kind kind);
/* A random operation; `weights` has OP_KINDS entries. */
op op_random(uint64_t *random, const unsigned *weights);
loom_status op_run(actor *of, const op *todo, loom_error *err);
/* Whether afterwards its keys are stored (PUT, STREAM), are not (DELETE), or as before. */
bool op_puts(const op *todo);
bool op_deletes(const op *todo);

uint32_t random_below(uint64_t *random, uint32_t limit);
/* A new folder in $TMPDIR, else in memory (/dev/shm): a kill and a simulated power cut need no disk. */
void crash_folder(char path[256]);

#endif
