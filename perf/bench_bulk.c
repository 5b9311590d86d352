/* bench_bulk.c - images into the store and out of it, against the fastest ways that this machine knows.
 *
 *   bench_bulk [write|read|all [RUNS]]        default: all 7
 *
 * write: 36 and 256 MiB, made of one hot tile of 2 MiB that changes a little each time (kernels produce tiles in
 * cache), into fresh space, into recycled space whose pages are in memory, and into recycled space that is not; without
 * and with fdatasync at the end. Contenders in turns that rotate, RUNS times: pwrite and mmap into a file; fio with
 * io_uring (its own figure for the same file, block size 2 MiB, depth 8; with fsync its end_fsync); the store by stream
 * (2 MiB at a time) and by window. The store's times are whole: reserve, write, hash, seal, and the row committed;
 * durability "none" without fdatasync, "strict" (bulk bytes, then row) with it. Fresh space is allocated within the
 * time of all (fio allocates before its clock starts: its allocation is made here, timed and added). "Recycled"
 * baselines overwrite a file that lay there, another one each turn; the store gets the range of a deleted image,
 * another one each turn. read: look-up, map, populate and sum of a cached 256 MiB image, against summing anonymous
 * memory.
 *
 * All start alike (`level_field`): nothing is dirty, as otherwise one contender waits for what another one's turn left
 * to the disk; and there is free memory that the host has given to this machine already. In a virtual machine that
 * returns its free memory (free page reporting), who first takes such a page pays 3 ms a MiB, which is twenty times a
 * write. Whoever frees as much before its turn as it takes then looks fast. The memory that is walked over for this is
 * larger than the processor's caches, so nobody finds the pages of the last turn there either.
 *
 * Medians, and in brackets the fastest turn, which other work on the machine disturbs least, as Markdown tables. The
 * last column is the fastest contender's time divided by the best of the store's; the goal is 0.9. On a machine that is
 * busy run it as `chrt -f 1`: then only the memory and the disk are shared. Needs 16 GiB of disk under $TMPDIR or /tmp,
 * and as much memory for what is to be resident. */
#include <fcntl.h>
#include <sys/mman.h>

#include "bench.h"
#include "shm/extent/extent.h"
#include "shm/stream/stream.h"

#define TILE (UINT64_C(2) << 20)
#define RUNS_MAX 99

static char folder[256];
static int runs = 7;
static uint64_t image_bytes;
static uint8_t *tile;
static uint64_t counter;

typedef enum state { FRESH, RECYCLED_RESIDENT, RECYCLED_COLD } state;
static const char *const state_names[] = {"fresh", "recycled, in memory", "recycled, not in memory"};
static state space;
static int with_sync;

static const uint8_t *next_tile(void) {
    counter++;
    for (size_t i = 0; i < TILE; i += 4096)
        memcpy(tile + i, &counter, sizeof counter);
    return tile;
}

#define FIELD_BYTES (UINT64_C(320) << 20)

/* Dirty pages of a file that goes before they are written: pages as large as the pieces, as contenders take them. */
static int fill_scratch(size_t piece) {
    char path[300];
    snprintf(path, sizeof path, "%s/scratch", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    check(fd >= 0 && unlink(path) == 0, "open");
    for (uint64_t at = 0; at < FIELD_BYTES; at += piece)
        check(pwrite(fd, tile, piece, (off_t)at) == (ssize_t)piece, "pwrite");
    return fd;
}

/* Before each turn, outside its time: see the top. Free memory is kept in lists by the size of its pieces, and each
 * size is taken from its own list first; so as much is taken of each as a contender may need, and then given back. */
static void level_field(void) {
    int whole = open(folder, O_RDONLY | O_DIRECTORY);
    check(whole >= 0 && syncfs(whole) == 0, "syncfs");
    close(whole);
    int two = fill_scratch(TILE), one = fill_scratch(TILE / 2), small = fill_scratch(4096);
    close(small);
    close(one);
    close(two);
}

/* ---- plain files ---- */

static int turn; /* -1: the one that is not counted */

/* The file of this turn and contender, as it is before the time begins. Recycled: it was written and synced before. */
static int plain_file(const char *name, unsigned part, bool fresh) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s.%d.%u", folder, name, fresh ? 0 : turn + 1, part);
    if (fresh) unlink(path);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    check(fd >= 0, "open");
    return fd;
}

static void allocate_file(int fd) {
    check(posix_fallocate(fd, 0, (off_t)image_bytes) == 0, "fallocate");
}

static void write_file(int fd) {
    for (uint64_t at = 0; at < image_bytes; at += TILE)
        check(pwrite(fd, next_tile(), TILE, (off_t)at) == (ssize_t)TILE, "pwrite");
}

