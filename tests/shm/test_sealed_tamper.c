/* test_sealed_tamper.c - an encrypted store that someone changes on the disk: every change is an error or an absent
 * result, and never another value. */
#include "sealed_scene.h"

#include <lmdb.h>

#include "shm/seal/cipher.h"
#include "shm/seal/seal.h"

/* ---- rows, bit by bit ---- */

static loom_cipher *cipher_of(uint8_t seed) {
    uint8_t master[32] = {seed};
    loom_cipher *cipher;
    assert_int_equal(loom_cipher_new(master, &cipher, NULL), LOOM_OK);
    return cipher;
}

#define ROW_BYTES 1024
typedef struct sealed_row {
    _Alignas(8) uint8_t bytes[ROW_BYTES];
    size_t length;
} sealed_row;

static void seal(const loom_cipher *cipher, const loom_result *result, loom_row_kind kind, uint64_t row,
                 sealed_row *out) {
    loom_error err = {0};
    out->length = loom_seal_row_bytes(kind == LOOM_ROW_LIVE ? loom_row_bytes(result)
                                                            : loom_row_encode_tombstone(result, row, NULL));
    assert_true(out->length <= ROW_BYTES);
    REQUIRE_OK(loom_seal_row(cipher, result, kind, row, out->bytes, &err));
}

static loom_status open_copy(const loom_cipher *cipher, const sealed_row *sealed, uint64_t row, sealed_row *plain) {
    loom_error err = {0};
    *plain = *sealed;
    loom_status status = loom_seal_open_row(cipher, row, plain->bytes, &plain->length, &err);
    if (status != LOOM_OK) assert_int_equal(err.status, status);
    return status;
}

static void test_no_bit_of_a_row_can_be_flipped(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1), *other = cipher_of(2);
    uint8_t payload[64];
    loom_result result = small_result(3, payload), found;
    loom_row_kind kind;
    loom_error err = {0};
    result.recipe = (const uint8_t *)"recipe";
    result.recipe_bytes = 6;
    static const loom_row_kind kinds[] = {LOOM_ROW_LIVE, LOOM_ROW_TOMBSTONE};
    for (size_t k = 0; k < 2; k++) {
        sealed_row sealed, plain;
        seal(cipher, &result, kinds[k], 77, &sealed);
        assert_int_equal(open_copy(cipher, &sealed, 77, &plain), LOOM_OK);
        REQUIRE_OK(loom_row_decode(plain.bytes, plain.length, 77, &found, &kind, &err));
        assert_int_equal(kind, kinds[k]);
        assert_true(loom_id_equal(&found.rkey, &result.rkey) && loom_id_equal(&found.vid, &result.vid));
        for (size_t bit = 0; bit < 8 * sealed.length; bit++) {
            if (bit / 8 >= offsetof(loom_row_header, check) && bit / 8 < sizeof(loom_row_header)) continue; /* a hint */
            sealed.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(open_copy(cipher, &sealed, 77, &plain), LOOM_CORRUPT);
            sealed.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        size_t length = sealed.length;
        for (sealed.length = 0; sealed.length < length; sealed.length++)
            assert_int_equal(open_copy(cipher, &sealed, 77, &plain), LOOM_CORRUPT);
        assert_int_equal(open_copy(cipher, &sealed, 78, &plain), LOOM_CORRUPT); /* moved to another number */
        assert_int_equal(open_copy(other, &sealed, 77, &plain), LOOM_CORRUPT);  /* or to another store */
        /* As it stands it is no row to anyone without the key. */
        REQUIRE_STATUS(loom_row_decode(sealed.bytes, sealed.length, 77, &found, &kind, &err), LOOM_CORRUPT);
    }
    loom_cipher_free(cipher);
    loom_cipher_free(other);
}

