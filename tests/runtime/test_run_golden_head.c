/* The recorded cases of VoxLogicA-2 on a head of nine million voxels, all in one run of the built programs: some
 * gigabytes of store and tens of seconds a run, so only where there is room for it, and not under sanitizers. */
#include <stdio.h>
#include <sys/statvfs.h>

#include "golden_set.h"

#define GIB (UINT64_C(1) << 30)

/* A store holds 2.4 GiB, saved images 0.1 GiB. */
static const uint64_t room_needed = 6 * GIB;
static const double seconds_max = 400;

static void need_room(scene *at) {
    struct statvfs facts;
    assert_int_equal(statvfs(scene_path(at, ""), &facts), 0);
    uint64_t room = (uint64_t)facts.f_bavail * facts.f_frsize;
    if (room >= room_needed) return;
    print_message("skipped: %.1f GiB are free in %s, %.0f GiB are needed (set TMPDIR)\n", (double)room / GIB,
                  scene_path(at, ""), (double)room_needed / GIB);
    skip();
}

static void check_run(const golden_set *set, const char *words, const outcome *result) {
    golden_check(set, result);
    assert_int_equal(number_of(result, "failed"), 0);
    assert_int_equal(number_of(result, "irreproducible"), 0);
    print_message("%s: %.1f s, %.2f GiB written\n", words, result->seconds,
                  number_of(result, "bytes_written") / (double)GIB);
}

static void check_words(scene *at, const char *words, bool again) {
    need_room(at);
    golden_set set = golden_load(at, "chris");
    assert_true(set.count >= 32);
    golden_write(&set);
    outcome cold = golden_run(&set, words, seconds_max);
    check_run(&set, words, &cold);
    assert_true(computed_by(&cold) > 0);
    if (again) {
        outcome warm = golden_run(&set, words, seconds_max);
        check_run(&set, words, &warm);
        assert_int_equal(computed_by(&warm), 0);
        assert_string_equal(warm.out, cold.out);
    }
    golden_free(&set);
}

static void test_two_workers(void **state) {
    check_words(*state, "--workers 2", true);
}

static void test_four_workers_posix(void **state) {
    check_words(*state, "--workers 4 --set io.ring=posix", false);
}

int main(void) {
    if (SANITIZED) {
        print_message("skipped: too large for sanitizers\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_workers, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_four_workers_posix, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
