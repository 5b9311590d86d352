/* storage.c - the store's interface: argument checks, dispatch, and what all implementations share. */
#include "shm/store/storage.h"

#include <stdlib.h>
#include <string.h>

#include "shm/codec/codec.h"
#include "shm/extent/extent_file.h"
#include "shm/fork.h"
#include "shm/store/store.h"

/* ---- opening ---- */

static loom_status check_options(const loom_store_options *options, loom_error *err) {
    if (options == NULL || options->path == NULL || options->path[0] == '\0')
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a store needs a path; set store.path");
    if ((unsigned)options->durability > LOOM_DURABLE_NONE)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "unknown durability %u", (unsigned)options->durability);
    if ((unsigned)options->eviction > LOOM_EVICT_LRU || (unsigned)options->compression > LOOM_COMPRESS_ALWAYS)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "unknown eviction %u or compression %u", (unsigned)options->eviction,
                         (unsigned)options->compression);
    if (options->compression_level < 0 || options->compression_level > LOOM_COMPRESSION_LEVEL_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "the compression level is %d; 1 to %d are allowed",
                         options->compression_level, LOOM_COMPRESSION_LEVEL_MAX);
    if (options->budget_bytes > INT64_MAX || options->ballast_bytes > INT64_MAX || options->reuse_bytes > INT64_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "the store's budget, ballast or reuse is too large");
    if (options->step_bytes > LOOM_BULK_BYTES_MAX || options->extent_bytes > INT64_MAX / 4)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "store.extent_step or store.extent_size is too large");
    return LOOM_OK;
}

loom_status loom_store_open(const loom_store_options *options, loom_store **store, loom_error *err) {
    *store = NULL;
    LOOM_TRY(check_options(options, err));
    if (strcmp(options->path, ":memory:") == 0) return loom_store_open_memory(options, store, err);
    const char *place;
    const loom_backend *backend = loom_backend_of(options->path, &place);
    if (backend != NULL) return backend->open(options, place, store, err);
    return loom_store_open_disk(options, store, err);
}

void loom_store_close(loom_store *store) {
    if (store != NULL) store->ops->close(store);
}

loom_status loom_store_token(const loom_store *store, char *text, size_t capacity) {
    return store->ops->token(store, text, capacity);
}

size_t loom_store_inherit(const loom_store *store, int *fds, size_t capacity) {
    return store->ops->inherit(store, fds, capacity);
}

loom_status loom_store_attach(const char *token, uint32_t writer_index, loom_store **store, loom_error *err) {
    *store = NULL;
    const char *place;
    const loom_backend *backend = loom_backend_of(token, &place);
    if (backend != NULL) return backend->attach(place, writer_index, store, err);
    if (strncmp(token, "disk:", 5) == 0) return loom_store_attach_disk(token + 5, store, err);
    if (strncmp(token, "sealed:", 7) == 0) return loom_store_attach_sealed(token + 7, writer_index, store, err);
    if (strncmp(token, "memory:", 7) == 0) return loom_store_attach_memory(token + 7, writer_index, store, err);
    return loom_fail(err, LOOM_BAD_ARGUMENT, "\"%.40s\" names no store to attach to", token);
}

loom_extents *loom_store_extents(loom_store *store) {
    return store->extents;
}

loom_status loom_store_discard(loom_store *store, const loom_placement *placement, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    if (store->stored == store->extents || placement->bytes == 0) return LOOM_OK;
    return loom_extents_punch(store->extents, placement, err);
}

bool loom_store_has_working_copies(const loom_store *store) {
    return store->cipher != NULL && !store->in_memory;
}

bool loom_store_in_memory(const loom_store *store) {
    return store->in_memory;
}

const char *loom_store_path(const loom_store *store) {
    return store->path;
}

loom_status loom_store_check_process(const loom_store *store, loom_error *err) {
    if (store->generation == loom_fork_generation()) return LOOM_OK;
    return loom_fail(err, LOOM_UNSUPPORTED, "the store %s was opened before fork; open it again in the child",
                     store->path);
}

