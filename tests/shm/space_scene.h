/* space_scene.h - images of a given cost in a store on disk, and what its space adds up to. */
#ifndef LOOM_TESTS_SPACE_SCENE_H
#define LOOM_TESTS_SPACE_SCENE_H

#include "disk_scene.h"

#include "shm/extent/space.h"
#include "shm/store/store.h"

static inline loom_space *space_of(loom_store *store) {
    loom_error err = {0};
    loom_store_parts parts;
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    return parts.space;
}

static inline loom_space_usage usage_of(loom_store *store) {
    loom_error err = {0};
    loom_space_usage usage;
    REQUIRE_OK(loom_space_usage_of(space_of(store), &usage, &err));
    return usage;
}

/* As put_image, with a cost; an image of 3 * width bytes. */
static inline loom_status try_put(loom_store *store, uint64_t number, uint64_t width, uint64_t cost_ns,
                                  uint64_t expires_ns, loom_error *err) {
    image_result image = {0};
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    LOOM_TRY(loom_extent_writer_open(loom_store_extents(store), &writer, err));
    loom_status status = loom_extent_reserve(writer, 3 * width, LOOM_RESERVE_WINDOW, &reservation, err);
    if (status == LOOM_OK) {
        image.header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){width, 3});
        loom_value value = loom_image(&image.header, NULL);
        (void)loom_value_encode(&value, &image.payload);
        fill_image(reservation.window, 3 * width, number);
        image.result = (loom_result){.rkey = id_of("image", number),
                                     .vid = id_of("image", number),
                                     .type = LOOM_IMAGE,
                                     .payload = image.payload.bytes,
                                     .payload_bytes = image.payload.length,
                                     .bulk = reservation.placement,
                                     .block_hashes = image.hashes,
                                     .created_ns = 1,
                                     .cost_ns = cost_ns,
                                     .expires_ns = expires_ns};
        status = loom_extent_seal(writer, &reservation, image.hashes, image.result.root, err);
    }
    loom_extent_writer_close(writer);
    if (status == LOOM_OK) status = loom_store_begin(store, &batch, err);
    if (status == LOOM_OK) {
        status = loom_batch_put(batch, &image.result, err);
        if (status == LOOM_OK)
            status = loom_batch_commit(batch, err);
        else
            loom_batch_abort(batch);
    }
    loom_buffer_free(&image.payload);
    return status;
}

static inline void delete_image(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_id rkey = id_of("image", number);
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static inline bool has_image(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_id rkey = id_of("image", number);
    loom_result found;
    loom_arena *arena = loom_arena_new();
    loom_status status = loom_store_find(store, &rkey, arena, &found, &err);
    loom_arena_free(arena);
    return status == LOOM_OK;
}

#endif
