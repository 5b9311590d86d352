/* result_key.h - result keys: what was computed (DESIGN.md, section 4).
 *
 * rkey = SHA-256 of a length-prefixed list: the text "loom.rkey.1", the operator's name and kernel version, the encoded
 * attributes, the value id of every argument, and for operators that read files the content hash of each file in place
 * of its path. Nothing that only changes speed is in it. */
#ifndef LOOM_SHM_RESULT_KEY_H
#define LOOM_SHM_RESULT_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "shm/id.h"
#include "shm/operator.h"

/* What goes into a key besides the operator. */
typedef struct loom_key_parts {
    const void *attributes; /* encoded record; NULL if none */
    size_t attributes_bytes;
    const loom_id *vids; /* of each argument, in order */
    uint32_t vid_count;
    const loom_id *inputs; /* content hashes, for LOOM_OP_READS_FILES */
    size_t input_count;
    const char *path; /* for LOOM_OP_READS_FILES: the first argument, of which only the suffix counts; NULL if it is no
                         path (load of a sequence): then it counts like any other */
    size_t path_length;
} loom_key_parts;

/* The key. With LOOM_OP_READS_FILES the vid of argument 0, a path, is left out: a file that moved is the same input.
 * The hasher is the caller's, of its thread. */
loom_id loom_result_key(loom_hasher *hasher, const loom_operator *op, const loom_key_parts *parts);

#endif
