/* unsynced.c - see unsynced.h. */
#include "shm/extent/unsynced.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shm/index/tree.h"

#define NAME "index/unsynced"
#define TABLES_MAX 32
#define TABLE_NAME_BYTES 32

static int sync_folder(const loom_folder *folder) {
    int fd = openat(folder->fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    return failed;
}

loom_status loom_unsynced_note(const loom_folder *folder, loom_error *err) {
    int fd = openat(folder->fd, NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed = fd < 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (failed == 0) failed = sync_folder(folder);
    return failed == 0 ? LOOM_OK : loom_fail_errno(err, failed, "cannot write %s/" NAME, folder->path);
}

void loom_unsynced_clear(const loom_folder *folder) {
    if (unlinkat(folder->fd, NAME, 0) == 0) (void)sync_folder(folder);
}

/* ---- looking at every page ---- */

typedef struct tables {
    char names[TABLES_MAX][TABLE_NAME_BYTES];
    unsigned count;
    bool damaged;
} tables;

static bool note_table(const loom_tree_entry *entry, void *context) {
    tables *all = context;
    if (entry->key_bytes >= TABLE_NAME_BYTES || all->count == TABLES_MAX) return !(all->damaged = true);
    memcpy(all->names[all->count], entry->key, entry->key_bytes);
    all->names[all->count++][entry->key_bytes] = '\0';
    return true;
}

static bool pass(const loom_tree_entry *entry, void *context) {
    (void)entry, (void)context;
    return true;
}

static void note_damage(uint64_t page, const char *what, void *context) {
    (void)page, (void)what;
    ((tables *)context)->damaged = true;
}

static loom_status walk_all(loom_tree *tree, tables *all, loom_error *err) {
    LOOM_TRY(loom_tree_walk(tree, NULL, note_table, note_damage, all, err));
    for (unsigned i = 0; i < all->count && !all->damaged; i++)
        LOOM_TRY(loom_tree_walk(tree, all->names[i], pass, note_damage, all, err));
    return all->damaged ? LOOM_OK : loom_tree_walk_unused(tree, note_damage, all, err);
}

static loom_status damaged(const loom_folder *folder, loom_error *err) {
    return loom_fail(err, LOOM_BAD_STORE,
                     "the index of %s is damaged: the machine stopped while results were stored without being synced "
                     "(store.durability \"none\"); run `voxloom store verify --repair`",
                     folder->path);
}

loom_status loom_unsynced_check(const loom_folder *folder, bool *noted, loom_error *err) {
    *noted = faccessat(folder->fd, NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*noted) return LOOM_OK;
    int fd = openat(folder->fd, "index/data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? LOOM_OK : loom_fail_errno(err, errno, "cannot read the index of %s", folder->path);
    loom_tree *tree;
    tables all = {.count = 0};
    loom_status status = loom_tree_open(fd, 0, &tree, err);
    if (status == LOOM_OK) {
        status = walk_all(tree, &all, err);
        loom_tree_free(tree);
    }
    close(fd);
    if (status == LOOM_BAD_STORE || status == LOOM_NOT_FOUND || (status == LOOM_OK && all.damaged))
        return damaged(folder, err);
    return status;
}
