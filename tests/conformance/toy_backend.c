/* toy_backend.c - the functions of backend.h for a toy store: everything is in memory while the store is open, and a
 * commit writes it to files. What a batch changes is a copy of the state, which the commit exchanges: so a batch that
 * is aborted was never there. Look-ups are linear: it is an example, not a store for many results. */
#include "toy_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/store/memory_files.h"
#include "toy_state.h"

typedef struct kept_piece {
    struct kept_piece *next;
    uint64_t aligned[]; /* the bytes */
} kept_piece;

typedef struct toy_store {
    loom_store base;
    char *folder;
    int folder_fd;           /* locked by the one that writes; -1 */
    loom_memory_files files; /* bulk bytes of this run */
    pthread_mutex_t lock;    /* of state and pieces */
    toy_state state;         /* committed */
    kept_piece *pieces;      /* bytes of rows and notes: freed with the store, so that readers need no counts */
    pthread_mutex_t writer;  /* held from a batch's first write to its end */
    bool writing;
    pthread_t writing_thread;
} toy_store;

typedef struct toy_batch {
    loom_batch base;
    bool active; /* has the writer's lock and a state of its own */
    toy_state state;
    uint64_t first_new_row;
} toy_batch;

static toy_store *toy_of(const loom_store *store) {
    return (toy_store *)store;
}

static loom_status exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the toy store");
}

static loom_status keep(void *context, const void *bytes, size_t length, void **kept, loom_error *err) {
    toy_store *store = context;
    kept_piece *piece = malloc(sizeof *piece + (length + 7) / 8 * 8);
    if (piece == NULL) return exhausted(err);
    if (length > 0) memcpy(piece->aligned, bytes, length);
    pthread_mutex_lock(&store->lock);
    piece->next = store->pieces;
    store->pieces = piece;
    pthread_mutex_unlock(&store->lock);
    *kept = piece->aligned;
    return LOOM_OK;
}

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

/* ---- rows of a state ---- */

/* The newest row of an id, decoded; its bytes last as long as the store. */
static toy_row *find_in(const toy_state *state, loom_find_by by, const loom_id *id, loom_result *result,
                        loom_row_kind *kind) {
    for (size_t i = state->row_count; i > 0; i--) {
        toy_row *row = &state->rows[i - 1];
        loom_row_header header;
        if (!loom_row_peek(row->bytes, row->length, &header)) continue;
        if (!loom_id_equal(by == LOOM_BY_RKEY ? &header.rkey : &header.vid, id)) continue;
        if (by == LOOM_BY_VID && (header.kind != LOOM_ROW_LIVE ||
                                  !loom_row_has_vid_entry(&header.rkey, &header.vid, (loom_type)header.type)))
            continue;
        if (loom_row_decode(row->bytes, row->length, row->number, result, kind, NULL) == LOOM_OK) return row;
    }
    return NULL;
}

static loom_status copy_result(const toy_row *row, loom_arena *arena, loom_result *result, loom_row_kind *kind,
                               loom_error *err) {
    const uint8_t *bytes = loom_arena_copy(arena, row->bytes, row->length);
    return bytes != NULL ? loom_row_decode(bytes, row->length, row->number, result, kind, err) : exhausted(err);
}

static void remove_row(toy_state *state, const toy_row *row) {
    size_t at = (size_t)(row - state->rows);
    memmove(&state->rows[at], &state->rows[at + 1], (state->row_count - at - 1) * sizeof *state->rows);
    state->row_count--;
}

