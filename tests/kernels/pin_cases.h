/* pin_cases.h - fixed arguments for every operator, made from its signature.
 *
 * Case k of an operator is a scene (images of one grid and of fixed pixel types, whole numbers and simple fractions in
 * them) and a variant (how many arguments, which numbers, what stands where anything may). Many cases are refused; a
 * few dozen are answered. The arguments of a case never change, or every digest in pins.txt would. */
#ifndef LOOM_TESTS_KERNELS_PIN_CASES_H
#define LOOM_TESTS_KERNELS_PIN_CASES_H

#include "harness.h"

enum { PIN_CASES = 384, PIN_ARGUMENTS_MAX = 12 };

typedef struct pin_call {
    loom_value arguments[PIN_ARGUMENTS_MAX];
    uint32_t count;
    loom_value attributes; /* a record, or null */
} pin_call;

/* The arguments of case `number` (below PIN_CASES). They live as long as the harness; the working directory is the one
 * that pin_files filled. */
void pin_case(harness *h, const loom_operator *op, unsigned number, pin_call *call);
/* Files that the operators which read files are asked for. Ends the test when they cannot be written. */
void pin_files(harness *h);

#endif
