/* Arguments of a task: small values decoded from the segment, images mapped read-only from their extents. */
#include <string.h>

#include "runtime/task_result.h"
#include "runtime/worker/worker.h"
#include "shm/activity.h"

loom_status loom_worker_next_view(loom_worker *worker, loom_view **view, loom_error *err) {
    if (worker->view_count == worker->view_capacity) {
        size_t capacity = worker->view_capacity ? worker->view_capacity * 2 : 8;
        loom_view *grown = loom_arena_array(worker->arena, capacity, sizeof *grown);
        if (!grown) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while mapping an argument");
        if (worker->view_count) memcpy(grown, worker->views, worker->view_count * sizeof *grown);
        worker->views = grown;
        worker->view_capacity = capacity;
    }
    *view = &worker->views[worker->view_count];
    **view = (loom_view){0};
    return LOOM_OK;
}

/* A worker has died of this task: its arguments may be why, and are compared with their hashes. */
static loom_status verify(const loom_worker *worker, const loom_task *argument, const loom_view *view,
                          loom_error *err) {
    const uint64_t *hashes = loom_segment_pointer(worker->segment, argument->hashes);
    if (worker->task->deaths == 0 || !hashes) return LOOM_OK;
    return loom_extent_verify(view, &argument->bulk, hashes, argument->root, err);
}

/* Maps the bulk bytes of an argument for the rest of the task. */
static loom_status map_object(loom_worker *worker, const loom_task *argument, const void **bytes, loom_error *err) {
    loom_view *view = NULL;
    LOOM_TRY(loom_worker_next_view(worker, &view, err));
    LOOM_TRY(loom_extent_view(loom_store_extents(worker->store), &argument->bulk, true, view, err));
    worker->view_count++;
    *bytes = view->bytes;
    return verify(worker, argument, view, err);
}

/* Completes a decoded image with its voxels. */
static loom_status map_voxels(loom_worker *worker, const loom_task *argument, loom_value *value, loom_error *err) {
    LOOM_TRY(loom_image_header_check(value->image.header, err));
    if (loom_image_bytes(value->image.header) != argument->bulk.bytes)
        return loom_fail(err, LOOM_CORRUPT,
                         "an image of %llu bytes is stored in %llu; run `voxloom store rm` on it and compute it again",
                         (unsigned long long)loom_image_bytes(value->image.header),
                         (unsigned long long)argument->bulk.bytes);
    return map_object(worker, argument, &value->image.voxels, err);
}

static loom_status decode_blob(loom_worker *worker, const loom_task *argument, loom_value *value, loom_error *err) {
    const void *bytes;
    LOOM_TRY(map_object(worker, argument, &bytes, err));
    return loom_value_decode(bytes, argument->bulk.bytes, worker->arena, value, err);
}

static loom_status decode(loom_worker *worker, const loom_task *task, bool map, loom_value *value, loom_error *err) {
    if (task->operator_index < worker->operators->count &&
        worker->operators->operators[task->operator_index]->flags & LOOM_OP_EFFECT) {
        *value = loom_null(); /* what is kept of an effect is the record of what it wrote */
        return LOOM_OK;
    }
    if (task->flags & LOOM_TASK_BLOB) return decode_blob(worker, task, value, err);
    size_t length;
    const void *bytes = loom_task_payload(worker->segment, task, &length);
    if (!bytes) return loom_fail(err, LOOM_INTERNAL, "an argument has no value; please report it");
    LOOM_TRY(loom_value_decode(bytes, length, worker->arena, value, err));
    return map && value->type == LOOM_IMAGE ? map_voxels(worker, task, value, err) : LOOM_OK;
}

/* The coordinator is told which argument is damaged, to have it computed again. */
static loom_status task_value(loom_worker *worker, const loom_task *task, bool map, loom_value *value,
                              loom_error *err) {
    loom_status status = decode(worker, task, map, value, err);
    if (status != LOOM_CORRUPT || task->origin == LOOM_ORIGIN_CONSTANT) return status;
    worker->lost = task->vid;
    worker->has_lost = true;
    return status;
}

/* Sequences hold images and large values by reference. */
static bool is_large(const loom_task *task) {
    return task->type == LOOM_IMAGE || task->flags & LOOM_TASK_BLOB;
}

static const loom_task *argument_task(const loom_worker *worker, const loom_task *task, uint32_t position) {
    const uint32_t *numbers = loom_segment_pointer(worker->segment, task->arguments);
    return numbers && position < task->argument_count ? loom_segment_task(worker->segment, numbers[position]) : NULL;
}

