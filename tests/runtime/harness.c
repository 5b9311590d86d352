/* harness.c - scenes, processes and their outcomes. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "json_path.h"

enum { WORDS_MAX = 64, ENVIRONMENT_MAX = 24, TICK_MS = 4, RUNNING_MAX = 8 };

/* Text that lives as long as the scene. */
typedef struct note {
    struct note *next;
    char text[];
} note;

struct scene {
    char *dir;
    note *notes;
    int commands;               /* run so far */
    pid_t running[RUNNING_MAX]; /* 0 = free */
};

/* ---- the folder ---- */

static char *keep(scene *at, size_t bytes) {
    note *kept = malloc(sizeof *kept + bytes + 1);
    assert_non_null(kept);
    kept->next = at->notes;
    at->notes = kept;
    kept->text[bytes] = '\0';
    return kept->text;
}

char *scene_text(scene *at, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert_true(length >= 0);
    char *text = keep(at, (size_t)length);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

const char *scene_path(scene *at, const char *name) {
    return scene_text(at, "%s%s%s", at->dir, *name ? "/" : "", name);
}

int scene_setup(void **state) {
    const char *base = getenv("TMPDIR");
    scene *made = calloc(1, sizeof *made);
    if (!made) return -1;
    char path[4096];
    snprintf(path, sizeof path, "%s/voxloom-runs-XXXXXX", base && *base ? base : "/tmp");
    made->dir = mkdtemp(path) ? strdup(path) : NULL;
    if (!made->dir) {
        free(made);
        return -1;
    }
    if (chmod(made->dir, 0755) != 0) return -1; /* for tests that run as another user */
    *state = made;
    scene_mkdir(made, "home");
    return 0;
}

static int remove_entry(const char *path, const struct stat *facts, int flag, struct FTW *at) {
    (void)facts, (void)flag, (void)at;
    return remove(path);
}

static void remove_tree(const char *path) {
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return;
    fprintf(stderr, "cannot remove %s: %s\n", path, strerror(errno));
}

static void kill_all(pid_t pid) {
    pid_t children[256];
    size_t count = children_of(pid, children, 256);
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    for (size_t i = 0; i < count; i++)
        kill(children[i], SIGKILL);
}

int scene_teardown(void **state) {
    scene *at = *state;
    for (int i = 0; i < RUNNING_MAX; i++) {
        if (at->running[i] == 0) continue;
        kill_all(at->running[i]);
        waitpid(at->running[i], NULL, 0);
    }
    remove_tree(at->dir);
    while (at->notes) {
        note *next = at->notes->next;
        free(at->notes);
        at->notes = next;
    }
    free(at->dir);
    free(at);
    return 0;
}

void scene_write_bytes(scene *at, const char *name, const void *bytes, size_t length) {
    FILE *file = fopen(scene_path(at, name), "wb");
    assert_non_null(file);
    if (length > 0) assert_int_equal(fwrite(bytes, length, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

void scene_write(scene *at, const char *name, const char *text) {
    scene_write_bytes(at, name, text, strlen(text));
}

static char *read_file(scene *at, const char *path, size_t *length) {
    struct stat facts;
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    assert_int_equal(fstat(fileno(file), &facts), 0);
    char *text = keep(at, (size_t)facts.st_size);
    size_t got = fread(text, 1, (size_t)facts.st_size, file);
    text[got] = '\0';
    fclose(file);
    if (length) *length = got;
    return text;
}

char *scene_read(scene *at, const char *name, size_t *length) {
    return read_file(at, scene_path(at, name), length);
}

size_t scene_lines(scene *at, const char *name) {
    size_t length = 0, count = 0;
    const char *text = scene_read(at, name, &length);
    for (size_t i = 0; text && i < length; i++)
        count += text[i] == '\n';
    return count;
}

void scene_mkdir(scene *at, const char *name) {
    assert_int_equal(mkdir(scene_path(at, name), 0755), 0);
}

void scene_copy(scene *at, const char *from, const char *name) {
    size_t length = 0;
    char *bytes = read_file(at, from, &length);
    if (!bytes) fail_msg("cannot read %s", from);
    scene_write_bytes(at, name, bytes, length);
}

void scene_remove(scene *at, const char *name) {
    remove_tree(scene_path(at, name));
}

bool scene_has(scene *at, const char *name) {
    return access(scene_path(at, name), F_OK) == 0;
}

void scene_age(scene *at, const char *name, double seconds) {
    struct timespec now, times[2];
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    times[0] = times[1] = (struct timespec){.tv_sec = now.tv_sec - (time_t)seconds, .tv_nsec = now.tv_nsec};
    assert_int_equal(utimensat(AT_FDCWD, scene_path(at, name), times, 0), 0);
}

void scene_settle(void) {
    pause_ms(2050);
}

const char *shared_file(scene *at, const char *name) {
    const char *folder = getenv("VOXLOOM_SHARED");
    const char *path = scene_text(at, "%s/%s", folder ? folder : "../shared", name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there (set VOXLOOM_SHARED)\n", path);
        skip();
    }
    return path;
}

/* ---- starting ---- */

static const char *program_path(scene *at, const char *name) {
    const char *folder = getenv("VOXLOOM_BUILD");
    const char *path = scene_text(at, "%s/%s", folder ? folder : "build", name);
    if (access(path, X_OK) != 0) fail_msg("%s is not there; set VOXLOOM_BUILD to the build folder", path);
    return path;
}

static size_t split(char *text, char **words, size_t count) {
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < WORDS_MAX - 1);
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

/* Only what a program may count on; sanitizer settings pass. */
static void make_environment(scene *at, char **environment) {
    size_t count = 0;
    const char *home = scene_path(at, "home");
    environment[count++] = scene_text(at, "HOME=%s", home);
    environment[count++] = scene_text(at, "XDG_DATA_HOME=%s/data", home);
    environment[count++] = scene_text(at, "XDG_CONFIG_HOME=%s/config", home);
    environment[count++] = scene_text(at, "XDG_CACHE_HOME=%s/cache", home);
    environment[count++] = scene_text(at, "TMPDIR=%s", at->dir);
    environment[count++] = "LC_ALL=C.UTF-8";
    const char *const passing[] = {
        "PATH",           "ASAN_OPTIONS",          "UBSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH",
        "VOXLOOM_WORKER", "VOXLOOM_WORKERS_CLAIMS"};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (getenv(passing[i])) environment[count++] = scene_text(at, "%s=%s", passing[i], getenv(passing[i]));
    environment[count] = NULL;
}

static void limit_address_space(uint64_t most) {
    struct rlimit set = {.rlim_cur = most, .rlim_max = most};
    if (most && !SANITIZED && setrlimit(RLIMIT_AS, &set) != 0) _exit(126);
}

/* A write that is too long then fails, and does not end the process: that SIGXFSZ is ignored survives exec. */
static void limit_files(uint64_t most) {
    struct rlimit set = {.rlim_cur = most, .rlim_max = most};
    if (most && (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &set) != 0)) _exit(126);
}

static void redirect(const char *path, int flags, int fd) {
    int opened = open(path, flags | O_CLOEXEC, 0644);
    if (opened < 0 || dup2(opened, fd) < 0) _exit(126);
}

/* In the child: only calls that are safe after fork. */
static void become(const char *dir, const limits *set, const char *out, const char *err) {
    if (setpgid(0, 0) != 0 || chdir(dir) != 0) _exit(126);
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    limit_address_space(set->address_space_bytes);
    limit_files(set->file_bytes);
    if (set->uid && (setgid(set->uid) != 0 || setuid(set->uid) != 0)) _exit(126);
}

static const char *stream_path(scene *at, int number, const char *name) {
    return scene_text(at, "%s/.%s-%d", at->dir, name, number);
}

/* Replaces one entry of the list of running processes. */
static void note_running(scene *at, pid_t before, pid_t after) {
    for (int i = 0; i < RUNNING_MAX; i++) {
        if (at->running[i] != before) continue;
        at->running[i] = after;
        return;
    }
    fail_msg("more than %d processes at once", RUNNING_MAX);
}

static process start(scene *at, const limits *set, char **words) {
    char *environment[ENVIRONMENT_MAX];
    make_environment(at, environment);
    process made = {.number = at->commands++, .started = seconds_now()};
    made.timeout_seconds = (set->timeout_seconds > 0 ? set->timeout_seconds : 60) * (SANITIZED ? 10 : 1);
    const char *out = stream_path(at, made.number, "out"), *err = stream_path(at, made.number, "err");
    made.pid = fork();
    assert_true(made.pid >= 0);
    if (made.pid == 0) {
        become(at->dir, set, out, err);
        execve(words[0], words, environment);
        _exit(127);
    }
    note_running(at, 0, made.pid);
    return made;
}

static process start_line(scene *at, const limits *set, char *line) {
    char *words[WORDS_MAX] = {scene_text(at, "%s", program_path(at, "voxloom"))};
    program_path(at, "voxloom-worker");
    split(line, words, 1);
    return start(at, set, words);
}

static char *run_line(scene *at, const char *program, const char *more) {
    scene_remove(at, "summary.json");
    return scene_text(at, "run %s --store store --summary summary.json --no-progress %s", program, more);
}

process start_run(scene *at, const char *program, const char *more) {
    static const limits none;
    return start_line(at, &none, run_line(at, program, more));
}

process start_voxloom(scene *at, const char *format, ...) {
    static const limits none;
    va_list arguments;
    char line[8192];
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof line - 1);
    return start_line(at, &none, line);
}

/* ---- waiting ---- */

double seconds_now(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void pause_ms(unsigned milliseconds) {
    struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Sleeps until the process ends or the time is over; a portable kernel just sleeps. */
static void doze(pid_t pid, int milliseconds) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        pause_ms(TICK_MS);
        return;
    }
    struct pollfd end = {.fd = fd, .events = POLLIN};
    poll(&end, 1, milliseconds);
    close(fd);
}

static void refuse_findings(const char *err) {
    static const char *const findings[] = {"AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer",
                                           "runtime error:"};
    for (size_t i = 0; i < sizeof findings / sizeof findings[0]; i++)
        if (strstr(err, findings[i])) fail_msg("a sanitizer reports:\n%s", err);
}

outcome finish(scene *at, process *running, void (*tick)(const process *, void *), void *context) {
    outcome result = {0};
    struct rusage usage;
    int status = 0;
    while (wait4(running->pid, &status, WNOHANG, &usage) == 0) {
        if (!result.timed_out && seconds_now() - running->started > running->timeout_seconds) {
            result.timed_out = true;
            kill_all(running->pid);
        }
        if (tick) tick(running, context);
        doze(running->pid, tick ? TICK_MS : 1000);
    }
    note_running(at, running->pid, 0);
    result.seconds = seconds_now() - running->started;
    result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    result.peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
    result.out = read_file(at, stream_path(at, running->number, "out"), NULL);
    result.err = read_file(at, stream_path(at, running->number, "err"), NULL);
    assert_non_null(result.out);
    assert_non_null(result.err);
    result.summary = scene_read(at, "summary.json", NULL);
    refuse_findings(result.err);
    if (result.timed_out) fail_msg("not ended after %g seconds:\n%s", running->timeout_seconds, result.err);
    return result;
}

const char *output_so_far(scene *at, const process *running) {
    const char *text = read_file(at, stream_path(at, running->number, "out"), NULL);
    return text ? text : "";
}

const char *error_so_far(scene *at, const process *running) {
    const char *text = read_file(at, stream_path(at, running->number, "err"), NULL);
    return text ? text : "";
}

outcome voxloom_limited(scene *at, const limits *set, const char *format, ...) {
    va_list arguments;
    char line[8192];
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof line - 1);
    process running = start_line(at, set, line);
    return finish(at, &running, NULL, NULL);
}

outcome voxloom(scene *at, const char *format, ...) {
    static const limits none;
    va_list arguments;
    char line[8192];
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof line - 1);
    process running = start_line(at, &none, line);
    return finish(at, &running, NULL, NULL);
}

