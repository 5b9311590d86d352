/* kernels.h - the kernels, by family; what each does is said in the operator's row of table_*.c. */
#ifndef LOOM_KERNELS_KERNELS_H
#define LOOM_KERNELS_KERNELS_H

#include "runtime/kernels/kernel.h"

#endif
