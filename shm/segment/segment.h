/* segment.h - the shared segment of one run: tasks, deques, completion rings, and who does what.
 *
 * One memfd, mapped by the coordinator and every worker; offsets and indexes only, no pointers; self-identifying
 * (magic, version, layout signature, checked on attach). It is created large and sparse: pages appear as they are used,
 * and addresses never move.
 *
 * The truth about a task is its state word. Deques and rings are hints: an entry may be missing after a crash or appear
 * twice, and both are harmless, because only the compare-and-swap READY -> RUNNING gives the right to run a task.
 *
 *      WAITING --(last predecessor done)--> READY --(a worker's CAS)--> RUNNING(worker, attempt) --> DONE
 *         |                                   ^                              |        \--> FAILED
 *         |                                   +------(worker died)-----------+
 *         +--(a predecessor failed: the coordinator decides)--> FAILED
 *
 * A task that nobody needs any more is freed: its slot (its number) and its heap pieces serve the next ones.
 *
 * Orders of memory operations and the rules of recovery: shm/SCHEMA.md, "The segment". */
#ifndef LOOM_SHM_SEGMENT_H
#define LOOM_SHM_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/extent/extent.h"
#include "shm/id.h"
#include "shm/status.h"

#define LOOM_WORKERS_MAX 256u
#define LOOM_TASK_NONE UINT32_MAX
#define LOOM_ARGUMENTS_MAX 4096u /* predecessors of one task; more are chained by the coordinator */

typedef enum loom_task_state {
    LOOM_TASK_FREE = 0,
    LOOM_TASK_WAITING,
    LOOM_TASK_READY,
    LOOM_TASK_RUNNING,
    LOOM_TASK_DONE,
    LOOM_TASK_FAILED
} loom_task_state;

/* How a task came to be DONE. */
typedef enum loom_origin {
    LOOM_ORIGIN_NONE = 0,
    LOOM_ORIGIN_CONSTANT, /* given by the coordinator: a literal or a bound item */
    LOOM_ORIGIN_STORED,   /* found in the store, by the coordinator or by the worker's late look-up */
    LOOM_ORIGIN_COMPUTED  /* a kernel ran */
} loom_origin;

typedef uint32_t loom_offset; /* into the heap, in units of 8 bytes; 0 = none */

/* One task: an operator applied to the results of other tasks, and its result. Fixed size; see SCHEMA.md for each byte.
 */
typedef struct loom_task {
    _Atomic uint64_t state; /* loom_task_state | worker << 8 | attempt << 24 */
    _Atomic uint32_t edges; /* heap list of successors; only the coordinator prepends */
    uint32_t operator_index;
    uint32_t argument_count;
    loom_offset arguments;  /* uint32_t task index of each argument */
    loom_offset pending;    /* readiness bits: see loom_task_clear */
    loom_offset attributes; /* encoded record (length-prefixed), 0 if none */
    uint16_t domain;        /* NUMA domain that the plan assigned */
    uint8_t origin;         /* loom_origin */
    uint8_t type;           /* loom_type of the result */
    uint8_t flags;          /* loom_task_flag */
    uint8_t deaths;         /* workers that died running it */
    uint16_t status;        /* loom_status when FAILED */
    uint32_t cookie;        /* the coordinator's own index of the node */
    loom_offset error;      /* loom_error of a failed task */
    loom_offset payload;    /* encoded value (length-prefixed); 0 when inlined or blob */
    uint8_t inline_bytes;   /* 1..16: the encoded value is in `inline_payload` */
    uint8_t refers;         /* 1: a sequence that refers to large items, found through this task's arguments */
    uint16_t priority;      /* of tasks that become ready together, the greatest is taken first */
    uint8_t inline_payload[16];
    loom_id rkey;
    loom_id vid;
    loom_placement bulk; /* voxels, or the encoded value when LOOM_TASK_BLOB */
    uint64_t root[2];
    loom_offset hashes; /* uint64_t per block */
    uint32_t cost_us;   /* of the kernel, saturating */
    loom_offset memo;   /* length-prefixed list of hashed input files, for the store's memo; 0 if none */
    uint32_t list_next; /* coordinator: of its completions that a recovery found, or of free slots; 0 = in none */
} loom_task;

