/* volumes.h - little NIfTI-1 files: a writer and a reader of the tests' own, so that the product's are not judged by
 * themselves. Little-endian, spacing 1, no scaling. */
#ifndef LOOM_TESTS_RUNTIME_VOLUMES_H
#define LOOM_TESTS_RUNTIME_VOLUMES_H

#include "harness.h"
#include "shm/id.h"

enum { NIFTI_U8 = 2, NIFTI_I16 = 4, NIFTI_F32 = 16, NIFTI_F64 = 64 };

typedef struct volume {
    int nx, ny, nz; /* nz = 0: two dimensions */
    int datatype;
    void *voxels; /* x fastest */
} volume;

size_t volume_count(const volume *v);
size_t volume_bytes(const volume *v);
/* Writes it, gzipped if the name ends so. */
void volume_write(scene *at, const char *name, const volume *v);
/* Writes an f32 volume whose voxel (x, y, z) is value(x, y, z). */
void volume_make(scene *at, const char *name, int nx, int ny, int nz, float (*value)(int x, int y, int z));
/* Reads any file of at most 3 dimensions, gzipped or not; voxels live as long as the scene. Fails the test on anything
 * that is not such a file. */
volume volume_read(scene *at, const char *name);
/* SHA-256 of the voxels, in hex. */
void volume_hash(const volume *v, char hex[LOOM_ID_HEX_BYTES]);

/* The 348 bytes of a header, for tests that spoil it. */
void volume_header(const volume *v, uint8_t header[352]);

#endif