loom_status loom_worker_argument(loom_worker *worker, const loom_operator *op, uint32_t position, loom_value *value,
                                 loom_error *err) {
    const loom_task *task = argument_task(worker, worker->task, position);
    if (!task) return loom_fail(err, LOOM_INTERNAL, "a task names an argument that does not exist; please report it");
    bool gathers = strcmp(op->name, "default.sequence") == 0;
    if (gathers && is_large(task)) {
        *value = (loom_value){.type = LOOM_REFERENCE, .reference = {.type = (loom_type)task->type, .vid = task->vid}};
        return LOOM_OK;
    }
    return task_value(worker, task, !gathers, value, err);
}

loom_status loom_worker_arguments(loom_worker *worker, const loom_operator *op, loom_value **arguments,
                                  loom_error *err) {
    uint32_t count = worker->task->argument_count;
    if (*arguments) return LOOM_OK;
    loom_enter(LOOM_DOING_ARGUMENTS);
    *arguments = loom_arena_array(worker->arena, count, sizeof **arguments);
    if (!*arguments) return loom_segment_full(err);
    for (uint32_t i = 0; i < count; i++)
        LOOM_TRY(loom_worker_argument(worker, op, i, &(*arguments)[i], err));
    return LOOM_OK;
}

loom_status loom_worker_attributes(loom_worker *worker, const loom_value **attributes, loom_error *err) {
    *attributes = NULL;
    if (!worker->task->attributes) return LOOM_OK;
    size_t length;
    const void *bytes = loom_segment_get(worker->segment, worker->task->attributes, &length);
    loom_value *value = loom_arena_alloc(worker->arena, sizeof *value);
    if (!value) return loom_segment_full(err);
    LOOM_TRY(loom_value_decode(bytes, length, worker->arena, value, err));
    *attributes = value;
    return LOOM_OK;
}

/* Looks for the referenced value among the items that a sequence was gathered from, in this run. They stay as long as
 * the sequence, if it refers to any; else they may be gone. */
static const loom_task *find_item(const loom_worker *worker, const loom_task *task, const loom_id *vid, int depth) {
    for (uint32_t i = 0; i < task->argument_count; i++) {
        const loom_task *argument = argument_task(worker, task, i);
        if (!argument) return NULL;
        if (is_large(argument) && loom_id_equal(&argument->vid, vid)) return argument;
        if (depth > 0 && argument->type == LOOM_SEQUENCE && argument->refers) {
            const loom_task *item = find_item(worker, argument, vid, depth - 1);
            if (item) return item;
        }
    }
    return NULL;
}

loom_status loom_worker_fetch(loom_worker *worker, const loom_value *reference, loom_value *value, loom_error *err) {
    const loom_task *item = find_item(worker, worker->task, &reference->reference.vid, 4);
    if (item) return task_value(worker, item, true, value, err);
    loom_result result;
    loom_hold hold = {0};
    loom_view *view = NULL;
    LOOM_TRY(loom_worker_next_view(worker, &view, err));
    loom_status status =
        loom_store_hold_value(worker->store, &reference->reference.vid, worker->arena, &result, &hold, err);
    if (status == LOOM_NOT_FOUND)
        return loom_fail(err, LOOM_NOT_FOUND,
                         "an item of a stored sequence is no longer in the store; delete the sequence with `voxloom "
                         "store rm` and run again");
    if (status != LOOM_OK) return status;
    status = loom_store_verify(worker->store, &result, err);
    if (status == LOOM_OK) status = loom_store_value(worker->store, &result, worker->arena, value, view, err);
    loom_store_unhold(worker->store, &hold); /* the view holds it */
    if (status == LOOM_OK) worker->view_count++;
    return status;
}

bool loom_worker_has_items(loom_worker *worker, const loom_result *sequence) {
    loom_value value;
    loom_view view = {0};
    bool all = true;
    if (loom_store_value(worker->store, sequence, worker->arena, &value, &view, NULL) != LOOM_OK) return false;
    for (size_t i = 0; all && value.type == LOOM_SEQUENCE && i < value.sequence.count; i++) {
        const loom_value *item = &value.sequence.items[i];
        loom_result found;
        loom_hold hold; /* to the end of this process: the sequence's users fetch the items */
        if (item->type != LOOM_REFERENCE) continue;
        all = loom_store_hold_value(worker->store, &item->reference.vid, worker->arena, &found, &hold, NULL) == LOOM_OK;
        /* What this run has just computed in place of a damaged item is found through the arguments, not in the store,
         * which has the damaged one until the next commit. */
        worker->task->refers = 1;
    }
    loom_extent_release(&view);
    return all;
}
