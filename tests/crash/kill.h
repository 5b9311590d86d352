/* kill.h - a child process that writes to a store until it stands at a probe of a named phase, or until it is told
 * nothing more, and is then killed with SIGKILL. What it has acknowledged went through a pipe, outside the store. */
#ifndef LOOM_TESTS_KILL_H
#define LOOM_TESTS_KILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "crash_model.h"

typedef enum note_type {
    NOTE_BEGUN = 1, /* an operation begins */
    NOTE_DONE,      /* it was acknowledged */
    NOTE_REFUSED,   /* it was not done: no space */
    NOTE_STANDING,  /* the child stands at a probe */
    NOTE_FAILED,    /* what must not happen: `text` says what */
    NOTE_FIRED      /* the fault that was armed struck */
} note_type;

typedef struct note {
    uint32_t type;
    op todo;
    char text[200];
} note;

typedef struct target {
    const char *phase; /* "reserve"; NULL: any moment, after `random_us` */
    unsigned skip;     /* so many probes of the phase are passed */
    unsigned random_us;
} target;

typedef struct victim {
    pid_t pid;
    int notes; /* read end */
    bool standing;
    char where[64]; /* the probe */
} victim;

/* Forks; the child runs `body` (with kill_note for acknowledgements), then ends with status 0. */
void kill_start(victim *of, const target *aim, void (*body)(void *context), void *context);
/* The next note; false when the child has ended or, `until_aim`, stands at its probe or its time is over. */
bool kill_next_note(victim *of, const target *aim, bool until_aim, note *got);
/* Kills the child (a child that ended by itself: false; its status must be 0). Read the remaining notes afterwards. */
bool kill_finish(victim *of);
/* In the child. */
/* Waits for a child that ends by itself: its exit status, or 128 + signal. */
int kill_wait(victim *of);
/* In the child: steps of LMDB and of the file system under the folder are probes as well, where calls can be seen. */
void kill_watch(const char *folder);
void kill_note(note_type type, const op *todo, const char *text);

#endif
