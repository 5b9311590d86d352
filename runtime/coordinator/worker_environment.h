/* worker_environment.h - what workers inherit: our environment, with libraries told to use one thread. */
#ifndef LOOM_RUNTIME_WORKER_ENVIRONMENT_H
#define LOOM_RUNTIME_WORKER_ENVIRONMENT_H

/* A copy of `environment` (as `environ`) in which every thread limit that a library reads is 1, whatever it was: a
 * worker is one of as many as there are cores, and a library in it that starts a thread a core would start the square
 * of that. One block, which the caller frees with free(); its strings are those of `environment`, which must outlive
 * it. NULL: out of memory. */
char **loom_worker_environment(char *const *environment);

#endif
