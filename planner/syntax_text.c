/* syntax_text.c - expressions and commands printed back (voxlogica2.md, 1.6); ids of closures depend on every byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/template.h"
#include "shm/number.h"

/* What is still to be printed, last first. */
typedef struct piece {
    const loom_expr *expr; /* or */
    const char *text;
    size_t length;
} piece;

typedef struct printing {
    loom_text *text;
    bool grouped;
    piece *pieces;
    size_t count, capacity;
} printing;

static void push(printing *printer, piece added) {
    if (printer->count == printer->capacity) {
        size_t capacity = printer->capacity ? printer->capacity * 2 : 64;
        piece *grown = realloc(printer->pieces, capacity * sizeof *grown);
        if (!grown) {
            printer->text->failed = true;
            return;
        }
        printer->pieces = grown;
        printer->capacity = capacity;
    }
    printer->pieces[printer->count++] = added;
}

static void push_text(printing *printer, const char *text) {
    push(printer, (piece){.text = text, .length = strlen(text)});
}

static void push_name(printing *printer, const loom_name *name) {
    push(printer, (piece){.text = name->text, .length = name->length});
}

static void push_expr(printing *printer, const loom_expr *expr, bool parentheses) {
    if (parentheses) push_text(printer, ")");
    push(printer, (piece){.expr = expr});
    if (parentheses) push_text(printer, "(");
}

static bool is_keyword(const loom_expr *expr) {
    return expr->kind >= LOOM_EXPR_FOR;
}

/* Parts of a fold stand side by side, so anything that could join its neighbour is grouped; so is a slice's bound that
 * would join the colon (`-(n)`, or `A`, since `A:2` is one operator). */
static bool stands_alone(const loom_expr *expr) {
    if (expr->kind == LOOM_EXPR_NUMBER) return !signbit(expr->number);
    return expr->kind == LOOM_EXPR_BOOL || expr->kind == LOOM_EXPR_STRING;
}

static void push_list(printing *printer, const loom_expr *expr, const char *open, const char *close) {
    push_text(printer, close);
    for (uint32_t i = expr->list.count; i-- > 0;) {
        push_expr(printer, expr->list.items[i], false);
        if (i) push_text(printer, ",");
    }
    push_text(printer, open);
}

/* Words that begin expressions are names only right behind an operator (`- for`, `a + fold[0]`), so what begins with
 * one of them can only be written there. Longer chains of brackets than this are left unreadable. */
#define LONGEST_BRACKET_CHAIN 16

static bool is_word(const loom_name *name) {
    static const char *const words[] = {"let", "for", "filter", "fold"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(name->text, words[i]) == 0) return true;
    return false;
}

static bool is_index(const loom_expr *expr) {
    return expr->kind == LOOM_EXPR_CALL && expr->list.count == 2 && strcmp(expr->name->text, "index") == 0;
}

static bool begins_with_word(const loom_expr *expr) {
    for (int i = 0; i < LONGEST_BRACKET_CHAIN; i++) {
        if (expr->kind == LOOM_EXPR_SLICE)
            expr = expr->slice.sequence;
        else if (is_index(expr))
            expr = expr->list.items[0];
        else
            return expr->kind == LOOM_EXPR_CALL && is_word(expr->name);
    }
    return false;
}

static bool is_operator_before_word(const loom_expr *expr) {
    if (expr->kind != LOOM_EXPR_CALL || expr->list.count == 0 || expr->list.count > 2) return false;
    return !is_index(expr) && begins_with_word(expr->list.items[expr->list.count - 1]);
}

static void push_operator(printing *printer, const loom_expr *expr) {
    push_expr(printer, expr->list.items[expr->list.count - 1], false);
    push_text(printer, " ");
    push_name(printer, expr->name);
    if (expr->list.count == 1) return;
    push_text(printer, " ");
    push_expr(printer, expr->list.items[0], true);
}

static void push_index(printing *printer, const loom_expr *expr) {
    push_text(printer, "]");
    push_expr(printer, expr->list.items[1], false);
    push_text(printer, "[");
    push_expr(printer, expr->list.items[0], false);
}

static void push_call(printing *printer, const loom_expr *expr) {
    if (printer->grouped && is_index(expr) && begins_with_word(expr)) {
        push_index(printer, expr);
        return;
    }
    if (printer->grouped && is_operator_before_word(expr)) {
        push_operator(printer, expr);
        return;
    }
    if (expr->list.count) push_list(printer, expr, "(", ")");
    push_name(printer, expr->name);
}

static void push_slice(printing *printer, const loom_expr *expr) {
    bool grouped = printer->grouped;
    push_text(printer, "]");
    if (expr->slice.stop) push_expr(printer, expr->slice.stop, grouped && !stands_alone(expr->slice.stop));
    push_text(printer, ":");
    if (expr->slice.start) push_expr(printer, expr->slice.start, grouped && !stands_alone(expr->slice.start));
    push_text(printer, "[");
    push_expr(printer, expr->slice.sequence,
              grouped && (is_keyword(expr->slice.sequence) || is_operator_before_word(expr->slice.sequence)));
}

