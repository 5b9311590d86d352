/* backup_folder.h - the folder that holds a store's backups: pack-00000001.loom and so on, each with what is new and a
 * manifest of all. A pack appears under its name when it is complete and durable, and never changes after. */
#ifndef LOOM_SHM_BACKUP_FOLDER_H
#define LOOM_SHM_BACKUP_FOLDER_H

#include "shm/pack/pack.h"

#define LOOM_PACK_NAME_BYTES 32u

typedef struct loom_backup_folder {
    char *path;
    int fd, lock_fd;
    uint32_t last; /* number of the newest pack; 0 = none */
} loom_backup_folder;

void loom_pack_name(uint32_t number, char name[LOOM_PACK_NAME_BYTES]);

/* Opens the folder (made, mode 0700, when missing and `create`) and finds the newest pack. With `create` it is also
 * locked: LOOM_BUSY while another backup goes there. Errors: LOOM_NOT_FOUND, LOOM_DENIED, LOOM_BAD_USAGE (the folder
 * holds something else). */
loom_status loom_backup_folder_open(const char *path, bool create, loom_backup_folder *folder, loom_error *err);
void loom_backup_folder_close(loom_backup_folder *folder);

/* A pack, for reading. */
loom_status loom_backup_folder_pack(const loom_backup_folder *folder, uint32_t number, int *fd, loom_error *err);
/* The file of the pack being written: an earlier one that was not finished is emptied. */
loom_status loom_backup_folder_new(const loom_backup_folder *folder, int *fd, loom_error *err);
/* Makes it durable and gives it its name. */
loom_status loom_backup_folder_publish(loom_backup_folder *folder, int fd, loom_error *err);
void loom_backup_folder_discard(const loom_backup_folder *folder);

#endif
