/* conformance.h - one suite for every implementation of a store: it is opened as the program's argument says, fresh for
 * each test, and everything that storage.h promises is asked of it. */
#ifndef LOOM_TESTS_CONFORMANCE_H
#define LOOM_TESTS_CONFORMANCE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>

#include "runtime/stored_value.h"
#include "shm/store/storage.h"
#include "tests/shm/store_support.h"

/* The implementation under test. */
typedef struct conformance_kind {
    const char *name;
    bool persistent; /* a closed store can be opened again */
} conformance_kind;
extern const conformance_kind *kind;

/* The store of the current test, and an arena that is freed behind it. */
extern loom_store *store;
extern loom_arena *arena;

int conformance_setup(void **state);
int conformance_teardown(void **state);
#define CONFORMANCE(name) cmocka_unit_test_setup_teardown(name, conformance_setup, conformance_teardown)

/* Closes the store and opens it again; for a store that forgets, nothing. */
void open_again(void);
loom_status open_as(bool create, bool read_only, loom_store **opened, loom_error *err);

/* A value as a result, its bulk bytes written; key from `name`, or from the content (NULL). */
loom_result drafted(const char *name, const loom_value *value);
/* A result of an image with these bytes. */
loom_result drafted_image(const char *name, const loom_image_header *header, const void *voxels);
/* In a batch of its own. */
void put_one(const loom_result *result);
void delete_one(const loom_id *rkey);
/* Found again by key, verified, and equal in every bit. */
void require_value(const loom_id *rkey, const loom_value *value);
void require_absent(const loom_id *rkey);

extern const struct CMUnitTest value_tests[], batch_tests[], look_up_tests[], life_tests[];
extern const size_t value_test_count, batch_test_count, look_up_test_count, life_test_count;

#endif
