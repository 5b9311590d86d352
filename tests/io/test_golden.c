/* test_golden.c - every image that the real VoxLogicA-2 (ITK 5.2.1) recorded: voxels, geometry and, written back, the
 * same header bytes that ITK wrote. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/id.h"

/* Value of `"key":` between two places of a manifest (json.dump with indent), or NULL. */
static const char *find_key(const char *from, const char *to, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(from, quoted);
    if (!found || found >= to) return NULL;
    found += strlen(quoted);
    while (*found == ' ')
        found++;
    return found;
}

static bool find_text(const char *from, const char *to, const char *key, char *text, size_t capacity) {
    const char *value = find_key(from, to, key);
    if (!value || *value != '"') return false;
    const char *end = strchr(value + 1, '"');
    assert_non_null(end);
    snprintf(text, capacity, "%.*s", (int)(end - value - 1), value + 1);
    return true;
}

static size_t find_numbers(const char *from, const char *to, const char *key, double numbers[4]) {
    const char *value = find_key(from, to, key);
    assert_non_null(value);
    size_t count = 0;
    while (*value == '[' || *value == ',' || *value == ' ' || *value == '\n') {
        char *end;
        double number = strtod(value + 1, &end);
        if (end == value + 1) {
            value++;
            continue;
        }
        assert_true(count < 4);
        numbers[count++] = number;
        value = end;
    }
    return count;
}

static void check_geometry(const loom_image_header *header, const char *from, const char *to) {
    double size[4], spacing[4], origin[4];
    size_t rank = find_numbers(from, to, "size", size);
    assert_int_equal(find_numbers(from, to, "spacing", spacing), rank);
    assert_int_equal(find_numbers(from, to, "origin", origin), rank);
    assert_int_equal(header->rank, rank);
    for (size_t axis = 0; axis < rank; axis++) {
        assert_true((double)header->size[axis] == size[axis]);
        /* Recorded in memory; the file keeps single precision. */
        assert_true(header->spacing[axis] == (double)(float)spacing[axis]);
        assert_true(header->origin[axis] == (double)(float)origin[axis]);
    }
    const char *components = find_key(from, to, "components");
    assert_int_equal(header->components, strtol(components, NULL, 10));
}

/* ITK's writer is the independent one: same image, same header. */
static void check_written_header(const char *path, const loom_image_header *header, const void *voxels) {
    const char *copy = scratch_path("copy.nii.gz");
    loom_error err = {0};
    assert_loom_ok(loom_volume_write_level(copy, header, voxels, 1, &err), &err);
    size_t theirs_length, ours_length;
    unsigned char *theirs = gunzip_file(path, &theirs_length), *ours = gunzip_file(copy, &ours_length);
    assert_int_equal(ours_length, theirs_length);
    for (size_t i = 0; i < 352; i++)
        if (ours[i] != theirs[i]) fail_msg("%s: header byte %zu is %02x, ITK wrote %02x", path, i, ours[i], theirs[i]);
    assert_memory_equal(ours, theirs, theirs_length);
    free(theirs);
    free(ours);
}

/* Returns whether the case has a file. */
static bool check_case(const char *folder, const char *from, const char *to) {
    char file[256], pixel[64], hash[80], path[1400], hex[LOOM_ID_HEX_BYTES];
    if (!find_text(from, to, "file", file, sizeof file)) return false;
    assert_true(find_text(from, to, "pixel", pixel, sizeof pixel));
    assert_true(find_text(from, to, "sha256", hash, sizeof hash));
    snprintf(path, sizeof path, "%s/%s", folder, file);
    loom_image_header header;
    void *voxels = load_volume(path, &header);
    assert_string_equal(loom_dtype_itk_name(header.dtype), pixel);
    check_geometry(&header, from, to);
    loom_id id = loom_sha256(voxels, (size_t)loom_image_bytes(&header));
    loom_id_hex(&id, hex);
    if (strcmp(hex, hash) != 0) fail_msg("%s: voxels hash to %s, recorded %s", path, hex, hash);
    check_written_header(path, &header, voxels);
    free(voxels);
    return true;
}

static void check_manifest(const char *name, size_t expected) {
    const char *shared = shared_folder();
    if (!shared) {
        skip();
        return;
    }
    char folder[1024], manifest[1100];
    snprintf(folder, sizeof folder, "%s/golden/%s", shared, name);
    snprintf(manifest, sizeof manifest, "%s/manifest.json", folder);
    size_t length, files = 0;
    char *text = (char *)read_file(manifest, &length);
    const char *next = strstr(text, "\"name\":");
    while (next) {
        const char *following = strstr(next + 1, "\"name\":");
        files += check_case(folder, next, following ? following : text + length);
        next = following;
    }
    free(text);
    if (files < expected) fail_msg("only %zu files were checked", files);
}

static void small_images_match_the_recording(void **state) {
    (void)state;
    check_manifest("small", 70);
}

static void field_images_match_the_recording(void **state) {
    (void)state;
    check_manifest("field", 70);
}

/* Geometry that ITK reported for the inputs (the same as that of the results in the manifests). */
static void inputs_have_the_recorded_geometry(void **state) {
    (void)state;
    static const struct {
        const char *file;
        const char *type;
        uint64_t size[3];
        double spacing[3], origin[3];
    } inputs[] = {
        {"chris_t1.nii.gz",
         "u8",
         {188, 256, 190},
         {0.8799999952316284, 0.8799999952316284, 0.8799999952316284},
         {83.12000274658203, 118.12000274658203, -77.12000274658203}},
        {"field_a.nii.gz", "i16", {37, 53, 29}, {0.8999999761581421, 1.100000023841858, 2.5}, {-10.5, 3.25, 7.0}},
        {"field_b.nii.gz", "i16", {37, 53, 29}, {0.8999999761581421, 1.100000023841858, 2.5}, {-10.5, 3.25, 7.0}},
        {"case_000_0000.nii.gz", "u8", {32, 64, 64}, {1, 1, 1}, {0, 0, 0}},
        {"case_001_0000.nii.gz", "u8", {32, 64, 64}, {1, 1, 1}, {0, 0, 0}},
        {"case_002_0000.nii.gz", "u8", {32, 64, 64}, {1, 1, 1}, {0, 0, 0}},
        {"case_003_0000.nii.gz", "u8", {32, 64, 64}, {1, 1, 1}, {0, 0, 0}},
        {"case_004_0000.nii.gz", "u8", {32, 64, 64}, {1, 1, 1}, {0, 0, 0}},
    };
    const char *shared = shared_folder();
    if (!shared) {
        skip();
        return;
    }
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/data/%s", shared, inputs[i].file);
        loom_image_header header;
        free(load_volume(path, &header));
        assert_string_equal(loom_dtype_name(header.dtype), inputs[i].type);
        assert_int_equal(header.rank, 3);
        for (unsigned axis = 0; axis < 3; axis++) {
            assert_true(header.size[axis] == inputs[i].size[axis]);
            assert_true(header.spacing[axis] == inputs[i].spacing[axis]);
            assert_true(header.origin[axis] == inputs[i].origin[axis]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_images_match_the_recording),
        cmocka_unit_test(field_images_match_the_recording),
        cmocka_unit_test(inputs_have_the_recorded_geometry),
    };
    return cmocka_run_group_tests_name("io golden", tests, scratch_setup, scratch_teardown);
}
