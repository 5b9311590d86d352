/* doctor_linux.c - asks a Linux kernel for what voxloom uses of it. Twin: doctor_posix.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/cli/doctor.h"
#include "runtime/cli/human.h"
#include "runtime/machine.h"
#include "shm/platform_file.h"

/* The first line of a small file; false if it cannot be read. */
static bool read_line(const char *path, char *line, size_t capacity) {
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    bool got = fgets(line, (int)capacity, file) != NULL;
    fclose(file);
    if (got) line[strcspn(line, "\n")] = '\0';
    return got;
}

static void check_perf(loom_check_sink sink, void *context) {
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof attributes,
                                         .config = PERF_COUNT_HW_CPU_CYCLES,
                                         .disabled = 1,
                                         .exclude_kernel = 1};
    long fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    int cause = errno;
    if (fd >= 0) close((int)fd);
    char paranoid[32];
    if (!read_line("/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof paranoid))
        snprintf(paranoid, sizeof paranoid, "unknown");
    if (fd >= 0)
        loom_check_report(sink, context, "perf events", LOOM_CHECK_GOOD, "", "available");
    else
        loom_check_report(sink, context, "perf events", LOOM_CHECK_LACK,
                          "`run --profile` counts no cycles, instructions or cache misses; its times are right",
                          "%s (kernel.perf_event_paranoid %s)", strerror(cause), paranoid);
}

static void check_numa(loom_check_sink sink, void *context) {
    char online[64];
    bool several = read_line("/sys/devices/system/node/online", online, sizeof online) && strcmp(online, "0") != 0;
    if (several)
        loom_check_report(sink, context, "NUMA", LOOM_CHECK_GOOD, "", "memory domains %s; see `voxloom topology`",
                          online);
    else
        loom_check_report(sink, context, "NUMA", LOOM_CHECK_GOOD, "", "one memory domain");
}

/* Shared between machines or served by a process: storage refuses it, so this must be BAD. */
static bool check_refused(const char *folder, loom_check_sink sink, void *context) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *refused = fd >= 0 ? loom_file_system_refused(fd) : NULL;
    if (fd >= 0) close(fd);
    if (refused == NULL) return false;
    loom_check_report(sink, context, "file system", LOOM_CHECK_BAD,
                      "refused: two machines could write one index; set store.path to a local disk", "%s at %s",
                      refused, folder);
    return true;
}

static void check_file_system(const char *folder, loom_check_sink sink, void *context) {
    static const struct {
        unsigned long magic;
        const char *name, *cost; /* cost NULL: none */
    } known[] = {
        {EXT4_SUPER_MAGIC, "ext4", NULL},
        {XFS_SUPER_MAGIC, "xfs", NULL},
        {BTRFS_SUPER_MAGIC, "btrfs", "copies on write: overwritten index pages fragment"},
        {TMPFS_MAGIC, "tmpfs", "results live in memory and are lost at the next start of the machine"},
        {OVERLAYFS_SUPER_MAGIC, "overlayfs",
         "the container's layer goes when the container goes: mount a volume for the store"},
    };
    struct statfs status;
    if (check_refused(folder, sink, context) || statfs(folder, &status) != 0) return;
    unsigned long magic = (unsigned long)status.f_type & 0xFFFFFFFFul;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].magic != magic) continue;
        loom_check_report(sink, context, "file system", known[i].cost != NULL ? LOOM_CHECK_LACK : LOOM_CHECK_GOOD,
                          known[i].cost, "%s at %s", known[i].name, folder);
        return;
    }
    loom_check_report(sink, context, "file system", LOOM_CHECK_LACK,
                      "not tried by us; voxloom needs fallocate, shared mappings and file locks", "type 0x%lx at %s",
                      magic, folder);
}

/* ---- control groups ---- */

static void check_group_memory(loom_check_sink sink, void *context) {
    uint64_t bytes = loom_machine_memory_quota("");
    char text[LOOM_HUMAN_BYTES];
    if (bytes == 0)
        loom_check_report(sink, context, "cgroup memory", LOOM_CHECK_GOOD, "", "no limit");
    else
        loom_check_report(sink, context, "cgroup memory", LOOM_CHECK_GOOD, "", "limit %s, which runs keep to",
                          loom_human_bytes(bytes, text));
}

static void check_group_cpu(loom_check_sink sink, void *context) {
    uint32_t cores = loom_machine_quota("");
    if (cores == 0)
        loom_check_report(sink, context, "cgroup CPU", LOOM_CHECK_GOOD, "", "no limit");
    else
        loom_check_report(sink, context, "cgroup CPU", LOOM_CHECK_GOOD, "",
                          "limit %" PRIu32 " cores, so as many workers", cores);
}

