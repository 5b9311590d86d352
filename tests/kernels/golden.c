/* golden.c - recorded cases against kernels: see golden.h.
 *
 * Everything is compared exactly: voxels by SHA-256, numbers by bits; means within 1e-12 of their size, because the
 * order of the original's double additions is not ours; correlations within 1e-6, because ours come from whole numbers
 * and the original's from sums of doubles, without the voxels that the original leaves (defect S3). */
#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evaluate.h"
#include "runtime/kernels/files/json.h"

static const loom_value *field(const loom_value *record, const char *name) {
    const loom_value *value = loom_record_get(record, name);
    if (value == NULL) fail_msg("the manifest has no `%s`", name);
    return value;
}

static double number(const loom_value *value) {
    return value->type == LOOM_INT ? (double)value->integer : value->type == LOOM_FLOAT ? value->number : NAN;
}

static bool is_text(const loom_value *value, const char *text) {
    return value->type == LOOM_STRING && value->text.length == strlen(text) &&
           memcmp(value->text.bytes, text, value->text.length) == 0;
}

/* Recorded numbers against ours; a Python int must be an int here. */
static bool same_value(const loom_value *ours, const loom_value *recorded, double tolerance) {
    if (recorded->type == LOOM_SEQUENCE) {
        if (ours->type != LOOM_SEQUENCE || ours->sequence.count != recorded->sequence.count) return false;
        for (size_t k = 0; k < ours->sequence.count; k++)
            if (!same_value(&ours->sequence.items[k], &recorded->sequence.items[k], tolerance)) return false;
        return true;
    }
    if (recorded->type != ours->type) return false;
    if (recorded->type != LOOM_FLOAT) return loom_value_equal(ours, recorded);
    return fabs(ours->number - recorded->number) <= tolerance * fabs(recorded->number);
}

static bool same_axes(const double *ours, const loom_value *recorded, unsigned rank) {
    if (recorded->sequence.count != rank) return false;
    for (unsigned d = 0; d < rank; d++)
        if (fabs(ours[d] - number(&recorded->sequence.items[d])) > 1e-12) return false;
    return true;
}

/* Voxels of a correlation against those kept in a file. The original walks there and back along rows, by two workers,
 * and leaves the last voxel if their number is odd: in this image the last of all, as it has odd sizes. */
static const char *correlation_difference(harness *h, const char *folder, const loom_value *ours,
                                          const loom_value *recorded) {
    char path[4096];
    const loom_value *file = field(recorded, "file");
    snprintf(path, sizeof path, "%s/%.*s", folder, (int)file->text.length, file->text.bytes);
    loom_value kept = RUN(h, "simpleitk.ReadImage", loom_string_of(path));
    uint64_t voxels = loom_image_voxels(ours->image.header);
    if (!loom_image_same_domain(ours->image.header, kept.image.header, NULL)) return "the grid of the file";
    assert_int_equal(kept.image.header->dtype, LOOM_F32);
    const float *is = ours->image.voxels, *want = kept.image.voxels;
    for (uint64_t k = 0; k < voxels / 2 * 2; k++)
        if (!(fabsf(is[k] - want[k]) <= 1e-6f)) return "a correlation";
    return NULL;
}

/* What differs from the recorded image, or NULL. */
static const char *image_difference(harness *h, const char *folder, const loom_value *ours,
                                    const loom_value *recorded) {
    if (ours->type != LOOM_IMAGE) return "it is no image";
    const loom_image_header *header = ours->image.header;
    const loom_value *size = field(recorded, "size");
    if (!is_text(field(recorded, "pixel"), loom_dtype_itk_name(header->dtype))) return "pixel type";
    if (header->components != number(field(recorded, "components"))) return "components";
    if (size->sequence.count != header->rank) return "rank";
    for (unsigned d = 0; d < header->rank; d++)
        if (header->size[d] != (uint64_t)number(&size->sequence.items[d])) return "size";
    if (!same_axes(header->spacing, field(recorded, "spacing"), header->rank)) return "spacing";
    if (!same_axes(header->origin, field(recorded, "origin"), header->rank)) return "origin";
    if (strncmp(field(recorded, "name")->text.bytes, "cross", 5) == 0)
        return correlation_difference(h, folder, ours, recorded);
    char hex[LOOM_ID_HEX_BYTES];
    loom_id hash = loom_sha256(ours->image.voxels, loom_image_bytes(header));
    loom_id_hex(&hash, hex);
    return is_text(field(recorded, "sha256"), hex) ? NULL : "voxels";
}

