/* bury.c - a worker has died: what it ran runs again, or fails when it killed too many; a new process takes its place.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/config_keys.h"
#include "runtime/coordinator/session.h"
#include "runtime/machine.h"
#include "shm/segment/signs.h"
#include "shm/segment/split.h"

/* What is known of a death. */
typedef struct circumstances {
    const loom_death *death;
    loom_offence offence;
    loom_fault fault;
    bool no_memory; /* the kernel killed some process for lack of memory since the last death */
} circumstances;

/* "by signal 9 (Killed)", "it ran for longer than 30s (workers.node_timeout)" */
static void describe_death(const loom_session *session, const circumstances *of, char *text, size_t capacity) {
    char limit[LOOM_DURATION_TEXT_BYTES];
    const loom_death *death = of->death;
    if (of->offence == LOOM_OFFENCE_OVERTIME) {
        loom_duration_text(session->config->workers.node_timeout_s, limit);
        snprintf(text, capacity, "killed because it ran one node for more than %s (workers.node_timeout)", limit);
    } else if (of->offence == LOOM_OFFENCE_SILENT) {
        loom_duration_text(session->config->workers.heartbeat_s, limit);
        snprintf(text, capacity, "killed because it gave no sign of life for %s (workers.heartbeat)", limit);
    } else if (of->fault.in == LOOM_FAULT_ARGUMENT || of->fault.in == LOOM_FAULT_RESULT) {
        snprintf(text, capacity, "signal %d, %s, at byte %llu of extent file %08x, in %s", death->signal,
                 strsignal(death->signal), (unsigned long long)of->fault.offset, of->fault.extent,
                 of->fault.in == LOOM_FAULT_ARGUMENT ? "an argument" : "the result");
    } else if (of->no_memory) {
        snprintf(text, capacity, "signal %d, %s, by the kernel: memory was short", death->signal,
                 strsignal(death->signal));
    } else if (death->signal) {
        snprintf(text, capacity, "signal %d, %s", death->signal, strsignal(death->signal));
    } else {
        snprintf(text, capacity, "exit status %d", death->status);
    }
}

/* What may help, by the way it died. */
static const char *remedy(const circumstances *of) {
    if (of->offence == LOOM_OFFENCE_OVERTIME) return "raise workers.node_timeout, or give the node less to do";
    if (of->offence == LOOM_OFFENCE_SILENT)
        return "see who stops the processes of this run, or raise workers.heartbeat";
    if (of->fault.in == LOOM_FAULT_ARGUMENT || of->fault.in == LOOM_FAULT_RESULT)
        return "the disk or the file is damaged: see `dmesg` and `voxloom store verify`";
    if (of->no_memory) return "lower memory.budget or workers.count, or raise the memory limit of the cgroup";
    if (of->death->signal == SIGKILL) return "memory may be too short";
    return "its input may be damaged or memory too short";
}

static void fail_task(loom_session *session, uint32_t number, const loom_error *cause) {
    const loom_task *task = loom_segment_task(session->segment, number);
    uint32_t index = task->cookie;
    if (!loom_task_fail(session->segment, number, LOOM_WORKER_DIED, cause)) return;
    /* The dead worker's claim is this run's: other runs would wait for it to the end of this one. */
    if (task->flags & LOOM_TASK_CLAIMED) loom_store_unclaim(session->store, &task->rkey);
    if (session->graph.steps[index].state == LOOM_STEP_TASK) session->in_flight--;
    session->graph.steps[index].state = LOOM_STEP_SETTLED;
    loom_step_fails(session, index, cause);
}

/* A task that killed too many workers fails. Nobody runs it from here on, but workers that helped the last attempt may
 * still read its arguments, which go with it: it fails when they are gone. */
