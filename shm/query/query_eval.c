/* query_eval.c - whether a record matches. Logic of three values (Kleene): a test on a path that the record does not
 * have is neither true nor false, and stays so under `not`; only what is true matches. */
#include <string.h>

#include "shm/query/query_tree.h"

/* In an order such that `and` is the least, `or` the greatest, `not` the mirror. */
typedef enum truth { NO, UNKNOWN, YES } truth;

/* ---- order ---- */

typedef enum order { BEFORE, SAME, BEHIND, APART } order; /* APART: neither equal nor ordered */

static order order_of(bool less, bool equal, bool greater) {
    return less ? BEFORE : equal ? SAME : greater ? BEHIND : APART;
}

/* Exact: an integer is never rounded to a double. */
static order compare_mixed(int64_t whole, double number) {
    if (number != number) return APART;
    if (number >= 0x1p63) return BEFORE;
    if (number < -0x1p63) return BEHIND;
    int64_t cut = (int64_t)number; /* towards zero */
    if (whole != cut) return whole < cut ? BEFORE : BEHIND;
    double rest = number - (double)cut; /* exact: where a double has a fraction, both are below 2^53 */
    return order_of(rest > 0, rest == 0, rest < 0);
}

static order mirrored(order found) {
    return found == BEFORE ? BEHIND : found == BEHIND ? BEFORE : found;
}

static order compare_texts(const loom_value *a, const loom_value *b) {
    size_t shorter = a->text.length < b->text.length ? a->text.length : b->text.length;
    int first = shorter > 0 ? memcmp(a->text.bytes, b->text.bytes, shorter) : 0;
    if (first != 0) return first < 0 ? BEFORE : BEHIND;
    return order_of(a->text.length < b->text.length, a->text.length == b->text.length, true);
}

static order compare(const loom_value *a, const loom_value *b) {
    if (a->type == LOOM_INT && b->type == LOOM_FLOAT) return compare_mixed(a->integer, b->number);
    if (a->type == LOOM_FLOAT && b->type == LOOM_INT) return mirrored(compare_mixed(b->integer, a->number));
    if (a->type != b->type) return APART;
    switch (a->type) {
    case LOOM_NULL:
        return SAME;
    case LOOM_BOOL:
        return a->boolean == b->boolean ? SAME : APART;
    case LOOM_INT:
        return order_of(a->integer < b->integer, a->integer == b->integer, true);
    case LOOM_FLOAT:
        return order_of(a->number<b->number, a->number == b->number, a->number> b->number);
    case LOOM_STRING:
        return compare_texts(a, b);
    default:
        return APART;
    }
}

/* ---- tests on one value ---- */

static bool is_equal(const loom_value *a, const loom_value *b) {
    return compare(a, b) == SAME;
}

static bool begins_with(const loom_value *text, const loom_value *with) {
    return text->type == LOOM_STRING && text->text.length >= with->text.length &&
           (with->text.length == 0 || memcmp(text->text.bytes, with->text.bytes, with->text.length) == 0);
}

static bool holds(const loom_value *value, const loom_value *part) {
    if (value->type == LOOM_SEQUENCE) {
        for (size_t i = 0; i < value->sequence.count; i++)
            if (is_equal(&value->sequence.items[i], part)) return true;
        return false;
    }
    if (value->type != LOOM_STRING) return false;
    if (part->text.length == 0) return true;
    return value->text.length > 0 &&
           memmem(value->text.bytes, value->text.length, part->text.bytes, part->text.length) != NULL;
}

static bool is_among(const loom_value *value, const loom_query_node *node) {
    for (size_t i = 0; i < node->value_count; i++)
        if (is_equal(value, &node->values[i])) return true;
    return false;
}

