/* The index of fields in the life of a store: every way in which a record comes and goes, what does not fit it, records
 * in bulk bytes, datasets, rebuilding and checking, plans, and keys (their order, and blinded). */
#include <math.h>

#include "disk_scene.h"
#include "shm/index/field_key.h"
#include "shm/index/index_fields.h"
#include "shm/query/query.h"
#include "shm/seal/cipher.h"
#include "shm/seal/key.h"
#include "shm/store/store.h"

/* ---- records ---- */

static loom_value record_of(int64_t age, const char *modality, loom_field fields[2]) {
    fields[0] = (loom_field){"age", 3, loom_int(age)};
    fields[1] = (loom_field){"modality", 8, loom_string_of(modality)};
    return loom_record(fields, 2);
}

static loom_result result_of(uint64_t number, const loom_value *value, loom_buffer *bytes) {
    bytes->length = 0;
    assert_int_equal(loom_value_encode(value, bytes), LOOM_OK);
    return (loom_result){.rkey = id_of("record", number),
                         .vid = loom_sha256(bytes->bytes, bytes->length),
                         .type = value->type,
                         .payload = bytes->bytes,
                         .payload_bytes = bytes->length};
}

static void put_value(loom_store *store, uint64_t number, const loom_value *value) {
    loom_error err = {0};
    loom_buffer bytes = {0};
    loom_batch *batch;
    loom_result result = result_of(number, value, &bytes);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&bytes);
}

static void put_records(loom_store *store, uint64_t first, uint64_t count) {
    loom_error err = {0};
    loom_buffer bytes = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = first; i < first + count; i++) {
        loom_field fields[2];
        loom_value record = record_of((int64_t)i, i % 2 ? "flair" : "t1", fields);
        loom_result result = result_of(i, &record, &bytes);
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&bytes);
}

static void delete_record(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_batch *batch;
    loom_id rkey = id_of("record", number);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

/* ---- asking ---- */

static bool count_one(const loom_result *result, void *context) {
    (void)result;
    return ++*(uint64_t *)context != 0;
}

static uint64_t ask(loom_store *store, const char *text, loom_query_report *report) {
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    loom_query *query;
    uint64_t count = 0;
    REQUIRE_OK(loom_query_parse(text, strlen(text), arena, &query, &err));
    REQUIRE_OK(loom_store_query(store, query, count_one, &count, report, &err));
    assert_int_equal(report->matches, count);
    loom_arena_free(arena);
    return count;
}

/* By the index, which must have been used and have looked at `candidates` records. */
static void expect(loom_store *store, const char *text, uint64_t matches, uint64_t candidates) {
    loom_query_report report;
    uint64_t found = ask(store, text, &report);
    if (found != matches || report.candidates != candidates || strncmp(report.plan, "index", 5) != 0)
        fail_msg("%s: %llu of %llu, %s", text, (unsigned long long)found, (unsigned long long)report.candidates,
                 report.plan);
}

static loom_index *index_of(loom_store *store) {
    loom_error err = {0};
    loom_store_parts parts;
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    return parts.index;
}

typedef struct findings {
    uint64_t missing, extra, last_row;
} findings;

static bool note_finding(uint64_t row, bool missing, void *context) {
    findings *found = context;
    found->missing += missing;
    found->extra += !missing;
    found->last_row = row;
    return true;
}

static findings check(loom_store *store) {
    loom_error err = {0};
    findings found = {0};
    REQUIRE_OK(loom_index_check_fields(index_of(store), note_finding, &found, &err));
    return found;
}

static void check_clean(loom_store *store) {
    findings found = check(store);
    assert_int_equal(found.missing, 0);
    assert_int_equal(found.extra, 0);
}

static bool count_entry(const MDB_val *key, const MDB_val *value, void *context) {
    (void)key, (void)value;
    ++*(uint64_t *)context;
    return true;
}

static uint64_t entries(loom_store *store) {
    loom_error err = {0};
    uint64_t count = 0;
    loom_index *index = index_of(store);
    REQUIRE_OK(loom_index_each_entry(index, index->fields, count_entry, &count, &err));
    return count;
}

/* ---- the life of a record ---- */

static void comes_and_goes_with_the_row(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_records(store, 0, 100);
    put_small(store, 1000, 20); /* no records: no entries */
    assert_int_equal(entries(store), 200);
    expect(store, "age == 7", 1, 1);
    expect(store, "age >= 90 and modality == 'flair'", 5, 10);
    expect(store, "modality == 'flair' and age < 10", 5, 11); /* 10 itself is looked at */
    expect(store, "age in [1, 2, 2, 300]", 2, 2);
    expect(store, "age == 1 or age == 5", 2, 2);
    expect(store, "modality startswith 'fl' and not age != 9", 1, 50);
    expect(store, "exists weight", 0, 0);
    delete_record(store, 7);
    expect(store, "age == 7", 0, 0);
    assert_int_equal(entries(store), 198);
    put_records(store, 7, 1); /* over the tombstone */
    expect(store, "age == 7", 1, 1);
    put_records(store, 0, 100); /* the same again */
    assert_int_equal(entries(store), 200);
    check_clean(store);
    loom_store_close(store);
    store = open_ok();
    expect(store, "age == 7", 1, 1);
    check_clean(store);
    loom_store_close(store);
}

static void abort_leaves_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_records(store, 0, 3);
    loom_buffer bytes = {0};
    loom_batch *batch;
    loom_field fields[2];
    loom_value record = record_of(50, "ct", fields);
    loom_result result = result_of(50, &record, &bytes);
    loom_id first = id_of("record", 0);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_delete(batch, &first, &err));
    loom_batch_abort(batch);
    expect(store, "age == 50", 0, 0);
    expect(store, "age == 0", 1, 1);
    assert_int_equal(entries(store), 6);
    check_clean(store);
    loom_buffer_free(&bytes);
    loom_store_close(store);
}

