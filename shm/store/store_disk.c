/* store_disk.c - the store in a folder: the operations on its index, control and extent files. */
#include "shm/store/store_disk.h"

#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/codec/encode.h"
#include "shm/extent/unsynced.h"
#include "shm/fork.h"
#include "shm/index/index_batch.h"
#include "shm/seal/working.h"

typedef struct disk_store {
    loom_store base;
    loom_disk *disk;
    loom_durability durability;
    loom_working working; /* of an encrypted store */
} disk_store;

typedef struct disk_batch {
    loom_batch base;
    loom_index_batch *index; /* begun by the first write, so that an idle batch does not hold the writer lock */
    loom_encoder encoder;
    bool deletes; /* something was deleted: see loom_space_before_delete */
} disk_batch;

static disk_store *disk_of(loom_store *store) {
    return (disk_store *)store;
}

static void disk_close(loom_store *store) {
    disk_store *closing = disk_of(store);
    if (store->generation == loom_fork_generation()) {
        loom_working_close(&closing->working);
        loom_disk_release(closing->disk);
    }
    free(closing);
}

/* Where a worker attaches: the inherited descriptor of this run's claims, if there is one, and the folder. */
static loom_status disk_token(const loom_store *store, char *text, size_t capacity) {
    const disk_store *of = (const disk_store *)store;
    char place[PATH_MAX + 32];
    int claims = loom_control_claims_fd(of->disk->control);
    int used = claims < 0 ? snprintf(place, sizeof place, "%s", store->path)
                          : snprintf(place, sizeof place, "%d:%s", claims, store->path);
    if (used < 0 || (size_t)used >= sizeof place) return LOOM_TOO_LARGE;
    if (of->disk->cipher != NULL) return loom_working_token(&of->working, place, text, capacity);
    used = snprintf(text, capacity, "disk:%s", place);
    return used > 0 && (size_t)used < capacity ? LOOM_OK : LOOM_TOO_LARGE;
}

static size_t disk_inherit(const loom_store *store, int *fds, size_t capacity) {
    const disk_store *of = (const disk_store *)store;
    size_t count = of->disk->cipher != NULL ? loom_working_inherit(&of->working, fds, capacity) : 0;
    /* Held by every process of the run, so that its claims last as long as one of them lives. */
    int claims = loom_control_claims_fd(of->disk->control);
    if (claims < 0) return count;
    if (count < capacity) fds[count] = claims;
    return count + 1;
}

static loom_status disk_find(loom_store *store, loom_find_by by, const loom_id *id, loom_arena *arena,
                             loom_result *result, loom_row_kind *kind, loom_error *err) {
    return loom_index_find(disk_of(store)->disk->index, by, id, arena, result, kind, err);
}

static loom_status disk_scan(loom_store *store, loom_row_visit visit, void *context, loom_error *err) {
    return loom_index_scan(disk_of(store)->disk->index, visit, context, err);
}

static void disk_used(loom_store *store, const loom_result *result) {
    loom_disk *disk = disk_of(store)->disk;
    loom_index *index = disk->index;
    atomic_fetch_add_explicit(result != NULL ? &index->hits : &index->misses, 1, memory_order_relaxed);
    if (result == NULL) return;
    uint64_t bytes = loom_result_range(result).bytes + result->payload_bytes;
    loom_control_mark(disk->control, result->row, result->cost_ns, bytes);
}

static uint32_t disk_hold(loom_store *store, const loom_placement *range) {
    return loom_control_pin(disk_of(store)->disk->control, range);
}

static void disk_unhold(loom_store *store, uint32_t pin) {
    loom_control_unpin(disk_of(store)->disk->control, pin);
}

static loom_status disk_row_is_live(loom_store *store, uint64_t row, bool *live, loom_error *err) {
    return loom_index_row_is_live(disk_of(store)->disk->index, row, live, err);
}

static loom_status disk_claim(loom_store *store, const loom_id *rkey, loom_error *err) {
    loom_disk *disk = disk_of(store)->disk;
    loom_id name = loom_index_name(disk->index, rkey);
    return loom_control_claim(disk->control, &name, err);
}

static void disk_unclaim(loom_store *store, const loom_id *rkey) {
    loom_disk *disk = disk_of(store)->disk;
    loom_id name = loom_index_name(disk->index, rkey);
    loom_control_unclaim(disk->control, &name);
}

