/* test_stream_items.c - single items of stored sequences and datasets, inline and in extents, in pages or not, against
 * the values they were made of; and every type of value through a store, bit by bit, at sizes around the thresholds. */
#include "shm/stream/stream.h"
#include "shm/stream/stream_items.h"
#include "store_support.h"

static char folder[256], path[300];
static loom_store *store;
static loom_arena *arena;

static int setup(void **state) {
    loom_error err = {0};
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    bool memory_kind = *state != NULL;
    loom_store_options options = {.path = memory_kind ? ":memory:" : path,
                                  .create = true,
                                  .step_bytes = 1 << 20,
                                  .durability = LOOM_DURABLE_NONE};
    REQUIRE_OK(loom_store_open(&options, &store, &err));
    arena = loom_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loom_arena_free(arena);
    loom_store_close(store);
    remove_tree(folder);
    return 0;
}

/* As a worker puts it: inline up to the limit, else in an extent. */
static loom_id put_value(uint64_t number, const loom_value *value, size_t limit) {
    loom_error err = {0};
    loom_buffer encoded = {0};
    assert_int_equal(loom_value_encode(value, &encoded), LOOM_OK);
    loom_result result = {.rkey = id_of("value", number), .type = value->type};
    loom_extent_writer *writer = NULL;
    uint64_t *hashes = calloc(loom_extent_block_count(encoded.length), sizeof *hashes);
    result.vid = loom_sha256(encoded.bytes, encoded.length);
    if (encoded.length <= limit) {
        result.payload = encoded.bytes;
        result.payload_bytes = encoded.length;
    } else {
        loom_reservation reservation;
        REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
        REQUIRE_OK(loom_extent_reserve(writer, encoded.length, true, &reservation, &err));
        memcpy(reservation.window, encoded.bytes, encoded.length);
        REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, result.root, &err));
        result.vid = result.rkey;
        result.blob = true;
        result.bulk = reservation.placement;
        result.block_hashes = hashes;
    }
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    loom_buffer_free(&encoded);
    free(hashes);
    return result.vid;
}

static void require_items(loom_sequence_reader *reader, const loom_value *items, size_t count) {
    loom_error err = {0};
    loom_value item;
    assert_int_equal(loom_sequence_count(reader), count);
    for (size_t i = 0; i < count; i++) { /* in order */
        REQUIRE_OK(loom_sequence_item(reader, i, arena, &item, &err));
        assert_true(loom_value_equal(&item, &items[i]));
        if (i % 64 == 0) loom_arena_reset(arena);
    }
    uint64_t random = count;
    for (int i = 0; i < 300 && count > 0; i++) { /* and anyhow */
        size_t at = next_random(&random) % count;
        REQUIRE_OK(loom_sequence_item(reader, at, arena, &item, &err));
        assert_true(loom_value_equal(&item, &items[at]));
    }
    loom_arena_reset(arena);
    REQUIRE_STATUS(loom_sequence_item(reader, count, arena, &item, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_sequence_metadata(reader, arena, &item, &err), LOOM_BAD_ARGUMENT);
}

/* Items of every form, nested ones included. */
static loom_value *mixed(size_t count) {
    static const int64_t integers[] = {0, 127, 128, 255, 256, 65535, 65536, INT64_MAX, -1, -32, -33, -129, INT64_MIN};
    static char text[70000];
    static loom_value inner[20];
    static loom_field fields[3];
    static loom_image_header header;
    memset(text, 'x', sizeof text);
    header = loom_image_header_make(LOOM_F32, 3, (uint64_t[]){2, 3, 4});
    for (size_t i = 0; i < 20; i++)
        inner[i] = loom_int((int64_t)i * 1000);
    fields[0] = (loom_field){"a", 1, loom_sequence(inner, 20)};
    fields[1] = (loom_field){"bc", 2, loom_tuple(inner, 3)};
    fields[2] = (loom_field){"d", 1, loom_record(NULL, 0)};
    static const size_t lengths[] = {0, 31, 32, 255, 256, 65535, 65536};
    loom_value *items = calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        loom_id vid = id_of("item", i);
        loom_value choices[] = {loom_int(integers[i % 13]),
                                loom_reference(LOOM_IMAGE, &vid),
                                loom_string(text, count < 500 ? lengths[i / 10 % 7] : i % 300),
                                loom_record(fields, i % 4),
                                loom_sequence(inner, i % 20),
                                loom_tuple(inner, i % 20),
                                loom_float((double)i / 3),
                                loom_null(),
                                loom_bool(i % 2),
                                loom_image(&header, NULL),
                                loom_bytes(text, count < 500 ? lengths[i / 10 % 7] : i % 300)};
        items[i] = choices[i % 11];
    }
    return items;
}

