/* parser.c - sources, commands, and the errors of the parser. Expressions are in parser_expression.c.
 *
 * The grammar is that of voxlogica2.md, 1.3. A command is known by its first token; `load x = "file"` is VoxLogicA-1's,
 * recognised because no program of VoxLogicA-2 has two names side by side at the start of a command. */
#include "planner/parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/parser_state.h"

/* ---- sources ---- */

/* Length of the UTF-8 sequence at `text`, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *text, size_t left) {
    unsigned char c = text[0];
    if (c < 0x80) return 1;
    size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || length > left) return 0;
    unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    return length;
}

static loom_status check_utf8(const loom_source *source, loom_error *err) {
    loom_place place = {.source = source, .line = 1, .column = 1};
    for (size_t at = 0; at < source->length;) {
        size_t length = utf8_length((const unsigned char *)source->text + at, source->length - at);
        if (!length) {
            place.source = &(loom_source){.name = source->name, .text = "", .length = 0};
            return loom_diagnose(err, LOOM_BAD_SYNTAX, place, "byte 0x%02x is not UTF-8; save the program as UTF-8",
                                 (unsigned char)source->text[at]);
        }
        place.column++;
        if (source->text[at] == '\n') {
            place.line++;
            place.column = 1;
        }
        at += length;
    }
    return LOOM_OK;
}

static size_t normalise_newlines(char *text, size_t length) {
    if (!memchr(text, '\r', length)) return length;
    size_t kept = 0;
    for (size_t at = 0; at < length; at++) {
        if (text[at] == '\r' && at + 1 < length && text[at + 1] == '\n') continue;
        text[kept++] = text[at] == '\r' ? '\n' : text[at];
    }
    text[kept] = '\0';
    return kept;
}

loom_status loom_source_make(loom_arena *arena, const char *name, const char *text, size_t length, loom_source **source,
                             loom_error *err) {
    loom_source *made = loom_arena_alloc(arena, sizeof *made);
    char *copy = loom_arena_text(arena, text, length), *name_copy = loom_arena_text(arena, name, strlen(name));
    if (!made || !copy || !name_copy) return loom_fail(err, LOOM_NO_MEMORY, "out of memory reading %s", name);
    *made = (loom_source){.name = name_copy, .text = copy, .length = normalise_newlines(copy, length)};
    LOOM_TRY(check_utf8(made, err));
    *source = made;
    return LOOM_OK;
}

/* ---- tokens ---- */

loom_place loom_parser_place(const loom_parser *parser) {
    return (loom_place){.source = parser->lexer.source, .line = parser->token.line, .column = parser->token.column};
}

/* In printed text there are no infix operators. So where a slice's `:` may stand it is that even if an operator
 * character follows (section 1.6 prints `xs[0.0:-(n,1.0)]`), and an operator behind a value begins the second part of a
 * fold. */
static void read_token(loom_parser *parser, loom_token_set accepted) {
    parser->accepted = accepted;
    if (parser->lexer.source->printed && (accepted & LOOM_TOKEN_BIT(COLON))) {
        parser->token = loom_lexer_next(&parser->lexer, accepted & ~LOOM_TOKEN_BIT(OPERATOR));
        if (parser->token.kind < LOOM_TOKEN_COUNT) return;
    }
    parser->token = loom_lexer_next(&parser->lexer, accepted);
}

void loom_parser_advance(loom_parser *parser, loom_token_set accepted) {
    parser->last_line = parser->token.line;
    parser->last_column = parser->token.column;
    read_token(parser, accepted);
}

bool loom_parser_at_name(const loom_parser *parser) {
    return parser->token.kind == LOOM_TOKEN_IDENTIFIER || parser->token.kind == LOOM_TOKEN_UPPER ||
           parser->token.kind == LOOM_TOKEN_DOLLAR;
}

const loom_name *loom_parser_name(loom_parser *parser) {
    return loom_names_get(parser->names, parser->token.text, parser->token.length);
}

