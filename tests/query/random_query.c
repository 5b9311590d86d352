/* random_query.c - see random_query.h. */
#include "random_query.h"

#include <math.h>

#include "shm/number.h"

static uint32_t below(uint64_t *state, uint32_t bound) {
    return next_random(state) % bound;
}

/* ---- values ---- */

static char long_text[4][1200]; /* alike for as long as a key can tell */

static loom_value random_string(uint64_t *state) {
    static const char *const texts[] = {"", "f", "fl", "flair", "flap", "t1", "z", "\xc3\xa9", "a\nb"};
    uint32_t pick = below(state, 14);
    if (pick < 9) return loom_string_of(texts[pick]);
    if (pick == 9) return loom_string("f\0", 2);
    if (pick == 10) return loom_string("f\0\x01", 3);
    if (pick == 11) return loom_string("\xff\xff\0", 3);
    uint32_t which = below(state, 4);
    memset(long_text[which], 'f', sizeof long_text[which]);
    long_text[which][1000] = (char)('a' + which);
    return loom_string(long_text[which], which == 3 ? 400 : sizeof long_text[which]);
}

static loom_value random_number(uint64_t *state) {
    static const int64_t whole[] = {0,
                                    1,
                                    2,
                                    -1,
                                    9007199254740992,
                                    9007199254740993,
                                    INT64_MAX,
                                    INT64_MIN,
                                    INT64_MAX - 1,
                                    INT64_MIN + 1,
                                    -9007199254740993};
    static const double floats[] = {
        0.0,     -0.0,     1.0,       0.5,    -0.5,   9007199254740992.0, 9007199254740994.0, 0x1p63,
        -0x1p63, INFINITY, -INFINITY, 5e-324, 1.7e308};
    uint32_t pick = below(state, 30);
    if (pick < 11) return loom_int(whole[pick]);
    if (pick < 24) return loom_float(floats[pick - 11]);
    return loom_int((int64_t)below(state, 12));
}

static loom_value random_literal(uint64_t *state) {
    switch (below(state, 8)) {
    case 0:
        return loom_null();
    case 1:
        return loom_bool(below(state, 2));
    case 2:
    case 3:
        return random_string(state);
    default:
        return random_number(state);
    }
}

static const char *const names[] = {"a", "b", "c d", "\xc3\xa9", "in", "", "x\x02y"};
enum { NAMES = 7 };

static loom_value random_value(uint64_t *state, loom_arena *arena, unsigned depth);

static loom_value random_fields(uint64_t *state, loom_arena *arena, unsigned depth) {
    uint32_t first = below(state, NAMES), count = below(state, 5);
    loom_field *fields = loom_arena_array(arena, count, sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = names[(first + i) % NAMES];
        /* Rarely the name that no key can hold. */
        if (name[0] == 'x' && below(state, 8) != 0) name = "x";
        fields[i] = (loom_field){.name = name, .name_length = strlen(name)};
        fields[i].value = random_value(state, arena, depth + 1);
    }
    return loom_record(fields, count);
}

