/* One task, from its key to its publication:
 *
 *   key       rkey = H(operator, version, attributes, vid of each argument, content of each input file)
 *   look up   the store may have it by now: then nothing runs
 *   run       the kernel writes its result in place
 *   publish   value id, payload, placement; then loom_task_finish readies whoever waits */
#include <string.h>
#include <time.h>

#include "planner/domain.h"
#include "planner/key.h"
#include "runtime/inputs.h"
#include "runtime/kernels/fused/tape.h"
#include "runtime/kernels/kernels.h"
#include "runtime/task_result.h"
#include "runtime/worker/worker.h"
#include "shm/platform_file.h"
#include "shm/segment/signs.h"
#include "shm/usdt.h"

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

/* ---- the key ---- */

/* Of a fused task (`tape`) it is that of its last member's result. */
static loom_status find_key(loom_worker *worker, loom_call *call, const loom_tape *tape) {
    loom_task *task = worker->task;
    const uint32_t *numbers = loom_segment_pointer(worker->segment, task->arguments);
    loom_id *vids = loom_arena_array(worker->arena, task->argument_count, sizeof *vids);
    if (!vids) return loom_segment_full(call->err);
    for (uint32_t i = 0; i < task->argument_count; i++)
        vids[i] = loom_segment_task(worker->segment, numbers[i])->vid;
    if (tape) {
        loom_id keys[LOOM_TAPE_MEMBERS_MAX];
        loom_tape_keys(worker->hasher, tape, vids, keys);
        task->rkey = keys[tape->member_count - 1];
        return LOOM_OK;
    }
    loom_key_parts parts = {.vids = vids, .vid_count = task->argument_count};
    if (task->attributes)
        parts.attributes = loom_segment_get(worker->segment, task->attributes, &parts.attributes_bytes);
    if (call->op->flags & LOOM_OP_READS_FILES) LOOM_TRY(loom_key_inputs(call, loom_worker_hash_file, worker, &parts));
    task->rkey = loom_result_key(worker->hasher, call->op, &parts);
    return LOOM_OK;
}

/* ---- the store ---- */

static loom_status need_writer(loom_worker *worker, loom_error *err) {
    return worker->writer ? LOOM_OK : loom_extent_writer_open(loom_store_extents(worker->store), &worker->writer, err);
}

/* Whether a stored result is what it should be: its bytes, the items that it refers to, the file that it wrote. */
static bool is_good(loom_worker *worker, const loom_operator *op, const loom_result *result) {
    loom_error damage = {0};
    if (op->flags & LOOM_OP_EFFECT) return loom_effect_holds(result, worker->arena, loom_worker_hash_file, worker);
    /* What is decoded next (make_mappable) is compared with its hashes there. */
    if (result->codec == LOOM_CODEC_RAW && loom_store_verify(worker->store, result, &damage) != LOOM_OK) return false;
    return result->type != LOOM_SEQUENCE || loom_worker_has_items(worker, result);
}

/* A raw copy where the stored bytes cannot be mapped. */
static loom_status make_mappable(loom_worker *worker, loom_result *result, loom_error *err) {
    bool fresh;
    if (result->codec == LOOM_CODEC_RAW) return LOOM_OK;
    LOOM_TRY(need_writer(worker, err));
    LOOM_TRY(loom_store_materialise(worker->store, worker->writer, worker->arena, result, &fresh, err));
    if (fresh) worker->task->flags |= LOOM_TASK_FRESH;
    return LOOM_OK;
}

/* Takes a stored result over, if there is one and its bytes are good. It stays held: the coordinator hears of it later.
 */
static loom_status take_stored(loom_worker *worker, const loom_operator *op, bool *taken, loom_error *err) {
    loom_task *task = worker->task;
    loom_result result;
    loom_hold hold = {0};
    *taken = false;
    loom_status status = loom_store_hold(worker->store, &task->rkey, worker->arena, &result, &hold, err);
    if (status == LOOM_NOT_FOUND) return LOOM_OK;
    if (status != LOOM_OK) return status;
    if (is_good(worker, op, &result)) {
        status = make_mappable(worker, &result, err);
        if (status == LOOM_OK && loom_task_adopt(worker->segment, task, &result) != LOOM_OK)
            status = loom_segment_full(err);
        *taken = status == LOOM_OK;
        if (*taken) task->flags &= (uint8_t)~LOOM_TASK_REPLACES;
    } else {
        task->flags |= LOOM_TASK_REPLACES; /* computed again; else the first, bad one would be kept for ever */
    }
    if (!*taken) loom_store_unhold(worker->store, &hold);
    if (status != LOOM_CORRUPT) return status;
    task->flags |= LOOM_TASK_REPLACES;
    return LOOM_OK;
}

