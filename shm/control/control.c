/* control.c - the file itself, the gate, and the slots of attached processes: see control.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/control/control_parts.h"
#include "shm/fork.h"
#include "shm/platform_file.h"

#define GATE_BYTE 0u
#define QUIET_BYTE 1u
#define GATE_WAIT_MS 30000
#define SLOTS_BYTES (LOOM_CONTROL_SLOTS * sizeof(loom_control_slot))

static uint32_t layout_signature(void) {
    static const uint64_t layout[] = {LOOM_CONTROL_VERSION,
                                      sizeof(loom_control_header),
                                      offsetof(loom_control_header, uuid),
                                      offsetof(loom_control_header, marks_epoch_s),
                                      sizeof(loom_control_slot),
                                      offsetof(loom_control_slot, start_ns),
                                      offsetof(loom_control_slot, barriers),
                                      sizeof(loom_control_space),
                                      offsetof(loom_control_space, age),
                                      LOOM_CONTROL_SLOTS,
                                      LOOM_CONTROL_PINS,
                                      LOOM_CONTROL_LENT,
                                      LOOM_CONTROL_SLOTS_AT,
                                      LOOM_CONTROL_SPACE_AT,
                                      LOOM_CONTROL_LENT_AT,
                                      LOOM_CONTROL_PINS_AT,
                                      LOOM_CONTROL_MARKS_AT};
    return XXH32(layout, sizeof layout, 0);
}

static uint64_t slot_byte(uint32_t slot) {
    return LOOM_CONTROL_SLOTS_AT + (uint64_t)slot * sizeof(loom_control_slot);
}

/* ---- the gate ---- */

