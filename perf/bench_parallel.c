/* bench_parallel.c - what a second worker is worth: whole commands with one worker and with two, beside what the
 * machine itself gives a second core.
 *
 *   bench_parallel VOXLOOM PROGRAMS VOLUME.nii.gz [CASES [RUNS]]
 *
 * VOXLOOM is the program, PROGRAMS the folder tests/programs, VOLUME the head that tumour.imgql reads. CASES (8)
 * phantoms of 192x192x128 make the folder that folder.imgql goes over. A spin loop (arithmetic in registers) and
 * STREAM's triad (J. McCalpin, "Memory bandwidth and machine balance in current high performance computers", 1995;
 * three arrays of 64 MiB) do the same work in one process and split over two. All of it in turns, RUNS (5) of them; a
 * ratio is the median of the turns' ratios. Prints a Markdown table: seconds with one, with two, their ratio, and the
 * ratio over that of the spin loop and of the triad. Then two runs at once against the same two one after another. */
#include <sys/mman.h>

#include "perf/command.h"

#define RUNS_MAX 50
#define TRIAD_DOUBLES ((size_t)8 << 20)

static const char *voxloom;

/* ---- what the machine gives ---- */

/* Forks `parts` children, lets them prepare, then times their work from a common start to the last one's end. */
static double in_processes(int parts, void (*prepare)(int part, int parts), void (*work)(int part, int parts)) {
    int ready[2], go[2];
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) die("pipe2");
    for (int part = 0; part < parts; part++) {
        pid_t child = fork();
        if (child < 0) die("fork");
        if (child > 0) continue;
        prepare(part, parts);
        if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1) _exit(1);
        work(part, parts);
        _exit(0);
    }
    for (int part = 0; part < parts; part++)
        if (read(ready[0], &byte, 1) != 1) die("a child");
    double start = now();
    for (int part = 0; part < parts; part++)
        if (write(go[1], &byte, 1) != 1) die("a child");
    for (int part = 0, status; part < parts; part++)
        if (wait(&status) < 0 || status != 0) die("a child");
    double took = now() - start;
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
    return took;
}

static void prepare_nothing(int part, int parts) {
    (void)part, (void)parts;
}

static void spin(int part, int parts) {
    (void)part;
    volatile uint64_t sink;
    uint64_t x = 1;
    for (uint64_t i = UINT64_C(400000000) / (uint64_t)parts; i > 0; i--)
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
    sink = x;
    (void)sink;
}

static double *triad_a, *triad_b, *triad_c;

