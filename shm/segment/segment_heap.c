/* segment_heap.c - the segment's heap: bump allocation in chunks that one process owns each. */
#include <string.h>

#include "shm/segment/segment_layout.h"

/* Moves heap_next by `least` units, or by up to `wanted` when there is room. 0 when not even `least` is left. */
static uint64_t take_units(loom_segment *segment, uint64_t least, uint64_t wanted, uint64_t *taken) {
    _Atomic uint64_t *next = &segment->header->heap_next;
    /* relaxed: units have one owner from here on; who else reads what lies in them learns the offset by a release */
    uint64_t at = atomic_load_explicit(next, memory_order_relaxed);
    do {
        if (at > segment->heap_units || segment->heap_units - at < least) return 0;
        uint64_t left = segment->heap_units - at;
        *taken = left < wanted ? left : wanted;
    } while (
        !atomic_compare_exchange_weak_explicit(next, &at, at + *taken, memory_order_relaxed, memory_order_relaxed));
    return at;
}

loom_offset loom_segment_alloc_units(loom_segment *segment, uint64_t units) {
    if (units == 0 || units > segment->heap_units) return 0;
    uint64_t taken;
    if (units > segment->chunk_end - segment->chunk_next) {
        if (units > LOOM_HEAP_CHUNK / 8) return (loom_offset)take_units(segment, units, units, &taken);
        uint64_t chunk = take_units(segment, units, LOOM_HEAP_CHUNK, &taken);
        if (!chunk) return 0;
        /* two chunks in a row, as when one process allocates alone, are one: nothing is left between them */
        if (chunk != segment->chunk_end) segment->chunk_next = chunk;
        segment->chunk_end = chunk + taken;
    }
    loom_offset offset = (loom_offset)segment->chunk_next;
    segment->chunk_next += units;
    return offset;
}

loom_offset loom_segment_alloc(loom_segment *segment, size_t bytes) {
    if (bytes > segment->heap_units * LOOM_HEAP_UNIT) return 0;
    return loom_segment_alloc_units(segment, bytes ? (bytes + LOOM_HEAP_UNIT - 1) / LOOM_HEAP_UNIT : 1);
}

void *loom_segment_pointer(const loom_segment *segment, loom_offset offset) {
    if (offset == 0 || offset >= segment->heap_units) return NULL;
    return segment->heap + (uint64_t)offset * LOOM_HEAP_UNIT;
}

loom_offset loom_segment_put(loom_segment *segment, const void *bytes, size_t length) {
    if (length > UINT32_MAX) return 0;
    loom_offset offset = loom_segment_alloc(segment, sizeof(uint32_t) + length);
    if (!offset) return 0;
    uint8_t *at = loom_segment_pointer(segment, offset);
    uint32_t prefix = (uint32_t)length;
    memcpy(at, &prefix, sizeof prefix);
    if (length) memcpy(at + sizeof prefix, bytes, length);
    return offset;
}

const void *loom_segment_get(const loom_segment *segment, loom_offset offset, size_t *length) {
    *length = 0;
    const uint8_t *at = loom_segment_pointer(segment, offset);
    if (!at) return NULL;
    uint32_t prefix;
    memcpy(&prefix, at, sizeof prefix);
    if (prefix > (segment->heap_units - offset) * LOOM_HEAP_UNIT - sizeof prefix) return NULL;
    *length = prefix;
    return at + sizeof prefix;
}
