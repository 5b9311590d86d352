/* unsynced.h - durability `none`: commits that nothing syncs. After a power failure the index may be a mixture of old
 * and new pages, which LMDB does not notice and may end the process over. So the file STORE/index/unsynced says,
 * durably and before the first such commit, that this may be; whoever next opens the store alone reads the index page
 * by page first.
 */
#ifndef LOOM_SHM_UNSYNCED_H
#define LOOM_SHM_UNSYNCED_H

#include "shm/store/store_folder.h"

/* Before the first commit that is not synced. LOOM_IO, LOOM_NO_SPACE, LOOM_DENIED. */
loom_status loom_unsynced_note(const loom_folder *folder, loom_error *err);
/* Inside the gate and alone, before LMDB opens its file: LOOM_BAD_STORE when the index is damaged. Cheap when nothing
 * was noted; *noted says whether. */
loom_status loom_unsynced_check(const loom_folder *folder, bool *noted, loom_error *err);
/* Inside the gate and alone, after the index was synced. A failure costs the next opener a look. */
void loom_unsynced_clear(const loom_folder *folder);

#endif
