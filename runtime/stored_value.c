/* stored_value.c - keys, recipes and bulk bytes of values that no kernel computed. */
#include "runtime/stored_value.h"

#include <string.h>
#include <time.h>

#include "planner/key.h"

static const loom_operator op_put = {.name = LOOM_PUT_OPERATOR, .version = 1};
static const loom_operator op_set = {.name = LOOM_SET_OPERATOR, .version = 1};

static loom_status exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory for a value to store");
}

/* ---- names ---- */

static loom_status key_of(const loom_operator *op, const loom_id *argument, loom_id *rkey, loom_error *err) {
    loom_hasher *hasher = loom_hasher_new();
    if (hasher == NULL) return exhausted(err);
    const loom_key_parts parts = {.vids = argument, .vid_count = 1};
    *rkey = loom_result_key(hasher, op, &parts);
    loom_hasher_free(hasher);
    return LOOM_OK;
}

loom_status loom_named_key(const char *name, size_t length, loom_id *rkey, loom_error *err) {
    if (length == 0 || length > LOOM_NAME_BYTES_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a name has %zu bytes; 1 to %u are allowed", length,
                         LOOM_NAME_BYTES_MAX);
    loom_id vid;
    const loom_value text = loom_string(name, length);
    if (loom_value_id(&text, &vid) != LOOM_OK) return exhausted(err);
    return key_of(&op_set, &vid, rkey, err);
}

/* The decoded recipe, if it is [operator, ...]. */
static bool recipe_of(const loom_result *result, loom_arena *arena, loom_value *recipe) {
    if (result->recipe == NULL || result->recipe_bytes == 0) return false;
    if (loom_value_decode(result->recipe, result->recipe_bytes, arena, recipe, NULL) != LOOM_OK) return false;
    return recipe->type == LOOM_SEQUENCE && recipe->sequence.count > 0 && recipe->sequence.items[0].type == LOOM_STRING;
}

static bool is_text(const loom_value *value, const char *text) {
    return value->text.length == strlen(text) && memcmp(value->text.bytes, text, value->text.length) == 0;
}

const char *loom_name_of(const loom_result *result, loom_arena *arena, size_t *length) {
    loom_value recipe;
    if (!recipe_of(result, arena, &recipe) || recipe.sequence.count != 4) return NULL;
    const loom_value *parts = recipe.sequence.items;
    if (!is_text(&parts[0], LOOM_SET_OPERATOR) || parts[3].type != LOOM_SEQUENCE || parts[3].sequence.count != 1)
        return NULL;
    const loom_value *name = &parts[3].sequence.items[0];
    if (name->type != LOOM_STRING) return NULL;
    *length = name->text.length;
    return loom_arena_text(arena, name->text.bytes, name->text.length);
}

void loom_operator_of(const loom_result *result, loom_arena *arena, char *name, size_t capacity) {
    loom_value recipe;
    memcpy(name, "-", 2);
    if (!recipe_of(result, arena, &recipe)) return;
    const loom_value *op = &recipe.sequence.items[0];
    if (op->text.length >= capacity || memchr(op->text.bytes, '\0', op->text.length) != NULL) return;
    memcpy(name, op->text.bytes, op->text.length);
    name[op->text.length] = '\0';
}

static loom_status recipe_bytes(const loom_operator *op, const loom_value *argument, loom_arena *arena,
                                const uint8_t **recipe, size_t *length, loom_error *err) {
    const loom_value parts[] = {loom_string_of(op->name), loom_int(op->version), loom_null(),
                                loom_sequence(argument, argument != NULL ? 1 : 0)};
    const loom_value whole = loom_sequence(parts, 4);
    loom_buffer bytes = {0};
    loom_status status = loom_value_encode(&whole, &bytes);
    *recipe = status == LOOM_OK ? loom_arena_copy(arena, bytes.bytes, bytes.length) : NULL;
    *length = bytes.length;
    loom_buffer_free(&bytes);
    return *recipe != NULL ? LOOM_OK : exhausted(err);
}

loom_status loom_named_recipe(const char *name, size_t length, loom_arena *arena, const uint8_t **recipe, size_t *bytes,
                              loom_error *err) {
    const loom_value text = loom_string(name, length);
    return recipe_bytes(&op_set, &text, arena, recipe, bytes, err);
}

/* ---- drafts ---- */

static loom_status reserve(loom_draft *draft, uint64_t bytes, loom_error *err) {
    if (draft->writer == NULL) LOOM_TRY(loom_extent_writer_open(loom_store_extents(draft->store), &draft->writer, err));
    return loom_extent_reserve(draft->writer, bytes, true, &draft->reservation, err);
}

static loom_status encode(loom_draft *draft, const loom_value *value, loom_buffer *bytes, loom_error *err) {
    draft->result = (loom_result){.type = value->type};
    draft->reservation = (loom_reservation){.window = NULL};
    loom_status status = loom_value_encode(value, bytes);
    if (status == LOOM_NO_MEMORY) return exhausted(err);
    if (status == LOOM_UNSUPPORTED || status == LOOM_BAD_ARGUMENT || status == LOOM_TOO_LARGE)
        return loom_fail(err, status, "a %s cannot be stored like this: %s", loom_type_name(value->type),
                         loom_status_message(status));
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "%s", loom_status_message(status));
}

static loom_status keep_payload(loom_draft *draft, const loom_buffer *bytes, loom_error *err) {
    draft->result.payload = loom_arena_copy(draft->arena, bytes->bytes, bytes->length);
    draft->result.payload_bytes = bytes->length;
    return draft->result.payload != NULL ? LOOM_OK : exhausted(err);
}

