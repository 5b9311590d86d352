/* crash_model.c - see crash_model.h. */
#include "crash_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/care/admin.h"
#include "shm/codec/cold.h"
#include "shm/extent/space.h"
#include "shm/pack/backup.h"
#include "shm/probe.h"
#include "shm/store/store.h"
#include "shm/stream/stream.h"

#define CONTENT_MAX 320000u
#define HASHES_MAX 2u

unsigned model_keys = MODEL_KEYS;

/* ---- numbers ---- */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *random, uint32_t limit) {
    return (uint32_t)(mix(random) >> 32) % limit;
}

void crash_folder(char path[256]) {
    const char *root = getenv("TMPDIR");
    if (root == NULL || *root == '\0' || strlen(root) > 200) root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, 256, "%s/loom-crash-XXXXXX", root);
    if (mkdtemp(path) == NULL) abort();
}

/* ---- what a number stands for ---- */

model_kind model_kind_of(unsigned number) {
    static const model_kind kinds[] = {MODEL_WINDOW, MODEL_WINDOW, MODEL_PWRITE, MODEL_SMOOTH,
                                       MODEL_BLOB,   MODEL_STREAM, MODEL_BYTES,  MODEL_RECORD,
                                       MODEL_BYTES,  MODEL_WINDOW, MODEL_SMOOTH, MODEL_SEQUENCE};
    return kinds[number % (sizeof kinds / sizeof *kinds)];
}

static bool is_image(unsigned number) {
    return model_kind_of(number) <= MODEL_SMOOTH;
}

static uint64_t content_bytes(unsigned number) {
    uint64_t random = number;
    switch (model_kind_of(number)) {
    case MODEL_BLOB:
        return 17000 + random_below(&random, 30000);
    case MODEL_STREAM:
        return 8000 + random_below(&random, 60000);
    case MODEL_BYTES:
        return 62;
    default:
        return 3 * (number % 37 == 0 ? CONTENT_MAX / 3 : 1 + random_below(&random, 7000));
    }
}

static void fill(unsigned number, uint8_t *bytes, uint64_t length) {
    uint64_t random = UINT64_C(0x5eed) + number, word;
    bool smooth = model_kind_of(number) == MODEL_SMOOTH;
    for (uint64_t at = 0; at < length; at += sizeof word) {
        if (!smooth || at % 256 == 0) word = mix(&random);
        memcpy(bytes + at, &word, length - at < sizeof word ? length - at : sizeof word);
    }
}

/* For checks and writers of this process: one at a time. */
static uint8_t content[CONTENT_MAX + 16];

static const uint8_t *content_of(unsigned number, uint64_t *length) {
    fill(number, content, *length = content_bytes(number));
    return content;
}

bool model_has_bulk(unsigned number) {
    return model_kind_of(number) <= MODEL_BLOB ||
           (model_kind_of(number) == MODEL_STREAM && content_bytes(number) + 5 > LOOM_STREAM_INLINE_BYTES);
}

bool model_is_pinned(unsigned number) {
    return number % 24 == 0;
}

loom_id model_rkey(unsigned number) {
    char text[32];
    return loom_sha256(text, (size_t)snprintf(text, sizeof text, "crash %u", number));
}

typedef struct made_value {
    loom_image_header header;
    loom_field fields[3];
    loom_value items[9], value;
    char name[32];
} made_value;

/* Its text points into `content`. */
static void make_value(unsigned number, made_value *made) {
    uint64_t length;
    const uint8_t *bytes = content_of(number, &length);
    switch (model_kind_of(number)) {
    case MODEL_RECORD: {
        int written = snprintf(made->name, sizeof made->name, "patient %u", number);
        made->fields[0] = (loom_field){"name", 4, loom_string(made->name, (size_t)written)};
        made->fields[1] = (loom_field){"age", 3, loom_int(number % 90)};
        made->fields[2] = (loom_field){"score", 5, loom_float(number / 7.0)};
        made->value = loom_record(made->fields, 3);
        return;
    }
    case MODEL_SEQUENCE:
        for (unsigned i = 0; i < 9; i++)
            made->items[i] = loom_int((int64_t)number * 1000 + i);
        made->value = loom_sequence(made->items, 9);
        return;
    case MODEL_BLOB:
    case MODEL_STREAM:
    case MODEL_BYTES:
        made->value = loom_bytes(bytes, length);
        return;
    default:
        made->header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){length / 3, 3});
        made->value = loom_image(&made->header, bytes);
    }
}