/* ---- single flight ---- */

#define CLAIM_WAIT_MS_MAX 20

/* Claims cost about as much as the cheapest kernels: they are for what reads files, handles images or takes long. Where
 * locks belong to processes there are none: the coordinator could not give up a worker's, and another worker of this
 * run, which makes again what was not kept, would wait for ever. */
static bool is_worth_a_claim(const loom_worker *worker, const loom_operator *op) {
    const loom_task *task = worker->task;
    if (worker->afresh || !loom_file_locks_are_shared()) return false;
    if (op->flags & (LOOM_OP_EFFECT | LOOM_OP_NOT_STORED)) return false;
    if (op->flags & LOOM_OP_READS_FILES || loom_signature_result(op) == 'i' || op->cost >= LOOM_COST_GLOBAL)
        return true;
    const uint32_t *numbers = loom_segment_pointer(worker->segment, task->arguments);
    for (uint32_t i = 0; numbers && i < task->argument_count; i++) {
        const loom_task *argument = loom_segment_task(worker->segment, numbers[i]);
        if (argument && argument->type == LOOM_IMAGE) return true;
    }
    return false;
}

static loom_status wait_for_other_run(loom_worker *worker, long *wait_ms, loom_error *err) {
    loom_segment_set_wait(worker->segment, LOOM_WAIT_OTHER_RUN);
    if (loom_segment_stopped(worker->segment))
        return loom_fail(err, LOOM_CANCELLED, "stopped while another run computed this");
    loom_enter(LOOM_DOING_CLAIM);
    nanosleep(&(struct timespec){.tv_nsec = *wait_ms * 1000000}, NULL);
    loom_enter(LOOM_DOING_LOOKUP);
    if (*wait_ms < CLAIM_WAIT_MS_MAX) *wait_ms *= 2;
    return LOOM_OK;
}

/* Makes this run the only one that computes the key, or takes over what another run computes meanwhile. */
static loom_status claim_or_take(loom_worker *worker, const loom_operator *op, bool *taken, loom_error *err) {
    long wait_ms = 1;
    for (;;) {
        loom_status status = loom_store_claim(worker->store, &worker->task->rkey, err);
        if (status != LOOM_OK && status != LOOM_BUSY) return status;
        if (status == LOOM_OK) worker->task->flags |= LOOM_TASK_CLAIMED;
        LOOM_TRY(take_stored(worker, op, taken, err));
        if (*taken && status == LOOM_OK) loom_worker_unclaim(worker);
        if (*taken || status == LOOM_OK) return LOOM_OK;
        LOOM_TRY(wait_for_other_run(worker, &wait_ms, err));
    }
}

void loom_worker_unclaim(loom_worker *worker) {
    if (!(worker->task->flags & LOOM_TASK_CLAIMED)) return;
    worker->task->flags &= (uint8_t)~LOOM_TASK_CLAIMED;
    loom_store_unclaim(worker->store, &worker->task->rkey);
}

/* ---- publication ---- */

static loom_status seal(loom_worker *worker, loom_error *err) {
    size_t count = loom_extent_block_count(worker->reservation.placement.bytes);
    uint64_t *hashes = loom_arena_array(worker->arena, count, sizeof *hashes);
    if (!hashes) return loom_segment_full(err);
    worker->reservation.hashed = loom_worker_hash_blocks(worker, hashes);
    if (loom_worker_is_staged(worker)) LOOM_TRY(loom_worker_write_staged(worker, hashes, err));
    loom_placement bulk = worker->reservation.placement;
    worker->reserved = false;
    LOOM_TRY(loom_extent_seal(worker->writer, &worker->reservation, hashes, worker->task->root, err));
    worker->task->bulk = bulk;
    loom_worker_counters *counters = loom_segment_counters(worker->segment, worker->index);
    atomic_fetch_add_explicit(&counters->bytes_written, bulk.bytes, memory_order_relaxed);
    bool fits = loom_task_put_hashes(worker->segment, worker->task, hashes, count) == LOOM_OK;
    return fits ? LOOM_OK : loom_segment_full(err);
}

