/* machine.h - the few things that the operating system must tell: which CPUs this process may use, how much of them and
 * of the memory its cgroup grants, what identifies the machine as booted, and binding to a CPU.
 *
 * machine_linux.c asks the kernel; machine_posix.c answers what POSIX knows. Files are read below `root` ("" for this
 * machine), so that tests can replay other machines. */
#ifndef LOOM_RUNTIME_MACHINE_H
#define LOOM_RUNTIME_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/id.h"
#include "shm/status.h"

#define LOOM_CPUS_MAX 4096u

typedef struct loom_cpus {
    uint64_t bits[LOOM_CPUS_MAX / 64];
} loom_cpus;

static inline bool loom_cpus_has(const loom_cpus *cpus, uint64_t cpu) {
    return cpu < LOOM_CPUS_MAX && (cpus->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

static inline void loom_cpus_add(loom_cpus *cpus, uint32_t cpu) {
    if (cpu < LOOM_CPUS_MAX) cpus->bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

/* The affinity mask; false where the system has none (then every CPU may be used). */
bool loom_machine_allowed(loom_cpus *allowed);

/* CPUs that the process's cgroup and those above it grant, rounded up; 0 = no limit. Versions 1 and 2. */
uint32_t loom_machine_quota(const char *root);

/* Bytes of memory, file pages included, that the cgroup and those above it grant; 0 = no limit. Versions 1 and 2; of
 * version 2's two limits the lower, since above memory.high a process is only slowed down. */
uint64_t loom_machine_memory_quota(const char *root);

/* Bytes of memory that this process can count on: the smaller of the machine's and the cgroup's. 0 if neither is told.
 */
uint64_t loom_machine_memory_limit(const char *root);

/* Processes that the kernel has killed for lack of memory: of this process's cgroup, and of the whole machine, added
 * up. Only a change means something; 0 where it is not told. */
uint64_t loom_machine_oom_kills(const char *root);

/* Physical cores with at least one allowed CPU; 0 if the kernel does not tell. */
uint32_t loom_machine_cores(const char *root, const loom_cpus *allowed);

/* A digest of boot id, online CPUs and affinity mask; false where a boot has no id. */
bool loom_machine_key(loom_id *key);

/* Binds the calling process to one CPU. LOOM_UNSUPPORTED where there is no such call, LOOM_DENIED or LOOM_IO where the
 * kernel refuses (a CPU outside the cpuset). Call it before starting threads: they inherit the binding. */
loom_status loom_machine_pin(uint32_t cpu, loom_error *err);

#endif