/* Encodes a result (or its tombstone) as the row of that number: the existing `row`, or a new last one (NULL). */
static loom_status set_row(toy_store *store, toy_state *state, toy_row *row, const loom_result *result, bool tombstone,
                           loom_error *err) {
    uint64_t number = row != NULL ? row->number : state->next_row;
    size_t length = tombstone ? loom_row_encode_tombstone(result, number, NULL) : loom_row_bytes(result);
    uint8_t *bytes = malloc(length);
    void *kept = NULL;
    if (bytes == NULL) return exhausted(err);
    if (tombstone)
        loom_row_encode_tombstone(result, number, bytes);
    else
        loom_row_encode(result, number, bytes);
    loom_status status = keep(store, bytes, length, &kept, err);
    free(bytes);
    LOOM_TRY(status);
    if (row == NULL) {
        row = toy_add_row(state);
        if (row == NULL) return exhausted(err);
        state->next_row++;
    }
    *row = (toy_row){number, kept, length};
    return LOOM_OK;
}

/* ---- reading ---- */

static loom_status toy_find(loom_store *base, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err) {
    toy_store *store = toy_of(base);
    loom_result found;
    pthread_mutex_lock(&store->lock);
    const toy_row *row = find_in(&store->state, by, id, &found, kind);
    const toy_row copy = row != NULL ? *row : (toy_row){0};
    pthread_mutex_unlock(&store->lock);
    return copy.bytes != NULL ? copy_result(&copy, arena, result, kind, err) : LOOM_NOT_FOUND;
}

/* The committed state, copied, so that visits may look up. */
static loom_status snapshot(toy_store *store, toy_state *state, loom_error *err) {
    pthread_mutex_lock(&store->lock);
    loom_status status = toy_state_copy(&store->state, state, err);
    pthread_mutex_unlock(&store->lock);
    if (status != LOOM_OK) toy_state_free(state);
    return status;
}

static loom_status toy_scan(loom_store *base, loom_row_visit visit, void *context, loom_error *err) {
    toy_state state;
    LOOM_TRY(snapshot(toy_of(base), &state, err));
    bool more = true;
    for (size_t i = 0; i < state.row_count && more; i++)
        more = visit(state.rows[i].number, state.rows[i].bytes, state.rows[i].length, context);
    toy_state_free(&state);
    return LOOM_OK;
}

static int compare_notes(const void *a, const void *b) {
    const toy_note *left = a, *right = b;
    if (left->kind != right->kind) return left->kind < right->kind ? -1 : 1;
    int order = left->kind == TOY_PIN ? loom_id_compare(&left->id, &right->id) : strcmp(left->text, right->text);
    if (order == 0 && left->kind == TOY_PIN) order = strcmp(left->text, right->text);
    if (order != 0) return order;
    return left->run < right->run ? -1 : left->run > right->run;
}

static loom_status sorted_notes(toy_store *store, toy_state *state, loom_error *err) {
    LOOM_TRY(snapshot(store, state, err));
    size_t kept = 0;
    for (size_t i = 0; i < state->note_count; i++)
        if (state->notes[i].kind == TOY_PIN || state->notes[i].kind == TOY_GOAL) state->notes[kept++] = state->notes[i];
    state->note_count = kept;
    if (kept > 0) qsort(state->notes, kept, sizeof *state->notes, compare_notes);
    return LOOM_OK;
}

static loom_status toy_each_pin(loom_store *base, loom_pin_visit visit, void *context, loom_error *err) {
    toy_state state;
    LOOM_TRY(sorted_notes(toy_of(base), &state, err));
    bool more = true;
    for (size_t i = 0; i < state.note_count && more; i++) {
        const toy_note *note = &state.notes[i];
        const loom_pin_record pin = {.rkey = note->id, .owner = note->text, .created_ns = note->created_ns};
        if (note->kind == TOY_PIN) more = visit(&pin, context);
    }
    toy_state_free(&state);
    return LOOM_OK;
}

static loom_status toy_each_goal(loom_store *base, loom_goal_visit visit, void *context, loom_error *err) {
    toy_state state;
    LOOM_TRY(sorted_notes(toy_of(base), &state, err));
    bool more = true;
    for (size_t i = 0; i < state.note_count && more; i++) {
        const toy_note *note = &state.notes[i];
        const loom_goal_record goal = {
            .label = note->text, .run = note->run, .rkey = note->id, .created_ns = note->created_ns};
        if (note->kind == TOY_GOAL) more = visit(&goal, context);
    }
    toy_state_free(&state);
    return LOOM_OK;
}

