/* test_golden_head.c - the recorded outputs of VoxLogicA-2 on the 9-million-voxel head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"

static void head(void **state) {
    (void)state;
    check_manifest("chris", 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
