/* faults.h - system calls that fail on purpose. A program that links faults.c has its own write, pwrite, writev,
 * fallocate, ftruncate, fsync, fdatasync, msync, mmap and rename in front of the C library's, for itself and for LMDB
 * (link it with ENABLE_EXPORTS). Nothing fails until a fault is armed, and then only for files under one folder. */
#ifndef LOOM_TESTS_FAULTS_H
#define LOOM_TESTS_FAULTS_H

#include <stdbool.h>

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

#endif
