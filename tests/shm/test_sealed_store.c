/* test_sealed_store.c - the encrypted store by its interface: every type comes back, nothing of it stands on the disk
 * in plain, the key opens it and nothing else does, workers share its memory. */
#include "sealed_scene.h"

#include "shm/care/admin.h"
#include "shm/extent/extent_file.h"

/* ---- what is on the disk ---- */

static void test_nothing_stands_on_the_disk_in_plain(void **state) {
    (void)state;
    size_t searched;
    loom_store *store = open_sealed();
    put_everything(store);
    assert_int_equal(search_folder(folder, &searched, true), 0); /* while it is open */
    require_everything(store);
    loom_store_close(store);
    assert_int_equal(search_folder(folder, &searched, true), 0);
    store = open_sealed();
    require_everything(store);
    loom_store_stats stats;
    loom_error err = {0};
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, 11);
    loom_store_close(store);
}

/* The search finds what it looks for where it is: only hex, which is for people, stands nowhere. */
static void test_the_search_finds_all_in_a_plain_store(void **state) {
    (void)state;
    size_t searched, ids = 0;
    loom_store *store = open_plain();
    put_everything(store);
    require_everything(store);
    loom_store_close(store);
    size_t found = search_folder(folder, &searched, false);
    /* 1 content, 12 rkeys, 12 nodes, 10 vids. The search is for each in binary and in hex. */
    ids = 1 + 12 + 12 + 10;
    assert_int_equal(searched, 13 + 2 * ids);
    assert_int_equal(found, 13 + ids);
}

/* ---- the key ---- */

static void test_the_key_opens_and_nothing_else(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store, *second;
    loom_store_close(open_sealed());
    REQUIRE_STATUS(try_sealed(NULL, &store, &err), LOOM_DENIED);
    assert_non_null(strstr(err.message, "is encrypted; give its key (store.key)"));
    REQUIRE_STATUS(try_sealed(&other_key, &store, &err), LOOM_DENIED);
    assert_null(store);
    store = open_sealed();
    /* Another handle of the same process needs the key too. */
    REQUIRE_STATUS(try_sealed(NULL, &second, &err), LOOM_DENIED);
    REQUIRE_STATUS(try_sealed(&other_key, &second, &err), LOOM_DENIED);
    second = open_sealed();
    put_small(store, 0, 10);
    require_small(second, 3);
    loom_store_close(second);
    require_small(store, 4);
    loom_store_close(store);
}

static void test_a_key_for_a_plain_store_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store, *second;
    store = open_plain();
    REQUIRE_STATUS(try_sealed(&scene_key, &second, &err), LOOM_DENIED);
    loom_store_close(store);
    REQUIRE_STATUS(try_sealed(&scene_key, &store, &err), LOOM_DENIED);
    assert_non_null(strstr(err.message, "is not encrypted"));
}

static void test_rekey(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_small(store, 0, 5);
    REQUIRE_STATUS(loom_store_rekey(path, &scene_key, &other_key, &err), LOOM_BUSY);
    loom_store_close(store);
    REQUIRE_STATUS(loom_store_rekey(path, &other_key, &scene_key, &err), LOOM_DENIED);
    REQUIRE_STATUS(loom_store_rekey(path, NULL, &other_key, &err), LOOM_DENIED);
    REQUIRE_OK(loom_store_rekey(path, &scene_key, &other_key, &err));
    REQUIRE_STATUS(try_sealed(&scene_key, &store, &err), LOOM_DENIED);
    REQUIRE_OK(try_sealed(&other_key, &store, &err));
    require_small(store, 4);
    loom_store_close(store);
    char elsewhere[320];
    snprintf(elsewhere, sizeof elsewhere, "%s/nowhere", folder);
    REQUIRE_STATUS(loom_store_rekey(elsewhere, &scene_key, &other_key, &err), LOOM_NOT_FOUND);
}

static void test_rekey_of_a_plain_store_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store_close(open_plain());
    REQUIRE_STATUS(loom_store_rekey(path, NULL, &other_key, &err), LOOM_DENIED);
    REQUIRE_STATUS(loom_store_rekey(path, &scene_key, &other_key, &err), LOOM_DENIED);
}

/* ---- look-ups by what people type, and by value ---- */

static bool count_row(const loom_result *result, void *context) {
    assert_int_equal(result->type, LOOM_BYTES);
    ++*(int *)context;
    return true;
}

