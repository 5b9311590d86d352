/* storage_values.c - holding results and reading their values, for all implementations: what is held keeps its bytes;
 * raw bytes are mapped, those of a codec are decoded into private memory. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "shm/codec/bulk_codec.h"
#include "shm/store/others.h"
#include "shm/store/store.h"

/* ---- holding ---- */

/* Whether the bytes may be reclaimed by anyone: those in memory of this run are not. */
static bool can_be_reclaimed(const loom_store *store, const loom_result *result) {
    return store->ops->hold != NULL && result->bulk.bytes > 0 &&
           (result->codec != LOOM_CODEC_RAW || store->stored == store->extents);
}

/* Publishes the pin, then looks whether the row is still there: a reclaimer deletes, commits and then looks for pins,
 * so one of the two sees the other (Michael 2004). LOOM_NOT_FOUND: it went before the pin, nothing is held. */
loom_status loom_store_pin_row(loom_store *store, const loom_result *result, loom_hold *hold, loom_error *err) {
    *hold = (loom_hold){0};
    if (!can_be_reclaimed(store, result)) return LOOM_OK;
    loom_placement range = loom_result_range(result);
    hold->pin = store->ops->hold(store, &range);
    if (result->row == 0) return LOOM_OK;      /* not stored yet: its writer's run gives nothing up */
    atomic_thread_fence(memory_order_seq_cst); /* the pin before the snapshot */
    bool live = false;
    loom_status status = store->ops->row_is_live(store, result->row, &live, err);
    if (status == LOOM_OK && live) return LOOM_OK;
    loom_store_unhold(store, hold);
    return status != LOOM_OK ? status : LOOM_NOT_FOUND;
}

typedef loom_status (*find_function)(loom_store *store, const loom_id *id, loom_arena *arena, loom_result *result,
                                     loom_error *err);

/* A row that went was deleted or replaced: look again. Each round means that another batch was committed between two
 * look-ups, so this ends. */
static loom_status find_and_pin(loom_store *store, find_function find, const loom_id *id, loom_arena *arena,
                                loom_result *result, loom_hold *hold, loom_error *err) {
    *hold = (loom_hold){0};
    for (;;) {
        LOOM_TRY(find(store, id, arena, result, err));
        loom_status status = loom_store_pin_row(store, result, hold, err);
        if (status != LOOM_NOT_FOUND) return status;
    }
}

loom_status loom_store_hold(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                            loom_hold *hold, loom_error *err) {
    return find_and_pin(store, loom_store_find, rkey, arena, result, hold, err);
}

loom_status loom_store_hold_value(loom_store *store, const loom_id *vid, loom_arena *arena, loom_result *result,
                                  loom_hold *hold, loom_error *err) {
    return find_and_pin(store, loom_store_find_value, vid, arena, result, hold, err);
}

loom_status loom_store_hold_range(loom_store *store, const loom_placement *placement, loom_hold *hold,
                                  loom_error *err) {
    *hold = (loom_hold){0};
    LOOM_TRY(loom_store_check_process(store, err));
    return loom_store_pin_row(store, &(loom_result){.bulk = *placement}, hold, err);
}

void loom_store_unhold(loom_store *store, loom_hold *hold) {
    if (hold->pin != 0 && loom_store_check_process(store, NULL) == LOOM_OK) store->ops->unhold(store, hold->pin);
    hold->pin = 0;
}

/* ---- claims ---- */

loom_status loom_store_claim(loom_store *store, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return store->ops->claim != NULL ? store->ops->claim(store, rkey, err) : LOOM_OK;
}

uint32_t loom_store_others(loom_store *store, uint32_t *pids, uint32_t most) {
    if (store->ops->others == NULL || loom_store_check_process(store, NULL) != LOOM_OK) return 0;
    return store->ops->others(store, pids, most);
}

void loom_store_unclaim(loom_store *store, const loom_id *rkey) {
    if (store->ops->unclaim != NULL && loom_store_check_process(store, NULL) == LOOM_OK)
        store->ops->unclaim(store, rkey);
}

/* ---- bulk bytes ---- */

static loom_status map_private(const loom_store *store, uint64_t bytes, loom_view *view, loom_error *err) {
    if (bytes > SIZE_MAX / 2)
        return loom_fail(err, LOOM_TOO_LARGE, "a stored result has %llu bytes, more than can be mapped",
                         (unsigned long long)bytes);
    void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory: a stored result needs %llu bytes to be decoded",
                         (unsigned long long)bytes);
#ifdef MADV_DONTDUMP
    if (store->cipher != NULL) (void)madvise(map, (size_t)bytes, MADV_DONTDUMP);
