/* test_space.c - the space of a store: recycled, counted against a budget, evicted, swept, and on a full disk. */
#include "space_scene.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <time.h>

#define WIDTH 100000u /* 300,000 bytes: 74 pages */
#define PAGES (UINT64_C(74) * LOOM_PAGE_BYTES)

static loom_store *open_with(loom_store_options options) {
    loom_error err = {0};
    loom_store *store;
    if (options.step_bytes == 0) options.step_bytes = 1 << 16;
    REQUIRE_OK(try_open(options, &store, &err));
    return store;
}

static void put(loom_store *store, uint64_t number, uint64_t cost_ns) {
    loom_error err = {0};
    REQUIRE_OK(try_put(store, number, WIDTH, cost_ns, 0, &err));
}

static void reclaim(loom_store *store) {
    loom_error err = {0};
    REQUIRE_OK(loom_space_reclaim(space_of(store), loom_space_reuse_bytes(space_of(store)), &err));
}

/* What the files really are, against what the index says. */
static void require_sums(loom_store *store) {
    loom_error err = {0};
    loom_store_stats stats;
    loom_space_usage usage = usage_of(store);
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_true(usage.header_bytes / LOOM_PAGE_BYTES <= stats.extent_files); /* some without a result */
    assert_true(usage.live_bytes >= stats.bulk_bytes);
#ifndef VOXLOOM_PORTABLE
    /* File systems count some of their own bookkeeping (ext4: a block for more than four pieces of a file). */
    assert_in_range(stats.extent_allocated_bytes + 65536, usage.extent_bytes, usage.extent_bytes + 2 * 65536);
#endif
}

/* ---- recycling ---- */

static void files_do_not_grow_with_results(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    loom_store_stats stats;
    for (uint64_t i = 0; i < 120; i++) {
        put(store, i, 0);
        if (i >= 3) delete_image(store, i - 3);
        reclaim(store);
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.extent_files, 1);
        assert_true(stats.extent_allocated_bytes <= LOOM_PAGE_BYTES + 5 * PAGES);
    }
    assert_int_equal(stats.unowned_bytes, 0);
    for (uint64_t i = 117; i < 120; i++)
        require_image(store, i, WIDTH);
    require_sums(store);
    loom_store_close(store);
}

static void freed_ranges_are_joined_and_split(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    for (uint64_t i = 0; i < 8; i++)
        put(store, i, 0);
    uint64_t before = usage_of(store).extent_bytes;
    static const uint64_t order[] = {3, 1, 5, 2, 4};
    for (size_t i = 0; i < 5; i++)
        delete_image(store, order[i]);
    assert_int_equal(usage_of(store).deleted_bytes, 5 * PAGES);
    reclaim(store);
    assert_int_equal(usage_of(store).deleted_bytes, 0);
    assert_int_equal(usage_of(store).free_bytes, 5 * PAGES);
    REQUIRE_OK(try_put(store, 20, 5 * WIDTH - 100, 0, 0, &err)); /* in all five */
    assert_int_equal(usage_of(store).extent_bytes, before);
    assert_true(usage_of(store).free_bytes <= 5 * PAGES / 100);
    delete_image(store, 20);
    reclaim(store);
    for (uint64_t i = 30; i < 35; i++) /* each in a part of it */
        put(store, i, 0);
    assert_int_equal(usage_of(store).extent_bytes, before);
    for (uint64_t i = 30; i < 35; i++)
        require_image(store, i, WIDTH);
    require_image(store, 0, WIDTH);
    require_image(store, 7, WIDTH);
    require_sums(store);
    loom_store_close(store);
}

