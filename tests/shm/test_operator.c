/* test_operator.c - look-up and signature of a small table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shm/operator.h"

/* In the order that the header promises: by namespace, then by name. */
static const loom_operator operators[] = {
    {.name = "default.dir", .version = 1},    {.name = "default.fold", .version = 1},
    {.name = "strings.concat", .version = 3}, {.name = "vox1.!", .version = 1},
    {.name = "vox1.+", .version = 2},         {.name = "vox1.and", .version = 1},
    {.name = "vox1.near", .version = 0x102},  {.name = "vox1.near2", .version = 1},
};
enum { COUNT = sizeof operators / sizeof operators[0] };

static const loom_operator *rows[COUNT];

static loom_operator_table table(size_t count) {
    for (size_t i = 0; i < COUNT; i++)
        rows[i] = &operators[i];
    return (loom_operator_table){.operators = rows, .count = count};
}

static void every_operator_is_found_at_every_table_size(void **state) {
    (void)state;
    for (size_t count = 0; count <= COUNT; count++) {
        loom_operator_table some = table(count);
        for (size_t i = 0; i < COUNT; i++) {
            const char *name = operators[i].name;
            assert_ptr_equal(loom_operator_find(&some, name, strlen(name)), i < count ? &operators[i] : NULL);
            assert_int_equal(loom_operator_index(&some, &operators[i]), i < count ? i : SIZE_MAX);
        }
    }
}

static void near_misses_are_not_found(void **state) {
    (void)state;
    loom_operator_table all = table(COUNT);
    static const char *const absent[] = {"",     "vox1",      "vox1.", "vox1.nea", "vox1.near3",
                                         "near", "VOX1.near", "zzz.z", "a.a"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_null(loom_operator_find(&all, absent[i], strlen(absent[i])));
    /* The name need not end with a NUL. */
    assert_ptr_equal(loom_operator_find(&all, "vox1.near2", 9), &operators[6]);
}

/* Computed with Python's hashlib: c = bytes(32); for each row: c = sha256(c + sha256(name) + version as 8 bytes). */
static void the_signature_covers_names_and_versions(void **state) {
    (void)state;
    static const char expected[] = "9f1caefb397061a07f947dedd88b42f0c430e9df9bb3ee49cb9bf7b3e1f350bc";
    uint8_t signature[32], other[32];
    loom_operator_table all = table(COUNT);
    loom_operator_table_signature(&all, signature);
    char hex[65];
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", signature[i]);
    assert_string_equal(hex, expected);

    loom_operator changed = operators[4];
    changed.doc = "documentation is no part of it";
    rows[4] = &changed;
    loom_operator_table_signature(&all, other);
    assert_memory_equal(signature, other, 32);
    changed.version++;
    loom_operator_table_signature(&all, other);
    assert_memory_not_equal(signature, other, 32);

    loom_operator_table fewer = table(COUNT - 1);
    loom_operator_table_signature(&fewer, other);
    assert_memory_not_equal(signature, other, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_found_at_every_table_size),
        cmocka_unit_test(near_misses_are_not_found),
        cmocka_unit_test(the_signature_covers_names_and_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
