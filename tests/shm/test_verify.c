/* Verification and repair: damage made by hand, of each kind, in a store of a few thousand results. */
#include <lmdb.h>
#include <signal.h>

#include "disk_scene.h"
#include "shm/care/admin.h"
#include "shm/store/store.h"

#define SMALLS 3000
#define IMAGES 12
#define WIDTH 1000000 /* 3 MB: three blocks each */

typedef struct findings {
    unsigned of[LOOM_FINDING_TREE + 1], all, repaired;
    uint64_t blocks;
    loom_finding last;
} findings;

static void count_finding(const loom_finding *finding, void *context) {
    findings *found = context;
    found->of[finding->kind]++;
    found->all++;
    found->repaired += finding->repaired;
    found->blocks += finding->blocks;
    found->last = *finding;
    assert_null(strchr(finding->text, '\n'));
    assert_true(strlen(finding->text) > 10);
    if (getenv("VERIFY_PRINT") != NULL) print_message("%s\n", finding->text);
}

static findings verify(loom_store *store, bool repair, loom_verify_report *report) {
    loom_error err = {0};
    findings found = {0};
    loom_verify_options options = {.repair = repair, .threads = 2, .found = count_finding, .context = &found};
    REQUIRE_OK(loom_store_verify_all(store, &options, report, &err));
    assert_int_equal(report->findings, found.all);
    assert_int_equal(report->bad_blocks, found.blocks);
    return found;
}

static uint64_t extent_file_bytes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        char full[600];
        struct stat now;
        snprintf(full, sizeof full, "%s/extents/%08x.ext", path, i);
        if (stat(full, &now) == 0) sum += (uint64_t)now.st_size;
    }
    return sum;
}

static void require_clean(loom_store *store, uint64_t rows) {
    loom_verify_report report;
    findings found = verify(store, false, &report);
    if (found.all != 0) print_error("%s\n", found.last.text);
    assert_int_equal(found.all, 0);
    assert_int_equal(report.rows, rows);
    assert_int_equal(report.header_bytes + report.live_bytes + report.free_bytes + report.deleted_bytes +
                         report.unowned_bytes,
                     extent_file_bytes());
}

static void fill(void) {
    loom_store *store = open_ok();
    put_small(store, 0, SMALLS);
    for (uint64_t i = 0; i < IMAGES; i++)
        put_image(store, i, WIDTH);
    loom_store_close(store);
}

static void a_sound_store_is_clean(void **state) {
    (void)state;
    fill();
    loom_store *store = open_ok();
    require_clean(store, SMALLS + IMAGES);
    loom_store_close(store);
}

/* ---- bulk bytes ---- */

static void put_image_again(loom_store *store, uint64_t number) {
    put_image(store, number, WIDTH);
    require_image(store, number, WIDTH);
}

/* One bit in each of some blocks: every one is found, the results are set apart, and what is computed again heals. */
static void flipped_blocks_are_found_and_heal(void **state) {
    (void)state;
    fill();
    uint64_t random = 4711, bad_blocks = 0;
    bool bad[IMAGES] = {false};
    loom_store *store = open_ok();
    loom_error err = {0};
    loom_arena *arena = loom_arena_new();
    for (uint64_t i = 0; i < IMAGES; i++) {
        loom_result found;
        loom_id rkey = id_of("image", i);
        REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
        for (uint64_t block = 0; block * LOOM_BLOCK_BYTES < found.bulk.bytes; block++) {
            if (next_random(&random) % 8 != 0 && !(i == 7 && block == 2)) continue;
            uint64_t left = found.bulk.bytes - block * LOOM_BLOCK_BYTES;
            uint64_t at = next_random(&random) % (left < LOOM_BLOCK_BYTES ? left : LOOM_BLOCK_BYTES);
            char name[64];
            snprintf(name, sizeof name, "extents/%08x.ext", found.bulk.extent);
            flip(name, (off_t)(found.bulk.offset + block * LOOM_BLOCK_BYTES + at));
            bad[i] = true;
            bad_blocks++;
        }
    }
    loom_arena_free(arena);
    assert_true(bad_blocks >= 3 && bad_blocks < 20);
    unsigned bad_images = 0;
    for (unsigned i = 0; i < IMAGES; i++)
        bad_images += bad[i];
    loom_verify_report report;
    findings found = verify(store, false, &report);
    assert_int_equal(found.of[LOOM_FINDING_BLOCK], bad_images);
    assert_int_equal(found.all, bad_images);
    assert_int_equal(report.bad_blocks, bad_blocks);
    assert_int_equal(report.blocks, 3 * IMAGES);
    found = verify(store, true, &report);
    assert_int_equal(found.repaired, bad_images);
    assert_int_equal(report.repaired, bad_images);
    for (uint64_t i = 0; i < IMAGES; i++) {
        loom_id rkey = id_of("image", i), vid;
        loom_type type;
        REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err)); /* the trace stays */
        if (!bad[i]) require_image(store, i, WIDTH);
    }
    require_clean(store, SMALLS + IMAGES);
    for (uint64_t i = 0; i < IMAGES; i++)
        if (bad[i]) put_image_again(store, i);
    require_clean(store, SMALLS + IMAGES);
    loom_store_close(store);
    store = open_ok();
    for (uint64_t i = 0; i < SMALLS; i += 50)
        require_small(store, i);
    require_clean(store, SMALLS + IMAGES);
    loom_store_close(store);
}

