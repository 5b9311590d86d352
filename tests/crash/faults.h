/* faults.h - system calls that fail on purpose. A program that links faults.c has its own write, pwrite, writev,
 * pwritev, fallocate, ftruncate, fsync, fdatasync, mmap and renameat in front of the C library's, for itself and for
 * LMDB (link it with ENABLE_EXPORTS). Nothing fails until a fault is armed, and then only for files under one folder.
 */
#ifndef LOOM_TESTS_FAULTS_H
#define LOOM_TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum fault_kind {
    FAULT_SHORT_WRITE, /* half of it is written */
    FAULT_EIO,         /* of any write */
    FAULT_ENOSPC,      /* of any write, allocation or growth */
    FAULT_EINTR,       /* of any write or allocation, once */
    FAULT_ALLOCATE,    /* fallocate: EIO */
    FAULT_MMAP,        /* ENOMEM */
    FAULT_SYNC,        /* EIO; the bytes stay in the page cache, as Linux leaves them */
    FAULT_RENAME,      /* EIO */
    FAULT_KINDS
} fault_kind;

const char *fault_name(fault_kind kind);
/* The `nth` call (from 1) that the kind could strike fails; with `from_then_on` all later ones too, as on a full disk.
 */
void fault_arm(const char *folder, fault_kind kind, unsigned nth, bool from_then_on);
void fault_disarm(void);
bool fault_fired(void);

/* What is about to happen to a file under the watched folder (WRITE includes growth, holes and cuts). */
typedef enum watch_call { WATCH_WRITE, WATCH_SYNC, WATCH_RENAME } watch_call;
/* `bytes` > 0 only of a write at `offset`. Called before it happens, by the thread that does it; calls that the watcher
 * makes itself are not watched. NULL: no more. */
typedef void (*fault_watcher)(watch_call call, int fd, const char *path, const void *data, size_t bytes, off_t offset);
void fault_watch(const char *folder, fault_watcher watcher);

#endif
