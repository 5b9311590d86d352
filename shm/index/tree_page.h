/* tree_page.h - LMDB's bytes: pages, nodes, tables. Read with memcpy: nothing is aligned for certain. */
#ifndef LOOM_SHM_TREE_PAGE_H
#define LOOM_SHM_TREE_PAGE_H

#include <string.h>

#include "shm/index/tree.h"

#define TREE_MAGIC 0xBEEFC0DEu
#define TREE_VERSION 1u
#define TREE_PAGE_HEADER 16u
#define TREE_NODE_HEADER 8u
#define TREE_DEPTH_MAX 32u
#define TREE_KEY_MAX 511u
#define TREE_NONE UINT64_MAX /* the root of an empty table */
#define TREE_VALUE_MAX (UINT64_C(1) << 28)

enum { TREE_BRANCH = 1, TREE_LEAF = 2, TREE_OVERFLOW = 4, TREE_META = 8 }; /* flags of a page */
enum { TREE_BIG = 1, TREE_SUBTABLE = 2, TREE_DUPLICATES = 4 };             /* flags of a node */
enum { TREE_INTEGER_KEYS = 8 };                                            /* flag of a table */

typedef struct tree_table { /* MDB_db */
    uint32_t pad;           /* of the tree `free`: the page size */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} tree_table;
_Static_assert(sizeof(tree_table) == 48, "LMDB's record of a table");

typedef struct tree_meta { /* MDB_meta, behind the page header */
    uint32_t magic, version;
    uint64_t address, map_bytes;
    tree_table unused, main;
    uint64_t last_page, txn;
} tree_meta;
_Static_assert(sizeof(tree_meta) == 136, "LMDB's meta page");

typedef struct tree_node {
    const uint8_t *key;
    size_t key_bytes;
    uint16_t flags;
    uint64_t child;      /* branch: page */
    const uint8_t *data; /* leaf */
    uint64_t data_bytes; /* leaf: of the value, wherever it lies */
} tree_node;

static inline uint16_t tree_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t tree_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t tree_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* NULL, or what is wrong with a page that should be `number` and have the flag. *count: its nodes. */
const char *tree_check_page(const uint8_t *page, size_t page_bytes, uint64_t number, uint16_t flag, size_t *count);
/* The node of a checked page. False: it does not lie in the page. */
bool tree_read_node(const uint8_t *page, size_t page_bytes, bool leaf, size_t index, tree_node *node);
int tree_compare(bool integers, const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes);

#endif
