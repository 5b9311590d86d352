/* Every recorded case of VoxLogicA-2 on two small volumes, all in one run of the built programs: any number of workers,
 * either way of writing, from an empty store and again from a full one. */
#include <stdio.h>
#include <string.h>

#include "golden_set.h"

typedef struct manner {
    int workers;
    const char *ring; /* io.ring */
    const char *says; /* the summary's name of it; NULL = whichever there is */
} manner;

static const manner manners[] = {
    {1, "auto", NULL}, {2, "auto", NULL}, {4, "auto", NULL}, {2, "posix", "posix"}, {2, "uring", "io_uring"},
};

/* A kernel or a build without io_uring; a write that failed is no refusal. */
static bool refused(const manner *how, const outcome *result) {
    return strcmp(how->ring, "uring") == 0 && result->status != 0 &&
           strstr(result->err, "; set io.ring to auto or posix");
}

/* The first run's output is what all others must print, to the last digit of a mean. */
static void check_run(const golden_set *set, const manner *how, const outcome *result, const char **prints) {
    golden_check(set, result);
    assert_int_equal(number_of(result, "workers"), how->workers);
    assert_int_equal(number_of(result, "failed"), 0);
    assert_int_equal(number_of(result, "irreproducible"), 0);
    if (how->says) assert_string_equal(string_of(set->at, result, "ring"), how->says);
    if (!*prints) *prints = result->out;
    assert_string_equal(result->out, *prints);
}

static void check_manner(const golden_set *set, const manner *how, const char **prints) {
    const char *words = scene_text(set->at, "--workers %d --set io.ring=%s", how->workers, how->ring);
    scene_remove(set->at, "store");
    scene_remove(set->at, "out");
    outcome cold = golden_run(set, words, 0);
    if (refused(how, &cold)) {
        print_message("skipped: %s with io.ring=uring, refused here: %.*s\n", set->name, (int)strcspn(cold.err, "\n"),
                      cold.err);
        return;
    }
    check_run(set, how, &cold, prints);
    assert_true(computed_by(&cold) > 0);
    outcome warm = golden_run(set, words, 0);
    check_run(set, how, &warm, prints);
    assert_int_equal(computed_by(&warm), 0);
    print_message("%s, %d workers, io.ring=%s: %.2f s, again %.2f s\n", set->name, how->workers, how->ring,
                  cold.seconds, warm.seconds);
}

static void check_set(scene *at, const char *name) {
    golden_set set = golden_load(at, name);
    const char *prints = NULL;
    assert_true(set.count >= 119);
    golden_write(&set);
    for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++)
        check_manner(&set, &manners[i], &prints);
    golden_free(&set);
}

static void test_small(void **state) {
    check_set(*state, "small");
}

static void test_field(void **state) {
    check_set(*state, "field");
}

/* Saved files that are gone are written again from the store, and nothing else is done. */
static void test_saved_again(void **state) {
    golden_set set = golden_load(*state, "field");
    golden_write(&set);
    outcome first = golden_run(&set, "--workers 2", 0);
    golden_check(&set, &first);
    scene_remove(*state, "out");
    outcome again = golden_run(&set, "--workers 2", 0);
    golden_check(&set, &again);
    assert_string_equal(again.out, first.out);
    assert_int_equal(computed_by(&again), golden_images(&set));
    golden_free(&set);
}

/* An operator without a kernel that a goal needs is told before anything runs; one that no goal needs is not. */
static void test_not_native(void **state) {
    golden_set set = golden_load(*state, "small");
    golden_write(&set);
    scene_write(
        set.at, set.program,
        scene_text(set.at, "%s\np = nnunet.make_predictor(\"model\")\n", scene_read(set.at, set.program, NULL)));
    outcome beside = golden_run(&set, "--workers 2", 0);
    golden_check(&set, &beside);
    scene_write(set.at, set.program, scene_text(set.at, "%sprint \"p\" p\n", scene_read(set.at, set.program, NULL)));
    outcome refused = voxloom(set.at, "run %s --store other", set.program);
    assert_int_equal(refused.status, 1);
    assert_contains(refused.err, "error: nnunet.make_predictor has no native kernel: it needs the Python worker");
    assert_contains(refused.err, "\np = nnunet.make_predictor(\"model\")\n    ^\n");
    assert_string_equal(refused.out, "");
    golden_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_field, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_saved_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_not_native, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
