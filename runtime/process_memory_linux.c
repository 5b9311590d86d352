/* Reads RssAnon, RssFile and RssShmem of /proc/PID/status (proc(5)). */
#include "runtime/process_memory.h"

#include <stdio.h>
#include <string.h>

/* "RssAnon:      1234 kB" */
static uint64_t field_bytes(const char *line, const char *name) {
    unsigned long long kibibytes;
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || sscanf(line + length, " %llu kB", &kibibytes) != 1) return 0;
    return (uint64_t)kibibytes * 1024;
}

void loom_process_memory(int pid, uint64_t *resident_bytes, uint64_t *anonymous_bytes) {
    char path[64], line[256];
    *resident_bytes = *anonymous_bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (!status) return;
    while (fgets(line, sizeof line, status)) {
        *resident_bytes += field_bytes(line, "VmRSS:");
        *anonymous_bytes += field_bytes(line, "RssAnon:");
    }
    fclose(status);
}
