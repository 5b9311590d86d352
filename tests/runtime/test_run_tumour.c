/* The researcher's program on a real head of nine million voxels: what VoxLogicA-2 computed, voxel for voxel, however
 * many workers there are and however bytes are written; the second time nothing is computed; and no process keeps a
 * volume of its own. Under sanitizers a small volume takes its place, and memory is not judged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "json_path.h"
#include "volumes.h"

#define MIB (UINT64_C(1) << 20)

static const char chris[] = "data/chris_t1.nii.gz", small[] = "data/case_000_0000.nii.gz";

/* A worker's own memory. Scratch that kernels declare would come on top; for this volume it is some tens of kilobytes
 * (rows and slices, see runtime/kernels), so nothing is allowed for it. */
static const uint64_t anonymous_max = 64 * MIB;

static void prepare(scene *at) {
    scene_copy(at, shared_file(at, SANITIZED ? small : chris), "flair.nii.gz");
    scene_age(at, "flair.nii.gz", 3600);
    scene_copy(at, scene_text(at, "%s/tests/programs/tumour.imgql", getenv("VOXLOOM_SOURCE")), "tumour.imgql");
}

/* The recorded hash of the case "tumour". */
static const char *golden_hash(scene *at) {
    const char *path = shared_file(at, "golden/chris/manifest.json");
    scene_copy(at, path, "manifest.json");
    const char *manifest = scene_read(at, "manifest.json", NULL);
    for (int i = 0;; i++) {
        size_t length = 0;
        const char *name = json_find(manifest, scene_text(at, "cases.%d.name", i), &length);
        if (!name) fail_msg("no case \"tumour\" in %s", path);
        if (strncmp(name, "\"tumour\"", length) != 0) continue;
        const char *hash = json_find(manifest, scene_text(at, "cases.%d.sha256", i), &length);
        assert_non_null(hash);
        return scene_text(at, "%.*s", (int)length - 2, hash + 1);
    }
}

/* Of the small volume nothing is recorded: there, the first run of the program is what all others must equal. */
typedef struct expectation {
    const char *hash, *prints;
} expectation;

static void check(scene *at, const outcome *result, expectation *expected) {
    char hex[LOOM_ID_HEX_BYTES];
    assert_well(result);
    volume mask = volume_read(at, "tumour.nii.gz");
    assert_int_equal(mask.datatype, NIFTI_U8);
    volume_hash(&mask, hex);
    if (!expected->hash) expected->hash = SANITIZED ? scene_text(at, "%s", hex) : golden_hash(at);
    if (!expected->prints) expected->prints = result->out;
    if (!SANITIZED) assert_contains(result->out, "tumour_voxels=565547.0\n");
    assert_string_equal(hex, expected->hash);
    assert_string_equal(result->out, expected->prints);
}

/* ---- memory ---- */

static void sample_anonymous(const process *running, void *context) {
    uint64_t *peak = context;
    pid_t children[64];
    size_t count = children_of(running->pid, children, 64);
    for (size_t i = 0; i < count; i++) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/status", (int)children[i]);
        FILE *file = fopen(path, "r");
        unsigned long long kib;
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "RssAnon: %llu kB", &kib) == 1 && kib * 1024 > *peak) *peak = kib * 1024;
        if (file) fclose(file);
    }
}

static void require_nothing_computed_again(scene *at, expectation *expected) {
    outcome warm = run(at, "tumour.imgql", "--workers 2");
    check(at, &warm, expected);
    assert_int_equal(computed_by(&warm), 0);
    print_message("second run: %.3f s\n", warm.seconds);
}

static void test_workers(void **state) {
    scene *at = *state;
    expectation expected = {0};
    prepare(at);
    for (int workers = 1; workers <= 4; workers *= 2) {
        uint64_t anonymous = 0;
        scene_remove(at, "store");
        scene_remove(at, "tumour.nii.gz");
        process running = start_run(at, "tumour.imgql", scene_text(at, "--workers %d", workers));
        outcome cold = finish(at, &running, sample_anonymous, &anonymous);
        check(at, &cold, &expected);
        assert_int_equal(number_of(&cold, "workers"), workers);
        assert_int_equal(number_of(&cold, "failed"), 0);
        assert_true(computed_by(&cold) > 0);
        print_message("%d workers: %.2f s, RssAnon sampled %.1f MiB, reported %.1f MiB\n", workers, cold.seconds,
                      (double)anonymous / MIB, number_of(&cold, "peak_anon_bytes") / MIB);
        if (workers == 2) require_nothing_computed_again(at, &expected);
        if (SANITIZED) continue;
        assert_in_range(anonymous, 1, anonymous_max);
        assert_in_range(number_of(&cold, "peak_anon_bytes"), 0, anonymous_max); /* 0: a portable build cannot tell */
    }
}

static void test_memory_store(void **state) {
    scene *at = *state;
    expectation expected = {0};
    prepare(at);
    outcome result = run(at, "tumour.imgql", "--workers 2 --store :memory:");
    check(at, &result, &expected);
    assert_string_equal(string_of(at, &result, "store"), ":memory:");
    assert_false(scene_has(at, "store"));
}

static void test_posix_ring(void **state) {
    scene *at = *state;
    expectation expected = {0};
    prepare(at);
    outcome result = run(at, "tumour.imgql", "--workers 2 --set io.ring=posix --set io.tile=64KiB");
    check(at, &result, &expected);
    assert_string_equal(string_of(at, &result, "ring"), "posix");
}

static void test_uring(void **state) {
    scene *at = *state;
    expectation expected = {0};
    prepare(at);
    outcome result = run(at, "tumour.imgql", "--workers 2 --set io.ring=uring");
    if (result.status != 0 && strstr(result.err, "io_uring")) {
        print_message("skipped: io_uring is refused here: %s", result.err);
        skip();
    }
    check(at, &result, &expected);
    assert_string_equal(string_of(at, &result, "ring"), "io_uring");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_workers, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_memory_store, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_posix_ring, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_uring, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
