/* pin_cases.c - see pin_cases.h. */
#include "pin_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "runtime/kernels/base/domain.h"
#include "runtime/kernels/fused/tape.h"

#define COUNT(list_) (sizeof(list_) / sizeof((list_)[0]))

/* ---- scenes ---- */

typedef struct scene {
    unsigned rank;
    uint64_t size[LOOM_RANK_MAX];
    double spacing[LOOM_RANK_MAX];
    uint16_t components;
    loom_dtype dtypes[3]; /* of the first, the second and all further images */
    bool odd;             /* NaN and infinities among the floats */
} scene;

static const scene scenes[] = {
    {3, {7, 5, 4, 1}, {1, 1, 1, 1}, 1, {LOOM_BOOL8, LOOM_BOOL8, LOOM_BOOL8}, false},
    {3, {7, 5, 4, 1}, {1, 0.5, 2, 1}, 1, {LOOM_F32, LOOM_BOOL8, LOOM_BOOL8}, false},
    {3, {6, 5, 3, 1}, {1, 1, 1, 1}, 1, {LOOM_F32, LOOM_F32, LOOM_BOOL8}, false},
    {2, {9, 6, 1, 1}, {1, 1, 1, 1}, 1, {LOOM_U8, LOOM_U8, LOOM_U8}, false},
    {3, {5, 4, 5, 1}, {1.5, 1, 1, 1}, 1, {LOOM_I16, LOOM_U8, LOOM_BOOL8}, false},
    {2, {6, 5, 1, 1}, {1, 1, 1, 1}, 3, {LOOM_U8, LOOM_U8, LOOM_U8}, false},
    {3, {4, 3, 3, 1}, {1, 1, 1, 1}, 1, {LOOM_F32, LOOM_F32, LOOM_F32}, true},
    {2, {8, 7, 1, 1}, {2, 1, 1, 1}, 1, {LOOM_BOOL8, LOOM_F32, LOOM_BOOL8}, false},
    {3, {1, 6, 5, 1}, {1, 1, 3, 1}, 1, {LOOM_F64, LOOM_F64, LOOM_BOOL8}, false},
    {4, {4, 3, 2, 3}, {1, 1, 1, 1}, 1, {LOOM_F32, LOOM_BOOL8, LOOM_BOOL8}, false},
    {3, {5, 5, 3, 1}, {1, 1, 1, 1}, 1, {LOOM_U16, LOOM_U16, LOOM_U16}, false},
    {3, {5, 3, 4, 1}, {0.5, 0.5, 0.5, 1}, 1, {LOOM_I32, LOOM_I32, LOOM_BOOL8}, false},
    {2, {5, 7, 1, 1}, {1, 1, 1, 1}, 1, {LOOM_I8, LOOM_I8, LOOM_BOOL8}, false},
    {3, {4, 3, 2, 1}, {1, 1, 1, 1}, 4, {LOOM_F32, LOOM_F32, LOOM_F32}, false},
    {3, {4, 4, 3, 1}, {1, 1, 1, 1}, 1, {LOOM_U32, LOOM_I64, LOOM_U64}, false},
    {2, {40, 3, 1, 1}, {1, 1, 1, 1}, 1, {LOOM_F32, LOOM_BOOL8, LOOM_F32}, false},
};

/* Voxel value `k` of image `which`: small whole numbers, or quarters of them, with runs and ties. */
static double voxel(const scene *s, loom_dtype dtype, unsigned which, uint64_t k) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0};
    uint64_t draw = (k / s->components + 1) * UINT64_C(0x9E3779B97F4A7C15) + which * UINT64_C(0xD1B54A32D192ED03);
    draw ^= draw >> 29;
    draw = draw * UINT64_C(0xBF58476D1CE4E5B9) + k % s->components * 7;
    draw >>= 40;
    switch (dtype) {
    case LOOM_BOOL8:
        return draw % 5 < 2;
    case LOOM_U8:
    case LOOM_U16:
    case LOOM_U32:
    case LOOM_U64:
        return (double)(draw % 3 == 0 ? 0 : draw % 9);
    case LOOM_I8:
    case LOOM_I16:
    case LOOM_I32:
    case LOOM_I64:
        return (double)(draw % 21) - 6;
    default:
        if (s->odd && draw % 8 < COUNT(odd)) return odd[draw % 8];
        return ((double)(draw % 45) - 8) * 0.25;
    }
}

