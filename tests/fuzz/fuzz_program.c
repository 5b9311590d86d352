/* fuzz_program.c - plans arbitrary bytes as a program. What is accepted must be writable, its export must be read back
 * as a plan that writes the same text, and every loop's closure must apply to an item the same way in both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/plan.h"
#include "runtime/kernels/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static char *json_of(const loom_plan *plan, size_t *length, loom_error *err) {
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    require(stream != NULL);
    loom_status status = loom_plan_write_json(plan, stream, err);
    fclose(stream);
    if (status == LOOM_OK) return text;
    require(status == LOOM_UNSUPPORTED); /* two bodies that print alike, in one loop */
    free(text);
    return NULL;
}

/* The id of closure `node` applied to an item; zero when that is an error. */
static loom_id applied(loom_plan *plan, loom_node_index node) {
    loom_id parent = {{1}}, none = {{0}};
    loom_value value = loom_float(1);
    loom_node_index item, result;
    loom_error err = {0};
    require(loom_plan_item(plan, &parent, 0, &value, &item, &err) == LOOM_OK);
    if (loom_plan_apply(plan, node, item, &result, &err) == LOOM_OK) return loom_plan_node(plan, result)->id;
    require(err.message[0] != '\0');
    return none;
}

static void check_closures(loom_plan *plan, loom_plan *again) {
    size_t count = loom_plan_node_count(again);
    for (size_t i = 0; i < count; i++) {
        if (loom_plan_node(again, (loom_node_index)i)->kind != LOOM_NODE_CLOSURE) continue;
        loom_node_index same = loom_plan_find(plan, &loom_plan_node(again, (loom_node_index)i)->id);
        require(same != LOOM_NODE_NONE);
        loom_id left = applied(plan, same), right = applied(again, (loom_node_index)i);
        /* Where a record is cut short (a function named like an older one that it calls), only the program knows more.
         */
        require(loom_id_equal(&left, &right) || loom_id_is_zero(&right));
    }
}

static void check_accepted(const loom_plan_options *options, loom_plan *plan) {
    size_t length, again_length;
    loom_error err = {0};
    char *json = json_of(plan, &length, &err);
    if (!json) return;
    loom_plan *again;
    require(loom_plan_from_json(options, "plan.json", json, length, &again, &err) == LOOM_OK);
    char *rewritten = json_of(again, &again_length, &err);
    require(rewritten && again_length == length && memcmp(json, rewritten, length) == 0);
    check_closures(plan, again);
    free(rewritten);
    free(json);
    loom_plan_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    loom_plan_options options = {.operators = loom_operators()};
    loom_plan *plan;
    loom_error err = {0};
    loom_status status = loom_plan_from_program(&options, "fuzz.imgql", (const char *)data, size, &plan, &err);
    if (status != LOOM_OK) {
        require(status == err.status && err.message[0] != '\0' && plan == NULL);
        return 0;
    }
    check_accepted(&options, plan);
    loom_plan_free(plan);
    return 0;
}
