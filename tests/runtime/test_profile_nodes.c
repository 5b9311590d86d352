/* Sums by node from log entries: what is kept, and that nothing is lost of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/coordinator/profile_nodes.h"

static void add(loom_profile_nodes *nodes, loom_node_index node, uint64_t ns, uint32_t worker) {
    loom_log_entry entry = {.kind = LOOM_ENTRY_TASK,
                            .lane = worker,
                            .start_ns = 1000,
                            .end_ns = 1000 + ns,
                            .bytes_in = 3,
                            .bytes_out = 5,
                            .phase_count = 2,
                            .phases = {{.activity = LOOM_DOING_LOOKUP, .ns = ns / 4},
                                       {.activity = LOOM_DOING_KERNEL, .from_ns = ns / 4, .ns = ns / 2}}};
    if (worker) {
        entry.counted = 1u << LOOM_COUNTER_FAULTS;
        entry.counts[LOOM_COUNTER_FAULTS] = 7;
    }
    assert_int_equal(loom_profile_nodes_add(nodes, &entry, node, false), LOOM_OK);
}

static void calls_of_a_node_are_one_row(void **state) {
    (void)state;
    loom_profile_nodes nodes = {0};
    add(&nodes, 5, 400, 0);
    add(&nodes, 9, 100000, 0);
    add(&nodes, 5, 1000, 2);
    add(&nodes, LOOM_NODE_NONE, 40, 1);
    loom_profile_nodes_finish(&nodes);
    assert_int_equal(nodes.count, 3);
    assert_int_equal(nodes.rows[0].node, 9);
    const loom_node_sum *row = &nodes.rows[1];
    assert_int_equal(row->node, 5);
    assert_int_equal(row->calls, 2);
    assert_int_equal(row->task_ns, 1400);
    assert_int_equal(row->longest_ns, 1000);
    assert_int_equal(row->worker, 2);
    assert_int_equal(row->kernel_ns, 700);
    assert_int_equal(row->bytes_in, 6);
    assert_int_equal(row->bytes_out, 10);
    assert_int_equal(row->counted, 1);
    assert_int_equal(row->counts.valid, 1u << LOOM_COUNTER_FAULTS);
    assert_int_equal(row->counts.value[LOOM_COUNTER_FAULTS], 7);
    assert_int_equal(nodes.rows[2].node, LOOM_NODE_NONE);
    assert_int_equal(nodes.left_out, 0);
    loom_profile_nodes_release(&nodes);
}

/* Of many more nodes than are kept, the dearest, which come at any time, are all there; the rest is counted. */
static void the_dearest_stay(void **state) {
    (void)state;
    enum { NODES = 200000, DEAR = 10000 };
    loom_profile_nodes nodes = {0};
    uint64_t all = 0, listed = 0, calls = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        bool dear = i % (NODES / DEAR) == 0;
        uint64_t ns = dear ? 1000000 + i : 100 + i % 7;
        add(&nodes, i, ns, 0);
        all += ns;
        assert_true(nodes.count <= 2 * LOOM_PROFILE_NODES_MAX);
    }
    loom_profile_nodes_finish(&nodes);
    assert_int_equal(nodes.count, LOOM_PROFILE_NODES_MAX);
    for (uint32_t i = 0; i < nodes.count; i++) {
        if (i > 0) assert_true(nodes.rows[i].task_ns <= nodes.rows[i - 1].task_ns);
        if (i < DEAR) assert_int_equal(nodes.rows[i].node, (DEAR - 1 - i) * (NODES / DEAR));
        listed += nodes.rows[i].task_ns;
        calls += nodes.rows[i].calls;
    }
    assert_int_equal(nodes.left_out, NODES - LOOM_PROFILE_NODES_MAX);
    assert_int_equal(calls + nodes.left_out_calls, NODES);
    assert_int_equal(listed + nodes.left_out_ns, all);
    loom_profile_nodes_release(&nodes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_of_a_node_are_one_row),
                                       cmocka_unit_test(the_dearest_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
