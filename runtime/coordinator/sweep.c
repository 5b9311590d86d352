/* sweep.c - see sweep.h. */
#include "runtime/coordinator/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/sweep_match.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/sweep.h"

/* Steps that wait to be swept over one image. */
typedef struct sweep {
    uint32_t image, count, numbers_count;
    uint32_t steps[LOOM_SWEEP_ITEMS_MAX];
    char letters[LOOM_SWEEP_ITEMS_MAX];
    double numbers[2 * LOOM_SWEEP_ITEMS_MAX];
} sweep;

struct loom_sweeps {
    sweep **open; /* of each image one that has room, or is being handed out */
    uint32_t count, capacity;
    uint32_t *late; /* steps whose numbers are being computed */
    uint32_t late_count, late_capacity;
    uint32_t *blocked; /* steps that need one that was put aside; in order */
    uint32_t blocked_count, blocked_capacity;
    uint64_t look_at; /* how many steps must have ended before all those numbers can be known */
};

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while handing out nodes; close other programs");
}

/* ---- putting aside ---- */

static loom_status new_sweep(struct loom_sweeps *sweeps, uint32_t image, sweep **made) {
    if (sweeps->count == sweeps->capacity) {
        uint32_t capacity = sweeps->capacity ? sweeps->capacity * 2 : 16;
        sweep **grown = realloc(sweeps->open, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        sweeps->open = grown;
        sweeps->capacity = capacity;
    }
    *made = malloc(sizeof **made);
    if (!*made) return LOOM_NO_MEMORY;
    (*made)->image = image;
    (*made)->count = (*made)->numbers_count = 0;
    sweeps->open[sweeps->count++] = *made;
    return LOOM_OK;
}

/* The last that was opened for the image: siblings come one after the other. */
static loom_status sweep_over(loom_session *session, uint32_t image, sweep **of) {
    if (!session->sweeps && !(session->sweeps = calloc(1, sizeof *session->sweeps))) return LOOM_NO_MEMORY;
    struct loom_sweeps *sweeps = session->sweeps;
    for (uint32_t i = sweeps->count; i-- > 0;) {
        *of = sweeps->open[i];
        if ((*of)->image == image && (*of)->count < LOOM_SWEEP_ITEMS_MAX) return LOOM_OK;
    }
    return new_sweep(sweeps, image, of);
}

static loom_status put_aside(loom_session *session, uint32_t index, const loom_swept_item *item) {
    sweep *of;
    LOOM_TRY(sweep_over(session, item->image, &of));
    session->graph.steps[index].aside = true;
    of->letters[of->count] = item->letter;
    of->steps[of->count++] = index;
    for (uint32_t i = 0; i < item->count; i++)
        of->numbers[of->numbers_count++] = item->numbers[i];
    return LOOM_OK;
}

static loom_status add(uint32_t **steps, uint32_t *count, uint32_t *capacity, uint32_t index) {
    if (*count == *capacity) {
        uint32_t larger = *capacity ? *capacity * 2 : 64;
        uint32_t *grown = realloc(*steps, larger * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        *steps = grown;
        *capacity = larger;
    }
    (*steps)[(*count)++] = index;
    return LOOM_OK;
}

/* Its numbers are on their way. */
static loom_status put_off(loom_session *session, uint32_t index) {
    if (!session->sweeps && !(session->sweeps = calloc(1, sizeof *session->sweeps))) return LOOM_NO_MEMORY;
    struct loom_sweeps *sweeps = session->sweeps;
    session->graph.steps[index].aside = true;
    return add(&sweeps->late, &sweeps->late_count, &sweeps->late_capacity, index);
}

loom_status loom_sweep_blocks(loom_session *session, uint32_t index) {
    if (!session->sweeps && !(session->sweeps = calloc(1, sizeof *session->sweeps))) return LOOM_NO_MEMORY;
    struct loom_sweeps *sweeps = session->sweeps;
    session->graph.steps[index].aside = true;
    return add(&sweeps->blocked, &sweeps->blocked_count, &sweeps->blocked_capacity, index);
}

/* Those of an item's numbers that nobody was asked for yet. */
static uint32_t find_needs(const loom_session *session, const loom_swept_item *item, uint32_t needs[2]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < item->count; i++) {
        const loom_step *step = &session->graph.steps[item->steps[i]];
        if (step->state == LOOM_STEP_SETTLED && step->task == LOOM_TASK_NONE) needs[count++] = item->steps[i];
    }
    return count;
}

/* Whether a number that is not known is being computed. */
static bool is_on_its_way(const loom_session *session, const loom_swept_item *item) {
    bool on_its_way = false;
    for (uint32_t i = 0; i < item->count; i++)
        on_its_way |= session->graph.steps[item->steps[i]].state == LOOM_STEP_TASK;
    return on_its_way;
}

loom_status loom_sweep_advise(loom_session *session, uint32_t index, loom_group *group, loom_sweep_advice *advice,
                              uint32_t needs[2], uint32_t *needs_count) {
    loom_swept_item item;
    loom_step *step = &session->graph.steps[index];
    *advice = LOOM_SWEEP_ALONE;
    if (step->unswept || !loom_sweep_match(session, group, &item)) {
        step->unswept = true; /* also if it was swept: what it is computed with has changed */
        return LOOM_OK;
    }
    if (step->sweep) {
        group->arguments[group->argument_count++] = step->sweep;
        group->tape.swept = step->swept;
        return LOOM_OK;
    }
    *needs_count = find_needs(session, &item, needs);
    bool waits = *needs_count || is_on_its_way(session, &item);
    if (item.known || waits) *advice = *needs_count ? LOOM_SWEEP_NEEDS : LOOM_SWEEP_ASIDE;
    if (*needs_count) return LOOM_OK;
    if (!item.known && waits) return put_off(session, index);
    step->unswept = true;            /* unless others join it */
    if (!item.known) return LOOM_OK; /* it never will be */
    return put_aside(session, index, &item);
}

/* ---- handing out ---- */

/* A step that is a value of ours. */
static loom_status add_constant(loom_session *session, loom_value value, uint32_t *step) {
    loom_value *kept = loom_arena_alloc(session->arena, sizeof *kept);
    if (!kept || loom_value_copy(session->arena, &value, kept) != LOOM_OK) return LOOM_NO_MEMORY;
    LOOM_TRY(loom_graph_add(&session->graph, NULL, NULL, 0, step));
    loom_step *added = &session->graph.steps[*step];
    added->constant = kept;
    added->state = LOOM_STEP_DONE;
    added->type = (uint8_t)kept->type;
    added->unnamed = added->has_vid = true;
    return loom_value_id(kept, &added->vid);
}

static bool still_waits(const loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    return step->aside && step->state == LOOM_STEP_SETTLED && step->task == LOOM_TASK_NONE &&
           !loom_graph_was_given_back(&session->graph, index);
}

/* Those that have failed meanwhile, or were given back, are dropped. */
static void drop_gone(const loom_session *session, sweep *of) {
    uint32_t kept = 0, from = 0, to = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        uint32_t takes = (of->letters[i] - 'a') % LOOM_SWEEP_NOT == LOOM_SWEEP_BETWEEN ? 2 : 1;
        if (still_waits(session, of->steps[i])) {
            of->letters[kept] = of->letters[i];
            of->steps[kept++] = of->steps[i];
            memmove(of->numbers + to, of->numbers + from, takes * sizeof *of->numbers);
            to += takes;
        }
        from += takes;
    }
    of->count = kept;
    of->numbers_count = to;
}

