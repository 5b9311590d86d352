/* test_run_codec.c - runs on compressed results: what is printed and saved is the same whatever the store does with its
 * bytes, nothing is computed again, and what was read is mappable again (compression = "cold") or stays as it was
 * ("always"). */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "io/zstd_codec.h"
#include "shm/codec/cold.h"
#include "volumes.h"

#define EDGE 40

static float bowl(int x, int y, int z) {
    return (float)((x - 20) * (x - 20) + (y - 20) * (y - 20) + z);
}

static const char *program(scene *at, int threshold) {
    return scene_text(at,
                      "import \"simpleitk\"\n"
                      "a = intensity(ReadImage(\"in.nii\"))\n"
                      "big = geq_sv(%d, a)\n"
                      "print \"big\" volume(big)\n"
                      "print \"mean\" avg(a, big)\n"
                      "save \"big.nii\" big\n",
                      threshold);
}

static loom_store *open_store(scene *at, loom_compression compression) {
    loom_error err = {0};
    loom_store *store;
    loom_zstd_register();
    loom_status status = loom_store_open(
        &(loom_store_options){.path = scene_path(at, "store"), .compression = compression, .cold_after_s = 1}, &store,
        &err);
    if (status != LOOM_OK) fail_msg("%s", err.message);
    return store;
}

static bool count_codec(const loom_result *result, void *context) {
    unsigned *counts = context;
    if (result->bulk.bytes > 0) counts[result->codec]++;
    return true;
}

/* At most so many compressed images: a run may read more than it uses while it looks for the keys of a new file. */
static void assert_codecs(scene *at, unsigned images, unsigned zstd, bool exactly) {
    loom_error err = {0};
    unsigned counts[4] = {0};
    loom_store *store = open_store(at, LOOM_COMPRESS_OFF);
    assert_int_equal(loom_store_each(store, count_codec, counts, &err), LOOM_OK);
    loom_store_close(store);
    assert_int_equal(counts[LOOM_CODEC_RAW] + counts[LOOM_CODEC_ZSTD], images);
    if (exactly) assert_int_equal(counts[LOOM_CODEC_ZSTD], zstd);
    assert_true(counts[LOOM_CODEC_ZSTD] <= zstd);
}

/* What the run prints and saves with a threshold, in a store of its own that compresses nothing. */
typedef struct expectation {
    const char *out, *saved;
    size_t saved_bytes;
} expectation;

static expectation expected(scene *at, int threshold) {
    outcome plain = run_text(at, program(at, threshold), "--store plain");
    assert_well(&plain);
    expectation made = {.out = plain.out};
    made.saved = scene_read(at, "big.nii", &made.saved_bytes);
    assert_non_null(made.saved);
    scene_remove(at, "big.nii");
    scene_remove(at, "plain");
    return made;
}

static void assert_run(scene *at, int threshold, const char *more, uint64_t computed) {
    expectation want = expected(at, threshold);
    outcome result = run_text(at, program(at, threshold), more);
    assert_well(&result);
    assert_prints(&result, want.out);
    assert_int_equal(computed_by(&result), computed);
    size_t length;
    const char *saved = scene_read(at, "big.nii", &length);
    assert_non_null(saved);
    assert_int_equal(length, want.saved_bytes);
    assert_memory_equal(saved, want.saved, length);
    scene_remove(at, "big.nii");
}

/* 6 operators: ReadImage, intensity, geq_sv, volume, avg, WriteImage. The images are those of the first three. */

static void test_always(void **state) {
    scene *at = *state;
    static const char always[] = "--workers 2 --set store.compression=\"always\"";
    volume_make(at, "in.nii", EDGE, EDGE, EDGE, bowl);
    assert_run(at, 300, always, 6);
    assert_codecs(at, 3, 3, true);
    assert_run(at, 300, always, 1); /* the file, which was removed */
    assert_run(at, 200, always, 4); /* all that depends on the threshold, from the image in zstd */
    assert_codecs(at, 4, 4, true);
    assert_run(at, 200, "--workers 1", 1); /* off: what it reads becomes raw */
    assert_codecs(at, 4, 3, false);
}

static void test_cold(void **state) {
    scene *at = *state;
    static const char cold[] = "--workers 2 --set store.compression=\"cold\"";
    volume_make(at, "in.nii", EDGE, EDGE, EDGE, bowl);
    assert_run(at, 300, cold, 6);
    assert_codecs(at, 3, 0, true); /* used just now */
    scene_settle();
    loom_error err = {0};
    loom_cold_report report;
    loom_store *store = open_store(at, LOOM_COMPRESS_COLD);
    loom_status status =
        loom_store_compress_cold(store, &(loom_cold_options){.threads = 2, .thorough = true}, &report, &err);
    if (status != LOOM_OK) fail_msg("%s", err.message);
    loom_store_close(store);
    assert_int_equal(report.compressed, 3);
    assert_codecs(at, 3, 3, true);
    assert_run(at, 200, cold, 4); /* reads the intensities: they are raw again, and one image is new */
    assert_codecs(at, 4, 2, false);
    assert_run(at, 300, cold, 1); /* reads the old segmentation to save it */
    assert_codecs(at, 4, 1, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_always, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_cold, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