static void expired_records_do_not_match(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_records(store, 0, 4);
    loom_batch *batch;
    loom_id rkey = id_of("record", 2);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &rkey, 1, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    expect(store, "age == 2", 0, 0);
    expect(store, "age >= 0", 3, 3);
    check_clean(store);
    put_records(store, 2, 1); /* takes the place of the expired row */
    expect(store, "age == 2", 1, 1);
    assert_int_equal(entries(store), 8);
    check_clean(store);
    loom_store_close(store);
}

/* ---- what does not fit ---- */

static loom_value nested(loom_field *fields, size_t depth, loom_value value) {
    for (size_t i = 0; i < depth; i++) {
        fields[i] = (loom_field){"d", 1, value};
        value = loom_record(&fields[i], 1);
    }
    return value;
}

static void what_does_not_fit_is_still_found(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_records(store, 0, 10);
    loom_field many[65], deep[9], one[1];
    char names[65][8], long_name[300];
    for (size_t i = 0; i < 65; i++)
        many[i] = (loom_field){names[i], (size_t)snprintf(names[i], 8, "n%zu", i), loom_int((int64_t)i)};
    loom_value record = loom_record(many, 64);
    put_value(store, 100, &record);
    assert_int_equal(entries(store), 20 + 64);
    record = loom_record(many, 65);
    put_value(store, 101, &record);
    record = nested(deep, 8, loom_int(3));
    put_value(store, 102, &record);
    record = nested(deep, 9, loom_int(3));
    put_value(store, 103, &record);
    memset(long_name, 'x', sizeof long_name);
    one[0] = (loom_field){long_name, sizeof long_name, loom_int(4)};
    record = loom_record(one, 1);
    put_value(store, 104, &record);
    one[0] = (loom_field){"\x01", 1, loom_int(4)};
    put_value(store, 105, &record);
    assert_int_equal(entries(store), 20 + 64 + 1 + 1 + 1 + 1 + 1);
    expect(store, "n64 == 64", 1, 4);
    expect(store, "n3 == 3", 2, 5);
    expect(store, "d.d.d.d.d.d.d.d == 3", 1, 5);
    expect(store, "d.d.d.d.d.d.d.d.d == 3", 1, 4);
    expect(store, "\"\\u0001\" == 4", 1, 4);
    check_clean(store);
    delete_record(store, 101);
    delete_record(store, 104);
    expect(store, "n64 == 64", 0, 2);
    check_clean(store);
    loom_store_close(store);
}

static void datasets_are_asked_by_their_metadata(void **state) {
    (void)state;
    loom_store *store = open_ok();
    loom_field fields[2];
    loom_value metadata = record_of(33, "ct", fields), dataset = loom_dataset(&metadata, NULL, 0);
    put_value(store, 1, &dataset);
    expect(store, "age == 33", 1, 1);
    expect(store, "age == 34", 0, 0);
    check_clean(store);
    delete_record(store, 1);
    assert_int_equal(entries(store), 0);
    loom_store_close(store);
}

