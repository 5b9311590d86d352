/* faulty_kernels.c - kernels that misbehave on purpose, and that tell in a file how often they ran. The programs
 * build/tests/runtime/faulty/{voxloom,voxloom-worker} are the real ones with this table in place of
 * kernels/tables/python.c, whose operators no test of failure needs.
 *
 * `log` is a file to which each call of a kernel adds a line, with one write: what ran is counted there, not by
 * voxloom's own counters. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/tables/table.h"

static void pause_ms(int64_t milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0) {
    }
}

/* Adds a line, which is the first argument as it is written; *lines, if not NULL, is how many there are then. */
static loom_status add_line(loom_call *call, uint32_t path_position, int64_t *lines) {
    const char *path;
    int64_t number;
    char text[4096];
    LOOM_TRY(loom_arg_path(call, path_position, &path));
    LOOM_TRY(loom_arg_integer(call, 0, false, &number));
    int length = snprintf(text, sizeof text, "%lld\n", (long long)number);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)length) != length)
        return loom_fail(call->err, LOOM_IO, "cannot add a line to %s", path);
    if (lines) {
        ssize_t got = pread(fd, text, sizeof text, 0);
        *lines = 0;
        for (ssize_t i = 0; i < got; i++)
            *lines += text[i] == '\n';
    }
    close(fd);
    call->result = call->arguments[0];
    return LOOM_OK;
}

/* note(n, log) = n */
static loom_status run_note(loom_call *call) {
    return add_line(call, 1, NULL);
}

/* slow(n, milliseconds, log) = n */
static loom_status run_slow(loom_call *call) {
    int64_t milliseconds;
    LOOM_TRY(loom_arg_integer(call, 1, false, &milliseconds));
    LOOM_TRY(add_line(call, 2, NULL));
    pause_ms(milliseconds);
    return LOOM_OK;
}

/* crash(n, signal, times, log) = n, but ends (or stops) its process by the signal while the log has no more than
 * `times` lines. */
static loom_status run_crash(loom_call *call) {
    int64_t number, times, lines;
    LOOM_TRY(loom_arg_integer(call, 1, false, &number));
    LOOM_TRY(loom_arg_integer(call, 2, false, &times));
    LOOM_TRY(add_line(call, 3, &lines));
    if (lines <= times) raise((int)number);
    return LOOM_OK;
}

/* hang(n, log): does not return */
static loom_status run_hang(loom_call *call) {
    LOOM_TRY(add_line(call, 1, NULL));
    for (;;)
        pause();
}

/* refuse(n, bad) = n, but fails for n = bad */
static loom_status run_refuse(loom_call *call) {
    int64_t number, bad;
    LOOM_TRY(loom_arg_integer(call, 0, false, &number));
    LOOM_TRY(loom_arg_integer(call, 1, false, &bad));
    if (number == bad) return loom_fail(call->err, LOOM_BAD_ARGUMENT, "%lld is refused; give another", (long long)bad);
    call->result = call->arguments[0];
    return LOOM_OK;
}

/* cube(n, side, log): an image of side^3 bytes, voxel i of value (n + i) mod 251 */
static loom_status run_cube(loom_call *call) {
    int64_t number, side;
    uint8_t *voxels;
    void *space;
    LOOM_TRY(loom_arg_integer(call, 0, false, &number));
    LOOM_TRY(loom_arg_integer(call, 1, false, &side));
    LOOM_TRY(add_line(call, 2, NULL));
    uint64_t edge = (uint64_t)side;
    loom_image_header header = {
        .dtype = LOOM_U8, .rank = 3, .components = 1, .size = {edge, edge, edge, 1}, .spacing = {1, 1, 1, 1}};
    for (size_t axis = 0; axis < LOOM_RANK_MAX; axis++)
        header.direction[axis * LOOM_RANK_MAX + axis] = 1;
    LOOM_TRY(call->services->new_image(call, &header, &space));
    voxels = space;
    for (uint64_t i = 0; i < edge * edge * edge; i++)
        voxels[i] = (uint8_t)(((uint64_t)number + i) % 251);
    return LOOM_OK;
}

/* total(image, ready, gate) = the sum of its bytes, which are read after a line was added to the file `ready` and the
 * file `gate` has appeared */
static loom_status run_total(loom_call *call) {
    const loom_value *image;
    const char *ready, *gate;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_path(call, 1, &ready));
    LOOM_TRY(loom_arg_path(call, 2, &gate));
    int fd = open(ready, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "\n", 1) != 1) return loom_fail(call->err, LOOM_IO, "cannot write %s", ready);
    close(fd);
    while (access(gate, F_OK) != 0)
        pause_ms(2);
    const uint8_t *voxels = image->image.voxels;
    int64_t sum = 0;
    for (uint64_t i = 0; i < loom_image_bytes(image->image.header); i++)
        sum += voxels[i];
    call->result = loom_int(sum);
    return LOOM_OK;
}

/* A part of `gated`: the first of each worker adds the number of its process to the file `ready` and waits for `gate`.
 */