static loom_status condemn(loom_session *session, uint32_t number, const circumstances *of) {
    char last[200];
    if (session->condemned_count == session->condemned_capacity) {
        uint32_t capacity = session->condemned_capacity ? session->condemned_capacity * 2 : 4;
        struct loom_condemned *grown = realloc(session->condemned, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->condemned = grown;
        session->condemned_capacity = capacity;
    }
    struct loom_condemned *added = &session->condemned[session->condemned_count++];
    const loom_task *task = loom_segment_task(session->segment, number);
    unsigned deaths = task->deaths;
    *added = (struct loom_condemned){.task = number, .attempt = loom_task_attempt(task)};
    describe_death(session, of, last, sizeof last);
    loom_fail(&added->cause, LOOM_WORKER_DIED, "%u worker%s died running it, the last: %s; %s", deaths,
              deaths == 1 ? "" : "s", last, remedy(of));
    return LOOM_OK;
}

void loom_fail_condemned(loom_session *session) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < session->condemned_count; i++) {
        struct loom_condemned *it = &session->condemned[i];
        /* Withdrawn meanwhile (lost.c), and its slot another task's, which has done nothing wrong. */
        if (loom_task_attempt(loom_segment_task(session->segment, it->task)) != it->attempt) continue;
        if (loom_split_is_read(session->segment, it->task))
            session->condemned[kept++] = *it;
        else
            fail_task(session, it->task, &it->cause);
    }
    session->condemned_count = kept;
}

static void tell(const loom_session *session, uint32_t running, const circumstances *of) {
    char line[640], how[200], where[300] = "";
    if (!session->options->notice) return;
    describe_death(session, of, how, sizeof how);
    if (running != LOOM_TASK_NONE) {
        loom_error place = {0};
        loom_describe_step(session, loom_segment_task(session->segment, running)->cookie, &place);
        snprintf(where, sizeof where, " in %.160s%s%.100s", place.node, place.line ? " of " : "", place.file);
        size_t used = strlen(where);
        if (place.line) snprintf(where + used, sizeof where - used, ":%u:%u", place.line, place.column);
    }
    snprintf(line, sizeof line, "worker %u died%s (%s); a new one takes its place", of->death->worker, where, how);
    session->options->notice(line, session->options->context);
}

/* Whether the death was the kernel's doing: it counts what it kills for lack of memory. */
static bool was_out_of_memory(loom_session *session, const loom_death *death) {
    uint64_t before = session->oom_kills;
    session->oom_kills = loom_machine_oom_kills("");
    return death->signal == SIGKILL && session->oom_kills > before;
}

loom_status loom_bury(loom_session *session, const loom_death *death, loom_error *err) {
    uint32_t running;
    const circumstances of = {.death = death,
                              .offence = loom_watch_bury(session->watch, death->worker),
                              .fault = loom_segment_take_fault(session->segment, death->worker),
                              .no_memory = was_out_of_memory(session, death)};
    loom_profiling_drain(session); /* it may have ended its task and not reported it, which then runs again */
    session->deaths++;
    loom_segment_recover(session->segment, death->worker, &running);
    tell(session, running, &of);
    if (running != LOOM_TASK_NONE) {
        const loom_task *task = loom_segment_task(session->segment, running);
        if (task->deaths >= session->config->workers.deaths_max && condemn(session, running, &of) != LOOM_OK)
            return loom_fail(err, LOOM_NO_MEMORY, "out of memory while a worker was buried");
    } else if (++session->idle_deaths > session->workers * 4u) {
        return loom_fail(err, LOOM_WORKER_DIED,
                         "workers end (%s %d) as soon as they start; see their messages above, or reinstall voxloom",
                         death->signal ? "by signal" : "with status", death->signal ? death->signal : death->status);
    }
    return loom_crew_replace(session->crew, death->worker, err);
}

void loom_recover_last(loom_session *session) {
    loom_death death;
    uint32_t running;
    while (session->crew && loom_crew_next_death(session->crew, &death)) {
        if (!death.signal && death.status == 0) continue; /* it was told to end */
        session->deaths++;
        loom_segment_recover(session->segment, death.worker, &running);
    }
}
