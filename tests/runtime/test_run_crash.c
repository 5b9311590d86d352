/* Processes killed in the middle of a run. A dead worker is replaced and nobody notices; after the coordinator's death
 * workers end by themselves, the store opens without help, and the next run goes on from what was stored. A task that
 * kills every worker by itself is a matter for plug-ins that crash; here the limit is met by killing from outside. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "volumes.h"

enum { KILLS = SANITIZED ? 6 : 20, SIDE = SANITIZED ? 40 : 60, ITEMS = 48, EARLY = 4, LATE_MAX = 10 };
static const unsigned seed = 20261122;

static float waves(int x, int y, int z) {
    return (float)((x * 7 + y * 13 + z * 29 + x * y % 11) % (ITEMS + 9));
}

/* Numbers of a small generator, the same everywhere (Lehmer, modulus 2^31 - 1). */
static uint32_t random_state;
static double random_fraction(void) {
    random_state = (uint32_t)((uint64_t)random_state * 48271 % 2147483647);
    return (double)random_state / 2147483647;
}

/* Three kernels an item; the first items are printed early. */
static void write_program(scene *at) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, waves);
    scene_write(at, "long.imgql",
                scene_text(at,
                           "import \"simpleitk\"\na = ReadImage(\"in.nii\")\nf(t) = max(dt(geq_sv(t, a)))\n"
                           "print \"early\" map(f, range(%d))\nprint \"all\" map(f, range(%d))\nprint \"last\" 1 + 1\n",
                           EARLY, ITEMS));
}

/* What an undisturbed run gives, and the time it takes (the shorter of two). */
static outcome reference(scene *at) {
    outcome best = {0};
    write_program(at);
    for (int again = 0; again < 2; again++) {
        outcome cold = run(at, "long.imgql", "--workers 2");
        assert_well(&cold);
        assert_int_equal(number_of(&cold, "worker_deaths"), 0);
        scene_remove(at, "store");
        if (again == 0 || cold.seconds < best.seconds) best = cold;
    }
    return best;
}

/* Waits until `text` is printed; false if the process ended first. */
static bool wait_for_output(scene *at, const process *running, const char *text) {
    while (!strstr(output_so_far(at, running), text)) {
        if (!is_alive(running->pid)) return false;
        pause_ms(2);
    }
    return true;
}

static void assert_next_run(scene *at, const outcome *expected, uint64_t stored) {
    outcome next = run(at, "long.imgql", "--workers 2");
    assert_prints(&next, expected->out);
    uint64_t nodes = (uint64_t)number_of(expected, "nodes");
    assert_int_equal(number_of(&next, "nodes"), nodes);
    assert_int_equal(number_of(&next, "irreproducible"), 0);
    if (computed_by(&next) > nodes - stored)
        fail_msg("%llu were stored but %llu of %llu computed again", (unsigned long long)stored,
                 (unsigned long long)computed_by(&next), (unsigned long long)nodes);
    assert_int_equal(results_in(at, "store"), nodes);
}

/* ---- workers ---- */

static void test_killed_workers(void **state) {
    scene *at = *state;
    outcome expected = reference(at);
    random_state = seed;
    for (int round = 0, late = 0; round < 3; round++) {
        pid_t children[8];
        scene_remove(at, "store");
        process running = start_run(at, "long.imgql", "--workers 2");
        wait_for_output(at, &running, "early=");
        size_t count = children_of(running.pid, children, 8);
        for (size_t i = 0; i < count; i++)
            if (i == 0 || round == 2) kill(children[i], SIGKILL); /* one; at last both at once */
        outcome result = finish(at, &running, NULL, NULL);
        assert_prints(&result, expected.out);
        if (number_of(&result, "worker_deaths") == 0) { /* this machine is so busy that the run was over */
            assert_true(++late < LATE_MAX);
            round--;
            continue;
        }
        assert_in_range(number_of(&result, "worker_deaths"), 1, 2);
        assert_contains(result.err, "signal 9");
        assert_int_equal(number_of(&result, "nodes"), number_of(&expected, "nodes"));
        assert_int_equal(results_in(at, "store"), number_of(&expected, "nodes"));
        outcome warm = run(at, "long.imgql", "--workers 2");
        assert_prints(&warm, expected.out);
        assert_int_equal(computed_by(&warm), 0);
    }
}

static void test_too_many_deaths(void **state) {
    scene *at = *state;
    outcome expected = reference(at);
    for (int attempt = 0; attempt < LATE_MAX; attempt++) {
        pid_t child;
        scene_remove(at, "store");
        process running = start_run(at, "long.imgql", "--workers 1 --set workers.deaths_max=1");
        wait_for_output(at, &running, "early=");
        if (children_of(running.pid, &child, 1) == 1) kill(child, SIGKILL);
        outcome result = finish(at, &running, NULL, NULL);
        if (result.status == 0) continue; /* it was between two tasks */
        assert_int_equal(result.status, 1);
        assert_contains(result.err, "long.imgql:3:");
        assert_contains(result.err, "signal 9");
        assert_contains(result.out, "last=2.0\n"); /* independent goals are met */
        assert_contains(result.err, "not done: print \"all\"");
        assert_next_run(at, &expected, results_in(at, "store"));
        return;
    }
    fail_msg("no worker was running anything when it was killed, ten times");
}

