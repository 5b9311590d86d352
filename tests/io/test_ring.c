/* test_ring.c - the same promises kept by both engines of the ring, and the fall-back when io_uring is refused. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/tile.h"

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* The kind under test, as cmocka's initial state. */
static loom_ring_kind kind_of(void **state) {
    return *(loom_ring_kind *)*state;
}

/* NULL, after saying so, where io_uring is refused. */
static loom_ring *open_ring(void **state, unsigned depth) {
    loom_error err = {0};
    loom_ring *ring;
    loom_status status = loom_ring_open(kind_of(state), depth, &ring, NULL, &err);
    if (status == LOOM_UNSUPPORTED && kind_of(state) == LOOM_RING_URING) {
        printf("skipped: %s\n", err.message);
        return NULL;
    }
    assert_loom_ok(status, &err);
    assert_int_equal(loom_ring_kind_of(ring), kind_of(state));
    return ring;
}

static int open_file(const char *name) {
    int fd = open(scratch_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void fill_pattern(unsigned char *bytes, size_t length, uint32_t seed) {
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(seed >> 24);
    }
}

#define BLOCK 5000u
#define BLOCKS 37u

static void writes_land_where_they_should(void **state) {
    loom_ring *ring = open_ring(state, 4);
    if (!ring) {
        skip();
        return;
    }
    unsigned char *data = malloc(BLOCK * BLOCKS), *back = malloc(BLOCK * BLOCKS);
    fill_pattern(data, BLOCK * BLOCKS, 1);
    int fd = open_file("ring");
    loom_error err = {0};
    /* 16 is coprime to 37: every block once, in no order. More are queued than the depth before any is asked for. */
    for (unsigned i = 0; i < BLOCKS; i++) {
        unsigned block = i * 16 % BLOCKS;
        assert_loom_ok(loom_ring_write(ring, fd, data + block * BLOCK, BLOCK, block * BLOCK, 1000 + block, &err), &err);
    }
    bool seen[BLOCKS] = {false};
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint64_t token;
        assert_loom_ok(loom_ring_wait(ring, &token, &err), &err);
        assert_in_range(token, 1000, 1000 + BLOCKS - 1);
        assert_false(seen[token - 1000]);
        seen[token - 1000] = true;
    }
    uint64_t token;
    assert_int_equal(loom_ring_wait(ring, &token, &err), LOOM_NOT_FOUND);
    assert_int_equal(pread(fd, back, BLOCK * BLOCKS, 0), BLOCK * BLOCKS);
    assert_memory_equal(back, data, BLOCK * BLOCKS);
    loom_ring_close(ring);
    close(fd);
    free(data);
    free(back);
}

static void close_waits_for_what_is_in_flight(void **state) {
    loom_ring *ring = open_ring(state, 8);
    if (!ring) {
        skip();
        return;
    }
    unsigned char *data = malloc(8 * BLOCK), *back = malloc(8 * BLOCK);
    fill_pattern(data, 8 * BLOCK, 2);
    int fd = open_file("close");
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(loom_ring_write(ring, fd, data + i * BLOCK, BLOCK, i * BLOCK, i, NULL), LOOM_OK);
    loom_ring_close(ring);
    assert_int_equal(pread(fd, back, 8 * BLOCK, 0), 8 * BLOCK);
    assert_memory_equal(back, data, 8 * BLOCK);
    close(fd);
    free(data);
    free(back);
}

static void failed_writes_are_reported_with_their_offset(void **state) {
    loom_ring *ring = open_ring(state, 4);
    if (!ring) {
        skip();
        return;
    }
    loom_error err = {0};
    int fd = open_file("readonly");
    int readonly = open(scratch_path("readonly"), O_RDONLY | O_CLOEXEC);
    char byte = 'x';
    uint64_t token = 0;
    assert_int_equal(loom_ring_write(ring, readonly, &byte, 1, 77, 5, &err), LOOM_OK);
    assert_int_equal(loom_ring_wait(ring, &token, &err), LOOM_IO);
    assert_int_equal(token, 5);
    assert_non_null(strstr(err.message, "offset 77"));
    assert_non_null(strstr(err.message, strerror(EBADF)));
    /* The ring is still good. */
    assert_loom_ok(loom_ring_write(ring, fd, &byte, 1, 0, 6, &err), &err);
    assert_loom_ok(loom_ring_wait(ring, &token, &err), &err);
    assert_int_equal(token, 6);
    close(readonly);
    close(fd);
    loom_ring_close(ring);
}

