/* test_derived.c - the operators that `import "vox1"` defines (planner/imgql/stdlib.imgql) against what
 * voxlogica2.md, section 9, says of them, computed plainly on a small volume. test_golden.c has more of them against
 * recorded results, spatial ones above all. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "evaluate.h"

enum { WIDTH = 7, HEIGHT = 6, DEPTH = 5, TOTAL = WIDTH * HEIGHT * DEPTH };

/* The volumes, and what the expressions below call them. */
static float i[TOTAL], j[TOTAL];
static bool a[TOTAL], b[TOTAL];
static int label[TOTAL]; /* of b's components, by first voxel */
static char folder[256], prelude[2048];

static bool near_true(const bool *set, int k) {
    int x = k % WIDTH, y = k / WIDTH % HEIGHT, z = k / WIDTH / HEIGHT;
    for (int n = 0; n < TOTAL; n++)
        if (set[n] && abs(n % WIDTH - x) <= 1 && abs(n / WIDTH % HEIGHT - y) <= 1 && abs(n / WIDTH / HEIGHT - z) <= 1)
            return true;
    return false;
}

static bool flood(const bool *set, bool *reached) {
    bool grown = false;
    for (int k = 0; k < TOTAL; k++)
        if (set[k] && !reached[k] && near_true(reached, k)) reached[k] = grown = true;
    return grown;
}

/* Components of `set` that touch `seeds`. */
static void reach(const bool *set, const bool *seeds, bool *reached) {
    for (int k = 0; k < TOTAL; k++)
        reached[k] = set[k] && seeds[k];
    while (flood(set, reached))
        ;
}

static void find_labels(void) {
    int next = 1;
    for (int k = 0; k < TOTAL; k++) {
        bool seed[TOTAL] = {false}, reached[TOTAL];
        if (!b[k] || label[k] != 0) continue;
        seed[k] = true;
        reach(b, seed, reached);
        for (int n = 0; n < TOTAL; n++)
            if (reached[n]) label[n] = next;
        next++;
    }
}

static int write_volumes(void **state) {
    (void)state;
    const char *temporary = getenv("TMPDIR");
    harness *h = harness_new();
    uint64_t seed = 21;
    snprintf(folder, sizeof folder, "%s/derived.XXXXXX", temporary == NULL ? "/tmp" : temporary);
    if (mkdtemp(folder) == NULL) return -1;
    for (int k = 0; k < TOTAL; k++) {
        uint64_t draw = next_random(&seed) >> 20;
        i[k] = (float)(draw % 9);
        j[k] = (float)(draw / 9 % 4);
        a[k] = draw / 64 % 4 == 0;
        b[k] = draw / 256 % 7 == 0;
    }
    find_labels();
    const float *const values[] = {i, j};
    const bool *const sets[] = {a, b};
    for (int v = 0; v < 4; v++) {
        char path[300];
        loom_value image = make_image(h, v < 2 ? LOOM_F32 : LOOM_U8, 3, (uint64_t[]){WIDTH, HEIGHT, DEPTH}, 1);
        void *voxels = (void *)(uintptr_t)image.image.voxels;
        for (int k = 0; k < TOTAL; k++)
            if (v < 2)
                ((float *)voxels)[k] = values[v][k];
            else
                ((uint8_t *)voxels)[k] = sets[v - 2][k];
        snprintf(path, sizeof path, "%s/%c.nii", folder, "ijab"[v]);
        RUN(h, "simpleitk.WriteImage", image, loom_string_of(path));
    }
    snprintf(prelude, sizeof prelude,
             "import \"simpleitk\"\nimport \"vox1\"\ni = ReadImage(\"%s/i.nii\")\nj = ReadImage(\"%s/j.nii\")\n"
             "a = ReadImage(\"%s/a.nii\")\nb = ReadImage(\"%s/b.nii\")\n",
             folder, folder, folder, folder);
    harness_free(h);
    return 0;
}

static int remove_volumes(void **state) {
    (void)state;
    for (int v = 0; v < 4; v++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%c.nii", folder, "ijab"[v]);
        if (unlink(path) != 0) return -1;
    }
    return rmdir(folder);
}

static loom_value value_of(harness *h, const char *expression) {
    char program[4096];
    loom_value result;
    snprintf(program, sizeof program, "%sprint \"r\" %s\n", prelude, expression);
    if (evaluate(h, "derived.imgql", program, &result) != LOOM_OK) fail_msg("%s: %s", expression, h->err.message);
    return result;
}

