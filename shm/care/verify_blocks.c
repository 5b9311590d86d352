/* verify_blocks.c - every block of every live object against its hash, on several threads, in the order in which they
 * lie in the files. The rows are looked up again, one by one: nothing keeps the snapshot alive for as long as this
 * takes, and each range is pinned while it is read. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/care/verify_parts.h"
#include "shm/codec/bulk_codec.h"
#include "shm/control/control.h"
#include "shm/extent/block_hash.h"
#include "shm/extent/extent_file.h"

#define THREADS_MAX 64u
#define READ_BYTES (4u << 20)

typedef struct check {
    verify *of;
    const verify_span *spans;
    size_t count, live;
    atomic_size_t next;
    atomic_bool stop;
    _Atomic uint64_t done, blocks, bytes;
    pthread_mutex_t lock; /* of the notes, the needs, and the status */
    loom_status status;
    loom_error *err;
} check;

typedef struct worker {
    check *all;
    loom_arena *arena;
    uint8_t *buffer;
    int fd;
    uint32_t open;
} worker;

typedef struct damage {
    uint64_t blocks, first;
} damage;

static void note_bad(damage *found, uint64_t block) {
    if (found->blocks++ == 0) found->first = block;
}

static bool read_fully(int fd, uint64_t at, uint8_t *bytes, size_t length) {
    size_t have = 0;
    while (have < length) {
        ssize_t got = pread(fd, bytes + have, length - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

/* What cannot be read here and now is not damaged: the whole ends with the error, and nothing is repaired. */
static void give_up(check *all, loom_status status, const loom_error *why) {
    pthread_mutex_lock(&all->lock);
    if (all->status == LOOM_OK) {
        all->status = status;
        if (all->err != NULL) *all->err = *why;
    }
    pthread_mutex_unlock(&all->lock);
    atomic_store(&all->stop, true);
}

/* False: given up. A file that is missing is damage. */
static bool open_extent(worker *of, uint32_t number) {
    if (of->fd >= 0 && of->open == number) return true;
    char name[LOOM_EXTENT_NAME_BYTES];
    loom_extent_name(number, name);
    if (of->fd >= 0) close(of->fd);
    of->fd = openat(of->all->of->parts.extents_fd, name, O_RDONLY | O_CLOEXEC);
    of->open = number;
    if (of->fd >= 0 || errno == ENOENT) return true;
    loom_error why = {0};
    loom_status status = loom_fail_errno(&why, errno, "cannot open extent file %s to verify it", name);
    give_up(of->all, status, &why);
    return false;
}

/* With pread, not a map: a bad sector is damage here, not a signal. */
static void check_raw(worker *of, const loom_result *result, damage *found) {
    if (!open_extent(of, result->bulk.extent)) return;
    for (uint64_t from = 0; from < result->bulk.bytes; from += READ_BYTES) {
        uint64_t left = result->bulk.bytes - from;
        size_t length = left < READ_BYTES ? (size_t)left : READ_BYTES;
        bool whole = of->fd >= 0 && read_fully(of->fd, result->bulk.offset + from, of->buffer, length);
        for (size_t at = 0; at < length; at += LOOM_BLOCK_BYTES) {
            size_t part = length - at < LOOM_BLOCK_BYTES ? length - at : LOOM_BLOCK_BYTES;
            uint64_t block = (from + at) / LOOM_BLOCK_BYTES;
            bool good =
                whole || (of->fd >= 0 && read_fully(of->fd, result->bulk.offset + from + at, of->buffer + at, part));
#ifdef LOOM_MUTANT_UNCHECKED_BLOCK /* a mistake that tests/crash must find; never in a product */
            if (good && block % 2 == 0) continue;
#endif
            if (!good || loom_block_hash(of->buffer + at, part) != result->block_hashes[block]) note_bad(found, block);
        }
    }
}

static void check_encoded(worker *of, const loom_result *result, damage *found) {
    const loom_store *store = of->all->of->store;
    loom_bulk_damage bad;
    loom_error why = {0};
    loom_status status = loom_bulk_check(store->stored, result, store->cipher, 1, &bad, &why);
    if (status != LOOM_OK && status != LOOM_CORRUPT) give_up(of->all, status, &why);
    if (status != LOOM_CORRUPT) return;
    *found = (damage){.blocks = bad.bad_blocks, .first = bad.first_bad};
    if (found->blocks == 0) found->blocks = loom_extent_block_count(result->bulk.bytes); /* its frame table, or key */
}

static bool has_root(const loom_result *result) {
    XXH128_hash_t root = XXH3_128bits_withSeed(
        result->block_hashes, loom_extent_block_count(result->bulk.bytes) * sizeof(uint64_t), result->bulk.bytes);
    return root.low64 == result->root[0] && root.high64 == result->root[1];
}

static void note_damage(check *all, const loom_result *result, const damage *found) {
    pthread_mutex_lock(&all->lock);
    verify_note *note = loom_verify_note(all->of, LOOM_FINDING_BLOCK, VERIFY_TOMBSTONE, "bulk bytes that do not match");
    if (note != NULL) {
        note->row = result->row;
        note->rkey = result->rkey;
        note->blocks = found->blocks;
        note->at = (loom_placement){.extent = result->bulk.extent,
                                    .offset = result->bulk.offset + found->first * LOOM_BLOCK_BYTES,
                                    .bytes = LOOM_BLOCK_BYTES};
    }
    pthread_mutex_unlock(&all->lock);
}

/* References inside a sequence that lies in blocks. */
static void gather_blob(worker *of, const loom_result *result) {
    if (!result->blob || (result->type != LOOM_SEQUENCE && result->type != LOOM_RECORD && result->type != LOOM_DATASET))
        return;
    loom_value value;
    loom_view view;
    loom_error why;
    if (loom_store_value(of->all->of->store, result, of->arena, &value, &view, &why) != LOOM_OK) return;
    pthread_mutex_lock(&of->all->lock);
    loom_verify_gather(of->all->of, &value, result->row);
    pthread_mutex_unlock(&of->all->lock);
    loom_extent_release(&view);
}

static void check_object(worker *of, const loom_result *result) {
    damage found = {0};
    uint64_t blocks = loom_extent_block_count(result->bulk.bytes);
    if (result->codec == LOOM_CODEC_RAW)
        check_raw(of, result, &found);
    else
        check_encoded(of, result, &found);
    if (found.blocks == 0 && !has_root(result)) found.blocks = blocks;
    atomic_fetch_add(&of->all->blocks, blocks);
    atomic_fetch_add(&of->all->bytes, result->bulk.bytes);
    if (found.blocks > 0)
        note_damage(of->all, result, &found);
    else
        gather_blob(of, result);
}

/* The row as it is now; false when it went or moved, which is no damage. */
static bool look_up(worker *of, const verify_span *span, loom_result *result) {
    loom_index *index = of->all->of->parts.index;
    size_t number = (size_t)span->row, length;
    const void *bytes;
    loom_row_kind kind;
    loom_arena_reset(of->arena);
    if (loom_index_get(index, index->rows, &number, sizeof number, of->arena, &bytes, &length, NULL) != LOOM_OK)
        return false;
    uint8_t *row = loom_arena_copy(of->arena, bytes, length);
    return row != NULL && loom_index_open_row(index, span->row, row, &length, NULL) == LOOM_OK &&
           loom_row_decode(row, length, span->row, result, &kind, NULL) == LOOM_OK && kind == LOOM_ROW_LIVE &&
           result->bulk.extent == span->extent && result->bulk.offset == span->page * LOOM_PAGE_BYTES;
}

static void check_span(worker *of, const verify_span *span) {
    loom_result result;
    loom_placement range = {.extent = span->extent,
                            .offset = span->page * LOOM_PAGE_BYTES,
                            .bytes = (span->end - span->page) * LOOM_PAGE_BYTES};
    uint32_t pin = loom_control_pin(of->all->of->parts.control, &range);
    atomic_thread_fence(memory_order_seq_cst); /* the pin before the look-up's snapshot: see shm/SCHEMA.md, "Extents" */
    if (look_up(of, span, &result)) check_object(of, &result);
    loom_control_unpin(of->all->of->parts.control, pin);
}

static void work(check *all, bool tells) {
    worker of = {.all = all, .arena = loom_arena_new(), .buffer = malloc(READ_BYTES), .fd = -1};
    bool able = of.arena != NULL && of.buffer != NULL;
    if (!able) {
        pthread_mutex_lock(&all->lock);
        all->of->exhausted = true;
        pthread_mutex_unlock(&all->lock);
        atomic_store(&all->stop, true);
    }
    for (size_t i; able && !atomic_load(&all->stop) && (i = atomic_fetch_add(&all->next, 1)) < all->count;) {
        if (all->spans[i].owner != VERIFY_LIVE) continue;
        check_span(&of, &all->spans[i]);
        uint64_t done = atomic_fetch_add(&all->done, 1) + 1;
        if (!tells) continue;
        loom_error why = {0};
        loom_status status = loom_verify_tell(all->of, "blocks", done, all->live, &why);
        if (status != LOOM_OK) give_up(all, status, &why);
    }
    if (of.fd >= 0) close(of.fd);
    free(of.buffer);
    loom_arena_free(of.arena);
}

static void *thread_main(void *context) {
    work(context, false);
    return NULL;
}

static int compare_notes(const void *a, const void *b) {
    const verify_note *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

loom_status loom_verify_blocks(verify *of, loom_error *err) {
    check all = {
        .of = of, .spans = (const verify_span *)(const void *)of->spans.items, .count = of->spans.count, .err = err};
    for (size_t i = 0; i < all.count; i++)
        all.live += all.spans[i].owner == VERIFY_LIVE;
    pthread_mutex_init(&all.lock, NULL);
    size_t before = of->notes.count;
    pthread_t threads[THREADS_MAX];
    unsigned started = 0, wanted = of->options->threads > THREADS_MAX ? THREADS_MAX : of->options->threads;
    while (started + 1 < wanted && started + 1 < all.live &&
           pthread_create(&threads[started], NULL, thread_main, &all) == 0)
        started++;
    work(&all, true);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&all.lock);
    of->report->blocks += atomic_load(&all.blocks);
    of->report->bytes += atomic_load(&all.bytes);
    if (of->notes.count - before > 1) /* the same report whatever the threads did */
        qsort(of->notes.items + before * sizeof(verify_note), of->notes.count - before, sizeof(verify_note),
              compare_notes);
    return all.status;
}
