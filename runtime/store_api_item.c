/* store_api_item.c - <voxloom/store.h>: results as items, whose parts are made when they are asked for. */
#include <stdlib.h>
#include <string.h>

#include "runtime/store_api.h"

/* What all items of one result share. */
typedef struct loaded_result {
    loom_arena *arena;
    loom_result result;
    loom_value value;
    loom_view view;
    void (*release)(void *context); /* of what all this lives in; NULL: the shelf, which its user keeps open */
    void *context;
} loaded_result;

struct loom_item {
    loaded_result *loaded;
    const loom_value *value;
    loom_item *parts;    /* NULL until one is asked for; in the arena */
    loom_item *metadata; /* the same */
    bool root;
};

_Static_assert((int)LOOM_ITEM_NULL == LOOM_NULL && (int)LOOM_ITEM_BOOL == LOOM_BOOL && (int)LOOM_ITEM_INT == LOOM_INT &&
                   (int)LOOM_ITEM_FLOAT == LOOM_FLOAT && (int)LOOM_ITEM_STRING == LOOM_STRING &&
                   (int)LOOM_ITEM_BYTES == LOOM_BYTES && (int)LOOM_ITEM_RECORD == LOOM_RECORD &&
                   (int)LOOM_ITEM_SEQUENCE == LOOM_SEQUENCE && (int)LOOM_ITEM_IMAGE == LOOM_IMAGE &&
                   (int)LOOM_ITEM_DATASET == LOOM_DATASET && (int)LOOM_ITEM_REFERENCE == LOOM_REFERENCE,
               "the public numbers of types are those of shm/value.h");
_Static_assert((int)LOOM_PIXEL_BOOL8 == LOOM_BOOL8 && (int)LOOM_PIXEL_U8 == LOOM_U8 && (int)LOOM_PIXEL_I8 == LOOM_I8 &&
                   (int)LOOM_PIXEL_U16 == LOOM_U16 && (int)LOOM_PIXEL_I16 == LOOM_I16 &&
                   (int)LOOM_PIXEL_U32 == LOOM_U32 && (int)LOOM_PIXEL_I32 == LOOM_I32 &&
                   (int)LOOM_PIXEL_U64 == LOOM_U64 && (int)LOOM_PIXEL_I64 == LOOM_I64 &&
                   (int)LOOM_PIXEL_F32 == LOOM_F32 && (int)LOOM_PIXEL_F64 == LOOM_F64,
               "the public numbers of pixel types are those of shm/image.h");

/* ---- getting ---- */

typedef loom_status (*hold_function)(loom_store *store, const loom_id *id, loom_arena *arena, loom_result *result,
                                     loom_hold *hold, loom_error *err);

/* Held until the view holds it itself. */
static loom_status load(loom_store *store, hold_function hold_by, const loom_id *id, loaded_result *loaded,
                        loom_error *err) {
    loom_hold hold;
    LOOM_TRY(hold_by(store, id, loaded->arena, &loaded->result, &hold, err));
    loom_status status = loom_store_verify(store, &loaded->result, err);
    if (status == LOOM_OK)
        status = loom_store_value(store, &loaded->result, loaded->arena, &loaded->value, &loaded->view, err);
    loom_store_unhold(store, &hold);
    return status;
}

static loom_status get(loom_store *store, hold_function hold_by, const loom_id *id, loom_item **item, loom_error *err) {
    *item = NULL;
    loaded_result *loaded = calloc(1, sizeof *loaded);
    loom_item *made = calloc(1, sizeof *made);
    if (loaded != NULL) loaded->arena = loom_arena_new();
    loom_status status = loaded != NULL && made != NULL && loaded->arena != NULL ? load(store, hold_by, id, loaded, err)
                                                                                 : loom_api_exhausted(err);
    if (status != LOOM_OK) {
        if (loaded != NULL) loom_arena_free(loaded->arena);
        free(loaded);
        free(made);
        return status;
    }
    *made = (loom_item){.loaded = loaded, .value = &loaded->value, .root = true};
    *item = made;
    return LOOM_OK;
}

loom_status loom_shelf_get(loom_shelf *shelf, const uint8_t id[32], loom_item **item, loom_error *err) {
    const loom_id key = loom_id_of(id);
    return get(shelf->store, loom_store_hold, &key, item, err);
}

loom_status loom_shelf_get_value(loom_shelf *shelf, const uint8_t value_id[32], loom_item **item, loom_error *err) {
    const loom_id vid = loom_id_of(value_id);
    return get(shelf->store, loom_store_hold_value, &vid, item, err);
}

