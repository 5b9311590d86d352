/* process_memory.h - how much memory a process holds. Linux: /proc/PID/status. Elsewhere: unknown (0). */
#ifndef LOOM_RUNTIME_PROCESS_MEMORY_H
#define LOOM_RUNTIME_PROCESS_MEMORY_H

#include <stdint.h>

/* Bytes resident, and of these the anonymous ones (heap, stacks: not file mappings, not shared memory). 0 when unknown.
 */
void loom_process_memory(int pid, uint64_t *resident_bytes, uint64_t *anonymous_bytes);

#endif
