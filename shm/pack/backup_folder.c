/* backup_folder.c - see backup_folder.h. */
#include "shm/pack/backup_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/probe.h"

#define UNFINISHED "unfinished"
#define LOCK "lock"

void loom_pack_name(uint32_t number, char name[LOOM_PACK_NAME_BYTES]) {
    snprintf(name, LOOM_PACK_NAME_BYTES, "pack-%08u.loom", number);
}

static bool is_pack(const char *name, uint32_t *number) {
    unsigned found;
    char again[LOOM_PACK_NAME_BYTES];
    if (sscanf(name, "pack-%8u.loom", &found) != 1 || found == 0) return false;
    loom_pack_name(found, again);
    *number = found;
    return strcmp(name, again) == 0;
}

/* Finds the newest pack; refuses a folder that holds what a backup does not. */
static loom_status look_through(loom_backup_folder *folder, loom_error *err) {
    int copy = dup(folder->fd);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int failed = errno;
        if (copy >= 0) close(copy);
        return loom_fail_errno(err, failed, "cannot read the backup folder %s", folder->path);
    }
    loom_status status = LOOM_OK;
    rewinddir(dir);
    for (struct dirent *entry; (errno = 0, entry = readdir(dir)) != NULL;) {
        uint32_t number;
        if (is_pack(entry->d_name, &number))
            folder->last = number > folder->last ? number : folder->last;
        else if (entry->d_name[0] != '.' && strcmp(entry->d_name, UNFINISHED) != 0 && strcmp(entry->d_name, LOCK) != 0)
            status = loom_fail(err, LOOM_BAD_USAGE,
                               "%s holds \"%.60s\", which is no part of a backup; choose a new or empty folder",
                               folder->path, entry->d_name);
    }
    int failed = errno;
    closedir(dir);
    return failed == 0 ? status : loom_fail_errno(err, failed, "cannot read the backup folder %s", folder->path);
}

static loom_status lock_folder(loom_backup_folder *folder, loom_error *err) {
    folder->lock_fd = openat(folder->fd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0) return loom_fail_errno(err, errno, "cannot write to the backup folder %s", folder->path);
    int failed = loom_file_lock(folder->lock_fd, 0, 1, true);
    if (failed == EAGAIN || failed == EACCES)
        return loom_fail(err, LOOM_BUSY, "another backup to %s is under way; wait for it", folder->path);
    return failed == 0 ? LOOM_OK : loom_fail_errno(err, failed, "cannot lock the backup folder %s", folder->path);
}

loom_status loom_backup_folder_open(const char *path, bool create, loom_backup_folder *folder, loom_error *err) {
    *folder = (loom_backup_folder){.fd = -1, .lock_fd = -1};
    if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
        return loom_fail_errno(err, errno, "cannot make the backup folder %s", path);
    folder->path = strdup(path);
    if (folder->path == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening %s", path);
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    loom_status status = LOOM_OK;
    if (folder->fd < 0) status = loom_fail_errno(err, errno, "cannot open the backup folder %s", path);
    if (status == LOOM_OK) status = look_through(folder, err); /* first: nothing is put where it does not belong */
    if (status == LOOM_OK && create) status = lock_folder(folder, err);
    if (status == LOOM_OK && create) status = look_through(folder, err); /* another may have ended just before */
    if (status != LOOM_OK) loom_backup_folder_close(folder);
    return status;
}

void loom_backup_folder_close(loom_backup_folder *folder) {
    if (folder->lock_fd >= 0) close(folder->lock_fd);
    if (folder->fd >= 0) close(folder->fd);
    free(folder->path);
    *folder = (loom_backup_folder){.fd = -1, .lock_fd = -1};
}

loom_status loom_backup_folder_pack(const loom_backup_folder *folder, uint32_t number, int *fd, loom_error *err) {
    char name[LOOM_PACK_NAME_BYTES];
    loom_pack_name(number, name);
    *fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0) return LOOM_OK;
    return loom_fail_errno(err, errno, "cannot open %s/%s; bring it back, every later backup builds on it",
                           folder->path, name);
}

loom_status loom_backup_folder_new(const loom_backup_folder *folder, int *fd, loom_error *err) {
    *fd = openat(folder->fd, UNFINISHED, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return *fd >= 0 ? LOOM_OK : loom_fail_errno(err, errno, "cannot write to the backup folder %s", folder->path);
}

loom_status loom_backup_folder_publish(loom_backup_folder *folder, int fd, loom_error *err) {
    char name[LOOM_PACK_NAME_BYTES];
    loom_pack_name(folder->last + 1, name);
    LOOM_PROBE("backup:written");
    if (fsync(fd) != 0) return loom_fail_errno(err, errno, "cannot write to the backup folder %s", folder->path);
    LOOM_PROBE("backup:synced");
    if (renameat(folder->fd, UNFINISHED, folder->fd, name) != 0)
        return loom_fail_errno(err, errno, "cannot write to the backup folder %s", folder->path);
    LOOM_PROBE("backup:renamed");
    folder->last++;
    return fsync(folder->fd) == 0 ? LOOM_OK
                                  : loom_fail_errno(err, errno, "cannot write to the backup folder %s", folder->path);
}

void loom_backup_folder_discard(const loom_backup_folder *folder) {
    (void)unlinkat(folder->fd, UNFINISHED, 0);
}
