/* Files in memory in huge pages: what is allocated, where it is mapped, that the bytes are the file's. Whether the
 * pages are huge is the machine's affair; where they can be, the faults are counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/platform_file.h"
#include "shm/platform_huge.h"

#define PAGE UINT64_C(4096)
#define AT (LOOM_HUGE_BYTES + 3 * PAGE)              /* not on a huge page, */
#define LENGTH (3 * LOOM_HUGE_BYTES + 5 * PAGE + 17) /* three of which lie in it, or two */
#define PAGES ((LENGTH + PAGE - 1) / PAGE)

static int memory_file(void) {
    int fd;
    assert_int_equal(loom_memory_file("test", &fd), 0);
    return fd;
}

#ifndef VOXLOOM_PORTABLE
static uint64_t allocated_pages(int fd) {
    struct stat now;
    assert_int_equal(fstat(fd, &now), 0);
    return (uint64_t)now.st_blocks * 512 / PAGE;
}
#endif

static void no_more_than_asked_for(void **state) {
    (void)state;
    int fd = memory_file();
    struct stat now;
    assert_int_equal(loom_memory_allocate(fd, AT, LENGTH), 0);
    assert_int_equal(fstat(fd, &now), 0);
    assert_int_equal(now.st_size, AT + LENGTH);
#ifndef VOXLOOM_PORTABLE /* the twin has no holes */
    assert_int_equal(allocated_pages(fd), PAGES);
    assert_int_equal(loom_memory_allocate(fd, AT, LENGTH), 0); /* a second time: after a death */
    assert_int_equal(allocated_pages(fd), PAGES);
    /* The pages go when an object in the middle of others goes, also if huge ones are cut. */
    assert_int_equal(loom_file_punch(fd, AT + PAGE, LENGTH / PAGE * PAGE - PAGE), 0);
    assert_int_equal(allocated_pages(fd), 2);
#endif
    assert_int_equal(loom_memory_allocate(fd, UINT64_MAX - 5, 100), EFBIG);
    close(fd);
}

static void maps_the_files_bytes(void **state) {
    (void)state;
    int fd = memory_file();
    assert_int_equal(loom_memory_allocate(fd, AT, LENGTH), 0);
    uint8_t *map = loom_memory_map(fd, AT, LENGTH, PROT_READ | PROT_WRITE), byte;
    assert_non_null(map);
    for (uint64_t i = 0; i < LENGTH; i++)
        if (map[i]) fail_msg("byte %llu is not zero", (unsigned long long)i);
    memset(map, 7, LENGTH);
    assert_int_equal(pread(fd, &byte, 1, (off_t)(AT + LENGTH - 1)), 1);
    assert_int_equal(byte, 7);
    assert_int_equal(pread(fd, &byte, 1, AT - 1), 1);
    assert_int_equal(byte, 0);
    /* Another view, and one that begins within: the same bytes. */
    const uint8_t *other = loom_memory_map(fd, AT + PAGE, LENGTH - PAGE, PROT_READ);
    assert_non_null(other);
    map[PAGE + 5] = 9;
    assert_int_equal(other[5], 9);
#ifndef VOXLOOM_PORTABLE
    assert_int_equal((uintptr_t)map % LOOM_HUGE_BYTES, AT % LOOM_HUGE_BYTES);
#endif
    assert_int_equal(munmap(map, LENGTH), 0);
    assert_int_equal(munmap((void *)(uintptr_t)other, LENGTH - PAGE), 0);
    assert_null(loom_memory_map(-1, 0, LENGTH, PROT_READ));
    assert_int_equal(errno, EBADF);
    close(fd);
}

/* Nothing is left over of the address space that was set aside. */
static void small_maps_and_many(void **state) {
    (void)state;
    int fd = memory_file();
    assert_int_equal(loom_memory_allocate(fd, PAGE, 3 * PAGE), 0);
    uint8_t *map = loom_memory_map(fd, PAGE, 3 * PAGE, PROT_READ | PROT_WRITE);
    assert_non_null(map);
    map[3 * PAGE - 1] = 1;
    assert_int_equal(munmap(map, 3 * PAGE), 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
#ifndef __SANITIZE_ADDRESS__
    struct rlimit limit = {.rlim_cur = UINT64_C(4) << 30, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
#endif
    for (int i = 0; i < 3000; i++) { /* 3,000 x 2 MiB would be too much */
        map = loom_memory_map(fd, 0, LOOM_HUGE_BYTES, PROT_READ);
        assert_non_null(map);
        assert_int_equal(munmap(map, LOOM_HUGE_BYTES), 0);
    }
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    close(fd);
}

#ifndef VOXLOOM_PORTABLE
/* A limit on the file's size that lies within the range stands for memory that runs out on the way. */
static void nothing_stays_of_what_was_refused(void **state) {
    (void)state;
    struct rlimit before;
    int fd = memory_file();
    assert_int_equal(loom_memory_allocate(fd, 0, PAGE), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tight = {.rlim_cur = AT + 2 * LOOM_HUGE_BYTES, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int refused = loom_memory_allocate(fd, AT, LENGTH);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(refused, EFBIG);
    assert_int_equal(allocated_pages(fd), 1);
    close(fd);
}
#endif

/* By the kernel's count of faults, where it gives huge pages to files in memory (Linux 6.1, not switched off). */
static void few_faults(void **state) {
    (void)state;
    struct rusage before, after;
    int fd = memory_file();
    uint64_t bytes = 8 * LOOM_HUGE_BYTES;
    assert_int_equal(loom_memory_allocate(fd, 0, bytes), 0);
    uint8_t *map = loom_memory_map(fd, 0, bytes, PROT_READ | PROT_WRITE);
    assert_non_null(map);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    for (uint64_t i = 0; i < bytes; i += PAGE)
        map[i] = 1;
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    long faults = after.ru_minflt - before.ru_minflt;
    assert_int_equal(munmap(map, bytes), 0);
    close(fd);
    if (faults > 64) {
        print_message("%ld faults: this machine has no huge pages for files in memory; not tested\n", faults);
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_more_than_asked_for), cmocka_unit_test(maps_the_files_bytes),
                                       cmocka_unit_test(small_maps_and_many), cmocka_unit_test(few_faults),
#ifndef VOXLOOM_PORTABLE /* the twin has no holes */
                                       cmocka_unit_test(nothing_stays_of_what_was_refused)
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
