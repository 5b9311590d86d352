/* store_disk_open.c - the registry of stores in folders that this process has open, opening and closing one, and what
 * only a process that is alone may do. Steps: shm/SCHEMA.md, "Replay and recovery". */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/codec/codec.h"
#include "shm/extent/unsynced.h"
#include "shm/store/store_disk.h"

#define BALLAST_BYTES_DEFAULT (UINT64_C(4) << 20)
#define REUSE_BYTES_DEFAULT (UINT64_C(1) << 30)

/* ---- the registry ---- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static loom_disk *registry;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    pthread_mutex_lock(&registry_lock);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&registry_lock);
}

/* The child may use nothing of it (LMDB forbids it) and closes what would keep the parent's locks alive; the rest is
 * left as it is, because tearing it down would act on the parent's behalf. */
static void after_fork_in_child(void) {
    for (loom_disk *each = registry; each != NULL; each = each->next)
        loom_control_forget(each->control);
    registry = NULL;
    pthread_mutex_unlock(&registry_lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static loom_disk *find_registered(const loom_folder *folder) {
    for (loom_disk *each = registry; each != NULL; each = each->next)
        if (each->folder.device == folder->device && each->folder.inode == folder->inode) return each;
    return NULL;
}

static void unregister(const loom_disk *gone) {
    for (loom_disk **link = &registry; *link != NULL; link = &(*link)->next)
        if (*link == gone) {
            *link = gone->next;
            return;
        }
}

/* ---- opening ---- */

static loom_store_options with_defaults(const loom_store_options *options) {
    loom_store_options full = *options;
    full.path = NULL;
    full.key = NULL;
    if (full.extent_bytes == 0) full.extent_bytes = LOOM_EXTENT_BYTES_DEFAULT;
    if (full.step_bytes == 0) full.step_bytes = LOOM_STEP_BYTES_DEFAULT;
    full.step_bytes = (full.step_bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    if (full.compression_level == 0) full.compression_level = LOOM_COMPRESSION_LEVEL_DEFAULT;
    if (full.cold_after_s == 0) full.cold_after_s = LOOM_COLD_AFTER_S_DEFAULT;
    if (full.ballast_bytes == 0) full.ballast_bytes = BALLAST_BYTES_DEFAULT;
    if (full.reuse_bytes == 0) full.reuse_bytes = REUSE_BYTES_DEFAULT;
    return full;
}

static loom_status committed_tail(void *context, uint32_t number, uint64_t *tail, loom_error *err) {
    const loom_disk *from = context;
    return loom_index_committed_tail(from->index, number, tail, err);
}

static loom_status open_index(loom_disk *made, const loom_store_options *options, bool quiet, bool alone,
                              loom_error *err) {
    loom_index_options index = {.path = made->folder.path,
                                .map_bytes = options->map_bytes,
                                .read_only = made->read_only,
                                .no_lock = quiet,
                                .alone = alone,
                                .cipher = made->cipher};
    memcpy(index.uuid, made->folder.uuid, sizeof index.uuid);
    return loom_index_open(&index, &made->index, err);
}

static loom_status open_extents(loom_disk *made, uint64_t extent_bytes, uint64_t step_bytes, loom_error *err) {
    made->extents_fd = openat(made->folder.fd, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made->extents_fd < 0) return loom_fail_errno(err, errno, "cannot open %s/extents", made->folder.path);
    loom_extents_options extents = {.path = made->folder.path,
                                    .dir_fd = made->extents_fd,
                                    .lock_fd = loom_control_fd(made->control),
                                    .writable = !made->read_only,
                                    .extent_bytes = extent_bytes,
                                    .step_bytes = step_bytes,
                                    .committed_tail = committed_tail,
                                    .context = made};
    memcpy(extents.uuid, made->folder.uuid, sizeof extents.uuid);
    return loom_extents_new(&extents, &made->extents, err);
}

static loom_status open_space(loom_disk *made, loom_control_role role, bool alone, loom_error *err) {
    loom_space_options space = {.path = made->folder.path,
                                .control = made->control,
                                .index = made->index,
                                .extents = made->extents,
                                .folder_fd = made->folder.fd,
                                .alone = alone,
                                .writable = !made->read_only,
                                .opener = role == LOOM_ROLE_OPENER,
                                .budget_bytes = made->options.budget_bytes,
                                .reuse_bytes = made->options.reuse_bytes,
                                .ballast_bytes = made->options.ballast_bytes,
                                .eviction = made->options.eviction};
    return loom_space_open(&space, &made->space, err);
}

/* The master key of an encrypted folder, as the user's key opens it or as a coordinator handed it on. */
static loom_status find_master(const loom_folder *folder, const loom_key *key, const uint8_t *handed,
                               uint8_t master[32], loom_error *err) {
    if (handed == NULL) return loom_folder_unlock(folder, key, master, err);
    if (!folder->encrypted)
        return loom_fail(err, LOOM_DENIED, "the store %s is not encrypted, and a key was handed on", folder->path);
    memcpy(master, handed, 32);
    return LOOM_OK;
}

static loom_status open_cipher(loom_disk *made, const loom_key *key, const uint8_t *handed, loom_error *err) {
    uint8_t master[32];
    loom_status status = find_master(&made->folder, key, handed, master, err);
    if (status == LOOM_OK && made->folder.encrypted) status = loom_cipher_new(master, &made->cipher, err);
    OPENSSL_cleanse(master, sizeof master);
    return status;
}

/* A further handle of this process needs the key as the first one did. */
static loom_status check_key(const loom_disk *known, loom_folder *folder, const loom_key *key, const uint8_t *handed,
                             loom_error *err) {
    bool present;
    if (known->cipher == NULL && key == NULL && handed == NULL) return LOOM_OK;
    uint8_t master[32];
    loom_status status = loom_folder_read_format(folder, &present, err); /* another process may have changed the key */
    if (status == LOOM_OK) status = find_master(folder, key, handed, master, err);
    if (status == LOOM_OK &&
        (known->cipher == NULL || CRYPTO_memcmp(master, loom_cipher_master(known->cipher), 32) != 0))
        status =
            loom_fail(err, LOOM_DENIED, "the key given is not that of the store %s; check store.key", folder->path);
    OPENSSL_cleanse(master, sizeof master);
    return status;
}

static loom_status open_parts(loom_disk *made, const loom_store_options *options, const uint8_t *master,
                              loom_control_role role, bool quiet, loom_error *err) {
    bool present, alone = false;
    LOOM_TRY(loom_folder_read_format(&made->folder, &present, err)); /* again: another process may have created it */
    if (!present) {
        if (made->read_only || quiet)
            return loom_fail(err, LOOM_DENIED, "there is no store in %s yet and it may not be written",
                             made->folder.path);
        LOOM_TRY(loom_folder_create(&made->folder, options->key, err));
    }
    LOOM_TRY(open_cipher(made, options->key, master, err));
    uint64_t extent_bytes = made->options.extent_bytes, step_bytes = made->options.step_bytes;
    LOOM_TRY(loom_control_alone(made->control, &alone, err));
    LOOM_TRY(loom_control_attach(made->control, alone, made->folder.uuid, role, &extent_bytes, &step_bytes, err));
    bool unsynced = false;
    if (alone) LOOM_TRY(loom_unsynced_check(&made->folder, &unsynced, err));
    LOOM_TRY(open_index(made, options, quiet, alone, err));
    if (unsynced && !made->read_only && loom_index_sync(made->index, NULL) == LOOM_OK)
        loom_unsynced_clear(&made->folder);
    LOOM_TRY(open_extents(made, extent_bytes, step_bytes, err));
    made->index->bulk = made->extents;
    made->index->control = made->control;
    return open_space(made, role, alone, err);
}

static void free_disk(loom_disk *gone) {
    loom_space_close(gone->space);
    loom_extents_free(gone->extents);
    loom_index_close(gone->index);
    if (gone->extents_fd >= 0) close(gone->extents_fd);
    loom_control_close(gone->control); /* last: it holds the slot */
    loom_folder_close(&gone->folder);
    loom_cipher_free(gone->cipher);
    free(gone);
}

/* Takes the folder over, also on failure. */
static loom_status open_disk(loom_folder *folder, const loom_store_options *options, const uint8_t *master,
                             loom_control_role role, loom_disk **opened, loom_error *err) {
    bool present = false, quiet = false;
    loom_status status = loom_folder_check_system(folder, err);
    if (status == LOOM_OK) status = loom_folder_read_format(folder, &present, err);
    if (status == LOOM_OK && !present && !options->create)
        status = loom_fail(err, LOOM_NOT_FOUND, "there is no store in the folder %s; check store.path", folder->path);
    loom_disk *made = status == LOOM_OK ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        if (status == LOOM_OK) status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a store");
        loom_folder_close(folder);
        return status;
    }
    made->folder = *folder;
    made->extents_fd = -1;
    status = loom_control_enter(made->folder.fd, made->folder.path, &made->control, &quiet, err);
    if (status == LOOM_OK && quiet && !options->read_only)
        status = loom_fail(err, LOOM_DENIED,
                           "the store %s may not be written by this user; ask for permission or choose "
                           "another store (store.path)",
                           made->folder.path);
    made->read_only = options->read_only;
    made->options = with_defaults(options);
    made->opener = role == LOOM_ROLE_OPENER && !options->read_only;
    if (status == LOOM_OK) status = open_parts(made, options, master, role, quiet, err);
    if (made->control != NULL) loom_control_leave_gate(made->control);
    if (status != LOOM_OK) {
        free_disk(made);
        return status;
    }
    made->next = registry;
    registry = made;
    *opened = made;
    return LOOM_OK;
}

static loom_status get_locked(const loom_store_options *options, const uint8_t *master, loom_control_role role,
                              loom_disk **got, loom_error *err) {
    loom_folder folder;
    LOOM_TRY(loom_folder_open(options->path, options->create && !options->read_only, &folder, err));
    loom_disk *known = find_registered(&folder);
    if (known == NULL) return open_disk(&folder, options, master, role, got, err);
    loom_status status = check_key(known, &folder, options->key, master, err);
    loom_folder_close(&folder);
    if (status != LOOM_OK) return status;
    if (known->read_only && !options->read_only)
        return loom_fail(err, LOOM_BUSY, "this process has the store %s open read-only; close that first",
                         known->folder.path);
    if (options->map_bytes != 0) loom_index_grow(known->index, options->map_bytes);
    if (role == LOOM_ROLE_OPENER && !options->read_only) {
        known->opener = true;
        known->options = with_defaults(options);
        loom_space_set_limits(known->space, known->options.budget_bytes, known->options.reuse_bytes,
                              known->options.eviction);
    }
    *got = known;
    return LOOM_OK;
}

/* Whoever opens the store next need not look at the index first. */
static void end_unsynced(loom_disk *used) {
    bool alone = false;
    if (!used->unsynced || loom_control_others(used->control, LOOM_ROLE_OPENER) > 0 ||
        loom_control_retake_gate(used->control, NULL) != LOOM_OK)
        return;
    if (loom_control_alone(used->control, &alone, NULL) == LOOM_OK && alone &&
        loom_index_sync(used->index, NULL) == LOOM_OK)
        loom_unsynced_clear(&used->folder);
    loom_control_leave_gate(used->control);
}

static void release_locked(loom_disk *used) {
    if (--used->handles > 0) return;
    unregister(used);
    bool looked_up = used->opener && (atomic_load_explicit(&used->index->hits, memory_order_relaxed) != 0 ||
                                      atomic_load_explicit(&used->index->misses, memory_order_relaxed) != 0);
    if (used->index->wrote || looked_up) {
        /* Both only make the next opening faster, or more durable than promised: errors change nothing. Another
         * coordinator may hold the writer lock for long; then it moves the tail itself. */
        if (loom_control_others(used->control, LOOM_ROLE_OPENER) == 0) (void)loom_index_flush_tail(used->index, NULL);
        (void)loom_index_sync(used->index, NULL);
        end_unsynced(used);
    }
    free_disk(used);
}

loom_status loom_disk_get(const loom_store_options *options, const uint8_t *master, loom_control_role role,
                          loom_disk **disk, loom_error *err) {
    pthread_once(&registry_once, watch_forks);
    pthread_mutex_lock(&registry_lock);
    loom_status status = get_locked(options, master, role, disk, err);
    if (status == LOOM_OK) (*disk)->handles++;
    pthread_mutex_unlock(&registry_lock);
    return status;
}

bool loom_disk_is_open(const loom_folder *folder) {
    pthread_mutex_lock(&registry_lock);
    bool open = find_registered(folder) != NULL;
    pthread_mutex_unlock(&registry_lock);
    return open;
}

void loom_disk_release(loom_disk *disk) {
    pthread_mutex_lock(&registry_lock);
    release_locked(disk);
    pthread_mutex_unlock(&registry_lock);
}
