/* report_fields.h - records under construction, for reports that become JSON. Private to runtime/report*.c. */
#ifndef LOOM_RUNTIME_REPORT_FIELDS_H
#define LOOM_RUNTIME_REPORT_FIELDS_H

#include <stdbool.h>

#include "shm/value.h"

enum { LOOM_FIELDS_MAX = 32 };

typedef struct loom_fields {
    loom_field items[LOOM_FIELDS_MAX];
    size_t count;
} loom_fields;

/* Beyond LOOM_FIELDS_MAX nothing is added: every caller adds a fixed list. */
void loom_fields_add(loom_fields *fields, const char *name, loom_value value);
/* The record in the arena, or null when out of memory (*full is then set). */
loom_value loom_fields_record(loom_arena *arena, const loom_fields *fields, bool *full);
loom_value loom_report_count(uint64_t number);
/* Null for NULL and "". */
loom_value loom_report_text(const char *text);

#endif
