/* resolve.c - names that no environment binds: which operator they mean (voxlogica2.md, 2.3).
 *
 * A name with a known namespace before its first dot is looked up only there. Others are tried in default, then in the
 * imported namespaces in order of import, then in all the rest alphabetically: importing changes priority, never
 * visibility. */
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/plan_state.h"
#include "shm/edit_distance.h"

#define LONGEST_OPERATOR 256

/* Known even when the table has no operator of theirs. */
static const char *const fixed_namespaces[] = {"arrays",    "default", "geom", "nnunet",
                                               "simpleitk", "strings", "test", "vox1"};
/* The runtime's own operators: no program sees them. */
static const char private_namespace[] = "loom";

bool loom_is_namespace(const loom_plan *plan, const char *name, size_t length) {
    for (size_t i = 0; i < plan->namespace_count; i++)
        if (strlen(plan->namespaces[i]) == length && memcmp(plan->namespaces[i], name, length) == 0) return true;
    return false;
}

static bool add_namespace(loom_plan *plan, const char *name, size_t length) {
    if (loom_is_namespace(plan, name, length)) return true;
    const char **grown = realloc(plan->namespaces, (plan->namespace_count + 1) * sizeof *grown);
    char *copy = loom_arena_text(plan->arena, name, length);
    if (grown) plan->namespaces = grown;
    if (!grown || !copy) return false;
    size_t at = plan->namespace_count++;
    for (; at > 0 && strcmp(plan->namespaces[at - 1], copy) > 0; at--)
        plan->namespaces[at] = plan->namespaces[at - 1];
    plan->namespaces[at] = copy;
    return true;
}

loom_status loom_resolve_start(loom_plan *plan, loom_error *err) {
    bool good = true;
    for (size_t i = 0; i < sizeof fixed_namespaces / sizeof *fixed_namespaces; i++)
        good = good && add_namespace(plan, fixed_namespaces[i], strlen(fixed_namespaces[i]));
    const loom_operator_table *table = plan->options.operators;
    const char *last = "";
    size_t last_length = 0;
    for (size_t i = 0; i < table->count && good; i++) {
        const char *name = table->operators[i]->name, *dot = strchr(name, '.');
        size_t length = dot ? (size_t)(dot - name) : 0;
        if (!length || (length == last_length && memcmp(name, last, length) == 0)) continue;
        last = name;
        last_length = length;
        if (length == strlen(private_namespace) && memcmp(name, private_namespace, length) == 0) continue;
        good = add_namespace(plan, name, length);
    }
    return good ? LOOM_OK : loom_plan_no_memory(err);
}

bool loom_import_namespace(loom_plan *plan, const char *name) {
    for (size_t i = 0; i < plan->import_count; i++)
        if (strcmp(plan->imports[i], name) == 0) return true;
    if (plan->import_count == plan->import_capacity) {
        size_t capacity = plan->import_capacity ? plan->import_capacity * 2 : 8;
        const char **grown = realloc(plan->imports, capacity * sizeof *grown);
        if (!grown) return false;
        plan->imports = grown;
        plan->import_capacity = capacity;
    }
    const char *copy = loom_arena_text(plan->arena, name, strlen(name));
    if (!copy) return false;
    plan->imports[plan->import_count++] = copy;
    plan->import_epoch++;
    return true;
}

static const loom_operator *find_in(const loom_plan *plan, const char *space, const loom_name *name) {
    char qualified[LONGEST_OPERATOR];
    size_t space_length = strlen(space), length = space_length + 1 + name->length;
    if (length > sizeof qualified) return NULL;
    memcpy(qualified, space, space_length);
    qualified[space_length] = '.';
    memcpy(qualified + space_length + 1, name->text, name->length);
    return loom_operator_find(plan->options.operators, qualified, length);
}

static const loom_operator *find(const loom_plan *plan, const loom_name *name) {
    const char *dot = memchr(name->text, '.', name->length);
    size_t before = dot ? (size_t)(dot - name->text) : 0;
    if (before && before + 1 < name->length && loom_is_namespace(plan, name->text, before))
        return loom_operator_find(plan->options.operators, name->text, name->length);
    const loom_operator *op = find_in(plan, "default", name);
    for (size_t i = 0; i < plan->import_count && !op; i++)
        op = find_in(plan, plan->imports[i], name);
    for (size_t i = 0; i < plan->namespace_count && !op; i++)
        op = find_in(plan, plan->namespaces[i], name);
    return op;
}

const loom_operator *loom_resolve(loom_plan *plan, const loom_name *name) {
    loom_name *cached = (loom_name *)name; /* the cache belongs to this plan, as the name does */
    if (cached->resolved_epoch != plan->import_epoch) {
        cached->resolved = find(plan, name);
        cached->resolved_epoch = plan->import_epoch;
    }
    return cached->resolved;
}

/* ---- near misses ---- */

typedef struct candidate {
    const char *text;
    uint32_t distance;
} candidate;

static void consider(candidate *best, const loom_name *name, const char *text, size_t length) {
    uint32_t distance = loom_edit_distance(name->text, name->length, text, length, best->distance - 1);
    if (distance >= best->distance || distance == 0) return;
    *best = (candidate){.text = text, .distance = distance};
}

const char *loom_near_miss(loom_plan *plan, loom_environment environment, const loom_name *name) {
    candidate best = {.distance = name->length <= 2 ? 1 : name->length <= 4 ? 2 : 3};
    if (best.distance <= 1) return NULL;
    for (size_t i = 0; i < plan->names.capacity; i++) {
        const loom_name *other = plan->names.slots[i];
        if (other && loom_environment_find(environment, other)) consider(&best, name, other->text, other->length);
        if (best.distance <= 1) return best.text;
    }
    const loom_operator_table *table = plan->options.operators;
    for (size_t i = 0; i < table->count && best.distance > 1; i++) {
        const char *dot = strchr(table->operators[i]->name, '.');
        if (!dot || strncmp(table->operators[i]->name, "loom.", 5) == 0) continue;
        consider(&best, name, dot + 1, strlen(dot + 1));
    }
    return best.text;
}
