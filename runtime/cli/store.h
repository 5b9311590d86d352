/* store.h - what the actions of `voxloom store` share: one action is one loom_command in a table, each family of them
 * stands in a file. An action opens the store through loom_store_do, which reads options, asks where it must, and turns
 * a status into an exit status. */
#ifndef LOOM_CLI_STORE_H
#define LOOM_CLI_STORE_H

#include <stdatomic.h>

#include "runtime/cli/command.h"
#include "runtime/cli/json_line.h"
#include "runtime/cli/settings.h"
#include "runtime/store_names.h"
#include "shm/store/storage.h"

/* In the order of the help screen; NULL at the end. */
extern const loom_command *const loom_store_actions[];
/* By name ("ls"); NULL with LOOM_BAD_USAGE and the nearest name if there is none. */
const loom_command *loom_store_action_find(const char *name, loom_error *err);

/* ---- doing an action (store_action.c) ---- */

typedef enum loom_store_need {
    LOOM_NEED_READ = 1 << 0,     /* opens the store, which must be there */
    LOOM_NEED_WRITE = 1 << 1,    /* the same, to change it */
    LOOM_NEED_CREATE = 1 << 2,   /* the same, and makes it when missing */
    LOOM_NEED_CONFIRM = 1 << 3,  /* takes --yes */
    LOOM_NEED_JSON = 1 << 4,     /* takes --json */
    LOOM_NEED_PROGRESS = 1 << 5, /* takes long: shows progress on a terminal, and Ctrl-C stops it cleanly */
    LOOM_NEED_ANOTHER = 1 << 6   /* works on other stores than the configured one: --store is not taken */
} loom_store_need;

typedef struct loom_store_job {
    const loom_command *command;
    loom_config config;
    loom_words words; /* behind the action */
    bool yes, json, quiet;
    loom_store *store; /* NULL without LOOM_NEED_READ, WRITE or CREATE */
    loom_arena *arena;
    int exit_status; /* of a job that went well, otherwise 0 */
    /* progress */
    const atomic_int *stop;
    bool live, shown;
    double shown_at;
} loom_store_job;

typedef loom_status (*loom_store_work)(loom_store_job *job, void *context, loom_error *err);

typedef struct loom_store_shape {
    unsigned needs;     /* loom_store_need */
    size_t least, most; /* words */
    const loom_option *options;
    size_t option_count;
    loom_store_work work;
    void *context;
} loom_store_shape;

/* Reads options and configuration, opens what is needed, does the work, and returns the exit status. */
int loom_store_do(const loom_command *self, int argc, char **argv, const loom_store_shape *shape);

/* Asks "QUESTION [y/N]" on the terminal unless --yes. LOOM_CANCELLED when the answer is not yes; LOOM_BAD_USAGE where
 * nobody can be asked. */
__attribute__((format(printf, 3, 4))) loom_status loom_store_confirm(const loom_store_job *job, loom_error *err,
                                                                     const char *format, ...);
/* A loom_store_progress; `context` is the job. */
bool loom_store_progress_show(const char *phase, uint64_t done, uint64_t total, void *context);
/* Takes the progress line away, before anything else is printed. */
void loom_store_progress_clear(loom_store_job *job);

/* All words from `first` on, into the job's arena. */
loom_status loom_store_resolve_all(const loom_store_job *job, size_t first, loom_id **rkeys, size_t *count,
                                   loom_error *err);
/* "30d" of an option; LOOM_BAD_USAGE names the option. */
loom_status loom_store_option_time(const char *option, const char *text, uint64_t *seconds, loom_error *err);
loom_status loom_store_option_size(const char *option, const char *text, uint64_t *bytes, loom_error *err);
loom_status loom_store_option_count(const char *option, const char *text, uint64_t *count, loom_error *err);

/* ---- results for people and for programs (store_row.c) ---- */

uint64_t loom_store_bytes_of(const loom_result *result); /* payload and bulk, decoded */
void loom_store_print_heading(FILE *out);
/* One line: short id, type, shape or value, bytes, operator, age. The arena is reset. */
void loom_store_print_row(const loom_result *result, loom_arena *arena, FILE *out);
/* The same as JSON, with all there is to know (runtime/API.md). */
loom_status loom_store_print_json(const loom_result *result, loom_arena *arena, FILE *out, loom_error *err);
const char *loom_codec_name(loom_codec codec);

#endif
