/* segment.c - creating, attaching and describing the shared segment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/segment/segment_layout.h"

#define TASKS_DEFAULT (UINT32_C(4) << 20)
#define TASKS_LEAST 1024u
#define TASKS_MOST (UINT32_C(64) << 20)
#define HEAP_DEFAULT (UINT64_C(4) << 30)
#define HEAP_LEAST (UINT64_C(1) << 20)
#define HEAP_MOST (UINT64_C(32) << 30) /* 2^32 units of 8 bytes */

_Static_assert(sizeof(loom_segment_header) % 64 == 0 && sizeof(loom_worker_slot) % 64 == 0,
               "shared structs are whole cache lines");
_Static_assert(sizeof(loom_edge) == LOOM_HEAP_UNIT, "an edge is one heap unit: its number follows from its place");
_Static_assert(sizeof(loom_segment_header) <= LOOM_PAGE_BYTES, "attach reads one page first");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a lock inside an atomic would not be shared");

/* ---- layout ---- */

#define FIELD(type, name) offsetof(type, name), sizeof(((type *)0)->name)

uint64_t loom_segment_layout_signature(void) {
    const size_t figures[] = {sizeof(loom_segment_header),
                              FIELD(loom_segment_header, table_signature),
                              FIELD(loom_segment_header, budget_bytes),
                              FIELD(loom_segment_header, costs),
                              FIELD(loom_segment_header, stop),
                              FIELD(loom_segment_header, unqueued),
                              FIELD(loom_segment_header, searched),
                              FIELD(loom_segment_header, sleepers),
                              FIELD(loom_segment_header, doorbell),
                              FIELD(loom_segment_header, coordinator_sleeps),
                              FIELD(loom_segment_header, space_wanted),
                              FIELD(loom_segment_header, released_bytes),
                              FIELD(loom_segment_header, held_back),
                              FIELD(loom_segment_header, task_count),
                              FIELD(loom_segment_header, heap_next),
                              FIELD(loom_segment_header, heap_free),
                              sizeof(loom_worker_slot),
                              FIELD(loom_worker_slot, journal),
                              FIELD(loom_worker_slot, park),
                              FIELD(loom_worker_slot, domain),
                              FIELD(loom_worker_slot, starving),
                              FIELD(loom_worker_slot, wait),
                              FIELD(loom_worker_slot, fault_offset),
                              FIELD(loom_worker_slot, fault_extent),
                              FIELD(loom_worker_slot, fault_in),
                              FIELD(loom_worker_slot, beats),
                              FIELD(loom_worker_slot, counters),
                              FIELD(loom_worker_slot, committed_bytes),
                              FIELD(loom_worker_slot, settled_bytes),
                              FIELD(loom_worker_slot, committed_peak),
                              FIELD(loom_worker_slot, ring_tail),
                              FIELD(loom_worker_slot, ring_waits),
                              FIELD(loom_worker_slot, ring_head),
                              sizeof(loom_deque),
                              FIELD(loom_deque, top),
                              FIELD(loom_deque, bottom),
                              sizeof(loom_split_board),
                              FIELD(loom_split_board, open),
                              FIELD(loom_split_board, scratch_at),
                              sizeof(loom_split_slot),
                              FIELD(loom_split_slot, state),
                              FIELD(loom_split_slot, spoiled),
                              FIELD(loom_split_slot, owner_waits),
                              FIELD(loom_split_slot, owner_bell),
                              FIELD(loom_split_slot, helpers_wait),
                              FIELD(loom_split_slot, helpers_bell),
                              FIELD(loom_split_slot, done),
                              FIELD(loom_split_slot, helped_ns),
                              FIELD(loom_split_slot, taken),
                              FIELD(loom_split_slot, words),
                              FIELD(loom_split_slot, helping),
                              FIELD(loom_split_slot, part),
                              FIELD(loom_split_slot, scratch_first),
                              FIELD(loom_split_slot, scratch_next),
                              FIELD(loom_split_phase, split),
                              FIELD(loom_split_phase, output),
                              FIELD(loom_split_phase, shared),
                              FIELD(loom_split_phase, state),
                              (size_t)LOOM_SPLIT_SCRATCH_SPAN,
                              sizeof(loom_edge),
                              FIELD(loom_edge, next),
                              FIELD(loom_edge, successor),
                              sizeof(loom_worker_counters),
                              FIELD(loom_worker_counters, computed),
                              FIELD(loom_worker_counters, reused),
                              FIELD(loom_worker_counters, failed),
                              FIELD(loom_worker_counters, steals),
                              FIELD(loom_worker_counters, bytes_written),
                              FIELD(loom_worker_counters, busy_ns),
                              FIELD(loom_worker_counters, parts_helped),
                              sizeof(loom_task),
                              FIELD(loom_task, state),
                              FIELD(loom_task, edges),
                              FIELD(loom_task, operator_index),
                              FIELD(loom_task, argument_count),
                              FIELD(loom_task, arguments),
                              FIELD(loom_task, pending),
                              FIELD(loom_task, attributes),
                              FIELD(loom_task, domain),
                              FIELD(loom_task, origin),
                              FIELD(loom_task, type),
                              FIELD(loom_task, flags),
                              FIELD(loom_task, deaths),
                              FIELD(loom_task, status),
                              FIELD(loom_task, cookie),
                              FIELD(loom_task, error),
                              FIELD(loom_task, payload),
                              FIELD(loom_task, inline_bytes),
                              FIELD(loom_task, refers),
                              FIELD(loom_task, priority),
                              FIELD(loom_task, inline_payload),
                              FIELD(loom_task, rkey),
                              FIELD(loom_task, vid),
                              FIELD(loom_task, bulk),
                              FIELD(loom_task, root),
                              FIELD(loom_task, hashes),
                              FIELD(loom_task, cost_us),
                              FIELD(loom_task, memo),
                              FIELD(loom_task, list_next),
                              sizeof(loom_error),
                              sizeof(loom_placement),
                              sizeof(loom_id),
                              LOOM_SEGMENT_DOMAINS,
                              LOOM_RING_SLOTS,
                              LOOM_WORKERS_MAX,
                              LOOM_TASK_FREE,
                              LOOM_TASK_WAITING,
                              LOOM_TASK_READY,
                              LOOM_TASK_RUNNING,
                              LOOM_TASK_DONE,
                              LOOM_TASK_FAILED};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        for (unsigned shift = 0; shift < 64; shift += 8)
            hash = (hash ^ ((uint64_t)figures[i] >> shift & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

/* Byte offsets of the regions, each on a page. */
typedef struct regions {
    size_t slots, deques, rings, board, deque_slots, tasks, heap, total;
} regions;

static size_t place(size_t *at, uint64_t bytes) {
    size_t start = *at;
    *at = start + (size_t)((bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES);
    return start;
}

/* The limits of each count keep every product below 2^37: no overflow in 64 bits. */
static regions lay_out(uint32_t workers, uint32_t tasks_max, uint32_t deque_capacity, uint64_t heap_units) {
    regions at = {0};
    uint64_t deques = workers + LOOM_SEGMENT_DOMAINS;
    size_t end = 0;
    (void)place(&end, sizeof(loom_segment_header));
    at.slots = place(&end, workers * sizeof(loom_worker_slot));
    at.deques = place(&end, deques * sizeof(loom_deque));
    at.rings = place(&end, (uint64_t)workers * LOOM_RING_SLOTS * sizeof(uint64_t));
    at.board = place(&end, sizeof(loom_split_board) + workers * sizeof(loom_split_slot));
    at.deque_slots = place(&end, deques * deque_capacity * sizeof(uint32_t));
    at.tasks = place(&end, (uint64_t)tasks_max * sizeof(loom_task));
    at.heap = place(&end, heap_units * LOOM_HEAP_UNIT);
    at.total = end;
    return at;
}

static bool counts_are_sane(uint32_t workers, uint32_t tasks_max, uint32_t deque_capacity, uint64_t heap_units) {
    return workers >= 1 && workers <= LOOM_WORKERS_MAX && tasks_max >= 1 && tasks_max <= TASKS_MOST &&
           deque_capacity >= 1 && deque_capacity <= TASKS_MOST && (deque_capacity & (deque_capacity - 1)) == 0 &&
           heap_units >= 1 && heap_units <= HEAP_MOST / LOOM_HEAP_UNIT;
}

/* ---- mapping ---- */

static void point_at(loom_segment *segment, void *base, const regions *at) {
    uint8_t *bytes = base;
    segment->header = base;
    segment->slots = (loom_worker_slot *)(void *)(bytes + at->slots);
    segment->deques = (loom_deque *)(void *)(bytes + at->deques);
    segment->rings = (_Atomic uint64_t *)(void *)(bytes + at->rings);
    segment->board = (loom_split_board *)(void *)(bytes + at->board);
    segment->deque_slots = (_Atomic uint32_t *)(void *)(bytes + at->deque_slots);
    segment->tasks = (loom_task *)(void *)(bytes + at->tasks);
    segment->heap = bytes + at->heap;
    segment->map_bytes = at->total;
}

static loom_segment *new_handle(uint32_t self, uint32_t workers, uint32_t tasks_max, uint32_t deque_capacity,
                                uint64_t heap_units) {
    loom_segment *segment = calloc(1, sizeof *segment);
    if (!segment) return NULL;
    segment->fd = segment->file = -1;
    segment->self = self;
    segment->workers = workers;
    segment->tasks_max = tasks_max;
    segment->deque_capacity = deque_capacity;
    segment->heap_units = heap_units;
    return segment;
}

static void *map_shared(int fd, size_t bytes) {
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
}

/* ---- creating ---- */

typedef struct segment_sizes {
    uint32_t workers, tasks_max, deque_slots;
    uint64_t heap_units;
} segment_sizes;

static uint32_t power_of_two_from(uint32_t least) {
    uint32_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static segment_sizes wanted_sizes(const loom_segment_options *options) {
    uint32_t tasks = options->tasks_max ? options->tasks_max : TASKS_DEFAULT;
    uint64_t heap = options->heap_bytes ? options->heap_bytes : HEAP_DEFAULT;
    segment_sizes sizes = {.workers = options->workers,
                           .tasks_max = tasks < TASKS_MOST ? tasks : TASKS_MOST,
                           .heap_units = (heap < HEAP_MOST ? heap : HEAP_MOST) / LOOM_HEAP_UNIT};
    if (sizes.heap_units < LOOM_PAGE_BYTES / LOOM_HEAP_UNIT) sizes.heap_units = LOOM_PAGE_BYTES / LOOM_HEAP_UNIT;
    /* As many slots as tasks: a deque is then full only when recoveries queued tasks twice, and untouched pages are
     * free. */
    uint32_t slots = options->deque_slots ? options->deque_slots : sizes.tasks_max;
    sizes.deque_slots = power_of_two_from(slots < TASKS_MOST ? slots : TASKS_MOST);
    return sizes;
}

/* Halves the larger of table and heap; false when both are at their least. */
static bool shrink(segment_sizes *sizes) {
    uint64_t tasks_bytes = (uint64_t)sizes->tasks_max * sizeof(loom_task),
             heap_bytes = sizes->heap_units * LOOM_HEAP_UNIT;
    bool heap_can = heap_bytes > HEAP_LEAST, tasks_can = sizes->tasks_max > TASKS_LEAST;
    if (heap_can && (heap_bytes >= tasks_bytes || !tasks_can)) {
        sizes->heap_units /= 2;
        return true;
    }
    if (!tasks_can) return false;
    sizes->tasks_max /= 2;
    if (sizes->deque_slots > power_of_two_from(sizes->tasks_max))
        sizes->deque_slots = power_of_two_from(sizes->tasks_max);
    return true;
}

/* A quarter of the address space that this process may use: the store's map and the libraries need the rest. */
static uint64_t address_space_budget(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur / 4 : UINT64_MAX;
}

static regions regions_of(const segment_sizes *sizes) {
    return lay_out(sizes->workers, sizes->tasks_max, sizes->deque_slots, sizes->heap_units);
}

/* Sizes the file and maps it, smaller as long as the system refuses. */
static int map_new(int fd, segment_sizes *sizes, regions *at, void **base) {
    uint64_t budget = address_space_budget();
    for (;;) {
        int refused = ENOMEM;
        *at = regions_of(sizes);
        if (at->total <= budget) {
            refused = loom_file_resize(fd, at->total);
            if (!refused) {
                *base = map_shared(fd, at->total);
                if (*base != MAP_FAILED) return 0;
                refused = errno;
            }
        }
        if ((refused != ENOMEM && refused != EFBIG && refused != EINVAL) || !shrink(sizes)) return refused;
    }
}

/* Lengthens the file by the workers' shares of scratch memory for splits; where they begin, or 0 when the system
 * refuses a hole of that size (kernels that need such memory are then not split). */
static uint64_t add_scratch(int fd, const regions *at, uint32_t workers) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin = (at->total + page - 1) / page * page;
    return loom_file_resize(fd, begin + workers * LOOM_SPLIT_SCRATCH_SPAN) == 0 ? begin : 0;
}

/* The same as another process finds it, if the file is as long as it says. */
static uint64_t scratch_of(const loom_segment *segment, uint64_t file_bytes) {
    uint64_t begin = segment->board->scratch_at, bytes = segment->workers * LOOM_SPLIT_SCRATCH_SPAN;
    return begin >= segment->map_bytes && begin <= file_bytes && bytes <= file_bytes - begin ? begin : 0;
}

static void write_identity(loom_segment *segment, const loom_segment_options *options) {
    loom_segment_header *header = segment->header;
    header->version = LOOM_SEGMENT_VERSION;
    header->workers = segment->workers;
    header->layout = loom_segment_layout_signature();
    header->total_bytes = segment->map_bytes;
    header->heap_units = segment->heap_units;
    header->tasks_max = segment->tasks_max;
    header->deque_slots = segment->deque_capacity;
    header->budget_bytes = options->budget_bytes;
    memcpy(header->table_signature, options->table_signature, sizeof header->table_signature);
    atomic_store_explicit(&header->heap_next, 1, memory_order_relaxed); /* unit 0 means "none" */
    for (uint32_t i = 0; i < segment->workers; i++)
        segment->slots[i].journal.word = (uint64_t)LOOM_PHASE_IDLE << 32 | LOOM_TASK_NONE;
    segment->board->scratch_at = segment->scratch_at;
    header->magic = LOOM_SEGMENT_MAGIC; /* plain: workers get the descriptor by posix_spawn, after this */
}

loom_status loom_segment_create(const loom_segment_options *options, loom_segment **segment, loom_error *err) {
    *segment = NULL;
    if (options->workers < 1 || options->workers > LOOM_WORKERS_MAX)
        return loom_fail(err, LOOM_UNSUPPORTED, "a run cannot have %u workers; choose 1 to %u", options->workers,
                         LOOM_WORKERS_MAX);
    segment_sizes sizes = wanted_sizes(options);
    regions at;
    void *base;
    int fd = -1;
    int failed = loom_memory_file("voxloom-segment", &fd);
    if (failed) return loom_fail_errno(err, failed, "cannot create the shared segment; check the limit of open files");
    failed = map_new(fd, &sizes, &at, &base);
    if (failed) {
        (void)close(fd);
        return loom_fail(
            err, LOOM_NO_MEMORY,
            "cannot map the shared segment (%zu MiB at the least): %s; raise the address-space limit (ulimit -v)",
            at.total >> 20, strerror(failed));
    }
    loom_segment *made =
        new_handle(LOOM_COORDINATOR, sizes.workers, sizes.tasks_max, sizes.deque_slots, sizes.heap_units);
    if (!made) {
        (void)munmap(base, at.total);
        (void)close(fd);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    }
    made->fd = made->file = fd;
    made->deaths_max = options->deaths_max;
    point_at(made, base, &at);
    made->scratch_at = add_scratch(fd, &at, sizes.workers);
    write_identity(made, options);
    loom_segment_add_costs(made, options->operators);
    *segment = made;
    return LOOM_OK;
}

/* ---- attaching ---- */

static loom_status mismatch(loom_error *err, const char *what) {
    return loom_fail(
        err, LOOM_LAYOUT_MISMATCH,
        "the shared segment does not fit this worker (%s); install voxloom and voxloom-worker from one build", what);
}

/* Checks a private copy of the header, so that what was checked is what is used. */
static loom_status check_header(const loom_segment_header *header, uint64_t file_bytes,
                                const uint8_t table_signature[32], loom_error *err) {
    if (header->magic != LOOM_SEGMENT_MAGIC) return mismatch(err, "it is not a segment: wrong magic");
    if (header->version != LOOM_SEGMENT_VERSION) return mismatch(err, "other version");
    if (header->layout != loom_segment_layout_signature()) return mismatch(err, "other layout signature");
    if (memcmp(header->table_signature, table_signature, 32) != 0) return mismatch(err, "other operator table");
    if (!counts_are_sane(header->workers, header->tasks_max, header->deque_slots, header->heap_units))
        return mismatch(err, "counts out of range");
    regions at = lay_out(header->workers, header->tasks_max, header->deque_slots, header->heap_units);
    if (header->total_bytes != at.total || file_bytes < at.total)
        return mismatch(err, "size does not match its counts");
    return LOOM_OK;
}

loom_status loom_segment_attach(int fd, uint32_t worker, const uint8_t table_signature[32], loom_segment **segment,
                                loom_error *err) {
    *segment = NULL;
    struct stat file;
    loom_segment_header header;
    if (fstat(fd, &file) != 0)
        return loom_fail_errno(err, errno, "the inherited segment descriptor %d cannot be used", fd);
    if (file.st_size < (off_t)sizeof header) return mismatch(err, "it is too short");
    void *page = map_shared(fd, LOOM_PAGE_BYTES);
    if (page == MAP_FAILED) return loom_fail_errno(err, errno, "cannot map the shared segment");
    memcpy(&header, page, sizeof header);
    (void)munmap(page, LOOM_PAGE_BYTES);
    LOOM_TRY(check_header(&header, (uint64_t)file.st_size, table_signature, err));
    if (worker >= header.workers)
        return loom_fail(err, LOOM_INTERNAL, "worker number %u of %u; please report it", worker, header.workers);
    regions at = lay_out(header.workers, header.tasks_max, header.deque_slots, header.heap_units);
    void *base = map_shared(fd, at.total);
    if (base == MAP_FAILED)
        return loom_fail_errno(err, errno,
                               "cannot map the shared segment (%zu MiB); raise the address-space limit (ulimit -v)",
                               at.total >> 20);
    loom_segment *made = new_handle(worker, header.workers, header.tasks_max, header.deque_slots, header.heap_units);
    if (!made) {
        (void)munmap(base, at.total);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory");
    }
    made->fd = made->file = fd;
    point_at(made, base, &at);
    made->scratch_at = scratch_of(made, (uint64_t)file.st_size);
    *segment = made;
    return LOOM_OK;
}

loom_segment *loom_segment_alias(const loom_segment *segment, uint32_t worker) {
    if (worker >= segment->workers) return NULL;
    loom_segment *made = malloc(sizeof *made);
    if (!made) return NULL;
    *made = *segment;
    made->self = worker;
    made->alias = true;
    made->fd = -1;
    made->chunk_next = made->chunk_end = 0;
    memset(made->pieces, 0, sizeof made->pieces);
    memset(made->piece_counts, 0, sizeof made->piece_counts);
    made->victim = made->scan_from = made->ring_at = made->recovered_list = made->free_slots = 0;
    made->split = 0;
    made->shunned = 0;
    return made;
}

void loom_segment_close(loom_segment *segment) {
    if (!segment) return;
    if (!segment->alias) {
        (void)munmap(segment->header, segment->map_bytes);
        if (segment->fd >= 0) (void)close(segment->fd);
    }
    free(segment);
}

/* ---- describing ---- */

int loom_segment_fd(const loom_segment *segment) {
    return segment->fd;
}

uint32_t loom_segment_workers(const loom_segment *segment) {
    return segment->workers;
}

uint32_t loom_segment_live(const loom_segment *segment) {
    return segment->live;
}

uint32_t loom_segment_tasks_max(const loom_segment *segment) {
    return segment->tasks_max;
}

uint64_t loom_segment_used_bytes(const loom_segment *segment) {
    uint64_t before_tasks = (uint64_t)((uint8_t *)segment->deque_slots - (uint8_t *)segment->header);
    /* relaxed: figures for people */
    return before_tasks + loom_segment_task_count(segment) * sizeof(loom_task) +
           atomic_load_explicit(&segment->header->heap_next, memory_order_relaxed) * LOOM_HEAP_UNIT;
}

uint32_t loom_segment_running(const loom_segment *segment, uint32_t worker) {
    if (worker >= segment->workers) return LOOM_TASK_NONE;
    /* relaxed: a hint for people and the no-progress detector */
    uint64_t word = atomic_load_explicit(&segment->slots[worker].journal.word, memory_order_relaxed);
    loom_phase phase = (loom_phase)(word >> 32);
    return phase == LOOM_PHASE_RUNNING || phase == LOOM_PHASE_FINISHING ? (uint32_t)word : LOOM_TASK_NONE;
}

void loom_segment_set_worker_domain(loom_segment *segment, uint32_t worker, uint16_t domain) {
    /* relaxed: only steers who steals where */
    if (worker < segment->workers) atomic_store_explicit(&segment->slots[worker].domain, domain, memory_order_relaxed);
}

loom_worker_counters *loom_segment_counters(const loom_segment *segment, uint32_t worker) {
    return worker < segment->workers ? &segment->slots[worker].counters : NULL;
}
