/* lineage_graph.c - see lineage_graph.h. */
#include "shm/care/lineage_graph.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "shm/care/recipe.h"
#include "shm/result_key.h"

typedef struct reading {
    lineage_graph *graph;
    const lineage_question *question;
    loom_arena *arena;
    uint8_t *row; /* an aligned copy */
    size_t row_capacity;
    bool exhausted;
} reading;

static void *grow(void *items, size_t *capacity, size_t needed, size_t bytes) {
    size_t wanted = *capacity == 0 ? 1024 : *capacity;
    while (wanted < needed)
        wanted *= 2;
    void *grown = realloc(items, wanted * bytes);
    if (grown != NULL) *capacity = wanted;
    return grown;
}

static bool add_edge(lineage_graph *graph, const loom_id *rkey) {
    if (graph->edge_count == graph->edge_capacity) {
        void *grown = grow(graph->edges, &graph->edge_capacity, graph->edge_count + 1, sizeof *graph->edges);
        if (grown == NULL) return false;
        graph->edges = grown;
    }
    lineage_edge *edge = &graph->edges[graph->edge_count++];
    memcpy(edge->prefix, rkey->bytes, sizeof edge->prefix);
    edge->node = LINEAGE_NONE;
    return true;
}

static bool add_text(lineage_graph *graph, const uint8_t *bytes, size_t length, uint32_t *at) {
    uint32_t size = (uint32_t)length;
    size_t needed = graph->text_bytes + sizeof size + length;
    if (needed > UINT32_MAX) return false;
    if (needed > graph->text_capacity) {
        void *grown = grow(graph->texts, &graph->text_capacity, needed, 1);
        if (grown == NULL) return false;
        graph->texts = grown;
    }
    *at = (uint32_t)graph->text_bytes;
    memcpy(graph->texts + graph->text_bytes, &size, sizeof size);
    memcpy(graph->texts + graph->text_bytes + sizeof size, bytes, length);
    graph->text_bytes = needed;
    return true;
}

/* ---- paths ---- */

static bool equals(const loom_value *text, const char *path) {
    return path != NULL && text->text.length == strlen(path) && memcmp(text->text.bytes, path, text->text.length) == 0;
}

/* As it was written, as it was asked for, or the same file by another name. */
static bool names_input(const lineage_question *question, const loom_value *text) {
    if (question->input == NULL || text->type != LOOM_STRING) return false;
    if (equals(text, question->input) || equals(text, question->absolute)) return true;
    if (question->absolute == NULL || text->text.length == 0 || text->text.length >= PATH_MAX) return false;
    const char *slash = strrchr(question->absolute, '/');
    size_t name = slash != NULL ? strlen(slash + 1) : 0;
    if (name == 0 || text->text.length < name ||
        memcmp(text->text.bytes + text->text.length - name, slash + 1, name) != 0)
        return false; /* saves a look at the disk for nearly every string; a link of another name is found by content */
    char path[PATH_MAX], real[PATH_MAX];
    memcpy(path, text->text.bytes, text->text.length);
    path[text->text.length] = '\0';
    return realpath(path, real) != NULL && strcmp(real, question->absolute) == 0;
}

/* ---- one row ---- */

static bool add_references(reading *of, const loom_value *value, unsigned depth) {
    if (value->type == LOOM_REFERENCE) return add_edge(of->graph, &value->reference.vid);
    const loom_value *items = value->type == LOOM_SEQUENCE  ? value->sequence.items
                              : value->type == LOOM_DATASET ? value->dataset.items
                                                            : NULL;
    size_t count = value->type == LOOM_SEQUENCE ? value->sequence.count : value->dataset.count;
    for (size_t i = 0; items != NULL && i < count && depth < LOOM_VALUE_DEPTH_MAX; i++)
        if (!add_references(of, &items[i], depth + 1)) return false;
    return true;
}

static bool read_recipe(reading *of, const loom_result *result, lineage_node *node) {
    loom_recipe recipe;
    if (!loom_recipe_read(result->recipe, result->recipe_bytes, of->arena, &recipe)) return true;
    if (of->question->op != NULL && loom_recipe_is_by(&recipe, of->question->op)) node->derived = true;
    for (size_t i = 0; i < recipe.argument_count; i++) {
        if (names_input(of->question, &recipe.arguments[i])) node->derived = true;
        if (!add_references(of, &recipe.arguments[i], 0)) return false;
    }
    bool may_read = of->question->has_content && recipe.argument_count > 0 && recipe.arguments[0].type == LOOM_STRING;
    return !may_read || node->derived || add_text(of->graph, result->recipe, result->recipe_bytes, &node->recipe);
}

