/* session.h - the state of one run, shared by the coordinator's files. Not for anyone else.
 *
 *   lower.c    plan nodes -> steps, each in the domain where it is used
 *   lower_plan.c  the same for what the goals need of the plan at the beginning, and settled
 *   expand.c   loops -> their items, as soon as these are known (with shape.c, items.c, pick.c)
 *   loop.c     long loops, a window of items at a time (with body.c, body_steps.c, body_unroll.c, window.c,
 *              window_share.c, loop_filter.c, loop_fold.c)
 *   settle.c   keys, look-ups in the store, and what must therefore be computed
 *   engage.c   segment, committer and workers, when there is something to compute
 *   submit.c   steps -> tasks in the shared segment
 *   fuse.c     which steps become one task
 *   sweep.c    which tasks have their results counted in one pass (with sweep_match.c)
 *   priority.c what the run will wait for comes first
 *   complete.c what workers finished or failed -> what can go on
 *   measure.c  what kernels took -> what operators cost
 *   hold.c     results in use keep their bytes
 *   release.c  when a result may go
 *   brake.c    tasks that wait for memory
 *   lost.c     arguments whose bytes turned out to be damaged
 *   blame.c    which item of a loop failed
 *   blame_calls.c  in which functions
 *   value.c    the value of a step, wherever it lies
 *   goals.c    print and save, in program order
 *   keep.c     values of goals that outlive the run, for the C library
 *   record.c   what the store remembers of a run
 *   profiling.c  where the time of workers goes, if anybody asks
 *   commit.c   finished results -> the store (a thread)
 *   crew.c     worker processes
 *   watch.c    workers that are stopped, nodes that take too long
 *   bury.c     workers that died
 *   stall.c    who waits for what
 *   seats.c    which core and NUMA domain each of them gets
 *   audit.c    stored results computed again and compared; audit_steps.c
 *   run.c      the loop that drives all this
 *   preview.c  the same without computing anything; explain.c says why
 *
 * All of it runs on the coordinator's main thread except the committer's thread, crew.c's watchers and the thread that
 * compresses cold results. */
#ifndef LOOM_RUNTIME_SESSION_H
#define LOOM_RUNTIME_SESSION_H

#include "planner/domain.h"
#include "planner/plan.h"
#include "runtime/coordinator/brake.h"
#include "runtime/coordinator/commit.h"
#include "runtime/coordinator/costs.h"
#include "runtime/coordinator/crew.h"
#include "runtime/coordinator/graph.h"
#include "runtime/coordinator/memo.h"
#include "runtime/coordinator/preview.h"
#include "runtime/coordinator/profiling.h"
#include "runtime/coordinator/run.h"
#include "runtime/coordinator/seats.h"
#include "runtime/coordinator/watch.h"
#include "shm/codec/cold_thread.h"
#include "shm/segment/segment.h"
#include "shm/store/storage.h"

/* The items of a loop, as plan nodes. */
typedef struct loom_items {
    loom_node_index *nodes;
    uint32_t count;
} loom_items;

typedef enum loom_goal_stage { LOOM_GOAL_VALUE, LOOM_GOAL_WRITING, LOOM_GOAL_MET, LOOM_GOAL_FAILED } loom_goal_stage;

typedef struct loom_goal_state {
    uint32_t step;  /* of the value */
    uint32_t write; /* of loom.save, for images */
    loom_goal_stage stage;
    uint32_t failure; /* when failed */
} loom_goal_state;

/* See priority.c. */
typedef struct loom_levels {
    uint64_t *of; /* by step; of those before `visited` */
    uint32_t visited, capacity;
    uint64_t highest_ns;
} loom_levels;

struct loom_session {
    const loom_run_options *options;
    loom_preview *preview; /* NULL: a run; else nothing is computed or stored */
    const loom_config *config;
    loom_plan *plan;
    const loom_operator_table *operators;
    loom_facts *facts;