static loom_status place_value(loom_draft *draft, const loom_buffer *bytes, loom_error *err) {
    draft->content = loom_sha256(bytes->bytes, bytes->length);
    draft->result.vid = draft->content;
    if (bytes->length <= draft->inline_bytes) return keep_payload(draft, bytes, err);
    LOOM_TRY(reserve(draft, bytes->length, err));
    memcpy(draft->reservation.window, bytes->bytes, bytes->length);
    draft->result.blob = true;
    return LOOM_OK;
}

loom_status loom_draft_value(loom_draft *draft, const loom_value *value, loom_error *err) {
    if (value->type == LOOM_IMAGE) return loom_fail(err, LOOM_BAD_ARGUMENT, "an image is drafted as an image");
    loom_buffer bytes = {0};
    loom_status status = encode(draft, value, &bytes, err);
    if (status == LOOM_OK) status = place_value(draft, &bytes, err);
    loom_buffer_free(&bytes);
    return status;
}

loom_status loom_draft_image(loom_draft *draft, const loom_image_header *header, void **voxels, loom_error *err) {
    *voxels = NULL;
    LOOM_TRY(loom_image_header_check(header, err));
    loom_buffer bytes = {0};
    const loom_value image = loom_image(header, NULL);
    loom_status status = encode(draft, &image, &bytes, err);
    if (status == LOOM_OK) status = keep_payload(draft, &bytes, err);
    loom_buffer_free(&bytes);
    LOOM_TRY(status);
    LOOM_TRY(reserve(draft, loom_image_bytes(header), err));
    *voxels = draft->reservation.window;
    return LOOM_OK;
}

/* SHA-256 of the encoded header and the voxels behind it. */
static loom_status hash_image(loom_draft *draft, loom_error *err) {
    loom_hasher *hasher = loom_hasher_new();
    if (hasher == NULL) return exhausted(err);
    loom_hasher_begin(hasher);
    loom_hasher_add(hasher, draft->result.payload, draft->result.payload_bytes);
    loom_hasher_add(hasher, draft->reservation.window, draft->reservation.placement.bytes);
    draft->content = loom_hasher_end(hasher);
    loom_hasher_free(hasher);
    return LOOM_OK;
}

static loom_status seal(loom_draft *draft, loom_error *err) {
    loom_result *result = &draft->result;
    uint64_t *hashes =
        loom_arena_array(draft->arena, loom_extent_block_count(draft->reservation.placement.bytes), sizeof *hashes);
    if (hashes == NULL) return exhausted(err);
    LOOM_TRY(loom_extent_seal(draft->writer, &draft->reservation, hashes, result->root, err));
    result->bulk = draft->reservation.placement;
    result->block_hashes = hashes;
    draft->reservation = (loom_reservation){.window = NULL};
    return LOOM_OK;
}

/* An image is the same value whether it has a name or not: its vid is the key that it has, or would have, without. */
static loom_status name_it(loom_draft *draft, const char *name, size_t length, loom_error *err) {
    LOOM_TRY(key_of(&op_put, &draft->content, &draft->result.rkey, err));
    if (draft->result.type == LOOM_IMAGE) draft->result.vid = draft->result.rkey;
    loom_result *result = &draft->result;
    if (name == NULL) return recipe_bytes(&op_put, NULL, draft->arena, &result->recipe, &result->recipe_bytes, err);
    LOOM_TRY(loom_named_key(name, length, &result->rkey, err));
    return loom_named_recipe(name, length, draft->arena, &result->recipe, &result->recipe_bytes, err);
}

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

loom_status loom_draft_finish(loom_draft *draft, const char *name, size_t name_length, loom_error *err) {
    bool image = draft->result.type == LOOM_IMAGE;
    loom_status status = image ? hash_image(draft, err) : LOOM_OK;
    if (status == LOOM_OK) status = name_it(draft, name, name_length, err);
    if (status == LOOM_OK && draft->reservation.window != NULL) status = seal(draft, err);
    if (status != LOOM_OK) loom_draft_drop(draft);
    draft->result.created_ns = now_ns();
    return status;
}

void loom_draft_drop(loom_draft *draft) {
    if (draft->reservation.window != NULL) loom_extent_abandon(draft->writer, &draft->reservation);
    draft->reservation = (loom_reservation){.window = NULL};
}

void loom_draft_close(loom_draft *draft) {
    loom_draft_drop(draft);
    loom_extent_writer_close(draft->writer);
    draft->writer = NULL;
}

/* ---- into the store and out of it ---- */

loom_status loom_draft_put(const loom_draft *draft, loom_batch *batch, bool replace, bool evictable, loom_error *err) {
    loom_error first = {0};
    loom_status status = loom_batch_put(batch, &draft->result, replace ? &first : err);
    if (status == LOOM_IRREPRODUCIBLE && replace) {
        LOOM_TRY(loom_batch_delete(batch, &draft->result.rkey, err));
        status = loom_batch_put(batch, &draft->result, err);
    } else if (status != LOOM_OK && replace && err != NULL) {
        *err = first;
    }
    if (status != LOOM_OK || evictable) return status;
    return loom_batch_pin(batch, &draft->result.rkey, LOOM_PUT_OWNER, err);
}

loom_status loom_put_delete(loom_batch *batch, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_batch_delete(batch, rkey, err));
    loom_status status = loom_batch_unpin(batch, rkey, LOOM_PUT_OWNER, err);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}
