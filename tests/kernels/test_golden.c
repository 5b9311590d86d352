/* test_golden.c - the recorded outputs of VoxLogicA-2 on the two small inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"

static void small(void **state) {
    (void)state;
    check_manifest("small", 100);
}

static void field(void **state) {
    (void)state;
    check_manifest("field", 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(small), cmocka_unit_test(field)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
