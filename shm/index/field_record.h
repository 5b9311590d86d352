/* field_record.h - from a row to the entries that the table `fields` has of it; shared by its write side
 * (index_fields.c) and its read side (index_fields_scan.c). */
#ifndef LOOM_SHM_FIELD_RECORD_H
#define LOOM_SHM_FIELD_RECORD_H

#include "shm/index/field_key.h"
#include "shm/index/index_lmdb.h"

/* Larger records are entered under overflow, unread. */
#define LOOM_FIELD_BLOB_MAX (UINT64_C(1) << 20)

/* The record read last, and memory for it. */
typedef struct loom_field_source {
    loom_arena *arena;
    loom_value record;
    loom_field_bodies bodies;
    uint8_t *row; /* aligned copy of a stored row */
    size_t row_capacity;
} loom_field_source;

loom_field_source *loom_field_source_new(void); /* NULL: out of memory */
void loom_field_source_free(loom_field_source *source);

/* Whether rows of this type have entries. */
bool loom_field_has_entries(loom_type type);
/* Fills source->bodies with those of a row's record; overflow if it cannot be read. False: the bytes of a blob cannot
 * be had now, so that another time may give others. */
bool loom_field_read(const loom_index *index, const loom_result *result, loom_field_source *source);
/* The plain row of what stands in the table; it lies in `source`. */
loom_status loom_field_open_row(const loom_index *index, loom_field_source *source, uint64_t row, const MDB_val *value,
                                loom_result *result, loom_row_kind *kind, loom_error *err);

size_t loom_field_key(const loom_field_body *body, uint64_t row, uint8_t key[LOOM_FIELD_KEY_MAX]);
/* Of a key longer than LOOM_FIELD_ROW_BYTES. */
uint64_t loom_field_row_of(const MDB_val *key);

#endif
