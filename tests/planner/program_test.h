/* program_test.h - what the tests of the language front end share: programs to plans, and errors as text. */
#ifndef LOOM_TESTS_PROGRAM_TEST_H
#define LOOM_TESTS_PROGRAM_TEST_H

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "planner/plan.h"

/* Notices that arrived since the last plan was made, a line each: "FILE:LINE:COL: TEXT\n". */
extern char notices[4096];

/* The plan of a program called `source`; fails the test if there is none. */
loom_plan *plan_named(const char *source, const char *text);
loom_plan *plan_of(const char *text); /* source: "prog.imgql" */

/* What the user is told of a program that is refused: "FILE:LINE:COL: error: ..." and, where there is one, the source
 * line and the caret. Static storage. Fails the test if the program is accepted. */
const char *error_named(const char *source, const char *text);
const char *error_of(const char *text);
loom_status status_of(const char *text); /* LOOM_OK when accepted */

/* The node as an expression of primitives, constants and closures: "vox1.+(1.0, 2.0)". Static storage. */
const char *shown(const loom_plan *plan, loom_node_index node);
/* The node of goal k, shown. */
const char *goal_shown(const loom_plan *plan, size_t k);

/* Parses the program and prints it back (section 1.6), commands separated by newlines; errors as `error_of`. */
const char *printed(const char *text);

/* A file below $VOXLOOM_SHARED, NUL-terminated, to be freed; skips the test, saying so, if the folder is not there. */
char *shared_file(const char *name, size_t *length);
/* The plan file in memory; to be freed. */
char *json_of(const loom_plan *plan, size_t *length);
loom_plan *plan_from(const char *json);   /* fails the test if it is refused */
const char *plan_error(const char *json); /* as error_of */

#endif