static uint32_t disk_others(loom_store *store, uint32_t *pids, uint32_t most) {
    return loom_control_other_pids(disk_of(store)->disk->control, LOOM_ROLE_OPENER, pids, most);
}

static loom_status disk_each_pin(loom_store *store, loom_pin_visit visit, void *context, loom_error *err) {
    return loom_index_each_pin(disk_of(store)->disk->index, visit, context, err);
}

static loom_status disk_each_goal(loom_store *store, loom_goal_visit visit, void *context, loom_error *err) {
    return loom_index_each_goal(disk_of(store)->disk->index, visit, context, err);
}

#define FILE_KEY_MAX 32u

static size_t file_key(const loom_index *index, const loom_file_stamp *stamp, uint8_t key[FILE_KEY_MAX]) {
    uint8_t plain[16];
    for (unsigned i = 0; i < 8; i++) {
        plain[i] = (uint8_t)(stamp->device >> (56 - 8 * i));
        plain[8 + i] = (uint8_t)(stamp->inode >> (56 - 8 * i));
    }
    return loom_index_hidden_key(index, "files", plain, sizeof plain, key);
}

static loom_status disk_get_file(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    loom_index *index = disk_of(store)->disk->index;
    uint8_t key[FILE_KEY_MAX];
    loom_file_record record;
    size_t length = file_key(index, stamp, key);
    LOOM_TRY(loom_index_get_fixed(index, index->files, key, length, &record, sizeof record, err));
    if (record.size != stamp->size || record.mtime_ns != stamp->mtime_ns || record.ctime_ns != stamp->ctime_ns)
        return LOOM_NOT_FOUND;
    *content = record.content;
    return LOOM_OK;
}

/* The caller's names live apart from the store's own. */
static size_t meta_key(const loom_index *index, const char *name, uint8_t key[LOOM_META_KEY_MAX + 2]) {
    memcpy(key, "m:", 2);
    return 2 + loom_index_hidden_key(index, "meta", name, strlen(name), key + 2);
}

static loom_status disk_get_meta(loom_store *store, const char *name, loom_arena *arena, const void **bytes,
                                 size_t *length, loom_error *err) {
    loom_index *index = disk_of(store)->disk->index;
    uint8_t key[LOOM_META_KEY_MAX + 2];
    return loom_index_get(index, index->meta, key, meta_key(index, name, key), arena, bytes, length, err);
}

static loom_status disk_stat(loom_store *store, loom_store_stats *stats, loom_error *err) {
    loom_disk *of = disk_of(store)->disk;
    loom_index_state state;
    LOOM_TRY(loom_index_state_of(of->index, &state, err));
    *stats = (loom_store_stats){.rows = state.live_rows,
                                .images = state.images,
                                .blobs = state.blobs,
                                .payload_bytes = state.payload_bytes,
                                .bulk_bytes = state.bulk_bytes,
                                .index_bytes = loom_index_bytes(of->index),
                                .format = LOOM_STORE_FORMAT,
                                .encrypted = of->cipher != NULL,
                                .hits = state.hits + atomic_load_explicit(&of->index->hits, memory_order_relaxed),
                                .misses = state.misses + atomic_load_explicit(&of->index->misses, memory_order_relaxed),
                                .evicted_rows = state.evicted_rows,
                                .evicted_bytes = state.evicted_bytes,
                                .pins = state.pins,
                                .processes = 1 + loom_control_others(of->control, LOOM_ROLE_OPENER) +
                                             loom_control_others(of->control, LOOM_ROLE_WORKER)};
    loom_space_usage usage;
    LOOM_TRY(loom_space_usage_of(of->space, &usage, err));
    stats->free_bytes = usage.free_bytes;
    stats->deleted_bytes = usage.deleted_bytes;
    stats->unowned_bytes = usage.unowned_bytes;
    stats->budget_bytes = usage.budget_bytes;
    stats->used_bytes = usage.extent_bytes + usage.index_bytes;
    LOOM_TRY(loom_index_oldest_reader(of->index, &stats->oldest_reader_ms, err));
    return loom_extents_usage(of->extents, &stats->extent_files, &stats->extent_allocated_bytes, err);
}

