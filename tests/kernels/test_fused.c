/* test_fused.c - what operators give together, tile by tile, is what they give one after the other on whole images: the
 * same bytes, and the same message from the same operator. Every operator that may be fused is tried in the middle of a
 * tape and at its end, in shuffled parts; then random tapes. Scratch memory is full of rubbish (harness.h), so that an
 * operator which relies on zeros in its result shows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/kernels/fused/tape.h"

/* Two parts and some tiles, the last of them cut off. */
enum { WIDTH = 79, HEIGHT = 61, DEPTH = 28, ARGUMENTS_MAX = 16 };

static const loom_dtype all_kinds[] = {LOOM_BOOL8, LOOM_U8,  LOOM_I8,  LOOM_U16, LOOM_I16, LOOM_U32,
                                       LOOM_I32,   LOOM_U64, LOOM_I64, LOOM_F32, LOOM_F64};
enum { KINDS = sizeof all_kinds / sizeof all_kinds[0] };

/* Small whole numbers of both signs; real pixels also both zeros, NaN and infinities. */
static void fill(const loom_value *image, uint64_t seed) {
    const loom_image_header *header = image->image.header;
    uint64_t total = loom_image_voxels(header) * header->components;
    void *voxels = (void *)(uintptr_t)image->image.voxels;
    for (uint64_t k = 0; k < total; k++) {
        uint64_t random = next_random(&seed) >> 20;
        int64_t whole = (int64_t)(random % 23) - 4;
        double real = random % 4999 < 6 ? (const double[]){0.0, -0.0, NAN, INFINITY, -INFINITY, 1e-30}[random % 4999]
                                        : (double)whole + (double)(random % 8) / 8;
        if (header->dtype == LOOM_BOOL8)
            ((uint8_t *)voxels)[k] = random % 3 == 0;
        else if (header->dtype == LOOM_F32)
            ((float *)voxels)[k] = (float)real;
        else if (header->dtype == LOOM_F64)
            ((double *)voxels)[k] = real;
        else
            memcpy((uint8_t *)voxels + k * loom_dtype_bytes(header->dtype), &whole, loom_dtype_bytes(header->dtype));
    }
}

static loom_value make(harness *h, loom_dtype dtype, uint16_t components, uint64_t seed) {
    const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
    loom_value image = make_image(h, dtype, 3, size, components);
    fill(&image, seed);
    return image;
}

/* ---- tapes ---- */

typedef struct scene {
    loom_tape tape;
    loom_value arguments[ARGUMENTS_MAX];
    uint32_t argument_count;
} scene;

static uint32_t add_argument(scene *at, loom_value value) {
    assert_true(at->argument_count < ARGUMENTS_MAX);
    at->arguments[at->argument_count] = value;
    return at->argument_count++;
}

/* Appends a member; returns the operand that names its result. */
static uint32_t add_member(scene *at, const loom_operator *op, const uint32_t *operands, uint32_t count) {
    loom_tape *tape = &at->tape;
    assert_true(tape->member_count < LOOM_TAPE_MEMBERS_MAX && tape->operand_count + count <= LOOM_TAPE_OPERANDS_MAX);
    tape->members[tape->member_count] = (loom_tape_member){op, tape->operand_count, count};
    for (uint32_t i = 0; i < count; i++)
        tape->operands[tape->operand_count++] = operands[i];
    return LOOM_TAPE_MEMBER | tape->member_count++;
}

static const loom_operator *operator_of(const char *name) {
    const loom_operator *op = loom_operator_find(loom_operators(), name, strlen(name));
    assert_non_null(op);
    return op;
}

static loom_status run_fused(harness *h, const scene *at, loom_value *result) {
    loom_buffer encoded = {0};
    loom_value attributes;
    assert_int_equal(loom_tape_encode(&at->tape, &encoded), LOOM_OK);
    void *kept = loom_arena_copy(h->arena, encoded.bytes, encoded.length);
    assert_int_equal(loom_value_decode(kept, encoded.length, h->arena, &attributes, NULL), LOOM_OK);
    loom_buffer_free(&encoded);
    return harness_run(h, "loom.fused", at->arguments, at->argument_count, &attributes, result);
}

/* One member after the other; *culprit is the one that failed. */
static loom_status run_one_by_one(harness *h, const scene *at, loom_value *result) {
    loom_value made[LOOM_TAPE_MEMBERS_MAX];
    for (uint32_t k = 0; k < at->tape.member_count; k++) {
        const loom_tape_member *member = &at->tape.members[k];
        loom_value arguments[ARGUMENTS_MAX];
        for (uint32_t i = 0; i < member->count; i++) {
            uint32_t operand = at->tape.operands[member->first + i];
            arguments[i] = operand & LOOM_TAPE_MEMBER ? made[operand & ~LOOM_TAPE_MEMBER] : at->arguments[operand];
        }
        LOOM_TRY(harness_run(h, member->op->name, arguments, member->count, NULL, &made[k]));
    }
    *result = made[at->tape.member_count - 1];
    return LOOM_OK;
}