outcome run(scene *at, const char *program, const char *more) {
    process running = start_run(at, program, more);
    return finish(at, &running, NULL, NULL);
}

outcome run_text(scene *at, const char *text, const char *more) {
    scene_write(at, "program.imgql", text);
    return run(at, "program.imgql", more);
}

/* ---- other processes ---- */

/* State letter and parent of a process, from /proc/PID/stat; false if it is gone. */
static bool process_facts(pid_t pid, char *letter, pid_t *parent) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *behind_name = got ? strrchr(line, ')') : NULL;
    int number = 0;
    if (!behind_name || sscanf(behind_name + 1, " %c %d", letter, &number) != 2) return false;
    *parent = number;
    return true;
}

size_t children_of(pid_t parent, pid_t *children, size_t most) {
    size_t count = 0;
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry && count < most; entry = readdir(folder)) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), its_parent;
        char letter;
        if (pid > 0 && process_facts(pid, &letter, &its_parent) && its_parent == parent) children[count++] = pid;
    }
    closedir(folder);
    return count;
}

void wait_for_file(scene *at, const process *running, const char *name) {
    while (!scene_has(at, name)) {
        assert_true(is_alive(running->pid));
        pause_ms(2);
    }
}

bool is_alive(pid_t pid) {
    char letter;
    pid_t parent;
    return process_facts(pid, &letter, &parent) && letter != 'Z' && letter != 'X';
}

