/* tree.c - see tree.h. A walk keeps one copied page per level, so that it needs no more than the tree is deep, and
 * reads with pread: a bad sector is an error here and not a signal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/index/tree_page.h"

struct loom_tree {
    int fd;
    size_t page_bytes;
    uint64_t pages; /* that the file has and the snapshot may name */
    tree_meta meta;
    uint8_t *seen;     /* a bit a page: reached, or unused */
    uint8_t *overflow; /* a value on pages of its own */
    size_t overflow_capacity;
};

typedef struct walk {
    loom_tree *tree;
    tree_table table;
    bool integers;
    loom_tree_visit visit;
    loom_tree_damage damage;
    void *context;
    uint8_t *pages; /* one a level */
    uint64_t entries;
    bool stopped, damaged;
    size_t last_bytes, bound_bytes;
    uint8_t last[TREE_KEY_MAX], bound[TREE_KEY_MAX]; /* the last key; what the next must not be below */
} walk;

/* ---- the file ---- */

static bool read_at(int fd, uint64_t at, uint8_t *bytes, size_t length) {
    for (size_t have = 0; have < length;) {
        ssize_t got = pread(fd, bytes + have, length - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

static bool is_seen(const loom_tree *tree, uint64_t page) {
    return (tree->seen[page / 8] >> (page % 8) & 1) != 0;
}

static void see(loom_tree *tree, uint64_t page) {
    tree->seen[page / 8] |= (uint8_t)(1u << page % 8);
}

/* NULL, or why the page cannot be had. */
static const char *read_page(loom_tree *tree, uint64_t number, uint8_t *bytes) {
    if (number < 2 || number >= tree->pages) return "a page outside the file";
    if (is_seen(tree, number)) return "a page with two owners";
    see(tree, number);
    return read_at(tree->fd, number * tree->page_bytes, bytes, tree->page_bytes) ? NULL : "a page that cannot be read";
}

static bool is_meta(const tree_meta *meta) {
    uint32_t bytes = meta->unused.pad;
    return meta->magic == TREE_MAGIC && meta->version == TREE_VERSION && bytes >= 512 && bytes <= 65536 &&
           (bytes & (bytes - 1)) == 0 && meta->last_page < UINT64_C(1) << 40;
}

static bool read_meta(int fd, uint64_t at, uint64_t number, tree_meta *meta) {
    uint8_t bytes[TREE_PAGE_HEADER + sizeof *meta];
    if (!read_at(fd, at, bytes, sizeof bytes) || (tree_u16(bytes + 10) & TREE_META) == 0 || tree_u64(bytes) != number)
        return false;
    memcpy(meta, bytes + TREE_PAGE_HEADER, sizeof *meta);
    return is_meta(meta);
}

/* The second meta page lies behind the first, whose size only a meta page tells: try all that there are. */
static bool read_second_meta(int fd, tree_meta *meta) {
    for (uint64_t bytes = 512; bytes <= 65536; bytes *= 2)
        if (read_meta(fd, bytes, 1, meta) && meta->unused.pad == bytes) return true;
    return false;
}

static bool choose_meta(int fd, uint64_t txn, tree_meta *chosen) {
    tree_meta metas[2];
    bool sound[2] = {read_meta(fd, 0, 0, &metas[0]), read_second_meta(fd, &metas[1])};
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        if (!sound[i] || (txn != 0 && metas[i].txn != txn) || (found && metas[i].txn < chosen->txn)) continue;
        *chosen = metas[i];
        found = true;
    }
    return found;
}

loom_status loom_tree_open(int fd, uint64_t txn, loom_tree **tree, loom_error *err) {
    *tree = NULL;
    tree_meta meta, other;
    if (!choose_meta(fd, txn, &meta)) {
        if (txn != 0 && choose_meta(fd, 0, &other)) return LOOM_NOT_FOUND;
        return loom_fail(err, LOOM_BAD_STORE, "both meta pages of the index are damaged; restore it from a backup");
    }
    struct stat now;
    if (fstat(fd, &now) != 0) return loom_fail_errno(err, errno, "cannot read the index");
    loom_tree *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index");
    made->fd = fd;
    made->meta = meta;
    made->page_bytes = meta.unused.pad;
    made->pages = (uint64_t)now.st_size / made->page_bytes;
    if (made->pages > meta.last_page + 1) made->pages = meta.last_page + 1;
    made->seen = calloc((size_t)(made->pages / 8 + 1), 1);
    if (made->seen == NULL) {
        loom_tree_free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index");
    }
    *tree = made;
    return LOOM_OK;
}

void loom_tree_free(loom_tree *tree) {
    if (tree == NULL) return;
    free(tree->seen);
    free(tree->overflow);
    free(tree);
}

uint64_t loom_tree_txn(const loom_tree *tree) {
    return tree->meta.txn;
}

/* ---- values ---- */

/* Reads a value that lies on pages of its own. NULL, or what is wrong. */
static const char *read_overflow(loom_tree *tree, uint64_t first, uint64_t bytes) {
    if (bytes > TREE_VALUE_MAX) return "a value that is too long";
    size_t total = TREE_PAGE_HEADER + (size_t)bytes;
    uint64_t count = (total + tree->page_bytes - 1) / tree->page_bytes;
    if (first < 2 || first >= tree->pages || count > tree->pages - first) return "a value outside the file";
    for (uint64_t i = 0; i < count; i++) {
        if (is_seen(tree, first + i)) return "a page with two owners";
        see(tree, first + i);
    }
    if (total > tree->overflow_capacity) {
        uint8_t *grown = realloc(tree->overflow, total);
        if (grown == NULL) return "no memory for a value";
        tree->overflow = grown;
        tree->overflow_capacity = total;
    }
    if (!read_at(tree->fd, first * tree->page_bytes, tree->overflow, total)) return "a value that cannot be read";
    if (tree_u64(tree->overflow) != first || tree_u16(tree->overflow + 10) != TREE_OVERFLOW ||
        tree_u32(tree->overflow + 12) < count)
        return "a value's page of another kind";
    return NULL;
}

static const char *entry_of(loom_tree *tree, const tree_node *node, uint64_t page, loom_tree_entry *entry) {
    *entry = (loom_tree_entry){.key = node->key,
                               .key_bytes = node->key_bytes,
                               .value = node->data,
                               .value_bytes = (size_t)node->data_bytes,
                               .page = page};
    if ((node->flags & TREE_BIG) == 0) return NULL;
    const char *wrong = read_overflow(tree, tree_u64(node->data), node->data_bytes);
    if (wrong == NULL) entry->value = tree->overflow + TREE_PAGE_HEADER;
    return wrong;
}

/* ---- walking ---- */

static void report(walk *of, uint64_t page, const char *what) {
    of->damaged = true;
    if (of->damage != NULL) of->damage(page, what, of->context);
}

static bool is_below(const walk *of, const tree_node *node, const uint8_t *key, size_t bytes) {
    return tree_compare(of->integers, node->key, node->key_bytes, key, bytes) < 0;
}

static void visit_node(walk *of, const tree_node *node, uint64_t page) {
    loom_tree_entry entry;
    bool ordered = (of->last_bytes == 0 ||
                    (!is_below(of, node, of->last, of->last_bytes) &&
                     (node->key_bytes != of->last_bytes || memcmp(node->key, of->last, of->last_bytes) != 0))) &&
                   (of->bound_bytes == 0 || !is_below(of, node, of->bound, of->bound_bytes));
    if (!ordered) report(of, page, "keys out of order");
    memcpy(of->last, node->key, node->key_bytes);
    of->last_bytes = node->key_bytes;
    of->bound_bytes = 0;
    of->entries++;
    const char *wrong = entry_of(of->tree, node, page, &entry);
    if (wrong != NULL)
        report(of, page, wrong);
    else if (!of->visit(&entry, of->context))
        of->stopped = true;
}

static void visit_leaf(walk *of, const uint8_t *page, uint64_t number, size_t count) {
    for (size_t i = 0; i < count && !of->stopped; i++) {
        tree_node node;
        if (tree_read_node(page, of->tree->page_bytes, true, i, &node))
            visit_node(of, &node, number);
        else
            report(of, number, "an entry outside its page");
    }
}

/* A branch's key is not above any key of its child, and above all before. */
static void note_bound(walk *of, const tree_node *node, uint64_t page) {
    if (node->key_bytes == 0) return;
    if (of->last_bytes > 0 && tree_compare(of->integers, of->last, of->last_bytes, node->key, node->key_bytes) >= 0)
        report(of, page, "a branch that misleads");
    memcpy(of->bound, node->key, node->key_bytes);
    of->bound_bytes = node->key_bytes;
}

static void walk_page(walk *of, uint64_t number, unsigned level) {
    uint8_t *page = of->pages + (size_t)level * of->tree->page_bytes;
    bool leaf = level + 1u == of->table.depth;
    size_t count = 0;
    const char *wrong = read_page(of->tree, number, page);
    if (wrong == NULL)
        wrong = tree_check_page(page, of->tree->page_bytes, number, leaf ? TREE_LEAF : TREE_BRANCH, &count);
    if (wrong != NULL) {
        report(of, number, wrong);
        return;
    }
    if (leaf) {
        visit_leaf(of, page, number, count);
        return;
    }
    for (size_t i = 0; i < count && !of->stopped; i++) {
        tree_node node;
        if (!tree_read_node(page, of->tree->page_bytes, false, i, &node)) {
            report(of, number, "an entry outside its page");
            continue;
        }
        if (i > 0) note_bound(of, &node, number);
        walk_page(of, node.child, level + 1);
    }
}

static loom_status walk_table(walk *of, loom_error *err) {
    if (of->table.root == TREE_NONE) {
        if (of->table.entries != 0) report(of, 0, "an empty table that should have entries");
        return LOOM_OK;
    }
    if (of->table.depth == 0 || of->table.depth > TREE_DEPTH_MAX) {
        report(of, of->table.root, "a table of impossible depth");
        return LOOM_OK;
    }
    of->pages = malloc((size_t)of->table.depth * of->tree->page_bytes);
    if (of->pages == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index");
    walk_page(of, of->table.root, 0);
    free(of->pages);
    if (!of->stopped && !of->damaged && of->entries != of->table.entries)
        report(of, of->table.root, "a table whose number of entries is wrong");
    return LOOM_OK;
}

/* ---- tables ---- */

typedef struct search {
    const char *name;
    tree_table table;
    bool found;
} search;

static bool match_table(const loom_tree_entry *entry, void *context) {
    search *of = context;
    if (entry->key_bytes != strlen(of->name) || memcmp(entry->key, of->name, entry->key_bytes) != 0 ||
        entry->value_bytes != sizeof of->table)
        return true;
    memcpy(&of->table, entry->value, sizeof of->table);
    of->found = true;
    return false;
}

/* The tree of tables is small; its pages are forgotten again after a search, so that its own walk finds them unseen. */
static loom_status find_table(loom_tree *tree, const char *name, tree_table *table, loom_error *err) {
    search of = {.name = name};
    uint8_t *seen = tree->seen;
    tree->seen = calloc((size_t)(tree->pages / 8 + 1), 1);
    if (tree->seen == NULL) {
        tree->seen = seen;
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index");
    }
    walk main = {.tree = tree, .table = tree->meta.main, .visit = match_table, .context = &of};
    loom_status status = walk_table(&main, err);
    free(tree->seen);
    tree->seen = seen;
    *table = of.table;
    return status != LOOM_OK ? status : of.found ? LOOM_OK : LOOM_NOT_FOUND;
}

loom_status loom_tree_walk(loom_tree *tree, const char *table, loom_tree_visit visit, loom_tree_damage damage,
                           void *context, loom_error *err) {
    walk of = {.tree = tree, .visit = visit, .damage = damage, .context = context};
    if (table == NULL)
        of.table = tree->meta.main;
    else if (table[0] == '\0')
        of.table = tree->meta.unused;
    else
        LOOM_TRY(find_table(tree, table, &of.table, err));
    of.integers = (of.table.flags & TREE_INTEGER_KEYS) != 0;
    return walk_table(&of, err);
}

/* ---- unused pages ---- */

typedef struct unused {
    loom_tree *tree;
    loom_tree_damage damage;
    void *context;
} unused;

/* A list of pages: their number, then each. */
static bool note_unused(const loom_tree_entry *entry, void *context) {
    unused *of = context;
    uint64_t count = entry->value_bytes >= 8 ? tree_u64(entry->value) : UINT64_MAX;
    if (entry->value_bytes % 8 != 0 || count > entry->value_bytes / 8 - 1) {
        of->damage(entry->page, "a list of unused pages that is none", of->context);
        return true;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t page = tree_u64(entry->value + 8 + 8 * i);
        if (page < 2 || page > of->tree->meta.last_page)
            of->damage(entry->page, "an unused page outside the file", of->context);
        else if (page < of->tree->pages && is_seen(of->tree, page))
            of->damage(page, "a page that is both used and unused", of->context);
        else if (page < of->tree->pages)
            see(of->tree, page);
    }
    return true;
}

static void pass_damage(uint64_t page, const char *what, void *context) {
    const unused *of = context;
    of->damage(page, what, of->context);
}

loom_status loom_tree_walk_unused(loom_tree *tree, loom_tree_damage damage, void *context, loom_error *err) {
    unused of = {.tree = tree, .damage = damage, .context = context};
    return loom_tree_walk(tree, LOOM_TREE_FREE, note_unused, pass_damage, &of, err);
}

/* ---- what a damaged branch cuts off ---- */

loom_status loom_tree_orphans(loom_tree *tree, loom_tree_visit visit, void *context, loom_error *err) {
    uint8_t *page = malloc(tree->page_bytes);
    if (page == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index");
    bool more = true;
    for (uint64_t number = 2; number < tree->pages && more; number++) {
        size_t count = 0;
        if (is_seen(tree, number) || !read_at(tree->fd, number * tree->page_bytes, page, tree->page_bytes) ||
            tree_check_page(page, tree->page_bytes, number, TREE_LEAF, &count) != NULL)
            continue;
        for (size_t i = 0; i < count && more; i++) {
            tree_node node;
            loom_tree_entry entry;
            if (!tree_read_node(page, tree->page_bytes, true, i, &node) || (node.flags & TREE_SUBTABLE) != 0) continue;
            if (entry_of(tree, &node, number, &entry) == NULL) more = visit(&entry, context);
        }
    }
    free(page);
    return LOOM_OK;
}
