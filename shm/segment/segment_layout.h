/* segment_layout.h - what the shared segment looks like inside; private to the files that implement segment.h.
 *
 * Bytes, writers, memory orders and the argument for each: shm/SCHEMA.md, "The segment". Everything shared is in units
 * of offsets and indexes; `loom_segment` is one process's handle and is never shared. */
#ifndef LOOM_SHM_SEGMENT_LAYOUT_H
#define LOOM_SHM_SEGMENT_LAYOUT_H

#include <stdalign.h>

#include "shm/probe.h"
#include "shm/segment/deque.h"
#include "shm/segment/segment.h"
#include "shm/segment/split_layout.h"

#define LOOM_SEGMENT_MAGIC UINT64_C(0x314745534d4f4f4c) /* "LOOMSEG1", little-endian */
#define LOOM_SEGMENT_VERSION 2u
#define LOOM_SEGMENT_DOMAINS 8u  /* coordinator deques; domain d uses number d mod 8 */
#define LOOM_RING_SLOTS 4096u    /* completions a worker may be ahead of the coordinator */
#define LOOM_COORDINATOR 0xffffu /* in the worker field of a state word */
#define LOOM_HEAP_UNIT 8u        /* bytes a loom_offset counts */
#define LOOM_HEAP_CHUNK 8192u    /* units a process takes at a time: 64 KiB */
#define LOOM_HEAP_CLASSES 68u    /* sizes of pieces that are used again: up to 1 MiB */
#define LOOM_SLEEP_WORDS (LOOM_WORKERS_MAX / 64)

/* ---- shared ---- */

typedef struct loom_segment_header {
    /* identity: written once, before anyone else maps the segment */
    uint64_t magic;
    uint32_t version;
    uint32_t workers;
    uint64_t layout; /* hash of the sizes and offsets of every shared struct */
    uint64_t total_bytes;
    uint64_t heap_units;
    uint32_t tasks_max;
    uint32_t deque_slots;
    uint8_t table_signature[32];
    uint64_t budget_bytes; /* 0 = none */
    loom_offset costs;     /* see kernel_costs.c; 0 = there are none */
    uint32_t cost_count;
    /* rarely written, read by everyone in every take */
    alignas(64) _Atomic uint32_t stop;
    /* Tasks that found their deque full, and up to which of these the table was searched in vain. Different: READY
     * tasks may be in no deque. Both only grow: a flag that is set and cleared could be cleared by a search that began
     * before. */
    _Atomic uint64_t unqueued;
    _Atomic uint64_t searched;
    /* written by pushers and sleepers */
    alignas(64) _Atomic uint64_t sleepers[LOOM_SLEEP_WORDS]; /* a bit per worker that is about to sleep or sleeps */
    /* coordinator's sleep */
    alignas(64) _Atomic uint32_t doorbell; /* counts rings; the word the coordinator sleeps on */
    _Atomic uint32_t coordinator_sleeps;
    _Atomic uint32_t space_wanted; /* 1: a worker has no room for a result; store what is finished */
    /* memory */
    alignas(64) _Atomic uint64_t released_bytes; /* of what workers committed; only grows */
    _Atomic uint32_t held_back;                  /* tasks that wait for memory (coordinator) */
    /* growth */
    alignas(64) _Atomic uint32_t task_count; /* slots that were ever used */
    alignas(64) _Atomic uint64_t heap_next;  /* first unit that no process has taken */
    /* a chain of free pieces per size for whichever worker takes it, whole; 0 = none */
    alignas(64) _Atomic uint32_t heap_free[LOOM_HEAP_CLASSES];
} loom_segment_header;

