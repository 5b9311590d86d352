/* cold_thread.h - compression of cold results beside a run: a thread of the coordinator that yields every core to
 * whoever wants it. */
#ifndef LOOM_SHM_STORE_COLD_THREAD_H
#define LOOM_SHM_STORE_COLD_THREAD_H

#include "shm/store/storage.h"

typedef struct loom_cold_thread loom_cold_thread;

/* Starts it when the store's compression asks for it; else, or when there is no compressor or memory, *thread is NULL:
 * nothing depends on it. It begins after a second, so a short run is left alone. One per handle; it takes no signals.
 */
void loom_cold_thread_start(loom_store *store, loom_cold_thread **thread);
/* Ends it, within the time of a block or a commit, before the store is closed. NULL is accepted. Returns how many
 * results it compressed. */
uint64_t loom_cold_thread_stop(loom_cold_thread *thread);

#endif