/* Bytes that were never sealed: with the lengths of a sealed row or without, in a buffer that ends where they do. */
static void test_made_up_rows_do_not_open(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1);
    uint64_t random = 42;
    for (int round = 0; round < 20000; round++) {
        size_t length = next_random(&random) % 600;
        uint8_t *bytes = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)next_random(&random);
        if (length >= sizeof(loom_row_header) && round % 2 == 0) {
            loom_row_header header = {.version = LOOM_ROW_VERSION,
                                      .header_bytes = sizeof header,
                                      .kind = LOOM_ROW_LIVE,
                                      .flags = LOOM_ROW_SEALED,
                                      .extra_bytes = (uint32_t)(length - sizeof header)};
            memcpy(bytes, &header, sizeof header);
        }
        assert_int_equal(loom_seal_open_row(cipher, 1, bytes, &length, NULL), LOOM_CORRUPT);
        free(bytes);
    }
    loom_cipher_free(cipher);
}

static void test_limits_of_sealing(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1);
    uint8_t payload[64], out[ROW_BYTES];
    loom_result result = small_result(3, payload);
    loom_error err = {0};
    REQUIRE_STATUS(loom_seal_row(cipher, &result, LOOM_ROW_LIVE, LOOM_SEALED_ROWS_MAX, out, &err), LOOM_TOO_LARGE);
    REQUIRE_OK(loom_seal_row(cipher, &result, LOOM_ROW_LIVE, LOOM_SEALED_ROWS_MAX - 1, out, &err));
    /* Plain bulk bytes can never be named by a row. */
    uint64_t hash = 1;
    result.bulk = (loom_placement){.extent = 0, .offset = 4096, .bytes = 100};
    result.block_hashes = &hash;
    REQUIRE_STATUS(loom_seal_row(cipher, &result, LOOM_ROW_LIVE, 1, out, &err), LOOM_INTERNAL);
    loom_cipher_free(cipher);
}

static void test_values_stay_under_their_keys(void **state) {
    (void)state;
    loom_cipher *cipher = cipher_of(1);
    loom_error err = {0};
    uint8_t sealed[20 + LOOM_SEAL_OVERHEAD], copy[sizeof sealed];
    size_t length = sizeof sealed;
    REQUIRE_OK(loom_seal_value(cipher, "files", "key", 3, "twenty bytes of text", 20, sealed, &err));
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        memcpy(copy, sealed, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        REQUIRE_STATUS(loom_seal_open_value(cipher, "files", "key", 3, copy, &length, &err), LOOM_CORRUPT);
        assert_int_equal(length, sizeof sealed);
    }
    memcpy(copy, sealed, sizeof copy);
    REQUIRE_STATUS(loom_seal_open_value(cipher, "files", "kez", 3, copy, &length, &err), LOOM_CORRUPT);
    memcpy(copy, sealed, sizeof copy);
    REQUIRE_STATUS(loom_seal_open_value(cipher, "file", "skey", 4, copy, &length, &err), LOOM_CORRUPT);
    memcpy(copy, sealed, sizeof copy);
    REQUIRE_OK(loom_seal_open_value(cipher, "files", "key", 3, copy, &length, &err));
    assert_int_equal(length, 20);
    assert_memory_equal(copy, "twenty bytes of text", 20);
    loom_cipher_free(cipher);
}

/* ---- FORMAT ---- */

static void test_a_flip_in_FORMAT_is_an_error(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_small(store, 0, 3);
    loom_store_close(store);
    char text[600] = "", name[320];
    snprintf(name, sizeof name, "%s/FORMAT", path);
    int fd = open(name, O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(length > 200);
    const char *created = strstr(text, "created "), *key = strstr(text, "key 1 ");
    assert_non_null(created);
    assert_non_null(key);
    /* When the store was made is a remark. */
    for (ssize_t i = 0; i < length; i++) {
        const char *at = text + i;
        if (at >= created + 8 && at < key - 1) continue;
        flip("FORMAT", i);
        loom_error_clear(&err);
        loom_status status = try_sealed(&scene_key, &store, &err);
        if (status != LOOM_DENIED && status != LOOM_BAD_STORE && status != LOOM_NEWER_STORE)
            fail_msg("byte %zd of FORMAT: %s: %s", i, loom_status_name(status), err.message);
        assert_null(store);
        flip("FORMAT", i);
    }
    store = open_sealed();
    require_small(store, 2);
    loom_store_close(store);
}

/* A FORMAT without its last line is that of a plain store: its rows must not be believed, nor anything be written. */
static void test_a_FORMAT_without_its_key_gives_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_small(store, 0, 3);
    loom_store_close(store);
    char text[600] = "", name[320];
    snprintf(name, sizeof name, "%s/FORMAT", path);
    int fd = open(name, O_RDWR);
    assert_true(read(fd, text, sizeof text - 1) > 200);
    assert_int_equal(ftruncate(fd, strstr(text, "key 1 ") - text), 0);
    close(fd);
    REQUIRE_STATUS(try_sealed(&scene_key, &store, &err), LOOM_DENIED);
    REQUIRE_STATUS(try_sealed(NULL, &store, &err), LOOM_BAD_STORE);
}