/* The step that all get as their last argument. It names the first of them in messages. */
static loom_status make_step(loom_session *session, const sweep *of, uint32_t *step, loom_error *err) {
    uint32_t arguments[3] = {of->image};
    if (add_constant(session, loom_string(of->letters, of->count), &arguments[1]) != LOOM_OK ||
        add_constant(session, loom_bytes(of->numbers, of->numbers_count * sizeof *of->numbers), &arguments[2]) !=
            LOOM_OK)
        return no_memory(err);
    const loom_step *first = &session->graph.steps[of->steps[0]];
    loom_node_index blame = first->node != LOOM_NODE_NONE ? first->node : first->blame;
    LOOM_TRY(loom_lower_internal(session, "loom.sweep", arguments, 3, blame, step, err));
    session->graph.steps[*step].unnamed = true;
    session->graph.operators--; /* no node of the program */
    return LOOM_OK;
}

static loom_status join(loom_session *session, uint32_t index, uint32_t made, uint32_t position) {
    loom_step *step = &session->graph.steps[index];
    step->unswept = false;
    step->sweep = made;
    step->swept = (uint16_t)(position + 1);
    session->graph.steps[made].open++;
    return loom_graph_link(&session->graph, made, index, LOOM_EVENT_FAILURE);
}

static loom_status make_sweep(loom_session *session, const sweep *of, loom_error *err) {
    uint32_t made;
    if (of->count < 2) return LOOM_OK; /* alone it is computed as ever */
    LOOM_TRY(make_step(session, of, &made, err));
    for (uint32_t i = 0; i < of->count; i++)
        if (join(session, of->steps[i], made, i) != LOOM_OK) return no_memory(err);
    session->sweep_passes++;
    return LOOM_OK;
}

static loom_status hand_out_one(loom_session *session, uint32_t index, loom_error *err) {
    session->graph.steps[index].aside = false;
    return loom_submit(session, index, err);
}

