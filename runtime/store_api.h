/* store_api.h - what the files of <voxloom/store.h> share. */
#ifndef LOOM_RUNTIME_STORE_API_H
#define LOOM_RUNTIME_STORE_API_H

#include <voxloom/store.h>

#include "runtime/config/config.h"
#include "runtime/stored_value.h"
#include "shm/store/storage.h"

struct loom_shelf {
    loom_store *store;
    loom_config config;
};

/* Copies what fits of a full struct to the caller's, which says its size in its first member and keeps it.
 * LOOM_BAD_ARGUMENT when it is smaller than `least`. */
loom_status loom_copy_out(const char *name, void *out, const void *full, size_t full_size, size_t least,
                          loom_error *err);
/* The other way: members that the caller does not know are zero. */
loom_status loom_copy_in(const char *name, const void *in, void *full, size_t full_size, size_t least, loom_error *err);
loom_id loom_id_of(const uint8_t id[32]);
loom_status loom_api_exhausted(loom_error *err);

/* An item of a value that somebody else owns, and its row's result as far as it is known. `arena` is the item's own,
 * for its parts. Ends with release(context). NULL: out of memory, and nothing is released. */
loom_item *loom_item_of(const loom_value *value, const loom_result *result, loom_arena *arena,
                        void (*release)(void *context), void *context);
/* A stored value by its value id. `release`: as above; may be NULL. */
loom_status loom_item_fetch(loom_store *store, const loom_id *vid, void (*release)(void *context), void *context,
                            loom_item **item, loom_error *err);

/* Reads what a caller said of an image, checked. */
loom_status loom_image_from_info(const loom_image_info *info, loom_image_header *header, const void **voxels,
                                 loom_error *err);
/* The value of a maker, complete. */
loom_status loom_maker_value(const loom_maker *maker, const loom_value **value, loom_error *err);
loom_item_info loom_info_of(const loom_result *result, loom_arena *arena);

#endif
