/* One image over several workers, in real runs: the same bytes for any number of workers, whether others help or not,
 * and when helpers and owners are killed in the middle. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "runtime/coordinator/costs.h"
#include "runtime/kernels/kernel.h"
#include "volumes.h"

enum { SIDE = SANITIZED ? 90 : 130, ROUNDS = 2, LATE_MAX = 12 };

/* Blobs, and something irregular on them. */
static float waves(int x, int y, int z) {
    int noise = (x * 7919 + y * 104729 + z * 1299709) % 1009;
    return (float)((x - 40) * (x - 40) % 900 + (y * 13 + z * z) % 700) + (float)noise * 0.37f;
}

/* A chain: one task can run at a time, so the others have nothing to do but help. */
static const char program[] = "import \"simpleitk\"\nimport \"vox1\"\n"
                              "a = intensity(ReadImage(\"in.nii\"))\n"
                              "m = geq_sv(900, a)\n"
                              "n = near(interior(m))\n"
                              "d = dt(n)\n"
                              "e = and(leq_sv(2.5, d), not(m))\n"
                              "f = through(e, or(e, m))\n"
                              "p = percentiles(mask(a, f), f, 0.5)\n"
                              "o = otsu(mask(d, f), f, 256)\n"
                              "g = maxvol(o)\n"
                              "h = (p * d) + a\n"
                              "print \"voxels\" volume(g)\n"
                              "print \"labels\" max(lcc(e))\n"
                              "print \"mean\" avg(h, f)\n"
                              "print \"least\" min(h)\n"
                              "save \"h.nii\" h\nsave \"g.nii\" g\n";

static const char *const saved[] = {"h.nii", "g.nii"};
enum { SAVED = sizeof saved / sizeof saved[0] };

typedef struct expectation {
    outcome run;
    char hashes[SAVED][LOOM_ID_HEX_BYTES];
} expectation;

static void hash_saved(scene *at, char hashes[SAVED][LOOM_ID_HEX_BYTES]) {
    for (int i = 0; i < SAVED; i++) {
        volume v = volume_read(at, saved[i]);
        volume_hash(&v, hashes[i]);
        scene_remove(at, saved[i]);
    }
}

/* One worker: nothing is split. */
static expectation alone(scene *at) {
    expectation made = {0};
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, waves);
    scene_write(at, "chain.imgql", program);
    made.run = run(at, "chain.imgql", "--workers 1");
    assert_well(&made.run);
    assert_int_equal(number_of(&made.run, "parts_helped"), 0);
    hash_saved(at, made.hashes);
    scene_remove(at, "store");
    return made;
}

static void assert_equal(scene *at, const expectation *expected, const outcome *result) {
    char hashes[SAVED][LOOM_ID_HEX_BYTES];
    assert_prints(result, expected->run.out);
    assert_int_equal(number_of(result, "irreproducible"), 0);
    hash_saved(at, hashes);
    for (int i = 0; i < SAVED; i++)
        assert_string_equal(hashes[i], expected->hashes[i]);
}

static void test_any_number_of_workers(void **state) {
    scene *at = *state;
    expectation expected = alone(at);
    const char *const more[] = {"--workers 2", "--workers 7"};
    for (int i = 0; i < 2; i++) {
        outcome result = run(at, "chain.imgql", more[i]);
        assert_equal(at, &expected, &result);
        assert_true(number_of(&result, "parts_helped") > 0);
        /* The block hashes are right, whoever made them. Only the files are made again, which are gone. */
        outcome warm = run(at, "chain.imgql", "--workers 1");
        assert_int_equal(computed_by(&warm), SAVED);
        outcome verified = voxloom(at, "store verify --store store");
        assert_well(&verified);
        scene_remove(at, "store");
        for (int k = 0; k < SAVED; k++)
            scene_remove(at, saved[k]);
    }
}

static void test_store_in_memory(void **state) {
    scene *at = *state;
    expectation expected = alone(at);
    outcome result = voxloom(at, "run chain.imgql --store :memory: --summary summary.json --no-progress --workers 3");
    assert_equal(at, &expected, &result);
}

/* Small images are not split. */
static void test_small_images(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 40, 40, 40, waves);
    scene_write(at, "chain.imgql", program);
    outcome result = run(at, "chain.imgql", "--workers 4");
    assert_well(&result);
    assert_int_equal(number_of(&result, "parts_helped"), 0);
}

/* What this machine is said to take decides, where it is known. */
static void test_cheap_kernels(void **state) {
    scene *at = *state;
    expectation expected = alone(at);
    loom_error err = {0};
    loom_store *store;
    loom_batch *batch;
    const loom_operator_table *operators = loom_operators();
    loom_costs *costs = loom_costs_new(operators);
    assert_non_null(costs);
    for (size_t i = 0; i < operators->count; i++)
        loom_costs_add(costs, operators->operators[i], UINT64_C(1) << 20, 1000); /* 1 ps a voxel */
    const loom_store_options options = {.path = scene_path(at, "store"), .create = true};
    assert_int_equal(loom_store_open(&options, &store, &err), LOOM_OK);
    assert_int_equal(loom_store_begin(store, &batch, &err), LOOM_OK);
    assert_int_equal(loom_costs_put(costs, store, batch, &err), LOOM_OK);
    assert_int_equal(loom_batch_commit(batch, &err), LOOM_OK);
    loom_store_close(store);
    loom_costs_free(costs);
    outcome result = run(at, "chain.imgql", "--workers 4");
    assert_equal(at, &expected, &result);
    assert_int_equal(number_of(&result, "parts_helped"), 0);
}

/* ---- kills ---- */

typedef struct killer {
    unsigned kills_left, ticks, every;
    uint32_t random;
} killer;

static void kill_one(const process *running, void *context) {
    killer *state = context;
    pid_t children[8];
    if (state->kills_left == 0 || ++state->ticks % state->every != 0) return;
    size_t count = children_of(running->pid, children, 8);
    state->random = state->random * 1664525u + 1013904223u;
    if (count == 0 || kill(children[(state->random >> 16) % count], SIGKILL) != 0) return;
    state->kills_left--;
}

static void test_killed_workers(void **state) {
    scene *at = *state;
    expectation expected = alone(at);
    unsigned deaths = 0;
    for (unsigned round = 0, late = 0; round < ROUNDS && late < LATE_MAX; round++, late++) {
        killer context = {.kills_left = 3, .every = 4 + 3 * round, .random = 7 + 11 * late};
        process running = start_run(at, "chain.imgql", "--workers 4 --set workers.deaths_max=9");
        outcome result = finish(at, &running, kill_one, &context);
        assert_equal(at, &expected, &result);
        unsigned here = (unsigned)number_of(&result, "worker_deaths");
        if (here == 0) round--; /* it was over before anybody died */
        deaths += here;
        outcome verified = voxloom(at, "store verify --store store");
        assert_well(&verified);
        scene_remove(at, "store");
    }
    print_message("%u workers died\n", deaths);
    assert_true(deaths > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_number_of_workers, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_store_in_memory, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_small_images, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_cheap_kernels, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_killed_workers, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests_name("run_split", tests, NULL, NULL);
}
