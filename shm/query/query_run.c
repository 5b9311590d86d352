/* query_run.c - a query asked of a store: the most selective conjunct that the index of fields can answer names
 * candidates, else every record is one; each is read and judged. */
#include <inttypes.h>
#include <string.h>

#include "shm/index/index_fields.h"
#include "shm/query/query_tree.h"
#include "shm/store/store.h"

/* An index that names more than half of all results saves nothing; its row numbers take 8 bytes each. */
enum { CANDIDATES_MIN = 1024, CANDIDATES_MAX = 1 << 20, CHOICES_MAX = 32 };

typedef struct search {
    loom_store *store;
    const loom_query *query;
    loom_store_visit visit;
    void *context;
    loom_arena *arena;  /* of the plan */
    loom_arena *record; /* of one record */
    loom_index *index;  /* NULL: none */
    loom_query_report report;
    loom_status status; /* the first record that could not be read */
    loom_error *err;
} search;

/* ---- one record ---- */

static bool judge_record(const loom_result *result, void *context) {
    search *all = context;
    if (result->type != LOOM_RECORD && result->type != LOOM_DATASET) return true;
    loom_value value;
    loom_view view;
    loom_arena_reset(all->record);
    all->report.candidates++;
    loom_error *err = all->status == LOOM_OK ? all->err : NULL;
    loom_status status = loom_store_value(all->store, result, all->record, &value, &view, err);
    if (status == LOOM_NOT_FOUND) return true; /* evicted meanwhile */
    if (status != LOOM_OK) {
        if (all->status == LOOM_OK) all->status = status;
        return true;
    }
    bool more = true;
    if (loom_query_matches(all->query, &value)) {
        all->report.matches++;
        more = all->visit(result, all->context);
    }
    loom_extent_release(&view);
    return more;
}

/* ---- the plan ---- */

static uint64_t candidates_limit(uint64_t results) {
    uint64_t limit = results / 2;
    return limit < CANDIDATES_MIN ? CANDIDATES_MIN : limit > CANDIDATES_MAX ? CANDIDATES_MAX : limit;
}

static loom_status find_index(search *all, loom_error *err) {
    loom_store_stats stats;
    loom_store_parts parts;
    if (!all->store->in_memory && loom_store_parts_of(all->store, &parts, NULL) == LOOM_OK) all->index = parts.index;
    if (all->index != NULL) {
        loom_index_state state;
        LOOM_TRY(loom_index_state_of(all->index, &state, err));
        all->report.results = state.live_rows;
        return LOOM_OK;
    }
    LOOM_TRY(loom_store_stat(all->store, &stats, err));
    all->report.results = stats.rows;
    return LOOM_OK;
}

/* The choice with the fewest entries; each is counted no further than the best so far. *entries > limit: none will do.
 */
static loom_status choose(search *all, uint64_t limit, const loom_query_ranges **best, loom_query_ranges *choices,
                          uint64_t *entries, loom_error *err) {
    size_t count = loom_query_plan(all->query, all->index->cipher, all->arena, choices, CHOICES_MAX);
    *best = NULL;
    *entries = limit + 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t found;
        if (*entries == 0) break; /* none is fewer */
        LOOM_TRY(loom_index_count_fields(all->index, choices[i].items, choices[i].count, *entries - 1, &found, err));
        if (*best != NULL && found >= *entries) continue;
        *best = &choices[i];
        *entries = found;
    }
    return LOOM_OK;
}

static void explain_index(search *all, const loom_query_ranges *best, uint64_t entries) {
    enum { SHOWN = 120 };
    int length = best->node->text_length > SHOWN ? SHOWN : (int)best->node->text_length;
    snprintf(all->report.plan, sizeof all->report.plan,
             "index of fields: %.*s%s (%" PRIu64 " entr%s, %" PRIu64 " results stored), then the query on each record",
             length, best->node->text, length == SHOWN ? "..." : "", entries, entries == 1 ? "y" : "ies",
             all->report.results);
    for (char *c = all->report.plan; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
}

static void explain_scan(search *all, const loom_query_ranges *best) {
    const char *why = "no part of the query can be answered by the index of fields";
    if (all->index == NULL)
        why = "this store has no index of fields";
    else if (best != NULL)
        why = "the index of fields would name too many";
    else if (all->index->cipher != NULL)
        why = "the index of fields of an encrypted store answers only == and in";
    snprintf(all->report.plan, sizeof all->report.plan, "every record: %s", why);
}

/* ---- the store ---- */

static loom_status scan_all(search *all, const loom_query_ranges *refused, loom_error *err) {
    explain_scan(all, refused);
    if (all->visit == NULL) return LOOM_OK;
    return loom_store_each(all->store, judge_record, all, err);
}

static loom_status ask_index(search *all, loom_error *err) {
    loom_query_ranges choices[CHOICES_MAX];
    const loom_query_ranges *best;
    uint64_t entries, limit = candidates_limit(all->report.results);
    LOOM_TRY(choose(all, limit, &best, choices, &entries, err));
    if (best == NULL || entries > limit) return scan_all(all, best, err);
    explain_index(all, best, entries);
    if (all->visit == NULL) {
        all->report.candidates = entries;
        return LOOM_OK;
    }
    /* Others may have stored much since the count: one more look, then every record. */
    bool answered;
    LOOM_TRY(
        loom_index_scan_fields(all->index, best->items, best->count, 2 * limit, judge_record, all, &answered, err));
    return answered ? LOOM_OK : scan_all(all, best, err);
}

static loom_status run(search *all, loom_error *err) {
    LOOM_TRY(find_index(all, err));
    LOOM_TRY(all->index != NULL ? ask_index(all, err) : scan_all(all, NULL, err));
    return all->status;
}

loom_status loom_store_query(loom_store *store, const loom_query *query, loom_store_visit visit, void *context,
                             loom_query_report *report, loom_error *err) {
    if (report != NULL) *report = (loom_query_report){.candidates = 0};
    LOOM_TRY(loom_store_check_process(store, err));
    search all = {.store = store, .query = query, .visit = visit, .context = context, .err = err};
    all.arena = loom_arena_new();
    all.record = loom_arena_new();
    loom_status status = all.arena != NULL && all.record != NULL
                             ? run(&all, err)
                             : loom_fail(err, LOOM_NO_MEMORY, "out of memory while asking the store");
    loom_arena_free(all.arena);
    loom_arena_free(all.record);
    if (report != NULL) *report = all.report;
    return status;
}
