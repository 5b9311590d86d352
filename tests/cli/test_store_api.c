/* test_store_api.c - <voxloom/store.h> as a host program sees it: linked against the shared library, by its header
 * alone.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <voxloom/store.h>

static char folder[64], path[96];
static loom_shelf *shelf;
static loom_error err;

#define OK(call) require((call), #call, __LINE__)

static void require(loom_status status, const char *what, int line) {
    if (status != LOOM_OK) fail_msg("line %d: %s: %s: %s", line, what, loom_status_name(status), err.message);
}

static loom_shelf *opened(uint32_t create, uint32_t read_only) {
    loom_shelf *made = NULL;
    const loom_shelf_options options = {.size = sizeof options, .path = path, .create = create, .read_only = read_only};
    OK(loom_shelf_open(&options, &made, &err));
    return made;
}

static int set_up(void **state) {
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.30s/loom-api-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/store", folder);
    memset(&err, 0, sizeof err);
    shelf = opened(1, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    loom_shelf_close(shelf);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void open_again(void) {
    loom_shelf_close(shelf);
    shelf = opened(0, 0);
}

static loom_item *got(const uint8_t id[32]) {
    loom_item *item = NULL;
    OK(loom_shelf_get(shelf, id, &item, &err));
    return item;
}

/* ---- values ---- */

static void test_scalars(void **state) {
    (void)state;
    uint64_t bits = UINT64_C(0x7ff4dead0000beef), back;
    double nan_value;
    uint8_t ids[6][32];
    loom_maker *maker = loom_maker_new();
    memcpy(&nan_value, &bits, sizeof bits);
    OK(loom_maker_null(maker));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, ids[0], &err));
    loom_maker_clear(maker);
    OK(loom_maker_bool(maker, 7));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, ids[1], &err));
    loom_maker_clear(maker);
    OK(loom_maker_int(maker, INT64_MIN));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, ids[2], &err));
    loom_maker_clear(maker);
    OK(loom_maker_float(maker, nan_value));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, ids[3], &err));
    loom_maker_clear(maker);
    OK(loom_maker_string(maker, "a\0b\xc3\xa9", 5));
    OK(loom_shelf_set(shelf, "text", 4, maker, 0, ids[4], &err));
    loom_maker_clear(maker);
    OK(loom_maker_bytes(maker, "", 0));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, ids[5], &err));
    loom_maker_free(maker);
    open_again();
    static const int32_t types[] = {LOOM_ITEM_NULL,  LOOM_ITEM_BOOL,   LOOM_ITEM_INT,
                                    LOOM_ITEM_FLOAT, LOOM_ITEM_STRING, LOOM_ITEM_BYTES};
    for (size_t i = 0; i < 6; i++) {
        size_t length = 99;
        loom_item *item = got(ids[i]);
        assert_int_equal(loom_item_type(item), types[i]);
        assert_int_equal(loom_item_bool(item), i == 1);
        assert_true(loom_item_int(item) == (i == 2 ? INT64_MIN : 0));
        double number = loom_item_float(item);
        memcpy(&back, &number, sizeof back);
        if (i == 3) assert_true(back == bits);
        const char *text = loom_item_text(item, &length);
        assert_int_equal(text != NULL, i >= 4);
        assert_int_equal(length, i == 4 ? 5 : 0);
        if (i == 4) assert_memory_equal(text, "a\0b\xc3\xa9", 5);
        assert_int_equal(loom_item_count(item), 0);
        assert_null(loom_item_at(item, 0));
        loom_item_release(item);
    }
}

