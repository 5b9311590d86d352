/* query.h - finding records by what they hold: `patient.age > 60 and modality == "flair"`.
 *
 * Grammar, comparison rules and the index that serves it: shm/SCHEMA.md, "Fields". */
#ifndef LOOM_SHM_QUERY_H
#define LOOM_SHM_QUERY_H

#include "shm/store/storage.h"

#define LOOM_QUERY_BYTES_MAX 65536u
#define LOOM_QUERY_NESTING_MAX 64u

typedef struct loom_query loom_query;

/* Parses; the query lives in the arena, the text is copied. LOOM_BAD_USAGE with line, column (in file "query") and
 * excerpt, one line of cause and remedy. Bounded nesting and length; safe on hostile text. */
loom_status loom_query_parse(const char *text, size_t length, loom_arena *arena, loom_query **query, loom_error *err);
/* Whether a record (or dataset) matches. Pure; thread-safe. */
bool loom_query_matches(const loom_query *query, const loom_value *record);

/* The paths that the query names, each once, in order of appearance: for tables. Text as written. */
size_t loom_query_path_count(const loom_query *query);
const char *loom_query_path_text(const loom_query *query, size_t path);
/* The first value at a path; NULL if there is none. */
const loom_value *loom_query_path_value(const loom_query *query, size_t path, const loom_value *record);

/* How a query was answered. */
typedef struct loom_query_report {
    char plan[256];      /* for --explain: "index of fields: patient.age > 60 (...), then ..." or "every record: ..." */
    uint64_t candidates; /* records looked at; with `visit` NULL: that would be, if the index answers, else 0 */
    uint64_t matches;
    uint64_t results; /* live in the store, of any type */
} loom_query_report;

/* Calls `visit` with each live record (or dataset) that matches, in order of row number, until it returns false. Uses
 * the index of fields where one of the conjuncts can be answered by it. One snapshot: a record that changes meanwhile
 * is seen as it was, or not at all when its bytes are gone. `report` may be NULL; with `visit` NULL nothing is read,
 * and the report says what would be. A record that cannot be read is passed over, and the first such error returned at
 * the end. Thread-safe. */
loom_status loom_store_query(loom_store *store, const loom_query *query, loom_store_visit visit, void *context,
                             loom_query_report *report, loom_error *err);

#endif
