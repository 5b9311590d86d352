/* operator.c - look-up in the table of operators, and the signature by which two processes agree on it. */
#include "shm/operator.h"

#include <string.h>

#include "shm/id.h"

/* Namespaces consist of letters, digits and '_', all above '.', so the order of whole names is the table's order:
 * first by namespace, then by name. */
static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length) {
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* SIZE_MAX if absent. */
static size_t position_of(const loom_operator_table *table, const char *name, size_t length) {
    size_t from = 0, to = table->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const char *candidate = table->operators[middle]->name;
        int order = compare_names(name, length, candidate, strlen(candidate));
        if (order == 0) return middle;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return SIZE_MAX;
}

const loom_operator *loom_operator_find(const loom_operator_table *table, const char *name, size_t length) {
    size_t position = position_of(table, name, length);
    return position == SIZE_MAX ? NULL : table->operators[position];
}

size_t loom_operator_index(const loom_operator_table *table, const loom_operator *op) {
    return position_of(table, op->name, strlen(op->name));
}

/* A chain of digests: no allocation, so it cannot fail. */
void loom_operator_table_signature(const loom_operator_table *table, uint8_t signature[32]) {
    loom_id chain = {{0}};
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        loom_id name = loom_sha256(op->name, strlen(op->name));
        uint8_t link[2 * sizeof chain.bytes + sizeof op->version];
        memcpy(link, chain.bytes, sizeof chain.bytes);
        memcpy(link + sizeof chain.bytes, name.bytes, sizeof name.bytes);
        memcpy(link + 2 * sizeof chain.bytes, &op->version, sizeof op->version); /* one machine, one byte order */
        chain = loom_sha256(link, sizeof link);
    }
    memcpy(signature, chain.bytes, sizeof chain.bytes);
}
