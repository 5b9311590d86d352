/* random_query.h - random records and queries, and a second judge of them that shares no code with shm/query: it works
 * on the structure from which the text was printed, and compares numbers as long doubles (64 bits of mantissa). */
#ifndef LOOM_TESTS_RANDOM_QUERY_H
#define LOOM_TESTS_RANDOM_QUERY_H

#include "store_support.h"

/* A record in the arena; now and then one that overflows the index. */
loom_value random_record(uint64_t *state, loom_arena *arena);

typedef struct model_query model_query;
model_query *random_query(uint64_t *state, loom_arena *arena);
/* The query's text, NUL-terminated, in the arena. */
const char *model_text(const model_query *query, loom_arena *arena);
bool model_matches(const model_query *query, const loom_value *record);

#endif
