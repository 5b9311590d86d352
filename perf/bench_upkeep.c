/* bench_upkeep.c - looking after a large store: deleting and reclaiming its rows, checking its index.
 *
 *   bench_upkeep [ROWS]        default: 1000000
 *
 * ROWS small results (250 bytes a row, one in ten with 4 KiB in an extent), put in batches of 10,000; then the whole
 * index is verified (loom_store_verify_all, index only), all rows are deleted in batches of 10,000, and gc returns the
 * space; verified once more. One pass: each step is long enough. */
#include "bench.h"
#include "shm/care/admin.h"
#include "shm/extent/extent_file.h"

#define BATCH 10000u

static uint64_t rows = 1000000;
static double total;

static void step(const char *what, double began) {
    double taken = seconds() - began;
    total += taken;
    printf("| %s | %.2f | %.2f |\n", what, taken, taken / (double)rows * 1e6);
    fflush(stdout);
}

static void put_one(loom_batch *batch, loom_extent_writer *writer, uint64_t number) {
    static uint8_t payload[42] = {0xC4, 40}, bulk[4096] = {0xC5, 4093 >> 8, 4093 & 255};
    uint64_t hash;
    loom_result result = {.rkey = id_of("row", number), .type = LOOM_BYTES};
    result.vid = result.rkey;
    memcpy(payload + 2, &number, sizeof number);
    memcpy(bulk + 8, &number, sizeof number);
    if (number % 10 != 0) {
        result.payload = payload;
        result.payload_bytes = sizeof payload;
    } else {
        loom_reservation reservation;
        check_store(loom_extent_reserve(writer, sizeof bulk, 0, &reservation, &err));
        check(pwrite(reservation.fd, bulk, sizeof bulk, (off_t)reservation.placement.offset) == sizeof bulk, "pwrite");
        loom_extent_hash(bulk, sizeof bulk, &hash, result.root);
        result.bulk = reservation.placement;
        result.block_hashes = &hash;
        result.blob = true;
        check_store(loom_extent_seal(writer, &reservation, NULL, NULL, &err));
    }
    check_store(loom_batch_put(batch, &result, &err));
}

static void each_batch(loom_store *store, void (*one)(loom_batch *, loom_extent_writer *, uint64_t),
                       loom_extent_writer *writer) {
    for (uint64_t i = 0; i < rows;) {
        loom_batch *batch;
        check_store(loom_store_begin(store, &batch, &err));
        for (uint64_t end = i + BATCH; i < rows && i < end; i++)
            one(batch, writer, i);
        check_store(loom_batch_commit(batch, &err));
    }
}

static void delete_one(loom_batch *batch, loom_extent_writer *writer, uint64_t number) {
    (void)writer;
    loom_id rkey = id_of("row", number);
    check_store(loom_batch_delete(batch, &rkey, &err));
}

static void verify(loom_store *store, bool index_only) {
    loom_verify_report report;
    loom_verify_options options = {.index_only = index_only, .threads = 2};
    check_store(loom_store_verify_all(store, &options, &report, &err));
    check(report.findings == 0, "a clean store");
}

int main(int argc, char **argv) {
    if (argc > 1) rows = strtoull(argv[1], NULL, 10);
    check(rows >= BATCH && rows <= 100000000, "reading ROWS (10000 to 100000000)");
    char folder[256], path[300];
    make_folder(folder, "bench-upkeep");
    snprintf(path, sizeof path, "%s/store", folder);
    loom_store *store = open_store(path, LOOM_DURABLE_VERIFIED);
    loom_extent_writer *writer;
    check_store(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    printf("| %llu rows, a tenth with 4 KiB of bulk bytes | s | us a row |\n| --- | --- | --- |\n",
           (unsigned long long)rows);
    double began = seconds();
    each_batch(store, put_one, writer);
    step("put", began);
    loom_extent_writer_close(writer);
    began = seconds();
    verify(store, true);
    step("verify, index only", began);
    began = seconds();
    verify(store, false);
    step("verify, every byte", began);
    began = seconds();
    each_batch(store, delete_one, NULL);
    step("delete", began);
    loom_gc_report report;
    loom_gc_options options = {.keep_goals = UINT64_MAX};
    began = seconds();
    check_store(loom_store_gc(store, &options, &report, &err));
    step("gc: reclaim, punch, sweep", began);
    began = seconds();
    verify(store, true);
    step("verify the tombstones", began);
    loom_store_close(store);
    clear(folder);
    return 0;
}
