/* field_key.h - the keys of the table `fields`: what a record holds, as bytes whose order is the order of the values.
 * Pure functions. Layout and the reasons for it: shm/SCHEMA.md, "Fields".
 *
 * A key is a body and the row number behind it (8 bytes, big-endian). The index may name records that do not match (a
 * string may be cut off, list items share one entry), never miss one that does: what it finds is checked on the record.
 */
#ifndef LOOM_SHM_FIELD_KEY_H
#define LOOM_SHM_FIELD_KEY_H

#include "shm/seal/cipher.h"
#include "shm/value.h"

#define LOOM_FIELD_KEY_MAX 511u /* LMDB's, the row number included */
#define LOOM_FIELD_ROW_BYTES 8u
#define LOOM_FIELD_BODY_MAX (LOOM_FIELD_KEY_MAX - LOOM_FIELD_ROW_BYTES)
#define LOOM_FIELD_PATH_MAX 240u /* encoded, with its end */
#define LOOM_FIELD_DEPTH_MAX 8u  /* steps of a path */
#define LOOM_FIELD_LEAVES_MAX 64u

/* One step of a path: into the field of this name, or (name NULL) into every item of a list. */
typedef struct loom_field_step {
    const char *name;
    size_t length;
} loom_field_step;

typedef struct loom_field_body {
    uint16_t length;
    uint8_t bytes[LOOM_FIELD_BODY_MAX];
} loom_field_body;

/* The bodies of one record, in ascending order, none twice. */
typedef struct loom_field_bodies {
    size_t count;
    loom_field_body items[LOOM_FIELD_LEAVES_MAX];
} loom_field_bodies;

/* A record that cannot be entered as a whole (too many leaves, too deep, a path that does not fit; anything but a
 * record) has one body, the overflow's. With a cipher the bodies are blinded. */
void loom_field_bodies_of(const loom_cipher *cipher, const loom_value *record, loom_field_bodies *bodies);
void loom_field_overflow(loom_field_body *body);

/* Bodies from `low` up to all that begin with `high` or come before it. */
typedef struct loom_field_range {
    loom_field_body low, high;
} loom_field_range;

typedef enum loom_field_relation {
    LOOM_FIELD_EQUAL,  /* null, bool, number or string */
    LOOM_FIELD_BELOW,  /* or equal; number or string */
    LOOM_FIELD_ABOVE,  /* or equal; number or string */
    LOOM_FIELD_BEGINS, /* string */
    LOOM_FIELD_EXISTS  /* `value` is not used */
} loom_field_relation;

/* Where the entries of all values at `steps` lie that stand in the relation to `value`, and perhaps some others.
 * False: the index cannot say (blinded keys have no order). *none: no record but those under overflow can have such a
 * path; the range is then not set. */
bool loom_field_range_of(const loom_cipher *cipher, const loom_field_step *steps, size_t count,
                         loom_field_relation relation, const loom_value *value, loom_field_range *range, bool *none);

/* -1, 0, 1: `body` lies before, in or behind the range. */
int loom_field_place(const loom_field_range *range, const uint8_t *body, size_t length);

#endif
