/* test_needs.c - what the check of a plan refuses, the kernel refuses too: no program is stopped that would run.
 *
 * Each argument of each operator is replaced, in calls that are answered (pin_cases.h), by values of every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pin_cases.h"
#include "planner/types.h"

enum { VALUES = 15, CALLS = 24 /* answered ones that are tried of an operator */ };

static unsigned refused_by_both, passed;

static void values(harness *h, loom_value all[VALUES]) {
    static loom_value numbers[2], images[1];
    static loom_field fields[1];
    const uint64_t size[LOOM_RANK_MAX] = {7, 5, 4, 1};
    numbers[0] = loom_float(1);
    numbers[1] = loom_float(2);
    fields[0] = (loom_field){"a", 1, loom_float(1)};
    all[0] = loom_null();
    all[1] = loom_bool(true);
    all[2] = loom_int(1);
    all[3] = loom_float(1);
    all[4] = loom_float(0.5);
    all[5] = loom_string_of("1");
    all[6] = loom_string_of("x");
    all[7] = loom_string_of("");
    all[8] = loom_string_of(" -inf ");
    all[9] = loom_string_of("nan");
    all[10] = loom_record(fields, 1);
    all[11] = loom_sequence(numbers, 2);
    all[12] = loom_sequence(NULL, 0);
    all[13] = make_image(h, LOOM_F32, 3, size, 1);
    images[0] = all[13];
    all[14] = loom_sequence(images, 1);
}

static loom_status call_with(harness *h, const loom_operator *op, const pin_call *call, loom_value *result) {
    return harness_run(h, op->name, call->arguments, call->count,
                       call->attributes.type == LOOM_NULL ? NULL : &call->attributes, result);
}

static void try_values(harness *h, const loom_operator *op, const pin_call *call, const loom_value all[VALUES]) {
    uint32_t count = call->count - ((op->flags & LOOM_OP_OPEN) != 0);
    for (uint32_t k = 0; k < count; k++)
        for (size_t v = 0; v < VALUES; v++) {
            const loom_value *value = &all[v];
            bool constant = value->type != LOOM_IMAGE && value->type != LOOM_SEQUENCE && value->type != LOOM_RECORD;
            const char *need = loom_type_need(op, k, count, loom_type_of_value(value), constant ? value : NULL);
            pin_call changed = *call;
            loom_value result = loom_null();
            changed.arguments[k] = *value;
            if (need == NULL) {
                passed++;
                continue;
            }
            if (call_with(h, op, &changed, &result) == LOOM_OK)
                fail_msg("argument %u of %s as value %zu is answered, but the check of plans says that it needs %s",
                         k + 1, op->name, v, need);
            refused_by_both++;
        }
}

/* The type that the check gives a result is that of the result. */
static void check_result(const loom_operator *op, const pin_call *call, const loom_value *result) {
    loom_static_type types[PIN_ARGUMENTS_MAX];
    for (uint32_t k = 0; k < call->count; k++)
        types[k] = loom_type_of_value(&call->arguments[k]);
    const char *fold = NULL;
    const loom_value *attribute =
        call->attributes.type == LOOM_RECORD ? &call->attributes.record.fields[0].value : NULL;
    if (attribute != NULL) fold = attribute->text.bytes;
    uint32_t count = call->count - ((op->flags & LOOM_OP_OPEN) != 0);
    unsigned said = loom_type_kind(loom_type_of_call(op, fold, types, count));
    unsigned is = loom_type_kind(loom_type_of_value(result));
    bool scalar = is >= LOOM_IS_SCALAR && is <= LOOM_IS_NULL;
    if (said == is || said == LOOM_IS_UNKNOWN || (said == LOOM_IS_SCALAR && scalar)) return;
    fail_msg("%s gives %s, but the check of plans says %s", op->name, loom_type_words(is), loom_type_words(said));
}

static void the_check_agrees_with_the_kernels(void **state) {
    (void)state;
    for (size_t k = 0; k < loom_operators()->count; k++) {
        const loom_operator *op = loom_operators()->operators[k];
        /* no program calls the runtime's own; files are not there */
        if (strncmp(op->name, "loom.", 5) == 0) continue;
        if (loom_kernel_of(op)->run == NULL || (op->flags & (LOOM_OP_READS_FILES | LOOM_OP_EFFECT)) != 0) continue;
        harness *h = harness_new();
        loom_value all[VALUES];
        values(h, all);
        for (unsigned number = 0, answered = 0; number < PIN_CASES && answered < CALLS; number++) {
            pin_call call;
            loom_value result = loom_null();
            pin_case(h, op, number * 37 % PIN_CASES, &call);
            if (call_with(h, op, &call, &result) != LOOM_OK) continue;
            answered++;
            check_result(op, &call, &result);
            try_values(h, op, &call, all);
        }
        harness_free(h);
    }
    print_message("%u calls refused by both, %u left to the kernel\n", refused_by_both, passed);
    assert_true(refused_by_both > 3000 && passed > 3000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_check_agrees_with_the_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
