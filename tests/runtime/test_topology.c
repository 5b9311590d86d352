/* test_topology.c - synthetic machines, the cache of a topology, saved /proc and /sys trees, and real binding. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/topology.h"

static loom_topology topology;
static loom_error err;

static void synthetic(const char *description, const loom_cpus *allowed) {
    loom_error_clear(&err);
    assert_int_equal(loom_topology_synthetic(description, allowed, &topology, &err), LOOM_OK);
}

/* ---- synthetic machines ---- */

static void one_worker_per_core_in_order_of_domains(void **state) {
    (void)state;
    synthetic("numa:2 core:4 pu:2", NULL);
    assert_int_equal(topology.cores, 8);
    assert_int_equal(topology.workers, 8);
    assert_int_equal(topology.domains, 2);
    for (uint32_t worker = 0; worker < 20; worker++) { /* those beyond the cores go round again */
        assert_int_equal(loom_topology_cpu(&topology, worker), worker % 8 * 2); /* not the second thread of a core */
        assert_int_equal(loom_topology_domain(&topology, worker), worker % 8 / 4);
    }
    assert_int_equal(topology.numa_node[0], 0);
    assert_int_equal(topology.numa_node[1], 1);
}

static void machines_of_many_shapes(void **state) {
    (void)state;
    static const struct {
        const char *description;
        uint32_t cores, domains;
    } table[] = {
        {"pu:1", 1, 1},
        {"core:2 pu:1", 2, 1},
        {"pu:6", 6, 1}, /* no cores are told: every CPU counts as one */
        {"pack:2 numa:2 l3:1 l2:4 core:1 pu:2", 16, 4},
        {"numa:8 core:16 pu:1", 128, 8},
        {"pack:4 [numa] [numa] core:2 pu:1", 8, 4}, /* two memories beside each package: the first counts */
        {"numa:300 core:1 pu:1", LOOM_TOPOLOGY_DOMAINS_MAX, LOOM_TOPOLOGY_DOMAINS_MAX},
        {"numa:2 core:700 pu:1", LOOM_TOPOLOGY_CORES_MAX, 2},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        synthetic(table[i].description, NULL);
        assert_int_equal(topology.cores, table[i].cores);
        assert_int_equal(topology.domains, table[i].domains);
        for (uint32_t core = 1; core < topology.cores; core++) {
            assert_true(topology.domain[core] >= topology.domain[core - 1]);
            assert_true(topology.cpu[core] > topology.cpu[core - 1]);
        }
    }
}

static void the_affinity_mask_is_respected(void **state) {
    (void)state;
    loom_cpus allowed = {{0}};
    loom_cpus_add(&allowed, 3);  /* the second thread of core 1, domain 0 */
    loom_cpus_add(&allowed, 20); /* both threads of core 10, domain 2 */
    loom_cpus_add(&allowed, 21);
    loom_cpus_add(&allowed, 4000); /* is not there */
    synthetic("numa:4 core:4 pu:2", &allowed);
    assert_int_equal(topology.cores, 2);
    assert_int_equal(topology.domains, 2); /* those without a usable core are left out */
    assert_int_equal(topology.cpu[0], 3);
    assert_int_equal(topology.cpu[1], 20);
    assert_int_equal(topology.domain[1], 1);
    assert_int_equal(topology.numa_node[1], 2);

    loom_cpus none = {{0}};
    assert_int_equal(loom_topology_synthetic("core:4 pu:1", &none, &topology, &err), LOOM_UNSUPPORTED);
    assert_int_equal(loom_topology_synthetic("no such thing", NULL, &topology, &err), LOOM_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "no such thing"));
}

static void the_tree_for_people(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_int_equal(
        loom_topology_print_synthetic("numa:2(memory=1073741824) l3:1(size=4194304) core:2 pu:2", out, &err), LOOM_OK);
    fclose(out);
    assert_non_null(strstr(text, "machine: 2 GiB, 4 usable cores in 2 domains, 4 workers\n"));
    assert_non_null(strstr(text, "NUMA node 0: 1 GiB (domain 0)\n"));
    assert_non_null(strstr(text, "NUMA node 1: 1 GiB (domain 1)\n"));
    assert_non_null(strstr(text, "L3 4 MiB"));
    assert_non_null(strstr(text, "core 3: cpu 6 7, worker 3\n"));
    free(text);
    out = open_memstream(&text, &length);
    assert_int_equal(loom_topology_print(out, &err), LOOM_OK);
    fclose(out);
    assert_non_null(strstr(text, "worker 0\n"));
    free(text);
}

