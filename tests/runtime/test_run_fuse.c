/* Voxelwise steps that are computed within the task of what uses them: printed, saved and stored is what the steps give
 * one by one, for any number of workers, whatever is kept in the store, when workers are killed in the middle, and when
 * bytes that a fused task reads are cut off. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "volumes.h"

enum { SIDE = 57, SMALL_SIDE = 6, ITEMS = 150 }; /* two parts and some tiles */

static float waves(int x, int y, int z) {
    int place = (x * 7 + y * 13 + z * 29) % 211;
    if (place == 19) return -0.0f;
    return (float)place * 0.5f - 20.0f;
}

/* ---- the same bytes ---- */

/* Chains, a diamond, reductions at the end, a goal in the middle, a step that two roots share, colours, what is
 * undefined (0 / 0), a loop that is swept, one that is not, and two whose steps are given back, of which the second
 * begins when the first has ended and takes their numbers. */
static const char program[] =
    "import \"simpleitk\"\n"
    "import \"vox1\"\n"
    "a = intensity(ReadImage(\"a.nii\"))\n"
    "s = ReadImage(\"s.nii\")\n"
    "chain = sub_vs(mul_vs(abs(a), 3), 7)\n"
    "m = and(geq_sv(2, chain), not(leq_sv(40, a)))\n"
    "odd = div_vs(a, 4) / mask(a, geq_sv(3, a))\n"
    "shared = or(m, geq_sv(50, a))\n"
    "far = near(and(shared, not(m)))\n"
    "print \"voxels\" volume(m)\n"
    "print \"least\" min(chain)\n"
    "print \"most\" max(mask(chain, m))\n"
    "print \"mean\" avg(mul_vs(a, 2), geq_sv(1, abs(a)))\n"
    "print \"none\" avg0(add_vs(a, 1), geq_sv(1000, a))\n"
    "print \"far\" volume(or(far, not(shared)))\n"
    "print \"green\" max(green(rgb(a, abs(a), add_vs(a, 9))))\n"
    "print \"swept\" for t in range(40) do volume(not(geq_sv(t, a)))\n"
    "print \"items\" for t in range(12) do avg(add_vs(a, t), geq_sv(t, abs(sub_vs(a, t))))\n"
    "print \"long\" fold + for t in range(150) do volume(geq_sv(t / 10, abs(sub_vs(s, t / 20))))\n"
    "print \"next\" fold max for t in range(fold max for k in range(20) do volume(leq_sv(k, abs(s)))) do "
    "min(mul_vs(abs(sub_vs(s, t / 20)), t))\n"
    "print \"other\" max(sub_vs(chain, 1))\n"
    "save \"chain.nii\" chain\n"
    "save \"odd.nii\" odd\n"
    "save \"far.nii\" mask(a, far)\n";

static const char *const saved[] = {"chain.nii", "odd.nii", "far.nii"};
enum { SAVED = sizeof saved / sizeof saved[0] };

typedef struct result_of {
    outcome run;
    char hashes[SAVED][LOOM_ID_HEX_BYTES];
} result_of;

static result_of run_program(scene *at, const char *more) {
    result_of made = {.run = voxloom(at, "run program.imgql --summary summary.json --no-progress %s", more)};
    assert_well(&made.run);
    for (int i = 0; i < SAVED; i++) {
        volume v = volume_read(at, saved[i]);
        volume_hash(&v, made.hashes[i]);
        scene_remove(at, saved[i]);
    }
    return made;
}

static void assert_equal(const result_of *made, const result_of *expected) {
    assert_prints(&made->run, expected->run.out);
    for (int i = 0; i < SAVED; i++)
        if (strcmp(made->hashes[i], expected->hashes[i]) != 0) fail_msg("%s has other voxels", saved[i]);
}

static double printed(const outcome *result, const char *name) {
    const char *line = strstr(result->out, name);
    if (!line) fail_msg("%s is not printed", name);
    return strtod(line + strlen(name), NULL);
}

