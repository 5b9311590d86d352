/* template.h - bodies with parameters: free names and printed text, derived once and kept. */
#ifndef LOOM_PLANNER_TEMPLATE_H
#define LOOM_PLANNER_TEMPLATE_H

#include "planner/ast.h"
#include "planner/json_text.h"
#include "planner/names.h"
#include "shm/arena.h"

loom_template *loom_template_new(loom_arena *arena, const loom_name *const *parameters, uint32_t count,
                                 const loom_expr *body);

/* Fills free_names: every name called in the body, minus those bound inside it and the parameters, sorted by text
 * (section 2.6). False when out of memory. */
bool loom_template_find_free(loom_template *made, loom_arena *arena);

/* Fills text: section 1.6. False when out of memory. */
bool loom_template_print(loom_template *made, loom_arena *arena);

/* Fills grouped: the text that is read back as this very body, if `text` is not. False when out of memory. */
bool loom_template_group(loom_template *made, loom_names *names);

/* Appends the text of an expression. Plain text (section 1.6) has no parentheses, so different expressions may print
 * alike (defect S12); with `grouped` they are added wherever plain text would be read differently, so that equal text
 * means equal expressions. Nothing recurses. */
void loom_print_expr(loom_text *text, const loom_expr *expr, bool grouped);

/* Appends a whole program, one command a line, as --save-syntax of VoxLogicA-2 does. */
void loom_print_program(loom_text *text, const loom_program *program);

#endif
