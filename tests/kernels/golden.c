/* golden.c - recorded cases against kernels: see golden.h.
 *
 * Everything is compared exactly: voxels by SHA-256, numbers by bits; means within 1e-12 of their size, because the
 * order of the original's double additions is not ours. */
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

/* What differs from the recorded image, or NULL. */
static const char *image_difference(const loom_value *ours, const loom_value *recorded) {
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

/* True if the case could be compared; counts a difference in *wrong. */
static bool check_case(harness *h, const loom_value *manifest, const loom_value *one, const char *data,
                       unsigned *wrong) {
    const loom_value *name = field(one, "name"), *kind = field(one, "kind");
    loom_value result = loom_null();
    loom_status status = evaluate_case(h, manifest, one, data, &result);
    int width = (int)name->text.length;
    if (status == LOOM_UNSUPPORTED) {
        print_message("not covered: %.*s (%s)\n", width, name->text.bytes, h->err.message);
        return false;
    }
    const char *difference = NULL;
    if (status != LOOM_OK)
        difference = h->err.message;
    else if (is_text(kind, "image"))
        difference = image_difference(&result, one);
    else if (!same_value(&result, field(one, "value"),
                         strncmp(name->text.bytes, "s_avg", 5) == 0 || is_text(name, "avg_dt") ? 1e-12 : 0.0))
        difference = "the value";
    if (difference != NULL) {
        print_error("%.*s differs: %s\n", width, name->text.bytes, difference);
        (*wrong)++;
    }
    return true;
}

void check_manifest(const char *set, unsigned least) {
    harness *h = harness_new();
    char name[128];
    snprintf(name, sizeof name, "golden/%s/manifest.json", set);
    const char *path = shared_path(h, name), *data = shared_path(h, "data");
    size_t length = 0;
    const char *text = read_text(h, path, &length);
    loom_value manifest = loom_null();
    if (loom_json_read(path, text, length, h->arena, &manifest, &h->err) != LOOM_OK) fail_msg("%s", h->err.message);
    const loom_value *cases = field(&manifest, "cases");
    unsigned compared = 0, wrong = 0;
    for (size_t k = 0; k < cases->sequence.count; k++) {
        compared += check_case(h, &manifest, &cases->sequence.items[k], data, &wrong);
        evaluate_forget(h);
    }
    print_message("%s: %u of %zu cases compared, %u differ\n", set, compared, cases->sequence.count, wrong);
    harness_free(h);
    assert_int_equal(wrong, 0);
    assert_true(compared >= least);
}