static void recycled_windows_are_zero_when_asked(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    put(store, 1, 0);
    put(store, 2, 0);
    loom_extent_writer *writer;
    loom_reservation reservation;
    for (int cold = 0; cold < 2; cold++) {
        delete_image(store, 1);
        reclaim(store);
        uint64_t unowned = usage_of(store).unowned_bytes;
        REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
        if (cold) { /* out of memory, if the kernel agrees */
            char name[400];
            snprintf(name, sizeof name, "%s/extents/00000000.ext", path);
            int fd = open(name, O_RDONLY);
            fsync(fd);
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            close(fd);
        }
        REQUIRE_OK(
            loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED, &reservation, &err));
        assert_int_equal(reservation.placement.offset, LOOM_PAGE_BYTES); /* where image 1 was */
        const uint8_t *bytes = reservation.window;
        for (uint64_t i = 0; i < 3 * WIDTH; i++)
            if (bytes[i] != 0) fail_msg("byte %llu is %d", (unsigned long long)i, bytes[i]);
        loom_extent_abandon(writer, &reservation);
        assert_int_equal(usage_of(store).unowned_bytes, unowned);
        /* Not asked for: any bytes, but those behind the object's end are 0 when it is sealed. */
        uint64_t hashes[1], root[2];
        REQUIRE_OK(loom_extent_reserve(writer, 1000, LOOM_RESERVE_WINDOW, &reservation, &err));
        memset(reservation.window, 7, 1000);
        REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, root, &err));
        loom_placement whole = reservation.placement;
        whole.bytes = LOOM_PAGE_BYTES;
        loom_view view;
        REQUIRE_OK(loom_extent_view(loom_store_extents(store), &whole, false, &view, &err));
        for (uint64_t i = 0; i < LOOM_PAGE_BYTES; i++)
            assert_int_equal(((const uint8_t *)view.bytes)[i], i < 1000 ? 7 : 0);
        loom_extent_release(&view);
        loom_extent_recycle(loom_store_extents(store), &reservation.placement); /* no row will name it */
        loom_extent_writer_close(writer);
        put(store, 1, 0);
        require_image(store, 1, WIDTH);
    }
    loom_store_close(store);
}

static void an_encoder_gives_back_what_it_did_not_need(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    put(store, 1, 0);
    put(store, 2, 0);
    delete_image(store, 1);
    reclaim(store);
    loom_extent_writer *writer;
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, 0, &reservation, &err));
    assert_int_equal(reservation.placement.offset, LOOM_PAGE_BYTES);
    assert_int_equal(pwrite(reservation.fd, "abc", 3, (off_t)reservation.placement.offset), 3);
    reservation.placement.bytes = 3;
    uint64_t hashes[1], root[2];
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, root, &err));
    assert_int_equal(usage_of(store).free_bytes, PAGES - LOOM_PAGE_BYTES);
    REQUIRE_OK(loom_extent_reserve(writer, 1000, LOOM_RESERVE_WINDOW, &reservation, &err));
    assert_int_equal(reservation.placement.offset, 2 * LOOM_PAGE_BYTES);
    loom_extent_writer_close(writer);
    loom_store_close(store);
}

static void what_was_lent_comes_back_at_close(void **state) {
    (void)state;
    loom_store *store = open_with((loom_store_options){0});
    for (uint64_t i = 0; i < 4; i++)
        put(store, i, 0);
    delete_image(store, 0);
    delete_image(store, 2);
    reclaim(store);
    put(store, 4, 0); /* one is taken, the other is lent */
    assert_int_equal(usage_of(store).free_bytes, PAGES);
    loom_store_close(store);
    store = open_with((loom_store_options){0});
    assert_int_equal(usage_of(store).free_bytes, PAGES);
    assert_int_equal(usage_of(store).unowned_bytes, 0);
    require_sums(store);
    loom_store_close(store);
}

static void free_ends_of_files_are_cut_off(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    for (uint64_t i = 0; i < 4; i++)
        put(store, i, 0);
    delete_image(store, 3);
    delete_image(store, 1);
    reclaim(store);
    char name[400];
    struct stat now;
    snprintf(name, sizeof name, "%s/extents/00000000.ext", path);
    assert_int_equal(stat(name, &now), 0);
    assert_int_equal(now.st_size, LOOM_PAGE_BYTES + 3 * PAGES);
    assert_int_equal(usage_of(store).free_bytes, PAGES);
    delete_image(store, 2);
    delete_image(store, 0);
    reclaim(store);
    assert_int_equal(stat(name, &now), 0);
    assert_int_equal(now.st_size, LOOM_PAGE_BYTES);
    require_sums(store);
    /* Beyond what is kept for reuse, holes. */
    for (uint64_t i = 10; i < 14; i++)
        put(store, i, 0);
    delete_image(store, 11);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    assert_int_equal(usage_of(store).punched_bytes, PAGES);
    require_sums(store);
    put(store, 15, 0); /* in the hole */
    assert_int_equal(usage_of(store).punched_bytes, 0);
    assert_int_equal(usage_of(store).free_bytes, 0);
    require_image(store, 15, WIDTH);
    require_sums(store);
    loom_store_close(store);
}