typedef enum loom_task_flag {
    LOOM_TASK_BLOB = 1 << 0,      /* bulk is an encoded value */
    LOOM_TASK_BEYOND = 1 << 1,    /* may run though its bytes exceed the budget: see loom_task_go_on */
    LOOM_TASK_NO_LOOKUP = 1 << 2, /* the coordinator asked the store for this rkey: it has nothing */
    LOOM_TASK_REPLACES = 1 << 3,  /* the store holds a damaged or outdated result of this key: remove that first */
    LOOM_TASK_CLAIMED = 1 << 4,   /* this run holds the store's claim on the key, until it is committed */
    LOOM_TASK_FRESH = 1 << 5,     /* a stored result, in a new raw copy that the store should keep instead */
    LOOM_TASK_LOST = 1 << 6,     /* FAILED because the bytes of the argument whose id is in `vid` are damaged or gone */
    LOOM_TASK_SUBMITTED = 1 << 7 /* set by loom_task_submit */
} loom_task_flag;

_Static_assert(sizeof(loom_task) == 192, "the task is a shared format: see shm/SCHEMA.md");

typedef struct loom_segment loom_segment; /* one process's handle */

typedef struct loom_segment_options {
    uint32_t workers;
    uint32_t tasks_max;          /* 0 = 4 Mi */
    uint64_t heap_bytes;         /* 0 = 4 GiB of address space, used pages only; at most 32 GiB */
    uint64_t budget_bytes;       /* of memory, see loom_segment_commit_bytes; 0 = no limit */
    uint8_t table_signature[32]; /* of the operator table; checked on attach */
    uint32_t operators;          /* in that table, of which the coordinator may tell what they cost; 0 = none */
    uint32_t deaths_max;  /* a task that this many workers died running is held back, see recover; 0 = no limit */
    uint32_t deque_slots; /* of each deque; 0 = as many as tasks (pages appear as used) */
} loom_segment_options;

/* Threads and processes: a handle belongs to one thread, but for loom_segment_ring_doorbell, loom_segment_stop and
 * everything that takes a const handle, which any thread may call. All functions of the coordinator belong to the
 * process that created the segment; if it dies the run is over. */

/* Creates and maps (coordinator). Table and heap are made smaller when RLIMIT_AS / 4 or the kernel does not allow what
 * was asked for. fd is close-on-exec; pass it with posix_spawn. Errors: LOOM_NO_MEMORY; LOOM_UNSUPPORTED: workers is
 * not 1..LOOM_WORKERS_MAX. */
loom_status loom_segment_create(const loom_segment_options *options, loom_segment **segment, loom_error *err);
/* Maps an inherited fd and checks that it was laid out by this build: LOOM_LAYOUT_MISMATCH says what differs (magic,
 * version, layout signature, operator table, counts, size). On success the handle owns fd. LOOM_NO_MEMORY,
 * LOOM_INTERNAL: no such worker. */
loom_status loom_segment_attach(int fd, uint32_t worker, const uint8_t table_signature[32], loom_segment **segment,
                                loom_error *err);
/* A second handle on the same mapping, for a worker that is a thread of this process. Close it before the first. NULL:
 * no such worker, or out of memory. */
loom_segment *loom_segment_alias(const loom_segment *segment, uint32_t worker);
/* NULL is accepted. */
void loom_segment_close(loom_segment *segment);
int loom_segment_fd(const loom_segment *segment);
uint32_t loom_segment_workers(const loom_segment *segment);
/* Header, worker slots, rings, and what was ever in use of tasks and heap (without deques: at most 4 bytes per task and
 * deque): the most that the run took. */
uint64_t loom_segment_used_bytes(const loom_segment *segment);

/* Heap: pieces of any bytes, aligned to 8, cut from chunks owned by one process each (no lock; a chunk is taken with
 * one compare-and-swap), or left by freed tasks. A piece belongs to the task whose field names it, and goes with it
 * (loom_task_free). Pointers stay mapped for the run. NULL / 0 when the heap is full. */
loom_offset loom_segment_alloc(loom_segment *segment, size_t bytes);
void *loom_segment_pointer(const loom_segment *segment,
                           loom_offset offset); /* NULL for 0; checked against the heap's bounds */
/* Length-prefixed bytes (uint32_t length, then the bytes). */
loom_offset loom_segment_put(loom_segment *segment, const void *bytes, size_t length);
const void *loom_segment_get(const loom_segment *segment, loom_offset offset, size_t *length);

/* NULL if the table has no such entry; FREE if the task was not created yet, or was freed. */
loom_task *loom_segment_task(const loom_segment *segment, uint32_t index);
/* Slots that were ever in use: task numbers are below it. */
uint32_t loom_segment_task_count(const loom_segment *segment);
/* The low half of how often the slot's tasks were taken, or freed, so far: with the number, a name for one run of one
 * task. */
