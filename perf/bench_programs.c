/* bench_programs.c - whole programs, as a user starts them, against the same programs as chains of ITK filters
 * (programs/itk.cpp), which stand in for VoxLogicA-2's engine.
 *
 *   bench_programs VOXLOOM PROGRAMS VOLUME.nii.gz [ROUNDS [ONLY]]
 *
 * VOXLOOM is the program, PROGRAMS the folder tests/programs, VOLUME the head that tumour.imgql and sweep.imgql read;
 * ONLY one of tumour, sweep, heads. heads.imgql is written here: 50 thresholds on each of 4 phantoms of 188x256x190.
 * All ways of running a program and its peer take turns, ROUNDS (5) times, with 2 workers or threads; every store is
 * new. Prints a Markdown table of medians: wall time, processor time of all processes, and the peer's over ours, above
 * 1 where voxloom is faster. `result` compares all printed numbers, exactly, and the voxels of a saved image, with the
 * peer's. Files go to a temporary folder (a store that keeps all of heads.imgql takes 2 GB). */
#include <ctype.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "perf/command.h"

#define ROUNDS_MAX 50

#ifdef BENCH_PEER
static const char *const peer = BENCH_PEER;
#else
static const char *const peer = NULL; /* ITK was not there when this was built */
#endif

/* The first is what the others are compared with. */
typedef struct way {
    const char *name, *store, *persist, *fuse; /* store NULL: the peer, `fuse` its program's suffix */
} way;

static const way ways[] = {
    {"ITK, a filter for each primitive", NULL, NULL, ""},
    {"ITK, fewest filters", NULL, NULL, "-short"},
    {"cold, all stored", "store", "store.persist=all", "kernels.fuse=true"},
    {"cold, all stored, --no-fuse", "store", "store.persist=all", "kernels.fuse=false"},
    {"cold, auto", "store", "store.persist=auto", "kernels.fuse=true"},
    {"cold, auto, --no-fuse", "store", "store.persist=auto", "kernels.fuse=false"},
    {"in memory", ":memory:", "store.persist=auto", "kernels.fuse=true"},
    {"in memory, --no-fuse", ":memory:", "store.persist=auto", "kernels.fuse=false"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

typedef struct figures {
    double wall[ROUNDS_MAX], processor[ROUNDS_MAX];
    const char *result;
} figures;

static const char *voxloom;
static int rounds = 5;

static double processor_seconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) != 0) die("getrusage");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void run_way(const way *how, const char *name, const char *program) {
    char peer_program[64];
    snprintf(peer_program, sizeof peer_program, "%s%s", name, how->fuse);
    if (how->store == NULL)
        run((const char *const[]){peer, peer_program, "2", NULL});
    else
        run((const char *const[]){voxloom, "run", program, "--store", how->store, "--workers", "2", "-q", "--set",
                                  how->persist, "--set", how->fuse, NULL});
}

/* ---- comparing ---- */

/* What a file or a command gives, ended by a 0. */
static char *contents(FILE *from, const char *what, size_t *length) {
    size_t room = 1 << 20, got;
    char *text = malloc(room);
    if (!from || !text) die(what);
    *length = 0;
    while ((got = fread(text + *length, 1, room - *length - 1, from)) > 0) {
        *length += got;
        if (*length + 1 == room && !(text = realloc(text, room *= 2))) die(what);
    }
    if (ferror(from)) die(what);
    text[*length] = '\0';
    return text;
}

static char *file_contents(const char *path, size_t *length) {
    FILE *file = fopen(path, "re");
    char *text = contents(file, path, length);
    fclose(file);
    return text;
}

