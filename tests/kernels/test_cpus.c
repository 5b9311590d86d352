/* test_cpus.c - kernels give the same bytes on every processor: builds for the least x86-64, for AVX2, and the one that
 * chooses by the processor (kernels/base/simd.h) print the digests of the same calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a program of this folder of the build prints; freed by the caller. */
static char *printed(const char *program, size_t *lines) {
    size_t length = 0, room = 1 << 20;
    char *text = malloc(room);
    FILE *pipe = popen(program, "r");
    if (text == NULL || pipe == NULL) fail_msg("cannot run %s", program);
    length = fread(text, 1, room - 1, pipe);
    text[length] = '\0';
    if (pclose(pipe) != 0 || length == room - 1) fail_msg("%s failed, or prints too much", program);
    *lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        ++*lines;
    return text;
}

static char *want; /* by the build for the least processor */
static size_t want_lines;

static void compare(const char *program) {
    size_t lines = 0;
    char *is = printed(program, &lines);
    assert_int_equal(want_lines, lines);
    for (const char *w = want, *i = is; *w != '\0'; w = strchr(w, '\n') + 1, i = strchr(i, '\n') + 1) {
        int length = (int)strcspn(w, "\n") + 1;
        if (strncmp(w, i, (size_t)length) != 0)
            fail_msg("%.*s, but %.*s in %s", length - 1, w, (int)strcspn(i, "\n"), i, program);
    }
    free(is);
}

static int run_least(void **state) {
    (void)state;
    want = printed(DIGESTS_LEAST, &want_lines);
    return want_lines > 100 ? 0 : -1;
}
static int forget(void **state) {
    (void)state;
    free(want);
    return 0;
}

static void test_chosen(void **state) {
    (void)state;
    compare(DIGESTS_CHOSEN);
}

static void test_avx2(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma")) {
        print_message("this processor has no AVX2; skipped\n");
        skip();
    }
    compare(DIGESTS_AVX2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chosen), cmocka_unit_test(test_avx2)};
    return cmocka_run_group_tests_name("cpus", tests, run_least, forget);
}
