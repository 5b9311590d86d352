/* test_envelope.c - lines of the distance map done in step give the bits of lines done one by one, whatever their
 * spacing, length, and how many have no site. (That those are right: test_golden.c, and test_properties.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/kernels/spatial/envelope.h"

enum { LONGEST = 150, VALUES = LONGEST * LOOM_LANES };

#ifdef LOOM_ENVELOPES_WIDE
/* Squared distances as two axes leave them: many ties, many that no site reaches, whole lines of them. */
static void fill(float *heights, uint64_t count, float spacing, uint64_t *seed) {
    uint64_t density = next_random(seed) % 100, kind = next_random(seed) % 3;
    for (uint64_t i = 0; i < count * LOOM_LANES; i++) {
        uint64_t random = next_random(seed) >> 20;
        float a = (float)(random % (kind == 0 ? 3 : 40)) * spacing, b = (float)(random / 64 % 20) * 0.9f;
        bool none = random / 4096 % 100 >= density || i % LOOM_LANES == 5;
        heights[i] = none ? LOOM_FAR : kind == 2 ? 0 : a * a + b * b;
    }
}
#endif

static void test_same_bits(void **state) {
    (void)state;
#ifdef LOOM_ENVELOPES_WIDE
    if (!__builtin_cpu_supports("avx512f")) {
        print_message("this processor has no AVX-512; skipped\n");
        skip();
    }
    static const double spacings[] = {1, 0.7, 1.2, 0.9375, 3.3, 1e-3, 1e4};
    float *block = aligned_alloc(64, 5 * VALUES * sizeof *block);
    assert_non_null(block);
    float *heights = block, *copy = block + VALUES, *work = copy + VALUES, *plain = work + VALUES;
    float *wide = plain + VALUES;
    uint64_t seed = 2026, far = 0, values = 0;
    for (int round = 0; round < 3000; round++) {
        float site[LONGEST], voxel[LONGEST];
        double spacing = spacings[round % 7];
        loom_axis along = {.count = 1 + next_random(&seed) % (LONGEST - 1), .spacing = (float)spacing};
        for (uint64_t i = 0; i < along.count; i++) {
            site[i] = (float)i * (float)spacing;
            voxel[i] = (float)((double)i * spacing);
        }
        along.site = site;
        along.voxel = voxel;
        fill(heights, along.count, (float)spacing, &seed);
        memcpy(copy, heights, VALUES * sizeof *copy);
        memset(work, 0xA5, VALUES * sizeof *work);
        loom_envelopes_plain(&along, copy, work, plain);
        memset(work, 0xA5, VALUES * sizeof *work);
        loom_envelopes_avx512(&along, heights, work, wide);
        assert_memory_equal(plain, wide, along.count * LOOM_LANES * sizeof *wide);
        for (uint64_t i = 0; i < along.count * LOOM_LANES; i++, values++)
            far += plain[i] == LOOM_FAR;
    }
    assert_true(far > values / 20 && far < values / 2);
    free(block);
#else
    print_message("built with one kind of instructions; skipped\n");
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
