/* fuzz_plan_json.c - reads arbitrary bytes as a plan file. What is accepted must be writable and read back as the same
 * plan. Ids make it unlikely that a mutated plan is accepted, so half of the work is refusing well. */
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

static char *json_of(const loom_plan *plan, size_t *length) {
    char *text = NULL;
    loom_error err = {0};
    FILE *stream = open_memstream(&text, length);
    require(stream != NULL);
    require(loom_plan_write_json(plan, stream, &err) == LOOM_OK);
    fclose(stream);
    return text;
}

static void check_accepted(const loom_plan_options *options, const loom_plan *plan) {
    size_t length, again_length;
    loom_error err = {0};
    loom_plan *again;
    char *json = json_of(plan, &length);
    require(loom_plan_from_json(options, "again.json", json, length, &again, &err) == LOOM_OK);
    char *rewritten = json_of(again, &again_length);
    require(again_length == length && memcmp(json, rewritten, length) == 0);
    free(rewritten);
    free(json);
    loom_plan_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    loom_plan_options options = {.operators = loom_operators()};
    loom_plan *plan;
    loom_error err = {0};
    loom_status status = loom_plan_from_json(&options, "plan.json", (const char *)data, size, &plan, &err);
    if (status != LOOM_OK) {
        require((status == LOOM_BAD_PLAN || status == LOOM_TOO_LARGE) && status == err.status && plan == NULL);
        require(err.message[0] != '\0');
        return 0;
    }
    check_accepted(&options, plan);
    loom_plan_free(plan);
    return 0;
}