/* Sealed by a worker that has let its file go, and not committed yet: nobody may cut it off or write there. */
static void sealed_bytes_survive_until_their_commit(void **state) {
    (void)state;
    loom_error err = {0};
    static image_result sealed;
    loom_store *store = open_with((loom_store_options){0});
    put(store, 0, 0);
    put(store, 1, 0);
    loom_extent_writer *writer;
    loom_batch *batch;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 2, WIDTH, &sealed);
    loom_extent_writer_close(writer);
    delete_image(store, 1);
    REQUIRE_OK(loom_space_reclaim(space_of(store), 0, &err));
    for (uint64_t i = 3; i < 6; i++)
        put(store, i, 0);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &sealed.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    for (uint64_t i = 2; i < 6; i++)
        require_image(store, i, WIDTH);
    require_image(store, 0, WIDTH);
    assert_int_equal(usage_of(store).unowned_bytes, 0);
    loom_buffer_free(&sealed.payload);
    loom_store_close(store);
}

/* ---- the budget ---- */

static void the_budget_is_never_exceeded(void **state) {
    (void)state;
    const uint64_t budget = 8 << 20;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){.budget_bytes = budget, .ballast_bytes = 4096});
    for (uint64_t i = 0; i < 100; i++) {
        put(store, i, i % 10 == 0 ? 1000000000 : 1000); /* each tenth is dear */
        loom_store_stats stats;
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_true(stats.used_bytes <= budget);
        assert_true(stats.extent_allocated_bytes + stats.index_bytes <= budget + 65536);
    }
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_true(stats.evicted_rows >= 70);
    assert_true(stats.rows >= 10);
    for (uint64_t i = 0; i < 100; i += 10)
        require_image(store, i, WIDTH); /* the cheap ones went */
    loom_id rkey = id_of("image", 1), vid;
    loom_type type;
    assert_false(has_image(store, 1));
    REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err)); /* what it was is known */
    assert_memory_equal(&vid, &rkey, sizeof vid);
    put(store, 1, 1000); /* it may be stored again */
    require_image(store, 1, WIDTH);
    require_sums(store);
    loom_store_close(store);
}

static void the_least_recently_used_goes(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store =
        open_with((loom_store_options){.budget_bytes = 4 << 20, .eviction = LOOM_EVICT_LRU, .ballast_bytes = 4096});
    loom_store_parts parts;
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    for (uint64_t i = 0; i < 6; i++)
        put(store, i, 1000000 * (6 - i));
    /* A hundred seconds pass; images 0 and 1 (rows 1 and 2) are used, the others are as old as 1970. */
    uint64_t epoch = (uint64_t)time(NULL) - 100;
    assert_int_equal(pwrite(loom_control_fd(parts.control), &epoch, 8, offsetof(loom_control_header, marks_epoch_s)),
                     8);
    for (uint64_t row = 3; row <= 6; row++)
        loom_control_mark_created(parts.control, row, 1, 1, 0);
    loom_control_mark(parts.control, 1, 1, 1);
    loom_control_mark(parts.control, 2, 1, 1);
    loom_evicted evicted = {0};
    REQUIRE_OK(loom_space_evict(space_of(store), 4 * PAGES, true, &evicted, &err));
    assert_int_equal(evicted.rows, 4);
    assert_int_equal(evicted.bytes, 4 * PAGES);
    evicted = (loom_evicted){0}; /* that only counted */
    REQUIRE_OK(loom_space_evict(space_of(store), 4 * PAGES, false, &evicted, &err));
    assert_int_equal(evicted.rows, 4);
    assert_true(has_image(store, 0) && has_image(store, 1));
    for (uint64_t i = 2; i < 6; i++)
        assert_false(has_image(store, i));
    loom_store_close(store);
}

static void what_has_expired_goes_first(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    put(store, 0, 1);
    REQUIRE_OK(try_put(store, 1, WIDTH, UINT64_C(1) << 40, 5, &err)); /* dear, and over since 1970 */
    put(store, 2, 1);
    loom_evicted evicted = {0};
    REQUIRE_OK(loom_space_evict(space_of(store), 1, false, &evicted, &err));
    assert_int_equal(evicted.expired_rows, 1);
    assert_int_equal(evicted.rows, 0);
    assert_true(has_image(store, 0) && has_image(store, 2));
    loom_store_close(store);
}