static void sequences(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 15, 16, 400, 4096, 4097, 5120, 9999};
    loom_error err = {0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (uint64_t tuple = 0; tuple < 2; tuple++) {
            loom_value *items = mixed(counts[i]);
            loom_value value = tuple ? loom_tuple(items, counts[i]) : loom_sequence(items, counts[i]);
            loom_id rkey = id_of("value", 10 * i + tuple), vid = put_value(10 * i + tuple, &value, 16384);
            loom_sequence_reader *reader;
            REQUIRE_OK(loom_sequence_open(store, &rkey, &reader, &err));
            assert_int_equal(loom_sequence_is_tuple(reader), tuple);
            require_items(reader, items, counts[i]);
            loom_sequence_close(reader);
            REQUIRE_OK(loom_sequence_open_value(store, &vid, &reader, &err));
            loom_sequence_close(reader);
            free(items);
        }
    loom_value number = loom_int(7);
    put_value(99, &number, 16384);
    loom_sequence_reader *reader;
    loom_id rkey = id_of("value", 99), none = id_of("value", 98);
    REQUIRE_STATUS(loom_sequence_open(store, &rkey, &reader, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_sequence_open(store, &none, &reader, &err), LOOM_NOT_FOUND);
    loom_sequence_close(NULL);
}

/* 300,000 references: 10.8 MB, of which an item needs two blocks at most. */
static void a_long_sequence(void **state) {
    (void)state;
    enum { COUNT = 300000 };
    loom_error err = {0};
    loom_value *items = calloc(COUNT, sizeof *items);
    for (uint64_t i = 0; i < COUNT; i++) {
        loom_id vid = id_of("item", 0);
        memcpy(vid.bytes, &i, sizeof i);
        items[i] = loom_reference(LOOM_IMAGE, &vid);
    }
    loom_value value = loom_sequence(items, COUNT), item;
    put_value(1, &value, 16384);
    loom_id rkey = id_of("value", 1);
    loom_sequence_reader *reader;
    REQUIRE_OK(loom_sequence_open(store, &rkey, &reader, &err));
    assert_int_equal(loom_sequence_count(reader), COUNT);
    for (size_t i = 0; i < 2000; i++) {
        size_t at = i * 7919 % COUNT;
        REQUIRE_OK(loom_sequence_item(reader, at, arena, &item, &err));
        assert_true(loom_value_equal(&item, &items[at]));
    }
    loom_sequence_close(reader);
    free(items);
}

/* ---- datasets ---- */

typedef struct toy_loader {
    unsigned keys, loads;
    uint64_t version; /* of the "file" */
} toy_loader;

static const loom_value *argument(const loom_value *description) {
    return &loom_record_get(description, "args")->sequence.items[0];
}

static loom_status toy_key(const loom_value *description, void *context, loom_id *rkey, loom_error *err) {
    (void)err;
    toy_loader *toy = context;
    toy->keys++;
    *rkey = id_of("value", 1000 + (uint64_t)argument(description)->integer + 100 * toy->version);
    return LOOM_OK;
}

static loom_status toy_load(const loom_value *description, const loom_id *rkey, void *context, loom_error *err) {
    (void)rkey, (void)err;
    toy_loader *toy = context;
    toy->loads++;
    int64_t number = argument(description)->integer;
    if (number == 3) return loom_fail(err, LOOM_BAD_INPUT, "input 3 is missing");
    loom_value value = loom_float((double)number + (double)toy->version / 2);
    put_value(1000 + (uint64_t)number + 100 * toy->version, &value, 16384);
    return LOOM_OK;
}

static void datasets_load_on_first_use(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    loom_error err = {0};
    loom_value referred = loom_sequence(NULL, 0);
    loom_id vid = put_value(1, &referred, 16384);
    loom_value *items = calloc(COUNT, sizeof *items), *args = calloc(COUNT, sizeof *args);
    loom_field(*fields)[2] = calloc(COUNT, sizeof *fields);
    for (size_t i = 0; i < COUNT; i++) {
        args[i] = loom_int((int64_t)i);
        fields[i][0] = (loom_field){"op", 2, loom_string_of("toy")};
        fields[i][1] = (loom_field){"args", 4, loom_sequence(&args[i], 1)};
        items[i] = i == 7 ? loom_reference(LOOM_SEQUENCE, &vid) : loom_record(fields[i], 2);
    }
    loom_field about[] = {{"study", 5, loom_string_of("x")}};
    loom_value metadata = loom_record(about, 1), dataset = loom_dataset(&metadata, items, COUNT), read, item;
    put_value(2, &dataset, 16384);

    loom_id rkey = id_of("value", 2);
    loom_sequence_reader *reader;
    REQUIRE_OK(loom_sequence_open(store, &rkey, &reader, &err));
    assert_int_equal(loom_sequence_count(reader), COUNT);
    REQUIRE_OK(loom_sequence_metadata(reader, arena, &read, &err));
    assert_true(loom_value_equal(&read, &metadata));

    toy_loader toy = {0};
    loom_item_loader loader = {toy_key, toy_load, &toy};
    loom_result result;
    loom_hold hold;
    for (unsigned round = 0; round < 2; round++)
        for (int64_t i = 4; i < 4 + 8; i++) {
            REQUIRE_OK(loom_sequence_item(reader, (uint64_t)i, arena, &item, &err));
            REQUIRE_OK(loom_dataset_item(store, &item, &loader, arena, &result, &hold, &err));
            loom_view view;
            REQUIRE_OK(loom_store_value(store, &result, arena, &read, &view, &err));
            loom_value expected = i == 7 ? referred : loom_float((double)i);
            assert_true(loom_value_equal(&read, &expected));
            loom_store_unhold(store, &hold);
            loom_extent_release(&view);
            assert_int_equal(toy.loads, round == 1 ? 7 : i < 7 ? i - 3 : i == 7 ? 3 : i - 4);
        }
    toy.version = 1; /* the input changed: other keys, loaded again */
    REQUIRE_OK(loom_dataset_item(store, &items[5], &loader, arena, &result, &hold, &err));
    loom_store_unhold(store, &hold);
    assert_int_equal(toy.loads, 8);
    REQUIRE_STATUS(loom_dataset_item(store, &items[3], &loader, arena, &result, &hold, &err), LOOM_BAD_INPUT);
    REQUIRE_STATUS(loom_dataset_item(store, &metadata, &loader, arena, &result, &hold, &err), LOOM_BAD_ARGUMENT);
    loom_id nobody = id_of("nobody", 1);
    item = loom_reference(LOOM_IMAGE, &nobody);
    REQUIRE_STATUS(loom_dataset_item(store, &item, &loader, arena, &result, &hold, &err), LOOM_NOT_FOUND);
    loom_sequence_close(reader);
    free(items);
    free(args);
    free(fields);
}

/* ---- every type, every size ---- */

static void require_back(uint64_t number, const loom_value *value, size_t limit) {
    loom_error err = {0};
    loom_id rkey = id_of("value", number), vid = put_value(number, value, limit);
    loom_result found;
    loom_value read;
    loom_view view;
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    assert_int_equal(found.type, value->type);
    assert_true(loom_id_equal(&found.vid, &vid));
    REQUIRE_OK(loom_store_verify(store, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &read, &view, &err));
    assert_true(loom_value_equal(&read, value));
    loom_extent_release(&view);
    loom_arena_reset(arena);
}

static double bits(uint64_t pattern) {
    double number;
    memcpy(&number, &pattern, sizeof number);
    return number;
}

static void every_type_comes_back(void **state) {
    (void)state;
    static const uint64_t patterns[] = {0,
                                        UINT64_C(1) << 63,             /* -0 */
                                        UINT64_C(0x7FF0000000000000),  /* inf */
                                        UINT64_C(0xFFF0000000000000),  /* -inf */
                                        UINT64_C(0x7FF8000000000001),  /* quiet NaN with a payload */
                                        UINT64_C(0xFFF7FFFFFFFFFFFF),  /* signalling */
                                        UINT64_C(0x7FF4000000000123),  /* signalling */
                                        1,                             /* the smallest */
                                        UINT64_C(0x7FEFFFFFFFFFFFFF)}; /* the largest */
    static const int64_t integers[] = {0, -1, INT64_MAX, INT64_MIN, -32, -33, 127, 128, 1 << 30};
    static const size_t sizes[] = {0,     1,     31,    32,    255,           256,           16379,  16380,
                                   16381, 16384, 65535, 65536, (1 << 20) - 5, (1 << 20) + 1, 3 << 20};
    uint64_t number = 0;
    loom_value value = loom_null();
    require_back(number++, &value, 16384);
    for (int i = 0; i < 2; i++)
        require_back(number++, &(loom_value){.type = LOOM_BOOL, .boolean = i == 1}, 16384);
    for (size_t i = 0; i < 9; i++) {
        value = loom_int(integers[i]);
        require_back(number++, &value, 16384);
        value = loom_float(bits(patterns[i]));
        require_back(number++, &value, 16384);
    }
    char *text = malloc(3 << 20);
    uint64_t random = 5;
    for (size_t i = 0; i < 3 << 20; i++)
        text[i] = (char)next_random(&random);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        value = loom_string(text, sizes[i]);
        require_back(number++, &value, 16384);
        value = loom_bytes(text, sizes[i]);
        require_back(number++, &value, 16384);
        loom_field outer[2] = {{"text", 4, value}, {"", 0, loom_float(bits(patterns[i % 9]))}};
        loom_value inner = loom_record(outer, 2);
        loom_field nested[1] = {{"inner", 5, inner}};
        value = loom_record(nested, 1);
        require_back(number++, &value, 16384);
        value = loom_dataset(&inner, NULL, 0);
        require_back(number++, &value, 16384);
    }
    free(text);
}

