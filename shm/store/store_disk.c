/* store_disk.c - the store in a folder: LMDB index and extent files. One `disk` per folder and process, shared by all
 * handles: opening one LMDB path twice in a process and closing one destroys the other's locks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/store/codec.h"
#include "shm/store/control.h"
#include "shm/store/extent_file.h"
#include "shm/store/store.h"
#include "shm/store/store_folder.h"

typedef struct disk {
    struct disk *next;
    unsigned handles;
    loom_folder folder;
    int extents_fd;
    bool read_only;
    loom_control *control;
    loom_index *index;
    loom_extents *extents;
} disk;

typedef struct disk_store {
    loom_store base;
    disk *disk;
    loom_durability durability;
} disk_store;

typedef struct disk_batch {
    loom_batch base;
    loom_index_batch *index; /* begun by the first write, so that an idle batch does not hold the writer lock */
} disk_batch;

/* ---- the registry ---- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static disk *registry;
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
    for (disk *each = registry; each != NULL; each = each->next)
        loom_control_forget(each->control);
    registry = NULL;
    pthread_mutex_unlock(&registry_lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static disk *find_registered(const loom_folder *folder) {
    for (disk *each = registry; each != NULL; each = each->next)
        if (each->folder.device == folder->device && each->folder.inode == folder->inode) return each;
    return NULL;
}

static void unregister(const disk *gone) {
    for (disk **link = &registry; *link != NULL; link = &(*link)->next)
        if (*link == gone) {
            *link = gone->next;
            return;
        }
}

/* ---- opening ---- */

