/* batches.c - all of a batch or nothing, one value under one key, what deletion leaves. */
#include <pthread.h>

#include "conformance.h"

static loom_batch *begun(void) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    return batch;
}

static void test_nothing_before_commit(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    const void *bytes;
    size_t length;
    loom_batch *batch = begun();
    for (uint64_t i = 0; i < 50; i++) {
        loom_result result = small_result(i, payload);
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    REQUIRE_OK(loom_batch_put_meta(batch, "m", "x", 1, &err));
    assert_false(is_stored(store, 0));
    assert_false(is_stored(store, 49));
    REQUIRE_STATUS(loom_store_get_meta(store, "m", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    for (uint64_t i = 0; i < 50; i++)
        require_small(store, i);
    REQUIRE_OK(loom_store_get_meta(store, "m", arena, &bytes, &length, &err));
    open_again();
    for (uint64_t i = 0; i < 50; i++)
        require_small(store, i);
}

static void test_abort_leaves_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    loom_store_stats before, after;
    const void *bytes;
    size_t length;
    put_small(store, 0, 3);
    REQUIRE_OK(loom_store_stat(store, &before, &err));
    const loom_id first = id_of("rkey", 0);
    const loom_file_stamp stamp = {.device = 1};
    loom_id content;
    loom_batch *batch = begun();
    loom_result result = small_result(7, payload);
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_delete(batch, &first, &err));
    REQUIRE_OK(loom_batch_pin(batch, &first, "hand", &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "m", "x", 1, &err));
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &first, &err));
    loom_batch_abort(batch);
    loom_batch_abort(NULL);
    open_again();
    require_small(store, 0);
    assert_false(is_stored(store, 7));
    REQUIRE_STATUS(loom_store_get_meta(store, "m", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_store_get_file(store, &stamp, &content, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_stat(store, &after, &err));
    assert_int_equal(after.rows, before.rows);
    assert_int_equal(after.pins, 0);
    put_small(store, 7, 1);
}

static void test_an_empty_batch(void **state) {
    (void)state;
    loom_error err = {0};
    REQUIRE_OK(loom_batch_commit(begun(), &err));
    loom_batch_abort(begun());
}

static uint64_t row_of(const loom_id *rkey) {
    loom_error err = {0};
    loom_result found;
    REQUIRE_OK(loom_store_find(store, rkey, arena, &found, &err));
    return found.row;
}

static void test_the_same_twice_is_one(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    loom_store_stats stats;
    loom_result result = small_result(1, payload);
    loom_batch *batch = begun();
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    uint64_t row = row_of(&result.rkey);
    result.created_ns += 1000; /* a second computation */
    put_one(&result);
    open_again();
    put_one(&result);
    assert_int_equal(row_of(&result.rkey), row);
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, 1);
    /* An image: the second copy of its bytes is given up. */
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){50, 50});
    uint8_t voxels[2500] = {1, 2, 3};
    const loom_value image = loom_image(&header, voxels);
    for (int i = 0; i < 3; i++) {
        loom_result again = drafted_image(NULL, &header, voxels);
        put_one(&again);
        require_value(&again.rkey, &image);
    }
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, 2);
}