static loom_status wait_for_gate(const loom_control *control, loom_error *err) {
    for (int waited_ms = 0; waited_ms <= GATE_WAIT_MS; waited_ms += 2) {
        int result = loom_file_lock(control->fd, GATE_BYTE, 1, !control->quiet);
        if (result == 0) return LOOM_OK;
        if (result != EAGAIN) return loom_fail_errno(err, result, "cannot lock %s/control", control->path);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return loom_fail(err, LOOM_BUSY, "another process has been opening the store %s for %d seconds; end it or wait",
                     control->path, GATE_WAIT_MS / 1000);
}

/* A reader that LMDB cannot see and a process that may write exclude each other. */
static loom_status check_quiet(const loom_control *control, loom_error *err) {
    bool held = false;
    int result;
    if (control->quiet) {
        result = loom_file_lock_held(control->fd, LOOM_CONTROL_SLOTS_AT, SLOTS_BYTES, false, &held);
        if (result == 0 && held)
            return loom_fail(
                err, LOOM_BUSY,
                "the store %s is in use by a process that may write it, and this one may only read it; wait "
                "until that one ends, or ask for write permission",
                control->path);
        if (result == 0) result = loom_file_lock(control->fd, QUIET_BYTE, 1, false);
    } else {
        result = loom_file_lock_held(control->fd, QUIET_BYTE, 1, true, &held);
        if (result == 0 && held)
            return loom_fail(err, LOOM_BUSY,
                             "the store %s is being read by a process without write permission; wait until it ends",
                             control->path);
    }
    if (result) return loom_fail_errno(err, result, "cannot lock %s/control", control->path);
    return LOOM_OK;
}

static bool is_denied(int failed) {
    return failed == EACCES || failed == EPERM || failed == EROFS;
}

loom_status loom_control_enter(int dir_fd, const char *path, loom_control **control, bool *quiet, loom_error *err) {
    *control = NULL;
    size_t length = strlen(path) + 1;
    loom_control *made = calloc(1, sizeof *made + length);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the store %s", path);
    memcpy(made->path, path, length);
    made->fork_generation = loom_fork_generation();
    made->claims_fd = -1;
    made->slot = LOOM_CONTROL_SLOTS;
    made->fd = openat(dir_fd, "control", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (made->fd < 0 && is_denied(errno)) {
        made->quiet = true;
        made->fd = openat(dir_fd, "control", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    loom_status status = LOOM_OK;
    if (made->fd < 0) status = loom_fail_errno(err, errno, "cannot open %s/control", path);
    if (status == LOOM_OK) status = wait_for_gate(made, err);
    if (status == LOOM_OK) status = check_quiet(made, err);
    if (status == LOOM_OK) status = loom_control_open_claims(made, dir_fd, err);
    if (status == LOOM_OK) status = loom_marks_new(made, err);
    if (status != LOOM_OK) {
        loom_control_close(made);
        return status;
    }
    *quiet = made->quiet;
    *control = made;
    return LOOM_OK;
}

loom_status loom_control_retake_gate(loom_control *control, loom_error *err) {
    return wait_for_gate(control, err);
}

void loom_control_leave_gate(loom_control *control) {
    loom_file_unlock(control->fd, GATE_BYTE, 1);
}

/* ---- slots ---- */

loom_status loom_control_alone(loom_control *control, bool *alone, loom_error *err) {
    bool held = false;
    int result = loom_file_lock_held(control->fd, LOOM_CONTROL_SLOTS_AT, SLOTS_BYTES, !control->quiet, &held);
    if (result) return loom_fail_errno(err, result, "cannot test the locks of %s/control", control->path);
    *alone = !held;
    return LOOM_OK;
}

static loom_status map_file(loom_control *control, loom_error *err) {
    struct stat now;
    int failed = fstat(control->fd, &now) != 0 ? errno : 0;
    /* Allocated, not sparse: a full disk must be an error here, not SIGBUS in a store to the map. */
    if (failed == 0) failed = loom_file_allocate(control->fd, 0, LOOM_CONTROL_FIXED_BYTES);
    if (failed == EFBIG) failed = ENOSPC;
    if (failed)
        return loom_fail_errno(err, failed, "cannot make %s/control %llu bytes long", control->path,
                               (unsigned long long)LOOM_CONTROL_FIXED_BYTES);
    control->map = mmap(NULL, LOOM_CONTROL_FIXED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, control->fd, 0);
    if (control->map == MAP_FAILED) {
        control->map = NULL;
        return loom_fail_errno(err, errno, "cannot map %s/control", control->path);
    }
    return LOOM_OK;
}

static uint64_t seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec;
}

/* From when the marks in the file count; 0 when they are of another store or layout. */
static uint64_t kept_epoch(const loom_control *control, const uint8_t uuid[16]) {
    const loom_control_header *header = loom_control_header_of(control);
    bool ours = header->magic == LOOM_CONTROL_MAGIC && header->version == LOOM_CONTROL_VERSION &&
                header->signature == layout_signature() && memcmp(header->uuid, uuid, sizeof header->uuid) == 0;
    return ours && header->marks_epoch_s <= seconds_now() ? header->marks_epoch_s : 0;
}

static loom_status write_anew(loom_control *control, const uint8_t uuid[16], uint64_t extent_bytes, uint64_t step_bytes,
                              loom_error *err) {
    uint64_t epoch = kept_epoch(control, uuid);
    if (epoch == 0) {
        int failed = loom_file_resize(control->fd, LOOM_CONTROL_FIXED_BYTES);
        if (failed) return loom_fail_errno(err, failed, "cannot write %s/control", control->path);
        epoch = seconds_now() - 1;
    }
    memset(control->map, 0, LOOM_CONTROL_FIXED_BYTES);
    loom_control_header *header = loom_control_header_of(control);
    header->version = LOOM_CONTROL_VERSION;
    header->signature = layout_signature();
    memcpy(header->uuid, uuid, sizeof header->uuid);
    header->extent_bytes = extent_bytes;
    header->step_bytes = step_bytes;
    header->marks_epoch_s = epoch;
    header->magic = LOOM_CONTROL_MAGIC;
    return LOOM_OK;
}

bool loom_control_slot_is_live(const loom_control *control, uint32_t slot) {
    bool held = false;
    if (slot == control->slot) return true;
    return loom_file_lock_held(control->fd, slot_byte(slot), 1, true, &held) == 0 && held;
}

static loom_status check_attached(const loom_control *control, const uint8_t uuid[16], loom_error *err) {
    const loom_control_header *header = loom_control_header_of(control);
    if (header->magic != LOOM_CONTROL_MAGIC || header->version != LOOM_CONTROL_VERSION ||
        header->signature != layout_signature() || memcmp(header->uuid, uuid, sizeof header->uuid) != 0)
        return loom_fail(
            err, LOOM_LAYOUT_MISMATCH,
            "the store %s is in use by another version of voxloom; wait until it ends, or use that version",
            control->path);
    uint64_t own = loom_pid_namespace();
    for (uint32_t i = 0; i < LOOM_CONTROL_SLOTS; i++)
        if (loom_control_slot_at(control, i)->state == 1 && loom_control_slot_at(control, i)->pid_namespace != own &&
            loom_control_slot_is_live(control, i))
            return loom_fail(
                err, LOOM_BUSY,
                "the store %s is in use from another container (its process numbers mean nothing here); run "
                "both in one pid namespace (docker run --pid=host) or give each a store of its own",
                control->path);
    return LOOM_OK;
}

/* The process that started this one, if it has the store open; else 0. */
static uint64_t owner_of_parent(const loom_control *control) {
    uint32_t parent = (uint32_t)getppid();
    for (uint32_t i = 0; i < LOOM_CONTROL_SLOTS; i++) {
        loom_control_slot *slot = loom_control_slot_at(control, i);
        if (slot->state == 1 && slot->pid == parent && slot->role == LOOM_ROLE_OPENER &&
            loom_control_slot_is_live(control, i))
            return loom_control_owner(i, atomic_load_explicit(&slot->generation, memory_order_acquire));
    }
    return 0;
}

static void fill_slot(loom_control *control, uint32_t number, loom_control_role role) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    loom_control_slot *slot = loom_control_slot_at(control, number);
    /* First of all: what an earlier owner pinned is void before anybody takes this slot for alive. */
    uint32_t generation = atomic_fetch_add(&slot->generation, 1) + 1;
    atomic_store(&slot->barriers, 0);
    slot->pid = (uint32_t)getpid();
    slot->pid_namespace = loom_pid_namespace();
    slot->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    slot->role = (uint32_t)role;
    slot->state = 1;
    control->slot = number;
    control->owner = control->run = loom_control_owner(number, generation);
    uint64_t parent = role == LOOM_ROLE_WORKER ? owner_of_parent(control) : 0;
    if (parent != 0) control->run = parent;
    /* Processes begin to look for free pins in different places, so that they do not share cache lines. */
    atomic_store_explicit(&control->pin_hint, number * (LOOM_CONTROL_PINS / LOOM_CONTROL_SLOTS), memory_order_relaxed);
}

static loom_status claim_slot(loom_control *control, loom_control_role role, loom_error *err) {
    for (uint32_t i = 0; i < LOOM_CONTROL_SLOTS; i++) {
        int result = loom_file_lock(control->fd, slot_byte(i), 1, true);
        if (result == EAGAIN) continue;
        if (result) return loom_fail_errno(err, result, "cannot lock a slot of %s/control", control->path);
        fill_slot(control, i, role);
        return LOOM_OK;
    }
    return loom_fail(err, LOOM_BUSY, "%u processes have the store %s open, the most it can serve; end some",
                     LOOM_CONTROL_SLOTS, control->path);
}

loom_status loom_control_attach(loom_control *control, bool alone, const uint8_t uuid[16], loom_control_role role,
                                uint64_t *extent_bytes, uint64_t *step_bytes, loom_error *err) {
    if (control->quiet) return LOOM_OK;
    LOOM_TRY(map_file(control, err));
    if (alone)
        LOOM_TRY(write_anew(control, uuid, *extent_bytes, *step_bytes, err));
    else
        LOOM_TRY(check_attached(control, uuid, err));
    *extent_bytes = loom_control_header_of(control)->extent_bytes;
    *step_bytes = loom_control_header_of(control)->step_bytes;
    return claim_slot(control, role, err);
}

void loom_control_close(loom_control *control) {
    if (control == NULL) return;
    if (control->map != NULL && control->slot < LOOM_CONTROL_SLOTS && control->fd >= 0) {
        loom_control_slot *slot = loom_control_slot_at(control, control->slot);
        /* A courtesy: closing the descriptor is what frees the slot. Pins that are left are void at once. */
        atomic_fetch_add(&slot->generation, 1);
        slot->state = 0;
    }
    loom_marks_free(control->marks);
    if (control->map != NULL) munmap(control->map, LOOM_CONTROL_FIXED_BYTES);
    if (control->claims_fd >= 0) close(control->claims_fd);
    if (control->fd >= 0) close(control->fd);
    free(control);
}

void loom_control_forget(loom_control *control) {
    if (control->claims_fd >= 0) close(control->claims_fd);
    if (control->fd >= 0) close(control->fd);
    control->claims_fd = control->fd = -1;
}

int loom_control_fd(const loom_control *control) {
    return control->fd;
}

uint32_t loom_control_other_pids(loom_control *control, loom_control_role role, uint32_t *pids, uint32_t most) {
    if (control->map == NULL) return 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < LOOM_CONTROL_SLOTS; i++) {
        const loom_control_slot *slot = loom_control_slot_at(control, i);
        if (i == control->slot || slot->state != 1 || slot->role != (uint32_t)role ||
            !loom_control_slot_is_live(control, i))
            continue;
        if (count < most) pids[count] = slot->pid;
        count++;
    }
    return count;
}

uint32_t loom_control_others(loom_control *control, loom_control_role role) {
    return loom_control_other_pids(control, role, NULL, 0);
}
