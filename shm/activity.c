/* activity.c - the observer of each thread, and the names of activities. */
#include "shm/activity.h"

_Thread_local loom_observer *loom_thread_observer __attribute__((tls_model("initial-exec")));

const char *loom_activity_name(unsigned activity) {
    static const char *const names[] = {
#define LOOM_ACTIVITY_NAME(name, text) text,
        LOOM_ACTIVITY_LIST(LOOM_ACTIVITY_NAME)
#undef LOOM_ACTIVITY_NAME
    };
    return activity < sizeof names / sizeof names[0] ? names[activity] : "?";
}
