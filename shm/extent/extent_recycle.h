/* extent_recycle.h - making the space of a gone object ready for another one. For extent_writer.c only. */
#ifndef LOOM_SHM_EXTENT_RECYCLE_H
#define LOOM_SHM_EXTENT_RECYCLE_H

#include "shm/extent/extent.h"

/* After this the window, or the descriptor, of an open reservation in recycled space may be written: the bytes are zero
 * if `how` (loom_reserve_how) asks for it, and pages that are not in memory need not be read from the disk first. */
loom_status loom_extent_prepare(const char *path, const loom_reservation *reservation, unsigned how, loom_error *err);

#endif