static void lost_files_are_found(void **state) {
    (void)state;
    fill();
    char name[600];
    loom_verify_report report;
    snprintf(name, sizeof name, "%s/extents/00000000.ext", path);
    assert_int_equal(truncate(name, 20000000), 0); /* of 36 MB */
    loom_store *store = open_ok();
    findings found = verify(store, false, &report);
    assert_true(found.of[LOOM_FINDING_PLACE] >= 5 && found.of[LOOM_FINDING_PLACE] <= 7); /* the file is one of them */
    verify(store, true, &report);
    assert_int_equal(report.repaired, found.of[LOOM_FINDING_PLACE] - 1);
    require_clean(store, SMALLS + IMAGES);
    require_image(store, 0, WIDTH);
    loom_store_close(store);
    assert_int_equal(unlink(name), 0);
    store = open_ok();
    found = verify(store, true, &report);
    assert_true(found.of[LOOM_FINDING_PLACE] >= 6);
    require_clean(store, SMALLS + IMAGES);
    for (uint64_t i = 0; i < IMAGES; i++)
        put_image_again(store, i);
    require_clean(store, SMALLS + IMAGES);
    loom_store_close(store);
}

/* ---- the index, changed behind the store's back ---- */

typedef struct tamper {
    loom_index *index;
    MDB_txn *txn;
} tamper;

static tamper begin_tampering(loom_store *store) {
    loom_error err = {0};
    loom_store_parts parts;
    tamper of;
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    of.index = parts.index;
    assert_int_equal(mdb_txn_begin(of.index->env, NULL, 0, &of.txn), 0);
    return of;
}

static void end_tampering(const tamper *of) {
    assert_int_equal(mdb_txn_commit(of->txn), 0);
}

