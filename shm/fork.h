/* fork.h - telling a process from the child it forked. */
#ifndef LOOM_SHM_FORK_H
#define LOOM_SHM_FORK_H

/* A number that differs between a process and its forked child, at the cost of a load (no system call). Objects that
 * must not be used across fork (LMDB environments, locks) remember it when they are made. */
unsigned loom_fork_generation(void);

#endif
