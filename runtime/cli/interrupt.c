/* interrupt.c - the two-step stop. */
#include "runtime/cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

/* Written by the handler, on whichever thread, read by the coordinator's loop. */
static atomic_int stop_requests;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a handler takes no lock");

static void on_signal(int number) {
    (void)number;
    if (atomic_load(&stop_requests) < 2) atomic_fetch_add(&stop_requests, 1);
}

const atomic_int *loom_interrupt_install(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* cannot fail with these arguments */
    sigaction(SIGTERM, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    return &stop_requests;
}
