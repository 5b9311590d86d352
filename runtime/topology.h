/* topology.h - where workers run: the usable cores of this machine, grouped by NUMA domain, one worker per core.
 *
 * hwloc (https://www.open-mpi.org/projects/hwloc/) discovers them. Its first load can cost tens of milliseconds, so
 * the small summary below can be exported to a byte string that the caller keeps (in the store's meta table) and
 * imported without hwloc while machine, boot, online CPUs and affinity mask are the same. Functions are thread-safe. */
#ifndef LOOM_RUNTIME_TOPOLOGY_H
#define LOOM_RUNTIME_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/machine.h"
#include "shm/status.h"

#define LOOM_TOPOLOGY_CORES_MAX 1024u  /* cores beyond are not used */
#define LOOM_TOPOLOGY_DOMAINS_MAX 256u /* nor are those of domains beyond */

/* Plain bytes. Cores are sorted by domain; domains without a usable core are left out, so numbers are dense. */
typedef struct loom_topology {
    uint32_t cores;                           /* physical cores with a CPU that this process may run on; at least 1 */
    uint32_t domains;                         /* at least 1 */
    uint32_t workers;                         /* as many workers as make sense: cores, within the cgroup's CPU quota */
    uint32_t cpu[LOOM_TOPOLOGY_CORES_MAX];    /* per core: the operating system's number of its first usable CPU */
    uint16_t domain[LOOM_TOPOLOGY_CORES_MAX]; /* per core */
    uint32_t numa_node[LOOM_TOPOLOGY_DOMAINS_MAX]; /* per domain: the operating system's number of its memory */
} loom_topology;

/* Asks hwloc about this machine. LOOM_UNSUPPORTED when hwloc fails or finds no usable CPU. */
loom_status loom_topology_discover(loom_topology *topology, loom_error *err);
/* The same for a machine described in hwloc's synthetic language, e.g. "numa:2 core:4 pu:2"; `allowed` = NULL: every
 * CPU; no quota. LOOM_BAD_ARGUMENT for a description that hwloc refuses. */
loom_status loom_topology_synthetic(const char *description, const loom_cpus *allowed, loom_topology *topology,
                                    loom_error *err);

/* Bytes that describe the topology and where they are valid. Returns their number, 0 when this system has no boot id
 * (then nothing can be cached) or when they exceed `capacity`; LOOM_TOPOLOGY_BYTES_MAX is always enough. */
#define LOOM_TOPOLOGY_BYTES_MAX (48u + 6u * LOOM_TOPOLOGY_CORES_MAX + 4u * LOOM_TOPOLOGY_DOMAINS_MAX)
size_t loom_topology_export(const loom_topology *topology, uint8_t *bytes, size_t capacity);
/* Reads them back without hwloc; the quota is read anew. False (topology untouched) if they are damaged or belong to
 * another machine, boot, set of CPUs or affinity mask. */
bool loom_topology_import(const uint8_t *bytes, size_t length, loom_topology *topology);
/* Imports if possible, else discovers; *discovered (may be NULL) says that a new export is worth keeping. */
loom_status loom_topology_load(const uint8_t *bytes, size_t length, loom_topology *topology, bool *discovered,
                               loom_error *err);

/* How many workers to start when nobody says: what `workers` above would be, without hwloc where the kernel tells. */
loom_status loom_topology_usable_cores(uint32_t *workers, loom_error *err);

/* The CPU and the domain of a worker; workers beyond the cores go round again. */
uint32_t loom_topology_cpu(const loom_topology *topology, uint32_t worker_index);
uint16_t loom_topology_domain(const loom_topology *topology, uint32_t worker_index);
/* Binds the calling process (every thread it will have) to the worker's CPU. Errors as loom_machine_pin: being refused
 * costs speed, not results. */
loom_status loom_topology_pin(const loom_topology *topology, uint32_t worker_index, loom_error *err);

/* For people: machine, domains, memory, caches, cores, and which worker runs where. */
loom_status loom_topology_print(FILE *out, loom_error *err);
loom_status loom_topology_print_synthetic(const char *description, FILE *out, loom_error *err);

#endif