/* ---- the index ---- */

static void change_rows(void (*change)(MDB_txn *txn, MDB_dbi rows)) {
    char name[320];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi rows;
    snprintf(name, sizeof name, "%s/index", path);
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 32);
    mdb_env_set_mapsize(env, 64 << 20);
    assert_int_equal(mdb_env_open(env, name, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "rows", MDB_INTEGERKEY, &rows), 0);
    change(txn, rows);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void swap_rows(MDB_txn *txn, MDB_dbi rows) {
    uint8_t bytes[2][ROW_BYTES];
    size_t numbers[2] = {1, 2};
    MDB_val keys[2], values[2];
    for (int i = 0; i < 2; i++) {
        keys[i] = (MDB_val){sizeof numbers[i], &numbers[i]};
        assert_int_equal(mdb_get(txn, rows, &keys[i], &values[i]), 0);
        assert_true(values[i].mv_size <= ROW_BYTES);
        memcpy(bytes[i], values[i].mv_data, values[i].mv_size);
        values[i].mv_data = bytes[i];
    }
    assert_int_equal(mdb_put(txn, rows, &keys[0], &values[1], 0), 0);
    assert_int_equal(mdb_put(txn, rows, &keys[1], &values[0], 0), 0);
}

/* Row 2's header, so that its name leads to the sealed part of row 1. */
static void graft_header(MDB_txn *txn, MDB_dbi rows) {
    uint8_t first[ROW_BYTES];
    size_t one = 1, two = 2;
    MDB_val key = {sizeof one, &one}, value;
    assert_int_equal(mdb_get(txn, rows, &key, &value), 0);
    size_t length = value.mv_size;
    memcpy(first, value.mv_data, length);
    key.mv_data = &two;
    assert_int_equal(mdb_get(txn, rows, &key, &value), 0);
    memcpy(first, value.mv_data, sizeof(loom_row_header));
    value = (MDB_val){length, first};
    assert_int_equal(mdb_put(txn, rows, &key, &value, 0), 0);
}

static void flip_sealed_byte(MDB_txn *txn, MDB_dbi rows) {
    uint8_t bytes[ROW_BYTES];
    size_t three = 3;
    MDB_val key = {sizeof three, &three}, value;
    assert_int_equal(mdb_get(txn, rows, &key, &value), 0);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[value.mv_size - 20] ^= 1;
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, rows, &key, &value, 0), 0);
}

static bool skip_row(const loom_result *result, void *context) {
    (void)result, (void)context;
    return true;
}

static void test_rows_that_were_changed_count_as_absent(void **state) {
    (void)state;
    static void (*const changes[])(MDB_txn *, MDB_dbi) = {swap_rows, graft_header, flip_sealed_byte};
    static const bool gone[3][3] = {{true, true, false}, {false, true, false}, {false, false, true}};
    loom_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        loom_store *store = open_sealed();
        put_small(store, 0, 3);
        loom_store_close(store);
        change_rows(changes[i]);
        store = open_sealed();
        REQUIRE_STATUS(loom_store_each(store, skip_row, NULL, &err), LOOM_CORRUPT); /* told when all are read */
        for (uint64_t k = 0; k < 3; k++) {
            assert_int_equal(is_stored(store, k), !gone[i][k]);
            if (!gone[i][k]) require_small(store, k);
        }
        put_small(store, 0, 3); /* computed again */
        for (uint64_t k = 0; k < 3; k++)
            require_small(store, k);
        loom_store_close(store);
        remove_tree(path);
    }
}

