/* store_row.c - one stored result for people (a line) and for programs (JSON). What a row holds comes from disk: it is
 * decoded with checks, and what cannot be decoded is shown as "?". */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/human.h"
#include "runtime/cli/store.h"
#include "runtime/stored_value.h"
#include "runtime/text.h"

enum { PREVIEW_COLUMNS = 34, NAME_BYTES = 64, JSON_VALUE_BYTES_MAX = 4096 };

const char *loom_codec_name(loom_codec codec) {
    static const char *const names[] = {"raw", "zstd", "aes", "zstd+aes"};
    return (unsigned)codec < LOOM_COUNT(names) ? names[codec] : "?";
}

uint64_t loom_store_bytes_of(const loom_result *result) {
    return result->payload_bytes + result->bulk.bytes;
}

/* ---- for people ---- */

/* The first of `text` on one line of at most PREVIEW_COLUMNS characters; control characters become spaces. */
static void shorten(const uint8_t *text, size_t length, char *line, size_t capacity) {
    size_t used = 0;
    size_t columns = 0;
    for (size_t i = 0; i < length && used + 8 < capacity; i++) {
        bool starts_character = (text[i] & 0xC0u) != 0x80u;
        if (starts_character && columns == PREVIEW_COLUMNS - 3) {
            memcpy(line + used, "...", 3);
            used += 3;
            break;
        }
        columns += starts_character;
        line[used++] = text[i] < 0x20 || text[i] == 0x7f ? ' ' : (char)text[i];
    }
    line[used] = '\0';
}

static void describe_image(const loom_image_header *header, char *line, size_t capacity) {
    int used = 0;
    unsigned rank = header->rank <= LOOM_RANK_MAX ? header->rank : LOOM_RANK_MAX;
    for (unsigned axis = 0; axis < rank && used >= 0 && (size_t)used < capacity; axis++)
        used += snprintf(line + used, capacity - (size_t)used, "%s%" PRIu64, axis > 0 ? "x" : "", header->size[axis]);
    if (used >= 0 && (size_t)used < capacity)
        used += snprintf(line + used, capacity - (size_t)used, " %s", loom_dtype_name(header->dtype));
    if (header->components > 1 && used >= 0 && (size_t)used < capacity)
        snprintf(line + used, capacity - (size_t)used, " x %u", header->components);
}

static bool decode(const loom_result *result, loom_arena *arena, loom_value *value) {
    if (result->blob || result->payload == NULL) return false;
    return loom_value_decode(result->payload, result->payload_bytes, arena, value, NULL) == LOOM_OK;
}

static void describe_value(const loom_result *result, loom_arena *arena, char *line, size_t capacity) {
    loom_value value;
    snprintf(line, capacity, "%s", result->blob ? "(large)" : "?");
    if (!decode(result, arena, &value)) return;
    if (value.type == LOOM_IMAGE) {
        describe_image(value.image.header, line, capacity);
        return;
    }
    loom_buffer text = {0};
    if (loom_value_str(&value, &text) == LOOM_OK) shorten(text.bytes, text.length, line, capacity);
    loom_buffer_free(&text);
}

static const char *age_of(uint64_t created_ns, char text[LOOM_HUMAN_BYTES]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)created_ns / 1e9;
    if (seconds < 1) return "now"; /* also a clock that was set back */
    if (seconds >= 10) return loom_human_seconds(seconds, text);
    snprintf(text, LOOM_HUMAN_BYTES, "%d s", (int)seconds);
    return text;
}

/* The operator, or what a person called the result. */
static void describe_origin(const loom_result *result, loom_arena *arena, char *text, size_t capacity) {
    size_t length = 0;
    const char *name = loom_name_of(result, arena, &length);
    if (name == NULL) {
        loom_operator_of(result, arena, text, capacity);
        return;
    }
    uint8_t plain[NAME_BYTES];
    char line[NAME_BYTES + 16];
    if (length > sizeof plain) length = sizeof plain;
    memcpy(plain, name, length);
    shorten(plain, length, line, sizeof line);
    snprintf(text, capacity, "key:%.50s", line);
}

void loom_store_print_heading(FILE *out) {
    fprintf(out, "%-12s  %-8s  %-*s  %9s  %-24s  %s\n", "ID", "TYPE", PREVIEW_COLUMNS, "VALUE", "BYTES", "OPERATOR",
            "AGE");
}

