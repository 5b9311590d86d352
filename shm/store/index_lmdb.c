/* index_lmdb.c - the index's environment and its read side. Tables and rules: shm/SCHEMA.md, "Index". */
#include "shm/store/index_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"

#define MAP_BYTES_DEFAULT (UINT64_C(1) << 40)
#define MAP_BYTES_MIN (UINT64_C(1) << 20)
#define READERS_MAX 2046u

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
    code = mdb_env_set_maxdbs(index->env, 16);
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
    int code = try_open(index, folder, bytes, flags);
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
        {"files", 0, &index->files},
        {"meta", 0, &index->meta},
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
    if (value.mv_size == 16 && memcmp(value.mv_data, uuid, 16) == 0) return LOOM_OK;
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

static loom_status create_tables(loom_index *index, const uint8_t uuid[16], loom_error *err) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot create the tables", err);
    MDB_val key = uuid_key(), value = {16, (void *)(uintptr_t)uuid};
    code = open_tables(index, txn, MDB_CREATE);
    if (code == MDB_SUCCESS) code = mdb_put(txn, index->meta, &key, &value, 0);
    if (code == MDB_SUCCESS)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
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

static void drop_reader(loom_index *index) {
    for (size_t i = 0; i < 2; i++)
        if (index->cursors[i] != NULL) mdb_cursor_close(index->cursors[i]);
    index->cursors[0] = index->cursors[1] = NULL;
    if (index->reader != NULL) mdb_txn_abort(index->reader);
    index->reader = NULL;
}

void loom_index_close(loom_index *index) {
    if (index == NULL) return;
    drop_reader(index);
    if (index->env != NULL) mdb_env_close(index->env);
    loom_tail_free(&index->tails[0]);
    loom_tail_free(&index->tails[1]);
    pthread_mutex_destroy(&index->lock);
    free(index->path);
    free(index);
}

void loom_index_grow(loom_index *index, uint64_t map_bytes) {
    pthread_mutex_lock(&index->lock);
    MDB_envinfo info;
    if (!index->writing && index->scans == 0 && mdb_env_info(index->env, &info) == MDB_SUCCESS &&
        map_bytes > info.me_mapsize)
        (void)mdb_env_set_mapsize(index->env, map_pages(map_bytes));
    pthread_mutex_unlock(&index->lock);
}

/* ---- the pooled reader ---- */

static int begin_or_renew(loom_index *index) {
    if (index->reader != NULL) return mdb_txn_renew(index->reader);
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader);
    if (code != MDB_SUCCESS) {
        index->reader = NULL;
        return code;
    }
    code = mdb_cursor_open(index->reader, index->keys, &index->cursors[LOOM_BY_RKEY]);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(index->reader, index->vids, &index->cursors[LOOM_BY_VID]);
    if (code != MDB_SUCCESS) drop_reader(index);
    return code;
}

static int start_reader(loom_index *index) {
    int code = begin_or_renew(index);
    if (code == MDB_READERS_FULL) {
        int dead;
        if (mdb_reader_check(index->env, &dead) == MDB_SUCCESS) code = begin_or_renew(index);
    }
    if (code == MDB_MAP_RESIZED && index->scans == 0 && !index->writing) {
        code = mdb_env_set_mapsize(index->env, 0);
        if (code == MDB_SUCCESS) code = begin_or_renew(index);
    }
    return code;
}

/* Takes the lock and a fresh snapshot, and brings the tails up to it. Unlocked again unless LOOM_OK. */
static loom_status enter(loom_index *index, loom_error *err) {
    pthread_mutex_lock(&index->lock);
    int code = start_reader(index);
    loom_status status = code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot read", err);
    if (status == LOOM_OK) status = loom_index_refresh(index, index->reader, mdb_txn_id(index->reader), err);
    if (status != LOOM_OK) {
        if (code == MDB_SUCCESS) mdb_txn_reset(index->reader);
        pthread_mutex_unlock(&index->lock);
    }
    return status;
}

static void leave(loom_index *index) {
    mdb_txn_reset(index->reader);
    pthread_mutex_unlock(&index->lock);
}

loom_status loom_index_read_state(const loom_index *index, MDB_txn *txn, loom_index_state *state, loom_error *err) {
    MDB_val key = {7, "s:state"}, value;
    int code = mdb_get(txn, index->meta, &key, &value);
    if (code == MDB_NOTFOUND) {
        *state = (loom_index_state){.next_row = 1, .next_deleted = 1};
        return LOOM_OK;
    }
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    if (value.mv_size != sizeof *state) return loom_index_fail(index, MDB_CORRUPTED, "cannot read the state", err);
    memcpy(state, value.mv_data, sizeof *state);
    return LOOM_OK;
}

