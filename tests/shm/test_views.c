/* test_views.c - a live view never shows other bytes than its own: readers in other processes, some of them suspended,
 * hold views while their results are deleted, evicted, replaced, their space punched, cut off and given to others. */
#include "space_scene.h"

#include <signal.h>

#define WIDTH 20000u /* 60,000 bytes: 15 pages */
#define PAGES (UINT64_C(15) * LOOM_PAGE_BYTES)

static bool shows(const loom_view *view, uint64_t number) {
    uint8_t *expected = malloc(3 * WIDTH);
    fill_image(expected, 3 * WIDTH, number);
    bool same = view->length == 3 * WIDTH && memcmp(view->bytes, expected, 3 * WIDTH) == 0;
    free(expected);
    return same;
}

static loom_status look(loom_store *store, uint64_t number, loom_arena *arena, loom_view *view) {
    loom_id rkey = id_of("image", number);
    loom_result found;
    loom_value value;
    loom_error err = {0};
    loom_status status = loom_store_find(store, &rkey, arena, &found, &err);
    return status == LOOM_OK ? loom_store_value(store, &found, arena, &value, view, &err) : status;
}

static void put(loom_store *store, uint64_t number) {
    loom_error err = {0};
    REQUIRE_OK(try_put(store, number, WIDTH, number, 0, &err));
}

static loom_store *open_small(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){.step_bytes = 1 << 16, .ballast_bytes = 4096}, &store, &err));
    return store;
}

/* ---- a reader: holds views of images [first, first + count), says so, and compares them when it is told to ---- */

typedef struct reader {
    pid_t pid;
    int tell, hear;
} reader;

static void read_images(uint64_t first, uint64_t count, int hear, int tell) {
    loom_error err = {0};
    loom_store *store;
    loom_view views[16];
    char byte;
    loom_arena *arena = loom_arena_new();
    if (loom_store_open(&(loom_store_options){.path = path, .read_only = true}, &store, &err) != LOOM_OK) _exit(2);
    for (uint64_t i = 0; i < count; i++)
        if (look(store, first + i, arena, &views[i]) != LOOM_OK) _exit(3);
    if (write(tell, "r", 1) != 1) _exit(4);
    while (read(hear, &byte, 1) == 1 && byte == 'c') {
        for (uint64_t i = 0; i < count; i++)
            if (!shows(&views[i], first + i)) _exit(5);
        if (write(tell, "k", 1) != 1) _exit(4);
    }
    for (uint64_t i = 0; i < count; i++)
        loom_extent_release(&views[i]);
    loom_store_close(store);
    _exit(0);
}

static char hear_from(const reader *from) {
    char byte = 0;
    return read(from->hear, &byte, 1) == 1 ? byte : 0;
}

static reader start_reader(uint64_t first, uint64_t count) {
    int to[2], back[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(back, O_CLOEXEC), 0);
    fflush(NULL);
    reader made = {.pid = fork(), .tell = to[1], .hear = back[0]};
    assert_true(made.pid >= 0);
    if (made.pid == 0) {
        close(to[1]);
        close(back[0]);
        read_images(first, count, to[0], back[1]);
    }
    close(to[0]);
    close(back[1]);
    assert_int_equal(hear_from(&made), 'r');
    return made;
}

static void require_unchanged(const reader *of) {
    assert_int_equal(write(of->tell, "c", 1), 1);
    assert_int_equal(hear_from(of), 'k');
}

static int end_reader(const reader *of) {
    int status;
    (void)!write(of->tell, "q", 1); /* later readers have copies of the pipe: closing it would not be seen */
    close(of->tell);
    if (of->hear >= 0) close(of->hear);
    assert_int_equal(waitpid(of->pid, &status, 0), of->pid);
    return status;
}

/* ---- */

