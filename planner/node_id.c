/* node_id.c - canonical texts of nodes, and their hashes. */
#include "planner/node_id.h"

#include <inttypes.h>
#include <string.h>

#include "planner/plan_state.h"

static const char *const kind_names[] = {
    [LOOM_NODE_CONSTANT] = "constant", [LOOM_NODE_PRIMITIVE] = "primitive", [LOOM_NODE_CLOSURE] = "closure"};

static const char *const output_kind_names[] = {
    [LOOM_OUT_SCALAR] = "scalar",   [LOOM_OUT_SEQUENCE] = "sequence", [LOOM_OUT_TREE] = "tree",
    [LOOM_OUT_DATASET] = "dataset", [LOOM_OUT_EFFECT] = "effect",     [LOOM_OUT_OVERLAY] = "overlay",
    [LOOM_OUT_CLOSURE] = "closure", [LOOM_OUT_UNKNOWN] = "unknown"};

const char *loom_output_kind_name(loom_output_kind kind) {
    return output_kind_names[kind];
}

loom_output_kind loom_output_kind_named(const char *name, size_t length, bool *known) {
    for (size_t i = 0; i < sizeof output_kind_names / sizeof *output_kind_names; i++) {
        *known = strlen(output_kind_names[i]) == length && memcmp(output_kind_names[i], name, length) == 0;
        if (*known) return (loom_output_kind)i;
    }
    return LOOM_OUT_UNKNOWN;
}

static void add_arguments(loom_text *text, const loom_payload *payload) {
    loom_text_put(text, "{\"args\":[");
    for (uint32_t i = 0; i < payload->argument_count; i++) {
        loom_text_put(text, i ? ",\"" : "\"");
        loom_text_id(text, &payload->arguments[i]);
        loom_text_put(text, "\"");
    }
    loom_text_put(text, "],\"attrs\":");
}

static bool add_attributes(loom_text *text, const loom_payload *payload) {
    if (payload->attributes) return loom_json_value(text, payload->attributes, -1);
    if (payload->attributes_text)
        loom_text_add(text, (const char *)payload->attributes_text->buffer.bytes,
                      payload->attributes_text->buffer.length);
    else
        loom_text_put(text, "{}");
    return true;
}

static int keyword_order(const loom_payload_keyword *a, const loom_payload_keyword *b) {
    int order = strcmp(a->name, b->name);
    return order ? order : loom_id_compare(&a->id, &b->id);
}

/* In order of name, then id. No planner of VoxLogicA-2 makes any today, so the sort is a plain one. */
static const loom_payload_keyword *next_keyword(const loom_payload *payload, const loom_payload_keyword *last) {
    const loom_payload_keyword *next = NULL;
    for (uint32_t i = 0; i < payload->keyword_count; i++) {
        const loom_payload_keyword *keyword = &payload->keywords[i];
        if (last && keyword_order(keyword, last) <= 0) continue;
        if (!next || keyword_order(keyword, next) < 0) next = keyword;
    }
    return next;
}

static void add_keywords(loom_text *text, const loom_payload *payload) {
    loom_text_put(text, ",\"kwargs\":[");
    const loom_payload_keyword *keyword = next_keyword(payload, NULL);
    for (bool first = true; keyword; keyword = next_keyword(payload, keyword), first = false) {
        loom_text_put(text, first ? "[" : ",[");
        loom_json_string(text, keyword->name, strlen(keyword->name));
        loom_text_put(text, ",\"");
        loom_text_id(text, &keyword->id);
        loom_text_put(text, "\"]");
    }
}

/* ---- without keywords, attributes and anything to escape, as nearly all are: one piece of memory is written ---- */

static char *append(char *at, const char *c_string) {
    size_t length = strlen(c_string);
    memcpy(at, c_string, length);
    return at + length;
}

static bool is_plain(const loom_payload *payload) {
    if (payload->attributes || payload->attributes_text || payload->keyword_count) return false;
    for (const char *at = payload->operator_name; *at; at++)
        if (*at < 0x20 || *at >= 0x7f || *at == '"' || *at == '\\') return false;
    return true;
}

static bool write_plain(loom_text *text, const loom_payload *payload) {
    enum { AN_ARGUMENT = LOOM_ID_HEX_BYTES - 1 + 3, THE_REST = 128 };
    size_t most = payload->argument_count * (size_t)AN_ARGUMENT + strlen(payload->operator_name) + THE_REST;
    char *start = loom_text_room(text, most), *at = start;
    if (!start) return true; /* text->failed says so */
    at = append(at, "{\"args\":[");
    for (uint32_t i = 0; i < payload->argument_count; i++) {
        if (i) *at++ = ',';
        *at++ = '"';
        loom_id_hex(&payload->arguments[i], at);
        at += LOOM_ID_HEX_BYTES - 1;
        *at++ = '"';
    }
    at = append(at, "],\"attrs\":{},\"kind\":\"");
    at = append(at, kind_names[payload->kind]);
    at = append(at, "\",\"kwargs\":[],\"operator\":\"");
    at = append(at, payload->operator_name);
    at = append(at, "\",\"output_kind\":\"");
    at = append(at, output_kind_names[payload->output_kind]);
    at = append(at, "\"}");
    text->buffer.length += (size_t)(at - start);
    return true;
}

bool loom_payload_write(loom_text *text, const loom_payload *payload) {
    if (is_plain(payload)) return write_plain(text, payload);
    add_arguments(text, payload);
    if (!add_attributes(text, payload)) return false;
    loom_text_put(text, ",\"kind\":\"");
    loom_text_put(text, kind_names[payload->kind]);
    loom_text_put(text, "\"");
    add_keywords(text, payload);
    loom_text_put(text, "],\"operator\":");
    loom_json_string(text, payload->operator_name, strlen(payload->operator_name));
    loom_text_put(text, ",\"output_kind\":\"");
    loom_text_put(text, output_kind_names[payload->output_kind]);
    loom_text_put(text, "\"}");
    return true;
}

loom_id loom_item_id(const loom_id *parent, int64_t k) {
    char hex[LOOM_ID_HEX_BYTES], text[160];
    loom_id_hex(parent, hex);
    int length = snprintf(text, sizeof text,
                          "{\"kind\":\"sequence-item-ref\",\"parent_node_id\":\"%s\",\"token\":%" PRId64 "}", hex, k);
    return loom_sha256(text, (size_t)length);
}

bool loom_child_id(const char *family, const char *parent, const loom_value *token, loom_text *text, loom_id *id) {
    loom_text_put(text, "{\"kind\":");
    loom_json_string(text, family, strlen(family));
    loom_text_put(text, ",\"parent_node_id\":");
    loom_json_string(text, parent, strlen(parent));
    loom_text_put(text, ",\"token\":");
    if (!loom_json_value(text, token, -1)) return false;
    loom_text_put(text, "}");
    if (text->failed) return false;
    *id = loom_sha256(text->buffer.bytes, text->buffer.length);
    return true;
}