static void test_lookups_by_true_ids(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_small(store, 0, 20);
    uint8_t payload[64];
    loom_result expected = small_result(7, payload), found;
    char hex[LOOM_ID_HEX_BYTES];
    loom_arena *arena = loom_arena_new();
    loom_id_hex(&expected.rkey, hex);
    hex[12] = '\0';
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_true(loom_id_equal(&found.rkey, &expected.rkey));
    loom_id_hex(&expected.vid, hex);
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_true(loom_id_equal(&found.rkey, &expected.rkey));
    int rows = 0;
    REQUIRE_OK(loom_store_each(store, count_row, &rows, &err));
    assert_int_equal(rows, 20);
    loom_arena_free(arena);
    loom_store_close(store);
}

static void test_sequences_are_found_by_value(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    loom_value items[] = {loom_int(1), loom_int(2)}, sequence = loom_sequence(items, 2);
    loom_buffer encoded = {0};
    REQUIRE_OK(loom_value_encode(&sequence, &encoded));
    loom_result result = {.rkey = id_of("sequence", 1),
                          .vid = loom_sha256(encoded.bytes, encoded.length),
                          .type = LOOM_SEQUENCE,
                          .payload = encoded.bytes,
                          .payload_bytes = encoded.length},
                found;
    loom_arena *arena = loom_arena_new();
    loom_batch *batch;
    for (int round = 0; round < 2; round++) { /* from the tail, then from the table */
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
        REQUIRE_OK(loom_batch_commit(batch, &err));
        REQUIRE_OK(loom_store_find_value(store, &result.vid, arena, &found, &err));
        assert_true(loom_id_equal(&found.rkey, &result.rkey));
        loom_store_close(store);
        store = open_sealed();
        REQUIRE_OK(loom_store_find_value(store, &result.vid, arena, &found, &err));
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_delete(batch, &result.rkey, &err));
        REQUIRE_OK(loom_batch_commit(batch, &err));
        REQUIRE_STATUS(loom_store_find_value(store, &result.vid, arena, &found, &err), LOOM_NOT_FOUND);
    }
    loom_arena_free(arena);
    loom_buffer_free(&encoded);
    loom_store_close(store);
}

static bool note_label(const loom_goal_record *goal, void *context) {
    char *order = context;
    size_t used = strlen(order);
    snprintf(order + used, 64 - used, "%s%d", goal->label, (int)goal->run);
    return true;
}

static void test_goals_come_in_order_of_their_labels(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    loom_batch *batch;
    uint64_t runs[2];
    loom_id rkey = id_of("rkey", 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(loom_batch_begin_run(batch, "print 1", &runs[i], &err));
        REQUIRE_OK(loom_batch_put_goal(batch, runs[i], "c", &rkey, &err));
        REQUIRE_OK(loom_batch_put_goal(batch, runs[i], "a", &rkey, &err));
        REQUIRE_OK(loom_batch_put_goal(batch, runs[i], "b", &rkey, &err));
    }
    REQUIRE_OK(loom_batch_pin(batch, &rkey, "hand", &err));
    REQUIRE_OK(loom_batch_pin(batch, &rkey, "goal:x", &err));
    REQUIRE_OK(loom_batch_unpin(batch, &rkey, "hand", &err));
    REQUIRE_STATUS(loom_batch_unpin(batch, &rkey, "hand", &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    char order[64] = "";
    REQUIRE_OK(loom_store_each_goal(store, note_label, order, &err));
    assert_string_equal(order, "a1a2b1b2c1c2");
    loom_store_close(store);
}

/* ---- bulk: memory of the run, and the disk ---- */

static uint64_t working_bytes(loom_store *store) {
    loom_error err = {0};
    uint64_t files, bytes;
    REQUIRE_OK(loom_extents_usage(loom_store_extents(store), &files, &bytes, &err));
    return bytes;
}

static void test_a_second_put_gives_nothing_away(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    loom_store_stats stats;
    for (int round = 0; round < 3; round++) { /* the working places differ, and mean nothing on the disk */
        put_image(store, 1, 700000);
        put_image(store, 2, 5000);
        require_image(store, 1, 700000);
        require_image(store, 2, 5000);
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 2);
        assert_int_equal(stats.bulk_bytes, 3 * 705000);
        assert_int_equal(stats.deleted_bytes, 0);
    }
    /* Another value for a key is refused, and the first stays. */
    loom_extent_writer *writer;
    loom_batch *batch;
    image_result image;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 3, 5000, &image);
    image.result.rkey = image.result.vid = id_of("image", 2);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &image.result, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_image(store, 2, 5000);
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
    loom_store_close(store);
}

