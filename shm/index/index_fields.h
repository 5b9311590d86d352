/* index_fields.h - the table `fields` of a store on disk: which rows hold which values. Kept in the transaction that
 * writes or removes the row (loom_index_put_fields, loom_index_delete_fields in index_batch.h); read here. What it
 * names is a hint that may be too much, never too little: the record decides. Layout: shm/SCHEMA.md, "Fields". */
#ifndef LOOM_SHM_INDEX_FIELDS_H
#define LOOM_SHM_INDEX_FIELDS_H

#include "shm/index/field_key.h"
#include "shm/index/index_batch.h"

/* How many entries lie in the ranges and under overflow; counts no further than `limit` + 1. */
loom_status loom_index_count_fields(loom_index *index, const loom_field_range *ranges, size_t count, uint64_t limit,
                                    uint64_t *entries, loom_error *err);

/* Visits the live, unexpired rows that the ranges and overflow name, each once, in order of row number, from one
 * snapshot, until `visit` returns false. *answered false: they have more than `limit` entries; none was visited. Takes
 * 8 bytes an entry. A row that cannot be read is passed over and the first such error returned at the end. */
loom_status loom_index_scan_fields(loom_index *index, const loom_field_range *ranges, size_t count, uint64_t limit,
                                   loom_store_visit visit, void *context, bool *answered, loom_error *err);

/* Compares the table with the records, in one snapshot: `found` is called for every entry that is missing (a record of
 * row `row`) and for every one too many (`missing` false), until it returns false. Records that cannot be read are left
 * out. */
typedef bool (*loom_field_finding)(uint64_t row, bool missing, void *context);
loom_status loom_index_check_fields(loom_index *index, loom_field_finding found, void *context, loom_error *err);

#endif
