/* test_pins.c - a result that changes needs a new version of its operator.
 *
 * pins.txt has a line for each native operator: name, version, and digests of its results in fixed cases
 * (pin_cases.h). Results are in users' stores under (operator, version, arguments): one that changed without its
 * version would be stale there, unnoticed. `test_kernels_pins --update` writes the lines of new operators and versions;
 * it never changes a digest of a version that is there.
 *
 * The digests are no evidence that a result is right: tests/README.md says what is. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pin_cases.h"

enum { PINS_MAX = 16, LINE_MAX_BYTES = 1024 };

typedef struct pin {
    unsigned number; /* of the case */
    uint32_t digest;
} pin;

typedef struct row {
    char name[128];
    int64_t version;
    pin pins[PINS_MAX];
    size_t count;
} row;

/* ---- digests ---- */

/* Results that go through the C library's exp, log, pow, sin, which differ in the last bit between libraries, are
 * rounded before they are hashed. */
static bool is_rounded(const char *name) {
    static const char *const names[] = {"Exp", "Log",  "Pow",  "Gaussian", "Sin",     "Cos",
                                        "Tan", "Asin", "Acos", "Atan",     "Sigmoid", "polygon"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (strstr(name, names[k]) != NULL) return true;
    return false;
}

/* To so many bits behind the point; every NaN is one NaN. */
static double canonical(double value, int bits, bool rounded) {
    if (isnan(value)) return (double)NAN;
    if (!rounded || value == 0 || isinf(value)) return value;
    int exponent = 0;
    double fraction = frexp(value, &exponent);
    return ldexp(nearbyint(ldexp(fraction, bits)), exponent - bits);
}

static void add_double(loom_hasher *hasher, double value) {
    if (isnan(value)) {
        loom_hasher_add(hasher, "nan", 4);
        return;
    }
    loom_hasher_add(hasher, &value, sizeof value);
}

static void add_image(loom_hasher *hasher, const loom_value *image, bool rounded) {
    const loom_image_header *header = image->image.header;
    uint64_t count = loom_image_voxels(header) * header->components;
    loom_hasher_add(hasher, header, sizeof *header);
    for (uint64_t k = 0; header->dtype == LOOM_F32 && k < count; k++)
        add_double(hasher, canonical((double)((const float *)image->image.voxels)[k], 16, rounded));
    for (uint64_t k = 0; header->dtype == LOOM_F64 && k < count; k++)
        add_double(hasher, canonical(((const double *)image->image.voxels)[k], 36, rounded));
    if (header->dtype != LOOM_F32 && header->dtype != LOOM_F64)
        loom_hasher_add(hasher, image->image.voxels, loom_image_bytes(header));
}

static void add_value(loom_hasher *hasher, const loom_value *value, bool rounded) {
    uint8_t type = (uint8_t)value->type;
    loom_hasher_add(hasher, &type, 1);
    switch (value->type) {
    case LOOM_BOOL:
        loom_hasher_add(hasher, value->boolean ? "1" : "0", 1);
        break;
    case LOOM_INT:
        loom_hasher_add(hasher, &value->integer, sizeof value->integer);
        break;
    case LOOM_FLOAT:
        add_double(hasher, canonical(value->number, 36, rounded));
        break;
    case LOOM_STRING:
    case LOOM_BYTES:
        loom_hasher_add(hasher, &value->text.length, sizeof value->text.length);
        if (value->text.length > 0) loom_hasher_add(hasher, value->text.bytes, value->text.length);
        break;
    case LOOM_SEQUENCE:
        loom_hasher_add(hasher, value->tuple ? "(" : "[", 1);
        loom_hasher_add(hasher, &value->sequence.count, sizeof value->sequence.count);
        for (size_t k = 0; k < value->sequence.count; k++)
            add_value(hasher, &value->sequence.items[k], rounded);
        break;
    case LOOM_RECORD:
        loom_hasher_add(hasher, &value->record.count, sizeof value->record.count);
        for (size_t k = 0; k < value->record.count; k++) {
            const loom_field *field = &value->record.fields[k];
            loom_hasher_add(hasher, field->name, field->name_length);
            add_value(hasher, &field->value, rounded);
        }
        break;
    case LOOM_IMAGE:
        add_image(hasher, value, rounded);
        break;
    default:
        break;
    }
}

/* False if the kernel refuses the case. */
static bool digest_of(harness *h, loom_hasher *hasher, const loom_operator *op, unsigned number, uint32_t *digest) {
    pin_call call;
    loom_value result = loom_null();
    pin_case(h, op, number, &call);
    const loom_value *attributes = call.attributes.type == LOOM_NULL ? NULL : &call.attributes;
    if (harness_run(h, op->name, call.arguments, call.count, attributes, &result) != LOOM_OK) return false;
    loom_hasher_begin(hasher);
    add_value(hasher, &result, is_rounded(op->name));
    loom_id id = loom_hasher_end(hasher);
    *digest = (uint32_t)id.bytes[0] << 24 | (uint32_t)id.bytes[1] << 16 | (uint32_t)id.bytes[2] << 8 | id.bytes[3];
    return true;
}

/* ---- the file ---- */

static const char *pins_path(void) {
    static char path[4096];
    const char *source = getenv("VOXLOOM_SOURCE");
    if (source == NULL) fail_msg("VOXLOOM_SOURCE is not set: run this with ctest, or set it to the source folder");
    snprintf(path, sizeof path, "%s/tests/kernels/pins.txt", source);
    return path;
}

static row *find(row *rows, size_t count, const char *name) {
    for (size_t k = 0; k < count; k++)
        if (strcmp(rows[k].name, name) == 0) return &rows[k];
    return NULL;
}

static void read_row(char *line, unsigned number, row *out) {
    char *rest = NULL, *word = strtok_r(line, " \n", &rest), *version = strtok_r(NULL, " \n", &rest), *end = NULL;
    *out = (row){0};
    if (word == NULL || version == NULL || strlen(word) >= sizeof out->name) fail_msg("pins.txt:%u: not a row", number);
    snprintf(out->name, sizeof out->name, "%s", word);
    out->version = strtoll(version, &end, 10);
    if (*end != 0 || out->version < 1) fail_msg("pins.txt:%u: %s is no version", number, version);
    for (char *one; (one = strtok_r(NULL, " \n", &rest)) != NULL;) {
        pin *next = &out->pins[out->count];
        if (out->count++ == PINS_MAX || sscanf(one, "%u:%8" SCNx32, &next->number, &next->digest) != 2 ||
            next->number >= PIN_CASES)
            fail_msg("pins.txt:%u: %s is no pin", number, one);
    }
}

/* Number of rows; none when there is no file. */
static size_t read_rows(row *rows, size_t capacity) {
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(pins_path(), "r");
    if (file == NULL) return 0;
    size_t count = 0;
    for (unsigned number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        if (line[0] == '#') continue;
        if (count == capacity || strchr(line, '\n') == NULL) fail_msg("pins.txt:%u: too long", number);
        read_row(line, number, &rows[count]);
        if (find(rows, count, rows[count].name) != NULL) fail_msg("pins.txt:%u: listed twice", number);
        count++;
    }
    fclose(file);
    return count;
}

static void write_rows(const row *rows, size_t count) {
    FILE *file = fopen(pins_path(), "w");
    if (file == NULL) fail_msg("cannot write %s: %s", pins_path(), strerror(errno));
    fprintf(file, "# operator version case:digest... (test_pins.c; written by test_kernels_pins --update)\n");
    for (size_t k = 0; k < count; k++) {
        fprintf(file, "%s %" PRId64, rows[k].name, rows[k].version);
        for (size_t p = 0; p < rows[k].count; p++)
            fprintf(file, " %u:%08" PRIx32, rows[k].pins[p].number, rows[k].pins[p].digest);
        fputc('\n', file);
    }
    assert_int_equal(fclose(file), 0);
}

/* ---- comparing ---- */

/* Counts what differs, saying so. */
static unsigned compare(harness *h, loom_hasher *hasher, const loom_operator *op, const row *known) {
    unsigned wrong = 0;
    for (size_t k = 0; k < known->count; k++) {
        uint32_t digest = 0;
        bool answered = digest_of(h, hasher, op, known->pins[k].number, &digest);
        if (answered && digest == known->pins[k].digest) continue;
        print_error(
            "%s: case %u %s: if that is meant, raise the operator's version and run test_kernels_pins --update\n",
            op->name, known->pins[k].number, answered ? "gives another result" : h->err.message);
        wrong++;
    }
    return wrong;
}

/* True if `one` has the case, or another with the same result. */
static bool holds(const row *one, unsigned number, uint32_t digest) {
    for (size_t k = 0; k < one->count; k++)
        if (one->pins[k].number == number || one->pins[k].digest == digest) return true;
    return false;
}

/* Pins of the first cases with results of their own, scenes and variants mixed, beside those that `out` has. */
static void fill(harness *h, loom_hasher *hasher, const loom_operator *op, row *out) {
    for (unsigned k = 0; k < PIN_CASES && out->count < PINS_MAX; k++) {
        unsigned number = k * 37 % PIN_CASES;
        uint32_t digest = 0;
        if (!digest_of(h, hasher, op, number, &digest) || holds(out, number, digest)) continue;
        out->pins[out->count++] = (pin){number, digest};
    }
}

static const row *rows_of(size_t *count) {
    static row rows[1024];
    *count = read_rows(rows, sizeof rows / sizeof rows[0]);
    return rows;
}

static bool is_native(const loom_operator *op) {
    return loom_kernel_of(op)->run != NULL;
}

static void results_are_those_of_their_versions(void **state) {
    (void)state;
    size_t count = 0;
    unsigned wrong = 0, pinned = 0;
    row *rows = (row *)(uintptr_t)rows_of(&count);
    loom_hasher *hasher = loom_hasher_new();
    assert_non_null(hasher);
    for (size_t k = 0; k < loom_operators()->count; k++) {
        const loom_operator *op = loom_operators()->operators[k];
        const row *known = find(rows, count, op->name);
        if (!is_native(op)) continue;
        if (known == NULL || known->version != op->version || known->count == 0) {
            print_error("%s version %" PRId64 " is not pinned: run test_kernels_pins --update\n", op->name,
                        op->version);
            wrong++;
            continue;
        }
        harness *h = harness_new();
        wrong += compare(h, hasher, op, known);
        pinned += (unsigned)known->count;
        harness_free(h);
    }
    for (size_t k = 0; k < count; k++) {
        const loom_operator *op = loom_operator_find(loom_operators(), rows[k].name, strlen(rows[k].name));
        if (op == NULL || !is_native(op)) print_error("%s is pinned, but not native\n", rows[k].name);
        wrong += op == NULL || !is_native(op);
    }
    loom_hasher_free(hasher);
    print_message("%u results compared with their pins\n", pinned);
    assert_int_equal(wrong, 0);
}

/* Writes pins of what is new. Refused, the file unchanged, when a known version gives other results. */
static void update(void **state) {
    (void)state;
    static row next[1024];
    size_t known_count = 0, count = 0;
    unsigned wrong = 0;
    row *rows = (row *)(uintptr_t)rows_of(&known_count);
    loom_hasher *hasher = loom_hasher_new();
    assert_non_null(hasher);
    for (size_t k = 0; k < loom_operators()->count; k++) {
        const loom_operator *op = loom_operators()->operators[k];
        const row *known = find(rows, known_count, op->name);
        if (!is_native(op)) continue;
        harness *h = harness_new();
        row *mine = &next[count++];
        *mine = (row){.version = op->version};
        snprintf(mine->name, sizeof mine->name, "%s", op->name);
        if (known != NULL && known->version > op->version) {
            print_error("%s: version %" PRId64 " was pinned before; versions only rise\n", op->name, known->version);
            wrong++;
        } else if (known != NULL && known->version == op->version) {
            wrong += compare(h, hasher, op, known);
            *mine = *known;
        }
        fill(h, hasher, op, mine);
        if (mine->count == 0) {
            print_error("%s answers none of its cases: add arguments that it takes to pin_cases.c\n", op->name);
            wrong++;
        }
        harness_free(h);
    }
    loom_hasher_free(hasher);
    if (wrong == 0) write_rows(next, count);
    assert_int_equal(wrong, 0);
    print_message("%zu operators pinned in %s\n", count, pins_path());
}

/* A folder of its own, for the operators that read files. */
static int enter(void **state) {
    static char folder[4096];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/voxloom-pins-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) return -1;
    harness *h = harness_new();
    pin_files(h);
    harness_free(h);
    *state = folder;
    return 0;
}

static int leave(void **state) {
    static const char *const names[] = {"lines.txt",    "table.csv",    "tree.json",          "raw.bin",
                                        "image.nii",    "mask.nii",     "written.nii",        "written.mha",
                                        "folder/a.txt", "folder/b.csv", "folder/inner/c.txt", "folder/inner",
                                        "folder"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        remove(names[k]);
    return chdir("/") != 0 || rmdir(*state) != 0 ? -1 : 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_those_of_their_versions)};
    const struct CMUnitTest updates[] = {cmocka_unit_test(update)};
    if (argc > 1 && strcmp(argv[1], "--update") == 0) return cmocka_run_group_tests(updates, enter, leave);
    return cmocka_run_group_tests(tests, enter, leave);
}
