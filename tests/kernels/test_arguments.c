/* test_arguments.c - every kernel with every kind of argument: it answers, or it refuses in one line. Never a crash. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/kernels/base/domain.h"

#define KINDS_MAX 32
#define CALLS_MAX 6000 /* of one operator at one arity: beyond that, a random sample */

static unsigned answered, refusals;

typedef struct zoo {
    loom_value kinds[KINDS_MAX];
    size_t count;
} zoo;

static loom_value filled(harness *h, loom_dtype dtype, unsigned rank, uint64_t a, uint64_t b, uint64_t c,
                         uint16_t components) {
    uint64_t size[LOOM_RANK_MAX] = {a, b, c, 2};
    loom_value image = make_image(h, dtype, rank, size, components);
    unsigned char *bytes = (unsigned char *)(uintptr_t)image.image.voxels;
    for (uint64_t k = 0; k < loom_image_bytes(image.image.header); k++)
        bytes[k] = dtype == LOOM_BOOL8 ? k % 3 == 0 : (unsigned char)(k * 37);
    return image;
}

static void add(zoo *all, loom_value value) {
    all->kinds[all->count++] = value;
}

static void gather(harness *h, zoo *all) {
    static loom_value mixed[3], numbers[3], images[2];
    static loom_field fields[1];
    add(all, loom_null());
    add(all, loom_bool(true));
    add(all, loom_int(2));
    add(all, loom_int(INT64_MIN));
    add(all, loom_float(1.5));
    add(all, loom_float(2.0));
    add(all, loom_float(NAN));
    add(all, loom_float(-INFINITY));
    add(all, loom_float(1e300));
    add(all, loom_string_of(""));
    add(all, loom_string_of("3"));
    add(all, loom_string_of("/nonexistent/{}*["));
    loom_value bytes = loom_string("\0\xff", 2);
    bytes.type = LOOM_BYTES;
    add(all, bytes);
    add(all, loom_sequence(NULL, 0));
    for (int k = 0; k < 3; k++)
        numbers[k] = loom_float(k);
    add(all, loom_sequence(numbers, 3));
    mixed[0] = loom_int(1);
    mixed[1] = loom_string_of("x");
    mixed[2] = loom_null();
    add(all, loom_sequence(mixed, 3));
    fields[0] = (loom_field){"value", 5, loom_float(1)};
    add(all, loom_record(fields, 1));
    loom_value closure = loom_null();
    closure.type = LOOM_CLOSURE;
    add(all, closure);
    loom_value reference = loom_null();
    reference.type = LOOM_REFERENCE;
    reference.reference.type = LOOM_IMAGE;
    memset(&reference.reference.vid, 0, sizeof reference.reference.vid);
    add(all, reference);
    reference.reference.vid.bytes[0] = 99; /* names nothing */
    add(all, reference);
    loom_value mask = filled(h, LOOM_BOOL8, 3, 5, 4, 3, 1);
    add(all, mask);
    add(all, filled(h, LOOM_F32, 3, 5, 4, 3, 1));
    add(all, filled(h, LOOM_I16, 3, 5, 4, 3, 1));
    add(all, filled(h, LOOM_U8, 3, 5, 4, 3, 3));
    add(all, filled(h, LOOM_F64, 2, 7, 1, 1, 1));
    add(all, filled(h, LOOM_U64, 4, 3, 2, 2, 1));
    images[0] = mask;
    images[1] = reference;
    add(all, loom_sequence(images, 2));
    loom_value domain = loom_null();
    assert_int_equal(loom_domain_record(h->arena, mask.image.header, &domain), LOOM_OK);
    add(all, domain);
    static loom_value pool[1];
    pool[0] = mask;
    h->pool = pool;
    h->pool_count = 1;
    assert_true(all->count <= KINDS_MAX);
}

static void check_answer(harness *h, const char *name, loom_status status, const loom_value *result) {
    if (status == LOOM_OK) {
        answered++;
        if (result->type == LOOM_IMAGE) assert_int_equal(loom_image_header_check(result->image.header, NULL), LOOM_OK);
        return;
    }
    refusals++;
    if (h->err.message[0] == 0) fail_msg("%s failed with %s and no message", name, loom_status_name(status));
    if (strchr(h->err.message, '\n') != NULL) fail_msg("%s: the message has several lines: %s", name, h->err.message);
    if (h->err.status != status)
        fail_msg("%s: status %s, error %s", name, loom_status_name(status), loom_status_name(h->err.status));
    if (status == LOOM_INTERNAL || status == LOOM_NO_MEMORY) fail_msg("%s: %s", name, h->err.message);
}

static void call_one(harness *h, const char *name, const loom_value *arguments, uint32_t count) {
    static const char *const folds[] = {"+", "-", "*", "/", "&&", "||", "min", "max", "?"};
    bool is_fold = strcmp(name, "default.fold") == 0;
    for (size_t k = 0; k < (is_fold ? sizeof folds / sizeof folds[0] : 1); k++) {
        loom_field attribute = {"operator", 8, loom_string_of(folds[k])};
        loom_value attributes = loom_record(&attribute, 1), result = loom_null();
        loom_status status = harness_run(h, name, arguments, count, is_fold ? &attributes : NULL, &result);
        check_answer(h, name, status, &result);
    }
}

