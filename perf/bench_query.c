/* bench_query.c - queries over records: one record of many found by the index of fields and by reading every record;
 * what the index adds to a put. Prints one line each; the table is in perf/ANALYSIS.md.
 *
 *   bench_query [RECORDS] (100000)
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/query/query.h"

enum { BATCH = 1000, ROUNDS = 5 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void require(loom_status status, const loom_error *err) {
    if (status == LOOM_OK) return;
    loom_error_print(err, stderr);
    exit(1);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

/* Six fields, of which four in a record within. */
static loom_value record_of(uint64_t i, loom_field fields[6], char name[32]) {
    static const char *const modalities[] = {"flair", "t1", "t2", "ct"};
    int length = snprintf(name, 32, "patient %" PRIu64, i);
    fields[0] = (loom_field){"age", 3, loom_int((int64_t)(i * 7919 % 100))};
    fields[1] = (loom_field){"id", 2, loom_int((int64_t)i)};
    fields[2] = (loom_field){"name", 4, loom_string(name, (size_t)length)};
    fields[3] = (loom_field){"weight", 6, loom_float((double)(i % 500) * 0.25)};
    fields[4] = (loom_field){"patient", 7, loom_record(fields, 4)};
    fields[5] = (loom_field){"modality", 8, loom_string_of(modalities[i % 4])};
    return loom_record(fields + 4, 2);
}

/* As records, or as the same bytes in a type that the index of fields leaves alone. */
static double put_all(loom_store *store, uint64_t count, bool records) {
    loom_error err = {0};
    loom_buffer bytes = {0};
    double start = now();
    for (uint64_t first = 0; first < count; first += BATCH) {
        loom_batch *batch;
        require(loom_store_begin(store, &batch, &err), &err);
        for (uint64_t i = first; i < first + BATCH && i < count; i++) {
            loom_field fields[6];
            char name[32];
            loom_value value = record_of(i, fields, name);
            bytes.length = 0;
            require(loom_value_encode(&value, &bytes), &err);
            uint64_t key[2] = {i, records};
            loom_result result = {.rkey = loom_sha256(key, sizeof key),
                                  .type = records ? LOOM_RECORD : LOOM_BYTES,
                                  .payload = bytes.bytes,
                                  .payload_bytes = bytes.length};
            result.vid = result.rkey;
            require(loom_batch_put(batch, &result, &err), &err);
        }
        require(loom_batch_commit(batch, &err), &err);
    }
    double seconds = now() - start;
    loom_buffer_free(&bytes);
    return seconds;
}

static bool count_one(const loom_result *result, void *context) {
    (void)result;
    ++*(uint64_t *)context;
    return true;
}

static double ask(loom_store *store, const char *text) {
    loom_error err = {0};
    double best = 1e9;
    uint64_t matches = 0;
    loom_query_report report;
    for (int round = 0; round < ROUNDS; round++) {
        loom_arena *arena = loom_arena_new();
        loom_query *query;
        matches = 0;
        double start = now();
        require(loom_query_parse(text, strlen(text), arena, &query, &err), &err);
        require(loom_store_query(store, query, count_one, &matches, &report, &err), &err);
        double seconds = now() - start;
        if (seconds < best) best = seconds;
        loom_arena_free(arena);
    }
    printf("  %-52s %8.3f ms  %7" PRIu64 " of %7" PRIu64 "  %.5s\n", text, best * 1e3, matches, report.candidates,
           report.plan);
    return best;
}

static loom_store *open_store(const char *path) {
    loom_error err = {0};
    loom_store *store;
    require(loom_store_open(&(loom_store_options){.path = path, .create = true, .durability = LOOM_DURABLE_NONE},
                            &store, &err),
            &err);
    return store;
}

int main(int argc, char **argv) {
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    char folder[] = "/tmp/loom-bench-query-XXXXXX", path[64];
    if (count == 0 || mkdtemp(folder) == NULL) return 1;
    snprintf(path, sizeof path, "%s/plain", folder);
    loom_store *store = open_store(path);
    double plain = put_all(store, count, false);
    loom_store_close(store);
    snprintf(path, sizeof path, "%s/records", folder);
    store = open_store(path);
    double records = put_all(store, count, true);
    printf("put of %" PRIu64 ": %.2f us each as bytes, %.2f us as records of 6 fields\n", count,
           plain / (double)count * 1e6, records / (double)count * 1e6);
    double indexed = ask(store, "patient.id == 77"), scanned = ask(store, "not patient.id != 77");
    ask(store, "patient.age > 97 and patient.weight < 5");
    ask(store, "patient.name startswith 'patient 777'");
    ask(store, "modality == 'ct'");
    printf("one of %" PRIu64 ": the index is %.0f times as fast as every record\n", count, scanned / indexed);
    loom_store_close(store);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
