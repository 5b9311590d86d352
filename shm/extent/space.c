/* space.c - see space.h: opening, the budget, and free ranges on their way from the index to writers. */
#include "shm/extent/space.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

#include "shm/extent/space_parts.h"
#include "shm/probe.h"

/* How much one transaction takes out of the index: what a crash can leave unowned, against how often it is needed. */
#define LEND_BYTES (UINT64_C(256) << 20)
#define LEND_RANGES 64u
/* Deleted space that is worth a sync of the index, outside need. */
#define DELETED_BYTES_MAX (UINT64_C(64) << 20)
#define INDEX_GROWTH_MAX (UINT64_C(16) << 20)
#define UPKEEP_NS UINT64_C(1000000000)
/* Unowned space that is worth a scan of all rows at an opening, though nobody asked for it. */
#define UNOWNED_BYTES_MAX (UINT64_C(1) << 30)

loom_status loom_space_enter(loom_space *space, loom_error *err) {
    loom_index *index = space->options.index;
    if (!space->options.writable || space->shared == NULL)
        return loom_fail(err, LOOM_DENIED, "the store %s is open read-only", space->options.path);
    pthread_mutex_lock(&index->lock);
    bool mine = index->writing && pthread_equal(index->writer, pthread_self());
    pthread_mutex_unlock(&index->lock);
    if (mine) return loom_fail(err, LOOM_BUSY, "this thread has a batch open on %s; commit it first", index->path);
    pthread_mutex_lock(&space->lock);
    return LOOM_OK;
}

void loom_space_leave(loom_space *space) {
    pthread_mutex_unlock(&space->lock);
}

/* ---- opening and closing ---- */

/* What only a process that is alone may do (SCHEMA.md, "Replay and recovery"). A full disk must not keep a store from
 * opening: what cannot be tidied now is tidied next time. */
static loom_status tidy(loom_space *space, loom_error *err) {
    uint64_t budget = space->options.budget_bytes, most = UNOWNED_BYTES_MAX, found;
    loom_space_sums sums;
    if (budget != 0 && budget / 8 < most) most = budget / 8;
    LOOM_TRY(loom_index_space_sums(space->options.index, &sums, err));
    loom_status status = sums.other_bytes > most
                             ? loom_space_sweep_locked(space, &found, err)
                             : loom_space_reclaim_locked(space, loom_space_reuse_bytes(space), false, err);
    if (status == LOOM_OK) status = loom_extents_cut(space->options.extents, err);
    if (status == LOOM_OK) status = loom_space_recount(space, err);
    return status == LOOM_NO_SPACE ? LOOM_OK : status;
}

void loom_space_set_limits(loom_space *space, uint64_t budget_bytes, uint64_t reuse_bytes, loom_eviction eviction) {
    if (space->shared == NULL) return;
    atomic_store(&space->shared->budget_bytes, budget_bytes);
    atomic_store(&space->shared->reuse_bytes, reuse_bytes);
    atomic_store(&space->shared->eviction, (uint32_t)eviction);
}

loom_status loom_space_open(const loom_space_options *options, loom_space **space, loom_error *err) {
    *space = NULL;
    loom_space *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the store %s", options->path);
    made->options = *options;
    made->shared = loom_control_space_of(options->control);
    pthread_mutex_init(&made->lock, NULL);
    *space = made;
    if (made->shared == NULL) return LOOM_OK;
    if (options->writable && (options->opener || options->alone))
        loom_space_set_limits(made, options->budget_bytes, options->reuse_bytes, options->eviction);
    loom_status status = LOOM_OK;
    if (options->alone) status = options->writable ? tidy(made, err) : loom_space_recount(made, err);
    if (status != LOOM_OK) {
        loom_space_close(made);
        *space = NULL;
        return status;
    }
    if (options->alone) loom_space_refresh(made);
    if (options->writable) loom_space_make_ballast(made);
    options->extents->space = made;
    return LOOM_OK;
}

