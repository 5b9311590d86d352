/* fold.c - left folds with + - * / && || min max, over numbers, strings, sequences, and images (+ - * /).
 *
 * A fold over images keeps its sum in the result image. It is done in parts of values; each part goes through all
 * items, so that its piece of the sum stays in the cache. Scratch: the items' values, a worker. */
#include <stdio.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/arith.h"

typedef enum fold_kind { FOLD_ARITH, FOLD_AND, FOLD_OR, FOLD_MIN, FOLD_MAX } fold_kind;

typedef struct fold {
    fold_kind kind;
    loom_arith op;
    loom_value init;
    bool has_init;
    const loom_value *sequence;
} fold;

static const struct {
    const char *text;
    fold_kind kind;
    loom_arith op;
} operators[] = {
    {"+", FOLD_ARITH, LOOM_ADD},    {"-", FOLD_ARITH, LOOM_SUBTRACT}, {"*", FOLD_ARITH, LOOM_MULTIPLY},
    {"/", FOLD_ARITH, LOOM_DIVIDE}, {"&&", FOLD_AND, LOOM_ADD},       {"||", FOLD_OR, LOOM_ADD},
    {"min", FOLD_MIN, LOOM_ADD},    {"max", FOLD_MAX, LOOM_ADD},
};

static loom_status read_operator(loom_call *call, fold *work) {
    const loom_value *text = call->attributes != NULL && call->attributes->type == LOOM_RECORD
                                 ? loom_record_get(call->attributes, "operator")
                                 : NULL;
    for (size_t k = 0; text != NULL && text->type == LOOM_STRING && k < sizeof operators / sizeof operators[0]; k++)
        if (strlen(operators[k].text) == text->text.length &&
            memcmp(operators[k].text, text->text.bytes, text->text.length) == 0) {
            work->kind = operators[k].kind;
            work->op = operators[k].op;
            return LOOM_OK;
        }
    return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` needs one of the operators + - * / && || min max",
                     call->op->name);
}

/* What a fold begins with when the program does not say. min, max take their first item. */
static loom_status default_init(loom_call *call, fold *work) {
    switch (work->kind) {
    case FOLD_ARITH:
        if (work->op == LOOM_DIVIDE)
            return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`fold /` needs an initial value: fold / INIT SEQUENCE");
        work->init = loom_int(work->op == LOOM_MULTIPLY ? 1 : 0);
        break;
    case FOLD_AND:
        work->init = loom_bool(true);
        break;
    case FOLD_OR:
        work->init = loom_bool(false);
        break;
    case FOLD_MIN:
    case FOLD_MAX:
        if (work->sequence->sequence.count == 0)
            return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`fold %s` got an empty sequence and no initial value",
                             work->kind == FOLD_MIN ? "min" : "max");
        return LOOM_OK;
    }
    work->has_init = true;
    return LOOM_OK;
}

/* Python's a < b for numbers and strings; false in *known otherwise. */
static bool is_less(const loom_value *a, const loom_value *b, bool *known) {
    *known = true;
    if (a->type == LOOM_INT && b->type == LOOM_INT) return a->integer < b->integer;
    if (a->type == LOOM_STRING && b->type == LOOM_STRING) {
        size_t common = a->text.length < b->text.length ? a->text.length : b->text.length;
        int order = common == 0 ? 0 : memcmp(a->text.bytes, b->text.bytes, common);
        return order < 0 || (order == 0 && a->text.length < b->text.length);
    }
    double left = 0, right = 0;
    *known =
        a->type != LOOM_STRING && b->type != LOOM_STRING && loom_value_number(a, &left) && loom_value_number(b, &right);
    return *known && left < right;
}

static loom_status step(loom_call *call, const fold *work, const char *where, const loom_value *item, loom_value *sum) {
    bool known = true, replaces = false;
    switch (work->kind) {
    case FOLD_ARITH: {
        loom_value next = loom_null();
        LOOM_TRY(loom_arith_values(call, work->op, where, sum, item, &next));
        *sum = next;
        return LOOM_OK;
    }
    case FOLD_AND:
        *sum = loom_bool(loom_value_is_true(sum) && loom_value_is_true(item));
        return LOOM_OK;
    case FOLD_OR:
        *sum = loom_bool(loom_value_is_true(sum) || loom_value_is_true(item));
        return LOOM_OK;
    case FOLD_MIN:
        replaces = is_less(item, sum, &known);
        break;
    case FOLD_MAX:
        replaces = is_less(sum, item, &known);
        break;
    }
    if (!known) return loom_value_refuse(call, where, item, "items that can be compared: numbers, or strings");
    if (replaces) *sum = *item;
    return LOOM_OK;
}

static bool is_image(const loom_value *value) {
    return value->type == LOOM_IMAGE || (value->type == LOOM_REFERENCE && value->reference.type == LOOM_IMAGE);
}

static loom_status image_item(loom_call *call, const loom_value *item, loom_value *image) {
    LOOM_TRY(loom_call_resolve(call, item, image));
    if (image->type != LOOM_IMAGE)
        return loom_value_refuse(call, "an item", image, "images only, once one is an image");
    if (image->image.voxels != NULL) return LOOM_OK;
    return loom_fail(call->err, LOOM_INTERNAL, "an item of `%s` is an image whose voxels are not mapped",
                     call->op->name);
}

/* Whether an item can be added to the others. */
static loom_status check_item(loom_call *call, const loom_image_header *header, const loom_value *item) {
    char why[160];
    const loom_image_header *other = item->image.header;
    if (!loom_image_same_domain(header, other, why))
        return loom_fail(call->err, LOOM_BAD_DOMAIN, "items of `%s` are images on different grids (%s)", call->op->name,
                         why);
    if (loom_arith_dtype(other->dtype) != (loom_dtype)header->dtype || other->components != header->components)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "items of `%s` have different pixel types (%s and %s)",
                         call->op->name, loom_dtype_itk_name(header->dtype), loom_dtype_itk_name(other->dtype));
    return LOOM_OK;
}

/* The images in order, the initial one first if there is one; in scratch memory. */
static loom_status find_images(loom_call *call, const loom_value *init, const loom_value *sequence,
                               loom_value **images) {
    size_t count = sequence->sequence.count, at = 0;
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, count + 1, sizeof **images, &memory));
    *images = memory;
    if (init != NULL) LOOM_TRY(image_item(call, init, &(*images)[at++]));
    for (size_t k = 0; k < count; k++)
        LOOM_TRY(image_item(call, &sequence->sequence.items[k], &(*images)[at++]));
    return LOOM_OK;
}

/* What the parts must know. */
typedef struct image_fold {
    loom_arith op;
    uint32_t sequence_at;
    bool image_init; /* else `left` is the initial value */
    loom_pixel left;
    uint64_t images;
} image_fold;

static loom_status fold_part(loom_part *part) {
    const image_fold *what = part->state;
    loom_value *images = *part->local;
    if (images == NULL) {
        const loom_value *init = NULL, *sequence = NULL;
        if (what->image_init) LOOM_TRY(loom_arg(part->call, 0, &init));
        LOOM_TRY(loom_arg_sequence(part->call, what->sequence_at, &sequence));
        LOOM_TRY(find_images(part->call, init, sequence, &images));
        *part->local = images;
    }
    uint8_t dtype = (uint8_t)loom_arith_dtype(images[0].image.header->dtype);
    void *sum = loom_values_of(part->voxels, dtype, part->first);
    if (what->image_init)
        memcpy(sum, loom_values_at(&images[0], part->first), part->count * loom_dtype_bytes(dtype));
    else
        loom_arith_left(what->op, dtype, what->left, loom_values_at(&images[0], part->first), sum, part->count);
    for (uint64_t k = 1; k < what->images; k++)
        loom_arith_images(what->op, dtype, sum, loom_values_at(&images[k], part->first), sum, part->count);
    return LOOM_OK;
}
static const loom_part_run loops[] = {fold_part};
const loom_loops loom_loops_fold = {.run = loops, .count = 1};

static loom_status fold_images(loom_call *call, const fold *work, uint32_t sequence_at) {
    bool image_init = work->has_init && is_image(&work->init);
    image_fold what = {.op = work->op,
                       .sequence_at = sequence_at,
                       .image_init = image_init,
                       .images = work->sequence->sequence.count + image_init};
    loom_value *images = NULL;
    double number = 0;
    void *sum = NULL;
    LOOM_TRY(find_images(call, image_init ? &work->init : NULL, work->sequence, &images));
    loom_image_header header = *images[0].image.header;
    header.dtype = (uint8_t)loom_arith_dtype(header.dtype);
    for (uint64_t k = 1; k < what.images; k++)
        LOOM_TRY(check_item(call, &header, &images[k]));
    if (!image_init) {
        if (!loom_value_number(&work->init, &number))
            return loom_value_refuse(call, "the initial value", &work->init, "a number or an image");
        what.left = loom_pixel_from_double(header.dtype, number);
    }
    LOOM_TRY(call->services->new_image(call, &header, &sum));
    return loom_run_parts(call, 0, loom_image_voxels(&header) * header.components, LOOM_PART_VALUES, &what,
                          sizeof what);
}

loom_status loom_run_fold(loom_call *call) {
    fold work = {0};
    const loom_value *init = NULL;
    uint32_t sequence_at = call->argument_count > 1 ? 1 : 0;
    LOOM_TRY(read_operator(call, &work));
    LOOM_TRY(loom_arg_sequence(call, sequence_at, &work.sequence));
    if (sequence_at == 1) {
        LOOM_TRY(loom_arg(call, 0, &init));
        work.init = *init;
        work.has_init = init->type != LOOM_NULL;
    }
    if (!work.has_init) LOOM_TRY(default_init(call, &work));
    size_t count = work.sequence->sequence.count, k = 0;
    const loom_value *items = work.sequence->sequence.items;
    if (count > 0 && (is_image(&items[0]) || (work.has_init && is_image(&work.init))) && work.kind == FOLD_ARITH)
        return fold_images(call, &work, sequence_at);
    loom_value sum = work.init;
    if (!work.has_init) LOOM_TRY(loom_call_resolve(call, &items[k++], &sum));
    for (; k < count; k++) {
        char where[32];
        snprintf(where, sizeof where, "item %zu", k);
        loom_value item = items[k];
        bool truth_only = work.kind == FOLD_AND || work.kind == FOLD_OR;
        if (truth_only && is_image(&item)) item = loom_bool(true);
        LOOM_TRY(loom_call_resolve(call, &item, &item));
        LOOM_TRY(step(call, &work, where, &item, &sum));
    }
    call->result = sum;
    return LOOM_OK;
}