/* An encoded value too large for the index goes to an extent. */
static loom_status put_blob(loom_worker *worker, const loom_buffer *encoded, loom_error *err) {
    LOOM_TRY(need_writer(worker, err));
    LOOM_TRY(loom_extent_reserve(worker->writer, encoded->length, true, &worker->reservation, err));
    worker->reserved = true;
    memcpy(worker->reservation.window, encoded->bytes, encoded->length);
    worker->task->flags |= LOOM_TASK_BLOB;
    return seal(worker, err);
}

static bool refers(const loom_value *value) {
    if (value->type == LOOM_REFERENCE) return true;
    for (size_t i = 0; value->type == LOOM_SEQUENCE && i < value->sequence.count; i++)
        if (refers(&value->sequence.items[i])) return true;
    return false;
}

static loom_status publish(loom_worker *worker, const loom_value *value, loom_error *err) {
    loom_task *task = worker->task;
    loom_buffer encoded = {0};
    loom_status status = loom_value_encode(value, &encoded);
    if (status != LOOM_OK) loom_fail(err, status, "the result cannot be stored: %s", loom_status_message(status));
    bool image = value->type == LOOM_IMAGE, blob = !image && encoded.length > worker->inline_bytes;
    task->type = (uint8_t)value->type;
    task->origin = LOOM_ORIGIN_COMPUTED;
    task->refers = refers(value);
    task->vid = image || blob ? task->rkey : loom_sha256(encoded.bytes, encoded.length);
    if (status == LOOM_OK && image && !worker->reserved)
        status = loom_fail(err, LOOM_INTERNAL, "the operator returned an image that it did not make; please report it");
    if (status == LOOM_OK && image) status = seal(worker, err);
    if (status == LOOM_OK && blob)
        status = put_blob(worker, &encoded, err);
    else if (status == LOOM_OK &&
             loom_task_put_payload(worker->segment, task, encoded.bytes, encoded.length) != LOOM_OK)
        status = loom_segment_full(err);
    loom_buffer_free(&encoded);
    return status;
}

/* What an effect leaves in the store: where it wrote, and the content hash of what is there now. */
static loom_status publish_effect(loom_worker *worker, const loom_call *call, loom_error *err) {
    const loom_value *path = NULL;
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i].type == LOOM_STRING) path = &call->arguments[i];
    if (!path) return loom_fail(err, LOOM_INTERNAL, "an effect without a path; please report it");
    loom_effect_record record = {.path = loom_arena_text(worker->arena, path->text.bytes, path->text.length)};
    if (!record.path) return loom_segment_full(err);
    worker->hashed_count = 0;
    LOOM_TRY(loom_effect_content(record.path, loom_worker_hash_file, worker, &record.content, err));
    loom_value value;
    if (loom_effect_record_write(&record, worker->arena, &value) != LOOM_OK) return loom_segment_full(err);
    return publish(worker, &value, err);
}

static loom_status publish_memo(loom_worker *worker, loom_error *err) {
    if (!worker->memo_count) return LOOM_OK;
    worker->task->memo = loom_segment_put(worker->segment, worker->memo, worker->memo_count * sizeof *worker->memo);
    return worker->task->memo ? LOOM_OK : loom_segment_full(err);
}

/* ---- the whole ---- */

/* One file was hashed, the very one that the program names: there is no listing to compare. */
static bool read_named_file(const loom_worker *worker, const loom_call *call) {
    if (worker->hashed_count != 1 || call->argument_count == 0 || call->arguments[0].type != LOOM_STRING) return false;
    const char *path = worker->hashed[0].path;
    return strlen(path) == call->arguments[0].text.length &&
           memcmp(path, call->arguments[0].text.bytes, call->arguments[0].text.length) == 0;
}

/* What was read is what the key says: hashed files have kept their stat fields; a folder, or an image of several files,
 * is listed again. */
static loom_status inputs_unchanged(loom_worker *worker, loom_call *call) {
    if (!(call->op->flags & LOOM_OP_READS_FILES)) return LOOM_OK;
    if (worker->hashed_count) LOOM_TRY(loom_worker_inputs_unchanged(worker, call->err));
    if (read_named_file(worker, call)) return LOOM_OK;
    const loom_id before = worker->task->rkey;
    LOOM_TRY(find_key(worker, call, NULL));
    if (loom_id_equal(&before, &worker->task->rkey)) return LOOM_OK;
    return loom_fail(call->err, LOOM_STALE_INPUT, "what %s read changed meanwhile; run again when nobody writes there",
                     call->op->name);
}