/* By the definitions. */
static void assert_right(const outcome *result) {
    double voxels = 0, least = INFINITY, most = -INFINITY;
    for (int z = 0; z < SIDE; z++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                float a = waves(x, y, z), chain = fabsf(a) * 3 - 7;
                bool m = chain >= 2 && !(a <= 40);
                voxels += m;
                least = fmin(least, (double)chain);
                most = fmax(most, m ? (double)chain : 0);
            }
    assert_true(voxels > 0);
    assert_true(printed(result, "voxels=") == voxels);
    assert_true(printed(result, "least=") == least);
    assert_true(printed(result, "most=") == most);
    double sum = 0;
    for (int t = 0; t < ITEMS; t++)
        for (int k = 0; k < SMALL_SIDE * SMALL_SIDE * SMALL_SIDE; k++) {
            float s = waves(k % SMALL_SIDE, k / SMALL_SIDE % SMALL_SIDE, k / SMALL_SIDE / SMALL_SIDE);
            sum += fabsf(s - (float)(t / 20.0)) >= (float)(t / 10.0);
        }
    assert_true(printed(result, "long=") == sum);
}

static void make_inputs(scene *at) {
    volume_make(at, "a.nii", SIDE, SIDE, SIDE, waves);
    volume_make(at, "s.nii", SMALL_SIDE, SMALL_SIDE, SMALL_SIDE, waves);
    scene_write(at, "program.imgql", program);
}

static void test_same_bytes(void **state) {
    static const char *const persists[] = {"goals", "auto", "all"};
    scene *at = *state;
    make_inputs(at);
    result_of expected = run_program(at, "--no-fuse --store other --workers 2");
    assert_right(&expected.run);
    assert_int_equal(number_of(&expected.run, "fused"), 0);
    for (int k = 0; k < 3; k++) {
        scene_remove(at, "store");
        const char *options =
            scene_text(at, "--store store --set store.persist=%s --set memory.loop_items=0", persists[k]);
        result_of made = run_program(at, scene_text(at, "%s --workers %d", options, 1 << k));
        assert_equal(&made, &expected);
        assert_int_equal(number_of(&made.run, "irreproducible"), 0);
        if (k < 2) assert_true(number_of(&made.run, "fused") > ITEMS);
        /* What is stored has the keys that it has without fusion: nothing is added. But "auto" goes by measured times
         * and may keep what lies between, once it is computed by itself. */
        uint64_t rows = results_in(at, "store");
        result_of again = run_program(at, scene_text(at, "%s --no-fuse --workers 2", options));
        assert_equal(&again, &expected);
        assert_int_equal(number_of(&again.run, "irreproducible"), 0);
        if (strcmp(persists[k], "auto") != 0) assert_int_equal(results_in(at, "store"), rows);
        outcome verified = voxloom(at, "store verify --store store");
        assert_well(&verified);
    }
    /* and the bytes: each row is what its operator gives alone */
    outcome audited = voxloom(at, "audit --store store --sample 100 --no-fuse");
    assert_well(&audited);
    result_of memory = run_program(at, "--store :memory: --workers 2");
    assert_equal(&memory, &expected);
    assert_true(number_of(&memory.run, "fused") > ITEMS);
}

/* ---- in the middle of a fused task ---- */

enum { CUBE_SIDE = 64, SHARED_SIDE = 210 }; /* the latter takes long enough to be helped with */

static const char *const on_two = "--workers 2 --set store.persist=goals";

/* Voxels of the cube whose value is at least that. */
static uint64_t voxels_from(unsigned side, unsigned least) {
    uint64_t count = 0;
    for (unsigned i = 0; i < side * side * side; i++)
        count += (3 + i) % 251 >= least;
    return count;
}

