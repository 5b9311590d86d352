/* life.c - pins, goals, expiry, holds, other places, opening: what happens to results after they were put. */
#include <time.h>

#include "conformance.h"
#include "shm/store/backend.h"

static uint64_t now_ns(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- pins ---- */

typedef struct seen_notes {
    char text[16][64];
    loom_id rkeys[16];
    uint64_t runs[16];
    size_t count;
} seen_notes;

static bool see_pin(const loom_pin_record *pin, void *context) {
    seen_notes *seen = context;
    assert_true(seen->count < 16);
    snprintf(seen->text[seen->count], 64, "%s", pin->owner);
    assert_true(pin->created_ns > 0);
    seen->rkeys[seen->count++] = pin->rkey;
    return true;
}

static bool see_goal(const loom_goal_record *goal, void *context) {
    seen_notes *seen = context;
    assert_true(seen->count < 16);
    snprintf(seen->text[seen->count], 64, "%s", goal->label);
    seen->runs[seen->count] = goal->run;
    seen->rkeys[seen->count++] = goal->rkey;
    return true;
}

static void test_pins(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    seen_notes seen = {.count = 0};
    char owner[66];
    loom_id stored = id_of("rkey", 1), absent = id_of("rkey", 2);
    put_small(store, 1, 1);
    memset(owner, 'o', 65);
    owner[65] = '\0';
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_pin(batch, &stored, "hand", &err));
    REQUIRE_OK(loom_batch_pin(batch, &stored, "hand", &err)); /* once is enough */
    REQUIRE_OK(loom_batch_pin(batch, &stored, "goal:tumour", &err));
    REQUIRE_OK(loom_batch_pin(batch, &absent, "hand", &err));
    REQUIRE_STATUS(loom_batch_pin(batch, &stored, owner, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_batch_pin(batch, &stored, "", &err), LOOM_BAD_ARGUMENT);
    owner[64] = '\0';
    REQUIRE_OK(loom_batch_pin(batch, &stored, owner, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    REQUIRE_OK(loom_store_each_pin(store, see_pin, &seen, &err));
    assert_int_equal(seen.count, 4);
    size_t of_stored = 0, of_absent = 0;
    for (size_t i = 0; i < 4; i++) {
        of_stored += loom_id_equal(&seen.rkeys[i], &stored);
        of_absent += loom_id_equal(&seen.rkeys[i], &absent);
    }
    assert_int_equal(of_stored, 3);
    assert_int_equal(of_absent, 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_unpin(batch, &stored, "goal:tumour", &err));
    REQUIRE_STATUS(loom_batch_unpin(batch, &stored, "goal:tumour", &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_batch_unpin(batch, &absent, "nobody", &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    delete_one(&stored); /* pins outlive what they pin */
    seen.count = 0;
    REQUIRE_OK(loom_store_each_pin(store, see_pin, &seen, &err));
    assert_int_equal(seen.count, 3);
}

static void test_goals(void **state) {
    (void)state;
    loom_error err = {0};
    uint64_t runs[3];
    seen_notes seen = {.count = 0};
    const loom_id first = id_of("rkey", 1), second = id_of("rkey", 2);
    for (size_t i = 0; i < 3; i++) {
        loom_batch *batch;
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_begin_run(batch, "tumour.imgql", &runs[i], &err));
        REQUIRE_OK(loom_batch_put_goal(batch, runs[i], "volume", i == 0 ? &first : &second, &err));
        REQUIRE_OK(loom_batch_put_goal(batch, runs[i], "area", &first, &err));
        REQUIRE_STATUS(loom_batch_put_goal(batch, runs[i], "", &first, &err), LOOM_BAD_ARGUMENT);
        if (i == 2)
            loom_batch_abort(batch);
        else
            REQUIRE_OK(loom_batch_commit(batch, &err));
    }
    assert_true(runs[0] >= 1 && runs[1] > runs[0]);
    open_again();
    REQUIRE_OK(loom_store_each_goal(store, see_goal, &seen, &err));
    assert_int_equal(seen.count, 4);
    static const char *const labels[] = {"area", "area", "volume", "volume"};
    if (strcmp(kind->name, "encrypted") != 0) /* its labels stand blinded: in order of run within each */
        for (size_t i = 0; i < 4; i++)
            assert_string_equal(seen.text[i], labels[i]);
    for (size_t i = 0; i < 4; i += 2) {
        assert_string_equal(seen.text[i], seen.text[i + 1]);
        assert_int_equal(seen.runs[i], runs[0]);
        assert_int_equal(seen.runs[i + 1], runs[1]);
    }
}

/* ---- expiry ---- */

static size_t count_rows(void) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    return (size_t)stats.rows;
}

static bool count_visit(const loom_result *result, void *context) {
    (void)result;
    ++*(size_t *)context;
    return true;
}

static void test_expiry(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    uint8_t payload[64];
    loom_result found, lasting = small_result(1, payload);
    lasting.expires_ns = now_ns() + UINT64_C(3600000000000);
    put_one(&lasting);
    require_small(store, 1);
    REQUIRE_OK(loom_store_find(store, &lasting.rkey, arena, &found, &err));
    assert_int_equal(found.expires_ns, lasting.expires_ns);
    const loom_id nobody = id_of("rkey", 9);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &lasting.rkey, 1, &err));
    REQUIRE_STATUS(loom_batch_set_expiry(batch, &nobody, 1, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    /* It counts as absent everywhere. */
    char hex[LOOM_ID_HEX_BYTES];
    size_t seen = 0;
    require_absent(&lasting.rkey);
    loom_id_hex(&lasting.rkey, hex);
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_each(store, count_visit, &seen, &err));
    assert_int_equal(seen, 0);
    /* And may be put again. */
    lasting.expires_ns = 0;
    put_one(&lasting);
    require_small(store, 1);
    assert_int_equal(count_rows(), 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &lasting.rkey, lasting.created_ns + now_ns() * 2, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &lasting.rkey, 0, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_small(store, 1);
}

/* ---- holding and moving ---- */

static void test_what_is_held_keeps_its_bytes(void **state) {
    (void)state;
    loom_error err = {0};
    loom_result found;
    loom_value value;
    loom_view view;
    loom_hold hold;
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){1000, 100});
    uint8_t *voxels = malloc(100000);
    memset(voxels, 0x5a, 100000);
    loom_result image = drafted_image("held", &header, voxels);
    put_one(&image);
    REQUIRE_OK(loom_store_hold(store, &image.rkey, arena, &found, &hold, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    delete_one(&image.rkey);
    require_absent(&image.rkey);
    /* Others come, and would like the space. */
    for (uint8_t i = 0; i < 20; i++) {
        uint8_t *other = malloc(100000);
        memset(other, i, 100000);
        loom_result more = drafted_image(NULL, &header, other);
        put_one(&more);
        free(other);
    }
    assert_memory_equal(value.image.voxels, voxels, 100000);
    loom_store_unhold(store, &hold); /* the view holds too */
    assert_int_equal(hold.pin, 0);
    assert_memory_equal(value.image.voxels, voxels, 100000);
    loom_extent_release(&view);
    const loom_id nobody = id_of("nobody", 1);
    REQUIRE_STATUS(loom_store_hold(store, &nobody, arena, &found, &hold, &err), LOOM_NOT_FOUND);
    assert_int_equal(hold.pin, 0);
    loom_store_unhold(store, &hold);
    free(voxels);
}

static void test_another_place(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){500, 11});
    uint8_t voxels[5500] = {3, 1, 4, 1, 5};
    const loom_value value = loom_image(&header, voxels);
    loom_result image = drafted_image(NULL, &header, voxels), before, after;
    image.node = id_of("node", 5);
    put_one(&image);
    REQUIRE_OK(loom_store_find(store, &image.rkey, arena, &before, &err));
    loom_result elsewhere = drafted_image(NULL, &header, voxels);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_replace(batch, &elsewhere, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    REQUIRE_OK(loom_store_find(store, &image.rkey, arena, &after, &err));
    assert_true(after.row >= before.row);                             /* a store that encodes may keep what it has */
    assert_memory_equal(&after.node, &image.node, sizeof image.node); /* the rest is as it was */
    require_value(&image.rkey, &value);
    if (strcmp(kind->name, "encrypted") == 0)
        return; /* what comes is memory of this run: never stored, nor looked at */
    voxels[5499] = 1;
    loom_result wrong = drafted_image(NULL, &header, voxels);
    wrong.rkey = wrong.vid = image.rkey;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_STATUS(loom_batch_replace(batch, &wrong, &err), LOOM_IRREPRODUCIBLE);
    wrong.rkey = id_of("nobody", 1);
    REQUIRE_STATUS(loom_batch_replace(batch, &wrong, &err), LOOM_NOT_FOUND);
    loom_batch_abort(batch);
    voxels[5499] = 0;
    require_value(&image.rkey, &value);
}

/* Whatever the codec: bytes that workers can map. */
static void test_materialising(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_result found;
    loom_hold hold;
    loom_view view;
    bool fresh;
    loom_image_header header = loom_image_header_make(LOOM_U8, 3, (uint64_t[]){300, 300, 20});
    uint8_t *voxels = calloc(1, 1800000);
    voxels[1234567] = 9; /* small when it is compressed */
    loom_result image = drafted_image(NULL, &header, voxels);
    put_one(&image);
    open_again();
    REQUIRE_OK(loom_store_hold(store, &image.rkey, arena, &found, &hold, &err));
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    bool raw = found.codec == LOOM_CODEC_RAW;
    REQUIRE_OK(loom_store_materialise(store, writer, arena, &found, &fresh, &err));
    assert_int_equal(fresh, !raw);
    assert_int_equal(found.codec, LOOM_CODEC_RAW);
    assert_int_equal(found.bulk.bytes, 1800000);
    REQUIRE_OK(loom_extent_view(loom_store_extents(store), &found.bulk, true, &view, &err));
    assert_memory_equal(view.bytes, voxels, 1800000);
    loom_extent_release(&view);
    loom_extent_writer_close(writer);
    loom_store_unhold(store, &hold);
    free(voxels);
}

static void test_claims(void **state) {
    (void)state;
    loom_error err = {0};
    const loom_id rkey = id_of("claim", 1);
    REQUIRE_OK(loom_store_claim(store, &rkey, &err));
    loom_store_unclaim(store, &rkey);
    REQUIRE_OK(loom_store_claim(store, &rkey, &err));
    loom_store_unclaim(store, &rkey);
}

/* ---- opening ---- */

static void test_reading_only(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    put_small(store, 1, 1);
    if (!kind->persistent) return; /* a store that forgets has nothing to read */
    loom_store *writable = store;
    REQUIRE_OK(open_as(false, true, &store, &err));
    require_small(store, 1);
    REQUIRE_STATUS(loom_store_begin(store, &batch, &err), LOOM_DENIED);
    assert_null(batch);
    loom_store_close(store);
    store = writable;
}

static void test_opening_what_is_not_there(void **state) {
    (void)state;
    if (!kind->persistent) return;
    loom_error err = {0};
    loom_store *other = (loom_store *)1;
    char missing[400];
    const char *scheme = strcmp(kind->name, "toy") == 0 ? "toy:" : "";
    snprintf(missing, sizeof missing, "%s/nowhere/at/all", scheme);
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = missing}, &other, &err), LOOM_NOT_FOUND);
    assert_null(other);
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = ""}, &other, &err), LOOM_BAD_ARGUMENT);
    loom_store_close(NULL);
}

