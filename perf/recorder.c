/* recorder.c - the shared memory of a recorder: made, attached to, and read. */
#include "perf/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "perf/recorder_layout.h"
#include "shm/platform_file.h"

_Static_assert((LOOM_LOG_SLOTS & (LOOM_LOG_SLOTS - 1)) == 0, "the log's index wraps with a mask");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not be shared");

uint64_t loom_recorder_now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

/* ---- layout ---- */

static uint64_t layout_signature(void) {
    const size_t figures[] = {sizeof(loom_recorder_header),
                              sizeof(loom_lane),
                              sizeof(loom_operator_account),
                              sizeof(loom_log_entry),
                              LOOM_ACTIVITY_COUNT,
                              LOOM_COUNTER_COUNT,
                              LOOM_PHASES_MAX,
                              LOOM_LOG_SLOTS};
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, as in shm/segment/segment.c */
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        hash = (hash ^ figures[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

enum { HEADER_BYTES = 4096 };

static size_t lane_bytes(uint32_t operators) {
    return round_up(sizeof(loom_lane) + operators * sizeof(loom_operator_account), 4096);
}

/* Below 2^40: at most 257 lanes of 2 MiB and 64 Ki accounts. */
static size_t total_bytes(uint32_t workers, uint32_t operators) {
    return HEADER_BYTES + (workers + 1u) * lane_bytes(operators);
}

static bool counts_are_sane(uint32_t workers, uint32_t operators) {
    return workers >= 1 && workers <= LOOM_WORKERS_MAX && operators >= 1 && operators <= LOOM_OPERATORS_MAX;
}

static loom_recorder *new_handle(void *base, int fd, uint32_t workers, uint32_t operators) {
    loom_recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder) return NULL;
    recorder->header = base;
    recorder->lanes = (uint8_t *)base + HEADER_BYTES;
    recorder->map_bytes = total_bytes(workers, operators);
    recorder->lane_bytes = lane_bytes(operators);
    recorder->workers = workers;
    recorder->operators = operators;
    recorder->start_ns = recorder->header->start_ns;
    recorder->fd = fd;
    return recorder;
}

static void *map_all(int fd, size_t bytes) {
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
}

/* ---- made ---- */

static void write_header(loom_recorder_header *header, uint32_t workers, uint32_t operators, uint64_t start_ns) {
    header->layout = layout_signature();
    header->total_bytes = total_bytes(workers, operators);
    header->start_ns = start_ns;
    header->workers = workers;
    header->operators = operators;
    header->magic = LOOM_RECORDER_MAGIC; /* plain: workers get the descriptor by posix_spawn, after this */
}

loom_status loom_recorder_create(uint32_t workers, uint32_t operators, uint64_t start_ns, loom_recorder **recorder,
                                 loom_error *err) {
    int fd = -1;
    *recorder = NULL;
    if (!counts_are_sane(workers, operators))
        return loom_fail(err, LOOM_INTERNAL, "a profile of %u workers and %u operators; please report it", workers,
                         operators);
    int failed = loom_memory_file("voxloom-recorder", &fd);
    if (failed) return loom_fail_errno(err, failed, "cannot create the profile's memory; run without --profile");
    failed = loom_file_resize(fd, total_bytes(workers, operators));
    void *base = failed ? MAP_FAILED : map_all(fd, total_bytes(workers, operators));
    if (base == MAP_FAILED) {
        if (!failed) failed = errno;
        (void)close(fd);
        return loom_fail_errno(err, failed, "cannot map the profile's memory; run without --profile");
    }
    write_header(base, workers, operators, start_ns);
    loom_recorder *made = new_handle(base, fd, workers, operators);
    if (!made) {
        (void)munmap(base, total_bytes(workers, operators));
        (void)close(fd);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    }
    for (uint32_t lane = 0; lane <= workers; lane++)
        atomic_store_explicit(&loom_lane_at(made, lane)->since_ns, start_ns, memory_order_relaxed);
    *recorder = made;
    return LOOM_OK;
}

void loom_recorder_close(loom_recorder *recorder) {
    if (!recorder) return;
    if (loom_thread_observer == &recorder->observer) {
        loom_enter(LOOM_DOING_END);
        loom_thread_observer = NULL;
    }
    loom_counters_close(recorder->counters);
    (void)munmap(recorder->header, recorder->map_bytes);
    (void)close(recorder->fd);
    free(recorder);
}

/* ---- attached to ---- */

static loom_status mismatch(loom_error *err) {
    return loom_fail(
        err, LOOM_LAYOUT_MISMATCH,
        "the profile's memory does not fit this worker; install voxloom and voxloom-worker from one build");
}

static bool header_fits(const loom_recorder_header *header, uint64_t file_bytes) {
    return header->magic == LOOM_RECORDER_MAGIC && header->layout == layout_signature() &&
           counts_are_sane(header->workers, header->operators) &&
           header->total_bytes == total_bytes(header->workers, header->operators) && file_bytes >= header->total_bytes;
}

/* Maps fd and checks a private copy of the header. */
static loom_status map_existing(int fd, loom_recorder **recorder, loom_error *err) {
    struct stat file;
    loom_recorder_header header;
    if (fstat(fd, &file) != 0 || file.st_size < HEADER_BYTES) return mismatch(err);
    void *page = map_all(fd, HEADER_BYTES);
    if (page == MAP_FAILED) return loom_fail_errno(err, errno, "cannot map the profile's memory");
    memcpy(&header, page, sizeof header);
    (void)munmap(page, HEADER_BYTES);
    if (!header_fits(&header, (uint64_t)file.st_size)) return mismatch(err);
    void *base = map_all(fd, header.total_bytes);
    if (base == MAP_FAILED) return loom_fail_errno(err, errno, "cannot map the profile's memory");
    *recorder = new_handle(base, fd, header.workers, header.operators);
    if (*recorder) return LOOM_OK;
    (void)munmap(base, header.total_bytes);
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
}

loom_status loom_recorder_map(int fd, uint32_t lane, loom_recorder **recorder, loom_error *err) {
    *recorder = NULL;
    LOOM_TRY(map_existing(fd, recorder, err));
    loom_recorder *made = *recorder;
    if (lane < made->workers) {
        made->lane = loom_lane_at(made, lane);
        made->accounts = loom_lane_accounts(made, lane);
        return LOOM_OK;
    }
    (void)munmap(made->header, made->map_bytes);
    free(made);
    *recorder = NULL;
    return loom_fail(err, LOOM_INTERNAL, "no lane for worker %u in the profile; please report it", lane);
}

/* ---- the log ---- */

/* The number of the next entry that stands at the log's beginning. */
static uint64_t next_round(uint64_t number) {
    return (number | (LOOM_LOG_SLOTS - 1)) + 1;
}

bool loom_lane_push(loom_lane *lane, const loom_log_entry *entry) {
    uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed); /* only we write it */
    /* acquire: the reader has read the slot that we are about to write again */
    uint64_t head = atomic_load_explicit(&lane->head, memory_order_acquire);
    if (head == tail && (tail & (LOOM_LOG_SLOTS - 1)) >= LOOM_LOG_HOT_SLOTS) {
        lane->log[tail & (LOOM_LOG_SLOTS - 1)].kind = LOOM_ENTRY_SKIP;
        tail = next_round(tail);
    }
    if (tail - head >= LOOM_LOG_SLOTS) {
        loom_tally(&lane->lost, 1);
        return false;
    }
    lane->log[tail & (LOOM_LOG_SLOTS - 1)] = *entry;
    /* release: who sees the tail sees the entry */
    atomic_store_explicit(&lane->tail, tail + 1, memory_order_release);
    return true;
}

/* What a worker wrote is not believed: it may have gone mad before it died. */
static bool is_sane(const loom_recorder *recorder, const loom_log_entry *entry) {
    if (entry->kind < LOOM_ENTRY_TASK || entry->kind > LOOM_ENTRY_COMMIT) return false;
    if (entry->start_ns < recorder->start_ns || entry->end_ns < entry->start_ns) return false;
    if (entry->phase_count > LOOM_PHASES_MAX) return false;
    if (entry->kind == LOOM_ENTRY_TASK && entry->operator_index >= recorder->operators) return false;
    uint64_t length = entry->end_ns - entry->start_ns, at = 0;
    for (unsigned i = 0; i < entry->phase_count; i++) {
        const loom_phase_span *phase = &entry->phases[i];
        if (phase->activity >= LOOM_ACTIVITY_COUNT || phase->from_ns < at || phase->from_ns > length ||
            phase->ns > length - phase->from_ns)
            return false;
        at = phase->from_ns + phase->ns;
    }
    return true;
}

static bool pop(loom_recorder *recorder, uint32_t number, loom_log_entry *entry) {
    loom_lane *lane = loom_lane_at(recorder, number);
    uint64_t head = atomic_load_explicit(&lane->head, memory_order_relaxed); /* only we write it */
    /* acquire: the entry is written */
    uint64_t waiting = atomic_load_explicit(&lane->tail, memory_order_acquire) - head;
    if (waiting == 0 || waiting > LOOM_LOG_SLOTS) return false;
    *entry = lane->log[head & (LOOM_LOG_SLOTS - 1)];
    entry->lane = number;
    bool skip = entry->kind == LOOM_ENTRY_SKIP && next_round(head) - head <= waiting;
    /* release: our read of the entry is over before the worker writes the slot again */
    atomic_store_explicit(&lane->head, skip ? next_round(head) : head + 1, memory_order_release);
    return true;
}

bool loom_recorder_next(loom_recorder *recorder, loom_log_entry *entry) {
    for (uint32_t tried = 0; tried <= recorder->workers;) {
        if (pop(recorder, recorder->next_lane, entry)) {
            if (is_sane(recorder, entry)) return true;
            continue;
        }
        recorder->next_lane = (recorder->next_lane + 1) % (recorder->workers + 1);
        tried++;
    }
    return false;
}

void loom_recorder_commit(loom_recorder *recorder, uint64_t start_ns, uint64_t end_ns, uint64_t rows, uint64_t bytes,
                          bool well) {
    if (!recorder) return;
    const loom_log_entry entry = {.kind = LOOM_ENTRY_COMMIT,
                                  .start_ns = start_ns,
                                  .end_ns = end_ns,
                                  .value = rows,
                                  .bytes_out = bytes,
                                  .state = well};
    (void)loom_lane_push(loom_lane_at(recorder, recorder->workers), &entry);
}

/* ---- figures ---- */

int loom_recorder_fd(const loom_recorder *recorder) {
    return recorder->fd;
}

uint32_t loom_recorder_workers(const loom_recorder *recorder) {
    return recorder->workers;
}

uint32_t loom_recorder_operators(const loom_recorder *recorder) {
    return recorder->operators;
}

uint64_t loom_recorder_start_ns(const loom_recorder *recorder) {
    return recorder->start_ns;
}

const loom_operator_account *loom_recorder_account(const loom_recorder *recorder, uint32_t lane, uint32_t op) {
    return lane < recorder->workers && op < recorder->operators ? &loom_lane_accounts(recorder, lane)[op] : NULL;
}

uint64_t loom_recorder_activity_ns(const loom_recorder *recorder, uint32_t lane, loom_activity activity,
                                   uint64_t end_ns) {
    if (lane >= recorder->workers || (unsigned)activity >= LOOM_ACTIVITY_COUNT) return 0;
    const loom_lane *at = loom_lane_at(recorder, lane);
    uint64_t sum = loom_tally_read(&at->activity_ns[activity]), since = loom_tally_read(&at->since_ns);
    bool holds = atomic_load_explicit(&at->activity, memory_order_relaxed) == (uint32_t)activity;
    return holds && end_ns > since ? sum + (end_ns - since) : sum;
}

loom_lane_facts loom_recorder_facts(const loom_recorder *recorder, uint32_t lane) {
    if (lane > recorder->workers) return (loom_lane_facts){0};
    const loom_lane *at = loom_lane_at(recorder, lane);
    return (loom_lane_facts){.tasks = loom_tally_read(&at->tasks),
                             .traced = loom_tally_read(&at->traced),
                             .sampled = loom_tally_read(&at->sampled),
                             .lost = loom_tally_read(&at->lost),
                             .fault_cost_ns = loom_tally_read(&at->fault_cost_ns),
                             .reading_cost_ns = loom_tally_read(&at->reading_cost_ns)};
}
