/* topology_cache.c - the summary of a topology as bytes, and everything about it that needs no hwloc.
 *
 * Layout: "LTOP1", 3 zero bytes, machine key (32), cores (4), domains (4), then cpu (4) and domain (2) of each core and
 * numa_node (4) of each domain; byte order of the machine, which the key ties it to anyway. */
#include <string.h>

#include "runtime/topology.h"

static const char magic[8] = "LTOP1";

enum { HEAD_BYTES = sizeof magic + sizeof(loom_id) + 8, CORE_BYTES = 6, DOMAIN_BYTES = 4 };
_Static_assert(HEAD_BYTES + CORE_BYTES * LOOM_TOPOLOGY_CORES_MAX + DOMAIN_BYTES * LOOM_TOPOLOGY_DOMAINS_MAX <=
                   LOOM_TOPOLOGY_BYTES_MAX,
               "LOOM_TOPOLOGY_BYTES_MAX is too small");

static uint8_t *put(uint8_t *at, const void *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

static const uint8_t *get(const uint8_t *at, void *bytes, size_t length) {
    memcpy(bytes, at, length);
    return at + length;
}

static size_t bytes_for(uint32_t cores, uint32_t domains) {
    return HEAD_BYTES + (size_t)cores * CORE_BYTES + (size_t)domains * DOMAIN_BYTES;
}

size_t loom_topology_export(const loom_topology *topology, uint8_t *bytes, size_t capacity) {
    loom_id key;
    size_t length = bytes_for(topology->cores, topology->domains);
    if (length > capacity || !loom_machine_key(&key)) return 0;
    uint8_t *at = put(bytes, magic, sizeof magic);
    at = put(at, key.bytes, sizeof key.bytes);
    at = put(at, &topology->cores, 4);
    at = put(at, &topology->domains, 4);
    at = put(at, topology->cpu, 4 * (size_t)topology->cores);
    at = put(at, topology->domain, 2 * (size_t)topology->cores);
    put(at, topology->numa_node, 4 * (size_t)topology->domains);
    return length;
}

/* Cores ascend by domain, domains are dense, and every CPU may be used. */
static bool is_sound(const loom_topology *topology) {
    loom_cpus allowed;
    loom_machine_allowed(&allowed);
    uint32_t domains = 0;
    for (uint32_t core = 0; core < topology->cores; core++) {
        uint16_t domain = topology->domain[core];
        if (domain != domains && domain + 1u != domains) return false;
        if (domain == domains) domains++;
        if (!loom_cpus_has(&allowed, topology->cpu[core])) return false;
    }
    return domains == topology->domains;
}

static uint32_t within_quota(uint32_t cores) {
    uint32_t quota = loom_machine_quota("");
    return quota > 0 && quota < cores ? quota : cores;
}

bool loom_topology_import(const uint8_t *bytes, size_t length, loom_topology *topology) {
    loom_id key, stored;
    loom_topology read = {0};
    if (length < HEAD_BYTES || memcmp(bytes, magic, sizeof magic) != 0) return false;
    const uint8_t *at = get(bytes + sizeof magic, stored.bytes, sizeof stored.bytes);
    if (!loom_machine_key(&key) || !loom_id_equal(&key, &stored)) return false;
    at = get(at, &read.cores, 4);
    at = get(at, &read.domains, 4);
    if (read.cores == 0 || read.cores > LOOM_TOPOLOGY_CORES_MAX || read.domains > LOOM_TOPOLOGY_DOMAINS_MAX)
        return false;
    if (length != bytes_for(read.cores, read.domains)) return false;
    at = get(at, read.cpu, 4 * (size_t)read.cores);
    at = get(at, read.domain, 2 * (size_t)read.cores);
    get(at, read.numa_node, 4 * (size_t)read.domains);
    if (!is_sound(&read)) return false;
    read.workers = within_quota(read.cores);
    *topology = read;
    return true;
}

loom_status loom_topology_load(const uint8_t *bytes, size_t length, loom_topology *topology, bool *discovered,
                               loom_error *err) {
    bool imported = length > 0 && loom_topology_import(bytes, length, topology);
    if (discovered) *discovered = !imported;
    return imported ? LOOM_OK : loom_topology_discover(topology, err);
}

loom_status loom_topology_usable_cores(uint32_t *workers, loom_error *err) {
    loom_cpus allowed;
    uint32_t cores = loom_machine_allowed(&allowed) ? loom_machine_cores("", &allowed) : 0;
    if (cores > 0) {
        *workers = within_quota(cores);
        return LOOM_OK;
    }
    loom_topology topology;
    LOOM_TRY(loom_topology_discover(&topology, err));
    *workers = topology.workers;
    return LOOM_OK;
}

uint32_t loom_topology_cpu(const loom_topology *topology, uint32_t worker_index) {
    return topology->cpu[worker_index % topology->cores];
}

uint16_t loom_topology_domain(const loom_topology *topology, uint32_t worker_index) {
    return topology->domain[worker_index % topology->cores];
}

loom_status loom_topology_pin(const loom_topology *topology, uint32_t worker_index, loom_error *err) {
    return loom_machine_pin(loom_topology_cpu(topology, worker_index), err);
}
