/* stream_items.h - single items of stored sequences, tuples and datasets, without decoding or mapping the rest.
 *
 * A sequence of more than 4,096 items lies in pages with a directory (shm/value.h): item i costs one directory entry
 * and the items before it in its page. In a shorter one the items before it are stepped over; reading in order costs
 * one step each. Memory: 2 MiB and the items asked for, whatever the length. Every byte is verified before use, in
 * every codec. A reader belongs to one thread, and holds the result until it is closed. */
#ifndef LOOM_SHM_STREAM_ITEMS_H
#define LOOM_SHM_STREAM_ITEMS_H

#include "shm/store/storage.h"

typedef struct loom_sequence_reader loom_sequence_reader;

/* By rkey, or by vid as references name it. LOOM_BAD_ARGUMENT when it is neither a sequence nor a dataset. */
loom_status loom_sequence_open(loom_store *store, const loom_id *rkey, loom_sequence_reader **reader, loom_error *err);
loom_status loom_sequence_open_value(loom_store *store, const loom_id *vid, loom_sequence_reader **reader,
                                     loom_error *err);
uint64_t loom_sequence_count(const loom_sequence_reader *reader);
bool loom_sequence_is_tuple(const loom_sequence_reader *reader);
/* Item `index`, in the arena, text included. LOOM_BAD_ARGUMENT beyond the end; LOOM_CORRUPT. */
loom_status loom_sequence_item(loom_sequence_reader *reader, uint64_t index, loom_arena *arena, loom_value *item,
                               loom_error *err);
/* The metadata of a dataset (LOOM_BAD_ARGUMENT for a sequence), in the arena. */
loom_status loom_sequence_metadata(loom_sequence_reader *reader, loom_arena *arena, loom_value *metadata,
                                   loom_error *err);
void loom_sequence_close(loom_sequence_reader *reader); /* NULL is accepted */

/* How descriptions of inputs become results: the ground floor knows neither operators nor files. */
typedef struct loom_item_loader {
    /* The result key of a description as its inputs are now: operator, its version, arguments, content of files. */
    loom_status (*key)(const loom_value *description, void *context, loom_id *rkey, loom_error *err);
    /* Computes it and puts it under `rkey`. */
    loom_status (*load)(const loom_value *description, const loom_id *rkey, void *context, loom_error *err);
    void *context;
} loom_item_loader;

/* An item of a dataset, materialised: the result that a reference names, or what a description loads; loaded only when
 * the store does not have it. Held before it returns. LOOM_NOT_FOUND: a reference to what is stored no more;
 * LOOM_BAD_ARGUMENT: not an item of a dataset; else the loader's error. */
loom_status loom_dataset_item(loom_store *store, const loom_value *item, const loom_item_loader *loader,
                              loom_arena *arena, loom_result *result, loom_hold *hold, loom_error *err);

#endif