static toy_note *find_file(const toy_state *state, const loom_file_stamp *stamp) {
    for (size_t i = 0; i < state->note_count; i++)
        if (state->notes[i].kind == TOY_FILE && state->notes[i].stamp.device == stamp->device &&
            state->notes[i].stamp.inode == stamp->inode)
            return &state->notes[i];
    return NULL;
}

static toy_note *find_text(const toy_state *state, toy_kind kind, const char *text, const loom_id *id) {
    for (size_t i = 0; i < state->note_count; i++)
        if (state->notes[i].kind == kind && strcmp(state->notes[i].text, text) == 0 &&
            (id == NULL || loom_id_equal(&state->notes[i].id, id)))
            return &state->notes[i];
    return NULL;
}

static loom_status toy_get_file(loom_store *base, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    (void)err;
    toy_store *store = toy_of(base);
    pthread_mutex_lock(&store->lock);
    const toy_note *note = find_file(&store->state, stamp);
    bool same = note != NULL && memcmp(&note->stamp, stamp, sizeof *stamp) == 0;
    if (same) *content = note->id;
    pthread_mutex_unlock(&store->lock);
    return same ? LOOM_OK : LOOM_NOT_FOUND;
}

static loom_status toy_get_meta(loom_store *base, const char *key, loom_arena *arena, const void **bytes,
                                size_t *length, loom_error *err) {
    toy_store *store = toy_of(base);
    pthread_mutex_lock(&store->lock);
    const toy_note *found = find_text(&store->state, TOY_META, key, NULL);
    const toy_note note = found != NULL ? *found : (toy_note){0};
    pthread_mutex_unlock(&store->lock);
    if (note.text == NULL) return LOOM_NOT_FOUND;
    *length = note.value_bytes;
    *bytes = loom_arena_copy(arena, note.value, note.value_bytes);
    return *bytes != NULL ? LOOM_OK : exhausted(err);
}

static loom_status toy_stat(loom_store *base, loom_store_stats *stats, loom_error *err) {
    toy_state state;
    LOOM_TRY(snapshot(toy_of(base), &state, err));
    for (size_t i = 0; i < state.row_count; i++) {
        loom_row_header header;
        if (!loom_row_peek(state.rows[i].bytes, state.rows[i].length, &header) || header.kind != LOOM_ROW_LIVE)
            continue;
        stats->rows++;
        stats->images += header.type == LOOM_IMAGE;
        stats->blobs += (header.flags & LOOM_ROW_BLOB) != 0;
        stats->payload_bytes += header.payload_bytes;
        stats->bulk_bytes += header.bulk.bytes;
    }
    for (size_t i = 0; i < state.note_count; i++)
        stats->pins += state.notes[i].kind == TOY_PIN;
    stats->processes = 1;
    toy_state_free(&state);
    return LOOM_OK;
}

static loom_status toy_token(const loom_store *base, char *text, size_t capacity) {
    static const char scheme[] = "toy:";
    if (capacity < sizeof scheme) return LOOM_TOO_LARGE;
    memcpy(text, scheme, sizeof scheme);
    return loom_memory_files_print(&toy_of(base)->files, text + sizeof scheme - 1, capacity - sizeof scheme + 1);
}

static size_t toy_inherit(const loom_store *base, int *fds, size_t capacity) {
    return loom_memory_files_list(&toy_of(base)->files, fds, capacity);
}

/* ---- batches ---- */

static loom_status toy_begin(loom_store *base, loom_batch **batch, loom_error *err) {
    toy_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return exhausted(err);
    made->base.store = base;
    *batch = &made->base;
    return LOOM_OK;
}

