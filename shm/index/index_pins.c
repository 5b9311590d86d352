/* index_pins.c - who wants a result kept, and what runs were for: the tables `pins`, `goals`, `runs`. Keys and values:
 * shm/SCHEMA.md, "Index". They are small and read rarely; a pin may name a key that is not stored. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/index/index_batch.h"
#include "shm/seal/seal.h"

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

#define NOTE_BYTES_MAX (sizeof(loom_note_record) + TEXT_BYTES_MAX)

/* One entry, read. The text ends with NUL. */
typedef struct note {
    loom_note_record record;
    uint64_t run; /* the last eight bytes of a goal's key */
    char text[TEXT_BYTES_MAX + 1];
} note;

/* False: not a note. */
static bool read_note(const loom_index *index, MDB_dbi table, const MDB_val *key, const MDB_val *value, note *read) {
    uint8_t copy[NOTE_BYTES_MAX + LOOM_SEAL_OVERHEAD];
    size_t length = value->mv_size;
    if (length > sizeof copy || key->mv_size < 8) return false;
    memcpy(copy, value->mv_data, length);
    if (loom_index_open_value(index, table, key->mv_data, key->mv_size, copy, &length, NULL) != LOOM_OK) return false;
    if (length < sizeof read->record || length > NOTE_BYTES_MAX) return false;
    memcpy(&read->record, copy, sizeof read->record);
    length -= sizeof read->record;
    memcpy(read->text, copy + sizeof read->record, length);
    read->text[length] = '\0';
    const uint8_t *number = (const uint8_t *)key->mv_data + key->mv_size - 8;
    read->run = 0;
    for (unsigned i = 0; i < 8; i++)
        read->run = read->run << 8 | number[i];
    return true;
}

/* ---- every entry, in the order of the plain keys: an encrypted store has them in another ---- */

typedef bool (*note_visit)(const note *each, void *context);

typedef struct note_list {
    const loom_index *index;
    MDB_dbi table;
    note_visit visit;
    void *context;
    note **items; /* of an encrypted store, to be sorted */
    size_t count, capacity;
    bool exhausted;
} note_list;

static bool keep_note(note_list *list, const note *read) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        note **grown = realloc(list->items, capacity * sizeof(note *));
        if (grown == NULL) return false;
        list->items = grown;
        list->capacity = capacity;
    }
    size_t bytes = offsetof(note, text) + strlen(read->text) + 1;
    note *copy = malloc(bytes);
    if (copy == NULL) return false;
    memcpy(copy, read, bytes);
    list->items[list->count++] = copy;
    return true;
}

static bool visit_entry(const MDB_val *key, const MDB_val *value, void *context) {
    note_list *list = context;
    note read;
    if (!read_note(list->index, list->table, key, value, &read)) return true;
    if (list->index->cipher == NULL) return list->visit(&read, list->context);
    list->exhausted = !keep_note(list, &read);
    return !list->exhausted;
}

static int by_rkey(const void *a, const void *b) {
    const note *x = *(note *const *)a, *y = *(note *const *)b;
    int order = loom_id_compare(&x->record.rkey, &y->record.rkey);
    return order != 0 ? order : strcmp(x->text, y->text);
}

static int by_label(const void *a, const void *b) {
    const note *x = *(note *const *)a, *y = *(note *const *)b;
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->run > y->run) - (x->run < y->run);
}

static loom_status each_note(loom_index *index, MDB_dbi table, int (*order)(const void *, const void *),
                             note_visit visit, void *context, loom_error *err) {
    note_list list = {.index = index, .table = table, .visit = visit, .context = context};
    loom_status status = loom_index_each_entry(index, table, visit_entry, &list, err);
    if (list.exhausted)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    if (list.count > 0) qsort(list.items, list.count, sizeof(note *), order);
    bool more = status == LOOM_OK;
    for (size_t i = 0; i < list.count; i++) {
        more = more && visit(list.items[i], context);
        free(list.items[i]);
    }
    free(list.items);
    return status;
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

static bool visit_pin(const note *each, void *context) {
    const pin_visit *pins = context;
    loom_pin_record pin = {.rkey = each->record.rkey, .owner = each->text, .created_ns = each->record.created_ns};
    return pins->visit(&pin, pins->context);
}

loom_status loom_index_each_pin(loom_index *index, loom_pin_visit visit, void *context, loom_error *err) {
    return each_note(index, index->pins, by_rkey, visit_pin, &(pin_visit){visit, context}, err);
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

static bool visit_goal(const note *each, void *context) {
    const goal_visit *goals = context;
    loom_goal_record goal = {
        .label = each->text, .run = each->run, .rkey = each->record.rkey, .created_ns = each->record.created_ns};
    return goals->visit(&goal, goals->context);
}

loom_status loom_index_each_goal(loom_index *index, loom_goal_visit visit, void *context, loom_error *err) {
    return each_note(index, index->goals, by_label, visit_goal, &(goal_visit){visit, context}, err);
}
