/* space_reclaim.c - from deleted to free, from free to the file system; and what nobody owns. Order, and what a crash
 * leaves at each step: shm/SCHEMA.md, "Extents". */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/extent/space_parts.h"
#include "shm/platform_file.h"
#include "shm/probe.h"

/* Entries moved in one transaction: bounds how long other writers wait, and the pages it dirties. */
#define MOVE_MAX UINT64_C(65536)

/* ---- free ends of files ---- */

/* A file whose end is cut off: its lock is held from before the transaction commits until it is done. */
typedef struct cut {
    uint32_t number;
    uint64_t tail, unpunched;
} cut;

/* Whether a writer, living or dead, may have passed on bytes beyond what is committed. Under the file's lock. */
static bool is_quiet(loom_space *space, uint32_t number, uint64_t committed) {
    loom_extents *extents = space->options.extents;
    int fd;
    uint64_t tail = UINT64_MAX;
    if (loom_extents_open_existing(extents, number, &fd, NULL) != LOOM_OK) return false;
    loom_status status = loom_extents_tail(extents, number, fd, &tail, NULL);
    close(fd);
    return status == LOOM_OK && tail <= committed;
}

static loom_status choose_cut(loom_space *space, loom_index_batch *batch, uint32_t number, cut *chosen,
                              loom_error *err) {
    loom_extents *extents = space->options.extents;
    uint64_t committed;
    LOOM_TRY(loom_index_batch_tail(batch, number, &committed, err));
    if (loom_extents_lock(extents, number, NULL) != LOOM_OK) return LOOM_NOT_FOUND;
    *chosen = (cut){.number = number};
    loom_status status = is_quiet(space, number, committed)
                             ? loom_index_cut_tail(batch, number, &chosen->tail, &chosen->unpunched, err)
                             : LOOM_NOT_FOUND;
    if (status != LOOM_OK) loom_extents_unlock(extents, number);
    return status;
}

static loom_status choose_cuts(loom_space *space, loom_index_batch *batch, cut **cuts, size_t *count, loom_error *err) {
    uint32_t *numbers;
    size_t files;
    *count = 0;
    *cuts = NULL;
    LOOM_TRY(loom_index_extent_numbers(batch, &numbers, &files, err));
    *cuts = malloc((files + 1) * sizeof **cuts);
    loom_status status = *cuts == NULL ? loom_batch_no_memory(batch, err) : LOOM_OK;
    for (size_t i = 0; i < files && status == LOOM_OK; i++) {
        status = choose_cut(space, batch, numbers[i], &(*cuts)[*count], err);
        if (status == LOOM_OK) ++*count;
        if (status == LOOM_NOT_FOUND) status = LOOM_OK;
    }
    free(numbers);
    return status;
}

/* After the commit: nobody can be given what lies behind the new tail before the file is shorter. */
static void cut_file(loom_space *space, const cut *chosen) {
    loom_extents *extents = space->options.extents;
    int fd;
    if (loom_extents_open_existing(extents, chosen->number, &fd, NULL) != LOOM_OK) return;
    if (loom_extents_set_reserved(extents, chosen->number, fd, chosen->tail, NULL) == LOOM_OK &&
        loom_file_resize(fd, chosen->tail) == 0)
        loom_space_uncharge(space, chosen->unpunched);
    close(fd);
}

/* ---- reclaiming ---- */

static loom_status punch(void *context, const loom_placement *placement, loom_error *err) {
    loom_space *space = context;
    LOOM_PROBE("recycle:punching");
    return loom_extents_punch(space->options.extents, placement, err);
}

typedef struct reclaiming {
    uint64_t from, upto; /* of `deleted`; upto = 0: none */
    uint64_t keep_bytes;
    bool take_back;
    uint64_t punched;
    cut *cuts;
    size_t cut_count;
} reclaiming;

static loom_status change_tables(loom_space *space, loom_index_batch *batch, reclaiming *of, loom_error *err) {
    if (of->take_back) LOOM_TRY(loom_space_return_lent(space, batch, err));
    if (of->upto != 0) {
        /* The deletions up to `upto` are durable by now. */
        loom_pins pins;
        uint64_t upto = of->upto, moved = 0;
        LOOM_TRY(loom_control_pins(space->options.control, &pins, err));
        loom_status status =
            pins.barrier ? LOOM_OK : loom_index_free_deleted(batch, &pins, of->from, &upto, MOVE_MAX, &moved, err);
        loom_pins_free(&pins);
        LOOM_TRY(status);
        of->from = upto + 1;
        LOOM_PROBE("recycle:moved");
    }
    if (of->from <= of->upto) return LOOM_OK; /* the rest waits for the last round */
    LOOM_TRY(loom_index_punch_free(batch, of->keep_bytes, punch, space, &of->punched, err));
    return choose_cuts(space, batch, &of->cuts, &of->cut_count, err);
}

