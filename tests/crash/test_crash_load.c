/* test_crash_load.c - load: processes that read and processes that write one store with a small budget, so that results
 * are evicted and their space is used again all the time. Every byte read follows from its key; what is held keeps its
 * bytes, also of readers that are stopped for a while; readers that are killed leave no slot behind; memory stays flat.
 * `test_crash_load [SECONDS [READERS [WRITERS [WRITES]]]]`: at least so long, and so many writes (100 a second). */
#include "../shm/store_support.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "crash_model.h"
#include "io/zstd_codec.h"
#include "shm/care/admin.h"

#define HELD 4u
#define PROCESSES_MAX 64u
/* Commits may add to the index what was not reserved: readers that are stopped keep its old pages. */
#define INDEX_BYTES (UINT64_C(8) << 20)
/* What a quarter may need more than another. AddressSanitizer keeps what was freed, for a while. */
#if defined(__SANITIZE_ADDRESS__)
#define GROWTH_BYTES (UINT64_C(1) << 30)
#else
#define GROWTH_BYTES (UINT64_C(2) << 20)
#endif

static char folder[256], path[300];
static double seconds = 3;
static unsigned readers = 8, writers = 2;
/* In minutes, and behind readers that were stopped, LMDB's file grows by old pages that it keeps for reuse: they count.
 */
static unsigned keys = 3000;
/* On a machine that is busy with other things it goes on until so much was done, but no longer than so many times. */
static uint64_t writes_min;
#define WRITES_A_SECOND 100
#define TIMES_MAX 20.0
static uint64_t budget = 24 << 20;

/* What a process tells. Shared. */
typedef struct account {
    _Atomic uint64_t done, found, held, refused, wrong;
    _Atomic uint64_t early_bytes, late_bytes; /* the most RssAnon in the second and in the last quarter of its time */
    char why[256];
} account;
static account *accounts;
static atomic_bool *stop;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static uint64_t anonymous_bytes(void) {
    char line[200];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %llu", &kib) == 1) break;
    if (file != NULL) fclose(file);
    return (uint64_t)kib * 1024;
}

static void note_memory(account *of, double part) {
    if (atomic_load(&of->done) % 64 != 0) return;
    _Atomic uint64_t *most = part < 0.25 ? NULL : part < 0.5 ? &of->early_bytes : part > 0.75 ? &of->late_bytes : NULL;
    uint64_t bytes = most != NULL ? anonymous_bytes() : 0;
    if (most != NULL && bytes > atomic_load(most)) atomic_store(most, bytes);
}

static void complain(account *of, unsigned number, const char *why) {
    if (atomic_fetch_add(&of->wrong, 1) == 0) snprintf(of->why, sizeof of->why, "result %u: %.200s", number, why);
}

static loom_store *open_store(account *of) {
    loom_error err = {0};
    loom_store *store;
    loom_store_options options = {.path = path,
                                  .create = true,
                                  .budget_bytes = budget,
                                  .reuse_bytes = 1 << 20,
                                  .ballast_bytes = 64 << 10,
                                  .extent_bytes = 1 << 20,
                                  .step_bytes = 64 << 10};
    if (loom_store_open(&options, &store, &err) == LOOM_OK) return store;
    complain(of, 0, err.message);
    _exit(1);
}

/* ---- readers ---- */

typedef struct held_view {
    unsigned number;
    loom_arena *arena; /* NULL: free */
    loom_value value;
    loom_view view;
} held_view;

static void let_go(held_view *of, account *to) {
    if (of->arena == NULL) return;
    if (!model_equals(of->number, &of->value)) complain(to, of->number, "the bytes of a held view changed");
    loom_extent_release(&of->view);
    loom_arena_free(of->arena);
    of->arena = NULL;
    atomic_fetch_add(&to->held, 1);
}

