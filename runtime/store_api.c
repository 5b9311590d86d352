/* store_api.c - <voxloom/store.h>: opening, ids, batches, the store as a whole. */
#include "runtime/store_api.h"

#include <stdlib.h>
#include <string.h>

#include "io/zstd_codec.h"
#include "runtime/store_names.h"
#include "runtime/store_settings.h"

struct loom_shelf_batch {
    loom_shelf *shelf;
    loom_batch *batch;
    loom_arena *arena; /* what its results point to */
    loom_draft draft;  /* its writer serves all of them */
};

/* ---- structs that grow ---- */

static loom_status bad_size(const char *name, size_t given, size_t known, loom_error *err) {
    return loom_fail(err, LOOM_BAD_ARGUMENT, "the size of %s is %zu; set it to sizeof(%s), %zu", name, given, name,
                     known);
}

loom_status loom_copy_out(const char *name, void *out, const void *full, size_t full_size, size_t least,
                          loom_error *err) {
    size_t size;
    memcpy(&size, out, sizeof size);
    if (size < least) return bad_size(name, size, full_size, err);
    size_t shared = size < full_size ? size : full_size;
    memcpy((char *)out + sizeof size, (const char *)full + sizeof size, shared - sizeof size);
    return LOOM_OK;
}

loom_status loom_copy_in(const char *name, const void *in, void *full, size_t full_size, size_t least,
                         loom_error *err) {
    size_t size;
    memcpy(&size, in, sizeof size);
    /* A larger struct may say things that this library would pass over: a newer program needs a newer library. */
    if (size < least || size > full_size) return bad_size(name, size, full_size, err);
    memset(full, 0, full_size);
    memcpy(full, in, size);
    return LOOM_OK;
}

loom_id loom_id_of(const uint8_t id[32]) {
    loom_id made;
    memcpy(made.bytes, id, sizeof made.bytes);
    return made;
}

loom_status loom_api_exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
}

/* ---- opening ---- */

typedef struct assignments {
    const char **items;
    size_t count;
    char path[LOOM_PATH_BYTES + 16], key[LOOM_PATH_BYTES + 16];
} assignments;

static loom_status assign(assignments *all, char *text, const char *name, const char *value, loom_error *err) {
    if (value == NULL) return LOOM_OK;
    int length = snprintf(text, LOOM_PATH_BYTES + 16, "%s=%s", name, value);
    if (length < 0 || length >= LOOM_PATH_BYTES + 16)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "%s is longer than a path can be", name);
    all->items[all->count++] = text;
    return LOOM_OK;
}

static loom_status configure(const loom_shelf_options *options, assignments *all, loom_config *config,
                             loom_error *err) {
    all->items = calloc(options->setting_count + 2, sizeof *all->items);
    if (all->items == NULL) return loom_api_exhausted(err);
    for (size_t i = 0; i < options->setting_count; i++)
        all->items[all->count++] = options->settings[i];
    LOOM_TRY(assign(all, all->path, "store.path", options->path, err));
    LOOM_TRY(assign(all, all->key, "store.key", options->key, err));
    const loom_config_sources sources = {.file = options->config_file, .sets = all->items, .set_count = all->count};
    return loom_config_load(&sources, config, err);
}

static loom_status open_shelf(const loom_shelf_options *options, loom_shelf *shelf, loom_error *err) {
    assignments *all = calloc(1, sizeof *all);
    if (all == NULL) return loom_api_exhausted(err);
    loom_status status = configure(options, all, &shelf->config, err);
    free(all->items);
    free(all);
    LOOM_TRY(status);
    loom_zstd_register();
    const loom_store_access access = {.create = options->create != 0, .read_only = options->read_only != 0};
    return loom_store_open_configured(&shelf->config, &access, &shelf->store, err);
}

loom_status loom_shelf_open(const loom_shelf_options *options, loom_shelf **shelf, loom_error *err) {
    loom_shelf_options known = {.size = sizeof known};
    *shelf = NULL;
    if (options != NULL)
        LOOM_TRY(loom_copy_in("loom_shelf_options", options, &known, sizeof known,
                              offsetof(loom_shelf_options, read_only) + sizeof known.read_only, err));
    loom_shelf *opened = calloc(1, sizeof *opened);
    if (opened == NULL) return loom_api_exhausted(err);
    loom_status status = open_shelf(&known, opened, err);
    if (status != LOOM_OK) {
        free(opened);
        return status;
    }
    *shelf = opened;
    return LOOM_OK;
}