#endif
    (void)store;
    *view = (loom_view){.bytes = map, .length = bytes, .map = map, .map_bytes = (size_t)bytes};
    return LOOM_OK;
}

static loom_status decode_private(loom_store *store, const loom_result *result, loom_view *view, loom_error *err) {
    LOOM_TRY(map_private(store, result->bulk.bytes, view, err));
    loom_status status = loom_bulk_decode(store->stored, result, store->cipher, 0, result->bulk.bytes,
                                          loom_bulk_threads(result->bulk.bytes), view->map, err);
    if (status == LOOM_OK) (void)mprotect(view->map, view->map_bytes, PROT_READ);
    if (status != LOOM_OK) loom_extent_release(view);
    return status;
}

/* The bytes of a result that is held by `hold`, which the view takes over when it maps them. */
static loom_status view_bulk(loom_store *store, const loom_result *result, loom_hold *hold, loom_view *view,
                             loom_error *err) {
    if (result->codec != LOOM_CODEC_RAW) {
        loom_status status = decode_private(store, result, view, err);
        loom_store_unhold(store, hold);
        return status;
    }
    loom_status status = loom_extent_view(store->extents, &result->bulk, true, view, err);
    if (status != LOOM_OK || hold->pin == 0) {
        loom_store_unhold(store, hold);
        return status;
    }
    view->held_by = store;
    view->pin = hold->pin;
    return LOOM_OK;
}

loom_status loom_store_verify(loom_store *store, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    if (result->bulk.bytes == 0) return LOOM_OK;
    if (result->block_hashes == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "a result without block hashes");
    if (result->codec != LOOM_CODEC_RAW)
        return loom_bulk_check(store->stored, result, store->cipher, loom_bulk_threads(result->bulk.bytes), NULL, err);
    loom_view view;
    LOOM_TRY(loom_extent_view(store->extents, &result->bulk, true, &view, err));
    loom_status status = loom_extent_verify(&view, &result->bulk, result->block_hashes, result->root, err);
    loom_extent_release(&view);
    return status;
}

/* ---- values ---- */

static loom_status attach_voxels(const loom_result *result, const loom_view *view, loom_value *value, loom_error *err) {
    LOOM_TRY(loom_image_header_check(value->image.header, err));
    if (loom_image_bytes(value->image.header) != result->bulk.bytes)
        return loom_fail(err, LOOM_CORRUPT, "a stored image has %llu bytes of voxels and its header asks for %llu",
                         (unsigned long long)result->bulk.bytes,
                         (unsigned long long)loom_image_bytes(value->image.header));
    value->image.voxels = view->bytes;
    return LOOM_OK;
}

static loom_status decode_result(const loom_result *result, const loom_view *view, loom_arena *arena, loom_value *value,
                                 loom_error *err) {
    const uint8_t *bytes = result->blob ? view->bytes : result->payload;
    size_t length = result->blob ? (size_t)view->length : result->payload_bytes;
    if (bytes == NULL)
        return loom_fail(err, LOOM_CORRUPT, "a stored result of type %s is empty", loom_type_name(result->type));
    LOOM_TRY(loom_value_decode(bytes, length, arena, value, err));
    if (value->type != result->type)
        return loom_fail(err, LOOM_CORRUPT, "a stored result of type %s holds a %s", loom_type_name(result->type),
                         loom_type_name(value->type));
    return value->type == LOOM_IMAGE ? attach_voxels(result, view, value, err) : LOOM_OK;
}

/* Holds the result as found or, if its row went, where its key leads now. */
static loom_status hold_again(loom_store *store, const loom_result *result, loom_arena *arena, loom_result *held,
                              loom_hold *hold, loom_error *err) {
    *held = *result;
    loom_status status = loom_store_pin_row(store, result, hold, err);
    if (status != LOOM_NOT_FOUND) return status;
    LOOM_TRY(loom_store_hold(store, &result->rkey, arena, held, hold, err));
    if (loom_id_equal(&held->vid, &result->vid)) return LOOM_OK;
    loom_store_unhold(store, hold);
    return LOOM_NOT_FOUND;
}

loom_status loom_store_value(loom_store *store, const loom_result *result, loom_arena *arena, loom_value *value,
                             loom_view *view, loom_error *err) {
    *view = (loom_view){0};
    LOOM_TRY(loom_store_check_process(store, err));
    loom_result held = *result;
    if (result->blob || result->type == LOOM_IMAGE) {
        loom_hold hold;
        LOOM_TRY(hold_again(store, result, arena, &held, &hold, err));
        LOOM_TRY(view_bulk(store, &held, &hold, view, err));
    }
    loom_status status = decode_result(&held, view, arena, value, err);
    if (status != LOOM_OK) loom_extent_release(view);
    return status;
}