loom_status loom_parser_no_memory(loom_parser *parser) {
    return loom_diagnose(parser->err, LOOM_NO_MEMORY, loom_parser_place(parser), "out of memory parsing the program");
}

static void list_expected(loom_token_set expected, char *text, size_t capacity) {
    size_t used = 0;
    for (int kind = 0; kind < LOOM_TOKEN_COUNT; kind++) {
        if (!((expected >> kind) & 1)) continue;
        int written = snprintf(text + used, capacity - used, "%s%s",
                               used ? ", " : "; expected one of: ", loom_token_name((loom_token_kind)kind));
        if (written < 0 || (size_t)written >= capacity - used) return;
        used += (size_t)written;
    }
}

static loom_status bad_character(loom_parser *parser) {
    loom_place place = loom_parser_place(parser);
    const char *text = parser->token.text;
    if (*text == '"')
        return loom_diagnose(parser->err, LOOM_BAD_SYNTAX, place,
                             "this string is not closed; end it with \" on the same line");
    size_t left = parser->lexer.source->length - parser->lexer.at;
    size_t length = utf8_length((const unsigned char *)text, left);
    char quoted[32];
    loom_python_quote(text, length, quoted, sizeof quoted);
    return loom_diagnose(parser->err, LOOM_BAD_SYNTAX, place, "unexpected character %s; names and operators are ASCII",
                         quoted);
}

/* The classes that the lexer tries in a context: spellings of another class that is tried too are not listed, nor is
 * the end of input. */
static loom_token_set lexed_classes(loom_token_set accepted) {
    const loom_token_set keywords = LOOM_TOKEN_BIT(DO) | LOOM_TOKEN_BIT(FALSE) | LOOM_TOKEN_BIT(FILTER) |
                                    LOOM_TOKEN_BIT(FOLD) | LOOM_TOKEN_BIT(FOR) | LOOM_TOKEN_BIT(IMPORT) |
                                    LOOM_TOKEN_BIT(IN) | LOOM_TOKEN_BIT(LET) | LOOM_TOKEN_BIT(PRINT) |
                                    LOOM_TOKEN_BIT(SAVE) | LOOM_TOKEN_BIT(TRUE);
    accepted &= ~LOOM_TOKEN_BIT(END);
    if (accepted & LOOM_TOKEN_BIT(IDENTIFIER)) accepted &= ~keywords;
    if (accepted & LOOM_TOKEN_BIT(OPERATOR)) accepted &= ~(LOOM_TOKEN_BIT(COLON) | LOOM_TOKEN_BIT(EQUAL));
    return accepted;
}

loom_status loom_parser_fail(loom_parser *parser, loom_token_set expected) {
    if (parser->token.kind == LOOM_TOKEN_BAD) return bad_character(parser);
    if (parser->token.kind == LOOM_TOKEN_MISPLACED) expected = lexed_classes(parser->accepted);
    char list[600] = "", found[300] = "end of input";
    list_expected(expected, list, sizeof list);
    loom_place place = loom_parser_place(parser);
    if (parser->token.kind == LOOM_TOKEN_END) {
        place.line = parser->last_line;
        place.column = parser->last_column;
    } else {
        loom_python_quote(parser->token.text, parser->token.length, found, sizeof found);
    }
    return loom_diagnose(parser->err, LOOM_BAD_SYNTAX, place, "unexpected token %s%s", found, list);
}

loom_status loom_parser_expect(loom_parser *parser, loom_token_kind kind, loom_token_set accepted_next) {
    if (parser->token.kind != kind) return loom_parser_fail(parser, (loom_token_set)1 << kind);
    loom_parser_advance(parser, accepted_next);
    return LOOM_OK;
}

/* ---- commands ---- */

