/* verify_parts.h - one verification, as its files share it: what was read of the index, what was found wrong. */
#ifndef LOOM_SHM_VERIFY_PARTS_H
#define LOOM_SHM_VERIFY_PARTS_H

#include "shm/care/admin.h"
#include "shm/index/index_space.h"
#include "shm/index/tree.h"
#include "shm/store/store.h"

/* A growing array; `items` is cast by its users. */
typedef struct verify_list {
    uint8_t *items;
    size_t count, capacity;
} verify_list;

/* Pages [page, end) of a file and who has them. */
typedef enum verify_owner { VERIFY_LIVE, VERIFY_DELETED, VERIFY_FREE } verify_owner;
typedef struct verify_span {
    uint32_t extent;
    uint32_t owner; /* verify_owner */
    uint64_t page, end;
    uint64_t row; /* VERIFY_LIVE */
} verify_span;

typedef struct verify_file {
    uint32_t number;
    bool present, recorded, sound; /* the file is there; `extents` has it; its header page is ours */
    uint64_t bytes;
    loom_space_record record; /* as the index says */
    loom_space_record real;   /* as its rows and tables say */
} verify_file;

/* What to do about a finding. */
typedef enum verify_remedy {
    VERIFY_NOTHING,   /* cannot be repaired here */
    VERIFY_REBUILD,   /* tables are written anew from the rows */
    VERIFY_TOMBSTONE, /* the result is marked for recomputation */
    VERIFY_REMOVE,    /* the row goes */
    VERIFY_FILE       /* an extent file gets its header and length back */
} verify_remedy;

typedef struct verify_note {
    loom_finding_kind kind;
    verify_remedy remedy;
    loom_id rkey;
    uint64_t row;
    loom_placement at;
    uint64_t blocks, number; /* number: of an entry, page or file, for the text */
    const char *what;
} verify_note;

typedef struct verify {
    loom_store *store;
    loom_store_parts parts;
    const loom_verify_options *options;
    loom_verify_report *report;
    uint64_t snapshot; /* LMDB's transaction that was read */
    loom_index_state state, sums;
    bool has_state;
    verify_list notes;  /* verify_note */
    verify_list keys;   /* loom_tail_entry: what `keys` should hold, sorted */
    verify_list vids;   /* the same of `vids` */
    verify_list values; /* 16 bytes: the vid of every row, sorted */
    verify_list needs;  /* loom_tail_entry: references, and the rows that have them */
    verify_list spans;  /* verify_span, sorted by place */
    verify_list files;  /* verify_file, sorted by number */
    verify_list row;    /* an aligned copy of the row being read */
    loom_arena *arena;
    size_t at_key, at_vid; /* how far the tables have been compared */
    uint64_t fields_missing, fields_extra;
    bool exhausted; /* out of memory inside a callback */
    bool dirty;     /* some table must be written anew */
} verify;

/* Room for one more item of `bytes`; NULL: out of memory, and of->exhausted. */
void *loom_verify_add(verify *of, verify_list *list, size_t bytes);
void loom_verify_list_free(verify_list *list);
/* Notes a finding; returns it so that more can be said, or NULL. */
verify_note *loom_verify_note(verify *of, loom_finding_kind kind, verify_remedy remedy, const char *what);
loom_status loom_verify_tell(const verify *of, const char *phase, uint64_t done, uint64_t total, loom_error *err);
/* A row as the table holds it, opened and decoded; the result points into of->row. */
loom_status loom_verify_decode(verify *of, uint64_t row, const void *bytes, size_t length, loom_result *result,
                               loom_row_kind *kind, loom_error *err);

loom_status loom_verify_index(verify *of, loom_error *err); /* verify_index.c */
bool loom_verify_has_tree_damage(const verify *of);
void loom_verify_compare_rest(verify *of);                    /* verify_entries.c: behind the tables' last entries */
bool loom_verify_key(const loom_tree_entry *entry, void *of); /* verify_entries.c: an entry of `keys` */
bool loom_verify_vid(const loom_tree_entry *entry, void *of);
/* The references that a value of row `row` holds. */
void loom_verify_gather(verify *of, const loom_value *value, uint64_t row);
void loom_verify_sort(verify *of);
void loom_verify_references(verify *of);
loom_status loom_verify_space(verify *of, loom_error *err);  /* verify_space.c */
loom_status loom_verify_blocks(verify *of, loom_error *err); /* verify_blocks.c */
loom_status loom_verify_repair(verify *of, loom_error *err); /* verify_repair.c */

#endif