/* The same text, but for the way a number is written. */
static bool is_same_text(const char *a, const char *b) {
    while (*a != '\0' || *b != '\0') {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            char *after_a, *after_b;
            if (strtod(a, &after_a) != strtod(b, &after_b)) return false;
            a = after_a;
            b = after_b;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return true;
}

static char *unpacked(const char *path, size_t *length) {
    char command[64];
    snprintf(command, sizeof command, "gzip -dc %s", path);
    FILE *pipe = popen(command, "re");
    char *bytes = contents(pipe, path, length);
    if (pclose(pipe) != 0) die(path);
    return bytes;
}

/* NIfTI: size and type of pixel in the header, the voxels' offset at byte 108. */
static bool is_same_image(const char *path_a, const char *path_b) {
    enum { DIM = 40, DIM_BYTES = 16, TYPE = 70, OFFSET = 108, HEADER = 352 };
    size_t length_a, length_b;
    float from_a = 0, from_b = 0;
    char *a = unpacked(path_a, &length_a), *b = unpacked(path_b, &length_b);
    bool same = length_a > HEADER && length_b > HEADER && memcmp(a + DIM, b + DIM, DIM_BYTES) == 0 &&
                memcmp(a + TYPE, b + TYPE, sizeof(int16_t)) == 0;
    if (same) {
        memcpy(&from_a, a + OFFSET, sizeof from_a);
        memcpy(&from_b, b + OFFSET, sizeof from_b);
        same = from_a >= HEADER && from_b >= HEADER && (float)length_a > from_a && (float)length_b > from_b &&
               length_a - (size_t)from_a == length_b - (size_t)from_b &&
               memcmp(a + (size_t)from_a, b + (size_t)from_b, length_a - (size_t)from_a) == 0;
    }
    free(a);
    free(b);
    return same;
}

static const char *compared(bool saves) {
    size_t length;
    char *ours = file_contents("stdout.txt", &length), *theirs = file_contents("peer.txt", &length);
    bool same = is_same_text(ours, theirs);
    free(ours);
    free(theirs);
    if (!same) return "OTHER NUMBERS";
    if (saves && !is_same_image("tumour.nii.gz", "tumour_itk.nii.gz")) return "OTHER VOXELS";
    return "same";
}

/* ---- measuring ---- */

static bool is_there(const way *how, bool has_short) {
    return how->store != NULL || (peer != NULL && (how->fuse[0] == '\0' || has_short));
}

static void one_round(const char *name, const char *program, bool saves, int round, figures f[WAYS]) {
    for (int w = 0; w < WAYS; w++) {
        if (!is_there(&ways[w], saves)) continue;
        remove_store();
        unlink("tumour.nii.gz");
        double wall = now(), processor = processor_seconds();
        run_way(&ways[w], name, program);
        f[w].wall[round] = now() - wall;
        f[w].processor[round] = processor_seconds() - processor;
        if (w == 0 && rename("stdout.txt", "peer.txt") != 0) die("peer.txt");
        /* One that differed once is not the same. */
        if (ways[w].store != NULL && peer != NULL && (!f[w].result || strcmp(f[w].result, "same") == 0))
            f[w].result = compared(saves);
    }
}

static double median_of(double *values) {
    qsort(values, (size_t)rounds, sizeof *values, by_size);
    return values[rounds / 2];
}

static void print_rows(const char *name, bool saves, figures f[WAYS]) {
    double wall[WAYS], processor[WAYS];
    for (int w = 0; w < WAYS; w++) {
        wall[w] = median_of(f[w].wall);
        processor[w] = median_of(f[w].processor);
        if (!is_there(&ways[w], saves)) continue;
        printf("| %s | %s | %.3f | %.3f | ", name, ways[w].name, wall[w], processor[w]);
        if (peer == NULL)
            printf("- | - | no ITK |\n");
        else
            printf("%.2f | %.2f | %s |\n", wall[0] / wall[w], processor[0] / processor[w],
                   f[w].result ? f[w].result : "");
    }
    fflush(stdout);
}

/* `saves`: it saves tumour.nii.gz, and its peer is there in both forms. */
static void measure(const char *name, const char *program, bool saves, const char *only) {
    static figures f[WAYS];
    if (only != NULL && strcmp(only, name) != 0) return;
    memset(f, 0, sizeof f);
    for (int round = 0; round < rounds; round++)
        one_round(name, program, saves, round, f);
    print_rows(name, saves, f);
}

static void write_heads(void) {
    FILE *file = fopen("heads.imgql", "we");
    if (!file) die("heads.imgql");
    fputs("import \"simpleitk\"\nimport \"vox1\"\n"
          "sweep(path) = let head = intensity(ReadImage(path)) in for t in range(0, 50) do volume(head >=. (t * 20))\n"
          "print \"volumes\" for c in dir(\"cases\", \"*.nii.gz\", false, true) do sweep(c)\n",
          file);
    if (fclose(file) != 0) die("heads.imgql");
}

/* A build's voxloom does not look for the worker beside it. */
static void find_worker(void) {
    char path[4096];
    const char *slash = strrchr(voxloom, '/');
    snprintf(path, sizeof path, "%.*s/voxloom-worker", (int)(slash - voxloom), voxloom);
    if (access(path, X_OK) == 0 && setenv("VOXLOOM_WORKER", path, 0) != 0) die("VOXLOOM_WORKER");
}

int main(int count, char **arguments) {
    if (count < 4) {
        fputs("usage: bench_programs VOXLOOM PROGRAMS VOLUME.nii.gz [ROUNDS [ONLY]]\n", stderr);
        return 2;
    }
    char *program = realpath(arguments[1], NULL), *programs = realpath(arguments[2], NULL),
         *volume = realpath(arguments[3], NULL);
    if (!program || !programs || !volume) die("realpath");
    voxloom = program;
    find_worker();
    if (count > 4) rounds = atoi(arguments[4]);
    if (rounds < 1 || rounds > ROUNDS_MAX) rounds = 5;
    const char *only = count > 5 ? arguments[5] : NULL;
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);

    char tumour[4096], sweep[4096];
    snprintf(tumour, sizeof tumour, "%s/tumour.imgql", programs);
    snprintf(sweep, sizeof sweep, "%s/sweep.imgql", programs);
    if (symlink(volume, "flair.nii.gz") != 0) die("flair.nii.gz");
    write_heads();
    if (only == NULL || strcmp(only, "heads") == 0) make_cases(voxloom, 4, "188x256x190");

    puts("| program | way | wall s | CPU s | ITK's wall / it | ITK's CPU / it | result |");
    puts("| --- | --- | --- | --- | --- | --- | --- |");
    measure("tumour", tumour, true, only);
    measure("sweep", sweep, false, only);
    measure("heads", "heads.imgql", false, only);
    run((const char *const[]){"rm", "-rf", folder, NULL});
    free(program);
    free(programs);
    free(volume);
    return 0;
}
