/* plan_json_bodies.h - bodies whose printed text does not say what they are.
 *
 * Ids hash the text of bodies as VoxLogicA-2 prints it, without parentheses (defect S12), and some bodies would be read
 * back as others. Our exports say what those are: such a closure has a further key beside `attrs`, `grouped_bodies`, an
 * object from printed text to text with parentheses. VoxLogicA-2's own exports have none. */
#ifndef LOOM_PLANNER_PLAN_JSON_BODIES_H
#define LOOM_PLANNER_PLAN_JSON_BODIES_H

#include "planner/plan_state.h"

/* Appends ",\n      \"grouped_bodies\": {...}" to a node under construction, or nothing when every body of the closure
 * and of its function records reads back. LOOM_UNSUPPORTED if two of its bodies print alike; LOOM_NO_MEMORY. */
loom_status loom_json_put_grouped_bodies(loom_text *out, loom_plan *plan, const loom_closure *closure, loom_error *err);

#endif
