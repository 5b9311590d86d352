/* pixel_ids.c - SimpleITK's numbers and names of pixel types (sitkPixelIDValues): see pixel_ids.h. */
#include "runtime/kernels/voxelwise/pixel_ids.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/kernels.h"

/* In the order of their numbers, from 0 on; dtype 0: not of images here. */
static const struct {
    const char *name, *words;
    uint8_t dtype;
    bool vector;
} ids[] = {
    {"sitkInt8", "8-bit signed integer", LOOM_I8, false},
    {"sitkUInt8", "8-bit unsigned integer", LOOM_U8, false},
    {"sitkInt16", "16-bit signed integer", LOOM_I16, false},
    {"sitkUInt16", "16-bit unsigned integer", LOOM_U16, false},
    {"sitkInt32", "32-bit signed integer", LOOM_I32, false},
    {"sitkUInt32", "32-bit unsigned integer", LOOM_U32, false},
    {"sitkInt64", "64-bit signed integer", LOOM_I64, false},
    {"sitkUInt64", "64-bit unsigned integer", LOOM_U64, false},
    {"sitkFloat32", "32-bit float", LOOM_F32, false},
    {"sitkFloat64", "64-bit float", LOOM_F64, false},
    {"sitkComplexFloat32", "complex of 32-bit float", 0, false},
    {"sitkComplexFloat64", "complex of 64-bit float", 0, false},
    {"sitkVectorInt8", "vector of 8-bit signed integer", LOOM_I8, true},
    {"sitkVectorUInt8", "vector of 8-bit unsigned integer", LOOM_U8, true},
    {"sitkVectorInt16", "vector of 16-bit signed integer", LOOM_I16, true},
    {"sitkVectorUInt16", "vector of 16-bit unsigned integer", LOOM_U16, true},
    {"sitkVectorInt32", "vector of 32-bit signed integer", LOOM_I32, true},
    {"sitkVectorUInt32", "vector of 32-bit unsigned integer", LOOM_U32, true},
    {"sitkVectorInt64", "vector of 64-bit signed integer", LOOM_I64, true},
    {"sitkVectorUInt64", "vector of 64-bit unsigned integer", LOOM_U64, true},
    {"sitkVectorFloat32", "vector of 32-bit float", LOOM_F32, true},
    {"sitkVectorFloat64", "vector of 64-bit float", LOOM_F64, true},
    {"sitkLabelUInt8", "label of 8-bit unsigned integer", 0, false},
    {"sitkLabelUInt16", "label of 16-bit unsigned integer", 0, false},
    {"sitkLabelUInt32", "label of 32-bit unsigned integer", 0, false},
    {"sitkLabelUInt64", "label of 64-bit unsigned integer", 0, false},
};
#define IDS ((int64_t)(sizeof ids / sizeof ids[0]))

bool loom_pixel_id_dtype(int64_t number, uint8_t *dtype, bool *vector) {
    if (number < 0 || number >= IDS || ids[number].dtype == 0) return false;
    *dtype = ids[number].dtype;
    *vector = ids[number].vector;
    return true;
}

loom_status loom_run_pixel_id(loom_call *call) {
    const char *text = NULL;
    size_t length = 0;
    LOOM_TRY(loom_arg_string(call, 0, &text, &length));
    for (int64_t number = LOOM_PIXEL_ID_UNKNOWN; number < IDS; number++) {
        const char *name = number < 0 ? "sitkUnknown" : ids[number].name;
        if (strlen(name) != length || memcmp(name, text, length) != 0) continue;
        call->result = loom_int(number);
        return LOOM_OK;
    }
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "argument 1 of `%s` is \"%.*s\", which names no pixel type; use sitkUInt8, sitkInt16, "
                     "sitkFloat32 or the like",
                     call->op->name, length > 60 ? 60 : (int)length, text);
}

loom_status loom_run_sitk_pixel_name(loom_call *call) {
    int64_t number = 0;
    LOOM_TRY(loom_arg_integer(call, 0, false, &number));
    if (number < LOOM_PIXEL_ID_UNKNOWN || number >= IDS)
        return loom_arg_refuse(call, 0, "the number of a pixel type, from -1 to 25");
    call->result = loom_string_of(number < 0 ? "Unknown pixel id" : ids[number].words);
    return LOOM_OK;
}