/* So many files as make 256 MiB: fio's runtime in milliseconds is too coarse for one of 36. */
static unsigned fio_files(void) {
    return image_bytes >= 128 * TILE ? 1 : (unsigned)(128 * TILE / image_bytes);
}

static void prepare_plain(const char *name, unsigned files) {
    for (turn = -1; turn < runs; turn++)
        for (unsigned part = 0; part < files; part++) {
            int fd = plain_file(name, part, false);
            allocate_file(fd);
            write_file(fd);
            check(fdatasync(fd) == 0, "fdatasync");
            if (space == RECYCLED_COLD) check(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "fadvise");
            close(fd);
        }
}

static void remove_plain(const char *name, unsigned files) {
    char path[400];
    for (int i = 0; i <= runs; i++)
        for (unsigned part = 0; part < files; part++) {
            snprintf(path, sizeof path, "%s/%s.%d.%u", folder, name, i, part);
            unlink(path);
        }
}

static double end_file(int fd, double began) {
    if (with_sync) check(fdatasync(fd) == 0, "fdatasync");
    double taken = seconds() - began;
    close(fd);
    return taken;
}

static double by_pwrite(void) {
    int fd = plain_file("pwrite", 0, space == FRESH);
    level_field();
    double began = seconds();
    if (space == FRESH) allocate_file(fd);
    write_file(fd);
    return end_file(fd, began);
}

