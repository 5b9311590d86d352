/* bench_run.c - whole commands, as a user starts them: scalar stencils of 10,000 and 100,000 nodes, the tumour program,
 * and the folder program.
 *
 *   bench_run VOXLOOM PROGRAMS VOLUME.nii.gz [RUNS [CASES]]
 *
 * VOXLOOM is the program, PROGRAMS the folder tests/programs, VOLUME the head that tumour.imgql reads; CASES (20)
 * phantoms of 192x192x128 make the folder that folder.imgql goes over. Prints a Markdown table of the best and the
 * median of RUNS runs (5): cold in a fresh store, warm in the same store, and in memory. Files go to a temporary folder
 * (its stores take 110 MB a case). */
#include "perf/command.h"

#define RUNS_MAX 50

static const char *voxloom;
static int runs = 5;

/* One row of the table. `before` is done before each run and not timed. */
static void row(const char *name, const char *program, const char *store, const char *workers, void (*before)(void)) {
    double seconds[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        if (before) before();
        seconds[i] = run((const char *const[]){voxloom, "run", program, "--store", store, "--workers", workers, "-q",
                                               "--summary", "summary.json", NULL});
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, by_size);
    double nodes = summary_number("nodes"), tasks = summary_number("segment_tasks");
    printf("| %s | %s | %.3f | %.3f | %.1f | %.0f | %.0f | ", name, workers, seconds[0], seconds[runs / 2],
           seconds[0] / nodes * 1e6, nodes, summary_number("computed"));
    if (tasks > 0)
        printf("%.0f |\n", summary_number("segment_bytes") / nodes);
    else
        printf("- |\n");
    fflush(stdout);
}

/* Each node adds three neighbours of the layer before; what is kept small is halved, so that no value overflows. */
static void write_stencil(const char *path, int width, int layers) {
    FILE *file = fopen(path, "we");
    if (!file) die(path);
    fputs("import \"vox1\"\n", file);
    for (int x = 0; x < width; x++)
        fprintf(file, "n0_%d = %d .+. 0.5\n", x, x);
    for (int layer = 1; layer < layers; layer++)
        for (int x = 0; x < width; x++)
            fprintf(file, "n%d_%d = (n%d_%d .+. n%d_%d) .*. 0.5\n", layer, x, layer - 1, (x + width - 1) % width,
                    layer - 1, (x + 1) % width);
    fprintf(file, "print \"sum\" n%d_0", layers - 1);
    for (int x = 1; x < width; x++)
        fprintf(file, " .+. n%d_%d", layers - 1, x);
    fputc('\n', file);
    if (fclose(file) != 0) die(path);
}

int main(int count, char **arguments) {
    if (count < 4) {
        fputs("usage: bench_run VOXLOOM PROGRAMS VOLUME.nii.gz [RUNS [CASES]]\n", stderr);
        return 2;
    }
    char *program = realpath(arguments[1], NULL), *programs = realpath(arguments[2], NULL),
         *volume = realpath(arguments[3], NULL);
    if (!program || !programs || !volume) die("realpath");
    voxloom = program;
    if (count > 4) runs = atoi(arguments[4]);
    if (runs < 1 || runs > RUNS_MAX) runs = 5;
    int cases = count > 5 ? atoi(arguments[5]) : 20;
    if (cases < 1) die("CASES");
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);

    char tumour[4096], cases_program[4096];
    snprintf(tumour, sizeof tumour, "%s/tumour.imgql", programs);
    snprintf(cases_program, sizeof cases_program, "%s/folder.imgql", programs);
    write_stencil("stencil_10k.imgql", 100, 50); /* two operators a node: 10,000 */
    write_stencil("stencil_100k.imgql", 100, 500);
    if (symlink(volume, "flair.nii.gz") != 0) die("flair.nii.gz");

    puts("| command | workers | best s | median s | us a node | nodes | computed | segment bytes a node |");
    puts("| --- | --- | --- | --- | --- | --- | --- | --- |");
    const char *const sizes[] = {"10k", "100k"};
    for (int i = 0; i < 2; i++) {
        char name[64], file[64];
        snprintf(file, sizeof file, "stencil_%s.imgql", sizes[i]);
        snprintf(name, sizeof name, "%s scalar stencil, cold, stored", sizes[i]);
        row(name, file, "store", "2", remove_store);
        snprintf(name, sizeof name, "%s scalar stencil, warm", sizes[i]);
        row(name, file, "store", "2", NULL);
        snprintf(name, sizeof name, "%s scalar stencil, in memory", sizes[i]);
        row(name, file, ":memory:", "2", NULL);
    }
    row("tumour, cold, stored", tumour, "store", "1", remove_store);
    row("tumour, cold, stored", tumour, "store", "2", remove_store);
    row("tumour, warm", tumour, "store", "2", NULL);
    row("tumour, in memory", tumour, ":memory:", "2", NULL);
    make_cases(voxloom, cases, "192x192x128");
    row("folder, cold, stored", cases_program, "store", "2", remove_store);
    row("folder, warm", cases_program, "store", "2", NULL);
    row("folder, in memory", cases_program, ":memory:", "2", NULL);
    run((const char *const[]){"rm", "-rf", folder, NULL});
    free(program);
    free(programs);
    free(volume);
    return 0;
}
