/* program.h - from a file or a text to a plan: what the command line and the C library do before a run. */
#ifndef LOOM_RUNTIME_PROGRAM_H
#define LOOM_RUNTIME_PROGRAM_H

#include <stddef.h>

#include "planner/plan.h"
#include "shm/status.h"

/* The whole file; free(*text). LOOM_NOT_FOUND, LOOM_DENIED, LOOM_IO, LOOM_NO_MEMORY; LOOM_BAD_INPUT for a folder;
 * LOOM_TOO_LARGE beyond 2 GiB. */
loom_status loom_program_read(const char *path, char **text, size_t *length, loom_error *err);

/* Whether a text is a plan export, and not a program: its name ends in ".json", or it begins with `{` after white
 * space, which no program does. */
bool loom_program_is_plan(const char *source, const char *text, size_t length);

/* Plans a program or reads a plan, with the operators of this build (loom_operators) and of plug-ins
 * (loom_operators_with). `notice` as in loom_plan_options; may be NULL. Errors: those of loom_plan_from_program and
 * loom_plan_from_json. */
loom_status loom_program_plan(const loom_operator_table *operators, const char *source, const char *text, size_t length,
                              void (*notice)(const loom_position *position, const char *text, void *context),
                              void *context, loom_plan **plan, loom_error *err);

/* Adds the source line to an error that names file and line but was found after the text was parsed. Nothing if the
 * file cannot be read again. */
void loom_program_quote(loom_error *err);

/* The static checks (loom_plan_check) of a plan that is only looked at, without those of loops' bodies and of what can
 * be run here; loom_run makes them all. */
loom_status loom_program_check(loom_plan *plan, loom_error *err);

#endif
