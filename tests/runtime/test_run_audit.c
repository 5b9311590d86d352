/* `voxloom audit`: what runs stored is computed again, whoever stored it and by however many workers; and a result that
 * is not what its recipe gives is found. The wrong ones are put under the keys of right ones through the store itself.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "shm/arena.h"
#include "shm/care/recipe.h"
#include "shm/store/storage.h"
#include "volumes.h"

enum { SIDE = 24 };

static float waves(int x, int y, int z) {
    return (float)((x * 7 + y * 5 + z * 3) % 97) - 20.0f;
}

/* Numbers, texts, lists, lists of images, folds, masks, operators that take the grid of others, files. */
static const char program[] = "import \"simpleitk\"\n"
                              "import \"vox1\"\n"
                              "a = ReadImage(\"in.nii\")\n"
                              "edge = a >. 30 & not(border)\n"
                              "images = for t in range(4) do dt(geq_sv(t * 10, a))\n"
                              "print \"volumes\" for t in range(8) do volume(geq_sv(t * 9, a))\n"
                              "print \"peaks\" for i in images do max(i)\n"
                              "print \"sum\" fold + for t in range(5) do avg(a, leq_sv(t * 10, a))\n"
                              "print \"edge\" volume(edge)\n"
                              "print \"near\" volume(near(maxvol(edge)))\n";

static void make_store(scene *at, const char *more) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, waves);
    outcome result = run_text(at, program, more);
    assert_well(&result);
    assert_true(computed_by(&result) > 40);
}

static outcome audit(scene *at, const char *more) {
    return voxloom(at, "audit --store store --sample 1000%s%s", more[0] ? " " : "", more);
}

/* Stored by some workers, computed again by others. */
static void test_all_is_as_stored(void **state) {
    scene *at = *state;
    static const char *const stored_by[] = {"--workers 1", "--workers 4"};
    static const char *const audited_by[] = {"--workers 4", "--workers 1", "--workers 2"};
    for (int i = 0; i < 2; i++) {
        scene_remove(at, "store");
        make_store(at, scene_text(at, "%s --set store.persist=all", stored_by[i]));
        uint64_t results = results_in(at, "store");
        for (int k = 0; k < 3; k++) {
            outcome result = audit(at, audited_by[k]);
            assert_well(&result);
            assert_contains(result.out, scene_text(at, "%llu of %llu results computed again: each is what is stored\n",
                                                   (unsigned long long)results, (unsigned long long)results));
        }
        assert_int_equal(results_in(at, "store"), results);
    }
    outcome verified = voxloom(at, "store verify --store store");
    assert_well(&verified);
    outcome again = run(at, "program.imgql", ""); /* nothing was lost by it */
    assert_well(&again);
    assert_int_equal(computed_by(&again), 0);
}

/* ---- wrong results ---- */

typedef struct wanted {
    const char *op;
    loom_arena *arena;
    loom_result row;
    bool found;
} wanted;

static bool look(const loom_result *row, void *context) {
    wanted *one = context;
    loom_recipe recipe;
    if (!loom_recipe_read(row->recipe, row->recipe_bytes, one->arena, &recipe)) return true;
    if (recipe.op_bytes != strlen(one->op) || memcmp(recipe.op, one->op, recipe.op_bytes) != 0) return true;
    one->row = *row;
    one->row.payload = loom_arena_copy(one->arena, row->payload, row->payload_bytes);
    one->row.recipe = loom_arena_copy(one->arena, row->recipe, row->recipe_bytes);
    one->found = true;
    return false;
}

static loom_store *open_store(scene *at) {
    loom_store *store = NULL;
    loom_error err = {0};
    const loom_store_options options = {.path = scene_path(at, "store")};
    if (loom_store_open(&options, &store, &err) != LOOM_OK) fail_msg("%s", err.message);
    return store;
}

static wanted find_by(loom_store *store, const char *op) {
    wanted one = {.op = op, .arena = loom_arena_new()};
    loom_error err = {0};
    assert_int_equal(loom_store_each(store, look, &one, &err), LOOM_OK);
    if (!one.found) fail_msg("nothing was stored by %s", op);
    return one;
}

static void replace(loom_store *store, const loom_result *row) {
    loom_batch *batch;
    loom_error err = {0};
    assert_int_equal(loom_store_begin(store, &batch, &err), LOOM_OK);
    assert_int_equal(loom_batch_forget(batch, &row->rkey, &err), LOOM_OK);
    if (loom_batch_put(batch, row, &err) != LOOM_OK || loom_batch_commit(batch, &err) != LOOM_OK)
        fail_msg("%s", err.message);
}

/* The number one too high. */
static void spoil_number(scene *at, const char *op) {
    loom_store *store = open_store(at);
    wanted one = find_by(store, op);
    loom_value value;
    loom_buffer encoded = {0};
    assert_int_equal(loom_value_decode(one.row.payload, one.row.payload_bytes, one.arena, &value, NULL), LOOM_OK);
    value.number += 1;
    assert_int_equal(loom_value_encode(&value, &encoded), LOOM_OK);
    one.row.payload = encoded.bytes;
    one.row.payload_bytes = encoded.length;
    one.row.vid = loom_sha256(encoded.bytes, encoded.length);
    replace(store, &one.row);
    loom_buffer_free(&encoded);
    loom_arena_free(one.arena);
    loom_store_close(store);
}

