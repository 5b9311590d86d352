/* toy_backend.h - an implementation of a store in two small files, as an example of shm/store/backend.h: one file per
 * result in a folder, and a manifest that says which of them count. */
#ifndef LOOM_TESTS_TOY_BACKEND_H
#define LOOM_TESTS_TOY_BACKEND_H

#include "shm/status.h"

/* From now on "toy:DIR" is a store. */
loom_status toy_register(loom_error *err);

#endif
