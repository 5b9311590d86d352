/* window.h - the state of long loops, shared by loop.c, window.c, window_share.c, loop_filter.c and loop_fold.c. Not
 * for anyone else. */
#ifndef LOOM_RUNTIME_WINDOW_H
#define LOOM_RUNTIME_WINDOW_H

#include "runtime/coordinator/body.h"
#include "runtime/coordinator/loop.h"

#define LOOM_LOOP_FAILURES_MAX 10000u /* a run that has failed so often opens no more windows */

/* A fold over a loop: over its first part, then over the second starting from what came of the first, and so on. That
 * is the fold over the whole: folds go from left to right. */
typedef struct loom_fold {
    uint32_t step; /* pending, until it becomes an alias of the last */
    uint32_t init; /* step; LOOM_STEP_NONE: the operator's own */
    uint32_t last; /* over the parts up to `followed` */
    uint32_t followed;
} loom_fold;

typedef struct loom_loop {
    loom_node_index node, source;
    uint32_t step; /* pending, until it becomes an alias */
    loom_body body;
    uint32_t count;        /* items */
    uint32_t window_count; /* windows */
    uint32_t opened;       /* windows 0 .. opened - 1 have their part */
    loom_buffer elements;  /* encoded sequences, a window each */
    size_t *offsets;       /* where that of each window begins, and the end */
    uint32_t *parts;       /* the step that gathers each window */
    bool filters;    /* its items are conditions; once all are read, the loop begins anew over the elements kept, */
    loom_body keeps; /* with this body, which makes of an element what the filter keeps */
    uint8_t *kept;   /* when it filters: an item's condition */
    uint32_t read;   /* when it filters: windows whose conditions have been read */
    loom_fold *folds;
    uint32_t fold_count, fold_capacity;
} loom_loop;

/* One that was opened, and may be closed by now: then it has no arena. */
typedef struct loom_window {
    uint32_t loop, number; /* of the loop, and the window's in it */
    uint32_t part;         /* step */
    loom_arena *arena;     /* elements, operands and `steps` while it is open */
    const loom_value *elements;
    uint32_t *steps; /* of all items */
    uint32_t step_count;
    uint32_t ended; /* steps before it are no tasks any more */
    bool failed;
    bool read;          /* of a filter: its conditions */
    uint32_t lent;      /* uses of its steps by other windows */
    uint32_t *borrowed; /* steps of other windows, once a use */
    uint32_t borrowed_count, borrowed_capacity;
} loom_window;

struct loom_loops {
    loom_memo started; /* (plan node, context or any) -> loop */
    loom_memo shared;  /* what a step of a heavy body is made of -> step; see window_share.c */
    loom_loop *loops;
    uint32_t count, capacity;
    uint32_t next;        /* loops before it have opened all their windows */
    loom_window *windows; /* entry 0 is unused: a step's `window` */
    uint32_t window_count, window_capacity;
    uint32_t *open; /* windows with an arena */
    uint32_t open_count, open_capacity;
    uint32_t open_windows, open_steps; /* of those that go on well */
};

static inline uint32_t loom_loop_window_items(const loom_loop *loop, uint32_t window) {
    uint32_t left = loop->count - window * LOOM_WINDOW_ITEMS;
    return left < LOOM_WINDOW_ITEMS ? left : LOOM_WINDOW_ITEMS;
}

void loom_loop_release(loom_loop *loop);
/* Settles a step all of whose arguments are settled, and demands its value if it is neither stored nor known by its
 * key. */
loom_status loom_settle_and_demand(loom_session *session, uint32_t step, loom_error *err);

/* ---- window.c ---- */
/* Makes the items of a window and the part that gathers them, settled; what is not stored is demanded. */
loom_status loom_window_open(loom_session *session, uint32_t loop, uint32_t number, loom_error *err);
/* Gives the steps of a window's items back. LOOM_NO_MEMORY. */
loom_status loom_window_close(loom_session *session, uint32_t window);
/* Closes the windows whose parts are known, and passes failures of others on. */
loom_status loom_windows_review(loom_session *session, loom_error *err);

/* ---- window_share.c; all LOOM_NO_MEMORY ---- */
/* A step of an open window like the one that `made` gives of these arguments, or a like element, for window `number` to
 * use; LOOM_STEP_NONE if there is none. */
loom_status loom_window_find(loom_session *session, uint32_t number, const loom_body_step *made,
                             const uint32_t *arguments, uint32_t *step);
loom_status loom_window_find_element(loom_session *session, uint32_t number, const loom_id *vid, uint32_t *step);
/* A step that has just been made for a window may be found. */
loom_status loom_window_offer(loom_session *session, uint32_t number, uint32_t step);
/* The window is about to be closed: what it borrowed is given back. */
void loom_window_return(loom_session *session, uint32_t number);

/* ---- loop_filter.c ---- */
/* Reads the conditions of a window whose part is DONE. If it has gone missing it is demanded again. */
loom_status loom_filter_read(loom_session *session, loom_loop *loop, loom_window *window, loom_error *err);
/* All conditions have been read: the loop begins anew, over the elements that were kept. */
loom_status loom_filter_finish(loom_session *session, uint32_t loop, loom_error *err);

/* ---- loop_fold.c ---- */
loom_status loom_fold_attach(loom_expansion *at, loom_loop *loop);
/* Folds go on over the parts that there are now. */
loom_status loom_folds_follow(loom_session *session, loom_loop *loop, loom_error *err);
/* All parts have been followed. */
loom_status loom_folds_finish(loom_session *session, loom_loop *loop, loom_error *err);
loom_status loom_folds_fail(loom_session *session, const loom_loop *loop, uint32_t failure);

#endif
