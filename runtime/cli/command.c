/* command.c - option reading and exit statuses, the same for every command. */
#include "runtime/cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/nearest.h"

loom_status loom_words_add(loom_words *words, const char *word) {
    const char **items = realloc(words->items, (words->count + 1) * sizeof *items);
    if (items == NULL) return LOOM_NO_MEMORY;
    words->items = items;
    words->items[words->count++] = word;
    return LOOM_OK;
}

void loom_words_free(loom_words *words) {
    free(words->items);
    *words = (loom_words){0};
}

int loom_exit_status(loom_status status) {
    switch (status) {
    case LOOM_OK:
        return 0;
    case LOOM_BAD_USAGE:
    case LOOM_BAD_SYNTAX:
    case LOOM_BAD_PROGRAM:
    case LOOM_BAD_PLAN:
    case LOOM_BAD_CONFIG:
        return 2;
    default:
        return 1;
    }
}

int loom_exit_failed(const loom_error *err) {
    loom_error_print(err, stderr);
    int status = loom_exit_status(err->status);
    return status != 0 ? status : 1;
}

int loom_exit_usage(const loom_command *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "voxloom %s: ", command->name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; see `voxloom help %s`\n", command->name);
    va_end(arguments);
    return 2;
}

int loom_exit_flushed(int status) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "voxloom: error: cannot write to standard output: %s\n", strerror(errno != 0 ? errno : EIO));
    return status != 0 ? status : 1;
}

/* ---- options ---- */

/* True if `word` is the option, alone or with "=value"; *inline_value is then the value or NULL. */
static bool matches(const loom_option *option, const char *word, const char **inline_value) {
    *inline_value = NULL;
    if (option->letter != NULL && strcmp(word, option->letter) == 0) return true;
    size_t length = strlen(option->name);
    if (strncmp(word, option->name, length) != 0) return false;
    if (word[length] == '=') *inline_value = word + length + 1;
    return word[length] == '\0' || word[length] == '=';
}

static loom_parsed unknown_option(const loom_command *command, const char *word, const loom_option *options,
                                  size_t option_count) {
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *names[64] = {"--help"};
    size_t count = 1;
    for (size_t i = 0; i < option_count && count < sizeof names / sizeof names[0]; i++)
        names[count++] = options[i].name;
    const char *nearest = loom_nearest(name, names, count);
    if (nearest != NULL)
        loom_exit_usage(command, "unknown option %s; did you mean %s?", name, nearest);
    else
        loom_exit_usage(command, "unknown option %s", name);
    return LOOM_PARSED_FAILED;
}

/* Takes the option at argv[*at]; leaves *at at its last word. */
static loom_parsed take_option(const loom_command *command, int argc, char **argv, int *at, const loom_option *options,
                               size_t option_count) {
    const char *word = argv[*at];
    const char *value = NULL;
    const loom_option *option = NULL;
    for (size_t i = 0; i < option_count && option == NULL; i++)
        if (matches(&options[i], word, &value)) option = &options[i];
    if (option == NULL) return unknown_option(command, word, options, option_count);
    if (option->flag != NULL) {
        if (value != NULL && option->value == NULL) {
            loom_exit_usage(command, "%s takes no value", option->name);
            return LOOM_PARSED_FAILED;
        }
        if (value != NULL) *option->value = value;
        *option->flag = true;
        return LOOM_PARSED;
    }
    if (value == NULL && *at + 1 < argc) value = argv[++*at];
    if (value == NULL) {
        loom_exit_usage(command, "%s needs a value", option->name);
        return LOOM_PARSED_FAILED;
    }
    if (option->value != NULL) *option->value = value;
    if (option->list != NULL && loom_words_add(option->list, value) != LOOM_OK) return LOOM_PARSED_FAILED;
    return LOOM_PARSED;
}

loom_parsed loom_options_parse(const loom_command *command, int argc, char **argv, const loom_option *options,
                               size_t option_count, size_t least, size_t most, loom_words *words) {
    bool options_ended = false;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        bool is_option = !options_ended && word[0] == '-' && word[1] != '\0';
        if (is_option && strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (is_option && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            loom_command_help_print(command, stdout);
            return LOOM_PARSED_HELP;
        } else if (is_option) {
            loom_parsed parsed = take_option(command, argc, argv, &at, options, option_count);
            if (parsed != LOOM_PARSED) return parsed;
        } else if (words->count == most) {
            loom_exit_usage(command, "\"%s\" is one word too many", word);
            return LOOM_PARSED_FAILED;
        } else if (loom_words_add(words, word) != LOOM_OK) {
            return LOOM_PARSED_FAILED;
        }
    }
    if (words->count >= least) return LOOM_PARSED;
    loom_exit_usage(command, "something is missing: %s", command->usage);
    return LOOM_PARSED_FAILED;
}
