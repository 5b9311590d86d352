/* segment_graph.c - see segment_graph.h. */
#include "segment_graph.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 2 /* how soon a death is noticed */
#define TAKE_MS 200
#define RUN_LIMIT_S 60 /* then the run hangs: fail */

const uint8_t test_signature[32] = {1, 2, 3, 4, 5, 6, 7, 8};

uint64_t next_random(uint64_t *seed) {
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- graphs ---- */

int64_t node_value(uint32_t node, const int64_t *arguments, uint32_t count) {
    uint64_t value = (uint64_t)node * 2654435761u + 12345;
    for (uint32_t i = 0; i < count; i++)
        value = (value << 7 | value >> 57) + (uint64_t)arguments[i] * (2 * i + 3);
    return (int64_t)value;
}

static test_graph new_graph(const char *name, uint32_t count, size_t edges) {
    test_graph made = {.count = count, .name = name};
    made.first = calloc(count + 1, sizeof *made.first);
    made.arguments = calloc(edges + 1, sizeof *made.arguments);
    made.expected = calloc(count, sizeof *made.expected);
    assert_true(made.first && made.arguments && made.expected);
    return made;
}

static uint32_t *begin(test_graph *made, uint32_t node, uint32_t count) {
    made->first[node + 1] = made->first[node] + count;
    return &made->arguments[made->first[node]];
}

static test_graph evaluated(test_graph made) {
    for (uint32_t node = 0; node < made.count; node++) {
        uint32_t count = made.first[node + 1] - made.first[node];
        int64_t *values = calloc(count + 1, sizeof *values);
        assert_non_null(values);
        for (uint32_t i = 0; i < count; i++)
            values[i] = made.expected[made.arguments[made.first[node] + i]];
        made.expected[node] = node_value(node, values, count);
        free(values);
    }
    return made;
}

test_graph graph_chain(uint32_t length) {
    test_graph made = new_graph("chain", length, length);
    begin(&made, 0, 0);
    for (uint32_t node = 1; node < length; node++)
        begin(&made, node, 1)[0] = node - 1;
    return evaluated(made);
}

test_graph graph_stencil(uint32_t width, uint32_t rows) {
    test_graph made = new_graph("stencil", width * rows, (size_t)3 * width * rows);
    for (uint32_t node = 0; node < width * rows; node++) {
        uint32_t row = node / width, column = node % width;
        uint32_t *at = begin(&made, node, row ? 3 : 0);
        if (!row) continue;
        at[0] = (row - 1) * width + (column + width - 1) % width;
        at[1] = (row - 1) * width + column;
        at[2] = (row - 1) * width + (column + 1) % width;
    }
    return evaluated(made);
}

test_graph graph_fan_in(uint32_t leaves) {
    test_graph made = new_graph("fan-in", leaves + 1, leaves);
    for (uint32_t node = 0; node < leaves; node++)
        begin(&made, node, 0);
    uint32_t *at = begin(&made, leaves, leaves);
    for (uint32_t i = 0; i < leaves; i++)
        at[i] = i;
    return evaluated(made);
}

test_graph graph_fan_out(uint32_t leaves) {
    test_graph made = new_graph("fan-out", leaves + 1, leaves);
    begin(&made, 0, 0);
    for (uint32_t node = 1; node <= leaves; node++)
        begin(&made, node, 1)[0] = 0;
    return evaluated(made);
}

test_graph graph_diamonds(uint32_t count) {
    test_graph made = new_graph("diamonds", 3 * count + 1, (size_t)4 * count);
    begin(&made, 0, 0);
    for (uint32_t i = 0; i < count; i++) {
        begin(&made, 3 * i + 1, 1)[0] = 3 * i;
        begin(&made, 3 * i + 2, 1)[0] = 3 * i;
        uint32_t *at = begin(&made, 3 * i + 3, 2);
        at[0] = 3 * i + 1;
        at[1] = 3 * i + 2;
    }
    return evaluated(made);
}

test_graph graph_doubles(uint32_t length) {
    test_graph made = new_graph("doubles", length, (size_t)2 * length);
    begin(&made, 0, 0);
    for (uint32_t node = 1; node < length; node++) {
        uint32_t *at = begin(&made, node, 2);
        at[0] = at[1] = node - 1;
    }
    return evaluated(made);
}

test_graph graph_fork_join(uint32_t width, uint32_t rounds) {
    test_graph made = new_graph("fork-join", rounds * (width + 1) + 1, (size_t)2 * rounds * width);
    begin(&made, 0, 0);
    uint32_t node = 1, source = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < width; i++)
            begin(&made, node++, 1)[0] = source;
        uint32_t *at = begin(&made, node, width);
        for (uint32_t i = 0; i < width; i++)
            at[i] = node - width + i;
        source = node++;
    }
    return evaluated(made);
}

