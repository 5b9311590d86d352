/* segment_heap.c - the segment's heap: bump allocation in chunks that one process owns each, and pieces of freed tasks,
 * by size.
 *
 * Only the coordinator frees. It keeps a chain of free pieces per size for itself; of each size it also hangs one chain
 * out in the header, from where a worker takes it, whole, by one exchange. So nobody ever reads a link in a piece that
 * another process may have taken, and a worker's death loses one chain of a size at the most. */
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

/* ---- sizes ---- */

#define EXACT                                                                                                          \
    16u /* up to so many units each size has its own class; then four a doubling: a quarter is lost at most            \
         */

/* The class of pieces of so many units; LOOM_HEAP_CLASSES: too large to be used again. */
static uint32_t class_of(uint64_t units) {
    if (units <= EXACT) return (uint32_t)units - 1;
    uint32_t log = 4, quarter; /* 2^log < units <= 2^(log + 1) */
    while ((units - 1) >> (log + 1))
        log++;
    quarter = (uint32_t)((units - 1 - (UINT64_C(1) << log)) >> (log - 2));
    uint32_t class = EXACT + (log - 4) * 4 + quarter;
    return class < LOOM_HEAP_CLASSES ? class : LOOM_HEAP_CLASSES;
}

/* What pieces of a class hold. */
static uint64_t class_units(uint32_t class) {
    if (class < EXACT) return class + 1;
    uint32_t log = (class - EXACT) / 4 + 4, quarter = (class - EXACT) % 4;
    return (UINT64_C(1) << log) + (((uint64_t)quarter + 1) << (log - 2));
}

/* How many pieces of a class are hung out for a worker: about 16 KiB, as a chunk's quarter. */
static uint32_t chain_pieces(uint32_t class) {
    uint64_t pieces = LOOM_HEAP_CHUNK / 4 / class_units(class);
    return pieces > 64 ? 64 : pieces ? (uint32_t)pieces : 1;
}

/* ---- taking and giving ---- */

static loom_offset cut(loom_segment *segment, uint64_t units) {
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

/* A free piece of the class, or 0. */
static loom_offset take_piece(loom_segment *segment, uint32_t class) {
    _Atomic uint32_t *hung_out = &segment->header->heap_free[class];
    /* A look first: most sizes have none. acquire: the links in the pieces, and that their former users are done. */
    if (!segment->pieces[class] && atomic_load_explicit(hung_out, memory_order_relaxed)) {
        segment->pieces[class] = atomic_exchange_explicit(hung_out, 0, memory_order_acquire);
        LOOM_PROBE("heap:chain");
    }
    const loom_offset *piece = loom_segment_pointer(segment, segment->pieces[class]);
    if (!piece) return 0;
    loom_offset offset = segment->pieces[class];
    segment->pieces[class] = *piece;
    if (segment->piece_counts[class]) segment->piece_counts[class]--;
    return offset;
}

loom_offset loom_segment_alloc_units(loom_segment *segment, uint64_t units) {
    if (units == 0 || units > segment->heap_units) return 0;
    uint32_t class = class_of(units);
    if (class == LOOM_HEAP_CLASSES) return cut(segment, units);
    loom_offset piece = take_piece(segment, class);
    return piece ? piece : cut(segment, class_units(class));
}

/* Hangs a chain out when the last one is gone. */
static void hang_out(loom_segment *segment, uint32_t class) {
    _Atomic uint32_t *hung_out = &segment->header->heap_free[class];
    if (segment->piece_counts[class] < 2 * chain_pieces(class) ||
        atomic_load_explicit(hung_out, memory_order_relaxed)) /* only we make it other than 0 */
        return;
    loom_offset first = segment->pieces[class], *last = loom_segment_pointer(segment, first);
    for (uint32_t i = 1; i < chain_pieces(class) && last && *last; i++)
        last = loom_segment_pointer(segment, *last);
    if (!last) return;
    segment->pieces[class] = *last;
    segment->piece_counts[class] -= chain_pieces(class);
    *last = 0;
    /* release: see take_piece */
    atomic_store_explicit(hung_out, first, memory_order_release);
}

void loom_segment_free_units(loom_segment *segment, loom_offset offset, uint64_t units) {
    loom_offset *piece = loom_segment_pointer(segment, offset);
    uint32_t class = units ? class_of(units) : LOOM_HEAP_CLASSES;
    if (!piece || class == LOOM_HEAP_CLASSES || class_units(class) > segment->heap_units - offset) return;
    *piece = segment->pieces[class];
    segment->pieces[class] = offset;
    segment->piece_counts[class]++;
    hang_out(segment, class);
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