static void pinned_and_held_results_stay(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){.budget_bytes = 2 << 20, .ballast_bytes = 4096});
    put(store, 0, 1);
    put(store, 1, 2);
    put(store, 2, 3);
    loom_batch *batch;
    loom_id pinned = id_of("image", 0), held = id_of("image", 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_pin(batch, &pinned, "hand", &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_arena *arena = loom_arena_new();
    loom_result result;
    loom_hold hold;
    REQUIRE_OK(loom_store_hold(store, &held, arena, &result, &hold, &err));
    for (uint64_t i = 3; i < 20; i++)
        put(store, i, 1000000);
    require_image(store, 0, WIDTH);
    require_image(store, 1, WIDTH);
    assert_false(has_image(store, 2));
    loom_evicted evicted = {0};
    REQUIRE_OK(loom_space_evict(space_of(store), UINT64_MAX, false, &evicted, &err));
    assert_int_equal(evicted.pinned_rows, 1);
    assert_int_equal(evicted.held_rows, 1);
    require_image(store, 0, WIDTH);
    require_image(store, 1, WIDTH);
    /* Nothing else is left, and this does not fit beside them. */
    REQUIRE_STATUS(try_put(store, 50, 5 * WIDTH, 1, 0, &err), LOOM_NO_SPACE);
    assert_non_null(strstr(err.message, "store.budget"));
    assert_non_null(strstr(err.message, "1 results are pinned, 1 in use"));
    loom_store_unhold(store, &hold);
    REQUIRE_OK(try_put(store, 50, 5 * WIDTH, 1, 0, &err));
    assert_false(has_image(store, 1));
    require_image(store, 0, WIDTH);
    loom_arena_free(arena);
    loom_store_close(store);
}

/* Two processes write into one budget at once; neither exceeds it, and nothing is handed out twice. */
static void write_many(uint64_t first) {
    loom_error err = {0};
    loom_store *store;
    if (try_open((loom_store_options){.budget_bytes = 6 << 20, .step_bytes = 1 << 16, .ballast_bytes = 4096}, &store,
                 &err) != LOOM_OK)
        _exit(3);
    for (uint64_t i = first; i < first + 60; i++) {
        loom_store_stats stats;
        if (try_put(store, i, WIDTH / 2 + i * 100, 1000 + i, 0, &err) != LOOM_OK) {
            fprintf(stderr, "%s\n", err.message);
            _exit(4);
        }
        if (loom_store_stat(store, &stats, &err) != LOOM_OK || stats.used_bytes > 6 << 20) _exit(5);
    }
    loom_store_close(store);
    _exit(0);
}

static bool verify_one(const loom_result *result, void *context) {
    loom_error err = {0};
    loom_store *store = context;
    REQUIRE_OK(loom_store_verify(store, result, &err));
    return true;
}

static void two_processes_share_one_budget(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){.budget_bytes = 6 << 20, .ballast_bytes = 4096});
    pid_t children[2];
    fflush(NULL);
    for (uint64_t i = 0; i < 2; i++)
        if ((children[i] = fork()) == 0) write_many(1000 * i);
    for (int i = 0; i < 2; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    REQUIRE_OK(loom_store_each(store, verify_one, store, &err));
    uint64_t found;
    bool kept;
    loom_space_usage before = usage_of(store);
    REQUIRE_OK(loom_space_sweep(space_of(store), &found, &kept, &err));
    assert_false(kept);
    assert_int_equal(found, before.unowned_bytes);
    assert_int_equal(usage_of(store).live_bytes, before.live_bytes); /* the sums were right */
    assert_int_equal(usage_of(store).unowned_bytes, 0);
    require_sums(store);
    REQUIRE_OK(loom_store_each(store, verify_one, store, &err));
    loom_store_close(store);
}

/* ---- after a death ---- */

static void take_and_die(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store;
    loom_extent_writer *writer;
    loom_reservation reservation;
    if (try_open((loom_store_options){.step_bytes = 1 << 16}, &store, &err) != LOOM_OK) _exit(3);
    if (loom_extent_writer_open(loom_store_extents(store), &writer, &err) != LOOM_OK) _exit(4);
    if (loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW, &reservation, &err) != LOOM_OK) _exit(5);
    if (reservation.placement.offset != LOOM_PAGE_BYTES) _exit(6);
    memset(reservation.window, 1, 3 * WIDTH);
    raise(SIGKILL);
}

