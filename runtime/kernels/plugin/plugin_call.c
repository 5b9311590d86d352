/* plugin_call.c - one call of a plug-in's kernel: arguments as plain structs, its result checked and taken over. */
#include <math.h>
#include <string.h>

#include "planner/domain.h"
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/utf8.h"
#include "runtime/kernels/plugin/plugin.h"

/* What `context` of the public call points to. The public call comes first: the one is the other. */
typedef struct plugin_stage {
    loom_plugin_call shown;
    loom_call *call;
    const loom_value *grid; /* the first image among the arguments, or NULL */
    uint32_t grid_position;
    loom_image_info made; /* by new_image */
    bool has_made;
    bool failed; /* through the host: the error is written */
} plugin_stage;

static plugin_stage *stage_of(const loom_plugin_call *shown) {
    return shown->context;
}

static loom_status no_memory(loom_call *call) {
    return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
}

/* ---- from voxloom to the plug-in ---- */

static loom_image_info info_of(const loom_value *image) {
    const loom_image_header *header = image->image.header;
    loom_image_info info = {.size = sizeof info,
                            .dtype = header->dtype,
                            .rank = header->rank,
                            .components = header->components,
                            .voxels = image->image.voxels,
                            .bytes = loom_image_bytes(header)};
    memcpy(info.extent, header->size, sizeof info.extent);
    memcpy(info.spacing, header->spacing, sizeof info.spacing);
    memcpy(info.origin, header->origin, sizeof info.origin);
    memcpy(info.direction, header->direction, sizeof info.direction);
    return info;
}

static bool show(loom_arena *arena, const loom_value *value, loom_plugin_value *shown);

static bool show_items(loom_arena *arena, const loom_value *value, loom_plugin_value *shown) {
    bool record = value->type == LOOM_RECORD;
    size_t count = record ? value->record.count : value->sequence.count;
    loom_plugin_value *items = loom_arena_array(arena, count, sizeof *items);
    loom_plugin_value *names = record ? loom_arena_array(arena, count, sizeof *names) : NULL;
    if (items == NULL || (record && names == NULL)) return false;
    for (size_t i = 0; i < count; i++) {
        const loom_value *item = record ? &value->record.fields[i].value : &value->sequence.items[i];
        if (!show(arena, item, &items[i])) return false;
        if (!record) continue;
        const loom_field *field = &value->record.fields[i];
        names[i] = (loom_plugin_value){.type = LOOM_STRING, .text = field->name, .length = field->name_length};
    }
    shown->items = items;
    shown->names = names;
    shown->length = count;
    return true;
}

/* False when memory is short. A value's nesting is bounded by its encoding. */
static bool show(loom_arena *arena, const loom_value *value, loom_plugin_value *shown) {
    *shown = (loom_plugin_value){.type = (int32_t)value->type, .tuple = value->tuple};
    switch (value->type) {
    case LOOM_BOOL:
        shown->integer = value->boolean;
        shown->number = value->boolean;
        return true;
    case LOOM_INT:
        shown->integer = value->integer;
        shown->number = (double)value->integer;
        return true;
    case LOOM_FLOAT:
        shown->number = value->number;
        return true;
    case LOOM_STRING:
    case LOOM_BYTES:
        shown->text = value->text.bytes != NULL ? value->text.bytes : "";
        shown->length = value->text.length;
        return true;
    case LOOM_SEQUENCE:
    case LOOM_RECORD:
        return show_items(arena, value, shown);
    case LOOM_IMAGE: {
        const loom_image_info info = info_of(value);
        shown->image = loom_arena_copy(arena, &info, sizeof info);
        return shown->image != NULL;
    }
    case LOOM_REFERENCE:
        shown->value_id = value->reference.vid.bytes;
        shown->integer = (int64_t)value->reference.type;
        return true;
    default:
        return true;
    }
}

/* Whether a value is what a letter of a signature says; NULL, or what is needed. */
static const char *mismatch(char letter, const loom_value *value, double *number) {
    switch (letter) {
    case 'n':
        return loom_value_number(value, number) ? NULL : "a number";
    case 'b':
        return value->type == LOOM_BOOL ? NULL : "a truth value";
    case 's':
        return value->type == LOOM_STRING ? NULL : "a string";
    case 'q':
        return value->type == LOOM_SEQUENCE ? NULL : "a sequence";
    case 'r':
        return value->type == LOOM_RECORD ? NULL : "a record";
    case 'i':
        return value->type == LOOM_IMAGE ? NULL : "an image";
    default:
        return NULL;
    }
}

/* Checked and shown. */
static loom_status take_argument(plugin_stage *stage, uint32_t position, loom_plugin_value *shown) {
    loom_call *call = stage->call;
    const loom_value *value = NULL;
    double number = NAN;
    LOOM_TRY(loom_arg(call, position, &value));
    char letter = loom_signature_argument(call->op, position);
    const char *needed = mismatch(letter, value, &number);
    if (needed != NULL) return loom_arg_refuse(call, position, needed);
    if (value->type == LOOM_IMAGE) {
        LOOM_TRY(loom_arg_any_image(call, position, &value));
        if (stage->grid == NULL) {
            stage->grid = value;
            stage->grid_position = position;
        } else if (call->op->flags & LOOM_OP_SHARES_DOMAIN) {
            LOOM_TRY(loom_arg_same_domain(call, stage->grid, stage->grid_position, value, position));
        }
    }
    if (!show(call->arena, value, shown)) return no_memory(call);
    if (letter == 'n') shown->number = number;
    return LOOM_OK;
}