loom_status loom_item_fetch(loom_store *store, const loom_id *vid, void (*release)(void *context), void *context,
                            loom_item **item, loom_error *err) {
    LOOM_TRY(get(store, loom_store_hold_value, vid, item, err));
    (*item)->loaded->release = release;
    (*item)->loaded->context = context;
    return LOOM_OK;
}

loom_item *loom_item_of(const loom_value *value, const loom_result *result, loom_arena *arena,
                        void (*release)(void *context), void *context) {
    loaded_result *loaded = calloc(1, sizeof *loaded);
    loom_item *made = calloc(1, sizeof *made);
    if (loaded == NULL || made == NULL) {
        free(loaded);
        free(made);
        return NULL;
    }
    *loaded =
        (loaded_result){.arena = arena, .result = *result, .value = *value, .release = release, .context = context};
    *made = (loom_item){.loaded = loaded, .value = &loaded->value, .root = true};
    return made;
}

void loom_item_release(loom_item *item) {
    if (item == NULL || !item->root) return;
    loom_extent_release(&item->loaded->view);
    loom_arena_free(item->loaded->arena);
    if (item->loaded->release != NULL) item->loaded->release(item->loaded->context);
    free(item->loaded);
    free(item);
}

/* ---- scalars ---- */

int32_t loom_item_type(const loom_item *item) {
    return (int32_t)item->value->type;
}

int32_t loom_item_bool(const loom_item *item) {
    return item->value->type == LOOM_BOOL && item->value->boolean;
}

int64_t loom_item_int(const loom_item *item) {
    return item->value->type == LOOM_INT ? item->value->integer : 0;
}

double loom_item_float(const loom_item *item) {
    if (item->value->type == LOOM_INT) return (double)item->value->integer;
    return item->value->type == LOOM_FLOAT ? item->value->number : 0;
}

const char *loom_item_text(const loom_item *item, size_t *length) {
    bool text = item->value->type == LOOM_STRING || item->value->type == LOOM_BYTES;
    *length = text ? item->value->text.length : 0;
    return !text ? NULL : item->value->text.bytes != NULL ? item->value->text.bytes : "";
}

int32_t loom_item_reference(const loom_item *item, uint8_t value_id[32]) {
    if (item->value->type != LOOM_REFERENCE) return -1;
    memcpy(value_id, item->value->reference.vid.bytes, 32);
    return (int32_t)item->value->reference.type;
}

/* ---- parts ---- */

uint64_t loom_item_count(const loom_item *item) {
    if (item->value->type == LOOM_SEQUENCE) return item->value->sequence.count;
    if (item->value->type == LOOM_DATASET) return item->value->dataset.count;
    return item->value->type == LOOM_RECORD ? item->value->record.count : 0;
}

int32_t loom_item_is_tuple(const loom_item *item) {
    return item->value->type == LOOM_SEQUENCE && item->value->tuple;
}

static const loom_value *part_of(const loom_value *value, uint64_t place) {
    if (value->type == LOOM_SEQUENCE) return &value->sequence.items[place];
    return value->type == LOOM_DATASET ? &value->dataset.items[place] : &value->record.fields[place].value;
}

const loom_item *loom_item_at(loom_item *item, uint64_t place) {
    uint64_t count = loom_item_count(item);
    if (place >= count) return NULL;
    if (item->parts == NULL) {
        item->parts = loom_arena_array(item->loaded->arena, (size_t)count, sizeof *item->parts);
        if (item->parts == NULL) return NULL;
    }
    loom_item *part = &item->parts[place];
    if (part->value == NULL) *part = (loom_item){.loaded = item->loaded, .value = part_of(item->value, place)};
    return part;
}

const char *loom_item_field_name(const loom_item *item, uint64_t place, size_t *length) {
    *length = 0;
    if (item->value->type != LOOM_RECORD || place >= item->value->record.count) return NULL;
    const loom_field *field = &item->value->record.fields[place];
    *length = field->name_length;
    return field->name;
}

const loom_item *loom_item_field(loom_item *item, const char *name, size_t length) {
    if (item->value->type != LOOM_RECORD) return NULL;
    for (size_t i = 0; i < item->value->record.count; i++) {
        const loom_field *field = &item->value->record.fields[i];
        if (field->name_length == length && memcmp(field->name, name, length) == 0) return loom_item_at(item, i);
    }
    return NULL;
}

const loom_item *loom_item_metadata(loom_item *item) {
    if (item->value->type != LOOM_DATASET) return NULL;
    if (item->metadata == NULL) {
        item->metadata = loom_arena_alloc(item->loaded->arena, sizeof *item->metadata);
        if (item->metadata == NULL) return NULL;
        *item->metadata = (loom_item){.loaded = item->loaded, .value = item->value->dataset.metadata};
    }
    return item->metadata;
}