/* {"patient": {"age": 63, "scans": [1.5, (true, null)]}, "modality": "flair"} */
static void make_patient(loom_maker *maker, int64_t age, const char *modality) {
    OK(loom_maker_begin_record(maker));
    OK(loom_maker_name(maker, "patient", 7));
    OK(loom_maker_begin_record(maker));
    OK(loom_maker_name(maker, "age", 3));
    OK(loom_maker_int(maker, age));
    OK(loom_maker_name(maker, "scans", 5));
    OK(loom_maker_begin_sequence(maker));
    OK(loom_maker_float(maker, 1.5));
    OK(loom_maker_begin_tuple(maker));
    OK(loom_maker_bool(maker, 1));
    OK(loom_maker_null(maker));
    OK(loom_maker_end(maker));
    OK(loom_maker_end(maker));
    OK(loom_maker_end(maker));
    OK(loom_maker_name(maker, "modality", 8));
    OK(loom_maker_string(maker, modality, strlen(modality)));
    OK(loom_maker_end(maker));
}

static void test_nested(void **state) {
    (void)state;
    uint8_t id[32], same[32];
    size_t length;
    loom_maker *maker = loom_maker_new();
    make_patient(maker, 63, "flair");
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, id, &err));
    loom_item *item = got(id);
    assert_int_equal(loom_item_count(item), 2);
    assert_memory_equal(loom_item_field_name(item, 1, &length), "modality", 8);
    assert_int_equal(length, 8);
    assert_null(loom_item_field_name(item, 2, &length));
    loom_item *patient = (loom_item *)loom_item_field(item, "patient", 7);
    assert_non_null(patient);
    assert_null(loom_item_field(item, "patien", 6));
    assert_int_equal(loom_item_int(loom_item_field(patient, "age", 3)), 63);
    loom_item *scans = (loom_item *)loom_item_field(patient, "scans", 5);
    assert_int_equal(loom_item_count(scans), 2);
    assert_int_equal(loom_item_is_tuple(scans), 0);
    loom_item *pair = (loom_item *)loom_item_at(scans, 1);
    assert_int_equal(loom_item_is_tuple(pair), 1);
    assert_int_equal(loom_item_bool(loom_item_at(pair, 0)), 1);
    assert_null(loom_item_at(pair, 2));
    /* By its encoding, the same value again: the same result. */
    const uint8_t *encoding = loom_item_encoding(item, &length);
    loom_maker_clear(maker);
    OK(loom_maker_encoded(maker, encoding, length));
    OK(loom_shelf_set(shelf, NULL, 0, maker, 0, same, &err));
    assert_memory_equal(id, same, 32);
    loom_item_release(item);
    loom_maker_free(maker);
}

static void test_datasets(void **state) {
    (void)state;
    uint8_t id[32], vid[32] = {1, 2, 3};
    size_t length;
    loom_maker *maker = loom_maker_new();
    OK(loom_maker_begin_dataset(maker));
    assert_int_equal(loom_maker_end(maker), LOOM_BAD_ARGUMENT); /* no metadata */
    loom_maker_clear(maker);
    OK(loom_maker_begin_dataset(maker));
    make_patient(maker, 44, "t2");
    OK(loom_maker_reference(maker, LOOM_ITEM_IMAGE, vid));
    OK(loom_maker_reference(maker, LOOM_ITEM_IMAGE, vid));
    OK(loom_maker_end(maker));
    OK(loom_shelf_set(shelf, "study", 5, maker, 0, id, &err));
    loom_maker_free(maker);
    open_again();
    loom_item *item = got(id);
    assert_int_equal(loom_item_type(item), LOOM_ITEM_DATASET);
    assert_int_equal(loom_item_count(item), 2);
    uint8_t found[32];
    assert_int_equal(loom_item_reference(loom_item_at(item, 1), found), LOOM_ITEM_IMAGE);
    assert_memory_equal(found, vid, 32);
    loom_item *metadata = (loom_item *)loom_item_metadata(item);
    assert_memory_equal(loom_item_text(loom_item_field(metadata, "modality", 8), &length), "t2", 2);
    assert_null(loom_item_metadata(metadata));
    loom_item_release(item);
    loom_list *list; /* queries see it */
    OK(loom_shelf_find(shelf, "patient.age == 44", 17, &list, &err));
    assert_int_equal(loom_list_count(list), 1);
    loom_list_free(list);
}

