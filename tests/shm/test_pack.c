/* The pack stream: what is written comes back; what is cut, flipped, moved or spliced does not pass. */
#include "shm/pack/pack.h"

#include "shm/platform_file.h"
#include "store_support.h"

#define RECORDS 300

static uint8_t *content_of(unsigned i, size_t *length) {
    *length = i % 7 == 0 ? 100000 + i : 9 + i * 3;
    uint8_t *bytes = malloc(*length);
    uint64_t state = i;
    for (size_t k = 0; k < *length; k++)
        bytes[k] = (uint8_t)next_random(&state);
    return bytes;
}

static int write_pack(unsigned records) {
    loom_error err = {0};
    int fd;
    loom_pack_writer *writer;
    assert_int_equal(loom_memory_file("pack", &fd), 0);
    loom_pack_header header = {.kind = LOOM_PACK_BACKUP, .store_format = 2, .number = 7, .created_ns = 99};
    REQUIRE_OK(loom_pack_begin(fd, "test", &header, &writer, &err));
    for (unsigned i = 0; i < records; i++) {
        size_t length;
        uint8_t *bytes = content_of(i, &length);
        size_t first = length / 3;
        REQUIRE_OK(loom_pack_add(writer, LOOM_PACK_ROW, bytes, first, bytes + first, length - first, &err));
        REQUIRE_OK(loom_pack_note(writer, &(loom_pack_item){.row = i + 1, .check = i, .pack = 7, .kind = 1}, &err));
        free(bytes);
    }
    REQUIRE_OK(loom_pack_finish(writer, &err));
    assert_int_equal(loom_pack_written(writer), lseek(fd, 0, SEEK_END));
    assert_int_equal(loom_pack_counts(writer)->rows, records);
    loom_pack_writer_free(writer);
    return fd;
}

static loom_status read_all(int fd, unsigned *rows, bool compare) {
    loom_error err = {0};
    loom_pack_reader *reader;
    loom_pack_record record;
    *rows = 0;
    lseek(fd, 0, SEEK_SET);
    loom_status status = loom_pack_open(fd, "test", &reader, &err);
    while (status == LOOM_OK && (status = loom_pack_next(reader, &record, &err)) == LOOM_OK) {
        if (record.type != LOOM_PACK_ROW) continue;
        size_t length;
        uint8_t *bytes = content_of(*rows, &length);
        bool same = record.length == length && memcmp(record.bytes, bytes, length) == 0;
        if (compare) assert_true(same);
        assert_true(same || !compare);
        free(bytes);
        ++*rows;
    }
    loom_pack_reader_free(reader);
    if (status != LOOM_NOT_FOUND) assert_true(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
    return status;
}

static void everything_comes_back(void **state) {
    (void)state;
    unsigned rows;
    int fd = write_pack(RECORDS);
    assert_int_equal(read_all(fd, &rows, true), LOOM_NOT_FOUND);
    assert_int_equal(rows, RECORDS);
    close(fd);
    fd = write_pack(0);
    assert_int_equal(read_all(fd, &rows, true), LOOM_NOT_FOUND);
    close(fd);
}

static void the_manifest_is_read_in_order(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_manifest *manifest;
    loom_pack_item item;
    /* More items than one record holds, without their rows. */
    int fd;
    loom_pack_writer *writer;
    assert_int_equal(loom_memory_file("pack", &fd), 0);
    REQUIRE_OK(loom_pack_begin(fd, "test", &(loom_pack_header){.kind = LOOM_PACK_BACKUP}, &writer, &err));
    for (uint64_t i = 1; i <= 100000; i++)
        REQUIRE_OK(loom_pack_note(writer, &(loom_pack_item){.row = 3 * i, .check = i}, &err));
    REQUIRE_OK(loom_pack_finish(writer, &err));
    loom_pack_writer_free(writer);
    REQUIRE_OK(loom_pack_manifest_open(fd, "test", &manifest, &err));
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= 100000; i++) {
            REQUIRE_OK(loom_pack_manifest_next(manifest, &item, &err));
            assert_int_equal(item.row, 3 * i);
            assert_int_equal(item.check, i);
        }
        assert_int_equal(loom_pack_manifest_next(manifest, &item, &err), LOOM_NOT_FOUND);
        loom_pack_manifest_rewind(manifest);
    }
    loom_pack_manifest_free(manifest);
    close(fd);
}

