/* disk_scene.c - see disk_scene.h. */
#include "disk_scene.h"

char folder[256], path[300];

int disk_setup(void **state) {
    (void)state;
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    return 0;
}

int disk_teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

loom_status try_open(loom_store_options options, loom_store **store, loom_error *err) {
    options.path = path;
    options.create = !options.read_only;
    return loom_store_open(&options, store, err);
}

loom_store *open_ok(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(try_open((loom_store_options){0}, &store, &err));
    return store;
}

void write_file(const char *name, const void *bytes, size_t length) {
    char full[600];
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

void flip(const char *name, off_t offset) {
    char full[600];
    uint8_t byte;
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

void put_image(loom_store *store, uint64_t number, uint64_t width) {
    loom_error err = {0};
    static image_result image;
    loom_extent_writer *writer;
    loom_batch *batch;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, number, width, &image);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    loom_buffer_free(&image.payload);
}