bool model_equals(unsigned number, const loom_value *value) {
    made_value expected;
    make_value(number, &expected);
    return loom_value_equal(value, &expected.value);
}

/* ---- looking ---- */

static model_state judge(loom_store *store, unsigned number, loom_arena *arena, const loom_result *found, char *why) {
    loom_error err = {0};
    loom_view view = {0};
    loom_value value;
    loom_id rkey = model_rkey(number);
    if (!loom_id_equal(&found->rkey, &rkey)) return snprintf(why, 256, "another result's key"), MODEL_WRONG;
    loom_status status = loom_store_verify(store, found, &err);
    snprintf(why, 256, "verify: %s: %.200s", loom_status_name(status), err.message);
    if (status != LOOM_OK) return status == LOOM_CORRUPT ? MODEL_DAMAGED : MODEL_WRONG;
    status = loom_store_value(store, found, arena, &value, &view, &err);
    snprintf(why, 256, "value: %s: %.200s", loom_status_name(status), err.message);
    if (status == LOOM_NOT_FOUND) return MODEL_GONE; /* deleted between the two; it asks for the row again */
    if (status != LOOM_OK) return status == LOOM_CORRUPT ? MODEL_DAMAGED : MODEL_WRONG;
    bool equal = model_equals(number, &value);
    loom_extent_release(&view);
    snprintf(why, 256, "other bytes than were stored");
    return equal ? MODEL_EXACT : MODEL_WRONG;
}

static model_state look_for_trace(loom_store *store, const loom_id *rkey, char *why) {
    loom_error err = {0};
    loom_id vid;
    loom_type type;
    loom_status status = loom_store_trace(store, rkey, &vid, &type, &err);
    snprintf(why, 256, "trace: %s: %.200s", loom_status_name(status), err.message);
    return status == LOOM_OK ? MODEL_GONE : status == LOOM_NOT_FOUND ? MODEL_ABSENT : MODEL_WRONG;
}

model_state model_check(loom_store *store, unsigned number, char *why) {
    loom_error err = {0};
    loom_id rkey = model_rkey(number);
    loom_result found;
    loom_hold hold = {0};
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) abort();
    loom_status status = loom_store_hold(store, &rkey, arena, &found, &hold, &err);
    model_state state = MODEL_WRONG;
    if (status == LOOM_NOT_FOUND)
        state = look_for_trace(store, &rkey, why);
    else if (status != LOOM_OK)
        snprintf(why, 256, "find: %s: %.200s", loom_status_name(status), err.message);
    else
        state = judge(store, number, arena, &found, why);
    if (status == LOOM_OK) loom_store_unhold(store, &hold);
    loom_arena_free(arena);
    return state;
}

/* ---- making ---- */

typedef struct made_result {
    loom_result result;
    loom_buffer payload;
    uint64_t hashes[HASHES_MAX];
} made_result;

static loom_status get_writer(actor *of, loom_error *err) {
    if (of->writer != NULL) return LOOM_OK;
    return loom_extent_writer_open(loom_store_extents(of->store), &of->writer, err);
}

void actor_close(actor *of) {
    loom_extent_writer_close(of->writer);
    loom_store_close(of->store);
    *of = (actor){.backup = of->backup};
}

