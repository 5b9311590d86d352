/* bench_store.c - small results in and out: bare LMDB, the store, SQLite, the same rows in one run.
 *
 *   bench_store [ROWS ...]      default: 10000 100000; "100000 1000000 3000000" takes some minutes
 *
 * Rows of 250 bytes under 32-byte keys, in batches of 1,000, every batch committed. Gets are by key in an order that
 * jumps through the whole table, checked, from a closed and reopened database; each takes a snapshot of its own. "same
 * layout" is LMDB used bare with the store's tables, flags and rule for moving new keys into their sorted table: it
 * looks a key up as the store does, but checks nothing (no key is looked for before a put, no checksum, no use noted).
 *
 * What is compared runs in turns, 1,000 puts or gets each, so that a disturbance meets both. Runs: 5, beyond
 * 300,000 rows 3, beyond a million 1, and there without SQLite. The medians are printed as a Markdown table; a ratio is
 * the median of the ratios of the runs (put) or of all turns (get). Last: how the cost of a stored row grows with the
 * table. Files go to a folder under $TMPDIR or /tmp. */
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

#define RUNS_MAX 5
#define BATCH 1000u
#define GETS 1000u         /* in one turn */
#define GETS_LEAST 100000u /* in one run */
#define TURNS_MAX 100000u
#define ROW_BYTES 250u
#define PAYLOAD_BYTES (ROW_BYTES - 208u) /* what the store's row header leaves of it */
#define TAIL_MIN 8192u                   /* as LOOM_TAIL_ROWS_MIN and _MAX */
#define TAIL_MAX 131072u

static char folder[256];
static size_t rows;
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
    MDB_txn *reader;
    MDB_cursor *cursor;
    size_t indexed;
} bare;

typedef struct bare_key {
    uint8_t prefix[16], row[8];
} bare_key;

static bare db;

static void bare_open(const char *path, unsigned sync) {
    mkdir(path, 0700);
    MDB_txn *txn;
    db = (bare){0};
    check(!mdb_env_create(&db.env) && !mdb_env_set_maxdbs(db.env, 4) &&
              !mdb_env_set_mapsize(db.env, ((size_t)1 << 30) + rows * 2048) &&
              !mdb_env_open(db.env, path, MDB_NOTLS | MDB_NORDAHEAD | sync, 0600) &&
              !mdb_txn_begin(db.env, NULL, 0, &txn) &&
              !mdb_dbi_open(txn, "rows", MDB_CREATE | MDB_INTEGERKEY, &db.rows) &&
              !mdb_dbi_open(txn, "keys", MDB_CREATE, &db.keys) && !mdb_txn_commit(txn) &&
              !mdb_txn_begin(db.env, NULL, MDB_RDONLY, &db.reader) && !mdb_cursor_open(db.reader, db.keys, &db.cursor),
          "LMDB open");
    mdb_txn_reset(db.reader);
}

static void open_layout(const char *path) {
    bare_open(path, MDB_NOMETASYNC);
}
static void open_layout_unsynced(const char *path) {
    bare_open(path, MDB_NOSYNC);
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, sizeof(bare_key));
}

static void bare_flush(MDB_txn *txn, size_t from, size_t to) {
    bare_key *sorted = malloc((to - from) * sizeof *sorted);
    check(sorted != NULL, "malloc");
    for (size_t i = from; i < to; i++) {
        memcpy(sorted[i - from].prefix, keys[i].bytes, 16);
        for (unsigned k = 0; k < 8; k++)
            sorted[i - from].row[k] = (uint8_t)((uint64_t)(i + 1) >> (56 - 8 * k));
    }
    qsort(sorted, to - from, sizeof *sorted, compare_keys);
    MDB_cursor *cursor;
    check(!mdb_cursor_open(txn, db.keys, &cursor), "LMDB cursor");
    for (size_t i = 0; i < to - from; i++) {
        MDB_val key = {sizeof sorted[i], &sorted[i]}, value = {0, NULL};
        check(!mdb_cursor_put(cursor, &key, &value, 0), "LMDB put");
    }
    mdb_cursor_close(cursor);
    free(sorted);
    db.indexed = to;
}