static const char *describe(const scene *at, char text[600]) {
    size_t used = 0;
    for (uint32_t k = 0; k < at->tape.member_count && used < 500; k++)
        used += (size_t)snprintf(text + used, 600 - used, "%s%s", k ? "+" : "", at->tape.members[k].op->name);
    return text;
}

static void assert_same(const scene *at, const loom_value *one_by_one, const loom_value *fused) {
    char text[600];
    if (one_by_one->type != fused->type) fail_msg("%s: another type of value", describe(at, text));
    if (fused->type != LOOM_IMAGE) {
        loom_id a, b; /* of all bits: NaN is itself, and the zeros differ */
        assert_int_equal(loom_value_id(one_by_one, &a), LOOM_OK);
        assert_int_equal(loom_value_id(fused, &b), LOOM_OK);
        if (!loom_id_equal(&a, &b)) fail_msg("%s: another value", describe(at, text));
        return;
    }
    if (memcmp(one_by_one->image.header, fused->image.header, sizeof(loom_image_header)) != 0)
        fail_msg("%s: another header", describe(at, text));
    const uint8_t *a = one_by_one->image.voxels, *b = fused->image.voxels;
    uint64_t bytes = loom_image_bytes(fused->image.header);
    for (uint64_t k = 0; memcmp(a, b, bytes) != 0 && k < bytes; k++)
        if (a[k] != b[k])
            fail_msg("%s: byte %llu is %u one by one, %u fused", describe(at, text), (unsigned long long)k, a[k], b[k]);
}

/* Compares both ways, fused in shuffled parts and, if asked for, in order; true if there is a result. */
static bool check(harness *h, const scene *at, bool in_order) {
    struct block *before = h->blocks;
    char text[600], message[sizeof h->err.message];
    loom_value one_by_one = loom_null(), fused = loom_null();
    h->shuffle = 0;
    loom_status expected = run_one_by_one(h, at, &one_by_one);
    snprintf(message, sizeof message, "%s", h->err.message);
    for (int shuffled = in_order ? 0 : 1; shuffled < 2; shuffled++) {
        h->shuffle = shuffled ? 991 : 0;
        loom_status status = run_fused(h, at, &fused);
        if (status != expected)
            fail_msg("%s: %s one by one, %s fused (%s)", describe(at, text), loom_status_name(expected),
                     loom_status_name(status), h->err.message);
        if (status == LOOM_OK)
            assert_same(at, &one_by_one, &fused);
        else if (strcmp(h->err.message, message) != 0)
            fail_msg("%s: \"%s\" one by one, \"%s\" fused", describe(at, text), message, h->err.message);
    }
    while (h->blocks != before)
        harness_drop(h, h->blocks->bytes);
    return expected == LOOM_OK;
}

/* ---- every operator ---- */

/* What an argument may be. */
static uint32_t choices(char letter, uint32_t position, const loom_value *image, const loom_value *mask,
                        loom_value made[3]) {
    if (letter == 'i' || letter == 'v') {
        made[0] = *image;
        made[1] = *mask;
        made[2] = loom_float(2.0);
        return letter == 'i' ? 2 : 3;
    }
    made[0] = letter == 'b' ? loom_bool(true) : loom_int(2 + position); /* bounds in order */
    return 1;
}

