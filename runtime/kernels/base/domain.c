/* domain.c - grids as values: loom.domain, and how operators without an image read their grid: see domain.h. */
#include "runtime/kernels/base/domain.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/kernels.h"

static loom_status floats_value(loom_arena *arena, const double *numbers, size_t count, loom_value *value) {
    loom_value *items = loom_arena_array(arena, count, sizeof *items);
    if (items == NULL) return LOOM_NO_MEMORY;
    for (size_t k = 0; k < count; k++)
        items[k] = loom_float(numbers[k]);
    *value = loom_sequence(items, count);
    return LOOM_OK;
}

loom_status loom_domain_record(loom_arena *arena, const loom_image_header *header, loom_value *record) {
    enum { SIZE, SPACING, ORIGIN, DIRECTION, RANK, FIELDS };
    static const char *const names[FIELDS] = {"size", "spacing", "origin", "direction", "rank"};
    unsigned rank = header->rank;
    loom_field *fields = loom_arena_array(arena, FIELDS, sizeof *fields);
    loom_value *size = loom_arena_array(arena, rank, sizeof *size);
    if (fields == NULL || size == NULL) return LOOM_NO_MEMORY;
    for (int k = 0; k < FIELDS; k++)
        fields[k] = (loom_field){.name = names[k], .name_length = strlen(names[k])};
    double direction[LOOM_RANK_MAX * LOOM_RANK_MAX];
    for (unsigned row = 0; row < rank; row++) {
        size[row] = loom_int((int64_t)header->size[row]);
        for (unsigned column = 0; column < rank; column++)
            direction[row * rank + column] = header->direction[row * LOOM_RANK_MAX + column];
    }
    fields[SIZE].value = loom_sequence(size, rank);
    LOOM_TRY(floats_value(arena, header->spacing, rank, &fields[SPACING].value));
    LOOM_TRY(floats_value(arena, header->origin, rank, &fields[ORIGIN].value));
    LOOM_TRY(floats_value(arena, direction, (size_t)rank * rank, &fields[DIRECTION].value));
    fields[RANK].value = loom_int((int64_t)rank);
    *record = loom_record(fields, FIELDS);
    return LOOM_OK;
}

/* `count` numbers of the record's field, or false. */
static bool read_numbers(const loom_value *record, const char *name, size_t count, double *numbers) {
    const loom_value *field = loom_record_get(record, name);
    if (field == NULL || field->type != LOOM_SEQUENCE || field->sequence.count != count) return false;
    for (size_t k = 0; k < count; k++)
        if (!loom_value_number(&field->sequence.items[k], &numbers[k])) return false;
    return true;
}

static bool header_from_record(const loom_value *record, loom_image_header *header) {
    const loom_value *rank_value = loom_record_get(record, "rank");
    const loom_value *size = loom_record_get(record, "size");
    int64_t rank = 0;
    if (rank_value == NULL || !loom_value_integer(rank_value, false, &rank) || rank < 2 || rank > LOOM_RANK_MAX)
        return false;
    size_t axes = (size_t)rank;
    if (size == NULL || size->type != LOOM_SEQUENCE || size->sequence.count != axes) return false;
    uint64_t sizes[LOOM_RANK_MAX] = {0};
    for (size_t k = 0; k < axes; k++) {
        int64_t voxels = 0;
        if (!loom_value_integer(&size->sequence.items[k], false, &voxels) || voxels < 1) return false;
        sizes[k] = (uint64_t)voxels;
    }
    *header = loom_image_header_make(LOOM_BOOL8, (unsigned)rank, sizes);
    double direction[LOOM_RANK_MAX * LOOM_RANK_MAX];
    if (!read_numbers(record, "spacing", axes, header->spacing) ||
        !read_numbers(record, "origin", axes, header->origin) ||
        !read_numbers(record, "direction", axes * axes, direction))
        return false;
    for (size_t row = 0; row < axes; row++)
        for (size_t column = 0; column < axes; column++)
            header->direction[row * LOOM_RANK_MAX + column] = direction[row * axes + column];
    return true;
}

loom_status loom_arg_domain(loom_call *call, uint32_t position, loom_image_header *header) {
    if (position >= call->argument_count)
        return loom_fail(call->err, LOOM_BAD_DOMAIN,
                         "`%s` has no image of its own and meets none here; combine it with an image, or name one",
                         call->op->name);
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type == LOOM_IMAGE) {
        *header = *value->image.header;
        header->dtype = LOOM_BOOL8;
        header->components = 1;
        return LOOM_OK;
    }
    if (value->type != LOOM_RECORD || !header_from_record(value, header))
        return loom_arg_refuse(call, position, "an image, or a record of size, spacing, origin, direction and rank");
    return loom_image_header_check(header, call->err);
}

/* True if the value is an image or contains one; *header is then the first one's. */
static loom_status first_image(loom_call *call, const loom_value *value, const loom_image_header **header) {
    if (value->type == LOOM_IMAGE) {
        *header = value->image.header;
    } else if (value->type == LOOM_REFERENCE && value->reference.type == LOOM_IMAGE) {
        loom_value fetched = loom_null();
        LOOM_TRY(loom_call_resolve(call, value, &fetched));
        if (fetched.type == LOOM_IMAGE) *header = fetched.image.header;
    }
    return LOOM_OK;
}

loom_status loom_run_domain(loom_call *call) {
    const loom_image_header *header = NULL;
    for (uint32_t k = 0; k < call->argument_count && header == NULL; k++)
        LOOM_TRY(first_image(call, &call->arguments[k], &header));
    for (uint32_t k = 0; k < call->argument_count && header == NULL; k++) {
        const loom_value *argument = &call->arguments[k];
        if (argument->type == LOOM_SEQUENCE)
            for (size_t i = 0; i < argument->sequence.count && header == NULL; i++)
                LOOM_TRY(first_image(call, &argument->sequence.items[i], &header));
        /* The grid of an operand that was itself given one. */
        if (argument->type == LOOM_RECORD) {
            loom_image_header given = {0};
            if (header_from_record(argument, &given)) {
                call->result = *argument;
                return LOOM_OK;
            }
        }
    }
    if (header == NULL)
        return loom_fail(call->err, LOOM_BAD_DOMAIN,
                         "border, tt, x, constant or the like meets no image here, so it has no size; combine it with "
                         "an image, or name one: border(img)");
    return loom_domain_record(call->arena, header, &call->result);
}

loom_status loom_run_common_domain(loom_call *call) {
    const loom_image_header *first = NULL;
    for (uint32_t k = 0; k < call->argument_count; k++) {
        const loom_image_header *header = NULL;
        char why[160] = "";
        LOOM_TRY(first_image(call, &call->arguments[k], &header));
        if (header == NULL || first == NULL) {
            first = header ? header : first;
        } else if (!loom_image_same_domain(first, header, why)) {
            return loom_fail(call->err, LOOM_BAD_DOMAIN,
                             "border, tt, x, constant or the like stands alone, and the program's images differ (%s); "
                             "combine it with one of them, or name one: border(img)",
                             why);
        }
    }
    if (first == NULL) return loom_fail(call->err, LOOM_BAD_DOMAIN, "none of the program's inputs is an image");
    return loom_domain_record(call->arena, first, &call->result);
}
