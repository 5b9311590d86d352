/* entry.h - entries of the index's small tables as records of a pack. */
#ifndef LOOM_SHM_PACK_ENTRY_H
#define LOOM_SHM_PACK_ENTRY_H

#include "shm/index/index_lmdb.h"
#include "shm/pack/pack.h"

#define LOOM_ENTRY_NAME_MAX 32u

/* What an ENTRY record begins with; then the table's name, the key and the value. */
typedef struct loom_entry_header {
    uint32_t flags; /* loom_entry_flag */
    uint16_t name_bytes;
    uint16_t key_bytes; /* 0: the table begins here */
} loom_entry_header;
_Static_assert(sizeof(loom_entry_header) == 8, "the pack is a disk format: see shm/SCHEMA.md");

typedef enum loom_entry_flag {
    LOOM_ENTRY_INTEGER = 1 << 0, /* the table's keys are integers (MDB_INTEGERKEY) */
    LOOM_ENTRY_ADDS = 1 << 1     /* to what earlier packs have of this table; else it replaces them */
} loom_entry_flag;

/* Every table but those that follow from the rows (keys, vids, extents, deleted, free). Of `fields`, when `above` > 0,
 * only entries of rows above it. */
loom_status loom_entries_write(const loom_index *index, MDB_txn *txn, loom_pack_writer *pack, uint64_t above,
                               loom_error *err);

/* Reads a record. False: none of ours. */
typedef struct loom_entry {
    uint32_t flags;
    char name[LOOM_ENTRY_NAME_MAX + 1];
    MDB_val key, value;
} loom_entry;
bool loom_entry_read(const void *bytes, size_t length, loom_entry *entry);
bool loom_entry_is_fields(const char *name);

#endif
