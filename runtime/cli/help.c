/* help.c - the list of commands, and the screen of each. */
#include <string.h>

#include "runtime/cli/store.h"
#include "runtime/nearest.h"
#include "runtime/voxloom.h"

enum { COMMANDS_MAX = 16 };

const loom_command *const loom_commands[] = {
    &loom_command_run,
    &loom_command_plan,
    &loom_command_explain,
    &loom_command_list_primitives,
    &loom_command_store,
    &loom_command_audit,
    &loom_command_view,
    &loom_command_phantom,
    &loom_command_topology,
    &loom_command_doctor,
    &loom_command_config,
    &loom_command_help,
    NULL,
};
_Static_assert(sizeof loom_commands / sizeof loom_commands[0] <= COMMANDS_MAX, "raise COMMANDS_MAX");

const loom_command *loom_command_find(const char *name, loom_error *err) {
    const char *names[COMMANDS_MAX];
    size_t count = 0;
    for (; loom_commands[count] != NULL; count++) {
        if (strcmp(loom_commands[count]->name, name) == 0) return loom_commands[count];
        names[count] = loom_commands[count]->name;
    }
    const char *kind = name[0] == '-' ? "option" : "command";
    const char *nearest = loom_nearest(name, names, count);
    if (nearest != NULL)
        loom_fail(err, LOOM_BAD_USAGE, "unknown %s %.80s; did you mean `voxloom %s`?", kind, name, nearest);
    else
        loom_fail(err, LOOM_BAD_USAGE, "unknown %s %.80s; `voxloom help` lists the commands", kind, name);
    loom_error_at(err, "voxloom", 0, 0);
    return NULL;
}

void loom_command_help_print(const loom_command *command, FILE *out) {
    fprintf(out, "%s\n\nusage: %s\n\n%s", command->summary, command->usage, command->help);
}

static void print_commands(FILE *out) {
    fprintf(out, "voxloom %s: runs VoxLogicA-2 programs in parallel and never computes the same result twice\n\n",
            LOOM_VERSION);
    fputs("usage: voxloom COMMAND ...\n\n", out);
    for (size_t i = 0; loom_commands[i] != NULL; i++)
        fprintf(out, "  %-15s %s\n", loom_commands[i]->name, loom_commands[i]->summary);
    fputs("\n  voxloom help COMMAND   what a command takes\n"
          "  voxloom --version      the version\n\n"
          "Exit status: 0 well; 1 failed while running; 2 wrong usage, program or configuration.\n",
          out);
}

static int help(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    loom_parsed parsed = loom_options_parse(self, argc, argv, NULL, 0, 0, 2, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    loom_error err = {0};
    if (parsed == LOOM_PARSED && words.count == 0) print_commands(stdout);
    if (parsed == LOOM_PARSED && words.count > 0) {
        const loom_command *command = loom_command_find(words.items[0], &err);
        if (command != NULL && words.count > 1) {
            if (command != &loom_command_store) {
                status = loom_exit_usage(self, "%s has no actions: \"%s\" is one word too many", words.items[0],
                                         words.items[1]);
                loom_words_free(&words);
                return status;
            }
            command = loom_store_action_find(words.items[1], &err);
        }
        if (command != NULL)
            loom_command_help_print(command, stdout);
        else
            status = loom_exit_failed(&err);
    }
    loom_words_free(&words);
    return status;
}

const loom_command loom_command_help = {
    .name = "help",
    .summary = "Says what a command takes",
    .usage = "voxloom help [COMMAND | store ACTION]",
    .help = "Without a COMMAND: the list of commands.\n",
    .run = help,
};