/* ---- batches ---- */

static loom_status disk_begin(loom_store *store, loom_batch **batch, loom_error *err) {
    disk_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while beginning a batch");
    made->base.store = store;
    *batch = &made->base;
    return LOOM_OK;
}

/* The transaction of a batch, begun on first use. */
static loom_status transaction(loom_batch *batch, loom_index_batch **index, loom_error *err) {
    disk_batch *of = (disk_batch *)batch;
    disk_store *store = disk_of(batch->store);
    if (of->index == NULL && store->durability == LOOM_DURABLE_NONE && !atomic_load(&store->disk->unsynced)) {
        LOOM_TRY(loom_unsynced_note(&store->disk->folder, err));
        atomic_store(&store->disk->unsynced, true);
    }
    if (of->index == NULL) LOOM_TRY(loom_index_begin(store->disk->index, store->durability, &of->index, err));
    *index = of->index;
    return LOOM_OK;
}

/* What is stored already is not encoded once more: put compares it and gives it up. */
static loom_status disk_prepare(loom_batch *batch, const loom_result *result, loom_error *err) {
    if (!loom_encode_wanted(batch->store, result)) return LOOM_OK;
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while encoding a result");
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    loom_status status = disk_find(batch->store, LOOM_BY_RKEY, &result->rkey, arena, &stored, &kind, err);
    bool known = status == LOOM_OK && kind == LOOM_ROW_LIVE && !loom_result_expired(&stored);
    loom_arena_free(arena);
    if (status != LOOM_OK && status != LOOM_NOT_FOUND) return status;
    return known ? LOOM_OK : loom_encode(batch->store, &((disk_batch *)batch)->encoder, result, err);
}

/* A key that an encrypted store has: compared as in the stored place, because the place that came with it is memory of
 * this run, which is not the store's to give up. What a batch encoded before it saw the first is given up. */
static loom_status put_again(loom_index_batch *index, loom_encoder *encoder, const loom_result *stored,
                             const loom_result *result, loom_error *err) {
    loom_result again = loom_encode_result(encoder, result);
    if (again.codec == LOOM_CODEC_RAW) {
        again.bulk.extent = stored->bulk.extent;
        again.bulk.offset = stored->bulk.offset;
    }
    return loom_index_put(index, &again, err);
}

static loom_status disk_put(loom_batch *batch, const loom_result *result, loom_error *err) {
    loom_encoder *encoder = &((disk_batch *)batch)->encoder;
    loom_index_batch *index;
    /* The first put of a batch can still make space: it has not the writer lock. For others see loom_batch_prepare. */
    if (((disk_batch *)batch)->index == NULL) LOOM_TRY(disk_prepare(batch, result, err));
    LOOM_TRY(transaction(batch, &index, err));
    if (loom_encode_wanted(batch->store, result)) {
        loom_result stored;
        loom_status status = loom_index_current(index, &result->rkey, &stored, err);
        bool known = status == LOOM_OK;
        if (status == LOOM_NOT_FOUND) status = loom_encode(batch->store, encoder, result, err);
        if (status != LOOM_OK) return status;
        if (known && batch->store->cipher != NULL) return put_again(index, encoder, &stored, result, err);
    }
    loom_result encoded = loom_encode_result(encoder, result);
    loom_status status = loom_index_put(index, &encoded, err);
    if (status != LOOM_OK && status != LOOM_IRREPRODUCIBLE) return status;
    if (encoded.codec == result->codec || batch->store->cipher != NULL) return status;
    LOOM_TRY(loom_index_disown_range(index, &result->bulk, false, err)); /* this run may still hold it */
    return status;
}

static loom_status disk_erase(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    disk_batch *of = (disk_batch *)batch;
    loom_index_batch *index;
    if (!of->deletes) loom_space_before_delete(disk_of(batch->store)->disk->space);
    of->deletes = true;
    LOOM_TRY(transaction(batch, &index, err));
#ifdef LOOM_MUTANT_EARLY_REUSE /* a mistake that tests/crash must find; never in a product */
    loom_result gone;
    if (loom_index_current(index, rkey, &gone, NULL) == LOOM_OK) loom_extent_recycle(batch->store->stored, &gone.bulk);
#endif
    return loom_index_delete(index, rkey, err);
}