/* One per worker; the next process in a slot goes on where the last one ended. */
typedef struct loom_worker_slot {
    alignas(64) loom_journal journal; /* task | phase << 32 */
    _Atomic uint32_t park;            /* 1: the worker sleeps on this word, or is about to */
    _Atomic uint32_t domain;
    _Atomic uint32_t starving; /* 1: what it takes is only to see whether there is room now */
    /* what signs.h tells */
    _Atomic uint32_t wait; /* loom_wait */
    _Atomic uint64_t fault_offset;
    _Atomic uint32_t fault_extent;
    _Atomic uint32_t fault_in; /* loom_fault_in; written last */
    _Atomic uint32_t beats;
    alignas(64) loom_worker_counters counters;
    alignas(64) _Atomic uint64_t committed_bytes; /* memory that it took on for tasks, see budget.c; only it writes */
    _Atomic uint64_t settled_bytes;               /* of these, for tasks that it has finished */
    _Atomic uint64_t committed_peak;              /* the largest sum over all workers that it saw */
    alignas(64) _Atomic uint32_t ring_tail;       /* completions written, mod 2^32 (worker) */
    _Atomic uint32_t ring_waits;                  /* 1: the worker sleeps on this word until the ring has room */
    alignas(64) _Atomic uint32_t ring_head;       /* completions read (coordinator) */
} loom_worker_slot;

typedef enum loom_phase {
    LOOM_PHASE_IDLE = 0,
    LOOM_PHASE_TAKING,   /* may have removed this task from a deque; may have claimed it */
    LOOM_PHASE_RUNNING,  /* has claimed it */
    LOOM_PHASE_FINISHING /* results are written; may have made it DONE or FAILED; may have told others */
} loom_phase;

/* In a predecessor's list of successors. The argument's number follows from where the edge lies. */
typedef struct loom_edge {
    loom_offset next;
    uint32_t successor;
} loom_edge;

/* ---- one process's handle ---- */

struct loom_segment {
    loom_segment_header *header;
    loom_worker_slot *slots;
    loom_deque *deques; /* of the workers, then of the coordinator */
    _Atomic uint32_t *deque_slots;
    _Atomic uint64_t *rings; /* task | low half of its attempt << 32 */
    loom_split_board *board;
    loom_task *tasks;
    uint8_t *heap;
    /* copies of what never changes, so that shared bytes damaged later do not move our bounds */
    uint64_t heap_units;
    size_t map_bytes;
    uint32_t workers, tasks_max, deque_capacity, deaths_max;
    uint32_t self; /* worker number, or LOOM_COORDINATOR */
    int fd;        /* -1 in an alias */
    int file;      /* the segment's descriptor, in an alias too */
    bool alias;
    /* heap: the chunk that this process fills, and free pieces of each size that are its own */
    uint64_t chunk_next, chunk_end;
    loom_offset pieces[LOOM_HEAP_CLASSES];
    uint32_t piece_counts[LOOM_HEAP_CLASSES]; /* kept by the coordinator */
    /* worker */
    uint32_t victim;     /* where the last steal succeeded */
    uint32_t scan_from;  /* where the last search of the task table ended */
    uint32_t split;      /* the open split of this worker, see loom_split_phase */
    uint64_t shunned;    /* the split that this worker cannot help with: split << 32 | owner + 1 */
    uint64_t scratch_at; /* copy of the board's */
    /* coordinator */
    loom_journal nobody; /* takers' journal of the coordinator, who cannot die alone */
    uint32_t doorbell_seen;
    uint32_t ring_at;        /* the ring that is being read */
    uint32_t ring_popped;    /* since workers that wait for room were last woken */
    uint32_t recovered_list; /* task index + 1: completions that recovery found, linked through task.list_next */
    uint32_t free_slots;     /* task index + 1, linked likewise: the last freed first, its lines are hot */
    uint32_t live;           /* slots in use */
};

/* ---- small things that several files need ---- */

static inline uint64_t loom_state_word(loom_task_state state, uint32_t worker, uint64_t attempt) {
    return (uint64_t)state | (uint64_t)worker << 8 | attempt << 24;
}
static inline loom_task_state loom_state_of(uint64_t word) {
    return (loom_task_state)(word & 0xff);
}
static inline uint32_t loom_state_worker(uint64_t word) {
    return (uint32_t)(word >> 8) & 0xffffu;
}
static inline uint64_t loom_state_attempt(uint64_t word) {
    return word >> 24;
}

