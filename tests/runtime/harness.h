/* harness.h - runs the built programs as a user would: a scene is a temporary folder with its own HOME and nothing of
 * the environment; a command line runs in it with captured output, a time limit and, if asked, resource limits.
 * Whatever happens, a scene's processes are gone and its folder is removed at the end. */
#ifndef LOOM_TESTS_RUNTIME_HARNESS_H
#define LOOM_TESTS_RUNTIME_HARNESS_H

/* cmocka needs these first, in this order */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

typedef struct scene scene;

/* cmocka's setup and teardown; *state is the scene. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* The path of a file of the scene; valid until the scene ends. "" is the folder itself. */
const char *scene_path(scene *at, const char *name);
/* Text made by printf; valid until the scene ends. */
__attribute__((format(printf, 2, 3))) char *scene_text(scene *at, const char *format, ...);
void scene_write(scene *at, const char *name, const char *text);
void scene_write_bytes(scene *at, const char *name, const void *bytes, size_t length);
/* A file's bytes with a NUL behind them, or NULL if there is no such file; valid until the scene ends. */
char *scene_read(scene *at, const char *name, size_t *length);
/* How many lines it has; 0 if there is no such file. */
size_t scene_lines(scene *at, const char *name);
void scene_mkdir(scene *at, const char *name);
/* Copies a file from anywhere into the scene. */
void scene_copy(scene *at, const char *from, const char *name);
/* Removes a file or a folder with all that is in it. */
void scene_remove(scene *at, const char *name);
bool scene_has(scene *at, const char *name);
/* Sets a file's modification time to `seconds` before now. */
void scene_age(scene *at, const char *name, double seconds);
/* Waits until files written before are so old that their times are trusted to tell their content (2 seconds). */
void scene_settle(void);

/* Files of ../shared: skips the test, saying so, if they are absent. */
const char *shared_file(scene *at, const char *name);

typedef struct limits {
    double timeout_seconds;       /* 0 = 60; ten times as much under sanitizers */
    uint64_t address_space_bytes; /* 0 = unlimited; ignored under sanitizers */
    uint64_t file_bytes;          /* 0 = unlimited; larger writes fail with EFBIG */
    uid_t uid;                    /* 0 = as we are */
} limits;

typedef struct outcome {
    int status; /* exit status; 128 + signal if one ended it */
    bool timed_out;
    const char *out, *err;
    uint64_t peak_rss_bytes; /* of the program and the workers it waited for */
    double seconds;
    const char *summary; /* JSON; NULL if none was written */
} outcome;

/* Runs `voxloom WORDS`, words parted by single spaces, in the scene's folder. */
__attribute__((format(printf, 2, 3))) outcome voxloom(scene *at, const char *format, ...);
__attribute__((format(printf, 3, 4))) outcome voxloom_limited(scene *at, const limits *set, const char *format, ...);
/* voxloom run PROGRAM --store store --summary summary.json --no-progress MORE */
outcome run(scene *at, const char *program, const char *more);
/* Writes the text as a program, then runs it. */
outcome run_text(scene *at, const char *text, const char *more);

/* The same in two steps, to do things to a program while it runs. */
typedef struct process {
    pid_t pid;
    int number; /* of its output files */
    double started;
    double timeout_seconds;
} process;
process start_run(scene *at, const char *program, const char *more);
__attribute__((format(printf, 2, 3))) process start_voxloom(scene *at, const char *format, ...);
/* Waits for its end. `tick`, if given, is called every few milliseconds meanwhile. */
outcome finish(scene *at, process *running, void (*tick)(const process *running, void *context), void *context);
/* What it has printed so far. */
const char *output_so_far(scene *at, const process *running);
const char *error_so_far(scene *at, const process *running);
/* Its child processes now; returns how many, at most `most`. */
size_t children_of(pid_t parent, pid_t *children, size_t most);
/* Waits until a file of the scene appears, which the process must live to see. */
void wait_for_file(scene *at, const process *running, const char *name);
/* True while the process exists and is not a zombie. */
bool is_alive(pid_t pid);
void pause_ms(unsigned milliseconds);
double seconds_now(void);

/* From now on scenes run the programs with kernels that misbehave: see faulty_kernels.c. */
void use_faulty_programs(void);

/* Asserts exit status 0; shows what was written to stderr if it is not. */
void assert_well(const outcome *result);
void assert_prints(const outcome *result, const char *expected);
void assert_contains(const char *text, const char *part);

/* A value of a summary by its path, as in "goals.0.status"; fails the test if it is not there. */
double number_of(const outcome *result, const char *path);
/* Strings come without quotes; null as NULL. */
const char *string_of(scene *at, const outcome *result, const char *path);
#define computed_by(result) ((uint64_t)number_of((result), "computed"))
#define reused_by(result) ((uint64_t)number_of((result), "reused"))

/* How many results a store of the scene holds, by `voxloom store stat`. */
uint64_t results_in(scene *at, const char *store);

#endif
