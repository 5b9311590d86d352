/* interrupt.c - the two-step stop. */
#include "runtime/cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

/* Written by the handler, read by the coordinator's loop: an int is written whole on every machine we build for. */
static volatile int stop_requests;

static void on_signal(int number) {
    (void)number;
    if (stop_requests < 2) stop_requests = stop_requests + 1;
}

volatile int *loom_interrupt_install(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* cannot fail with these arguments */
    sigaction(SIGTERM, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    return &stop_requests;
}
