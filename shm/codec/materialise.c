/* materialise.c - encoded bytes made mappable for the kernels of a run. */
#include "shm/codec/bulk_codec.h"
#include "shm/store/store.h"

/* A worker is one among others, on a core of its own; the coordinator keeps them waiting meanwhile. */
static unsigned threads_for(const loom_store *store, uint64_t bytes) {
    return store->writable ? loom_bulk_threads(bytes) : 1;
}

static loom_status decode_into(loom_store *store, loom_extent_writer *writer, const loom_result *result,
                               loom_placement *place, loom_error *err) {
    loom_reservation reservation;
    LOOM_TRY(loom_extent_reserve(writer, result->bulk.bytes, true, &reservation, err));
    loom_status status = loom_bulk_decode(store->stored, result, store->cipher, 0, result->bulk.bytes,
                                          threads_for(store, result->bulk.bytes), reservation.window, err);
    if (status != LOOM_OK) {
        loom_extent_abandon(writer, &reservation);
        return status;
    }
    *place = reservation.placement;
    return loom_extent_seal(writer, &reservation, NULL, NULL, err); /* decoding compared every block already */
}

loom_status loom_store_materialise(loom_store *store, loom_extent_writer *writer, loom_arena *arena,
                                   loom_result *result, bool *fresh, loom_error *err) {
    (void)arena;
    *fresh = false;
    LOOM_TRY(loom_store_check_process(store, err));
    if (result->bulk.bytes == 0 || result->codec == LOOM_CODEC_RAW) return LOOM_OK;
    LOOM_TRY(decode_into(store, writer, result, &result->bulk, err));
    result->codec = LOOM_CODEC_RAW;
    result->stored_bytes = result->bulk.bytes;
    result->codec_data = NULL;
    result->codec_data_bytes = 0;
    *fresh = true;
    return LOOM_OK;
}