/* ---- what the plug-in may ask for ---- */

static loom_status header_of(loom_call *call, const loom_image_info *like, loom_image_header *header) {
    if (like == NULL || like->size != sizeof *like)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` asked for an image without saying which (size is sizeof(loom_image_info))",
                         call->op->name);
    if (like->rank < 2 || like->rank > LOOM_RANK_MAX || like->dtype > UINT8_MAX ||
        loom_dtype_bytes((uint8_t)like->dtype) == 0 || like->components > UINT16_MAX)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` asked for an image of pixel type %u, rank %u and %u components, which there is not",
                         call->op->name, like->dtype, like->rank, like->components);
    *header = loom_image_header_make((loom_dtype)like->dtype, like->rank, like->extent);
    header->components = (uint16_t)like->components;
    memcpy(header->spacing, like->spacing, sizeof header->spacing);
    memcpy(header->origin, like->origin, sizeof header->origin);
    memcpy(header->direction, like->direction, sizeof header->direction);
    return loom_image_header_check(header, call->err);
}

static loom_status check_grid(const plugin_stage *stage, const loom_image_header *header) {
    char why[160];
    loom_call *call = stage->call;
    if (!(call->op->flags & LOOM_OP_SHARES_DOMAIN)) return LOOM_OK;
    if (stage->grid == NULL)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got no image on whose grid its result could lie",
                         call->op->name);
    if (loom_image_same_domain(stage->grid->image.header, header, why)) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_DOMAIN,
                     "`%s` says that its result lies on its arguments' grid and asked for another (%s)", call->op->name,
                     why);
}

static loom_status new_image(loom_plugin_call *shown, const loom_image_info *like, void **voxels) {
    plugin_stage *stage = stage_of(shown);
    loom_call *call = stage->call;
    loom_image_header header;
    *voxels = NULL;
    stage->failed = true;
    if (stage->has_made)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` asked for two result images", call->op->name);
    if (loom_signature_result(call->op) != 'i')
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` made an image, but its signature does not say that it gives one", call->op->name);
    LOOM_TRY(header_of(call, like, &header));
    LOOM_TRY(check_grid(stage, &header));
    LOOM_TRY(call->services->new_image(call, &header, voxels));
    stage->failed = false;
    stage->has_made = true;
    stage->made = info_of(&call->result);
    shown->result = (loom_plugin_value){.type = LOOM_ITEM_IMAGE, .image = &stage->made};
    return LOOM_OK;
}

static void *memory(loom_plugin_call *shown, size_t bytes) {
    loom_call *call = stage_of(shown)->call;
    void *piece = call->services->scratch(call, bytes > 0 ? bytes : 1);
    return piece != NULL ? memset(piece, 0, bytes) : NULL;
}

static loom_status fetch(loom_plugin_call *shown, const loom_plugin_value *reference, loom_plugin_value *value) {
    plugin_stage *stage = stage_of(shown);
    loom_call *call = stage->call;
    *value = (loom_plugin_value){0};
    stage->failed = true;
    if (reference == NULL || reference->type != LOOM_ITEM_REFERENCE || reference->value_id == NULL)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` fetched what is no reference", call->op->name);
    loom_value named = {.type = LOOM_REFERENCE, .reference = {.type = (loom_type)reference->integer}}, found;
    memcpy(named.reference.vid.bytes, reference->value_id, sizeof named.reference.vid.bytes);
    LOOM_TRY(loom_call_resolve(call, &named, &found));
    if (!show(call->arena, &found, value)) return no_memory(call);
    stage->failed = false;
    return LOOM_OK;
}

static loom_status fail(loom_plugin_call *shown, loom_status status, const char *message) {
    plugin_stage *stage = stage_of(shown);
    bool known = status > LOOM_OK && status <= LOOM_OLDER_STORE;
    char line[512];
    snprintf(line, sizeof line, "%s", message != NULL && message[0] != '\0' ? message : "it failed without a word");
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20) *at = ' ';
    stage->failed = true;
    return loom_fail(stage->call->err, known ? status : LOOM_BAD_ARGUMENT, "`%s`: %s", stage->call->op->name, line);
}

static const loom_plugin_host host = {
    .size = sizeof host, .new_image = new_image, .memory = memory, .fetch = fetch, .fail = fail};

/* ---- from the plug-in to voxloom ---- */

static loom_status bad_result(loom_call *call, const char *what) {
    return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` gave %s; the plug-in must be mended", call->op->name, what);
}

static loom_status take(loom_call *call, const loom_plugin_value *given, int depth, loom_value *value);

