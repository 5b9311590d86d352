/* operator.h - what is known of an operator before it runs: its name, arity, types, domains, cost and version.
 *
 * The descriptor is data only. runtime/kernels binds code to it; planner/ reads it to resolve names, check programs,
 * find image domains and estimate cost. One table (loom_operator_table) is built by runtime/kernels and passed down. */
#ifndef LOOM_SHM_OPERATOR_H
#define LOOM_SHM_OPERATOR_H

#include <stddef.h>
#include <stdint.h>

#define LOOM_ARITY_ANY UINT16_MAX

/* Static kinds of argument and result. One letter per argument in `signature`, then ':' and the result; a '*' after an
 * argument letter repeats it. Examples: "n+" style overloads use 'v' (any) and let `result` rules decide.
 *   n number (int, float, bool, numeric text)   b truth value       s string      q sequence     r record
 *   i image                                     v anything          c closure     o the same kind as the image
 * arguments make it: image if any argument is an image, sequence if any is a sequence, else scalar "ii:i" is two images
 * to an image, "n:n", "vv:o" the overloaded operators. */

typedef enum loom_operator_flag {
    LOOM_OP_VOXELWISE = 1 << 0,   /* each result voxel depends on the same voxel of the arguments */
    LOOM_OP_REDUCTION = 1 << 1,   /* image(s) to a scalar */
    LOOM_OP_READS_FILES = 1 << 2, /* depends on files: its `inputs` are hashed into the key */
    LOOM_OP_EFFECT = 1 << 3,      /* changes the outside world: WriteImage */
    LOOM_OP_OPEN = 1 << 4, /* has no image of its own: takes the domain where it is used (border, tt, x, constant) */
    LOOM_OP_STRUCTURAL = 1 << 5,    /* expanded by the runtime, never run as a kernel: for_loop, map, filter */
    LOOM_OP_SHARES_DOMAIN = 1 << 6, /* all image arguments must have one domain; the result has it too */
    LOOM_OP_NEW_DOMAIN = 1 << 7,    /* the result image has a domain of its own (ReadImage, extract, resample) */
    LOOM_OP_NOT_STORED = 1 << 8     /* its result means nothing in another process: never stored */
} loom_operator_flag;

typedef enum loom_cost_class {
    LOOM_COST_SCALAR = 0, /* about a microsecond */
    LOOM_COST_VOXEL = 1,  /* one pass over the voxels, memory bound */
    LOOM_COST_FILTER = 2, /* tens of operations a voxel: morphology, gradient */
    LOOM_COST_GLOBAL = 3, /* sorting, components, distance maps */
    LOOM_COST_FILE = 4    /* reading or writing files */
} loom_cost_class;

typedef struct loom_operator {
    const char *name;      /* qualified: "vox1.near" */
    const char *signature; /* see above */
    uint16_t arity_min;
    uint16_t arity_max; /* LOOM_ARITY_ANY for no limit */
    uint32_t flags;     /* loom_operator_flag */
    int64_t version;    /* of the kernel: part of every result key; raise it when results change. Above 16 bits: of a
                           plug-in's file (runtime/kernels/plugin/plugin.h). Not negative */
    uint16_t cost;      /* loom_cost_class */
    const char *doc;    /* one line */
} loom_operator;

typedef struct loom_operator_table {
    const loom_operator *const *operators; /* grouped by namespace, namespaces and names in ascending order */
    size_t count;
} loom_operator_table;

/* By qualified name (binary search); NULL if absent. */
const loom_operator *loom_operator_find(const loom_operator_table *table, const char *name, size_t length);
/* Position in the table: what tasks carry between processes. */
size_t loom_operator_index(const loom_operator_table *table, const loom_operator *op);
/* SHA-256 over every name and version: two processes agree on the table if and only if they agree on this. */
void loom_operator_table_signature(const loom_operator_table *table, uint8_t signature[32]);

#endif
