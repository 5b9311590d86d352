/* bench_brake.c - what a memory budget costs, and whether it is kept.
 *
 *   bench_brake VOXLOOM [ITEMS] [SIDE] [RUNS]
 *
 * VOXLOOM is the program. A volume of SIDE^3 (128) floats is made by `voxloom phantom`; ITEMS (64) items each make five
 * images of it and count voxels: the whole breadth, if no result were let go before all are made, is ITEMS times eight
 * bytes a voxel. Each row is a store (in memory, on disk) and a number of workers, without a limit and with budgets of
 * an eighth and a thirty-second of the breadth: the best of RUNS (3) runs, and what was in memory at most, by two
 * measures sampled every millisecond: RssAnon + RssShmem over all processes of the run, and what they hold of anonymous
 * memory plus what is allocated in the files in memory (memfd), mapped or not. Prints a Markdown table. Linux only:
 * reads /proc. */
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include "perf/command.h"

enum { PROCESSES_MAX = 300, FILES_MAX = 1024 };

static const char *voxloom;
static int items = 64, side = 128, runs = 3;

typedef struct memory {
    double resident, held; /* MiB */
} memory;

/* ---- sampling ---- */

/* The process and its children. */
static size_t processes_of(pid_t parent, pid_t *list) {
    size_t count = 1;
    char path[64], text[16384];
    list[0] = parent;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = '\0';
    for (char *at = text, *end; count < PROCESSES_MAX; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at) break;
        list[count++] = (pid_t)pid;
    }
    return count;
}

static void add_status(pid_t pid, uint64_t *anonymous_kib, uint64_t *shared_kib) {
    char path[64], line[256];
    unsigned long long kib;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "RssAnon: %llu", &kib) == 1) *anonymous_kib += kib;
        if (sscanf(line, "RssShmem: %llu", &kib) == 1) *shared_kib += kib;
    }
    if (file) fclose(file);
}

/* What is allocated in the memfds that a process has open, in KiB. */
static uint64_t memory_files_kib(pid_t pid) {
    ino_t seen[FILES_MAX];
    size_t count = 0;
    uint64_t sum = 0;
    char path[512], target[256];
    struct dirent *entry;
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *list = opendir(path);
    while (list && (entry = readdir(list)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 7 || memcmp(target, "/memfd:", 7) != 0 || stat(path, &status) != 0) continue;
        size_t known = 0;
        while (known < count && seen[known] != status.st_ino)
            known++;
        if (known < count || count == FILES_MAX) continue;
        seen[count++] = status.st_ino;
        sum += (uint64_t)status.st_blocks / 2;
    }
    if (list) closedir(list);
    return sum;
}

static void sample(pid_t run, memory *peak) {
    pid_t list[PROCESSES_MAX];
    uint64_t anonymous = 0, shared = 0;
    size_t count = processes_of(run, list);
    for (size_t i = 0; i < count; i++)
        add_status(list[i], &anonymous, &shared);
    double resident = (double)(anonymous + shared) / 1024;
    double held = (double)(anonymous + memory_files_kib(run)) / 1024;
    if (resident > peak->resident) peak->resident = resident;
    if (held > peak->held) peak->held = held;
}

/* ---- running ---- */

static double run_sampled(const char *store, const char *workers, const char *budget, memory *peak) {
    const char *const arguments[] = {voxloom, "run",  "wide.imgql", "--store",   store,          "--workers", workers,
                                     "--set", budget, "-q",         "--summary", "summary.json", NULL};
    double start = now();
    int status = 0;
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        if (!freopen("stdout.txt", "w", stdout) || !freopen("stderr.txt", "w", stderr)) _exit(127);
        execv(voxloom, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        sample(child, peak);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return now() - start;
    fprintf(stderr, "voxloom ended with %s %d; see %s/stderr.txt\n", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), folder);
    exit(1);
}

static double row(const char *store, const char *workers, double budget_mib, double unlimited) {
    char setting[64], name[32] = "none";
    snprintf(setting, sizeof setting, "memory.budget=%.0f", budget_mib ? budget_mib * 1024 * 1024 : 1e15);
    if (budget_mib) snprintf(name, sizeof name, "%.0f MiB", budget_mib);
    memory peak = {0};
    double best = 0;
    for (int i = 0; i < runs; i++) {
        remove_store();
        double seconds = run_sampled(store, workers, setting, &peak);
        if (i == 0 || seconds < best) best = seconds;
    }
    printf("| %s | %s | %s | %.2f | %.2f | %.0f | %.0f | %.0f | %.0f |\n", store, workers, name, best,
           unlimited > 0 ? best / unlimited : 1.0, summary_number("held_back"),
           summary_number("memory_peak_bytes") / 1048576, peak.resident, peak.held);
    fflush(stdout);
    return best;
}

static void three_rows(const char *store, const char *workers, double breadth) {
    double unlimited = row(store, workers, 0, 0);
    (void)row(store, workers, breadth / 8, unlimited);
    (void)row(store, workers, breadth / 32, unlimited);
}

static void write_program(void) {
    FILE *file = fopen("wide.imgql", "we");
    if (!file) die("wide.imgql");
    fprintf(file,
            "import \"simpleitk\"\nimport \"vox1\"\nimg = intensity(ReadImage(\"in.nii.gz\"))\n"
            "print \"v\" for i in range(0, %d) do volume(not(near(not(geq_sv(i, img + i)))))\n",
            items);
    if (fclose(file) != 0) die("wide.imgql");
}

int main(int count, char **arguments) {
    if (count < 2) {
        fputs("usage: bench_brake VOXLOOM [ITEMS] [SIDE] [RUNS]\n", stderr);
        return 2;
    }
    char size[64];
    voxloom = realpath(arguments[1], NULL);
    if (!voxloom) die(arguments[1]);
    if (count > 2) items = atoi(arguments[2]);
    if (count > 3) side = atoi(arguments[3]);
    if (count > 4) runs = atoi(arguments[4]);
    if (items < 1 || side < 16 || side > 1024 || runs < 1) return 2;
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);
    snprintf(size, sizeof size, "%dx%dx%d", side, side, side);
    run((const char *const[]){voxloom, "phantom", "in.nii.gz", "--size", size, NULL});
    write_program();
    double breadth = (double)items * 8 * side * side * side / 1048576;
    printf(
        "Whole breadth: %.0f MiB\n\n| store | workers | budget | best s | x unlimited | held back | committed MiB | "
        "RssAnon + RssShmem MiB | anonymous + memfd MiB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        breadth);
    static const char *const stores[] = {":memory:", "store"}, *const workers[] = {"2", "8"};
    for (int s = 0; s < 2; s++)
        for (int w = 0; w < 2; w++)
            three_rows(stores[s], workers[w], breadth);
    run((const char *const[]){"rm", "-rf", folder, NULL});
    return 0;
}