/* A sequence is made of its items, whatever its recipe says; large items have their key as value id. */
static bool read_value(reading *of, const loom_result *result, lineage_node *node) {
    bool container = result->type == LOOM_SEQUENCE || result->type == LOOM_DATASET;
    bool text = result->type == LOOM_STRING && of->question->input != NULL;
    if (result->payload == NULL || (!container && !text)) return true;
    loom_value value;
    if (loom_value_decode(result->payload, result->payload_bytes, of->arena, &value, NULL) != LOOM_OK) return true;
    if (text) node->named = names_input(of->question, &value);
    return !container || add_references(of, &value, 0);
}

static bool add_node(reading *of, const loom_result *result, loom_row_kind kind) {
    lineage_graph *graph = of->graph;
    if (graph->count == graph->capacity) {
        void *grown = graph->count < UINT32_MAX / 4
                          ? grow(graph->nodes, &graph->capacity, graph->count + 1, sizeof *graph->nodes)
                          : NULL;
        if (grown == NULL) return false;
        graph->nodes = grown;
    }
    lineage_node node = {.rkey = result->rkey,
                         .vid = result->vid,
                         .bytes = result->payload_bytes + loom_result_range(result).bytes,
                         .first = (uint32_t)graph->edge_count,
                         .recipe = LINEAGE_NONE,
                         .live = kind == LOOM_ROW_LIVE};
    loom_arena_reset(of->arena);
    if (!read_recipe(of, result, &node) || !read_value(of, result, &node)) return false;
    if (graph->edge_count > UINT32_MAX - 1) return false;
    node.count = (uint32_t)graph->edge_count - node.first;
    graph->nodes[graph->count++] = node;
    return true;
}

static bool visit_row(uint64_t row, const void *bytes, size_t length, void *context) {
    reading *of = context;
    loom_result result;
    loom_row_kind kind;
    if (length > of->row_capacity) {
        uint8_t *grown = realloc(of->row, length);
        if (grown == NULL) return !(of->exhausted = true);
        of->row = grown;
        of->row_capacity = length;
    }
    memcpy(of->row, bytes, length);
    if (loom_row_decode(of->row, length, row, &result, &kind, NULL) != LOOM_OK) return true;
    of->exhausted = !add_node(of, &result, kind);
    return !of->exhausted;
}

/* ---- resolving ---- */

static uint64_t hash_of(const uint8_t prefix[16]) {
    uint64_t word;
    memcpy(&word, prefix, sizeof word); /* of a SHA-256 */
    return word;
}

static uint32_t find_node(const lineage_graph *graph, const uint8_t prefix[16]) {
    size_t mask = graph->place_count - 1;
    for (size_t at = (size_t)hash_of(prefix) & mask; graph->places[at] != LINEAGE_NONE; at = (at + 1) & mask)
        if (memcmp(graph->nodes[graph->places[at]].rkey.bytes, prefix, 16) == 0) return graph->places[at];
    return LINEAGE_NONE;
}

static bool resolve(lineage_graph *graph) {
    graph->place_count = 16;
    while (graph->place_count < 2 * graph->count)
        graph->place_count *= 2;
    graph->places = malloc(graph->place_count * sizeof *graph->places);
    if (graph->places == NULL) return false;
    memset(graph->places, 0xff, graph->place_count * sizeof *graph->places);
    size_t mask = graph->place_count - 1;
    for (size_t i = 0; i < graph->count; i++) {
        size_t at = (size_t)hash_of(graph->nodes[i].rkey.bytes) & mask;
        while (graph->places[at] != LINEAGE_NONE)
            at = (at + 1) & mask;
        graph->places[at] = (uint32_t)i;
    }
    for (size_t i = 0; i < graph->edge_count; i++)
        graph->edges[i].node = find_node(graph, graph->edges[i].prefix);
    return true;
}

/* ---- by content ---- */

/* The value id of an argument: of a constant by its encoding, else as the store knows it. */
static bool vid_of(const lineage_graph *graph, const loom_value *argument, loom_id *vid) {
    if (argument->type != LOOM_REFERENCE) return loom_value_id(argument, vid) == LOOM_OK;
    uint32_t node = find_node(graph, argument->reference.vid.bytes);
    if (node == LINEAGE_NONE) return false;
    *vid = graph->nodes[node].vid;
    return true;
}

/* Whether the result's key is the one that its operator has for this one file: then it was computed from what the file
 * holds, wherever it lay. */
