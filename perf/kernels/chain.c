/* chain.c - tapes from a few letters: see chain.h. */
#include "perf/kernels/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/fused/tape.h"

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_kernels: %s cannot be in a chain\n", what);
    exit(1);
}

static uint32_t operand_of(char letter, const char *letters) {
    if (letter >= '1' && letter <= '9') return LOOM_TAPE_MEMBER | (uint32_t)(letter - '1');
    const char *at = strchr(letters, letter);
    if (at == NULL) die("an argument that is not there");
    return (uint32_t)(at - letters);
}

loom_value bench_chain(const bench_link links[BENCH_LINKS_MAX], const char *letters, loom_arena *arena) {
    loom_tape tape = {0};
    loom_buffer encoded = {0};
    loom_value attributes;
    for (uint32_t k = 0; k < BENCH_LINKS_MAX && links[k].op != NULL; k++) {
        const loom_operator *op = loom_operator_find(loom_operators(), links[k].op, strlen(links[k].op));
        if (op == NULL) die(links[k].op);
        tape.members[tape.member_count++] =
            (loom_tape_member){op, tape.operand_count, (uint32_t)strlen(links[k].operands)};
        for (const char *letter = links[k].operands; *letter != '\0'; letter++)
            tape.operands[tape.operand_count++] = operand_of(*letter, letters);
    }
    if (loom_tape_encode(&tape, &encoded) != LOOM_OK) die("this");
    void *kept = loom_arena_copy(arena, encoded.bytes, encoded.length);
    if (kept == NULL || loom_value_decode(kept, encoded.length, arena, &attributes, NULL) != LOOM_OK) die("this");
    loom_buffer_free(&encoded);
    return attributes;
}
