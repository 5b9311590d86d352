/* control.h - the file STORE/control: who is attached, and what attached processes share: pins, claims, marks of use,
 * space.
 *
 * The one owner of that file's layout (shm/SCHEMA.md, "control"). Liveness is a lock on the slot's first byte, dropped
 * by the kernel with the process; the bytes of a slot only inform. Nothing here must outlive the attached processes.
 * Every word is right after the death of its writer at any instruction; what is read is checked, so that a damaged file
 * gives an error or a wrong hint, never an access outside. */
#ifndef LOOM_SHM_CONTROL_H
#define LOOM_SHM_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/extent/extent.h"
#include "shm/id.h"
#include "shm/status.h"

#define LOOM_CONTROL_MAGIC UINT64_C(0x314c54434d4f4f4c) /* "LOOMCTL1" */
#define LOOM_CONTROL_VERSION 2u
#define LOOM_CONTROL_SLOTS 1024u
#define LOOM_CONTROL_PINS 65536u
#define LOOM_CONTROL_LENT 8192u

#define LOOM_CONTROL_SLOTS_AT UINT64_C(0x1000)
#define LOOM_CONTROL_SPACE_AT UINT64_C(0x20000) /* budget and counters */
#define LOOM_CONTROL_LENT_AT UINT64_C(0x21000)  /* 8,192 x 32 bytes: ranges lent for reuse */
#define LOOM_CONTROL_PINS_AT UINT64_C(0x80000)  /* 65,536 x 16 bytes */
/* 8 bytes a row, grown as rows are; also where the fixed part ends */
#define LOOM_CONTROL_MARKS_AT UINT64_C(0x180000)

#define LOOM_CONTROL_COLD_BYTE (UINT64_C(1) << 42)  /* whoever compresses cold results */
#define LOOM_CONTROL_CLAIM_BYTE (UINT64_C(1) << 41) /* + hash(rkey) % 2^40: locks of claims */

typedef struct loom_control_header {
    uint64_t magic;
    uint32_t version;
    uint32_t signature;
    uint8_t uuid[16];
    uint64_t extent_bytes;
    uint64_t step_bytes;
    uint64_t marks_epoch_s; /* time(2) from which marks count */
    uint8_t reserved[4040];
} loom_control_header;

typedef struct loom_control_slot {
    uint32_t state; /* 0 free, 1 attached */
    uint32_t pid;
    uint64_t pid_namespace;
    uint64_t start_ns;
    uint32_t role;               /* loom_control_role */
    _Atomic uint32_t generation; /* raised by each owner: pins of earlier owners are void */
    _Atomic uint32_t barriers;
    uint32_t reserved0;
    uint8_t reserved[24];
} loom_control_slot;

/* What all processes know about space. Counters are hints except `extent_bytes`, which bounds what may be allocated. */
typedef struct loom_control_space {
    _Atomic uint64_t budget_bytes; /* 0 = none */
    _Atomic uint64_t reuse_bytes;
    _Atomic uint64_t extent_bytes; /* allocated in extent files, or about to be */
    _Atomic uint64_t free_bytes;   /* in the table `free` */
    _Atomic uint64_t free_changes; /* times that the table grew: who looked in vain looks again after a change */
    _Atomic uint64_t deleted_bytes;
    _Atomic uint64_t lent_bytes;
    _Atomic uint32_t lent_upto; /* entries at and beyond it were never used */
    _Atomic uint32_t eviction;  /* loom_eviction */
    _Atomic uint32_t age;       /* GreedyDual-Size's L, a float's bits */
    uint32_t reserved0;
    uint64_t reserved[503];
} loom_control_space;

_Static_assert(sizeof(loom_control_header) == 4096, "control is a shared format: see shm/SCHEMA.md");
_Static_assert(sizeof(loom_control_slot) == 64, "control is a shared format: see shm/SCHEMA.md");
_Static_assert(sizeof(loom_control_space) == 4096, "control is a shared format: see shm/SCHEMA.md");

typedef enum loom_control_role { LOOM_ROLE_OPENER = 1, LOOM_ROLE_WORKER = 2 } loom_control_role;

typedef struct loom_control loom_control;

/* Opens the file in the folder `dir_fd` (creating it if it may) and takes the gate: until loom_control_leave_gate no
 * other process opens this store. `path` is for messages. When the folder may not be written, *quiet is set: the store
 * can be read while nobody else has it open (the rules are in SCHEMA.md). Errors: LOOM_BUSY after 30 s, LOOM_DENIED. */
loom_status loom_control_enter(int dir_fd, const char *path, loom_control **control, bool *quiet, loom_error *err);
/* Whether no other process has a slot. Call inside the gate. */
loom_status loom_control_alone(loom_control *control, bool *alone, loom_error *err);
/* Inside the gate: writes the file anew if alone (marks of this store are kept), else checks that it was laid out by
 * this version for this store and that its processes share our pid namespace; then claims a slot. The two sizes are set
 * when alone, else read. */
loom_status loom_control_attach(loom_control *control, bool alone, const uint8_t uuid[16], loom_control_role role,
                                uint64_t *extent_bytes, uint64_t *step_bytes, loom_error *err);
