/* ring_uring_none.c - stands in for ring_uring.c where io_uring does not exist or is not wanted (VOXLOOM_PORTABLE). */
#include "io/ring_private.h"

loom_status loom_ring_uring_open(loom_ring *ring, loom_error *err) {
    (void)ring;
    return loom_fail(err, LOOM_UNSUPPORTED, "this build of voxloom has no io_uring; set io.ring to auto or posix");
}
