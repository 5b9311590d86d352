/* test_control.c - the file `control`: pins and barriers of living and dead processes, claims, marks, lent ranges. */
#include "store_support.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "shm/control/control.h"
#include "shm/platform_file.h"

static char folder[256];
static int folder_fd;
static const uint8_t uuid[16] = {1, 2, 3};

static int setup(void **state) {
    (void)state;
    make_temporary(folder);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    return folder_fd < 0;
}

static int teardown(void **state) {
    (void)state;
    close(folder_fd);
    remove_tree(folder);
    return 0;
}

static loom_status attach(loom_control **control, loom_error *err) {
    bool quiet, alone;
    uint64_t extent_bytes = 1 << 20, step_bytes = 1 << 16;
    LOOM_TRY(loom_control_enter(folder_fd, folder, control, &quiet, err));
    LOOM_TRY(loom_control_alone(*control, &alone, err));
    LOOM_TRY(loom_control_attach(*control, alone, uuid, LOOM_ROLE_OPENER, &extent_bytes, &step_bytes, err));
    loom_control_leave_gate(*control);
    return LOOM_OK;
}

static loom_control *attach_ok(void) {
    loom_error err = {0};
    loom_control *control;
    REQUIRE_OK(attach(&control, &err));
    return control;
}

static loom_placement at(uint32_t extent, uint64_t page, uint64_t pages) {
    return (loom_placement){.extent = extent, .offset = page * LOOM_PAGE_BYTES, .bytes = pages * LOOM_PAGE_BYTES};
}

/* A child that attaches, does something, says so, and waits to be killed. */
static pid_t start(void (*body)(loom_control *)) {
    int done[2];
    char byte;
    assert_int_equal(pipe(done), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        loom_control *control;
        loom_error err = {0};
        if (attach(&control, &err) != LOOM_OK) _exit(1);
        body(control);
        if (write(done[1], "x", 1) != 1) _exit(2);
        for (;;)
            pause();
    }
    close(done[1]);
    assert_int_equal(read(done[0], &byte, 1), 1);
    close(done[0]);
    return child;
}

