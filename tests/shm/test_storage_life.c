/* test_storage_life.c - the life of a result, in every implementation: time to live, another place for its bytes, pins,
 * goals, holds, claims, counts. The values themselves: test_storage.c. */
#include <time.h>

#include "shm/care/admin.h"
#include "store_support.h"

static bool memory_kind; /* which implementation this group tests */
static char folder[256], path[300];
static loom_store *store;
static loom_arena *arena;

static loom_status try_open(loom_store **opened, loom_error *err) {
    return loom_store_open(
        &(loom_store_options){.path = memory_kind ? ":memory:" : path, .create = true, .memory_writers = 2}, opened,
        err);
}

static int setup(void **state) {
    (void)state;
    loom_error err = {0};
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    REQUIRE_OK(try_open(&store, &err));
    arena = loom_arena_new();
    return arena == NULL;
}

static int teardown(void **state) {
    (void)state;
    loom_store_close(store);
    loom_arena_free(arena);
    remove_tree(folder);
    return 0;
}

/* What was stored must be found after closing and opening too, where a store lasts. */
static void reopen(void) {
    loom_error err = {0};
    if (memory_kind) return;
    loom_store_close(store);
    REQUIRE_OK(try_open(&store, &err));
}

static loom_batch *begin(void) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    return batch;
}

static void commit(loom_batch *batch) {
    loom_error err = {0};
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static loom_store_stats stat_now(void) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    return stats;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- time to live ---- */

static void put_expiring(uint64_t number, uint64_t expires_ns) {
    loom_error err = {0};
    uint8_t payload[64];
    loom_result result = small_result(number, payload);
    result.expires_ns = expires_ns;
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    commit(batch);
}

static bool count_one(const loom_result *result, void *context) {
    (void)result;
    ++*(uint64_t *)context;
    return true;
}

static uint64_t listed(void) {
    loom_error err = {0};
    uint64_t count = 0;
    REQUIRE_OK(loom_store_each(store, count_one, &count, &err));
    return count;
}

static void a_result_is_absent_when_its_time_has_come(void **state) {
    (void)state;
    loom_error err = {0};
    uint64_t later = now_ns() + UINT64_C(3600000000000);
    put_expiring(1, 1);
    put_expiring(2, later);
    assert_false(is_stored(store, 1));
    assert_true(is_stored(store, 2));
    assert_int_equal(listed(), 1);
    loom_id rkey = id_of("rkey", 1), vid;
    loom_type type;
    REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err)); /* what it was outlives it */
    char hex[LOOM_ID_HEX_BYTES];
    loom_result found;
    loom_id_hex(&rkey, hex);
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_NOT_FOUND);
    rkey = id_of("rkey", 2);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    assert_int_equal(found.expires_ns, later);
}