/* Compares an expression with a C expression of the voxel k. */
static double voxel(const loom_value *image, int k) {
    return image->image.header->dtype == LOOM_F32 ? (double)((const float *)image->image.voxels)[k]
                                                  : ((const uint8_t *)image->image.voxels)[k];
}
#define IMAGE(expression_, want_)                                                                                      \
    do {                                                                                                               \
        loom_value is_ = value_of(h, expression_);                                                                     \
        if (is_.type != LOOM_IMAGE) fail_msg("%s is no image", expression_);                                           \
        for (int k = 0; k < TOTAL; k++) {                                                                              \
            double have_ = voxel(&is_, k), should_ = (double)(want_);                                                  \
            if (have_ != should_) fail_msg("%s: voxel %d is %g, want %g", expression_, k, have_, should_);             \
        }                                                                                                              \
    } while (0)
#define TRUTH(expression_, want_)                                                                                      \
    do {                                                                                                               \
        loom_value is_ = value_of(h, expression_);                                                                     \
        if (is_.type != LOOM_BOOL || is_.boolean != (want_)) fail_msg("%s is not %s", expression_, #want_);            \
    } while (0)
#define NUMBER(expression_, want_)                                                                                     \
    do {                                                                                                               \
        loom_value is_ = value_of(h, expression_);                                                                     \
        if (is_.type != LOOM_FLOAT || is_.number != (want_)) fail_msg("%s is not %s", expression_, #want_);            \
    } while (0)

static void test_scalars(void **state) {
    (void)state;
    harness *h = harness_new();
    NUMBER("7 ./. 2", 3.5);
    NUMBER("7 .*. 2", 14.0);
    NUMBER("7 .+. 2", 9.0);
    NUMBER("7 .-. 2", 5.0);
    TRUTH("true .&. false", false);
    TRUTH("true .|. false", true);
    TRUTH("!.(true)", false);
    TRUTH("!.(0)", true);
    TRUTH("2 .=. 2", true);
    TRUTH("2 .<=. 2", true);
    TRUTH("2 .<. 2", false);
    TRUTH("2 .>=. 3", false);
    TRUTH("3 .>. 2", true);
    harness_free(h);
}

static void test_numbers(void **state) {
    (void)state;
    harness *h = harness_new();
    IMAGE("3 .= i", i[k] == 3);
    IMAGE("3 .<= i", 3 <= i[k]);
    IMAGE("3 .>= i", 3 >= i[k]);
    IMAGE("3 .< i", 3 < i[k]);
    IMAGE("3 .> i", 3 > i[k]);
    IMAGE("i <. 3", i[k] < 3);
    IMAGE("i <=. 3", i[k] <= 3);
    IMAGE("i >. 3", i[k] > 3);
    IMAGE("i >=. 3", i[k] >= 3);
    IMAGE("i =. 3", i[k] == 3);
    IMAGE("6 ./ (j +. 1)", 6.0f / (j[k] + 1));
    IMAGE("6 .- i", 6 - i[k]);
    IMAGE("6 .* i", 6 * i[k]);
    IMAGE("6 .+ i", 6 + i[k]);
    IMAGE("i /. 4", i[k] / 4);
    IMAGE("i -. 4", i[k] - 4);
    IMAGE("i +. 4", i[k] + 4);
    IMAGE("i *. 4", i[k] * 4);
    IMAGE("booleanToNumber(2.5, a)", a[k] ? 2.5 : 0);
    IMAGE("norm(16, i)", 16 * i[k] / 8);
    IMAGE("divZ(i, j, 9)", j[k] != 0 ? i[k] / j[k] : 9);
    IMAGE("ifN(1 .<. 2, i, j)", i[k]);
    IMAGE("ifN(1 .>. 2, i, j)", j[k]);
    IMAGE("overlayB(a, i, j)", a[k] ? j[k] : i[k]);
    harness_free(h);
}

static void test_sets(void **state) {
    (void)state;
    harness *h = harness_new();
    bool reached[TOTAL], other[TOTAL], far[TOTAL], near_a[TOTAL], near_b[TOTAL];
    for (int k = 0; k < TOTAL; k++) {
        near_a[k] = near_true(a, k);
        near_b[k] = near_true(b, k);
        other[k] = !a[k];
        far[k] = !(a[k] || b[k]);
    }
    IMAGE("a & b", a[k] && b[k]);
    IMAGE("a | b", a[k] || b[k]);
    IMAGE("!a", !a[k]);
    IMAGE("a \\ b", a[k] && !b[k]);
    IMAGE("xor(a, b)", a[k] != b[k]);
    IMAGE("N(a)", near_a[k]);
    IMAGE("I(a)", !near_true(other, k));
    IMAGE("B+(a)", near_a[k] && !a[k]);
    IMAGE("ifB(true, a, b)", a[k]);
    IMAGE("ifB(volume(a) .=. 0, a, b)", b[k]);
    reach(a, b, reached);
    IMAGE("a ~> b", reached[k]);
    reach(a, near_b, reached);
    IMAGE("touch(a, b)", reached[k]);
    IMAGE("T(a, b)", reached[k]);
    IMAGE("grow(b, a)", b[k] || reached[k]);
    reach(b, near_a, reached);
    for (int k = 0; k < TOTAL; k++)
        reached[k] = reached[k] || a[k];
    IMAGE("mayReach(a, b)", near_true(reached, k));
    /* Surrounded: not in what can reach outside both through what is not b. */
    bool through_others[TOTAL], not_b[TOTAL], near_far[TOTAL];
    for (int k = 0; k < TOTAL; k++) {
        not_b[k] = !b[k];
        near_far[k] = near_true(far, k);
    }
    reach(not_b, near_far, through_others);
    for (int k = 0; k < TOTAL; k++)
        through_others[k] = through_others[k] || far[k];
    IMAGE("surrounded(a, b)", a[k] && !near_true(through_others, k));
    IMAGE("S(a, b)", a[k] && !near_true(through_others, k));
    harness_free(h);
}

static void test_components(void **state) {
    (void)state;
    harness *h = harness_new();
    int least = TOTAL, largest = 0, components = 0;
    for (int k = 0; k < TOTAL; k++) {
        int here = a[k] ? label[k] : 0;
        least = here < least ? here : least;
        largest = here > largest ? here : largest;
        components = label[k] > components ? label[k] : components;
    }
    assert_true(components > 2 && largest > 0);
    IMAGE("Lcc(b)", label[k]);
    IMAGE("maskCC(a, b)", a[k] ? label[k] : 0);
    NUMBER("minCC(a, b)", least);
    NUMBER("maxCC(a, b)", largest);
    TRUTH("collect(a, b)", least == largest && largest > 0);
    TRUTH("collect(ff, b)", true);
    TRUTH("collect(tt, tt)", true);
    TRUTH("collect(a, ff)", false);
    TRUTH("emptyB(a)", false);
    TRUTH("emptyB(a \\ a)", true);
    TRUTH("nemptyB(a)", true);
    TRUTH("nemptyB(ff & a)", false);
    TRUTH("eqB(a, a)", true);
    TRUTH("eqB(a, b)", false);
    TRUTH("neqB(a, a)", false);
    TRUTH("neqB(a, b)", true);
    TRUTH("leqB(a & b, b)", true);
    TRUTH("leqB(a, b)", false);
    harness_free(h);
}

static void test_colours(void **state) {
    (void)state;
    harness *h = harness_new();
    IMAGE("red(overlayColor(a, rgb(i, j, i), 10, 20, 30))", a[k] ? 10 : i[k]);
    IMAGE("green(overlayColor(a, rgb(i, j, i), 10, 20, 30))", a[k] ? 20 : j[k]);
    IMAGE("blue(overlayColor(a, rgb(i, j, i), 10, 20, 30))", a[k] ? 30 : i[k]);
    /* A texture like itself everywhere; and the four arguments in their order. */
    IMAGE("~(i, i, 100, 8)", 1);
    loom_value is = value_of(h, "~(i, j, 1, 5)");
    loom_value want = value_of(h, "crossCorrelation(1, i, j, tt, 0, 3, 5)");
    assert_memory_equal(is.image.voxels, want.image.voxels, sizeof(float) * TOTAL);
    harness_free(h);
}

static void test_distances(void **state) {
    (void)state;
    harness *h = harness_new();
    double to_a[TOTAL], to_rest[TOTAL];
    for (int k = 0; k < TOTAL; k++) {
        to_a[k] = to_rest[k] = 1e9;
        for (int n = 0; n < TOTAL; n++) {
            double square = pow(n % WIDTH - k % WIDTH, 2) + pow(n / WIDTH % HEIGHT - k / WIDTH % HEIGHT, 2) +
                            pow(n / WIDTH / HEIGHT - k / WIDTH / HEIGHT, 2);
            if (a[n]) to_a[k] = fmin(to_a[k], sqrt(square));
            if (!a[n]) to_rest[k] = fmin(to_rest[k], sqrt(square));
        }
    }
    IMAGE("pdt(a)", (float)to_a[k]);
    IMAGE("distgeq(1.2, a)", to_a[k] >= 1.2);
    IMAGE("distleq(1.2, a)", to_a[k] <= 1.2);
    IMAGE("dilate(a, 1.2)", to_a[k] <= 1.2);
    IMAGE("erode(a, 1.2)", to_rest[k] > 1.2);
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),    cmocka_unit_test(test_numbers), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_components), cmocka_unit_test(test_colours), cmocka_unit_test(test_distances),
    };
    return cmocka_run_group_tests_name("derived", tests, write_volumes, remove_volumes);
}