static void test_wrong_makers(void **state) {
    (void)state;
    loom_maker *maker = loom_maker_new();
    assert_int_equal(loom_shelf_set(shelf, NULL, 0, maker, 0, NULL, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_maker_end(maker), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_maker_int(maker, 1), LOOM_BAD_ARGUMENT); /* failed: until it is cleared */
    loom_maker_clear(maker);
    OK(loom_maker_begin_record(maker));
    assert_int_equal(loom_maker_int(maker, 1), LOOM_BAD_ARGUMENT);
    loom_maker_clear(maker);
    OK(loom_maker_begin_record(maker));
    OK(loom_maker_name(maker, "x", 1));
    assert_int_equal(loom_maker_end(maker), LOOM_BAD_ARGUMENT);
    loom_maker_clear(maker);
    OK(loom_maker_int(maker, 1));
    assert_int_equal(loom_maker_int(maker, 2), LOOM_BAD_ARGUMENT);
    loom_maker_clear(maker);
    OK(loom_maker_begin_record(maker));
    for (int i = 0; i < 2; i++) {
        OK(loom_maker_name(maker, "twice", 5));
        OK(loom_maker_int(maker, i));
    }
    OK(loom_maker_end(maker));
    assert_int_equal(loom_shelf_set(shelf, NULL, 0, maker, 0, NULL, &err), LOOM_BAD_ARGUMENT);
    loom_maker_clear(maker);
    for (int i = 0; i < 64; i++)
        OK(loom_maker_begin_sequence(maker));
    assert_int_equal(loom_maker_begin_sequence(maker), LOOM_TOO_LARGE);
    loom_maker_clear(maker);
    assert_int_equal(loom_maker_encoded(maker, "\xc1", 1), LOOM_BAD_ARGUMENT);
    loom_maker_free(maker);
    loom_maker_free(NULL);
}

static void test_images(void **state) {
    (void)state;
    enum { WIDTH = 700, HEIGHT = 600, DEPTH = 4 };
    uint8_t id[32], by_name[32], list_id[32];
    uint16_t *voxels = malloc(2 * WIDTH * HEIGHT * DEPTH);
    for (size_t i = 0; i < WIDTH * HEIGHT * DEPTH; i++)
        voxels[i] = (uint16_t)(i * 2654435761u >> 7);
    loom_image_info image, back = {.size = sizeof back};
    OK(loom_image_info_init(&image, LOOM_PIXEL_U16, 3, (uint64_t[]){WIDTH, HEIGHT, DEPTH}, &err));
    assert_int_equal(image.bytes, 2 * WIDTH * HEIGHT * DEPTH);
    image.voxels = voxels;
    image.spacing[0] = 0.9375;
    image.origin[2] = -71.5;
    OK(loom_shelf_set_image(shelf, NULL, 0, &image, 0, id, &err));
    OK(loom_shelf_set_image(shelf, "head", 4, &image, 0, by_name, &err));
    assert_memory_not_equal(id, by_name, 32);
    open_again();
    loom_item *item = got(by_name);
    OK(loom_item_image(item, &back, &err));
    assert_memory_equal(back.voxels, voxels, back.bytes);
    assert_int_equal((uintptr_t)back.voxels % 4096, 0);
    back.voxels = image.voxels;
    assert_memory_equal(&back, &image, sizeof back);
    /* A sequence of images is references. */
    loom_item_info info = {.size = sizeof info};
    OK(loom_item_info_of(item, &info, &err));
    assert_memory_equal(info.id, by_name, 32);
    assert_string_equal(info.operator_name, "loom.set");
    loom_maker *maker = loom_maker_new();
    OK(loom_maker_begin_sequence(maker));
    OK(loom_maker_reference(maker, LOOM_ITEM_IMAGE, info.value_id));
    OK(loom_maker_end(maker));
    OK(loom_shelf_set(shelf, "all heads", 9, maker, 0, list_id, &err));
    loom_maker_free(maker);
    /* The mapping outlives the result. */
    OK(loom_shelf_remove(shelf, by_name, &err));
    OK(loom_item_image(item, &back, &err));
    assert_memory_equal(back.voxels, voxels, back.bytes);
    loom_item_release(item);
    /* Its value is there still, under the other id. */
    uint8_t vid[32];
    item = got(list_id);
    assert_int_equal(loom_item_reference(loom_item_at(item, 0), vid), LOOM_ITEM_IMAGE);
    assert_int_equal(loom_item_reference(item, vid), -1);
    loom_item *referred = NULL;
    OK(loom_item_reference(loom_item_at(item, 0), vid) == LOOM_ITEM_IMAGE ? LOOM_OK : LOOM_INTERNAL);
    OK(loom_shelf_get_value(shelf, vid, &referred, &err));
    OK(loom_item_image(referred, &back, &err));
    assert_memory_equal(back.voxels, voxels, back.bytes);
    assert_int_equal(loom_item_image(item, &back, &err), LOOM_BAD_ARGUMENT);
    loom_item_release(referred);
    loom_item_release(item);
    /* What is no image. */
    image.rank = 5;
    assert_int_equal(loom_shelf_set_image(shelf, NULL, 0, &image, 0, NULL, &err), LOOM_BAD_ARGUMENT);
    image.rank = 3;
    image.spacing[1] = NAN;
    assert_int_not_equal(loom_shelf_set_image(shelf, NULL, 0, &image, 0, NULL, &err), LOOM_OK);
    image.spacing[1] = 1;
    image.voxels = NULL;
    assert_int_equal(loom_shelf_set_image(shelf, NULL, 0, &image, 0, NULL, &err), LOOM_BAD_ARGUMENT);
    free(voxels);
}

/* ---- names, batches ---- */

static loom_status set_text(const char *name, const char *text, uint32_t flags, uint8_t id[32]) {
    loom_maker *maker = loom_maker_new();
    OK(loom_maker_string(maker, text, strlen(text)));
    loom_status status = loom_shelf_set(shelf, name, strlen(name), maker, flags, id, &err);
    loom_maker_free(maker);
    return status;
}

static void test_names(void **state) {
    (void)state;
    uint8_t id[32], of_name[32], found[32];
    size_t length;
    OK(set_text("a name", "first", 0, id));
    OK(loom_name_id("a name", 6, of_name, &err));
    assert_memory_equal(id, of_name, 32);
    OK(loom_shelf_exists(shelf, id, &err));
    OK(set_text("a name", "first", 0, NULL));
    assert_int_equal(set_text("a name", "second", 0, NULL), LOOM_IRREPRODUCIBLE);
    OK(set_text("a name", "second", LOOM_SET_REPLACE, NULL));
    assert_int_equal(set_text("a name", "third", 4, NULL), LOOM_BAD_ARGUMENT);
    OK(loom_shelf_lookup(shelf, "key:a name", found, &err));
    assert_memory_equal(id, found, 32);
    loom_item *item = got(id);
    assert_memory_equal(loom_item_text(item, &length), "second", 6);
    assert_memory_equal(loom_item_name(item, &length), "a name", 6);
    assert_int_equal(length, 6);
    loom_item_release(item);
    OK(loom_shelf_remove(shelf, id, &err));
    assert_int_equal(loom_shelf_exists(shelf, id, &err), LOOM_NOT_FOUND);
    assert_int_equal(loom_shelf_remove(shelf, id, &err), LOOM_NOT_FOUND);
    memset(&err, 0, sizeof err);
    assert_int_equal(loom_shelf_get(shelf, id, &item, &err), LOOM_NOT_FOUND);
    assert_null(item);
    assert_string_equal(err.message, "");
    assert_int_equal(loom_shelf_lookup(shelf, "key:a name", found, &err), LOOM_NOT_FOUND);
    assert_int_equal(loom_shelf_lookup(shelf, "xyz", found, &err), LOOM_BAD_USAGE);
    assert_int_equal(loom_name_id("", 0, of_name, &err), LOOM_BAD_ARGUMENT);
}

static void test_batches(void **state) {
    (void)state;
    loom_shelf_batch *batch;
    uint8_t ids[2][32];
    loom_maker *maker = loom_maker_new();
    for (int commit = 0; commit < 2; commit++) {
        OK(loom_shelf_begin(shelf, &batch, &err));
        for (int i = 0; i < 2; i++) {
            loom_maker_clear(maker);
            OK(loom_maker_int(maker, 100 + i));
            OK(loom_batch_set(batch, NULL, 0, maker, 0, ids[i], &err));
        }
        OK(loom_batch_keep(batch, ids[0], "somebody", &err));
        assert_int_equal(loom_shelf_exists(shelf, ids[0], &err), LOOM_NOT_FOUND);
        if (commit)
            OK(loom_shelf_commit(batch, &err));
        else
            loom_shelf_drop(batch);
        assert_int_equal(loom_shelf_exists(shelf, ids[1], &err), commit ? LOOM_OK : LOOM_NOT_FOUND);
    }
    loom_shelf_stats stats = {.size = sizeof stats};
    OK(loom_shelf_stat(shelf, &stats, &err));
    assert_int_equal(stats.results, 2);
    assert_int_equal(stats.pins, 3); /* what is set is pinned: nothing can compute it again */
    OK(loom_shelf_unpin(shelf, ids[0], "somebody", &err));
    assert_int_equal(loom_shelf_unpin(shelf, ids[0], "somebody", &err), LOOM_NOT_FOUND);
    OK(loom_shelf_pin(shelf, ids[1], "another", &err));
    OK(loom_shelf_begin(shelf, &batch, &err));
    OK(loom_batch_remove(batch, ids[0], &err));
    OK(loom_batch_unkeep(batch, ids[1], "another", &err));
    OK(loom_shelf_commit(batch, &err));
    OK(loom_shelf_stat(shelf, &stats, &err));
    assert_int_equal(stats.results, 1);
    assert_int_equal(stats.pins, 1);
    loom_maker_free(maker);
    loom_shelf_drop(NULL);
}

/* ---- lists ---- */

static void test_lists(void **state) {
    (void)state;
    loom_list *list;
    loom_item_info info = {.size = sizeof info};
    size_t length;
    uint8_t ids[5][32];
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        loom_maker *maker = loom_maker_new();
        make_patient(maker, 50 + 5 * i, i % 2 ? "t1" : "flair");
        OK(loom_shelf_set(shelf, name, 2, maker, 0, ids[i], &err));
        loom_maker_free(maker);
    }
    OK(loom_shelf_list(shelf, &list, &err));
    assert_int_equal(loom_list_count(list), 5);
    OK(loom_shelf_remove(shelf, ids[1], &err));
    for (int i = 0; i < 5; i++) {
        if (i == 1) continue;
        OK(loom_list_next(list, &info, &err));
        assert_memory_equal(info.id, ids[i], 32);
        assert_int_equal(info.type, LOOM_ITEM_RECORD);
        const char *name = loom_list_name(list, &length);
        assert_int_equal(length, 2);
        assert_int_equal(name[1], '0' + i);
    }
    assert_int_equal(loom_list_next(list, &info, &err), LOOM_NOT_FOUND);
    loom_list_free(list);
    static const char query[] = "patient.age > 55 and modality == \"flair\"";
    OK(loom_shelf_find(shelf, query, sizeof query - 1, &list, &err));
    assert_int_equal(loom_list_count(list), 2);
    OK(loom_list_next(list, &info, &err));
    assert_memory_equal(info.id, ids[2], 32);
    loom_list_free(list);
    assert_int_equal(loom_shelf_find(shelf, "age >", 5, &list, &err), LOOM_BAD_USAGE);
    assert_null(list);
    loom_list_free(NULL);
}

