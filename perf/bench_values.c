/* bench_values.c - values of all sizes, in and out: the store against SQLite as VoxLogicA-2 uses it, and rows in the
 * index against bytes in extents.
 *
 *   bench_values [sqlite|inline|all [RUNS]]        default: all 5
 *
 * sqlite: put and get of 100 B, 4 KiB, 1 MiB and 36 MiB. SQLite as VoxLogicA-2 has it (WAL, synchronous NORMAL, one
 * table with a text key, up to 2 KiB as JSON text in the row, else a file "key.bin" in a folder and its name in the
 * row), once with a transaction a result, as it does, once with 1,000 in one; the store (verified) with batches of
 * 1,000 results or 64 MiB. Nobody syncs blobs. Gets read every byte. inline: one value of each size from 256 B to 1
 * MiB, once in the row and once in an extent: microseconds for a put in a batch and for a get with its value, and bytes
 * of disk a value.
 *
 * Medians of RUNS interleaved runs, as Markdown tables. */
#include <fcntl.h>
#ifdef LOOM_BENCH_SQLITE
#include <sqlite3.h>
#endif

#include "bench.h"
#include "shm/extent/extent_file.h"

#define RUNS_MAX 99
#define BATCH_BYTES ((size_t)64 << 20)

static char folder[256];
static int runs = 5;
static uint8_t *content;

static uint64_t sum_of(const uint8_t *bytes, size_t length) {
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= length; i += 8) {
        memcpy(&word, bytes + i, 8);
        sum += word;
    }
    return sum;
}

static volatile uint64_t sink;

/* ---- the store ---- */

typedef struct work {
    size_t bytes, count;
    size_t inline_limit;
    double put, get; /* seconds */
    uint64_t disk;
} work;

static void put_one(loom_batch *batch, loom_extent_writer *writer, const work *of, size_t i) {
    uint64_t hashes[64];
    memcpy(content + 8, &i, sizeof i);
    content[0] = 0xC6; /* bytes of 32-bit length; shorter forms have shorter heads, which changes nothing here */
    loom_result result = {.rkey = id_of("value", i), .type = LOOM_BYTES};
    result.vid = result.rkey;
    if (of->bytes <= of->inline_limit) {
        result.payload = content;
        result.payload_bytes = of->bytes;
    } else {
        loom_reservation reservation;
        check_store(loom_extent_reserve(writer, of->bytes, 0, &reservation, &err));
        check(pwrite(reservation.fd, content, of->bytes, (off_t)reservation.placement.offset) == (ssize_t)of->bytes,
              "pwrite");
        loom_extent_hash(content, of->bytes, hashes, result.root);
        result.bulk = reservation.placement;
        check_store(loom_extent_seal(writer, &reservation, NULL, NULL, &err));
        result.blob = true;
        result.block_hashes = hashes;
    }
    check_store(loom_batch_put(batch, &result, &err));
}

static void store_run(work *of) {
    char path[300];
    snprintf(path, sizeof path, "%s/store", folder);
    loom_store *store = open_store(path, LOOM_DURABLE_VERIFIED);
    loom_extent_writer *writer;
    check_store(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    size_t in_batch = BATCH_BYTES / of->bytes < 1000 ? BATCH_BYTES / of->bytes + 1 : 1000;
    double began = seconds();
    for (size_t i = 0; i < of->count;) {
        loom_batch *batch;
        check_store(loom_store_begin(store, &batch, &err));
        for (size_t end = i + in_batch; i < of->count && i < end; i++)
            put_one(batch, writer, of, i);
        check_store(loom_batch_commit(batch, &err));
    }
    of->put = seconds() - began;
    loom_extent_writer_close(writer);
    loom_store_stats stats;
    check_store(loom_store_stat(store, &stats, &err));
    of->disk = stats.index_bytes + stats.extent_allocated_bytes;
    loom_arena *arena = loom_arena_new();
    began = seconds();
    for (size_t k = 0; k < of->count; k++) {
        size_t i = jump(k, of->count);
        loom_id rkey = id_of("value", i);
        loom_result result;
        loom_view view = {0};
        check_store(loom_store_find(store, &rkey, arena, &result, &err));
        if (result.blob) check_store(loom_extent_view(loom_store_extents(store), &result.bulk, true, &view, &err));
        const uint8_t *bytes = result.blob ? view.bytes : result.payload;
        check(memcmp(bytes + 8, &i, sizeof i) == 0, "the store's value");
        sink += sum_of(bytes, of->bytes);
        loom_extent_release(&view);
        loom_arena_reset(arena);
    }
    of->get = seconds() - began;
    loom_arena_free(arena);
    loom_store_close(store);
    clear(path);
}

/* ---- SQLite, as VoxLogicA-2 ---- */

#ifdef LOOM_BENCH_SQLITE
#define TEXT_MAX 2048u

static void lite_exec(sqlite3 *db, const char *text) {
    check(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, text);
}

static void file_name(char name[400], size_t i) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id id = id_of("value", i);
    loom_id_hex(&id, hex);
    snprintf(name, 400, "%s/lite/results.files/%s.bin", folder, hex);
}