/* ---- records in bulk bytes ---- */

typedef struct blob {
    loom_result result;
    loom_buffer bytes;
    uint64_t hashes[4];
} blob;

/* Sealed in a place of its own each time. */
static void write_blob(loom_store *store, uint64_t number, size_t text_bytes, blob *made) {
    loom_error err = {0};
    char *text = malloc(text_bytes);
    memset(text, 'q', text_bytes);
    loom_field fields[2] = {{"age", 3, loom_int((int64_t)number)}, {"notes", 5, loom_string(text, text_bytes)}};
    loom_value record = loom_record(fields, 2);
    loom_extent_writer *writer;
    loom_reservation reservation;
    *made = (blob){.bytes = {0}};
    made->result = result_of(number, &record, &made->bytes);
    made->result.payload = NULL;
    made->result.payload_bytes = 0;
    made->result.blob = true;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, made->bytes.length, true, &reservation, &err));
    memcpy(reservation.window, made->bytes.bytes, made->bytes.length);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, made->hashes, made->result.root, &err));
    loom_extent_writer_close(writer);
    made->result.bulk = reservation.placement;
    made->result.block_hashes = made->hashes;
    free(text);
}

static void put_blob(loom_store *store, uint64_t number, size_t text_bytes) {
    loom_error err = {0};
    blob made;
    loom_batch *batch;
    write_blob(store, number, text_bytes, &made);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &made.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&made.bytes);
}

static void records_in_bulk_bytes(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_blob(store, 40, 20000);
    put_blob(store, 41, 3 << 19); /* beyond what is read for the index */
    put_blob(store, 42, 20000);
    assert_int_equal(entries(store), 2 + 1 + 2);
    expect(store, "age == 40", 1, 2);
    expect(store, "age == 41", 1, 1);
    expect(store, "notes startswith 'qqqq'", 3, 3);
    expect(store, "notes == 'qqqq'", 0, 1);
    check_clean(store);
    delete_record(store, 41);
    assert_int_equal(entries(store), 4);
    flip("extents/00000000.ext", LOOM_PAGE_BYTES + 100); /* the bytes of 40 say nothing any more */
    delete_record(store, 40);
    assert_int_equal(entries(store), 2);
    expect(store, "age == 42", 1, 1);
    check_clean(store);
    loom_store_close(store);
}

/* The same record in another place is another row: its entries follow. */
static void replaced_records_keep_their_entries(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_blob(store, 40, 20000);
    put_records(store, 0, 3);
    blob again;
    loom_batch *batch;
    write_blob(store, 40, 20000, &again);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_replace(batch, &again.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&again.bytes);
    assert_int_equal(entries(store), 2 + 6);
    expect(store, "age == 40", 1, 1);
    check_clean(store);
    loom_store_close(store);
}

/* ---- repair ---- */

static void rebuilt_and_checked(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_records(store, 0, 50);
    loom_index *index = index_of(store);
    loom_index_batch *batch;
    loom_field_bodies *bodies = calloc(1, sizeof *bodies);
    loom_field fields[2];
    loom_value record = record_of(3, "flair", fields);
    loom_field_bodies_of(NULL, &record, bodies);
    uint8_t key[LOOM_FIELD_KEY_MAX];
    size_t length = bodies->items[0].length;
    memcpy(key, bodies->items[0].bytes, length);
    memset(key + length, 0, 8);
    REQUIRE_OK(loom_index_begin(index, LOOM_DURABLE_NONE, &batch, &err));
    key[length + 7] = 4; /* the row of record 3: one entry less */
    REQUIRE_OK(loom_index_delete_raw(batch, index->fields, key, length + 8, &err));
    key[length + 7] = 9; /* and two too many: a wrong row, no row */
    REQUIRE_OK(loom_index_put_raw(batch, index->fields, key, length + 8, "", 0, &err));
    key[length + 7] = 99;
    REQUIRE_OK(loom_index_put_raw(batch, index->fields, key, length + 8, "", 0, &err));
    REQUIRE_OK(loom_index_commit(batch, NULL, &err));
    findings found = check(store);
    assert_int_equal(found.missing, 1);
    assert_int_equal(found.extra, 2);
    expect(store, "age == 3", 0, 1); /* never a wrong match */
    REQUIRE_OK(loom_index_begin(index, LOOM_DURABLE_NONE, &batch, &err));
    REQUIRE_OK(loom_index_rebuild_fields(batch, &err));
    REQUIRE_OK(loom_index_commit(batch, NULL, &err));
    check_clean(store);
    assert_int_equal(entries(store), 100);
    expect(store, "age == 3", 1, 1);
    free(bodies);
    loom_store_close(store);
}