static void a_full_disk_is_no_space(void **state) {
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0) {
        printf("skipped: no /dev/full\n");
        {
            skip();
            return;
        }
    }
    loom_ring *ring = open_ring(state, 4);
    if (!ring) {
        close(full);
        {
            skip();
            return;
        }
    }
    loom_error err = {0};
    char bytes[100] = {0};
    int fd = open_file("fine");
    assert_int_equal(loom_ring_write(ring, fd, bytes, sizeof bytes, 0, 1, &err), LOOM_OK);
    assert_int_equal(loom_ring_write(ring, full, bytes, sizeof bytes, 0, 2, &err), LOOM_OK);
    assert_int_equal(loom_ring_write(ring, fd, bytes, sizeof bytes, 100, 3, &err), LOOM_OK);
    assert_int_equal(loom_ring_drain(ring, &err), LOOM_NO_SPACE);
    assert_non_null(strstr(err.message, strerror(ENOSPC)));
    assert_int_equal(loom_ring_drain(ring, &err), LOOM_OK);
    close(fd);
    close(full);
    loom_ring_close(ring);
}

/* The file size limit makes the kernel take 10000 of 16384 bytes, and refuse the continuation. */
static void short_writes_are_continued(void **state) {
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 10000;
    loom_ring *ring = open_ring(state, 2);
    if (!ring) {
        skip();
        return;
    }
    unsigned char data[16384], back[16384];
    fill_pattern(data, sizeof data, 3);
    int fd = open_file("short");
    loom_error err = {0};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    uint64_t token;
    loom_status queued = loom_ring_write(ring, fd, data, sizeof data, 0, 9, &err);
    loom_status waited = loom_ring_wait(ring, &token, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(queued, LOOM_OK);
    assert_int_equal(waited, LOOM_IO);
    assert_non_null(strstr(err.message, "offset 10000"));
    assert_int_equal(pread(fd, back, sizeof back, 0), 10000);
    assert_memory_equal(back, data, 10000);
    close(fd);
    loom_ring_close(ring);
}

static void nonsense_is_refused(void **state) {
    loom_ring *ring = open_ring(state, 1);
    if (!ring) {
        skip();
        return;
    }
    char byte = 0;
    assert_int_equal(loom_ring_write(ring, 0, &byte, 0, 0, 0, NULL), LOOM_TOO_LARGE);
    assert_int_equal(loom_ring_write(ring, 0, &byte, 1, UINT64_MAX, 0, NULL), LOOM_TOO_LARGE);
    assert_int_equal(loom_ring_write(ring, 0, &byte, 2, INT64_MAX - 1, 0, NULL), LOOM_TOO_LARGE);
    loom_ring_close(ring);
    assert_int_equal(loom_ring_open(kind_of(state), 0, &ring, NULL, NULL), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_ring_open(kind_of(state), 257, &ring, NULL, NULL), LOOM_BAD_ARGUMENT);
    assert_null(ring);
    loom_ring_close(NULL);
}

/* ---- tiles ---- */

#define TILE ((size_t)64 << 10)

static void stream(loom_ring *ring, int fd, uint64_t offset, size_t total, unsigned count) {
    unsigned char *data = malloc(total), *back = malloc(total + 2);
    fill_pattern(data, total, (uint32_t)total);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "<", 1, (off_t)offset - 1), 1);
    assert_int_equal(pwrite(fd, ">", 1, (off_t)(offset + total)), 1);
    loom_error err = {0};
    loom_tiles *tiles;
    assert_loom_ok(loom_tiles_open(ring, fd, offset, total, TILE, count, &tiles, &err), &err);
    size_t done = 0, capacity;
    void *buffer;
    for (;;) {
        assert_loom_ok(loom_tiles_next(tiles, &buffer, &capacity, &err), &err);
        if (capacity == 0) break;
        assert_non_null(buffer);
        assert_true((uintptr_t)buffer % 4096 == 0);
        assert_true(capacity == (total - done < TILE ? total - done : TILE));
        memcpy(buffer, data + done, capacity);
        assert_loom_ok(loom_tiles_put(tiles, capacity, &err), &err);
        done += capacity;
    }
    assert_null(buffer);
    assert_loom_ok(loom_tiles_close(tiles, &err), &err);
    assert_true(done == total);
    assert_int_equal(pread(fd, back, total + 2, (off_t)offset - 1), total + 2);
    assert_int_equal(back[0], '<');
    assert_memory_equal(back + 1, data, total);
    assert_int_equal(back[total + 1], '>');
    free(data);
    free(back);
}

