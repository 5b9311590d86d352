/* profile_table.h - a profile as people read it. */
#ifndef LOOM_CLI_PROFILE_TABLE_H
#define LOOM_CLI_PROFILE_TABLE_H

#include <stdio.h>

#include "perf/profile.h"

/* Where worker-seconds went, the operators (the most expensive 20), the most expensive nodes (5), and what was not
 * counted and why. At most 120 columns, plain ASCII. */
void loom_profile_print(const loom_profile *profile, FILE *out);

#endif
