/* index_env.c - the index's LMDB environment: opened with care (map size, limits, a file cut short), its tables,
 * closing. Traps and remedies: shm/SCHEMA.md, "Why LMDB". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/index/index_lmdb.h"
#include "shm/platform_file.h"

#define MAP_BYTES_DEFAULT (UINT64_C(1) << 40)
#define MAP_BYTES_MIN (UINT64_C(1) << 20)
#define READERS_MAX 2046u
#define TABLES_MAX 32u

loom_status loom_index_fail(const loom_index *index, int code, const char *doing, loom_error *err) {
    switch (code) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return loom_fail(err, LOOM_NO_SPACE, "%s: the index of %s is full; raise store.map_size or free space", doing,
                         index->path);
    case MDB_READERS_FULL:
        return loom_fail(err, LOOM_BUSY, "%s: too many readers of %s at once; end some processes", doing, index->path);
    case MDB_MAP_RESIZED:
        return loom_fail(err, LOOM_BUSY, "%s: another process enlarged the index of %s while this one reads it; retry",
                         doing, index->path);
    case MDB_VERSION_MISMATCH:
        return loom_fail(err, LOOM_NEWER_STORE, "%s: the index of %s was written by another version of LMDB", doing,
                         index->path);
    default:
        if (code > 0) return loom_fail_errno(err, code, "%s in the index of %s", doing, index->path);
        return loom_fail(
            err, LOOM_BAD_STORE,
            "%s: the index of %s is damaged (%s); restore it from a copy, or delete the store to recompute", doing,
            index->path, mdb_strerror(code));
    }
}

/* ---- opening ---- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t automatic_map_bytes(void) {
    uint64_t bytes = MAP_BYTES_DEFAULT;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bytes = least(bytes, limit.rlim_cur / 4);
    /* A file beyond this limit raises SIGXFSZ inside LMDB; a full map is an error. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bytes = least(bytes, limit.rlim_cur);
    return bytes < MAP_BYTES_MIN ? MAP_BYTES_MIN : bytes;
}

/* `bytes` in whole pages: LMDB refuses others on some systems. */
static size_t map_pages(uint64_t bytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX / 2) bytes = SIZE_MAX / 2;
    return (size_t)((bytes + page - 1) / page * page);
}

static int try_open(loom_index *index, const char *folder, uint64_t map_bytes, unsigned flags) {
    int code = mdb_env_create(&index->env);
    if (code != MDB_SUCCESS) {
        index->env = NULL;
        return code;
    }
    code = mdb_env_set_maxdbs(index->env, TABLES_MAX);
    if (code == MDB_SUCCESS) code = mdb_env_set_maxreaders(index->env, READERS_MAX);
    if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(index->env, map_pages(map_bytes));
    if (code == MDB_SUCCESS) code = mdb_env_open(index->env, folder, flags, 0600);
    if (code != MDB_SUCCESS) {
        mdb_env_close(index->env);
        index->env = NULL;
    }
    return code;
}

/* A data file cut short would raise SIGBUS where its pages are missing; zeros in their place are an error instead. (The
 * file may rightly end some pages early: pages that were allocated and freed in one transaction are never written.) */
static int complete_file(loom_index *index) {
    MDB_envinfo info;
    MDB_stat stat;
    struct stat now;
    mdb_filehandle_t fd;
    int code = mdb_env_info(index->env, &info);
    if (code == MDB_SUCCESS) code = mdb_env_stat(index->env, &stat);
    if (code == MDB_SUCCESS) code = mdb_env_get_fd(index->env, &fd);
    if (code != MDB_SUCCESS) return code;
    uint64_t needed = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    if (fstat(fd, &now) != 0) return errno;
    if ((uint64_t)now.st_size >= needed) return MDB_SUCCESS;
    if (needed > info.me_mapsize) return MDB_CORRUPTED;
    return ftruncate(fd, (off_t)needed) == 0 ? MDB_SUCCESS : errno;
}

static loom_status nothing_stored(const loom_index *index, loom_error *err) {
    return loom_fail(err, LOOM_NOT_FOUND, "the store %s is empty: nothing was ever stored in it", index->path);
}

/* FORMAT is written before LMDB makes its file; a process killed between the two leaves no file, or an empty one. A
 * writer then makes it; a reader cannot. */
static bool never_written(const char *folder) {
    struct stat now;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool unmade = fstatat(fd, "data.mdb", &now, 0) == 0 ? now.st_size == 0 : errno == ENOENT;
    close(fd);
    return unmade;
}

/* LMDB writes the first pages of a new file without syncing them: a power failure would leave a file that is neither
 * empty nor an index. So it is made under another name, synced, and renamed. */