static void a_cut_pack_is_refused(void **state) {
    (void)state;
    unsigned rows;
    int fd = write_pack(20);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t cut = size - 1; cut >= 0; cut -= 101) {
        assert_int_equal(ftruncate(fd, cut), 0);
        assert_int_equal(read_all(fd, &rows, true), LOOM_CORRUPT);
    }
    close(fd);
}

static void a_flipped_bit_is_found(void **state) {
    (void)state;
    unsigned rows;
    int fd = write_pack(8);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at += at < 300 ? 1 : 97) {
        uint8_t byte, flipped;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        flipped = byte ^ (uint8_t)(1u << at % 8);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        loom_status status = read_all(fd, &rows, true);
        assert_true(status == LOOM_CORRUPT || (status == LOOM_NEWER_STORE && at < 12));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(pwrite(fd, "x", 1, size), 1);
    assert_int_equal(read_all(fd, &rows, true), LOOM_CORRUPT);
    close(fd);
}

/* Two records of one length exchanged, and a record of another pack in the same place: each sound in itself. */
static void a_moved_record_is_found(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t a[24], b[24];
    int fds[2];
    for (unsigned i = 0; i < 2; i++) {
        loom_pack_writer *writer;
        assert_int_equal(loom_memory_file("pack", &fds[i]), 0);
        REQUIRE_OK(loom_pack_begin(fds[i], "test", &(loom_pack_header){.kind = LOOM_PACK_BACKUP}, &writer, &err));
        REQUIRE_OK(loom_pack_add(writer, LOOM_PACK_FORMAT, "AAAAAAAA", 8, NULL, 0, &err));
        REQUIRE_OK(loom_pack_add(writer, LOOM_PACK_FORMAT, "BBBBBBBB", 8, NULL, 0, &err));
        REQUIRE_OK(loom_pack_finish(writer, &err));
        loom_pack_writer_free(writer);
    }
    unsigned rows;
    assert_int_equal(read_all(fds[0], &rows, true), LOOM_NOT_FOUND);
    assert_int_equal(pread(fds[0], a, sizeof a, 64), sizeof a);
    assert_int_equal(pread(fds[0], b, sizeof b, 88), sizeof b);
    assert_int_equal(pwrite(fds[0], b, sizeof b, 64), sizeof b);
    assert_int_equal(pwrite(fds[0], a, sizeof a, 88), sizeof a);
    assert_int_equal(read_all(fds[0], &rows, true), LOOM_CORRUPT);
    assert_int_equal(pwrite(fds[1], a, sizeof a, 64), sizeof a);
    assert_int_equal(read_all(fds[1], &rows, true), LOOM_CORRUPT);
    close(fds[0]);
    close(fds[1]);
}

static void nothing_else_is_a_pack(void **state) {
    (void)state;
    unsigned rows;
    int fd;
    assert_int_equal(loom_memory_file("pack", &fd), 0);
    assert_int_equal(read_all(fd, &rows, true), LOOM_CORRUPT);
    assert_int_equal(write(fd, "{\"nodes\": [], \"goals\": []}", 26), 26);
    assert_int_equal(read_all(fd, &rows, true), LOOM_CORRUPT);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),   cmocka_unit_test(the_manifest_is_read_in_order),
        cmocka_unit_test(a_cut_pack_is_refused),   cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(a_moved_record_is_found), cmocka_unit_test(nothing_else_is_a_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
