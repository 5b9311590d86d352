/* Long loops over small values, made a window of items at a time: they give what a plain evaluation gives, whatever the
 * workers and whether windows are used; their results are those of single items, so nothing is computed twice; and what
 * a run keeps does not grow with the loop. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* Every loop of more than 64 items is made in windows; none is. */
#define WINDOWS " --set memory.loop_items=0"
#define BY_NAME " --set memory.loop_items=1000000"

enum { ITEMS = 10000, PART = 4096 }; /* three parts */

/* ---- random programs, and what they mean ---- */

typedef struct program {
    uint64_t random; /* state of the generator */
    char *text;
    size_t length, capacity;
} program;

static uint64_t draw(program *at, uint64_t below) { /* Steele, Lea and Flood's splitmix64 */
    uint64_t z = at->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

__attribute__((format(printf, 2, 3))) static void put(program *at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(at->text + at->length, at->capacity - at->length, format, arguments);
    va_end(arguments);
    assert_true(written >= 0 && (size_t)written < at->capacity - at->length);
    at->length += (size_t)written;
}

/* A drawn expression of the loops' variables: the same draws that write it down compute it, so writing and computing
 * begin from the same state. `text` NULL: only compute. Values stay whole and far below 2^53: exact in any order. */
typedef struct scope {
    double values[3]; /* of i0, i1, i2 */
    int depth;
} scope;

static double leaf(program *at, const scope *names, bool write) {
    uint64_t which = draw(at, (uint64_t)names->depth + 1);
    double number = which < (uint64_t)names->depth ? names->values[which] : (double)draw(at, 9) + 1;
    if (write && which < (uint64_t)names->depth) put(at, "i%d", (int)which);
    if (write && which >= (uint64_t)names->depth) put(at, "%.1f", number);
    return number;
}

/* Operators have no precedence among themselves: from left to right. */
static double arithmetic(program *at, const scope *names, bool write) {
    double left = leaf(at, names, write);
    for (uint64_t terms = draw(at, 3); terms > 0; terms--) {
        uint64_t op = draw(at, 3);
        if (write) put(at, op == 0 ? " + " : op == 1 ? " - " : " * ");
        double right = leaf(at, names, write);
        left = op == 0 ? left + right : op == 1 ? left - right : left * right;
    }
    return left;
}

static double loops(program *at, scope *names, int levels, bool write);

static double body(program *at, scope *names, int levels, bool write) {
    if (write) put(at, "(");
    double value = arithmetic(at, names, write);
    if (write) put(at, ") + 0.5");
    value += 0.5;
    if (levels > 0) {
        if (write) put(at, " + ");
        value += loops(at, names, levels - 1, write);
    }
    return value;
}

/* fold OP (for i in range(0, n) do body): n of the innermost is constant or goes with the loop around it. */
static double loops(program *at, scope *names, int levels, bool write) {
    bool largest = draw(at, 2) == 0;
    uint64_t count = 66 + draw(at, 40), depth = (uint64_t)names->depth;
    bool varies = names->depth > 0 && draw(at, 2) == 0;
    if (write)
        put(at, "(fold %s (for i%d in range(0, %llu", largest ? "max" : "+", (int)depth, (unsigned long long)count);
    if (write && varies) put(at, " + i%d", (int)depth - 1);
    if (write) put(at, ") do ");
    if (varies) count += (uint64_t)names->values[depth - 1];
    uint64_t before = at->random, after = before;
    double result = 0;
    for (uint64_t i = 0; i < count; i++) {
        at->random = before;
        names->values[depth] = (double)i;
        names->depth = (int)depth + 1;
        double value = body(at, names, levels, write && i == 0);
        after = at->random;
        result = i == 0 ? value : largest ? fmax(result, value) : result + value;
    }
    at->random = after;
    names->depth = (int)depth;
    if (write) put(at, "))");
    return result;
}

enum { PROGRAMS = 8 };

static void assert_values(const outcome *result, const double *expected, size_t count) {
    const char *at = result->out;
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        const char *sign = strchr(at, '=');
        assert_non_null(sign);
        double printed = strtod(sign + 1, &end);
        if (printed != expected[i]) fail_msg("value %zu is %.17g, not %.17g", i, printed, expected[i]);
        at = end;
    }
}

