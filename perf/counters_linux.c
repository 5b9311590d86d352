/* counters_linux.c - counters through perf_event_open(2). One group of software counters and one of hardware counters,
 * each read with one call; a hardware counter that does not fit into the group gets one of its own. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "perf/counters_private.h"

#define CACHE_READ_MISS(cache)                                                                                         \
    ((cache) | (uint64_t)PERF_COUNT_HW_CACHE_OP_READ << 8 | (uint64_t)PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

typedef struct event_name {
    uint32_t type;
    uint64_t config;
} event_name;

static const event_name events[LOOM_COUNTER_COUNT] = {
    [LOOM_COUNTER_FAULTS] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    [LOOM_COUNTER_MAJOR_FAULTS] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    [LOOM_COUNTER_SWITCHES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    [LOOM_COUNTER_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [LOOM_COUNTER_INSTRUCTIONS] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [LOOM_COUNTER_LLC_MISSES] = {PERF_TYPE_HW_CACHE, CACHE_READ_MISS(PERF_COUNT_HW_CACHE_LL)},
    [LOOM_COUNTER_DTLB_MISSES] = {PERF_TYPE_HW_CACHE, CACHE_READ_MISS(PERF_COUNT_HW_CACHE_DTLB)},
};

/* Opens one event of the calling thread, on any CPU; -1 with errno. */
static int open_event(const event_name *event, int group, bool kernel_too) {
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = event->type;
    attributes.config = event->config;
    attributes.exclude_kernel = !kernel_too;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, group, PERF_FLAG_FD_CLOEXEC);
}

static void explain(char *reason, int error) {
    switch (error) {
    case EACCES:
    case EPERM:
        snprintf(reason, LOOM_COUNTER_REASON_BYTES,
                 "not allowed here (seccomp or kernel.perf_event_paranoid; 1 or CAP_PERFMON would do)");
        return;
    case ENOENT:
    case ENODEV:
    case EOPNOTSUPP:
    case EINVAL:
        snprintf(reason, LOOM_COUNTER_REASON_BYTES, "this machine does not count it (common in virtual machines)");
        return;
    case ENOSYS:
        snprintf(reason, LOOM_COUNTER_REASON_BYTES, "the kernel has no perf_event_open");
        return;
    default:
        snprintf(reason, LOOM_COUNTER_REASON_BYTES, "refused: %s", strerror(error));
    }
}

/* Adds a counter to the group, or begins the group with it. */
static bool join(loom_counters *counters, loom_counter_group *group, unsigned counter, bool kernel_too) {
    int fd = open_event(&events[counter], group->fd, kernel_too);
    if (fd < 0) return false;
    if (group->fd < 0) group->fd = fd;
    group->members[group->count++] = counter;
    counters->fds[counter] = fd;
    counters->given |= 1u << counter;
    return true;
}

static loom_counter_group *new_group(loom_counters *counters, bool scaled) {
    loom_counter_group *group = &counters->groups[counters->group_count++];
    *group = (loom_counter_group){.fd = -1, .scaled = scaled};
    return group;
}

static void close_group(loom_counters *counters, loom_counter_group *group) {
    for (unsigned i = 0; i < group->count; i++) {
        (void)close(counters->fds[group->members[i]]);
        counters->fds[group->members[i]] = -1;
        counters->given &= ~(1u << group->members[i]);
    }
    group->count = 0;
    group->fd = -1;
}

/* All of them, kernel included (a context switch happens in the kernel), or the portable calls for all. The task clock
 * is the time for which the group was enabled, which passes only while the thread runs; the event of that name would be
 * a second call, as it belongs to another unit of the kernel: grouped with it, the others miss what happens until the
 * thread is scheduled anew (seen with Linux 6.18: 36 of 50 faults). */
static void open_software(loom_counters *counters) {
    loom_counter_group *group = new_group(counters, false);
    for (unsigned i = LOOM_COUNTER_FAULTS; i < LOOM_COUNTER_FIRST_HARDWARE; i++) {
        if (join(counters, group, i, true)) continue;
        close_group(counters, group);
        counters->group_count--;
        counters->software_here = true;
        return;
    }
    counters->given |= 1u << LOOM_COUNTER_TASK_CLOCK;
}

static void open_hardware(loom_counters *counters) {
    loom_counter_group *group = new_group(counters, true);
    bool kernel_too = true;
    for (unsigned i = LOOM_COUNTER_FIRST_HARDWARE; i < LOOM_COUNTER_COUNT; i++) {
        if (join(counters, group, i, kernel_too)) continue;
        if (group->count == 0 && kernel_too && (errno == EACCES || errno == EPERM)) {
            kernel_too = false; /* the program's own part may still be counted */
            if (join(counters, group, i, kernel_too)) continue;
        }
        int error = errno;
        if (group->count > 0) {
            loom_counter_group *own = new_group(counters, true);
            if (join(counters, own, i, kernel_too)) continue;
            error = errno;
            counters->group_count--;
        }
        explain(counters->reasons[i], error);
    }
    if (group->count == 0) counters->group_count--;
}

void loom_counters_platform_open(loom_counters *counters) {
    open_software(counters);
    open_hardware(counters);
}

void loom_counters_platform_close(loom_counters *counters) {
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        if (counters->fds[i] >= 0) (void)close(counters->fds[i]);
}

void loom_counters_platform_read(const loom_counters *counters, loom_reading *reading) {
    for (unsigned g = 0; g < counters->group_count; g++) {
        const loom_counter_group *group = &counters->groups[g];
        uint64_t told[3 + LOOM_COUNTER_COUNT] = {0}; /* count, enabled, running, values: see perf_event_open(2) */
        ssize_t got = read(group->fd, told, (3 + group->count) * sizeof told[0]);
        if (got != (ssize_t)((3 + group->count) * sizeof told[0]) || told[0] != group->count) continue;
        if (!group->scaled) reading->value[LOOM_COUNTER_TASK_CLOCK] = told[1];
        for (unsigned i = 0; i < group->count; i++) {
            unsigned counter = group->members[i];
            reading->value[counter] = told[3 + i];
            reading->enabled_ns[counter] = group->scaled ? told[1] : 0;
            reading->running_ns[counter] = group->scaled ? told[2] : 0;
        }
    }
}

void loom_counters_platform_usage(loom_reading *reading) {
    struct rusage usage;
    struct timespec cpu;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
        reading->value[LOOM_COUNTER_TASK_CLOCK] = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return;
    reading->value[LOOM_COUNTER_FAULTS] = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
    reading->value[LOOM_COUNTER_MAJOR_FAULTS] = (uint64_t)usage.ru_majflt;
    reading->value[LOOM_COUNTER_SWITCHES] = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}