/* ---- this machine ---- */

static void this_machine_within_its_mask(void **state) {
    (void)state;
    assert_true(loom_machine_memory_limit("") > 64u << 20);
    loom_cpus allowed;
    loom_machine_allowed(&allowed);
    assert_int_equal(loom_topology_discover(&topology, &err), LOOM_OK);
    assert_in_range(topology.cores, 1, LOOM_TOPOLOGY_CORES_MAX);
    assert_in_range(topology.domains, 1, topology.cores);
    assert_in_range(topology.workers, 1, topology.cores);
    for (uint32_t core = 0; core < topology.cores; core++)
        assert_true(loom_cpus_has(&allowed, topology.cpu[core]));
    uint32_t workers = 0;
    assert_int_equal(loom_topology_usable_cores(&workers, &err), LOOM_OK);
    assert_int_equal(workers, topology.workers); /* the kernel's way and hwloc's agree */
}

#ifndef VOXLOOM_PORTABLE
#include <sched.h>

/* In a child, because the binding stays. Its exit status says what went wrong. */
static int bind_and_look(uint32_t worker) {
    loom_error why = {0};
    if (loom_topology_pin(&topology, worker, &why) != LOOM_OK) return 1;
    cpu_set_t now;
    if (sched_getaffinity(0, sizeof now, &now) != 0 || CPU_COUNT(&now) != 1) return 2;
    if (!CPU_ISSET(loom_topology_cpu(&topology, worker), &now)) return 3;
    return (uint32_t)sched_getcpu() == loom_topology_cpu(&topology, worker) ? 0 : 4;
}