static double by_mmap(void) {
    int fd = plain_file("mmap", 0, space == FRESH);
    level_field();
    double began = seconds();
    if (space == FRESH) allocate_file(fd);
    uint8_t *window = mmap(NULL, image_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(window != MAP_FAILED, "mmap");
    for (uint64_t at = 0; at < image_bytes; at += TILE)
        memcpy(window + at, next_tile(), TILE);
    munmap(window, image_bytes);
    return end_file(fd, began);
}

/* ---- fio ---- */

/* fio overwrites files that have their size already, so it allocates nothing and unlinks nothing. */
static double run_fio(unsigned files) {
    char command[1200], line[4096];
    snprintf(command, sizeof command,
             "fio --name=w --directory=%s --filename_format=fio.%d.\\$filenum --rw=write --bs=2M --filesize=%llu "
             "--nrfiles=%u --file_service_type=sequential --ioengine=io_uring --iodepth=8 --fallocate=none "
             "--overwrite=0 --invalidate=0 --end_fsync=%d --thread --minimal 2>/dev/null",
             folder, space == FRESH ? 0 : turn + 1, (unsigned long long)image_bytes, files, with_sync);
    FILE *out = popen(command, "r");
    check(out != NULL, "popen");
    double milliseconds = 0;
    while (fgets(line, sizeof line, out) != NULL) {
        char *at = line;
        int field = 1;
        for (; field < 50 && (at = strchr(at, ';')) != NULL; field++, at++)
            if (field == 49) break; /* after 49 semicolons: field 50 of version 3 is the write runtime, ms */
        if (field == 49 && at != NULL) milliseconds = strtod(at + 1, NULL);
    }
    int status = pclose(out);
    return status == 0 && milliseconds > 0 ? milliseconds / 1000 : 0;
}

static double by_fio(void) {
    unsigned files = fio_files();
    double allocating = 0;
    int fds[64];
    for (unsigned part = 0; part < files; part++)
        fds[part] = plain_file("fio", part, space == FRESH);
    level_field();
    double began = seconds();
    for (unsigned part = 0; part < files; part++)
        if (space == FRESH) allocate_file(fds[part]);
    allocating = seconds() - began;
    for (unsigned part = 0; part < files; part++)
        close(fds[part]);
    double writing = run_fio(files);
    return writing > 0 ? (allocating + writing) / files : 0;
}

/* ---- the store ---- */

static char store_path[300];
static loom_store *store;
static uint64_t image_number;

static loom_image_header header_of(void) {
    return loom_image_header_make(LOOM_U8, 3, (uint64_t[]){1024, 1024, image_bytes >> 20});
}

static int open_extent(uint32_t number) {
    char name[400];
    snprintf(name, sizeof name, "%.290s/extents/%08x.ext", store_path, number);
    return open(name, O_RDWR);
}

static void drop_from_memory(void) {
    for (uint32_t number = 0; number < 8; number++) {
        int fd = open_extent(number);
        if (fd < 0) continue;
        check(fdatasync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "dropping the page cache");
        close(fd);
    }
}

static uint64_t recycled_below; /* in extent file 0 */
static unsigned recycled, written;

static double stream_image(void);

static void put_anchor(void) {
    uint64_t bytes = image_bytes;
    image_bytes = 10 * TILE; /* large enough to lie behind the others */
    (void)stream_image();
    image_bytes = bytes;
}

static bool take_place(const loom_result *result, void *context) {
    *(loom_placement *)context = result->bulk;
    return true;
}

static loom_placement last_place(void) {
    loom_placement place = {0};
    check_store(loom_store_each(store, take_place, &place, &err));
    return place;
}

static void delete_images(uint64_t first, uint64_t last) {
    loom_batch *batch;
    check_store(loom_store_begin(store, &batch, &err));
    for (uint64_t number = first; number <= last; number++) {
        loom_id rkey = id_of("image", number);
        check_store(loom_batch_delete(batch, &rkey, &err));
    }
    check_store(loom_batch_commit(batch, &err));
}

/* A new store; for recycled space with as many deleted images as will be written, and one behind them that stays. */
static void prepare_store(void) {
    loom_store_options options = {.path = store_path,
                                  .create = true,
                                  .reuse_bytes = UINT64_C(64) << 30,
                                  .durability = with_sync ? LOOM_DURABLE_STRICT : LOOM_DURABLE_NONE};
    check_store(loom_store_open(&options, &store, &err));
    recycled_below = recycled = written = 0;
    image_number = 0;
    if (space == FRESH) return;
    for (int i = 0; i < 2 * (runs + 1) + 4; i++) /* some to spare: ranges are lent 256 MiB at a time */
        (void)stream_image();
    put_anchor();
    recycled_below = last_place().offset;
    delete_images(1, image_number - 1);
    loom_store_close(store); /* alone, the next one makes free what was deleted */
    check_store(loom_store_open(&options, &store, &err));
    if (space == RECYCLED_COLD) drop_from_memory();
}

static void note_place(void) {
    loom_placement place = last_place();
    recycled += place.extent == 0 && place.offset < recycled_below;
    written++;
}

static double stream_image(void) {
    loom_image_header header = header_of();
    loom_stream_options options = {.rkey = id_of("image", ++image_number), .type = LOOM_IMAGE, .image = &header};
    loom_stream_writer *writer;
    double began = seconds();
    check_store(loom_stream_writer_create(store, &options, &writer, &err));
    for (uint64_t at = 0; at < image_bytes; at += TILE)
        check_store(loom_stream_writer_write(writer, next_tile(), TILE, &err));
    check_store(loom_stream_writer_commit(writer, NULL, &err));
    return seconds() - began;
}

static double by_stream(void) {
    level_field();
    return stream_image();
}

static double by_window(void) {
    loom_image_header header = header_of();
    loom_value value = loom_image(&header, NULL);
    loom_buffer payload = {0};
    check_store(loom_value_encode(&value, &payload));
    uint64_t *hashes = calloc(loom_extent_block_count(image_bytes), sizeof *hashes);
    loom_id rkey = id_of("image", ++image_number);
    loom_result result = {.rkey = rkey, .vid = rkey, .type = LOOM_IMAGE, .block_hashes = hashes};
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    level_field();
    double began = seconds();
    check_store(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    check_store(loom_extent_reserve(writer, image_bytes, LOOM_RESERVE_WINDOW, &reservation, &err));
    for (uint64_t at = 0; at < image_bytes; at += TILE)
        memcpy((uint8_t *)reservation.window + at, next_tile(), TILE);
    result.bulk = reservation.placement;
    check_store(loom_extent_seal(writer, &reservation, hashes, result.root, &err));
    result.payload = payload.bytes;
    result.payload_bytes = payload.length;
    check_store(loom_store_begin(store, &batch, &err));
    check_store(loom_batch_put(batch, &result, &err));
    check_store(loom_batch_commit(batch, &err));
    double taken = seconds() - began;
    loom_extent_writer_close(writer);
    loom_buffer_free(&payload);
    free(hashes);
    return taken;
}

/* ---- the tables ---- */

typedef struct contender {
    const char *name;
    double (*run)(void);
    double taken[RUNS_MAX];
    double ms, least; /* median, fastest turn */
} contender;

/* The fastest plain way's time by the better of the store's. */
static double ratio_of(const contender *all, double (*time_of)(const contender *)) {
    double fastest = 0, stream = time_of(&all[3]), window = time_of(&all[4]);
    for (size_t i = 0; i < 3; i++)
        if (time_of(&all[i]) > 0 && (fastest == 0 || time_of(&all[i]) < fastest)) fastest = time_of(&all[i]);
    return fastest / (stream < window ? stream : window);
}

static double median_of(const contender *one) {
    return one->ms;
}

static double least_of(const contender *one) {
    return one->least;
}

static void write_case(contender *all, size_t count) {
    prepare_store();
    if (space != FRESH) {
        prepare_plain("pwrite", 1);
        prepare_plain("mmap", 1);
        prepare_plain("fio", fio_files());
    }
    for (turn = -1; turn < runs; turn++) /* the first round lends the first range */
        for (size_t k = 0; k < count; k++) {
            size_t i = (k + (size_t)(turn + 1)) % count;
            double taken = all[i].run();
            if (turn >= 0) all[i].taken[turn] = taken;
            if (i >= 3) note_place();
        }
    remove_plain("pwrite", 1);
    remove_plain("mmap", 1);
    remove_plain("fio", fio_files());
    check(space == FRESH || recycled == written, "recycling");
    for (size_t i = 0; i < count; i++) {
        all[i].ms = median(all[i].taken, (size_t)runs) * 1e3; /* sorts them */
        all[i].least = all[i].taken[0] * 1e3;
    }
}

static void bench_write(void) {
    static const uint64_t sizes[] = {36 << 20, 256 << 20};
    contender all[] = {{.name = "pwrite", .run = by_pwrite},
                       {.name = "mmap", .run = by_mmap},
                       {.name = "fio", .run = by_fio},
                       {.name = "stream", .run = by_stream},
                       {.name = "window", .run = by_window}};
    printf(
        "| MiB | space | fdatasync | pwrite, ms | mmap, ms | fio io_uring, ms | store by stream, ms | store by window, "
        "ms | fastest / store |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t size = 0; size < 2; size++)
        for (with_sync = 0; with_sync < 2; with_sync++)
            for (space = FRESH; space <= RECYCLED_COLD; space++) {
                image_bytes = sizes[size];
                write_case(all, sizeof all / sizeof *all);
                printf("| %llu | %s | %s |", (unsigned long long)(image_bytes >> 20), state_names[space],
                       with_sync ? "yes" : "no");
                for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                    printf(" %.1f (%.1f) |", all[i].ms, all[i].least);
                printf(" %.2f (%.2f) |\n", ratio_of(all, median_of), ratio_of(all, least_of));
                fflush(stdout);
                loom_store_close(store);
                clear(store_path);
            }
}

/* Four sums, so that it is memory that is waited for. */
static uint64_t sum_of(const void *bytes, uint64_t length) {
    const uint64_t *words = bytes;
    uint64_t sums[4] = {0};
    for (uint64_t i = 0; i + 4 <= length / 8; i += 4)
        for (unsigned k = 0; k < 4; k++)
            sums[k] += words[i + k];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

static void bench_read(void) {
    double anonymous[RUNS_MAX], stored[RUNS_MAX], looked[RUNS_MAX];
    image_bytes = 256 << 20;
    space = FRESH;
    with_sync = 0;
    prepare_store();
    (void)stream_image();
    uint8_t *memory = mmap(NULL, image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED, "mmap");
    memset(memory, 1, image_bytes);
    loom_arena *arena = loom_arena_new();
    loom_id rkey = id_of("image", image_number);
    volatile uint64_t sum = 0;
    for (int run = 0; run < runs; run++) {
        double began = seconds();
        sum += sum_of(memory, image_bytes);
        anonymous[run] = seconds() - began;
        loom_result result;
        loom_value value;
        loom_view view;
        began = seconds();
        check_store(loom_store_find(store, &rkey, arena, &result, &err));
        check_store(loom_store_value(store, &result, arena, &value, &view, &err));
        looked[run] = seconds() - began;
        sum += sum_of(value.image.voxels, image_bytes);
        loom_extent_release(&view);
        stored[run] = seconds() - began;
        loom_arena_reset(arena);
    }
    check(sum != 1, "summing"); /* so that the sums are made */
    double base = median(anonymous, (size_t)runs) * 1e3, ms = median(stored, (size_t)runs) * 1e3;
    printf("\n| reading 256 MiB | ms | ratio |\n| --- | --- | --- |\n| anonymous memory | %.1f | 1 |\n"
           "| stored image: find, map, populate, sum, unmap | %.1f | %.2f |\n| of which before the first voxel | %.1f "
           "| |\n",
           base, ms, ms / base, median(looked, (size_t)runs) * 1e3);
    loom_arena_free(arena);
    munmap(memory, image_bytes);
    loom_store_close(store);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "all";
    if (argc > 2) runs = atoi(argv[2]);
    check(runs >= 1 && runs <= RUNS_MAX, "reading RUNS (1 to 99)");
    make_folder(folder, "bench-bulk");
    snprintf(store_path, sizeof store_path, "%s/store", folder);
    tile = aligned_alloc(4096, TILE);
    check(tile != NULL, "malloc");
    memset(tile, 7, TILE);
    if (strcmp(what, "read") != 0) bench_write();
    if (strcmp(what, "write") != 0) bench_read();
    free(tile);
    clear(folder);
    return 0;
}