static double *triad_array(size_t count) {
    double *array =
        mmap(NULL, count * sizeof *array, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (array == MAP_FAILED) die("mmap");
    for (size_t i = 0; i < count; i++)
        array[i] = (double)i;
    return array;
}

static void prepare_triad(int part, int parts) {
    (void)part;
    size_t count = TRIAD_DOUBLES / (size_t)parts;
    triad_a = triad_array(count);
    triad_b = triad_array(count);
    triad_c = triad_array(count);
}

static void triad(int part, int parts) {
    (void)part;
    size_t count = TRIAD_DOUBLES / (size_t)parts;
    for (int pass = 0; pass < 10; pass++)
        for (size_t i = 0; i < count; i++)
            triad_a[i] = triad_b[i] + (pass + 1.5) * triad_c[i];
    volatile double sink = triad_a[count / 2];
    (void)sink;
}

static double spin_loop(int workers) {
    return in_processes(workers, prepare_nothing, spin);
}

static double stream(int workers) {
    return in_processes(workers, prepare_triad, triad);
}

/* ---- whole commands ---- */

static char tumour_path[4096], folder_path[4096];

static double command(const char *program, const char *store, int workers) {
    char count[16];
    snprintf(count, sizeof count, "%d", workers);
    remove_store();
    return run((const char *const[]){voxloom, "run", program, "--store", store, "--workers", count, "-q", NULL});
}

static double tumour_stored(int workers) {
    return command(tumour_path, "store", workers);
}
static double tumour_memory(int workers) {
    return command(tumour_path, ":memory:", workers);
}
static double folder_stored(int workers) {
    return command(folder_path, "store", workers);
}
static double folder_memory(int workers) {
    return command(folder_path, ":memory:", workers);
}

typedef struct contender {
    const char *name;
    double (*seconds)(int workers);
    double one[RUNS_MAX], two[RUNS_MAX], ratio[RUNS_MAX];
} contender;

static contender contenders[] = {{.name = "spin loop", .seconds = spin_loop},
                                 {.name = "STREAM triad", .seconds = stream},
                                 {.name = "tumour, cold, stored", .seconds = tumour_stored},
                                 {.name = "tumour, in memory", .seconds = tumour_memory},
                                 {.name = "folder, cold, stored", .seconds = folder_stored},
                                 {.name = "folder, in memory", .seconds = folder_memory}};
#define CONTENDERS (sizeof contenders / sizeof *contenders)

/* Two runs over the folder at once, each in a store of its own, over the same two one after another: 1 when they share
 * the cores well, since what a run leaves idle the other can use. Median of `runs`. */
static void two_runs(int runs) {
    static const char *const stores[] = {"store_a", "store_b"};
    const char *command[] = {voxloom, "run", folder_path, "--store", NULL, "--workers", "2", "-q", NULL};
    double apart[RUNS_MAX], together[RUNS_MAX], ratio[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        pid_t child[2];
        apart[i] = 0;
        for (int s = 0; s < 2; s++) {
            run((const char *const[]){"rm", "-rf", stores[s], NULL});
            command[4] = stores[s];
            apart[i] += run(command);
        }
        for (int s = 0; s < 2; s++)
            run((const char *const[]){"rm", "-rf", stores[s], NULL});
        double start = now();
        for (int s = 0; s < 2; s++) {
            command[4] = stores[s];
            child[s] = start_command(command);
        }
        for (int s = 0; s < 2; s++)
            await_command(child[s], voxloom);
        together[i] = now() - start;
        ratio[i] = together[i] / apart[i];
    }
    qsort(apart, (size_t)runs, sizeof *apart, by_size);
    qsort(together, (size_t)runs, sizeof *together, by_size);
    qsort(ratio, (size_t)runs, sizeof *ratio, by_size);
    printf("\nTwo runs over the folder, two workers each: one after another %.3f s, at once %.3f s, ratio %.2f.\n",
           apart[runs / 2], together[runs / 2], ratio[runs / 2]);
}

int main(int count, char **arguments) {
    if (count < 4) {
        fputs("usage: bench_parallel VOXLOOM PROGRAMS VOLUME.nii.gz [CASES [RUNS]]\n", stderr);
        return 2;
    }
    char *program = realpath(arguments[1], NULL), *programs = realpath(arguments[2], NULL),
         *volume = realpath(arguments[3], NULL);
    if (!program || !programs || !volume) die("realpath");
    int cases = count > 4 ? atoi(arguments[4]) : 8, runs = count > 5 ? atoi(arguments[5]) : 5;
    if (cases < 1 || runs < 1 || runs > RUNS_MAX) die("CASES and RUNS");
    voxloom = program;
    snprintf(tumour_path, sizeof tumour_path, "%s/tumour.imgql", programs);
    snprintf(folder_path, sizeof folder_path, "%s/folder.imgql", programs);
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);
    if (symlink(volume, "flair.nii.gz") != 0) die("flair.nii.gz");
    make_cases(voxloom, cases, "192x192x128");
    for (int i = 0; i < runs; i++)
        for (size_t c = 0; c < CONTENDERS; c++) {
            contenders[c].one[i] = contenders[c].seconds(1);
            contenders[c].two[i] = contenders[c].seconds(2);
            contenders[c].ratio[i] = contenders[c].one[i] / contenders[c].two[i];
        }
    for (size_t c = 0; c < CONTENDERS; c++) {
        qsort(contenders[c].one, (size_t)runs, sizeof(double), by_size);
        qsort(contenders[c].two, (size_t)runs, sizeof(double), by_size);
        qsort(contenders[c].ratio, (size_t)runs, sizeof(double), by_size);
    }
    const double machine[2] = {contenders[0].ratio[runs / 2], contenders[1].ratio[runs / 2]};
    puts("| what | 1 worker, s | 2 workers, s | ratio | over the spin loop's | over the triad's |");
    puts("| --- | --- | --- | --- | --- | --- |");
    for (size_t c = 0; c < CONTENDERS; c++)
        printf("| %s | %.3f | %.3f | %.2f | %.2f | %.2f |\n", contenders[c].name, contenders[c].one[runs / 2],
               contenders[c].two[runs / 2], contenders[c].ratio[runs / 2], contenders[c].ratio[runs / 2] / machine[0],
               contenders[c].ratio[runs / 2] / machine[1]);
    two_runs(runs);
    run((const char *const[]){"rm", "-rf", folder, NULL});
    free(program);
    free(programs);
    free(volume);
    return 0;
}
