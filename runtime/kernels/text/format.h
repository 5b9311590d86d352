/* format.h - Python's format mini-language for one value (docs.python.org/3/library/string.html, "Format Specification
 * Mini-Language"): [[fill]align][sign][z][#][0][width][grouping][.precision][type]. */
#ifndef LOOM_KERNELS_FORMAT_H
#define LOOM_KERNELS_FORMAT_H

#include "shm/status.h"
#include "shm/value.h"

/* Appends format(value, spec). LOOM_BAD_ARGUMENT says in one line what the specification cannot do. */
loom_status loom_format_value(const loom_value *value, const char *spec, size_t length, loom_buffer *out,
                              loom_error *err);

#endif