/* ---- plans ---- */

static void plan_is(loom_store *store, const char *text, const char *expected) {
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    loom_query *query;
    loom_query_report report;
    REQUIRE_OK(loom_query_parse(text, strlen(text), arena, &query, &err));
    REQUIRE_OK(loom_store_query(store, query, NULL, NULL, &report, &err));
    if (strcmp(report.plan, expected) != 0) fail_msg("%s: %s", text, report.plan);
    assert_int_equal(report.matches, 0);
    loom_arena_free(arena);
}

static void plans_say_what_is_done(void **state) {
    (void)state;
    loom_store *store = open_ok();
    put_records(store, 0, 3000);
    plan_is(store, "modality == 'flair' and age > 2990 and age != 3",
            "index of fields: age > 2990 (10 entries, 3000 results stored), then the query on each record");
    plan_is(store, "(age == 1\nor age == 2)",
            "index of fields: age == 1 or age == 2 (2 entries, 3000 results stored), then the query on each record");
    plan_is(store, "age != 3", "every record: no part of the query can be answered by the index of fields");
    plan_is(store, "age == 1 or modality contains 'a'",
            "every record: no part of the query can be answered by the index of fields");
    plan_is(store, "age >= 10", "every record: the index of fields would name too many");
    loom_query_report report;
    assert_int_equal(ask(store, "age >= 10", &report), 2990);
    assert_int_equal(report.candidates, 3000);
    loom_store_close(store);
}

static bool stop_at_two(const loom_result *result, void *context) {
    (void)result;
    return ++*(int *)context < 2;
}

static void a_visit_may_stop(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_ok();
    put_records(store, 0, 50);
    loom_arena *arena = loom_arena_new();
    loom_query *query;
    int seen = 0;
    REQUIRE_OK(loom_query_parse("age > 3", 7, arena, &query, &err));
    REQUIRE_OK(loom_store_query(store, query, stop_at_two, &seen, NULL, &err));
    assert_int_equal(seen, 2);
    loom_arena_free(arena);
    loom_store_close(store);
}

/* ---- keys ---- */

static void body_of(const loom_cipher *cipher, loom_value value, loom_field_body *body) {
    static loom_field_bodies bodies;
    loom_field field = {"a", 1, value};
    loom_value record = loom_record(&field, 1);
    loom_field_bodies_of(cipher, &record, &bodies);
    assert_int_equal(bodies.count, 1);
    *body = bodies.items[0];
}

static int order_of(const loom_field_body *a, const loom_field_body *b) {
    int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order != 0 ? (order > 0) - (order < 0) : (a->length > b->length) - (a->length < b->length);
}

static long double exact(const loom_value *value) {
    return value->type == LOOM_INT ? (long double)value->integer : (long double)value->number;
}

static loom_value any_number(uint64_t *state) {
    uint64_t bits = (uint64_t)next_random(state) << 33 ^ (uint64_t)next_random(state) << 11 ^ next_random(state);
    double number;
    int64_t near = (INT64_C(1) << (next_random(state) % 63)) + (int64_t)(next_random(state) % 5) - 2;
    switch (next_random(state) % 5) {
    case 0:
        return loom_int((int64_t)bits);
    case 1:
        return loom_int(next_random(state) % 2 ? near : -near);
    case 2:
        return loom_float((double)(next_random(state) % 2 ? near : -near));
    case 3:
        return loom_float(nextafter((double)near, next_random(state) % 2 ? INFINITY : -INFINITY));
    default:
        memcpy(&number, &bits, sizeof number);
        return loom_float(number != number ? 0 : number);
    }
}

static void numbers_have_one_exact_order(void **state) {
    (void)state;
    uint64_t random = 5;
    for (int i = 0; i < 200000; i++) {
        loom_value a = any_number(&random), b = any_number(&random);
        loom_field_body x, y;
        body_of(NULL, a, &x);
        body_of(NULL, b, &y);
        long double p = exact(&a), q = exact(&b);
        assert_int_equal(order_of(&x, &y), (p > q) - (p < q));
    }
}