static void tiles_carry_any_length(void **state) {
    static const size_t totals[] = {1, TILE - 1, TILE, TILE + 1, 5 * TILE, 23 * TILE + 4321};
    loom_ring *ring = open_ring(state, 3);
    if (!ring) {
        skip();
        return;
    }
    int fd = open_file("tiles");
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
        for (unsigned count = 2; count <= 16; count += 7)
            stream(ring, fd, 12345, totals[i], count);
    close(fd);
    loom_ring_close(ring);
}

static void incomplete_streams_are_errors(void **state) {
    loom_ring *ring = open_ring(state, 4);
    if (!ring) {
        skip();
        return;
    }
    int fd = open_file("incomplete");
    loom_error err = {0};
    loom_tiles *tiles;
    void *buffer;
    size_t capacity;
    assert_loom_ok(loom_tiles_open(ring, fd, 0, 3 * TILE, TILE, 2, &tiles, &err), &err);
    assert_loom_ok(loom_tiles_next(tiles, &buffer, &capacity, &err), &err);
    memset(buffer, 1, capacity);
    assert_loom_ok(loom_tiles_put(tiles, capacity, &err), &err);
    assert_int_equal(loom_tiles_close(tiles, &err), LOOM_INTERNAL);
    /* A tile that was never given; one that is too full; two at once. */
    assert_loom_ok(loom_tiles_open(ring, fd, 0, TILE, TILE, 2, &tiles, &err), &err);
    assert_int_equal(loom_tiles_put(tiles, 1, &err), LOOM_INTERNAL);
    loom_tiles_abort(tiles);
    assert_loom_ok(loom_tiles_open(ring, fd, 0, TILE, TILE, 2, &tiles, &err), &err);
    assert_loom_ok(loom_tiles_next(tiles, &buffer, &capacity, &err), &err);
    assert_int_equal(loom_tiles_next(tiles, &buffer, &capacity, &err), LOOM_INTERNAL);
    assert_int_equal(loom_tiles_put(tiles, TILE + 1, &err), LOOM_INTERNAL);
    loom_tiles_abort(tiles);
    loom_tiles_abort(NULL);
    assert_int_equal(loom_tiles_open(ring, fd, 0, 1, 1000, 2, &tiles, NULL), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_tiles_open(ring, fd, 0, 1, TILE, 17, &tiles, NULL), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_tiles_open(ring, fd, INT64_MAX, 2, TILE, 2, &tiles, NULL), LOOM_TOO_LARGE);
    assert_null(tiles);
    close(fd);
    loom_ring_close(ring);
}