#define UNFINISHED "data.new"

static int make_environment(const char *folder) {
    size_t length = strlen(folder) + sizeof "/" UNFINISHED;
    char *path = malloc(length);
    MDB_env *env = NULL;
    if (path == NULL) return ENOMEM;
    snprintf(path, length, "%s/" UNFINISHED, folder);
    int code = unlink(path) == 0 || errno == ENOENT ? mdb_env_create(&env) : errno;
    if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(env, MAP_BYTES_MIN);
    if (code == MDB_SUCCESS) code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (code == MDB_SUCCESS) code = mdb_env_sync(env, 1);
    mdb_env_close(env);
    free(path);
    return code;
}

static int make_file(const char *folder) {
    int code = make_environment(folder);
    if (code != MDB_SUCCESS) return code;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    if (renameat(fd, UNFINISHED, fd, "data.mdb") != 0 || fsync(fd) != 0) code = errno;
    close(fd);
    return code;
}

static loom_status open_environment(loom_index *index, const loom_index_options *options, loom_error *err) {
    size_t length = strlen(options->path) + sizeof "/index";
    char *folder = malloc(length);
    if (folder == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the index");
    snprintf(folder, length, "%s/index", options->path);
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    if (options->read_only) flags |= MDB_RDONLY;
    if (options->no_lock) flags |= MDB_NOLOCK;
    uint64_t bytes = options->map_bytes != 0 ? options->map_bytes : automatic_map_bytes();
    bool unmade = options->read_only && never_written(folder);
    int code = options->alone && !options->read_only && never_written(folder) ? make_file(folder) : MDB_SUCCESS;
    if (code == MDB_SUCCESS) code = try_open(index, folder, bytes, flags);
    /* Address space is short: RLIMIT_AS says ENOMEM, valgrind EINVAL. */
    while ((code == ENOMEM || code == EINVAL) && bytes / 2 >= MAP_BYTES_MIN) {
        bytes /= 2;
        code = try_open(index, folder, bytes, flags);
    }
    free(folder);
    if (code != MDB_SUCCESS && unmade) return nothing_stored(index, err);
    if (code == MDB_SUCCESS && options->alone && !options->read_only) code = complete_file(index);
    if (code == MDB_SUCCESS && !options->no_lock) {
        int dead;
        code = mdb_reader_check(index->env, &dead);
    }
    if (code == EAGAIN)
        return loom_fail(
            err, LOOM_BUSY,
            "a process with the same number in another container has the store %s open; run both in one pid "
            "namespace",
            index->path);
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot open", err);
}

static int open_tables(loom_index *index, MDB_txn *txn, unsigned create) {
    const struct {
        const char *name;
        unsigned flags;
        MDB_dbi *table;
    } tables[] = {
        {"rows", MDB_INTEGERKEY, &index->rows},
        {"keys", 0, &index->keys},
        {"vids", 0, &index->vids},
        {"extents", MDB_INTEGERKEY, &index->extents},
        {"deleted", MDB_INTEGERKEY, &index->deleted},
        {"free", 0, &index->free},
        {"files", 0, &index->files},
        {"meta", 0, &index->meta},
        {"pins", 0, &index->pins},
        {"goals", 0, &index->goals},
        {"runs", MDB_INTEGERKEY, &index->runs},
        {"fields", 0, &index->fields},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        int code = mdb_dbi_open(txn, tables[i].name, tables[i].flags | create, tables[i].table);
        if (code != MDB_SUCCESS) return code;
    }
    return MDB_SUCCESS;
}

static MDB_val uuid_key(void) {
    static char name[] = "s:uuid";
    return (MDB_val){sizeof name - 1, name};
}

/* The index must belong to this FORMAT: two half-copied stores are told apart here. */
static loom_status check_uuid(loom_index *index, MDB_txn *txn, const uint8_t uuid[16], loom_error *err) {
    MDB_val key = uuid_key(), value;
    int code = mdb_get(txn, index->meta, &key, &value);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    if (loom_index_is_of(index, uuid, value.mv_data, value.mv_size)) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_STORE,
                     "FORMAT and index of %s belong to different stores; restore both from one copy", index->path);
}

/* With a read transaction, so that attaching never waits for a batch of another process. */
static loom_status open_existing_tables(loom_index *index, const uint8_t uuid[16], bool *fresh, loom_error *err) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot open", err);
    code = open_tables(index, txn, 0);
    *fresh = code == MDB_NOTFOUND;
    loom_status status = LOOM_OK;
    if (code != MDB_SUCCESS && !*fresh) status = loom_index_fail(index, code, "cannot open the tables", err);
    if (status == LOOM_OK && !*fresh) status = check_uuid(index, txn, uuid, err);
    if (status == LOOM_OK && !*fresh)
        mdb_txn_commit(txn); /* keeps the table handles; nothing was written */
    else
        mdb_txn_abort(txn);
    return status;
}

