/* command.h - what benchmarks of whole commands share: a folder to run in, commands timed as a user starts them, cases
 * to run over, and figures of a summary. */
#ifndef LOOM_PERF_COMMAND_H
#define LOOM_PERF_COMMAND_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char folder[] = "/tmp/voxloom-bench-XXXXXX";

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline double now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) die("clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Starts a command in the folder with its output in files there. */
static inline pid_t start_command(const char *const *arguments) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "stdout.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, "stderr.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child;
    errno = posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    if (errno) die(arguments[0]);
    posix_spawn_file_actions_destroy(&actions);
    return child;
}

static inline void await_command(pid_t child, const char *name) {
    int status = 0;
    if (waitpid(child, &status, 0) < 0) die("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    fprintf(stderr, "%s failed; see %s/stderr.txt\n", name, folder);
    exit(1);
}

/* Seconds that a command took. */
static inline double run(const char *const *arguments) {
    double start = now();
    await_command(start_command(arguments), arguments[0]);
    return now() - start;
}

/* Phantoms of `size` ("192x192x128") as cases/case_NN.nii.gz in the folder. */
static inline void make_cases(const char *voxloom_path, int cases, const char *size) {
    if (mkdir("cases", 0700) != 0) die("cases");
    for (int i = 0; i < cases; i++) {
        char path[64], seed[16];
        snprintf(path, sizeof path, "cases/case_%02d.nii.gz", i);
        snprintf(seed, sizeof seed, "%d", i);
        run((const char *const[]){voxloom_path, "phantom", path, "--size", size, "--seed", seed, NULL});
    }
}

static inline void remove_store(void) {
    run((const char *const[]){"rm", "-rf", "store", NULL});
}

/* A number of summary.json, or -1. */
static inline double summary_number(const char *key) {
    static char text[1 << 20];
    char wanted[64];
    FILE *file = fopen("summary.json", "re");
    if (!file) die("summary.json");
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *at = strstr(text, wanted);
    return at ? strtod(at + strlen(wanted), NULL) : -1;
}

static inline int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