/* ---- the coordinator ---- */

static void assert_all_end(const pid_t *children, size_t count) {
    double start = seconds_now();
    for (size_t i = 0; i < count; i++)
        while (is_alive(children[i])) {
            if (seconds_now() - start > 2) {
                kill(children[i], SIGKILL);
                fail_msg("worker %d lives on, 2 seconds after its coordinator's death", (int)children[i]);
            }
            pause_ms(5);
        }
}

static void test_killed_coordinator(void **state) {
    scene *at = *state;
    outcome expected = reference(at);
    uint64_t reused = 0;
    int kills = 0;
    random_state = seed;
    double length = expected.seconds;
    print_message("seed %u; an undisturbed run takes %.3f s\n", seed, length);
    for (int round = 0; round < KILLS; round++) {
        pid_t children[8];
        double moment = (round + random_fraction()) / KILLS * length;
        scene_remove(at, "store");
        process running = start_run(at, "long.imgql", "--workers 2 --set store.batch_ms=20");
        while (seconds_now() - running.started < moment)
            pause_ms(1);
        size_t count = children_of(running.pid, children, 8);
        kill(running.pid, SIGKILL); /* a zombie at worst: it has not been waited for */
        outcome killed = finish(at, &running, NULL, NULL);
        if (killed.status != 0) assert_int_equal(killed.status, 128 + SIGKILL); /* 0: it had just ended */
        kills += killed.status != 0;
        if (killed.status == 0) length *= 0.7; /* the machine was busier when it was measured */
        assert_all_end(children, count);
        uint64_t stored = scene_has(at, "store/FORMAT") ? results_in(at, "store") : 0;
        reused += stored;
        print_message("killed at %.3f s: %llu stored\n", moment, (unsigned long long)stored);
        assert_next_run(at, &expected, stored);
    }
    assert_true(reused > 0 && kills >= KILLS / 2); /* else nothing was tried */
}

/* ---- Ctrl-C ---- */

/* Interrupts the program after its first line; a run that was over by then is tried again. */
static outcome interrupted(scene *at) {
    for (int late = 0;; late++) {
        scene_remove(at, "store");
        process running = start_run(at, "long.imgql", "--workers 2");
        wait_for_output(at, &running, "early=");
        kill(running.pid, SIGINT);
        outcome stopped = finish(at, &running, NULL, NULL);
        if (stopped.status != 0) return stopped;
        assert_true(late < LATE_MAX);
    }
}

static void test_interrupt(void **state) {
    scene *at = *state;
    outcome expected = reference(at);
    outcome stopped = interrupted(at);
    assert_in_range(stopped.status, 1, 130);
    assert_contains(stopped.err, "stopped on request");
    assert_null(strstr(stopped.out, "last="));
    assert_string_equal(string_of(at, &stopped, "goals.0.status"), "ok");
    assert_string_equal(string_of(at, &stopped, "goals.2.status"), "skipped");
    uint64_t stored = results_in(at, "store");
    assert_in_range(stored, 1 + 3 * EARLY, number_of(&expected, "nodes") - 1);
    assert_int_equal(stored, computed_by(&stopped)); /* all that finished is kept */
    assert_next_run(at, &expected, stored);
}

/* One kernel takes long here: the first request waits for it, the second does not. */
static void test_interrupt_twice(void **state) {
    scene *at = *state;
    const int side = SANITIZED ? 100 : 250;
    volume_make(at, "in.nii", side, side, side, waves);
    scene_write(at, "slow.imgql",
                "import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"in.nii\"))\n"
                "print \"start\" min(a)\nprint \"end\" for r in range(1, 9) do volume(smoothen(a >=. r, r))\n");
    process running = start_run(at, "slow.imgql", "--workers 2");
    assert_true(wait_for_output(at, &running, "start="));
    pid_t children[8];
    size_t count = children_of(running.pid, children, 8);
    kill(running.pid, SIGINT);
    pause_ms(20);
    kill(running.pid, SIGINT);
    double asked = seconds_now();
    outcome stopped = finish(at, &running, NULL, NULL);
    double waited = seconds_now() - asked;
    print_message("ended %.3f s after the second request\n", waited);
    assert_in_range(stopped.status, 1, 130);
    assert_null(strstr(stopped.out, "end="));
    assert_true(waited < (SANITIZED ? 5 : 1));
    assert_all_end(children, count);
    assert_in_range(results_in(at, "store"), 3, 3 + 8 * 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_workers, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_deaths, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_killed_coordinator, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_interrupt, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_twice, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
