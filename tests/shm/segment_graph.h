/* segment_graph.h - test graphs for the shared segment: made from a seed, evaluated one task after the other by a loop
 * that knows nothing of segments, and run in worker processes. */
#ifndef LOOM_TESTS_SEGMENT_GRAPH_H
#define LOOM_TESTS_SEGMENT_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/segment/segment.h"

/* Node i takes the values of nodes arguments[first[i]] .. arguments[first[i + 1] - 1], all below i. */
typedef struct test_graph {
    uint32_t count;
    uint32_t *first;
    uint32_t *arguments;
    int64_t *expected; /* by the sequential loop */
    const char *name;
} test_graph;

test_graph graph_chain(uint32_t length);
test_graph graph_stencil(uint32_t width, uint32_t rows);
test_graph graph_fan_in(uint32_t leaves);
test_graph graph_fan_out(uint32_t leaves);
test_graph graph_diamonds(uint32_t count); /* each: one node, two over it, one over both */
test_graph graph_doubles(uint32_t length); /* x + x */
test_graph graph_fork_join(uint32_t width, uint32_t rounds);
test_graph graph_random(uint32_t count, uint32_t degree_max, uint64_t seed);
void graph_free(test_graph *graph);

uint64_t next_random(uint64_t *seed); /* splitmix64 */

/* The "kernel": an int64 from a node's number and its arguments' values. */
int64_t node_value(uint32_t node, const int64_t *arguments, uint32_t count);

typedef struct run_options {
    uint32_t workers;
    uint32_t deque_slots; /* 0 = default */
    uint32_t
        submitted_first; /* nodes submitted before the first completion is read; the rest one by one as others finish */
    uint32_t kills;      /* random SIGKILLs, sent after random numbers of completions */
    uint64_t seed;
    bool exec;                /* workers are executed programs, not only forked */
    uint32_t pause_reading;   /* completions are first read when this many nodes are done */
    uint32_t put_back_one_in; /* of so many tasks, workers put one back when they first take it; 0 = none */
    bool commits;             /* memory is committed for each result, and tasks are held back instead of put back */
    uint32_t joint_pause_us;  /* nodes with more than two arguments take this long */
    uint32_t tasks_max; /* 0: a slot for every node. Else: tasks are freed as soon as they may be, and the graph runs
                           in so many slots; nodes are submitted while there are slots */
    void (*in_worker)(uint32_t incarnation); /* called in each forked worker before it starts: arms a probe */
} run_options;

typedef struct run_result {
    uint64_t segment_bytes;
    uint32_t deaths;     /* workers that died */
    uint32_t reruns;     /* tasks claimed more than once; not counted where slots are used again */
    uint32_t duplicates; /* completions seen more than once */
} run_result;

/* Runs the graph and checks every value, state and completion with cmocka's assertions. */
run_result run_graph(const test_graph *graph, const run_options *options);

/* What a worker does with a task whose cookie is its node: every third value goes to the heap. False: an argument has
 * no value, so it ran too early. */
bool graph_compute(loom_segment *segment, uint32_t index);
/* The value of a finished task; false if it has none. */
bool graph_value(const loom_segment *segment, const loom_task *task, int64_t *value);

/* Frees tasks as early as the rules of loom_task_free allow. */
typedef struct graph_slots {
    const test_graph *graph;
    loom_segment *segment;
    uint32_t *slots; /* of each node; LOOM_TASK_NONE: not submitted, or freed */
    uint32_t *users; /* nodes that take its value and are not finished */
    bool *finished;
    uint32_t *late; /* finished before the completions of all its arguments had come */
    uint32_t late_count;
} graph_slots;
void slots_begin(graph_slots *slots, const test_graph *graph, loom_segment *segment);
/* The next node becomes a task; false if the segment is full. */
bool slots_submit(graph_slots *slots, uint32_t node);
/* The completion of a node was taken. */
void slots_finished(graph_slots *slots, uint32_t node);
void slots_end(graph_slots *slots);

/* The loop of a worker process; never returns. */
_Noreturn void worker_main(int fd, uint32_t worker, const run_options *options);
/* Call first in main: if this process was executed as a worker it never returns. */
void become_worker_if_asked(int argc, char **argv);

extern const uint8_t test_signature[32];

#endif