static void push_loop(printing *printer, const loom_expr *expr) {
    push_expr(printer, expr->loop.body, false);
    push_text(printer, " do ");
    push_expr(printer, expr->loop.sequence, false);
    push_text(printer, " in ");
    push_name(printer, expr->name);
    push_text(printer, expr->kind == LOOM_EXPR_FOR ? "for " : "filter ");
}

static void push_fold(printing *printer, const loom_expr *expr) {
    push_expr(printer, expr->fold.sequence, printer->grouped && !stands_alone(expr->fold.sequence));
    push_text(printer, " ");
    if (expr->fold.init) {
        push_expr(printer, expr->fold.init, printer->grouped && !stands_alone(expr->fold.init));
        push_text(printer, " ");
    }
    push_name(printer, expr->name);
    push_text(printer, "fold ");
}

static void push_let(printing *printer, const loom_expr *expr) {
    push_expr(printer, expr->let.body, false);
    push_text(printer, " in ");
    push_expr(printer, expr->let.value, false);
    push_text(printer, " = ");
    push_name(printer, expr->name);
    push_text(printer, "let ");
}

static void print_number(printing *printer, double number) {
    char digits[LOOM_NUMBER_TEXT_BYTES];
    if (printer->grouped && isinf(number))
        loom_text_put(printer->text, number > 0 ? "1e999" : "-1e999");
    else
        loom_text_add(printer->text, digits, loom_number_repr(number, digits));
}

static void print_piece(printing *printer, piece next) {
    const loom_expr *expr = next.expr;
    if (!expr) {
        loom_text_add(printer->text, next.text, next.length);
        return;
    }
    switch (expr->kind) {
    case LOOM_EXPR_NUMBER:
        print_number(printer, expr->number);
        break;
    case LOOM_EXPR_BOOL:
        loom_text_put(printer->text, expr->truth ? "true" : "false");
        break;
    case LOOM_EXPR_STRING:
        loom_text_add(printer->text, "\"", 1);
        loom_text_add(printer->text, expr->string.bytes, expr->string.length);
        loom_text_add(printer->text, "\"", 1);
        break;
    case LOOM_EXPR_ARRAY:
        push_list(printer, expr, "[", "]");
        break;
    case LOOM_EXPR_CALL:
        push_call(printer, expr);
        break;
    case LOOM_EXPR_SLICE:
        push_slice(printer, expr);
        break;
    case LOOM_EXPR_FOR:
    case LOOM_EXPR_FILTER:
        push_loop(printer, expr);
        break;
    case LOOM_EXPR_FOLD:
        push_fold(printer, expr);
        break;
    case LOOM_EXPR_LET:
        push_let(printer, expr);
        break;
    }
}

void loom_print_expr(loom_text *text, const loom_expr *expr, bool grouped) {
    printing printer = {.text = text, .grouped = grouped};
    push_expr(&printer, expr, false);
    while (printer.count && !text->failed)
        print_piece(&printer, printer.pieces[--printer.count]);
    free(printer.pieces);
}

static void print_declaration(loom_text *text, const loom_command *command) {
    loom_text_put(text, "let ");
    loom_text_put(text, command->name->text);
    for (uint32_t i = 0; i < command->parameter_count; i++) {
        loom_text_put(text, i ? "," : "(");
        loom_text_put(text, command->parameters[i]->text);
    }
    loom_text_put(text, command->parameter_count ? ")=" : "=");
    loom_print_expr(text, command->expr, false);
}

static void print_command(loom_text *text, const loom_command *command) {
    switch (command->kind) {
    case LOOM_COMMAND_DECLARE:
        print_declaration(text, command);
        return;
    case LOOM_COMMAND_LOAD:
        loom_text_put(text, "let ");
        loom_text_put(text, command->name->text);
        loom_text_put(text, "=simpleitk.ReadImage(");
        loom_print_expr(text, command->expr, false);
        loom_text_put(text, ")");
        return;
    case LOOM_COMMAND_IMPORT:
        loom_text_put(text, "import ");
        loom_text_put(text, command->label);
        return;
    case LOOM_COMMAND_PRINT:
    case LOOM_COMMAND_SAVE:
        loom_text_put(text, command->kind == LOOM_COMMAND_PRINT ? "print \"" : "save \"");
        loom_text_put(text, command->label);
        loom_text_put(text, "\" ");
        loom_print_expr(text, command->expr, false);
        return;
    }
}

void loom_print_program(loom_text *text, const loom_program *program) {
    for (size_t i = 0; i < program->count; i++) {
        if (i) loom_text_add(text, "\n", 1);
        print_command(text, &program->commands[i]);
    }
}