static loom_status parse_formals(loom_parser *parser, loom_command *command) {
    size_t capacity = 0, count = 0;
    const loom_name **names = NULL;
    loom_status status = LOOM_OK;
    do {
        loom_parser_advance(parser, LOOM_NAMES);
        if (!loom_parser_at_name(parser)) {
            status = loom_parser_fail(parser, LOOM_NAMES);
            break;
        }
        if (count == capacity) {
            size_t grown_capacity = capacity ? capacity * 2 : 8;
            const loom_name **grown = realloc(names, grown_capacity * sizeof *names);
            if (!grown) {
                status = loom_parser_no_memory(parser);
                break;
            }
            names = grown;
            capacity = grown_capacity;
        }
        names[count++] = loom_parser_name(parser);
        if (!names[count - 1]) status = loom_parser_no_memory(parser);
        loom_parser_advance(parser, LOOM_CONTEXT_NAME);
    } while (status == LOOM_OK && parser->token.kind == LOOM_TOKEN_COMMA);
    if (status == LOOM_OK && parser->token.kind != LOOM_TOKEN_RPAR)
        status = loom_parser_fail(parser, LOOM_TOKEN_BIT(COMMA) | LOOM_TOKEN_BIT(RPAR));
    if (status == LOOM_OK) {
        command->parameters = loom_arena_copy(parser->arena, names, count * sizeof *names);
        command->parameter_count = (uint32_t)count;
        if (!command->parameters) status = loom_parser_no_memory(parser);
        loom_parser_advance(parser, LOOM_TOKEN_BIT(EQUAL));
    }
    free(names);
    return status;
}

static loom_status parse_declaration_rest(loom_parser *parser, loom_command *command) {
    if (parser->token.kind == LOOM_TOKEN_LPAR)
        LOOM_TRY(parse_formals(parser, command));
    else if (parser->token.kind != LOOM_TOKEN_EQUAL)
        return loom_parser_fail(parser, LOOM_TOKEN_BIT(EQUAL) | LOOM_TOKEN_BIT(LPAR));
    LOOM_TRY(loom_parser_expect(parser, LOOM_TOKEN_EQUAL, LOOM_CONTEXT_EXPRESSION));
    return loom_parser_expression(parser, &command->expr);
}

static loom_status parse_load(loom_parser *parser, loom_command *command) {
    command->kind = LOOM_COMMAND_LOAD;
    command->name = loom_parser_name(parser);
    if (!command->name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_NAME);
    LOOM_TRY(loom_parser_expect(parser, LOOM_TOKEN_EQUAL, LOOM_CONTEXT_EXPRESSION));
    return loom_parser_expression(parser, &command->expr);
}

static loom_status parse_declaration(loom_parser *parser, loom_command *command, bool after_let) {
    command->kind = LOOM_COMMAND_DECLARE;
    command->name = loom_parser_name(parser);
    if (!command->name) return loom_parser_no_memory(parser);
    bool load = !after_let && strcmp(command->name->text, "load") == 0;
    loom_parser_advance(parser, parser->token.kind == LOOM_TOKEN_OPERATOR ? LOOM_TOKEN_BIT(EQUAL) | LOOM_TOKEN_BIT(LPAR)
                                                                          : LOOM_CONTEXT_NAME);
    if (load && loom_parser_at_name(parser)) return parse_load(parser, command);
    return parse_declaration_rest(parser, command);
}

static loom_status parse_label(loom_parser *parser, loom_command *command) {
    loom_parser_advance(parser, LOOM_TOKEN_BIT(STRING));
    if (parser->token.kind != LOOM_TOKEN_STRING) return loom_parser_fail(parser, LOOM_TOKEN_BIT(STRING));
    command->label = loom_arena_text(parser->arena, parser->token.text + 1, parser->token.length - 2);
    if (!command->label) return loom_parser_no_memory(parser);
    if (memchr(parser->token.text, '\0', parser->token.length))
        return loom_diagnose(parser->err, LOOM_BAD_SYNTAX, loom_parser_place(parser),
                             "a NUL character in a label or file name; remove it");
    loom_parser_advance(parser, LOOM_CONTEXT_VALUE);
    return LOOM_OK;
}