/* ---- CPUs and memory ---- */

static uint32_t cpus_online(void) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 0;
}

static void check_affinity(loom_check_sink sink, void *context) {
    loom_cpus allowed;
    uint32_t count = 0, online = cpus_online();
    if (!loom_machine_allowed(&allowed)) return;
    for (uint32_t cpu = 0; cpu < LOOM_CPUS_MAX; cpu++)
        count += loom_cpus_has(&allowed, cpu);
    bool all = count >= online;
    loom_check_report(sink, context, "affinity", all ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "workers stay on these: taskset, a cpuset or the job system decided so",
                      "%" PRIu32 " of %" PRIu32 " CPUs, %" PRIu32 " cores", count, count > online ? count : online,
                      loom_machine_cores("", &allowed));
}

/* "always [madvise] never": what stands in brackets. */
static bool chosen(const char *path, char *word, size_t capacity) {
    char line[128];
    if (!read_line(path, line, sizeof line)) return false;
    const char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;
    if (close == NULL || (size_t)(close - open) > capacity) return false;
    memcpy(word, open + 1, (size_t)(close - open - 1));
    word[close - open - 1] = '\0';
    return true;
}

static void check_huge_pages(loom_check_sink sink, void *context) {
    char anonymous[32], shared[32];
    if (!chosen("/sys/kernel/mm/transparent_hugepage/enabled", anonymous, sizeof anonymous)) {
        loom_check_report(sink, context, "huge pages", LOOM_CHECK_LACK,
                          "kernels with much scratch memory miss the TLB more often",
                          "not told, or not in this kernel");
        return;
    }
    if (!chosen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", shared, sizeof shared))
        snprintf(shared, sizeof shared, "none");
    bool some = strcmp(anonymous, "never") != 0;
    loom_check_report(sink, context, "huge pages", some ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "kernels with much scratch memory miss the TLB more often", "%s; shared memory: %s", anonymous,
                      shared);
}

/* Each view of an image is a mapping. */
static void check_mappings(loom_check_sink sink, void *context) {
    char line[64];
    if (!read_line("/proc/sys/vm/max_map_count", line, sizeof line)) return;
    bool enough = strtoull(line, NULL, 10) >= 65530;
    loom_check_report(sink, context, "mappings", enough ? LOOM_CHECK_GOOD : LOOM_CHECK_LACK,
                      "a process can hold fewer images at once; raise vm.max_map_count to 65530", "up to %s a process",
                      line);
}

/* ---- processes ---- */

static void check_pid_namespace(loom_check_sink sink, void *context) {
    static const char initial[] = "pid:[4026531836]"; /* PROC_PID_INIT_INO, fixed by the kernel */
    char name[64];
    ssize_t length = readlink("/proc/self/ns/pid", name, sizeof name - 1);
    if (length < 0) return;
    name[length] = '\0';
    bool own = strcmp(name, initial) != 0;
    loom_check_report(sink, context, "pid namespace", own ? LOOM_CHECK_LACK : LOOM_CHECK_GOOD,
                      "a store must not be used from two containers at once", "%s",
                      own ? "a container's own" : "the machine's");
}

static void check_call(loom_check_sink sink, void *context, const char *what, bool works, loom_check_grade otherwise,
                       const char *cost) {
    int cause = errno;
    loom_check_report(sink, context, what, works ? LOOM_CHECK_GOOD : otherwise, cost, "%s",
                      works ? "available" : strerror(cause));
}

static void check_calls(const char *folder, loom_check_sink sink, void *context) {
    uint32_t word = 0;
    long woken = syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    check_call(sink, context, "futex", woken >= 0, LOOM_CHECK_BAD,
               "idle workers cannot sleep; build with VOXLOOM_PORTABLE");

    int memory = memfd_create("voxloom-doctor", MFD_CLOEXEC);
    check_call(sink, context, "memfd", memory >= 0, LOOM_CHECK_BAD, "no shared segment; build with VOXLOOM_PORTABLE");
    if (memory >= 0) close(memory);

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool tried = file >= 0;
    bool locks = tried && fcntl(file, F_OFD_SETLK, &lock) == 0;
    if (tried)
        check_call(sink, context, "file locks", locks, LOOM_CHECK_BAD, "the store's processes cannot see each other");
    if (file >= 0) close(file);
}

void loom_doctor_platform(const char *folder, loom_check_sink sink, void *context) {
    check_perf(sink, context);
    check_numa(sink, context);
    check_file_system(folder, sink, context);
    check_group_memory(sink, context);
    check_group_cpu(sink, context);
    check_affinity(sink, context);
    check_huge_pages(sink, context);
    check_mappings(sink, context);
    check_pid_namespace(sink, context);
    check_calls(folder, sink, context);
}