static void put(void *voxels, loom_dtype dtype, uint64_t k, double value) {
    int64_t whole = isfinite(value) ? (int64_t)value : 0;
    switch (dtype) {
    case LOOM_F32:
        ((float *)voxels)[k] = (float)value;
        break;
    case LOOM_F64:
        ((double *)voxels)[k] = value;
        break;
    default:
        for (size_t b = 0, bytes = loom_dtype_bytes((uint8_t)dtype); b < bytes; b++)
            ((uint8_t *)voxels)[k * bytes + b] = (uint8_t)((uint64_t)whole >> (8 * b));
    }
}

static loom_value picture(harness *h, const scene *s, unsigned which) {
    loom_dtype dtype = s->dtypes[which < 2 ? which : 2];
    loom_value image = make_image(h, dtype, s->rank, s->size, s->components);
    loom_image_header *header = (loom_image_header *)(uintptr_t)image.image.header;
    memcpy(header->spacing, s->spacing, s->rank * sizeof(double));
    header->origin[0] = 0.5;
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    for (uint64_t k = 0; k < loom_image_voxels(header) * s->components; k++)
        put(voxels, dtype, k, voxel(s, dtype, which, k));
    return image;
}

/* ---- arguments ---- */

static loom_value number(unsigned variant, unsigned position) {
    static const double numbers[] = {1, 3, 0, 2, 5, 0.5, 7, 4, -1, 2.5, 10, 1.25};
    unsigned pick = variant * 5 + position * 4 + variant / 12;
    return pick % 7 == 6 ? loom_int((int64_t)numbers[pick % 5]) : loom_float(numbers[pick % COUNT(numbers)]);
}

static loom_value list(harness *h, const scene *s, unsigned variant, unsigned position) {
    static const double lists[][LOOM_RANK_MAX] = {{1, 1, 1, 1}, {2, 1, 1, 1}, {0, 1, 0, 1}, {2, 2, 1, 2},
                                                  {1, 0, 2, 3}, {3, 2, 2, 1}, {2, 0, 1, 3}, {0, 0, 0, 0}};
    unsigned pick = (variant + position * 3) % (COUNT(lists) + 1);
    loom_value *items = loom_arena_array(h->arena, LOOM_RANK_MAX, sizeof *items);
    if (items == NULL) abort();
    for (unsigned d = 0; d < s->rank; d++)
        items[d] = pick < COUNT(lists) ? loom_float(lists[pick][d]) : loom_bool(d != 1);
    return loom_sequence(items, s->rank);
}

static loom_value text(unsigned variant, unsigned position) {
    static const char *const texts[] = {"{} and {:>6}", "sitkFloat32", "3", "sitkUInt8", "a{1}b{0}", "{:.3f}|{}"};
    return loom_string_of(texts[(variant + position) % COUNT(texts)]);
}

static loom_value fields(harness *h, unsigned variant) {
    loom_field *all = loom_arena_array(h->arena, 2, sizeof *all);
    if (all == NULL) abort();
    all[0] = (loom_field){"value", 5, loom_float((double)variant)};
    all[1] = (loom_field){"label", 5, loom_string_of("a")};
    return loom_record(all, 2);
}

static loom_value anything(harness *h, const scene *s, unsigned variant, unsigned position, unsigned *images) {
    switch ((variant + position * 3 + variant * position / 2) % 8) {
    case 0:
    case 1:
    case 6:
        return picture(h, s, (*images)++);
    case 2:
    case 5:
        return number(variant, position);
    case 3:
        return list(h, s, variant, position);
    case 4:
        return variant % 3 == 0 ? loom_null() : text(variant, position);
    default:
        return variant % 4 == 0 ? fields(h, variant) : loom_bool(variant % 2 == 0);
    }
}