static loom_value random_items(uint64_t *state, loom_arena *arena, unsigned depth) {
    uint32_t count = below(state, 40) == 0 ? 80 : below(state, 4);
    loom_value *items = loom_arena_array(arena, count, sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        items[i] = random_value(state, arena, depth + 1);
    return loom_sequence(items, count);
}

static loom_value random_value(uint64_t *state, loom_arena *arena, unsigned depth) {
    uint32_t pick = below(state, 12);
    if (depth < 10 && pick < 2) return random_fields(state, arena, depth);
    if (depth < 10 && pick < 4) return random_items(state, arena, depth);
    if (pick == 4) return loom_bytes("fl", 2);
    if (pick == 5) return loom_float(NAN);
    return random_literal(state);
}

loom_value random_record(uint64_t *state, loom_arena *arena) {
    loom_value record = random_fields(state, arena, 0);
    if (below(state, 30) != 0) return record;
    loom_value nested = loom_int(1); /* a.a.a.a.a.a.a.a.a.a = 1 */
    for (int i = 0; i < 10; i++) {
        loom_field *field = loom_arena_array(arena, 1, sizeof *field);
        *field = (loom_field){.name = "a", .name_length = 1, .value = nested};
        nested = loom_record(field, 1);
    }
    return nested;
}

/* ---- queries ---- */

typedef enum model_kind { OR, AND, NOT, EQ, NE, LT, LE, GT, GE, IN, NOT_IN, CONTAINS, STARTS, EXISTS } model_kind;
enum { STEP_ANY = -1, STEP_FIRST_ITEM = -2, STEP_THIRD_ITEM = -3 }; /* others: a name */

struct model_query {
    model_kind kind;
    model_query *operands[3];
    size_t operand_count;
    int steps[10];
    size_t step_count;
    loom_value literals[4];
    size_t literal_count;
    bool mirrored;
};

static void random_path(uint64_t *state, model_query *query) {
    query->step_count = 1 + below(state, 3);
    query->steps[0] = (int)below(state, NAMES);
    for (size_t i = 1; i < query->step_count; i++)
        query->steps[i] = below(state, 2) ? (int)below(state, NAMES) : -1 - (int)below(state, 3);
    if (below(state, 60) == 0)
        for (query->step_count = 0; query->step_count < 10; query->step_count++)
            query->steps[query->step_count] = 0;
}

static model_query *random_test(uint64_t *state, loom_arena *arena) {
    model_query *query = loom_arena_alloc(arena, sizeof *query);
    query->kind = EQ + below(state, 11);
    if (below(state, 3) == 0) query->kind = EQ;
    random_path(state, query);
    query->literal_count = query->kind == IN || query->kind == NOT_IN ? below(state, 4) : query->kind != EXISTS;
    for (size_t i = 0; i < query->literal_count; i++) {
        query->literals[i] = random_literal(state);
        if (query->kind == CONTAINS || query->kind == STARTS) query->literals[i] = random_string(state);
        if (query->kind >= LT && query->kind <= GE)
            query->literals[i] = below(state, 3) ? random_number(state) : random_string(state);
    }
    query->mirrored =
        query->kind >= EQ && query->kind <= GE && query->literals[0].type != LOOM_STRING && below(state, 4) == 0;
    return query;
}

static model_query *random_node(uint64_t *state, loom_arena *arena, unsigned depth) {
    if (depth == 3 || below(state, 5) < 2) return random_test(state, arena);
    model_query *query = loom_arena_alloc(arena, sizeof *query);
    uint32_t pick = below(state, 8);
    query->kind = pick == 0 ? NOT : pick < 3 ? OR : AND;
    query->operand_count = query->kind == NOT ? 1 : 2 + below(state, 2);
    for (size_t i = 0; i < query->operand_count; i++)
        query->operands[i] = random_node(state, arena, depth + 1);
    return query;
}

model_query *random_query(uint64_t *state, loom_arena *arena) {
    return random_node(state, arena, 0);
}

/* ---- text ---- */

static void print_string(FILE *out, const char *bytes, size_t length) {
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static void print_literal(FILE *out, const loom_value *value) {
    char text[LOOM_NUMBER_TEXT_BYTES];
    switch (value->type) {
    case LOOM_NULL:
        fputs("null", out);
        return;
    case LOOM_BOOL:
        fputs(value->boolean ? "true" : "false", out);
        return;
    case LOOM_INT:
        fprintf(out, "%lld", (long long)value->integer);
        return;
    case LOOM_FLOAT:
        if (isinf(value->number))
            fputs(value->number > 0 ? "1e999" : "-1e999", out);
        else
            fprintf(out, "%.*s", (int)loom_number_repr(value->number, text), text);
        return;
    default:
        print_string(out, value->text.bytes, value->text.length);
    }
}

static void print_path(FILE *out, const model_query *query) {
    for (size_t i = 0; i < query->step_count; i++) {
        int step = query->steps[i];
        if (step >= 0) {
            if (i > 0) fputc('.', out);
            bool plain = step < 2 || step == 3 || (step == 4 && i > 0);
            if (plain)
                fputs(names[step], out);
            else
                print_string(out, names[step], strlen(names[step]));
        } else {
            fputs(step == STEP_ANY ? "[*]" : step == STEP_FIRST_ITEM ? "[0]" : "[2]", out);
        }
    }
}

static void print_test(FILE *out, const model_query *query) {
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    static const char *const mirrored[] = {"==", "!=", ">", ">=", "<", "<="};
    if (query->mirrored) {
        print_literal(out, &query->literals[0]);
        fprintf(out, " %s ", mirrored[query->kind - EQ]);
        print_path(out, query);
        return;
    }
    if (query->kind == EXISTS) fputs("exists ", out);
    print_path(out, query);
    if (query->kind == EXISTS) return;
    if (query->kind <= GE) fprintf(out, " %s ", signs[query->kind - EQ]);
    if (query->kind == CONTAINS) fputs(" contains ", out);
    if (query->kind == STARTS) fputs(" startswith ", out);
    bool list = query->kind == IN || query->kind == NOT_IN;
    if (list) fputs(query->kind == IN ? " in [" : " not in [", out);
    for (size_t i = 0; i < query->literal_count; i++) {
        if (i > 0) fputs(", ", out);
        print_literal(out, &query->literals[i]);
    }
    if (list) fputc(']', out);
}

static void print_node(FILE *out, const model_query *query, bool inner) {
    if (query->kind >= EQ) {
        print_test(out, query);
        return;
    }
    if (query->kind == NOT) fputs("not ", out);
    bool parentheses = inner || query->kind == NOT;
    if (parentheses) fputc('(', out);
    for (size_t i = 0; i < query->operand_count; i++) {
        if (i > 0) fputs(query->kind == AND ? " and " : " or ", out);
        print_node(out, query->operands[i], true);
    }
    if (parentheses) fputc(')', out);
}

const char *model_text(const model_query *query, loom_arena *arena) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    print_node(out, query, false);
    fclose(out);
    const char *copy = loom_arena_text(arena, text, length);
    free(text);
    return copy;
}

/* ---- the judge: all values at the path, then the test on each ---- */

typedef struct found_values {
    const loom_value *items[4096];
    size_t count;
} found_values;

static void collect(const loom_value *value, const model_query *query, size_t step, found_values *found) {
    if (step == query->step_count) {
        if (found->count < 4096) found->items[found->count++] = value;
        return;
    }
    int at = query->steps[step];
    if (at >= 0) {
        const loom_value *next = loom_record_get(value, names[at]);
        if (next != NULL) collect(next, query, step + 1, found);
        return;
    }
    if (value->type != LOOM_SEQUENCE) return;
    for (size_t i = 0; i < value->sequence.count; i++)
        if (at == STEP_ANY || (at == STEP_FIRST_ITEM && i == 0) || (at == STEP_THIRD_ITEM && i == 2))
            collect(&value->sequence.items[i], query, step + 1, found);
}

static bool is_number(const loom_value *value) {
    return value->type == LOOM_INT || value->type == LOOM_FLOAT;
}

static long double number_of(const loom_value *value) {
    return value->type == LOOM_INT ? (long double)value->integer : (long double)value->number;
}

/* -1, 0, 1, or 9: not comparable. */
static int model_order(const loom_value *a, const loom_value *b) {
    if (is_number(a) && is_number(b)) {
        long double x = number_of(a), y = number_of(b);
        return isnan(x) || isnan(y) ? 9 : x < y ? -1 : x > y;
    }
    if (a->type != LOOM_STRING || b->type != LOOM_STRING) return 9;
    for (size_t i = 0; i < a->text.length && i < b->text.length; i++) {
        unsigned char x = (unsigned char)a->text.bytes[i], y = (unsigned char)b->text.bytes[i];
        if (x != y) return x < y ? -1 : 1;
    }
    return a->text.length < b->text.length ? -1 : a->text.length > b->text.length;
}

static bool model_equal(const loom_value *a, const loom_value *b) {
    if (a->type == LOOM_NULL && b->type == LOOM_NULL) return true;
    if (a->type == LOOM_BOOL && b->type == LOOM_BOOL) return a->boolean == b->boolean;
    return model_order(a, b) == 0;
}

static bool has_part(const loom_value *text, const loom_value *part) {
    for (size_t i = 0; i + part->text.length <= text->text.length; i++)
        if (memcmp(text->text.bytes + i, part->text.bytes, part->text.length) == 0) return true;
    return false;
}

static bool model_contains(const loom_value *value, const loom_value *part) {
    if (value->type == LOOM_STRING) return has_part(value, part);
    if (value->type != LOOM_SEQUENCE) return false;
    for (size_t i = 0; i < value->sequence.count; i++)
        if (model_equal(&value->sequence.items[i], part)) return true;
    return false;
}

static bool model_passes(const model_query *query, const loom_value *value) {
    const loom_value *literal = &query->literals[0];
    int order = query->literal_count > 0 ? model_order(value, literal) : 9;
    switch (query->kind) {
    case EQ:
        return model_equal(value, literal);
    case NE:
        return !model_equal(value, literal);
    case LT:
        return order == -1;
    case LE:
        return order == -1 || order == 0;
    case GT:
        return order == 1;
    case GE:
        return order == 1 || order == 0;
    case CONTAINS:
        return model_contains(value, literal);
    case STARTS:
        return value->type == LOOM_STRING && value->text.length >= literal->text.length &&
               memcmp(value->text.bytes, literal->text.bytes, literal->text.length) == 0;
    case EXISTS:
        return true;
    default:
        for (size_t i = 0; i < query->literal_count; i++)
            if (model_equal(value, &query->literals[i])) return true;
        return false;
    }
}

/* 1 true, 0 false, -1 unknown. */
static int model_test(const model_query *query, const loom_value *record) {
    static found_values found;
    found.count = 0;
    collect(record, query, 0, &found);
    bool any = false;
    for (size_t i = 0; i < found.count; i++)
        any = any || model_passes(query, found.items[i]);
    if (query->kind == EXISTS) return any;
    if (found.count == 0) return -1;
    return query->kind == NOT_IN ? !any : any;
}

static int model_judge(const model_query *query, const loom_value *record) {
    if (query->kind >= EQ) return model_test(query, record);
    unsigned seen[3] = {0}; /* unknown, false, true */
    for (size_t i = 0; i < query->operand_count; i++)
        seen[model_judge(query->operands[i], record) + 1]++;
    if (query->kind == NOT) return seen[0] ? -1 : seen[1] ? 1 : 0;
    if (query->kind == AND) return seen[1] ? 0 : seen[0] ? -1 : 1;
    return seen[2] ? 1 : seen[0] ? -1 : 0;
}

bool model_matches(const model_query *query, const loom_value *record) {
    return model_judge(query, record) == 1;
}