    loom_graph_run graph;
    loom_memo lowered;        /* (open plan node, context) -> step; of closed nodes: */
    uint32_t *lowered_closed; /* by plan node: step + 1; 0 = none */
    uint32_t lowered_closed_capacity;
    loom_memo twins;    /* hash of node and arguments -> step that stands for all such; see settle.c */
    loom_memo domains;  /* image step -> step of its domain record */
    loom_memo expanded; /* (plan node, context or any) -> entry of `expansions` */
    loom_memo gathered; /* plan node -> step of its items, where these are the same in every context */
    loom_items *expansions;
    uint32_t expansion_count, expansion_capacity;
    loom_memo audited;        /* step -> item of options->audit */
    loom_memo picked_sources; /* plan node -> entry of `picked_values`; see pick.c */
    loom_value *picked_values;
    uint32_t picked_count, picked_capacity;
    loom_value *numbers; /* 0 .. number_count - 1, in the arena; see pick.c */
    uint32_t number_count;
    uint8_t *shapes; /* per plan node: how it expands; see shape.c */
    uint32_t shape_count, shape_capacity;
    uint64_t items_kept;      /* in `expansions` */
    struct loom_loops *loops; /* long ones; see loop.h. NULL until there is one */
    bool windows_over;        /* a part of one is done, or has failed */
    uint16_t *places;         /* NUMA domain of the first `place_count` steps; NULL on a machine with one */
    uint32_t place_count;
    uint32_t program_domain; /* step, once needed */
    uint32_t *work;          /* steps that wait for nothing more: expand or settle them */
    uint32_t work_count, work_capacity;

    loom_store *store;
    loom_segment *segment; /* NULL until the first task */
    loom_crew *crew;       /* NULL until the first task */
    loom_watch *watch;     /* as crew */
    loom_committer *committer;
    loom_cold_thread *cold; /* NULL: the store wants none */
    loom_costs *costs;      /* NULL until the first task */
    loom_hasher *hasher;
    loom_arena *arena;   /* lives as long as the session */
    loom_arena *scratch; /* reset between uses; never held across calls */

    loom_brake brake;
    loom_levels levels;

    loom_goal_state *goals;
    uint32_t goals_met; /* goals 0 .. goals_met - 1 are finished, well or not */
    loom_failure *failures;
    uint32_t failure_count, failure_capacity;

    uint32_t workers;
    loom_seats seats; /* of the workers, once there are any */
    const char *ring; /* how workers write: "io_uring" or "posix"; "" until there are workers */
    struct loom_submission {
        uint32_t *roots; /* to be submitted with all that they need, in this order, from `first` on */
        size_t first, root_count, root_capacity;
        uint32_t *stack; /* of the root at hand: steps whose arguments come first */
        size_t count, capacity;
        uint32_t window; /* tasks that may be alive before more are submitted */
    } submission;
    uint32_t *ending; /* steps that are about to let their arguments go; see release.c */
    uint32_t ending_count, ending_capacity;
    uint32_t *late; /* steps whose `late` is set */
    uint32_t late_count, late_capacity;
    uint64_t committing; /* entries of the committer that read tasks */
    uint64_t in_flight;  /* submitted, not yet completed */
    uint64_t done, computed, reused, failed;
    struct loom_sweeps *sweeps;   /* steps that are put aside for one; see sweep.c */
    uint64_t swept, sweep_passes; /* steps whose results were counted in one pass with others', and such passes */
    uint64_t fused, passes;       /* nodes that were computed together with others, and in how many tasks */
    loom_hold *holds;             /* of items of stored sequences, to the end of the run */
    uint32_t hold_count, hold_capacity;
    loom_extent_writer *writer; /* for stored results that must be made mappable; NULL until needed */
    uint64_t oom_kills;         /* of this cgroup and machine, as last looked at */
    bool out_of_space;          /* a step failed for lack of room: others would */
    struct loom_condemned {     /* tasks that killed too many workers, and still have readers; see bury.c */
        uint32_t task, attempt; /* of that task: its slot may be another's by then */
        loom_error cause;
    } * condemned;
    uint32_t condemned_count, condemned_capacity;
    uint32_t *withdrawn; /* tasks that were taken back, whose links finishers may still walk over; see lost.c */
    uint32_t withdrawn_count, withdrawn_capacity;
    uint32_t deaths, idle_deaths; /* of workers; of those that ran nothing, since one last finished a task */
    loom_profiling *profiling;    /* NULL: nobody asks */
};

/* ---- run.c ---- */
/* Checks the plan and opens the store. Close it also after an error. */
loom_status loom_session_open(loom_session *session, const loom_run_options *options, loom_preview *preview,
                              loom_error *err);