static bool passes(const loom_query_node *node, const loom_value *value) {
    const loom_value *literal = node->values;
    switch (node->kind) {
    case LOOM_QUERY_EQ:
        return is_equal(value, literal);
    case LOOM_QUERY_NE:
        return !is_equal(value, literal);
    case LOOM_QUERY_LT:
        return compare(value, literal) == BEFORE;
    case LOOM_QUERY_GT:
        return compare(value, literal) == BEHIND;
    case LOOM_QUERY_LE:
        return compare(value, literal) == BEFORE || is_equal(value, literal);
    case LOOM_QUERY_GE:
        return compare(value, literal) == BEHIND || is_equal(value, literal);
    case LOOM_QUERY_IN:
        return is_among(value, node);
    case LOOM_QUERY_CONTAINS:
        return holds(value, literal);
    case LOOM_QUERY_STARTSWITH:
        return begins_with(value, literal);
    case LOOM_QUERY_EXISTS:
        return true;
    default:
        return false;
    }
}

/* ---- paths ---- */

static const loom_value *field_of(const loom_value *record, const loom_query_step *step) {
    if (record->type != LOOM_RECORD) return NULL;
    for (size_t i = 0; i < record->record.count; i++) {
        const loom_field *field = &record->record.fields[i];
        if (field->name_length == step->length &&
            (step->length == 0 || memcmp(field->name, step->name, step->length) == 0))
            return &field->value;
    }
    return NULL;
}

typedef bool (*meets)(const loom_value *value, void *context);

/* Offers each value at the path until one is accepted. Recurses as deep as the path has steps. */
static bool seek(const loom_value *value, const loom_query_path *path, size_t step, meets accept, void *context) {
    for (; step < path->count; step++) {
        const loom_query_step *at = &path->steps[step];
        if (at->kind == LOOM_STEP_NAME) {
            value = field_of(value, at);
            if (value == NULL) return false;
            continue;
        }
        if (value->type != LOOM_SEQUENCE) return false;
        if (at->kind == LOOM_STEP_ANY) {
            for (size_t i = 0; i < value->sequence.count; i++)
                if (seek(&value->sequence.items[i], path, step + 1, accept, context)) return true;
            return false;
        }
        if (at->item >= value->sequence.count) return false;
        value = &value->sequence.items[at->item];
    }
    return accept(value, context);
}

typedef struct test_at {
    const loom_query_node *node;
    bool reached;
} test_at;

static bool try_value(const loom_value *value, void *context) {
    test_at *test = context;
    test->reached = true;
    return passes(test->node, value);
}

/* Any value at the path may pass. */
static truth test(const loom_query_node *node, const loom_value *record) {
    test_at at = {.node = node};
    if (seek(record, node->path, 0, try_value, &at)) return YES;
    return at.reached || node->kind == LOOM_QUERY_EXISTS ? NO : UNKNOWN;
}

/* ---- the tree ---- */

static truth judge(const loom_query_node *node, const loom_value *record) {
    if (node->kind == LOOM_QUERY_NOT) return YES - judge(node->first, record);
    if (node->kind != LOOM_QUERY_AND && node->kind != LOOM_QUERY_OR) return test(node, record);
    truth settled = node->kind == LOOM_QUERY_AND ? NO : YES, found = YES - settled;
    for (const loom_query_node *each = node->first; each != NULL && found != settled; each = each->next) {
        truth now = judge(each, record);
        bool nearer = settled == NO ? now < found : now > found;
        if (nearer) found = now;
    }
    return found;
}

/* Of a dataset its metadata is asked, which is a record. */
static const loom_value *record_in(const loom_value *value) {
    return value->type == LOOM_DATASET ? value->dataset.metadata : value;
}

bool loom_query_matches(const loom_query *query, const loom_value *record) {
    return judge(query->root, record_in(record)) == YES;
}

/* ---- columns ---- */

size_t loom_query_path_count(const loom_query *query) {
    return query->path_count;
}

const char *loom_query_path_text(const loom_query *query, size_t path) {
    return query->paths[path]->text;
}

static bool take_value(const loom_value *value, void *context) {
    *(const loom_value **)context = value;
    return true;
}

const loom_value *loom_query_path_value(const loom_query *query, size_t path, const loom_value *record) {
    const loom_value *found = NULL;
    (void)seek(record_in(record), query->paths[path], 0, take_value, &found);
    return found;
}