static void images_of_every_kind(void **state) {
    (void)state;
    loom_error err = {0};
    uint64_t number = 0;
    for (int dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 4; rank++)
            for (uint16_t components = 1; components <= 3; components += 2, number++) {
                loom_image_header header = loom_image_header_make((loom_dtype)dtype, rank, (uint64_t[]){31, 17, 3, 2});
                header.components = components;
                header.spacing[1] = 0.75;
                header.origin[0] = -0.0;
                header.direction[0] = 0.6;
                size_t bytes = loom_image_bytes(&header), got;
                uint8_t *voxels = malloc(bytes), *back = malloc(bytes);
                fill_image(voxels, bytes, number); /* NaN payloads among them */
                loom_stream_options options = {.rkey = id_of("picture", number), .type = LOOM_IMAGE, .image = &header};
                loom_stream_writer *writer;
                REQUIRE_OK(loom_stream_writer_create(store, &options, &writer, &err));
                REQUIRE_OK(loom_stream_writer_write(writer, voxels, bytes, &err));
                REQUIRE_OK(loom_stream_writer_commit(writer, NULL, &err));
                loom_result found;
                loom_value value, expected = loom_image(&header, voxels);
                loom_view view;
                REQUIRE_OK(loom_store_find(store, &options.rkey, arena, &found, &err));
                REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
                assert_true(loom_value_equal(&value, &expected));
                loom_extent_release(&view);
                loom_stream_reader *reader;
                REQUIRE_OK(loom_stream_reader_open(store, &options.rkey, &reader, &err));
                assert_memory_equal(loom_stream_reader_image(reader), &header, sizeof header);
                REQUIRE_OK(loom_stream_reader_read(reader, back, bytes, &got, &err));
                assert_memory_equal(back, voxels, bytes);
                loom_stream_reader_close(reader);
                free(voxels);
                free(back);
            }
}

#define BOTH(test)                                                                                                     \
    {"disk: " #test, test, setup, teardown, NULL}, {                                                                   \
        "memory: " #test, test, setup, teardown, store_in_memory                                                       \
    }

int main(void) {
    static char store_in_memory[] = "memory";
    const struct CMUnitTest tests[] = {
        BOTH(sequences),
        BOTH(a_long_sequence),
        BOTH(datasets_load_on_first_use),
        BOTH(every_type_comes_back),
        BOTH(images_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
