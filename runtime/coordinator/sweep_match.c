/* sweep_match.c - see sweep_match.h. */
#include "runtime/coordinator/sweep_match.h"

#include <string.h>

#include "runtime/kernels/statistics/sweep.h"

/* A comparison: where its numbers and its image stand. An overloaded one takes them in either order. */
typedef struct comparison {
    const char *name;
    loom_sweep_relation relation, mirrored; /* with the image left, and right */
    bool overloaded;
} comparison;

static const comparison comparisons[] = {
    {"vox1.eq_sv", LOOM_SWEEP_EQUAL, LOOM_SWEEP_EQUAL, false},
    {"vox1.geq_sv", LOOM_SWEEP_GREATER_EQUAL, LOOM_SWEEP_GREATER_EQUAL, false},
    {"vox1.leq_sv", LOOM_SWEEP_LESS_EQUAL, LOOM_SWEEP_LESS_EQUAL, false},
    {"vox1.between", LOOM_SWEEP_BETWEEN, LOOM_SWEEP_BETWEEN, false},
    {"vox1.==", LOOM_SWEEP_EQUAL, LOOM_SWEEP_EQUAL, true},
    {"vox1.!=", LOOM_SWEEP_NOT_EQUAL, LOOM_SWEEP_NOT_EQUAL, true},
    {"vox1.<", LOOM_SWEEP_LESS, LOOM_SWEEP_GREATER, true},
    {"vox1.<=", LOOM_SWEEP_LESS_EQUAL, LOOM_SWEEP_GREATER_EQUAL, true},
    {"vox1.>", LOOM_SWEEP_GREATER, LOOM_SWEEP_LESS, true},
    {"vox1.>=", LOOM_SWEEP_GREATER_EQUAL, LOOM_SWEEP_LESS_EQUAL, true},
};

static const comparison *comparison_of(const loom_operator *op) {
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++)
        if (strcmp(op->name, comparisons[i].name) == 0) return &comparisons[i];
    return NULL;
}

static bool is_volume(const loom_operator *op) {
    return strcmp(op->name, "vox1.volume") == 0 || strcmp(op->name, "vox1.vol") == 0;
}

static bool negates(const loom_operator *op) {
    return strcmp(op->name, "vox1.not") == 0 || strcmp(op->name, "vox1.not_compat") == 0;
}

/* Whether each member but the first takes the one before, and nothing else. */
static bool is_chain(const loom_tape *tape) {
    for (uint32_t k = 1; k < tape->member_count; k++) {
        const loom_tape_member *member = &tape->members[k];
        if (member->count != 1 || tape->operands[member->first] != (LOOM_TAPE_MEMBER | (k - 1))) return false;
    }
    return tape->member_count > 1;
}

#define CHEAP_DEPTH 6 /* of arithmetic on what is known */

/* Whether a value will be known as soon as some worker looks at it. */
static bool is_cheap(const loom_session *session, uint32_t index, int depth) {
    const loom_step *step = &session->graph.steps[index];
    if (step->state == LOOM_STEP_DONE) return true;
    if (!step->op || step->argument_count > 4 || depth == 0) return false;
    bool cheap = step->op->cost == LOOM_COST_SCALAR || step->op->flags & LOOM_OP_VOXELWISE; /* of numbers, if all are */
    for (uint32_t i = 0; i < step->argument_count && cheap; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        cheap = session->graph.steps[argument].type != LOOM_IMAGE && is_cheap(session, argument, depth - 1);
    }
    return cheap;
}

/* Numbers only: what else a comparison takes for one, it says itself. */
static bool read_number(loom_session *session, uint32_t index, double *number, bool *known) {
    loom_value value;
    const loom_step *step = &session->graph.steps[index];
    if (step->state != LOOM_STEP_DONE) {
        *known = false;
        return is_cheap(session, index, CHEAP_DEPTH);
    }
    if (step->type != LOOM_INT && step->type != LOOM_FLOAT) return false;
    loom_arena_reset(session->scratch);
    if (loom_step_value(session, index, session->scratch, &value, NULL) != LOOM_OK) return false;
    *number = value.type == LOOM_INT ? (double)value.integer : value.number;
    return value.type == LOOM_INT || value.type == LOOM_FLOAT;
}

static bool match_comparison(loom_session *session, const loom_group *group, const comparison *what,
                             loom_swept_item *item) {
    const loom_tape_member *first = &group->tape.members[0];
    uint32_t steps[3], image_at = first->count - 1;
    if (first->count != (what->relation == LOOM_SWEEP_BETWEEN ? 3u : 2u)) return false;
    for (uint32_t i = 0; i < first->count; i++)
        steps[i] = loom_graph_resolve(&session->graph, group->arguments[group->tape.operands[first->first + i]]);
    if (what->overloaded && loom_step_is_image(session, steps[0])) image_at = 0;
    if (!loom_step_is_image(session, steps[image_at])) return false;
    item->image = steps[image_at];
    item->letter = (char)('a' + (what->overloaded && image_at > 0 ? what->mirrored : what->relation));
    item->count = 0;
    item->known = true;
    for (uint32_t i = 0; i < first->count; i++) {
        if (i == image_at) continue;
        item->steps[item->count] = steps[i];
        if (!read_number(session, steps[i], &item->numbers[item->count++], &item->known)) return false;
    }
    return true;
}

bool loom_sweep_match(loom_session *session, const loom_group *group, loom_swept_item *item) {
    const loom_tape *tape = &group->tape;
    if (!is_chain(tape) || !is_volume(tape->members[tape->member_count - 1].op)) return false;
    const comparison *what = comparison_of(tape->members[0].op);
    if (!what || !match_comparison(session, group, what, item)) return false;
    bool negated = false;
    for (uint32_t k = 1; k + 1 < tape->member_count; k++) {
        if (!negates(tape->members[k].op)) return false;
        negated = !negated;
    }
    if (negated) item->letter = (char)(item->letter + LOOM_SWEEP_NOT);
    return true;
}