static void what_the_dead_reserved_is_swept(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    for (uint64_t i = 0; i < 4; i++)
        put(store, i, 0);
    delete_image(store, 0);
    delete_image(store, 2);
    reclaim(store);
    assert_int_equal(in_child(take_and_die, NULL), 128 + SIGKILL);
    assert_int_equal(usage_of(store).free_bytes + usage_of(store).unowned_bytes, 2 * PAGES);
    assert_int_equal(usage_of(store).unowned_bytes, PAGES);
    loom_store_close(store);
    store = open_with((loom_store_options){0});
    assert_int_equal(usage_of(store).unowned_bytes, PAGES);
    uint64_t found;
    bool kept;
    loom_extent_writer *writer;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_space_sweep(space_of(store), &found, &kept, &err));
    assert_true(kept); /* a writer is open */
    assert_int_equal(found, 0);
    loom_extent_writer_close(writer);
    REQUIRE_OK(loom_space_sweep(space_of(store), &found, &kept, &err));
    assert_false(kept);
    assert_int_equal(found, PAGES);
    assert_int_equal(usage_of(store).unowned_bytes, 0);
    assert_int_equal(usage_of(store).free_bytes, 2 * PAGES);
    require_sums(store);
    require_image(store, 1, WIDTH);
    require_image(store, 3, WIDTH);
    for (uint64_t i = 10; i < 12; i++)
        put(store, i, 0);
    assert_int_equal(usage_of(store).free_bytes, 0);
    for (uint64_t i = 10; i < 12; i++)
        require_image(store, i, WIDTH);
    require_sums(store);
    loom_store_close(store);
}

static void much_that_is_unowned_is_swept_at_opening(void **state) {
    (void)state;
    loom_store *store = open_with((loom_store_options){0});
    for (uint64_t i = 0; i < 4; i++)
        put(store, i, 0);
    delete_image(store, 0);
    reclaim(store);
    assert_int_equal(in_child(take_and_die, NULL), 128 + SIGKILL);
    loom_store_close(store);
    store = open_with((loom_store_options){.budget_bytes = 2 << 20, .ballast_bytes = 4096});
    assert_int_equal(usage_of(store).unowned_bytes, 0);
    assert_int_equal(usage_of(store).free_bytes, PAGES);
    for (uint64_t i = 1; i < 4; i++)
        require_image(store, i, WIDTH);
    loom_store_close(store);
}

/* Whatever stands in the shared file: errors or wrong hints, and whatever is read is right. */
static void a_damaged_control_gives_wrong_hints_only(void **state) {
    (void)state;
    loom_error err = {0};
    uint64_t seed = 7;
    for (int round = 0; round < 30; round++) {
        loom_store *store = open_with((loom_store_options){.budget_bytes = 4 << 20, .ballast_bytes = 4096});
        loom_store_parts parts;
        REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
        for (uint64_t i = 0; i < 4; i++)
            if (!has_image(store, i)) put(store, i, 0);
        delete_image(store, 1);
        reclaim(store);
        for (int k = 0; k < 2000; k++) { /* space, lent ranges and pins; a marks' piece */
            uint64_t word = (uint64_t)next_random(&seed) << (next_random(&seed) % 33);
            uint64_t at = LOOM_CONTROL_SPACE_AT + next_random(&seed) % (LOOM_CONTROL_MARKS_AT - LOOM_CONTROL_SPACE_AT);
            if (k < 100) at = LOOM_CONTROL_SPACE_AT + next_random(&seed) % 96 / 8 * 8;
            if (k < 200 && k >= 100) at = LOOM_CONTROL_LENT_AT + next_random(&seed) % 256;
            if (k < 210 && k >= 200) at = LOOM_CONTROL_MARKS_AT + next_random(&seed) % 256;
            assert_int_equal(pwrite(loom_control_fd(parts.control), &word, 8, (off_t)at), 8);
        }
        for (uint64_t i = 10; i < 14; i++) {
            loom_status status = try_put(store, i, WIDTH, 1, 0, &err);
            assert_true(status == LOOM_OK || status == LOOM_NO_SPACE);
        }
        loom_evicted evicted = {0};
        (void)loom_space_evict(space_of(store), PAGES, false, &evicted, &err);
        (void)loom_space_reclaim(space_of(store), 0, &err);
        (void)usage_of(store);
        REQUIRE_OK(loom_store_each(store, verify_one, store, &err));
        loom_store_close(store);
        store = open_with((loom_store_options){.budget_bytes = 4 << 20, .ballast_bytes = 4096});
        REQUIRE_OK(loom_store_each(store, verify_one, store, &err));
        for (uint64_t i = 10; i < 14; i++)
            if (has_image(store, i)) delete_image(store, i);
        loom_store_close(store);
    }
}

