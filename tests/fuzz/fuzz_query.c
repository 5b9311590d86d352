/* fuzz_query.c - arbitrary text as a query. What is refused says why in one line and where; what is accepted judges
 * records without harm, and a record matches exactly one of a query and its negation, or neither. The plan's ranges
 * must cover every record that matches. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shm/query/query_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static const loom_value *sample_records(size_t *count) {
    static loom_field inner[3], outer[6];
    static loom_value items[3], records[3];
    static bool made;
    *count = 3;
    if (made) return records;
    inner[0] = (loom_field){"age", 3, loom_int(61)};
    inner[1] = (loom_field){"name", 4, loom_string("A\0da", 4)};
    inner[2] = (loom_field){"x", 1, loom_null()};
    items[0] = loom_float(1.5);
    items[1] = loom_record(inner, 3);
    items[2] = loom_sequence(items, 1);
    outer[0] = (loom_field){"patient", 7, loom_record(inner, 3)};
    outer[1] = (loom_field){"a", 1, loom_sequence(items, 3)};
    outer[2] = (loom_field){"b", 1, loom_bool(true)};
    outer[3] = (loom_field){"modality", 8, loom_string_of("flair")};
    outer[4] = (loom_field){"", 0, loom_int(INT64_MAX)};
    outer[5] = (loom_field){"c", 1, loom_float(0x1p63)};
    records[0] = loom_record(outer, 6);
    records[1] = loom_record(inner, 3);
    records[2] = loom_record(NULL, 0);
    made = true;
    return records;
}

/* Every conjunct that the index would answer must name a record that matches. */
static void check_covered(const loom_query *query, const loom_value *record, loom_arena *arena) {
    static loom_query_ranges choices[8];
    static loom_field_bodies bodies;
    loom_field_bodies_of(NULL, record, &bodies);
    size_t count = loom_query_plan(query, NULL, arena, choices, 8);
    for (size_t i = 0; i < count; i++) {
        bool covered = false;
        for (size_t r = 0; r < choices[i].count && !covered; r++)
            for (size_t b = 0; b < bodies.count && !covered; b++)
                covered = loom_field_place(&choices[i].items[r], bodies.items[b].bytes, bodies.items[b].length) == 0;
        require(covered);
    }
}

static void check_accepted(const loom_query *query, loom_arena *arena) {
    size_t count;
    const loom_value *records = sample_records(&count);
    loom_query_node negation = {.kind = LOOM_QUERY_NOT, .first = query->root};
    const loom_query negated = {.root = &negation};
    for (size_t i = 0; i < count; i++) {
        bool matches = loom_query_matches(query, &records[i]);
        require(!matches || !loom_query_matches(&negated, &records[i]));
        if (matches) check_covered(query, &records[i], arena);
        for (size_t path = 0; path < loom_query_path_count(query); path++)
            (void)loom_query_path_value(query, path, &records[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    loom_arena *arena = loom_arena_new();
    if (!arena) return 0;
    loom_query *query;
    loom_error err = {0};
    loom_status status = loom_query_parse((const char *)data, size, arena, &query, &err);
    if (status == LOOM_OK)
        check_accepted(query, arena);
    else
        require(status == err.status && query == NULL && err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
    loom_arena_free(arena);
    return 0;
}