static void what_expired_is_put_anew_or_deleted(void **state) {
    (void)state;
    loom_error err = {0};
    put_expiring(1, 1);
    put_expiring(2, 1);
    put_small(store, 1, 1);
    assert_int_equal(stat_now().rows, 2);
    loom_batch *batch = begin();
    loom_id rkey = id_of("rkey", 2);
    REQUIRE_STATUS(loom_batch_set_expiry(batch, &rkey, 0, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    commit(batch);
    reopen();
    require_small(store, 1);
    assert_int_equal(listed(), 1);
    assert_int_equal(stat_now().rows, 1);
}

static void an_expiry_can_be_set_and_taken_back(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id rkey = id_of("rkey", 1), other = id_of("rkey", 2);
    put_small(store, 1, 1);
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_set_expiry(batch, &rkey, now_ns() + UINT64_C(3600000000000), &err));
    REQUIRE_STATUS(loom_batch_set_expiry(batch, &other, 1, &err), LOOM_NOT_FOUND);
    commit(batch);
    require_small(store, 1);
    batch = begin();
    REQUIRE_OK(loom_batch_set_expiry(batch, &rkey, 0, &err));
    commit(batch);
    reopen();
    require_small(store, 1);
    batch = begin();
    REQUIRE_OK(loom_batch_set_expiry(batch, &rkey, 1, &err));
    REQUIRE_STATUS(loom_batch_set_expiry(batch, &rkey, 0, &err), LOOM_NOT_FOUND); /* gone already, in this batch */
    commit(batch);
    assert_false(is_stored(store, 1));
}

static void put_record(uint64_t number, const loom_id *vid, uint64_t expires_ns) {
    static const uint8_t payload[] = {0x81, 0xa1, 'a', 0x01}; /* {"a": 1} */
    loom_error err = {0};
    loom_result result = {.rkey = id_of("record", number),
                          .vid = *vid,
                          .type = LOOM_RECORD,
                          .payload = payload,
                          .payload_bytes = sizeof payload,
                          .expires_ns = expires_ns};
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    commit(batch);
}

/* Two computations of one value: that one's time has come does not hide the other. */
static void a_value_is_found_while_one_row_has_time(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id vid = id_of("shared value", 1), expected = id_of("record", 2);
    loom_result found;
    put_record(1, &vid, 1);
    REQUIRE_STATUS(loom_store_find_value(store, &vid, arena, &found, &err), LOOM_NOT_FOUND);
    put_record(2, &vid, 0);
    put_record(3, &vid, 1);
    for (int round = 0; round < 2; round++) {
        REQUIRE_OK(loom_store_find_value(store, &vid, arena, &found, &err));
        assert_memory_equal(&found.rkey, &expected, sizeof expected);
        reopen(); /* from the tail, then from the table */
    }
}

/* ---- another place ---- */

static image_result first, second;

static void put_first_and_write_second(void) {
    loom_error err = {0};
    loom_extent_writer *writer;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 5, 3000, &first);
    write_image(writer, 5, 3000, &second);
    loom_extent_writer_close(writer);
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_put(batch, &first.result, &err));
    commit(batch);
}

static void free_both(void) {
    loom_buffer_free(&first.payload);
    loom_buffer_free(&second.payload);
}

static void bytes_move_and_the_value_stays(void **state) {
    (void)state;
    loom_error err = {0};
    put_first_and_write_second();
    loom_result before, after;
    REQUIRE_OK(loom_store_find(store, &first.result.rkey, arena, &before, &err));
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_replace(batch, &second.result, &err));
    commit(batch);
    REQUIRE_OK(loom_store_find(store, &first.result.rkey, arena, &after, &err));
    assert_true(after.row > before.row); /* a row never changes where its bytes lie */
    assert_memory_equal(&after.bulk, &second.result.bulk, sizeof after.bulk);
    assert_int_equal(after.created_ns, before.created_ns);
    loom_value value;
    loom_view view;
    REQUIRE_OK(loom_store_value(store, &before, arena, &value, &view, &err)); /* follows the key */
    loom_extent_release(&view);
    assert_int_equal(stat_now().rows, 1);
    assert_int_equal(stat_now().images, 1);
    assert_int_equal(stat_now().bulk_bytes, 9000);
    reopen();
    require_image(store, 5, 3000);
    assert_int_equal(listed(), 1);
    free_both();
}

static void only_the_same_value_takes_the_place(void **state) {
    (void)state;
    loom_error err = {0};
    put_first_and_write_second();
    loom_result other = second.result;
    loom_batch *batch = begin();
    other.root[0]++;
    REQUIRE_STATUS(loom_batch_replace(batch, &other, &err), LOOM_IRREPRODUCIBLE);
    other = second.result, other.rkey = other.vid = id_of("image", 6);
    REQUIRE_STATUS(loom_batch_replace(batch, &other, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_replace(batch, &first.result, &err)); /* where it is already */
    uint8_t payload[64];
    other = small_result(1, payload);
    REQUIRE_STATUS(loom_batch_replace(batch, &other, &err), LOOM_BAD_ARGUMENT);
    commit(batch);
    require_image(store, 5, 3000);
    free_both();
}

/* ---- everything together: what is left must add up ---- */

static void put_any_image(loom_batch *batch, uint64_t number) {
    loom_error err = {0};
    loom_extent_writer *writer;
    static image_result image;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, number, 100 + 700 * (number % 7), &image);
    loom_status status = loom_batch_put(batch, &image.result, &err);
    if (status == LOOM_OK && number % 3 == 0) { /* the same once more, and in another place */
        loom_buffer_free(&image.payload);
        write_image(writer, number, 100 + 700 * (number % 7), &image);
        REQUIRE_OK(loom_batch_replace(batch, &image.result, &err));
    }
    REQUIRE_OK(status);
    loom_buffer_free(&image.payload);
    loom_extent_writer_close(writer);
}