/* ---- in memory ---- */

static void memory_is_returned(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_store_stats before, after;
    uint64_t hashes[1], root[2];
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err));
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW, &reservation, &err));
    memset(reservation.window, 1, 3 * WIDTH);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, root, &err));
    REQUIRE_OK(loom_store_stat(store, &before, &err));
    loom_extent_recycle(loom_store_extents(store), &reservation.placement);
    REQUIRE_OK(loom_store_stat(store, &after, &err));
#ifndef VOXLOOM_PORTABLE /* the twin writes zeros: no hole */
    assert_int_equal(before.extent_allocated_bytes - after.extent_allocated_bytes, PAGES);
#endif
    loom_extent_writer_close(writer);
    loom_store_close(store);
}

/* ---- a full disk ---- */

static void a_full_disk_can_be_emptied(void **state) {
    (void)state;
    loom_error err = {0};
    char disk[300];
    snprintf(disk, sizeof disk, "%s/small", folder);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=12m") != 0) {
        print_message("cannot mount a small tmpfs (%s): the full disk is not tested\n", strerror(errno));
        skip();
    }
    snprintf(path, sizeof path, "%s/small/store", folder);
    loom_store *store = open_with((loom_store_options){.ballast_bytes = 1 << 20, .reuse_bytes = 1});
    uint64_t count = 0;
    loom_status status = LOOM_OK;
    while (status == LOOM_OK && count < 100)
        status = try_put(store, count++, WIDTH, 0, 0, &err);
    bool refused = status == LOOM_NO_SPACE;
    char fill[400]; /* another program takes the last page */
    snprintf(fill, sizeof fill, "%s/fill", disk);
    int fd = open(fill, O_WRONLY | O_CREAT, 0600);
    static const char bytes[4096] = {1};
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
    loom_status deleted = LOOM_OK;
    for (uint64_t i = 0; i + 1 < count && deleted == LOOM_OK; i++) {
        loom_id rkey = id_of("image", i);
        loom_batch *batch;
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        deleted = loom_batch_delete(batch, &rkey, &err);
        if (deleted == LOOM_OK)
            deleted = loom_batch_commit(batch, &err);
        else
            loom_batch_abort(batch);
    }
    loom_status reclaimed = loom_space_reclaim(space_of(store), 0, &err);
    struct statvfs now;
    assert_int_equal(statvfs(disk, &now), 0);
    uint64_t free_bytes = (uint64_t)now.f_bavail * now.f_frsize;
    struct stat ballast;
    snprintf(fill, sizeof fill, "%s/index/ballast", path);
    int there = stat(fill, &ballast);
    loom_store_close(store);
    umount2(disk, MNT_DETACH);
    assert_true(refused);
    assert_int_equal(deleted, LOOM_OK);
    assert_int_equal(reclaimed, LOOM_OK);
    assert_true(free_bytes >= (count - 1) * PAGES - (2 << 20)); /* less the ballast, which is made again */
    assert_int_equal(there, 0);
    assert_int_equal(ballast.st_size, 1 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(files_do_not_grow_with_results),
        DISK_TEST(freed_ranges_are_joined_and_split),
        DISK_TEST(recycled_windows_are_zero_when_asked),
        DISK_TEST(an_encoder_gives_back_what_it_did_not_need),
        DISK_TEST(what_was_lent_comes_back_at_close),
        DISK_TEST(free_ends_of_files_are_cut_off),
        DISK_TEST(sealed_bytes_survive_until_their_commit),
        DISK_TEST(the_budget_is_never_exceeded),
        DISK_TEST(the_least_recently_used_goes),
        DISK_TEST(what_has_expired_goes_first),
        DISK_TEST(pinned_and_held_results_stay),
        DISK_TEST(two_processes_share_one_budget),
        DISK_TEST(what_the_dead_reserved_is_swept),
        DISK_TEST(much_that_is_unowned_is_swept_at_opening),
        DISK_TEST(a_damaged_control_gives_wrong_hints_only),
        cmocka_unit_test(memory_is_returned),
        DISK_TEST(a_full_disk_can_be_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