/* An error leaves the ranges unowned until gc: closing goes on. */
static void return_at_close(loom_space *space) {
    if (!space->options.writable || space->shared == NULL || atomic_load(&space->shared->lent_bytes) == 0) return;
    if (loom_control_others(space->options.control, LOOM_ROLE_OPENER) > 0) return;
    loom_index_batch *batch;
    if (loom_space_enter(space, NULL) != LOOM_OK) return;
    if (loom_index_begin(space->options.index, LOOM_DURABLE_VERIFIED, &batch, NULL) == LOOM_OK) {
        if (loom_space_return_lent(space, batch, NULL) == LOOM_OK)
            (void)loom_index_commit(batch, NULL, NULL);
        else
            loom_index_abort(batch);
    }
    loom_space_leave(space);
}

void loom_space_close(loom_space *space) {
    if (space == NULL) return;
    if (space->options.extents->space == space) {
        return_at_close(space);
        space->options.extents->space = NULL;
    }
    pthread_mutex_destroy(&space->lock);
    free(space);
}

/* ---- counting ---- */

uint64_t loom_space_reuse_bytes(const loom_space *space) {
    return space->shared == NULL ? 0 : atomic_load(&space->shared->reuse_bytes);
}

void loom_space_refresh(loom_space *space) {
    loom_space_sums sums;
    if (space->shared == NULL || loom_index_space_sums(space->options.index, &sums, NULL) != LOOM_OK) return;
    if (atomic_exchange(&space->shared->free_bytes, sums.free_bytes) < sums.free_bytes)
        atomic_fetch_add(&space->shared->free_changes, 1);
    atomic_store(&space->shared->deleted_bytes, sums.deleted_bytes);
}

loom_status loom_space_usage_of(loom_space *space, loom_space_usage *usage, loom_error *err) {
    *usage = (loom_space_usage){.index_bytes = loom_index_bytes(space->options.index)};
    loom_space_sums sums;
    LOOM_TRY(loom_index_space_sums(space->options.index, &sums, err));
    uint64_t lent = 0;
    if (space->shared != NULL) {
        lent = atomic_load(&space->shared->lent_bytes);
        usage->budget_bytes = atomic_load(&space->shared->budget_bytes);
        usage->extent_bytes = atomic_load(&space->shared->extent_bytes);
    }
    if (lent > sums.other_bytes) lent = sums.other_bytes;
    usage->live_bytes = sums.live_bytes;
    usage->free_bytes = sums.free_bytes + lent;
    usage->punched_bytes = sums.punched_bytes;
    usage->deleted_bytes = sums.deleted_bytes;
    usage->unowned_bytes = sums.other_bytes - lent;
    usage->header_bytes = sums.header_bytes;
    return LOOM_OK;
}

loom_status loom_space_recount(loom_space *space, loom_error *err) {
    uint64_t files, bytes;
    LOOM_TRY(loom_extents_usage(space->options.extents, &files, &bytes, err));
    if (space->shared != NULL) atomic_store(&space->shared->extent_bytes, bytes);
    return LOOM_OK;
}

void loom_space_count(loom_space *space, uint64_t bytes) {
    atomic_fetch_add(&space->shared->extent_bytes, bytes);
}

/* What of the budget extents may have: rows of what is reserved now will make the index grow. 0 = no budget. */
static uint64_t extents_may_have(loom_space *space) {
    uint64_t budget = atomic_load(&space->shared->budget_bytes);
    if (budget == 0) return 0;
    uint64_t growth = budget / 64 < INDEX_GROWTH_MAX ? budget / 64 : INDEX_GROWTH_MAX;
    uint64_t others = loom_index_bytes(space->options.index) + growth;
    return budget > others ? budget - others : 1;
}

