/* store.h - the tables that `voxloom store` prints. */
#ifndef LOOM_CLI_STORE_H
#define LOOM_CLI_STORE_H

#include "runtime/cli/command.h"
#include "shm/store/storage.h"

/* One line of `ls`: short id, type, shape or value, bytes, operator, age. */
void loom_store_print_row(const loom_result *result, FILE *out);
/* `ls` and `stat`; both return the exit status and report their own errors. */
int loom_store_list(loom_store *store, FILE *out);
int loom_store_describe(loom_store *store, FILE *out);

#endif