void loom_control_leave_gate(loom_control *control);
/* Takes the gate again, for what needs that nobody opens the store meanwhile. LOOM_BUSY after 30 s. Not nested. */
loom_status loom_control_retake_gate(loom_control *control, loom_error *err);
/* Releases the slot and everything else. NULL is accepted. */
void loom_control_close(loom_control *control);
/* In a forked child: closes the child's copies of the descriptors, so that locks end with the parent. */
void loom_control_forget(loom_control *control);

int loom_control_fd(const loom_control *control);
/* Other processes attached now in the given role. */
uint32_t loom_control_others(loom_control *control, loom_control_role role);
/* Their process numbers, `most` at most; returns how many there are. */
uint32_t loom_control_other_pids(loom_control *control, loom_control_role role, uint32_t *pids, uint32_t most);

/* ---- pins: this process uses a range (hazard pointers, Michael 2004). Publish, then look the row up again in a fresh
 * transaction: if it is still there, no one reuses or punches the range before unpin or the end of this process.
 * Lock-free; any thread; not in a forked child. When the table is full a barrier is raised instead. ---- */

/* A worker's pins belong to the process that started it, if that has the store open: they outlive the worker, whose
 * results the coordinator may hear of after its death, and end with unpin or with the run. */
uint32_t loom_control_pin(loom_control *control, const loom_placement *place); /* > 0 */
void loom_control_unpin(loom_control *control, uint32_t pin);
/* For whoever reclaims, after the deletion is durable: whether a live process pins the range or has raised a barrier.
 * Looks through the whole table: for many ranges take loom_control_pins. */
bool loom_control_is_pinned(loom_control *control, const loom_placement *place);
/* While any live process has a barrier up, nothing is reclaimed (backup). Nests. */
void loom_control_raise_barrier(loom_control *control);
void loom_control_lower_barrier(loom_control *control);

/* Every pin of a live process at one moment. Ranges whose deletion was durable before that moment, and that are not in
 * it, may be reused: who pins them later finds no row. Free with loom_control_pins_free. LOOM_NO_MEMORY. */
typedef struct loom_pins {
    uint64_t *keys; /* sorted */
    size_t count;
    bool barrier;
} loom_pins;
loom_status loom_control_pins(loom_control *control, loom_pins *pins, loom_error *err);
bool loom_pins_has(const loom_pins *pins, const loom_placement *place); /* also true behind a barrier */
void loom_pins_free(loom_pins *pins);

/* ---- claims (single flight): a lock on one byte per key prefix, shared by all processes that inherited `claims_fd`,
 * which is one open description; it ends with the last of them. Two keys may share a byte: then one waits for the other
 * without need. ---- */

int loom_control_claims_fd(const loom_control *control); /* to inherit; -1 in the portable twin */
/* In a process that inherited the descriptor: claims are those of the run that made it. Takes `fd` over; it must be of
 * this very file (LOOM_BAD_ARGUMENT, and `fd` stays the caller's). */
loom_status loom_control_adopt_claims(loom_control *control, int fd, loom_error *err);
loom_status loom_control_claim(loom_control *control, const loom_id *rkey, loom_error *err); /* LOOM_BUSY */
void loom_control_unclaim(loom_control *control, const loom_id *rkey);

/* ---- marks: when a row was last used, and its priority against eviction. A hint; survives processes, lost with the
 * file. Nothing happens for rows beyond what could be allocated. Any thread. ---- */

typedef struct loom_mark {
    uint32_t used_s; /* as loom_control_seconds; 0 = unknown */
    float priority;  /* GreedyDual-Size's H when it was last used */
} loom_mark;
void loom_control_mark(loom_control *control, uint64_t row, uint64_t cost_ns, uint64_t bytes);
/* Asks for the memory of a mark that will be stored soon. */
void loom_control_expect_mark(const loom_control *control, uint64_t row);
/* As loom_control_mark for a row without a mark, as if it was last used when it was made. */
void loom_control_mark_created(loom_control *control, uint64_t row, uint64_t cost_ns, uint64_t bytes,
                               uint64_t created_ns);
loom_mark loom_control_get_mark(const loom_control *control, uint64_t row);
/* The row `to` is the same result in another place. */
void loom_control_copy_mark(loom_control *control, uint64_t from, uint64_t to);
/* Now, in seconds since this store's marks began; >= 1. */
uint32_t loom_control_seconds(const loom_control *control);
/* The moment of a mark as CLOCK_REALTIME seconds, for reports. */
uint64_t loom_control_mark_time(const loom_control *control, uint32_t used_s);

/* ---- space (used by space.c and extent_writer.c only) ---- */

/* NULL for a quiet reader. */
loom_control_space *loom_control_space_of(loom_control *control);

/* A range of an extent file that nobody owns but whoever holds this. In pages. */
typedef struct loom_lent {
    uint32_t extent;
    bool punched; /* not allocated, as far as is known */
    uint64_t page, pages;
} loom_lent;
/* Lists a range, which any process may then take. False when the list is full or there is none. Lock-free. */
bool loom_control_lend(loom_control *control, const loom_lent *range);
/* Takes the smallest listed range of at least `pages` with one compare-and-swap. Never gives a range twice. */
bool loom_control_borrow(loom_control *control, uint64_t pages, loom_lent *range);

#endif
