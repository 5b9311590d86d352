/* audit.c - see audit.h. A sample of the store's rows is drawn, each becomes a step that is demanded, and what its task
 * gives is compared where a run would store it. */
#include "runtime/coordinator/audit.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/audit_steps.h"
#include "runtime/coordinator/session.h"
#include "runtime/kernels/kernel.h"
#include "runtime/task_result.h"

/* ---- digests ---- */

/* Of an image the vid says nothing (it is the key): header and voxels do. */
static loom_id digest(loom_hasher *hasher, loom_type type, const loom_id *vid, const void *payload,
                      size_t payload_bytes, uint64_t bulk_bytes, const uint64_t root[2]) {
    const uint64_t facts[] = {(uint64_t)type, bulk_bytes, root[0], root[1], payload_bytes};
    loom_hasher_begin(hasher);
    loom_hasher_add(hasher, facts, sizeof facts);
    loom_hasher_add(hasher, vid->bytes, sizeof vid->bytes);
    if (payload_bytes) loom_hasher_add(hasher, payload, payload_bytes);
    return loom_hasher_end(hasher);
}

static loom_id digest_of_row(loom_hasher *hasher, const loom_result *row) {
    return digest(hasher, row->type, &row->vid, row->payload, row->payload_bytes, row->bulk.bytes, row->root);
}

static loom_id digest_of_task(loom_hasher *hasher, const loom_segment *segment, const loom_task *task) {
    size_t length = 0;
    const void *payload = task->flags & LOOM_TASK_BLOB ? NULL : loom_task_payload(segment, task, &length);
    return digest(hasher, (loom_type)task->type, &task->vid, payload, length, task->bulk.bytes, task->root);
}

/* ---- the sample ---- */

/* A row in the order in which rows are drawn: by a number that its own number and the seed decide. */
typedef struct ticket {
    uint64_t order;
    loom_id rkey;
} ticket;

typedef struct draw {
    const loom_session *session;
    loom_arena *arena; /* reset for each row */
    ticket *tickets;
    size_t count, capacity;
    bool out_of_memory;
} draw;

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t scatter(uint64_t value) {
    value += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

static bool add_ticket(const loom_result *row, void *context) {
    draw *all = context;
    loom_recipe recipe;
    loom_arena_reset(all->arena);
    if (!loom_recipe_read(row->recipe, row->recipe_bytes, all->arena, &recipe)) return true;
    if (!loom_audit_operator(all->session, &recipe)) return true;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 1024;
        ticket *grown = realloc(all->tickets, capacity * sizeof *grown);
        all->out_of_memory = !grown;
        if (!grown) return false;
        all->tickets = grown;
        all->capacity = capacity;
    }
    uint64_t seed = all->session->options->audit->seed;
    all->tickets[all->count++] = (ticket){.order = scatter(scatter(seed) ^ row->row), .rkey = row->rkey};
    return true;
}

static int by_order(const void *a, const void *b) {
    const ticket *left = a, *right = b;
    return (left->order > right->order) - (left->order < right->order);
}

