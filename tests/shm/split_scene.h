/* split_scene.h - tasks in parts: a kernel of three loops, one of which works in place and one of which adds up, run by
 * workers that are processes or threads and help each other. */
#ifndef LOOM_TESTS_SPLIT_SCENE_H
#define LOOM_TESTS_SPLIT_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/segment/segment.h"

enum { SPLIT_WORKERS_MAX = 4, SPLIT_TASKS = 12, SPLIT_VALUES = 1500, SPLIT_RANGES = 160 };

/* Results lie here, as images lie in extents: each attempt of a task takes a range that nobody had before. */
typedef struct split_range {
    _Atomic uint32_t sealed; /* the task is finished: nobody may write here any more */
    uint64_t values[SPLIT_VALUES];
} split_range;

typedef struct split_memory {
    _Atomic uint32_t ranges_used;
    _Atomic uint32_t late_writes; /* into sealed ranges */
    _Atomic uint32_t helped;      /* parts run by others than the owner */
    _Atomic uint32_t alone;       /* attempts repeated because a helper died */
    split_range ranges[SPLIT_RANGES];
} split_memory;

/* Set before workers start. */
extern split_memory *split_memory_of_test;
/* Called in each part; NULL: nothing. */
extern void (*split_in_part)(void);

void split_memory_make(void);
void split_memory_free(void);

/* Whether this worker is helping now. */
extern _Thread_local bool split_helps;

/* Submits SPLIT_TASKS tasks, of which two can run at a time: the other workers help. */
void split_submit(loom_segment *segment);
/* What a worker does until the run stops, or its parent is gone. */
void split_work(loom_segment *segment, uint32_t worker, pid_t parent);
/* All tasks are done, and their values are what a plain loop gives. */
void split_check(const loom_segment *segment);

#endif
