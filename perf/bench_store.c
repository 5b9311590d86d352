/* bench_store.c - small results in and out: bare LMDB, the store, SQLite, the same rows in one run.
 *
 *   bench_store [ROWS ...]      default: 10000 100000; "100000 1000000 3000000" takes some minutes
 *
 * Rows of 250 bytes under 32-byte keys, in batches of 1,000, every batch committed. Gets are by key in an order that
 * jumps through the whole table, checked, from a closed and reopened database. "same layout" is LMDB used bare with the
 * store's tables: rows appended, 24-byte keys inserted sorted every 8,192 rows. Each case runs RUNS times (once
 * beyond 500,000 rows, and there without SQLite), interleaved with the others; the median is printed as a Markdown
 * table, with the store's ratio to the same layout used bare. Last: how the cost of a stored row grows with the table.
 * Files go to a folder under $TMPDIR or /tmp. */
#include <errno.h>
#include <ftw.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef LOOM_BENCH_SQLITE
#include <sqlite3.h>
#endif

#include "shm/store/storage.h"

#define RUNS 5
#define BATCH 1000u
#define ROW_BYTES 250u
#define PAYLOAD_BYTES (ROW_BYTES - 208u) /* what the store's row header leaves of it */
#define FLUSH_ROWS 8192u

static char folder[256];
static size_t rows;
static int runs = RUNS;
static loom_id *keys;

static void check(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "bench_store: %s failed (%s)\n", what, strerror(errno));
    exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static void clear(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Visits every row once, far apart: a step that shares no factor with the number of rows. */
static size_t jump(size_t i) {
    return (size_t)((uint64_t)i * UINT64_C(7368787) % rows);
}

/* ---- LMDB, bare ---- */

typedef struct bare {
    MDB_env *env;
    MDB_dbi rows, keys;
    int indexed;
} bare;

static void bare_open(bare *db, const char *path, int indexed) {
    mkdir(path, 0700);
    MDB_txn *txn;
    db->indexed = indexed;
    check(!mdb_env_create(&db->env) && !mdb_env_set_maxdbs(db->env, 4) &&
              !mdb_env_set_mapsize(db->env, (size_t)64 << 30) &&
              !mdb_env_open(db->env, path, MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC, 0600) &&
              !mdb_txn_begin(db->env, NULL, 0, &txn) &&
              !mdb_dbi_open(txn, "rows", MDB_CREATE | MDB_INTEGERKEY, &db->rows) &&
              !mdb_dbi_open(txn, "keys", MDB_CREATE, &db->keys) && !mdb_txn_commit(txn),
          "LMDB open");
}

typedef struct bare_key {
    uint8_t prefix[16], row[8];
} bare_key;

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, sizeof(bare_key));
}

static void bare_flush(bare *db, MDB_txn *txn, size_t from, size_t to) {
    bare_key *sorted = malloc((to - from) * sizeof *sorted);
    check(sorted != NULL, "malloc");
    for (size_t i = from; i < to; i++) {
        memcpy(sorted[i - from].prefix, keys[i].bytes, 16);
        for (unsigned k = 0; k < 8; k++)
            sorted[i - from].row[k] = (uint8_t)((uint64_t)(i + 1) >> (56 - 8 * k));
    }
    qsort(sorted, to - from, sizeof *sorted, compare_keys);
    MDB_cursor *cursor;
    check(!mdb_cursor_open(txn, db->keys, &cursor), "LMDB cursor");
    for (size_t i = 0; i < to - from; i++) {
        MDB_val key = {sizeof sorted[i], &sorted[i]}, value = {0, NULL};
        check(!mdb_cursor_put(cursor, &key, &value, 0), "LMDB put");
    }
    mdb_cursor_close(cursor);
    free(sorted);
}

static double bare_put(bare *db) {
    uint8_t bytes[ROW_BYTES] = {0};
    size_t flushed = 0;
    double start = seconds();
    for (size_t i = 0; i < rows;) {
        MDB_txn *txn;
        MDB_cursor *cursor;
        check(!mdb_txn_begin(db->env, NULL, 0, &txn) && !mdb_cursor_open(txn, db->rows, &cursor), "LMDB begin");
        for (size_t end = i + BATCH; i < rows && i < end; i++) {
            size_t number = i + 1;
            MDB_val key = {sizeof number, &number}, value = {sizeof bytes, bytes};
            memcpy(bytes, &i, sizeof i);
            memcpy(bytes + 16, &keys[i], 32);
            check(!mdb_cursor_put(cursor, &key, &value, MDB_APPEND), "LMDB put");
        }
        mdb_cursor_close(cursor);
        if (db->indexed && (i - flushed >= FLUSH_ROWS || i == rows)) {
            bare_flush(db, txn, flushed, i);
            flushed = i;
        }
        check(!mdb_txn_commit(txn), "LMDB commit");
    }
    return seconds() - start;
}

