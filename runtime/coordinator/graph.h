/* graph.h - the run's graph: plan nodes, instantiated per domain and with loops expanded.
 *
 * A *step* is one operator application (or constant) that the run may need; steps are numbered densely and refer to
 * each other by number. Several steps may stand for one plan node (one per domain), and a loop's step becomes an
 * *alias* of the sequence of its items once they are known. The graph belongs to the coordinator's main thread. */
#ifndef LOOM_RUNTIME_GRAPH_H
#define LOOM_RUNTIME_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/plan.h"
#include "shm/arena.h"
#include "shm/id.h"
#include "shm/operator.h"
#include "shm/status.h"

#define LOOM_STEP_NONE UINT32_MAX

/* A step moves downwards in this list; back to SETTLED only when its value, or its task, has gone (settle.c, lost.c).
 */
typedef enum loom_step_state {
    LOOM_STEP_PENDING, /* a loop: its items are not known yet */
    LOOM_STEP_WAITING, /* some argument is not settled */
    LOOM_STEP_SETTLED, /* keyed as far as can be told now; not in the store */
    LOOM_STEP_TASK,    /* handed to the workers */
    LOOM_STEP_DONE,    /* its value is known: a constant, stored, or computed */
    LOOM_STEP_FAILED
} loom_step_state;

typedef struct loom_step {
    const loom_operator *op; /* NULL for constants and pending loops */
    uint32_t *arguments;     /* steps; owned by the graph */
    uint32_t argument_count;
    loom_node_index node;       /* plan node that it stands for; LOOM_NODE_NONE for internal steps */
    loom_node_index blame;      /* plan node to name in messages; differs from `node` for internal steps */
    const loom_value *constant; /* the value, where the plan does not have it: a loop's element; of an operator its
                                   attributes, where the plan does not have them; else NULL */
    uint32_t context;           /* domain step in which it was instantiated, or LOOM_STEP_NONE */
    uint32_t domain_source;     /* step of the image that fixes its domain; itself by default */
    uint32_t alias;             /* step that it became; LOOM_STEP_NONE if it is itself */
    uint32_t users;             /* list of links: who must hear of it */
    uint32_t takes;             /* list of links: what its task takes in place of its arguments; see fuse.h */
    uint32_t waits;             /* what it still has to hear of */
    uint32_t task;              /* in the segment; LOOM_TASK_NONE while there is none */
    uint32_t failure;           /* when FAILED: which of the session's failures is the cause */
    uint32_t hold;              /* of its bulk bytes in the store; 0 while nothing is held; see hold.c */
    uint32_t window;            /* of a loop, whose items it gathers: see loop.h; 0 = none */
    uint32_t owner;             /* window of whose items it is one, or a step of one; 0 = none */
    uint32_t open;              /* positions in which steps use it that have not ended; see release.c */
    uint32_t replay_us;         /* what computing it again takes, with what is not stored of that which it needs */
    uint32_t sweep;             /* step that counts its result together with others'; 0 = none; see sweep.h */
    uint16_t swept;             /* its position there, from 1 */
    uint8_t state;              /* loom_step_state */
    uint8_t type;               /* loom_type of the value, once known */
    uint8_t losses;             /* times that its bytes were found damaged while the run used them */
    bool has_rkey, has_vid;
    bool stored;            /* the value is in the store */
    bool released;          /* this run computed or found it, and let it go again */
    bool unstored;          /* this run computed it and did not store it */
    bool kept;              /* held to the end: a goal, a value that decides how a loop expands */
    bool item;              /* of a sequence, through which it is reached: held to the end if it is large */
    bool uses;              /* counted in its arguments' `open` */
    bool late;              /* its task has ended before one of its arguments' was known to have */
    bool demanded;          /* somebody needs the value */
    uint8_t queued_commits; /* entries of the committer that read its task */
    bool queued;            /* in the session's work list */
    bool fused;             /* without a task: its users' tasks compute it, each for itself (fuse.h) */
    bool aside;             /* it waits for others to be handed out with it, or needs one that does; see sweep.h */
    bool unswept;           /* it is not to be put aside for a sweep any more */
    bool unnamed;           /* stands for one item of many of its node: not stored under the node's id */
    loom_id rkey, vid;
} loom_step;

/* What a user wants to hear of. */
typedef enum loom_event {
    LOOM_EVENT_SETTLED,
    LOOM_EVENT_VALUE,
    LOOM_EVENT_FAILURE /* only if the step fails: nothing to wait for */
} loom_event;

typedef struct loom_link {
    uint32_t user;
    uint32_t next : 30; /* 0 ends the list */
    uint32_t event : 2; /* loom_event */
} loom_link;

typedef struct loom_graph_run {
    loom_step *steps;
    uint32_t step_count, step_capacity;
    uint32_t free_steps; /* list of steps that were given back, by `alias`; LOOM_STEP_NONE ends it */
    loom_link *links;    /* entry 0 is unused */
    uint32_t link_count, link_capacity;
    uint32_t free_links; /* list; 0 ends it */
    uint64_t operators;  /* steps with an operator that became no other's alias, ever: given back or not */
    loom_arena *arena;
} loom_graph_run;

loom_status loom_graph_init(loom_graph_run *graph);
void loom_graph_release(loom_graph_run *graph);

/* A new step in state WAITING that waits for nothing; arguments are copied. Pointers to steps are invalid after it. */
loom_status loom_graph_add(loom_graph_run *graph, const loom_operator *op, const uint32_t *arguments,
                           uint32_t argument_count, uint32_t *step);
/* The same, but the arguments stay the caller's, who keeps them as long as the step. Takes a number that was given
 * back, if there is one. */
loom_status loom_graph_add_borrowing(loom_graph_run *graph, const loom_operator *op, uint32_t *arguments,
                                     uint32_t argument_count, uint32_t *step);
/* Gives a step and its list of users back, for another step to have its number. Nothing may refer to it any more:
 * neither as an argument nor as an alias, and no list of users but those of steps that are given back as well. */
void loom_graph_give_back(loom_graph_run *graph, uint32_t step);
/* Whether that was done, and its number is not another step's yet. */
bool loom_graph_was_given_back(const loom_graph_run *graph, uint32_t step);
/* Takes `link` out of the users of `step`; `before` is the one before it, 0 if it is the first. */
void loom_graph_unlink(loom_graph_run *graph, uint32_t step, uint32_t before, uint32_t link);
/* `user` hears of an event of `step`, and waits for it unless it is its failure. */
loom_status loom_graph_link(loom_graph_run *graph, uint32_t step, uint32_t user, loom_event event);
/* Adds a step to a list of steps, whose head is *list; takes one out, LOOM_STEP_NONE if there is none. */
loom_status loom_graph_list_add(loom_graph_run *graph, uint32_t *list, uint32_t step);
uint32_t loom_graph_list_take(loom_graph_run *graph, uint32_t *list);
/* Follows aliases to the step that stands for it now. */
uint32_t loom_graph_resolve(const loom_graph_run *graph, uint32_t step);

#endif
