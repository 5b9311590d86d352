/* worker.h - the state of one worker process, shared by runtime/worker's files.
 *
 *   main.c      arguments, attaching, pinning, the loop
 *   pulse.c     beats, and the coordinator's end
 *   execute.c   one task: key, look-up, kernel, publication
 *   services.c  what a kernel may ask for: space, scratch, items
 *   admission.c whether there is memory for it
 *   fault.c     where a memory fault lay
 *   staging.c   results of a store on disk, in memory until they are complete
 *   swept.c     results that another task has counted
 *   split.c     parts of a kernel's loops, shared with workers that have nothing to do
 *   help.c      parts of other workers' tasks
 *   arguments.c values of a task's arguments, images mapped read-only
 *   input_hash.c  content hashes of input files, memoised by stat fields */
#ifndef LOOM_RUNTIME_WORKER_H
#define LOOM_RUNTIME_WORKER_H

#include "io/ring.h"
#include "perf/recorder.h"
#include "runtime/kernels/fused/tape.h"
#include "runtime/kernels/kernel.h"
#include "runtime/worker/memo_list.h"
#include "shm/segment/segment.h"
#include "shm/segment/split.h"
#include "shm/store/storage.h"

/* Blocks that parts share: the kernel's (loom_share), then the one for block hashes and a result that is staged. */
#define LOOM_BLOCK_HASHES LOOM_SHARED_MAX
#define LOOM_BLOCK_STAGING (LOOM_SHARED_MAX + 1)
#define LOOM_WORKER_BLOCKS (LOOM_SHARED_MAX + 2)

/* How the task at hand is split: split.c. */
typedef struct loom_worker_split {
    enum { LOOM_SPLIT_UNDECIDED, LOOM_SPLIT_WHOLE, LOOM_SPLIT_PARTS } choice;
    bool alone;   /* a helper died: everything is done again by this worker */
    bool spoiled; /* the kernel's failure means that, and nothing else */
    loom_split_block blocks[LOOM_WORKER_BLOCKS];
    void *maps[LOOM_WORKER_BLOCKS]; /* NULL: not in the shared file */
} loom_worker_split;

typedef struct loom_worker {
    uint32_t index;
    loom_segment *segment;
    loom_store *store;
    loom_extent_writer *writer;
    loom_ring *ring;
    loom_recorder *recorder; /* NULL: nobody asks what we do */
    loom_hasher *hasher;
    const loom_operator_table *operators;
    size_t tile_bytes;   /* of streams through the ring */
    size_t inline_bytes; /* larger encoded values go to extents */
    bool afresh;         /* nothing is looked up: everything is computed */
    uint64_t starved_ns; /* since when there was no room for a result and nothing was finished; 0 = there is room */
    uint64_t starved_at; /* how much was finished then */

    /* The task at hand. */
    loom_arena *arena; /* reset per task */
    loom_task *task;
    uint32_t number; /* of the task */
    loom_worker_split split;
    loom_view *views; /* of mapped arguments, released after the task; in the arena */
    size_t view_count, view_capacity;
    void **scratch; /* malloc'ed for the kernel, freed after the task; list in the arena */
    size_t scratch_count, scratch_capacity;
    uint64_t committed_bytes; /* of memory, for its result and scratch; used_bytes of them were asked for */
    uint64_t ahead_bytes;     /* of those asked for: scratch that the kernel was said to take, and has not yet */
    uint64_t used_bytes, planned_bytes, wanted_bytes; /* planned: what it wanted when it was held back; 0: it was not */
    bool refused;                                     /* there was no memory: hold it back */
    loom_reservation reservation;                     /* for the result */
    bool reserved;
    loom_image_header header; /* of the result image */
    uint32_t culprit;         /* member of a fused task that failed; UINT32_MAX: none did */
    loom_id lost;             /* vid of an argument whose bytes are damaged or gone */
    bool has_lost;
    loom_memo_entry *memo;    /* hashes computed for this task; in the arena */
    struct loom_hashed_file { /* every file hashed for this task, to see whether it changed meanwhile */
        const char *path;
        loom_file_stamp stamp;
    } * hashed;
    size_t memo_count, memo_capacity, memo_next; /* next: that was not asked for again */
    size_t hashed_count, hashed_capacity;
} loom_worker;

/* Runs the task that loom_task_take returned, and publishes its end. */
void loom_worker_execute(loom_worker *worker, uint32_t number);
/* Helps with another worker's task, if there is one that has parts left. */
void loom_worker_help(loom_worker *worker);

/* All arguments of the task, as below, into an array of the arena. */
loom_status loom_worker_arguments(loom_worker *worker, const loom_operator *op, loom_value **arguments,
                                  loom_error *err);
