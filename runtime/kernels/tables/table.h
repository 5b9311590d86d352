/* table.h - the tables of operators, one per group of namespaces, and the macro that writes their rows.
 *
 * A row is: name, signature, arity (least, most), flags, version, cost, run, inputs, one line of documentation. Rows
 * may stand in any order: registry.c sorts them. `run` is NULL for operators without a native kernel and for structural
 * ones. The signature's letters are explained in shm/operator.h. */
#ifndef LOOM_KERNELS_TABLE_H
#define LOOM_KERNELS_TABLE_H

#include "runtime/kernels/kernel.h"

typedef struct loom_kernel_list {
    const loom_kernel *kernels;
    size_t count;
} loom_kernel_list;

extern const loom_kernel_list loom_table_default; /* default, strings, and loom (the runtime's own) */
extern const loom_kernel_list loom_table_vox1;
extern const loom_kernel_list loom_table_simpleitk;
extern const loom_kernel_list loom_table_arrays;
extern const loom_kernel_list loom_table_geom;
extern const loom_kernel_list loom_table_python; /* nnunet, test */

#define LOOM_ANY LOOM_ARITY_ANY
#define LOOM_ROW(name_, signature_, min_, max_, flags_, version_, cost_, run_, inputs_, doc_)                          \
    {                                                                                                                  \
        .op = {.name = (name_),                                                                                        \
               .signature = (signature_),                                                                              \
               .arity_min = (min_),                                                                                    \
               .arity_max = (max_),                                                                                    \
               .flags = (flags_),                                                                                      \
               .version = (version_),                                                                                  \
               .cost = (cost_),                                                                                        \
               .doc = (doc_)},                                                                                         \
        .run = (run_), .inputs = (inputs_)                                                                             \
    }

/* The same for a kernel that goes through its image in parts: its loops stand where others have `inputs`. */
#define LOOM_ROW_PARTS(name_, signature_, min_, max_, flags_, version_, cost_, run_, loops_, doc_)                     \
    {                                                                                                                  \
        .op = {.name = (name_),                                                                                        \
               .signature = (signature_),                                                                              \
               .arity_min = (min_),                                                                                    \
               .arity_max = (max_),                                                                                    \
               .flags = (flags_),                                                                                      \
               .version = (version_),                                                                                  \
               .cost = (cost_),                                                                                        \
               .doc = (doc_)},                                                                                         \
        .run = (run_), .loops = &(loops_)                                                                              \
    }

#define LOOM_TABLE(name_, rows_)                                                                                       \
    const loom_kernel_list name_ = {.kernels = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])}

/* Flags that go together. */
enum {
    LOOM_VOXELS = LOOM_OP_VOXELWISE | LOOM_OP_SHARES_DOMAIN, /* voxel by voxel */
    LOOM_UNIFORM = LOOM_OP_OPEN | LOOM_OP_VOXELWISE,         /* one value at each voxel of a grid */
    LOOM_FILTER = LOOM_OP_SHARES_DOMAIN,                     /* image(s) to an image of the same domain */
    LOOM_REDUCE = LOOM_OP_REDUCTION | LOOM_OP_SHARES_DOMAIN  /* image(s) to a scalar */
};

#endif