/* Failures surface in some later call, and in every one after it. */
static void a_failing_disk_stops_the_stream(void **state) {
    loom_ring *ring = open_ring(state, 4);
    if (!ring) {
        skip();
        return;
    }
    int readonly = open(scratch_path("failing"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(readonly >= 0);
    loom_error err = {0};
    loom_tiles *tiles;
    assert_loom_ok(loom_tiles_open(ring, readonly, 0, 40 * TILE, TILE, 2, &tiles, &err), &err);
    loom_status status = LOOM_OK;
    for (int i = 0; i < 40 && status == LOOM_OK; i++) {
        void *buffer;
        size_t capacity;
        status = loom_tiles_next(tiles, &buffer, &capacity, &err);
        if (status != LOOM_OK) break;
        memset(buffer, 0, capacity);
        status = loom_tiles_put(tiles, capacity, &err);
    }
    assert_int_equal(status, LOOM_IO);
    assert_non_null(strstr(err.message, strerror(EBADF)));
    void *buffer;
    size_t capacity;
    assert_int_equal(loom_tiles_next(tiles, &buffer, &capacity, &err), LOOM_IO);
    assert_int_equal(loom_tiles_close(tiles, &err), LOOM_IO);
    close(readonly);
    loom_ring_close(ring);
}

/* ---- AUTO ---- */

static void auto_gives_a_reason_exactly_when_it_falls_back(void **state) {
    (void)state;
    char reason[160] = "unset";
    loom_error err = {0};
    loom_ring *ring;
    assert_loom_ok(loom_ring_open(LOOM_RING_AUTO, 8, &ring, reason, &err), &err);
    if (loom_ring_kind_of(ring) == LOOM_RING_URING)
        assert_string_equal(reason, "");
    else
        assert_true(strlen(reason) > 10);
    loom_ring_close(ring);
}

#ifdef __linux__
/* In a process of its own: a filter makes io_uring_setup fail as container runtimes do. */
static int fall_back_under_seccomp(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return 77;
    char reason[160];
    loom_ring *ring;
    if (loom_ring_open(LOOM_RING_URING, 4, &ring, NULL, NULL) != LOOM_UNSUPPORTED || ring) return 1;
    if (loom_ring_open(LOOM_RING_AUTO, 4, &ring, reason, NULL) != LOOM_OK) return 2;
    if (loom_ring_kind_of(ring) != LOOM_RING_POSIX) return 3;
    if (!strstr(reason, "io_uring") || strchr(reason, '\n')) return 4;
    int fd = open(scratch_path("seccomp"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char back[3] = "";
    if (loom_ring_write(ring, fd, "abc", 3, 10, 1, NULL) != LOOM_OK || loom_ring_drain(ring, NULL) != LOOM_OK) return 5;
    if (pread(fd, back, 3, 10) != 3 || memcmp(back, "abc", 3) != 0) return 6;
    loom_ring_close(ring);
    return 0;
}

static void auto_falls_back_when_the_kernel_refuses(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(fall_back_under_seccomp());
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    if (WEXITSTATUS(result) == 77) {
        printf("skipped: seccomp filters are not allowed here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(result), 0);
}
#endif

int main(void) {
    static loom_ring_kind uring = LOOM_RING_URING, posix = LOOM_RING_POSIX;
#define BOTH(test)                                                                                                     \
    {#test " (io_uring)", test, NULL, NULL, &uring}, {                                                                 \
#test " (posix)", test, NULL, NULL, &posix                                                                     \
    }
    const struct CMUnitTest tests[] = {
        BOTH(writes_land_where_they_should),
        BOTH(close_waits_for_what_is_in_flight),
        BOTH(failed_writes_are_reported_with_their_offset),
        BOTH(a_full_disk_is_no_space),
        BOTH(short_writes_are_continued),
        BOTH(nonsense_is_refused),
        BOTH(tiles_carry_any_length),
        BOTH(incomplete_streams_are_errors),
        BOTH(a_failing_disk_stops_the_stream),
        cmocka_unit_test(auto_gives_a_reason_exactly_when_it_falls_back),
#ifdef __linux__
        cmocka_unit_test(auto_falls_back_when_the_kernel_refuses),
#endif
    };
    return cmocka_run_group_tests_name("io ring", tests, scratch_setup, scratch_teardown);
}
