/* loop.h - long loops over small values, a window of items at a time.
 *
 * What a run keeps of a loop's items to its end is limited (memory.loop_items). A loop of more than LOOM_LOOP_SHORT
 * items that would pass the limit, and whose body is cheap (body.h), is not expanded at once: its items are made from
 * the body in *windows* of LOOM_WINDOW_ITEMS, each gathered by a step of its own, a *part* of the loop's sequence. Some
 * windows are open at a time, in all loops together; when its part is known, a window's steps are given back to the
 * graph. A part whose value has gone missing opens its window again. Results and their keys are those of the same items
 * made one by one. A fold over the loop follows part by part.
 *
 *   pending step --(source known, body cheap)--> loop --(last window opened)--> alias of the joined parts
 *
 * Belongs to the coordinator's main thread. */
#ifndef LOOM_RUNTIME_LOOP_H
#define LOOM_RUNTIME_LOOP_H

#include "runtime/coordinator/expand.h"

typedef struct loom_loops loom_loops;

#define LOOM_WINDOW_ITEMS LOOM_ARGUMENTS_MAX      /* as many as one step gathers */
#define LOOM_WINDOW_STEPS_MAX (UINT32_C(1) << 15) /* in open windows together; one may always be open */

/* Makes a loop of the pending step `step` of `loop`, if it is long and cheap: then *started. Asked again for the same
 * loop, tells the same. If a value that decides is missing, at->waiting is set and at->step waits for it. */
loom_status loom_loop_start(loom_expansion *at, loom_node_index loop, uint32_t step, bool *started);
/* The pending step at->step, a fold of a loop that was started, follows its parts and becomes an alias of the last. */
loom_status loom_loop_fold(loom_expansion *at, loom_node_index loop);

/* Gives back the windows that are over and opens others; *opened if it did. */
loom_status loom_loops_advance(loom_session *session, bool *opened, loom_error *err);
/* The items that a part gathers, made again if its window is closed. Nothing happens if the step is no part. */
loom_status loom_part_reopen(loom_session *session, uint32_t part, loom_error *err);
/* Lets go of all loops; the session ends. */
void loom_loops_release(loom_session *session);

/* Which item of its loop is argument `position` of a part whose window is open, and its element; false if it is none.
 */
bool loom_part_item(const loom_session *session, uint32_t part, uint32_t position, uint64_t *item,
                    const loom_value **element);

#endif