bool loom_space_charge(loom_space *space, uint64_t bytes) {
    _Atomic uint64_t *counted = &space->shared->extent_bytes;
    uint64_t most = extents_may_have(space), now = atomic_load(counted);
    do {
        if (most != 0 && (now > most || bytes > most - now)) return false;
    } while (!atomic_compare_exchange_weak(counted, &now, now + bytes));
    return true;
}

void loom_space_uncharge(loom_space *space, uint64_t bytes) {
    _Atomic uint64_t *counted = &space->shared->extent_bytes;
    uint64_t now = atomic_load(counted);
    while (!atomic_compare_exchange_weak(counted, &now, now > bytes ? now - bytes : 0))
        ;
}

uint64_t loom_space_over(loom_space *space, uint64_t more) {
    uint64_t most = space->shared == NULL ? 0 : extents_may_have(space);
    if (most == 0) return 0;
    uint64_t used = atomic_load(&space->shared->extent_bytes);
    return used > most || more > most - used ? used + more - most : 0;
}

/* ---- lending ---- */

loom_status loom_space_return_lent(loom_space *space, loom_index_batch *batch, loom_error *err) {
    loom_lent range;
    while (loom_control_borrow(space->options.control, 1, &range))
        LOOM_TRY(loom_index_add_free(batch, &range, err));
    return LOOM_OK;
}

/* Gives what the list cannot hold back to the index. */
static void return_some(loom_space *space, const loom_lent *ranges, size_t count) {
    loom_index_batch *batch;
    if (count == 0 || loom_index_begin(space->options.index, LOOM_DURABLE_VERIFIED, &batch, NULL) != LOOM_OK) return;
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < count && status == LOOM_OK; i++)
        status = loom_index_add_free(batch, &ranges[i], NULL);
    if (status == LOOM_OK)
        (void)loom_index_commit(batch, NULL, NULL);
    else
        loom_index_abort(batch);
}

/* Takes ranges out of the table. When none is long enough, what is listed goes back first: there it is joined. */
static loom_status take_free(loom_space *space, loom_index_batch *batch, uint64_t pages, loom_lent *ranges,
                             size_t *count) {
    const uint64_t most = LEND_BYTES / LOOM_PAGE_BYTES;
    LOOM_TRY(loom_index_take_free(batch, pages, most, ranges, LEND_RANGES, count, NULL));
    if (*count > 0 || atomic_load(&space->shared->lent_bytes) == 0) return LOOM_OK;
    LOOM_TRY(loom_space_return_lent(space, batch, NULL));
    return loom_index_take_free(batch, pages, most, ranges, LEND_RANGES, count, NULL);
}

/* The first range is the caller's, the others are listed. */
static bool lend(loom_space *space, uint64_t pages, loom_lent *range) {
    loom_lent ranges[LEND_RANGES];
    size_t count = 0, listed = 1;
    loom_index_batch *batch;
    if (loom_index_begin(space->options.index, LOOM_DURABLE_VERIFIED, &batch, NULL) != LOOM_OK) return false;
    loom_status status = take_free(space, batch, pages, ranges, &count);
    LOOM_PROBE("recycle:chosen");
    /* Also when nothing was found: what was listed is in the table now. */
    if (status == LOOM_OK)
        status = loom_index_commit(batch, NULL, NULL);
    else
        loom_index_abort(batch);
    LOOM_PROBE("recycle:lent");
    if (status != LOOM_OK) return false;
    while (listed < count && loom_control_lend(space->options.control, &ranges[listed]))
        listed++;
    if (listed < count) return_some(space, ranges + listed, count - listed);
    loom_space_refresh(space);
    if (count > 0) *range = ranges[0];
    return count > 0;
}

/* Whether there is as much at all, and what is free has changed since a request no larger than this was not met. */
static bool may_have(const loom_space *space, uint64_t pages) {
    uint64_t most = atomic_load(&space->shared->free_bytes) + atomic_load(&space->shared->lent_bytes);
    if (most / LOOM_PAGE_BYTES < pages) return false;
    uint64_t vain = atomic_load(&space->vain_pages);
    return vain == 0 || pages < vain || atomic_load(&space->vain_changes) != atomic_load(&space->shared->free_changes);
}