static void binding_binds(void **state) {
    (void)state;
    assert_int_equal(loom_topology_discover(&topology, &err), LOOM_OK);
    for (uint32_t worker = 0; worker < topology.cores && worker < 8; worker++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(bind_and_look(worker));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    loom_error_clear(&err);
    assert_int_not_equal(loom_machine_pin(LOOM_CPUS_MAX - 1, &err), LOOM_OK); /* no machine here has it */
    assert_int_not_equal(loom_machine_pin(UINT32_MAX, &err), LOOM_OK);
    assert_non_null(strstr(err.message, "CPU"));
}

/* ---- the cache ---- */

static void an_exported_topology_is_imported(void **state) {
    (void)state;
    static uint8_t bytes[LOOM_TOPOLOGY_BYTES_MAX];
    loom_topology back;
    assert_int_equal(loom_topology_discover(&topology, &err), LOOM_OK);
    size_t length = loom_topology_export(&topology, bytes, sizeof bytes);
    assert_true(length > 0);
    assert_true(loom_topology_import(bytes, length, &back));
    assert_memory_equal(&topology, &back, sizeof back);

    bool discovered = true;
    assert_int_equal(loom_topology_load(bytes, length, &back, &discovered, &err), LOOM_OK);
    assert_false(discovered);
    bytes[0] ^= 1;
    assert_int_equal(loom_topology_load(bytes, length, &back, &discovered, &err), LOOM_OK);
    assert_true(discovered);
    assert_memory_equal(&topology, &back, sizeof back);
    assert_int_equal(loom_topology_load(NULL, 0, &back, &discovered, &err), LOOM_OK);
    assert_true(discovered);
    assert_int_equal(loom_topology_export(&topology, bytes, length - 1), 0);
    assert_true(loom_topology_export(&topology, bytes, length) == length);
}

static void a_damaged_or_foreign_cache_is_refused(void **state) {
    (void)state;
    static uint8_t bytes[LOOM_TOPOLOGY_BYTES_MAX + 1];
    loom_topology back, untouched;
    memset(&back, 0x5A, sizeof back);
    untouched = back;
    assert_int_equal(loom_topology_discover(&topology, &err), LOOM_OK);
    size_t length = loom_topology_export(&topology, bytes, sizeof bytes);
    for (size_t cut = 0; cut < length; cut++)
        assert_false(loom_topology_import(bytes, cut, &back));
    assert_false(loom_topology_import(bytes, length + 1, &back));
    for (size_t at = 0; at < 48; at++) { /* magic, key (another boot, mask or set of CPUs), counts */
        bytes[at] ^= 0x80;
        assert_false(loom_topology_import(bytes, length, &back));
        bytes[at] ^= 0x80;
    }
    bytes[48 + 2] ^= 0x80; /* a CPU that is not there */
    assert_false(loom_topology_import(bytes, length, &back));
    bytes[48 + 2] ^= 0x80;
    bytes[48 + 4 * topology.cores] ^= 1; /* the first domain is not 0 */
    assert_false(loom_topology_import(bytes, length, &back));
    bytes[48 + 4 * topology.cores] ^= 1;
    assert_memory_equal(&back, &untouched, sizeof back);
    assert_true(loom_topology_import(bytes, length, &back));
}

/* ---- saved trees ---- */

static char root[512];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int make_root(void **state) {
    (void)state;
    const char *folder = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/voxloom-topology-XXXXXX", folder ? folder : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes root/path, making its folders. */
static void save(const char *path, const char *text) {
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void quota_of_version_2(void **state) {
    (void)state;
    assert_int_equal(loom_machine_quota(root), 0); /* nothing there */
    save("proc/self/cgroup", "0::/user/app\n");
    assert_int_equal(loom_machine_quota(root), 0);
    save("sys/fs/cgroup/user/app/cpu.max", "max 100000\n");
    assert_int_equal(loom_machine_quota(root), 0);
    save("sys/fs/cgroup/user/app/cpu.max", "250000 100000\n");
    assert_int_equal(loom_machine_quota(root), 3); /* two and a half CPUs */
    save("sys/fs/cgroup/user/cpu.max", "200000 100000\n");
    assert_int_equal(loom_machine_quota(root), 2); /* the group above is stricter */
    save("sys/fs/cgroup/user/app/cpu.max", "10000 100000\n");
    assert_int_equal(loom_machine_quota(root), 1); /* a tenth of a CPU still runs one worker */
    save("sys/fs/cgroup/user/app/cpu.max", "nonsense\n");
    assert_int_equal(loom_machine_quota(root), 2);
    save("sys/fs/cgroup/user/cpu.max", "0 0\n");
    assert_int_equal(loom_machine_quota(root), 0);
    save("sys/fs/cgroup/user/cpu.max", "9223372036854775807 1\n");
    assert_int_equal(loom_machine_quota(root), LOOM_CPUS_MAX);
    save("proc/self/cgroup", "0::/not/visible/here\n"); /* a container that sees the host's path */
    save("sys/fs/cgroup/cpu.max", "400000 100000\n");
    assert_int_equal(loom_machine_quota(root), 4);
}

static void oom_kills(void **state) {
    (void)state;
    assert_int_equal(loom_machine_oom_kills(root), 0);
    save("proc/vmstat", "nr_free_pages 17\noom_kill 2\noom_killer 9\n");
    assert_int_equal(loom_machine_oom_kills(root), 2);
    save("proc/self/cgroup", "0::/user/job\n");
    save("sys/fs/cgroup/user/job/memory.events", "low 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n");
    assert_int_equal(loom_machine_oom_kills(root), 5);
    save("proc/self/cgroup", "0::/seen/from/outside\n"); /* a container */
    save("sys/fs/cgroup/memory.events", "oom_kill 1\n");
    assert_int_equal(loom_machine_oom_kills(root), 3);
}

static void quota_of_version_1(void **state) {
    (void)state;
    save("proc/self/cgroup", "12:cpuset:/\n3:cpuacct,cpu:/docker/abc\n0::/\n");
    assert_int_equal(loom_machine_quota(root), 0);
    save("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "50000\n");
    save("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(loom_machine_quota(root), 0);
    save("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "150000\n");
    assert_int_equal(loom_machine_quota(root), 3);
    save("proc/self/cgroup", "12:cpuset:/\n3:cpuacct:/docker/abc\nno colons\n");
    assert_int_equal(loom_machine_quota(root), 0); /* another controller */
}

static void memory_of_version_2(void **state) {
    (void)state;
    const uint64_t mib = UINT64_C(1) << 20;
    assert_int_equal(loom_machine_memory_quota(root), 0); /* nothing there */
    assert_int_equal(loom_machine_memory_limit(root), 0);
    save("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:         1000000 kB\n");
    assert_int_equal(loom_machine_memory_limit(root), 8192 * mib);
    save("proc/self/cgroup", "0::/user/app\n");
    save("sys/fs/cgroup/user/app/memory.max", "max\n");
    save("sys/fs/cgroup/user/app/memory.high", "max\n");
    assert_int_equal(loom_machine_memory_quota(root), 0);
    assert_int_equal(loom_machine_memory_limit(root), 8192 * mib);
    save("sys/fs/cgroup/user/app/memory.max", "4294967296\n");
    assert_int_equal(loom_machine_memory_quota(root), 4096 * mib);
    assert_int_equal(loom_machine_memory_limit(root), 4096 * mib);
    save("sys/fs/cgroup/user/app/memory.high", "3221225472\n"); /* from here on it is slowed down */
    assert_int_equal(loom_machine_memory_quota(root), 3072 * mib);
    save("sys/fs/cgroup/user/memory.max", "2147483648\n"); /* the group above is stricter */
    assert_int_equal(loom_machine_memory_limit(root), 2048 * mib);
    save("sys/fs/cgroup/user/memory.max", "many\n");
    save("sys/fs/cgroup/user/app/memory.high", "12monkeys\n");
    save("sys/fs/cgroup/user/app/memory.max", "99999999999999\n"); /* more than the machine has */
    assert_int_equal(loom_machine_memory_limit(root), 8192 * mib);
    save("proc/meminfo", "nothing of the kind\n");
    assert_int_equal(loom_machine_memory_limit(root), UINT64_C(99999999999999));
}

static void memory_of_version_1(void **state) {
    (void)state;
    save("proc/self/cgroup", "12:cpu:/\n4:memory:/job/7\n0::/\n");
    save("sys/fs/cgroup/memory/job/7/memory.limit_in_bytes", "9223372036854771712\n"); /* its "no limit" */
    assert_int_equal(loom_machine_memory_quota(root), 0);
    save("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1073741824\n");
    assert_int_equal(loom_machine_memory_quota(root), UINT64_C(1) << 30);
    save("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    assert_int_equal(loom_machine_memory_quota(root), UINT64_C(1) << 29);
    assert_int_equal(loom_machine_quota(root), 0); /* says nothing of CPUs */
}

static void physical_cores_are_counted_once(void **state) {
    (void)state;
    loom_cpus allowed = {{0}};
    for (uint32_t cpu = 0; cpu < 8; cpu++)
        loom_cpus_add(&allowed, cpu);
    assert_int_equal(loom_machine_cores(root, &allowed), 0); /* the kernel does not tell */
    static const char *const siblings[] = {"0,4\n", "1,5\n", "2,6\n", "3,7\n"};
    for (unsigned cpu = 0; cpu < 8; cpu++) {
        char path[128];
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        save(path, siblings[cpu % 4]);
    }
    assert_int_equal(loom_machine_cores(root, &allowed), 4);
    allowed.bits[0] = 0xF1; /* CPUs 0 and 4..7: the first thread of three cores is not allowed */
    assert_int_equal(loom_machine_cores(root, &allowed), 4);
    allowed.bits[0] = 0x22; /* 1 and 5 are one core */
    assert_int_equal(loom_machine_cores(root, &allowed), 1);
    save("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1-3\n");
    save("sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "4-5\n");
    assert_int_equal(loom_machine_cores(root, &allowed), 2);
    save("sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "none\n");
    save("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1-\n");
    assert_int_equal(loom_machine_cores(root, &allowed), 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_per_core_in_order_of_domains),
        cmocka_unit_test(machines_of_many_shapes),
        cmocka_unit_test(the_affinity_mask_is_respected),
        cmocka_unit_test(the_tree_for_people),
        cmocka_unit_test(this_machine_within_its_mask),
#ifndef VOXLOOM_PORTABLE
        cmocka_unit_test(binding_binds),
        cmocka_unit_test(an_exported_topology_is_imported),
        cmocka_unit_test(a_damaged_or_foreign_cache_is_refused),
        cmocka_unit_test_setup_teardown(quota_of_version_2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(quota_of_version_1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(memory_of_version_2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(memory_of_version_1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(oom_kills, make_root, remove_root),
        cmocka_unit_test_setup_teardown(physical_cores_are_counted_once, make_root, remove_root),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
