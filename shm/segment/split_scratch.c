/* split_scratch.c - scratch memory that the helpers of a split map too: ranges of the segment's file beyond what is
 * mapped by default, LOOM_SPLIT_SCRATCH_SPAN of them a worker, nearly all of it a hole.
 *
 * Each range is new: a helper that comes late, when the owner is dead and replaced, writes to a range that nobody else
 * was given. Its pages are returned when the owner is done, or dead. */
#include <sys/mman.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/platform_huge.h"
#include "shm/segment/segment_layout.h"
#include "shm/segment/split.h"

static uint64_t begin_of(const loom_segment *segment, uint32_t worker) {
    return segment->scratch_at + worker * LOOM_SPLIT_SCRATCH_SPAN;
}

bool loom_split_scratch(loom_segment *segment, uint64_t bytes, loom_split_block *block) {
    loom_split_slot *slot = &segment->board->slots[segment->self];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t next = atomic_load_explicit(&slot->scratch_next, memory_order_relaxed); /* only we write it */
    *block = (loom_split_block){0};
    if (segment->scratch_at == 0 || bytes == 0 || bytes > LOOM_SPLIT_SCRATCH_SPAN - page) return false;
    uint64_t length = (bytes + page - 1) / page * page;
    if (next > LOOM_SPLIT_SCRATCH_SPAN || length > LOOM_SPLIT_SCRATCH_SPAN - next) return false;
    *block = (loom_split_block){.offset = begin_of(segment, segment->self) + next, .bytes = bytes};
    atomic_store_explicit(&slot->scratch_next, next + length, memory_order_relaxed);
    return true;
}

void *loom_split_scratch_huge(loom_segment *segment, uint64_t bytes, loom_split_block *block) {
    loom_split_slot *slot = &segment->board->slots[segment->self];
    uint64_t next = atomic_load_explicit(&slot->scratch_next, memory_order_relaxed); /* only we write it */
    uint64_t before = (LOOM_HUGE_BYTES - (begin_of(segment, segment->self) + next) % LOOM_HUGE_BYTES) % LOOM_HUGE_BYTES;
    *block = (loom_split_block){0};
    /* No range is given twice. The half that is left is for splits, which need less; without them a run gets slow. */
    if (segment->scratch_at == 0 || next > LOOM_SPLIT_SCRATCH_SPAN / 2 || bytes > LOOM_SPLIT_SCRATCH_SPAN / 4)
        return NULL;
    atomic_store_explicit(&slot->scratch_next, next + before, memory_order_relaxed); /* a hole */
    if (!loom_split_scratch(segment, bytes, block)) return NULL;
    void *map = NULL;
    if (loom_memory_allocate(segment->file, block->offset, bytes) == 0) map = loom_split_map(segment, block);
    if (!map) { /* its owner has no block then, and might not call loom_split_scratch_free */
        uint64_t end = atomic_load_explicit(&slot->scratch_next, memory_order_relaxed);
        (void)loom_file_punch(segment->file, block->offset, begin_of(segment, segment->self) + end - block->offset);
        *block = (loom_split_block){0};
    }
    return map;
}

void loom_split_scratch_reclaim(loom_segment *segment, uint32_t worker) {
    loom_split_slot *slot = &segment->board->slots[worker];
    uint64_t first = atomic_load_explicit(&slot->scratch_first, memory_order_relaxed);
    uint64_t next = atomic_load_explicit(&slot->scratch_next, memory_order_relaxed);
    if (segment->scratch_at == 0 || first >= next || next > LOOM_SPLIT_SCRATCH_SPAN) return;
    /* Refused: the pages stay until the run ends. Nobody is given them. */
    (void)loom_file_punch(segment->file, begin_of(segment, worker) + first, next - first);
    atomic_store_explicit(&slot->scratch_first, next, memory_order_relaxed);
}

void loom_split_scratch_free(loom_segment *segment) {
    loom_split_scratch_reclaim(segment, segment->self);
}

void *loom_split_map(const loom_segment *segment, const loom_split_block *block) {
    uint64_t end = segment->scratch_at + segment->workers * LOOM_SPLIT_SCRATCH_SPAN;
    if (segment->scratch_at == 0 || block->bytes == 0 || block->offset < segment->scratch_at || block->offset > end ||
        block->bytes > end - block->offset || block->bytes > SIZE_MAX / 2)
        return NULL;
    return loom_memory_map(segment->file, block->offset, (size_t)block->bytes, PROT_READ | PROT_WRITE);
}
