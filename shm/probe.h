/* probe.h - named places between two steps of a protocol, where a test can stop or kill a process. Nothing in a
 * product: tests that kill compile the sources again with LOOM_PROBES and provide loom_probe. */
#ifndef LOOM_SHM_PROBE_H
#define LOOM_SHM_PROBE_H

#ifdef LOOM_PROBES
void loom_probe(const char *name);
#define LOOM_PROBE(name) loom_probe(name)
#else
#define LOOM_PROBE(name) ((void)0)
#endif

#endif