static void random_nested_loops(void **state) {
    scene *at = *state;
    program made = {.random = 20261129, .capacity = 1 << 16};
    made.text = calloc(1, made.capacity);
    assert_non_null(made.text);
    double expected[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++) {
        scope names = {.depth = 0};
        put(&made, "print \"p%d\" ", i);
        expected[i] = loops(&made, &names, i % 4 == 0, true);
        put(&made, "\n");
    }
    static const char *const ways[] = {"--store :memory: --workers 1" WINDOWS, "--store :memory: --workers 2" WINDOWS,
                                       "--store :memory: --workers 4" WINDOWS, "--store :memory: --workers 2" BY_NAME};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        outcome result = run_text(at, made.text, ways[i]);
        if (result.status != 0) fail_msg("%s\n%s", made.text, result.err);
        assert_values(&result, expected, PROGRAMS);
    }
    free(made.text);
}

/* ---- the shapes of loops ---- */

static void parts_make_one_sequence(void **state) {
    scene *at = *state;
    const char *text = "squares = for i in range(0, 10000) do i * i\n"
                       "m = fold max (for i in range(0, 100) do i + 1)\n"
                       "print \"sum\" fold + squares\n"
                       "print \"from\" fold + 1000 squares\n"
                       "print \"least\" fold min (for s in squares do s - m)\n"
                       "print \"all\" fold && (for i in range(0, 10000) do i < 9999)\n"
                       "print \"pairs\" subsequence(for i in range(0, 10000) do [i, i + 1], 9998, 10000)\n"
                       "print \"fixed\" fold + (for i in range(0, 10000) do m)\n"
                       "print \"shifted\" fold + (squares + 1)\n"
                       "print \"one\" index(squares, 9999)\n"
                       "print \"slice\" subsequence(squares, 4095, 4097)\n"
                       "print \"few\" filter i in range(0, 10000) do i > 9997\n"
                       "print \"none\" filter i in range(0, 10000) do i < 0\n"
                       "print \"kept\" fold + (filter i in range(0, 10000) do i >= m)\n"
                       "print \"of kept\" fold + (for j in (filter i in range(0, 10000) do i >= m) do j * 2)\n"
                       "print \"of none\" fold + (filter i in range(0, 10000) do i < 0)\n";
    const char *prints = "sum=333283335000.0\nfrom=333283336000.0\nleast=-100.0\nall=False\n"
                         "pairs=[[9998, 9999.0], [9999, 10000.0]]\nfixed=1000000.0\nshifted=333283345000.0\n"
                         "one=99980001.0\nslice=[16769025.0, 16777216.0]\nfew=[9998, 9999]\nnone=[]\n"
                         "kept=49990050\nof kept=99980100.0\nof none=0\n";
    outcome windows = run_text(at, text, "--workers 2" WINDOWS);
    assert_prints(&windows, prints);
    outcome by_name = run_text(at, text, "--store :memory: --workers 2" BY_NAME);
    assert_prints(&by_name, prints);
    outcome again = run_text(at, text, "--workers 2" WINDOWS);
    assert_prints(&again, prints);
    assert_int_equal(computed_by(&again), 0);
    assert_int_equal(number_of(&again, "workers"), 0);
}

static const char *sum_of(scene *at, int count) {
    return scene_text(at, "print \"sum\" fold + (for i in range(0, %d) do i * 2)", count);
}

