/* stream_record.c - what is known of a stream that is not complete: its record in the store, and the list of this
 * process's writers.
 *
 * The record is a result like others, so it needs no rules of its own: type record, its payload says what the stream is
 * to become, its bulk bytes are what was written so far (none while a writer is at work). It owns its bytes, is seen by
 * verify and counted by stat, may be evicted, and expires; gc drops it then. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "shm/stream/stream_parts.h"

size_t loom_text_head(loom_type type, uint64_t length, uint8_t head[LOOM_TEXT_HEAD_MAX]) {
    bool string = type == LOOM_STRING;
    if (length > UINT32_MAX) return 0;
    if (string && length < 32) {
        head[0] = (uint8_t)(0xA0 | length);
        return 1;
    }
    unsigned form = length < 0x100 ? 0 : length < 0x10000 ? 1 : 2, width = 1u << form;
    head[0] = (uint8_t)((string ? 0xD9 : 0xC4) + form);
    for (unsigned i = 0; i < width; i++)
        head[1 + i] = (uint8_t)(length >> (8 * (width - 1 - i)));
    return 1 + width;
}

/* ---- the record ---- */

loom_id loom_stream_record_key(const loom_id *rkey) {
    uint8_t bytes[12 + sizeof rkey->bytes];
    memcpy(bytes, "loom.stream", 12);
    memcpy(bytes + 12, rkey->bytes, sizeof rkey->bytes);
    return loom_sha256(bytes, sizeof bytes);
}

static loom_field field(const char *name, loom_value value) {
    return (loom_field){name, strlen(name), value};
}

static loom_value number(uint64_t value) {
    return loom_int((int64_t)value);
}

loom_status loom_stream_record_encode(const loom_stream_state *state, loom_buffer *encoded, loom_error *err) {
    loom_field fields[] = {
        field("stream", loom_int(1)),
        field("rkey", loom_bytes(state->rkey.bytes, sizeof state->rkey.bytes)),
        field("node", loom_bytes(state->node.bytes, sizeof state->node.bytes)),
        field("type", loom_int(state->type)),
        field("image", state->has_image ? loom_image(&state->image, NULL) : loom_null()),
        field("announced", number(state->announced)),
        field("done", number(state->done)),
        field("head", number(state->head_bytes)),
        field("inline", number(state->inline_bytes)),
        field("expires", number(state->expires_ns)),
        field("recipe", loom_bytes(state->recipe, state->recipe_bytes)),
    };
    loom_value record = loom_record(fields, sizeof fields / sizeof *fields);
    loom_status status = loom_value_encode(&record, encoded);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "the record of a stream cannot be written");
}

static bool get_number(const loom_value *record, const char *name, uint64_t *number_out) {
    const loom_value *value = loom_record_get(record, name);
    if (value == NULL || value->type != LOOM_INT || value->integer < 0) return false;
    *number_out = (uint64_t)value->integer;
    return true;
}

static bool get_id(const loom_value *record, const char *name, loom_id *id) {
    const loom_value *value = loom_record_get(record, name);
    if (value == NULL || value->type != LOOM_BYTES || value->text.length != sizeof id->bytes) return false;
    memcpy(id->bytes, value->text.bytes, sizeof id->bytes);
    return true;
}

static bool read_fields(const loom_value *record, loom_stream_state *state) {
    uint64_t version, type, head;
    const loom_value *image = loom_record_get(record, "image"), *recipe = loom_record_get(record, "recipe");
    if (!get_number(record, "stream", &version) || version != 1 || !get_id(record, "rkey", &state->rkey) ||
        !get_id(record, "node", &state->node) || !get_number(record, "type", &type) || image == NULL ||
        !get_number(record, "announced", &state->announced) || !get_number(record, "done", &state->done) ||
        !get_number(record, "head", &head) || head > LOOM_TEXT_HEAD_MAX ||
        !get_number(record, "inline", &state->inline_bytes) || !get_number(record, "expires", &state->expires_ns) ||
        recipe == NULL || recipe->type != LOOM_BYTES)
        return false;
    state->type = (loom_type)type;
    state->head_bytes = (uint32_t)head;
    state->has_image = image->type == LOOM_IMAGE;
    if (state->has_image) state->image = *image->image.header;
    state->recipe = (const uint8_t *)recipe->text.bytes;
    state->recipe_bytes = recipe->text.length;
    return type == LOOM_IMAGE ? state->has_image && head == 0 : type == LOOM_STRING || type == LOOM_BYTES;
}