static void bare_put(size_t from, size_t to) {
    uint8_t bytes[ROW_BYTES] = {0};
    MDB_txn *txn;
    MDB_cursor *cursor;
    check(!mdb_txn_begin(db.env, NULL, 0, &txn) && !mdb_cursor_open(txn, db.rows, &cursor), "LMDB begin");
    for (size_t i = from; i < to; i++) {
        size_t number = i + 1;
        MDB_val key = {sizeof number, &number}, value = {sizeof bytes, bytes};
        memcpy(bytes, &i, sizeof i);
        memcpy(bytes + 16, &keys[i], 32);
        check(!mdb_cursor_put(cursor, &key, &value, MDB_APPEND), "LMDB put");
    }
    mdb_cursor_close(cursor);
    size_t bound = db.indexed / 16;
    bound = bound < TAIL_MIN ? TAIL_MIN : bound > TAIL_MAX ? TAIL_MAX : bound;
    if (to - db.indexed > bound) bare_flush(txn, db.indexed, to);
    check(!mdb_txn_commit(txn), "LMDB commit");
}

static void bare_get(size_t from, size_t to) {
    uint8_t copy[ROW_BYTES];
    for (size_t i = from; i < to; i++) {
        size_t at = jump(i), number = 0;
        bare_key wanted = {{0}, {0}};
        memcpy(wanted.prefix, keys[at].bytes, 16);
        MDB_val key = {sizeof wanted, &wanted}, value;
        check(!mdb_txn_renew(db.reader) && !mdb_cursor_renew(db.reader, db.cursor) &&
                  !mdb_cursor_get(db.cursor, &key, &value, MDB_SET_RANGE),
              "LMDB get");
        for (unsigned k = 0; k < 8; k++)
            number = number << 8 | ((const uint8_t *)key.mv_data)[16 + k];
        key = (MDB_val){sizeof number, &number};
        check(!mdb_get(db.reader, db.rows, &key, &value) && value.mv_size == ROW_BYTES, "LMDB get");
        memcpy(copy, value.mv_data, ROW_BYTES);
        check(memcmp(copy, &at, sizeof at) == 0, "LMDB value");
        mdb_txn_reset(db.reader);
    }
}

/* As the store does when it closes. */
static void bare_close(void) {
    MDB_txn *txn;
    if (db.indexed > 0 && db.indexed < rows) {
        check(!mdb_txn_begin(db.env, NULL, 0, &txn), "LMDB begin");
        bare_flush(txn, db.indexed, rows);
        check(!mdb_txn_commit(txn), "LMDB commit");
    }
    mdb_cursor_close(db.cursor);
    mdb_txn_abort(db.reader);
    mdb_env_close(db.env);
}

/* ---- LMDB, bare, as one would without the store: one table by key ---- */

static void keyed_put(size_t from, size_t to) {
    uint8_t bytes[ROW_BYTES - 32] = {0};
    MDB_txn *txn;
    check(!mdb_txn_begin(db.env, NULL, 0, &txn), "LMDB begin");
    for (size_t i = from; i < to; i++) {
        MDB_val key = {sizeof keys[i], &keys[i]}, value = {sizeof bytes, bytes};
        memcpy(bytes, &i, sizeof i);
        check(!mdb_put(txn, db.keys, &key, &value, MDB_NOOVERWRITE), "LMDB put");
    }
    check(!mdb_txn_commit(txn), "LMDB commit");
}

static void keyed_get(size_t from, size_t to) {
    uint8_t copy[ROW_BYTES - 32];
    for (size_t i = from; i < to; i++) {
        size_t at = jump(i);
        MDB_val key = {sizeof keys[at], &keys[at]}, value;
        check(!mdb_txn_renew(db.reader) && !mdb_get(db.reader, db.keys, &key, &value) && value.mv_size == sizeof copy,
              "LMDB get");
        memcpy(copy, value.mv_data, sizeof copy);
        check(memcmp(copy, &at, sizeof at) == 0, "LMDB value");
        mdb_txn_reset(db.reader);
    }
}

/* ---- the store ---- */

static loom_error err;
static loom_store *store;
static loom_arena *arena;

static void check_store(loom_status status) {
    if (status == LOOM_OK) return;
    fprintf(stderr, "bench_store: %s\n", err.message);
    exit(1);
}

