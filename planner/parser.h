/* parser.h - program text to commands and expressions. */
#ifndef LOOM_PLANNER_PARSER_H
#define LOOM_PLANNER_PARSER_H

#include "planner/ast.h"
#include "planner/names.h"
#include "shm/status.h"

/* Copies `text` (UTF-8; newlines of any kind become LF) and the name into the arena. LOOM_BAD_SYNTAX with the position
 * if it is not UTF-8. */
loom_status loom_source_make(loom_arena *arena, const char *name, const char *text, size_t length, loom_source **source,
                             loom_error *err);

/* Parses a whole program. Nesting is limited only by memory: nothing recurses. Errors: LOOM_BAD_SYNTAX with position,
 * source line and what was expected; LOOM_NO_MEMORY. */
loom_status loom_parse_program(loom_names *names, const loom_source *source, loom_program **program, loom_error *err);

/* Parses a text that is one expression: the body of a closure. */
loom_status loom_parse_expression(loom_names *names, const loom_source *source, loom_expr **expr, loom_error *err);

#endif
