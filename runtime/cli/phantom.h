/* phantom.h - a synthetic head to try programs on: as bright as a FLAIR scan, with a tumour whose place is known. */
#ifndef LOOM_RUNTIME_CLI_PHANTOM_H
#define LOOM_RUNTIME_CLI_PHANTOM_H

#include <stdint.h>

#include "shm/status.h"

#define LOOM_PHANTOM_EDGE_MAX 4096u
#define LOOM_PHANTOM_VOXELS_MAX ((uint64_t)1 << 30)

/* Writes size[0] x size[1] x size[2] voxels of i16 and 1 mm, as .nii or .nii.gz by suffix; the head fills the volume
 * whatever its size (240x240x155 has true proportions). The same size and seed give the same voxels on every machine:
 * only IEEE additions, products, quotients and square roots are used. Errors: LOOM_BAD_ARGUMENT (an edge of 0 or above
 * 4096, more than 2^30 voxels), LOOM_NO_MEMORY, and those of loom_volume_write. */
loom_status loom_phantom_write(const char *path, const uint64_t size[3], uint64_t seed, loom_error *err);

#endif