/* ---- extents ---- */

static void require_damage(loom_store *store, const loom_result *found) {
    loom_error err = {0};
    loom_value value;
    loom_view view;
    loom_arena *arena = loom_arena_new();
    REQUIRE_STATUS(loom_store_verify(store, found, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_store_value(store, found, arena, &value, &view, &err), LOOM_CORRUPT);
    assert_null(view.bytes);
    loom_extent_writer *writer;
    loom_result moved = *found;
    bool fresh;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_STATUS(loom_store_materialise(store, writer, arena, &moved, &fresh, &err), LOOM_CORRUPT);
    loom_extent_writer_close(writer);
    loom_arena_free(arena);
}

static void test_a_flip_in_an_extent_is_an_error(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_image(store, 1, 500000);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_id rkey = id_of("image", 1);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    char name[32];
    snprintf(name, sizeof name, "extents/%08x.ext", found.bulk.extent);
    static const uint64_t places[] = {0, 1, 4095, 1 << 20, (1 << 20) + 77777, 1499999};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip(name, (off_t)(found.bulk.offset + places[i]));
        require_damage(store, &found);
        flip(name, (off_t)(found.bulk.offset + places[i]));
        REQUIRE_OK(loom_store_verify(store, &found, &err));
    }
    loom_arena_free(arena);
    loom_store_close(store);
}

/* Two objects of one length in each other's place, and an object's two blocks in each other's. */
static void swap_bytes(const char *name, uint64_t a, uint64_t b, size_t length) {
    char file[600];
    snprintf(file, sizeof file, "%s/%s", path, name);
    int fd = open(file, O_RDWR);
    uint8_t *first = malloc(length), *second = malloc(length);
    assert_int_equal(pread(fd, first, length, (off_t)a), (ssize_t)length);
    assert_int_equal(pread(fd, second, length, (off_t)b), (ssize_t)length);
    assert_int_equal(pwrite(fd, first, length, (off_t)b), (ssize_t)length);
    assert_int_equal(pwrite(fd, second, length, (off_t)a), (ssize_t)length);
    free(first);
    free(second);
    close(fd);
}

static void test_objects_and_blocks_stay_in_their_places(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_sealed();
    put_image(store, 1, 800000);
    put_image(store, 2, 800000);
    loom_arena *arena = loom_arena_new();
    loom_result one, two;
    loom_id first = id_of("image", 1), second = id_of("image", 2);
    REQUIRE_OK(loom_store_find(store, &first, arena, &one, &err));
    REQUIRE_OK(loom_store_find(store, &second, arena, &two, &err));
    char name[32];
    snprintf(name, sizeof name, "extents/%08x.ext", one.bulk.extent);
    assert_int_equal(one.bulk.extent, two.bulk.extent);
    swap_bytes(name, one.bulk.offset, two.bulk.offset, 2400000);
    require_damage(store, &one);
    require_damage(store, &two);
    swap_bytes(name, one.bulk.offset, two.bulk.offset, 2400000);
    swap_bytes(name, one.bulk.offset, one.bulk.offset + LOOM_BLOCK_BYTES, LOOM_BLOCK_BYTES);
    require_damage(store, &one);
    require_image(store, 2, 800000);
    loom_arena_free(arena);
    loom_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_bit_of_a_row_can_be_flipped),
        cmocka_unit_test(test_made_up_rows_do_not_open),
        cmocka_unit_test(test_limits_of_sealing),
        cmocka_unit_test(test_values_stay_under_their_keys),
        DISK_TEST(test_a_flip_in_FORMAT_is_an_error),
        DISK_TEST(test_a_FORMAT_without_its_key_gives_nothing),
        DISK_TEST(test_rows_that_were_changed_count_as_absent),
        DISK_TEST(test_a_flip_in_an_extent_is_an_error),
        DISK_TEST(test_objects_and_blocks_stay_in_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
