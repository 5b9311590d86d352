/* segment_scene.c - a segment, its tasks, and who takes them. */
#include "segment_scene.h"

#include <string.h>

const uint8_t signature[32] = {9, 8, 7};

loom_segment *create(loom_segment_options options) {
    loom_segment *segment = NULL;
    loom_error err = {0};
    memcpy(options.table_signature, signature, sizeof signature);
    if (!options.workers) options.workers = 2;
    if (!options.tasks_max) options.tasks_max = 10000;
    if (!options.heap_bytes) options.heap_bytes = 8 << 20;
    assert_int_equal(loom_segment_create(&options, &segment, &err), LOOM_OK);
    return segment;
}

loom_task_state state_of(const loom_segment *segment, uint32_t index) {
    return loom_state_of(atomic_load(&loom_segment_task(segment, index)->state));
}

uint32_t add(loom_segment *segment, const uint32_t *arguments, uint32_t count) {
    uint32_t index = LOOM_TASK_NONE;
    loom_error err = {0};
    assert_int_equal(loom_task_create(segment, arguments, count, &index, &err), LOOM_OK);
    return index;
}

uint32_t add_submitted(loom_segment *segment, const uint32_t *arguments, uint32_t count) {
    uint32_t index = add(segment, arguments, count);
    assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
    return index;
}

uint32_t add_done(loom_segment *segment) {
    uint32_t index = LOOM_TASK_NONE;
    assert_int_equal(loom_task_create_done(segment, &index, NULL), LOOM_OK);
    loom_task_publish_done(segment, index);
    return index;
}

uint32_t take(loom_segment *worker) {
    bool stopped;
    return loom_task_take(worker, 0, &stopped);
}

uint32_t pop(loom_segment *segment) {
    uint32_t index;
    return loom_completion_pop(segment, &index) ? index : LOOM_TASK_NONE;
}

uint32_t run_one(loom_segment *segment, loom_segment *worker, const uint32_t *arguments, uint32_t count) {
    uint32_t index = add_submitted(segment, arguments, count);
    assert_int_equal(take(worker), index);
    loom_task_finish(worker, index, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), index);
    return index;
}