/* Changes one byte of a value. */
static void change_value(const tamper *of, MDB_dbi table, const void *name, size_t name_bytes, size_t at) {
    uint8_t copy[4096];
    MDB_val key = {name_bytes, (void *)(uintptr_t)name}, value;
    assert_int_equal(mdb_get(of->txn, table, &key, &value), 0);
    assert_true(value.mv_size <= sizeof copy && at < value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[at] ^= 1;
    value.mv_data = copy;
    assert_int_equal(mdb_put(of->txn, table, &key, &value, 0), 0);
}

/* Found as `kind`, mended, clean after; `lost` rows are gone for good. */
static void require_mended(loom_store *store, loom_finding_kind kind, uint64_t rows, uint64_t lost) {
    loom_verify_report report;
    findings found = verify(store, false, &report);
    assert_true(found.of[kind] > 0);
    verify(store, true, &report);
    require_clean(store, rows - lost);
}

static void damage_of_every_kind(void **state) {
    (void)state;
    loom_error err = {0};
    fill();
    loom_store *store = open_ok();
    uint64_t rows = SMALLS + IMAGES;
    size_t number = 17;
    tamper of = begin_tampering(store);
    change_value(&of, of.index->rows, &number, sizeof number, 230);
    end_tampering(&of);
    require_mended(store, LOOM_FINDING_ROW, rows, 1);
    rows--;
    assert_false(is_stored(store, 16));
    put_small(store, 16, 1); /* computed again */
    require_clean(store, ++rows);

    of = begin_tampering(store); /* keys: one gone, one too many */
    MDB_cursor *cursor;
    MDB_val key, value;
    assert_int_equal(mdb_cursor_open(of.txn, of.index->keys, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
    uint8_t bogus[LOOM_KEY_BYTES];
    memcpy(bogus, key.mv_data, sizeof bogus);
    assert_int_equal(mdb_cursor_del(cursor, 0), 0);
    mdb_cursor_close(cursor);
    bogus[3] ^= 1;
    key = (MDB_val){sizeof bogus, bogus};
    value = (MDB_val){0, NULL};
    assert_int_equal(mdb_put(of.txn, of.index->keys, &key, &value, 0), 0);
    end_tampering(&of);
    loom_verify_report report;
    findings found = verify(store, false, &report);
    assert_int_equal(found.of[LOOM_FINDING_ENTRY], 2);
    require_mended(store, LOOM_FINDING_ENTRY, rows, 0);

    of = begin_tampering(store); /* sums */
    change_value(&of, of.index->meta, "s:state", 7, 16);
    change_value(&of, of.index->meta, "s:state", 7, 40);
    end_tampering(&of);
    require_mended(store, LOOM_FINDING_COUNT, rows, 0);
    of = begin_tampering(store);
    unsigned extent = 0;
    change_value(&of, of.index->extents, &extent, sizeof extent, 8);
    end_tampering(&of);
    require_mended(store, LOOM_FINDING_COUNT, rows, 0);

    loom_arena *arena = loom_arena_new(); /* two results in one place */
    loom_result twin;
    loom_batch *batch;
    loom_id rkey = id_of("image", 2);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &twin, &err));
    twin.rkey = twin.vid = id_of("twin", 2);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &twin, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_arena_free(arena);
    require_mended(store, LOOM_FINDING_OVERLAP, ++rows, 0);
    require_image(store, 2, WIDTH); /* one of the two is right, and stays */

    loom_id nowhere = id_of("nowhere", 1); /* a sequence of what nobody knows */
    loom_value items[] = {loom_reference(LOOM_IMAGE, &nowhere), loom_int(3)};
    loom_value sequence = loom_sequence(items, 2);
    loom_buffer payload = {0};
    REQUIRE_OK(loom_value_encode(&sequence, &payload));
    loom_result result = {.rkey = id_of("sequence", 1),
                          .vid = loom_sha256(payload.bytes, payload.length),
                          .type = LOOM_SEQUENCE,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length};
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&payload);
    require_mended(store, LOOM_FINDING_REFERENCE, ++rows, 0);

    flip("extents/00000000.ext", 20); /* the header page of an extent file */
    require_mended(store, LOOM_FINDING_PLACE, rows, 0);
    for (uint64_t i = 0; i < SMALLS; i += 37)
        require_small(store, i);
    loom_store_close(store);
}

static void repair_needs_the_store_for_itself(void **state) {
    (void)state;
    loom_error err = {0};
    fill();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t other = fork();
    if (other == 0) {
        char byte;
        loom_store *store = open_ok();
        close(ends[1]);
        kill(getppid(), 0);
        byte = read(ends[0], &byte, 1) == 0 ? 0 : 1; /* until the parent is done */
        loom_store_close(store);
        _exit(byte);
    }
    close(ends[0]);
    loom_store *store = open_ok();
    loom_store_stats stats;
    do { /* until the other has it open */
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
    } while (stats.processes < 2);
    tamper of = begin_tampering(store);
    change_value(&of, of.index->meta, "s:state", 7, 16);
    end_tampering(&of);
    loom_verify_report report;
    loom_verify_options options = {.repair = true, .threads = 1};
    REQUIRE_STATUS(loom_store_verify_all(store, &options, &report, &err), LOOM_BUSY);
    assert_int_equal(report.findings, 1);
    close(ends[1]);
    int status;
    waitpid(other, &status, 0);
    assert_int_equal(status, 0);
    require_mended(store, LOOM_FINDING_COUNT, SMALLS + IMAGES, 0);
    loom_store_close(store);
}

