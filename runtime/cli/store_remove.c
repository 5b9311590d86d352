/* store_remove.c - `voxloom store rm`: results go away, after a question. */
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

static loom_status remove_results(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    loom_id *rkeys;
    size_t count, deleted = 0;
    LOOM_TRY(loom_store_resolve_all(job, 0, &rkeys, &count, err));
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    loom_arena *line = loom_arena_new();
    for (size_t i = 0; i < count && line != NULL && !job->quiet; i++) {
        loom_result result;
        if (loom_store_find(job->store, &rkeys[i], arena, &result, NULL) == LOOM_OK)
            loom_store_print_row(&result, line, stderr);
    }
    loom_arena_free(line);
    loom_arena_free(arena);
    LOOM_TRY(loom_store_confirm(job, err, "remove %zu result%s? What was computed can be computed again.", count,
                                count == 1 ? "" : "s"));
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
