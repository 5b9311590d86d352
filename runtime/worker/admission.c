/* Whether there is memory for what a task is about to make: the workers' side of the brake (coordinator/brake.c has the
 * other). Sizes are known before bytes are written, so this is a decision, not a reaction: bytes are committed before
 * they are reserved, and a task whose bytes do not fit is held back and runs later. */
#include <time.h>

#include "planner/domain.h"
#include "runtime/worker/worker.h"

#define AGAIN_NS 1000000

static uint64_t whole_pages(uint64_t bytes) {
    return bytes + (LOOM_PAGE_BYTES - bytes % LOOM_PAGE_BYTES) % LOOM_PAGE_BYTES;
}

/* Whether it goes on from an image: then it makes the run deeper, and its end may release something. */
static bool uses_an_image(const loom_worker *worker) {
    const uint32_t *numbers = loom_segment_pointer(worker->segment, worker->task->arguments);
    for (uint32_t i = 0; numbers && i < worker->task->argument_count; i++) {
        const loom_task *argument = loom_segment_task(worker->segment, numbers[i]);
        if (argument && argument->type == LOOM_IMAGE) return true;
    }
    return false;
}

/* What the run may have committed in all when this task begins. A root leaves room for one image like its own on each
 * worker, so that what goes on from images finds room in turn. */
static uint64_t limit_for(const loom_worker *worker, uint64_t bytes) {
    uint64_t budget = loom_segment_budget(worker->segment), workers = loom_segment_workers(worker->segment);
    if (worker->task->flags & LOOM_TASK_BEYOND || budget == UINT64_MAX) return UINT64_MAX;
    if (worker->planned_bytes) return budget; /* held back before: the coordinator has judged it */
    if (uses_an_image(worker)) return budget;
    return budget - (bytes > budget / 2 / workers ? budget / 2 : bytes * workers);
}

static bool commit(loom_worker *worker, uint64_t bytes) {
    worker->wanted_bytes = worker->committed_bytes + bytes;
    worker->refused = !loom_segment_commit_bytes(worker->segment, bytes, limit_for(worker, bytes));
    if (!worker->refused) worker->committed_bytes += bytes;
    return !worker->refused;
}

void loom_worker_admission_begin(loom_worker *worker) {
    worker->committed_bytes = worker->used_bytes = 0;
    worker->wanted_bytes = worker->planned_bytes = worker->task->bulk.bytes;
    worker->refused = false;
}

bool loom_worker_may_begin(loom_worker *worker, const loom_operator *op) {
    worker->refused = loom_signature_result(op) == 'i' && !(worker->task->flags & LOOM_TASK_BEYOND) &&
                      loom_segment_committed(worker->segment) >= loom_segment_budget(worker->segment);
    return !worker->refused;
}

bool loom_worker_admit(loom_worker *worker, uint64_t bytes) {
    uint64_t used = worker->used_bytes + whole_pages(bytes);
    /* What it wanted when it was held back is committed at once, or it might be held back half-way again. */
    uint64_t all = used > worker->planned_bytes ? used : worker->planned_bytes;
    if (all > worker->committed_bytes && !commit(worker, all - worker->committed_bytes)) return false;
    worker->used_bytes = used;
    return true;
}

void loom_worker_hold_back(loom_worker *worker, uint32_t number) {
    bool again = worker->planned_bytes > 0;
    loom_worker_unclaim(worker);
    loom_worker_release(worker);
    loom_recorder_task_put_back(worker->recorder);
    loom_task_hold_back(worker->segment, number, worker->wanted_bytes);
    /* A search of the table finds what is held back too, at once and for as long as some task waits for disk space: not
     * a core of its own for that, and a moment in which the coordinator sees that nothing runs. */
    if (again) nanosleep(&(struct timespec){.tv_nsec = AGAIN_NS}, NULL);
}