/* Between two looks at a word that another core is about to write. */
static inline void loom_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void loom_journal_write(loom_journal *journal, loom_phase phase, uint32_t task) {
    /* release: no earlier step of ours may be delayed past it (IDLE would hide work that is not done). What must stay
     * behind an announcement is a release operation itself, so it cannot move above it; see "Journal" in SCHEMA.md. */
    atomic_store_explicit(&journal->word, (uint64_t)phase << 32 | task, memory_order_release);
}

/* Number of deques, and one of them: worker w's is w, the coordinator's for domain d is workers + d mod 8. */
static inline uint32_t loom_deque_count(const loom_segment *segment) {
    return segment->workers + LOOM_SEGMENT_DOMAINS;
}
static inline loom_deque_view loom_deque_at(const loom_segment *segment, uint32_t number) {
    return (loom_deque_view){&segment->deques[number], segment->deque_slots + (size_t)number * segment->deque_capacity,
                             segment->deque_capacity - 1};
}

/* segment.c: 64-bit FNV-1a over sizes and offsets. */
uint64_t loom_segment_layout_signature(void);
/* segment_heap.c: a piece of at least so many units, which holds any bytes; 0 when full. */
loom_offset loom_segment_alloc_units(loom_segment *segment, uint64_t units);
/* segment_heap.c, coordinator: the piece, allocated by whichever process with so many units, is used again. Nobody
 * refers to it any more. */
void loom_segment_free_units(loom_segment *segment, loom_offset offset, uint64_t units);

/* kernel_costs.c: makes room for the figures of so many operators; by whoever creates the segment. */
void loom_segment_add_costs(loom_segment *segment, uint32_t operators);

/* ready.c: takes `mask` out of word `word` of the task's readiness bits; makes the task READY when that was the last.
 * True: the caller queues it. With `redo` that is also said of a task that is READY already (a dead worker may not have
 * come to it). */
bool loom_task_clear(loom_segment *segment, uint32_t index, uint32_t word, uint64_t mask, bool redo);
/* ready.c: tells every successor that `index` is DONE, and queues those that are READY by it. */
void loom_task_notify_successors(loom_segment *segment, uint32_t index, bool redo);
/* ready.c: queues a READY task: onto the own deque of a worker, or onto the coordinator's for the task's domain. */
void loom_task_queue(loom_segment *segment, uint32_t index);
/* ready.c: the heap layout of a task's links. */
static inline uint64_t loom_links_edges(uint32_t argument_count) {
    return (argument_count + 1) / 2;
}
static inline uint64_t loom_links_words(uint32_t argument_count) {
    return (argument_count + 63) / 64;
}
static inline uint64_t loom_links_units(uint32_t argument_count) {
    uint64_t words = loom_links_words(argument_count);
    return loom_links_edges(argument_count) + argument_count + words + (words > 1 ? 1 : 0);
}

/* budget.c: the task at hand has ended; done: what was committed for it stays so until its result is released, else it
 * is taken back. Done twice it does nothing. By the worker, or after its death. */
void loom_committed_settle(loom_worker_slot *slot, bool done);

/* wakeup.c: after a push, wakes a sleeping worker if there is one, of `domain` if possible. */
void loom_wake_one(loom_segment *segment, uint32_t domain);
void loom_wake_all(loom_segment *segment);
bool loom_segment_has_sleeper(const loom_segment *segment);
/* wakeup.c: whether any deque holds an entry, or the table must be searched, or the run stops. */
bool loom_segment_has_work(const loom_segment *segment);
/* wakeup.c: sleeps until there may be work, or timeout_ms passed. *signalled: somebody woke us for a task. */
void loom_worker_park(loom_segment *segment, int timeout_ms, bool *signalled);

/* completion.c: worker: announces a finished task to the coordinator; waits while the ring is full. */
void loom_completion_push(loom_segment *segment, uint32_t index, uint64_t attempt);

#endif
