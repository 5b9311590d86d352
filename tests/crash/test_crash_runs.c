/* test_crash_runs.c - whole runs: their processes killed at random moments, all on one store; and 1% of the blocks of a
 * store flipped, which `store verify` finds and the next run that needs them makes anew. */
#include "../runtime/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/volumes.h"
#include "shm/store/storage.h"

enum { KILLS = SANITIZED ? 6 : 30, ITEMS = SANITIZED ? 30 : 150, SIDE = 36, BLOCKS_MAX = 4000 };
static const unsigned seed = 20261122;

/* Lehmer's generator. */
static uint32_t random_word;
static uint32_t random_below(uint32_t limit) {
    random_word = (uint32_t)((uint64_t)random_word * 48271 % 2147483647);
    return random_word % limit;
}

static float waves(int x, int y, int z) {
    return (float)((x * 7 + y * 13 + z * 29 + x * y % 11) % (ITEMS + 9));
}

/* Two images an item, of which both are needed for the number that is printed. */
static void write_program(scene *at) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, waves);
    scene_write(at, "all.imgql",
                scene_text(at,
                           "import \"simpleitk\"\nimport \"vox1\"\na = ReadImage(\"in.nii\")\n"
                           "f(t) = max(dt(geq_sv(t, a)))\nprint \"all\" map(f, range(%d))\n",
                           ITEMS));
    scene_write(at, "again.imgql",
                scene_text(at,
                           "import \"simpleitk\"\nimport \"vox1\"\na = ReadImage(\"in.nii\")\n"
                           "g(t) = volume(geq_sv(t, a)) + min(dt(geq_sv(t, a)))\nprint \"all\" map(g, range(%d))\n",
                           ITEMS));
}

static void assert_verifies(scene *at) {
    outcome verified = voxloom(at, "store verify --store store");
    if (verified.status != 0) fail_msg("store verify:\n%s%s", verified.out, verified.err);
}

/* ---- kills ---- */

static void test_killed_runs(void **state) {
    scene *at = *state;
    static const char *const ways[] = {"", "--set store.durability=strict", "--set store.compression=always",
                                       "--set store.batch_ms=5"};
    write_program(at);
    outcome expected = run(at, "all.imgql", "--workers 2");
    assert_well(&expected);
    random_word = seed;
    print_message("seed %u; an undisturbed run takes %.3f s\n", seed, expected.seconds);
    unsigned killed = 0, workers = 0;
    scene_remove(at, "store");
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t children[8];
        char more[200];
        snprintf(more, sizeof more, "--workers 2 %s", ways[random_below(4)]);
        process running = start_run(at, "all.imgql", more);
        double moment = expected.seconds * random_below(900) / 1000 / (1 + i % 2);
        /* Not before it is a program of its own, with its output redirected. */
        while (seconds_now() - running.started < moment || !scene_has(at, scene_text(at, ".err-%d", running.number)))
            pause_ms(1);
        size_t count = children_of(running.pid, children, 8);
        bool a_worker = count > 0 && random_below(3) == 0;
        kill(a_worker ? children[random_below((uint32_t)count)] : running.pid, SIGKILL);
        outcome result = finish(at, &running, NULL, NULL);
        if (a_worker || result.status == 0)
            assert_prints(&result, expected.out); /* somebody else did its work; or it was over already */
        else
            assert_int_equal(result.status, 128 + SIGKILL);
        killed += result.status != 0;
        workers += a_worker;
        if (i % 2 == 0) continue;
        /* Two deaths, one after the other, on one store. */
        if (scene_has(at, "store/FORMAT") && results_in(at, "store") > 0) assert_verifies(at);
        if (i < KILLS - 1) scene_remove(at, "store");
    }
    outcome last = run(at, "all.imgql", "--workers 2");
    assert_prints(&last, expected.out);
    outcome collected = voxloom(at, "store gc --yes --store store");
    assert_well(&collected);
    assert_verifies(at);
    print_message("%u coordinators and %u workers killed\n", killed, workers);
    assert_true(killed >= KILLS / 4);
}

/* ---- flipped blocks ---- */

static struct block {
    uint32_t extent;
    uint64_t offset, bytes, row;
} blocks[BLOCKS_MAX];
static size_t block_count;

static bool collect(const loom_result *result, void *context) {
    (void)context;
    for (uint64_t from = 0; from < result->bulk.bytes && block_count < BLOCKS_MAX; from += LOOM_BLOCK_BYTES) {
        uint64_t left = result->bulk.bytes - from;
        blocks[block_count++] = (struct block){.extent = result->bulk.extent,
                                               .offset = result->bulk.offset + from,
                                               .bytes = left < LOOM_BLOCK_BYTES ? left : LOOM_BLOCK_BYTES,
                                               .row = result->row};
    }
    return true;
}

static void list_blocks(scene *at) {
    loom_error err = {0};
    loom_store *store;
    block_count = 0;
    assert_int_equal(loom_store_open(&(loom_store_options){.path = scene_path(at, "store")}, &store, &err), LOOM_OK);
    assert_int_equal(loom_store_each(store, collect, NULL, &err), LOOM_OK);
    loom_store_close(store);
}

static void flip(scene *at, const struct block *in) {
    uint8_t byte;
    const char *name = scene_text(at, "%s/extents/%08x.ext", scene_path(at, "store"), in->extent);
    int fd = open(name, O_RDWR);
    off_t where = (off_t)(in->offset + random_below((uint32_t)in->bytes));
    assert_int_equal(pread(fd, &byte, 1, where), 1);
    byte ^= (uint8_t)(1u << random_below(8));
    assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    close(fd);
}

static size_t count_lines(const char *text, const char *with) {
    size_t count = 0;
    for (const char *found = text; (found = strstr(found, with)) != NULL; found++)
        count++;
    return count;
}

/* Different rows, because verification tells rows. */
static size_t flip_some(scene *at, size_t wanted) {
    static bool taken[BLOCKS_MAX];
    memset(taken, 0, sizeof taken);
    for (size_t done = 0; done < wanted;) {
        size_t chosen = random_below((uint32_t)block_count);
        if (taken[chosen]) continue;
        for (size_t i = 0; i < block_count; i++)
            taken[i] = taken[i] || blocks[i].row == blocks[chosen].row;
        flip(at, &blocks[chosen]);
        done++;
    }
    return wanted;
}

static void test_flipped_blocks(void **state) {
    scene *at = *state;
    write_program(at);
    outcome expected = run(at, "again.imgql", "--workers 2");
    assert_well(&expected);
    random_word = seed;
    size_t most = 0;
    for (int round = 0; round < 3; round++) {
        scene_remove(at, "store");
        outcome first = run(at, "all.imgql", "--workers 2");
        assert_well(&first);
        list_blocks(at);
        assert_true(block_count > ITEMS);
        size_t flipped = flip_some(at, block_count / 100 + 1);
        outcome verified = voxloom(at, "store verify --store store");
        assert_int_equal(verified.status, 1);
        assert_int_equal(count_lines(verified.out, "block "), flipped);
        outcome healed = run(at, "again.imgql", "--workers 2");
        assert_prints(&healed, expected.out);
        assert_verifies(at);
        outcome same = run(at, "all.imgql", "--workers 2");
        assert_prints(&same, first.out);
        if (flipped > most) most = flipped;
    }
    print_message("%zu blocks, up to %zu of them flipped\n", block_count, most);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_runs, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_flipped_blocks, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