/* A step for one drawn row; passed over if its arguments cannot be had. */
static loom_status take_ticket(loom_session *session, const loom_id *rkey, loom_arena *arena, loom_error *err) {
    loom_audit *audit = session->options->audit;
    loom_result row;
    loom_recipe recipe;
    loom_error damage = {0};
    loom_arena_reset(arena);
    loom_status status = loom_store_find(session->store, rkey, arena, &row, err);
    if (status == LOOM_NOT_FOUND) return LOOM_OK; /* evicted since */
    if (status != LOOM_OK) return status;
    if (!loom_recipe_read(row.recipe, row.recipe_bytes, arena, &recipe)) return LOOM_OK;
    loom_audited *item = &audit->items[audit->count];
    *item = (loom_audited){.rkey = row.rkey, .node = row.node, .step = LOOM_STEP_NONE};
    item->stored = digest_of_row(session->hasher, &row);
    item->op = loom_audit_operator(session, &recipe)->name;
    status = loom_store_verify(session->store, &row, &damage);
    if (status == LOOM_CORRUPT) {
        item->verdict = LOOM_AUDIT_DAMAGED;
        item->cause = damage;
        audit->count++;
        return LOOM_OK;
    }
    status = loom_audit_step(session, &recipe, arena, &item->step, err);
    if (status == LOOM_NOT_FOUND) audit->passed_over++;
    if (status == LOOM_NOT_FOUND) return LOOM_OK;
    if (status != LOOM_OK) return status;
    if (loom_memo_set(&session->audited, item->step, (uint32_t)audit->count++) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while drawing a sample");
    return LOOM_OK;
}

static loom_status take_sample(loom_session *session, draw *all, loom_error *err) {
    loom_audit *audit = session->options->audit;
    LOOM_TRY(loom_store_each(session->store, add_ticket, all, err));
    if (all->out_of_memory) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while drawing a sample");
    audit->candidates = all->count;
    if (all->count > 1) qsort(all->tickets, all->count, sizeof *all->tickets, by_order);
    size_t most = audit->sample < all->count ? (size_t)audit->sample : all->count;
    if (most >= LOOM_MEMO_NONE) most = LOOM_MEMO_NONE - 1;
    audit->items = loom_arena_array(audit->arena, most + 1, sizeof *audit->items);
    if (!audit->items) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while drawing a sample");
    for (size_t i = 0; i < all->count && audit->count < most; i++)
        LOOM_TRY(take_ticket(session, &all->tickets[i].rkey, all->arena, err));
    return LOOM_OK;
}

loom_status loom_audit_start(loom_session *session, loom_error *err) {
    loom_audit *audit = session->options->audit;
    draw all = {.session = session, .arena = loom_arena_new()};
    loom_status status = all.arena ? take_sample(session, &all, err)
                                   : loom_fail(err, LOOM_NO_MEMORY, "out of memory while drawing a sample");
    loom_arena_free(all.arena);
    free(all.tickets);
    for (uint64_t i = 0; i < audit->count && status == LOOM_OK; i++)
        if (audit->items[i].step != LOOM_STEP_NONE) status = loom_demand(session, audit->items[i].step, err);
    return status;
}

bool loom_audit_is_over(const loom_session *session) {
    return session->work_count == 0 && !session->sweeps && session->in_flight == 0 && session->committing == 0 &&
           loom_submission_is_over(session);
}

/* ---- what comes of it ---- */

loom_status loom_audit_compare(loom_session *session, uint32_t index) {
    loom_audit *audit = session->options->audit;
    const loom_task *task = loom_segment_task(session->segment, session->graph.steps[index].task);
    session->graph.steps[index].unstored = true;
    uint32_t number = loom_memo_get(&session->audited, index);
    if (number == LOOM_MEMO_NONE) return LOOM_OK; /* an argument of one */
    loom_audited *item = &audit->items[number];
    item->computed = digest_of_task(session->hasher, session->segment, task);
    if (!loom_id_equal(&task->rkey, &item->rkey))
        item->verdict = LOOM_AUDIT_ELSE;
    else
        item->verdict = loom_id_equal(&item->computed, &item->stored) ? LOOM_AUDIT_SAME : LOOM_AUDIT_DIFFERS;
    return LOOM_OK;
}

/* An operator that refuses what it once took has changed; what this machine lacks says nothing of the result. */
static bool says_something(loom_status status) {
    return status == LOOM_BAD_ARGUMENT || status == LOOM_BAD_DOMAIN || status == LOOM_INTERNAL ||
           status == LOOM_WORKER_DIED || status == LOOM_TOO_LARGE;
}

void loom_audit_finish(loom_session *session) {
    loom_audit *audit = session->options->audit;
    for (uint64_t i = 0; i < audit->count; i++) {
        loom_audited *item = &audit->items[i];
        if (item->step == LOOM_STEP_NONE || item->verdict != LOOM_AUDIT_UNKNOWN) continue;
        const loom_step *step = &session->graph.steps[item->step];
        if (step->state != LOOM_STEP_FAILED) continue;
        item->cause = session->failures[step->failure].error;
        if (says_something(item->cause.status)) item->verdict = LOOM_AUDIT_REFUSES;
    }
}