/* ---- streams ---- */

static void test_streams(void **state) {
    (void)state;
    enum { BYTES = 2500000 };
    uint8_t id[32], *bytes = malloc(BYTES), *back = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * i >> 5);
    loom_shelf_writer *writer;
    loom_shelf_reader *reader;
    OK(loom_shelf_write(shelf, "long", 4, LOOM_ITEM_BYTES, NULL, &writer, &err));
    OK(loom_writer_add(writer, bytes, 2000000, &err));
    OK(loom_writer_suspend(writer, &err));
    open_again();
    OK(loom_shelf_resume(shelf, "long", 4, &writer, &err));
    uint64_t at = loom_writer_position(writer);
    assert_true(at <= 2000000);
    OK(loom_writer_add(writer, bytes + at, BYTES - at, &err));
    OK(loom_writer_commit(writer, 0, id, &err));
    OK(loom_shelf_read(shelf, id, &reader, &err));
    assert_int_equal(loom_reader_length(reader), BYTES);
    size_t length;
    OK(loom_reader_seek(reader, 1000000, &err));
    OK(loom_reader_next(reader, back, BYTES, &length, &err));
    assert_int_equal(length, BYTES - 1000000);
    assert_memory_equal(back, bytes + 1000000, length);
    loom_reader_close(reader);
    loom_item *item = got(id);
    assert_memory_equal(loom_item_text(item, &length), bytes, BYTES);
    assert_memory_equal(loom_item_name(item, &length), "long", 4);
    loom_item_release(item);
    /* An image; and one that is given up. */
    loom_image_info image;
    OK(loom_image_info_init(&image, LOOM_PIXEL_U8, 2, (uint64_t[]){1000, 2500}, &err));
    OK(loom_shelf_write(shelf, "image", 5, LOOM_ITEM_IMAGE, &image, &writer, &err));
    OK(loom_writer_add(writer, bytes, BYTES, &err));
    OK(loom_writer_commit(writer, LOOM_SET_EVICTABLE, id, &err));
    item = got(id);
    OK(loom_item_image(item, &image, &err));
    assert_memory_equal(image.voxels, bytes, BYTES);
    loom_item_release(item);
    OK(loom_shelf_write(shelf, "gone", 4, LOOM_ITEM_STRING, NULL, &writer, &err));
    OK(loom_writer_add(writer, "abc", 3, &err));
    loom_writer_abort(writer);
    OK(loom_name_id("gone", 4, id, &err));
    assert_int_equal(loom_shelf_exists(shelf, id, &err), LOOM_NOT_FOUND);
    assert_int_equal(loom_shelf_write(shelf, "x", 1, LOOM_ITEM_INT, NULL, &writer, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_shelf_resume(shelf, "x", 1, &writer, &err), LOOM_NOT_FOUND);
    free(bytes);
    free(back);
}