static char letter_of(const loom_operator *op, uint32_t position) {
    const char *signature = op->signature;
    for (uint32_t k = 0; signature[0] != ':' && signature[0] != 0; k++, signature++)
        if (k == position || signature[1] == '*') return signature[0];
    return 'v';
}

static loom_value argument(harness *h, const scene *s, char letter, unsigned variant, unsigned position,
                           unsigned *images) {
    switch (letter) {
    case 'i':
        return picture(h, s, (*images)++);
    case 'n':
        return number(variant, position);
    case 'b':
        return loom_bool((variant + position) % 2 == 0);
    case 's':
        return text(variant, position);
    case 'q':
        return list(h, s, variant, position);
    case 'r':
        return fields(h, variant);
    default:
        return anything(h, s, variant, position, images);
    }
}

/* ---- operators whose arguments no letter describes ---- */

static bool is(const loom_operator *op, const char *name) {
    return strcmp(op->name, name) == 0;
}

static void add(pin_call *call, loom_value value) {
    call->arguments[call->count++] = value;
}

/* True if the call is one of files. */
static bool file_case(harness *h, const scene *s, const loom_operator *op, unsigned variant, pin_call *call) {
    static const char *const loads[] = {"lines.txt", "table.csv", "tree.json", "raw.bin", "missing"};
    static const char *const patterns[] = {"*", "*.txt", "in*", "*.[cj]*"};
    if (is(op, "default.load")) {
        add(call, loom_string_of(loads[variant % COUNT(loads)]));
    } else if (is(op, "default.dir")) {
        add(call, loom_string_of("folder"));
        if (variant > 0) add(call, loom_string_of(patterns[variant % COUNT(patterns)]));
        if (variant > 3) add(call, loom_bool(variant % 2 == 0));
    } else if (is(op, "simpleitk.ReadImage")) {
        add(call, loom_string_of(variant % 2 == 0 ? "image.nii" : "mask.nii"));
    } else if (is(op, "simpleitk.WriteImage") || is(op, "loom.save")) {
        add(call, picture(h, s, 0));
        add(call, loom_string_of(variant % 2 == 0 ? "written.nii" : "written.mha"));
    } else {
        return false;
    }
    return true;
}

/* A tape: sub_vs of an image and a number, and what it is that is asked of the difference. */
static void fused_case(harness *h, const scene *s, unsigned variant, pin_call *call) {
    static const char *const ends[] = {"vox1.abs", "vox1.volume", "vox1.max", "simpleitk.MinimumMaximum", "vox1.min"};
    static const char first[] = "vox1.sub_vs";
    const char *end = ends[variant % COUNT(ends)];
    loom_tape tape = {.member_count = 2, .operand_count = 3, .operands = {0, 1, LOOM_TAPE_MEMBER}};
    loom_buffer encoded = {0};
    tape.members[0] = (loom_tape_member){loom_operator_find(loom_operators(), first, strlen(first)), 0, 2};
    tape.members[1] = (loom_tape_member){loom_operator_find(loom_operators(), end, strlen(end)), 2, 1};
    assert_int_equal(loom_tape_encode(&tape, &encoded), LOOM_OK);
    const void *kept = loom_arena_copy(h->arena, encoded.bytes, encoded.length);
    assert_int_equal(loom_value_decode(kept, encoded.length, h->arena, &call->attributes, NULL), LOOM_OK);
    loom_buffer_free(&encoded);
    add(call, picture(h, s, 0));
    add(call, number(variant, 1));
}

