/* tree_page.c - see tree_page.h. */
#include "shm/index/tree_page.h"

const char *tree_check_page(const uint8_t *page, size_t page_bytes, uint64_t number, uint16_t flag, size_t *count) {
    if (tree_u64(page) != number) return "a page with another number";
    if (tree_u16(page + 10) != flag) return "a page of another kind";
    size_t lower = tree_u16(page + 12), upper = tree_u16(page + 14);
    if (lower < TREE_PAGE_HEADER || lower > upper || upper > page_bytes || lower % 2 != 0)
        return "a page whose bounds are wrong";
    *count = (lower - TREE_PAGE_HEADER) / 2;
    if (*count < (flag == TREE_BRANCH ? 2u : 1u)) return "a page without entries";
    return NULL;
}

bool tree_read_node(const uint8_t *page, size_t page_bytes, bool leaf, size_t index, tree_node *node) {
    size_t at = tree_u16(page + TREE_PAGE_HEADER + 2 * index), upper = tree_u16(page + 14);
    if (at < upper || at % 2 != 0 || at > page_bytes - TREE_NODE_HEADER) return false;
    const uint8_t *bytes = page + at;
    size_t room = page_bytes - at - TREE_NODE_HEADER;
    uint64_t low = tree_u16(bytes) | (uint64_t)tree_u16(bytes + 2) << 16;
    node->flags = tree_u16(bytes + 4);
    node->key_bytes = tree_u16(bytes + 6);
    node->key = bytes + TREE_NODE_HEADER;
    if (node->key_bytes > room || node->key_bytes > TREE_KEY_MAX) return false;
    if (!leaf) {
        node->child = low | (uint64_t)node->flags << 32;
        return index == 0 || node->key_bytes > 0;
    }
    node->data = node->key + node->key_bytes;
    node->data_bytes = low;
    if (node->key_bytes == 0 || (node->flags & ~(TREE_BIG | TREE_SUBTABLE)) != 0) return false;
    size_t inside = (node->flags & TREE_BIG) != 0 ? sizeof(uint64_t) : (size_t)low;
    return inside <= room - node->key_bytes;
}

/* As LMDB: bytes by memcmp, the shorter first; integers by their value, in this machine's order of bytes. */
int tree_compare(bool integers, const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes) {
    if (integers && a_bytes == b_bytes && (a_bytes == 8 || a_bytes == 4)) {
        uint64_t x = a_bytes == 8 ? tree_u64(a) : tree_u32(a), y = a_bytes == 8 ? tree_u64(b) : tree_u32(b);
        return (x > y) - (x < y);
    }
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}
