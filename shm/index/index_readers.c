/* index_readers.c - what readers cost the index: LMDB reuses no page that the oldest reader might still see, so a
 * reader that died or sleeps lets the file grow. Dead ones are cleared while a run writes, living ones are told by
 * their age.
 *
 * LMDB knows readers by the number of the transaction they see. The table meta keeps, under "s:clock", when some
 * commits were made; a reader is as old as the first commit that it does not see. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shm/index/index_batch.h"

#define CLOCK_KEY "s:clock"
#define CLOCK_ENTRIES 64u
#define SECOND_NS UINT64_C(1000000000)

typedef struct clock_entry {
    uint64_t txn, ns; /* CLOCK_REALTIME */
} clock_entry;

typedef struct commit_clock {
    uint64_t count;
    clock_entry entries[CLOCK_ENTRIES];
} commit_clock;
_Static_assert(sizeof(commit_clock) == 1032, "the clock is a disk format: see shm/SCHEMA.md");

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* ---- the clock ---- */

static bool read_clock(const MDB_val *value, commit_clock *clock) {
    if (value->mv_size != sizeof *clock) return false;
    memcpy(clock, value->mv_data, sizeof *clock);
    return clock->count <= CLOCK_ENTRIES;
}

/* A full clock forgets every second entry of its older half: it reaches far back, ever more coarsely. */
static void make_room(commit_clock *clock) {
    size_t kept = 0;
    for (size_t i = 0; i < clock->count; i++)
        if (i >= CLOCK_ENTRIES / 2 || i % 2 == 0) clock->entries[kept++] = clock->entries[i];
    clock->count = kept;
}

loom_status loom_index_note_commit(loom_index_batch *batch, loom_error *err) {
    loom_index *index = batch->index;
    uint64_t now = now_ns();
    if (now - index->clock_ns < SECOND_NS) return LOOM_OK; /* of this process: others may note the same second */
    static char name[] = CLOCK_KEY;
    MDB_val key = {sizeof name - 1, name}, value;
    commit_clock clock;
    int code = mdb_get(batch->txn, index->meta, &key, &value);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return loom_batch_fail(batch, code, "cannot read", err);
    if (code == MDB_NOTFOUND || !read_clock(&value, &clock)) clock = (commit_clock){0};
    if (clock.count == CLOCK_ENTRIES) make_room(&clock);
    clock.entries[clock.count++] = (clock_entry){mdb_txn_id(batch->txn), now};
    value = (MDB_val){sizeof clock, &clock};
    code = mdb_put(batch->txn, index->meta, &key, &value, 0);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    index->clock_ns = now;
    return LOOM_OK;
}

/* ---- dead readers ---- */

void loom_index_clear_dead_readers(loom_index *index) {
    uint64_t now = now_ns();
    pthread_mutex_lock(&index->lock);
    bool due = now - index->readers_checked_ns >= SECOND_NS;
    if (due) index->readers_checked_ns = now;
    pthread_mutex_unlock(&index->lock);
    int dead;
    if (due) (void)mdb_reader_check(index->env, &dead); /* what cannot be cleared now is next time */
}

/* ---- living readers ---- */

typedef struct reader_search {
    uint64_t oldest; /* UINT64_MAX: none */
    uint64_t count;
} reader_search;

/* A line of mdb_reader_list: pid, thread, transaction or "-". The heading does not parse. */
static int look_at_reader(const char *line, void *context) {
    reader_search *search = context;
    int pid;
    char thread[32];
    uint64_t txn;
    if (sscanf(line, "%d %31s %" SCNu64, &pid, thread, &txn) != 3) return 0;
    search->count++;
    if (txn < search->oldest) search->oldest = txn;
    return 0;
}

/* Since the first noted commit after `seen`. */
static loom_status read_age(loom_index *index, uint64_t seen, uint64_t *age_ms, loom_error *err) {
    MDB_txn *txn;
    int code = loom_index_begin_scan(index, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    static char name[] = CLOCK_KEY;
    MDB_val key = {sizeof name - 1, name}, value;
    commit_clock clock = {0};
    code = mdb_get(txn, index->meta, &key, &value);
    if (code == MDB_SUCCESS && !read_clock(&value, &clock)) clock.count = 0;
    loom_index_end_scan(index, txn);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return loom_index_fail(index, code, "cannot read", err);
    *age_ms = 1; /* behind a commit that the clock has not noted */
    uint64_t now = now_ns();
    for (size_t i = 0; i < clock.count; i++) {
        if (clock.entries[i].txn <= seen) continue;
        if (clock.entries[i].ns < now) *age_ms = (now - clock.entries[i].ns) / 1000000u + 1;
        break;
    }
    return LOOM_OK;
}

loom_status loom_index_oldest_reader(loom_index *index, uint64_t *age_ms, loom_error *err) {
    *age_ms = 0;
    reader_search search = {.oldest = UINT64_MAX};
    int listed = mdb_reader_list(index->env, look_at_reader, &search);
    if (listed < 0) return LOOM_OK; /* no lock file: a quiet reader is alone */
    MDB_envinfo info;
    int code = mdb_env_info(index->env, &info);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    if (search.oldest >= info.me_last_txnid) return LOOM_OK; /* nobody, or all see everything */
    return read_age(index, search.oldest, age_ms, err);
}
