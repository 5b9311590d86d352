/* machine_posix.c - the portable twin: POSIX has no affinity, no quota and no boot id, so every CPU may be used,
 * nothing is cached, and workers stay where the scheduler puts them. */
#include "runtime/machine.h"

#include <string.h>
#include <unistd.h>

bool loom_machine_allowed(loom_cpus *allowed) {
    memset(allowed, 0xFF, sizeof *allowed);
    return false;
}

uint32_t loom_machine_quota(const char *root) {
    (void)root;
    return 0;
}

uint64_t loom_machine_memory_quota(const char *root) {
    (void)root;
    return 0;
}

uint64_t loom_machine_memory_limit(const char *root) {
    (void)root;
#ifdef _SC_PHYS_PAGES /* not POSIX, but wherever it is not, nobody tells */
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
#else
    return 0;
#endif
}

uint32_t loom_machine_cores(const char *root, const loom_cpus *allowed) {
    (void)root;
    (void)allowed;
    return 0;
}

bool loom_machine_key(loom_id *key) {
    (void)key;
    return false;
}

loom_status loom_machine_pin(uint32_t cpu, loom_error *err) {
    return loom_fail(err, LOOM_UNSUPPORTED,
                     "workers cannot be bound to a CPU (%u) on this system; set workers.pin = false", (unsigned)cpu);
}

uint64_t loom_machine_oom_kills(const char *root) {
    (void)root;
    return 0;
}
