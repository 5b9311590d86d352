/* test_key.c - where a key may come from, what is refused, and the wrapping of a master key. */
#include "tests/shm/store_support.h"

#include "shm/seal/key.h"
#include "shm/seal/secret.h"

static char folder[256];

static int make_folder(void **state) {
    (void)state;
    make_temporary(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static const char *write_key(const char *name, const void *bytes, size_t length, mode_t mode) {
    static char source[512];
    snprintf(source, sizeof source, "file:%s/%s", folder, name);
    int fd = open(source + 5, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return source;
}

static const char secret[] = "correct horse battery staple";

static void test_the_same_key_from_three_sources(void **state) {
    (void)state;
    loom_error err = {0};
    loom_key from_file, from_environment, from_fd, again;
    REQUIRE_OK(loom_key_read(write_key("a", secret, sizeof secret - 1, 0600), &from_file, &err));
    setenv("LOOM_TEST_KEY", secret, 1);
    REQUIRE_OK(loom_key_read("env:LOOM_TEST_KEY", &from_environment, &err));
    assert_memory_equal(&from_file, &from_environment, sizeof from_file);
    /* With a newline, from a pipe; and twice from a file. */
    int ends[2];
    char source[32];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], secret, sizeof secret - 1), (ssize_t)sizeof secret - 1);
    assert_int_equal(write(ends[1], "\n", 1), 1);
    close(ends[1]);
    snprintf(source, sizeof source, "fd:%d", ends[0]);
    REQUIRE_OK(loom_key_read(source, &from_fd, &err));
    assert_memory_equal(&from_file, &from_fd, sizeof from_file);
    assert_int_equal(fcntl(ends[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(ends[0]);
    int fd = open(write_key("b", secret, sizeof secret - 1, 0400) + 5, O_RDONLY);
    assert_true(fd >= 0);
    snprintf(source, sizeof source, "fd:%d", fd);
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(loom_key_read(source, &again, &err));
        assert_memory_equal(&from_file, &again, sizeof from_file);
    }
    close(fd);
    loom_key zero = {{0}};
    loom_key_wipe(&again);
    assert_memory_equal(&again, &zero, sizeof zero);
}

static void test_what_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_key key;
    static const char *const sources[] = {"",
                                          "file:",
                                          "env:",
                                          "fd:",
                                          "fd:-1",
                                          "fd:1x",
                                          "fd:99999",
                                          "secret42",
                                          "fd: 1",
                                          "FILE:/x",
                                          "env:LOOM_NOT_SET",
                                          "file:/nonexistent/key",
                                          "file:/"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        REQUIRE_STATUS(loom_key_read(sources[i], &key, &err), LOOM_BAD_CONFIG);
        assert_null(strstr(err.message, "secret42")); /* it may be the key */
    }
    static const mode_t open_modes[] = {0644, 0640, 0604, 0660, 0620};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        REQUIRE_STATUS(loom_key_read(write_key("c", secret, sizeof secret - 1, open_modes[i]), &key, &err),
                       LOOM_BAD_CONFIG);
        assert_non_null(strstr(err.message, "chmod 600"));
    }
    static uint8_t many[4099];
    memset(many, 'k', sizeof many);
    static const struct {
        size_t length;
        bool newline;
        loom_status expected;
    } lengths[] = {{0, false, LOOM_BAD_CONFIG},
                   {15, false, LOOM_BAD_CONFIG},
                   {15, true, LOOM_BAD_CONFIG},
                   {16, false, LOOM_OK},
                   {16, true, LOOM_OK},
                   {4096, false, LOOM_OK},
                   {4096, true, LOOM_OK},
                   {4097, false, LOOM_BAD_CONFIG},
                   {4098, false, LOOM_BAD_CONFIG},
                   {4098, true, LOOM_BAD_CONFIG}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t length = lengths[i].length;
        memset(many, 'k', sizeof many);
        if (lengths[i].newline) many[length++] = '\n';
        REQUIRE_STATUS(loom_key_read(write_key("d", many, length, 0600), &key, &err), lengths[i].expected);
    }
    /* Zero bytes are part of a key. */
    uint8_t zeros[32] = {0}, one[32] = {[20] = 1};
    loom_key a, b;
    REQUIRE_OK(loom_key_read(write_key("e", zeros, sizeof zeros, 0600), &a, &err));
    REQUIRE_OK(loom_key_read(write_key("e", one, sizeof one, 0600), &b, &err));
    assert_memory_not_equal(&a, &b, sizeof a);
}

static void test_wrapping(void **state) {
    (void)state;
    loom_error err = {0};
    loom_key key, other;
    uint8_t uuid[16] = {1, 2, 3}, elsewhere[16] = {3, 2, 1}, master[32], opened[32];
    uint8_t wrapped[LOOM_WRAPPED_BYTES], twice[LOOM_WRAPPED_BYTES];
    for (int i = 0; i < 32; i++)
        master[i] = (uint8_t)(i * 7);
    memset(&key, 1, sizeof key);
    memset(&other, 2, sizeof other);
    REQUIRE_OK(loom_key_wrap(&key, uuid, master, wrapped, &err));
    REQUIRE_OK(loom_key_wrap(&key, uuid, master, twice, &err));
    assert_memory_not_equal(wrapped, twice, 28); /* salt and nonce are new each time */
    REQUIRE_OK(loom_key_unwrap(&key, uuid, wrapped, opened, &err));
    assert_memory_equal(opened, master, 32);
    REQUIRE_STATUS(loom_key_unwrap(&other, uuid, wrapped, opened, &err), LOOM_DENIED);
    REQUIRE_STATUS(loom_key_unwrap(&key, elsewhere, wrapped, opened, &err), LOOM_DENIED);
    for (size_t i = 3; i < sizeof wrapped; i += 20) { /* salt, nonce, key, tag; each costs a scrypt */
        wrapped[i] ^= 0x10;
        REQUIRE_STATUS(loom_key_unwrap(&key, uuid, wrapped, opened, &err), LOOM_DENIED);
        wrapped[i] ^= 0x10;
    }
    REQUIRE_OK(loom_key_unwrap(&key, uuid, wrapped, opened, &err));
}

static void test_secrets_are_handed_on(void **state) {
    (void)state;
    uint8_t sent[32], received[32];
    memset(sent, 0x42, sizeof sent);
    int fd;
    assert_int_equal(loom_secret_send(sent, sizeof sent, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(loom_secret_receive(fd, received, sizeof received), 0);
    assert_memory_equal(sent, received, sizeof sent);
    close(fd);
    fd = open("/dev/null", O_RDONLY);
    assert_int_not_equal(loom_secret_receive(fd, received, sizeof received), 0);
    close(fd);
    assert_int_not_equal(loom_secret_receive(fd, received, sizeof received), 0);
    uint8_t *secret_page = loom_secret_alloc(100);
    assert_non_null(secret_page);
    assert_int_equal(secret_page[99], 0);
    secret_page[99] = 1;
    loom_secret_free(secret_page, 100);
    loom_secret_free(NULL, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_key_from_three_sources, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_is_refused, make_folder, remove_folder),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_secrets_are_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
