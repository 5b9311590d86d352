/* memory_files.c - see memory_files.h. */
#include "shm/store/memory_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/platform_file.h"

static loom_status make_list(uint32_t count, loom_memory_files *files, loom_error *err) {
    *files = (loom_memory_files){.fds = malloc(count * sizeof *files->fds)};
    if (files->fds == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while making files in memory");
    for (uint32_t i = 0; i < count; i++)
        files->fds[i] = -1;
    files->count = count;
    return LOOM_OK;
}

loom_status loom_memory_files_make(uint32_t writers, loom_memory_files *files, loom_error *err) {
    *files = (loom_memory_files){0};
    if (writers > LOOM_MEMORY_WRITERS_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "memory_writers is %u; at most %u", writers, LOOM_MEMORY_WRITERS_MAX);
    LOOM_TRY(make_list((writers == 0 ? 1 : writers) + 1 + LOOM_MEMORY_SPARE, files, err));
    for (uint32_t i = 0; i < files->count; i++) {
        int failed = loom_memory_file("voxloom-extent", &files->fds[i]);
        if (failed == 0) continue;
        loom_memory_files_close(files);
        return loom_fail_errno(err, failed, "cannot make a file in memory");
    }
    return LOOM_OK;
}

void loom_memory_files_close(loom_memory_files *files) {
    for (uint32_t i = 0; i < files->count; i++)
        if (files->fds[i] >= 0) close(files->fds[i]);
    free(files->fds);
    *files = (loom_memory_files){0};
}

static uint32_t count_numbers(const char *numbers) {
    uint32_t count = 1;
    for (; *numbers != '\0' && count <= LOOM_MEMORY_WRITERS_MAX + 1 + LOOM_MEMORY_SPARE; numbers++)
        if (*numbers == ',') count++;
    return count;
}

static loom_status take_one(const char **numbers, int *fd, loom_error *err) {
    char *end;
    errno = 0;
    long number = strtol(*numbers, &end, 10);
    if (errno != 0 || end == *numbers || number < 0 || number > 1 << 20 || (*end != ',' && *end != '\0'))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "\"%.40s\" does not list the files in memory of a store", *numbers);
    *fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    if (*fd < 0) return loom_fail_errno(err, errno, "descriptor %ld of the store in memory was not inherited", number);
    *numbers = *end == ',' ? end + 1 : end;
    return LOOM_OK;
}

loom_status loom_memory_files_take(const char *numbers, loom_memory_files *files, loom_error *err) {
    *files = (loom_memory_files){0};
    uint32_t count = count_numbers(numbers);
    if (count > LOOM_MEMORY_WRITERS_MAX + 1 + LOOM_MEMORY_SPARE)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "more than %u files in memory", LOOM_MEMORY_WRITERS_MAX);
    LOOM_TRY(make_list(count, files, err));
    for (uint32_t i = 0; i < count; i++) {
        loom_status status = take_one(&numbers, &files->fds[i], err);
        if (status == LOOM_OK) continue;
        loom_memory_files_close(files);
        return status;
    }
    return LOOM_OK;
}

loom_status loom_memory_files_print(const loom_memory_files *files, char *text, size_t capacity) {
    size_t used = 0;
    for (uint32_t i = 0; i < files->count; i++) {
        int more = snprintf(text + used, capacity - used, i == 0 ? "%d" : ",%d", files->fds[i]);
        if (more < 0 || (size_t)more >= capacity - used) return LOOM_TOO_LARGE;
        used += (size_t)more;
    }
    return LOOM_OK;
}

size_t loom_memory_files_list(const loom_memory_files *files, int *fds, size_t capacity) {
    for (uint32_t i = 0; i < files->count && i < capacity; i++)
        fds[i] = files->fds[i];
    return files->count;
}

loom_status loom_memory_files_own(const loom_memory_files *files, uint32_t writer_index, uint32_t *own,
                                  loom_error *err) {
    uint32_t writers = files->count > LOOM_MEMORY_SPARE ? files->count - 1 - LOOM_MEMORY_SPARE : 0;
    *own = writer_index + 1;
    if (writer_index < writers) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_ARGUMENT,
                     "writer %u of a store in memory that was made for %u; raise memory_writers", writer_index,
                     writers);
}

loom_status loom_memory_files_open(const loom_memory_files *files, uint32_t own, bool hidden, const char *path,
                                   loom_extents **extents, loom_error *err) {
    loom_extents_options options = {.path = path,
                                    .dir_fd = -1,
                                    .lock_fd = -1,
                                    .memory_fds = files->fds,
                                    .memory_count = files->count,
                                    .memory_own = own,
                                    .memory_spare = LOOM_MEMORY_SPARE,
                                    .memory_hidden = hidden,
                                    .writable = true,
                                    .extent_bytes = UINT64_MAX,
                                    .step_bytes = 0};
    return loom_extents_new(&options, extents, err);
}