void loom_session_close(loom_session *session);

/* ---- lower.c ---- */
/* The step of a plan node in a context (a domain step, or LOOM_STEP_NONE). */
loom_status loom_lower(loom_session *session, loom_node_index node, uint32_t context, uint32_t *step, loom_error *err);
/* Lowers what the goals will need of the plan as it is, closed nodes that no loop hides, and settles it: in order of
 * node numbers, so that each step's arguments are still in the cache. What it leaves, and why, loom_lower finds out. */
loom_status loom_lower_plan(loom_session *session, loom_error *err);
/* The operator of a primitive node, on arguments in the same context; `step` is new. */
loom_status loom_lower_operator(loom_session *session, loom_node_index node, uint32_t context, uint32_t *step,
                                loom_error *err);
/* A step of an internal operator ("loom.save"); it settles like any other. Messages about it name the plan node
 * `blame`. */
loom_status loom_lower_internal(loom_session *session, const char *name, const uint32_t *arguments, uint32_t count,
                                loom_node_index blame, uint32_t *step, loom_error *err);
/* The step that gives the domain of an image step, for the node `user`. */
loom_status loom_lower_domain(loom_session *session, uint32_t image, loom_node_index user, uint32_t *domain,
                              loom_error *err);
/* The domain of an open node that meets no image: that of the program's inputs, which must all agree. */
loom_status loom_lower_program_domain(loom_session *session, loom_node_index user, uint32_t *domain, loom_error *err);

/* ---- shape.c ---- */
/* True for operators whose result is given by separate items: for, map, filter, sequence, and index or slices of those.
 */
loom_status loom_is_expandable(loom_session *session, loom_node_index node, bool *expandable);

/* ---- expand.c ---- */
/* Tries to find the items of a pending step and turn it into an alias; if values are missing, the step waits for them.
 */
loom_status loom_expand(loom_session *session, uint32_t step, loom_error *err);
/* The step becomes an alias of another: whoever waits for it now waits for that. */
loom_status loom_become(loom_session *session, uint32_t step, uint32_t target, loom_error *err);

/* ---- settle.c ---- */
loom_status loom_work_add(loom_session *session, uint32_t step);
/* Settles a step all of whose arguments are settled: finds its key and asks the store. */
loom_status loom_settle(loom_session *session, uint32_t step, loom_error *err);
/* Does all that can be done without waiting. */
loom_status loom_work_drain(loom_session *session, loom_error *err);
/* Somebody needs the step's value: it is stored, or will be computed. */
loom_status loom_demand(loom_session *session, uint32_t step, loom_error *err);
/* Tells users of a step. */
loom_status loom_announce(loom_session *session, uint32_t step, loom_event event);
/* A stored value turned out to be missing (`why` LOOM_NOT_FOUND) or damaged: its step is SETTLED again, to be demanded;
 * or FAILED, if it is an item of a stored sequence, which nobody can compute. A damaged one is deleted. */
loom_status loom_recompute(loom_session *session, uint32_t step, loom_status why, loom_error *err);

/* ---- engage.c ---- */
/* Creates the segment and starts the committer and the workers, once: when there is something to compute. */
loom_status loom_engage(loom_session *session, loom_error *err);

/* ---- submit.c ---- */
/* Hands a settled step, and what it needs, to the workers: as much as there is room for now, the rest bit by bit. */
loom_status loom_submit(loom_session *session, uint32_t step, loom_error *err);
/* Goes on with it. Call it when tasks have ended. */
loom_status loom_submit_more(loom_session *session, loom_error *err);
bool loom_submission_is_over(const loom_session *session);
/* Steps were just given back: some of them may wait to be submitted, for users that have failed meanwhile. */
void loom_submission_forget(loom_session *session);

/* ---- priority.c ---- */
/* Gives all steps that have none their levels; `step` is about to be submitted. LOOM_NO_MEMORY. */
loom_status loom_find_levels(loom_session *session, uint32_t step);
/* Nanoseconds of the longest path of estimated cost from the step's beginning to a goal's end; 0: not known. */
uint64_t loom_level_of(const loom_session *session, uint32_t step);
/* Sorts steps by their levels, the most critical last; equal ones stay in order. */
void loom_order_by_level(const loom_session *session, uint32_t *steps, size_t count);
/* A level as loom_task.priority: greater for a greater one, or equal. */
uint16_t loom_level_class(uint64_t level_ns);
void loom_levels_free(loom_levels *levels);

