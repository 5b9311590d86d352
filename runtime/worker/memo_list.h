/* memo_list.h - what a worker learnt about input files, handed to the committer through the segment (task->memo). */
#ifndef LOOM_RUNTIME_MEMO_LIST_H
#define LOOM_RUNTIME_MEMO_LIST_H

#include "shm/id.h"
#include "shm/store/storage.h"

typedef struct loom_memo_entry {
    loom_file_stamp stamp;
    loom_id content;
} loom_memo_entry;

#endif