const uint8_t *loom_item_encoding(loom_item *item, size_t *length) {
    loom_buffer bytes = {0};
    *length = 0;
    const uint8_t *kept = NULL;
    if (loom_value_encode(item->value, &bytes) == LOOM_OK)
        kept = loom_arena_copy(item->loaded->arena, bytes.bytes, bytes.length);
    if (kept != NULL) *length = bytes.length;
    loom_buffer_free(&bytes);
    return kept;
}

/* ---- images ---- */

loom_status loom_item_image(const loom_item *item, loom_image_info *image, loom_error *err) {
    if (item->value->type != LOOM_IMAGE)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "this item is a %s, not an image", loom_type_name(item->value->type));
    const loom_image_header *header = item->value->image.header;
    loom_image_info full = {.dtype = header->dtype,
                            .rank = header->rank,
                            .components = header->components,
                            .voxels = item->value->image.voxels,
                            .bytes = loom_image_bytes(header)};
    memcpy(full.extent, header->size, sizeof full.extent);
    memcpy(full.spacing, header->spacing, sizeof full.spacing);
    memcpy(full.origin, header->origin, sizeof full.origin);
    memcpy(full.direction, header->direction, sizeof full.direction);
    return loom_copy_out("loom_image_info", image, &full, sizeof full, sizeof full, err);
}

loom_status loom_image_info_init(loom_image_info *image, uint32_t dtype, uint32_t rank, const uint64_t extent[],
                                 loom_error *err) {
    if (rank < 2 || rank > LOOM_RANK_MAX || dtype > UINT8_MAX || loom_dtype_bytes((uint8_t)dtype) == 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "there is no image of pixel type %u and rank %u", dtype, rank);
    const loom_image_header header = loom_image_header_make((loom_dtype)dtype, rank, extent);
    LOOM_TRY(loom_image_header_check(&header, err));
    const loom_value value = loom_image(&header, NULL);
    const loom_item item = {.value = &value};
    image->size = sizeof *image;
    return loom_item_image(&item, image, err);
}

loom_status loom_image_from_info(const loom_image_info *info, loom_image_header *header, const void **voxels,
                                 loom_error *err) {
    loom_image_info full;
    LOOM_TRY(loom_copy_in("loom_image_info", info, &full, sizeof full, sizeof full, err));
    if (full.rank < 2 || full.rank > LOOM_RANK_MAX || full.dtype > UINT8_MAX ||
        loom_dtype_bytes((uint8_t)full.dtype) == 0 || full.components > UINT16_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "there is no image of pixel type %u, rank %u and %u components",
                         full.dtype, full.rank, full.components);
    *header = loom_image_header_make((loom_dtype)full.dtype, full.rank, full.extent);
    header->components = (uint16_t)full.components;
    memcpy(header->spacing, full.spacing, sizeof full.spacing);
    memcpy(header->origin, full.origin, sizeof full.origin);
    memcpy(header->direction, full.direction, sizeof full.direction);
    LOOM_TRY(loom_image_header_check(header, err));
    *voxels = full.voxels;
    return LOOM_OK;
}

/* ---- what is known of a result ---- */

loom_item_info loom_info_of(const loom_result *result, loom_arena *arena) {
    loom_item_info info = {.type = (int32_t)result->type,
                           .codec = (uint32_t)result->codec,
                           .bytes = result->payload_bytes + result->bulk.bytes,
                           .stored_bytes = result->payload_bytes +
                                           (result->stored_bytes != 0 ? result->stored_bytes : result->bulk.bytes),
                           .created_ns = result->created_ns,
                           .cost_ns = result->cost_ns,
                           .expires_ns = result->expires_ns,
                           .row = result->row};
    memcpy(info.id, result->rkey.bytes, 32);
    memcpy(info.value_id, result->vid.bytes, 32);
    memcpy(info.node, result->node.bytes, 32);
    loom_operator_of(result, arena, info.operator_name, sizeof info.operator_name);
    if (strcmp(info.operator_name, "-") == 0) info.operator_name[0] = '\0';
    return info;
}

loom_status loom_item_info_of(const loom_item *item, loom_item_info *info, loom_error *err) {
    if (!item->root) return loom_fail(err, LOOM_BAD_ARGUMENT, "this item is a part of a result, not a result");
    const loom_item_info full = loom_info_of(&item->loaded->result, item->loaded->arena);
    return loom_copy_out("loom_item_info", info, &full, sizeof full, sizeof full, err);
}

const char *loom_item_name(const loom_item *item, size_t *length) {
    *length = 0;
    return item->root ? loom_name_of(&item->loaded->result, item->loaded->arena, length) : NULL;
}
