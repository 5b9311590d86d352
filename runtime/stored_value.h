/* stored_value.h - values that people and host programs put into a store themselves, as results of it.
 *
 * Such a value has no kernel behind it: nothing can compute it again. So it is pinned (owner LOOM_PUT_OWNER) unless it
 * is said to be evictable, and it never expires. Its key comes from a name ("loom.set", whose recipe holds the name),
 * or, without one, from what it holds ("loom.put"), so that the same value put twice is one. */
#ifndef LOOM_RUNTIME_STORED_VALUE_H
#define LOOM_RUNTIME_STORED_VALUE_H

#include "shm/store/storage.h"

#define LOOM_PUT_OPERATOR "loom.put"
#define LOOM_SET_OPERATOR "loom.set"
#define LOOM_PUT_OWNER "put"
#define LOOM_NAME_BYTES_MAX 4096u

/* The key of a name. LOOM_BAD_ARGUMENT for an empty one or more than LOOM_NAME_BYTES_MAX bytes. */
loom_status loom_named_key(const char *name, size_t length, loom_id *rkey, loom_error *err);
/* The recipe that holds the name, in the arena. LOOM_NO_MEMORY. */
loom_status loom_named_recipe(const char *name, size_t length, loom_arena *arena, const uint8_t **recipe,
                              size_t *recipe_bytes, loom_error *err);
/* The name under which a result was put: in the arena, or NULL if it was not put by name. */
const char *loom_name_of(const loom_result *result, loom_arena *arena, size_t *length);
/* The operator of a recipe ("vox1.near"), NUL-terminated, at most `capacity`; "-" when there is none or it is longer.
 */
void loom_operator_of(const loom_result *result, loom_arena *arena, char *name, size_t capacity);

/* A value on its way into the store: made by one of the first two, ended by finish or by drop. */
typedef struct loom_draft {
    loom_extent_writer *writer; /* bulk bytes go through it; NULL as long as none were needed: opened when they are */
    loom_store *store;
    loom_arena *arena;   /* holds what the result points to, until the batch is committed */
    size_t inline_bytes; /* larger encodings become blobs */
    loom_reservation reservation;
    loom_id content; /* SHA-256 of what it holds */
    loom_result result;
} loom_draft;

/* Any value but images. */
loom_status loom_draft_value(loom_draft *draft, const loom_value *value, loom_error *err);
/* An image whose voxels the caller writes to *voxels (loom_image_bytes(header) bytes, every one of them) before finish.
 */
loom_status loom_draft_image(loom_draft *draft, const loom_image_header *header, void **voxels, loom_error *err);
/* Key, recipe, hashes: draft->result is ready for loom_batch_put. `name` NULL: the key is made of the content. */
loom_status loom_draft_finish(loom_draft *draft, const char *name, size_t name_length, loom_error *err);
/* Gives the space of an unfinished draft back. */
void loom_draft_drop(loom_draft *draft);
/* Closes the writer, after the last draft that used it. */
void loom_draft_close(loom_draft *draft);

/* Puts a finished draft: with `replace` a different value under the same key is removed first, else it is
 * LOOM_IRREPRODUCIBLE. Pins it unless `evictable`. */
loom_status loom_draft_put(const loom_draft *draft, loom_batch *batch, bool replace, bool evictable, loom_error *err);
/* Deletes a result and the pin that put gave it. LOOM_NOT_FOUND. */
loom_status loom_put_delete(loom_batch *batch, const loom_id *rkey, loom_error *err);

#endif