static uint64_t thread_ns(void) {
    struct timespec used;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void add_cost(loom_task *task, uint64_t ns) {
    uint64_t microseconds = ns / 1000;
    task->cost_us = microseconds > UINT32_MAX - task->cost_us ? UINT32_MAX : task->cost_us + (uint32_t)microseconds;
}

static loom_status run_kernel(loom_worker *worker, loom_call *call) {
    const loom_kernel *kernel = loom_kernel_of(call->op);
    if (!kernel || !kernel->run)
        return loom_fail(call->err, LOOM_INTERNAL, "%s has no kernel, which the check of the plan lets nobody reach",
                         call->op->name);
    /* Of large images processor time: others may help, and waiting for them is no work. It takes a system call. */
    uint64_t (*clock_ns)(void) = loom_worker_is_large(call) ? thread_ns : now_ns;
    uint64_t start = clock_ns();
    loom_recorder_kernel_begins(worker->recorder);
    loom_status status = loom_worker_run_kernel(worker, call, kernel->run);
    loom_recorder_kernel_ends(worker->recorder);
    worker->culprit = call->culprit;
    LOOM_TRY(status);
    loom_enter(LOOM_DOING_PUBLISH);
    add_cost(worker->task, clock_ns() - start);
    if (call->op->flags & LOOM_OP_EFFECT) return publish_effect(worker, call, call->err);
    LOOM_TRY(inputs_unchanged(worker, call));
    return publish(worker, &call->result, call->err);
}

static loom_status execute(loom_worker *worker, loom_error *err) {
    loom_task *task = worker->task;
    if (task->operator_index >= worker->operators->count)
        return loom_fail(err, LOOM_INTERNAL, "a task names an operator that does not exist; please report it");
    const loom_operator *op = worker->operators->operators[task->operator_index];
    loom_value *arguments = NULL;
    loom_call call = {.op = op,
                      .argument_count = task->argument_count,
                      .services = &loom_worker_services,
                      .context = worker,
                      .arena = worker->arena,
                      .ring = worker->ring,
                      .tile_bytes = worker->tile_bytes,
                      .err = err};
    LOOM_TRY(loom_worker_attributes(worker, &call.attributes, err));
    loom_tape *tape = NULL;
    if (loom_kernel_of(op)->run == loom_run_fused) {
        tape = loom_arena_alloc(worker->arena, sizeof *tape);
        if (!tape) return loom_segment_full(err);
        LOOM_TRY(loom_tape_decode(call.attributes, task->argument_count, tape, err));
        op = tape->members[tape->member_count - 1].op; /* whose result it is; the call's stays loom.fused */
    }
    if (op->flags & LOOM_OP_READS_FILES) { /* their key depends on values */
        LOOM_TRY(loom_worker_arguments(worker, op, &arguments, err));
        call.arguments = arguments;
    }
    /* Found again even if the coordinator has found it: what it was found from may have changed when it was computed
     * again (an input file edited meanwhile), and a result must never be stored under the key of another. */
    loom_enter(LOOM_DOING_LOOKUP);
    const loom_id told = task->rkey;
    LOOM_TRY(find_key(worker, &call, tape));
    bool asked = task->flags & LOOM_TASK_NO_LOOKUP && loom_id_equal(&told, &task->rkey);
    bool taken = false, look = !asked && !worker->afresh && !(op->flags & LOOM_OP_NOT_STORED);
    if (look) LOOM_TRY(take_stored(worker, op, &taken, err));
    if (!taken && !loom_worker_may_begin(worker, op)) return LOOM_NO_MEMORY;
    if (!taken && !(task->flags & LOOM_TASK_REPLACES) && is_worth_a_claim(worker, op)) {
        loom_status status = claim_or_take(worker, op, &taken, err);
        loom_segment_set_wait(worker->segment, LOOM_WAIT_NONE);
        if (status != LOOM_OK) return status;
    }
    loom_value swept;
    bool found = false;
    if (!taken) LOOM_TRY(loom_worker_swept(worker, op, tape, &swept, &found, err));
    if (found) {
        LOOM_TRY(publish(worker, &swept, err));
    } else if (!taken) {
        LOOM_TRY(loom_worker_arguments(worker, op, &arguments, err));
        call.arguments = arguments;
        LOOM_TRY(run_kernel(worker, &call));
    }
    return publish_memo(worker, err);
}

static void count(loom_worker *worker, loom_status status, uint64_t busy_ns) {
    loom_worker_counters *counters = loom_segment_counters(worker->segment, worker->index);
    _Atomic uint64_t *outcome = status != LOOM_OK                            ? &counters->failed
                                : worker->task->origin == LOOM_ORIGIN_STORED ? &counters->reused
                                                                             : &counters->computed;
    atomic_fetch_add_explicit(outcome, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->busy_ns, busy_ns, memory_order_relaxed);
}

/* A task may have run before, in a worker that died: nothing of that attempt may remain. */
static void forget_attempt(loom_task *task) {
    task->inline_bytes = 0;
    task->payload = task->hashes = task->memo = task->error = 0;
    task->bulk = (loom_placement){0};
    task->root[0] = task->root[1] = 0;
    task->refers = 0;
    task->flags &= (uint8_t) ~(LOOM_TASK_BLOB | LOOM_TASK_LOST | LOOM_TASK_REPLACES | LOOM_TASK_FRESH);
    task->origin = LOOM_ORIGIN_NONE;
    task->cost_us = 0;
}

/* ---- no room ---- */

#define ROOM_WAIT_NS UINT64_C(3000000000)
#define ROOM_LOOK_NS 5000000

/* Room outside the store is not made by waiting. */
static bool writes_outside(const loom_worker *worker) {
    uint32_t index = worker->task->operator_index;
    return index < worker->operators->count && worker->operators->operators[index]->flags & LOOM_OP_EFFECT;
}

/* Whether waiting for room makes sense: others still run and may let results go, or something was finished lately,
 * which the coordinator is about to store and let go. */
static bool may_find_room(loom_worker *worker) {
    uint64_t finished = loom_segment_finished(worker->segment);
    if (!worker->starved_ns || finished != worker->starved_at || loom_segment_others_run(worker->segment)) {
        worker->starved_ns = now_ns();
        worker->starved_at = finished;
    }
    return now_ns() - worker->starved_ns < ROOM_WAIT_NS && !loom_segment_stopped(worker->segment);
}

/* The task waits until there is nothing else to do; this worker makes way for a moment. */
static void put_back(loom_worker *worker, uint32_t number) {
    loom_worker_unclaim(worker);
    loom_worker_release(worker);
    loom_recorder_task_put_back(worker->recorder);
    loom_task_put_back(worker->segment, number);
    nanosleep(&(struct timespec){.tv_nsec = ROOM_LOOK_NS}, NULL);
}

static const char *operator_name(const loom_worker *worker) {
    uint32_t index = worker->task->operator_index;
    return index < worker->operators->count ? worker->operators->operators[index]->name : "?";
}

void loom_worker_execute(loom_worker *worker, uint32_t number) {
    loom_error err = {0};
    uint64_t start = now_ns();
    worker->number = number;
    worker->culprit = UINT32_MAX;
    worker->task = loom_segment_task(worker->segment, number);
    LOOM_USDT3(task__start, number, operator_name(worker), worker->index);
    loom_recorder_task_begins(worker->recorder, worker->task->operator_index);
    loom_worker_admission_begin(worker);
    forget_attempt(worker->task);
    loom_status status = execute(worker, &err);
    uint64_t helped_ns = loom_worker_end_split(worker);
    if (status == LOOM_OK) add_cost(worker->task, helped_ns);
    if (status != LOOM_OK && worker->refused) {
        loom_worker_hold_back(worker, number);
        return;
    }
    if (status == LOOM_NO_SPACE && !writes_outside(worker) && may_find_room(worker)) {
        put_back(worker, number);
        return;
    }
    worker->starved_ns = 0;
    if (status != LOOM_OK) {
        loom_worker_unclaim(worker);
        if (err.status == LOOM_OK) loom_fail(&err, status, "%s", loom_status_message(status));
        if (status == LOOM_CORRUPT && worker->has_lost) {
            worker->task->flags |= LOOM_TASK_LOST;
            worker->task->vid = worker->lost;
        }
        worker->task->status = (uint16_t)status;
        const loom_task_failure failure = {.error = err, .member = worker->culprit};
        worker->task->error = loom_segment_put(worker->segment, &failure, sizeof failure);
    }
    count(worker, status, now_ns() - start);
    loom_worker_release(worker);
    loom_segment_keep_bytes(worker->segment, status == LOOM_OK ? loom_task_committed_bytes(worker->task) : 0);
    loom_recorder_task_ends(worker->recorder, worker->segment, number,
                            status == LOOM_OK ? LOOM_TASK_DONE : LOOM_TASK_FAILED);
    LOOM_USDT3(task__end, number, status, worker->task->origin);
    loom_task_finish(worker->segment, number, status == LOOM_OK ? LOOM_TASK_DONE : LOOM_TASK_FAILED);
}