static bool take_lent(loom_space *space, uint64_t pages, loom_lent *range) {
    if (loom_control_borrow(space->options.control, pages, range)) return true;
    if (!may_have(space, pages)) return false;
    if (loom_space_enter(space, NULL) != LOOM_OK) return false;
    /* Another thread may have lent meanwhile. */
    bool got = loom_control_borrow(space->options.control, pages, range);
    if (!got && may_have(space, pages)) {
        uint64_t changes = atomic_load(&space->shared->free_changes);
        got = lend(space, pages, range);
        atomic_store(&space->vain_pages, got ? 0 : pages);
        atomic_store(&space->vain_changes, changes);
    }
    loom_space_leave(space);
    return got;
}

bool loom_space_borrow(loom_space *space, uint64_t pages, loom_lent *range) {
    if (!take_lent(space, pages, range)) return false;
    LOOM_PROBE("recycle:taken");
    if (range->pages > pages) {
        loom_lent rest = *range;
        rest.page += pages;
        rest.pages -= pages;
        if (!loom_control_lend(space->options.control, &rest)) loom_space_give_back(space, &rest);
        range->pages = pages;
    }
    return true;
}

void loom_space_give_back(loom_space *space, const loom_lent *range) {
    atomic_fetch_add(&space->shared->free_changes, 1);
    if (loom_control_lend(space->options.control, range)) return;
    /* The list is full. */
    if (loom_space_enter(space, NULL) != LOOM_OK) return;
    return_some(space, range, 1);
    loom_space_refresh(space);
    loom_space_leave(space);
}

/* ---- making room ---- */

static uint64_t at_least(uint64_t bytes, uint64_t least) {
    return bytes > least ? bytes : least;
}

/* A request for space that was refused. */
typedef struct request {
    uint64_t bytes;
    bool at_tail, disk_full;
} request;

