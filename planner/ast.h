/* ast.h - the nouns of the language front end: names, sources, expressions, commands.
 *
 * Everything here lives in a plan's arena and is never changed once parsed (the lazily filled caches apart), because
 * closures and functions keep pointing at it while the plan runs. Names are interned: equal names are one pointer. */
#ifndef LOOM_PLANNER_AST_H
#define LOOM_PLANNER_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/plan.h"
#include "shm/operator.h"

typedef struct loom_name loom_name;
typedef struct loom_expr loom_expr;
typedef struct loom_template loom_template;
typedef struct loom_global loom_global; /* planner/environment.h */

/* What a name means before any binding is looked at (section 2.3, rules 1 and 2). */
typedef enum loom_special {
    LOOM_SPECIAL_NONE,
    LOOM_SPECIAL_MAP,  /* map, default.map: special with two arguments */
    LOOM_SPECIAL_ALIAS /* ! && ||: always the primitive `alias`, whatever is bound */
} loom_special;

struct loom_name {
    const char *text; /* NUL-terminated */
    uint32_t length;
    uint32_t index; /* dense, in order of first appearance */
    uint64_t hash;
    loom_special special;
    loom_name *alias;
    loom_output_kind output_kind; /* of a primitive called by this name (section 2.4) */
    bool reserved;                /* $cwd $dir $file $filename $stem */
    bool imported;                /* an import of exactly this text was seen */
    /* Scratch of planner/template.c. */
    uint32_t bound; /* how many enclosing binders hide it */
    uint32_t mark;
    /* Top-level bindings of this name, oldest first (planner/environment.c). */
    loom_global *history;
    uint32_t history_count, history_capacity;
    /* Cache of loom_resolve: valid while `resolved_epoch` is the plan's import epoch. */
    const loom_operator *resolved;
    uint32_t resolved_epoch;
};

/* One program text. `text` has its newlines normalised to LF. */
typedef struct loom_source {
    const char *name; /* as typed: shown in messages */
    const char *text;
    size_t length;
    bool library; /* a text built into voxloom: users are shown the call that led into it instead */
    bool printed; /* the text of a closure body that came from a plan file (section 1.6) */
} loom_source;

typedef struct loom_place {
    const loom_source *source;
    uint32_t line, column;
} loom_place;

typedef enum loom_expr_kind {
    LOOM_EXPR_NUMBER,
    LOOM_EXPR_BOOL,
    LOOM_EXPR_STRING,
    LOOM_EXPR_ARRAY,
    LOOM_EXPR_SLICE,
    LOOM_EXPR_CALL,
    LOOM_EXPR_FOR,
    LOOM_EXPR_FILTER,
    LOOM_EXPR_FOLD,
    LOOM_EXPR_LET
} loom_expr_kind;

struct loom_expr {
    loom_expr_kind kind;
    uint32_t entered;      /* call: its latest number in the plan's call chain, or 0 */
    loom_place place;      /* of the construct's first token */
    loom_template *made;   /* for, filter, map: the closure's template, filled on first use */
    const loom_name *name; /* call: callee; for, filter, let: variable; fold: operator */
    union {
        double number;
        bool truth;
        struct {
            const char *bytes;
            size_t length;
        } string; /* raw text between the quotes */
        struct {
            loom_expr **items;
            uint32_t count;
        } list; /* call: arguments; array: items */
        struct {
            loom_expr *sequence, *start, *stop; /* absent bounds are NULL */
        } slice;
        struct {
            loom_expr *sequence, *body;
        } loop; /* for, filter */
        struct {
            loom_expr *init, *sequence; /* init may be NULL */
        } fold;
        struct {
            loom_expr *value, *body;
        } let;
    };
};

/* A body with parameters, and what is derived from it once: its free names and its printed text. */
struct loom_template {
    const loom_name **parameters;
    uint32_t parameter_count;
    const loom_expr *body;
    const loom_name **free_names; /* sorted by text; NULL until asked for */
    uint32_t free_count;
    const char *text; /* to_syntax of the body; NULL until asked for */
    size_t text_length;
    const char *grouped; /* with parentheses, where `text` alone would be read as something else; "" where not; NULL
                            until asked for */
};

typedef enum loom_command_kind {
    LOOM_COMMAND_DECLARE,
    LOOM_COMMAND_PRINT,
    LOOM_COMMAND_SAVE,
    LOOM_COMMAND_IMPORT,
    LOOM_COMMAND_LOAD /* VoxLogicA-1's `load x = "file"` */
} loom_command_kind;

typedef struct loom_command {
    loom_command_kind kind;
    loom_place place;
    const loom_name *name; /* declare, load */
    const loom_name **parameters;
    uint32_t parameter_count;
    const char *label; /* print, save, import: raw text, NUL-terminated */
    loom_expr *expr;   /* all but import */
} loom_command;

typedef struct loom_program {
    const loom_source *source;
    loom_command *commands;
    size_t count;
} loom_program;

#endif
