/* items.h - any value that Python would iterate over, item by item: sequences, strings (characters), bytes (integers),
 * records (names), images (pixels in raster order). */
#ifndef LOOM_KERNELS_ITEMS_H
#define LOOM_KERNELS_ITEMS_H

#include "runtime/kernels/kernel.h"

/* False if the value has no items. */
bool loom_items_count(const loom_value *value, uint64_t *count);
/* Items first .. first + count - 1, which must exist, written to `items`. Text borrows from the value. Linear in
 * first + count for strings. */
void loom_items_get(const loom_value *value, uint64_t first, uint64_t count, loom_value *items);

#endif