test_graph graph_random(uint32_t count, uint32_t degree_max, uint64_t seed) {
    test_graph made = new_graph("random", count, (size_t)count * degree_max);
    for (uint32_t node = 0; node < count; node++) {
        uint64_t dice = next_random(&seed);
        uint32_t degree = node == 0 || dice % 13 == 0 ? 0 : (uint32_t)(dice >> 8) % 4;
        if (dice % 97 == 1 && node > 0)
            degree = (uint32_t)(dice >> 8) % degree_max; /* some wide ones: several words of bits */
        uint32_t *at = begin(&made, node, degree);
        for (uint32_t i = 0; i < degree; i++) {
            uint64_t back =
                next_random(&seed) % (i % 2 ? node : (node < 50 ? node : 50)); /* mostly near, some far, some twice */
            at[i] = node - 1 - (uint32_t)back;
        }
    }
    return evaluated(made);
}

void graph_free(test_graph *graph) {
    free(graph->first);
    free(graph->arguments);
    free(graph->expected);
}

/* ---- workers ---- */

static void pause_us(uint32_t us) {
    if (us) nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

bool graph_value(const loom_segment *segment, const loom_task *task, int64_t *value) {
    size_t length = task->inline_bytes;
    const void *bytes = length ? task->inline_payload : loom_segment_get(segment, task->payload, &length);
    if (!bytes || length != sizeof *value) return false;
    memcpy(value, bytes, sizeof *value);
    return true;
}

bool graph_compute(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    const uint32_t *arguments = loom_segment_pointer(segment, task->arguments);
    int64_t *values = calloc(task->argument_count + 1, sizeof *values);
    bool known = values != NULL;
    for (uint32_t i = 0; known && i < task->argument_count; i++) {
        const loom_task *argument = loom_segment_task(segment, arguments[i]);
        known = argument && graph_value(segment, argument, &values[i]);
    }
    int64_t value = known ? node_value(task->cookie, values, task->argument_count) : 0;
    free(values);
    task->payload = task->inline_bytes = 0; /* of an attempt that was cut off */
    if (task->cookie % 3 == 0) {
        task->payload = loom_segment_put(segment, &value, sizeof value);
        known = known && task->payload != 0;
    } else {
        memcpy(task->inline_payload, &value, sizeof value);
        task->inline_bytes = sizeof value;
    }
    task->origin = LOOM_ORIGIN_COMPUTED;
    return known;
}

static void compute(loom_segment *segment, uint32_t index, uint32_t joint_pause_us) {
    if (!graph_compute(segment, index)) _exit(4); /* ran before its argument: seen by the parent as a death */
    if (loom_segment_task(segment, index)->argument_count > 2) pause_us(joint_pause_us);
}

#define RESULT_BYTES 4096u /* committed for each result, with options.commits */

/* As a worker does that finds no room for a result: only the first time, so that the run ends. */
static bool puts_back(const loom_segment *segment, uint32_t index, uint32_t one_in) {
    uint64_t attempt = atomic_load(&loom_segment_task(segment, index)->state) >> 24;
    return one_in > 0 && index % one_in == 0 && attempt % 2 == 1;
}

void worker_main(int fd, uint32_t worker, const run_options *options) {
    loom_segment *segment;
    loom_error err;
    pid_t parent = getppid();
    if (loom_segment_attach(fd, worker, test_signature, &segment, &err) != LOOM_OK) _exit(2);
    for (bool stopped = false; !stopped;) {
        uint32_t index = loom_task_take(segment, TAKE_MS, &stopped);
        if (index == LOOM_TASK_NONE) {
            if (getppid() != parent) _exit(6); /* the test failed or was killed */
            continue;
        }
        if (options->commits && !loom_segment_commit_bytes(segment, 3 * RESULT_BYTES, UINT64_MAX)) _exit(7);
        if (puts_back(segment, index, options->put_back_one_in)) {
            if (options->commits)
                loom_task_hold_back(segment, index, RESULT_BYTES);
            else
                loom_task_put_back(segment, index);
            continue;
        }
        compute(segment, index, options->joint_pause_us);
        if (options->commits) loom_segment_keep_bytes(segment, RESULT_BYTES);
        loom_task_finish(segment, index, LOOM_TASK_DONE);
    }
    loom_segment_close(segment);
    _exit(0);
}

static const char *program; /* of this test: what an executed worker runs */

void become_worker_if_asked(int argc, char **argv) {
    program = argv[0];
    if (argc == 4 && strcmp(argv[1], "--segment-worker") == 0)
        worker_main(atoi(argv[2]), (uint32_t)atoi(argv[3]), &(run_options){0});
}

/* ---- freeing ---- */

void slots_begin(graph_slots *slots, const test_graph *graph, loom_segment *segment) {
    *slots = (graph_slots){.graph = graph, .segment = segment};
    slots->slots = malloc(graph->count * sizeof *slots->slots);
    slots->users = calloc(graph->count, sizeof *slots->users);
    slots->finished = calloc(graph->count, sizeof *slots->finished);
    slots->late = malloc(graph->count * sizeof *slots->late);
    assert_true(slots->slots && slots->users && slots->finished && slots->late);
    memset(slots->slots, 0xff, graph->count * sizeof *slots->slots);
    for (uint32_t i = 0; i < graph->first[graph->count]; i++)
        slots->users[graph->arguments[i]]++;
}

bool slots_submit(graph_slots *slots, uint32_t node) {
    const test_graph *graph = slots->graph;
    uint32_t arguments[LOOM_ARGUMENTS_MAX], first = graph->first[node], count = graph->first[node + 1] - first, index;
    for (uint32_t i = 0; i < count; i++)
        arguments[i] = slots->slots[graph->arguments[first + i]];
    loom_error err = {0};
    loom_status status = loom_task_create(slots->segment, arguments, count, &index, &err);
    if (status == LOOM_NO_MEMORY) return false;
    assert_int_equal(status, LOOM_OK);
    loom_segment_task(slots->segment, index)->cookie = node;
    slots->slots[node] = index;
    assert_int_equal(loom_task_submit(slots->segment, index, &err), LOOM_OK);
    return true;
}

static bool arguments_finished(const graph_slots *slots, uint32_t node) {
    for (uint32_t i = slots->graph->first[node]; i < slots->graph->first[node + 1]; i++)
        if (!slots->finished[slots->graph->arguments[i]]) return false;
    return true;
}

static void free_if_unused(graph_slots *slots, uint32_t node) {
    if (slots->users[node] || !slots->finished[node] || slots->slots[node] == LOOM_TASK_NONE) return;
    if (!arguments_finished(slots, node)) {
        slots->late[slots->late_count++] = node;
        return;
    }
    assert_int_equal(loom_task_free(slots->segment, slots->slots[node]), LOOM_OK);
    slots->slots[node] = LOOM_TASK_NONE;
}

void slots_finished(graph_slots *slots, uint32_t node) {
    slots->finished[node] = true;
    free_if_unused(slots, node);
    for (uint32_t i = slots->graph->first[node]; i < slots->graph->first[node + 1]; i++) {
        slots->users[slots->graph->arguments[i]]--;
        free_if_unused(slots, slots->graph->arguments[i]);
    }
    uint32_t count = slots->late_count;
    slots->late_count = 0;
    for (uint32_t i = 0; i < count; i++)
        free_if_unused(slots, slots->late[i]);
}

void slots_end(graph_slots *slots) {
    free(slots->slots);
    free(slots->users);
    free(slots->finished);
    free(slots->late);
}

/* ---- running ---- */

typedef struct test_run {
    const test_graph *graph;
    const run_options *options;
    loom_segment *segment;
    graph_slots slots; /* with options->tasks_max */
    int64_t *values;   /* as they came */
    pid_t workers[LOOM_WORKERS_MAX];
    uint32_t incarnations;
    uint8_t *seen;
    uint32_t finished, submitted;
    uint32_t kills, next_kill; /* kills left, and after how many finished nodes the next one is due */
    uint64_t seed;
    run_result result;
} test_run;

static void start_worker(test_run *run, uint32_t worker) {
    uint32_t incarnation = run->incarnations++;
    int fd = dup(loom_segment_fd(run->segment)); /* inherited by an executed program: dup clears close-on-exec */
    assert_true(fd >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (run->options->exec) {
            char fd_text[16], worker_text[16];
            snprintf(fd_text, sizeof fd_text, "%d", fd);
            snprintf(worker_text, sizeof worker_text, "%u", worker);
            execl(program, program, "--segment-worker", fd_text, worker_text, (char *)NULL);
            _exit(5);
        }
        if (run->options->in_worker) run->options->in_worker(incarnation);
        worker_main(fd, worker, run->options);
    }
    close(fd);
    run->workers[worker] = pid;
}

/* False if there is no slot for it now. */
static bool submit_next(test_run *run) {
    const test_graph *graph = run->graph;
    uint32_t node = run->submitted, index;
    if (node == graph->count) return false;
    if (run->options->tasks_max) {
        bool submitted = slots_submit(&run->slots, node);
        run->submitted += submitted;
        return submitted;
    }
    loom_error err = {0};
    uint32_t count = graph->first[node + 1] - graph->first[node];
    assert_int_equal(loom_task_create(run->segment, &graph->arguments[graph->first[node]], count, &index, &err),
                     LOOM_OK);
    assert_int_equal(index, node); /* node numbers are task numbers */
    loom_segment_task(run->segment, index)->cookie = node;
    assert_int_equal(loom_task_submit(run->segment, index, &err), LOOM_OK);
    run->submitted++;
    return true;
}

static void kill_someone(test_run *run) {
    kill(run->workers[next_random(&run->seed) % run->options->workers], SIGKILL);
    run->kills--;
    run->next_kill = run->finished + (uint32_t)(next_random(&run->seed) % (run->graph->count / run->options->kills));
}

/* Stops early when it killed somebody, so that kills do not all hit the same dead workers. */
static void read_completions(test_run *run) {
    uint32_t index;
    while (loom_completion_pop(run->segment, &index)) {
        const loom_task *task = loom_segment_task(run->segment, index);
        assert_non_null(task);
        uint32_t node = task->cookie;
        assert_true(node < run->graph->count);
        if (run->options->commits && (atomic_load(&task->state) & 0xff) != LOOM_TASK_DONE) {
            (void)loom_task_go_on(run->segment, index, loom_task_attempt(task),
                                  false); /* false: queued by a recovery as well, it runs already */
            continue;
        }
        assert_int_equal(atomic_load(&task->state) & 0xff, LOOM_TASK_DONE);
        if (run->seen[node]) {
            run->result.duplicates++;
            continue;
        }
        run->seen[node] = 1;
        run->finished++;
        assert_true(graph_value(run->segment, task, &run->values[node]));
        if (run->options->tasks_max) slots_finished(&run->slots, node);
        submit_next(run);
        if (run->kills > 0 && run->finished >= run->next_kill) {
            kill_someone(run);
            return;
        }
    }
}

/* A dead worker is recovered and replaced. */
static void bury_the_dead(test_run *run) {
    for (uint32_t worker = 0; worker < run->options->workers; worker++) {
        int status;
        if (waitpid(run->workers[worker], &status, WNOHANG) != run->workers[worker]) continue;
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        run->result.deaths++;
        uint32_t running;
        loom_segment_recover(run->segment, worker, &running);
        assert_true(running == LOOM_TASK_NONE || running < loom_segment_task_count(run->segment));
        start_worker(run, worker);
    }
}

static uint32_t count_done(const test_run *run) {
    uint32_t done = 0;
    for (uint32_t i = 0; i < run->submitted; i++)
        done += (atomic_load(&loom_segment_task(run->segment, i)->state) & 0xff) == LOOM_TASK_DONE;
    return done;
}

static void check_values(test_run *run) {
    for (uint32_t node = 0; node < run->graph->count; node++) {
        if (run->values[node] != run->graph->expected[node])
            fail_msg("%s: node %u is %lld, not %lld", run->graph->name, node, (long long)run->values[node],
                     (long long)run->graph->expected[node]);
        if (run->options->tasks_max) continue;
        uint64_t state = atomic_load(&loom_segment_task(run->segment, node)->state);
        assert_int_equal(state & 0xff, LOOM_TASK_DONE);
        assert_true(state >> 24 >= 1);
        run->result.reruns += state >> 24 > 1;
    }
    if (run->options->tasks_max) assert_int_equal(loom_segment_live(run->segment), 0);
    if (run->options->commits) /* one result a node, whoever died with how much */
        assert_int_equal(loom_segment_committed(run->segment) - loom_segment_used_bytes(run->segment),
                         (uint64_t)run->graph->count * RESULT_BYTES);
    if (run->result.deaths == 0) {
        assert_int_equal(run->result.reruns, 0);
        assert_int_equal(run->result.duplicates, 0);
    }
}

static void stop_workers(test_run *run) {
    loom_segment_stop(run->segment);
    for (uint32_t worker = 0; worker < run->options->workers; worker++) {
        int status;
        assert_int_equal(waitpid(run->workers[worker], &status, 0), run->workers[worker]);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        assert_true(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        run->result.deaths += killed;
    }
}

run_result run_graph(const test_graph *graph, const run_options *options) {
    test_run run = {.graph = graph, .options = options, .kills = options->kills, .seed = options->seed};
    loom_segment_options segment = {.workers = options->workers,
                                    .tasks_max = options->tasks_max ? options->tasks_max : graph->count,
                                    .heap_bytes = 64 << 20,
                                    .deque_slots = options->deque_slots};
    memcpy(segment.table_signature, test_signature, sizeof segment.table_signature);
    loom_error err = {0};
    assert_int_equal(loom_segment_create(&segment, &run.segment, &err), LOOM_OK);
    run.seen = calloc(graph->count, 1);
    run.values = calloc(graph->count, sizeof *run.values);
    assert_true(run.seen && run.values);
    slots_begin(&run.slots, graph, run.segment);
    for (uint32_t worker = 0; worker < options->workers; worker++)
        start_worker(&run, worker);

    uint32_t first = options->submitted_first ? options->submitted_first : graph->count;
    time_t limit = time(NULL) + RUN_LIMIT_S;
    while (run.submitted < first && submit_next(&run)) {
    }
    while (run.finished < graph->count) {
        if (time(NULL) > limit)
            fail_msg("%s hangs: %u of %u nodes finished, seed %llu", graph->name, run.finished, graph->count,
                     (unsigned long long)options->seed);
        if (run.finished == 0 && count_done(&run) < options->pause_reading) {
            pause_us(500);
        } else {
            loom_completion_wait(run.segment, WAIT_MS);
            read_completions(&run);
            while (options->tasks_max && submit_next(&run)) { /* several slots came free at once */
            }
        }
        bury_the_dead(&run);
    }
    stop_workers(&run);
    check_values(&run);
    run.result.segment_bytes = loom_segment_used_bytes(run.segment);
    loom_segment_close(run.segment);
    slots_end(&run.slots);
    free(run.seen);
    free(run.values);
    return run.result;
}
