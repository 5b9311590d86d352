/* command.h - what a command of `voxloom` is, how its options are read, and how it ends.
 *
 * main.c dispatches; each command stands in a file of its own. Results go to stdout, everything else to stderr. Exit
 * status: 0 well, 1 failed while running, 2 the user's text was wrong (usage, syntax, static errors, configuration). */
#ifndef LOOM_CLI_COMMAND_H
#define LOOM_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/status.h"

typedef struct loom_command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* "voxloom run PROGRAM [options]" */
    const char *help;    /* the rest of its screen; at most 20 lines */
    int (*run)(const struct loom_command *command, int argc, char **argv); /* argv: what follows the name */
} loom_command;

extern const loom_command loom_command_run;
extern const loom_command loom_command_plan;
extern const loom_command loom_command_explain;
extern const loom_command loom_command_list_primitives;
extern const loom_command loom_command_store;
extern const loom_command loom_command_view;
extern const loom_command loom_command_audit;
extern const loom_command loom_command_topology;
extern const loom_command loom_command_doctor;
extern const loom_command loom_command_config;
extern const loom_command loom_command_phantom;
extern const loom_command loom_command_help;

/* In the order of the help screen; NULL at the end. */
extern const loom_command *const loom_commands[];

/* The command of that name; NULL, with LOOM_BAD_USAGE and the nearest name in *err, if there is none. */
const loom_command *loom_command_find(const char *name, loom_error *err);
void loom_command_help_print(const loom_command *command, FILE *out);

#define LOOM_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A growing list of borrowed words. Zero-initialise. */
typedef struct loom_words {
    const char **items;
    size_t count;
} loom_words;
loom_status loom_words_add(loom_words *words, const char *word);
void loom_words_free(loom_words *words);

typedef struct loom_option {
    const char *name;   /* "--store" */
    const char *letter; /* "-q", or NULL */
    bool *flag;         /* set to true; or */
    const char **value; /* set to the word that follows (or "--store=word"), with a flag only to "--profile=word"; or */
    loom_words *list;   /* the word is added */
} loom_option;

typedef enum loom_parsed {
    LOOM_PARSED,       /* go on */
    LOOM_PARSED_HELP,  /* --help or -h: was printed; end well */
    LOOM_PARSED_FAILED /* was reported; end with status 2 */
} loom_parsed;

/* Reads options anywhere among the words ("--" ends them) and collects the other words, of which there must be
 * `least` to `most`. Reports what is wrong on stderr, with the nearest option for a misspelt one. */
loom_parsed loom_options_parse(const loom_command *command, int argc, char **argv, const loom_option *options,
                               size_t option_count, size_t least, size_t most, loom_words *words);
#define LOOM_WORDS_ANY ((size_t)-1)

/* 0, 1 or 2, as above. */
int loom_exit_status(loom_status status);
/* Prints the error on stderr and returns its exit status. */
int loom_exit_failed(const loom_error *err);
/* As if the command line were wrong: prints `voxloom COMMAND: TEXT; remedy` and returns 2. */
__attribute__((format(printf, 2, 3))) int loom_exit_usage(const loom_command *command, const char *format, ...);
/* Flushes stdout; 1, with a message, if what was printed could not be written (full disk), else `status`. */
int loom_exit_flushed(int status);

#endif
