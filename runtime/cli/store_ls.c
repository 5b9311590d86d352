/* store_ls.c - `voxloom store ls`: results that pass filters, in the order they were stored or sorted. Sorting keeps
 * some hundred bytes a result, not the results: they are looked up again as they are printed. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/store.h"
#include "runtime/stored_value.h"

enum { NAME_BYTES = 64 };

typedef enum sort_order { SORT_NONE, SORT_AGE, SORT_SIZE, SORT_COST, SORT_OPERATOR, SORT_TYPE } sort_order;

typedef struct listed_row {
    loom_id rkey;
    uint64_t rank; /* descending */
    char name[NAME_BYTES];
} listed_row;

typedef struct id_set {
    loom_id *ids; /* sorted */
    size_t count, capacity;
    const char *label;
} id_set;

typedef struct listing {
    /* as asked */
    const char *type, *op, *goal, *older, *larger, *sort, *limit;
    /* as understood */
    loom_type type_wanted;
    uint64_t created_before_ns, larger_than, limit_rows;
    sort_order order;
    id_set goals;
    /* under way */
    loom_store_job *job;
    loom_arena *arena; /* of one row */
    listed_row *rows;
    size_t count, capacity;
    uint64_t printed;
    loom_status status;
    loom_error *err;
} listing;

static loom_status exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while listing the store");
}

/* ---- what was asked ---- */

static loom_status read_type(listing *list, loom_error *err) {
    for (int type = LOOM_NULL; type <= LOOM_DATASET; type++) {
        if (strcmp(loom_type_name((loom_type)type), list->type) != 0) continue;
        list->type_wanted = (loom_type)type;
        return LOOM_OK;
    }
    return loom_fail(err, LOOM_BAD_USAGE,
                     "--type %.40s: unknown; there are null, bool, int, float, string, bytes, record, sequence, image "
                     "and dataset",
                     list->type);
}

static loom_status read_sort(listing *list, loom_error *err) {
    static const char *const names[] = {"stored", "age", "size", "cost", "operator", "type"};
    for (size_t i = 0; i < LOOM_COUNT(names); i++) {
        if (strcmp(names[i], list->sort) != 0) continue;
        list->order = (sort_order)i;
        return LOOM_OK;
    }
    return loom_fail(err, LOOM_BAD_USAGE, "--sort %.40s: unknown; there are stored, age, size, cost, operator and type",
                     list->sort);
}

static bool add_goal(const loom_goal_record *goal, void *context) {
    id_set *set = context;
    if (strcmp(goal->label, set->label) != 0) return true;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity != 0 ? 2 * set->capacity : 16;
        loom_id *grown = realloc(set->ids, capacity * sizeof *grown);
        if (grown == NULL) {
            set->label = NULL; /* told by the caller */
            return false;
        }
        set->ids = grown;
        set->capacity = capacity;
    }
    set->ids[set->count++] = goal->rkey;
    return true;
}

static int compare_ids(const void *a, const void *b) {
    return loom_id_compare(a, b);
}

static loom_status read_goals(listing *list, loom_error *err) {
    list->goals.label = list->goal;
    LOOM_TRY(loom_store_each_goal(list->job->store, add_goal, &list->goals, err));
    if (list->goals.label == NULL) return exhausted(err);
    if (list->goals.count == 0)
        return loom_fail(err, LOOM_NOT_FOUND, "no goal %s; `voxloom store goals` lists them", list->goal);
    qsort(list->goals.ids, list->goals.count, sizeof(loom_id), compare_ids);
    return LOOM_OK;
}

static loom_status read_filters(listing *list, loom_error *err) {
    uint64_t seconds = 0;
    list->limit_rows = UINT64_MAX;
    if (list->type != NULL) LOOM_TRY(read_type(list, err));
    if (list->sort != NULL) LOOM_TRY(read_sort(list, err));
    if (list->larger != NULL) LOOM_TRY(loom_store_option_size("--larger-than", list->larger, &list->larger_than, err));
    if (list->limit != NULL) LOOM_TRY(loom_store_option_count("--limit", list->limit, &list->limit_rows, err));
    if (list->goal != NULL) LOOM_TRY(read_goals(list, err));
    if (list->older == NULL) return LOOM_OK;
    LOOM_TRY(loom_store_option_time("--older-than", list->older, &seconds, err));
    uint64_t now = (uint64_t)time(NULL);
    list->created_before_ns = seconds < now ? (now - seconds) * UINT64_C(1000000000) : 1;
    return LOOM_OK;
}

/* An operator is named whole, or by what follows its last dot. */
static bool operator_matches(const char *op, const char *wanted) {
    if (strcmp(op, wanted) == 0) return true;
    const char *dot = strrchr(op, '.');
    return dot != NULL && strcmp(dot + 1, wanted) == 0;
}

static bool passes(const listing *list, const loom_result *result) {
    char op[NAME_BYTES];
    if (list->type != NULL && result->type != list->type_wanted) return false;
    if (list->larger != NULL && loom_store_bytes_of(result) <= list->larger_than) return false;
    if (list->older != NULL && result->created_ns >= list->created_before_ns) return false;
    if (list->goal != NULL &&
        bsearch(&result->rkey, list->goals.ids, list->goals.count, sizeof(loom_id), compare_ids) == NULL)
        return false;
    if (list->op == NULL) return true;
    loom_arena_reset(list->arena);
    loom_operator_of(result, list->arena, op, sizeof op);
    return operator_matches(op, list->op);
}