static inline uint32_t loom_task_attempt(const loom_task *task) {
    /* relaxed: asked by who runs the task, for people */
    return (uint32_t)(atomic_load_explicit(&task->state, memory_order_relaxed) >> 24);
}
/* Coordinator: slots in use now, and how many there are. */
uint32_t loom_segment_live(const loom_segment *segment);
uint32_t loom_segment_tasks_max(const loom_segment *segment);

/* ---- coordinator ---- */

/* A new task in state WAITING with all readiness bits set, its arguments recorded but not yet linked. Its number may be
 * that of a freed task. LOOM_NO_MEMORY when tasks or heap are exhausted (nothing is used up then); LOOM_TOO_LARGE
 * beyond LOOM_ARGUMENTS_MAX; LOOM_INTERNAL: an argument is no task. */
loom_status loom_task_create(loom_segment *segment, const uint32_t *arguments, uint32_t argument_count, uint32_t *index,
                             loom_error *err);
/* A task born DONE, for a constant or a stored result: the caller fills result fields between create and publish. */
loom_status loom_task_create_done(loom_segment *segment, uint32_t *index, loom_error *err);
void loom_task_publish_done(loom_segment *segment, uint32_t index);
/* Links the task behind its arguments, after operator, attributes, domain and cookie are set. What is done already
 * counts as done; a task all of whose arguments are done becomes READY and is queued. Safe while workers finish those
 * arguments. Behind an argument that FAILED the task stays WAITING for ever: the coordinator, which learns of every
 * failure by a completion, fails it (loom_task_fail). LOOM_INTERNAL: submitted before. */
loom_status loom_task_submit(loom_segment *segment, uint32_t index, loom_error *err);
/* Ends the life of a DONE or FAILED task: number and heap pieces serve later tasks. The caller knows that
 *   - it is finished: its completion was taken, or loom_task_fail or loom_task_publish_done ended it;
 *   - so is every argument of it: until an argument's completion is taken, its finisher may walk over this task's
 * links;
 *   - so is every task that has it as an argument, and nobody else reads its fields or those pieces any more.
 * Hints that still name it (deques, rings, journals) do no harm. LOOM_INTERNAL, and nothing is freed: it is not
 * finished. */
loom_status loom_task_free(loom_segment *segment, uint32_t index);
/* Takes the next completion (task index) from any worker's ring; false when all are empty. A task may appear more than
 * once after a recovery, but not after it was freed. Call it until it is false: that is when workers that wait for room
 * in their ring are woken. After loom_segment_stop a worker waits for room for at most 1 s, then drops the completion;
 * the state words tell. */
bool loom_completion_pop(loom_segment *segment, uint32_t *index);
/* Sleeps until a completion arrives, loom_segment_ring_doorbell is called (also before, since the last wait), or
 * timeout_ms passes (-1: no limit). May return early. Whoever notices a worker's death must ring: the worker may have
 * died when it was about to. */
void loom_completion_wait(loom_segment *segment, int timeout_ms);
void loom_segment_ring_doorbell(loom_segment *segment);
/* Fails a task that is WAITING, READY or held back by a recovery, without running it (its argument failed, the run
 * stops, too many workers died). `err` is copied; NULL leaves none. True if this call did it; no completion is sent
 * then. */
bool loom_task_fail(loom_segment *segment, uint32_t index, loom_status status, const loom_error *err);
/* After the death of a worker (its process is gone): what it was running becomes READY again (deaths + 1) or is redone
 * if it had reached DONE; what was in its deque is queued elsewhere. Returns in *running the task it was running, or
 * LOOM_TASK_NONE. O(deque + degree).
 * With options.deaths_max reached, the task is not queued but held back (RUNNING by nobody): loom_task_fail it. Deaths
 * between taking a task and running it do not count. Call it before another process gets this worker number. */
void loom_segment_recover(loom_segment *segment, uint32_t worker, uint32_t *running);
/* Tells workers to return NONE for ever. */
void loom_segment_stop(loom_segment *segment);
/* Whether it was called: for whoever waits within a task. */
bool loom_segment_stopped(const loom_segment *segment);
/* Whether a worker has asked for room (loom_task_put_back) since the last call: what is finished should be stored soon,
 * and what nobody needs let go. */
bool loom_segment_take_space_wanted(loom_segment *segment);

/* ---- worker ---- */