/* The operator in the middle: its result is cast. And at the end: its images are masks of images, whole. */
static bool try_one(harness *h, const loom_operator *op, const loom_value *arguments, uint32_t count) {
    const loom_operator *cast = operator_of("simpleitk.Cast"), *mask = operator_of("vox1.mask");
    scene middle = {0}, end = {0};
    uint32_t operands[4];
    for (uint32_t i = 0; i < count; i++)
        operands[i] = add_argument(&middle, arguments[i]);
    if (loom_is_fusible(op)) {
        const uint32_t of_cast[] = {add_member(&middle, op, operands, count), add_argument(&middle, loom_int(9))};
        add_member(&middle, cast, of_cast, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        operands[i] = add_argument(&end, arguments[i]);
        bool domain = op->flags & LOOM_OP_OPEN && i + 1 == count;
        if (arguments[i].type != LOOM_IMAGE || domain) continue;
        const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
        loom_value all = make_image(h, LOOM_U8, 3, size, 1);
        memset((void *)(uintptr_t)all.image.voxels, 1, WIDTH * HEIGHT * DEPTH);
        const uint32_t of_mask[] = {operands[i], add_argument(&end, all)};
        operands[i] = add_member(&end, mask, of_mask, 2);
    }
    add_member(&end, op, operands, count);
    bool ran = middle.tape.member_count > 0 && check(h, &middle, false);
    return check(h, &end, false) || ran;
}

static uint32_t try_all(const loom_operator *op, loom_dtype dtype, uint16_t components) {
    uint32_t of[4] = {1, 1, 1, 1}, count = 0, ran = 0;
    harness *h = harness_new();
    loom_value made[4][3], arguments[4];
    loom_value image = make(h, dtype, components, 7 + dtype), mask = make(h, LOOM_BOOL8, 1, 5);
    for (const char *letter = op->signature; *letter != ':' && *letter != '*' && count < 4; letter++, count++)
        of[count] = choices(*letter, count, &image, &mask, made[count]);
    if (op->flags & LOOM_OP_OPEN) { /* the grid that the runtime passes last */
        made[count][0] = image;
        of[count++] = 1;
    }
    for (uint32_t k = 0; k < of[0] * of[1] * of[2] * of[3]; k++) {
        const uint32_t chosen[] = {k % of[0], k / of[0] % of[1], k / of[0] / of[1] % of[2], k / of[0] / of[1] / of[2]};
        bool images = false;
        for (uint32_t i = 0; i < count; i++) {
            arguments[i] = made[i][chosen[i]];
            images |= arguments[i].type == LOOM_IMAGE;
        }
        if (images) ran += try_one(h, op, arguments, count);
    }
    harness_free(h);
    return ran;
}

static void test_every_operator(void **state) {
    (void)state;
    static const loom_dtype kinds[] = {LOOM_F32, LOOM_U8};
    const loom_operator_table *table = loom_operators();
    uint32_t operators = 0;
    for (size_t i = 0; i < table->count; i++) {
        uint32_t ran = 0;
        if (!loom_ends_fusion(table->operators[i])) continue;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            ran += try_all(table->operators[i], kinds[k], 1);
        ran += try_all(table->operators[i], LOOM_F32, 4);
        if (ran == 0) fail_msg("%s was never called with what it takes", table->operators[i]->name);
        operators++;
    }
    print_message("%u operators\n", operators);
    assert_true(operators >= 35);
}

/* ---- random tapes ---- */

typedef struct random_tape {
    const loom_operator *inner[200], *ends[220];
    uint32_t inner_count, end_count;
    uint64_t seed;
} random_tape;

static void list_operators(random_tape *at) {
    const loom_operator_table *table = loom_operators();
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        if (loom_is_fusible(op) && at->inner_count < 200) at->inner[at->inner_count++] = op;
        if (loom_ends_fusion(op) && at->end_count < 220) at->ends[at->end_count++] = op;
    }
}

/* An operand for a letter: an image made before, mostly the last; an image from outside; a number. */
static uint32_t random_operand(random_tape *at, scene *to, char letter, const uint32_t *images, uint32_t image_count,
                               uint32_t last) {
    uint64_t random = next_random(&at->seed) >> 16;
    bool image = letter == 'i' || (letter == 'v' && random % 4 != 0);
    if (!image) return add_argument(to, loom_float((double)(random % 9)));
    if (last != UINT32_MAX && random % 3 != 0) return last;
    if (to->tape.member_count > 0 && random % 2 == 0)
        return LOOM_TAPE_MEMBER | (uint32_t)((random >> 8) % to->tape.member_count);
    return images[(random >> 8) % image_count];
}

/* Appends a random operator whose arguments are there; false if it cannot be called here. */
static bool grow(harness *h, random_tape *at, scene *to, const loom_operator *op, const uint32_t *images,
                 uint32_t image_count) {
    uint32_t operands[4], count = 0, arguments = to->argument_count;
    uint32_t last = to->tape.member_count ? LOOM_TAPE_MEMBER | (to->tape.member_count - 1) : UINT32_MAX;
    bool uses = to->tape.member_count == 0;
    for (const char *letter = op->signature; *letter != ':' && *letter != '*' && count < 4; letter++) {
        operands[count] = random_operand(at, to, *letter, images, image_count, last);
        uses |= operands[count++] == last;
    }
    if (op->flags & LOOM_OP_OPEN) operands[count++] = images[0];
    const loom_tape before = to->tape;
    add_member(to, op, operands, count);
    loom_value result;
    h->shuffle = 0;
    bool ends = op->flags & LOOM_OP_REDUCTION;
    if (uses && run_one_by_one(h, to, &result) == LOOM_OK && (ends || result.type == LOOM_IMAGE)) return true;
    to->tape = before;
    to->argument_count = arguments;
    return false;
}

