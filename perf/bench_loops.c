/* bench_loops.c - long loops over numbers, one of them nested: windows (as the runtime chooses) against items kept by
 * name (memory.loop_items large enough for all of them, which is how all loops went before windows).
 *
 *   bench_loops VOXLOOM [ITEMS] [by-name]
 *
 * VOXLOOM is the program, ITEMS the length of the loops (1,000,000); "by-name" measures the old way as well, which
 * takes some 2 KB an item. Prints a Markdown table: seconds, CPU of all processes and coordinator's largest private
 * memory (RssAnon, looked at every 5 ms) an item, steps known at a time, shared memory. One run a row, in a fresh
 * store, with 2 workers. */
#include "perf/command.h"

#include <sys/resource.h>

static const char *voxloom;

/* Private memory of a process now, in bytes; 0 when it is gone. */
static double private_bytes(pid_t pid) {
    char path[64], line[256];
    double kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *status = fopen(path, "re");
    if (!status) return 0;
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "RssAnon:", 8) == 0) kilobytes = strtod(line + 8, NULL);
    fclose(status);
    return kilobytes * 1024;
}

typedef struct cost {
    double seconds, cpu_seconds, private_bytes;
} cost;

static cost measure(const char *const *arguments) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "stdout.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, "stderr.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cost spent = {.seconds = now()};
    pid_t child, ended;
    int status = 0;
    struct rusage used;
    errno = posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    if (errno) die(arguments[0]);
    while ((ended = wait4(child, &status, WNOHANG, &used)) == 0) {
        double bytes = private_bytes(child);
        if (bytes > spent.private_bytes) spent.private_bytes = bytes;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (ended < 0) die("wait4");
    posix_spawn_file_actions_destroy(&actions);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s failed; see %s/stderr.txt\n", arguments[0], folder);
        exit(1);
    }
    spent.seconds = now() - spent.seconds;
    spent.cpu_seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6; /* workers included */
    return spent;
}

static void row(const char *way, const char *setting, const char *text, long items) {
    char program[200];
    snprintf(program, sizeof program, text, items);
    FILE *file = fopen("loops.imgql", "we");
    if (!file || fputs(program, file) < 0 || fclose(file) != 0) die("loops.imgql");
    remove_store();
    for (int warm = 0; warm < 2; warm++) {
        cost spent = measure((const char *const[]){voxloom, "run", "loops.imgql", "--store", "store", "--workers", "2",
                                                   "--set", setting, "-q", "--summary", "summary.json", NULL});
        double each = (double)items;
        printf("| `%.*s` | %s | %s | %.1f | %.1f | %.1f | %.0f | %.0f | %.0f |\n", (int)strcspn(program, "\n"), program,
               way, warm ? "warm" : "cold", spent.seconds, spent.seconds / each * 1e6, spent.cpu_seconds / each * 1e6,
               spent.private_bytes / each, summary_number("steps_peak"), summary_number("segment_bytes") / each);
        fflush(stdout);
    }
}

int main(int count, char **arguments) {
    static const char *const programs[] = {
        "print \"sum\" fold + (for i in range(0,%ld) do i * 2)",
        "print \"sum\" fold + (for i in (filter k in range(0,%ld) do k > 9) do i * 2)",
        "print \"sum\" fold + (for i in range(0,%ld) do fold + (for j in range(0,10) do i * j))",
    };
    if (count < 2) {
        fputs("usage: bench_loops VOXLOOM [ITEMS] [by-name]\n", stderr);
        return 2;
    }
    voxloom = realpath(arguments[1], NULL);
    long items = count > 2 ? strtol(arguments[2], NULL, 10) : 1000000;
    if (!voxloom || items < 1) die(arguments[1]);
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);
    puts("| program | items | store | s | us an item | CPU us an item | private bytes an item | steps | segment bytes "
         "an "
         "item |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        row("windows", "memory.loop_items=16384", programs[i], items);
        if (count > 3) row("by name", "memory.loop_items=1073741823", programs[i], items);
    }
    if (chdir("/") != 0) die("/");
    return run((const char *const[]){"rm", "-rf", folder, NULL}) < 0;
}
