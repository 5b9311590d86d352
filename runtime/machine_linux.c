/* machine_linux.c - CPUs and memory as the Linux kernel tells: sched_getaffinity(2), /proc, /sys and the cgroup file
 * systems. */
#include "runtime/machine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, TEXT_BYTES = 4096 };

/* Reads a small file whole; false if it is missing, empty, or longer than the buffer. */
static bool read_text(const char *path, char *text, size_t capacity) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    size_t length = fread(text, 1, capacity, file);
    fclose(file);
    if (length == 0 || length == capacity) return false;
    text[length] = '\0';
    return true;
}

/* ---- affinity ---- */

bool loom_machine_allowed(loom_cpus *allowed) {
    cpu_set_t *set = CPU_ALLOC(LOOM_CPUS_MAX);
    if (!set) return false;
    size_t bytes = CPU_ALLOC_SIZE(LOOM_CPUS_MAX);
    CPU_ZERO_S(bytes, set);
    bool known = sched_getaffinity(0, bytes, set) == 0;
    memset(allowed, known ? 0 : 0xFF, sizeof *allowed);
    for (uint32_t cpu = 0; known && cpu < LOOM_CPUS_MAX; cpu++)
        if (CPU_ISSET_S(cpu, bytes, set)) loom_cpus_add(allowed, cpu);
    CPU_FREE(set);
    return known;
}

loom_status loom_machine_pin(uint32_t cpu, loom_error *err) {
    cpu_set_t *set = cpu < LOOM_CPUS_MAX ? CPU_ALLOC(LOOM_CPUS_MAX) : NULL;
    if (!set)
        return loom_fail(err, LOOM_UNSUPPORTED, "CPU %u cannot be bound to: the number is too large", (unsigned)cpu);
    size_t bytes = CPU_ALLOC_SIZE(LOOM_CPUS_MAX);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(cpu, bytes, set);
    int failed = sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
    CPU_FREE(set);
    if (failed)
        return loom_fail_errno(err, failed, "cannot bind a worker to CPU %u; set workers.pin = false", (unsigned)cpu);
    return LOOM_OK;
}

/* ---- physical cores ---- */

/* Reads a list like "0-3,8" and tells whether `cpu` is its first allowed member. False, too, for malformed text: then
 * no core is counted and hwloc is asked. */
static bool is_first_of_list(const char *list, const loom_cpus *allowed, uint32_t cpu) {
    for (const char *at = list; *at != '\0' && *at != '\n';) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at) return false;
        if (*end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
            if (end == at) return false;
        }
        for (unsigned long member = first; member <= last && member < LOOM_CPUS_MAX; member++)
            if (loom_cpus_has(allowed, member)) return member == cpu;
        at = *end == ',' ? end + 1 : end;
    }
    return false;
}

uint32_t loom_machine_cores(const char *root, const loom_cpus *allowed) {
    uint32_t cores = 0;
    for (uint32_t cpu = 0; cpu < LOOM_CPUS_MAX; cpu++) {
        if (!loom_cpus_has(allowed, cpu)) continue;
        char path[PATH_BYTES], siblings[TEXT_BYTES];
        int length = snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", root,
                              (unsigned)cpu);
        if (length < 0 || (size_t)length >= sizeof path || !read_text(path, siblings, sizeof siblings)) return 0;
        cores += is_first_of_list(siblings, allowed, cpu);
    }
    return cores;
}

/* ---- quotas ---- */

/* A limit that one folder of a cgroup file system sets; 0 = none, also for nonsense. */
typedef uint64_t (*limit_reader)(const char *folder);

static uint64_t stricter(uint64_t a, uint64_t b) {
    if (a == 0 || b == 0) return a | b;
    return a < b ? a : b;
}

static bool read_limit(const char *folder, const char *name, char *text, size_t capacity) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_text(path, text, capacity);
}

/* CPUs of a quota in microseconds per period, rounded up. */
static uint64_t cpus_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < LOOM_CPUS_MAX ? (uint64_t)cpus : LOOM_CPUS_MAX;
}

/* "max 100000" or "150000 100000" */
static uint64_t cpus_v2(const char *folder) {
    char text[128];
    long long quota, period;
    if (!read_limit(folder, "cpu.max", text, sizeof text) || sscanf(text, "%lld %lld", &quota, &period) != 2) return 0;
    return cpus_of(quota, period);
}

static uint64_t cpus_v1(const char *folder) {
    char quota[64], period[64];
    if (!read_limit(folder, "cpu.cfs_quota_us", quota, sizeof quota)) return 0;
    if (!read_limit(folder, "cpu.cfs_period_us", period, sizeof period)) return 0;
    return cpus_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* Version 1 writes "no limit" as a number near 2^63, version 2 as "max". */
static uint64_t bytes_in(const char *folder, const char *name) {
    char text[64], *end;
    if (!read_limit(folder, name, text, sizeof text) || text[0] < '0' || text[0] > '9') return 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    return (*end == '\n' || *end == '\0') && bytes < UINT64_C(1) << 60 ? bytes : 0;
}

static uint64_t memory_v2(const char *folder) {
    return stricter(bytes_in(folder, "memory.max"), bytes_in(folder, "memory.high"));
}

static uint64_t memory_v1(const char *folder) {
    return bytes_in(folder, "memory.limit_in_bytes");
}

/* Every group from `group` up to the mount point limits those below it. The path may not exist below the mount point
 * (a container that sees the host's path): the mount point itself is then what counts. */
static uint64_t limit_upwards(const char *root, const char *mount, const char *group, limit_reader read) {
    char folder[PATH_BYTES];
    int length = snprintf(folder, sizeof folder, "%s%s%s", root, mount, group);
    if (length < 0 || (size_t)length >= sizeof folder) return 0;
    size_t top = strlen(root) + strlen(mount);
    uint64_t strictest = 0;
    for (;;) {
        strictest = stricter(strictest, read(folder));
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < top) return strictest;
        *slash = '\0';
    }
}