static void store_open(const char *path, loom_durability durability) {
    loom_store_options options = {.path = path, .create = true, .durability = durability};
    check_store(loom_store_open(&options, &store, &err));
    arena = loom_arena_new();
    check(arena != NULL, "malloc");
}

static void open_verified(const char *path) {
    store_open(path, LOOM_DURABLE_VERIFIED);
}
static void open_unsynced(const char *path) {
    store_open(path, LOOM_DURABLE_NONE);
}

static void store_put(size_t from, size_t to) {
    uint8_t payload[PAYLOAD_BYTES] = {0xc4, PAYLOAD_BYTES - 2};
    loom_batch *batch;
    check_store(loom_store_begin(store, &batch, &err));
    for (size_t i = from; i < to; i++) {
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

static void store_get(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        size_t at = jump(i);
        loom_result result;
        check_store(loom_store_find(store, &keys[at], arena, &result, &err));
        check(memcmp(result.payload + 2, &at, sizeof at) == 0, "the store's value");
        loom_arena_reset(arena);
    }
}

static void store_close(void) {
    loom_arena_free(arena);
    loom_store_close(store);
}

/* ---- SQLite ---- */

#ifdef LOOM_BENCH_SQLITE
static sqlite3 *lite;
static sqlite3_stmt *insert, *select_row;

static void lite_open(const char *path) {
    char file[400];
    mkdir(path, 0700);
    snprintf(file, sizeof file, "%s/results.db", path);
    check(sqlite3_open(file, &lite) == SQLITE_OK &&
              sqlite3_exec(lite,
                           "pragma journal_mode=wal; pragma synchronous=normal;"
                           "create table if not exists results(rkey blob primary key, data blob) without rowid",
                           NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(lite, "insert into results values(?,?)", -1, &insert, NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(lite, "select data from results where rkey=?", -1, &select_row, NULL) == SQLITE_OK,
          "SQLite open");
}

static void lite_put(size_t from, size_t to) {
    uint8_t data[ROW_BYTES - 32] = {0};
    check(sqlite3_exec(lite, "begin", NULL, NULL, NULL) == SQLITE_OK, "SQLite begin");
    for (size_t i = from; i < to; i++) {
        memcpy(data, &i, sizeof i);
        sqlite3_bind_blob(insert, 1, keys[i].bytes, 32, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 2, data, sizeof data, SQLITE_STATIC);
        check(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK, "SQLite insert");
    }
    check(sqlite3_exec(lite, "commit", NULL, NULL, NULL) == SQLITE_OK, "SQLite commit");
}

static void lite_get(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        size_t at = jump(i);
        sqlite3_bind_blob(select_row, 1, keys[at].bytes, 32, SQLITE_STATIC);
        check(sqlite3_step(select_row) == SQLITE_ROW && memcmp(sqlite3_column_blob(select_row, 0), &at, sizeof at) == 0,
              "SQLite select");
        sqlite3_reset(select_row);
    }
}

static void lite_close(void) {
    sqlite3_finalize(insert);
    sqlite3_finalize(select_row);
    sqlite3_close(lite);
}
#endif

/* ---- in turns ---- */

typedef struct contender {
    const char *name;
    void (*open)(const char *path);
    void (*put)(size_t from, size_t to); /* one batch */
    void (*get)(size_t from, size_t to);
    void (*close)(void);
    int pair; /* of the same number: compared, the first is the base; 0 = alone */
    double put_s[RUNS_MAX], get_s[RUNS_MAX];
} contender;

static double turn_ratios[TURNS_MAX];
static size_t turns;

static void open_one(contender *one) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, one->put == store_put ? "store" : "other");
    one->open(path);
}

static double timed(void (*act)(size_t from, size_t to), size_t from, size_t to) {
    double start = seconds();
    act(from, to);
    return seconds() - start;
}