/* ---- rows ---- */

static bool print(listing *list, const loom_result *result) {
    bool heading = list->printed++ == 0 && !list->job->json;
    if (heading) loom_store_print_heading(stdout);
    if (list->job->json)
        list->status = loom_store_print_json(result, list->arena, stdout, list->err);
    else
        loom_store_print_row(result, list->arena, stdout);
    return list->status == LOOM_OK && !ferror(stdout) && list->printed < list->limit_rows;
}

static bool list_row(const loom_result *result, void *context) {
    listing *list = context;
    if (list->limit_rows == 0) return false;
    return !passes(list, result) || print(list, result);
}

static uint64_t rank_of(const listing *list, const loom_result *result) {
    switch (list->order) {
    case SORT_AGE:
        return result->created_ns;
    case SORT_COST:
        return result->cost_ns;
    default:
        return loom_store_bytes_of(result);
    }
}

static bool keep_row(const loom_result *result, void *context) {
    listing *list = context;
    if (!passes(list, result)) return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity != 0 ? 2 * list->capacity : 1024;
        listed_row *grown = realloc(list->rows, capacity * sizeof *grown);
        if (grown == NULL) {
            list->status = exhausted(list->err);
            return false;
        }
        list->rows = grown;
        list->capacity = capacity;
    }
    listed_row *row = &list->rows[list->count++];
    *row = (listed_row){.rkey = result->rkey, .rank = rank_of(list, result)};
    loom_arena_reset(list->arena);
    if (list->order == SORT_OPERATOR) loom_operator_of(result, list->arena, row->name, sizeof row->name);
    if (list->order == SORT_TYPE) snprintf(row->name, sizeof row->name, "%s", loom_type_name(result->type));
    return true;
}

/* By name, then largest, newest or dearest first; what is equal stays in the order of its keys. */
static int compare_rows(const void *a, const void *b) {
    const listed_row *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    if (order != 0) return order;
    if (left->rank != right->rank) return left->rank < right->rank ? 1 : -1;
    return loom_id_compare(&left->rkey, &right->rkey);
}

static loom_status print_sorted(listing *list, loom_error *err) {
    LOOM_TRY(loom_store_each(list->job->store, keep_row, list, err));
    LOOM_TRY(list->status);
    if (list->count > 0) qsort(list->rows, list->count, sizeof *list->rows, compare_rows);
    for (size_t i = 0; i < list->count && list->printed < list->limit_rows; i++) {
        loom_result result;
        loom_arena_reset(list->job->arena);
        loom_status status = loom_store_find(list->job->store, &list->rows[i].rkey, list->job->arena, &result, err);
        if (status == LOOM_NOT_FOUND) continue; /* removed meanwhile */
        LOOM_TRY(status);
        if (!print(list, &result)) break;
    }
    return list->status;
}

static loom_status list_all(loom_store_job *job, void *context, loom_error *err) {
    listing *list = context;
    list->job = job;
    list->err = err;
    list->arena = loom_arena_new();
    loom_status status = list->arena != NULL ? read_filters(list, err) : exhausted(err);
    if (status == LOOM_OK && list->order != SORT_NONE) status = print_sorted(list, err);
    if (status == LOOM_OK && list->order == SORT_NONE) {
        status = loom_store_each(job->store, list_row, list, err);
        if (list->status != LOOM_OK) status = list->status;
    }
    bool filtered = list->type || list->op || list->goal || list->older || list->larger || list->limit_rows == 0;
    if (status == LOOM_OK && list->printed == 0 && !job->quiet)
        fprintf(stderr, filtered ? "no result of %s is like that\n" : "%s holds no results yet\n",
                loom_store_path(job->store));
    free(list->rows);
    free(list->goals.ids);
    loom_arena_free(list->arena);
    return status;
}

static int ls(const loom_command *self, int argc, char **argv) {
    listing list = {.status = LOOM_OK};
    const loom_option options[] = {
        {.name = "--type", .value = &list.type},          {.name = "--op", .value = &list.op},
        {.name = "--goal", .value = &list.goal},          {.name = "--older-than", .value = &list.older},
        {.name = "--larger-than", .value = &list.larger}, {.name = "--sort", .value = &list.sort},
        {.name = "--limit", .value = &list.limit}};
    const loom_store_shape shape = {.needs = LOOM_NEED_READ | LOOM_NEED_JSON,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = list_all,
                                    .context = &list};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_ls = {
    .name = "store ls",
    .summary = "Lists results: id, type, value or shape, bytes, operator, age",
    .usage = "voxloom store ls [filters] [--sort BY] [--limit N] [--json]",
    .help = "  --type TYPE           null, bool, int, float, string, bytes, record, sequence, image or dataset\n"
            "  --op NAME             computed by this operator, vox1.near or near\n"
            "  --goal LABEL          that met this goal of a run (`voxloom store goals`)\n"
            "  --older-than TIME     stored longer ago: 30d, 12h, 90m\n"
            "  --larger-than SIZE    10MiB, 2G\n"
            "  --sort BY             stored (default), age (newest first), size, cost, operator, type\n"
            "  --limit N             the first N of them\n"
            "  --json                one object a line, described in runtime/API.md\n",
    .run = ls,
};