/* Waits for its turn at the first write, so that beginning early costs others nothing. */
static loom_status activate(toy_batch *batch, loom_error *err) {
    toy_store *store = toy_of(batch->base.store);
    if (batch->active) return LOOM_OK;
    pthread_mutex_lock(&store->lock);
    bool mine = store->writing && pthread_equal(store->writing_thread, pthread_self());
    pthread_mutex_unlock(&store->lock);
    if (mine) return loom_fail(err, LOOM_BUSY, "this thread writes to the store already; end its other batch first");
    pthread_mutex_lock(&store->writer);
    loom_status status = snapshot(store, &batch->state, err);
    if (status != LOOM_OK) {
        pthread_mutex_unlock(&store->writer);
        return status;
    }
    pthread_mutex_lock(&store->lock);
    store->writing = true;
    store->writing_thread = pthread_self();
    pthread_mutex_unlock(&store->lock);
    batch->active = true;
    batch->first_new_row = batch->state.next_row;
    return LOOM_OK;
}

/* The live row of a key as the batch sees it; LOOM_NOT_FOUND. */
static loom_status current(toy_batch *batch, const loom_id *rkey, toy_row **row, loom_result *result, loom_error *err) {
    loom_row_kind kind;
    LOOM_TRY(activate(batch, err));
    *row = find_in(&batch->state, LOOM_BY_RKEY, rkey, result, &kind);
    bool live = *row != NULL && kind == LOOM_ROW_LIVE && !loom_result_expired(result);
    return live ? LOOM_OK : LOOM_NOT_FOUND;
}

static loom_status toy_put(loom_batch *base, const loom_result *result, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_row *row = NULL;
    loom_result stored;
    loom_status status = current(batch, &result->rkey, &row, &stored, err);
    if (status == LOOM_OK && loom_row_same_value(&stored, result)) return LOOM_OK;
    if (status == LOOM_OK) return loom_store_irreproducible(&result->rkey, err);
    if (status != LOOM_NOT_FOUND) return status;
    if (row != NULL) remove_row(&batch->state, row); /* a tombstone */
    return set_row(toy_of(base->store), &batch->state, NULL, result, false, err);
}

static loom_status toy_erase(loom_batch *base, const loom_id *rkey, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_row *row;
    loom_result stored;
    LOOM_TRY(current(batch, rkey, &row, &stored, err));
    return set_row(toy_of(base->store), &batch->state, row, &stored, true, err);
}

static loom_status toy_forget(loom_batch *base, const loom_id *rkey, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    loom_result stored;
    loom_row_kind any;
    LOOM_TRY(activate(batch, err));
    const toy_row *row = find_in(&batch->state, LOOM_BY_RKEY, rkey, &stored, &any);
    if (row == NULL) return LOOM_NOT_FOUND;
    remove_row(&batch->state, row);
    return LOOM_OK;
}

static loom_status toy_replace(loom_batch *base, const loom_result *result, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_row *row;
    loom_result stored;
    LOOM_TRY(current(batch, &result->rkey, &row, &stored, err));
    if (!loom_row_same_value(&stored, result)) return loom_store_irreproducible(&result->rkey, err);
    stored.bulk = result->bulk;
    stored.codec = result->codec;
    stored.stored_bytes = result->stored_bytes;
    stored.codec_data = result->codec_data;
    stored.codec_data_bytes = result->codec_data_bytes;
    remove_row(&batch->state, row);
    return set_row(toy_of(base->store), &batch->state, NULL, &stored, false, err);
}

static loom_status toy_succeed(loom_batch *base, const loom_id *from, const loom_result *result, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_row *row;
    loom_result stored;
    LOOM_TRY(current(batch, from, &row, &stored, err));
    remove_row(&batch->state, row);
    return result != NULL ? toy_put(base, result, err) : LOOM_OK;
}

static loom_status toy_set_expiry(loom_batch *base, const loom_id *rkey, uint64_t expires_ns, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_row *row;
    loom_result stored;
    LOOM_TRY(current(batch, rkey, &row, &stored, err));
    stored.expires_ns = expires_ns;
    return set_row(toy_of(base->store), &batch->state, row, &stored, false, err);
}