void loom_store_print_row(const loom_result *result, loom_arena *arena, FILE *out) {
    char hex[LOOM_ID_HEX_BYTES], preview[256], origin[NAME_BYTES], bytes[LOOM_HUMAN_BYTES], age[LOOM_HUMAN_BYTES];
    loom_arena_reset(arena);
    loom_id_hex(&result->rkey, hex);
    describe_value(result, arena, preview, sizeof preview);
    describe_origin(result, arena, origin, sizeof origin);
    fprintf(out, "%.12s  %-8s  %-*s  %9s  %-24s  %s\n", hex, loom_type_name(result->type), PREVIEW_COLUMNS, preview,
            loom_human_bytes(loom_store_bytes_of(result), bytes), origin, age_of(result->created_ns, age));
}

/* ---- for programs ---- */

static void add_axes(loom_json_line *line, const char *name, const double *numbers, unsigned count) {
    loom_line_array(line, name);
    for (unsigned i = 0; i < count; i++)
        loom_line_number(line, NULL, numbers[i]);
    loom_line_end_array(line);
}

static void add_image(loom_json_line *line, const loom_image_header *header) {
    loom_line_object(line, "image");
    loom_line_text(line, "dtype", loom_dtype_name(header->dtype));
    loom_line_count(line, "components", header->components);
    loom_line_array(line, "size");
    for (unsigned i = 0; i < header->rank; i++)
        loom_line_count(line, NULL, header->size[i]);
    loom_line_end_array(line);
    add_axes(line, "spacing", header->spacing, header->rank);
    add_axes(line, "origin", header->origin, header->rank);
    loom_line_array(line, "direction");
    for (unsigned row = 0; row < header->rank; row++)
        for (unsigned column = 0; column < header->rank; column++)
            loom_line_number(line, NULL, header->direction[row * LOOM_RANK_MAX + column]);
    loom_line_end_array(line);
    loom_line_end_object(line);
}

/* "value": what is small and JSON can say, else null; "image": what is known of one, else null. */
static void add_value(loom_json_line *line, const loom_result *result, loom_arena *arena) {
    loom_value value;
    bool known = decode(result, arena, &value);
    bool image = known && value.type == LOOM_IMAGE && loom_image_header_check(value.image.header, NULL) == LOOM_OK;
    if (known && !image && result->payload_bytes <= JSON_VALUE_BYTES_MAX)
        loom_line_value(line, "value", &value);
    else
        loom_line_null(line, "value");
    if (image)
        add_image(line, value.image.header);
    else
        loom_line_null(line, "image");
}

static void add_time(loom_json_line *line, const char *name, uint64_t ns) {
    if (ns == 0)
        loom_line_null(line, name);
    else
        loom_line_number(line, name, (double)ns * 1e-9);
}

loom_status loom_store_print_json(const loom_result *result, loom_arena *arena, FILE *out, loom_error *err) {
    char op[NAME_BYTES];
    size_t length = 0;
    loom_json_line line = {.failed = false};
    loom_arena_reset(arena);
    loom_operator_of(result, arena, op, sizeof op);
    loom_line_id(&line, "id", &result->rkey);
    loom_line_id(&line, "value_id", &result->vid);
    loom_line_id(&line, "node", &result->node);
    loom_line_text(&line, "key", loom_name_of(result, arena, &length));
    loom_line_text(&line, "type", loom_type_name(result->type));
    add_value(&line, result, arena);
    loom_line_count(&line, "bytes", loom_store_bytes_of(result));
    loom_line_count(&line, "stored_bytes",
                    result->payload_bytes + (result->stored_bytes != 0 ? result->stored_bytes : result->bulk.bytes));
    loom_line_text(&line, "codec", loom_codec_name(result->codec));
    loom_line_text(&line, "operator", strcmp(op, "-") == 0 ? NULL : op);
    add_time(&line, "created", result->created_ns);
    loom_line_number(&line, "cost_seconds", (double)result->cost_ns / 1e9);
    add_time(&line, "expires", result->expires_ns);
    loom_line_count(&line, "row", result->row);
    return loom_line_print(&line, out, err);
}
