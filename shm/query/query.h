/* query.h - finding records by what they hold: `patient.age > 60 and modality == "flair"`.
 *
 * Grammar, comparison rules and the index that serves it: shm/SCHEMA.md, "Fields". */
#ifndef LOOM_SHM_QUERY_H
#define LOOM_SHM_QUERY_H

#include "shm/store/storage.h"

typedef struct loom_query loom_query;

/* Parses; the query lives in the arena. LOOM_BAD_USAGE with line 1, column and excerpt, one line of cause and remedy.
 * Bounded nesting; safe on hostile text. */
loom_status loom_query_parse(const char *text, size_t length, loom_arena *arena, loom_query **query, loom_error *err);
/* Whether a record (or dataset) matches. Pure. */
bool loom_query_matches(const loom_query *query, const loom_value *record);

/* How a query was answered. */
typedef struct loom_query_report {
    char plan[256];      /* for --explain: "index patient.age > 60, then the rest on each record" or "every record" */
    uint64_t candidates; /* records looked at */
    uint64_t matches;
    uint64_t records; /* in the store */
} loom_query_report;

/* Calls `visit` with each live record that matches, in order of row number, until it returns false. Uses the index of
 * fields where one of the conjuncts can be answered by it. `report` may be NULL; with `visit` NULL nothing is read, and
 * the report says what would be. */
loom_status loom_store_query(loom_store *store, const loom_query *query, loom_store_visit visit, void *context,
                             loom_query_report *report, loom_error *err);

#endif
