/* golden_set.c - manifests, programs and comparisons: see golden_set.h. */
#include "golden_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/volume.h"
#include "json_path.h"
#include "shm/id.h"

/* ---- the manifest ---- */

static const char *member(const char *record, const char *path, size_t *length) {
    const char *found = json_find(record, path, length);
    if (!found) fail_msg("the manifest has no %s in %.200s", path, record);
    return found;
}

/* A string without its quotes and escapes. */
static const char *string_member(scene *at, const char *record, const char *path) {
    size_t length = 0;
    const char *found = member(record, path, &length);
    if (*found != '"') fail_msg("%s is no string in %.200s", path, record);
    char *text = scene_text(at, "%.*s", (int)length - 2, found + 1), *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '\\') {
            from++;
            if (!strchr("\"\\/n", *from)) fail_msg("\\%c in %s of the manifest", *from, path);
            *to++ = *from == 'n' ? '\n' : *from;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static bool is_string(const char *record, const char *path, const char *text) {
    size_t length = 0;
    const char *found = member(record, path, &length);
    return length == strlen(text) + 2 && *found == '"' && strncmp(found + 1, text, length - 2) == 0;
}

static double number_member(const char *record, const char *path) {
    size_t length = 0;
    const char *found = member(record, path, &length);
    char *end = NULL;
    double number = strtod(found, &end);
    if (end != found + length) fail_msg("%s is no number in %.200s", path, record);
    return number;
}

/* A recorded value as Python prints it: JSON's text of numbers is Python's, the rest is spelt differently. */
static const char *printed(scene *at, const char *record) {
    size_t length = 0;
    const char *value = member(record, "value", &length), *end = value + length;
    bool tuple = is_string(record, "python", "tuple");
    char *text = scene_text(at, "%*s", (int)(2 * length), ""), *to = text;
    for (; value < end; value++) {
        if (*value == '"') fail_msg("a recorded value holds a string: %.200s", record);
        if (strchr(" \n\r\t", *value)) continue;
        *to++ = *value == '[' && tuple ? '(' : *value == ']' && tuple ? ')' : *value;
        if (*value == ',') *to++ = ' ';
    }
    *to = '\0';
    return strcmp(text, "true") == 0 ? "True" : strcmp(text, "false") == 0 ? "False" : text;
}

static golden_case read_case(scene *at, const char *record) {
    golden_case one = {.recorded = record,
                       .name = string_member(at, record, "name"),
                       .expression = string_member(at, record, "expression"),
                       .image = is_string(record, "kind", "image")};
    if (one.image) return one;
    if (!is_string(record, "kind", "value")) fail_msg("%s is neither an image nor a value", one.name);
    one.text = printed(at, record);
    if (strncmp(one.name, "s_avg", 5) == 0 || strcmp(one.name, "avg_dt") == 0) one.relative_tolerance = 1e-12;
    return one;
}

static void copy_input(scene *at, const char *manifest, const char *input) {
    const char *name = string_member(at, manifest, input);
    if (scene_has(at, name)) return;
    scene_copy(at, shared_file(at, scene_text(at, "data/%s", name)), name);
    scene_age(at, name, 3600);
}

golden_set golden_load(scene *at, const char *name) {
    golden_set set = {.at = at, .name = name};
    scene_copy(at, shared_file(at, scene_text(at, "golden/%s/manifest.json", name)), "manifest.json");
    const char *manifest = scene_read(at, "manifest.json", NULL);
    set.prelude = string_member(at, manifest, "prelude");
    copy_input(at, manifest, "inputs.u");
    copy_input(at, manifest, "inputs.w");
    size_t length = 0;
    while (json_find(manifest, scene_text(at, "cases.%zu", set.count), &length))
        set.count++;
    set.cases = calloc(set.count + 1, sizeof *set.cases);
    assert_non_null(set.cases);
    for (size_t i = 0; i < set.count; i++) {
        golden_case *one = &set.cases[i];
        *one = read_case(at, member(manifest, scene_text(at, "cases.%zu", i), &length));
    }
    return set;
}

void golden_free(golden_set *set) {
    free(set->cases);
    *set = (golden_set){0};
}

/* ---- the program ---- */

void golden_write(golden_set *set) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fprintf(out, "%s", set->prelude);
    for (size_t i = 0; i < set->count; i++) {
        golden_case *one = &set->cases[i];
        fprintf(out, "r_%s = %s\n", one->name, one->expression);
        fprintf(out, one->image ? "save \"out/%s.nii.gz\" r_%s\n" : "print \"%s\" r_%s\n", one->name, one->name);
    }
    assert_int_equal(fclose(out), 0);
    set->program = scene_text(set->at, "%s.imgql", set->name);
    scene_write(set->at, set->program, text);
    free(text);
}

unsigned golden_images(const golden_set *set) {
    unsigned images = 0;
    for (size_t i = 0; i < set->count; i++)
        images += set->cases[i].image;
    return images;
}

outcome golden_run(const golden_set *set, const char *more, double seconds) {
    process running = start_run(set->at, set->program, more);
    if (seconds > 0) running.timeout_seconds = seconds;
    return finish(set->at, &running, NULL, NULL);
}

/* ---- images ---- */