static bool add_row(loom_index *index, uint64_t row, const loom_row_header *header) {
    if (!loom_tail_add(&index->tails[LOOM_BY_RKEY], header->rkey.bytes, row)) return false;
    return !loom_row_has_vid_entry(&header->rkey, &header->vid, (loom_type)header->type) ||
           loom_tail_add(&index->tails[LOOM_BY_VID], header->vid.bytes, row);
}

static loom_status add_new_rows(loom_index *index, MDB_txn *txn, loom_error *err) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, index->rows, &cursor);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    size_t row = (size_t)index->seen + 1;
    MDB_val key = {sizeof row, &row}, value;
    loom_row_header header;
    loom_status status = LOOM_OK;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS && status == LOOM_OK; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        memcpy(&row, key.mv_data, sizeof row);
        if (loom_row_peek(value.mv_data, value.mv_size, &header) && !add_row(index, row, &header))
            status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
        else
            index->seen = row;
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) status = loom_index_fail(index, code, "cannot read", err);
    return status;
}

loom_status loom_index_refresh(loom_index *index, MDB_txn *txn, size_t snapshot, loom_error *err) {
    if (index->tail_txn != 0 && snapshot <= index->tail_txn) return LOOM_OK;
    loom_index_state state;
    LOOM_TRY(loom_index_read_state(index, txn, &state, err));
    if (state.indexed_upto >= index->seen) {
        loom_tail_clear(&index->tails[LOOM_BY_RKEY]);
        loom_tail_clear(&index->tails[LOOM_BY_VID]);
        index->seen = state.indexed_upto;
    }
    if (index->seen + 1 < state.next_row) LOOM_TRY(add_new_rows(index, txn, err));
    index->tail_txn = snapshot;
    return LOOM_OK;
}

/* ---- look-ups ---- */

void loom_index_key(const loom_id *id, uint64_t row, uint8_t key[LOOM_KEY_BYTES]) {
    memcpy(key, id->bytes, LOOM_PREFIX_BYTES);
    for (unsigned i = 0; i < 8; i++)
        key[LOOM_PREFIX_BYTES + i] = (uint8_t)(row >> (56 - 8 * i));
}

void loom_candidates_begin(loom_candidates *candidates, const loom_tail *first, const loom_tail *second,
                           MDB_cursor *cursor) {
    candidates->tails[0] = first;
    candidates->tails[1] = second;
    candidates->places[0] = candidates->places[1] = 0;
    candidates->cursor = cursor;
    candidates->in_table = false;
}

static uint64_t next_in_table(loom_candidates *candidates, const loom_id *id, int *code) {
    MDB_val key = {LOOM_KEY_BYTES, candidates->start}, value;
    MDB_cursor_op step = MDB_NEXT;
    if (!candidates->in_table) {
        loom_index_key(id, 0, candidates->start);
        step = MDB_SET_RANGE;
        candidates->in_table = true;
    }
    *code = mdb_cursor_get(candidates->cursor, &key, &value, step);
    if (*code == MDB_NOTFOUND)
        *code = MDB_SUCCESS;
    else if (*code == MDB_SUCCESS && key.mv_size == LOOM_KEY_BYTES &&
             memcmp(key.mv_data, id->bytes, LOOM_PREFIX_BYTES) == 0) {
        const uint8_t *number = (const uint8_t *)key.mv_data + LOOM_PREFIX_BYTES;
        uint64_t row = 0;
        for (unsigned i = 0; i < 8; i++)
            row = row << 8 | number[i];
        return row;
    }
    return 0;
}

uint64_t loom_candidates_next(loom_candidates *candidates, const loom_id *id, int *code) {
    *code = MDB_SUCCESS;
    for (size_t i = 0; i < 2; i++) {
        if (candidates->tails[i] == NULL) continue;
        uint64_t row = loom_tail_next(candidates->tails[i], id, &candidates->places[i]);
        if (row != 0) return row;
    }
    return next_in_table(candidates, id, code);
}