/* ---- opening ---- */

static void test_opening(void **state) {
    (void)state;
    loom_shelf *other = (loom_shelf *)1;
    loom_shelf_options options = {.size = 3, .path = path};
    assert_int_equal(loom_shelf_open(&options, &other, &err), LOOM_BAD_ARGUMENT);
    assert_null(other);
    options.size = sizeof options + 8;
    assert_int_equal(loom_shelf_open(&options, &other, &err), LOOM_BAD_ARGUMENT);
    options = (loom_shelf_options){.size = sizeof options, .path = "/nowhere/at/all"};
    assert_int_equal(loom_shelf_open(&options, &other, &err), LOOM_NOT_FOUND);
    uint8_t id[32];
    OK(set_text("x", "y", 0, id));
    other = opened(0, 1);
    OK(loom_shelf_exists(other, id, &err));
    assert_int_equal(loom_shelf_remove(other, id, &err), LOOM_DENIED);
    loom_shelf_close(other);
    loom_shelf_close(NULL);
    loom_item_release(NULL);
}

static void test_encrypted(void **state) {
    (void)state;
    char encrypted[128];
    uint8_t id[32];
    snprintf(encrypted, sizeof encrypted, "%s/secret", folder);
    setenv("LOOM_TEST_KEY", "a passphrase for this test", 1);
    loom_shelf_options options = {.size = sizeof options, .path = encrypted, .create = 1, .key = "env:LOOM_TEST_KEY"};
    loom_shelf *plain = shelf;
    OK(loom_shelf_open(&options, &shelf, &err));
    OK(set_text("x", "y", 0, id));
    loom_shelf_stats stats = {.size = sizeof stats};
    OK(loom_shelf_stat(shelf, &stats, &err));
    assert_int_equal(stats.encrypted, 1);
    loom_shelf_close(shelf);
    shelf = plain;
    loom_shelf *other;
    options.key = NULL;
    assert_int_equal(loom_shelf_open(&options, &other, &err), LOOM_DENIED);
    setenv("LOOM_TEST_KEY", "another passphrase, a wrong one", 1);
    options.key = "env:LOOM_TEST_KEY";
    assert_int_equal(loom_shelf_open(&options, &other, &err), LOOM_DENIED);
}

