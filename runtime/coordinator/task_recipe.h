/* task_recipe.h - how the result of a task was computed, as the store keeps it. */
#ifndef LOOM_RUNTIME_TASK_RECIPE_H
#define LOOM_RUNTIME_TASK_RECIPE_H

#include "shm/operator.h"
#include "shm/result_key.h"
#include "shm/segment/segment.h"
#include "shm/value.h"

/* Appends the recipe of a finished task: operator, version, attributes, arguments. Of a fused task it is that of the
 * step at its end: what it was computed together with is no part of what it is. Any thread, with a hasher and an arena
 * of its own. LOOM_NO_MEMORY, LOOM_INTERNAL. */
loom_status loom_task_recipe(const loom_segment *segment, const loom_operator_table *operators, const loom_task *task,
                             loom_hasher *hasher, loom_arena *arena, loom_buffer *recipe);
/* The operator whose result that is, for messages. */
const loom_operator *loom_task_operator(const loom_segment *segment, const loom_operator_table *operators,
                                        const loom_task *task, loom_arena *arena);

#endif