static void test_registering(void **state) {
    (void)state;
    loom_error err = {0};
    const char *place = NULL;
    static const char *const wrong[] = {NULL, "", "toy", ":", "disk:", "memory:", "a:b", "a:b:", "a/b:"};
    assert_non_null(loom_backend_of("toy:/somewhere", &place));
    assert_string_equal(place, "/somewhere");
    assert_null(loom_backend_of("/toy:/somewhere", &place));
    assert_null(loom_backend_of("tox:", &place));
    REQUIRE_STATUS(loom_store_register(NULL, &err), LOOM_BAD_ARGUMENT);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        loom_backend backend = *loom_backend_of("toy:", &place);
        backend.scheme = wrong[i];
        REQUIRE_STATUS(loom_store_register(&backend, &err), LOOM_BAD_ARGUMENT);
    }
    REQUIRE_OK(loom_store_register(loom_backend_of("toy:", &place), &err)); /* again: the same */
}

/* What a worker does: attaches, writes bulk bytes, and the opener puts the row. */
static void test_attaching(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *worker;
    loom_extent_writer *writer;
    char token[512];
    image_result image;
    REQUIRE_OK(loom_store_token(store, token, sizeof token));
    assert_int_equal(loom_store_token(store, token, 3), LOOM_TOO_LARGE);
    REQUIRE_OK(loom_store_token(store, token, sizeof token));
    REQUIRE_OK(loom_store_attach(token, 0, &worker, &err));
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(worker), &writer, &err));
    write_image(writer, 5, 700, &image);
    loom_extent_writer_close(writer);
    put_one(&image.result);
    require_image(store, 5, 700);
    loom_batch *batch;
    REQUIRE_STATUS(loom_store_begin(worker, &batch, &err), LOOM_DENIED);
    loom_store_close(worker);
    require_image(store, 5, 700);
    loom_buffer_free(&image.payload);
}

static void use_in_child(void *context) {
    (void)context;
    loom_error err = {0};
    loom_result result;
    const loom_id rkey = id_of("rkey", 1);
    if (loom_store_find(store, &rkey, arena, &result, &err) != LOOM_UNSUPPORTED) _exit(3);
    loom_store_close(store);
    _exit(0);
}

static void test_not_in_a_forked_child(void **state) {
    (void)state;
    put_small(store, 1, 1);
    assert_int_equal(in_child(use_in_child, NULL), 0);
    require_small(store, 1);
    put_small(store, 2, 1);
}

const struct CMUnitTest life_tests[] = {
    CONFORMANCE(test_pins),
    CONFORMANCE(test_goals),
    CONFORMANCE(test_expiry),
    CONFORMANCE(test_what_is_held_keeps_its_bytes),
    CONFORMANCE(test_another_place),
    CONFORMANCE(test_materialising),
    CONFORMANCE(test_claims),
    CONFORMANCE(test_reading_only),
    CONFORMANCE(test_opening_what_is_not_there),
    CONFORMANCE(test_registering),
    CONFORMANCE(test_attaching),
    CONFORMANCE(test_not_in_a_forked_child),
};
const size_t life_test_count = sizeof life_tests / sizeof life_tests[0];