/* Waits until so many workers have told that they are within `gated`. */
static void wait_for_workers(scene *at, const process *running, size_t count) {
    for (double start = seconds_now(); scene_lines(at, "ready") < count; pause_ms(1))
        if (!is_alive(running->pid) || seconds_now() - start > (SANITIZED ? 300 : 50))
            fail_msg("%zu workers came, not %zu: %s", scene_lines(at, "ready"), count, error_so_far(at, running));
}

static pid_t worker_number(scene *at, int line) {
    size_t length;
    char *text = scene_read(at, "ready", &length);
    for (int i = 0; i < line; i++)
        text = strchr(text, '\n') + 1;
    return (pid_t)strtol(text, NULL, 10);
}

/* A task of four, of which the image is read by the first. */
static void write_chain(scene *at, unsigned side) {
    scene_write(at, "program.imgql",
                scene_text(at,
                           "import \"test\"\nimport \"vox1\"\n"
                           "p = gated(cube(3, %u, \"log\"), \"ready\", \"gate\")\n"
                           "print \"v\" volume(not(geq_sv(100, p)))\n",
                           side));
}

static void assert_chain(scene *at, const outcome *result, unsigned side, unsigned deaths) {
    uint64_t voxels = (uint64_t)side * side * side;
    assert_prints(result, scene_text(at, "v=%llu.0\n", (unsigned long long)(voxels - voxels_from(side, 100))));
    assert_int_equal(number_of(result, "fused"), 4);
    assert_int_equal(number_of(result, "passes"), 1);
    assert_int_equal(number_of(result, "worker_deaths"), deaths);
}

static void test_killed(void **state) {
    scene *at = *state;
    write_chain(at, CUBE_SIDE);
    process running = start_run(at, "program.imgql", on_two);
    wait_for_workers(at, &running, 1);
    kill(worker_number(at, 0), SIGKILL);
    wait_for_workers(at, &running, 2);
    scene_write(at, "gate", "");
    outcome result = finish(at, &running, NULL, NULL);
    assert_chain(at, &result, CUBE_SIDE, 1);
    assert_int_equal(scene_lines(at, "log"), 1);
    assert_contains(result.err, "vox1.volume"); /* whose task it was */
}

/* Two workers have parts of it, and one dies: its owner, or the one that helps. */
static void test_killed_in_a_part(void **state) {
    scene *at = *state;
    write_chain(at, SHARED_SIDE);
    for (int victim = 0; victim < 2; victim++) {
        process running = start_run(at, "program.imgql", on_two);
        wait_for_workers(at, &running, 2);
        kill(worker_number(at, victim), SIGKILL);
        scene_write(at, "gate", "");
        outcome result = finish(at, &running, NULL, NULL);
        assert_chain(at, &result, SHARED_SIDE, 1);
        scene_remove(at, "ready");
        scene_remove(at, "gate");
        scene_remove(at, "store");
    }
}

/* Cuts every extent file off behind its first page, under those who map it. */
static void cut_extents(scene *at) {
    DIR *folder = opendir(scene_path(at, "store/extents"));
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            assert_int_equal(truncate(scene_path(at, scene_text(at, "store/extents/%s", entry->d_name)), 4096), 0);
    closedir(folder);
}

static void test_argument_cut_off(void **state) {
    scene *at = *state;
    write_chain(at, CUBE_SIDE);
    process running = start_run(at, "program.imgql", "--workers 1 --set store.persist=goals");
    wait_for_workers(at, &running, 1);
    cut_extents(at);
    scene_write(at, "gate", "");
    outcome result = finish(at, &running, NULL, NULL);
    assert_chain(at, &result, CUBE_SIDE, 1);
    assert_int_equal(scene_lines(at, "log"), 2); /* made once more */
    assert_contains(result.err, "test.cube");
    assert_contains(result.err, "it is computed again");
}

/* ---- what is within a task is asked for by itself ---- */

