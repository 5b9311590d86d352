/* doctor_posix.c - the portable twin of doctor_linux.c: says which of the platform's own calls this build leaves out.
 */
#include <stddef.h>

#include "runtime/cli/doctor.h"

void loom_doctor_platform(const char *folder, loom_check_sink sink, void *context) {
    static const struct {
        const char *what, *found, *cost;
    } twins[] = {
        {"pinning", "none", "workers are not bound to cores, and memory lies where it is first touched"},
        {"file system", "not examined", "keep the store on a local disk: a network folder would not be refused"},
        {"wake-ups", "by polling", "an idle worker wakes up to a millisecond late"},
        {"shared memory", "by shm_open", ""},
        {"pid namespace", "not examined", "a store must not be used from two containers at once"},
    };
    (void)folder;
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++)
        loom_check_report(sink, context, twins[i].what, twins[i].cost[0] != '\0' ? LOOM_CHECK_LACK : LOOM_CHECK_GOOD,
                          twins[i].cost, "%s (portable build)", twins[i].found);
}
