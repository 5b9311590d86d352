/* Ten thousand random queries over random records that come and go: the store's answer, by the index of fields or by
 * reading every record, is that of a second judge (random_query.c) over all records. */
#include "disk_scene.h"
#include "random_query.h"
#include "shm/index/index_fields.h"
#include "shm/query/query.h"
#include "shm/store/store.h"

enum { SEEDS = 4, ROUNDS = 50, QUERIES = 50, LIVE_MAX = 120 };

typedef struct live_record {
    loom_id rkey;
    loom_value value;
    loom_buffer bytes;
} live_record;

static live_record live[LIVE_MAX]; /* in order of row number */
static size_t live_count;
static uint64_t next_number;

static void forget(size_t at) {
    loom_buffer_free(&live[at].bytes);
    memmove(&live[at], &live[at + 1], (live_count - at - 1) * sizeof *live);
    live_count--;
}

static void put_record(loom_batch *batch, uint64_t *state, loom_arena *arena) {
    loom_error err = {0};
    live_record *now = &live[live_count++];
    *now = (live_record){.rkey = id_of("record", next_number++), .value = random_record(state, arena)};
    REQUIRE_OK(loom_value_encode(&now->value, &now->bytes));
    loom_result result = {.rkey = now->rkey,
                          .vid = loom_sha256(now->bytes.bytes, now->bytes.length),
                          .type = LOOM_RECORD,
                          .payload = now->bytes.bytes,
                          .payload_bytes = now->bytes.length};
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
}

static void change_some(loom_store *store, uint64_t *state, loom_arena *arena) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint32_t i = next_random(state) % 4; i > 0 && live_count > 0; i--) {
        size_t at = next_random(state) % live_count;
        REQUIRE_OK(loom_batch_delete(batch, &live[at].rkey, &err));
        forget(at);
    }
    for (uint32_t i = next_random(state) % 6; i > 0 && live_count < LIVE_MAX; i--)
        put_record(batch, state, arena);
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

typedef struct answer {
    loom_id rkeys[LIVE_MAX];
    size_t count;
} answer;

static bool take(const loom_result *result, void *context) {
    answer *got = context;
    assert_true(got->count < LIVE_MAX);
    got->rkeys[got->count++] = result->rkey;
    return true;
}

static bool ask(loom_store *store, uint64_t *state, uint64_t seed) {
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    const model_query *model = random_query(state, arena);
    const char *text = model_text(model, arena);
    loom_query *query;
    loom_query_report report;
    answer got = {.count = 0}, expected = {.count = 0};
    if (loom_query_parse(text, strlen(text), arena, &query, &err) != LOOM_OK)
        fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, text, err.message);
    REQUIRE_OK(loom_store_query(store, query, take, &got, &report, &err));
    for (size_t i = 0; i < live_count; i++)
        if (model_matches(model, &live[i].value)) expected.rkeys[expected.count++] = live[i].rkey;
    if (got.count != expected.count || memcmp(got.rkeys, expected.rkeys, got.count * sizeof *got.rkeys) != 0)
        fail_msg("seed %llu: %s\n%s\n%zu records, %zu expected", (unsigned long long)seed, text, report.plan, got.count,
                 expected.count);
    assert_int_equal(report.matches, got.count);
    assert_true(report.candidates >= got.count);
    bool indexed = strncmp(report.plan, "index", 5) == 0;
    assert_true(indexed || report.candidates == live_count);
    loom_arena_free(arena);
    return indexed;
}

static bool no_finding(uint64_t row, bool missing, void *context) {
    (void)context;
    fail_msg("row %llu: an entry is %s", (unsigned long long)row, missing ? "missing" : "too many");
    return false;
}

static size_t play(loom_store *store, uint64_t seed) {
    uint64_t state = seed;
    size_t indexed = 0;
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    for (int round = 0; round < ROUNDS; round++) {
        change_some(store, &state, arena);
        for (int i = 0; i < QUERIES; i++)
            indexed += ask(store, &state, seed);
    }
    loom_store_parts parts;
    if (!loom_store_in_memory(store)) {
        REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
        REQUIRE_OK(loom_index_check_fields(parts.index, no_finding, NULL, &err));
    }
    while (live_count > 0)
        forget(live_count - 1);
    loom_arena_free(arena);
    return indexed;
}

static void on_disk(void **state) {
    (void)state;
    size_t indexed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        loom_store *store;
        loom_error err = {0};
        REQUIRE_OK(try_open((loom_store_options){.durability = LOOM_DURABLE_NONE}, &store, &err));
        indexed += play(store, seed);
        loom_store_close(store);
        remove_tree(path);
    }
    print_message("%zu of %d queries were answered by the index\n", indexed, SEEDS * ROUNDS * QUERIES);
    assert_true(indexed > SEEDS * ROUNDS * QUERIES / 3);
}

static void in_memory(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:", .create = true}, &store, &err));
    assert_int_equal(play(store, 77), 0);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {DISK_TEST(on_disk), cmocka_unit_test(in_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