static loom_status committed_tail(void *context, uint32_t number, uint64_t *tail, loom_error *err) {
    const disk *from = context;
    loom_extent_record record;
    loom_status status =
        loom_index_get_fixed(from->index, from->index->extents, &number, sizeof number, &record, sizeof record, err);
    *tail = status == LOOM_OK ? record.tail : 0;
    if (status == LOOM_OK && (*tail % LOOM_PAGE_BYTES != 0 || *tail > INT64_MAX - LOOM_PAGE_BYTES))
        return loom_fail(err, LOOM_BAD_STORE, "the index of %s has a damaged record of extent file %08x",
                         from->folder.path, number);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status open_index(disk *made, const loom_store_options *options, bool quiet, bool alone, loom_error *err) {
    loom_index_options index = {.path = made->folder.path,
                                .map_bytes = options->map_bytes,
                                .read_only = made->read_only,
                                .no_lock = quiet,
                                .alone = alone};
    memcpy(index.uuid, made->folder.uuid, sizeof index.uuid);
    return loom_index_open(&index, &made->index, err);
}

static loom_status open_extents(disk *made, uint64_t extent_bytes, uint64_t step_bytes, loom_error *err) {
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

static loom_status punch(void *context, const loom_placement *placement, loom_error *err) {
    const disk *of = context;
    return loom_extents_punch(of->extents, placement, err);
}

/* What only a process that is alone may do (SCHEMA.md, "Replay and recovery", step 5). A full disk must not keep a
 * store from opening: what cannot be tidied now is tidied next time. */
static loom_status tidy(disk *made, loom_error *err) {
    LOOM_TRY(loom_index_sync(made->index, err));
    loom_status status = loom_index_reclaim(made->index, punch, made, err);
    if (status == LOOM_OK) status = loom_extents_cut(made->extents, err);
    return status == LOOM_NO_SPACE ? LOOM_OK : status;
}

static loom_status open_parts(disk *made, const loom_store_options *options, loom_control_role role, bool quiet,
                              loom_error *err) {
    bool present, alone = false;
    LOOM_TRY(loom_folder_read_format(&made->folder, &present, err)); /* again: another process may have created it */
    if (!present) {
        if (made->read_only || quiet)
            return loom_fail(err, LOOM_DENIED, "there is no store in %s yet and it may not be written",
                             made->folder.path);
        LOOM_TRY(loom_folder_create(&made->folder, err));
    }
    uint64_t extent_bytes = options->extent_bytes != 0 ? options->extent_bytes : LOOM_EXTENT_BYTES_DEFAULT;
    uint64_t step_bytes = options->step_bytes != 0 ? options->step_bytes : LOOM_STEP_BYTES_DEFAULT;
    step_bytes = (step_bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    LOOM_TRY(loom_control_alone(made->control, &alone, err));
    LOOM_TRY(loom_control_attach(made->control, alone, made->folder.uuid, role, &extent_bytes, &step_bytes, err));
    LOOM_TRY(open_index(made, options, quiet, alone, err));
    LOOM_TRY(open_extents(made, extent_bytes, step_bytes, err));
    return alone && !made->read_only ? tidy(made, err) : LOOM_OK;
}

static void free_disk(disk *gone) {
    loom_extents_free(gone->extents);
    loom_index_close(gone->index);
    if (gone->extents_fd >= 0) close(gone->extents_fd);
    loom_control_close(gone->control); /* last: it holds the slot */
    loom_folder_close(&gone->folder);
    free(gone);
}

/* Takes the folder over, also on failure. */
static loom_status open_disk(loom_folder *folder, const loom_store_options *options, loom_control_role role,
                             disk **opened, loom_error *err) {
    bool present = false, quiet = false;
    loom_status status = loom_folder_check_system(folder, err);
    if (status == LOOM_OK) status = loom_folder_read_format(folder, &present, err);
    if (status == LOOM_OK && !present && !options->create)
        status = loom_fail(err, LOOM_NOT_FOUND, "there is no store in the folder %s; check store.path", folder->path);
    disk *made = status == LOOM_OK ? calloc(1, sizeof *made) : NULL;
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
    if (status == LOOM_OK) status = open_parts(made, options, role, quiet, err);
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

static loom_status get_disk(const loom_store_options *options, loom_control_role role, disk **got, loom_error *err) {
    loom_folder folder;
    LOOM_TRY(loom_folder_open(options->path, options->create && !options->read_only, &folder, err));
    disk *known = find_registered(&folder);
    if (known == NULL) return open_disk(&folder, options, role, got, err);
    loom_folder_close(&folder);
    if (known->read_only && !options->read_only)
        return loom_fail(err, LOOM_BUSY, "this process has the store %s open read-only; close that first",
                         known->folder.path);
    if (options->map_bytes != 0) loom_index_grow(known->index, options->map_bytes);
    *got = known;
    return LOOM_OK;
}

static void release_disk(disk *used) {
    if (--used->handles > 0) return;
    unregister(used);
    if (used->index->wrote) {
        /* Both only make the next opening faster, or more durable than promised: errors change nothing. Another
         * coordinator may hold the writer lock for long; then it moves the tail itself. */
        if (loom_control_others(used->control, LOOM_ROLE_OPENER) == 0) (void)loom_index_flush_tail(used->index, NULL);
        (void)loom_index_sync(used->index, NULL);
    }
    free_disk(used);
}

static loom_status make_handle(const loom_store_options *options, loom_control_role role, loom_store **store,
                               loom_error *err);

loom_status loom_store_open_disk(const loom_store_options *options, loom_store **store, loom_error *err) {
    return make_handle(options, LOOM_ROLE_OPENER, store, err);
}

loom_status loom_store_attach_disk(const char *token, loom_store **store, loom_error *err) {
    return make_handle(&(loom_store_options){.path = token}, LOOM_ROLE_WORKER, store, err);
}

/* ---- the operations ---- */

static disk_store *disk_of(loom_store *store) {
    return (disk_store *)store;
}

static void disk_close(loom_store *store) {
    disk_store *closing = disk_of(store);
    if (store->generation == loom_fork_generation()) {
        pthread_mutex_lock(&registry_lock);
        release_disk(closing->disk);
        pthread_mutex_unlock(&registry_lock);
    }
    free(closing);
}

static loom_status disk_token(const loom_store *store, char *text, size_t capacity) {
    static const char kind[] = "disk:";
    size_t length = strlen(store->path);
    if (capacity < sizeof kind + length) return LOOM_TOO_LARGE;
    memcpy(text, kind, sizeof kind - 1);
    memcpy(text + sizeof kind - 1, store->path, length + 1);
    return LOOM_OK;
}

static size_t disk_inherit(const loom_store *store, int *fds, size_t capacity) {
    (void)store, (void)fds, (void)capacity;
    return 0;
}

static loom_status disk_find(loom_store *store, loom_find_by by, const loom_id *id, loom_arena *arena,
                             loom_result *result, loom_row_kind *kind, loom_error *err) {
    return loom_index_find(disk_of(store)->disk->index, by, id, arena, result, kind, err);
}

static loom_status disk_scan(loom_store *store, loom_row_visit visit, void *context, loom_error *err) {
    return loom_index_scan(disk_of(store)->disk->index, visit, context, err);
}

static void file_key(const loom_file_stamp *stamp, uint8_t key[16]) {
    for (unsigned i = 0; i < 8; i++) {
        key[i] = (uint8_t)(stamp->device >> (56 - 8 * i));
        key[8 + i] = (uint8_t)(stamp->inode >> (56 - 8 * i));
    }
}

static loom_status disk_get_file(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    loom_index *index = disk_of(store)->disk->index;
    uint8_t key[16];
    loom_file_record record;
    file_key(stamp, key);
    LOOM_TRY(loom_index_get_fixed(index, index->files, key, sizeof key, &record, sizeof record, err));
    if (record.size != stamp->size || record.mtime_ns != stamp->mtime_ns || record.ctime_ns != stamp->ctime_ns)
        return LOOM_NOT_FOUND;
    *content = record.content;
    return LOOM_OK;
}

/* The caller's names live apart from the store's own. */
static size_t meta_key(const char *name, char key[LOOM_META_KEY_MAX + 3]) {
    size_t length = strlen(name);
    memcpy(key, "m:", 2);
    memcpy(key + 2, name, length);
    return length + 2;
}

static loom_status disk_get_meta(loom_store *store, const char *name, loom_arena *arena, const void **bytes,
                                 size_t *length, loom_error *err) {
    loom_index *index = disk_of(store)->disk->index;
    char key[LOOM_META_KEY_MAX + 3];
    return loom_index_get(index, index->meta, key, meta_key(name, key), arena, bytes, length, err);
}

static loom_status disk_stat(loom_store *store, loom_store_stats *stats, loom_error *err) {
    disk *of = disk_of(store)->disk;
    loom_index_state state;
    LOOM_TRY(loom_index_state_of(of->index, &state, err));
    *stats = (loom_store_stats){.rows = state.live_rows,
                                .images = state.images,
                                .blobs = state.blobs,
                                .payload_bytes = state.payload_bytes,
                                .bulk_bytes = state.bulk_bytes,
                                .index_bytes = loom_index_bytes(of->index),
                                .format = LOOM_STORE_FORMAT};
    return loom_extents_usage(of->extents, &stats->extent_files, &stats->extent_allocated_bytes, err);
}

/* ---- batches ---- */

static loom_status disk_begin(loom_store *store, loom_batch **batch, loom_error *err) {
    disk_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while beginning a batch");
    made->base.store = store;
    *batch = &made->base;
    return LOOM_OK;
}

/* The transaction of a batch, begun on first use. */
static loom_status transaction(loom_batch *batch, loom_index_batch **index, loom_error *err) {
    disk_batch *of = (disk_batch *)batch;
    disk_store *store = disk_of(batch->store);
    if (of->index == NULL) LOOM_TRY(loom_index_begin(store->disk->index, store->durability, &of->index, err));
    *index = of->index;
    return LOOM_OK;
}

static loom_status disk_put(loom_batch *batch, const loom_result *result, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_put(index, result, err);
}

static loom_status disk_erase(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    return loom_index_delete(index, rkey, err);
}

static loom_status disk_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                 loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    uint8_t key[16];
    file_key(stamp, key);
    loom_file_record record = {
        .size = stamp->size, .mtime_ns = stamp->mtime_ns, .ctime_ns = stamp->ctime_ns, .content = *content};
    return loom_index_put_raw(index, disk_of(batch->store)->disk->index->files, key, sizeof key, &record, sizeof record,
                              err);
}

static loom_status disk_put_meta(loom_batch *batch, const char *name, const void *bytes, size_t length,
                                 loom_error *err) {
    loom_index_batch *index;
    LOOM_TRY(transaction(batch, &index, err));
    char key[LOOM_META_KEY_MAX + 3];
    return loom_index_put_raw(index, disk_of(batch->store)->disk->index->meta, key, meta_key(name, key), bytes, length,
                              err);
}

static loom_status disk_commit(loom_batch *batch, loom_error *err) {
    disk_batch *ending = (disk_batch *)batch;
    loom_status status =
        ending->index != NULL ? loom_index_commit(ending->index, disk_of(batch->store)->disk->extents, err) : LOOM_OK;
    free(ending);
    return status;
}

static void disk_abort(loom_batch *batch) {
    disk_batch *ending = (disk_batch *)batch;
    if (ending->index != NULL) loom_index_abort(ending->index);
    free(ending);
}

loom_status loom_store_parts_of(loom_store *store, loom_store_parts *parts, loom_error *err) {
    if (store->in_memory)
        return loom_fail(err, LOOM_UNSUPPORTED, "a store in memory has no files; open one in a folder (store.path)");
    const disk *of = disk_of(store)->disk;
    *parts = (loom_store_parts){.index = of->index,
                                .control = of->control,
                                .folder_fd = of->folder.fd,
                                .extents_fd = of->extents_fd,
                                .uuid = of->folder.uuid,
                                .read_only = of->read_only};
    return LOOM_OK;
}

static const loom_store_ops disk_ops = {
    .close = disk_close,
    .token = disk_token,
    .inherit = disk_inherit,
    .find = disk_find,
    .scan = disk_scan,
    .get_file = disk_get_file,
    .get_meta = disk_get_meta,
    .stat = disk_stat,
    .begin = disk_begin,
    .put = disk_put,
    .erase = disk_erase,
    .put_file = disk_put_file,
    .put_meta = disk_put_meta,
    .commit = disk_commit,
    .abort = disk_abort,
};

static loom_status make_handle(const loom_store_options *options, loom_control_role role, loom_store **store,
                               loom_error *err) {
    disk_store *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a store");
    pthread_once(&registry_once, watch_forks);
    pthread_mutex_lock(&registry_lock);
    loom_status status = get_disk(options, role, &made->disk, err);
    if (status == LOOM_OK) made->disk->handles++;
    pthread_mutex_unlock(&registry_lock);
    if (status != LOOM_OK) {
        free(made);
        return status;
    }
    made->durability = options->durability;
    made->base =
        (loom_store){.ops = &disk_ops,
                     .extents = made->disk->extents,
                     .stored = made->disk->extents,
                     .compression = options->compression,
                     .compression_level =
                         options->compression_level != 0 ? options->compression_level : LOOM_COMPRESSION_LEVEL_DEFAULT,
                     .cold_after_s = options->cold_after_s != 0 ? options->cold_after_s : LOOM_COLD_AFTER_S_DEFAULT,
                     .path = made->disk->folder.path,
                     .generation = loom_fork_generation(),
                     .writable = role == LOOM_ROLE_OPENER && !options->read_only};
    *store = &made->base;
    return LOOM_OK;
}
