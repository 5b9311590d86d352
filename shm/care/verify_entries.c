/* verify_entries.c - the tables `keys` and `vids` against the rows, both ways, and references against values: sorted
 * arrays merged with sorted tables. */
#include <stdlib.h>
#include <string.h>

#include "shm/care/verify_parts.h"

static int compare_entries(const void *a, const void *b) {
    const loom_tail_entry *x = a, *y = b;
    int order = memcmp(x->prefix, y->prefix, LOOM_PREFIX_BYTES);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

static int compare_prefixes(const void *a, const void *b) {
    return memcmp(a, b, LOOM_PREFIX_BYTES);
}

void loom_verify_sort(verify *of) {
    if (of->keys.count > 1) qsort(of->keys.items, of->keys.count, sizeof(loom_tail_entry), compare_entries);
    if (of->vids.count > 1) qsort(of->vids.items, of->vids.count, sizeof(loom_tail_entry), compare_entries);
    of->at_key = of->at_vid = 0;
}

static void note_entry(verify *of, const char *what, uint64_t row) {
    verify_note *note = loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_REBUILD, what);
    if (note != NULL) note->row = row;
    of->dirty = true;
}

/* Compares an entry with the next that should be there; both go up. */
static bool merge(verify *of, const verify_list *expected, size_t *at, const loom_tree_entry *entry,
                  const char *missing, const char *extra) {
    const loom_tail_entry *items = (const loom_tail_entry *)(const void *)expected->items;
    if (entry->key_bytes != LOOM_KEY_BYTES) {
        note_entry(of, extra, 0);
        return !of->exhausted;
    }
    loom_tail_entry found = {.row = 0};
    memcpy(found.prefix, entry->key, LOOM_PREFIX_BYTES);
    for (unsigned i = 0; i < 8; i++)
        found.row = found.row << 8 | entry->key[LOOM_PREFIX_BYTES + i];
    int order = -1;
    while (*at < expected->count && (order = compare_entries(&items[*at], &found)) < 0)
        note_entry(of, missing, items[(*at)++].row);
    if (*at < expected->count && order == 0)
        ++*at;
    else
        note_entry(of, extra, found.row);
    return !of->exhausted;
}

static const char key_missing[] = "a row that no key names", key_extra[] = "a key that names no row";
static const char vid_missing[] = "a row that no value id names", vid_extra[] = "a value id that names no row";

bool loom_verify_key(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    return merge(of, &of->keys, &of->at_key, entry, key_missing, key_extra);
}

bool loom_verify_vid(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    return merge(of, &of->vids, &of->at_vid, entry, vid_missing, vid_extra);
}

void loom_verify_compare_rest(verify *of) {
    const loom_tail_entry *keys = (const loom_tail_entry *)(const void *)of->keys.items;
    const loom_tail_entry *vids = (const loom_tail_entry *)(const void *)of->vids.items;
    while (of->at_key < of->keys.count)
        note_entry(of, key_missing, keys[of->at_key++].row);
    while (of->at_vid < of->vids.count)
        note_entry(of, vid_missing, vids[of->at_vid++].row);
}

/* A value that was evicted still has its tombstone, with recipe: that is no damage. One of which nothing is known is.
 */
void loom_verify_references(verify *of) {
    if (of->needs.count == 0) return;
    const loom_tail_entry *needs = (const loom_tail_entry *)(const void *)of->needs.items;
    if (of->values.count > 1) qsort(of->values.items, of->values.count, LOOM_PREFIX_BYTES, compare_prefixes);
    uint64_t last = 0;
    for (size_t i = 0; i < of->needs.count; i++) {
        if (needs[i].row == last ||
            (of->values.count > 0 &&
             bsearch(needs[i].prefix, of->values.items, of->values.count, LOOM_PREFIX_BYTES, compare_prefixes) != NULL))
            continue;
        last = needs[i].row; /* one finding a row */
        verify_note *note =
            loom_verify_note(of, LOOM_FINDING_REFERENCE, VERIFY_TOMBSTONE, "a sequence with an item that is not known");
        if (note != NULL) note->row = last;
    }
}
