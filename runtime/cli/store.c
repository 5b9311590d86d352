/* store.c - `voxloom store`: the table of its actions. */
#include "runtime/cli/store.h"

#include <string.h>

#include "runtime/nearest.h"

enum { ACTIONS_MAX = 32 };

extern const loom_command loom_store_ls, loom_store_stat_command, loom_store_get, loom_store_put,
    loom_store_find_command, loom_store_goals, loom_store_pin, loom_store_unpin, loom_store_pins,
    loom_store_derived_from, loom_store_rm, loom_store_invalidate_command, loom_store_gc_command,
    loom_store_verify_command, loom_store_backup, loom_store_restore, loom_store_export, loom_store_import,
    loom_store_upgrade_command, loom_store_rekey_command;

const loom_command *const loom_store_actions[] = {
    &loom_store_ls,
    &loom_store_stat_command,
    &loom_store_get,
    &loom_store_put,
    &loom_store_find_command,
    &loom_store_goals,
    &loom_store_pin,
    &loom_store_unpin,
    &loom_store_pins,
    &loom_store_derived_from,
    &loom_store_rm,
    &loom_store_invalidate_command,
    &loom_store_gc_command,
    &loom_store_verify_command,
    &loom_store_backup,
    &loom_store_restore,
    &loom_store_export,
    &loom_store_import,
    &loom_store_upgrade_command,
    &loom_store_rekey_command,
    NULL,
};
_Static_assert(sizeof loom_store_actions / sizeof loom_store_actions[0] <= ACTIONS_MAX, "raise ACTIONS_MAX");

/* The names of actions are those of their commands, "store ls", without the first word. */
static const char *name_of(const loom_command *action) {
    return action->name + strlen("store ");
}

const loom_command *loom_store_action_find(const char *name, loom_error *err) {
    const char *names[ACTIONS_MAX];
    size_t count = 0;
    for (; loom_store_actions[count] != NULL; count++) {
        names[count] = name_of(loom_store_actions[count]);
        if (strcmp(names[count], name) == 0) return loom_store_actions[count];
    }
    const char *nearest = loom_nearest(name, names, count);
    if (nearest != NULL)
        loom_fail(err, LOOM_BAD_USAGE, "unknown action %.80s; did you mean `voxloom store %s`?", name, nearest);
    else
        loom_fail(err, LOOM_BAD_USAGE, "unknown action %.80s; `voxloom help store` lists them", name);
    return NULL;
}

static int store_command(const loom_command *self, int argc, char **argv) {
    loom_error err = {0};
    if (argc == 0) return loom_exit_usage(self, "something is missing: %s", self->usage);
    if (argv[0][0] == '-') {
        loom_words words = {0};
        loom_parsed parsed = loom_options_parse(self, 1, argv, NULL, 0, 1, LOOM_WORDS_ANY, &words);
        loom_words_free(&words);
        return parsed == LOOM_PARSED_HELP ? 0 : 2;
    }
    const loom_command *action = loom_store_action_find(argv[0], &err);
    return action != NULL ? action->run(action, argc - 1, argv + 1) : loom_exit_failed(&err);
}

const loom_command loom_command_store = {
    .name = "store",
    .summary = "Looks into the store of results, and looks after it",
    .usage = "voxloom store ACTION ...       (voxloom help store ACTION says what it takes)",
    .help = "  ls, stat             lists results; describes the store\n"
            "  get ID [FILE]        an image to a file, any other value as text\n"
            "  put FILE             a file as a result\n"
            "  find QUERY           records by what they hold: 'patient.age > 60 and modality == \"flair\"'\n"
            "  goals                what runs were for, and which results met it\n"
            "  pin, unpin, pins     results that neither the budget nor gc removes\n"
            "  derived-from FILE    what was computed from a file\n"
            "  rm ID...             removes results; they are computed again when they are needed\n"
            "  invalidate           forgets what came from an operator or a file, and all that follows\n"
            "  gc                   collects garbage: expired, over the budget, left by the dead\n"
            "  verify               checks every byte, and repairs\n"
            "  backup, restore      the whole store, to and from a folder or a pipe\n"
            "  export, import       chosen results, to and from a file\n"
            "  upgrade, rekey       an older store to this version's format; another key\n"
            "All take --store DIR, --config FILE, --set KEY=VALUE as `voxloom run` does, and --quiet; ID is the first\n"
            "digits (4 or more) of a key, value id or node id; or goal:LABEL, or key:NAME.\n",
    .run = store_command,
};
