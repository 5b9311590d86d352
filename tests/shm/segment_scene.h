/* segment_scene.h - a segment in one process: a coordinator's handle, and aliases (loom_segment_alias) that play the
 * workers, so that every interleaving is chosen by the test. Each function asserts that it succeeds. */
#ifndef LOOM_TESTS_SEGMENT_SCENE_H
#define LOOM_TESTS_SEGMENT_SCENE_H

/* cmocka needs these first, in this order */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/segment/segment_layout.h"

/* The operator table that create() names. */
extern const uint8_t signature[32];

/* What `options` leave open: 2 workers, 10000 tasks, 8 MiB of heap. */
loom_segment *create(loom_segment_options options);
loom_task_state state_of(const loom_segment *segment, uint32_t index);

/* Each returns the new task's slot: created, submitted, or born done and published. */
uint32_t add(loom_segment *segment, const uint32_t *arguments, uint32_t count);
uint32_t add_submitted(loom_segment *segment, const uint32_t *arguments, uint32_t count);
uint32_t add_done(loom_segment *segment);

/* Without waiting; LOOM_TASK_NONE if there is none. */
uint32_t take(loom_segment *worker);
uint32_t pop(loom_segment *segment);

/* Adds a task, which the worker runs, and reads its completion. */
uint32_t run_one(loom_segment *segment, loom_segment *worker, const uint32_t *arguments, uint32_t count);

#endif
