/* usdt.h - probes for bpftrace, perf and SystemTap: places in the running programs where these can look in, each a
 * `nop` until somebody does. Built in where <sys/sdt.h> is installed (Debian: systemtap-sdt-dev), else nothing.
 *
 *      probe of provider "voxloom"   arguments                                            where
 *      task__start                   task, operator (text), worker                        runtime/worker/execute.c
 *      task__end                     task, loom_status, loom_origin                       runtime/worker/execute.c
 *      steal                         task, worker that it is taken from                   shm/segment/worker_take.c
 *      commit                        rows, 1 if they were stored                          runtime/coordinator/commit.c
 *      evict                         results, their bytes                                 shm/extent/evict.c */
#ifndef LOOM_SHM_USDT_H
#define LOOM_SHM_USDT_H

#if !defined(VOXLOOM_PORTABLE) && defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define LOOM_USDT2(name, a, b) DTRACE_PROBE2(voxloom, name, a, b)
#define LOOM_USDT3(name, a, b, c) DTRACE_PROBE3(voxloom, name, a, b, c)
#endif
#endif

#ifndef LOOM_USDT2
#define LOOM_USDT2(name, a, b) ((void)(a), (void)(b))
#define LOOM_USDT3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
