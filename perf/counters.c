/* counters.c - what all platforms share: differences, scaling, and what reading and faulting cost. */
#include "perf/counters.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "perf/counters_private.h"
#include "shm/platform_file.h"

const char *loom_counter_key(unsigned counter) {
    static const char *const keys[] = {
#define LOOM_COUNTER_KEY(name, key) key,
        LOOM_COUNTER_LIST(LOOM_COUNTER_KEY)
#undef LOOM_COUNTER_KEY
    };
    return counter < sizeof keys / sizeof keys[0] ? keys[counter] : "?";
}

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

loom_status loom_counters_open(loom_counters **counters, loom_error *err) {
    *counters = NULL;
    loom_counters *made = calloc(1, sizeof *made);
    if (!made) return loom_fail(err, LOOM_NO_MEMORY, "out of memory for performance counters");
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        made->fds[i] = -1;
    loom_counters_platform_open(made);
    if (made->software_here) made->given |= (1u << LOOM_COUNTER_FIRST_HARDWARE) - 1;
    *counters = made;
    return LOOM_OK;
}

void loom_counters_close(loom_counters *counters) {
    if (!counters) return;
    loom_counters_platform_close(counters);
    free(counters);
}

const char *loom_counters_reason(const loom_counters *counters, unsigned counter) {
    return counter < LOOM_COUNTER_COUNT && !(counters->given >> counter & 1) ? counters->reasons[counter] : "";
}

void loom_counters_read(const loom_counters *counters, loom_reading *reading) {
    memset(reading, 0, sizeof *reading);
    if (counters->software_here) loom_counters_platform_usage(reading);
    loom_counters_platform_read(counters, reading);
}

uint64_t loom_counters_cost_ns(const loom_counters *counters) {
    enum { TIMES = 16 };
    uint64_t least = UINT64_MAX; /* of several rounds: a preemption is no cost of reading */
    for (int round = 0; round < 3; round++) {
        loom_reading reading;
        uint64_t start = now_ns();
        for (int i = 0; i < TIMES; i++)
            loom_counters_read(counters, &reading);
        uint64_t each = (now_ns() - start) / TIMES;
        if (each < least) least = each;
    }
    return least;
}

uint64_t loom_counter_scale(uint64_t count, uint64_t enabled_ns, uint64_t running_ns) {
    if (running_ns == 0) return 0;
    if (running_ns >= enabled_ns) return count;
    unsigned __int128 scaled = (unsigned __int128)count * enabled_ns / running_ns;
    return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

/* Totals only grow; a kernel that says otherwise is not believed. */
static uint64_t grown(uint64_t from, uint64_t to) {
    return to > from ? to - from : 0;
}

void loom_counters_between(const loom_counters *counters, const loom_reading *from, const loom_reading *to,
                           loom_counts *counts) {
    *counts = (loom_counts){.valid = counters->given};
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        if (!(counters->given >> i & 1)) continue;
        counts->value[i] = grown(from->value[i], to->value[i]);
        if (to->enabled_ns[i] == 0) continue;
        uint64_t running = grown(from->running_ns[i], to->running_ns[i]);
        counts->value[i] = loom_counter_scale(counts->value[i], grown(from->enabled_ns[i], to->enabled_ns[i]), running);
        if (running == 0) counts->valid &= ~(1u << i);
    }
}

/* ---- what a page fault costs ---- */

enum { FAULT_PAGES = 24 };

/* CPU time and faults so far: a preemption is no cost of a fault, and a fault may bring more than one page. */
static void usage(uint64_t *cpu_ns, uint64_t *faults) {
    loom_reading reading = {0};
    loom_counters_platform_usage(&reading);
    *cpu_ns = reading.value[LOOM_COUNTER_TASK_CLOCK];
    *faults = reading.value[LOOM_COUNTER_FAULTS];
}

/* What a fault costs when fresh pages are touched; 0 if there was none. */
static uint64_t touch(int flags, int fd, size_t page_bytes) {
    size_t bytes = FAULT_PAGES * page_bytes;
    uint64_t start_ns, start_faults, end_ns, end_faults;
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if ((void *)memory == MAP_FAILED) return 0;
    usage(&start_ns, &start_faults);
    for (size_t i = 0; i < FAULT_PAGES; i++)
        memory[i * page_bytes] = 1;
    usage(&end_ns, &end_faults);
    (void)munmap((void *)memory, bytes);
    return end_faults > start_faults && end_ns > start_ns ? (end_ns - start_ns) / (end_faults - start_faults) : 0;
}

uint64_t loom_page_fault_cost_ns(void) {
    long page = sysconf(_SC_PAGESIZE);
    int fd = -1;
    if (page <= 0) return 0;
    uint64_t own = touch(MAP_PRIVATE | MAP_ANONYMOUS, -1, (size_t)page), shared = 0;
    if (loom_memory_file("voxloom-faults", &fd) != 0) return own;
    if (loom_file_resize(fd, (uint64_t)page * FAULT_PAGES) == 0) shared = touch(MAP_SHARED, fd, (size_t)page);
    (void)close(fd);
    return own && shared ? (own + shared) / 2 : own + shared;
}