static loom_status gated_part(loom_part *part) {
    static char told;
    const loom_value *image;
    const char *ready, *gate;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_path(part->call, 1, &ready));
    LOOM_TRY(loom_arg_path(part->call, 2, &gate));
    if (!*part->local) {
        char text[32];
        int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
        int fd = open(ready, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text, (size_t)length) != length)
            return loom_fail(part->call->err, LOOM_IO, "cannot write %s", ready);
        close(fd);
        *part->local = &told;
    }
    while (access(gate, F_OK) != 0)
        pause_ms(2);
    memcpy((uint8_t *)part->voxels + part->first, (const uint8_t *)image->image.voxels + part->first, part->count);
    return LOOM_OK;
}

static const loom_part_run gated_runs[] = {gated_part};
static const loom_loops gated_loops = {.run = gated_runs, .count = 1};

/* gated(image, ready, gate) = the image, of bytes; voxelwise, so that it may be computed together with others */
static loom_status run_gated(loom_call *call) {
    const loom_value *image;
    void *voxels;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(call->services->new_image(call, image->image.header, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(image->image.header), LOOM_PART_VALUES, NULL, 0);
}

/* A part of `stuck`: a helper tells its process number in the file and hangs; the owner waits for one to come. */
static loom_status stuck_part(loom_part *part) {
    const char *path;
    char text[32];
    LOOM_TRY(loom_arg_path(part->call, 1, &path));
    if (part->call->services->run_parts != NULL) {
        while (access(path, F_OK) != 0)
            pause_ms(1);
        return LOOM_OK;
    }
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid()),
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)length) != length)
        return loom_fail(part->call->err, LOOM_IO, "cannot write %s", path);
    for (;;)
        pause();
}

static const loom_part_run stuck_runs[] = {stuck_part};
static const loom_loops stuck_loops = {.run = stuck_runs, .count = 1};

/* stuck(image, file) = 1, in two parts, of which the one that is helped with takes for ever */
static loom_status run_stuck(loom_call *call) {
    LOOM_TRY(loom_run_parts(call, 0, 2, 1, NULL, 0));
    call->result = loom_int(1);
    return LOOM_OK;
}

/* greedy(n, mebibytes, times, log, gate) = n, but while the log has no more than `times` lines it waits for the file
 * `gate` and then fills so much memory. */
static loom_status run_greedy(loom_call *call) {
    int64_t mebibytes, times, lines;
    const char *gate;
    LOOM_TRY(loom_arg_integer(call, 1, false, &mebibytes));
    LOOM_TRY(loom_arg_integer(call, 2, false, &times));
    LOOM_TRY(add_line(call, 3, &lines));
    LOOM_TRY(loom_arg_path(call, 4, &gate));
    if (lines > times) return LOOM_OK;
    while (access(gate, F_OK) != 0)
        pause_ms(2);
    size_t bytes = (size_t)mebibytes << 20;
    volatile char *memory = malloc(bytes);
    if (!memory) return loom_fail(call->err, LOOM_NO_MEMORY, "malloc refuses %lld MiB", (long long)mebibytes);
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = (char)(i >> 12);
    free((void *)memory);
    return LOOM_OK;
}

static const loom_kernel rows[] = {
    LOOM_ROW("test.note", "ns:n", 2, 2, 0, 1, LOOM_COST_SCALAR, run_note, NULL, "n, told in a file"),
    LOOM_ROW("test.slow", "nns:n", 3, 3, 0, 1, LOOM_COST_GLOBAL, run_slow, NULL, "n, after a while"),
    LOOM_ROW("test.crash", "nnns:n", 4, 4, 0, 1, LOOM_COST_SCALAR, run_crash, NULL, "n, after some deaths"),
    LOOM_ROW("test.greedy", "nnnss:n", 5, 5, 0, 1, LOOM_COST_SCALAR, run_greedy, NULL, "n, after filling memory"),
    LOOM_ROW("test.hang", "ns:n", 2, 2, 0, 1, LOOM_COST_SCALAR, run_hang, NULL, "does not return"),
    LOOM_ROW("test.refuse", "nn:n", 2, 2, 0, 1, LOOM_COST_SCALAR, run_refuse, NULL, "n, if it is not the other"),
    LOOM_ROW("test.cube", "nns:i", 3, 3, LOOM_OP_NEW_DOMAIN, 1, LOOM_COST_VOXEL, run_cube, NULL, "an image"),
    LOOM_ROW("test.total", "iss:n", 3, 3, LOOM_OP_REDUCTION, 1, LOOM_COST_VOXEL, run_total, NULL,
             "the sum of its bytes"),
    LOOM_ROW_PARTS("test.gated", "iss:i", 3, 3, LOOM_VOXELS, 1, LOOM_COST_VOXEL, run_gated, gated_loops,
                   "the image, once a file is there"),
    LOOM_ROW_PARTS("test.stuck", "is:n", 2, 2, LOOM_OP_REDUCTION, 1, LOOM_COST_GLOBAL, run_stuck, stuck_loops,
                   "1, once the helper is gone"),
};

LOOM_TABLE(loom_table_python, rows);
