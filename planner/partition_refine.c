/* partition_refine.c - Fiduccia-Mattheyses refinement between pairs of domains.
 *
 * A pass moves every node of the pair at most once, always the one that saves most (or costs least) among those that
 * keep the balance, and then takes back all moves after the best moment. Byte counts have no small range, so the
 * paper's buckets are binary heaps here: O(log nodes) a move instead of O(1). */
#include <stddef.h>

#include "planner/partition_work.h"

enum { PASSES_MAX = 8, ROUNDS_MAX = 4 };
/* Beyond this many nodes one round of a few passes: what more would find, a coarser level found for less. */
#define MANY_NODES 20000u
enum { PASSES_OF_MANY = 2, ROUNDS_OF_MANY = 2 };
/* A pass ends after this many moves in a row without a new best: later moves rarely win it back. */
#define PATIENCE_MIN 200u
#define PATIENCE_MORE_MAX 600u
/* In graphs beyond this a pass begins with the nodes at the border of the pair, and meets others as the border moves.
 * In small ones every node counts: one inside may have to move to make room. */
#define BORDER_ONLY_NODES 400u

/* ---- heap ---- */

static bool goes_before(const node_heap *heap, uint32_t a, uint32_t b) {
    return heap->priority[a] != heap->priority[b] ? heap->priority[a] > heap->priority[b] : a < b;
}

static void put_at(node_heap *heap, uint32_t index, uint32_t node) {
    heap->nodes[index] = node;
    heap->position[node] = index;
}

static void sift_up(node_heap *heap, uint32_t index) {
    uint32_t node = heap->nodes[index];
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (!goes_before(heap, node, heap->nodes[parent])) break;
        put_at(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put_at(heap, index, node);
}

static void sift_down(node_heap *heap, uint32_t index) {
    uint32_t node = heap->nodes[index];
    for (;;) {
        uint64_t child = 2 * (uint64_t)index + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && goes_before(heap, heap->nodes[child + 1], heap->nodes[child])) child++;
        if (!goes_before(heap, heap->nodes[child], node)) break;
        put_at(heap, index, heap->nodes[child]);
        index = (uint32_t)child;
    }
    put_at(heap, index, node);
}

void heap_clear(node_heap *heap) {
    for (uint32_t i = 0; i < heap->count; i++)
        heap->position[heap->nodes[i]] = NOT_IN_HEAP;
    heap->count = 0;
}

void heap_insert(node_heap *heap, uint32_t node) {
    put_at(heap, heap->count, node);
    sift_up(heap, heap->count++);
}

void heap_remove(node_heap *heap, uint32_t node) {
    uint32_t hole = heap->position[node], last = heap->nodes[--heap->count];
    heap->position[node] = NOT_IN_HEAP;
    if (last == node) return;
    put_at(heap, hole, last);
    heap_update(heap, last);
}

void heap_update(node_heap *heap, uint32_t node) {
    sift_up(heap, heap->position[node]);
    sift_down(heap, heap->position[node]);
}

/* ---- members of domains ---- */

static void add_member(partition_work *work, uint32_t node) {
    uint32_t *first = &work->first_member[work->domain[node]];
    work->previous_member[node] = NO_NODE;
    work->next_member[node] = *first;
    if (*first != NO_NODE) work->previous_member[*first] = node;
    *first = node;
}

static void remove_member(partition_work *work, uint32_t node) {
    uint32_t next = work->next_member[node], previous = work->previous_member[node];
    if (next != NO_NODE) work->previous_member[next] = previous;
    if (previous != NO_NODE)
        work->next_member[previous] = next;
    else
        work->first_member[work->domain[node]] = next;
}

static void list_members(partition_work *work) {
    for (uint32_t d = 0; d < work->domains; d++)
        work->first_member[d] = NO_NODE;
    for (uint32_t n = work->graph->nodes; n-- > 0;)
        add_member(work, n);
}

/* ---- one pass over a pair ---- */

typedef struct pair {
    uint16_t domain[2]; /* side 0 and side 1 */
} pair;

static int side_of(const pair *both, uint16_t domain) {
    return domain == both->domain[0] ? 0 : domain == both->domain[1] ? 1 : -1;
}

/* Bytes saved when `node` changes sides: what crosses the pair now, less what would. */
static int64_t gain_of(const partition_work *work, const pair *both, uint32_t node, bool *border) {
    const loom_graph *graph = work->graph;
    int side = side_of(both, work->domain[node]);
    int64_t gain = 0;
    *border = false;
    for (uint32_t e = graph->first_edge[node]; e < graph->first_edge[node + 1]; e++) {
        int other = side_of(both, work->domain[graph->source[e]]);
        *border |= other == !side;
        if (other >= 0) gain += other == side ? -(int64_t)graph->bytes[e] : (int64_t)graph->bytes[e];
    }
    for (uint32_t i = work->first_out[node]; i < work->first_out[node + 1]; i++) {
        uint32_t e = work->out_edge[i];
        int other = side_of(both, work->domain[work->edge_target[e]]);
        *border |= other == !side;
        if (other >= 0) gain += other == side ? -(int64_t)graph->bytes[e] : (int64_t)graph->bytes[e];
    }
    return gain;
}

