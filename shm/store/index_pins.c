/* index_pins.c - who wants a result kept, and what runs were for: the tables `pins`, `goals`, `runs`. Keys and values:
 * shm/SCHEMA.md, "Index". They are small and read rarely; a pin may name a key that is not stored. */
#include <string.h>
#include <time.h>

#include "shm/store/index_batch.h"

#define TEXT_BYTES_MAX 4096u

/* ---- one value: time, key, text ---- */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static loom_status put_note(loom_index_batch *batch, MDB_dbi table, const void *key, size_t key_bytes,
                            const loom_id *rkey, const char *text, loom_error *err) {
    uint8_t value[sizeof(loom_note_record) + TEXT_BYTES_MAX];
    loom_note_record record = {.created_ns = now_ns(), .rkey = *rkey};
    size_t length = strlen(text);
    if (length > TEXT_BYTES_MAX) length = TEXT_BYTES_MAX;
    memcpy(value, &record, sizeof record);
    memcpy(value + sizeof record, text, length);
    return loom_index_put_raw(batch, table, key, key_bytes, value, sizeof record + length, err);
}

/* The text is copied and ended with NUL. False: not a note. */
static bool read_note(const MDB_val *value, loom_note_record *record, char text[TEXT_BYTES_MAX + 1]) {
    if (value->mv_size < sizeof *record || value->mv_size > sizeof *record + TEXT_BYTES_MAX) return false;
    size_t length = value->mv_size - sizeof *record;
    memcpy(record, value->mv_data, sizeof *record);
    memcpy(text, (const uint8_t *)value->mv_data + sizeof *record, length);
    text[length] = '\0';
    return true;
}

/* ---- pins ---- */

static loom_status has_key(loom_index_batch *batch, MDB_dbi table, const uint8_t *key_bytes, size_t length, bool *has,
                           loom_error *err) {
    MDB_val key = {length, (void *)(uintptr_t)key_bytes}, value;
    int code = mdb_get(batch->txn, table, &key, &value);
    *has = code == MDB_SUCCESS;
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot read", err);
}

loom_status loom_index_pin(loom_index_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint8_t key[LOOM_SMALL_KEY_MAX];
    size_t length = loom_index_small_key(batch->index, rkey, owner, 0, key);
    bool pinned;
    LOOM_TRY(has_key(batch, batch->index->pins, key, length, &pinned, err));
    if (pinned) return LOOM_OK;
    batch->state.pins++;
    return put_note(batch, batch->index->pins, key, length, rkey, owner, err);
}

loom_status loom_index_unpin(loom_index_batch *batch, const loom_id *rkey, const char *owner, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint8_t key[LOOM_SMALL_KEY_MAX];
    size_t length = loom_index_small_key(batch->index, rkey, owner, 0, key);
    LOOM_TRY(loom_index_delete_raw(batch, batch->index->pins, key, length, err));
    if (batch->state.pins > 0) batch->state.pins--;
    return LOOM_OK;
}

loom_status loom_index_is_pinned(loom_index_batch *batch, const loom_id *rkey, bool *pinned, loom_error *err) {
    *pinned = false;
    if (batch->state.pins == 0) return LOOM_OK;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->pins, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    loom_id name = loom_index_name(batch->index, rkey);
    MDB_val key = {sizeof name.bytes, name.bytes}, value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    *pinned = code == MDB_SUCCESS && key.mv_size >= sizeof name.bytes &&
              memcmp(key.mv_data, name.bytes, sizeof name.bytes) == 0;
    mdb_cursor_close(cursor);
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot read", err);
}

typedef struct pin_visit {
    loom_pin_visit visit;
    void *context;
} pin_visit;

static bool visit_pin(const MDB_val *key, const MDB_val *value, void *context) {
    (void)key;
    const pin_visit *pins = context;
    loom_note_record record;
    char owner[TEXT_BYTES_MAX + 1];
    if (!read_note(value, &record, owner)) return true;
    return pins->visit(&(loom_pin_record){.rkey = record.rkey, .owner = owner, .created_ns = record.created_ns},
                       pins->context);
}

loom_status loom_index_each_pin(loom_index *index, loom_pin_visit visit, void *context, loom_error *err) {
    return loom_index_each_entry(index, index->pins, visit_pin, &(pin_visit){visit, context}, err);
}

/* ---- runs and goals ---- */

loom_status loom_index_begin_run(loom_index_batch *batch, const char *program, uint64_t *run, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    size_t number = (size_t)batch->state.runs + 1;
    LOOM_TRY(put_note(batch, batch->index->runs, &number, sizeof number, &(loom_id){{0}}, program, err));
    batch->state.runs = *run = number;
    return LOOM_OK;
}

loom_status loom_index_put_goal(loom_index_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint8_t key[LOOM_SMALL_KEY_MAX];
    size_t length = loom_index_small_key(batch->index, NULL, label, run, key);
    return put_note(batch, batch->index->goals, key, length, rkey, label, err);
}

typedef struct goal_visit {
    loom_goal_visit visit;
    void *context;
} goal_visit;

static bool visit_goal(const MDB_val *key, const MDB_val *value, void *context) {
    const goal_visit *goals = context;
    loom_note_record record;
    char label[TEXT_BYTES_MAX + 1];
    if (key->mv_size < 8 || !read_note(value, &record, label)) return true;
    const uint8_t *number = (const uint8_t *)key->mv_data + key->mv_size - 8;
    uint64_t run = 0;
    for (unsigned i = 0; i < 8; i++)
        run = run << 8 | number[i];
    return goals->visit(
        &(loom_goal_record){.label = label, .run = run, .rkey = record.rkey, .created_ns = record.created_ns},
        goals->context);
}

loom_status loom_index_each_goal(loom_index *index, loom_goal_visit visit, void *context, loom_error *err) {
    return loom_index_each_entry(index, index->goals, visit_goal, &(goal_visit){visit, context}, err);
}
