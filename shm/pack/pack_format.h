/* pack_format.h - what the writer and the readers of a pack share. */
#ifndef LOOM_SHM_PACK_FORMAT_H
#define LOOM_SHM_PACK_FORMAT_H

#include "shm/pack/pack.h"

typedef struct loom_pack_record_header {
    uint32_t type;
    uint32_t length; /* of what follows */
    uint64_t check;
} loom_pack_record_header;
_Static_assert(sizeof(loom_pack_record_header) == 16, "the pack is a disk format: see shm/SCHEMA.md");

#define LOOM_PACK_ITEMS_PER_RECORD 32768u
#define LOOM_PACK_END_BYTES (sizeof(loom_pack_record_header) + sizeof(loom_pack_end))

/* The seed of a record's checksum: its type, length and place, in this pack. */
uint64_t loom_pack_seed(const loom_pack_header *header, uint32_t type, uint32_t length, uint64_t at);
uint64_t loom_pack_header_check(const loom_pack_header *header);
/* Whether a header read from a stream is one of ours. */
loom_status loom_pack_check_header(const loom_pack_header *header, const char *name, loom_error *err);
/* The most bytes that a record of the type may have; 0 for an unknown type. */
uint32_t loom_pack_record_limit(uint32_t type);

#endif
