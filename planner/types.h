/* types.h - what is known of a value's type before anything runs, and what operators need.
 *
 * A type is a kind, and for sequences the type of the items: four bits each, the outermost lowest, so that a type is
 * one number. What cannot be known is unknown, and fits everywhere: nothing is refused that might run. */
#ifndef LOOM_PLANNER_TYPES_H
#define LOOM_PLANNER_TYPES_H

#include "planner/plan.h"

typedef uint32_t loom_static_type;

enum {
    LOOM_IS_UNKNOWN = 0,
    LOOM_IS_SCALAR, /* number, truth value, string or null */
    LOOM_IS_NUMBER,
    LOOM_IS_TRUTH,
    LOOM_IS_STRING,
    LOOM_IS_NULL,
    LOOM_IS_RECORD,
    LOOM_IS_SEQUENCE,
    LOOM_IS_IMAGE,
    LOOM_IS_FUNCTION
};

static inline unsigned loom_type_kind(loom_static_type type) {
    return type & 15u;
}
/* Nesting beyond eight levels is unknown. */
static inline loom_static_type loom_type_sequence_of(loom_static_type item) {
    return LOOM_IS_SEQUENCE | item << 4;
}
/* Of what a loop gets from a value of this type. */
loom_static_type loom_type_item(loom_static_type type);
/* What a value is that may be either. */
loom_static_type loom_type_join(loom_static_type a, loom_static_type b);
loom_static_type loom_type_of_value(const loom_value *value);

/* The result of a call, by the types of its arguments: all but loops, whose bodies tell. */
loom_static_type loom_type_of_call(const loom_operator *op, const char *fold_operator,
                                   const loom_static_type *arguments, uint32_t count);

/* What argument `position` of `count` needs and surely is not ("an image"), or NULL. `value` is the constant that
 * stands there, or NULL. Says nothing that the operator's kernel would not say of every such value. */
const char *loom_type_need(const loom_operator *op, uint32_t position, uint32_t count, loom_static_type type,
                           const loom_value *value);
/* In words, for messages: "a sequence of images". */
const char *loom_type_words(loom_static_type type);

#endif