loom_status loom_store_irreproducible(const loom_id *rkey, loom_error *err) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(rkey, hex);
    return loom_fail(
        err, LOOM_IRREPRODUCIBLE,
        "the result %.16s was computed again and differs from the stored one, which is kept; its operator is "
        "not reproducible, or its version was not raised when it changed",
        hex);
}

/* ---- look-ups ---- */

static loom_status note_use(loom_store *store, loom_status status, const loom_result *result) {
    if (store->ops->used != NULL && (status == LOOM_OK || status == LOOM_NOT_FOUND))
        store->ops->used(store, status == LOOM_OK ? result : NULL);
    return status;
}

/* A live result whose time has not come. */
static loom_status find_current(loom_store *store, loom_find_by by, const loom_id *id, loom_arena *arena,
                                loom_result *result, loom_error *err) {
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(store->ops->find(store, by, id, arena, result, &kind, err));
    return kind == LOOM_ROW_LIVE && !loom_result_expired(result) ? LOOM_OK : LOOM_NOT_FOUND;
}

static loom_status find_by_key(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                               loom_error *err) {
    return find_current(store, LOOM_BY_RKEY, rkey, arena, result, err);
}

/* Large results are named by their rkey; nested sequences by their content. */
static loom_status find_by_value(loom_store *store, const loom_id *vid, loom_arena *arena, loom_result *result,
                                 loom_error *err) {
    loom_status status = find_by_key(store, vid, arena, result, err);
    if (status == LOOM_OK && loom_id_equal(&result->vid, vid)) return LOOM_OK;
    if (status != LOOM_OK && status != LOOM_NOT_FOUND) return status;
    return find_current(store, LOOM_BY_VID, vid, arena, result, err);
}

loom_status loom_store_find(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                            loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return note_use(store, find_by_key(store, rkey, arena, result, err), result);
}

loom_status loom_store_find_value(loom_store *store, const loom_id *vid, loom_arena *arena, loom_result *result,
                                  loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return note_use(store, find_by_value(store, vid, arena, result, err), result);
}

loom_status loom_store_trace(loom_store *store, const loom_id *rkey, loom_id *vid, loom_type *type, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking up a result");
    loom_result result;
    loom_row_kind kind = LOOM_ROW_LIVE;
    loom_status status = store->ops->find(store, LOOM_BY_RKEY, rkey, arena, &result, &kind, err);
    if (status == LOOM_OK) {
        *vid = result.vid;
        *type = result.type;
    }
    loom_arena_free(arena);
    return status;
}

/* ---- look-up by the beginning of an id, for people: one pass over all rows ---- */

typedef struct prefix_search {
    uint8_t bytes[32];
    size_t digits;
    uint64_t row; /* latest match; 0 = none */
    loom_id rkey; /* of that row */
    loom_id id;   /* the id that matched */
    bool ambiguous;
} prefix_search;

static bool begins_with(const loom_id *id, const prefix_search *search) {
    size_t whole = search->digits / 2;
    if (memcmp(id->bytes, search->bytes, whole) != 0) return false;
    return search->digits % 2 == 0 || (id->bytes[whole] & 0xf0) == search->bytes[whole];
}

static const loom_id *matching_id(const loom_row_header *header, const prefix_search *search) {
    if (begins_with(&header->rkey, search)) return &header->rkey;
    if (begins_with(&header->vid, search)) return &header->vid;
    if (!loom_id_is_zero(&header->node) && begins_with(&header->node, search)) return &header->node;
    return NULL;
}

static bool match_prefix(uint64_t row, const void *bytes, size_t length, void *context) {
    prefix_search *search = context;
    loom_row_header header;
    if (!loom_row_peek(bytes, length, &header) || header.kind != LOOM_ROW_LIVE) return true;
    if (loom_result_expired(&(loom_result){.expires_ns = header.expires_ns})) return true;
    const loom_id *id = matching_id(&header, search);
    if (id == NULL) return true;
    if (search->row != 0 && !loom_id_equal(id, &search->id)) {
        search->ambiguous = true;
        return false;
    }
    search->row = row;
    search->rkey = header.rkey;
    search->id = *id;
    return true;
}

