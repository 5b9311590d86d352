/* tape.c - tapes as bytes, and the keys of what is on them: see tape.h.
 *
 * Encoded: a value of type bytes that holds 32-bit numbers: members, operands, swept; of each member its operator in
 * the table of this build and the count of its operands; the operands; the steps. */
#include "runtime/kernels/fused/tape.h"

#include <string.h>

enum { HEAD = 3, NUMBERS_MAX = HEAD + 3 * LOOM_TAPE_MEMBERS_MAX + LOOM_TAPE_OPERANDS_MAX };

static bool is_native_in_parts(const loom_operator *op) {
    const loom_kernel *kernel = loom_kernel_of(op);
    return kernel->run != NULL && kernel->loops != NULL;
}

bool loom_is_fusible(const loom_operator *op) {
    return op->flags & LOOM_OP_VOXELWISE && is_native_in_parts(op);
}

bool loom_ends_fusion(const loom_operator *op) {
    if (op->flags & LOOM_OP_REDUCTION) return is_native_in_parts(op) && loom_kernel_of(op)->loops->pieces;
    return loom_is_fusible(op);
}

loom_status loom_tape_encode(const loom_tape *tape, loom_buffer *out) {
    uint32_t numbers[NUMBERS_MAX], count = 0;
    numbers[count++] = tape->member_count;
    numbers[count++] = tape->operand_count;
    numbers[count++] = tape->swept;
    for (uint32_t k = 0; k < tape->member_count; k++) {
        numbers[count++] = (uint32_t)loom_operator_index(loom_operators(), tape->members[k].op);
        numbers[count++] = tape->members[k].count;
    }
    for (uint32_t k = 0; k < tape->operand_count; k++)
        numbers[count++] = tape->operands[k];
    for (uint32_t k = 0; k < tape->member_count; k++)
        numbers[count++] = tape->steps[k];
    const loom_value value = loom_bytes(numbers, count * sizeof *numbers);
    return loom_value_encode(&value, out);
}

/* One member, whose operands begin at tape->operand_count. */
static bool read_member(uint32_t op, uint32_t count, bool last, loom_tape *tape) {
    const loom_operator_table *table = loom_operators();
    if (op >= table->count || count > LOOM_TAPE_OPERANDS_MAX - tape->operand_count) return false;
    const loom_operator *found = table->operators[op];
    if (!(last ? loom_ends_fusion(found) : loom_is_fusible(found))) return false;
    tape->members[tape->member_count++] = (loom_tape_member){found, tape->operand_count, count};
    tape->operand_count += count;
    return true;
}

/* Operands name arguments, or members before their user. */
static bool operands_fit(const loom_tape *tape, uint32_t argument_count) {
    for (uint32_t k = 0; k < tape->member_count; k++)
        for (uint32_t i = 0; i < tape->members[k].count; i++) {
            uint32_t operand = tape->operands[tape->members[k].first + i];
            bool member = operand & LOOM_TAPE_MEMBER;
            if (member ? (operand & ~LOOM_TAPE_MEMBER) >= k : operand >= argument_count) return false;
        }
    return true;
}

static bool read_tape(const loom_value *bytes, uint32_t argument_count, loom_tape *tape) {
    uint32_t numbers[NUMBERS_MAX];
    if (bytes == NULL || bytes->type != LOOM_BYTES || bytes->text.length > sizeof numbers ||
        bytes->text.length < HEAD * sizeof *numbers)
        return false;
    memcpy(numbers, bytes->text.bytes, bytes->text.length); /* not aligned */
    const uint32_t members = numbers[0], operands = numbers[1], *at = numbers + HEAD;
    if (members == 0 || members > LOOM_TAPE_MEMBERS_MAX || operands > LOOM_TAPE_OPERANDS_MAX ||
        bytes->text.length != (HEAD + 3 * members + operands) * sizeof *numbers)
        return false;
    for (uint32_t k = 0; k < members; k++, at += 2)
        if (!read_member(at[0], at[1], k + 1 == members, tape)) return false;
    if (tape->operand_count != operands) return false;
    tape->swept = numbers[2];
    memcpy(tape->operands, at, operands * sizeof *at);
    memcpy(tape->steps, at + operands, members * sizeof *at);
    return operands_fit(tape, argument_count);
}

loom_status loom_tape_decode(const loom_value *attributes, uint32_t argument_count, loom_tape *tape, loom_error *err) {
    *tape = (loom_tape){0};
    if (read_tape(attributes, argument_count, tape)) return LOOM_OK;
    return loom_fail(
        err, LOOM_BAD_ARGUMENT,
        "`loom.fused` has no tape that says what it does; it is the runtime's own: call operators by name");
}

void loom_tape_keys(loom_hasher *hasher, const loom_tape *tape, const loom_id *vids,
                    loom_id keys[LOOM_TAPE_MEMBERS_MAX]) {
    loom_id of[LOOM_TAPE_OPERANDS_MAX];
    for (uint32_t k = 0; k < tape->member_count; k++) {
        const loom_tape_member *member = &tape->members[k];
        for (uint32_t i = 0; i < member->count; i++) {
            uint32_t operand = tape->operands[member->first + i];
            of[i] = operand & LOOM_TAPE_MEMBER ? keys[operand & ~LOOM_TAPE_MEMBER] : vids[operand];
        }
        const loom_key_parts parts = {.vids = of, .vid_count = member->count};
        keys[k] = loom_result_key(hasher, member->op, &parts);
    }
}