/* First all sweeps, which are settled like any step, then what needs them. */
static loom_status hand_out(loom_session *session, const struct loom_sweeps *all, loom_error *err) {
    for (uint32_t i = 0; i < all->count; i++) {
        drop_gone(session, all->open[i]);
        LOOM_TRY(make_sweep(session, all->open[i], err));
    }
    LOOM_TRY(loom_work_drain(session, err));
    for (uint32_t i = 0; i < all->count; i++)
        for (uint32_t k = 0; k < all->open[i]->count; k++)
            LOOM_TRY(hand_out_one(session, all->open[i]->steps[k], err));
    for (uint32_t i = 0; i < all->blocked_count; i++)
        if (still_waits(session, all->blocked[i])) LOOM_TRY(hand_out_one(session, all->blocked[i], err));
    return LOOM_OK;
}

static void free_all(struct loom_sweeps *sweeps) {
    if (!sweeps) return;
    for (uint32_t i = 0; i < sweeps->count; i++)
        free(sweeps->open[i]);
    free(sweeps->open);
    free(sweeps->late);
    free(sweeps->blocked);
    free(sweeps);
}

/* Whether a step that was put off need not wait any more. */
static bool is_ready(loom_session *session, uint32_t index) {
    loom_group group;
    loom_swept_item item;
    if (!loom_fuse(session, index, &group) || !loom_sweep_match(session, &group, &item) || item.known) return true;
    return !is_on_its_way(session, &item);
}

static void drop_late(const loom_session *session, struct loom_sweeps *of) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < of->late_count; i++)
        if (still_waits(session, of->late[i])) of->late[kept++] = of->late[i];
    of->late_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < of->blocked_count; i++)
        if (still_waits(session, of->blocked[i])) of->blocked[kept++] = of->blocked[i];
    of->blocked_count = kept;
}

/* Whether all that were put off are ready, or cannot be; it is not asked more often than steps end. */
static bool all_ready(loom_session *session, struct loom_sweeps *of) {
    uint64_t ended = session->done + session->failed;
    uint32_t waiting = 0;
    if (session->in_flight == 0) return true;
    if (ended < of->look_at) return false;
    drop_late(session, of);
    for (uint32_t i = 0; i < of->late_count; i++)
        waiting += !is_ready(session, of->late[i]);
    of->look_at = ended + waiting;
    return waiting == 0;
}

/* Puts those aside whose numbers were not known when they were to be. */
static loom_status take_late(loom_session *session, struct loom_sweeps *of, loom_error *err) {
    uint32_t count = of->late_count, *late = of->late;
    of->late = NULL; /* the list may grow again meanwhile */
    of->late_count = of->late_capacity = 0;
    loom_status status = LOOM_OK;
    for (uint32_t i = 0; i < count && status == LOOM_OK; i++)
        if (still_waits(session, late[i])) status = hand_out_one(session, late[i], err);
    free(late);
    return status;
}

loom_status loom_sweeps_begin(loom_session *session, loom_error *err) {
    if (!session->sweeps || !all_ready(session, session->sweeps)) return LOOM_OK;
    LOOM_TRY(take_late(session, session->sweeps, err));
    struct loom_sweeps *all = session->sweeps;
    session->sweeps = NULL; /* what is put aside from now on waits for the next time */
    loom_status status = hand_out(session, all, err);
    for (uint32_t i = 0; i < all->late_count && status == LOOM_OK; i++)
        if (put_off(session, all->late[i]) != LOOM_OK) status = no_memory(err);
    free_all(all);
    return status;
}

void loom_sweeps_forget(loom_session *session) {
    if (!session->sweeps) return;
    drop_late(session, session->sweeps);
    for (uint32_t i = 0; i < session->sweeps->count; i++)
        drop_gone(session, session->sweeps->open[i]);
}

void loom_sweeps_free(loom_session *session) {
    free_all(session->sweeps);
    session->sweeps = NULL;
}

/* ---- ending ---- */

void loom_sweep_leave(loom_session *session, uint32_t index, uint32_t *left) {
    loom_graph_run *graph = &session->graph;
    uint32_t of = graph->steps[index].sweep, before = 0;
    *left = LOOM_STEP_NONE;
    if (!of) return;
    graph->steps[index].sweep = 0;
    /* The list of a sweep that failed is being walked, to fail those on it, and never is again. */
    bool failed = graph->steps[of].state == LOOM_STEP_FAILED;
    for (uint32_t link = failed ? 0 : graph->steps[of].users; link; before = link, link = graph->links[link].next) {
        if (graph->links[link].user != index) continue;
        loom_graph_unlink(graph, of, before, link); /* its number may be another's soon */
        break;
    }
    if (graph->steps[of].open > 0) graph->steps[of].open--;
    *left = of;
}

bool loom_sweep_computed(loom_session *session, uint32_t index) {
    const loom_operator *op = session->graph.steps[index].op;
    if (!op || loom_kernel_of(op)->run != loom_run_sweep) return false;
    session->computed--;
    session->done--;
    session->passes++;
    return true;
}