/* Items and the lists of a part have the keys that they have without windows; a fold over parts has its own. */
static void windows_store_what_single_items_do(void **state) {
    scene *at = *state;
    outcome one = run_text(at, sum_of(at, 4000), "--store one" WINDOWS);
    assert_prints(&one, "sum=15996000.0\n");
    assert_int_equal(computed_by(&one), 1 + 4000 + 1 + 1); /* range, items, list, fold */
    outcome found = run_text(at, sum_of(at, 4000), "--store one" BY_NAME);
    assert_prints(&found, one.out);
    assert_int_equal(computed_by(&found), 0);

    outcome by_name = run_text(at, sum_of(at, ITEMS), "--store two" BY_NAME);
    assert_prints(&by_name, "sum=99990000.0\n");
    outcome windows = run_text(at, sum_of(at, ITEMS), "--store two" WINDOWS);
    assert_prints(&windows, by_name.out);
    assert_int_equal(computed_by(&windows), 3); /* a fold a part */
}

static void one_more_element_is_one_more_item(void **state) {
    scene *at = *state;
    outcome before = run_text(at, sum_of(at, ITEMS), &WINDOWS[1]);
    assert_int_equal(computed_by(&before), 1 + ITEMS + 3 + 3);
    outcome after = run_text(at, sum_of(at, ITEMS + 1), &WINDOWS[1]);
    assert_prints(&after, "sum=100010000.0\n");
    assert_int_equal(computed_by(&after), 1 + 1 + 1 + 1); /* range, item, last part, fold over it */
}

/* A part that was evicted is gathered again from its items, which are found. */
static void a_missing_part_is_made_again(void **state) {
    scene *at = *state;
    outcome first = run_text(at, sum_of(at, ITEMS), "--workers 1" WINDOWS);
    assert_well(&first);
    outcome parts = voxloom(at, "store ls --op default.sequence --store store");
    assert_well(&parts);
    int count = 0;
    for (const char *line = strchr(parts.out, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        if (strspn(line + 1, "0123456789abcdef") < 12) continue;
        outcome removed = voxloom(at, "store rm %.12s --yes --store store", line + 1);
        assert_well(&removed);
        count++;
    }
    assert_int_equal(count, 3);
    outcome second = run_text(at, scene_text(at, "print \"sum\" fold + 7 (for i in range(0, %d) do i * 2)", ITEMS),
                              "--workers 2" WINDOWS);
    assert_prints(&second, "sum=99990007.0\n");
    assert_int_equal(computed_by(&second), 3 + 3); /* parts and folds */
}

static void one_failing_item_is_named(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "print \"bad\" fold + (for i in range(0, 10000) do 1 / (i - 7000))\n"
                              "print \"good\" fold + (for i in range(0, 10000) do i + 1)\n",
                              "--workers 2" WINDOWS);
    assert_int_equal(result.status, 1);
    assert_contains(result.out, "good=50005000.0\n");
    assert_contains(result.err, "(item 7000, 7000, of the loop at ");
    assert_contains(result.err, ":1:");
}

/* Items that wait to be submitted, the segment being full, when what all of them need fails: their steps are gone then,
 * and were submitted all the same, which ended with a memory fault. */
static void items_wait_when_what_they_need_fails(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "z = 1 / (2 - 2)\n"
                              "print \"bad\" fold + (for i in range(0, 10000) do i + z)\n"
                              "print \"good\" fold + (for i in range(0, 100) do i + 1)\n",
                              "--store :memory: --workers 2 --set memory.tasks_max=1024" WINDOWS);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "good=5050.0\n");
    assert_contains(result.err, "not done: print \"bad\"");
    const char *named = strstr(result.err, "(item ");
    assert_non_null(named); /* one, not as many as there is room for */
    assert_null(strstr(named + 1, "(item "));
}

static void what_a_run_keeps_is_bounded(void **state) {
    scene *at = *state;
    const int items = SANITIZED ? 50000 : 200000;
    outcome result = run_text(at, sum_of(at, items), "--store :memory: --workers 2");
    assert_well(&result);
    assert_int_equal(number_of(&result, "nodes"), 1 + items + 2 * ((items + PART - 1) / PART) + 1); /* and their join */
    /* Windows of two steps an item are open for some 32,768 steps. */
    assert_in_range((uint64_t)number_of(&result, "steps_peak"), PART, 32768 + 2 * PART + 1000);
}

