/* topology.c - the cores and NUMA domains of a machine, as hwloc sees them. */
#include "runtime/topology.h"

#include <hwloc.h>
#include <string.h>

/* Which CPUs count: those of the affinity mask on this machine, all on a synthetic one. */
static bool may_use(const loom_cpus *allowed, unsigned cpu) {
    return !allowed || loom_cpus_has(allowed, cpu);
}

/* The first usable CPU of an object (a core), or -1. */
static int first_cpu(hwloc_obj_t object, const loom_cpus *allowed) {
    for (int cpu = hwloc_bitmap_first(object->cpuset); cpu >= 0; cpu = hwloc_bitmap_next(object->cpuset, cpu))
        if (may_use(allowed, (unsigned)cpu)) return cpu;
    return -1;
}

/* The first memory domain that is local to `cpu`; NULL where memory belongs to no CPU in particular. Nodes with fast
 * memory beside the ordinary one follow it in hwloc's order. */
static hwloc_obj_t node_of(hwloc_topology_t handle, int cpu) {
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(handle, HWLOC_OBJ_NUMANODE, node)))
        if (node->cpuset && hwloc_bitmap_isset(node->cpuset, (unsigned)cpu)) return node;
    return NULL;
}

/* Adds the cores whose memory is `node` (NULL: none in particular) as one domain, if there are any. */
static void add_domain(hwloc_topology_t handle, hwloc_obj_type_t core_type, hwloc_obj_t node, const loom_cpus *allowed,
                       loom_topology *topology) {
    uint32_t before = topology->cores;
    if (topology->domains == LOOM_TOPOLOGY_DOMAINS_MAX) return;
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(handle, core_type, core)) && topology->cores < LOOM_TOPOLOGY_CORES_MAX) {
        int cpu = first_cpu(core, allowed);
        if (cpu < 0 || node_of(handle, cpu) != node) continue;
        topology->cpu[topology->cores] = (uint32_t)cpu;
        topology->domain[topology->cores++] = (uint16_t)topology->domains;
    }
    if (topology->cores > before) topology->numa_node[topology->domains++] = node ? node->os_index : 0;
}

static loom_status summarise(hwloc_topology_t handle, const loom_cpus *allowed, loom_topology *topology,
                             loom_error *err) {
    memset(topology, 0, sizeof *topology);
    /* Some virtual machines describe CPUs but no cores. */
    bool has_cores = hwloc_get_nbobjs_by_type(handle, HWLOC_OBJ_CORE) > 0;
    hwloc_obj_type_t core_type = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(handle, HWLOC_OBJ_NUMANODE, node)))
        add_domain(handle, core_type, node, allowed, topology);
    add_domain(handle, core_type, NULL, allowed, topology);
    if (topology->cores == 0) return loom_fail(err, LOOM_UNSUPPORTED, "no CPU is usable; set workers.count");
    topology->workers = topology->cores;
    return LOOM_OK;
}

/* Loads this machine, or a synthetic one, into *handle; nothing to destroy after an error. */
static loom_status load(const char *synthetic, hwloc_topology_t *handle, loom_error *err) {
    if (hwloc_topology_init(handle) != 0) return loom_fail(err, LOOM_NO_MEMORY, "hwloc cannot start: out of memory");
    loom_status status = LOOM_OK;
    if (synthetic && hwloc_topology_set_synthetic(*handle, synthetic) != 0)
        status = loom_fail(err, LOOM_BAD_ARGUMENT, "hwloc does not understand the topology \"%s\"", synthetic);
    else if (hwloc_topology_load(*handle) != 0)
        status = loom_fail(err, LOOM_UNSUPPORTED, "hwloc cannot read this machine; set workers.count and workers.pin");
    if (status != LOOM_OK) hwloc_topology_destroy(*handle);
    return status;
}

loom_status loom_topology_synthetic(const char *description, const loom_cpus *allowed, loom_topology *topology,
                                    loom_error *err) {
    hwloc_topology_t handle;
    LOOM_TRY(load(description, &handle, err));
    loom_status status = summarise(handle, allowed, topology, err);
    hwloc_topology_destroy(handle);
    return status;
}

static loom_status discover(hwloc_topology_t handle, loom_topology *topology, loom_error *err) {
    loom_cpus allowed;
    bool known = loom_machine_allowed(&allowed) && hwloc_topology_is_thissystem(handle);
    LOOM_TRY(summarise(handle, known ? &allowed : NULL, topology, err));
    uint32_t quota = loom_machine_quota("");
    if (quota > 0 && quota < topology->workers) topology->workers = quota;
    return LOOM_OK;
}

loom_status loom_topology_discover(loom_topology *topology, loom_error *err) {
    hwloc_topology_t handle;
    LOOM_TRY(load(NULL, &handle, err));
    loom_status status = discover(handle, topology, err);
    hwloc_topology_destroy(handle);
    return status;
}

/* ---- for people ---- */

typedef struct printer {
    hwloc_topology_t handle;
    const loom_topology *topology;
    FILE *out;
} printer;

