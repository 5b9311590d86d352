/* toy_state.h - what a toy store holds: rows and notes in memory, and their files. toy_files.c reads and writes them,
 * toy_backend.c does the rest. */
#ifndef LOOM_TESTS_TOY_STATE_H
#define LOOM_TESTS_TOY_STATE_H

#include "shm/store/backend.h"

typedef struct toy_row {
    uint64_t number;
    const uint8_t *bytes; /* as loom_row_encode made them; aligned to 8 */
    uint64_t length;
} toy_row;

typedef enum toy_kind { TOY_PIN = 1, TOY_GOAL, TOY_FILE, TOY_META } toy_kind;

/* Everything that is not a row: fields that a kind does not use are zero. */
typedef struct toy_note {
    uint32_t kind;
    uint32_t text_bytes; /* owner, label or meta key, with its NUL */
    uint64_t value_bytes;
    uint64_t run, created_ns;
    loom_id id; /* key of a pin or goal, content of a file */
    loom_file_stamp stamp;
    const char *text;
    const void *value;
} toy_note;

typedef struct toy_state {
    toy_row *rows; /* ascending */
    size_t row_count, row_capacity;
    toy_note *notes;
    size_t note_count, note_capacity;
    uint64_t next_row, runs;
} toy_state;

typedef loom_status (*toy_keep)(void *context, const void *bytes, size_t length, void **kept, loom_error *err);

/* One more, zeroed; NULL when memory is short. */
toy_row *toy_add_row(toy_state *state);
toy_note *toy_add_note(toy_state *state);
void toy_state_free(toy_state *state);
/* Arrays of its own; what they point to is shared. */
loom_status toy_state_copy(const toy_state *from, toy_state *to, loom_error *err);

/* The file of one row: the row's bytes, then `bulk_bytes` bytes. Synced. */
loom_status toy_write_row(const char *folder, const toy_row *row, const void *bulk, uint64_t bulk_bytes,
                          loom_error *err);
/* The manifest, by a rename: from then on these rows and notes are the store. */
loom_status toy_write_manifest(const char *folder, const toy_state *state, loom_error *err);
/* Both back. `keep` gets memory that lasts as long as the store; `bulk` is called with each row and the bytes behind
 * it. LOOM_NOT_FOUND without a manifest, LOOM_CORRUPT. */
typedef loom_status (*toy_bulk)(void *context, toy_row *row, const void *bulk, uint64_t bulk_bytes, loom_error *err);
loom_status toy_read(const char *folder, toy_state *state, toy_keep keep, toy_bulk bulk, void *context,
                     loom_error *err);

#endif
