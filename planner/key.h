/* key.h - result keys, for the planner and those above it. They are made in shm/, where the store asks which results
 * were computed from a file. */
#ifndef LOOM_PLANNER_KEY_H
#define LOOM_PLANNER_KEY_H

#include "shm/result_key.h"

#endif
