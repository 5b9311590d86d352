/* disk_scene.h - a store in a temporary folder, made and removed around each test. */
#ifndef LOOM_TESTS_DISK_SCENE_H
#define LOOM_TESTS_DISK_SCENE_H

#include "store_support.h"

extern char folder[256], path[300]; /* the temporary folder, and the store in it */

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, disk_setup, disk_teardown)

int disk_setup(void **state);
int disk_teardown(void **state);
loom_status try_open(loom_store_options options, loom_store **store, loom_error *err);
loom_store *open_ok(void);
void write_file(const char *name, const void *bytes, size_t length);
void flip(const char *name, off_t offset);
void put_image(loom_store *store, uint64_t number, uint64_t width);

#endif