static bool stop_at_once(const char *phase, uint64_t done, uint64_t total, void *context) {
    (void)phase, (void)done, (void)total, (void)context;
    return false;
}

static void it_can_be_stopped(void **state) {
    (void)state;
    loom_error err = {0};
    fill();
    loom_store *store = open_ok();
    loom_verify_report report;
    loom_verify_options options = {.progress = stop_at_once};
    REQUIRE_STATUS(loom_store_verify_all(store, &options, &report, &err), LOOM_CANCELLED);
    loom_store_close(store);
}

/* ---- pages of the index ---- */

#define PAGE 4096

static uint8_t *read_whole(const char *name, size_t *size) {
    struct stat now;
    int fd = open(name, O_RDONLY);
    assert_int_equal(fstat(fd, &now), 0);
    *size = (size_t)now.st_size;
    uint8_t *bytes = malloc(*size);
    assert_int_equal(read(fd, bytes, *size), *size);
    close(fd);
    return bytes;
}

static unsigned count_small(loom_store *store, unsigned count) {
    unsigned stored = 0;
    for (uint64_t i = 0; i < count; i++)
        stored += is_stored(store, i);
    return stored;
}

/* Every page in turn is filled with nonsense: LMDB would end the process on many of them. What comes back is a sound
 * store without what that one page held. */
static void damaged_pages_cost_what_they_held(void **state) {
    (void)state;
    enum { ROWS = 2500 };
    loom_error err = {0};
    loom_store *store = open_ok();
    put_small(store, 0, ROWS);
    put_image(store, 1, 5000);
    loom_store_close(store);
    char name[600], lock[600];
    size_t size;
    snprintf(name, sizeof name, "%s/index/data.mdb", path);
    snprintf(lock, sizeof lock, "%s/index/damaged.mdb", path);
    uint8_t *whole = read_whole(name, &size);
    unsigned branches = 0, leaves = 0, found_damage = 0;
    for (size_t page = 2; page < size / PAGE; page++) {
        uint16_t flags;
        memcpy(&flags, whole + page * PAGE + 10, sizeof flags);
        if (flags != 1 && (flags != 2 || page % 9 != 0)) continue; /* all branches, some leaves */
        uint8_t *damaged = malloc(size);
        memcpy(damaged, whole, size);
        memset(damaged + page * PAGE, 0xa5, PAGE);
        write_file("index/data.mdb", damaged, size);
        free(damaged);
        uint64_t damages;
        bool rebuilt;
        REQUIRE_OK(loom_store_salvage(path, false, NULL, NULL, &damages, &rebuilt, &err));
        assert_false(rebuilt);
        if (damages == 0) continue; /* an unused page */
        REQUIRE_OK(loom_store_salvage(path, true, NULL, NULL, &damages, &rebuilt, &err));
        assert_true(rebuilt);
        found_damage++;
        if (getenv("VERIFY_PRINT") != NULL)
            print_message("page %zu flags %u damages %llu\n", page, flags, (unsigned long long)damages);
        store = open_ok();
        loom_verify_report report;
        verify(store, true, &report);
        findings found = verify(store, false, &report);
        assert_int_equal(found.all, 0);
        unsigned stored = count_small(store, ROWS);
        if (flags == 1) assert_int_equal(stored, ROWS); /* nothing that a branch cut off is lost */
        assert_true(stored >= ROWS - 16);
        put_small(store, 0, ROWS);
        assert_int_equal(count_small(store, ROWS), ROWS);
        loom_store_close(store);
        assert_int_equal(unlink(lock), 0);
        flags == 1 ? branches++ : leaves++;
    }
    assert_true(branches >= 2 && leaves >= 5 && found_damage >= 7);
    write_file("index/data.mdb", whole, size);
    free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(a_sound_store_is_clean),
        DISK_TEST(flipped_blocks_are_found_and_heal),
        DISK_TEST(lost_files_are_found),
        DISK_TEST(damage_of_every_kind),
        DISK_TEST(repair_needs_the_store_for_itself),
        DISK_TEST(it_can_be_stopped),
        DISK_TEST(damaged_pages_cost_what_they_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
