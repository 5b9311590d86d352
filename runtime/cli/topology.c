/* topology.c - `voxloom topology`: the cores, caches and NUMA domains that workers are pinned to. */
#include "runtime/topology.h"

#include "runtime/cli/command.h"

static int topology(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    loom_parsed parsed = loom_options_parse(self, argc, argv, NULL, 0, 0, 0, &words);
    loom_words_free(&words);
    if (parsed != LOOM_PARSED) return parsed == LOOM_PARSED_FAILED ? 2 : 0;
    loom_error err = {0};
    return loom_topology_print(stdout, &err) == LOOM_OK ? 0 : loom_exit_failed(&err);
}

const loom_command loom_command_topology = {
    .name = "topology",
    .summary = "Shows cores, caches and NUMA domains as voxloom uses them",
    .usage = "voxloom topology",
    .help = "Workers are bound to these cores, in this order (workers.pin).\n",
    .run = topology,
};
