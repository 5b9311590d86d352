/* control.h - the file STORE/control: who is attached, and what attached processes share: pins, claims, marks of use,
 * space.
 *
 * The one owner of that file's layout (shm/SCHEMA.md, "control"). Liveness is a lock on the slot's first byte, dropped
 * by the kernel with the process; the bytes of a slot only inform. Nothing here must outlive the attached processes. */
#ifndef LOOM_SHM_CONTROL_H
#define LOOM_SHM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/id.h"
#include "shm/status.h"
#include "shm/store/extent.h"

#define LOOM_CONTROL_MAGIC UINT64_C(0x314c54434d4f4f4c) /* "LOOMCTL1" */
#define LOOM_CONTROL_VERSION 1u
#define LOOM_CONTROL_SLOTS 1024u
#define LOOM_CONTROL_SLOTS_AT UINT64_C(0x1000)

#define LOOM_CONTROL_SPACE_AT UINT64_C(0x20000)  /* budget, counters, ranges lent for reuse */
#define LOOM_CONTROL_PINS_AT UINT64_C(0x100000)  /* 65,536 x 16 bytes */
#define LOOM_CONTROL_MARKS_AT UINT64_C(0x400000) /* 8 bytes a row, grown as rows are */

typedef struct loom_control_header {
    uint64_t magic;
    uint32_t version;
    uint32_t signature;
    uint8_t uuid[16];
    uint64_t extent_bytes;
    uint64_t step_bytes;
    uint8_t reserved[4048];
} loom_control_header;

typedef struct loom_control_slot {
    uint32_t state; /* 0 free, 1 attached */
    uint32_t pid;
    uint64_t pid_namespace;
    uint64_t start_ns;
    uint32_t role; /* loom_control_role */
    uint32_t reserved0;
    uint8_t reserved[32];
} loom_control_slot;

_Static_assert(sizeof(loom_control_header) == 4096, "control is a shared format: see shm/SCHEMA.md");
_Static_assert(sizeof(loom_control_slot) == 64, "control is a shared format: see shm/SCHEMA.md");

typedef enum loom_control_role { LOOM_ROLE_OPENER = 1, LOOM_ROLE_WORKER = 2 } loom_control_role;

typedef struct loom_control loom_control;

/* Opens the file in the folder `dir_fd` (creating it if it may) and takes the gate: until loom_control_leave_gate no
 * other process opens this store. `path` is for messages. When the folder may not be written, *quiet is set: the store
 * can be read while nobody else has it open (the rules are in SCHEMA.md). Errors: LOOM_BUSY after 30 s, LOOM_DENIED. */
loom_status loom_control_enter(int dir_fd, const char *path, loom_control **control, bool *quiet, loom_error *err);
/* Whether no other process has a slot. Call inside the gate. */
loom_status loom_control_alone(loom_control *control, bool *alone, loom_error *err);
/* Inside the gate: writes the file anew if alone, else checks that it was laid out by this version for this store and
 * that its processes share our pid namespace; then claims a slot. The two sizes are set when alone, else read. */
loom_status loom_control_attach(loom_control *control, bool alone, const uint8_t uuid[16], loom_control_role role,
                                uint64_t *extent_bytes, uint64_t *step_bytes, loom_error *err);
void loom_control_leave_gate(loom_control *control);
/* Releases the slot and everything else. NULL is accepted. */
void loom_control_close(loom_control *control);
/* In a forked child: closes the child's copy of the descriptor, so that locks end with the parent. */
void loom_control_forget(loom_control *control);

int loom_control_fd(const loom_control *control);

/* ---- pins: this process uses a range (hazard pointers, Michael 2004). Publish, then look the row up again: if it is
 * still there, no one reuses or punches the range before unpin or the end of this process. Lock-free; any thread. When
 * the table is full a barrier is raised instead. ---- */

uint32_t loom_control_pin(loom_control *control, const loom_placement *place); /* > 0 */
void loom_control_unpin(loom_control *control, uint32_t pin);
/* For whoever reclaims, after the deletion is durable: whether a live process pins the range or has raised a barrier.
 */
bool loom_control_is_pinned(loom_control *control, const loom_placement *place);
/* While any live process has a barrier up, nothing is reclaimed (backup). Nests. */
void loom_control_raise_barrier(loom_control *control);
void loom_control_lower_barrier(loom_control *control);

/* ---- claims (single flight): a lock on one byte per key prefix, shared by all processes that inherited `claims_fd`,
 * which is one open description; it ends with the last of them. Two keys may share a byte: then one waits for the other
 * without need. ---- */

int loom_control_claims_fd(const loom_control *control); /* to inherit; -1 in the portable twin */
loom_status loom_control_claim(loom_control *control, const loom_id *rkey, loom_error *err); /* LOOM_BUSY */
void loom_control_unclaim(loom_control *control, const loom_id *rkey);

/* ---- marks: when a row was last used, and its priority against eviction. A hint; survives processes, lost with the
 * file. Nothing happens for rows beyond what could be allocated. ---- */

typedef struct loom_mark {
    uint32_t used_s; /* seconds since the store was made; 0 = unknown */
    float priority;  /* GreedyDual-Size's H when it was last used */
} loom_mark;
void loom_control_mark(loom_control *control, uint64_t row, uint64_t cost_ns, uint64_t bytes);
loom_mark loom_control_get_mark(const loom_control *control, uint64_t row);
/* Other processes attached now in the given role. */
uint32_t loom_control_others(loom_control *control, loom_control_role role);

#endif
