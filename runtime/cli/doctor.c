/* doctor.c - `voxloom doctor`: what this machine offers, and what each lack costs. */
#include "runtime/cli/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "io/ring.h"
#include "runtime/cli/human.h"
#include "runtime/cli/settings.h"
#include "runtime/coordinator/core_claims.h"
#include "runtime/machine.h"

void loom_check_report(loom_check_sink sink, void *context, const char *what, loom_check_grade grade, const char *cost,
                       const char *format, ...) {
    loom_check check = {.what = what, .grade = grade, .cost = grade == LOOM_CHECK_GOOD ? "" : cost};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check.found, sizeof check.found, format, arguments);
    va_end(arguments);
    sink(&check, context);
}

/* ---- portable probes ---- */

static void check_machine(loom_check_sink sink, void *context) {
    struct utsname name;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (uname(&name) != 0) return;
    loom_check_report(sink, context, "machine", LOOM_CHECK_GOOD, "", "%s %s, %s, %ld cores", name.sysname, name.release,
                      name.machine, cores);
}

static void check_ring(loom_check_sink sink, void *context) {
    static const char cost[] = "images are written with pwrite: measured within 20% of io_uring";
    loom_ring *ring = NULL;
    char reason[160] = "";
    loom_error err = {0};
    if (loom_ring_open(LOOM_RING_AUTO, 4, &ring, reason, &err) != LOOM_OK)
        loom_check_report(sink, context, "io_uring", LOOM_CHECK_BAD, "no results can be written", "%s", err.message);
    else if (loom_ring_kind_of(ring) == LOOM_RING_URING)
        loom_check_report(sink, context, "io_uring", LOOM_CHECK_GOOD, "", "available");
    else
        loom_check_report(sink, context, "io_uring", LOOM_CHECK_LACK, cost, "%s", reason);
    loom_ring_close(ring);
}

static void check_limit(loom_check_sink sink, void *context, const char *what, const struct rlimit *limit,
                        rlim_t wanted, const char *cost) {
    char text[LOOM_HUMAN_BYTES];
    bool unlimited = limit->rlim_cur == RLIM_INFINITY;
    bool enough = unlimited || limit->rlim_cur >= wanted;
    loom_check_report(sink, context, what, enough ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK, cost, "%s",
                      unlimited ? "unlimited" : loom_human_bytes((uint64_t)limit->rlim_cur, text));
}

static void check_limits(loom_check_sink sink, void *context) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        check_limit(sink, context, "locked memory", &limit, 8u << 20,
                    "io_uring before Linux 5.12 may be refused with deep rings (io.depth)");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        loom_check_report(sink, context, "open files", limit.rlim_cur >= 1024 ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                          "a store of many extent files may not open; raise `ulimit -n` to 1024", "%llu",
                          (unsigned long long)limit.rlim_cur);
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        check_limit(sink, context, "address space", &limit, (rlim_t)64 << 30,
                    "the index's map shrinks to a quarter of this; raise `ulimit -v` for large stores");
}

static void check_memory(loom_check_sink sink, void *context) {
    uint64_t bytes = loom_machine_memory_limit("");
    char text[LOOM_HUMAN_BYTES];
    if (bytes == 0) return;
    loom_check_report(sink, context, "memory", bytes >= UINT64_C(2) << 30 ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "fewer images are worked on at once (memory.budget); large ones may not fit", "%s for runs",
                      loom_human_bytes(bytes, text));
}

/* Through this file runs tell each other which cores are bound. */
static void check_claims(const loom_config *config, loom_check_sink sink, void *context) {
    loom_core_claims *claims;
    loom_error err = {0};
    bool open = loom_core_claims_open(config->workers.claims, &claims, &err) == LOOM_OK;
    loom_core_claims_close(claims);
    loom_check_report(sink, context, "core claims", open ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "two small runs at once may bind their workers to one core", "%s",
                      open ? config->workers.claims : err.message);
}