/* A note with this text; `note` says the rest. */
static loom_status add_note(toy_batch *batch, toy_note note, const char *text, const void *value, size_t value_bytes,
                            loom_error *err) {
    toy_store *store = toy_of(batch->base.store);
    void *kept_text = NULL, *kept_value = NULL;
    LOOM_TRY(keep(store, text, strlen(text) + 1, &kept_text, err));
    LOOM_TRY(keep(store, value, value_bytes, &kept_value, err));
    toy_note *added = toy_add_note(&batch->state);
    if (added == NULL) return exhausted(err);
    note.text = kept_text;
    note.text_bytes = (uint32_t)strlen(text) + 1;
    note.value = kept_value;
    note.value_bytes = value_bytes;
    note.created_ns = now_ns();
    *added = note;
    return LOOM_OK;
}

static void remove_note(toy_state *state, toy_note *note) {
    *note = state->notes[--state->note_count];
}

static loom_status toy_pin(loom_batch *base, const loom_id *rkey, const char *owner, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    if (find_text(&batch->state, TOY_PIN, owner, rkey) != NULL) return LOOM_OK;
    return add_note(batch, (toy_note){.kind = TOY_PIN, .id = *rkey}, owner, NULL, 0, err);
}

static loom_status toy_unpin(loom_batch *base, const loom_id *rkey, const char *owner, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    toy_note *note = find_text(&batch->state, TOY_PIN, owner, rkey);
    if (note == NULL) return LOOM_NOT_FOUND;
    remove_note(&batch->state, note);
    return LOOM_OK;
}

static loom_status toy_begin_run(loom_batch *base, const char *program, uint64_t *run, loom_error *err) {
    (void)program; /* for people; the toy does not keep it */
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    *run = ++batch->state.runs;
    return LOOM_OK;
}

static loom_status toy_put_goal(loom_batch *base, uint64_t run, const char *label, const loom_id *rkey,
                                loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    for (size_t i = 0; i < batch->state.note_count; i++) {
        toy_note *note = &batch->state.notes[i];
        if (note->kind == TOY_GOAL && note->run == run && strcmp(note->text, label) == 0) {
            note->id = *rkey;
            return LOOM_OK;
        }
    }
    return add_note(batch, (toy_note){.kind = TOY_GOAL, .run = run, .id = *rkey}, label, NULL, 0, err);
}

static loom_status toy_put_file(loom_batch *base, const loom_file_stamp *stamp, const loom_id *content,
                                loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    toy_note *note = find_file(&batch->state, stamp);
    if (note != NULL) remove_note(&batch->state, note);
    return add_note(batch, (toy_note){.kind = TOY_FILE, .stamp = *stamp, .id = *content}, "", NULL, 0, err);
}

static loom_status toy_put_meta(loom_batch *base, const char *key, const void *bytes, size_t length, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    LOOM_TRY(activate(batch, err));
    toy_note *note = find_text(&batch->state, TOY_META, key, NULL);
    if (note != NULL) remove_note(&batch->state, note);
    return add_note(batch, (toy_note){.kind = TOY_META}, key, bytes, length, err);
}

static void end_batch(toy_batch *batch) {
    toy_store *store = toy_of(batch->base.store);
    toy_state_free(&batch->state);
    if (batch->active) {
        pthread_mutex_lock(&store->lock);
        store->writing = false;
        pthread_mutex_unlock(&store->lock);
        pthread_mutex_unlock(&store->writer);
    }
    free(batch);
}

/* A row and the bulk bytes that it names, out of memory into its file. */
static loom_status save_row(toy_store *store, const toy_row *row, loom_error *err) {
    loom_result result;
    loom_row_kind kind;
    LOOM_TRY(loom_row_decode(row->bytes, row->length, row->number, &result, &kind, err));
    if (result.bulk.bytes == 0) return toy_write_row(store->folder, row, NULL, 0, err);
    loom_view view;
    LOOM_TRY(loom_extent_view(store->base.extents, &result.bulk, false, &view, err));
    loom_status status = toy_write_row(store->folder, row, view.bytes, view.length, err);
    loom_extent_release(&view);
    return status;
}