static bool fits(loom_space *space, const request *wanted) {
    struct statvfs disk;
    if (loom_space_over(space, wanted->bytes) > 0) return false;
    return !wanted->disk_full ||
           (fstatvfs(space->options.folder_fd, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize >= wanted->bytes);
}

static bool may_borrow(loom_space *space, const request *wanted) {
    loom_lent range;
    uint64_t pages = wanted->bytes / LOOM_PAGE_BYTES;
    if (wanted->at_tail) return false;
    if (!loom_control_borrow(space->options.control, pages, &range) &&
        (!may_have(space, pages) || !lend(space, pages, &range)))
        return false;
    /* What is punched helps only if it can be allocated again. */
    return loom_control_lend(space->options.control, &range) && (!range.punched || fits(space, wanted));
}

static loom_status reclaim_for(loom_space *space, const request *wanted, bool *enough, loom_error *err) {
    LOOM_TRY(loom_space_reclaim_locked(space, loom_space_reuse_bytes(space), false, err));
    *enough = fits(space, wanted) || may_borrow(space, wanted);
    if (*enough) return LOOM_OK;
    /* What is free but too scattered to be borrowed is punched; then as much may be allocated elsewhere. */
    LOOM_TRY(loom_space_reclaim_locked(space, 0, true, err));
    *enough = fits(space, wanted);
    return LOOM_OK;
}

static loom_status no_room(loom_space *space, uint64_t bytes, const loom_evicted *kept, loom_error *err) {
    loom_space_usage usage;
    LOOM_TRY(loom_space_usage_of(space, &usage, err));
    return loom_fail(err, LOOM_NO_SPACE,
                     "no space for %llu bytes in the store %s: %llu of its budget of %llu are used (%llu results are "
                     "pinned, %llu in use); raise store.budget, unpin results, or run `voxloom store gc`",
                     (unsigned long long)bytes, space->options.path,
                     (unsigned long long)(usage.extent_bytes + usage.index_bytes),
                     (unsigned long long)usage.budget_bytes, (unsigned long long)kept->pinned_rows,
                     (unsigned long long)kept->held_rows);
}

static loom_status make_room_locked(loom_space *space, const request *wanted, loom_error *err) {
    bool enough = false;
    loom_evicted evicted = {0};
    LOOM_TRY(reclaim_for(space, wanted, &enough, err));
    uint64_t budget = atomic_load(&space->shared->budget_bytes), before, chosen = 0;
    if (enough) return LOOM_OK;
    /* Without a budget nothing is evicted: the user did not ask for it. */
    if (budget == 0 || wanted->bytes > budget) return no_room(space, wanted->bytes, &evicted, err);
    do {
        before = chosen;
        evicted.pinned_rows = evicted.held_rows = 0;
        /* In bulk, so that the scan for the least valuable rows is paid by many reservations. */
        LOOM_TRY(loom_space_evict_locked(space, at_least(wanted->bytes, budget / 32), false, &evicted, err));
        LOOM_TRY(reclaim_for(space, wanted, &enough, err));
        if (enough) return LOOM_OK;
        chosen = evicted.rows + evicted.expired_rows + evicted.lost_rows;
    } while (chosen > before);
    return no_room(space, wanted->bytes, &evicted, err);
}

loom_status loom_space_make_room(loom_space *space, uint64_t bytes, bool at_tail, bool disk_full, loom_error *err) {
    request wanted = {.bytes = bytes, .at_tail = at_tail, .disk_full = disk_full};
    loom_status status = loom_space_enter(space, err);
    if (status == LOOM_BUSY)
        return loom_fail(err, LOOM_NO_SPACE,
                         "no space for %llu bytes in the store %s while a batch is open; commit it, or raise "
                         "store.budget",
                         (unsigned long long)bytes, space->options.path);
    LOOM_TRY(status);
    status = make_room_locked(space, &wanted, err);
    loom_space_refresh(space);
    loom_space_leave(space);
    return status;
}

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether the budget is nearly used up, and nothing is there to be recycled. */
static bool is_near_budget(loom_space *space) {
    const loom_control_space *shared = space->shared;
    uint64_t budget = atomic_load(&shared->budget_bytes);
    uint64_t spare =
        atomic_load(&shared->free_bytes) + atomic_load(&shared->lent_bytes) + atomic_load(&shared->deleted_bytes);
    return budget != 0 && loom_space_over(space, budget / 64) > 0 && spare < budget / 64;
}

/* What was in vain a moment ago, because all is held or pinned, is not tried at every commit. */
static bool is_due(loom_space *space) {
    uint64_t now = monotonic_ns(), last = atomic_load(&space->upkeep_ns);
    return now - last >= UPKEEP_NS && atomic_compare_exchange_strong(&space->upkeep_ns, &last, now);
}

void loom_space_upkeep(loom_space *space) {
    if (space->shared == NULL || !space->options.writable) return;
    loom_space_refresh(space);
    uint64_t deleted = atomic_load(&space->shared->deleted_bytes);
    bool near_budget = is_near_budget(space);
    bool much_deleted = deleted > DELETED_BYTES_MAX;
    if (!near_budget && !much_deleted) return;
    bool more_deleted = deleted > atomic_load(&space->deleted_kept) + DELETED_BYTES_MAX;
    if (!more_deleted && !is_due(space)) return;
    if (loom_space_enter(space, NULL) != LOOM_OK) return;
    loom_evicted evicted = {0};
    if (near_budget)
        (void)loom_space_evict_locked(space, atomic_load(&space->shared->budget_bytes) / 32, false, &evicted, NULL);
    (void)loom_space_reclaim_locked(space, loom_space_reuse_bytes(space), false, NULL);
    atomic_store(&space->deleted_kept, atomic_load(&space->shared->deleted_bytes));
    loom_space_leave(space);
}