static double bare_get(bare *db) {
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint8_t copy[ROW_BYTES];
    check(!mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn) && !mdb_cursor_open(txn, db->keys, &cursor), "LMDB begin");
    mdb_txn_reset(txn);
    double start = seconds();
    for (size_t i = 0; i < rows; i++) {
        size_t at = jump(i), number = at + 1;
        check(!mdb_txn_renew(txn), "LMDB renew");
        if (db->indexed) {
            bare_key wanted = {{0}, {0}};
            memcpy(wanted.prefix, keys[at].bytes, 16);
            MDB_val key = {sizeof wanted, &wanted}, value;
            check(!mdb_cursor_renew(txn, cursor) && !mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE), "LMDB get");
            number = 0;
            for (unsigned k = 0; k < 8; k++)
                number = number << 8 | ((const uint8_t *)key.mv_data)[16 + k];
        }
        MDB_val key = {sizeof number, &number}, value;
        check(!mdb_get(txn, db->rows, &key, &value) && value.mv_size == ROW_BYTES, "LMDB get");
        memcpy(copy, value.mv_data, ROW_BYTES);
        check(memcmp(copy, &at, sizeof at) == 0, "LMDB value");
        mdb_txn_reset(txn);
    }
    double taken = seconds() - start;
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return taken;
}

static void run_bare(int indexed, double *put, double *get) {
    char path[300];
    bare db;
    snprintf(path, sizeof path, "%s/bare", folder);
    bare_open(&db, path, indexed);
    *put = bare_put(&db);
    mdb_env_close(db.env);
    bare_open(&db, path, indexed);
    *get = bare_get(&db);
    mdb_env_close(db.env);
    clear(path);
}

/* ---- the store ---- */

static loom_error err;

static void check_store(loom_status status) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "bench_store: %s\n", err.message);
    exit(1);
}

static double store_put(loom_store *store) {
    uint8_t payload[PAYLOAD_BYTES] = {0xc4, PAYLOAD_BYTES - 2};
    double start = seconds();
    for (size_t i = 0; i < rows;) {
        loom_batch *batch;
        check_store(loom_store_begin(store, &batch, &err));
        for (size_t end = i + BATCH; i < rows && i < end; i++) {
            memcpy(payload + 2, &i, sizeof i);
            loom_result result = {.rkey = keys[i],
                                  .vid = keys[rows - 1 - i],
                                  .type = LOOM_BYTES,
                                  .payload = payload,
                                  .payload_bytes = sizeof payload};
            check_store(loom_batch_put(batch, &result, &err));
        }
        check_store(loom_batch_commit(batch, &err));
    }
    return seconds() - start;
}

static double store_get(loom_store *store) {
    loom_arena *arena = loom_arena_new();
    double start = seconds();
    for (size_t i = 0; i < rows; i++) {
        size_t at = jump(i);
        loom_result result;
        check_store(loom_store_find(store, &keys[at], arena, &result, &err));
        check(memcmp(result.payload + 2, &at, sizeof at) == 0, "the store's value");
        loom_arena_reset(arena);
    }
    double taken = seconds() - start;
    loom_arena_free(arena);
    return taken;
}

static void run_store(loom_durability durability, double *put, double *get) {
    char path[300];
    loom_store *store;
    snprintf(path, sizeof path, "%s/store", folder);
    loom_store_options options = {.path = path, .create = true, .durability = durability};
    check_store(loom_store_open(&options, &store, &err));
    *put = store_put(store);
    loom_store_close(store);
    check_store(loom_store_open(&options, &store, &err));
    *get = store_get(store);
    loom_store_close(store);
    clear(path);
}

static void run_verified(double *put, double *get) {
    run_store(LOOM_DURABLE_VERIFIED, put, get);
}
static void run_unsynced(double *put, double *get) {
    run_store(LOOM_DURABLE_NONE, put, get);
}
static void run_append(double *put, double *get) {
    run_bare(0, put, get);
}
static void run_layout(double *put, double *get) {
    run_bare(1, put, get);
}

/* ---- SQLite ---- */

#ifdef LOOM_BENCH_SQLITE
static sqlite3 *lite_open(const char *path) {
    sqlite3 *db;
    check(sqlite3_open(path, &db) == SQLITE_OK &&
              sqlite3_exec(db,
                           "pragma journal_mode=wal; pragma synchronous=normal;"
                           "create table if not exists results(rkey blob primary key, data blob) without rowid",
                           NULL, NULL, NULL) == SQLITE_OK,
          "SQLite open");
    return db;
}