/* The task's attributes, a record; *attributes is NULL if it has none. */
loom_status loom_worker_attributes(loom_worker *worker, const loom_value **attributes, loom_error *err);
/* Value of argument `position` of the task: decoded from the segment; images mapped read-only unless the operator only
 * passes references on. Valid until the task ends. */
loom_status loom_worker_argument(loom_worker *worker, const loom_operator *op, uint32_t position, loom_value *value,
                                 loom_error *err);
/* Finds what a reference names: among the arguments' own arguments, else in the store. */
loom_status loom_worker_fetch(loom_worker *worker, const loom_value *reference, loom_value *value, loom_error *err);

/* Whether all items that a stored sequence refers to are stored too; they are held from then on. */
bool loom_worker_has_items(loom_worker *worker, const loom_result *sequence);
/* The result of a task that a sweep counted (swept.c); *found is false if it is to be computed. `tape` NULL: no fused
 * task. Also sets the task's cost. */
loom_status loom_worker_swept(loom_worker *worker, const loom_operator *op, const loom_tape *tape, loom_value *value,
                              bool *found, loom_error *err);
/* Gives the claim of the task's key up, if it has one. */
void loom_worker_unclaim(loom_worker *worker);

/* ---- admission.c ---- */
/* A task begins; before its last attempt is forgotten. */
void loom_worker_admission_begin(loom_worker *worker);
/* False if it will make an image and there is no memory at all: then nothing need be tried. */
bool loom_worker_may_begin(loom_worker *worker, const loom_operator *op);
/* Commits memory for a result or scratch. False: there is none; the task is to be held back. */
bool loom_worker_admit(loom_worker *worker, uint64_t bytes);
/* Gives the task up until there is memory. */
void loom_worker_hold_back(loom_worker *worker, uint32_t number);

/* Services for kernels; context is the worker. */
extern const loom_call_services loom_worker_services;
/* The same for a part of another worker's task: only scratch and items. */
extern const loom_call_services loom_helper_services;
/* A place for a view that lasts as long as the task; to be counted in view_count once it is filled. */
loom_status loom_worker_next_view(loom_worker *worker, loom_view **view, loom_error *err);
/* Has the memory freed after the task; false, and it is freed at once, when out of memory. */
bool loom_worker_keep_scratch(loom_worker *worker, void *memory);

/* Commits what the kernel is known to take of scratch, helpers included, before it begins; as loom_worker_admit. */
bool loom_worker_admit_ahead(loom_worker *worker, loom_call *call);
/* Commits scratch memory that is worth counting, unless that was done ahead; as loom_worker_admit. */
bool loom_worker_admit_scratch(loom_worker *worker, size_t bytes);

/* ---- staging.c ---- */
/* Whether a result image of so many bytes is made in memory and then written. */
bool loom_worker_stages(const loom_worker *worker, uint64_t bytes);
/* Zero-filled memory for the result, to the end of the task. NULL: there is none. */
void *loom_worker_stage(loom_worker *worker, uint64_t bytes);
bool loom_worker_is_staged(const loom_worker *worker);
/* Where the kernel writes its result; NULL if there is none, or it is streamed. */
void *loom_worker_window(const loom_worker *worker);
/* Writes a staged result to its extent and fills in the hashes of its blocks, unless they are there. LOOM_IO. */
loom_status loom_worker_write_staged(loom_worker *worker, uint64_t *hashes, loom_error *err);

/* split.c: services for kernels, see kernel.h. */
loom_status loom_worker_run_parts(loom_call *call, const loom_parts *parts);
void *loom_worker_share(loom_call *call, unsigned number, size_t bytes);
uint32_t loom_worker_lanes(loom_call *call);
/* The kernel of the call, once more and alone if a helper died in it. */
loom_status loom_worker_run_kernel(loom_worker *worker, loom_call *call, loom_kernel_run run);
/* Fills in the hashes of the result's blocks with the help of others; false: not worth it, or not possible. */
bool loom_worker_hash_blocks(loom_worker *worker, uint64_t *hashes);
/* After the kernel, however it ended, before the task is finished or put back: nobody helps any more. Returns the
 * nanoseconds that helpers worked on it. */
uint64_t loom_worker_end_split(loom_worker *worker);
/* Whether the call's images are so large that it may be split; then its cost is processor time, of all who helped. */
bool loom_worker_is_large(const loom_call *call);
/* help.c: the loop number that stands for hashing the output's blocks; no kernel's. */
#define LOOM_LOOP_HASH UINT32_MAX

/* Gives back what the task held. */
void loom_worker_release(loom_worker *worker);

/* As loom_input_list.hash_file; context is the worker. Remembers the file for loom_worker_inputs_unchanged. */
loom_status loom_worker_hash_file(const char *path, loom_id *content, void *context, loom_error *err);
/* LOOM_STALE_INPUT if a file that was hashed for this task has changed since. */
loom_status loom_worker_inputs_unchanged(const loom_worker *worker, loom_error *err);

#endif