static void end(pid_t child) {
    int status;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* ---- pins ---- */

static void a_pin_covers_what_overlaps_it(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    loom_placement object = at(7, 100, 5);
    uint32_t pin = loom_control_pin(control, &object);
    assert_true(pin > 0);
    assert_true(loom_control_is_pinned(control, &object));
    loom_placement around = at(7, 90, 20), before = at(7, 90, 10), behind = at(7, 101, 10), other = at(8, 100, 5);
    assert_true(loom_control_is_pinned(control, &around));
    assert_false(loom_control_is_pinned(control, &before));
    assert_false(loom_control_is_pinned(control, &behind));
    assert_false(loom_control_is_pinned(control, &other));
    uint32_t again = loom_control_pin(control, &object);
    loom_control_unpin(control, pin);
    assert_true(loom_control_is_pinned(control, &object));
    loom_control_unpin(control, again);
    assert_false(loom_control_is_pinned(control, &object));
    loom_control_unpin(control, 0);
    loom_control_unpin(control, 12345); /* not ours */
    loom_control_close(control);
}

static void pin_seven(loom_control *control) {
    loom_placement object = at(7, 100, 5);
    loom_control_pin(control, &object);
}

static void pins_end_with_their_process(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    loom_placement object = at(7, 100, 5);
    pid_t child = start(pin_seven);
    assert_true(loom_control_is_pinned(control, &object));
    kill(child, SIGSTOP);
    assert_true(loom_control_is_pinned(control, &object)); /* suspended is not dead */
    kill(child, SIGCONT);
    end(child);
    assert_false(loom_control_is_pinned(control, &object));
    /* The slot's next owner does not inherit them. */
    loom_control *next = NULL;
    loom_error err = {0};
    bool quiet, alone;
    uint64_t extent_bytes, step_bytes;
    if (loom_file_locks_are_shared()) { /* else one process has one description */
        REQUIRE_OK(loom_control_enter(folder_fd, folder, &next, &quiet, &err));
        REQUIRE_OK(loom_control_alone(next, &alone, &err));
        assert_false(alone);
        REQUIRE_OK(loom_control_attach(next, alone, uuid, LOOM_ROLE_OPENER, &extent_bytes, &step_bytes, &err));
        loom_control_leave_gate(next);
        assert_false(loom_control_is_pinned(next, &object));
        loom_control_close(next);
    }
    loom_control_close(control);
}

static void a_full_table_raises_a_barrier(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    uint32_t *pins = malloc((LOOM_CONTROL_PINS + 2) * sizeof *pins);
    for (uint32_t i = 0; i < LOOM_CONTROL_PINS; i++) {
        loom_placement object = at(1, i + 1, 1);
        pins[i] = loom_control_pin(control, &object);
        assert_true(pins[i] > 0 && pins[i] <= LOOM_CONTROL_PINS);
    }
    loom_placement more = at(2, 1, 1), other = at(3, 1, 1);
    assert_false(loom_control_is_pinned(control, &other));
    uint32_t beyond = loom_control_pin(control, &more), second = loom_control_pin(control, &more);
    assert_true(loom_control_is_pinned(control, &other)); /* everything is */
    loom_control_unpin(control, beyond);
    assert_true(loom_control_is_pinned(control, &other));
    loom_control_unpin(control, second);
    assert_false(loom_control_is_pinned(control, &other));
    for (uint32_t i = 0; i < LOOM_CONTROL_PINS; i++)
        loom_control_unpin(control, pins[i]);
    loom_placement first = at(1, 1, LOOM_CONTROL_PINS);
    assert_false(loom_control_is_pinned(control, &first));
    free(pins);
    loom_control_close(control);
}

static void fill_table(loom_control *control) {
    for (uint32_t i = 0; i < LOOM_CONTROL_PINS + 1; i++) {
        loom_placement object = at(1, i + 1, 1);
        loom_control_pin(control, &object);
    }
}

static void entries_and_barriers_of_the_dead_are_free(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    pid_t child = start(fill_table);
    loom_placement object = at(5, 1, 1), other = at(6, 1, 1);
    assert_true(loom_control_is_pinned(control, &other));
    end(child);
    assert_false(loom_control_is_pinned(control, &other));
    uint32_t pin = loom_control_pin(control, &object);
    assert_true(pin <= LOOM_CONTROL_PINS); /* an entry, no barrier */
    assert_true(loom_control_is_pinned(control, &object));
    assert_false(loom_control_is_pinned(control, &other));
    loom_control_close(control);
}

static void a_child_cannot_unpin_its_parents(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    loom_placement object = at(7, 100, 5);
    uint32_t pin = loom_control_pin(control, &object);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        loom_control_unpin(control, pin);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(loom_control_is_pinned(control, &object));
    loom_control_close(control);
}

/* ---- claims ---- */

static void claim_first(loom_control *control) {
    loom_id rkey = id_of("rkey", 1);
    if (loom_control_claim(control, &rkey, NULL) != LOOM_OK) _exit(3);
}

static void claims_exclude_and_end_with_the_run(void **state) {
    (void)state;
    loom_error err = {0};
    loom_control *control = attach_ok();
    loom_id first = id_of("rkey", 1), second = id_of("rkey", 2);
    pid_t child = start(claim_first);
    REQUIRE_STATUS(loom_control_claim(control, &first, &err), LOOM_BUSY);
    REQUIRE_OK(loom_control_claim(control, &second, &err));
    end(child);
    REQUIRE_OK(loom_control_claim(control, &first, &err));
    loom_control_unclaim(control, &first);
    child = start(claim_first);
    REQUIRE_STATUS(loom_control_claim(control, &first, &err), LOOM_BUSY);
    end(child);
    loom_control_close(control);
}

/* A worker that inherited the descriptor keeps the run's claims when the coordinator dies, and is the same owner. */
static void claims_are_the_runs(void **state) {
    (void)state;
    if (!loom_file_locks_are_shared()) skip();
    loom_error err = {0};
    loom_control *run = attach_ok();
    loom_id rkey = id_of("rkey", 1);
    REQUIRE_OK(loom_control_claim(run, &rkey, &err));
    int inherited = dup(loom_control_claims_fd(run));
    loom_control_close(run);
    loom_control *other = attach_ok();
    REQUIRE_STATUS(loom_control_claim(other, &rkey, &err), LOOM_BUSY);
    loom_control *worker = attach_ok();
    REQUIRE_STATUS(loom_control_adopt_claims(worker, folder_fd, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_OK(loom_control_adopt_claims(worker, inherited, &err));
    REQUIRE_OK(loom_control_claim(worker, &rkey, &err)); /* its own already */
    REQUIRE_STATUS(loom_control_claim(other, &rkey, &err), LOOM_BUSY);
    loom_control_close(worker);
    REQUIRE_OK(loom_control_claim(other, &rkey, &err));
    loom_control_close(other);
}

/* ---- marks ---- */

static void marks_say_when_and_how_dear(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    assert_int_equal(loom_control_get_mark(control, 5).used_s, 0);
    loom_control_mark(control, 5, 3000, 1000);
    loom_mark mark = loom_control_get_mark(control, 5);
    assert_true(mark.used_s >= 1 && mark.used_s <= loom_control_seconds(control));
    assert_float_equal(mark.priority, 3.0f, 0);
    uint64_t now = (uint64_t)time(NULL), when = loom_control_mark_time(control, mark.used_s);
    assert_true(when + 5 >= now && when <= now + 5);
    loom_control_mark(control, UINT64_C(1) << 20, 8, 2); /* in a piece far behind */
    loom_control_mark(control, UINT64_MAX, 8, 2);        /* no place for it: nothing happens */
    assert_int_equal(loom_control_get_mark(control, UINT64_MAX).used_s, 0);
    loom_control_close(control);
    control = attach_ok(); /* alone: all else is written anew */
    mark = loom_control_get_mark(control, 5);
    assert_float_equal(mark.priority, 3.0f, 0);
    assert_float_equal(loom_control_get_mark(control, UINT64_C(1) << 20).priority, 4.0f, 0);
    assert_int_equal(loom_control_get_mark(control, 6).used_s, 0);
    loom_control_mark_created(control, 5, 100, 1, 0); /* has one */
    assert_float_equal(loom_control_get_mark(control, 5).priority, 3.0f, 0);
    loom_control_mark_created(control, 6, 100, 1, 0);
    assert_float_equal(loom_control_get_mark(control, 6).priority, 100.0f, 0);
    assert_int_equal(loom_control_get_mark(control, 6).used_s, 1);
    loom_control_close(control);
}

static void what_is_stored_to_is_allocated(void **state) {
    (void)state;
#ifndef VOXLOOM_PORTABLE
    loom_control *control = attach_ok();
    loom_control_mark(control, 1, 1, 1);
    struct stat now;
    assert_int_equal(fstat(loom_control_fd(control), &now), 0);
    assert_true((uint64_t)now.st_blocks * 512 >= (uint64_t)now.st_size);
    loom_control_close(control);
#endif
}

/* ---- lent ranges ---- */

static void the_smallest_sufficient_range_is_taken(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    static const uint64_t lengths[] = {50, 8, 9, 7, 100};
    loom_lent range;
    assert_false(loom_control_borrow(control, 1, &range));
    for (size_t i = 0; i < 5; i++)
        assert_true(loom_control_lend(
            control, &(loom_lent){.extent = 3, .punched = i == 2, .page = 1000 * (i + 1), .pages = lengths[i]}));
    assert_true(loom_control_borrow(control, 8, &range));
    assert_int_equal(range.pages, 8);
    assert_int_equal(range.page, 2000);
    assert_int_equal(range.extent, 3);
    assert_false(range.punched);
    assert_true(loom_control_borrow(control, 8, &range));
    assert_int_equal(range.pages, 9);
    assert_true(range.punched);
    assert_true(loom_control_borrow(control, 8, &range));
    assert_int_equal(range.pages, 50);
    assert_false(loom_control_borrow(control, 101, &range));
    assert_true(loom_control_borrow(control, 1, &range));
    assert_int_equal(range.pages, 7);
    assert_true(loom_control_borrow(control, 100, &range));
    assert_false(loom_control_borrow(control, 1, &range));
    assert_false(loom_control_lend(control, &(loom_lent){.extent = 1, .page = 0, .pages = 1})); /* a header */
    assert_false(loom_control_lend(control, &(loom_lent){.extent = 1 << 24, .page = 1, .pages = 1}));
    assert_false(loom_control_lend(control, &(loom_lent){.extent = 1, .page = 1, .pages = 0}));
    assert_int_equal(atomic_load(&loom_control_space_of(control)->lent_bytes), 0);
    loom_control_close(control);
}

static void a_full_list_refuses(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    loom_lent range = {.page = 1, .pages = 1};
    for (; range.page <= LOOM_CONTROL_LENT; range.page++)
        assert_true(loom_control_lend(control, &range));
    assert_false(loom_control_lend(control, &range));
    assert_true(loom_control_borrow(control, 1, &range));
    assert_true(loom_control_lend(control, &range));
    loom_control_close(control);
}

static void a_damaged_entry_is_not_used(void **state) {
    (void)state;
    loom_control *control = attach_ok();
    assert_true(loom_control_lend(control, &(loom_lent){.extent = 3, .page = 5, .pages = 5}));
    uint64_t key;
    assert_int_equal(pread(loom_control_fd(control), &key, 8, LOOM_CONTROL_LENT_AT + 8), 8);
    assert_int_equal(key, UINT64_C(3) << 40 | 5);
    key += 1;
    assert_int_equal(pwrite(loom_control_fd(control), &key, 8, LOOM_CONTROL_LENT_AT + 8), 8);
    loom_lent range;
    assert_false(loom_control_borrow(control, 1, &range));
    loom_control_close(control);
}

/* Processes lend and borrow at once: each range is marked while it is borrowed, in memory that all share. */
#define RANGES 64u
static _Atomic uint32_t *owners;

static void churn(loom_control *control, uint64_t seed) {
    for (int i = 0; i < 20000; i++) {
        loom_lent range;
        if (!loom_control_borrow(control, next_random(&seed) % 4 + 1, &range)) continue;
        if (range.page % 8 != 0 || range.pages != range.page / 8 % 4 + 1 || range.extent != 9) _exit(4);
        if (atomic_exchange(&owners[range.page / 8], 1) != 0) _exit(5); /* two have it */
        atomic_store(&owners[range.page / 8], 0);
        if (!loom_control_lend(control, &range)) _exit(6);
    }
}

static void no_range_is_given_twice(void **state) {
    (void)state;
    int fd;
    assert_int_equal(loom_memory_file("owners", &fd), 0);
    assert_int_equal(ftruncate(fd, 65536), 0);
    owners = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(owners != MAP_FAILED);
    loom_control *control = attach_ok();
    for (uint64_t i = 1; i <= RANGES; i++)
        assert_true(loom_control_lend(control, &(loom_lent){.extent = 9, .page = 8 * i, .pages = i % 4 + 1}));
    pid_t children[3];
    fflush(NULL);
    for (uint64_t i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] != 0) continue;
        loom_control *own;
        loom_error err = {0};
        if (attach(&own, &err) != LOOM_OK) _exit(1);
        churn(own, i);
        _exit(0);
    }
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    uint64_t seen = 0, pages = 0;
    loom_lent range;
    for (; loom_control_borrow(control, 1, &range); seen++)
        pages += range.pages;
    assert_int_equal(seen, RANGES);
    assert_int_equal(pages, RANGES / 4 * (1 + 2 + 3 + 4));
    loom_control_close(control);
    munmap((void *)(uintptr_t)owners, 65536);
    close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pin_covers_what_overlaps_it),
        TEST(pins_end_with_their_process),
        TEST(a_full_table_raises_a_barrier),
        TEST(entries_and_barriers_of_the_dead_are_free),
        TEST(a_child_cannot_unpin_its_parents),
        TEST(claims_exclude_and_end_with_the_run),
        TEST(claims_are_the_runs),
        TEST(marks_say_when_and_how_dear),
        TEST(what_is_stored_to_is_allocated),
        TEST(the_smallest_sufficient_range_is_taken),
        TEST(a_full_list_refuses),
        TEST(a_damaged_entry_is_not_used),
        TEST(no_range_is_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