static loom_status parse_goal(loom_parser *parser, loom_command *command) {
    command->kind = parser->token.kind == LOOM_TOKEN_PRINT ? LOOM_COMMAND_PRINT : LOOM_COMMAND_SAVE;
    LOOM_TRY(parse_label(parser, command));
    return loom_parser_expression(parser, &command->expr);
}

static loom_status parse_command(loom_parser *parser, loom_command *command) {
    command->place = loom_parser_place(parser);
    switch (parser->token.kind) {
    case LOOM_TOKEN_LET:
        loom_parser_advance(parser, LOOM_NAMES | LOOM_TOKEN_BIT(OPERATOR));
        if (!loom_parser_at_name(parser) && parser->token.kind != LOOM_TOKEN_OPERATOR)
            return loom_parser_fail(parser, LOOM_NAMES | LOOM_TOKEN_BIT(OPERATOR));
        return parse_declaration(parser, command, true);
    case LOOM_TOKEN_PRINT:
    case LOOM_TOKEN_SAVE:
        return parse_goal(parser, command);
    case LOOM_TOKEN_IMPORT:
        command->kind = LOOM_COMMAND_IMPORT;
        return parse_label(parser, command);
    case LOOM_TOKEN_IDENTIFIER:
    case LOOM_TOKEN_UPPER:
    case LOOM_TOKEN_DOLLAR:
    case LOOM_TOKEN_OPERATOR:
        return parse_declaration(parser, command, false);
    default:
        return loom_parser_fail(parser, LOOM_CONTEXT_COMMAND);
    }
}

static loom_status parse_commands(loom_parser *parser, loom_program *program) {
    size_t capacity = 0;
    loom_command *commands = NULL;
    loom_status status = LOOM_OK;
    while (status == LOOM_OK && parser->token.kind != LOOM_TOKEN_END) {
        if (program->count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            loom_command *grown = realloc(commands, capacity * sizeof *commands);
            if (!grown) {
                status = loom_parser_no_memory(parser);
                break;
            }
            commands = grown;
        }
        commands[program->count] = (loom_command){0};
        status = parse_command(parser, &commands[program->count++]);
    }
    if (status == LOOM_OK) {
        program->commands = loom_arena_copy(parser->arena, commands, program->count * sizeof *commands);
        if (!program->commands) status = loom_parser_no_memory(parser);
    }
    free(commands);
    return status;
}

static void start(loom_parser *parser, loom_names *names, const loom_source *source, loom_token_set accepted,
                  loom_error *err) {
    *parser = (loom_parser){.names = names, .arena = names->arena, .last_line = 1, .last_column = 1, .err = err};
    loom_lexer_start(&parser->lexer, source);
    read_token(parser, accepted);
}

static void end(loom_parser *parser) {
    free(parser->frames);
    free(parser->items);
}

loom_status loom_parse_program(loom_names *names, const loom_source *source, loom_program **program, loom_error *err) {
    loom_parser parser;
    loom_program *made = loom_arena_alloc(names->arena, sizeof *made);
    if (!made) return loom_fail(err, LOOM_NO_MEMORY, "out of memory parsing %s", source->name);
    made->source = source;
    start(&parser, names, source, LOOM_CONTEXT_COMMAND, err);
    loom_status status = parse_commands(&parser, made);
    end(&parser);
    if (status == LOOM_OK) *program = made;
    return status;
}

loom_status loom_parse_expression(loom_names *names, const loom_source *source, loom_expr **expr, loom_error *err) {
    loom_parser parser;
    start(&parser, names, source, LOOM_CONTEXT_EXPRESSION, err);
    loom_status status = loom_parser_expression(&parser, expr);
    if (status == LOOM_OK && parser.token.kind != LOOM_TOKEN_END)
        status = loom_parser_fail(&parser, LOOM_TOKEN_BIT(END));
    end(&parser);
    return status;
}
