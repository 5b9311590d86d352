/* others.h - who else uses a store now: for messages about waiting. */
#ifndef LOOM_SHM_STORE_OTHERS_H
#define LOOM_SHM_STORE_OTHERS_H

#include "shm/store/storage.h"

/* Process numbers of others that have the store open (runs, not their workers), `most` at most; returns how many there
 * are, 0 also where it is not known. One of them holds the claim that somebody waits for: a lock does not tell which.
 */
uint32_t loom_store_others(loom_store *store, uint32_t *pids, uint32_t most);

#endif
