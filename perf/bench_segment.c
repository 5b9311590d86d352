/* bench_segment.c - what the shared segment costs per empty task: a 100-wide stencil (three arguments a task) run by 1
 * and 2 worker processes that compute nothing and write an 8-byte result; and how many bytes of shared memory a task
 * takes.
 *
 *      bench_segment [TASKS [REPEATS]]        default 100000 and 7; prints medians
 *
 * `together`: the coordinator submits while workers run and reads every completion, as in a run. `submit` and
 * `execute`: the same in two phases, to see who pays. CPU times are of all processes, in seconds of CPU per task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/segment/segment.h"

#define WIDTH 100u
#define REPEATS_MAX 99

typedef struct figures {
    double together_us, coordinator_cpu_us, workers_cpu_us, submit_us, execute_us;
    double bytes, resident_bytes; /* per task: by the segment's own account, and pages of the memfd */
} figures;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double children_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void die(const char *what) {
    fprintf(stderr, "bench_segment: %s\n", what);
    exit(1);
}

_Noreturn static void work(int fd, uint32_t worker) {
    static const uint8_t table[32];
    loom_segment *segment;
    bool stopped = false;
    if (loom_segment_attach(fd, worker, table, &segment, NULL) != LOOM_OK) _exit(1);
    while (!stopped) {
        uint32_t index = loom_task_take(segment, 100, &stopped);
        if (index == LOOM_TASK_NONE) continue;
        loom_task *task = loom_segment_task(segment, index);
        memcpy(task->inline_payload, &index, sizeof index);
        task->inline_bytes = 8;
        loom_task_finish(segment, index, LOOM_TASK_DONE);
    }
    _exit(0);
}

static void start(loom_segment *segment, uint32_t workers) {
    for (uint32_t worker = 0; worker < workers; worker++) {
        pid_t pid = fork();
        if (pid < 0) die("cannot fork");
        if (pid == 0) work(dup(loom_segment_fd(segment)), worker);
    }
}

static void submit(loom_segment *segment, uint32_t node) {
    uint32_t index, arguments[3], row = node / WIDTH, column = node % WIDTH, count = row ? 3 : 0;
    for (uint32_t i = 0; i < count; i++)
        arguments[i] = (row - 1) * WIDTH + (column + WIDTH + i - 1) % WIDTH;
    if (loom_task_create(segment, arguments, count, &index, NULL) != LOOM_OK) die("the segment is full");
    if (loom_task_submit(segment, index, NULL) != LOOM_OK) die("cannot submit");
}

static uint32_t read_completions(loom_segment *segment) {
    uint32_t index, count = 0;
    while (loom_completion_pop(segment, &index))
        count++;
    return count;
}

static loom_segment *create(uint32_t workers, uint32_t tasks) {
    loom_segment *segment;
    loom_segment_options options = {.workers = workers, .tasks_max = tasks};
    if (loom_segment_create(&options, &segment, NULL) != LOOM_OK) die("cannot create the segment");
    return segment;
}

static void end(loom_segment *segment, uint32_t workers) {
    loom_segment_stop(segment);
    while (workers-- > 0)
        wait(NULL);
    loom_segment_close(segment);
}

static void run_together(uint32_t workers, uint32_t tasks, figures *out) {
    loom_segment *segment = create(workers, tasks);
    double cpu = children_cpu(), own = seconds(CLOCK_PROCESS_CPUTIME_ID);
    start(segment, workers);
    double begin = seconds(CLOCK_MONOTONIC);
    uint32_t finished = 0;
    for (uint32_t node = 0; node < tasks; node++) {
        submit(segment, node);
        if (node % 256 == 0) finished += read_completions(segment);
    }
    while ((finished += read_completions(segment)) < tasks)
        loom_completion_wait(segment, -1);
    out->together_us = (seconds(CLOCK_MONOTONIC) - begin) * 1e6 / tasks;
    out->coordinator_cpu_us = (seconds(CLOCK_PROCESS_CPUTIME_ID) - own) * 1e6 / tasks;
    struct stat file;
    if (fstat(loom_segment_fd(segment), &file) != 0) die("fstat");
    out->bytes = (double)loom_segment_used_bytes(segment) / tasks;
    out->resident_bytes = (double)file.st_blocks * 512 / tasks;
    end(segment, workers);
    out->workers_cpu_us = (children_cpu() - cpu) * 1e6 / tasks;
}

static void run_in_phases(uint32_t workers, uint32_t tasks, figures *out) {
    loom_segment *segment = create(workers, tasks);
    double begin = seconds(CLOCK_MONOTONIC);
    for (uint32_t node = 0; node < tasks; node++)
        submit(segment, node);
    double middle = seconds(CLOCK_MONOTONIC);
    start(segment, workers);
    uint32_t finished = 0;
    while ((finished += read_completions(segment)) < tasks)
        loom_completion_wait(segment, -1);
    out->submit_us = (middle - begin) * 1e6 / tasks;
    out->execute_us = (seconds(CLOCK_MONOTONIC) - middle) * 1e6 / tasks;
    end(segment, workers);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of one field over all runs. */
static double median(const figures *runs, int count, size_t field) {
    double values[REPEATS_MAX];
    for (int i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&runs[i] + field, sizeof *values);
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

int main(int argc, char **argv) {
    uint32_t tasks = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    int repeats = argc > 2 ? atoi(argv[2]) : 7;
    if (tasks < WIDTH || repeats < 1 || repeats > REPEATS_MAX)
        die("usage: bench_segment [TASKS >= 100 [REPEATS 1..99]]");
    printf("%u empty tasks, stencil %u wide; medians of %d, us per task\n\n", tasks, WIDTH, repeats);
    printf("| workers | together | coordinator CPU | workers' CPU | submit alone | execute alone | bytes | resident "
           "bytes |\n");
    printf("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (uint32_t workers = 1; workers <= 2; workers++) {
        figures runs[REPEATS_MAX];
        for (int i = 0; i < repeats; i++) {
            run_together(workers, tasks, &runs[i]);
            run_in_phases(workers, tasks, &runs[i]);
        }
#define MEDIAN(field) median(runs, repeats, offsetof(figures, field))
        printf("| %u | %.3f | %.3f | %.3f | %.3f | %.3f | %.0f | %.0f |\n", workers, MEDIAN(together_us),
               MEDIAN(coordinator_cpu_us), MEDIAN(workers_cpu_us), MEDIAN(submit_us), MEDIAN(execute_us), MEDIAN(bytes),
               MEDIAN(resident_bytes));
    }
    return 0;
}