static void lite_put(sqlite3_stmt *insert, const work *of, size_t i, char *text) {
    char hex[LOOM_ID_HEX_BYTES], name[400] = "";
    loom_id id = id_of("value", i);
    loom_id_hex(&id, hex);
    memcpy(content + 8, &i, sizeof i);
    if (of->bytes > TEXT_MAX) {
        file_name(name, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        check(fd >= 0 && write(fd, content, of->bytes) == (ssize_t)of->bytes, "writing a payload file");
        close(fd);
        snprintf(text, TEXT_MAX, "{\"encoding\":\"bytes-binary-v1\",\"length\":%zu}", of->bytes);
    } else {
        int head = snprintf(text, TEXT_MAX, "{\"encoding\":\"scalar-json-v1\",\"value\":\"%020zu", i);
        memset(text + head, 'x', of->bytes);
        memcpy(text + head + of->bytes, "\"}", 3);
    }
    sqlite3_bind_text(insert, 1, hex, 64, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, text, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, name, -1, SQLITE_STATIC);
    check(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK, "SQLite insert");
}

static void lite_get(sqlite3_stmt *select, const work *of, size_t i, uint8_t *buffer) {
    char hex[LOOM_ID_HEX_BYTES], name[400];
    loom_id id = id_of("value", i);
    loom_id_hex(&id, hex);
    sqlite3_bind_text(select, 1, hex, 64, SQLITE_STATIC);
    check(sqlite3_step(select) == SQLITE_ROW, "SQLite select");
    if (of->bytes <= TEXT_MAX) {
        sink += sum_of(sqlite3_column_text(select, 0), of->bytes);
    } else {
        file_name(name, i);
        int fd = open(name, O_RDONLY);
        check(fd >= 0 && read(fd, buffer, of->bytes) == (ssize_t)of->bytes, "reading a payload file");
        close(fd);
        check(memcmp(buffer + 8, &i, sizeof i) == 0, "the file's value");
        sink += sum_of(buffer, of->bytes);
    }
    sqlite3_reset(select);
}

static void lite_run(work *of, size_t in_batch) {
    char path[400], *text = malloc(2 * TEXT_MAX);
    snprintf(path, sizeof path, "%s/lite", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/lite/results.files", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/lite/results.db", folder);
    sqlite3 *db;
    sqlite3_stmt *insert, *select;
    check(sqlite3_open(path, &db) == SQLITE_OK, "SQLite open");
    lite_exec(db, "pragma journal_mode=wal; pragma synchronous=normal;"
                  "create table results(node_id text primary key, status text not null, format_version text not null,"
                  "vox_type text, descriptor_json text not null, payload_json text not null, payload_file text,"
                  "metadata_json text not null, created_at real not null);"
                  "create index by_status on results(status)");
    check(sqlite3_prepare_v2(db,
                             "insert into results values(?1,'materialized','voxpod/1','bytes',"
                             "'{\"format_version\":\"voxpod/1\",\"vox_type\":\"bytes\"}',?2,?3,"
                             "'{\"operator\":\"x\",\"source\":\"runtime\"}',1.0)",
                             -1, &insert, NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(db, "select payload_json,payload_file from results where node_id=?", -1, &select,
                                 NULL) == SQLITE_OK,
          "SQLite prepare");
    double began = seconds();
    for (size_t i = 0; i < of->count;) {
        lite_exec(db, "begin");
        for (size_t end = i + in_batch; i < of->count && i < end; i++)
            lite_put(insert, of, i, text);
        lite_exec(db, "commit");
    }
    of->put = seconds() - began;
    uint8_t *buffer = malloc(of->bytes);
    began = seconds();
    for (size_t k = 0; k < of->count; k++)
        lite_get(select, of, jump(k, of->count), buffer);
    of->get = seconds() - began;
    sqlite3_finalize(insert);
    sqlite3_finalize(select);
    sqlite3_close(db);
    free(buffer);
    free(text);
    snprintf(path, sizeof path, "%s/lite", folder);
    clear(path);
}

static void bench_sqlite(void) {
    static const struct {
        const char *name;
        size_t bytes, count;
    } sizes[] = {{"100 B", 100, 20000}, {"4 KiB", 4096, 5000}, {"1 MiB", 1 << 20, 200}, {"36 MiB", 36 << 20, 6}};
    printf("| value | SQLite put, us | 1,000 a transaction | store put, us | ratio | SQLite get, us | store get, us | "
           "ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t s = 0; s < 4; s++) {
        double put[3][RUNS_MAX], get[3][RUNS_MAX];
        for (int run = 0; run < runs; run++) {
            work all[3];
            for (size_t i = 0; i < 3; i++)
                all[i] = (work){.bytes = sizes[s].bytes, .count = sizes[s].count, .inline_limit = 16384};
            lite_run(&all[0], 1);
            lite_run(&all[1], 1000);
            store_run(&all[2]);
            for (size_t i = 0; i < 3; i++) {
                put[i][run] = all[i].put / (double)sizes[s].count * 1e6;
                get[i][run] = all[i].get / (double)sizes[s].count * 1e6;
            }
        }
        double p[3], g[3];
        for (size_t i = 0; i < 3; i++) {
            p[i] = median(put[i], (size_t)runs);
            g[i] = median(get[i], (size_t)runs);
        }
        printf("| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", sizes[s].name, p[0], p[1], p[2],
               p[0] / p[2], g[1], g[2], g[1] / g[2]);
        fflush(stdout);
    }
}
#endif

static void bench_inline(void) {
    printf("\n| bytes | put inline, us | put extent, us | get inline, us | get extent, us | disk inline, bytes | disk "
           "extent, bytes |\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t bytes = 256; bytes <= 1 << 20; bytes *= bytes < 4096 ? 4 : 2) {
        size_t count = ((size_t)64 << 20) / bytes;
        if (count > 20000) count = 20000;
        double values[4][RUNS_MAX];
        uint64_t disk[2] = {0};
        for (int run = 0; run < runs; run++)
            for (size_t i = 0; i < 2; i++) {
                work of = {.bytes = bytes, .count = count, .inline_limit = i == 0 ? SIZE_MAX : 0};
                store_run(&of);
                values[i][run] = of.put / (double)count * 1e6;
                values[2 + i][run] = of.get / (double)count * 1e6;
                disk[i] = of.disk / count;
            }
        printf("| %zu | %.1f | %.1f | %.1f | %.1f | %llu | %llu |\n", bytes, median(values[0], (size_t)runs),
               median(values[1], (size_t)runs), median(values[2], (size_t)runs), median(values[3], (size_t)runs),
               (unsigned long long)disk[0], (unsigned long long)disk[1]);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "all";
    if (argc > 2) runs = atoi(argv[2]);
    check(runs >= 1 && runs <= RUNS_MAX, "reading RUNS (1 to 99)");
    make_folder(folder, "bench-values");
    content = malloc(36 << 20);
    check(content != NULL, "malloc");
    memset(content, 'x', 36 << 20);
#ifdef LOOM_BENCH_SQLITE
    if (strcmp(what, "inline") != 0) bench_sqlite();
#endif
    if (strcmp(what, "sqlite") != 0) bench_inline();
    free(content);
    clear(folder);
    return 0;
}
