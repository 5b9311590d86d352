/* commit.h - the committer: a thread that appends finished results to the store, in batches.
 *
 * The main thread queues task numbers; the results lie in the shared segment, where they no longer change. What is
 * queued is *visible* to this run already, *stored* after its batch. */
#ifndef LOOM_RUNTIME_COMMIT_H
#define LOOM_RUNTIME_COMMIT_H

#include "perf/recorder.h"
#include "runtime/config/config.h"
#include "shm/id.h"
#include "shm/operator.h"
#include "shm/segment/segment.h"
#include "shm/store/storage.h"

typedef struct loom_committer loom_committer;

loom_status loom_committer_start(loom_store *store, loom_segment *segment, const loom_operator_table *operators,
                                 const loom_config *config, loom_committer **committer, loom_error *err);
/* Batches are told to the recorder, which outlives the committer; NULL: to nobody. Before anything is queued. */
void loom_committer_record(loom_committer *committer, loom_recorder *recorder);
/* Queues a computed task; `node` names it (all zero if nobody asked for it by name). Never blocks for long. The task,
 * and those that it has as arguments, must stay until loom_committer_take_stored says that it is done with; so for
 * replace and note. */
loom_status loom_committer_add(loom_committer *committer, uint32_t task, const loom_id *node);
/* Queues a task whose result is stored already, but lies elsewhere now (LOOM_TASK_FRESH): the store keeps the new
 * place.
 */
loom_status loom_committer_replace(loom_committer *committer, uint32_t task);
/* Queues the hashes of the input files that a task read; its result is stored already, or is not to be. */
loom_status loom_committer_note(loom_committer *committer, uint32_t task);
/* The tasks of entries (add, replace, note) that were written, in order, since the last call: nobody reads them any
 * more. Also of a batch that failed, which loom_committer_flush reports. The list is valid until the next call. Rings
 * the segment's doorbell when there are any. */
void loom_committer_take_stored(loom_committer *committer, const uint32_t **tasks, size_t *count);
/* Queues the deletion of a damaged result, before its recomputed successor is stored. */
loom_status loom_committer_forget(loom_committer *committer, const loom_id *rkey);
/* Begins to store what is queued now, without waiting for it. True if anything is queued or being stored: when that is
 * over and tasks are held back, the segment's doorbell rings. */
bool loom_committer_hurry(loom_committer *committer);
/* Waits until everything queued is stored (synced as the durability says), and returns the first error there was. */
loom_status loom_committer_flush(loom_committer *committer, loom_error *err);
/* Results that differ from what the store holds under their key: how many, and the message of the first. */
uint64_t loom_committer_irreproducible(loom_committer *committer, loom_error *first);
/* Ends the thread once what is queued is written; what goes wrong is told to nobody. NULL is accepted. */
void loom_committer_stop(loom_committer *committer);

#endif