/* Rows that keep their number but changed (tombstones, expiry) are written again under it: their old bytes are read
 * only through the old manifest, whose lengths no longer fit, so a crash in between loses that row and says so. */
static bool is_new(const toy_batch *batch, const toy_row *row) {
    if (row->number >= batch->first_new_row) return true;
    const toy_state *old = &toy_of(batch->base.store)->state;
    for (size_t i = 0; i < old->row_count; i++)
        if (old->rows[i].number == row->number) return old->rows[i].bytes != row->bytes;
    return true;
}

static loom_status toy_commit(loom_batch *base, loom_error *err) {
    toy_batch *batch = (toy_batch *)base;
    toy_store *store = toy_of(base->store);
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < batch->state.row_count && status == LOOM_OK && batch->active; i++)
        if (is_new(batch, &batch->state.rows[i])) status = save_row(store, &batch->state.rows[i], err);
    if (status == LOOM_OK && batch->active) status = toy_write_manifest(store->folder, &batch->state, err);
    if (status == LOOM_OK && batch->active) {
        pthread_mutex_lock(&store->lock);
        toy_state old = store->state;
        store->state = batch->state;
        batch->state = old;
        pthread_mutex_unlock(&store->lock);
    }
    end_batch(batch);
    return status;
}

static void toy_abort(loom_batch *base) {
    end_batch((toy_batch *)base);
}

/* ---- opening ---- */

static void toy_close(loom_store *base) {
    toy_store *store = toy_of(base);
    loom_extents_free(base->extents);
    loom_memory_files_close(&store->files);
    toy_state_free(&store->state);
    while (store->pieces != NULL) {
        kept_piece *next = store->pieces->next;
        free(store->pieces);
        store->pieces = next;
    }
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->writer);
    if (store->folder_fd >= 0) close(store->folder_fd);
    free(store->folder);
    free(store);
}

static const loom_store_ops toy_ops = {
    .close = toy_close,
    .token = toy_token,
    .inherit = toy_inherit,
    .find = toy_find,
    .scan = toy_scan,
    .each_pin = toy_each_pin,
    .each_goal = toy_each_goal,
    .get_file = toy_get_file,
    .get_meta = toy_get_meta,
    .stat = toy_stat,
    .begin = toy_begin,
    .put = toy_put,
    .erase = toy_erase,
    .forget = toy_forget,
    .replace = toy_replace,
    .succeed = toy_succeed,
    .set_expiry = toy_set_expiry,
    .pin = toy_pin,
    .unpin = toy_unpin,
    .begin_run = toy_begin_run,
    .put_goal = toy_put_goal,
    .put_file = toy_put_file,
    .put_meta = toy_put_meta,
    .commit = toy_commit,
    .abort = toy_abort,
};

/* Bulk bytes of a row from its file into memory; the row names their new place. */
static loom_status load_bulk(void *context, toy_row *row, const void *bulk, uint64_t bulk_bytes, loom_error *err) {
    toy_store *store = context;
    loom_result result;
    loom_row_kind kind;
    loom_extent_writer *writer = NULL;
    loom_reservation reservation = {.window = NULL};
    uint64_t root[2];
    LOOM_TRY(loom_row_decode(row->bytes, row->length, row->number, &result, &kind, err));
    if (bulk_bytes != result.bulk.bytes)
        return loom_fail(err, LOOM_CORRUPT, "the file of row %llu has another length", (unsigned long long)row->number);
    if (bulk_bytes == 0) return LOOM_OK;
    LOOM_TRY(loom_extent_writer_open(store->base.extents, &writer, err));
    loom_status status = loom_extent_reserve(writer, bulk_bytes, LOOM_RESERVE_WINDOW, &reservation, err);
    if (status == LOOM_OK) {
        memcpy(reservation.window, bulk, bulk_bytes);
        status = loom_extent_seal(writer, &reservation, NULL, root, err);
    }
    loom_extent_writer_close(writer);
    result.bulk = reservation.placement;
    return status == LOOM_OK ? set_row(store, NULL, row, &result, false, err) : status;
}