static loom_status disk_replace(loom_batch *batch, const loom_result *result, loom_error *err) {
    loom_index_batch *index;
    if (loom_encode_is_copy(batch->store, result)) return LOOM_OK;
    LOOM_TRY(transaction(batch, &index, err));
    loom_result stored;
    loom_status status = loom_index_current(index, &result->rkey, &stored, err);
    if (status == LOOM_OK && loom_encode_keeps(batch->store, &stored, result))
        return loom_index_disown_range(index, &result->bulk, false, err);
    uint64_t from, to;
    LOOM_TRY(loom_index_replace(index, result, &from, &to, err));
    if (to != 0) loom_control_copy_mark(disk_of(batch->store)->disk->control, from, to);
    return LOOM_OK;
}

static loom_status disk_forget(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_forget(index, rkey, err);
}

static loom_status disk_succeed(loom_batch *batch, const loom_id *from, const loom_result *result, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_succeed(index, from, result, err);
}

static loom_status disk_set_expiry(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_set_expiry(index, rkey, expires_ns, err);
}

static loom_status disk_pin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_pin(index, rkey, owner, err);
}

static loom_status disk_unpin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_unpin(index, rkey, owner, err);
}

static loom_status disk_begin_run(loom_batch *batch, const char *program, uint64_t *run, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_begin_run(index, program, run, err);
}

static loom_status disk_put_goal(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                 loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_put_goal(index, run, label, rkey, err);
}

static loom_status disk_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                 loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    const loom_index *of = disk_of(batch->store)->disk->index;
    uint8_t key[FILE_KEY_MAX];
    size_t length = file_key(of, stamp, key);
    loom_file_record record = {
        .size = stamp->size, .mtime_ns = stamp->mtime_ns, .ctime_ns = stamp->ctime_ns, .content = *content};
    return loom_index_put_raw(index, of->files, key, length, &record, sizeof record, err);
}

static loom_status disk_put_meta(loom_batch *batch, const char *name, const void *bytes, size_t length,
                                 loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    const loom_index *of = disk_of(batch->store)->disk->index;
    uint8_t key[LOOM_META_KEY_MAX + 2];
    return loom_index_put_raw(index, of->meta, key, meta_key(of, name, key), bytes, length, err);
}

static loom_status disk_commit(loom_batch *batch, loom_error *err) {
    disk_batch *ending = (disk_batch *)batch;
    loom_status status =
        ending->index != NULL ? loom_index_commit(ending->index, disk_of(batch->store)->disk->extents, err) : LOOM_OK;
    if (status == LOOM_OK && ending->index != NULL) loom_space_upkeep(disk_of(batch->store)->disk->space);
    loom_encoder_end(&ending->encoder);
    free(ending);
    return status;
}

static void disk_abort(loom_batch *batch) {
    disk_batch *ending = (disk_batch *)batch;
    if (ending->index != NULL) loom_index_abort(ending->index);
    loom_encoder_end(&ending->encoder);
    free(ending);
}

static const loom_store_ops disk_ops = {
    .close = disk_close,
    .token = disk_token,
    .inherit = disk_inherit,
    .find = disk_find,
    .scan = disk_scan,
    .used = disk_used,
    .hold = disk_hold,
    .unhold = disk_unhold,
    .row_is_live = disk_row_is_live,
    .claim = disk_claim,
    .unclaim = disk_unclaim,
    .others = disk_others,
    .each_pin = disk_each_pin,
    .each_goal = disk_each_goal,
    .get_file = disk_get_file,
    .get_meta = disk_get_meta,
    .stat = disk_stat,
    .begin = disk_begin,
    .prepare = disk_prepare,
    .put = disk_put,
    .erase = disk_erase,
    .replace = disk_replace,
    .forget = disk_forget,
    .succeed = disk_succeed,
    .set_expiry = disk_set_expiry,
    .pin = disk_pin,
    .unpin = disk_unpin,
    .begin_run = disk_begin_run,
    .put_goal = disk_put_goal,
    .put_file = disk_put_file,
    .put_meta = disk_put_meta,
    .commit = disk_commit,
    .abort = disk_abort,
};