void loom_shelf_close(loom_shelf *shelf) {
    if (shelf == NULL) return;
    loom_store_close(shelf->store);
    free(shelf);
}

/* ---- ids ---- */

loom_status loom_name_id(const char *name, size_t length, uint8_t id[32], loom_error *err) {
    loom_id rkey;
    LOOM_TRY(loom_named_key(name, length, &rkey, err));
    memcpy(id, rkey.bytes, 32);
    return LOOM_OK;
}

loom_status loom_shelf_lookup(loom_shelf *shelf, const char *text, uint8_t id[32], loom_error *err) {
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_api_exhausted(err);
    loom_result result;
    loom_status status = loom_store_resolve(shelf->store, text, arena, &result, err);
    if (status == LOOM_OK) memcpy(id, result.rkey.bytes, 32);
    loom_arena_free(arena);
    return status;
}

loom_status loom_shelf_exists(loom_shelf *shelf, const uint8_t id[32], loom_error *err) {
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_api_exhausted(err);
    const loom_id rkey = loom_id_of(id);
    loom_result result;
    loom_status status = loom_store_find(shelf->store, &rkey, arena, &result, err);
    loom_arena_free(arena);
    return status;
}

/* ---- batches ---- */

loom_status loom_shelf_begin(loom_shelf *shelf, loom_shelf_batch **batch, loom_error *err) {
    *batch = NULL;
    loom_shelf_batch *begun = calloc(1, sizeof *begun);
    loom_arena *arena = loom_arena_new();
    loom_status status =
        begun != NULL && arena != NULL ? loom_store_begin(shelf->store, &begun->batch, err) : loom_api_exhausted(err);
    if (status != LOOM_OK) {
        loom_arena_free(arena);
        free(begun);
        return status;
    }
    begun->shelf = shelf;
    begun->arena = arena;
    begun->draft =
        (loom_draft){.store = shelf->store, .arena = arena, .inline_bytes = (size_t)shelf->config.store.inline_bytes};
    *batch = begun;
    return LOOM_OK;
}

static loom_status put_draft(loom_shelf_batch *batch, const char *name, size_t name_length, uint32_t flags,
                             uint8_t id[32], loom_error *err) {
    LOOM_TRY(loom_draft_finish(&batch->draft, name, name_length, err));
    LOOM_TRY(loom_draft_put(&batch->draft, batch->batch, (flags & LOOM_SET_REPLACE) != 0,
                            (flags & LOOM_SET_EVICTABLE) != 0, err));
    if (id != NULL) memcpy(id, batch->draft.result.rkey.bytes, 32);
    return LOOM_OK;
}

static loom_status check_flags(uint32_t flags, loom_error *err) {
    if ((flags & ~(uint32_t)(LOOM_SET_REPLACE | LOOM_SET_EVICTABLE)) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_ARGUMENT, "flags %#x: this library knows LOOM_SET_REPLACE and LOOM_SET_EVICTABLE",
                     flags);
}

loom_status loom_batch_set(loom_shelf_batch *batch, const char *name, size_t name_length, const loom_maker *maker,
                           uint32_t flags, uint8_t id[32], loom_error *err) {
    const loom_value *value;
    LOOM_TRY(check_flags(flags, err));
    LOOM_TRY(loom_maker_value(maker, &value, err));
    LOOM_TRY(loom_draft_value(&batch->draft, value, err));
    return put_draft(batch, name, name_length, flags, id, err);
}

loom_status loom_batch_set_image(loom_shelf_batch *batch, const char *name, size_t name_length,
                                 const loom_image_info *image, uint32_t flags, uint8_t id[32], loom_error *err) {
    loom_image_header header;
    const void *voxels;
    void *window;
    LOOM_TRY(check_flags(flags, err));
    LOOM_TRY(loom_image_from_info(image, &header, &voxels, err));
    if (voxels == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "the image has no voxels");
    LOOM_TRY(loom_draft_image(&batch->draft, &header, &window, err));
    memcpy(window, voxels, (size_t)loom_image_bytes(&header));
    return put_draft(batch, name, name_length, flags, id, err);
}

