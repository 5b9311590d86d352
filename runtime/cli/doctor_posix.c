/* doctor_posix.c - the portable twin of doctor_linux.c: says which of the platform's own calls this build leaves out.
 */
#include <stddef.h>

#include "runtime/cli/doctor.h"

void loom_doctor_platform(const char *folder, loom_check_sink sink, void *context) {
    static const struct {
        const char *what, *cost;
    } left_out[] = {{"perf events", "no hardware counters in profiles; runs are not slower"},
                    {"NUMA policy", "memory lies where it is first touched; pinning alone keeps it near"},
                    {"futex", "idle workers wake a little later"},
                    {"memfd", "the shared segment is a file in the temporary folder, unlinked at once"},
                    {"pidfd", "a worker's death is noticed by polling"}};
    (void)folder;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        loom_check_report(sink, context, left_out[i].what, LOOM_CHECK_LACK, left_out[i].cost,
                          "not used by a portable build");
}
