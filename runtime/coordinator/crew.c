/* Worker processes. Each is watched by a small thread that waits for its end (portable, and a dead worker is noticed at
 * once); a death rings the segment's doorbell so that the main thread wakes up. */
#include "runtime/coordinator/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/coordinator/worker_environment.h"
#include "runtime/process_memory.h"

#define STORE_FDS_MAX 300
#define WATCHER_STACK_BYTES (64 * 1024)

extern char **environ;

typedef struct member {
    loom_crew *crew;
    uint32_t index;
    pid_t pid;
    pthread_t watcher;
    bool watched;    /* `watcher` must be joined */
    bool alive;      /* guarded by the crew's lock, as all below */
    bool unreported; /* ended, and the main thread has not been told */
    int wait_status;
} member;

struct loom_crew {
    loom_crew_options options;
    char program[4096];
    char token[8192];
    int store_fds[STORE_FDS_MAX];
    size_t store_fd_count;
    int lifeline[2]; /* [0] goes to workers; [1] stays here: when we end, they read its end */
    pthread_mutex_t lock;
    bool stopping;
    uint64_t peak_rss_bytes, peak_anon_bytes;
    member members[];
};

/* ---- one worker ---- */

static void *watch(void *context) {
    member *self = context;
    struct rusage usage = {0};
    int status = 0;
    siginfo_t ended;
    loom_crew *crew = self->crew;
    while (waitid(P_PID, (id_t)self->pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    pthread_mutex_lock(&crew->lock); /* reaped under the lock: nobody signals a process number that is free again */
    self->alive = false;
    while (wait4(self->pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    self->unreported = !crew->stopping;
    self->wait_status = status;
    uint64_t peak = (uint64_t)usage.ru_maxrss * 1024;
    if (peak > crew->peak_rss_bytes) crew->peak_rss_bytes = peak;
    pthread_mutex_unlock(&crew->lock);
    loom_segment_ring_doorbell(crew->options.segment);
    return NULL;
}

static int add_files(const loom_crew *crew, posix_spawn_file_actions_t *actions) {
    int failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
    int segment = loom_segment_fd(crew->options.segment);
    /* dup2 onto itself clears close-on-exec in the child (POSIX.1-2024) */
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, segment, segment);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, crew->lifeline[0], crew->lifeline[0]);
    int recorder = crew->options.recorder ? loom_recorder_fd(crew->options.recorder) : -1;
    if (!failed && recorder >= 0) failed = posix_spawn_file_actions_adddup2(actions, recorder, recorder);
    for (size_t i = 0; !failed && i < crew->store_fd_count; i++)
        failed = posix_spawn_file_actions_adddup2(actions, crew->store_fds[i], crew->store_fds[i]);
    return failed;
}

/* Own process group (Ctrl-C is ours to handle), default signals, none blocked. */
static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGPIPE);
    int failed =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed) failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
    return failed ? failed : posix_spawnattr_setsigdefault(attributes, &defaults);
}

static int spawn(loom_crew *crew, uint32_t index, pid_t *pid) {
    const loom_config *config = crew->options.config;
    char segment[16], lifeline[16], worker[16], ring[16], depth[24], tile[24], limit[24], domain[16], cpu[16] = "any",
                                                                                                      recorder[16];
    snprintf(segment, sizeof segment, "%d", loom_segment_fd(crew->options.segment));
    snprintf(lifeline, sizeof lifeline, "%d", crew->lifeline[0]);
    snprintf(worker, sizeof worker, "%u", index);
    snprintf(ring, sizeof ring, "%d", (int)config->io.ring);
    snprintf(depth, sizeof depth, "%llu", (unsigned long long)config->io.depth);
    snprintf(tile, sizeof tile, "%llu", (unsigned long long)config->io.tile_bytes);
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)config->store.inline_bytes);
    const loom_seat *seat = &crew->options.seats->seats[index];
    snprintf(domain, sizeof domain, "%u", (unsigned)seat->domain);
    if (seat->bound) snprintf(cpu, sizeof cpu, "%u", seat->cpu);
    snprintf(recorder, sizeof recorder, "%d", crew->options.recorder ? loom_recorder_fd(crew->options.recorder) : -1);
    char *plugins = (char *)(uintptr_t)crew->options.plugins; /* posix_spawn changes no argument */
    char afresh[2] = {crew->options.afresh ? '1' : '0', 0};
    char *arguments[] = {crew->program, segment, lifeline, worker,   crew->token, ring,   depth, tile,
                         limit,         domain,  cpu,      recorder, plugins,     afresh, NULL};

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **environment = loom_worker_environment(environ);
    if (!environment) return ENOMEM;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed) {
        free(environment);
        return failed;
    }
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = add_files(crew, &actions);
        if (!failed) failed = set_attributes(&attributes);
        if (!failed) failed = posix_spawn(pid, crew->program, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return failed;
}

static loom_status start_member(loom_crew *crew, uint32_t index, loom_error *err) {
    member *self = &crew->members[index];
    int failed = spawn(crew, index, &self->pid);
    if (failed)
        return loom_fail_errno(err, failed,
                               "cannot start the worker program %s; reinstall voxloom or name it in VOXLOOM_WORKER",
                               crew->program);
    self->alive = true;
    int nice = (int)crew->options.config->workers.nice;
    if (nice > 0) (void)setpriority(PRIO_PROCESS, (id_t)self->pid, nice); /* never refused to those who stand back */
    pthread_attr_t attributes;
    failed = pthread_attr_init(&attributes);
    if (!failed) {
        size_t least = (size_t)PTHREAD_STACK_MIN;
        pthread_attr_setstacksize(&attributes, least > WATCHER_STACK_BYTES ? least : WATCHER_STACK_BYTES);
        failed = pthread_create(&self->watcher, &attributes, watch, self);
        pthread_attr_destroy(&attributes);
    }
    self->watched = !failed;
    if (!failed) return LOOM_OK;
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    self->alive = false;
    return loom_fail_errno(err, failed, "cannot watch worker %u", index);
}

