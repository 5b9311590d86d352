/* profile_nodes.c - see profile_nodes.h. */
#include "runtime/coordinator/profile_nodes.h"

#include <stdlib.h>

#define ROWS_MAX (2 * LOOM_PROFILE_NODES_MAX)

static uint64_t key_of(const loom_node_sum *row) {
    return (uint64_t)row->node << 32 | row->operator_index;
}

static int by_time(const void *a, const void *b) {
    const loom_node_sum *first = a, *second = b;
    if (first->task_ns != second->task_ns) return first->task_ns < second->task_ns ? 1 : -1;
    uint64_t one = key_of(first), other = key_of(second);
    return one == other ? 0 : one > other ? 1 : -1;
}

/* Adds what is beyond the dearest `most` to the remainder. */
static void leave_out(loom_profile_nodes *nodes, uint32_t most) {
    qsort(nodes->rows, nodes->count, sizeof *nodes->rows, by_time);
    for (uint32_t i = most; i < nodes->count; i++) {
        nodes->left_out++;
        nodes->left_out_calls += nodes->rows[i].calls;
        nodes->left_out_ns += nodes->rows[i].task_ns;
    }
    if (nodes->count > most) nodes->count = most;
}

static loom_status make_room(loom_profile_nodes *nodes) {
    if (nodes->count == ROWS_MAX) {
        leave_out(nodes, LOOM_PROFILE_NODES_MAX);
        loom_memo_release(&nodes->index);
        for (uint32_t i = 0; i < nodes->count; i++)
            LOOM_TRY(loom_memo_set(&nodes->index, key_of(&nodes->rows[i]), i));
    }
    if (nodes->count < nodes->capacity) return LOOM_OK;
    uint32_t capacity = nodes->capacity ? nodes->capacity * 2 : 64;
    loom_node_sum *grown = realloc(nodes->rows, capacity * sizeof *grown);
    if (!grown) return LOOM_NO_MEMORY;
    nodes->rows = grown;
    nodes->capacity = capacity;
    return LOOM_OK;
}

/* The row of that key, made if it is new; NULL when out of memory. */
static loom_node_sum *row_of(loom_profile_nodes *nodes, const loom_node_sum *like) {
    uint32_t at = loom_memo_get(&nodes->index, key_of(like));
    if (at != LOOM_MEMO_NONE) return &nodes->rows[at];
    if (make_room(nodes) != LOOM_OK || loom_memo_set(&nodes->index, key_of(like), nodes->count) != LOOM_OK) return NULL;
    nodes->rows[nodes->count] = *like;
    return &nodes->rows[nodes->count++];
}

static uint64_t kernel_ns_of(const loom_log_entry *entry) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < entry->phase_count; i++)
        if (entry->phases[i].activity == LOOM_DOING_KERNEL) sum += entry->phases[i].ns;
    return sum;
}

loom_status loom_profile_nodes_add(loom_profile_nodes *nodes, const loom_log_entry *entry, loom_node_index node,
                                   bool unnamed) {
    uint64_t task_ns = entry->end_ns - entry->start_ns;
    const loom_node_sum like = {.node = node, .operator_index = entry->operator_index, .unnamed = unnamed};
    loom_node_sum *row = row_of(nodes, &like);
    if (!row) {
        nodes->left_out_calls++;
        nodes->left_out_ns += task_ns;
        return LOOM_NO_MEMORY;
    }
    row->calls++;
    row->task_ns += task_ns;
    row->kernel_ns += kernel_ns_of(entry);
    row->io_ns += entry->io_ns;
    row->bytes_in += entry->bytes_in;
    row->bytes_out += entry->bytes_out;
    if (task_ns >= row->longest_ns) {
        row->longest_ns = task_ns;
        row->worker = entry->lane;
    }
    if (!entry->counted) return LOOM_OK;
    row->counted++;
    row->counts.valid |= entry->counted;
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        if (entry->counted >> i & 1) row->counts.value[i] += entry->counts[i];
    return LOOM_OK;
}

void loom_profile_nodes_finish(loom_profile_nodes *nodes) {
    if (nodes->count) leave_out(nodes, LOOM_PROFILE_NODES_MAX);
    loom_memo_release(&nodes->index);
}

void loom_profile_nodes_release(loom_profile_nodes *nodes) {
    free(nodes->rows);
    loom_memo_release(&nodes->index);
    *nodes = (loom_profile_nodes){0};
}
