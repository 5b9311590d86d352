/* human.c - rounding for people. */
#include "runtime/cli/human.h"

#include <inttypes.h>
#include <stdio.h>

const char *loom_human_bytes(uint64_t bytes, char text[LOOM_HUMAN_BYTES]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, LOOM_HUMAN_BYTES, "%" PRIu64 " B", bytes);
        return text;
    }
    double scaled = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.95 would round to "1024.0". */
    while (scaled >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        scaled /= 1024;
        unit++;
    }
    snprintf(text, LOOM_HUMAN_BYTES, scaled < 99.95 ? "%.1f %s" : "%.0f %s", scaled, units[unit]);
    return text;
}

const char *loom_human_seconds(double seconds, char text[LOOM_HUMAN_BYTES]) {
    if (seconds < 1e-3)
        snprintf(text, LOOM_HUMAN_BYTES, "%.0f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(text, LOOM_HUMAN_BYTES, "%.0f ms", seconds * 1e3);
    else if (seconds < 10)
        snprintf(text, LOOM_HUMAN_BYTES, "%.2f s", seconds);
    else if (seconds < 120)
        snprintf(text, LOOM_HUMAN_BYTES, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(text, LOOM_HUMAN_BYTES, "%d min %d s", (int)(seconds / 60), (int)seconds % 60);
    else if (seconds < 48 * 3600)
        snprintf(text, LOOM_HUMAN_BYTES, "%d h %d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
    else
        snprintf(text, LOOM_HUMAN_BYTES, "%.0f days", seconds / 86400);
    return text;
}