static void suspended_readers_keep_their_bytes(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small();
    for (uint64_t i = 0; i < 12; i++)
        put(store, i);
    reader readers[4] = {start_reader(0, 3), start_reader(3, 3), start_reader(6, 3), start_reader(9, 3)};
    kill(readers[1].pid, SIGSTOP);
    kill(readers[3].pid, SIGSTOP);
    for (uint64_t i = 0; i < 12; i += 2)
        delete_image(store, i);
    loom_evicted evicted = {0};
    REQUIRE_OK(loom_space_evict(space_of(store), UINT64_MAX, false, &evicted, &err));
    assert_int_equal(evicted.rows, 0);
    assert_int_equal(evicted.held_rows, 6); /* held: it would free nothing */
    for (uint64_t i = 1; i < 12; i += 2)
        delete_image(store, i);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 12 * PAGES);
    assert_int_equal(usage_of(store).free_bytes, 0);
    uint64_t found;
    bool kept;
    REQUIRE_OK(loom_space_sweep(space_of(store), &found, &kept, &err));
    assert_true(kept);
    for (uint64_t i = 100; i < 120; i++) /* others, elsewhere */
        put(store, i);
    require_unchanged(&readers[0]);
    require_unchanged(&readers[2]);
    assert_int_equal(end_reader(&readers[0]), 0);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 9 * PAGES); /* what it let go of, and no more */
    for (uint64_t i = 120; i < 126; i++)
        put(store, i);
    kill(readers[1].pid, SIGCONT);
    require_unchanged(&readers[1]);
    require_unchanged(&readers[2]);
    kill(readers[2].pid, SIGKILL); /* with its views */
    assert_true(WIFSIGNALED(end_reader(&readers[2])));
    assert_int_equal(end_reader(&readers[1]), 0);
    REQUIRE_OK(loom_space_reclaim(space_of(store), UINT64_MAX, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 3 * PAGES);
    assert_true(usage_of(store).free_bytes >= 6 * PAGES);
    uint64_t before = usage_of(store).extent_bytes;
    for (uint64_t i = 130; i < 136; i++) /* in the space that was let go of */
        put(store, i);
    assert_int_equal(usage_of(store).extent_bytes, before);
    kill(readers[3].pid, SIGCONT);
    require_unchanged(&readers[3]);
    assert_int_equal(end_reader(&readers[3]), 0);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 0);
    for (uint64_t i = 100; i < 126; i++)
        require_image(store, i, WIDTH);
    loom_store_close(store);
}

/* ---- a full table of pins ---- */

static void pin_more_than_there_is_room_for(uint64_t number, int hear, int tell) {
    loom_error err = {0};
    loom_store *store;
    loom_view view;
    char byte;
    loom_arena *arena = loom_arena_new();
    if (loom_store_open(&(loom_store_options){.path = path, .read_only = true}, &store, &err) != LOOM_OK) _exit(2);
    for (uint32_t i = 0; i < LOOM_CONTROL_PINS; i++) {
        loom_placement place = {.extent = 77, .offset = LOOM_PAGE_BYTES, .bytes = 1};
        loom_hold hold;
        if (loom_store_hold_range(store, &place, &hold, &err) != LOOM_OK) _exit(3);
    }
    if (look(store, number, arena, &view) != LOOM_OK) _exit(4);
    if (write(tell, "r", 1) != 1 || read(hear, &byte, 1) != 1) _exit(5);
    if (!shows(&view, number)) _exit(6);
    if (write(tell, "k", 1) != 1 || read(hear, &byte, 1) != 1) _exit(5);
    _exit(0);
}

static void a_full_table_of_pins_keeps_everything(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_small();
    for (uint64_t i = 0; i < 4; i++)
        put(store, i);
    int to[2], back[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(back, O_CLOEXEC), 0);
    fflush(NULL);
    reader full = {.pid = fork(), .tell = to[1], .hear = back[0]};
    if (full.pid == 0) {
        close(to[1]);
        close(back[0]);
        pin_more_than_there_is_room_for(2, to[0], back[1]);
    }
    close(to[0]);
    close(back[1]);
    assert_int_equal(hear_from(&full), 'r');
    for (uint64_t i = 0; i < 4; i++)
        delete_image(store, i);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 4 * PAGES);
    for (uint64_t i = 10; i < 20; i++)
        put(store, i);
    require_unchanged(&full);
    kill(full.pid, SIGKILL);
    assert_true(WIFSIGNALED(end_reader(&full)));
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 0);
    loom_store_close(store);
}

