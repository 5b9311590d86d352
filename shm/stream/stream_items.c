/* stream_items.c - see stream_items.h. Steps over encoded values by their heads alone (the MessagePack specification's
 * table): what they hold is checked when it is decoded. */
#include "shm/stream/stream_items.h"

#include <stdlib.h>
#include <string.h>

#include "shm/stream/stream_source.h"
#include "shm/value_format.h"

struct loom_sequence_reader {
    loom_source source;
    bool dataset, tuple, paged;
    uint64_t metadata, metadata_bytes; /* of a dataset */
    uint64_t count;
    uint64_t directory; /* of a paged one */
    uint64_t first;     /* item, or page */
    uint64_t end;       /* of the items */
    uint64_t next, at;  /* where item `next` begins: the one behind that read last */
};

static loom_status damaged(const char *what, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "a stored sequence is damaged: %s", what);
}

/* ---- heads ---- */

/* What a value's head says: its own length, the bytes that follow it, and how many values are nested directly in it. */
typedef struct value_head {
    uint8_t byte;
    unsigned bytes;  /* of the head */
    uint64_t length; /* of text, or of an extension's body */
    uint64_t nested;
} value_head;

static uint64_t big_endian(const uint8_t *bytes, unsigned width) {
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++)
        number = number << 8 | bytes[i];
    return number;
}

static unsigned width_of_length(uint8_t head) {
    static const uint8_t widths[32] = {
        [0x04] = 1, [0x05] = 2, [0x06] = 4, [0x07] = 1, [0x08] = 2, [0x09] = 4, [0x19] = 1,
        [0x1A] = 2, [0x1B] = 4, [0x1C] = 2, [0x1D] = 4, [0x1E] = 2, [0x1F] = 4};
    return widths[head - 0xC0];
}