static void test_another_value_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t first[64], second[64], third[64];
    loom_result kept = small_result(1, first), other = small_result(2, second), more = small_result(3, third);
    other.rkey = kept.rkey;
    put_one(&kept);
    loom_batch *batch = begun();
    REQUIRE_STATUS(loom_batch_put(batch, &other, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_put(batch, &more, &err)); /* the batch goes on */
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_small(store, 1);
    require_small(store, 3);
    /* Within one batch as well. */
    kept = small_result(11, first);
    other = small_result(12, second);
    other.rkey = kept.rkey;
    batch = begun();
    REQUIRE_OK(loom_batch_put(batch, &kept, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &other, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_small(store, 11);
    /* An image that is named by its key: one bit of one voxel. */
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){70, 70});
    uint8_t voxels[4900] = {0};
    const loom_value image = loom_image(&header, voxels);
    loom_result result = drafted_image(NULL, &header, voxels);
    result.vid = result.rkey;
    put_one(&result);
    uint8_t flipped[4900] = {0};
    flipped[4899] = 1;
    loom_result wrong = drafted_image(NULL, &header, flipped);
    wrong.rkey = wrong.vid = result.rkey;
    batch = begun();
    REQUIRE_STATUS(loom_batch_put(batch, &wrong, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_value(&result.rkey, &image);
}

static void require_trace(uint64_t number, const loom_id *vid) {
    loom_error err = {0};
    loom_id rkey = id_of("rkey", number), found;
    loom_type type;
    REQUIRE_OK(loom_store_trace(store, &rkey, &found, &type, &err));
    assert_memory_equal(&found, vid, sizeof found);
    assert_int_equal(type, LOOM_BYTES);
}

static void test_deleting_keeps_the_trace(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    loom_result result = small_result(1, payload);
    loom_id nobody = id_of("rkey", 99), vid;
    loom_type type;
    put_one(&result);
    uint64_t row = row_of(&result.rkey);
    delete_one(&result.rkey);
    open_again();
    require_absent(&result.rkey);
    require_trace(1, &result.vid);
    loom_batch *batch = begun();
    REQUIRE_STATUS(loom_batch_delete(batch, &result.rkey, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_batch_delete(batch, &nobody, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_STATUS(loom_store_trace(store, &nobody, &vid, &type, &err), LOOM_NOT_FOUND);
    put_one(&result);
    require_small(store, 1);
    assert_true(row_of(&result.rkey) > row);
    /* Put, deleted and put again in one batch. */
    loom_result other = small_result(2, payload);
    batch = begun();
    REQUIRE_OK(loom_batch_put(batch, &other, &err));
    REQUIRE_OK(loom_batch_delete(batch, &other.rkey, &err));
    REQUIRE_OK(loom_batch_put(batch, &other, &err));
    REQUIRE_OK(loom_batch_delete(batch, &other.rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_absent(&other.rkey);
    require_trace(2, &other.vid);
}

static void test_forgetting_leaves_no_trace(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id vid;
    loom_type type;
    put_small(store, 1, 2);
    const loom_id live = id_of("rkey", 1), gone = id_of("rkey", 2), nobody = id_of("rkey", 3);
    delete_one(&gone);
    loom_batch *batch = begun();
    REQUIRE_OK(loom_batch_forget(batch, &live, &err));
    REQUIRE_OK(loom_batch_forget(batch, &gone, &err));
    REQUIRE_STATUS(loom_batch_forget(batch, &nobody, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    require_absent(&live);
    REQUIRE_STATUS(loom_store_trace(store, &live, &vid, &type, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_store_trace(store, &gone, &vid, &type, &err), LOOM_NOT_FOUND);
    put_small(store, 1, 1);
    require_small(store, 1);
}

/* After a deletion another value may come under the key: a name is given anew. */
static void test_another_value_after_deletion(void **state) {
    (void)state;
    loom_error err = {0};
    const loom_value first = loom_int(1), second = loom_string_of("two");
    loom_result before = drafted("name", &first), after = drafted("name", &second);
    put_one(&before);
    loom_batch *batch = begun();
    REQUIRE_OK(loom_batch_delete(batch, &before.rkey, &err));
    REQUIRE_OK(loom_batch_put(batch, &after, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    require_value(&after.rkey, &second);
}

static void test_bad_results_are_refused(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    loom_batch *batch = begun();
    loom_result good = small_result(1, payload), bad = good;
    bad.type = (loom_type)77;
    REQUIRE_STATUS(loom_batch_put(batch, &bad, &err), LOOM_BAD_ARGUMENT);
    bad = good;
    bad.payload = NULL;
    REQUIRE_STATUS(loom_batch_put(batch, &bad, &err), LOOM_BAD_ARGUMENT);
    bad = good;
    bad.bulk = (loom_placement){.offset = 4096, .bytes = 10}; /* no hashes */
    REQUIRE_STATUS(loom_batch_put(batch, &bad, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_OK(loom_batch_put(batch, &good, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_small(store, 1);
}

static void test_one_writer_at_a_time(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    loom_result result = small_result(1, payload);
    loom_batch *first = begun(), *second = NULL;
    REQUIRE_OK(loom_batch_put(first, &result, &err));
    loom_status status = loom_store_begin(store, &second, &err); /* or its first write */
    if (status == LOOM_OK) {
        REQUIRE_STATUS(loom_batch_put(second, &result, &err), LOOM_BUSY);
        loom_batch_abort(second);
    } else {
        assert_int_equal(status, LOOM_BUSY);
    }
    REQUIRE_OK(loom_batch_commit(first, &err));
    require_small(store, 1);
}

/* ---- threads: readers while batches are committed ---- */

typedef struct reading {
    int stop;
    size_t rounds;
} reading;

static void *read_all(void *context) {
    reading *own = context;
    loom_error err = {0};
    while (!__atomic_load_n(&own->stop, __ATOMIC_ACQUIRE)) {
        loom_arena *mine = loom_arena_new();
        loom_result found;
        for (uint64_t pair = 0; pair < 40; pair++) {
            /* Both of a pair come in one batch: who sees the second sees the first. */
            const loom_id second = id_of("rkey", 2 * pair + 1), first = id_of("rkey", 2 * pair);
            if (loom_store_find(store, &second, mine, &found, &err) != LOOM_OK) continue;
            if (loom_store_find(store, &first, mine, &found, &err) != LOOM_OK) own->rounds = SIZE_MAX / 2;
        }
        own->rounds++;
        loom_arena_free(mine);
    }
    return NULL;
}

static void test_readers_in_threads(void **state) {
    (void)state;
    pthread_t threads[3];
    reading readings[3] = {{0, 0}, {0, 0}, {0, 0}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readings[i]), 0);
    for (uint64_t pair = 0; pair < 40; pair++)
        put_small(store, 2 * pair, 2);
    for (size_t i = 0; i < 3; i++)
        __atomic_store_n(&readings[i].stop, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readings[i].rounds < SIZE_MAX / 2);
    }
    for (uint64_t i = 0; i < 80; i++)
        require_small(store, i);
}

const struct CMUnitTest batch_tests[] = {
    CONFORMANCE(test_nothing_before_commit),
    CONFORMANCE(test_abort_leaves_nothing),
    CONFORMANCE(test_an_empty_batch),
    CONFORMANCE(test_the_same_twice_is_one),
    CONFORMANCE(test_another_value_is_refused),
    CONFORMANCE(test_deleting_keeps_the_trace),
    CONFORMANCE(test_forgetting_leaves_no_trace),
    CONFORMANCE(test_another_value_after_deletion),
    CONFORMANCE(test_bad_results_are_refused),
    CONFORMANCE(test_one_writer_at_a_time),
    CONFORMANCE(test_readers_in_threads),
};
const size_t batch_test_count = sizeof batch_tests / sizeof batch_tests[0];