/* Copies a row out, aligned, if it is the one asked for and sound. LOOM_NOT_FOUND: try the next candidate. */
static loom_status take_row(loom_index *index, uint64_t number, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err) {
    size_t row = (size_t)number;
    MDB_val key = {sizeof row, &row}, value;
    loom_row_header header;
    int code = mdb_get(index->reader, index->rows, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_NOT_FOUND;
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read a row", err);
    if (!loom_row_peek(value.mv_data, value.mv_size, &header)) return LOOM_NOT_FOUND;
    if (!loom_id_equal(by == LOOM_BY_RKEY ? &header.rkey : &header.vid, id)) return LOOM_NOT_FOUND;
    if (by == LOOM_BY_VID && header.kind != LOOM_ROW_LIVE) return LOOM_NOT_FOUND;
    uint8_t *copy = loom_arena_copy(arena, value.mv_data, value.mv_size);
    if (copy == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    /* A damaged row counts as absent: its result is computed and stored again. */
    return loom_row_decode(copy, value.mv_size, number, result, kind, NULL) == LOOM_OK ? LOOM_OK : LOOM_NOT_FOUND;
}

loom_status loom_index_find(loom_index *index, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err) {
    LOOM_TRY(enter(index, err));
    loom_status status = LOOM_NOT_FOUND;
    int code = mdb_cursor_renew(index->reader, index->cursors[by]);
    loom_candidates candidates;
    loom_candidates_begin(&candidates, &index->tails[by], NULL, index->cursors[by]);
    uint64_t row;
    while (code == MDB_SUCCESS && status == LOOM_NOT_FOUND && (row = loom_candidates_next(&candidates, id, &code)) != 0)
        status = take_row(index, row, by, id, arena, result, kind, err);
    if (code != MDB_SUCCESS) status = loom_index_fail(index, code, "cannot look up", err);
    leave(index);
    return status;
}

/* A transaction of its own, so that a long scan does not hold up look-ups; the callback may use the store. */
static int begin_scan(loom_index *index, MDB_txn **txn) {
    pthread_mutex_lock(&index->lock);
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn);
    if (code == MDB_MAP_RESIZED && index->scans == 0 && !index->writing) {
        code = mdb_env_set_mapsize(index->env, 0);
        if (code == MDB_SUCCESS) code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn);
    }
    if (code == MDB_SUCCESS) index->scans++;
    pthread_mutex_unlock(&index->lock);
    return code;
}

/* Random look-ups want no read-ahead (MDB_NORDAHEAD); a scan of a file that is not cached is 30 times slower without.
 */
static void prefetch(const loom_index *index) {
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(index->env, &fd) == MDB_SUCCESS) loom_file_prefetch(fd, 0, loom_index_bytes(index));
}

static void end_scan(loom_index *index, MDB_txn *txn) {
    mdb_txn_abort(txn);
    pthread_mutex_lock(&index->lock);
    index->scans--;
    pthread_mutex_unlock(&index->lock);
}

loom_status loom_index_scan(loom_index *index, loom_row_visit visit, void *context, loom_error *err) {
    MDB_txn *txn;
    int code = begin_scan(index, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    prefetch(index);
    MDB_cursor *cursor;
    MDB_val key, value;
    code = mdb_cursor_open(txn, index->rows, &cursor);
    if (code == MDB_SUCCESS) {
        bool more = true;
        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        while (code == MDB_SUCCESS && more) {
            size_t row;
            memcpy(&row, key.mv_data, sizeof row);
            more = visit(row, value.mv_data, value.mv_size, context);
            if (more) code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
    }
    end_scan(index, txn);
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_index_fail(index, code, "cannot read", err);
}

loom_status loom_index_get(loom_index *index, MDB_dbi table, const void *key_bytes, size_t key_length,
                           loom_arena *arena, const void **bytes, size_t *length, loom_error *err) {
    LOOM_TRY(enter(index, err));
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes}, value;
    int code = mdb_get(index->reader, table, &key, &value);
    loom_status status = LOOM_OK;
    if (code == MDB_NOTFOUND)
        status = LOOM_NOT_FOUND;
    else if (code != MDB_SUCCESS)
        status = loom_index_fail(index, code, "cannot read", err);
    else if ((*bytes = loom_arena_copy(arena, value.mv_data, value.mv_size)) == NULL)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    else
        *length = value.mv_size;
    leave(index);
    return status;
}

loom_status loom_index_get_fixed(loom_index *index, MDB_dbi table, const void *key_bytes, size_t key_length,
                                 void *bytes, size_t length, loom_error *err) {
    LOOM_TRY(enter(index, err));
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes}, value;
    int code = mdb_get(index->reader, table, &key, &value);
    loom_status status = LOOM_OK;
    if (code == MDB_NOTFOUND)
        status = LOOM_NOT_FOUND;
    else if (code != MDB_SUCCESS)
        status = loom_index_fail(index, code, "cannot read", err);
    else if (value.mv_size != length)
        status = loom_index_fail(index, MDB_CORRUPTED, "cannot read a record", err);
    else
        memcpy(bytes, value.mv_data, length);
    leave(index);
    return status;
}

loom_status loom_index_state_of(loom_index *index, loom_index_state *state, loom_error *err) {
    LOOM_TRY(enter(index, err));
    loom_status status = loom_index_read_state(index, index->reader, state, err);
    leave(index);
    return status;
}

loom_status loom_index_sync(loom_index *index, loom_error *err) {
    int code = mdb_env_sync(index->env, 1);
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot sync", err);
}

uint64_t loom_index_bytes(const loom_index *index) {
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(index->env, &info) != MDB_SUCCESS || mdb_env_stat(index->env, &stat) != MDB_SUCCESS) return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}