static void print_bytes(FILE *out, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double amount = (double)bytes;
    int unit = 0;
    for (; amount >= 1024 && unit < 4; unit++)
        amount /= 1024;
    fprintf(out, amount >= 100 || amount == (double)(long)amount ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

static void indent(const printer *to, int depth) {
    fprintf(to->out, "%*s", 2 * depth, "");
}

static void print_memory(const printer *to, hwloc_obj_t node, int depth) {
    indent(to, depth);
    const char *use = "not used by workers";
    char domain[32];
    for (uint32_t d = 0; d < to->topology->domains; d++)
        if (to->topology->numa_node[d] == node->os_index) {
            snprintf(domain, sizeof domain, "domain %u", (unsigned)d);
            use = domain;
        }
    fprintf(to->out, "NUMA node %u: ", node->os_index);
    print_bytes(to->out, node->attr->numanode.local_memory);
    fprintf(to->out, " (%s)\n", use);
}

/* "core 3: cpu 3 7, worker 3" */
static void print_core(const printer *to, hwloc_obj_t core) {
    fprintf(to->out, "%s %u: cpu", core->type == HWLOC_OBJ_PU ? "thread" : "core", core->logical_index);
    for (int cpu = hwloc_bitmap_first(core->cpuset); cpu >= 0; cpu = hwloc_bitmap_next(core->cpuset, cpu))
        fprintf(to->out, " %d", cpu);
    for (uint32_t worker = 0; worker < to->topology->cores; worker++)
        if (hwloc_bitmap_isset(core->cpuset, to->topology->cpu[worker])) {
            fprintf(to->out, worker < to->topology->workers ? ", worker %u" : ", idle by the CPU quota",
                    (unsigned)worker);
            return;
        }
    fputs(", not usable by this process", to->out);
}

static void print_name(const printer *to, hwloc_obj_t object) {
    char type[64];
    hwloc_obj_type_snprintf(type, sizeof type, object, 0);
    if (hwloc_obj_type_is_cache(object->type)) {
        fprintf(to->out, "%s ", type);
        print_bytes(to->out, object->attr->cache.size);
    } else {
        fprintf(to->out, "%s %u", type, object->logical_index);
    }
}

static void print_tree(const printer *to, hwloc_obj_t object, int depth);

static void print_children(const printer *to, hwloc_obj_t object, int depth) {
    for (hwloc_obj_t memory = object->memory_first_child; memory; memory = memory->next_sibling)
        if (memory->type == HWLOC_OBJ_NUMANODE) print_memory(to, memory, depth);
    for (hwloc_obj_t child = object->first_child; child; child = child->next_sibling)
        print_tree(to, child, depth);
}

/* Objects with one child (private caches above a core) share its line. */
static void print_tree(const printer *to, hwloc_obj_t object, int depth) {
    indent(to, depth);
    while (object->type != HWLOC_OBJ_CORE && object->arity == 1 && !object->memory_first_child &&
           object->first_child->type != HWLOC_OBJ_PU && !object->first_child->memory_first_child) {
        print_name(to, object);
        fputs(", ", to->out);
        object = object->first_child;
    }
    bool is_leaf = object->type == HWLOC_OBJ_CORE || object->type == HWLOC_OBJ_PU;
    if (is_leaf)
        print_core(to, object);
    else
        print_name(to, object);
    fputc('\n', to->out);
    if (!is_leaf) print_children(to, object, depth + 1);
}

static loom_status print_machine(hwloc_topology_t handle, const loom_topology *topology, FILE *out, loom_error *err) {
    const printer to = {handle, topology, out};
    hwloc_obj_t machine = hwloc_get_root_obj(handle);
    fputs("machine: ", out);
    print_bytes(out, machine->total_memory);
    fprintf(out, ", %u usable core%s in %u domain%s, %u worker%s\n", (unsigned)topology->cores,
            topology->cores == 1 ? "" : "s", (unsigned)topology->domains, topology->domains == 1 ? "" : "s",
            (unsigned)topology->workers, topology->workers == 1 ? "" : "s");
    print_children(&to, machine, 1);
    return ferror(out) ? loom_fail(err, LOOM_IO, "cannot write the topology") : LOOM_OK;
}

loom_status loom_topology_print(FILE *out, loom_error *err) {
    hwloc_topology_t handle;
    loom_topology topology;
    LOOM_TRY(load(NULL, &handle, err));
    loom_status status = discover(handle, &topology, err);
    if (status == LOOM_OK) status = print_machine(handle, &topology, out, err);
    hwloc_topology_destroy(handle);
    return status;
}

loom_status loom_topology_print_synthetic(const char *description, FILE *out, loom_error *err) {
    hwloc_topology_t handle;
    loom_topology topology;
    LOOM_TRY(load(description, &handle, err));
    loom_status status = summarise(handle, NULL, &topology, err);
    if (status == LOOM_OK) status = print_machine(handle, &topology, out, err);
    hwloc_topology_destroy(handle);
    return status;
}
