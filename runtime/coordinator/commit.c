/* The committer thread: takes what the main thread queued and appends it to the index in batches. It reads results
 * where workers left them, in the shared segment, where a finished task no longer changes. */
#include "runtime/coordinator/commit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/coordinator/task_recipe.h"
#include "runtime/task_result.h"
#include "runtime/worker/memo_list.h"
#include "shm/usdt.h"

#define BATCH_BYTES (UINT64_C(256) << 20)

typedef enum entry_kind {
    ENTRY_PUT,     /* a task, by the name `id` */
    ENTRY_REPLACE, /* a task whose result has another place now */
    ENTRY_NOTE,    /* the hashes of input files that the task read */
    ENTRY_FORGET   /* the key `id` */
} entry_kind;

typedef struct entry {
    entry_kind kind;
    uint32_t task;
    loom_id id;
} entry;

typedef struct entry_list {
    entry *entries;
    size_t count, capacity;
} entry_list;

typedef struct task_list {
    uint32_t *tasks;
    size_t count, capacity;
} task_list;

struct loom_committer {
    loom_store *store;
    loom_segment *segment;
    const loom_operator_table *operators;
    size_t batch_rows;
    uint64_t batch_ms, ttl_ns;
    loom_recorder *recorder; /* NULL: nobody asks */
    loom_arena *arena;       /* the thread's, reset per row */
    loom_hasher *hasher;     /* the thread's */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by either side */
    entry_list queued;      /* guarded by lock, as all below */
    uint64_t queued_bytes;  /* of bulk: working copies of an encrypted run wait for their batch in memory */
    bool busy, flush, hurry, stop;
    task_list stored, read; /* done with, not yet taken; and taken */
    _Atomic bool any_stored;
    loom_error error; /* the first */
    uint64_t irreproducible;
    loom_error first_difference;
};

/* ---- one row ---- */

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

static loom_result result_of(const loom_committer *committer, const entry *item, const loom_task *task,
                             const loom_buffer *recipe) {
    loom_result result = {.rkey = task->rkey,
                          .vid = task->vid,
                          .node = item->id,
                          .type = (loom_type)task->type,
                          .blob = (task->flags & LOOM_TASK_BLOB) != 0,
                          .worker = (uint32_t)(atomic_load_explicit(&task->state, memory_order_relaxed) >> 8 & 0xffff),
                          .bulk = task->bulk,
                          .block_hashes = loom_segment_pointer(committer->segment, task->hashes),
                          .root = {task->root[0], task->root[1]},
                          .recipe = recipe->bytes,
                          .recipe_bytes = recipe->length,
                          .created_ns = now_ns(CLOCK_REALTIME),
                          .cost_ns = (uint64_t)task->cost_us * 1000};
    if (committer->ttl_ns) result.expires_ns = result.created_ns + committer->ttl_ns;
    result.payload = loom_task_payload(committer->segment, task, &result.payload_bytes);
    return result;
}

static loom_status put_file_hashes(const loom_committer *committer, loom_batch *batch, const loom_task *task,
                                   loom_error *err) {
    size_t length = 0;
    const char *memo = task->memo ? loom_segment_get(committer->segment, task->memo, &length) : NULL;
    for (size_t at = 0; memo && at + sizeof(loom_memo_entry) <= length; at += sizeof(loom_memo_entry)) {
        loom_memo_entry memoised; /* copied: the segment's heap aligns to 4 bytes behind a length */
        memcpy(&memoised, memo + at, sizeof memoised);
        LOOM_TRY(loom_batch_put_file(batch, &memoised.stamp, &memoised.content, err));
    }
    return LOOM_OK;
}

static void note_difference(loom_committer *committer, const loom_task *task, const loom_error *err) {
    pthread_mutex_lock(&committer->lock);
    if (committer->irreproducible++ == 0) {
        committer->first_difference = *err;
        loom_error_node(&committer->first_difference,
                        loom_task_operator(committer->segment, committer->operators, task, committer->arena)->name);
    }
    pthread_mutex_unlock(&committer->lock);
}

