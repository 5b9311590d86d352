/* store_disk.h - one store in a folder, as one process has it open: shared by all handles (opening one LMDB path twice
 * in a process and closing one destroys the other's locks). Opening: store_disk_open.c; operations: store_disk.c. */
#ifndef LOOM_SHM_STORE_DISK_H
#define LOOM_SHM_STORE_DISK_H

#include <stdatomic.h>

#include "shm/control/control.h"
#include "shm/extent/extent_file.h"
#include "shm/extent/space.h"
#include "shm/store/store.h"
#include "shm/store/store_folder.h"

typedef struct loom_disk {
    struct loom_disk *next;
    unsigned handles;
    loom_folder folder;
    int extents_fd;
    bool read_only;
    loom_control *control;
    loom_index *index;
    loom_extents *extents;
    loom_space *space;
    loom_cipher *cipher;        /* owned; NULL: plain */
    _Atomic bool unsynced;      /* this process has noted that it commits without syncing */
    bool opener;                /* one of its handles may write: it counts look-ups in the index at close */
    loom_store_options options; /* of the newest opener, defaults filled in; its pointers are not kept */
} loom_disk;

/* The open disk of the folder, opened if need be; one handle more. Its errors are those of loom_store_open. A worker
 * has the master key instead of options->key (NULL: plain). */
loom_status loom_disk_get(const loom_store_options *options, const uint8_t *master, loom_control_role role,
                          loom_disk **disk, loom_error *err);
/* Whether this process has the store of this folder open. */
bool loom_disk_is_open(const loom_folder *folder);
/* One handle less; the last one tidies the index, syncs and closes. */
void loom_disk_release(loom_disk *disk);
/* NULL for a store in memory. */
loom_disk *loom_disk_of(loom_store *store);

#endif
