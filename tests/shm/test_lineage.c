/* What an operator or an input led to, and forgetting it: a small graph of recipes, compared with reachability worked
 * out by hand. The same in a folder and in memory. */
#include "disk_scene.h"
#include "shm/care/admin.h"
#include "shm/result_key.h"

/* The graph. Arguments are earlier results (by number) or a constant. */
typedef struct step {
    const char *op;
    const char *path; /* a constant first argument, or NULL */
    int arguments[3]; /* -1: none */
    bool gone;        /* evicted: only its tombstone is left */
} step;

static const step steps[] = {
    [0] = {"simpleitk.ReadImage", "data/a.nii", {-1, -1, -1}, false},
    [1] = {"GaussianBlur", NULL, {0, -1, -1}, true},
    [2] = {"threshold", NULL, {1, -1, -1}, false},
    [3] = {"simpleitk.ReadImage", "data/b.nii", {-1, -1, -1}, false},
    [4] = {"vox1.and", NULL, {2, 3, -1}, false},
    [5] = {"volume", NULL, {4, -1, -1}, false},
    [6] = {"volume", NULL, {3, -1, -1}, false},
    [7] = {"concat", NULL, {-1, -1, -1}, false}, /* a string: "data/" + "c.nii" */
    [8] = {"simpleitk.ReadImage", NULL, {7, -1, -1}, false},
    [9] = {"threshold", NULL, {8, -1, -1}, false},
    [10] = {"other.threshold", NULL, {6, -1, -1}, false},
};
enum { STEPS = sizeof steps / sizeof *steps };

static loom_id rkey_of(int i) {
    return id_of("step", (uint64_t)i);
}

static void put_step(loom_store *store, int i, const loom_id *rkey) {
    loom_error err = {0};
    loom_buffer payload = {0}, recipe = {0};
    loom_value arguments[4], value = i == 7 ? loom_string_of("data/c.nii") : loom_int(i);
    size_t count = 0;
    if (steps[i].path != NULL) arguments[count++] = loom_string_of(steps[i].path);
    for (unsigned a = 0; a < 3 && steps[i].arguments[a] >= 0; a++) {
        loom_id argument = rkey_of(steps[i].arguments[a]);
        arguments[count++] = loom_reference(LOOM_INT, &argument);
    }
    loom_value parts[] = {loom_string_of(steps[i].op), loom_int(1), loom_null(), loom_sequence(arguments, count)};
    loom_value whole = loom_sequence(parts, 4);
    REQUIRE_OK(loom_value_encode(&value, &payload));
    REQUIRE_OK(loom_value_encode(&whole, &recipe));
    loom_result result = {.rkey = *rkey,
                          .vid = loom_sha256(payload.bytes, payload.length),
                          .type = value.type,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length,
                          .recipe = recipe.bytes,
                          .recipe_bytes = recipe.length,
                          .created_ns = 1};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    if (steps[i].gone) REQUIRE_OK(loom_batch_delete(batch, rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&payload);
    loom_buffer_free(&recipe);
}

/* Results first, so that row numbers say nothing about what comes from what. */
static void put_graph(loom_store *store) {
    for (int i = STEPS - 1; i >= 0; i--) {
        loom_id rkey = rkey_of(i);
        put_step(store, i, &rkey);
    }
    put_small(store, 0, 20); /* by nobody */
}

typedef struct listing {
    int found[STEPS], count;
} listing;

static bool list(const loom_result *result, void *context) {
    listing *of = context;
    for (int i = 0; i < STEPS; i++) {
        loom_id rkey = rkey_of(i);
        if (!loom_id_equal(&rkey, &result->rkey)) continue;
        of->found[of->count++] = i;
        return true;
    }
    fail_msg("a result that was not asked for");
    return false;
}

static void require_derived(loom_store *store, loom_origin origin, const char *expected) {
    loom_error err = {0};
    listing of = {.count = 0};
    loom_status status = loom_store_derived(store, &origin, list, &of, &err);
    if (expected[0] == '\0') {
        assert_int_equal(status, LOOM_NOT_FOUND);
        assert_true(err.message[0] != '\0');
        return;
    }
    REQUIRE_OK(status);
    int place[STEPS];
    memset(place, -1, sizeof place);
    for (int k = 0; k < of.count; k++) {
        assert_int_equal(place[of.found[k]], -1); /* once */
        place[of.found[k]] = k;
    }
    char text[100] = "";
    for (int i = 0; i < STEPS; i++)
        if (place[i] >= 0) snprintf(text + strlen(text), 20, "%d ", i);
    assert_string_equal(text, expected);
    for (int i = 0; i < STEPS; i++)
        for (unsigned a = 0; a < 3 && place[i] >= 0 && steps[i].arguments[a] >= 0; a++)
            if (place[steps[i].arguments[a]] >= 0) assert_true(place[steps[i].arguments[a]] < place[i]);
}

static loom_store *open_memory(void) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err));
    return store;
}