static void do_something(loom_batch *batch, uint64_t *random) {
    loom_error err = {0};
    uint64_t number = next_random(random) % 40;
    loom_id image = id_of("image", number), small = id_of("rkey", number);
    uint8_t payload[64];
    loom_result result = small_result(number, payload);
    loom_status status = LOOM_OK;
    switch (next_random(random) % 6) {
    case 0:
    case 1:
        put_any_image(batch, number);
        break;
    case 2:
        result.type = LOOM_RECORD,
        memcpy(payload,
               "\x81\xa1"
               "a",
               3),
        result.payload_bytes = 4, payload[3] = 7;
        result.vid = loom_sha256(payload, 4);
        status = loom_batch_put(batch, &result, &err);
        break;
    case 3:
        status = loom_batch_delete(batch, &image, &err);
        break;
    case 4:
        status = loom_batch_delete(batch, &small, &err);
        break;
    default:
        status = loom_batch_set_expiry(batch, number % 2 ? &image : &small, 1, &err);
    }
    if (status != LOOM_NOT_FOUND) REQUIRE_OK(status);
}

static void what_went_leaves_nothing_behind(void **state) {
    (void)state;
    if (memory_kind) return; /* there are no files to look through */
    loom_error err = {0};
    uint64_t random = 20261122;
    for (int round = 0; round < 60; round++) {
        loom_batch *batch = begin();
        for (int i = 0; i < 8; i++)
            do_something(batch, &random);
        if (round % 9 == 8)
            loom_batch_abort(batch);
        else
            commit(batch);
        if (round % 20 == 19) reopen();
        loom_verify_report report;
        REQUIRE_OK(loom_store_verify_all(store, &(loom_verify_options){.threads = 1}, &report, &err));
        assert_int_equal(report.findings, 0);
    }
}

/* ---- pins, goals, runs ---- */

#define NOTES_MAX 8
typedef struct notes {
    size_t count, limit;
    loom_id rkey[NOTES_MAX];
    char text[NOTES_MAX][64];
    uint64_t run[NOTES_MAX];
} notes;

static bool note_pin(const loom_pin_record *pin, void *context) {
    notes *seen = context;
    assert_true(seen->count < NOTES_MAX && pin->created_ns > UINT64_C(1600000000000000000));
    seen->rkey[seen->count] = pin->rkey;
    snprintf(seen->text[seen->count++], 64, "%s", pin->owner);
    return seen->count != seen->limit;
}

static bool note_goal(const loom_goal_record *goal, void *context) {
    notes *seen = context;
    assert_true(seen->count < NOTES_MAX && goal->created_ns > UINT64_C(1600000000000000000));
    seen->rkey[seen->count] = goal->rkey;
    seen->run[seen->count] = goal->run;
    snprintf(seen->text[seen->count++], 64, "%s", goal->label);
    return seen->count != seen->limit;
}

static notes pins_now(size_t limit) {
    loom_error err = {0};
    notes seen = {.limit = limit};
    REQUIRE_OK(loom_store_each_pin(store, note_pin, &seen, &err));
    return seen;
}

static notes goals_now(size_t limit) {
    loom_error err = {0};
    notes seen = {.limit = limit};
    REQUIRE_OK(loom_store_each_goal(store, note_goal, &seen, &err));
    return seen;
}