static loom_status forget(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    loom_status status = loom_batch_delete(batch, rkey, err);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

/* What is gone meanwhile needs no other place. */
static loom_status replace(loom_committer *committer, loom_batch *batch, const entry *item, loom_error *err) {
    loom_result result =
        result_of(committer, item, loom_segment_task(committer->segment, item->task), &(loom_buffer){0});
    loom_status status = loom_batch_replace(batch, &result, err);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status put_entry(loom_committer *committer, loom_batch *batch, const entry *item, loom_error *err) {
    if (item->kind == ENTRY_FORGET) return forget(batch, &item->id, err);
    if (item->kind == ENTRY_REPLACE) return replace(committer, batch, item, err);
    const loom_task *task = loom_segment_task(committer->segment, item->task);
    if (item->kind == ENTRY_NOTE) return put_file_hashes(committer, batch, task, err);
    if (task->flags & LOOM_TASK_REPLACES) LOOM_TRY(forget(batch, &task->rkey, err));
    loom_buffer recipe = {0};
    loom_arena_reset(committer->arena);
    loom_status status =
        loom_task_recipe(committer->segment, committer->operators, task, committer->hasher, committer->arena, &recipe);
    if (status != LOOM_OK)
        loom_fail(err, status, "cannot describe how a result was computed: %s", loom_status_message(status));
    if (status == LOOM_OK) {
        loom_result result = result_of(committer, item, task, &recipe);
        loom_error difference = {0};
        status = loom_batch_put(batch, &result, &difference);
        if (status == LOOM_IRREPRODUCIBLE) {
            note_difference(committer, task, &difference);
            status = LOOM_OK;
        } else if (status != LOOM_OK) {
            *err = difference;
        }
    }
    loom_buffer_free(&recipe);
    return status == LOOM_OK ? put_file_hashes(committer, batch, task, err) : status;
}

/* What lies in a file of the store needs no memory once it is committed: its pages can be written and dropped. What
 * lies in memory needs it until the run lets go (release.c). */
static void release_memory(const loom_committer *committer, entry_kind kind, const loom_task *task) {
    if (loom_store_in_memory(committer->store) || loom_store_has_working_copies(committer->store)) return;
    if (kind != ENTRY_REPLACE && !(kind == ENTRY_PUT && task->origin == LOOM_ORIGIN_COMPUTED)) return;
    uint64_t bytes = loom_task_committed_bytes(task);
    if (bytes) loom_segment_release_bytes(committer->segment, bytes);
}

/* Other runs that wait for these results find them now or, if they could not be stored, compute them. */
static void give_up_claims(const loom_committer *committer, const entry_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].kind != ENTRY_PUT) continue;
        const loom_task *task = loom_segment_task(committer->segment, list->entries[i].task);
        if (task->flags & LOOM_TASK_CLAIMED) loom_store_unclaim(committer->store, &task->rkey);
    }
}

/* Stored: working copies may go. */
static void after_commit(const loom_committer *committer, const entry_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const entry *item = &list->entries[i];
        if (item->kind != ENTRY_FORGET)
            release_memory(committer, item->kind, loom_segment_task(committer->segment, item->task));
    }
}

/* Compression and encryption, where the store wants them: before the first put, which takes the writer lock. */
static loom_status prepare_entry(const loom_committer *committer, loom_batch *batch, const entry *item,
                                 loom_error *err) {
    if (item->kind != ENTRY_PUT) return LOOM_OK;
    const loom_task *task = loom_segment_task(committer->segment, item->task);
    if (task->bulk.bytes == 0 || task->origin == LOOM_ORIGIN_STORED) return LOOM_OK;
    loom_result result = result_of(committer, item, task, &(loom_buffer){0});
    return loom_batch_prepare(batch, &result, err);
}

static loom_status commit_entries(loom_committer *committer, const entry_list *list, loom_error *err) {
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(committer->store, &batch, err));
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < list->count && status == LOOM_OK; i++)
        status = prepare_entry(committer, batch, &list->entries[i], err);
    for (size_t i = 0; i < list->count && status == LOOM_OK; i++)
        status = put_entry(committer, batch, &list->entries[i], err);
    if (status != LOOM_OK) {
        loom_batch_abort(batch);
        return status;
    }
    LOOM_TRY(loom_batch_commit(batch, err));
    after_commit(committer, list);
    return LOOM_OK;
}

/* A batch that filled the index's map is written again: the store has made the map larger. What the first try noted is
 * noted again by the second. */
