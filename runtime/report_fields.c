/* report_fields.c - records under construction. */
#include "runtime/report_fields.h"

#include <string.h>

void loom_fields_add(loom_fields *fields, const char *name, loom_value value) {
    if (fields->count == LOOM_FIELDS_MAX) return;
    fields->items[fields->count++] = (loom_field){.name = name, .name_length = strlen(name), .value = value};
}

loom_value loom_fields_record(loom_arena *arena, const loom_fields *fields, bool *full) {
    const loom_field *items = loom_arena_copy(arena, fields->items, fields->count * sizeof fields->items[0]);
    if (items == NULL) *full = true;
    return items != NULL ? loom_record(items, fields->count) : loom_null();
}

loom_value loom_report_count(uint64_t number) {
    return loom_int(number > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)number);
}

loom_value loom_report_text(const char *text) {
    return text != NULL && text[0] != '\0' ? loom_string_of(text) : loom_null();
}
