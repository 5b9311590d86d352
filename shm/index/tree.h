/* tree.h - reads the index's file page by page without LMDB, which trusts its pages and ends the process, or worse, on
 * some damaged ones. For verification and repair.
 *
 * Knows LMDB's format 1 (0.9; mdb.c, "Page format"): a B+tree of pages per table, tables named in the tree `main`,
 * unused pages listed in the tree `free`. Every byte is hostile: nothing is followed that was not checked, every page
 * is visited once. Belongs to one thread. */
#ifndef LOOM_SHM_TREE_H
#define LOOM_SHM_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

typedef struct loom_tree loom_tree;

/* One entry; bytes of any alignment, valid during the call. */
typedef struct loom_tree_entry {
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    uint64_t page; /* that it stands in */
} loom_tree_entry;
typedef bool (*loom_tree_visit)(const loom_tree_entry *entry, void *context); /* false: stop */
/* `what` is damaged; what lies under it is not visited. */
typedef void (*loom_tree_damage)(uint64_t page, const char *what, void *context);

/* Reads the meta pages of `fd`, which stays the caller's. `txn`: the snapshot that a read transaction of LMDB keeps
 * alive; LOOM_NOT_FOUND when its meta page was overwritten already (begin another). 0: the newest, for a file that
 * nobody writes. LOOM_BAD_STORE when there is no sound meta page. */
loom_status loom_tree_open(int fd, uint64_t txn, loom_tree **tree, loom_error *err);
void loom_tree_free(loom_tree *tree); /* NULL is accepted */

/* Visits every entry of a table in order; `table` NULL is the tree of tables, LOOM_TREE_FREE that of unused pages.
 * LOOM_NOT_FOUND: there is no such table. Damage is not an error. Checked: page numbers, kinds, depth, bounds, order of
 * keys against each other and against the branches, the number of entries, pages with two owners. */
#define LOOM_TREE_FREE ""
loom_status loom_tree_walk(loom_tree *tree, const char *table, loom_tree_visit visit, loom_tree_damage damage,
                           void *context, loom_error *err);
/* Notes which pages are unused: those that are visited later, or were before, are damage. */
loom_status loom_tree_walk_unused(loom_tree *tree, loom_tree_damage damage, void *context, loom_error *err);
/* After all trees were walked: entries of leaf pages that no tree reached and that are not listed as unused, which is
 * what a damaged branch cuts off. In no order, of no known table. */
loom_status loom_tree_orphans(loom_tree *tree, loom_tree_visit visit, void *context, loom_error *err);

uint64_t loom_tree_txn(const loom_tree *tree);

#endif
