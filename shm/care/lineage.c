/* lineage.c - what an operator or an input file led to, by recipes; and forgetting all of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/care/lineage_graph.h"

#define FORGET_ROWS 4096u
#define READ_BYTES (1u << 20)

/* ---- the question ---- */

/* The content hash that keys hold: SHA-256 of the file. Anything but a file that can be read has none. */
static bool hash_file(const char *path, loom_id *content) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat now;
    bool regular = fd >= 0 && fstat(fd, &now) == 0 && S_ISREG(now.st_mode);
    uint8_t *buffer = regular ? malloc(READ_BYTES) : NULL;
    loom_hasher *hasher = buffer != NULL ? loom_hasher_new() : NULL;
    ssize_t got = -1;
    if (hasher != NULL) {
        loom_hasher_begin(hasher);
        while ((got = read(fd, buffer, READ_BYTES)) > 0 || (got < 0 && errno == EINTR))
            if (got > 0) loom_hasher_add(hasher, buffer, (size_t)got);
        *content = loom_hasher_end(hasher);
    }
    loom_hasher_free(hasher);
    free(buffer);
    if (fd >= 0) close(fd);
    return got == 0;
}

static loom_status prepare(const loom_origin *origin, lineage_question *question, loom_error *err) {
    *question = (lineage_question){.op = origin->op, .input = origin->input};
    if ((origin->op == NULL) == (origin->input == NULL))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "ask for what an operator or an input led to, one of the two");
    if (origin->input == NULL) return LOOM_OK;
    question->absolute = realpath(origin->input, NULL);
    question->has_content = hash_file(origin->input, &question->content);
    return LOOM_OK;
}

typedef struct lineage {
    lineage_graph graph;
    uint32_t *order;
    size_t count;
} lineage;

static loom_status trace(loom_store *store, const loom_origin *origin, lineage *found, loom_error *err) {
    lineage_question question;
    *found = (lineage){.count = 0};
    LOOM_TRY(prepare(origin, &question, err));
    loom_status status = lineage_read(store, &question, &found->graph, err);
    free(question.absolute);
    if (status != LOOM_OK) return status;
    uint32_t *stack = malloc((found->graph.edge_count + 1) * sizeof *stack);
    found->order = malloc((found->graph.count + 1) * sizeof *found->order);
    if (stack != NULL && found->order != NULL) found->count = lineage_spread(&found->graph, found->order, stack);
    bool exhausted = stack == NULL || found->order == NULL;
    free(stack);
    if (exhausted) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for what was derived");
    if (found->count > 0) return LOOM_OK;
    return loom_fail(err, LOOM_NOT_FOUND,
                     origin->op != NULL ? "no result in the store was computed by \"%.200s\"; see voxloom store stat"
                                        : "no result in the store was computed from %.200s; give the path as the "
                                          "program has it, or the file itself",
                     origin->op != NULL ? origin->op : origin->input);
}

static void free_lineage(lineage *found) {
    lineage_free(&found->graph);
    free(found->order);
}

/* ---- derived ---- */

loom_status loom_store_derived(loom_store *store, const loom_origin *origin, loom_store_visit visit, void *context,
                               loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    lineage found;
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for what was derived");
    loom_status status = trace(store, origin, &found, err);
    bool more = true;
    for (size_t i = 0; i < found.count && status == LOOM_OK && more; i++) {
        const lineage_node *node = &found.graph.nodes[found.order[i]];
        loom_result result;
        loom_row_kind kind = LOOM_ROW_TOMBSTONE;
        loom_arena_reset(arena);
        if (!node->live) continue;
        status = store->ops->find(store, LOOM_BY_RKEY, &node->rkey, arena, &result, &kind, err);
        if (status == LOOM_OK && kind == LOOM_ROW_LIVE) more = visit(&result, context);
        if (status == LOOM_NOT_FOUND) status = LOOM_OK; /* gone since */
    }
    loom_arena_free(arena);
    free_lineage(&found);
    return status;
}

/* ---- invalidate ---- */

static loom_status forget_some(loom_store *store, const lineage *found, size_t from, size_t to, uint64_t *rows,
                               uint64_t *bytes, loom_error *err) {
    loom_batch *batch;
    uint64_t gone_rows = 0, gone_bytes = 0;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    loom_status status = LOOM_OK;
    for (size_t i = from; i > to && status == LOOM_OK; i--) {
        const lineage_node *node = &found->graph.nodes[found->order[i - 1]];
        status = loom_batch_forget(batch, &node->rkey, err);
        if (status == LOOM_OK && node->live) {
            gone_rows++;
            gone_bytes += node->bytes;
        }
        if (status == LOOM_NOT_FOUND) status = LOOM_OK;
    }
    if (status != LOOM_OK) {
        loom_batch_abort(batch);
        return status;
    }
    LOOM_TRY(loom_batch_commit(batch, err));
    *rows += gone_rows;
    *bytes += gone_bytes;
    return LOOM_OK;
}

/* Results before their arguments: whatever a crash leaves is still derived from what was asked for, so that asking
 * again finds the rest. */
loom_status loom_store_invalidate(loom_store *store, const loom_origin *origin, uint64_t *rows, uint64_t *bytes,
                                  loom_error *err) {
    *rows = *bytes = 0;
    LOOM_TRY(loom_store_check_process(store, err));
    lineage found;
    loom_status status = trace(store, origin, &found, err);
    for (size_t left = found.count; left > 0 && status == LOOM_OK;) {
        size_t next = left > FORGET_ROWS ? left - FORGET_ROWS : 0;
        status = forget_some(store, &found, left, next, rows, bytes, err);
        left = next;
    }
    free_lineage(&found);
    return status;
}