static double lite_put(sqlite3 *db) {
    uint8_t data[ROW_BYTES - 32] = {0};
    sqlite3_stmt *insert;
    check(sqlite3_prepare_v2(db, "insert into results values(?,?)", -1, &insert, NULL) == SQLITE_OK, "SQLite prepare");
    double start = seconds();
    for (size_t i = 0; i < rows;) {
        check(sqlite3_exec(db, "begin", NULL, NULL, NULL) == SQLITE_OK, "SQLite begin");
        for (size_t end = i + BATCH; i < rows && i < end; i++) {
            memcpy(data, &i, sizeof i);
            sqlite3_bind_blob(insert, 1, keys[i].bytes, 32, SQLITE_STATIC);
            sqlite3_bind_blob(insert, 2, data, sizeof data, SQLITE_STATIC);
            check(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK, "SQLite insert");
        }
        check(sqlite3_exec(db, "commit", NULL, NULL, NULL) == SQLITE_OK, "SQLite commit");
    }
    double taken = seconds() - start;
    sqlite3_finalize(insert);
    return taken;
}

static double lite_get(sqlite3 *db) {
    sqlite3_stmt *select;
    check(sqlite3_prepare_v2(db, "select data from results where rkey=?", -1, &select, NULL) == SQLITE_OK,
          "SQLite prepare");
    double start = seconds();
    for (size_t i = 0; i < rows; i++) {
        size_t at = jump(i);
        sqlite3_bind_blob(select, 1, keys[at].bytes, 32, SQLITE_STATIC);
        check(sqlite3_step(select) == SQLITE_ROW && memcmp(sqlite3_column_blob(select, 0), &at, sizeof at) == 0,
              "SQLite select");
        sqlite3_reset(select);
    }
    double taken = seconds() - start;
    sqlite3_finalize(select);
    return taken;
}

static void run_lite(double *put, double *get) {
    char path[300];
    snprintf(path, sizeof path, "%s/lite", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/lite/results.db", folder);
    sqlite3 *db = lite_open(path);
    *put = lite_put(db);
    sqlite3_close(db);
    db = lite_open(path);
    *get = lite_get(db);
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/lite", folder);
    clear(path);
}
#endif

/* ---- the table ---- */

typedef struct contender {
    const char *name;
    void (*run)(double *put, double *get);
    double put[RUNS], get[RUNS];
} contender;

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(double *taken) {
    qsort(taken, (size_t)runs, sizeof *taken, compare_seconds);
    return taken[runs / 2] / (double)rows * 1e6;
}

static size_t first_rows, stored_rows_max; /* of the store, verified */
static double first_put, last_put;

static void bench(size_t count) {
    contender all[] = {
        {.name = "LMDB bare, appended, no keys", .run = run_append},
        {.name = "LMDB bare, same layout", .run = run_layout},
        {.name = "store, verified", .run = run_verified},
        {.name = "store, none (no sync)", .run = run_unsynced},
#ifdef LOOM_BENCH_SQLITE
        {.name = "SQLite WAL, NORMAL (no sync per commit)", .run = run_lite},
#endif
    };
    size_t contenders = sizeof all / sizeof *all;
    rows = count;
    keys = malloc(rows * sizeof *keys);
    check(keys != NULL, "malloc");
    for (size_t i = 0; i < rows; i++)
        keys[i] = loom_sha256(&i, sizeof i);
    runs = rows > 500000 ? 1 : RUNS;
    if (rows > 500000 && contenders > 4) contenders = 4;
    for (int run = 0; run < runs; run++)
        for (size_t i = 0; i < contenders; i++)
            all[i].run(&all[i].put[run], &all[i].get[run]);
    double put[5], get[5];
    for (size_t i = 0; i < contenders; i++) {
        put[i] = median_us(all[i].put);
        get[i] = median_us(all[i].get);
    }
    for (size_t i = 0; i < contenders; i++)
        printf("| %zu | %s | %.2f | %.2f | %.2f | %.2f |\n", rows, all[i].name, put[i], get[i], put[i] / put[1],
               get[i] / get[1]);
    if (stored_rows_max < rows) {
        if (first_put == 0) {
            first_rows = rows;
            first_put = put[2];
        }
        stored_rows_max = rows;
        last_put = put[2];
    }
    fflush(stdout);
    free(keys);
}

int main(int argc, char **argv) {
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bench-store-XXXXXX", root != NULL && strlen(root) < 200 ? root : "/tmp");
    check(mkdtemp(folder) != NULL, "mkdtemp");
    printf("| rows | what | put, us | get, us | put / same layout | get / same layout |\n"
           "| --- | --- | --- | --- | --- | --- |\n");
    if (argc < 2) {
        bench(10000);
        bench(100000);
    }
    for (int i = 1; i < argc; i++) {
        char *end;
        unsigned long long count = strtoull(argv[i], &end, 10);
        check(*end == '\0' && count >= 1000 && count <= 100000000, "reading the number of rows (1000 to 100000000)");
        bench((size_t)count);
    }
    if (stored_rows_max > first_rows)
        printf("\na stored row costs %.2f times as much with %zu rows as with %zu\n", last_put / first_put,
               stored_rows_max, first_rows);
    clear(folder);
    return 0;
}
