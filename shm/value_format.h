/* value_format.h - what the encoder and the decoder of values share; private to shm/value*.c. */
#ifndef LOOM_SHM_VALUE_FORMAT_H
#define LOOM_SHM_VALUE_FORMAT_H

#include <stdbool.h>

#include "shm/value.h"

/* MessagePack extension types. Written to disk: append, never renumber. */
enum { LOOM_EXT_IMAGE = 1, LOOM_EXT_REFERENCE = 2, LOOM_EXT_TUPLE = 3, LOOM_EXT_DATASET = 4, LOOM_EXT_PAGED = 5 };

/* A long sequence begins with a flag byte (1: a tuple) and its count; then comes the directory: for each page the
 * offset of its array from that of the first page. Numbers have 4 bytes, big-endian, as MessagePack's. */
#define LOOM_PAGED_HEAD_BYTES 5u
#define LOOM_PAGED_ENTRY_BYTES 4u

static inline size_t loom_page_count(size_t items) {
    return items / LOOM_SEQUENCE_PAGE_ITEMS + (items % LOOM_SEQUENCE_PAGE_ITEMS != 0);
}

static inline size_t loom_page_items(size_t items, size_t page) {
    size_t left = items - page * LOOM_SEQUENCE_PAGE_ITEMS;
    return left < LOOM_SEQUENCE_PAGE_ITEMS ? left : LOOM_SEQUENCE_PAGE_ITEMS;
}

#define LOOM_REFERENCE_BYTES (1u + sizeof(loom_id)) /* loom_type, vid */

/* A reference names a stored result, never another reference or a closure. */
bool loom_type_can_be_referenced(unsigned type);

/* LOOM_OK if no name occurs twice, LOOM_BAD_ARGUMENT if one does, LOOM_NO_MEMORY. O(n log n). */
loom_status loom_fields_are_unique(const loom_field *fields, size_t count);

#endif