/* ---- place.c ---- */
/* Assigns the steps known so far to NUMA domains. */
loom_status loom_place(loom_session *session, uint32_t domains, const uint32_t *share, loom_error *err);
/* Bytes that flow from a step to one that uses it, estimated. */
uint64_t loom_step_bytes(loom_session *session, uint32_t step);
/* The NUMA domain of a step; what appeared after placement follows its arguments. */
uint16_t loom_session_domain(const loom_session *session, uint32_t step);

/* ---- bury.c ---- */
/* After a worker's death: its task runs again or, when it killed too many, fails; a new process takes its place. */
loom_status loom_bury(loom_session *session, const loom_death *death, loom_error *err);
/* Fails those of them whose arguments nobody reads any more; call it often. */
void loom_fail_condemned(loom_session *session);
/* While the run ends: what dead workers held is recovered, since others may wait for a part of their task that one of
 * them had taken. Nobody takes their places. */
void loom_recover_last(loom_session *session);

/* ---- stall.c ---- */
/* Tells of workers that have waited for another run, or run one node, for long; call it some times a second. */
void loom_tell_stalls(loom_session *session);
/* Nothing runs, nothing can, and goals are open: an error that says who waits for what, instead of a hang. */
loom_status loom_no_progress(const loom_session *session, loom_error *err);

/* ---- complete.c ---- */
loom_status loom_complete(loom_session *session, uint32_t task, loom_error *err);
/* Adds to the list of what failed by itself. LOOM_NO_MEMORY. */
loom_status loom_add_failure(loom_session *session, const loom_error *cause, uint32_t *failure);
/* The step fails for a reason of its own (recorded once) and takes its users with it. */
loom_status loom_step_fails(loom_session *session, uint32_t step, const loom_error *cause);
/* The step is not run because something it needs failed; nor is what uses it. */
loom_status loom_step_skipped(loom_session *session, uint32_t step, uint32_t failure);
/* Everything that uses the step is skipped for that reason. */
loom_status loom_fail_users(loom_session *session, uint32_t step, uint32_t failure);

/* ---- measure.c ---- */
/* A task was computed: what its kernel took, into the session's costs. */
void loom_measure(loom_session *session, uint32_t step);
/* Workers get to know what is known of costs. After the segment was made. */
void loom_tell_costs(loom_session *session);
/* What a step will take, by its operator; 0 for a constant. */
uint64_t loom_step_cost_ns(loom_session *session, uint32_t step);
/* Whether its value is an image, as far as that is known before it is computed. */
bool loom_step_is_image(loom_session *session, uint32_t step);

/* ---- hold.c ---- */
/* Holds the bytes of a task that has just been computed; call it before the committer hears of the task. */
loom_status loom_hold_computed(loom_session *session, uint32_t step, const loom_task *task);
/* The same for a stored result that was copied to be mappable; the committer puts the copy in its place. */
loom_status loom_hold_fresh(loom_session *session, uint32_t step, uint32_t task, loom_error *err);
/* Keeps a hold to the end of the run. LOOM_NO_MEMORY: it has ended. */
loom_status loom_keep_hold(loom_session *session, loom_hold hold);
/* Holds the items that a stored sequence refers to, `depth` levels of sequences down, to the end of the run; compares
 * their bytes with their hashes if `verify`. LOOM_NOT_FOUND or LOOM_CORRUPT: the sequence must be gathered again. */
loom_status loom_hold_items(loom_session *session, const loom_value *sequence, int depth, bool verify, loom_error *err);
void loom_unhold_step(loom_session *session, uint32_t step);

/* ---- release.c; all LOOM_NO_MEMORY ---- */
/* The step will need its arguments: they stay until it has ended. Nothing, if it is counted already. */
loom_status loom_step_uses(loom_session *session, uint32_t step);
/* The step is an item of a sequence, which refers to it by what it is: it must be found under that. */
loom_status loom_step_becomes_item(loom_session *session, uint32_t step);
/* The step needs its arguments no more: those that nobody else needs are let go. */
loom_status loom_step_ends(loom_session *session, uint32_t step);
/* The step is DONE or FAILED; it ends, at once or when it is stored. */
loom_status loom_task_ended(loom_session *session, uint32_t step);
/* Queues a computed step's result for the store, if it is one to be kept there. */
loom_status loom_store_step(loom_session *session, uint32_t step);
/* An entry that reads the step's task was given to the committer. */
void loom_commit_queued(loom_session *session, uint32_t step);
/* What the committer has stored, and what waited for completions that have come, may go. */
loom_status loom_release_stored(loom_session *session);
loom_status loom_release_late(loom_session *session);

