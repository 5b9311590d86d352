/* plugin.h - operators from shared objects: <voxloom/kernel.h> seen from this side.
 *
 * A plug-in's operators stand in the table like all others. The version of each holds, above the 16 bits that the
 * plug-in chose, 47 bits of the SHA-256 of its file: so keys, recipes and the table's signature cover its code. */
#ifndef LOOM_KERNELS_PLUGIN_H
#define LOOM_KERNELS_PLUGIN_H

#include <voxloom/kernel.h>

#include "runtime/kernels/kernel.h"

typedef struct loom_plugin_file loom_plugin_file;

/* A plug-in's operator: what loom_kernel_of gives for it. */
typedef struct loom_plugin_operator {
    loom_kernel kernel;   /* first: see loom_kernel_of */
    loom_plugin_run call; /* the plug-in's own */
    const loom_plugin_file *file;
} loom_plugin_operator;

/* The table of this build's operators and those of the plug-ins named, separated by ':' ("" = none). Loaded once a
 * process and never unloaded; the same list gives the same table, which lives as long as the process. Thread-safe.
 * LOOM_BAD_CONFIG, one line that names the file: it is missing, is no plug-in, has another ABI, changed since this
 * process loaded it, or has an operator that is malformed or taken. LOOM_NO_MEMORY. */
loom_status loom_operators_with(const char *plugins, const loom_operator_table **table, loom_error *err);

/* The plug-ins of a table that loom_operators_with gave, by absolute paths, as that function takes them; "" for any
 * other. Thread-safe. */
const char *loom_operators_plugins(const loom_operator_table *table);

/* plugin_call.c: the `run` of every plug-in's kernel. */
loom_status loom_run_plugin(loom_call *call);

/* plugin_check.c: LOOM_BAD_CONFIG and what is wrong with a row, which nothing has looked at yet. */
loom_status loom_plugin_check(const char *path, const loom_plugin_kernel *row, loom_error *err);

#endif