/* A program that was built with an earlier, shorter struct. */
static void test_smaller_structs(void **state) {
    (void)state;
    loom_item_info info = {.size = sizeof info - 8};
    uint8_t id[32];
    OK(set_text("x", "y", 0, id));
    loom_item *item = got(id);
    assert_int_equal(loom_item_info_of(item, &info, &err), LOOM_BAD_ARGUMENT); /* this is the first version */
    struct {
        loom_item_info info;
        uint64_t later;
    } larger = {.info = {.size = sizeof larger}, .later = 42};
    OK(loom_item_info_of(item, &larger.info, &err));
    assert_int_equal(larger.later, 42);
    assert_int_equal(larger.info.size, sizeof larger);
    loom_item_release(item);
}

/* ---- threads ---- */

static void *use_shelf(void *context) {
    int number = *(int *)context;
    loom_error own = {0};
    for (int i = 0; i < 50; i++) {
        char name[32];
        uint8_t id[32];
        int length = snprintf(name, sizeof name, "%d of %d", i, number);
        loom_item *item = NULL;
        loom_maker *maker = loom_maker_new();
        bool well = loom_maker_int(maker, i) == LOOM_OK &&
                    loom_shelf_set(shelf, name, (size_t)length, maker, 0, id, &own) == LOOM_OK &&
                    loom_shelf_get(shelf, id, &item, &own) == LOOM_OK && loom_item_int(item) == i;
        loom_item_release(item);
        loom_maker_free(maker);
        if (!well) return context;
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    int numbers[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shelf, &numbers[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    loom_shelf_stats stats = {.size = sizeof stats};
    OK(loom_shelf_stat(shelf, &stats, &err));
    assert_int_equal(stats.results, 200);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    setenv("VOXLOOM_STORE_DURABILITY", "none", 1); /* 200 commits: this is no test of the disk */
    const struct CMUnitTest tests[] = {
        API_TEST(test_scalars), API_TEST(test_nested),  API_TEST(test_datasets),  API_TEST(test_wrong_makers),
        API_TEST(test_images),  API_TEST(test_names),   API_TEST(test_batches),   API_TEST(test_lists),
        API_TEST(test_streams), API_TEST(test_opening), API_TEST(test_encrypted), API_TEST(test_smaller_structs),
        API_TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