/* Heads 0xC0..0xDF. */
static bool read_long_head(const uint8_t *bytes, size_t available, value_head *head) {
    static const uint8_t numbers[32] = {
        [0x0B] = 8, [0x0C] = 1, [0x0D] = 2, [0x0E] = 4, [0x0F] = 8, [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8};
    uint8_t byte = head->byte;
    unsigned width = width_of_length(byte);
    if (byte == 0xC1 || byte == 0xCA || 1 + width > available) return false;
    head->bytes = 1 + width;
    if (byte >= 0xD4 && byte <= 0xD8) {
        head->bytes = 2; /* and the extension's type */
        head->length = (uint64_t)1 << (byte - 0xD4);
        return available >= 2;
    }
    if (width == 0) {
        head->length = numbers[byte - 0xC0];
        return true;
    }
    uint64_t number = big_endian(bytes + 1, width);
    if (byte == 0xDC || byte == 0xDD)
        head->nested = number;
    else if (byte >= 0xDE)
        head->nested = 2 * number;
    else
        head->length = number;
    if (byte >= 0xC7 && byte <= 0xC9) head->bytes++;
    return head->bytes <= available;
}

static bool read_head(const uint8_t *bytes, size_t available, value_head *head) {
    *head = (value_head){.byte = available > 0 ? bytes[0] : 0, .bytes = 1};
    if (available == 0) return false;
    uint8_t byte = bytes[0];
    if (byte < 0x80 || byte >= 0xE0) return true;
    if (byte < 0x90)
        head->nested = 2 * (uint64_t)(byte & 0x0F);
    else if (byte < 0xA0)
        head->nested = byte & 0x0F;
    else if (byte < 0xC0)
        head->length = byte & 0x1F;
    else
        return read_long_head(bytes, available, head);
    return true;
}

static loom_status head_at(loom_source *source, uint64_t at, uint64_t end, value_head *head, loom_error *err) {
    uint8_t bytes[6];
    size_t available = at >= end ? 0 : end - at < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
    LOOM_TRY(loom_source_read(source, at, bytes, available, err));
    if (!read_head(bytes, available, head)) return damaged("an item has no head", err);
    if (head->length > end - at - head->bytes || head->nested > end - at - head->bytes)
        return damaged("an item is longer than what is left", err);
    return LOOM_OK;
}

/* Moves *at behind the value there. No recursion: values nested in it are only counted. */
static loom_status step_over(loom_source *source, uint64_t *at, uint64_t end, loom_error *err) {
    for (uint64_t pending = 1; pending > 0; pending--) {
        value_head head;
        LOOM_TRY(head_at(source, *at, end, &head, err));
        *at += head.bytes + head.length;
        pending += head.nested; /* each takes a byte at least, and these were checked: no overflow */
        if (pending - 1 > end - *at) return damaged("it claims more items than there are bytes", err);
    }
    return LOOM_OK;
}

/* ---- opening ---- */

static bool is_array(const value_head *head) {
    return (head->byte & 0xF0) == 0x90 || head->byte == 0xDC || head->byte == 0xDD;
}

static bool is_extension(const value_head *head) {
    return (head->byte >= 0xC7 && head->byte <= 0xC9) || (head->byte >= 0xD4 && head->byte <= 0xD8);
}

static loom_status open_pages(loom_sequence_reader *reader, uint64_t body, loom_error *err) {
    uint8_t bytes[LOOM_PAGED_HEAD_BYTES];
    LOOM_TRY(loom_source_read(&reader->source, body, bytes, sizeof bytes, err));
    reader->paged = true;
    reader->tuple = bytes[0] == 1;
    reader->count = big_endian(bytes + 1, 4);
    reader->directory = body + sizeof bytes;
    reader->first = reader->directory + loom_page_count((size_t)reader->count) * LOOM_PAGED_ENTRY_BYTES;
    if (bytes[0] > 1 || reader->count <= LOOM_SEQUENCE_PLAIN_MAX || reader->first > reader->end)
        return damaged("its pages are not as they are written", err);
    return LOOM_OK;
}

static loom_status open_array(loom_sequence_reader *reader, uint64_t at, loom_error *err) {
    value_head head;
    LOOM_TRY(head_at(&reader->source, at, reader->end, &head, err));
    if (!is_array(&head)) return damaged("it is no array", err);
    reader->count = head.nested;
    reader->first = reader->at = at + head.bytes;
    return LOOM_OK;
}

static loom_status open_at(loom_sequence_reader *reader, uint64_t at, loom_error *err);

static loom_status open_dataset(loom_sequence_reader *reader, uint64_t body, loom_error *err) {
    uint64_t behind = body;
    LOOM_TRY(step_over(&reader->source, &behind, reader->end, err));
    reader->dataset = true;
    reader->metadata = body;
    reader->metadata_bytes = behind - body;
    LOOM_TRY(open_at(reader, behind, err));
    return reader->tuple ? damaged("a dataset holds a tuple", err) : LOOM_OK;
}

static loom_status open_at(loom_sequence_reader *reader, uint64_t at, loom_error *err) {
    value_head head;
    LOOM_TRY(head_at(&reader->source, at, reader->end, &head, err));
    if (is_array(&head)) return open_array(reader, at, err);
    if (!is_extension(&head)) return damaged("it is no array", err);
    uint8_t kind;
    uint64_t body = at + head.bytes;
    LOOM_TRY(loom_source_read(&reader->source, body - 1, &kind, 1, err));
    reader->end = body + head.length;
    if (kind == LOOM_EXT_PAGED) return open_pages(reader, body, err);
    if (kind == LOOM_EXT_DATASET && !reader->dataset) return open_dataset(reader, body, err);
    if (kind != LOOM_EXT_TUPLE) return damaged("it is no array", err);
    reader->tuple = true;
    return open_array(reader, body, err);
}

static loom_status open_reader(loom_store *store, loom_source_find find, const loom_id *id,
                               loom_sequence_reader **reader, loom_error *err) {
    *reader = NULL;
    loom_sequence_reader *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a sequence");
    loom_status status = loom_source_open(&made->source, store, find, id, err);
    loom_type type = made->source.result.type;
    if (status == LOOM_OK && type != LOOM_SEQUENCE && type != LOOM_DATASET)
        status = loom_fail(err, LOOM_BAD_ARGUMENT, "a %s has no items", loom_type_name(type));
    made->end = made->source.length;
    if (status == LOOM_OK) status = open_at(made, 0, err);
    if (status == LOOM_OK && made->dataset != (type == LOOM_DATASET)) status = damaged("it is of another type", err);
    if (status != LOOM_OK) {
        loom_sequence_close(made);
        return status;
    }
    *reader = made;
    return LOOM_OK;
}

loom_status loom_sequence_open(loom_store *store, const loom_id *rkey, loom_sequence_reader **reader, loom_error *err) {
    return open_reader(store, loom_store_hold, rkey, reader, err);
}

loom_status loom_sequence_open_value(loom_store *store, const loom_id *vid, loom_sequence_reader **reader,
                                     loom_error *err) {
    return open_reader(store, loom_store_hold_value, vid, reader, err);
}

void loom_sequence_close(loom_sequence_reader *reader) {
    if (reader == NULL) return;
    loom_source_close(&reader->source);
    free(reader);
}

uint64_t loom_sequence_count(const loom_sequence_reader *reader) {
    return reader->count;
}

bool loom_sequence_is_tuple(const loom_sequence_reader *reader) {
    return reader->tuple;
}

/* ---- items ---- */

/* To the beginning of the item's page. */
static loom_status find_page(loom_sequence_reader *reader, uint64_t index, loom_error *err) {
    uint64_t page = index / LOOM_SEQUENCE_PAGE_ITEMS;
    uint8_t entry[LOOM_PAGED_ENTRY_BYTES];
    LOOM_TRY(loom_source_read(&reader->source, reader->directory + page * sizeof entry, entry, sizeof entry, err));
    uint64_t at = reader->first + big_endian(entry, sizeof entry);
    value_head head;
    if (at >= reader->end) return damaged("a page lies behind its end", err);
    LOOM_TRY(head_at(&reader->source, at, reader->end, &head, err));
    if (!is_array(&head) || head.nested != loom_page_items((size_t)reader->count, (size_t)page))
        return damaged("a page has the wrong number of items", err);
    reader->next = page * LOOM_SEQUENCE_PAGE_ITEMS;
    reader->at = at + head.bytes;
    return LOOM_OK;
}

static loom_status go_to(loom_sequence_reader *reader, uint64_t index, loom_error *err) {
    bool other_page = reader->paged && (reader->next / LOOM_SEQUENCE_PAGE_ITEMS != index / LOOM_SEQUENCE_PAGE_ITEMS ||
                                        index % LOOM_SEQUENCE_PAGE_ITEMS == 0);
    if (other_page || (reader->paged && (index < reader->next || reader->at == 0))) {
        LOOM_TRY(find_page(reader, index, err));
    } else if (index < reader->next) {
        reader->next = 0;
        reader->at = reader->first;
    }
    for (; reader->next < index; reader->next++)
        LOOM_TRY(step_over(&reader->source, &reader->at, reader->end, err));
    return LOOM_OK;
}

static loom_status decode_range(loom_source *source, uint64_t at, uint64_t length, loom_arena *arena, loom_value *value,
                                loom_error *err) {
    if (length > SIZE_MAX / 2) return loom_fail(err, LOOM_TOO_LARGE, "an item is too large for this machine");
    uint8_t *bytes = loom_arena_alloc(arena, (size_t)length);
    if (bytes == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading an item");
    LOOM_TRY(loom_source_read(source, at, bytes, (size_t)length, err));
    return loom_value_decode(bytes, (size_t)length, arena, value, err);
}

static loom_status read_item(loom_sequence_reader *reader, uint64_t index, loom_arena *arena, loom_value *item,
                             loom_error *err) {
    LOOM_TRY(go_to(reader, index, err));
    uint64_t behind = reader->at;
    LOOM_TRY(step_over(&reader->source, &behind, reader->end, err));
    LOOM_TRY(decode_range(&reader->source, reader->at, behind - reader->at, arena, item, err));
    reader->next = index + 1;
    reader->at = behind;
    return LOOM_OK;
}

loom_status loom_sequence_item(loom_sequence_reader *reader, uint64_t index, loom_arena *arena, loom_value *item,
                               loom_error *err) {
    *item = loom_null();
    LOOM_TRY(loom_store_check_process(reader->source.store, err));
    if (index >= reader->count)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "item %llu was asked of a sequence of %llu", (unsigned long long)index,
                         (unsigned long long)reader->count);
    loom_status status = read_item(reader, index, arena, item, err);
    if (status != LOOM_OK) { /* begins anew next time */
        reader->next = UINT64_MAX;
        reader->at = 0;
    }
    return status;
}

loom_status loom_sequence_metadata(loom_sequence_reader *reader, loom_arena *arena, loom_value *metadata,
                                   loom_error *err) {
    *metadata = loom_null();
    LOOM_TRY(loom_store_check_process(reader->source.store, err));
    if (!reader->dataset) return loom_fail(err, LOOM_BAD_ARGUMENT, "a sequence has no metadata");
    return decode_range(&reader->source, reader->metadata, reader->metadata_bytes, arena, metadata, err);
}

/* ---- datasets ---- */

loom_status loom_dataset_item(loom_store *store, const loom_value *item, const loom_item_loader *loader,
                              loom_arena *arena, loom_result *result, loom_hold *hold, loom_error *err) {
    *hold = (loom_hold){0};
    if (loom_dataset_item_check(item) != LOOM_OK)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an item of a dataset is a reference or describes an input");
    if (item->type == LOOM_REFERENCE)
        return loom_store_hold_value(store, &item->reference.vid, arena, result, hold, err);
    loom_id rkey;
    LOOM_TRY(loader->key(item, loader->context, &rkey, err));
    loom_status status = loom_store_hold(store, &rkey, arena, result, hold, err);
    if (status != LOOM_NOT_FOUND) return status;
    LOOM_TRY(loader->load(item, &rkey, loader->context, err));
    status = loom_store_hold(store, &rkey, arena, result, hold, err);
    if (status != LOOM_NOT_FOUND) return status;
    return loom_fail(err, LOOM_NOT_FOUND, "an item of a dataset was loaded, and evicted before it could be used");
}