static loom_status make_store(const char *place, loom_memory_files files, uint32_t own, toy_store **made,
                              loom_error *err) {
    toy_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        loom_memory_files_close(&files);
        return exhausted(err);
    }
    store->base = (loom_store){.ops = &toy_ops,
                               .compression_level = 1,
                               .cold_after_s = 1,
                               .generation = loom_fork_generation(),
                               .in_memory = true};
    store->files = files;
    store->folder_fd = -1;
    store->state.next_row = 1;
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->writer, NULL);
    store->folder = strdup(place);
    store->base.path = store->folder;
    loom_status status = store->folder != NULL ? LOOM_OK : exhausted(err);
    if (status == LOOM_OK) status = loom_memory_files_open(&store->files, own, false, place, &store->base.extents, err);
    store->base.stored = store->base.extents;
    *made = store;
    if (status != LOOM_OK) toy_close(&store->base);
    return status;
}

/* One writer at a time: a second would not see what the first commits. The lock ends with the process. */
static loom_status lock_folder(toy_store *store, const loom_store_options *options, loom_error *err) {
    if (options->create && mkdir(store->folder, 0700) != 0 && errno != EEXIST)
        return loom_fail_errno(err, errno, "cannot make %s", store->folder);
    store->folder_fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->folder_fd < 0) return loom_fail_errno(err, errno, "cannot open %s; create it", store->folder);
    if (options->read_only || flock(store->folder_fd, LOCK_EX | LOCK_NB) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_BUSY, "another process or handle writes to %s; wait for its end", store->folder);
}

static loom_status load(toy_store *store, const loom_store_options *options, loom_error *err) {
    LOOM_TRY(lock_folder(store, options, err));
    loom_status status = toy_read(store->folder, &store->state, keep, load_bulk, store, err);
    if (status != LOOM_NOT_FOUND) return status;
    if (!options->create)
        return loom_fail(err, LOOM_NOT_FOUND, "there is no toy store at %s; create it", store->folder);
    return toy_write_manifest(store->folder, &store->state, err);
}

static loom_status toy_open(const loom_store_options *options, const char *place, loom_store **store, loom_error *err) {
    toy_store *made;
    loom_memory_files files;
    if (options->key != NULL) return loom_fail(err, LOOM_UNSUPPORTED, "a toy store is never encrypted");
    LOOM_TRY(loom_memory_files_make(options->memory_writers, &files, err));
    LOOM_TRY(make_store(place, files, 0, &made, err));
    loom_status status = load(made, options, err);
    if (status != LOOM_OK) {
        toy_close(&made->base);
        return status;
    }
    made->base.writable = !options->read_only;
    *store = &made->base;
    return LOOM_OK;
}

/* A worker writes bulk bytes and maps them; it has no rows. */
static loom_status toy_attach(const char *token, uint32_t writer_index, loom_store **store, loom_error *err) {
    toy_store *made;
    loom_memory_files files;
    uint32_t own;
    LOOM_TRY(loom_memory_files_take(token, &files, err));
    loom_status status = loom_memory_files_own(&files, writer_index, &own, err);
    if (status != LOOM_OK) {
        loom_memory_files_close(&files);
        return status;
    }
    LOOM_TRY(make_store("toy", files, own, &made, err));
    *store = &made->base;
    return LOOM_OK;
}

loom_status toy_register(loom_error *err) {
    static const loom_backend backend = {.scheme = "toy:", .open = toy_open, .attach = toy_attach};
    return loom_store_register(&backend, err);
}