/* Own deque first (newest), then the coordinator's for the domain, then steal (oldest) inside the domain, then the
 * coordinator's others, then steal elsewhere. Returns the task, now RUNNING by this worker and journalled;
 * LOOM_TASK_NONE when stopped. Sleeps (futex) when there is nothing, at most timeout_ms at a time (-1: no limit; then
 * returns NONE with *stopped false). Also returns NONE, *stopped false, when there is nothing to take but a split to
 * help with (split.h). */
uint32_t loom_task_take(loom_segment *segment, int timeout_ms, bool *stopped);
/* Publishes the result fields written into the task: state DONE (or FAILED with status and error set), successors
 * readied onto the own deque, completion pushed. Every step is idempotent and journalled. Waits while the coordinator
 * is LOOM_RING_SLOTS completions behind. Others learn of the readied tasks in the next loom_task_take, so call it soon.
 * Nothing happens if the task is not RUNNING by this worker. */
void loom_task_finish(loom_segment *segment, uint32_t index, loom_task_state state);

/* Gives up a task that this worker was running, because there is no room for its result: READY again, without a
 * completion or a death, to be taken (by anyone) when there is nothing else to do. Rings the coordinator. */
void loom_task_put_back(loom_segment *segment, uint32_t index);

/* ---- what kernels cost: picoseconds a voxel, of all who worked on it; 0 = never measured ---- */

/* Coordinator. */
void loom_segment_set_cost(loom_segment *segment, uint32_t operator_index, uint64_t voxel_ps);
uint32_t loom_segment_cost(const loom_segment *segment, uint32_t operator_index);

/* ---- memory: what the run has taken on. Committed = bytes that workers committed for the results and the scratch of
 * tasks, less what was released, plus the segment itself. ---- */

/* The budget that the segment was created with; UINT64_MAX: none. */
uint64_t loom_segment_budget(const loom_segment *segment);
/* Worker, for the task it runs: takes `bytes` more on if the run's sum stays within `limit`. False: nothing is taken
 * on. Costs a fence and a load per worker. */
bool loom_segment_commit_bytes(loom_segment *segment, uint64_t bytes, uint64_t limit);
/* Worker, before loom_task_finish: of what it committed for the task only so much is left, its result. */
void loom_segment_keep_bytes(loom_segment *segment, uint64_t bytes);
/* A result that was committed is not in memory any more, or need not be: its bytes lie in a file. Any process. */
void loom_segment_release_bytes(loom_segment *segment, uint64_t bytes);
uint64_t loom_segment_committed(const loom_segment *segment);
/* The most that was committed at one time, as far as those who committed saw it. */
uint64_t loom_segment_committed_peak(const loom_segment *segment);

/* Worker: gives up a task that it was running because its `bytes` do not fit: READY again, without a death; what it had
 * committed is taken back. The task comes to the coordinator as a completion, though it is READY, with bulk.bytes =
 * bytes, and to nobody else. */
void loom_task_hold_back(loom_segment *segment, uint32_t index, uint64_t bytes);
/* Whether a task that was held back in that attempt (loom_task_attempt) is still held back, or queued since: not taken,
 * failed, or freed and its slot used again. */
bool loom_task_is_held_back(const loom_segment *segment, uint32_t index, uint32_t attempt);
/* Coordinator: it is queued again, `beyond`: to run whatever the budget says. False, and nothing is done, if it is not
 * held back any more. */
bool loom_task_go_on(loom_segment *segment, uint32_t index, uint32_t attempt, bool beyond);
/* Whether any deque holds an entry, which may be stale. */
bool loom_segment_has_queued(const loom_segment *segment);
/* Coordinator, for others to see: how many tasks are held back now. */
void loom_segment_set_held_back(loom_segment *segment, uint32_t count);
uint32_t loom_segment_held_back(const loom_segment *segment);

/* True while some other worker runs a task that it has not yet put back: it may make room by finishing. */
bool loom_segment_others_run(const loom_segment *segment);
/* Completed by all workers so far, well or not. */
uint64_t loom_segment_finished(const loom_segment *segment);

/* Beats; what the worker runs now, for progress and the no-progress detector. */
uint32_t loom_segment_running(const loom_segment *segment, uint32_t worker);
void loom_segment_set_worker_domain(loom_segment *segment, uint32_t worker, uint16_t domain);
/* Per-worker counters, written by the worker, read by anyone. */
typedef struct loom_worker_counters {
    _Atomic uint64_t computed, reused, failed, steals, bytes_written, busy_ns;
    _Atomic uint64_t parts_helped; /* of other workers' tasks: split.h */
} loom_worker_counters;
loom_worker_counters *loom_segment_counters(const loom_segment *segment, uint32_t worker);

#endif
