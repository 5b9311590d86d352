/* Content hashes of input files. A hash is read from the store's memo when the stat fields match; a new one is handed
 * to the committer, unless the file is so young that its next change might leave the same stat fields. */
#include <string.h>

#include "io/volume.h"
#include "runtime/inputs.h"
#include "runtime/worker/worker.h"

static loom_status remember_file(loom_worker *worker, const char *path, const loom_file_stamp *stamp) {
    if (worker->hashed_count == worker->hashed_capacity) {
        size_t capacity = worker->hashed_capacity ? worker->hashed_capacity * 2 : 4;
        void *grown = loom_arena_array(worker->arena, capacity, sizeof *worker->hashed);
        if (!grown) return LOOM_NO_MEMORY;
        if (worker->hashed_count) memcpy(grown, worker->hashed, worker->hashed_count * sizeof *worker->hashed);
        worker->hashed = grown;
        worker->hashed_capacity = capacity;
    }
    char *copy = loom_arena_text(worker->arena, path, strlen(path));
    if (!copy) return LOOM_NO_MEMORY;
    worker->hashed[worker->hashed_count].path = copy;
    worker->hashed[worker->hashed_count++].stamp = *stamp;
    return LOOM_OK;
}

static loom_status add_memo(loom_worker *worker, const loom_file_stamp *stamp, const loom_id *content) {
    if (worker->memo_count == worker->memo_capacity) {
        size_t capacity = worker->memo_capacity ? worker->memo_capacity * 2 : 4;
        loom_memo_entry *grown = loom_arena_array(worker->arena, capacity, sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        if (worker->memo_count) memcpy(grown, worker->memo, worker->memo_count * sizeof *grown);
        worker->memo = grown;
        worker->memo_capacity = capacity;
    }
    worker->memo[worker->memo_count++] = (loom_memo_entry){.stamp = *stamp, .content = *content};
    return LOOM_OK;
}

/* What this task has hashed is not in the store yet, and an image of several files is listed again when it was read: in
 * the same order. */
static bool take_memo(loom_worker *worker, const loom_file_stamp *stamp, loom_id *content) {
    if (worker->memo_next >= worker->memo_count) return false;
    const loom_memo_entry *next = &worker->memo[worker->memo_next];
    if (!loom_file_stamp_equal(&next->stamp, stamp)) return false;
    *content = next->content;
    worker->memo_next++;
    return true;
}

loom_status loom_worker_hash_file(const char *path, loom_id *content, void *context, loom_error *err) {
    loom_worker *worker = context;
    loom_file_stamp stamp, after;
    uint64_t bytes;
    LOOM_TRY(loom_file_stamp_of(path, &stamp, err));
    if (remember_file(worker, path, &stamp) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while hashing %s", path);
    if (take_memo(worker, &stamp, content)) return LOOM_OK;
    if (loom_store_get_file(worker->store, &stamp, content, NULL) == LOOM_OK) return LOOM_OK;
    LOOM_TRY(loom_file_hash(path, content, &bytes, err));
    LOOM_TRY(loom_file_stamp_of(path, &after, err));
    if (!loom_file_stamp_equal(&stamp, &after))
        return loom_fail(err, LOOM_STALE_INPUT, "%s changed while it was read; run again when it is complete", path);
    return loom_file_stamp_is_old(&stamp) ? add_memo(worker, &stamp, content) : LOOM_OK;
}

loom_status loom_worker_inputs_unchanged(const loom_worker *worker, loom_error *err) {
    for (size_t i = 0; i < worker->hashed_count; i++) {
        loom_file_stamp now;
        const char *path = worker->hashed[i].path;
        LOOM_TRY(loom_file_stamp_of(path, &now, err));
        if (!loom_file_stamp_equal(&worker->hashed[i].stamp, &now))
            return loom_fail(err, LOOM_STALE_INPUT, "%s changed while it was read; run again when it is complete",
                             path);
    }
    return LOOM_OK;
}