static void call_all(const char *name, uint32_t count) {
    harness *h = harness_new();
    zoo all = {0};
    gather(h, &all);
    struct block *before = h->blocks;
    uint64_t combinations = 1, seed = 88172645463325252u + count;
    for (uint32_t k = 0; k < count && combinations <= CALLS_MAX; k++)
        combinations *= all.count;
    bool sampled = combinations > CALLS_MAX;
    for (uint64_t c = 0; c < (sampled ? CALLS_MAX / 4 : combinations); c++) {
        loom_value arguments[8];
        uint64_t rest = c;
        for (uint32_t k = 0; k < count; k++, rest /= all.count)
            arguments[k] = all.kinds[sampled ? next_random(&seed) % all.count : rest % all.count];
        call_one(h, name, arguments, count);
        while (h->blocks != before)
            harness_drop(h, h->blocks->bytes);
    }
    harness_free(h);
}

static void every_operator(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    for (size_t k = 0; k < table->count; k++) {
        const loom_operator *op = table->operators[k];
        if (loom_kernel_of(op)->run == NULL) continue;
        /* one fewer and one more than the language allows, too: the domain of open operators, and mistakes */
        uint32_t most = op->arity_max == LOOM_ARITY_ANY ? 3u : op->arity_max + 1u;
        for (uint32_t count = op->arity_min > 0 ? op->arity_min - 1u : 0u; count <= most && count <= 8; count++)
            call_all(op->name, count);
    }
    print_message("%u calls answered, %u refused\n", answered, refusals);
    assert_true(answered > 5000 && refusals > 50000);
}

static void table_is_sorted_and_complete(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    assert_true(table->count > 150);
    for (size_t k = 0; k < table->count; k++) {
        const loom_operator *op = table->operators[k];
        if (k > 0) assert_true(strcmp(table->operators[k - 1]->name, op->name) < 0);
        assert_ptr_equal(loom_operator_find(table, op->name, strlen(op->name)), op);
        assert_int_equal(loom_operator_index(table, op), k);
        assert_ptr_equal(&loom_kernel_of(op)->op, op);
        assert_true(op->arity_min <= op->arity_max && op->version > 0);
        assert_true(op->doc != NULL && op->doc[0] != 0);
        const char *colon = strchr(op->signature, ':');
        assert_non_null(colon);
        assert_int_equal(strspn(op->signature, "nbsqrivco*"), (size_t)(colon - op->signature));
        assert_int_equal(strlen(colon), 2);
        bool structural = (op->flags & LOOM_OP_STRUCTURAL) != 0, loops = strchr(op->signature, 'c') != NULL;
        if (loops) assert_true(structural && loom_kernel_of(op)->run == NULL);
        if (loom_kernel_of(op)->inputs != NULL) assert_true(op->flags & LOOM_OP_READS_FILES);
        if ((op->flags & LOOM_OP_READS_FILES) && loom_kernel_of(op)->run != NULL)
            assert_non_null(loom_kernel_of(op)->inputs);
    }
}

static loom_status refused(harness *h, const char *name, uint32_t count, const loom_value *arguments,
                           const char *part) {
    loom_value result;
    loom_status status = harness_run(h, name, arguments, count, NULL, &result);
    assert_int_not_equal(status, LOOM_OK);
    if (strstr(h->err.message, part) == NULL) fail_msg("%s: `%s` lacks `%s`", name, h->err.message, part);
    return status;
}
#define REFUSED(part, name, ...)                                                                                       \
    refused(h, name, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__}, part)

static void messages_name_argument_and_need(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value text = loom_string_of("x"), one = loom_float(1), mask = filled(h, LOOM_BOOL8, 3, 5, 4, 3, 1);
    loom_value number = filled(h, LOOM_F32, 3, 5, 4, 3, 1), other = filled(h, LOOM_BOOL8, 3, 5, 4, 2, 1);
    assert_int_equal(REFUSED("argument 1 is a string; `vox1.near` needs an image", "vox1.near", text),
                     LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("argument 2 is missing", "vox1.through", mask), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("different grids", "vox1.and", mask, other), LOOM_BAD_DOMAIN);
    assert_int_equal(REFUSED("different pixel types", "vox1.+", mask, number), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("compare it", "vox1.not", number), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("divisor of 0", "vox1./", one, loom_float(0)), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("divisor of 0", "vox1./", number, loom_float(1e-9)), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("above its upper bound", "vox1.between", loom_float(2), one, number), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("border(img)", "loom.domain", one, text), LOOM_BAD_DOMAIN);
    assert_int_equal(REFUSED("images differ", "loom.common_domain", mask, other), LOOM_BAD_DOMAIN);
    assert_int_equal(RUN(h, "loom.common_domain", mask, number).type, LOOM_RECORD);
    assert_int_equal(REFUSED("avg0", "vox1.avg", number, RUN(h, "vox1.and", mask, RUN(h, "vox1.not", mask))),
                     LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("item 5 of 2", "default.index", loom_string_of("ab"), loom_int(5)), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("whole number", "default.range", loom_float(1.5)), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("at most", "default.range", loom_float(1e12)), LOOM_TOO_LARGE);
    assert_int_equal(REFUSED("colour", "vox1.red", number), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("no native kernel", "nnunet.predict", number), LOOM_UNSUPPORTED);
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sorted_and_complete),
        cmocka_unit_test(messages_name_argument_and_need),
        cmocka_unit_test(every_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