static void take(loom_store *store, unsigned number, held_view *of, account *to) {
    loom_error err = {0};
    loom_result found;
    loom_hold hold = {0};
    loom_id rkey = model_rkey(number);
    loom_arena *arena = loom_arena_new();
    *of = (held_view){.number = number};
    if (loom_store_hold(store, &rkey, arena, &found, &hold, &err) == LOOM_OK) {
        loom_status status = loom_store_value(store, &found, arena, &of->value, &of->view, &err);
        if (status == LOOM_OK) of->arena = arena;
        if (status != LOOM_OK && status != LOOM_NOT_FOUND) complain(to, number, err.message);
        loom_store_unhold(store, &hold); /* the view holds its bytes itself */
    }
    if (of->arena == NULL) loom_arena_free(arena);
}

static void read_on(account *of, uint64_t random, double begun) {
    held_view held[HELD] = {0};
    char why[256];
    loom_store *store = open_store(of);
    while (!atomic_load(stop)) {
        unsigned number = random_below(&random, keys);
        model_state state = model_check(store, number, why);
        if (state == MODEL_WRONG || state == MODEL_DAMAGED) complain(of, number, why);
        atomic_fetch_add(&of->found, state == MODEL_EXACT);
        atomic_fetch_add(&of->done, 1);
        held_view *slot = &held[random_below(&random, HELD)];
        if (random_below(&random, 4) == 0) {
            let_go(slot, of);
            take(store, number, slot, of);
        }
        note_memory(of, (now() - begun) / seconds);
    }
    for (unsigned i = 0; i < HELD; i++)
        let_go(&held[i], of);
    loom_store_close(store);
}

/* ---- writers ---- */

static void write_on(account *of, uint64_t random, double begun) {
    static const unsigned weights[OP_KINDS] = {
        [OP_PUT] = 30, [OP_STREAM] = 3, [OP_DELETE] = 6, [OP_EVICT] = 1, [OP_RECLAIM] = 4, [OP_ABANDON] = 1};
    actor who = {.store = open_store(of)};
    model_keys = keys;
    while (!atomic_load(stop)) {
        loom_error err = {0};
        op todo = op_random(&random, weights);
        loom_status status = op_run(&who, &todo, &err);
        /* Two writers, one key: the second is told. Much is held: there may be no room. */
        if (status == LOOM_NO_SPACE || status == LOOM_BUSY)
            atomic_fetch_add(&of->refused, 1);
        else if (status != LOOM_OK)
            complain(of, todo.keys[0], err.message);
        atomic_fetch_add(&of->done, 1);
        note_memory(of, (now() - begun) / seconds);
    }
    actor_close(&who);
}

/* ---- the load ---- */

static pid_t start(unsigned number, uint64_t seed, double begun) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) return child;
    if (number < writers)
        write_on(&accounts[number], seed, begun);
    else
        read_on(&accounts[number], seed, begun);
    _exit(0);
}

static void pause_s(double part) {
    struct timespec time = {.tv_nsec = (long)(part * 1e9)};
    nanosleep(&time, NULL);
}

/* True when the time is over and enough was done in it, or when a mistake was seen. */
static bool is_over(double begun) {
    double took = now() - begun;
    uint64_t writes = 0, reads = 0, found = 0;
    for (unsigned i = 0; i < writers + readers; i++) {
        if (atomic_load(&accounts[i].wrong) > 0) return true;
        *(i < writers ? &writes : &reads) += accounts[i].done;
        found += accounts[i].found;
    }
    bool enough = writes >= writes_min && found > reads / 20;
    return took >= seconds && (enough || took >= TIMES_MAX * seconds);
}

/* The first reader is killed and started again, the others are stopped for a moment, in turn. */
static unsigned disturb(pid_t *pids, double begun) {
    unsigned deaths = 0, turn = 0;
    while (!is_over(begun)) {
        pid_t stopped = pids[writers + 1 + turn % (readers - 1)];
        kill(stopped, SIGSTOP);
        pause_s(0.03);
        kill(stopped, SIGCONT);
        pause_s(0.1);
        if (turn++ % 3 != 0) continue;
        int status;
        kill(pids[writers], SIGKILL);
        assert_int_equal(waitpid(pids[writers], &status, 0), pids[writers]);
        atomic_store(&accounts[writers].early_bytes, 0); /* its memory says nothing: it begins anew */
        pids[writers] = start(writers, 1000 + turn, begun);
        deaths++;
    }
    return deaths;
}

