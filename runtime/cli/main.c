/* main.c - the command `voxloom`: finds the command that the first word names, and hands it the rest. */
#include <stdio.h>
#include <string.h>

#include "io/zstd_codec.h"
#include "runtime/cli/command.h"
#include "runtime/voxloom.h"

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        loom_command_help.run(&loom_command_help, 0, NULL);
        return loom_exit_flushed(2);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("voxloom %s\n", LOOM_VERSION);
        return loom_exit_flushed(0);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";

    loom_zstd_register();
    loom_error err = {0};
    const loom_command *command = loom_command_find(name, &err);
    if (command == NULL) return loom_exit_failed(&err);
    return loom_exit_flushed(command->run(command, argc - 2, argv + 2));
}