static void pins_last_until_their_owner_lets_go(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id a = {{1}}, b = {{2}};
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_pin(batch, &b, "hand", &err)); /* not stored: it may be, later */
    REQUIRE_OK(loom_batch_pin(batch, &a, "hand", &err));
    REQUIRE_OK(loom_batch_pin(batch, &a, "goal:tumour", &err));
    REQUIRE_OK(loom_batch_pin(batch, &a, "hand", &err)); /* once is enough */
    REQUIRE_STATUS(loom_batch_unpin(batch, &b, "goal:tumour", &err), LOOM_NOT_FOUND);
    commit(batch);
    reopen();
    notes seen = pins_now(0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(stat_now().pins, 3);
    assert_string_equal(seen.text[0], "goal:tumour");
    assert_string_equal(seen.text[1], "hand");
    assert_memory_equal(&seen.rkey[1], &a, sizeof a);
    assert_memory_equal(&seen.rkey[2], &b, sizeof b);
    assert_int_equal(pins_now(2).count, 2); /* the visit may stop */
    batch = begin();
    REQUIRE_OK(loom_batch_unpin(batch, &a, "hand", &err));
    loom_batch_abort(batch);
    assert_int_equal(pins_now(0).count, 3);
    batch = begin();
    REQUIRE_OK(loom_batch_unpin(batch, &a, "hand", &err));
    REQUIRE_STATUS(loom_batch_unpin(batch, &a, "hand", &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_pin(batch, &b, "x", &err));
    REQUIRE_OK(loom_batch_unpin(batch, &b, "x", &err));
    commit(batch);
    seen = pins_now(0);
    assert_int_equal(seen.count, 2);
    assert_int_equal(stat_now().pins, 2);
    assert_string_equal(seen.text[1], "hand");
}

static void runs_grow_and_goals_are_listed_by_label(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id key = {{7}};
    uint64_t run[3];
    for (size_t i = 0; i < 3; i++) {
        loom_batch *batch = begin();
        REQUIRE_OK(loom_batch_begin_run(batch, "tumour.imgql", &run[i], &err));
        key.bytes[1] = (uint8_t)i;
        REQUIRE_OK(loom_batch_put_goal(batch, run[i], "volume", &key, &err));
        if (i == 1) REQUIRE_OK(loom_batch_put_goal(batch, run[i], "save near.nii.gz", &key, &err));
        commit(batch);
        reopen();
    }
    assert_true(run[0] >= 1 && run[1] > run[0] && run[2] > run[1]);
    notes seen = goals_now(0);
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.text[0], "save near.nii.gz");
    assert_int_equal(seen.run[0], run[1]);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(seen.text[i + 1], "volume");
        assert_int_equal(seen.run[i + 1], run[i]);
        assert_int_equal(seen.rkey[i + 1].bytes[1], i);
    }
    assert_int_equal(goals_now(1).count, 1);
}

