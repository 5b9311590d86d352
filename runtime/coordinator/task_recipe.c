/* task_recipe.c - see task_recipe.h. */
#include "runtime/coordinator/task_recipe.h"

#include "runtime/kernels/fused/tape.h"
#include "runtime/task_result.h"

/* Null for none; bytes: the tape of a fused task. */
static loom_status attributes_of(const loom_segment *segment, const loom_task *task, loom_arena *arena,
                                 loom_value *attributes) {
    size_t length = 0;
    const void *bytes = task->attributes ? loom_segment_get(segment, task->attributes, &length) : NULL;
    *attributes = loom_null();
    return bytes ? loom_value_decode(bytes, length, arena, attributes, NULL) : LOOM_OK;
}

/* A constant as it is, anything else by the key that replays it. */
static loom_status argument_of(const loom_segment *segment, uint32_t number, loom_arena *arena, loom_value *argument) {
    const loom_task *task = loom_segment_task(segment, number);
    if (!task) return LOOM_INTERNAL;
    if (task->origin != LOOM_ORIGIN_CONSTANT) {
        *argument = loom_reference((loom_type)task->type, &task->rkey);
        return LOOM_OK;
    }
    size_t length;
    const void *bytes = loom_task_payload(segment, task, &length);
    return bytes ? loom_value_decode(bytes, length, arena, argument, NULL) : LOOM_INTERNAL;
}

static loom_status arguments_of(const loom_segment *segment, const loom_task *task, loom_arena *arena,
                                loom_value *sequence) {
    const uint32_t *numbers = loom_segment_pointer(segment, task->arguments);
    loom_value *arguments = loom_arena_array(arena, task->argument_count, sizeof *arguments);
    if (!arguments) return LOOM_NO_MEMORY;
    for (uint32_t i = 0; i < task->argument_count; i++)
        LOOM_TRY(argument_of(segment, numbers[i], arena, &arguments[i]));
    *sequence = loom_sequence(arguments, task->argument_count);
    return LOOM_OK;
}

static loom_status arguments_at_end(const loom_segment *segment, const loom_task *task, const loom_tape *tape,
                                    loom_hasher *hasher, loom_arena *arena, loom_value *sequence) {
    const loom_tape_member *end = &tape->members[tape->member_count - 1];
    const uint32_t *numbers = loom_segment_pointer(segment, task->arguments);
    loom_value *arguments = loom_arena_array(arena, end->count, sizeof *arguments);
    loom_id keys[LOOM_TAPE_MEMBERS_MAX], *vids = loom_arena_array(arena, task->argument_count, sizeof *vids);
    if (!arguments || !vids) return LOOM_NO_MEMORY;
    for (uint32_t i = 0; i < task->argument_count; i++)
        vids[i] = loom_segment_task(segment, numbers[i])->vid;
    loom_tape_keys(hasher, tape, vids, keys);
    for (uint32_t i = 0; i < end->count; i++) {
        uint32_t operand = tape->operands[end->first + i];
        if (operand & LOOM_TAPE_MEMBER)
            arguments[i] = loom_reference(LOOM_IMAGE, &keys[operand & ~LOOM_TAPE_MEMBER]);
        else
            LOOM_TRY(argument_of(segment, numbers[operand], arena, &arguments[i]));
    }
    *sequence = loom_sequence(arguments, end->count);
    return LOOM_OK;
}

loom_status loom_task_recipe(const loom_segment *segment, const loom_operator_table *operators, const loom_task *task,
                             loom_hasher *hasher, loom_arena *arena, loom_buffer *recipe) {
    const loom_operator *op = operators->operators[task->operator_index];
    loom_value attributes, arguments;
    LOOM_TRY(attributes_of(segment, task, arena, &attributes));
    if (attributes.type == LOOM_BYTES) {
        loom_tape tape;
        LOOM_TRY(loom_tape_decode(&attributes, task->argument_count, &tape, NULL));
        LOOM_TRY(arguments_at_end(segment, task, &tape, hasher, arena, &arguments));
        op = tape.members[tape.member_count - 1].op;
        attributes = loom_null();
    } else {
        LOOM_TRY(arguments_of(segment, task, arena, &arguments));
    }
    const loom_value parts[] = {loom_string_of(op->name), loom_int(op->version), attributes, arguments};
    const loom_value whole = loom_sequence(parts, 4);
    return loom_value_encode(&whole, recipe);
}

const loom_operator *loom_task_operator(const loom_segment *segment, const loom_operator_table *operators,
                                        const loom_task *task, loom_arena *arena) {
    loom_value attributes;
    loom_tape tape;
    if (attributes_of(segment, task, arena, &attributes) == LOOM_OK && attributes.type == LOOM_BYTES &&
        loom_tape_decode(&attributes, task->argument_count, &tape, NULL) == LOOM_OK)
        return tape.members[tape.member_count - 1].op;
    return operators->operators[task->operator_index];
}