static loom_status take_text(loom_call *call, const loom_plugin_value *given, const char **text, size_t *length) {
    if (given->length > SIZE_MAX || (given->text == NULL && given->length > 0))
        return bad_result(call, "text without bytes");
    *text = given->text;
    *length = (size_t)given->length;
    return LOOM_OK;
}

static loom_status take_string(loom_call *call, const loom_plugin_value *given, const char **text, size_t *length) {
    LOOM_TRY(take_text(call, given, text, length));
    return *length == 0 || loom_utf8_valid(*text, *length) ? LOOM_OK : bad_result(call, "a string that is not UTF-8");
}

static loom_status take_sequence(loom_call *call, const loom_plugin_value *given, int depth, loom_value *value) {
    loom_value *items = loom_arena_array(call->arena, (size_t)given->length, sizeof *items);
    if (items == NULL) return no_memory(call);
    for (size_t i = 0; i < given->length; i++)
        LOOM_TRY(take(call, &given->items[i], depth + 1, &items[i]));
    *value = given->tuple ? loom_tuple(items, (size_t)given->length) : loom_sequence(items, (size_t)given->length);
    return LOOM_OK;
}

static loom_status take_record(loom_call *call, const loom_plugin_value *given, int depth, loom_value *value) {
    loom_field *fields = loom_arena_array(call->arena, (size_t)given->length, sizeof *fields);
    if (fields == NULL) return no_memory(call);
    if (given->names == NULL && given->length > 0) return bad_result(call, "a record without names");
    for (size_t i = 0; i < given->length; i++) {
        LOOM_TRY(take_string(call, &given->names[i], &fields[i].name, &fields[i].name_length));
        LOOM_TRY(take(call, &given->items[i], depth + 1, &fields[i].value));
    }
    *value = loom_record(fields, (size_t)given->length);
    return LOOM_OK;
}

/* Text is borrowed: it lives until the result was taken. */
static loom_status take(loom_call *call, const loom_plugin_value *given, int depth, loom_value *value) {
    const char *text = NULL;
    size_t length = 0;
    bool holds_items = given->type == LOOM_ITEM_SEQUENCE || given->type == LOOM_ITEM_RECORD;
    if (depth > LOOM_VALUE_DEPTH_MAX) return bad_result(call, "a value nested deeper than 64");
    if (holds_items && (given->length > SIZE_MAX || (given->items == NULL && given->length > 0)))
        return bad_result(call, "a sequence or record without items");
    switch (given->type) {
    case LOOM_ITEM_NULL:
        *value = loom_null();
        return LOOM_OK;
    case LOOM_ITEM_BOOL:
        *value = loom_bool(given->integer != 0);
        return LOOM_OK;
    case LOOM_ITEM_INT:
        *value = loom_int(given->integer);
        return LOOM_OK;
    case LOOM_ITEM_FLOAT:
        *value = loom_float(given->number);
        return LOOM_OK;
    case LOOM_ITEM_STRING:
        LOOM_TRY(take_string(call, given, &text, &length));
        *value = loom_string(text, length);
        return LOOM_OK;
    case LOOM_ITEM_BYTES:
        LOOM_TRY(take_text(call, given, &text, &length));
        *value = loom_bytes(text, length);
        return LOOM_OK;
    case LOOM_ITEM_SEQUENCE:
        return take_sequence(call, given, depth, value);
    case LOOM_ITEM_RECORD:
        return take_record(call, given, depth, value);
    default:
        return bad_result(call, "a value of a type that results cannot have");
    }
}

static loom_status take_result(plugin_stage *stage) {
    loom_call *call = stage->call;
    const loom_plugin_value *given = &stage->shown.result;
    char letter = loom_signature_result(call->op);
    if (letter == 'i') { /* new_image has set the result */
        if (given->type == LOOM_ITEM_IMAGE && stage->has_made) return LOOM_OK;
        return bad_result(call, "no image of its own making where its signature says that it gives one");
    }
    loom_value value;
    double number;
    LOOM_TRY(take(call, given, 0, &value));
    bool is_text = letter == 'n' && value.type == LOOM_STRING;
    if (mismatch(letter, &value, &number) != NULL || is_text)
        return bad_result(call, "a value of another type than its signature says");
    call->result = value;
    return LOOM_OK;
}

loom_status loom_run_plugin(loom_call *call) {
    const loom_plugin_operator *plugin = (const void *)loom_kernel_of(call->op);
    loom_plugin_value *arguments = loom_arena_array(call->arena, call->argument_count, sizeof *arguments);
    if (arguments == NULL) return no_memory(call);
    plugin_stage stage = {.shown = {.size = sizeof stage.shown,
                                    .host = &host,
                                    .arguments = arguments,
                                    .argument_count = call->argument_count},
                          .call = call};
    stage.shown.context = &stage;
    for (uint32_t i = 0; i < call->argument_count; i++)
        LOOM_TRY(take_argument(&stage, i, &arguments[i]));
    loom_status status = plugin->call(&stage.shown);
    if (status == LOOM_OK) return take_result(&stage);
    bool told = stage.failed && call->err->status != LOOM_OK;
    return told ? call->err->status : fail(&stage.shown, status, NULL);
}
