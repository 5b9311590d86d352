/* doctor.h - what `voxloom doctor` looks at: one check a line, from portable probes and from the platform's own. */
#ifndef LOOM_CLI_DOCTOR_H
#define LOOM_CLI_DOCTOR_H

typedef enum loom_check_grade {
    LOOM_CHECK_GOOD, /* nothing lost */
    LOOM_CHECK_LACK, /* voxloom runs, and pays what `cost` says */
    LOOM_CHECK_BAD   /* voxloom cannot run like this; `cost` says what to do */
} loom_check_grade;

typedef struct loom_check {
    const char *what;
    loom_check_grade grade;
    char found[192];
    const char *cost; /* "" for LOOM_CHECK_GOOD */
} loom_check;

typedef void (*loom_check_sink)(const loom_check *check, void *context);

/* Reports one check; `format` is what was found. */
__attribute__((format(printf, 6, 7))) void loom_check_report(loom_check_sink sink, void *context, const char *what,
                                                             loom_check_grade grade, const char *cost,
                                                             const char *format, ...);

/* The probes of this platform: perf events, NUMA, file system of `folder` (an existing folder), control groups, pid
 * namespace, futex, memfd, open-file-description locks. doctor_linux.c, or doctor_posix.c in a portable build.
 */
void loom_doctor_platform(const char *folder, loom_check_sink sink, void *context);

#endif