static loom_status parse_prefix(const char *hex, prefix_search *search, loom_error *err) {
    size_t length = strlen(hex);
    if (length < 4 || length > 64)
        return loom_fail(err, LOOM_BAD_USAGE, "\"%.70s\" is not an id: give 4 to 64 hex digits", hex);
    char padded[LOOM_ID_HEX_BYTES];
    memset(padded, '0', 64);
    memcpy(padded, hex, length);
    loom_id id;
    if (!loom_id_from_hex(padded, 64, &id))
        return loom_fail(err, LOOM_BAD_USAGE, "\"%.70s\" is not an id: give 4 to 64 hex digits", hex);
    memcpy(search->bytes, id.bytes, sizeof search->bytes);
    search->digits = length;
    return LOOM_OK;
}

loom_status loom_store_find_prefix(loom_store *store, const char *hex, loom_arena *arena, loom_result *result,
                                   loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    prefix_search search = {.row = 0};
    LOOM_TRY(parse_prefix(hex, &search, err));
    LOOM_TRY(store->ops->scan(store, match_prefix, &search, err));
    if (search.ambiguous)
        return loom_fail(err, LOOM_BAD_USAGE, "\"%s\" begins several ids in the store; give more digits", hex);
    if (search.row == 0) return LOOM_NOT_FOUND;
    return loom_store_find(store, &search.rkey, arena, result, err);
}

/* ---- every row ---- */

typedef struct visit_rows {
    loom_store_visit visit;
    void *context;
    uint8_t *copy; /* aligned */
    size_t capacity;
    loom_status status; /* the first damage; the visit goes on */
    loom_error *err;
} visit_rows;

static bool visit_row(uint64_t row, const void *bytes, size_t length, void *context) {
    visit_rows *rows = context;
    if (length > rows->capacity) {
        uint8_t *grown = realloc(rows->copy, length);
        if (grown == NULL) {
            rows->status = loom_fail(rows->err, LOOM_NO_MEMORY, "out of memory while listing the store");
            return false;
        }
        rows->copy = grown;
        rows->capacity = length;
    }
    memcpy(rows->copy, bytes, length);
    loom_result result;
    loom_row_kind kind;
    loom_status status =
        loom_row_decode(rows->copy, length, row, &result, &kind, rows->status == LOOM_OK ? rows->err : NULL);
    if (status != LOOM_OK) {
        if (rows->status == LOOM_OK) rows->status = status;
        return true;
    }
    return kind != LOOM_ROW_LIVE || loom_result_expired(&result) || rows->visit(&result, rows->context);
}

loom_status loom_store_each(loom_store *store, loom_store_visit visit, void *context, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    visit_rows rows = {.visit = visit, .context = context, .err = err};
    loom_status status = store->ops->scan(store, visit_row, &rows, err);
    free(rows.copy);
    return status != LOOM_OK ? status : rows.status;
}

loom_status loom_store_each_pin(loom_store *store, loom_pin_visit visit, void *context, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return store->ops->each_pin(store, visit, context, err);
}

loom_status loom_store_each_goal(loom_store *store, loom_goal_visit visit, void *context, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return store->ops->each_goal(store, visit, context, err);
}

/* ---- batches ---- */

loom_status loom_store_begin(loom_store *store, loom_batch **batch, loom_error *err) {
    *batch = NULL;
    LOOM_TRY(loom_store_check_process(store, err));
    if (!store->writable)
        return loom_fail(err, LOOM_DENIED,
                         "the store %s is open for reading only; results are written by the process that "
                         "opened it for writing",
                         store->path);
    return store->ops->begin(store, batch, err);
}

loom_status loom_batch_prepare(loom_batch *batch, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(loom_row_check_result(result, err));
    return batch->store->ops->prepare != NULL ? batch->store->ops->prepare(batch, result, err) : LOOM_OK;
}