/* The items are not known before the task with `p` in it runs; then they ask for `p`. */
static void write_late(scene *at) {
    scene_write(at, "program.imgql",
                scene_text(at,
                           "import \"test\"\nimport \"vox1\"\n"
                           "p = gated(cube(3, %d, \"log\"), \"ready\", \"gate\")\n"
                           "print \"v\" volume(not(geq_sv(100, p)))\n"
                           "print \"late\" for t in range(total(cube(4, 1, \"other\"), \"count\", \"late\")) do "
                           "volume(not(geq_sv(t * 50, p)))\n",
                           CUBE_SIDE));
}

static process start_late(scene *at) {
    process running = start_run(at, "program.imgql", "--workers 3 --set store.persist=goals");
    wait_for_workers(at, &running, 1);
    scene_write(at, "late", "");
    wait_for_workers(at, &running, 2);
    return running;
}

static void assert_late(scene *at, const outcome *result) {
    uint64_t voxels = CUBE_SIDE * CUBE_SIDE * CUBE_SIDE, below[4];
    for (unsigned t = 0; t < 4; t++)
        below[t] = voxels - voxels_from(CUBE_SIDE, t * 50);
    assert_prints(result,
                  scene_text(at, "v=%llu.0\nlate=[%llu.0, %llu.0, %llu.0, %llu.0]\n", (unsigned long long)below[2],
                             (unsigned long long)below[0], (unsigned long long)below[1], (unsigned long long)below[2],
                             (unsigned long long)below[3]));
    outcome audited = voxloom(at, "store verify --store store");
    assert_well(&audited);
}

static void test_asked_for_later(void **state) {
    scene *at = *state;
    write_late(at);
    process running = start_late(at);
    scene_write(at, "gate", "");
    outcome result = finish(at, &running, NULL, NULL);
    assert_late(at, &result);
    assert_int_equal(scene_lines(at, "log"), 1);
}

/* Both that read the image die of it, one after the other; it is made once more for both. */
static void test_asked_for_later_and_cut_off(void **state) {
    scene *at = *state;
    write_late(at);
    process running = start_late(at);
    cut_extents(at);
    scene_write(at, "gate", "");
    outcome result = finish(at, &running, NULL, NULL);
    assert_late(at, &result);
    /* Its new place may be in a file that was cut off as well: then that worker dies too. */
    assert_in_range(scene_lines(at, "log"), 2, 4);
}

/* ---- failures ---- */

/* All but the figures at the end. */
static const char *messages_of(scene *at, const outcome *result) {
    const char *figures = strstr(result->err, " nodes:");
    assert_non_null(figures);
    return scene_text(at, "%.*s", (int)(figures - result->err), result->err);
}

/* The step that fails is named, with its line, and it and its users fail: as without fusion. */
static void test_failure_within(void **state) {
    scene *at = *state;
    make_inputs(at);
    scene_write(at, "program.imgql",
                "import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"a.nii\"))\n"
                "m = geq_sv(1, a)\n"
                "bad = and(m,\n  Modulus(Cast(a, 3), Cast(m, 3)))\n"
                "print \"v\" volume(not(bad))\n"
                "print \"w\" volume(geq_sv(2, abs(a)))\n");
    outcome expected = run(at, "program.imgql", "--workers 2 --no-fuse --set store.persist=goals");
    assert_int_equal(expected.status, 1);
    scene_remove(at, "store");
    outcome result = run(at, "program.imgql", "--workers 2 --set store.persist=goals");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, expected.out);
    assert_string_equal(messages_of(at, &result), messages_of(at, &expected));
    assert_contains(result.err, "program.imgql:5:7: error:");
    assert_true(number_of(&result, "fused") > 0);
    assert_int_equal(number_of(&result, "failed"), number_of(&expected, "failed"));
}

int main(void) {
    use_faulty_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_bytes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_killed, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_killed_in_a_part, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_argument_cut_off, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_asked_for_later, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_asked_for_later_and_cut_off, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_failure_within, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests_name("run_fuse", tests, NULL, NULL);
}
