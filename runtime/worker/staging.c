/* staging.c - where a result of a store on disk is made: in memory, from where it is written to its extent when it is
 * complete.
 *
 * A kernel that wrote through a map of the file would take a page fault, and a call into the file system, for each
 * 4 KiB; a file's pages are not huge ones as long as they are mapped for writing. In memory they are, and what is then
 * written in pieces of 2 MiB lies in the page cache as huge pages, for those who read it. The copy costs a tenth of the
 * faults (perf/ANALYSIS.md). Helpers map the same memory: it is a block of scratch (shm/segment/split.h). */
#include <errno.h>
#include <unistd.h>

#include "runtime/worker/worker.h"
#include "shm/platform_huge.h"

#define STAGED_MIN (UINT64_C(2) << 20) /* below, the window's faults are few */
#define PIECE_BYTES (UINT64_C(2) << 20)
_Static_assert(PIECE_BYTES % LOOM_BLOCK_BYTES == 0, "a piece is hashed as it is written");

bool loom_worker_stages(const loom_worker *worker, uint64_t bytes) {
    bool on_disk = !loom_store_in_memory(worker->store) && !loom_store_has_working_copies(worker->store);
    return on_disk && bytes >= STAGED_MIN && loom_memory_has_huge();
}

void *loom_worker_stage(loom_worker *worker, uint64_t bytes) {
    loom_worker_split *split = &worker->split;
    split->maps[LOOM_BLOCK_STAGING] =
        loom_split_scratch_huge(worker->segment, bytes, &split->blocks[LOOM_BLOCK_STAGING]);
    return split->maps[LOOM_BLOCK_STAGING];
}

bool loom_worker_is_staged(const loom_worker *worker) {
    return worker->reserved && worker->split.maps[LOOM_BLOCK_STAGING] != NULL;
}

void *loom_worker_window(const loom_worker *worker) {
    if (!worker->reserved) return NULL;
    return loom_worker_is_staged(worker) ? worker->split.maps[LOOM_BLOCK_STAGING] : worker->reservation.window;
}

static loom_status write_piece(const loom_reservation *to, const uint8_t *bytes, uint64_t first, uint64_t count,
                               loom_error *err) {
    while (count > 0) {
        ssize_t done = pwrite(to->fd, bytes + first, (size_t)count, (off_t)(to->placement.offset + first));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            return loom_fail_errno(err, done < 0 ? errno : EIO, "cannot write extent file %08x of the store",
                                   to->placement.extent);
        first += (uint64_t)done;
        count -= (uint64_t)done;
    }
    return LOOM_OK;
}

loom_status loom_worker_write_staged(loom_worker *worker, uint64_t *hashes, loom_error *err) {
    const uint8_t *bytes = worker->split.maps[LOOM_BLOCK_STAGING];
    loom_reservation *to = &worker->reservation;
    uint64_t length = to->placement.bytes;
    for (uint64_t at = 0; at < length; at += PIECE_BYTES) {
        uint64_t count = length - at < PIECE_BYTES ? length - at : PIECE_BYTES;
        if (!to->hashed)
            loom_extent_hash_blocks(bytes, length, at / LOOM_BLOCK_BYTES, loom_extent_block_count(count), hashes);
        LOOM_TRY(write_piece(to, bytes, at, count, err));
    }
    to->hashed = true;
    return LOOM_OK;
}
