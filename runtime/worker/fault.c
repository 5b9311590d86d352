/* fault.c - see fault.h. The handler only reads what this thread wrote before the fault, and stores to the segment. */
#include "runtime/worker/fault.h"

#include <signal.h>

#include "shm/segment/signs.h"

#define STACK_BYTES 65536 /* a fault may be the end of the other stack */

static const int signals[] = {SIGBUS, SIGSEGV};
#define SIGNALS (sizeof signals / sizeof signals[0])

static const loom_worker *watched;
static struct sigaction before[SIGNALS];
static uint8_t handler_stack[STACK_BYTES];

static bool lies_in(uintptr_t address, const void *bytes, uint64_t length) {
    return bytes && address >= (uintptr_t)bytes && address - (uintptr_t)bytes < length;
}

static loom_fault place_of(uintptr_t address) {
    const loom_worker *worker = watched;
    if (worker->reserved && lies_in(address, worker->reservation.window, worker->reservation.placement.bytes))
        return (loom_fault){.in = LOOM_FAULT_RESULT,
                            .extent = worker->reservation.placement.extent,
                            .offset = worker->reservation.placement.offset +
                                      (address - (uintptr_t)worker->reservation.window)};
    /* One behind the last: it is counted once it is mapped, and read while it is. */
    for (size_t i = 0; i <= worker->view_count && i < worker->view_capacity; i++) {
        const loom_view *view = &worker->views[i];
        if (lies_in(address, view->bytes, view->length))
            return (loom_fault){.in = LOOM_FAULT_ARGUMENT,
                                .extent = view->extent,
                                .offset = view->offset + (address - (uintptr_t)view->bytes)};
    }
    return (loom_fault){.in = LOOM_FAULT_ELSEWHERE};
}

/* Returns into the instruction that failed, which fails again, now as it would have without us. */
static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    for (size_t i = 0; i < SIGNALS; i++)
        if (signals[i] == number) sigaction(number, &before[i], NULL);
    if (info->si_code <= 0) { /* sent by somebody: it would not come again */
        raise(number);
        return;
    }
    const loom_fault fault = place_of((uintptr_t)info->si_addr);
    loom_segment_record_fault(watched->segment, &fault);
}

void loom_fault_watch(const loom_worker *worker) {
    watched = worker;
    const stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) == 0) action.sa_flags |= SA_ONSTACK;
    for (size_t i = 0; i < SIGNALS; i++) /* without it a death tells less */
        (void)sigaction(signals[i], &action, &before[i]);
}
