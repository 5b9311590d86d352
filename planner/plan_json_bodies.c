/* plan_json_bodies.c - see plan_json_bodies.h. */
#include "planner/plan_json_bodies.h"

#include <stdlib.h>
#include <string.h>

/* A function bodies' tree may repeat a function often; each template is listed once. */
typedef struct grouped_list {
    loom_plan *plan;
    const loom_template **bodies;
    size_t count, capacity;
    loom_error *err;
} grouped_list;

static bool same_text(const loom_template *a, const loom_template *b) {
    return a->text_length == b->text_length && memcmp(a->text, b->text, a->text_length) == 0;
}

static loom_status add_body(grouped_list *list, const loom_template *body) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->bodies[i] == body) return LOOM_OK;
        if (!same_text(list->bodies[i], body)) continue;
        if (strcmp(list->bodies[i]->grouped, body->grouped) == 0) return LOOM_OK;
        return loom_fail(list->err, LOOM_UNSUPPORTED,
                         "two bodies in one loop differ only in parentheses, which a plan file cannot hold: %.200s",
                         body->text);
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        const loom_template **grown = realloc(list->bodies, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(list->err);
        list->bodies = grown;
        list->capacity = capacity;
    }
    list->bodies[list->count++] = body;
    return LOOM_OK;
}

static loom_status consider(grouped_list *list, loom_template *body) {
    if (!loom_template_group(body, &list->plan->names)) return loom_plan_no_memory(list->err);
    return *body->grouped ? add_body(list, body) : LOOM_OK;
}

/* As deep as function records nest, which closure.c bounds. */
static loom_status consider_functions(grouped_list *list, const loom_links *links, int depth) {
    if (depth > LOOM_DEEPEST_RECORD) return LOOM_OK;
    for (uint32_t i = 0; i < links->function_count; i++) {
        if (links->functions[i]->visit == list->plan->visit) continue;
        links->functions[i]->visit = list->plan->visit;
        LOOM_TRY(consider(list, links->functions[i]->body));
        LOOM_TRY(consider_functions(list, &links->functions[i]->links, depth + 1));
    }
    return LOOM_OK;
}

static void put_list(loom_text *out, const grouped_list *list) {
    loom_text_put(out, ",\n      \"grouped_bodies\": {");
    for (size_t i = 0; i < list->count; i++) {
        loom_text_put(out, i ? ",\n        " : "\n        ");
        loom_json_string(out, list->bodies[i]->text, list->bodies[i]->text_length);
        loom_text_put(out, ": ");
        loom_json_string(out, list->bodies[i]->grouped, strlen(list->bodies[i]->grouped));
    }
    loom_text_put(out, "\n      }");
}

loom_status loom_json_put_grouped_bodies(loom_text *out, loom_plan *plan, const loom_closure *closure,
                                         loom_error *err) {
    grouped_list list = {.plan = plan, .err = err};
    plan->visit++;
    loom_status status = closure->grouped ? LOOM_OK : consider(&list, closure->body);
    if (status == LOOM_OK) status = consider_functions(&list, &closure->links, 1);
    if (status == LOOM_OK && list.count) put_list(out, &list);
    free(list.bodies);
    return status;
}