static void what_follows_is_listed(void **state) {
    (void)state;
    loom_error err = {0};
    for (unsigned kind = 0; kind < 2; kind++) {
        loom_store *store = kind == 0 ? open_ok() : open_memory();
        put_graph(store);
        require_derived(store, (loom_origin){.input = "data/a.nii"}, "0 2 4 5 "); /* through the evicted 1 */
        require_derived(store, (loom_origin){.input = "data/b.nii"}, "3 4 5 6 10 ");
        require_derived(store, (loom_origin){.input = "data/c.nii"}, "8 9 "); /* a path that was computed */
        require_derived(store, (loom_origin){.input = "data/d.nii"}, "");
        require_derived(store, (loom_origin){.op = "ReadImage"}, "0 2 3 4 5 6 8 9 10 ");
        require_derived(store, (loom_origin){.op = "simpleitk.ReadImage"}, "0 2 3 4 5 6 8 9 10 ");
        require_derived(store, (loom_origin){.op = "threshold"}, "2 4 5 9 10 ");
        require_derived(store, (loom_origin){.op = "other.threshold"}, "2 4 5 9 10 "); /* "threshold" may be it */
        require_derived(store, (loom_origin){.op = "vox1.ReadImage"}, "");
        require_derived(store, (loom_origin){.op = "volume"}, "5 6 10 ");
        require_derived(store, (loom_origin){.op = "GaussianBlur"}, "2 4 5 ");
        require_derived(store, (loom_origin){.op = "nothing"}, "");
        loom_origin both = {.op = "volume", .input = "data/a.nii"};
        REQUIRE_STATUS(loom_store_derived(store, &both, list, NULL, &err), LOOM_BAD_ARGUMENT);
        loom_store_close(store);
    }
}

static void what_follows_is_forgotten(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        loom_error err = {0};
        uint64_t rows, bytes;
        loom_store *store = kind == 0 ? open_ok() : open_memory();
        put_graph(store);
        loom_origin origin = {.input = "data/a.nii"};
        REQUIRE_OK(loom_store_invalidate(store, &origin, &rows, &bytes, &err));
        assert_int_equal(rows, 4);
        assert_true(bytes >= 4);
        static const int gone[] = {0, 1, 2, 4, 5}, there[] = {3, 6, 7, 8, 9, 10};
        loom_id vid;
        loom_type type;
        for (unsigned i = 0; i < 5; i++) {
            loom_id rkey = rkey_of(gone[i]); /* nothing is known any more, also of what was evicted before */
            REQUIRE_STATUS(loom_store_trace(store, &rkey, &vid, &type, &err), LOOM_NOT_FOUND);
        }
        for (unsigned i = 0; i < 6; i++) {
            loom_id rkey = rkey_of(there[i]);
            REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err));
        }
        REQUIRE_STATUS(loom_store_invalidate(store, &origin, &rows, &bytes, &err), LOOM_NOT_FOUND);
        assert_true(is_stored(store, 7));
        loom_store_stats stats;
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 26);
        loom_store_close(store);
    }
}

/* A file that was read under another name is found by what it holds: the key says so. */
static void a_file_is_found_by_its_content(void **state) {
    (void)state;
    loom_error err = {0};
    char file[300];
    snprintf(file, sizeof file, "%.250s/moved.nii", folder);
    FILE *out = fopen(file, "w");
    assert_int_equal(fwrite("voxels", 1, 6, out), 6);
    fclose(out);
    loom_id content = loom_sha256("voxels", 6);
    loom_hasher *hasher = loom_hasher_new();
    loom_id path_vid = id_of("any", 1); /* left out of the key */
    loom_operator op = {.name = "simpleitk.ReadImage", .version = 1, .flags = LOOM_OP_READS_FILES};
    loom_key_parts parts = {.vids = &path_vid,
                            .vid_count = 1,
                            .inputs = &content,
                            .input_count = 1,
                            .path = "data/a.nii",
                            .path_length = 10};
    loom_id rkey = loom_result_key(hasher, &op, &parts);
    loom_hasher_free(hasher);
    loom_store *store = open_ok();
    put_graph(store);
    require_derived(store, (loom_origin){.input = file}, "");
    put_step(store, 0, &rkey); /* the same recipe under the key of that content */
    uint64_t rows, bytes;
    loom_origin origin = {.input = file};
    REQUIRE_OK(loom_store_invalidate(store, &origin, &rows, &bytes, &err));
    assert_int_equal(rows, 1);
    loom_id vid;
    loom_type type;
    REQUIRE_STATUS(loom_store_trace(store, &rkey, &vid, &type, &err), LOOM_NOT_FOUND);
    loom_store_close(store);
}

/* Written relative in the program, asked for by its absolute path. */
static void a_file_is_found_by_its_place(void **state) {
    (void)state;
    char here[300], file[400], before[400];
    snprintf(here, sizeof here, "%.250s/data", folder);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(mkdir(here, 0700), 0);
    assert_int_equal(chdir(folder), 0);
    snprintf(file, sizeof file, "%s/b.nii", here);
    FILE *out = fopen(file, "w");
    fclose(out);
    loom_store *store = open_ok();
    put_graph(store);
    require_derived(store, (loom_origin){.input = file}, "3 4 5 6 10 ");
    require_derived(store, (loom_origin){.input = "./data/../data/b.nii"}, "3 4 5 6 10 ");
    loom_store_close(store);
    assert_int_equal(chdir(before), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_follows_is_listed),
        DISK_TEST(what_follows_is_forgotten),
        DISK_TEST(a_file_is_found_by_its_content),
        DISK_TEST(a_file_is_found_by_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
