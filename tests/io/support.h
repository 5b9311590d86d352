/* support.h - what the tests of io/ share: a scratch folder, files of given bytes, and loading a volume into memory. */
#ifndef LOOM_TESTS_IO_SUPPORT_H
#define LOOM_TESTS_IO_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/volume.h"

/* cmocka group setup and teardown: make and remove a scratch folder. */
int scratch_setup(void **state);
int scratch_teardown(void **state);
/* A path in it; valid for the next 64 calls. */
const char *scratch_path(const char *name);

void write_file(const char *path, const void *bytes, size_t length);
/* The whole file; the caller frees. */
unsigned char *read_file(const char *path, size_t *length);
/* One gzip member around the bytes, by zlib's one-shot interface; the caller frees. */
unsigned char *gzip_bytes(const void *bytes, size_t length, size_t *packed);
/* gunzip with zlib's gzFile, which is not what io/ uses; the caller frees. */
unsigned char *gunzip_file(const char *path, size_t *length);

/* Opens and loads into memory; the caller frees. Asserts success and prints the error otherwise. */
void *load_volume(const char *path, loom_image_header *header);
/* Opens and loads, expecting failure of one or the other: a one-line message that begins with the path. */
loom_status expect_refusal(const char *path, const char *fragment);

void assert_loom_ok(loom_status status, const loom_error *err);

/* ../shared, or NULL with a printed line. */
const char *shared_folder(void);

#endif