static void names_have_limits(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id key = {{7}};
    char longest[5000];
    uint64_t run;
    memset(longest, 'x', sizeof longest);
    loom_batch *batch = begin();
    longest[65] = '\0';
    REQUIRE_STATUS(loom_batch_pin(batch, &key, longest, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_batch_pin(batch, &key, "", &err), LOOM_BAD_ARGUMENT);
    longest[64] = '\0';
    REQUIRE_OK(loom_batch_pin(batch, &key, longest, &err));
    memset(longest, 'x', sizeof longest);
    longest[201] = '\0';
    REQUIRE_STATUS(loom_batch_put_goal(batch, 1, longest, &key, &err), LOOM_BAD_ARGUMENT);
    longest[200] = '\0';
    REQUIRE_STATUS(loom_batch_put_goal(batch, 0, longest, &key, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_OK(loom_batch_put_goal(batch, 1, longest, &key, &err));
    memset(longest, 'x', sizeof longest);
    longest[4097] = '\0';
    REQUIRE_STATUS(loom_batch_begin_run(batch, longest, &run, &err), LOOM_BAD_ARGUMENT);
    longest[4096] = '\0';
    REQUIRE_OK(loom_batch_begin_run(batch, longest, &run, &err));
    commit(batch);
}

/* ---- holds, claims, counts ---- */

static void a_hold_is_found_and_let_go(void **state) {
    (void)state;
    loom_error err = {0};
    loom_result found;
    loom_hold hold, none;
    put_first_and_write_second();
    put_small(store, 1, 1);
    REQUIRE_OK(loom_store_hold(store, &first.result.rkey, arena, &found, &hold, &err));
    assert_memory_equal(&found.bulk, &first.result.bulk, sizeof found.bulk);
    assert_true(memory_kind ? hold.pin == 0 : hold.pin > 0);
    loom_store_unhold(store, &hold);
    assert_int_equal(hold.pin, 0);
    loom_store_unhold(store, &hold);
    REQUIRE_OK(loom_store_hold_value(store, &first.result.vid, arena, &found, &hold, &err));
    loom_store_unhold(store, &hold);
    REQUIRE_OK(loom_store_hold_range(store, &second.result.bulk, &hold, &err));
    loom_store_unhold(store, &hold);
    loom_id key = id_of("rkey", 1);
    REQUIRE_OK(loom_store_hold(store, &key, arena, &found, &none, &err));
    assert_int_equal(none.pin, 0); /* no bulk bytes */
    key = id_of("rkey", 2);
    REQUIRE_STATUS(loom_store_hold(store, &key, arena, &found, &none, &err), LOOM_NOT_FOUND);
    assert_int_equal(none.pin, 0);
    free_both();
}

static void the_value_of_what_was_deleted_is_not_found(void **state) {
    (void)state;
    if (memory_kind) return; /* nothing is reclaimed there: the value is still to be had */
    loom_error err = {0};
    loom_result found;
    loom_value value;
    loom_view view;
    put_first_and_write_second();
    REQUIRE_OK(loom_store_find(store, &first.result.rkey, arena, &found, &err));
    loom_batch *batch = begin();
    REQUIRE_OK(loom_batch_delete(batch, &first.result.rkey, &err));
    commit(batch);
    REQUIRE_STATUS(loom_store_value(store, &found, arena, &value, &view, &err), LOOM_NOT_FOUND);
    free_both();
}

static void claim_in_child(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *own;
    loom_id taken = id_of("claim", 1), open_one = id_of("claim", 2);
    REQUIRE_OK(try_open(&own, &err));
    if (loom_store_claim(own, &taken, &err) != LOOM_BUSY) _exit(3);
    if (loom_store_claim(own, &open_one, &err) != LOOM_OK) _exit(4);
}

static void one_run_claims_a_key(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id taken = id_of("claim", 1), open_one = id_of("claim", 2);
    REQUIRE_OK(loom_store_claim(store, &taken, &err));
    if (!memory_kind) assert_int_equal(in_child(claim_in_child, NULL), 0);
    REQUIRE_OK(loom_store_claim(store, &open_one, &err)); /* the child's ended with it */
    loom_store_unclaim(store, &taken);
    loom_store_unclaim(store, &open_one);
    REQUIRE_OK(loom_store_claim(store, &taken, &err));
    loom_store_unclaim(store, &taken);
}

static void look_ups_are_counted(void **state) {
    (void)state;
    put_small(store, 1, 1);
    loom_store_stats before = stat_now();
    for (int i = 0; i < 5; i++)
        assert_true(is_stored(store, 1));
    for (int i = 0; i < 3; i++)
        assert_false(is_stored(store, 2));
    reopen();
    loom_store_stats after = stat_now();
    assert_int_equal(after.hits - before.hits, 5);
    assert_int_equal(after.misses - before.misses, 3);
    assert_int_equal(after.processes, 1);
    assert_false(after.encrypted);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_group(const char *name) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_result_is_absent_when_its_time_has_come),
        STORE_TEST(what_expired_is_put_anew_or_deleted),
        STORE_TEST(an_expiry_can_be_set_and_taken_back),
        STORE_TEST(a_value_is_found_while_one_row_has_time),
        STORE_TEST(bytes_move_and_the_value_stays),
        STORE_TEST(only_the_same_value_takes_the_place),
        STORE_TEST(what_went_leaves_nothing_behind),
        STORE_TEST(pins_last_until_their_owner_lets_go),
        STORE_TEST(runs_grow_and_goals_are_listed_by_label),
        STORE_TEST(names_have_limits),
        STORE_TEST(a_hold_is_found_and_let_go),
        STORE_TEST(the_value_of_what_was_deleted_is_not_found),
        STORE_TEST(one_run_claims_a_key),
        STORE_TEST(look_ups_are_counted),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void) {
    memory_kind = false;
    int failed = run_group("disk");
    memory_kind = true;
    return failed + run_group("memory");
}