static loom_status commit_or_try_again(loom_committer *committer, const entry_list *list, loom_error *err) {
    uint64_t before = loom_committer_irreproducible(committer, NULL);
    loom_status status = commit_entries(committer, list, err);
    if (status != LOOM_NO_SPACE) return status;
    pthread_mutex_lock(&committer->lock);
    committer->irreproducible = before;
    pthread_mutex_unlock(&committer->lock);
    loom_error_clear(err);
    return commit_entries(committer, list, err);
}

/* ---- what is done with ---- */

/* With the lock held. Without memory for the list the tasks stay to the end of the run. */
static void give_back(loom_committer *committer, const entry_list *list) {
    task_list *stored = &committer->stored;
    if (stored->capacity - stored->count < list->count) {
        size_t capacity = (stored->count + list->count) * 2;
        uint32_t *grown = realloc(stored->tasks, capacity * sizeof *grown);
        if (!grown) return;
        stored->tasks = grown;
        stored->capacity = capacity;
    }
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].kind != ENTRY_FORGET) stored->tasks[stored->count++] = list->entries[i].task;
    /* relaxed: only says whether the lock is worth taking */
    atomic_store_explicit(&committer->any_stored, stored->count > 0, memory_order_relaxed);
    loom_segment_ring_doorbell(committer->segment);
}

void loom_committer_take_stored(loom_committer *committer, const uint32_t **tasks, size_t *count) {
    *tasks = NULL;
    *count = 0;
    if (!atomic_load_explicit(&committer->any_stored, memory_order_relaxed)) return;
    pthread_mutex_lock(&committer->lock);
    task_list taken = committer->stored;
    committer->stored = committer->read; /* its memory */
    committer->stored.count = 0;
    committer->read = taken;
    atomic_store_explicit(&committer->any_stored, false, memory_order_relaxed);
    pthread_mutex_unlock(&committer->lock);
    *tasks = taken.tasks;
    *count = taken.count;
}

/* ---- the thread ---- */

static bool batch_is_full(const loom_committer *committer) {
    return committer->queued.count >= committer->batch_rows || committer->queued_bytes >= BATCH_BYTES;
}

/* Waits, with the lock held, until there is a reason to commit: enough rows, a flush, or rows that waited long enough.
 */
static void wait_for_batch(loom_committer *committer) {
    while (!committer->stop && committer->queued.count == 0)
        pthread_cond_wait(&committer->changed, &committer->lock);
    uint64_t until_ns = now_ns(CLOCK_MONOTONIC) + committer->batch_ms * 1000000u;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};
    while (!committer->stop && !committer->flush && !committer->hurry && !batch_is_full(committer))
        if (pthread_cond_timedwait(&committer->changed, &committer->lock, &until) == ETIMEDOUT) break;
}

static void *committer_main(void *context) {
    loom_committer *committer = context;
    entry_list taken = {0};
    pthread_mutex_lock(&committer->lock);
    for (;;) {
        wait_for_batch(committer);
        if (committer->queued.count == 0) break; /* stopped */
        entry_list empty = {.entries = taken.entries, .capacity = taken.capacity};
        taken = committer->queued;
        committer->queued = empty;
        uint64_t bytes = committer->queued_bytes;
        committer->queued_bytes = 0;
        committer->busy = true;
        committer->hurry = false;
        pthread_mutex_unlock(&committer->lock);

        loom_error err = {0};
        uint64_t start_ns = committer->recorder ? loom_recorder_now_ns() : 0;
        loom_status status = commit_or_try_again(committer, &taken, &err);
        give_up_claims(committer, &taken);
        LOOM_USDT2(commit, taken.count, status == LOOM_OK);
        if (committer->recorder)
            loom_recorder_commit(committer->recorder, start_ns, loom_recorder_now_ns(), taken.count, bytes,
                                 status == LOOM_OK);

        pthread_mutex_lock(&committer->lock);
        give_back(committer, &taken);
        taken.count = 0;
        committer->busy = false;
        if (status != LOOM_OK && committer->error.status == LOOM_OK) committer->error = err;
        pthread_cond_broadcast(&committer->changed);
        /* Behind `busy`: who saw it set hears of its end (loom_committer_hurry). */
        if (loom_segment_held_back(committer->segment)) loom_segment_ring_doorbell(committer->segment);
    }
    pthread_mutex_unlock(&committer->lock);
    free(taken.entries);
    return NULL;
}

/* ---- the main thread's side ---- */