/* `with` may be NULL. */
static void run_pair(contender *one, contender *with, int run) {
    contender *both[2] = {one, with};
    size_t count = with != NULL ? 2 : 1;
    char path[300];
    for (size_t k = 0; k < count; k++)
        open_one(both[k]);
    for (size_t i = 0; i < rows; i += BATCH)
        for (size_t k = 0; k < count; k++) {
            contender *now = both[(i / BATCH + k) % count];
            now->put_s[run] += timed(now->put, i, i + BATCH < rows ? i + BATCH : rows);
        }
    for (size_t k = 0; k < count; k++)
        both[k]->close();
    sync(); /* what is written back later would disturb the gets */
    for (size_t k = 0; k < count; k++)
        open_one(both[k]);
    size_t passes = rows < GETS_LEAST ? GETS_LEAST / rows : 1;
    for (size_t i = 0; i < passes * rows; i += GETS) {
        size_t from = i % rows, to = from + GETS < rows ? from + GETS : rows;
        double taken[2] = {0};
        for (size_t k = 0; k < count; k++) {
            size_t now = (i / GETS + k) % count;
            taken[now] = timed(both[now]->get, from, to);
            both[now]->get_s[run] += taken[now] / (double)passes;
        }
        if (count == 2 && turns < TURNS_MAX) turn_ratios[turns++] = taken[1] / taken[0];
    }
    for (size_t k = 0; k < count; k++)
        both[k]->close();
    snprintf(path, sizeof path, "%s/store", folder);
    clear(path);
    snprintf(path, sizeof path, "%s/other", folder);
    clear(path);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, size_t count) {
    double *sorted = malloc(count * sizeof *sorted);
    check(sorted != NULL, "malloc");
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    double middle = sorted[count / 2];
    free(sorted);
    return middle;
}

static void print_row(const contender *one, const contender *base, int runs) {
    double put = median(one->put_s, (size_t)runs), get = median(one->get_s, (size_t)runs), ratios[RUNS_MAX];
    printf("| %zu | %s | %.2f | %.2f | ", rows, one->name, put / (double)rows * 1e6, get / (double)rows * 1e6);
    if (base == NULL) {
        printf("| |\n");
    } else {
        for (int run = 0; run < runs; run++)
            ratios[run] = one->put_s[run] / base->put_s[run];
        printf("%.2f | %.2f |\n", median(ratios, (size_t)runs), median(turn_ratios, turns));
    }
    fflush(stdout);
}

static size_t first_rows, last_rows; /* of the store, verified */
static double first_put, last_put;

static void note_growth(const contender *one, int runs) {
    last_rows = rows;
    last_put = median(one->put_s, (size_t)runs) / (double)rows;
    if (first_rows != 0) return;
    first_rows = rows;
    first_put = last_put;
}

static void bench(size_t count) {
    contender all[] = {
        {"LMDB bare, one table by key", open_layout, keyed_put, keyed_get, bare_close, .pair = 0},
        {"LMDB bare, same layout", open_layout, bare_put, bare_get, bare_close, .pair = 1},
        {"store, verified", open_verified, store_put, store_get, store_close, .pair = 1},
        {"LMDB bare, same layout, no sync", open_layout_unsynced, bare_put, bare_get, bare_close, .pair = 2},
        {"store, none (no sync)", open_unsynced, store_put, store_get, store_close, .pair = 2},
#ifdef LOOM_BENCH_SQLITE
        {"SQLite WAL, NORMAL (no sync per commit)", lite_open, lite_put, lite_get, lite_close, .pair = 0},
#endif
    };
    size_t contenders = sizeof all / sizeof *all;
    rows = count;
    int runs = rows > 1000000 ? 1 : rows > 300000 ? 3 : RUNS_MAX;
    if (rows > 1000000 && contenders > 5) contenders = 5;
    keys = malloc(rows * sizeof *keys);
    check(keys != NULL, "malloc");
    for (size_t i = 0; i < rows; i++)
        keys[i] = loom_sha256(&i, sizeof i);
    for (size_t i = 0; i < contenders; i++) {
        contender *with = all[i].pair != 0 ? &all[i + 1] : NULL;
        turns = 0;
        for (int run = 0; run < runs; run++)
            run_pair(&all[i], with, run);
        print_row(&all[i], NULL, runs);
        if (with == NULL) continue;
        print_row(with, &all[i], runs);
        if (with->open == open_verified) note_growth(with, runs);
        i++;
    }
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
        check(*end == '\0' && count >= 1000 && count <= 100000000 && count % BATCH == 0,
              "reading the number of rows (thousands, up to 100000000)");
        bench((size_t)count);
    }
    if (last_rows > first_rows)
        printf("\na stored row costs %.2f times as much with %zu rows as with %zu\n", last_put / first_put, last_rows,
               first_rows);
    clear(folder);
    return 0;
}