/* ---- the program ---- */

static bool beside_this_program(char *path, size_t capacity) {
    ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/voxloom-worker" > capacity) return false;
    memcpy(slash, "/voxloom-worker", sizeof "/voxloom-worker");
    return access(path, X_OK) == 0;
}

static loom_status find_program(loom_crew *crew, loom_error *err) {
    const char *named = crew->options.program ? crew->options.program : getenv("VOXLOOM_WORKER");
    if (named && strlen(named) < sizeof crew->program)
        memcpy(crew->program, named, strlen(named) + 1);
    else if (!beside_this_program(crew->program, sizeof crew->program))
        memcpy(crew->program, VOXLOOM_WORKER_INSTALLED, sizeof VOXLOOM_WORKER_INSTALLED);
    if (access(crew->program, X_OK) == 0) return LOOM_OK;
    return loom_fail_errno(
        err, errno, "cannot run the worker program %s; reinstall voxloom or name it in VOXLOOM_WORKER", crew->program);
}

/* ---- all of them ---- */

loom_status loom_crew_start(const loom_crew_options *options, loom_crew **out, loom_error *err) {
    *out = NULL;
    loom_crew *crew = calloc(1, sizeof *crew + options->workers * sizeof *crew->members);
    if (!crew) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
    crew->options = *options;
    pthread_mutex_init(&crew->lock, NULL);
    for (uint32_t i = 0; i < options->workers; i++)
        crew->members[i] = (member){.crew = crew, .index = i};
    loom_status status = find_program(crew, err);
    if (status == LOOM_OK) {
        status = loom_store_token(options->store, crew->token, sizeof crew->token);
        if (status != LOOM_OK) loom_fail(err, status, "the store's path is too long");
        crew->store_fd_count = loom_store_inherit(options->store, crew->store_fds, STORE_FDS_MAX);
    }
    bool piped = status == LOOM_OK && pipe2(crew->lifeline, O_CLOEXEC) == 0;
    if (status == LOOM_OK && !piped) status = loom_fail_errno(err, errno, "cannot create a pipe for the workers");
    if (!piped) {
        pthread_mutex_destroy(&crew->lock);
        free(crew);
        return status;
    }
    for (uint32_t i = 0; i < options->workers && status == LOOM_OK; i++)
        status = start_member(crew, i, err);
    if (status == LOOM_OK) {
        *out = crew;
        return LOOM_OK;
    }
    loom_crew_kill(crew);
    loom_crew_stop(crew);
    return status;
}

bool loom_crew_next_death(loom_crew *crew, loom_death *death) {
    bool found = false;
    pthread_mutex_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->options.workers && !found; i++) {
        member *self = &crew->members[i];
        if (!self->unreported) continue;
        self->unreported = false;
        int status = self->wait_status;
        *death = (loom_death){.worker = i,
                              .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                              .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0};
        found = true;
    }
    pthread_mutex_unlock(&crew->lock);
    return found;
}

static void join(member *self) {
    if (self->watched) pthread_join(self->watcher, NULL);
    self->watched = false;
}

loom_status loom_crew_replace(loom_crew *crew, uint32_t worker, loom_error *err) {
    join(&crew->members[worker]);
    return start_member(crew, worker, err);
}

bool loom_crew_ended(loom_crew *crew) {
    bool alive = false;
    pthread_mutex_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->options.workers; i++)
        alive |= crew->members[i].alive;
    pthread_mutex_unlock(&crew->lock);
    return !alive;
}

void loom_crew_kill(loom_crew *crew) {
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    for (uint32_t i = 0; i < crew->options.workers; i++)
        if (crew->members[i].alive) kill(crew->members[i].pid, SIGKILL);
    pthread_mutex_unlock(&crew->lock);
}

void loom_crew_kill_worker(loom_crew *crew, uint32_t worker) {
    pthread_mutex_lock(&crew->lock);
    if (crew->members[worker].alive) kill(crew->members[worker].pid, SIGKILL);
    pthread_mutex_unlock(&crew->lock);
}

pid_t loom_crew_pid(loom_crew *crew, uint32_t worker) {
    pthread_mutex_lock(&crew->lock);
    pid_t pid = crew->members[worker].alive ? crew->members[worker].pid : 0;
    pthread_mutex_unlock(&crew->lock);
    return pid;
}

void loom_crew_stop(loom_crew *crew) {
    if (!crew) return;
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->options.workers; i++)
        join(&crew->members[i]);
    close(crew->lifeline[0]);
    close(crew->lifeline[1]);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void loom_crew_memory(loom_crew *crew, uint64_t *peak_rss_bytes, uint64_t *peak_anon_bytes) {
    pthread_mutex_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->options.workers; i++) {
        uint64_t resident = 0, anonymous = 0;
        if (crew->members[i].alive) loom_process_memory(crew->members[i].pid, &resident, &anonymous);
        if (resident > crew->peak_rss_bytes) crew->peak_rss_bytes = resident;
        if (anonymous > crew->peak_anon_bytes) crew->peak_anon_bytes = anonymous;
    }
    *peak_rss_bytes = crew->peak_rss_bytes;
    *peak_anon_bytes = crew->peak_anon_bytes;
    pthread_mutex_unlock(&crew->lock);
}