static void strings_keep_their_order(void **state) {
    (void)state;
    uint64_t random = 6;
    for (int i = 0; i < 100000; i++) {
        char a[8], b[8];
        size_t m = next_random(&random) % 8, n = next_random(&random) % 8;
        for (size_t k = 0; k < 8; k++) {
            a[k] = "\0\x01\xff"
                   "a"[next_random(&random) % 4];
            b[k] = "\0\x01\xff"
                   "a"[next_random(&random) % 4];
        }
        loom_field_body x, y;
        body_of(NULL, loom_string(a, m), &x);
        body_of(NULL, loom_string(b, n), &y);
        int expected = memcmp(a, b, m < n ? m : n);
        expected = expected != 0 ? (expected > 0) - (expected < 0) : (m > n) - (m < n);
        assert_int_equal(order_of(&x, &y), expected);
    }
}

static void blinded_keys_say_nothing_but_equality(void **state) {
    (void)state;
    loom_error err = {0};
    loom_cipher *cipher;
    uint8_t master[32] = {7};
    REQUIRE_OK(loom_cipher_new(master, &cipher, &err));
    loom_field_body two, two_again, text;
    body_of(cipher, loom_int(2), &two);
    body_of(cipher, loom_float(2), &two_again);
    body_of(cipher, loom_string_of("secret patient"), &text);
    assert_int_equal(two.length, 33);
    assert_int_equal(order_of(&two, &two_again), 0);
    assert_null(memmem(text.bytes, text.length, "secret", 6));
    loom_field_step step = {"a", 1};
    loom_field_range range;
    bool none;
    loom_value value = loom_string_of("secret patient");
    assert_true(loom_field_range_of(cipher, &step, 1, LOOM_FIELD_EQUAL, &value, &range, &none));
    assert_false(none);
    assert_int_equal(loom_field_place(&range, text.bytes, text.length), 0);
    assert_int_not_equal(loom_field_place(&range, two.bytes, two.length), 0);
    assert_false(loom_field_range_of(cipher, &step, 1, LOOM_FIELD_BELOW, &value, &range, &none));
    assert_false(loom_field_range_of(cipher, &step, 1, LOOM_FIELD_EXISTS, NULL, &range, &none));
    loom_cipher_free(cipher);
}

static void an_encrypted_store_answers_equality(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store;
    loom_key key = {.bytes = {1, 2, 3}};
    REQUIRE_OK(try_open((loom_store_options){.key = &key}, &store, &err));
    put_records(store, 0, 40);
    assert_int_equal(entries(store), 80);
    expect(store, "age == 7 and modality != 'x'", 1, 1);
    expect(store, "age in [7, 8.0]", 2, 2);
    plan_is(store, "age > 7", "every record: the index of fields of an encrypted store answers only == and in");
    loom_query_report report;
    assert_int_equal(ask(store, "age > 7", &report), 32);
    delete_record(store, 7);
    expect(store, "age == 7", 0, 0);
    check_clean(store);
    loom_index_batch *batch;
    REQUIRE_OK(loom_index_begin(index_of(store), LOOM_DURABLE_NONE, &batch, &err));
    REQUIRE_OK(loom_index_rebuild_fields(batch, &err));
    REQUIRE_OK(loom_index_commit(batch, NULL, &err));
    assert_int_equal(entries(store), 78);
    check_clean(store);
    expect(store, "age == 8", 1, 1);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(comes_and_goes_with_the_row),
        DISK_TEST(abort_leaves_nothing),
        DISK_TEST(expired_records_do_not_match),
        DISK_TEST(what_does_not_fit_is_still_found),
        DISK_TEST(datasets_are_asked_by_their_metadata),
        DISK_TEST(records_in_bulk_bytes),
        DISK_TEST(replaced_records_keep_their_entries),
        DISK_TEST(rebuilt_and_checked),
        DISK_TEST(plans_say_what_is_done),
        DISK_TEST(a_visit_may_stop),
        DISK_TEST(an_encrypted_store_answers_equality),
        cmocka_unit_test(numbers_have_one_exact_order),
        cmocka_unit_test(strings_keep_their_order),
        cmocka_unit_test(blinded_keys_say_nothing_but_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