loom_status loom_batch_remove(loom_shelf_batch *batch, const uint8_t id[32], loom_error *err) {
    const loom_id rkey = loom_id_of(id);
    return loom_put_delete(batch->batch, &rkey, err);
}

loom_status loom_batch_keep(loom_shelf_batch *batch, const uint8_t id[32], const char *owner, loom_error *err) {
    const loom_id rkey = loom_id_of(id);
    return loom_batch_pin(batch->batch, &rkey, owner, err);
}

loom_status loom_batch_unkeep(loom_shelf_batch *batch, const uint8_t id[32], const char *owner, loom_error *err) {
    const loom_id rkey = loom_id_of(id);
    return loom_batch_unpin(batch->batch, &rkey, owner, err);
}

static void free_batch(loom_shelf_batch *batch) {
    loom_draft_close(&batch->draft);
    loom_arena_free(batch->arena);
    free(batch);
}

loom_status loom_shelf_commit(loom_shelf_batch *batch, loom_error *err) {
    loom_status status = loom_batch_commit(batch->batch, err);
    free_batch(batch);
    return status;
}

void loom_shelf_drop(loom_shelf_batch *batch) {
    if (batch == NULL) return;
    loom_batch_abort(batch->batch);
    free_batch(batch);
}

/* Commits when the one change went well. */
static loom_status end_of_one(loom_shelf_batch *batch, loom_status status, loom_error *err) {
    if (status == LOOM_OK) return loom_shelf_commit(batch, err);
    loom_shelf_drop(batch);
    return status;
}

loom_status loom_shelf_set(loom_shelf *shelf, const char *name, size_t name_length, const loom_maker *maker,
                           uint32_t flags, uint8_t id[32], loom_error *err) {
    loom_shelf_batch *batch;
    LOOM_TRY(loom_shelf_begin(shelf, &batch, err));
    return end_of_one(batch, loom_batch_set(batch, name, name_length, maker, flags, id, err), err);
}

loom_status loom_shelf_set_image(loom_shelf *shelf, const char *name, size_t name_length, const loom_image_info *image,
                                 uint32_t flags, uint8_t id[32], loom_error *err) {
    loom_shelf_batch *batch;
    LOOM_TRY(loom_shelf_begin(shelf, &batch, err));
    return end_of_one(batch, loom_batch_set_image(batch, name, name_length, image, flags, id, err), err);
}

loom_status loom_shelf_remove(loom_shelf *shelf, const uint8_t id[32], loom_error *err) {
    loom_shelf_batch *batch;
    LOOM_TRY(loom_shelf_begin(shelf, &batch, err));
    return end_of_one(batch, loom_batch_remove(batch, id, err), err);
}

loom_status loom_shelf_pin(loom_shelf *shelf, const uint8_t id[32], const char *owner, loom_error *err) {
    loom_shelf_batch *batch;
    LOOM_TRY(loom_shelf_begin(shelf, &batch, err));
    return end_of_one(batch, loom_batch_keep(batch, id, owner, err), err);
}

loom_status loom_shelf_unpin(loom_shelf *shelf, const uint8_t id[32], const char *owner, loom_error *err) {
    loom_shelf_batch *batch;
    LOOM_TRY(loom_shelf_begin(shelf, &batch, err));
    return end_of_one(batch, loom_batch_unkeep(batch, id, owner, err), err);
}

/* ---- the store as a whole ---- */

loom_status loom_shelf_stat(loom_shelf *shelf, loom_shelf_stats *stats, loom_error *err) {
    loom_store_stats found;
    LOOM_TRY(loom_store_stat(shelf->store, &found, err));
    const loom_shelf_stats full = {.results = found.rows,
                                   .images = found.images,
                                   .payload_bytes = found.payload_bytes,
                                   .bulk_bytes = found.bulk_bytes,
                                   .index_bytes = found.index_bytes,
                                   .extent_bytes = found.extent_allocated_bytes,
                                   .free_bytes = found.free_bytes,
                                   .budget_bytes = found.budget_bytes,
                                   .used_bytes = found.used_bytes,
                                   .hits = found.hits,
                                   .misses = found.misses,
                                   .evicted = found.evicted_rows,
                                   .pins = found.pins,
                                   .processes = found.processes,
                                   .format = (uint32_t)found.format,
                                   .encrypted = found.encrypted};
    return loom_copy_out("loom_shelf_stats", stats, &full, sizeof full, sizeof full, err);
}