/* Loops over short lists that no element decides are part of the body of the loop around them. */
static void nested_loops_are_one_body(void **state) {
    scene *at = *state;
    const char *text = "steps = for k in range(0, 5) do k * 3\n"
                       "print \"two\" fold + (for i in range(0, 200) do fold + (for j in range(0, 10) do i * j))\n"
                       "print \"three\" fold + (for i in range(0, 200) do fold max (for j in steps do "
                       "fold + (for k in [i, j, 7] do (k + (j * i)))))\n"
                       "print \"lists\" index(for i in range(0, 200) do for j in steps do i + j, 199)\n"
                       "print \"varying\" fold + (for i in range(0, 100) do fold + (for j in range(0, i + 1) do j))\n";
    double two = 0, three = 0, varying = 0;
    for (int i = 0; i < 200; i++) {
        two += i * 45;
        three += i + 12 + 7 + 3 * 12 * i; /* the largest step is 12 */
        varying += i < 100 ? i * (i + 1) / 2 : 0;
    }
    const char *prints = scene_text(
        at, "two=%.1f\nthree=%.1f\nlists=[199.0, 202.0, 205.0, 208.0, 211.0]\nvarying=%.0f\n", two, three, varying);
    outcome windows = run_text(at, text, "--store one --workers 2" WINDOWS);
    assert_prints(&windows, prints);
    outcome found = run_text(at, text, "--store one" BY_NAME);
    assert_prints(&found, prints);
    assert_int_equal(computed_by(&found), 0);
    outcome by_name = run_text(at, text, "--store two --workers 2" BY_NAME);
    assert_prints(&by_name, prints);
    found = run_text(at, text, "--store two" WINDOWS);
    assert_prints(&found, prints);
    assert_int_equal(computed_by(&found), 0);
}

static void what_nested_loops_keep_is_bounded(void **state) {
    scene *at = *state;
    const int items = SANITIZED ? 4500 : 12000, inner = 10;
    outcome result = run_text(
        at,
        scene_text(at, "print \"sum\" fold + (for i in range(0, %d) do fold + (for j in range(0, 10) do i * j))",
                   items),
        "--store :memory: --workers 2 --set memory.loop_items=1000");
    assert_prints(&result, scene_text(at, "sum=%.1f\n", 45.0 * items * (items - 1) / 2));
    int windows = (items + PART - 1) / PART;
    assert_int_equal(number_of(&result, "nodes"), 2 + items * (inner + 2) + 2 * windows + 1);
    assert_int_equal(computed_by(&result), 2 + items * (inner + 2) + 2 * windows); /* the parts are not joined */
    /* One window of thirteen steps an item. */
    assert_in_range((uint64_t)number_of(&result, "steps_peak"), PART, 13 * PART + 1000);
}

/* The others are neither computed nor kept. */
static void picking_makes_what_is_picked(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "a = for i in range(0, 100000) do i * 2\n"
                              "print \"one\" index(a, 99999)\n"
                              "print \"some\" subsequence(a, 7, 9)\n",
                              "--workers 1");
    assert_prints(&result, "one=199998.0\nsome=[14.0, 16.0]\n");
    assert_int_equal(computed_by(&result), 1 + 3 + 1); /* range, items, list */
    assert_in_range((uint64_t)number_of(&result, "steps_peak"), 5, 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_nested_loops, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(parts_make_one_sequence, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(windows_store_what_single_items_do, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(one_more_element_is_one_more_item, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_missing_part_is_made_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(one_failing_item_is_named, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(items_wait_when_what_they_need_fails, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(picking_makes_what_is_picked, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(what_a_run_keeps_is_bounded, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(nested_loops_are_one_body, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(what_nested_loops_keep_is_bounded, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
