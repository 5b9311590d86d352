/* test_costs.c - what operators cost: averages of medians, kept in the store, never trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/coordinator/costs.h"
#include "shm/value.h"

static const loom_operator near = {.name = "t.near", .version = 3, .cost = LOOM_COST_FILTER};
static const loom_operator near_later = {.name = "t.near", .version = 4, .cost = LOOM_COST_FILTER};
static const loom_operator plus = {.name = "t.plus", .version = 1, .cost = LOOM_COST_SCALAR};
static const loom_operator plugin = {.name = "u.plugin", .version = 1, .cost = LOOM_COST_VOXEL};

static loom_operator_table table_of(const loom_operator *const *operators, size_t count) {
    return (loom_operator_table){.operators = operators, .count = count};
}

static const loom_operator *const all[] = {&near, &plus, &plugin}, *const later[] = {&near_later, &plus},
                                  *const few[] = {&near, &plus};

static loom_store *open_store(void) {
    loom_store *store;
    loom_store_options options = {.path = ":memory:", .create = true};
    loom_error err = {0};
    assert_int_equal(loom_store_open(&options, &store, &err), LOOM_OK);
    return store;
}

static void put(loom_costs *costs, loom_store *store) {
    loom_batch *batch;
    loom_error err = {0};
    assert_int_equal(loom_store_begin(store, &batch, &err), LOOM_OK);
    assert_int_equal(loom_costs_put(costs, store, batch, &err), LOOM_OK);
    assert_int_equal(loom_batch_commit(batch, &err), LOOM_OK);
}

static void put_bytes(loom_store *store, const void *bytes, size_t length) {
    loom_batch *batch;
    loom_error err = {0};
    assert_int_equal(loom_store_begin(store, &batch, &err), LOOM_OK);
    assert_int_equal(loom_batch_put_meta(batch, "costs", bytes, length, &err), LOOM_OK);
    assert_int_equal(loom_batch_commit(batch, &err), LOOM_OK);
}

static void assert_near(uint64_t is, double should_be) {
    if ((double)is < should_be * 0.99 - 2 || (double)is > should_be * 1.01 + 2)
        fail_msg("%llu is not about %.0f", (unsigned long long)is, should_be);
}

static void unmeasured_operators_follow_their_class(void **state) {
    (void)state;
    loom_operator_table table = table_of(all, 3);
    loom_costs *costs = loom_costs_new(&table);
    assert_true(loom_costs_estimate_ns(costs, &plus, 0) >= 1);
    assert_true(loom_costs_estimate_ns(costs, &near, 1 << 20) > loom_costs_estimate_ns(costs, &plugin, 1 << 20));
    assert_true(loom_costs_estimate_ns(costs, &near, 1 << 21) > loom_costs_estimate_ns(costs, &near, 1 << 20));
    assert_true(loom_costs_estimate_ns(costs, &near, UINT64_MAX) > 0);
    assert_true(loom_costs_typical_voxels(costs) > 0);
    loom_costs_free(costs);
}

/* 3 ns a voxel, whatever the size; one call in ten took a thousand times as long. */
static void a_disturbed_call_changes_nothing(void **state) {
    (void)state;
    loom_operator_table table = table_of(all, 3);
    loom_costs *costs = loom_costs_new(&table);
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t voxels = 10000 * (i % 7 + 1);
        loom_costs_add(costs, &near, voxels, 3 * voxels * (i % 10 == 4 ? 1000 : 1));
        loom_costs_add(costs, &plus, 0, i % 10 == 7 ? 5000000 : 700);
    }
    assert_near(loom_costs_estimate_ns(costs, &plus, 0), 700);
    assert_near(loom_costs_estimate_ns(costs, &near, 5000000) - loom_costs_estimate_ns(costs, &near, 0), 15000000);
    loom_costs_free(costs);
}

/* After a few hundred calls at another speed the average is there. */
static void a_new_machine_is_learnt(void **state) {
    (void)state;
    loom_operator_table table = table_of(all, 3);
    loom_costs *costs = loom_costs_new(&table);
    for (int i = 0; i < 1000; i++)
        loom_costs_add(costs, &plus, 0, 100);
    for (int i = 0; i < 600; i++)
        loom_costs_add(costs, &plus, 0, 1000);
    uint64_t now = loom_costs_estimate_ns(costs, &plus, 0);
    assert_true(now > 900 && now <= 1000);
    loom_costs_free(costs);
}