static loom_status write_at(int fd, const uint8_t *bytes, uint64_t length, uint64_t offset, loom_error *err) {
    while (length > 0) {
        uint64_t piece = length < 30000 ? length : 30000;
        ssize_t done = pwrite(fd, bytes, piece, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return loom_fail_errno(err, done < 0 ? errno : EIO, "cannot write an image");
        LOOM_PROBE("write:piece");
        bytes += done, offset += (uint64_t)done, length -= (uint64_t)done;
    }
    return LOOM_OK;
}

/* As a kernel does it: reserve, write, seal. */
static loom_status write_bulk(actor *of, unsigned number, const uint8_t *bytes, uint64_t length, made_result *made,
                              loom_error *err) {
    bool window = model_kind_of(number) != MODEL_PWRITE;
    loom_reservation reservation;
    LOOM_TRY(get_writer(of, err));
    LOOM_TRY(loom_extent_reserve(of->writer, length, window ? LOOM_RESERVE_WINDOW : 0, &reservation, err));
    loom_status status = LOOM_OK;
    if (window) {
        memcpy(reservation.window, bytes, length / 2);
        LOOM_PROBE("write:window");
        memcpy((uint8_t *)reservation.window + length / 2, bytes + length / 2, length - length / 2);
        LOOM_PROBE("write:complete");
    } else {
        status = write_at(reservation.fd, bytes, length, reservation.placement.offset, err);
    }
    if (status != LOOM_OK) {
        loom_extent_abandon(of->writer, &reservation);
        return status;
    }
    LOOM_TRY(loom_extent_seal(of->writer, &reservation, made->hashes, made->result.root, err));
    made->result.bulk = reservation.placement;
    made->result.block_hashes = made->hashes;
    return LOOM_OK;
}

static loom_status make_result(actor *of, unsigned number, made_result *made, loom_error *err) {
    made_value value;
    *made = (made_result){0};
    make_value(number, &value);
    made->result = (loom_result){.rkey = model_rkey(number),
                                 .type = value.value.type,
                                 .created_ns = UINT64_C(1700000000000000000) + number,
                                 .cost_ns = 1000000 * (uint64_t)(1 + number * 7 % 23)};
    LOOM_TRY(loom_value_encode(&value.value, &made->payload));
    made->result.vid = made->result.rkey;
    if (is_image(number)) {
        LOOM_TRY(write_bulk(of, number, content, content_bytes(number), made, err));
    } else if (model_kind_of(number) == MODEL_BLOB) {
        made->result.blob = true;
        return write_bulk(of, number, made->payload.bytes, made->payload.length, made, err);
    } else {
        made->result.vid = loom_sha256(made->payload.bytes, made->payload.length);
    }
    made->result.payload = made->payload.bytes;
    made->result.payload_bytes = made->payload.length;
    return LOOM_OK;
}

/* ---- operations ---- */

const char *op_name(op_kind kind) {
    static const char *const names[] = {"put",   "stream",  "delete", "replace", "compress",
                                        "evict", "reclaim", "gc",     "backup",  "abandon"};
    return kind < OP_KINDS ? names[kind] : "?";
}

bool op_puts(const op *todo) {
    return todo->kind == OP_PUT || todo->kind == OP_STREAM;
}

bool op_deletes(const op *todo) {
    return todo->kind == OP_DELETE;
}

static bool fits(op_kind kind, unsigned number) {
    switch (kind) {
    case OP_STREAM:
        return model_kind_of(number) == MODEL_STREAM;
    case OP_PUT:
        return model_kind_of(number) != MODEL_STREAM;
    case OP_REPLACE:
        return is_image(number);
    default:
        return true;
    }
}

op op_random(uint64_t *random, const unsigned *weights) {
    unsigned total = 0, kind = 0;
    for (unsigned i = 0; i < OP_KINDS; i++)
        total += weights[i];
    for (unsigned drawn = random_below(random, total); drawn >= weights[kind]; kind++)
        drawn -= weights[kind];
    op todo = {.kind = (op_kind)kind};
    static const unsigned most[OP_KINDS] = {[OP_PUT] = OP_KEYS, [OP_STREAM] = 1, [OP_DELETE] = 6, [OP_REPLACE] = 1};
    unsigned count = most[kind] == 0 ? 0 : 1 + random_below(random, most[kind]);
    while (todo.count < count) {
        unsigned number = random_below(random, model_keys);
        if (!fits(todo.kind, number)) continue;
        bool again = false;
        for (unsigned i = 0; i < todo.count; i++)
            again = again || todo.keys[i] == number;
        if (again)
            count--;
        else
            todo.keys[todo.count++] = (uint16_t)number;
    }
    return todo;
}

static loom_status put_all(loom_batch *batch, const op *todo, const made_result *made, loom_error *err) {
    for (unsigned i = 0; i < todo->count; i++) {
        LOOM_TRY(loom_batch_put(batch, &made[i].result, err));
        if (model_is_pinned(todo->keys[i])) LOOM_TRY(loom_batch_pin(batch, &made[i].result.rkey, "hand", err));
    }
    return LOOM_OK;
}

static loom_status end_batch(loom_batch *batch, loom_status status, loom_error *err) {
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

static loom_status put_made(actor *of, const op *todo, const made_result *made, loom_error *err) {
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(of->store, &batch, err));
    loom_status status = LOOM_OK;
    for (unsigned i = 0; i < todo->count && status == LOOM_OK; i++)
        status = loom_batch_prepare(batch, &made[i].result, err);
    if (status == LOOM_OK) status = put_all(batch, todo, made, err);
    return end_batch(batch, status, err);
}

static loom_status run_put(actor *of, const op *todo, loom_error *err) {
    made_result made[OP_KEYS] = {0};
    loom_status status = LOOM_OK;
    for (unsigned i = 0; i < todo->count && status == LOOM_OK; i++)
        status = make_result(of, todo->keys[i], &made[i], err);
    bool complete = status == LOOM_OK;
    if (complete) status = put_made(of, todo, made, err);
    for (unsigned i = 0; i < todo->count; i++) {
        /* No batch will name it. */
        if (!complete) loom_extent_recycle(loom_store_extents(of->store), &made[i].result.bulk);
        loom_buffer_free(&made[i].payload);
    }
    return status;
}

static loom_status run_stream(actor *of, unsigned number, loom_error *err) {
    loom_stream_writer *stream;
    uint64_t length, done = 0;
    const uint8_t *bytes = content_of(number, &length);
    loom_stream_options options = {
        .rkey = model_rkey(number), .type = LOOM_BYTES, .bytes = number % 8 < 4 ? length : 0};
    LOOM_TRY(loom_stream_writer_create(of->store, &options, &stream, err));
    while (done < length) {
        uint64_t piece = length - done < 20000 ? length - done : 20000;
        loom_status status = loom_stream_writer_write(stream, bytes + done, piece, err);
        if (status != LOOM_OK) {
            loom_stream_writer_abort(stream);
            return status;
        }
        done += piece;
    }
    return loom_stream_writer_commit(stream, NULL, err);
}

static loom_status run_delete(actor *of, const op *todo, loom_error *err) {
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(of->store, &batch, err));
    loom_status status = LOOM_OK;
    for (unsigned i = 0; i < todo->count && status == LOOM_OK; i++) {
        loom_id rkey = model_rkey(todo->keys[i]);
        status = loom_batch_delete(batch, &rkey, err);
        if (status == LOOM_NOT_FOUND) status = LOOM_OK;
    }
    return end_batch(batch, status, err);
}

