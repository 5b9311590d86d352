/* store_remove.c - `voxloom store rm`: results go away, after a question. */
#include <string.h>

#include "runtime/cli/store.h"
#include "runtime/stored_value.h"

static loom_status delete_all(loom_store *store, const loom_id *rkeys, size_t count, size_t *deleted, loom_error *err) {
    loom_batch *batch = NULL;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    for (size_t i = 0; i < count; i++) {
        loom_status status = loom_put_delete(batch, &rkeys[i], err);
        *deleted += status == LOOM_OK;
        if (status == LOOM_OK || status == LOOM_NOT_FOUND) continue; /* one result named twice */
        loom_batch_abort(batch);
        return status;
    }
    return loom_batch_commit(batch, err);
}

/* What is about to go, and how much of it somebody pinned. */
typedef struct doomed {
    const loom_id *rkeys;
    size_t count, pinned;
} doomed;

static bool count_pin(const loom_pin_record *pin, void *context) {
    doomed *all = context;
    for (size_t i = 0; i < all->count; i++)
        if (loom_id_equal(&all->rkeys[i], &pin->rkey) && strcmp(pin->owner, LOOM_PUT_OWNER) != 0) {
            all->pinned++;
            break;
        }
    return true;
}

static void show(loom_store_job *job, const doomed *all) {
    loom_arena *arena = loom_arena_new(), *line = loom_arena_new();
    for (size_t i = 0; i < all->count && arena != NULL && line != NULL; i++) {
        loom_result result;
        loom_arena_reset(arena);
        if (loom_store_find(job->store, &all->rkeys[i], arena, &result, NULL) == LOOM_OK)
            loom_store_print_row(&result, line, stderr);
    }
    loom_arena_free(line);
    loom_arena_free(arena);
}

static loom_status remove_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    loom_id *rkeys;
    size_t count, deleted = 0;
    LOOM_TRY(loom_store_resolve_all(job, 0, &rkeys, &count, err));
    doomed all = {.rkeys = rkeys, .count = count};
    LOOM_TRY(loom_store_each_pin(job->store, count_pin, &all, err));
    if (!job->quiet) show(job, &all);
    char pinned[64] = "";
    if (all.pinned > 0) snprintf(pinned, sizeof pinned, " (%zu pins hold them)", all.pinned);
    LOOM_TRY(loom_store_confirm(job, err, "remove %zu result%s%s? What was computed can be computed again.", count,
                                count == 1 ? "" : "s", pinned));
    LOOM_TRY(delete_all(job->store, rkeys, count, &deleted, err));
    if (!job->quiet) fprintf(stderr, "removed %zu\n", deleted);
    return LOOM_OK;
}

static int rm(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {
        .needs = LOOM_NEED_WRITE | LOOM_NEED_CONFIRM, .least = 1, .most = LOOM_WORDS_ANY, .work = remove_results};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_rm = {
    .name = "store rm",
    .summary = "Removes results; they are computed again when they are needed",
    .usage = "voxloom store rm ID... [--yes]",
    .help = "ID: the first digits, at least 4, of a key, a value id or a node id; goal:LABEL; or key:NAME.\n"
            "What a result was and how it is computed stays known, so that what follows from it need not be computed\n"
            "again; `invalidate` forgets that too.\n\n"
            "  --yes, -y    does not ask\n",
    .run = rm,
};