#ifdef VOXLOOM_PORTABLE /* the twin can only write zeros */
#define HOLES false
#else
#define HOLES true
#endif

static void test_memory_of_the_run_comes_back(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    uint64_t before = working_bytes(store);
    loom_extent_writer *writer;
    image_result image;
    loom_batch *batch;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 1, 1000000, &image);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    assert_true(working_bytes(store) >= before + 3000000);
    REQUIRE_OK(loom_store_discard(store, &image.result.bulk, &err));
    assert_true(!HOLES || working_bytes(store) < before + 16384); /* header pages */
    require_image(store, 1, 1000000);
    /* Materialised for kernels and discarded again. */
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_hold hold;
    bool fresh;
    REQUIRE_OK(loom_store_hold(store, &image.result.rkey, arena, &found, &hold, &err));
    assert_int_equal(found.codec, LOOM_CODEC_AES);
    REQUIRE_OK(loom_store_materialise(store, writer, arena, &found, &fresh, &err));
    assert_int_equal(found.codec, LOOM_CODEC_RAW);
    loom_view view;
    REQUIRE_OK(loom_extent_view(loom_store_extents(store), &found.bulk, true, &view, &err));
    uint8_t *expected = malloc(3000000);
    fill_image(expected, 3000000, 1);
    assert_memory_equal(view.bytes, expected, 3000000);
    free(expected);
    loom_extent_release(&view);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_replace(batch, &found, &err)); /* must not bring plain bytes into the store */
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_OK(loom_store_discard(store, &found.bulk, &err));
    assert_true(!HOLES || working_bytes(store) < before + 16384);
    loom_store_unhold(store, &hold);
    require_image(store, 1, 1000000);
    loom_arena_free(arena);
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
    loom_store_close(store);
}

static void test_discard_leaves_a_plain_store_alone(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_plain();
    put_image(store, 1, 5000);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_id rkey = id_of("image", 1);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_OK(loom_store_discard(store, &found.bulk, &err));
    require_image(store, 1, 5000);
    loom_arena_free(arena);
    loom_store_close(store);
}

/* ---- workers ---- */

typedef struct worker_job {
    char token[1024];
    int report; /* placement, hashes and root go there */
} worker_job;

typedef struct worker_report {
    loom_placement bulk;
    uint64_t hashes[4], root[2];
} worker_report;

/* As a worker: attached by the token alone, it reads the index and writes into memory. */
static void work(void *context) {
    const worker_job *job = context;
    loom_error err = {0};
    loom_store *store;
    loom_extent_writer *writer;
    image_result image;
    REQUIRE_STATUS(loom_store_attach(job->token, 2, &store, &err), LOOM_BAD_ARGUMENT); /* made for two */
    REQUIRE_OK(loom_store_attach(job->token, 1, &store, &err));
    require_small(store, 3);
    require_image(store, 1, 5000);
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 2, 500000, &image);
    worker_report report = {.bulk = image.result.bulk, .root = {image.result.root[0], image.result.root[1]}};
    memcpy(report.hashes, image.hashes, sizeof report.hashes);
    assert_int_equal(write(job->report, &report, sizeof report), (ssize_t)sizeof report);
    loom_batch *batch;
    REQUIRE_STATUS(loom_store_begin(store, &batch, &err), LOOM_DENIED);
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
    loom_store_close(store);
}