loom_status loom_batch_put(loom_batch *batch, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(loom_row_check_result(result, err));
    return batch->store->ops->put(batch, result, err);
}

loom_status loom_batch_delete(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    return batch->store->ops->erase(batch, rkey, err);
}

loom_status loom_batch_forget(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    if (batch->store->ops->forget == NULL)
        return loom_fail(err, LOOM_UNSUPPORTED, "the store %s cannot forget what it stored", batch->store->path);
    return batch->store->ops->forget(batch, rkey, err);
}

loom_status loom_batch_replace(loom_batch *batch, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(loom_row_check_result(result, err));
    if (result->bulk.bytes == 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a result without bulk bytes cannot lie elsewhere");
    return batch->store->ops->replace(batch, result, err);
}

loom_status loom_batch_set_expiry(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    return batch->store->ops->set_expiry(batch, rkey, expires_ns, err);
}

static loom_status check_text(const char *what, const char *text, size_t longest, loom_error *err) {
    size_t length = text == NULL ? 0 : strlen(text);
    if (length >= 1 && length <= longest) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_ARGUMENT, "%s has %zu bytes; 1 to %zu are allowed", what, length, longest);
}

loom_status loom_batch_pin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(check_text("the owner of a pin", owner, LOOM_OWNER_MAX, err));
    return batch->store->ops->pin(batch, rkey, owner, err);
}

loom_status loom_batch_unpin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(check_text("the owner of a pin", owner, LOOM_OWNER_MAX, err));
    return batch->store->ops->unpin(batch, rkey, owner, err);
}

loom_status loom_batch_begin_run(loom_batch *batch, const char *program, uint64_t *run, loom_error *err) {
    *run = 0;
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(check_text("the name of a program", program, LOOM_PROGRAM_MAX, err));
    return batch->store->ops->begin_run(batch, program, run, err);
}

loom_status loom_batch_put_goal(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(check_text("the label of a goal", label, LOOM_LABEL_MAX, err));
    if (run == 0) return loom_fail(err, LOOM_BAD_ARGUMENT, "a goal needs the number of its run");
    return batch->store->ops->put_goal(batch, run, label, rkey, err);
}

loom_status loom_batch_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    return batch->store->ops->put_file(batch, stamp, content, err);
}

static loom_status check_meta_key(const char *key, loom_error *err) {
    size_t length = strlen(key);
    if (length >= 1 && length <= LOOM_META_KEY_MAX) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_ARGUMENT, "a meta key has %zu bytes; 1 to %u are allowed", length,
                     LOOM_META_KEY_MAX);
}

loom_status loom_batch_put_meta(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err) {
    LOOM_TRY(loom_store_check_process(batch->store, err));
    LOOM_TRY(check_meta_key(key, err));
    if (length > LOOM_ROW_BYTES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "meta values hold at most %u bytes", LOOM_ROW_BYTES_MAX);
    return batch->store->ops->put_meta(batch, key, bytes, length, err);
}

loom_status loom_batch_commit(loom_batch *batch, loom_error *err) {
    if (batch->store->generation != loom_fork_generation())
        return loom_store_check_process(batch->store, err); /* the parent's */
    return batch->store->ops->commit(batch, err);
}

void loom_batch_abort(loom_batch *batch) {
    if (batch == NULL || batch->store->generation != loom_fork_generation()) return;
    batch->store->ops->abort(batch);
}

loom_status loom_store_get_file(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    return store->ops->get_file(store, stamp, content, err);
}

loom_status loom_store_get_meta(loom_store *store, const char *key, loom_arena *arena, const void **bytes,
                                size_t *length, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    LOOM_TRY(check_meta_key(key, err));
    return store->ops->get_meta(store, key, arena, bytes, length, err);
}

loom_status loom_store_stat(loom_store *store, loom_store_stats *stats, loom_error *err) {
    *stats = (loom_store_stats){.format = LOOM_STORE_FORMAT};
    LOOM_TRY(loom_store_check_process(store, err));
    return store->ops->stat(store, stats, err);
}