/* Text with every ReadImage("FILE") reading from ../shared/data. */
static char *located(const char *text, size_t length, const char *data, char *out, size_t capacity) {
    static const char call[] = "ReadImage(\"";
    size_t used = 0, step = strlen(call);
    for (size_t k = 0; k < length && used + strlen(data) + 16 < capacity; k++) {
        out[used++] = text[k];
        if (k + 1 < step || memcmp(text + k + 1 - step, call, step) != 0) continue;
        memcpy(out + used, data, strlen(data));
        used += strlen(data);
        out[used++] = '/';
    }
    out[used] = 0;
    return out + used;
}

static loom_status evaluate_case(harness *h, const loom_value *manifest, const loom_value *one, const char *data,
                                 loom_value *result) {
    static char program[65536];
    const loom_value *prelude = field(manifest, "prelude"), *expression = field(one, "expression");
    char *at = located(prelude->text.bytes, prelude->text.length, data, program, sizeof program / 2);
    snprintf(at, sizeof program / 2, "\nresult = %.*s\nprint \"result\" result\n", (int)expression->text.length,
             expression->text.bytes);
    return evaluate(h, "golden.imgql", program, result);
}

/* What differs, or NULL. */
static const char *case_difference(harness *h, const loom_value *manifest, const char *folder, const loom_value *one,
                                   const char *data) {
    const loom_value *name = field(one, "name"), *kind = field(one, "kind");
    loom_value result = loom_null();
    if (evaluate_case(h, manifest, one, data, &result) != LOOM_OK) return h->err.message;
    if (is_text(kind, "image")) return image_difference(h, folder, &result, one);
    if (!is_text(kind, "value")) return "it is neither an image nor a value";
    double tolerance = strncmp(name->text.bytes, "s_avg", 5) == 0 || is_text(name, "avg_dt") ? 1e-12 : 0.0;
    return same_value(&result, field(one, "value"), tolerance) ? NULL : "the value";
}

void check_manifest(const char *set, unsigned least) {
    harness *h = harness_new();
    char name[128];
    snprintf(name, sizeof name, "golden/%s/manifest.json", set);
    const char *path = shared_path(h, name), *data = shared_path(h, "data");
    snprintf(name, sizeof name, "golden/%s", set);
    const char *folder = shared_path(h, name);
    size_t length = 0;
    const char *text = read_text(h, path, &length);
    loom_value manifest = loom_null();
    if (loom_json_read(path, text, length, h->arena, &manifest, &h->err) != LOOM_OK) fail_msg("%s", h->err.message);
    const loom_value *cases = field(&manifest, "cases");
    unsigned wrong = 0;
    for (size_t k = 0; k < cases->sequence.count; k++) {
        const loom_value *one = &cases->sequence.items[k], *title = field(one, "name");
        const char *difference = case_difference(h, &manifest, folder, one, data);
        if (difference != NULL) {
            print_error("%.*s differs: %s\n", (int)title->text.length, title->text.bytes, difference);
            wrong++;
        }
        evaluate_forget(h);
    }
    print_message("%s: %zu cases, %u differ\n", set, cases->sequence.count, wrong);
    assert_true(cases->sequence.count >= least);
    harness_free(h);
    assert_int_equal(wrong, 0);
}