loom_status loom_stream_record_decode(const loom_result *record, loom_arena *arena, loom_stream_state *state,
                                      loom_error *err) {
    *state = (loom_stream_state){.type = LOOM_NULL};
    loom_value value;
    LOOM_TRY(loom_value_decode(record->payload, record->payload_bytes, arena, &value, err));
    if (value.type != LOOM_RECORD || !read_fields(&value, state))
        return loom_fail(err, LOOM_CORRUPT, "the record of a suspended stream makes no sense");
    uint64_t object = state->done > LOOM_BULK_BYTES_MAX ? UINT64_MAX : state->done + state->head_bytes;
    if ((record->bulk.bytes != 0 && record->bulk.bytes != object) ||
        (state->announced != 0 && state->done > state->announced))
        return loom_fail(err, LOOM_CORRUPT, "the record of a suspended stream does not fit its bytes");
    return LOOM_OK;
}

/* ---- writers of this process ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static loom_stream_entry *entries;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&lock);
}

/* The writers are the parent's. */
static void after_fork_in_child(void) {
    entries = NULL;
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static loom_stream_entry *entry_of(const loom_store *store, const loom_id *rkey) {
    for (loom_stream_entry *each = entries; each != NULL; each = each->next)
        if (each->store == store->stored && loom_id_equal(&each->rkey, rkey)) return each;
    return NULL;
}

static loom_status busy(const loom_id *rkey, uint64_t done, const char *where, loom_error *err) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(rkey, hex);
    return loom_fail(err, LOOM_BUSY,
                     "the result %.16s is being written%s, %llu bytes or more so far; try again when it is complete",
                     hex, where, (unsigned long long)done);
}

loom_status loom_stream_enter(loom_store *store, loom_stream_entry *entry, const loom_id *rkey, loom_error *err) {
    loom_id key = loom_stream_record_key(rkey);
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    const loom_stream_entry *other = entry_of(store, rkey);
    loom_status status =
        other != NULL ? busy(rkey, atomic_load(&other->done), "", err) : loom_store_claim(store, &key, err);
    if (status == LOOM_OK) {
        entry->store = store->stored;
        entry->rkey = *rkey;
        entry->next = entries;
        entries = entry;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void loom_stream_leave(loom_store *store, loom_stream_entry *entry) {
    loom_id key = loom_stream_record_key(&entry->rkey);
    pthread_mutex_lock(&lock);
    for (loom_stream_entry **link = &entries; *link != NULL; link = &(*link)->next)
        if (*link == entry) {
            *link = entry->next;
            loom_store_unclaim(store, &key);
            break;
        }
    pthread_mutex_unlock(&lock);
}

/* Of a writer in another process: that it lives is told by its claim, how far it is by its record, if it has one. */
static loom_status look_for_writer(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_error *err) {
    loom_id key = loom_stream_record_key(rkey);
    loom_result record;
    loom_stream_state state = {.done = 0};
    loom_status found = loom_store_find(store, &key, arena, &record, err);
    if (found != LOOM_OK && found != LOOM_NOT_FOUND) return found;
    if (found == LOOM_OK && loom_stream_record_decode(&record, arena, &state, NULL) != LOOM_OK) found = LOOM_NOT_FOUND;
    /* Under the lock: a claim of this process that began meanwhile would be taken for ours, and ended. */
    pthread_mutex_lock(&lock);
    const loom_stream_entry *entry = entry_of(store, rkey);
    loom_status claimed = entry == NULL ? loom_store_claim(store, &key, NULL) : LOOM_BUSY;
    if (claimed == LOOM_OK) loom_store_unclaim(store, &key);
    if (entry != NULL) state.done = atomic_load(&entry->done);
    pthread_mutex_unlock(&lock);
    if (claimed == LOOM_BUSY) return busy(rkey, state.done, entry == NULL ? " by another process" : "", err);
    return found == LOOM_OK && record.bulk.bytes > 0 ? busy(rkey, state.done, " (suspended)", err) : LOOM_NOT_FOUND;
}

loom_status loom_stream_why_missing(loom_store *store, const loom_id *rkey, loom_error *err) {
    pthread_mutex_lock(&lock);
    const loom_stream_entry *entry = entry_of(store, rkey);
    loom_status status = entry != NULL ? busy(rkey, atomic_load(&entry->done), "", err) : LOOM_NOT_FOUND;
    pthread_mutex_unlock(&lock);
    if (status != LOOM_NOT_FOUND) return status;
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for a stream");
    status = look_for_writer(store, rkey, arena, err);
    loom_arena_free(arena);
    return status;
}