loom_status loom_committer_start(loom_store *store, loom_segment *segment, const loom_operator_table *operators,
                                 const loom_config *config, loom_committer **out, loom_error *err) {
    *out = NULL;
    loom_committer *committer = calloc(1, sizeof *committer);
    if (!committer) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting the committer");
    committer->store = store;
    committer->segment = segment;
    committer->operators = operators;
    committer->batch_rows = config->store.batch_rows;
    committer->batch_ms = config->store.batch_ms;
    committer->ttl_ns = config->store.ttl_s * UINT64_C(1000000000);
    committer->arena = loom_arena_new();
    committer->hasher = loom_hasher_new();
    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_t monotonic; /* a clock that is set back must not delay a batch */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    bool equipped = committer->arena && committer->hasher;
    int failed = equipped ? pthread_create(&committer->thread, NULL, committer_main, committer) : ENOMEM;
    if (failed) {
        loom_hasher_free(committer->hasher);
        loom_arena_free(committer->arena);
        free(committer);
        return loom_fail_errno(err, failed, "cannot start the committer thread");
    }
    *out = committer;
    return LOOM_OK;
}

void loom_committer_record(loom_committer *committer, loom_recorder *recorder) {
    pthread_mutex_lock(&committer->lock);
    committer->recorder = recorder;
    pthread_mutex_unlock(&committer->lock);
}

static loom_status append(loom_committer *committer, entry item) {
    loom_status status = LOOM_OK;
    pthread_mutex_lock(&committer->lock);
    entry_list *list = &committer->queued;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        entry *grown = realloc(list->entries, capacity * sizeof *grown);
        if (grown) {
            list->entries = grown;
            list->capacity = capacity;
        } else {
            status = LOOM_NO_MEMORY;
        }
    }
    if (status == LOOM_OK) {
        list->entries[list->count++] = item;
        if (item.kind == ENTRY_PUT)
            committer->queued_bytes += loom_segment_task(committer->segment, item.task)->bulk.bytes;
        if (list->count == 1 || batch_is_full(committer)) pthread_cond_broadcast(&committer->changed);
    }
    pthread_mutex_unlock(&committer->lock);
    return status;
}

loom_status loom_committer_add(loom_committer *committer, uint32_t task, const loom_id *node) {
    return append(committer, (entry){.kind = ENTRY_PUT, .task = task, .id = *node});
}

loom_status loom_committer_forget(loom_committer *committer, const loom_id *rkey) {
    return append(committer, (entry){.kind = ENTRY_FORGET, .id = *rkey});
}

loom_status loom_committer_note(loom_committer *committer, uint32_t task) {
    return append(committer, (entry){.kind = ENTRY_NOTE, .task = task});
}

loom_status loom_committer_replace(loom_committer *committer, uint32_t task) {
    return append(committer, (entry){.kind = ENTRY_REPLACE, .task = task});
}

bool loom_committer_hurry(loom_committer *committer) {
    pthread_mutex_lock(&committer->lock);
    committer->hurry = committer->queued.count > 0;
    bool pending = committer->hurry || committer->busy;
    pthread_cond_broadcast(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    return pending;
}

loom_status loom_committer_flush(loom_committer *committer, loom_error *err) {
    pthread_mutex_lock(&committer->lock);
    committer->flush = true;
    pthread_cond_broadcast(&committer->changed);
    while (committer->busy || committer->queued.count > 0)
        pthread_cond_wait(&committer->changed, &committer->lock);
    committer->flush = false;
    loom_status status = committer->error.status;
    if (status != LOOM_OK && err) *err = committer->error;
    pthread_mutex_unlock(&committer->lock);
    return status;
}

uint64_t loom_committer_irreproducible(loom_committer *committer, loom_error *first) {
    pthread_mutex_lock(&committer->lock);
    uint64_t count = committer->irreproducible;
    if (count && first) *first = committer->first_difference;
    pthread_mutex_unlock(&committer->lock);
    return count;
}

void loom_committer_stop(loom_committer *committer) {
    if (!committer) return;
    pthread_mutex_lock(&committer->lock);
    committer->stop = true;
    pthread_cond_broadcast(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    pthread_mutex_destroy(&committer->lock);
    pthread_cond_destroy(&committer->changed);
    free(committer->queued.entries);
    free(committer->stored.tasks);
    free(committer->read.tasks);
    loom_hasher_free(committer->hasher);
    loom_arena_free(committer->arena);
    free(committer);
}