/* One transaction. */
static loom_status reclaim_some(loom_space *space, reclaiming *of, loom_error *err) {
    loom_index_batch *batch;
    of->punched = 0;
    of->cuts = NULL;
    of->cut_count = 0;
    LOOM_TRY(loom_index_begin(space->options.index, LOOM_DURABLE_VERIFIED, &batch, err));
    loom_status status = change_tables(space, batch, of, err);
    LOOM_PROBE("recycle:written");
    if (status == LOOM_OK)
        status = loom_index_commit(batch, NULL, err);
    else
        loom_index_abort(batch);
    LOOM_PROBE("recycle:committed");
    if (status == LOOM_OK) loom_space_uncharge(space, of->punched);
    for (size_t i = 0; i < of->cut_count; i++) {
        if (status == LOOM_OK) cut_file(space, &of->cuts[i]);
        loom_extents_unlock(space->options.extents, of->cuts[i].number);
    }
    free(of->cuts);
    of->take_back = false;
    return status;
}

static bool has_too_much(loom_space *space, uint64_t keep_bytes) {
    loom_space_sums sums;
    return loom_index_space_sums(space->options.index, &sums, NULL) == LOOM_OK &&
           sums.free_bytes - sums.punched_bytes > keep_bytes;
}

loom_status loom_space_reclaim_locked(loom_space *space, uint64_t keep_bytes, bool take_back, loom_error *err) {
    loom_index *index = space->options.index;
    reclaiming of = {.from = 1, .keep_bytes = keep_bytes, .take_back = take_back};
    LOOM_TRY(loom_index_last_deleted(index, &of.upto, err));
    if (of.upto == 0 && !take_back && !has_too_much(space, keep_bytes)) return LOOM_OK;
    /* Whoever finds these ranges again after a power failure would find other bytes in them. */
    if (of.upto != 0) LOOM_TRY(loom_index_sync(index, err));
    LOOM_PROBE("recycle:synced");
    do {
        loom_status status = reclaim_some(space, &of, err);
        if (status == LOOM_NO_SPACE && loom_space_drop_ballast(space)) status = reclaim_some(space, &of, err);
        LOOM_TRY(status);
    } while (of.upto != 0 && of.from <= of.upto);
    loom_space_refresh(space);
    loom_space_make_ballast(space);
    return LOOM_OK;
}

loom_status loom_space_reclaim(loom_space *space, uint64_t keep_bytes, loom_error *err) {
    LOOM_TRY(loom_space_enter(space, err));
    loom_status status = loom_space_reclaim_locked(space, keep_bytes, keep_bytes == 0, err);
    loom_space_leave(space);
    return status;
}

/* ---- sweeping ---- */

static loom_status complete_files(loom_space *space, loom_index_batch *batch, loom_error *err) {
    uint32_t *numbers;
    size_t files;
    LOOM_TRY(loom_index_extent_numbers(batch, &numbers, &files, err));
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < files && status == LOOM_OK; i++) {
        uint64_t tail;
        status = loom_index_batch_tail(batch, numbers[i], &tail, err);
        if (status == LOOM_OK) status = loom_extents_complete(space->options.extents, numbers[i], tail, err);
    }
    free(numbers);
    return status;
}

static loom_status rebuild(loom_space *space, uint64_t *found, loom_error *err) {
    loom_index_batch *batch;
    LOOM_TRY(loom_index_begin(space->options.index, LOOM_DURABLE_VERIFIED, &batch, err));
    loom_status status = loom_space_return_lent(space, batch, err);
    if (status == LOOM_OK) status = complete_files(space, batch, err);
    if (status == LOOM_OK) status = loom_index_rebuild_space(batch, LOOM_PAGE_BYTES, punch, space, found, err);
    if (status != LOOM_OK) {
        loom_index_abort(batch);
        return status;
    }
    return loom_index_commit(batch, NULL, err);
}

loom_status loom_space_sweep_locked(loom_space *space, uint64_t *found, loom_error *err) {
    *found = 0;
    LOOM_TRY(rebuild(space, found, err));
    LOOM_TRY(loom_space_reclaim_locked(space, loom_space_reuse_bytes(space), false, err));
    LOOM_TRY(loom_extents_cut(space->options.extents, err));
    return loom_space_recount(space, err);
}

loom_status loom_space_sweep(loom_space *space, uint64_t *found, bool *kept, loom_error *err) {
    *found = 0;
    *kept = false;
    bool alone = false;
    LOOM_TRY(loom_space_enter(space, err));
    loom_status status = loom_control_retake_gate(space->options.control, err);
    if (status == LOOM_OK) {
        status = loom_control_alone(space->options.control, &alone, err);
        *kept = !alone || loom_extents_have_writers(space->options.extents);
        if (status == LOOM_OK && !*kept) status = loom_space_sweep_locked(space, found, err);
        loom_control_leave_gate(space->options.control);
    }
    loom_space_leave(space);
    return status;
}