/* One voxel another, and every checksum right. */
static void spoil_image(scene *at, const char *op) {
    loom_store *store = open_store(at);
    wanted one = find_by(store, op);
    loom_error err = {0};
    loom_value value;
    loom_view view;
    loom_extent_writer *writer;
    loom_reservation space;
    uint64_t hashes[64];
    assert_true(loom_extent_block_count(one.row.bulk.bytes) <= 64);
    assert_int_equal(loom_store_value(store, &one.row, one.arena, &value, &view, &err), LOOM_OK);
    assert_int_equal(loom_extent_writer_open(loom_store_extents(store), &writer, &err), LOOM_OK);
    assert_int_equal(loom_extent_reserve(writer, one.row.bulk.bytes, LOOM_RESERVE_WINDOW, &space, &err), LOOM_OK);
    uint8_t *voxels = space.window;
    memcpy(voxels, value.image.voxels, one.row.bulk.bytes);
    voxels[one.row.bulk.bytes / 2] ^= 1;
    one.row.bulk = space.placement;
    one.row.block_hashes = hashes;
    assert_int_equal(loom_extent_seal(writer, &space, hashes, one.row.root, &err), LOOM_OK);
    loom_extent_release(&view);
    replace(store, &one.row);
    loom_extent_writer_close(writer);
    loom_arena_free(one.arena);
    loom_store_close(store);
}

static void assert_found(scene *at, const char *op) {
    static const char *const workers[] = {"--workers 1", "--workers 2", "--workers 4"};
    for (int k = 0; k < 3; k++) {
        outcome result = audit(at, workers[k]);
        assert_int_equal(result.status, 1);
        assert_contains(result.out, "differs");
        assert_contains(result.out, op);
        assert_contains(result.out, "voxloom store rm");
        assert_contains(result.out, " 1 not as stored");
    }
}

static void test_a_wrong_number(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=all");
    spoil_number(at, "vox1.max");
    assert_found(at, "vox1.max");
}

/* What was made from the image is another matter: computed from it, as its recipe says, it is not what is stored. */
static void test_a_wrong_voxel(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=all");
    spoil_image(at, "vox1.dt");
    outcome verified = voxloom(at, "store verify --store store");
    assert_well(&verified);
    outcome result = audit(at, "--workers 2");
    assert_int_equal(result.status, 1);
    assert_contains(result.out, "differs");
    assert_contains(result.out, "vox1.dt");
}

static void test_damaged_bytes(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=all");
    loom_store *store = open_store(at);
    wanted one = find_by(store, "vox1.dt");
    char name[64];
    snprintf(name, sizeof name, "store/extents/%08x.ext", one.row.bulk.extent);
    uint64_t offset = one.row.bulk.offset + 5;
    loom_arena_free(one.arena);
    loom_store_close(store);
    int file = open(scene_path(at, name), O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(file, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(file, &byte, 1, (off_t)offset), 1);
    close(file);
    outcome result = audit(at, "");
    assert_int_equal(result.status, 1);
    assert_contains(result.out, "damaged");
    assert_contains(result.out, "vox1.dt");
    assert_contains(result.out, "voxloom store verify --repair");
}

/* ---- what cannot be compared ---- */

static void test_inputs_that_have_changed(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=all");
    volume_make(at, "in.nii", SIDE, SIDE, SIDE - 1, waves);
    outcome result = audit(at, "");
    assert_well(&result);
    assert_contains(result.out, "1 were made from other files or arguments");
    scene_remove(at, "in.nii");
    result = audit(at, "");
    assert_well(&result);
    assert_contains(result.out, "1 could not be computed here");
}

static void test_arguments_that_are_gone(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=goals");
    outcome result = audit(at, "");
    assert_well(&result);
    assert_contains(result.out, "passed over");
}

static void test_samples(void **state) {
    scene *at = *state;
    make_store(at, "--workers 2 --set store.persist=all");
    outcome first = voxloom(at, "audit --store store --sample 7 --seed 1");
    outcome again = voxloom(at, "audit --store store --sample 7 --seed 1 --workers 1");
    assert_string_equal(first.out, again.out);
    assert_contains(first.out, "7 of ");
    spoil_number(at, "vox1.max");
    int found = 0; /* one in 70: not in each sample of 20, and not in none */
    for (int seed = 0; seed < 7; seed++)
        found += voxloom(at, "audit --store store --sample 20 --seed %d", seed).status == 1;
    assert_in_range(found, 1, 6);
    outcome wrong = voxloom(at, "audit --store store --sample some");
    assert_int_equal(wrong.status, 2);
    outcome none = voxloom(at, "audit --store elsewhere");
    assert_int_equal(none.status, 1);
    assert_contains(none.err, "there is no store");
    assert_false(scene_has(at, "elsewhere"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_is_as_stored, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_number, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_voxel, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_bytes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_inputs_that_have_changed, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_arguments_that_are_gone, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_samples, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
