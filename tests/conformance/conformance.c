/* conformance.c - the scene of the suite, and its main: `test_conformance KIND [GROUP]`. */
#include "conformance.h"

#include "io/zstd_codec.h"
#include "shm/seal/key.h"
#include "toy_backend.h"

static const conformance_kind kinds[] = {
    {"disk", true}, {"memory", false}, {"compressed", true}, {"encrypted", true}, {"toy", true}};
const conformance_kind *kind;
loom_store *store;
loom_arena *arena;

static char folder[256], path[300];
static loom_extent_writer *writer;

static bool is_kind(const char *name) {
    return strcmp(kind->name, name) == 0;
}

loom_status open_as(bool create, bool read_only, loom_store **opened, loom_error *err) {
    static const loom_key key = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8}};
    loom_store_options options = {.path = path, .create = create, .read_only = read_only, .step_bytes = 1 << 20};
    if (is_kind("compressed")) options.compression = LOOM_COMPRESS_ALWAYS;
    if (is_kind("encrypted")) options.key = &key;
    return loom_store_open(&options, opened, err);
}

int conformance_setup(void **state) {
    (void)state;
    loom_error err = {0};
    make_temporary(folder);
    if (is_kind("memory"))
        strcpy(path, ":memory:");
    else
        snprintf(path, sizeof path, "%s%s/store", is_kind("toy") ? "toy:" : "", folder);
    arena = loom_arena_new();
    assert_non_null(arena);
    REQUIRE_OK(open_as(true, false, &store, &err));
    return 0;
}

static void close_writer(void) {
    loom_extent_writer_close(writer);
    writer = NULL;
}

int conformance_teardown(void **state) {
    (void)state;
    close_writer();
    loom_store_close(store);
    store = NULL;
    loom_arena_free(arena);
    remove_tree(folder);
    return 0;
}

void open_again(void) {
    loom_error err = {0};
    close_writer();
    if (!kind->persistent) return;
    loom_store_close(store);
    REQUIRE_OK(open_as(false, false, &store, &err));
}

/* ---- values ---- */

static loom_result finished(loom_draft *draft, const char *name) {
    loom_error err = {0};
    REQUIRE_OK(loom_draft_finish(draft, name, name != NULL ? strlen(name) : 0, &err));
    writer = draft->writer;
    return draft->result;
}

loom_result drafted(const char *name, const loom_value *value) {
    loom_error err = {0};
    loom_draft draft = {.writer = writer, .store = store, .arena = arena, .inline_bytes = 16384};
    REQUIRE_OK(loom_draft_value(&draft, value, &err));
    return finished(&draft, name);
}

loom_result drafted_image(const char *name, const loom_image_header *header, const void *voxels) {
    loom_error err = {0};
    void *window = NULL;
    loom_draft draft = {.writer = writer, .store = store, .arena = arena, .inline_bytes = 16384};
    REQUIRE_OK(loom_draft_image(&draft, header, &window, &err));
    memcpy(window, voxels, loom_image_bytes(header));
    return finished(&draft, name);
}

void put_one(const loom_result *result) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

void delete_one(const loom_id *rkey) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

void require_value(const loom_id *rkey, const loom_value *value) {
    loom_error err = {0};
    loom_result result;
    loom_value found;
    loom_view view;
    REQUIRE_OK(loom_store_find(store, rkey, arena, &result, &err));
    assert_memory_equal(&result.rkey, rkey, sizeof *rkey);
    assert_int_equal(result.type, value->type);
    REQUIRE_OK(loom_store_verify(store, &result, &err));
    REQUIRE_OK(loom_store_value(store, &result, arena, &found, &view, &err));
    assert_true(loom_value_equal(&found, value));
    assert_int_equal(found.tuple, value->tuple);
    loom_extent_release(&view);
}

void require_absent(const loom_id *rkey) {
    loom_error err = {0};
    loom_result result;
    REQUIRE_STATUS(loom_store_find(store, rkey, arena, &result, &err), LOOM_NOT_FOUND);
    assert_string_equal(err.message, "");
}

static const struct {
    const char *name;
    const struct CMUnitTest *tests;
    const size_t *count;
} groups[] = {{"values", value_tests, &value_test_count},
              {"lookups", look_up_tests, &look_up_test_count},
              {"batches", batch_tests, &batch_test_count},
              {"life", life_tests, &life_test_count}};

int main(int argc, char **argv) {
    loom_error err = {0};
    int failed = 0;
    for (size_t i = 0; argc >= 2 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0) kind = &kinds[i];
    if (kind == NULL) {
        fprintf(stderr, "usage: %s disk|memory|compressed|encrypted|toy [values|lookups|batches|life]\n", argv[0]);
        return 2;
    }
    loom_zstd_register();
    if (toy_register(&err) != LOOM_OK) return 1;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (argc == 2 || strcmp(groups[i].name, argv[2]) == 0)
            failed += _cmocka_run_group_tests(groups[i].name, groups[i].tests, *groups[i].count, NULL, NULL);
    return failed != 0;
}