static bool read_content(const lineage_graph *graph, const lineage_node *node, const lineage_question *question,
                         loom_arena *arena, loom_hasher *hasher) {
    uint32_t length;
    loom_recipe recipe;
    char name[256];
    loom_buffer attributes = {0};
    memcpy(&length, graph->texts + node->recipe, sizeof length);
    loom_arena_reset(arena);
    if (!loom_recipe_read(graph->texts + node->recipe + sizeof length, length, arena, &recipe)) return false;
    if (recipe.op_bytes >= sizeof name || recipe.version < 0 || recipe.version > UINT16_MAX) return false;
    memcpy(name, recipe.op, recipe.op_bytes);
    name[recipe.op_bytes] = '\0';
    loom_operator op = {.name = name, .version = (uint16_t)recipe.version, .flags = LOOM_OP_READS_FILES};
    loom_id *vids = loom_arena_array(arena, recipe.argument_count, sizeof *vids);
    if (vids == NULL) return false;
    for (size_t i = 0; i < recipe.argument_count; i++)
        if (!vid_of(graph, &recipe.arguments[i], &vids[i])) return false;
    if (recipe.attributes->type != LOOM_NULL && loom_value_encode(recipe.attributes, &attributes) != LOOM_OK)
        return false;
    loom_key_parts parts = {.attributes = attributes.bytes,
                            .attributes_bytes = attributes.length,
                            .vids = vids,
                            .vid_count = (uint32_t)recipe.argument_count,
                            .inputs = &question->content,
                            .input_count = 1,
                            .path = recipe.arguments[0].text.bytes,
                            .path_length = recipe.arguments[0].text.length};
    loom_id rkey = loom_result_key(hasher, &op, &parts);
    loom_buffer_free(&attributes);
    return loom_id_equal(&rkey, &node->rkey);
}

static bool mark_by_content(lineage_graph *graph, const lineage_question *question, loom_arena *arena) {
    loom_hasher *hasher = loom_hasher_new();
    if (hasher == NULL) return false;
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].recipe != LINEAGE_NONE && !graph->nodes[i].derived)
            graph->nodes[i].derived = read_content(graph, &graph->nodes[i], question, arena, hasher);
    loom_hasher_free(hasher);
    return true;
}

/* A path that was computed: the string is a result of its own. */
static void mark_by_name(lineage_graph *graph) {
    for (size_t i = 0; i < graph->count; i++)
        for (uint32_t e = 0; e < graph->nodes[i].count; e++) {
            uint32_t argument = graph->edges[graph->nodes[i].first + e].node;
            if (argument != LINEAGE_NONE && graph->nodes[argument].named) graph->nodes[i].derived = true;
        }
}

loom_status lineage_read(loom_store *store, const lineage_question *question, lineage_graph *graph, loom_error *err) {
    *graph = (lineage_graph){0};
    reading of = {.graph = graph, .question = question, .arena = loom_arena_new()};
    loom_status status = LOOM_OK;
    of.exhausted = of.arena == NULL;
    if (!of.exhausted) status = store->ops->scan(store, visit_row, &of, err);
    if (status == LOOM_OK && !of.exhausted) of.exhausted = !resolve(graph);
    if (status == LOOM_OK && !of.exhausted && question->has_content)
        of.exhausted = !mark_by_content(graph, question, of.arena);
    if (status == LOOM_OK && !of.exhausted) mark_by_name(graph);
    loom_arena_free(of.arena);
    free(of.row);
    if (status == LOOM_OK && of.exhausted)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for what was derived");
    return status;
}

void lineage_free(lineage_graph *graph) {
    free(graph->nodes);
    free(graph->edges);
    free(graph->texts);
    free(graph->places);
    *graph = (lineage_graph){0};
}

/* ---- spreading ---- */

enum { UNSEEN = 0, OPEN = 1, DONE = 2 };

/* Depth first, without recursion: a node is done when its arguments are; then it is derived if one of them is. An
 * argument that is open already would be a circle, which no computation makes: it is passed over. */
static size_t walk_from(lineage_graph *graph, uint32_t start, uint32_t *order, size_t count, uint32_t *stack) {
    size_t depth = 0;
    stack[depth++] = start;
    while (depth > 0) {
        lineage_node *node = &graph->nodes[stack[depth - 1]];
        if (node->state == UNSEEN) {
            node->state = OPEN;
            for (uint32_t e = 0; e < node->count; e++) {
                uint32_t argument = graph->edges[node->first + e].node;
                if (argument != LINEAGE_NONE && graph->nodes[argument].state == UNSEEN) stack[depth++] = argument;
            }
            continue;
        }
        depth--;
        if (node->state == DONE) continue;
        node->state = DONE;
        for (uint32_t e = 0; e < node->count && !node->derived; e++) {
            uint32_t argument = graph->edges[node->first + e].node;
            if (argument != LINEAGE_NONE && graph->nodes[argument].derived) node->derived = true;
        }
        if (node->derived) order[count++] = (uint32_t)(node - graph->nodes);
    }
    return count;
}

size_t lineage_spread(lineage_graph *graph, uint32_t *order, uint32_t *stack) {
    size_t count = 0;
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].state == UNSEEN) count = walk_from(graph, i, order, count, stack);
    return count;
}
