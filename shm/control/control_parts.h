/* control_parts.h - the object behind control.h, for the files that implement it: gate and slots (control.c), pins,
 * claims, marks, space. */
#ifndef LOOM_SHM_CONTROL_PARTS_H
#define LOOM_SHM_CONTROL_PARTS_H

#include <pthread.h>

#include "shm/control/control.h"

#define LOOM_CONTROL_FIXED_BYTES LOOM_CONTROL_MARKS_AT

/* control_marks.c: the mapped pieces of the marks. */
typedef struct loom_marks loom_marks;

struct loom_control {
    int fd;
    int claims_fd; /* another open description of the same file; -1: none */
    bool quiet;    /* read-only: no map, no slot */
    unsigned fork_generation;
    uint8_t *map;   /* LOOM_CONTROL_FIXED_BYTES */
    uint32_t slot;  /* LOOM_CONTROL_SLOTS when none */
    uint64_t owner; /* this process in the table of barriers and pins */
    uint64_t run; /* whose pins a worker's are: its coordinator's, which hears of a result after the worker's death too;
                   * else `owner` */
    _Atomic uint32_t pin_hint;
    loom_marks *marks;
    char path[];
};

static inline loom_control_header *loom_control_header_of(const loom_control *control) {
    return (loom_control_header *)(void *)control->map;
}

static inline loom_control_slot *loom_control_slot_at(const loom_control *control, uint32_t slot) {
    return (loom_control_slot *)(void *)(control->map + LOOM_CONTROL_SLOTS_AT) + slot;
}

/* Whether the process that owns the slot is there; true for our own. */
bool loom_control_slot_is_live(const loom_control *control, uint32_t slot);

/* Name of this process in pins: the slot and how often it was claimed. Never 0. */
static inline uint64_t loom_control_owner(uint32_t slot, uint32_t generation) {
    return (uint64_t)generation << 32 | (slot + 1);
}

loom_status loom_control_open_claims(loom_control *control, int dir_fd, loom_error *err);

loom_status loom_marks_new(loom_control *control, loom_error *err);
void loom_marks_free(loom_marks *marks);

#endif