static loom_status make_handle(const loom_store_options *options, const uint8_t *master, loom_control_role role,
                               disk_store **store, loom_error *err) {
    disk_store *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a store");
    loom_status status = loom_disk_get(options, master, role, &made->disk, err);
    if (status != LOOM_OK) {
        free(made);
        return status;
    }
    made->durability = options->durability;
    made->working = LOOM_WORKING_NONE;
    const loom_store_options *full = &made->disk->options;
    made->base = (loom_store){.ops = &disk_ops,
                              .extents = made->disk->extents,
                              .stored = made->disk->extents,
                              .cipher = made->disk->cipher,
                              .compression = full->compression,
                              .compression_level = full->compression_level,
                              .cold_after_s = full->cold_after_s,
                              .path = made->disk->folder.path,
                              .generation = loom_fork_generation(),
                              .writable = role == LOOM_ROLE_OPENER && !options->read_only};
    *store = made;
    return LOOM_OK;
}

/* The run on an encrypted store works in memory. */
static void work_in(disk_store *store, const loom_working *working) {
    store->working = *working;
    store->base.extents = working->extents;
}

loom_status loom_store_open_disk(const loom_store_options *options, loom_store **store, loom_error *err) {
    disk_store *made = NULL;
    LOOM_TRY(make_handle(options, NULL, LOOM_ROLE_OPENER, &made, err));
    if (made->disk->cipher != NULL) {
        loom_working working;
        loom_status status =
            loom_working_make(made->disk->cipher, options->memory_writers, made->base.path, &working, err);
        if (status != LOOM_OK) {
            disk_close(&made->base);
            return status;
        }
        work_in(made, &working);
    }
    *store = &made->base;
    return LOOM_OK;
}

/* A forked child has not the descriptor (loom_control_forget); its claims are then its own. */
static void adopt_claims(disk_store *store, long number) {
    if (number < 0 || number > 1 << 20 || store->disk->handles > 1) return;
    int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0 && loom_control_adopt_claims(store->disk->control, fd, NULL) != LOOM_OK) close(fd);
}

/* `place` is "[CLAIMS:]PATH", and the path absolute. */
static loom_status attach(const char *place, const uint8_t *master, disk_store **store, loom_error *err) {
    char *end = NULL;
    long claims = -1;
    if (place[0] >= '0' && place[0] <= '9') {
        claims = strtol(place, &end, 10);
        if (*end != ':') return loom_fail(err, LOOM_BAD_ARGUMENT, "\"%.40s\" names no store to attach to", place);
        place = end + 1;
    }
    LOOM_TRY(make_handle(&(loom_store_options){.path = place}, master, LOOM_ROLE_WORKER, store, err));
    adopt_claims(*store, claims);
    return LOOM_OK;
}

loom_status loom_store_attach_disk(const char *token, loom_store **store, loom_error *err) {
    disk_store *made = NULL;
    LOOM_TRY(attach(token, NULL, &made, err));
    *store = &made->base;
    return LOOM_OK;
}

loom_status loom_store_attach_sealed(const char *token, uint32_t writer_index, loom_store **store, loom_error *err) {
    loom_working working;
    uint8_t master[32];
    const char *place;
    disk_store *made = NULL;
    LOOM_TRY(loom_working_take(token, writer_index, &working, master, &place, err));
    loom_status status = attach(place, master, &made, err);
    OPENSSL_cleanse(master, sizeof master);
    if (status != LOOM_OK) {
        loom_working_close(&working);
        return status;
    }
    work_in(made, &working);
    *store = &made->base;
    return LOOM_OK;
}

loom_disk *loom_disk_of(loom_store *store) {
    return store->ops == &disk_ops ? disk_of(store)->disk : NULL;
}

loom_status loom_store_parts_of(loom_store *store, loom_store_parts *parts, loom_error *err) {
    const loom_disk *of = loom_disk_of(store);
    if (of == NULL)
        return loom_fail(err, LOOM_UNSUPPORTED, "a store in memory has no files; open one in a folder (store.path)");
    *parts = (loom_store_parts){.index = of->index,
                                .control = of->control,
                                .space = of->space,
                                .folder_fd = of->folder.fd,
                                .extents_fd = of->extents_fd,
                                .uuid = of->folder.uuid,
                                .read_only = of->read_only};
    return LOOM_OK;
}