void use_faulty_programs(void) {
    char folder[4096];
    const char *build = getenv("VOXLOOM_BUILD");
    snprintf(folder, sizeof folder, "%s/tests/runtime/faulty", build ? build : "build");
    assert_int_equal(setenv("VOXLOOM_BUILD", folder, 1), 0);
    /* Deaths are meant: no report of them. */
    if (SANITIZED)
        assert_int_equal(
            setenv("ASAN_OPTIONS", "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0", 1),
            0);
}

/* ---- judging ---- */

void assert_well(const outcome *result) {
    if (result->status == 0) return;
    fputs(result->err, stderr); /* cmocka cuts what is long, and the last line says why */
    fail_msg("exit status %d", result->status);
}

void assert_prints(const outcome *result, const char *expected) {
    assert_well(result);
    assert_string_equal(result->out, expected);
}

void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

double number_of(const outcome *result, const char *path) {
    size_t length = 0;
    if (!result->summary) fail_msg("no summary was written:\n%s", result->err);
    const char *found = json_find(result->summary, path, &length);
    if (!found) fail_msg("%s is not in the summary:\n%s", path, result->summary);
    char *end = NULL;
    double number = strtod(found, &end);
    if (end != found + length) fail_msg("%s is no number in the summary:\n%s", path, result->summary);
    return number;
}

const char *string_of(scene *at, const outcome *result, const char *path) {
    size_t length = 0;
    if (!result->summary) fail_msg("no summary was written:\n%s", result->err);
    const char *found = json_find(result->summary, path, &length);
    if (!found) fail_msg("%s is not in the summary:\n%s", path, result->summary);
    if (*found != '"') return NULL;
    return scene_text(at, "%.*s", (int)length - 2, found + 1);
}

uint64_t results_in(scene *at, const char *store) {
    outcome stat = voxloom(at, "store stat --json --store %s", store);
    if (strstr(stat.err, "nothing was ever stored")) return 0; /* made, and its maker killed before the first result */
    assert_well(&stat);
    const char *count = strstr(stat.out, "\"results\":");
    if (!count) fail_msg("`voxloom store stat` names no results:\n%s", stat.out);
    return strtoull(count + strlen("\"results\":"), NULL, 10);
}