/* ---- everything at once ---- */

#define NUMBERS 24u

/* Looks at images at random for as long as it is let, each for a while. */
static void look_around(uint64_t seed, int hear) {
    loom_error err = {0};
    loom_store *store;
    char byte;
    if (loom_store_open(&(loom_store_options){.path = path, .read_only = true}, &store, &err) != LOOM_OK) _exit(2);
    loom_arena *arena = loom_arena_new();
    fcntl(hear, F_SETFL, O_NONBLOCK);
    while (read(hear, &byte, 1) != 1) { /* -1: nothing yet */
        uint64_t number = next_random(&seed) % NUMBERS;
        loom_view view;
        loom_status status = look(store, number, arena, &view);
        if (status != LOOM_OK && status != LOOM_NOT_FOUND) _exit(3);
        for (int i = 0; i < 3 && status == LOOM_OK; i++)
            if (!shows(&view, number)) _exit(5);
        if (status == LOOM_OK) loom_extent_release(&view);
        loom_arena_reset(arena);
    }
    loom_store_close(store);
    _exit(0);
}

/* The same value in another place. */
static void move_image(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_id rkey = id_of("image", number);
    loom_result found;
    loom_arena *arena = loom_arena_new();
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    uint64_t hashes[1];
    if (loom_store_find(store, &rkey, arena, &found, &err) == LOOM_OK) {
        REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
        REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW, &reservation, &err));
        fill_image(reservation.window, 3 * WIDTH, number);
        REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, found.root, &err));
        loom_extent_writer_close(writer);
        found.bulk = reservation.placement;
        found.stored_bytes = found.bulk.bytes;
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_replace(batch, &found, &err));
        REQUIRE_OK(loom_batch_commit(batch, &err));
    }
    loom_arena_free(arena);
}

static void readers_never_see_another_image(void **state) {
    (void)state;
    loom_error err = {0};
    uint64_t seed = 20261122;
    loom_store *store = open_small();
    for (uint64_t i = 0; i < NUMBERS; i++)
        put(store, i);
    reader readers[3];
    for (uint64_t i = 0; i < 3; i++) {
        int to[2];
        assert_int_equal(pipe2(to, O_CLOEXEC), 0);
        fflush(NULL);
        readers[i] = (reader){.pid = fork(), .tell = to[1], .hear = -1};
        if (readers[i].pid == 0) {
            close(to[1]);
            look_around(i, to[0]);
        }
        close(to[0]);
    }
    for (int i = 0; i < 600; i++) {
        uint64_t number = next_random(&seed) % NUMBERS;
        loom_evicted evicted = {0};
        switch (next_random(&seed) % 6) {
        case 0:
        case 1:
            if (!has_image(store, number)) put(store, number);
            break;
        case 2:
            if (has_image(store, number)) delete_image(store, number);
            break;
        case 3:
            move_image(store, number);
            break;
        case 4:
            REQUIRE_OK(loom_space_evict(space_of(store), 2 * PAGES, false, &evicted, &err));
            break;
        default:
            REQUIRE_OK(loom_space_reclaim(space_of(store), next_random(&seed) % 2 != 0 ? 0 : 4 * PAGES, &err));
            kill(readers[number % 3].pid, next_random(&seed) % 2 != 0 ? SIGSTOP : SIGCONT);
        }
    }
    for (uint64_t i = 0; i < 3; i++) {
        kill(readers[i].pid, SIGCONT);
        assert_int_equal(end_reader(&readers[i]), 0);
    }
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).deleted_bytes, 0);
    for (uint64_t i = 0; i < NUMBERS; i++)
        if (has_image(store, i)) require_image(store, i, WIDTH);
    loom_store_close(store);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* a reader that ended is told by its status */
    const struct CMUnitTest tests[] = {
        DISK_TEST(suspended_readers_keep_their_bytes),
        DISK_TEST(a_full_table_of_pins_keeps_everything),
        DISK_TEST(readers_never_see_another_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