static void test_a_worker_computes_in_memory(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_small(store, 0, 5);
    put_image(store, 1, 5000);
    worker_job job;
    int ends[2], fds[32];
    assert_int_equal(pipe(ends), 0);
    job.report = ends[1];
    REQUIRE_OK(loom_store_token(store, job.token, sizeof job.token));
    assert_int_equal(strncmp(job.token, "sealed:", 7), 0);
    assert_true(loom_store_inherit(store, fds, 32) >= 1 + 1 + 2 + 7);
    assert_int_equal(loom_store_token(store, job.token, 20), LOOM_TOO_LARGE);
    REQUIRE_OK(loom_store_token(store, job.token, sizeof job.token));
    assert_int_equal(in_child(work, &job), 0);
    worker_report report;
    assert_int_equal(read(ends[0], &report, sizeof report), (ssize_t)sizeof report);
    close(ends[0]);
    close(ends[1]);
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){500000, 3});
    loom_value value = loom_image(&header, NULL);
    loom_buffer payload = {0};
    REQUIRE_OK(loom_value_encode(&value, &payload));
    loom_result result = {.rkey = id_of("image", 2),
                          .vid = id_of("image", 2),
                          .type = LOOM_IMAGE,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length,
                          .bulk = report.bulk,
                          .block_hashes = report.hashes,
                          .root = {report.root[0], report.root[1]}};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_image(store, 2, 500000);
    loom_buffer_free(&payload);
    loom_store_close(store);
}

#ifndef VOXLOOM_PORTABLE /* its locks belong to processes */

/* A worker claims for its run: what it claimed is claimed when it has ended, the opener gives it up, and another run
 * sees all that by the blinded key. */
typedef struct claim_job {
    char token[1024];
    bool expect_busy;
} claim_job;

static void claim(void *context) {
    const claim_job *job = context;
    loom_error err = {0};
    loom_store *store;
    loom_id rkey = id_of("claimed", 1);
    REQUIRE_OK(loom_store_attach(job->token, 0, &store, &err));
    REQUIRE_STATUS(loom_store_claim(store, &rkey, &err), job->expect_busy ? LOOM_BUSY : LOOM_OK);
    loom_store_close(store);
}

static void test_claims_belong_to_the_run(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    claim_job ours, others;
    loom_id rkey = id_of("claimed", 1);
    REQUIRE_OK(loom_store_token(store, ours.token, sizeof ours.token));
    others = ours; /* a forked child has not the opener's own descriptor: it is a run of its own */
    /* "sealed:KEY:FILES:CLAIMS:PATH" with a copy of the descriptor, which a child keeps, as a worker has one. */
    char *claims = strchr(strchr(strchr(ours.token, ':') + 1, ':') + 1, ':') + 1, rest[512];
    snprintf(rest, sizeof rest, "%s", strchr(claims, ':'));
    int copy = dup(atoi(claims));
    assert_true(copy >= 0);
    snprintf(claims, sizeof ours.token - (size_t)(claims - ours.token), "%d%s", copy, rest);
    ours.expect_busy = false;
    others.expect_busy = true;
    assert_int_equal(in_child(claim, &ours), 0);
    assert_int_equal(in_child(claim, &others), 0);
    loom_store_unclaim(store, &rkey);
    others.expect_busy = false;
    assert_int_equal(in_child(claim, &others), 0);
    close(copy);
    loom_store_close(store);
}

#else

static void test_claims_belong_to_the_run(void **state) {
    (void)state;
    print_message("skipped: the locks of the portable twin belong to processes, not to runs\n");
    skip();
}

#endif

static void test_bad_tokens_are_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    static const char *const tokens[] = {"sealed:",     "sealed:1",      "sealed:1:",     "sealed:1:2",
                                         "sealed:1:2:", "sealed:x:2:/a", "sealed:-1:2:/", "sealed:999:2:/a"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        loom_error_clear(&err);
        assert_int_not_equal(loom_store_attach(tokens[i], 0, &store, &err), LOOM_OK);
        assert_true(err.message[0] != '\0');
        assert_null(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_nothing_stands_on_the_disk_in_plain),
        DISK_TEST(test_the_search_finds_all_in_a_plain_store),
        DISK_TEST(test_the_key_opens_and_nothing_else),
        DISK_TEST(test_a_key_for_a_plain_store_is_refused),
        DISK_TEST(test_rekey),
        DISK_TEST(test_rekey_of_a_plain_store_is_refused),
        DISK_TEST(test_lookups_by_true_ids),
        DISK_TEST(test_sequences_are_found_by_value),
        DISK_TEST(test_goals_come_in_order_of_their_labels),
        DISK_TEST(test_a_second_put_gives_nothing_away),
        DISK_TEST(test_memory_of_the_run_comes_back),
        DISK_TEST(test_discard_leaves_a_plain_store_alone),
        DISK_TEST(test_a_worker_computes_in_memory),
        DISK_TEST(test_claims_belong_to_the_run),
        DISK_TEST(test_bad_tokens_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