static void check_space(const char *folder, loom_check_sink sink, void *context) {
    static const uint64_t wanted = UINT64_C(8) << 30;
    struct statvfs space;
    char text[LOOM_HUMAN_BYTES];
    if (statvfs(folder, &space) != 0) return;
    uint64_t bytes = (uint64_t)space.f_bavail * space.f_frsize;
    loom_check_report(sink, context, "disk space", bytes >= wanted ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "a run that fills it stops with an error; the store stays intact", "%s free at %s",
                      loom_human_bytes(bytes, text), folder);
}

static void check_access(const char *store, const char *folder, loom_check_sink sink, void *context) {
    bool exists = strcmp(store, folder) == 0;
    if (access(folder, W_OK | X_OK) == 0)
        loom_check_report(sink, context, "store", LOOM_CHECK_GOOD, "", "%s%s", store, exists ? "" : " (will be made)");
    else
        loom_check_report(sink, context, "store", LOOM_CHECK_BAD, "set store.path to a folder that you may write to",
                          "%s is not writable", folder);
}

/* The nearest folder above the path that exists. */
static void existing_folder(const char *path, char *folder, size_t capacity) {
    snprintf(folder, capacity, "%s", path);
    while (access(folder, F_OK) != 0) {
        char *slash = strrchr(folder, '/');
        if (slash == NULL) {
            snprintf(folder, capacity, ".");
            return;
        }
        if (slash == folder) slash++; /* keep the root's own slash */
        *slash = '\0';
    }
}

/* ---- the table ---- */

typedef struct diagnosis {
    FILE *out;
    unsigned lacks, faults;
} diagnosis;

static void print_check(const loom_check *check, void *context) {
    static const char *const marks[] = {"ok", "lacks", "BAD"};
    diagnosis *sum = context;
    sum->lacks += check->grade == LOOM_CHECK_LACK;
    sum->faults += check->grade == LOOM_CHECK_BAD;
    fprintf(sum->out, "%-5s  %-14s  %s\n", marks[check->grade], check->what, check->found);
    if (check->cost[0] != '\0') fprintf(sum->out, "%-5s  %-14s  -> %s\n", "", "", check->cost);
}

static int examine(const loom_config *config) {
    char folder[LOOM_PATH_BYTES];
    diagnosis sum = {.out = stdout};
    bool in_memory = strcmp(config->store.path, ":memory:") == 0;
    existing_folder(in_memory ? "/tmp" : config->store.path, folder, sizeof folder);
    check_machine(print_check, &sum);
    check_memory(print_check, &sum);
    if (!in_memory) check_access(config->store.path, folder, print_check, &sum);
    check_space(folder, print_check, &sum);
    check_ring(print_check, &sum);
    check_claims(config, print_check, &sum);
    check_limits(print_check, &sum);
    loom_doctor_platform(folder, print_check, &sum);
    if (sum.faults > 0)
        printf("\n%u of these keep voxloom from running.\n", sum.faults);
    else if (sum.lacks > 0)
        printf("\nvoxloom runs here; %u thing%s cost%s something.\n", sum.lacks, sum.lacks == 1 ? "" : "s",
               sum.lacks == 1 ? "s" : "");
    else
        printf("\nEverything voxloom can use is here.\n");
    return sum.faults > 0 ? 1 : 0;
}

static int doctor(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    const loom_option options[] = {LOOM_SETTINGS_CONFIG(&settings), LOOM_SETTINGS_STORE(&settings)};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 0, 0, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        loom_error err = {0};
        loom_config config;
        status = loom_settings_load(&settings, &config, &err) == LOOM_OK ? examine(&config) : loom_exit_failed(&err);
    }
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_doctor = {
    .name = "doctor",
    .summary = "Says what this machine offers and what each lack costs",
    .usage = "voxloom doctor [--store DIR]",
    .help = "One line per check: `ok`, `lacks` (voxloom runs without it; the arrow says at what cost) or `BAD`\n"
            "(it cannot run; the arrow says what to do). Exit status 1 if anything is BAD.\n\n"
            "options:\n"
            "  --store DIR      examine the disk of this store\n"
            "  --config FILE, --set KEY=VALUE   as in `voxloom run`\n",
    .run = doctor,
};
