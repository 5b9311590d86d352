/* test_seats.c - which cores the workers of several runs get, on synthetic machines; and what workers inherit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/coordinator/seats.h"
#include "runtime/coordinator/worker_environment.h"
#include "shm/platform_file.h"

static loom_topology topology;
static loom_config config;
static char folder[256];
static loom_error err;

static int make_folder(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/voxloom-seats-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder)) return -1;
    config = (loom_config){.workers = {.pin = true, .share = LOOM_SHARE_POLITE}};
    snprintf(config.workers.claims, sizeof config.workers.claims, "%s/cores", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(config.workers.claims);
    return rmdir(folder);
}

static loom_seats take(uint32_t workers) {
    loom_seats seats;
    assert_int_equal(loom_seats_take(&config, &topology, workers, &seats, &err), LOOM_OK);
    assert_int_equal(seats.count, workers);
    return seats;
}

static void machine(const char *description) {
    assert_int_equal(loom_topology_synthetic(description, NULL, &topology, &err), LOOM_OK);
}

static void assert_seat(const loom_seats *seats, uint32_t worker, bool bound, uint32_t cpu, uint32_t domain) {
    assert_int_equal(seats->seats[worker].bound, bound);
    if (bound) assert_int_equal(seats->seats[worker].cpu, cpu);
    assert_int_equal(seats->seats[worker].domain, domain);
}

static void skip_without_shared_locks(void) {
    if (loom_file_locks_are_shared()) return;
    print_message("skipped: locks belong to processes here, so one process cannot play two runs\n");
    skip();
}

static void alone_it_has_every_core(void **state) {
    (void)state;
    machine("numa:2 core:2 pu:2");
    loom_seats run = take(6);
    for (uint32_t i = 0; i < 6; i++) /* the last two go round again */
        assert_seat(&run, i, true, i % 4 * 2, i % 4 / 2);
    uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX];
    loom_seats_share(&run, share);
    assert_int_equal(share[0], 4);
    assert_int_equal(share[1], 2);
    loom_seats_release(&run);
}

static void two_small_runs_do_not_meet(void **state) {
    (void)state;
    skip_without_shared_locks();
    machine("numa:2 core:2 pu:2");
    loom_seats first = take(1), second = take(1), third = take(2);
    assert_seat(&first, 0, true, 0, 0);
    assert_seat(&second, 0, true, 2, 0);
    assert_seat(&third, 0, true, 4, 1);
    assert_seat(&third, 1, true, 6, 1);
    loom_seats_release(&second);
    loom_seats fourth = take(1); /* into the place that became free */
    assert_seat(&fourth, 0, true, 2, 0);
    loom_seats_release(&first);
    loom_seats_release(&third);
    loom_seats_release(&fourth);
}

static void where_no_core_is_left_the_kernel_decides(void **state) {
    (void)state;
    skip_without_shared_locks();
    machine("numa:2 core:2 pu:1");
    loom_seats first = take(3), second = take(4), third = take(4);
    assert_seat(&second, 0, true, 3, 1);
    for (uint32_t i = 1; i < 4; i++)
        assert_false(second.seats[i].bound);
    for (uint32_t i = 0; i < 4; i++) /* every domain still gets its share of the work */
        assert_seat(&third, i, false, 0, i / 2);
    config.workers.share = LOOM_SHARE_ALL;
    loom_seats rude = take(4);
    for (uint32_t i = 0; i < 4; i++)
        assert_seat(&rude, i, true, i, i / 2);
    config.workers.share = LOOM_SHARE_POLITE;
    config.workers.pin = false;
    loom_seats loose = take(2);
    assert_false(loose.seats[0].bound || loose.seats[1].bound);
    loom_seats_release(&first);
    loom_seats_release(&second);
    loom_seats_release(&third);
    loom_seats_release(&rude);
    loom_seats_release(&loose);
}

/* Binding costs nobody anything when nobody can know of it: no such folder, a folder in its place, a link. */
static void without_the_file_it_is_as_if_alone(void **state) {
    (void)state;
    machine("core:2 pu:1");
    loom_core_claims *claims;
    struct stat made;
    loom_seats run = take(2);
    assert_int_equal(stat(config.workers.claims, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0666); /* runs of all users share it */
    assert_int_equal(made.st_size, 0);
    loom_seats_release(&run);
    char link[300];
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink(config.workers.claims, link), 0);
    assert_int_not_equal(loom_core_claims_open(link, &claims, &err), LOOM_OK);
    unlink(link);
    assert_int_not_equal(loom_core_claims_open(folder, &claims, &err), LOOM_OK);
    assert_null(claims);
    char kept[sizeof config.workers.claims];
    memcpy(kept, config.workers.claims, sizeof kept);
    snprintf(config.workers.claims, sizeof config.workers.claims, "%s/none/cores", folder);
    run = take(2);
    assert_true(run.seats[0].bound && run.seats[1].bound);
    loom_seats_release(&run);
    memcpy(config.workers.claims, kept, sizeof kept);
}

/* ---- the environment ---- */

static size_t count_of(char **environment, const char *entry) {
    size_t count = 0;
    for (; *environment; environment++)
        count += strcmp(*environment, entry) == 0;
    return count;
}

static void libraries_get_one_thread(void **state) {
    (void)state;
    char *ours[] = {"HOME=/home/me",
                    "OMP_NUM_THREADS=16",
                    "odd",
                    "OMP_NUM_THREADS_OF_MINE=3",
                    "NUMBA_NUM_THREADS=",
                    "EMPTY=",
                    NULL};
    char **made = loom_worker_environment(ours);
    assert_non_null(made);
    static const char *const wanted[] = {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1",
                                         "NUMBA_NUM_THREADS=1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_int_equal(count_of(made, wanted[i]), 1);
    static const char *const kept[] = {"HOME=/home/me", "odd", "OMP_NUM_THREADS_OF_MINE=3", "EMPTY="};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_int_equal(count_of(made, kept[i]), 1);
    assert_int_equal(count_of(made, "OMP_NUM_THREADS=16") + count_of(made, "NUMBA_NUM_THREADS="), 0);
    free(made);
    made = loom_worker_environment(NULL);
    assert_int_equal(count_of(made, "MKL_NUM_THREADS=1"), 1);
    free(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alone_it_has_every_core, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(two_small_runs_do_not_meet, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(where_no_core_is_left_the_kernel_decides, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(without_the_file_it_is_as_if_alone, make_folder, remove_folder),
        cmocka_unit_test(libraries_get_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