/* ---- lost.c ---- */
/* The task of `user` failed because the bytes of its argument with that id are damaged or gone. *again: the argument is
 * computed again, and the task and all behind it were handed out anew; else the step fails. */
loom_status loom_argument_lost(loom_session *session, uint32_t user, const loom_id *vid, bool *again, loom_error *err);
/* Slots of tasks that were taken back for that are used again, as soon as nobody can walk over their links. */
loom_status loom_release_withdrawn(loom_session *session);

/* ---- blame.c ---- */
/* If `user` gathers the items of a loop and `step` is one of them, the failure's message names the item. */
void loom_blame_item(loom_session *session, uint32_t failure, uint32_t step, uint32_t user);
/* The same for what is above a step that has failed already, for another reason, so that nobody goes there again. */
void loom_blame_items_above(loom_session *session, uint32_t failure, uint32_t step);

/* ---- blame_calls.c ---- */
/* "in f called at p.imgql:12:5, in g called at p.imgql:20:1", innermost first, long chains shortened; "" for 0. */
void loom_describe_calls(const loom_plan *plan, uint32_t calls, char *text, size_t capacity);
/* The message of the failure of `step` names the functions in which its node was made. */
void loom_blame_calls(loom_session *session, uint32_t failure, uint32_t step);
/* Lists them in the failure. LOOM_NO_MEMORY. */
loom_status loom_report_calls(const loom_plan *plan, loom_failure *failure, loom_arena *arena);

#define LOOM_NESTING_MAX 4 /* of sequences within a sequence; as deep as a worker looks for an item */

/* ---- value.c ---- */
/* The value of a step that is a constant. */
const loom_value *loom_step_constant(const loom_session *session, const loom_step *step);
/* The value of a DONE step, in the arena; images come without voxels. LOOM_NOT_FOUND or LOOM_CORRUPT: recompute it. */
loom_status loom_step_value(loom_session *session, uint32_t step, loom_arena *arena, loom_value *value,
                            loom_error *err);
/* The row of a step that is `stored`. An item of a sequence that this run has just computed may still be on its way to
 * the store: then waits for the committer. Held when it returns, until loom_unhold_step. LOOM_NOT_FOUND: it is gone. */
loom_status loom_step_find_stored(loom_session *session, uint32_t step, loom_arena *arena, loom_result *result,
                                  loom_error *err);
/* "vox1.near 3fa9b2c1" and the source position, for messages. */
void loom_describe_step(const loom_session *session, uint32_t step, loom_error *err);
/* Encoded attributes of a step (a fold's operator); empty if none. Caller frees the buffer. */
loom_status loom_step_attributes(const loom_session *session, uint32_t step, loom_buffer *out);

/* ---- goals.c ---- */
loom_status loom_goals_start(loom_session *session, loom_error *err);
/* Prints and saves what can be, in program order. */
loom_status loom_goals_advance(loom_session *session, loom_error *err);
loom_status loom_goals_report(loom_session *session, loom_summary *summary);

/* ---- keep.c ---- */
/* Reads the values of the goals that are met into options->kept, which takes the store over. */
loom_status loom_keep_goals(loom_session *session, loom_error *err);

/* ---- audit.c: a run with options->audit, see audit.h ---- */
/* Draws the sample and demands it; in place of goals. */
loom_status loom_audit_start(loom_session *session, loom_error *err);
/* A step was computed: compares it with what is stored, in place of storing it. */
loom_status loom_audit_compare(loom_session *session, uint32_t step);
bool loom_audit_is_over(const loom_session *session);
/* What failed, when it is over. */
void loom_audit_finish(loom_session *session);

/* ---- record.c ---- */
/* Tells the store which results met the goals of this run, unless it knows. */
loom_status loom_record_goals(loom_session *session, loom_error *err);

#endif