/* One kind of limit: how each version tells it, and where version 1's controller may be mounted. */
typedef struct quota {
    const char *controller;
    const char *mounts[2]; /* NULL: none */
    limit_reader v1, v2;
} quota;

static const quota cpu_quota = {"cpu", {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}, cpus_v1, cpus_v2};
static const quota memory_quota = {"memory", {"/sys/fs/cgroup/memory", NULL}, memory_v1, memory_v2};

/* Does the comma-separated list of controllers contain the wanted one? */
static bool has_controller(const char *controllers, const char *wanted) {
    size_t length = strlen(wanted);
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (strncmp(at, wanted, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; ID 0 is version 2. */
static uint64_t limit_of_line(const char *root, char *line, const quota *kind) {
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return 0;
    *controllers++ = '\0';
    *group++ = '\0';
    if (strcmp(line, "0") == 0)
        return stricter(limit_upwards(root, "/sys/fs/cgroup", group, kind->v2),
                        limit_upwards(root, "/sys/fs/cgroup/unified", group, kind->v2));
    if (!has_controller(controllers, kind->controller)) return 0;
    uint64_t strictest = 0;
    for (size_t i = 0; i < sizeof kind->mounts / sizeof kind->mounts[0] && kind->mounts[i]; i++)
        strictest = stricter(strictest, limit_upwards(root, kind->mounts[i], group, kind->v1));
    return strictest;
}

static uint64_t limit_of(const char *root, const quota *kind) {
    char path[PATH_BYTES], groups[TEXT_BYTES];
    int length = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (length < 0 || (size_t)length >= sizeof path || !read_text(path, groups, sizeof groups)) return 0;
    uint64_t strictest = 0;
    char *rest = NULL;
    for (char *line = strtok_r(groups, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        strictest = stricter(strictest, limit_of_line(root, line, kind));
    return strictest;
}

uint32_t loom_machine_quota(const char *root) {
    return (uint32_t)limit_of(root, &cpu_quota); /* at most LOOM_CPUS_MAX */
}

uint64_t loom_machine_memory_quota(const char *root) {
    return limit_of(root, &memory_quota);
}

/* "MemTotal:       16384000 kB" */
static uint64_t memory_of_machine(const char *root) {
    char path[PATH_BYTES], line[256];
    unsigned long long kib = 0;
    int length = snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *file = length >= 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file) return 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "MemTotal: %llu kB", &kib) != 1) {
    }
    fclose(file);
    return kib < UINT64_C(1) << 50 ? (uint64_t)kib * 1024 : 0;
}

uint64_t loom_machine_memory_limit(const char *root) {
    return stricter(memory_of_machine(root), loom_machine_memory_quota(root));
}

/* ---- lack of memory ---- */

/* The number behind `name` at the start of a line of a file; 0 if there is none. */
static uint64_t count_in(const char *path, const char *name) {
    char line[256];
    uint64_t count = 0;
    size_t length = strlen(name);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0 && line[length] == ' ') count = strtoull(line + length, NULL, 10);
    fclose(file);
    return count;
}

/* Version 2 of cgroups; a container that sees the host's path has its own group at the mount point. */
static uint64_t oom_kills_of_group(const char *root) {
    char path[2 * PATH_BYTES], groups[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_text(path, groups, sizeof groups)) return 0;
    const char *group = strncmp(groups, "0::", 3) == 0 ? groups : strstr(groups, "\n0::");
    if (!group) return 0;
    group = strstr(group, "0::") + 3;
    int length = (int)strcspn(group, "\n");
    snprintf(path, sizeof path, "%s/sys/fs/cgroup%.*s/memory.events", root, length, group);
    uint64_t count = count_in(path, "oom_kill");
    if (count > 0) return count;
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/memory.events", root);
    return count_in(path, "oom_kill");
}

uint64_t loom_machine_oom_kills(const char *root) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/proc/vmstat", root);
    if (length < 0 || (size_t)length >= sizeof path) return 0;
    return count_in(path, "oom_kill") + oom_kills_of_group(root);
}

/* ---- identity ---- */

bool loom_machine_key(loom_id *key) {
    struct {
        char boot[64], online[1024];
        loom_cpus allowed;
    } told;
    memset(&told, 0, sizeof told);
    if (!read_text("/proc/sys/kernel/random/boot_id", told.boot, sizeof told.boot)) return false;
    if (!read_text("/sys/devices/system/cpu/online", told.online, sizeof told.online)) return false;
    if (!loom_machine_allowed(&told.allowed)) return false;
    *key = loom_sha256(&told, sizeof told);
    return true;
}
