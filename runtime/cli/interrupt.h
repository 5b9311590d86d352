/* interrupt.h - Ctrl-C for the command line. The library installs no handlers; the program may. */
#ifndef LOOM_CLI_INTERRUPT_H
#define LOOM_CLI_INTERRUPT_H

#include <stdatomic.h>

/* From now on SIGINT and SIGTERM count up the returned variable (1: stop cleanly, 2: stop now), and writing to a closed
 * pipe is an error instead of death by SIGPIPE. */
const atomic_int *loom_interrupt_install(void);

#endif