static void tell(double took) {
    uint64_t reads = 0, found = 0, held = 0, writes = 0, refused = 0;
    for (unsigned i = 0; i < writers + readers; i++) {
        *(i < writers ? &writes : &reads) += accounts[i].done;
        found += accounts[i].found, held += accounts[i].held, refused += accounts[i].refused;
    }
    print_message("%.1f s: %llu reads (%llu found), %llu views held, %llu writes (%llu refused)\n", took,
                  (unsigned long long)reads, (unsigned long long)found, (unsigned long long)held,
                  (unsigned long long)writes, (unsigned long long)refused);
    assert_true(found > reads / 20 && held > 0 && writes > refused);
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("verify: %s\n", finding->text);
}

static void require_clean(void) {
    loom_error err = {0};
    account mine = {0};
    loom_store *store = open_store(&mine);
    loom_store_stats stats;
    loom_gc_report collected;
    loom_verify_report report;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.processes, 1);
    assert_true(stats.evicted_rows > 0);
    assert_true(stats.used_bytes <= budget + INDEX_BYTES);
    REQUIRE_OK(loom_store_gc(store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &collected, &err));
    REQUIRE_OK(
        loom_store_verify_all(store, &(loom_verify_options){.threads = 1, .found = show_finding}, &report, &err));
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.unowned_bytes, 0);
    print_message("%llu results evicted, %llu of %llu bytes used, %llu of them by the index\n",
                  (unsigned long long)stats.evicted_rows, (unsigned long long)stats.used_bytes,
                  (unsigned long long)budget, (unsigned long long)stats.index_bytes);
    loom_store_close(store);
}

static void readers_and_writers_agree(void **state) {
    (void)state;
    pid_t pids[PROCESSES_MAX];
    double begun = now();
    for (unsigned i = 0; i < writers + readers; i++)
        pids[i] = start(i, 20261122 + i, begun);
    unsigned deaths = disturb(pids, begun);
    atomic_store(stop, true);
    for (unsigned i = 0; i < writers + readers; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        if (accounts[i].wrong > 0) fail_msg("process %u: %s", i, accounts[i].why);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    tell(now() - begun);
    for (unsigned i = 0; i < writers + readers; i++) {
        uint64_t early = accounts[i].early_bytes, late = accounts[i].late_bytes;
        if (early > 0 && late > early + GROWTH_BYTES)
            fail_msg("process %u grew from %llu to %llu bytes", i, (unsigned long long)early, (unsigned long long)late);
    }
    print_message("%u readers killed and replaced; RssAnon of a reader %llu then %llu, of a writer %llu then %llu\n",
                  deaths, (unsigned long long)accounts[writers + 1].early_bytes,
                  (unsigned long long)accounts[writers + 1].late_bytes, (unsigned long long)accounts[0].early_bytes,
                  (unsigned long long)accounts[0].late_bytes);
    require_clean();
}

static int setup(void **state) {
    (void)state;
    crash_folder(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    accounts =
        mmap(NULL, PROCESSES_MAX * sizeof *accounts + 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (accounts == MAP_FAILED) return -1;
    stop = (atomic_bool *)(accounts + PROCESSES_MAX);
    loom_zstd_register();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) seconds = strtod(argv[1], NULL);
    if (argc > 2) readers = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3) writers = (unsigned)strtoul(argv[3], NULL, 10);
    writes_min = argc > 4 ? strtoul(argv[4], NULL, 10) : (uint64_t)(seconds * WRITES_A_SECOND);
    if (seconds > 10) keys = 12000, budget = 96 << 20;
    if (seconds <= 0 || readers < 2 || writers < 1 || readers + writers > PROCESSES_MAX) return 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(readers_and_writers_agree, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
