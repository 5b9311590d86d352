/* human.h - bytes, durations and counts as people read them. */
#ifndef LOOM_CLI_HUMAN_H
#define LOOM_CLI_HUMAN_H

#include <stdint.h>

#define LOOM_HUMAN_BYTES 24

/* "412 B", "3.4 KiB", "1.2 GiB" */
const char *loom_human_bytes(uint64_t bytes, char text[LOOM_HUMAN_BYTES]);
/* "830 us", "12 ms", "1.34 s", "2 min 5 s", "3 h 4 min", "5 days" */
const char *loom_human_seconds(double seconds, char text[LOOM_HUMAN_BYTES]);

#endif