static loom_status run_replace(actor *of, unsigned number, loom_error *err) {
    made_result made = {0};
    loom_batch *batch;
    loom_status status = make_result(of, number, &made, err);
    if (status == LOOM_OK) status = loom_store_begin(of->store, &batch, err);
    if (status == LOOM_OK) {
        status = loom_batch_replace(batch, &made.result, err);
        status = end_batch(batch, status == LOOM_NOT_FOUND ? LOOM_OK : status, err);
    }
    loom_buffer_free(&made.payload);
    return status;
}

static loom_status run_abandon(actor *of, loom_error *err) {
    loom_reservation reservation;
    uint64_t hashes[1], root[2];
    LOOM_TRY(get_writer(of, err));
    LOOM_TRY(loom_extent_reserve(of->writer, 9000, LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED, &reservation, err));
    loom_extent_abandon(of->writer, &reservation);
    LOOM_TRY(loom_extent_reserve(of->writer, 5000, LOOM_RESERVE_WINDOW, &reservation, err));
    memset(reservation.window, 0xee, 5000);
    LOOM_TRY(loom_extent_seal(of->writer, &reservation, hashes, root, err));
    loom_extent_recycle(loom_store_extents(of->store), &reservation.placement);
    return LOOM_OK;
}

static loom_status run_gc(actor *of, loom_error *err) {
    loom_gc_report report;
    loom_extent_writer_close(of->writer); /* or what it has reserved keeps gc from looking */
    of->writer = NULL;
    return loom_store_gc(of->store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &report, err);
}

loom_status op_run(actor *of, const op *todo, loom_error *err) {
    loom_store_parts parts;
    loom_evicted evicted = {0};
    loom_cold_report cold;
    loom_pack_report packed;
    LOOM_TRY(loom_store_parts_of(of->store, &parts, err));
    switch (todo->kind) {
    case OP_PUT:
        return run_put(of, todo, err);
    case OP_STREAM:
        return run_stream(of, todo->keys[0], err);
    case OP_DELETE:
        return run_delete(of, todo, err);
    case OP_REPLACE:
        return run_replace(of, todo->keys[0], err);
    case OP_COMPRESS:
        return loom_store_compress_cold(of->store, &(loom_cold_options){.thorough = true, .threads = 1}, &cold, err);
    case OP_EVICT:
        return loom_space_evict(parts.space, 100000, false, &evicted, err);
    case OP_RECLAIM:
        return loom_space_reclaim(parts.space, loom_space_reuse_bytes(parts.space), err);
    case OP_GC:
        return run_gc(of, err);
    case OP_BACKUP:
        return loom_backup(of->store, of->backup, NULL, NULL, &packed, err);
    default:
        return run_abandon(of, err);
    }
}
