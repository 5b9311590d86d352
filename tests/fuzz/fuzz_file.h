/* fuzz_file.h - lets a fuzzer of code that reads files hand it bytes: one anonymous file, overwritten for each input.
 */
#ifndef LOOM_TESTS_FUZZ_FILE_H
#define LOOM_TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

/* A path whose file holds exactly these bytes. */
static const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
#ifdef __linux__
        fd = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
#else
        snprintf(path, sizeof path, "/tmp/voxloom-fuzz-XXXXXX");
        fd = mkstemp(path);
#endif
        if (fd < 0) abort();
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    return path;
}

#endif
