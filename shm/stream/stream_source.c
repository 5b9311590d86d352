/* stream_source.c - see stream_source.h. Pages that were read are dropped from the mapping at once, so that what a
 * process is charged for stays small; the page cache keeps them while there is room. */
#include "shm/stream/stream_source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_bulk(const loom_result *result) {
    return result->bulk.bytes > 0;
}

static loom_status open_blocks(loom_source *source, loom_error *err) {
    source->buffers = malloc(2 * (size_t)LOOM_BLOCK_BYTES);
    if (source->buffers == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a stored object");
    const loom_store *store = source->store;
    return loom_blocks_open(store->stored, &source->result, store->cipher, 0,
                            loom_extent_block_count(source->result.bulk.bytes), &source->blocks, err);
}

loom_status loom_source_open(loom_source *source, loom_store *store, loom_source_find find, const loom_id *id,
                             loom_error *err) {
    *source = (loom_source){.store = store, .cached = SIZE_MAX, .arena = loom_arena_new()};
    if (source->arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a stored object");
    LOOM_TRY(find(store, id, source->arena, &source->result, &source->hold, err));
    source->bulk = is_bulk(&source->result);
    source->length = source->bulk ? source->result.bulk.bytes : source->result.payload_bytes;
    return source->bulk ? open_blocks(source, err) : LOOM_OK;
}

void loom_source_close(loom_source *source) {
    if (source->blocks.result != NULL) loom_blocks_close(&source->blocks);
    free(source->buffers);
    if (source->store != NULL) loom_store_unhold(source->store, &source->hold);
    loom_arena_free(source->arena);
    *source = (loom_source){.cached = SIZE_MAX};
}

/* Advice only. */
static void forget_pages(const loom_source *source, size_t block) {
    const loom_blocks *blocks = &source->blocks;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), base = (uintptr_t)blocks->view.bytes;
    uint64_t end = block + 1 < blocks->count ? blocks->starts[block + 1] : blocks->view.length;
    uintptr_t first = (base + (uintptr_t)blocks->starts[block]) & ~(page - 1), last = base + (uintptr_t)end;
    if (last > first) (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

static loom_status read_block(loom_source *source, size_t block, uint8_t *out, loom_error *err) {
    loom_status status = loom_blocks_read(&source->blocks, block, source->buffers + LOOM_BLOCK_BYTES, out, err);
    forget_pages(source, block);
    return status;
}

static loom_status cache_block(loom_source *source, size_t block, loom_error *err) {
    if (source->cached == block) return LOOM_OK;
    source->cached = SIZE_MAX;
    LOOM_TRY(read_block(source, block, source->buffers, err));
    source->cached = block;
    return LOOM_OK;
}

static loom_status read_bulk(loom_source *source, uint64_t at, uint8_t *out, size_t length, loom_error *err) {
    while (length > 0) {
        size_t block = (size_t)(at / LOOM_BLOCK_BYTES), within = (size_t)(at % LOOM_BLOCK_BYTES);
        size_t whole = loom_block_length(source->length, block);
        size_t here = whole - within < length ? whole - within : length;
        if (here == whole && source->cached != block) {
            LOOM_TRY(read_block(source, block, out, err));
        } else {
            LOOM_TRY(cache_block(source, block, err));
            memcpy(out, source->buffers + within, here);
        }
        at += here;
        out += here;
        length -= here;
    }
    return LOOM_OK;
}

loom_status loom_source_read(loom_source *source, uint64_t at, void *out, size_t length, loom_error *err) {
    if (at > source->length || length > source->length - at)
        return loom_fail(err, LOOM_CORRUPT, "a stored object of %llu bytes ends too early",
                         (unsigned long long)source->length);
    if (source->bulk) return read_bulk(source, at, out, length, err);
    if (length > 0) memcpy(out, source->result.payload + at, length);
    return LOOM_OK;
}