static void the_store_keeps_them(void **state) {
    (void)state;
    loom_store *store = open_store();
    loom_operator_table table = table_of(all, 3);
    loom_costs *costs = loom_costs_new(&table);
    loom_costs_load(costs, store); /* there is nothing yet */
    loom_costs_add(costs, &near, 1000000, 7000000);
    loom_costs_add(costs, &plugin, 3000000, 3000000);
    put(costs, store);
    loom_costs_free(costs);

    costs = loom_costs_new(&table);
    loom_costs_load(costs, store);
    assert_near(loom_costs_estimate_ns(costs, &near, 1000000) - loom_costs_estimate_ns(costs, &near, 0), 7000000);
    assert_int_equal(loom_costs_typical_voxels(costs), 3000000);
    loom_costs_free(costs);
    loom_store_close(store);
}

/* Nothing measured, nothing written: a run that finds everything stored leaves no trace. */
static void a_run_that_computed_nothing_writes_nothing(void **state) {
    (void)state;
    loom_store *store = open_store();
    loom_operator_table table = table_of(all, 3);
    loom_costs *costs = loom_costs_new(&table);
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    const void *bytes;
    size_t length;
    put(costs, store);
    assert_int_equal(loom_store_get_meta(store, "costs", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    loom_arena_free(arena);
    loom_costs_free(costs);
    loom_store_close(store);
}

static void another_version_was_never_measured(void **state) {
    (void)state;
    loom_store *store = open_store();
    loom_operator_table table = table_of(all, 3), changed = table_of(later, 2);
    loom_costs *costs = loom_costs_new(&table), *unmeasured = loom_costs_new(&changed);
    loom_costs_add(costs, &near, 1000000, 900000000);
    put(costs, store);
    loom_costs *loaded = loom_costs_new(&changed);
    loom_costs_load(loaded, store);
    assert_int_equal(loom_costs_estimate_ns(loaded, &near_later, 1000000),
                     loom_costs_estimate_ns(unmeasured, &near_later, 1000000));
    loom_costs_free(loaded);
    loom_costs_free(unmeasured);
    loom_costs_free(costs);
    loom_store_close(store);
}

/* A run without a plug-in does not forget what the plug-in costs. */
static void operators_of_others_are_kept(void **state) {
    (void)state;
    loom_store *store = open_store();
    loom_operator_table table = table_of(all, 3), without = table_of(few, 2);
    loom_costs *costs = loom_costs_new(&table);
    loom_costs_add(costs, &plugin, 1000000, 123000000);
    put(costs, store);
    loom_costs_free(costs);
    costs = loom_costs_new(&without);
    loom_costs_load(costs, store);
    loom_costs_add(costs, &plus, 0, 40);
    put(costs, store);
    loom_costs_free(costs);
    costs = loom_costs_new(&table);
    loom_costs_load(costs, store);
    assert_near(loom_costs_estimate_ns(costs, &plugin, 1000000) - loom_costs_estimate_ns(costs, &plugin, 0), 123000000);
    assert_near(loom_costs_estimate_ns(costs, &plus, 0), 40);
    loom_costs_free(costs);
    loom_store_close(store);
}

/* Cut off, flipped, of other types, out of bounds: as if nothing had been measured, or at worst another estimate. */
static void damaged_figures_do_no_harm(void **state) {
    (void)state;
    loom_store *store = open_store();
    loom_operator_table table = table_of(all, 3);
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    const void *good;
    size_t length;
    loom_costs *costs = loom_costs_new(&table);
    loom_costs_add(costs, &near, 1000000, 7000000);
    put(costs, store);
    loom_costs_free(costs);
    assert_int_equal(loom_store_get_meta(store, "costs", arena, &good, &length, &err), LOOM_OK);
    uint8_t *bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        for (int how = 0; how < 4; how++) {
            memcpy(bytes, good, length);
            if (how < 3) bytes[i] ^= (uint8_t)(how == 0 ? 1 : how == 1 ? 0x80 : 0xff);
            put_bytes(store, bytes, how < 3 ? length : i);
            costs = loom_costs_new(&table);
            loom_costs_load(costs, store);
            assert_true(loom_costs_estimate_ns(costs, &near, 1 << 20) >= 1);
            loom_costs_add(costs, &near, 1000000, 7000000);
            put(costs, store);
            loom_costs_free(costs);
        }
    free(bytes);
    loom_arena_free(arena);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmeasured_operators_follow_their_class),
        cmocka_unit_test(a_disturbed_call_changes_nothing),
        cmocka_unit_test(a_new_machine_is_learnt),
        cmocka_unit_test(the_store_keeps_them),
        cmocka_unit_test(a_run_that_computed_nothing_writes_nothing),
        cmocka_unit_test(another_version_was_never_measured),
        cmocka_unit_test(operators_of_others_are_kept),
        cmocka_unit_test(damaged_figures_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