static void try_random_tape(random_tape *at, uint32_t length) {
    harness *h = harness_new();
    scene to = {0};
    uint32_t images[3];
    for (uint32_t k = 0; k < 3; k++)
        images[k] = add_argument(&to, make(h, all_kinds[(next_random(&at->seed) >> 8) % KINDS], 1, at->seed));
    for (uint32_t tries = 0; tries < 40 && to.tape.member_count + 1 < length && to.argument_count < 10; tries++)
        (void)grow(h, at, &to, at->inner[(next_random(&at->seed) >> 8) % at->inner_count], images, 3);
    for (uint32_t tries = 0; tries < 60; tries++)
        if (grow(h, at, &to, at->ends[(next_random(&at->seed) >> 8) % at->end_count], images, 3)) break;
    if (to.tape.member_count > 1) assert_true(check(h, &to, true));
    harness_free(h);
}

static void test_random_tapes(void **state) {
    (void)state;
    random_tape at = {.seed = 20261129};
    list_operators(&at);
    for (uint32_t k = 0; k < 40; k++)
        try_random_tape(&at, 2 + k % 7);
}

/* ---- the rest ---- */

/* Which member refuses its arguments, and what is said of a tape that is none. */
static void test_errors(void **state) {
    (void)state;
    harness *h = harness_new();
    const uint64_t other[] = {WIDTH, HEIGHT, DEPTH - 1};
    scene at = {0};
    uint32_t image = add_argument(&at, make(h, LOOM_F32, 1, 1)), mask = add_argument(&at, make(h, LOOM_BOOL8, 1, 2));
    uint32_t small = add_argument(&at, make_image(h, LOOM_BOOL8, 3, other, 1)), two = add_argument(&at, loom_float(2));
    uint32_t large = add_member(&at, operator_of("vox1.geq_sv"), (uint32_t[]){two, image}, 2);
    scene grids = at, pixels = at, reduced = at;
    add_member(&grids, operator_of("vox1.and"), (uint32_t[]){large, small}, 2);
    assert_false(check(h, &grids, true));
    assert_non_null(strstr(h->err.message, "different grids"));
    uint32_t bad = add_member(&pixels, operator_of("vox1.and"), (uint32_t[]){large, image}, 2);
    add_member(&pixels, operator_of("vox1.or"), (uint32_t[]){bad, mask}, 2);
    assert_false(check(h, &pixels, true));
    assert_non_null(strstr(h->err.message, "`vox1.and`"));
    add_member(&reduced, operator_of("vox1.avg"), (uint32_t[]){small, large}, 2);
    assert_false(check(h, &reduced, true));
    /* A mean over a mask that is empty: only the voxels tell. */
    scene empty = {0};
    image = add_argument(&empty, make(h, LOOM_F32, 1, 1));
    large = add_member(
        &empty, operator_of("vox1.geq_sv"),
        (uint32_t[]){add_argument(&empty, loom_float(1e30)), add_argument(&empty, make(h, LOOM_I16, 1, 3))}, 2);
    add_member(&empty, operator_of("vox1.avg"), (uint32_t[]){image, large}, 2);
    (void)check(h, &empty, true);

    loom_value result, attributes = loom_bytes("\2\0\0\0\1\0\0\0", 8);
    assert_int_equal(harness_run(h, "loom.fused", at.arguments, 1, &attributes, &result), LOOM_BAD_ARGUMENT);
    at.tape.operands[0] = LOOM_TAPE_MEMBER; /* itself */
    assert_int_equal(run_fused(h, &at, &result), LOOM_BAD_ARGUMENT);
    at.tape.operands[0] = at.argument_count;
    assert_int_equal(run_fused(h, &at, &result), LOOM_BAD_ARGUMENT);
    harness_free(h);
}

/* Tiles only: a chain of six takes no more than two buffers of one tile. */
static void test_scratch(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value result;
    scene at = {0};
    uint32_t image = add_argument(&at, make(h, LOOM_F32, 1, 1)), two = add_argument(&at, loom_float(2));
    for (int k = 0; k < 6; k++)
        image = add_member(&at, operator_of("vox1.add_vs"), (uint32_t[]){image, two}, 2);
    assert_int_equal(run_fused(h, &at, &result), LOOM_OK);
    assert_true(h->scratch_bytes <= 2 * (16384 * sizeof(float) + 64));
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_operator), cmocka_unit_test(test_random_tapes),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_scratch)};
    return cmocka_run_group_tests_name("fused", tests, NULL, NULL);
}
