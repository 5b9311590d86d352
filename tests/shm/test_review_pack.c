/* test_review_pack.c - packs that someone made to harm: their checksums hold. */
#include "disk_scene.h"

#include "shm/pack/backup.h"
#include "shm/pack/entry.h"
#include "shm/pack/pack_format.h"

/* A backup of an empty store with one more entry. */
static loom_status restore_with(const char *table, uint32_t flags, const void *key, size_t key_bytes,
                                loom_error *told) {
    loom_error err = {0};
    char format[512], place[600], pack_path[600], target[600];
    loom_store_close(open_ok());
    snprintf(place, sizeof place, "%s/FORMAT", path);
    int fd = open(place, O_RDONLY);
    ssize_t length = read(fd, format, sizeof format);
    assert_true(length > 0);
    close(fd);
    loom_pack_header header = {.kind = LOOM_PACK_BACKUP, .store_format = LOOM_STORE_FORMAT, .number = 1};
    const char *digits = strstr(format, "uuid ") + 5;
    for (size_t i = 0; i < 16; i++) {
        unsigned byte;
        assert_int_equal(sscanf(digits + 2 * i, "%2x", &byte), 1);
        header.uuid[i] = (uint8_t)byte;
    }
    uint8_t entry[64];
    loom_entry_header head = {.flags = flags, .name_bytes = (uint16_t)strlen(table), .key_bytes = (uint16_t)key_bytes};
    memcpy(entry, &head, sizeof head);
    memcpy(entry + sizeof head, table, head.name_bytes);
    memcpy(entry + sizeof head + head.name_bytes, key, key_bytes);
    snprintf(pack_path, sizeof pack_path, "%s/pack", folder);
    fd = open(pack_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    loom_pack_writer *pack;
    REQUIRE_OK(loom_pack_begin(fd, "pack", &header, &pack, &err));
    REQUIRE_OK(loom_pack_add(pack, LOOM_PACK_FORMAT, format, (size_t)length, NULL, 0, &err));
    for (int twice = 0; twice < 2; twice++) {
        REQUIRE_OK(
            loom_pack_add(pack, LOOM_PACK_ENTRY, entry, sizeof head + head.name_bytes + key_bytes, NULL, 0, &err));
        entry[sizeof head + head.name_bytes]++;
    }
    REQUIRE_OK(loom_pack_finish(pack, &err));
    loom_pack_writer_free(pack);
    close(fd);
    snprintf(target, sizeof target, "%s/restored", folder);
    loom_status status = loom_restore(pack_path, target, NULL, NULL, NULL, told);
    remove_tree(target);
    return status;
}

/* LMDB would compare such keys as integers, reading behind them. */
static void keys_that_are_no_integers(void **state) {
    (void)state;
    loom_error err = {0};
    REQUIRE_STATUS(restore_with("runs", 0, "abc", 3, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(restore_with("meta", LOOM_ENTRY_INTEGER, "12345678", 8, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(restore_with("runs", LOOM_ENTRY_INTEGER, "abc", 3, &err), LOOM_CORRUPT);
    REQUIRE_OK(restore_with("runs", LOOM_ENTRY_INTEGER, "12345678", 8, &err));
    REQUIRE_OK(restore_with("later", 0, "abc", 3, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {DISK_TEST(keys_that_are_no_integers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