/* Of an index that is new: where migrations will begin one day. */
static int put_format(loom_index *index, MDB_txn *txn) {
    static char name[] = LOOM_INDEX_FORMAT_KEY;
    uint32_t format = LOOM_STORE_FORMAT;
    MDB_val key = {sizeof name - 1, name}, value = {sizeof format, &format};
    return mdb_put(txn, index->meta, &key, &value, 0);
}

static loom_status create_tables(loom_index *index, const uint8_t uuid[16], loom_error *err) {
    uint8_t identity[LOOM_IDENTITY_MAX];
    size_t length;
    LOOM_TRY(loom_index_identity(index, uuid, identity, &length, err));
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot create the tables", err);
    MDB_val key = uuid_key(), value = {length, identity};
    code = open_tables(index, txn, MDB_CREATE);
    if (code == MDB_SUCCESS) code = mdb_put(txn, index->meta, &key, &value, MDB_NOOVERWRITE);
    if (code == MDB_SUCCESS) code = put_format(index, txn);
    loom_status status = code == MDB_KEYEXIST ? check_uuid(index, txn, uuid, err) : LOOM_OK;
    if (code == MDB_SUCCESS || (code == MDB_KEYEXIST && status == LOOM_OK))
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (status != LOOM_OK) return status;
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot create the tables", err);
}

static loom_status prepare_tables(loom_index *index, const loom_index_options *options, loom_error *err) {
    bool fresh = false;
    LOOM_TRY(open_existing_tables(index, options->uuid, &fresh, err));
    if (!fresh) return LOOM_OK;
    if (index->read_only) return nothing_stored(index, err);
    return create_tables(index, options->uuid, err);
}

loom_status loom_index_open(const loom_index_options *options, loom_index **index, loom_error *err) {
    *index = NULL;
    loom_index *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the index");
    pthread_mutex_init(&made->lock, NULL);
    made->read_only = options->read_only;
    made->cipher = options->cipher;
    made->path = strdup(options->path);
    loom_status status = LOOM_OK;
    if (made->path == NULL) status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the index");
    if (status == LOOM_OK) status = open_environment(made, options, err);
    if (status == LOOM_OK) status = prepare_tables(made, options, err);
    if (status != LOOM_OK) {
        loom_index_close(made);
        return status;
    }
    *index = made;
    return LOOM_OK;
}

void loom_index_drop_reader(loom_index *index) {
    for (size_t i = 0; i < 2; i++)
        if (index->cursors[i] != NULL) mdb_cursor_close(index->cursors[i]);
    index->cursors[0] = index->cursors[1] = NULL;
    if (index->reader != NULL) mdb_txn_abort(index->reader);
    index->reader = NULL;
}

void loom_index_close(loom_index *index) {
    if (index == NULL) return;
    loom_index_drop_reader(index);
    if (index->env != NULL) mdb_env_close(index->env);
    loom_tail_free(&index->tails[0]);
    loom_tail_free(&index->tails[1]);
    pthread_mutex_destroy(&index->lock);
    free(index->path);
    free(index);
}

/* LMDB gives its map up before it asks for another: a larger one that cannot be had would leave it without any. */
static bool can_map(uint64_t bytes) {
    void *map = mmap(NULL, map_pages(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return false;
    munmap(map, map_pages(bytes));
    return true;
}

void loom_index_make_headroom(loom_index *index, uint64_t bytes) {
    MDB_envinfo info;
    if (!loom_index_map_is_unused(index) || mdb_env_info(index->env, &info) != MDB_SUCCESS) return;
    uint64_t used = loom_index_bytes(index), map = info.me_mapsize, limit = automatic_map_bytes();
    if (map - used >= bytes || map < used) return;
    while (map - used < bytes && map <= limit / 2)
        map *= 2;
    /* A map that cannot be had leaves the environment without one: try the address space first. */
    if (map == info.me_mapsize || !can_map(map)) return;
    (void)mdb_env_set_mapsize(index->env, map_pages(map));
}

void loom_index_grow(loom_index *index, uint64_t map_bytes) {
    pthread_mutex_lock(&index->lock);
    MDB_envinfo info;
    if (loom_index_map_is_unused(index) && mdb_env_info(index->env, &info) == MDB_SUCCESS &&
        map_bytes > info.me_mapsize && can_map(map_bytes))
        (void)mdb_env_set_mapsize(index->env, map_pages(map_bytes));
    pthread_mutex_unlock(&index->lock);
}