static void fill_heaps(partition_work *work, const pair *both) {
    bool all = work->graph->nodes <= BORDER_ONLY_NODES;
    for (int side = 0; side < 2; side++)
        for (uint32_t n = work->first_member[both->domain[side]]; n != NO_NODE; n = work->next_member[n]) {
            bool border;
            work->locked[n] = false;
            work->heap[side].priority[n] = gain_of(work, both, n, &border);
            if (border || all) heap_insert(&work->heap[side], n);
        }
}

static bool fits(const partition_work *work, uint32_t node, uint16_t domain) {
    return work->graph->cost[node] <= work->limit[domain] - work->load[domain];
}

static void change_side(partition_work *work, const pair *both, uint32_t node) {
    uint64_t cost = work->graph->cost[node];
    int side = side_of(both, work->domain[node]);
    work->load[both->domain[side]] -= cost;
    remove_member(work, node);
    work->domain[node] = both->domain[!side];
    add_member(work, node);
    work->load[both->domain[!side]] += cost;
}

/* The node at the other end of an edge gains or loses what the edge carries, twice: it crossed, or it did not. */
static void neighbour_changed(partition_work *work, const pair *both, uint32_t node, uint32_t neighbour,
                              uint64_t bytes) {
    int side = side_of(both, work->domain[neighbour]);
    if (side < 0 || work->locked[neighbour]) return;
    int64_t change = 2 * (int64_t)bytes;
    bool together = work->domain[neighbour] == work->domain[node];
    work->heap[side].priority[neighbour] += together ? -change : change;
    if (work->heap[side].position[neighbour] == NOT_IN_HEAP)
        heap_insert(&work->heap[side], neighbour);
    else
        heap_update(&work->heap[side], neighbour);
}

static void tell_neighbours(partition_work *work, const pair *both, uint32_t node) {
    const loom_graph *graph = work->graph;
    for (uint32_t e = graph->first_edge[node]; e < graph->first_edge[node + 1]; e++)
        neighbour_changed(work, both, node, graph->source[e], graph->bytes[e]);
    for (uint32_t i = work->first_out[node]; i < work->first_out[node + 1]; i++) {
        uint32_t e = work->out_edge[i];
        neighbour_changed(work, both, node, work->edge_target[e], graph->bytes[e]);
    }
}

/* The best node that may move now. A side whose best node does not fit waits for the other side to make room; when both
 * are stuck, both best nodes sit this pass out. NO_NODE at the end. */
static uint32_t next_move(partition_work *work, const pair *both) {
    node_heap *heap = work->heap;
    for (;;) {
        bool fit[2];
        for (int side = 0; side < 2; side++)
            fit[side] = heap[side].count > 0 && fits(work, heap[side].nodes[0], both->domain[!side]);
        if (fit[0] && fit[1]) return heap[goes_before(heap, heap[1].nodes[0], heap[0].nodes[0])].nodes[0];
        if (fit[0] || fit[1]) return heap[fit[1]].nodes[0];
        if (heap[0].count == 0 && heap[1].count == 0) return NO_NODE;
        for (int side = 0; side < 2; side++) {
            if (heap[side].count == 0) continue;
            work->locked[heap[side].nodes[0]] = true;
            heap_remove(&heap[side], heap[side].nodes[0]);
        }
    }
}

/* Returns the bytes saved. */
static int64_t refine_pass(partition_work *work, const pair *both) {
    fill_heaps(work, both);
    uint32_t more = work->graph->nodes / 64;
    uint32_t patience = PATIENCE_MIN + (more < PATIENCE_MORE_MAX ? more : PATIENCE_MORE_MAX);
    uint32_t moves = 0, best_moves = 0;
    int64_t saved = 0, best_saved = 0;
    while (moves - best_moves < patience) {
        uint32_t node = next_move(work, both);
        if (node == NO_NODE) break;
        node_heap *from = &work->heap[side_of(both, work->domain[node])];
        saved += from->priority[node];
        heap_remove(from, node);
        work->locked[node] = true;
        change_side(work, both, node);
        tell_neighbours(work, both, node);
        work->moved[moves++] = node;
        if (saved > best_saved) {
            best_saved = saved;
            best_moves = moves;
        }
    }
    while (moves > best_moves)
        change_side(work, both, work->moved[--moves]);
    heap_clear(&work->heap[0]);
    heap_clear(&work->heap[1]);
    return best_saved;
}

void partition_refine(partition_work *work) {
    list_members(work);
    bool many = work->graph->nodes > MANY_NODES;
    int rounds = many ? ROUNDS_OF_MANY : ROUNDS_MAX, passes = many ? PASSES_OF_MANY : PASSES_MAX;
    for (int round = 0; round < rounds; round++) {
        bool improved = false;
        for (uint32_t a = 0; a < work->domains; a++)
            for (uint32_t b = a + 1; b < work->domains; b++) {
                if (work->share[a] == 0 || work->share[b] == 0) continue;
                const pair both = {{(uint16_t)a, (uint16_t)b}};
                for (int pass = 0; pass < passes && refine_pass(work, &both) > 0; pass++)
                    improved = true;
            }
        if (!improved || work->domains == 2) return;
    }
}
