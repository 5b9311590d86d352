/* bench_pack.c - backup and restore against cp: a store of images of 36 MiB, all of it durable at the end.
 *
 *   bench_pack [IMAGES] [ROUNDS]        default: 28 5
 *
 * Each round: backup to a new folder, a second backup with nothing new, restore to a new store, cp -r of the store and
 * sync -f. Medians; the page cache is warm for all alike. */
#include <sys/resource.h>

#include "bench.h"
#include "shm/extent/extent.h"
#include "shm/pack/backup.h"

#define IMAGE_BYTES (UINT64_C(36) << 20)
#define BLOCKS 36
#define ROUNDS_MAX 99

static void put_image(loom_store *store, uint64_t number) {
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    loom_buffer payload = {0};
    uint64_t hashes[BLOCKS], random = number + 1;
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){IMAGE_BYTES / 2, 2});
    loom_value value = loom_image(&header, NULL);
    check_store(loom_value_encode(&value, &payload));
    check_store(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    check_store(loom_extent_reserve(writer, IMAGE_BYTES, LOOM_RESERVE_WINDOW, &reservation, &err));
    uint64_t *voxels = reservation.window;
    for (uint64_t i = 0; i < IMAGE_BYTES / 8; i++) {
        random ^= random << 13; /* xorshift: nothing that a file system or disk could make smaller */
        random ^= random >> 7;
        random ^= random << 17;
        voxels[i] = random;
    }
    loom_result result = {.rkey = id_of("image", number), .type = LOOM_IMAGE};
    check_store(loom_extent_seal(writer, &reservation, hashes, result.root, &err));
    result.vid = result.rkey;
    result.payload = payload.bytes;
    result.payload_bytes = payload.length;
    result.bulk = reservation.placement;
    result.block_hashes = hashes;
    check_store(loom_store_begin(store, &batch, &err));
    check_store(loom_batch_put(batch, &result, &err));
    check_store(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    loom_buffer_free(&payload);
}

int main(int argc, char **argv) {
    uint64_t images = argc > 1 ? strtoull(argv[1], NULL, 10) : 28;
    size_t rounds = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 5;
    check(images >= 1 && images <= 10000 && rounds >= 1 && rounds <= ROUNDS_MAX, "reading IMAGES and ROUNDS");
    char folder[256], path[300], target[300], copy[300], command[1000];
    double times[4][ROUNDS_MAX];
    make_folder(folder, "bench-pack");
    snprintf(path, sizeof path, "%s/store", folder);
    snprintf(target, sizeof target, "%s/backup", folder);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    snprintf(command, sizeof command, "cp -r '%s' '%s' && sync -f '%s'", path, copy, copy);
    loom_store *store = open_store(path, LOOM_DURABLE_VERIFIED);
    for (uint64_t i = 0; i < images; i++)
        put_image(store, i);
    sync();
    for (size_t i = 0; i < rounds; i++) {
        loom_pack_report report;
        double began = seconds();
        check_store(loom_backup(store, target, NULL, NULL, &report, &err));
        times[0][i] = seconds() - began;
        began = seconds();
        check_store(loom_backup(store, target, NULL, NULL, &report, &err));
        times[1][i] = seconds() - began;
        began = seconds();
        check_store(loom_restore(target, copy, NULL, NULL, &report, &err));
        times[2][i] = seconds() - began;
        clear(target);
        clear(copy);
        began = seconds();
        check(system(command) == 0, "cp");
        times[3][i] = seconds() - began;
        clear(copy);
    }
    loom_store_close(store);
    clear(folder);
    static const char *const names[] = {"backup", "backup, nothing new", "restore", "cp -r, sync -f"};
    double megabytes = (double)(images * IMAGE_BYTES) / 1e6, medians[4];
    for (unsigned i = 0; i < 4; i++)
        medians[i] = median(times[i], rounds);
    printf("| %llu images of 36 MiB | s | MB/s | speed of cp = 1 |\n| --- | --- | --- | --- |\n",
           (unsigned long long)images);
    for (unsigned i = 0; i < 4; i++)
        printf("| %s | %.3f | %.0f | %.2f |\n", names[i], medians[i], megabytes / medians[i], medians[3] / medians[i]);
    struct rusage usage;
    check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    printf("\npeak memory %ld MiB\n", usage.ru_maxrss / 1024);
    return 0;
}
