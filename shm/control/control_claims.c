/* control_claims.c - which keys are being computed: locks on bytes far behind the end of `control`, taken through an
 * open description that all processes of a run share, so that a claim ends with the run and needs no clean-up. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/control/control_parts.h"
#include "shm/platform_file.h"

/* Where locks belong to processes, a second descriptor would, when closed, drop every lock of this process; claims are
 * then this process's own, through the one descriptor there is. */
loom_status loom_control_open_claims(loom_control *control, int dir_fd, loom_error *err) {
    if (control->quiet || !loom_file_locks_are_shared()) return LOOM_OK;
    control->claims_fd = openat(dir_fd, "control", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (control->claims_fd < 0) return loom_fail_errno(err, errno, "cannot open %s/control", control->path);
    return LOOM_OK;
}

int loom_control_claims_fd(const loom_control *control) {
    return control->claims_fd;
}

loom_status loom_control_adopt_claims(loom_control *control, int fd, loom_error *err) {
    struct stat own, other;
    if (control->claims_fd < 0 || fstat(control->claims_fd, &own) != 0 || fstat(fd, &other) != 0 ||
        own.st_dev != other.st_dev || own.st_ino != other.st_ino)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "descriptor %d is not that of %s/control", fd, control->path);
    close(control->claims_fd);
    control->claims_fd = fd;
    return LOOM_OK;
}

static uint64_t byte_of(const loom_id *rkey) {
    return LOOM_CONTROL_CLAIM_BYTE + XXH3_64bits(rkey->bytes, sizeof rkey->bytes) % (UINT64_C(1) << 40);
}

static int descriptor(const loom_control *control) {
    return control->claims_fd >= 0 ? control->claims_fd : control->fd;
}

loom_status loom_control_claim(loom_control *control, const loom_id *rkey, loom_error *err) {
    if (control->quiet) return loom_fail(err, LOOM_DENIED, "the store %s may not be written", control->path);
    int result = loom_file_lock(descriptor(control), byte_of(rkey), 1, true);
    if (result == 0) return LOOM_OK;
    if (result == EAGAIN) return loom_fail(err, LOOM_BUSY, "another run computes this result; wait for it");
    return loom_fail_errno(err, result, "cannot lock %s/control", control->path);
}

void loom_control_unclaim(loom_control *control, const loom_id *rkey) {
    if (!control->quiet) (void)loom_file_unlock(descriptor(control), byte_of(rkey), 1);
}
