/* value_format.h - what the encoder and the decoder of values share; private to shm/value*.c. */
#ifndef LOOM_SHM_VALUE_FORMAT_H
#define LOOM_SHM_VALUE_FORMAT_H

#include <stdbool.h>

#include "shm/value.h"

/* MessagePack extension types. Written to disk: append, never renumber. */
enum { LOOM_EXT_IMAGE = 1, LOOM_EXT_REFERENCE = 2, LOOM_EXT_TUPLE = 3 };

#define LOOM_REFERENCE_BYTES (1u + sizeof(loom_id)) /* loom_type, vid */

/* A reference names a stored result, never another reference or a closure. */
bool loom_type_can_be_referenced(unsigned type);

/* LOOM_OK if no name occurs twice, LOOM_BAD_ARGUMENT if one does, LOOM_NO_MEMORY. O(n log n). */
loom_status loom_fields_are_unique(const loom_field *fields, size_t count);

#endif
