/* arguments.h - how kernels read their arguments and make their results, with one wording for every error.
 *
 * Positions are 0-based here and 1-based in messages. Every function fills call->err and returns LOOM_BAD_ARGUMENT (or
 * LOOM_BAD_DOMAIN) when the argument is missing or of the wrong kind, so a kernel never sees one. */
#ifndef LOOM_KERNELS_ARGUMENTS_H
#define LOOM_KERNELS_ARGUMENTS_H

#include "runtime/kernels/kernel.h"

/* "argument 2 is a string; `vox1.near` needs an image" */
loom_status loom_arg_refuse(loom_call *call, uint32_t position, const char *needed);
/* The same for any value, named by the caller ("item 3 of argument 1"). */
loom_status loom_value_refuse(loom_call *call, const char *where, const loom_value *value, const char *needed);
/* What a value is, in words: "a string", "an image of 32-bit float". */
const char *loom_value_kind(const loom_value *value);

/* The argument itself, references fetched. */
loom_status loom_arg(loom_call *call, uint32_t position, const loom_value **value);
/* Python's float(): numbers, truth values, numeric strings. */
loom_status loom_arg_number(loom_call *call, uint32_t position, double *number);
/* Python's bool(). */
loom_status loom_arg_truth(loom_call *call, uint32_t position, bool *truth);
/* An integer, an integral double, or (text accepted) an integer string; truth values refused, as VoxLogicA-2 does. */
loom_status loom_arg_integer(loom_call *call, uint32_t position, bool text_accepted, int64_t *integer);
loom_status loom_arg_string(loom_call *call, uint32_t position, const char **text, size_t *length);
/* A NUL-terminated copy; text with a NUL inside is refused. */
loom_status loom_arg_path(loom_call *call, uint32_t position, const char **path);
loom_status loom_arg_sequence(loom_call *call, uint32_t position, const loom_value **sequence);
/* Any image, its voxels mapped. */
loom_status loom_arg_any_image(loom_call *call, uint32_t position, const loom_value **image);
/* An image of one component. */
loom_status loom_arg_image(loom_call *call, uint32_t position, const loom_value **image);
/* LOOM_BAD_DOMAIN unless both images lie on the same grid. Positions are for the message. */
loom_status loom_arg_same_domain(loom_call *call, const loom_value *a, uint32_t position_a, const loom_value *b,
                                 uint32_t position_b);
/* LOOM_BAD_ARGUMENT unless both images have the same pixel type (bool8 and u8 are one) and components. */
loom_status loom_arg_same_pixels(loom_call *call, const loom_value *a, uint32_t position_a, const loom_value *b,
                                 uint32_t position_b);

/* Conversions of bare values; false when Python would raise. */
bool loom_value_number(const loom_value *value, double *number);
bool loom_value_integer(const loom_value *value, bool text_accepted, int64_t *integer);
/* Resolves a reference through the services; other values are returned as they are. */
loom_status loom_call_resolve(loom_call *call, const loom_value *value, loom_value *resolved);

/* Space for a result on the grid of `like`. */
loom_status loom_result_image(loom_call *call, const loom_image_header *like, loom_dtype dtype, uint16_t components,
                              void **voxels);
/* Scratch memory, or LOOM_NO_MEMORY with a message. */
loom_status loom_scratch(loom_call *call, size_t count, size_t item_bytes, void **memory);

#endif
