/* unprintable.h - which characters Python's repr escapes. */
#ifndef LOOM_KERNELS_UNPRINTABLE_H
#define LOOM_KERNELS_UNPRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool loom_is_unprintable(uint32_t code);

#endif