/* A file of NIfTI holds spacing and origin as floats; sizes are small enough for that. */
static bool same_axes(const golden_case *one, const char *name, const double *ours, unsigned rank) {
    size_t length = 0;
    char path[32];
    for (unsigned axis = 0; axis < rank; axis++) {
        snprintf(path, sizeof path, "%s.%u", name, axis);
        if (fabs(ours[axis] - (double)(float)number_member(one->recorded, path)) > 1e-12) return false;
    }
    snprintf(path, sizeof path, "%s.%u", name, rank);
    return json_find(one->recorded, path, &length) == NULL;
}

static const char *header_difference(const golden_case *one, const loom_image_header *header) {
    double size[LOOM_RANK_MAX];
    for (unsigned axis = 0; axis < LOOM_RANK_MAX; axis++)
        size[axis] = (double)header->size[axis];
    if (!is_string(one->recorded, "pixel", loom_dtype_itk_name(header->dtype))) return "the pixel type";
    if (header->components != number_member(one->recorded, "components")) return "components";
    if (!same_axes(one, "size", size, header->rank)) return "the size";
    if (!same_axes(one, "spacing", header->spacing, header->rank)) return "spacing";
    if (!same_axes(one, "origin", header->origin, header->rank)) return "the origin";
    return NULL;
}

static const char *voxel_difference(const golden_case *one, loom_volume *read, loom_error *err) {
    uint64_t bytes = loom_image_bytes(loom_volume_header(read));
    loom_volume_sink sink = {.fd = -1, .memory = malloc(bytes)};
    assert_non_null(sink.memory);
    const char *difference = NULL;
    if (loom_volume_load(read, &sink, err) == LOOM_OK) {
        char hex[LOOM_ID_HEX_BYTES];
        loom_id hash = loom_sha256(sink.memory, bytes);
        loom_id_hex(&hash, hex);
        /* Correlations are within 1e-6 of those recorded, which tests/kernels/golden.c compares. */
        bool close = strncmp(one->name, "cross", 5) == 0;
        if (!close && !is_string(one->recorded, "sha256", hex)) difference = "a voxel";
    } else {
        difference = "it cannot be read";
    }
    free(sink.memory);
    return difference;
}

/* What differs between the saved image and the recorded one, or NULL. */
static const char *image_difference(const golden_set *set, const golden_case *one) {
    loom_error err = {0};
    loom_volume *read = NULL;
    const char *path = scene_path(set->at, scene_text(set->at, "out/%s.nii.gz", one->name));
    if (loom_volume_open(path, &read, &err) != LOOM_OK) return scene_text(set->at, "%s", err.message);
    const char *difference = header_difference(one, loom_volume_header(read));
    if (!difference) difference = voxel_difference(one, read, &err);
    loom_volume_close(read);
    return difference;
}

/* ---- values ---- */

static bool same_text(const golden_case *one, const char *text) {
    if (one->relative_tolerance <= 0) return strcmp(text, one->text) == 0;
    char *end = NULL;
    double ours = strtod(text, &end), recorded = strtod(one->text, NULL);
    return end != text && *end == '\0' && fabs(ours - recorded) <= one->relative_tolerance * fabs(recorded);
}

/* What differs in the next line of the output, or NULL; *rest is set behind it. */
static const char *value_difference(const golden_set *set, const golden_case *one, const char **rest) {
    size_t length = strcspn(*rest, "\n"), name = strlen(one->name);
    const char *line = scene_text(set->at, "%.*s", (int)length, *rest);
    if (strncmp(line, one->name, name) != 0 || line[name] != '=')
        return scene_text(set->at, "the next line is \"%s\"", line);
    *rest += length + ((*rest)[length] == '\n');
    if (same_text(one, line + name + 1)) return NULL;
    return scene_text(set->at, "printed is %s, recorded %s", line + name + 1, one->text);
}

/* ---- all cases ---- */

/* What is wrong with how the goal ended, or NULL. */
static const char *goal_difference(const golden_set *set, const golden_case *one, const outcome *result,
                                   unsigned goal) {
    scene *at = set->at;
    const char *name = string_of(at, result, scene_text(at, "goals.%u.name", goal));
    const char *status = string_of(at, result, scene_text(at, "goals.%u.status", goal));
    const char *error = string_of(at, result, scene_text(at, "goals.%u.error", goal));
    if (strcmp(name, one->image ? scene_text(at, "out/%s.nii.gz", one->name) : one->name) != 0)
        return scene_text(at, "the summary says %s in its place", name);
    return strcmp(status, "ok") == 0 && !error ? NULL : scene_text(at, "%s: %s", status, error);
}

void golden_check(const golden_set *set, const outcome *result) {
    unsigned goal = 0, wrong = 0;
    const char *rest = result->out;
    for (size_t i = 0; i < set->count; i++) {
        const golden_case *one = &set->cases[i];
        const char *difference = goal_difference(set, one, result, goal++);
        if (!difference) difference = one->image ? image_difference(set, one) : value_difference(set, one, &rest);
        if (difference) print_error("%s of %s differs: %s\n", one->name, set->name, difference);
        wrong += difference != NULL;
    }
    if (wrong > 0) fail_msg("%u cases of %s differ; stderr:\n%s", wrong, set->name, result->err);
    assert_string_equal(rest, ""); /* nothing more was printed */
    assert_int_equal(result->status, 0);
}