/* True if the call is one on sequences, or on truth values, of which letters say too little. */
static bool list_case(harness *h, const scene *s, const loom_operator *op, unsigned variant, pin_call *call) {
    if (is(op, "loom.fused")) {
        fused_case(h, s, variant, call);
    } else if (is(op, "loom.concat")) {
        for (unsigned k = 0; k < variant % 4; k++)
            add(call, list(h, s, variant, k));
    } else if (is(op, "default.slice") || is(op, "default.subsequence") || is(op, "default.index")) {
        static const double bounds[] = {0, 2, 1, 9, -1, 3};
        add(call, variant % 5 == 4 ? loom_string_of("voxels") : list(h, s, variant, 0));
        unsigned more = is(op, "default.index") ? 1 : is(op, "default.slice") ? 2 : 1 + variant % 2;
        for (unsigned k = 0; k < more; k++)
            add(call, variant % 7 == 6 ? loom_null() : loom_float(bounds[(variant + k) % COUNT(bounds)]));
    } else if (is(op, "loom.sweep")) {
        add(call, picture(h, s, 0));
        add(call, loom_string_of("bcdefgin")); /* comparisons, then what does not hold */
        double *numbers = loom_arena_array(h->arena, 9, sizeof *numbers);
        if (numbers == NULL) abort();
        for (unsigned k = 0; k < 9; k++)
            numbers[k] = (double)k * variant - 2;
        add(call, loom_bytes(numbers, 9 * sizeof *numbers));
    } else if (strstr(op->name, "_scalar") != NULL) {
        for (unsigned k = 0; k < op->arity_max; k++)
            add(call, variant < 8 ? loom_bool((variant >> k & 1) != 0) : number(variant, k));
    } else {
        return false;
    }
    return true;
}

void pin_case(harness *h, const loom_operator *op, unsigned number_, pin_call *call) {
    static const char *const folds[] = {"+", "-", "*", "/", "&&", "||", "min", "max"};
    const scene *s = &scenes[number_ % COUNT(scenes)];
    unsigned variant = number_ / (unsigned)COUNT(scenes), images = 0;
    *call = (pin_call){.attributes = loom_null()};
    if (file_case(h, s, op, variant, call) || list_case(h, s, op, variant, call)) return;
    uint32_t most = op->arity_max == LOOM_ARITY_ANY ? op->arity_min + 3u : op->arity_max;
    uint32_t count = op->arity_min + variant % (most - op->arity_min + 1u);
    if (count > PIN_ARGUMENTS_MAX - 1) count = PIN_ARGUMENTS_MAX - 1;
    if (is(op, "default.fold")) {
        loom_field *attribute = loom_arena_alloc(h->arena, sizeof *attribute);
        if (attribute == NULL) abort();
        *attribute = (loom_field){"operator", 8, loom_string_of(folds[variant % COUNT(folds)])};
        call->attributes = loom_record(attribute, 1);
        add(call, list(h, s, variant, number_ % 5));
        if (number_ % 2 == 1) add(call, number(variant, 1));
        return;
    }
    for (uint32_t k = 0; k < count; k++)
        add(call, argument(h, s, letter_of(op, k), variant, k, &images));
    if ((op->flags & LOOM_OP_OPEN) == 0) return;
    loom_value model = picture(h, s, 0), domain = loom_null();
    assert_int_equal(loom_domain_record(h->arena, model.image.header, &domain), LOOM_OK);
    add(call, domain);
}

/* ---- files ---- */

static void write_file(const char *name, const char *bytes, size_t length) {
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
        fail_msg("cannot write %s", name);
}

void pin_files(harness *h) {
    static const char lines[] = "one\ntwo, three\n\nlast", table[] = "a,b\n1,2\n", raw[] = "\1\2\3";
    static const char tree[] = "{\"a\": [1, 2.5, null, true, \"x\"], \"b\": {\"c\": -3}}";
    write_file("lines.txt", lines, sizeof lines - 1);
    write_file("table.csv", table, sizeof table - 1);
    write_file("tree.json", tree, sizeof tree - 1);
    write_file("raw.bin", raw, sizeof raw);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkdir("folder/inner", 0700), 0);
    write_file("folder/a.txt", "a", 1);
    write_file("folder/b.csv", "b", 1);
    write_file("folder/inner/c.txt", "c", 1);
    RUN(h, "simpleitk.WriteImage", picture(h, &scenes[2], 0), loom_string_of("image.nii"));
    RUN(h, "simpleitk.WriteImage", picture(h, &scenes[3], 0), loom_string_of("mask.nii"));
}
