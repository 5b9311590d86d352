/* kill.c - see kill.h. */
#include "kill.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/probe.h"
#ifdef CRASH_INTERPOSE
#include "faults.h"
#endif

/* Whoever does not get on in this time hangs. */
#define HANG_MS 60000

/* In the child. */
static int notes_out = -1;
static const char *armed_phase;
static atomic_uint armed_left;

void kill_note(note_type type, const op *todo, const char *text) {
    note sent = {.type = type};
    if (todo != NULL) sent.todo = *todo;
    if (text != NULL) snprintf(sent.text, sizeof sent.text, "%s", text);
    if (write(notes_out, &sent, sizeof sent) != (ssize_t)sizeof sent) _exit(9); /* a pipe takes it whole or not */
}

/* Only a child is armed. The thread that comes here stays here. */
void loom_probe(const char *name) {
    if (armed_phase == NULL) return;
    size_t length = strlen(armed_phase);
    if (strncmp(name, armed_phase, length) != 0 || name[length] != ':') return;
    if (atomic_fetch_sub(&armed_left, 1) != 1) return;
    kill_note(NOTE_STANDING, NULL, name);
    for (;;)
        pause();
}

#ifdef CRASH_INTERPOSE
/* LMDB's own steps are places to die, too. */
static void watch_index(watch_call call, int fd, const char *path, const void *data, size_t bytes, off_t offset) {
    (void)fd, (void)data, (void)bytes, (void)offset;
    const char *name = strrchr(path, '/');
    if (name != NULL && strcmp(name, "/data.mdb") == 0)
        loom_probe(call == WATCH_SYNC ? "index:sync" : "index:write");
    else if (name != NULL && strstr(name, ".ext") != NULL && call == WATCH_WRITE)
        loom_probe("reserve:system");
    else if (call == WATCH_RENAME)
        loom_probe("migrate:rename");
}
#endif

void kill_watch(const char *folder) {
#ifdef CRASH_INTERPOSE
    fault_watch(folder, watch_index);
#else
    (void)folder;
#endif
}

void kill_start(victim *of, const target *aim, void (*body)(void *context), void *context) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    fflush(NULL);
    *of = (victim){.pid = fork(), .notes = ends[0]};
    if (of->pid < 0) abort();
    if (of->pid == 0) {
        close(ends[0]);
        notes_out = ends[1];
        atomic_store(&armed_left, aim->skip + 1);
        armed_phase = aim->phase;
        body(context);
        _exit(0);
    }
    close(ends[1]);
}

static int read_note(int fd, note *got) {
    size_t have = 0;
    while (have < sizeof *got) {
        ssize_t some = read(fd, (char *)got + have, sizeof *got - have);
        if (some < 0 && errno == EINTR) continue;
        if (some <= 0) return 0;
        have += (size_t)some;
    }
    return 1;
}

bool kill_next_note(victim *of, const target *aim, bool until_aim, note *got) {
    struct timespec wait = {.tv_nsec = (long)aim->random_us * 1000};
    struct pollfd end = {.fd = of->notes, .events = POLLIN};
    if (until_aim && aim->phase == NULL) {
        nanosleep(&wait, NULL); /* the moment itself is what is random here */
        return false;
    }
    if (poll(&end, 1, HANG_MS) <= 0) {
        fprintf(stderr, "the child %d hangs\n", (int)of->pid);
        kill(of->pid, SIGKILL);
        abort();
    }
    if (!read_note(of->notes, got)) return false;
    if (got->type != NOTE_STANDING) return true;
    of->standing = true;
    snprintf(of->where, sizeof of->where, "%.63s", got->text);
    return !until_aim && kill_next_note(of, aim, false, got);
}

int kill_wait(victim *of) {
    int status;
    while (waitpid(of->pid, &status, 0) < 0)
        if (errno != EINTR) abort();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool kill_finish(victim *of) {
    int status;
    kill(of->pid, SIGKILL);
    while (waitpid(of->pid, &status, 0) < 0)
        if (errno != EINTR) abort();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    fprintf(stderr, "the child ended by itself: %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}
