/* toml_shim.cpp - toml++ behind a C function. Header-only, without exceptions of its own; what the standard library
 * throws (out of memory) is caught at the border. */
#include "runtime/config/toml_shim.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <new>
#include <string>
#include <vector>

namespace {

struct leaf {
    std::string key;
    const toml::node *node;
    loom_toml_place key_place;
};

loom_toml_place place_of(const toml::source_position &position) {
    return {position.line, position.column};
}

void flatten(const toml::table &table, const std::string &prefix, std::vector<leaf> &leaves) {
    for (const auto &[key, node] : table) {
        std::string name = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
        leaves.push_back({name, &node, place_of(key.source().begin)});
        if (const toml::table *inner = node.as_table()) flatten(*inner, name, leaves);
    }
}

const char *kind_name(toml::node_type type) {
    switch (type) {
    case toml::node_type::table:
        return "table";
    case toml::node_type::array:
        return "array";
    case toml::node_type::string:
        return "string";
    case toml::node_type::integer:
        return "integer";
    case toml::node_type::floating_point:
        return "float";
    case toml::node_type::boolean:
        return "boolean";
    case toml::node_type::date:
        return "date";
    case toml::node_type::time:
        return "time";
    case toml::node_type::date_time:
        return "date-time";
    default:
        return "value";
    }
}

/* False if it holds anything but texts. */
bool gather_texts(const toml::array &array, std::string &texts) {
    for (const auto &item : array) {
        const auto *text = item.as_string();
        if (text == nullptr || text->get().find('\0') != std::string::npos) return false;
        texts += text->get();
        texts += '\0';
    }
    return true;
}

/* `texts` must outlive the entry. */
loom_toml_entry entry_of(const leaf &leaf, std::string &texts) {
    loom_toml_entry entry = {};
    entry.key = leaf.key.c_str();
    entry.kind = LOOM_TOML_OTHER;
    entry.kind_name = kind_name(leaf.node->type());
    entry.key_place = leaf.key_place;
    entry.value_place = place_of(leaf.node->source().begin);
    if (leaf.node->is_table()) {
        entry.kind = LOOM_TOML_TABLE;
    } else if (const auto *boolean = leaf.node->as_boolean()) {
        entry.kind = LOOM_TOML_BOOL;
        entry.boolean = boolean->get();
    } else if (const auto *integer = leaf.node->as_integer()) {
        entry.kind = LOOM_TOML_INT;
        entry.integer = integer->get();
    } else if (const auto *text = leaf.node->as_string()) {
        entry.kind = LOOM_TOML_TEXT;
        entry.text = text->get().c_str();
        entry.text_length = text->get().size();
    } else if (const auto *array = leaf.node->as_array(); array != nullptr && gather_texts(*array, texts)) {
        entry.kind = LOOM_TOML_TEXTS;
        entry.text = texts.c_str();
        entry.text_length = texts.size();
        entry.text_count = array->size();
    }
    return entry;
}

loom_status read(const char *text, size_t length, const char *file, loom_toml_visit visit, void *context,
                 loom_error *err) {
    toml::parse_result result = toml::parse(std::string_view(text, length));
    if (!result) {
        const toml::parse_error &error = result.error();
        loom_toml_place place = place_of(error.source().begin);
        loom_error_at(err, file, place.line, place.column);
        const std::string description(error.description());
        return loom_fail(err, LOOM_BAD_CONFIG, "malformed TOML: %s", description.c_str());
    }
    std::vector<leaf> leaves;
    flatten(result.table(), "", leaves);
    /* toml++ keeps tables sorted by name; people read errors in the order of the file. */
    std::stable_sort(leaves.begin(), leaves.end(), [](const leaf &a, const leaf &b) {
        return a.key_place.line != b.key_place.line ? a.key_place.line < b.key_place.line
                                                    : a.key_place.column < b.key_place.column;
    });
    for (const leaf &leaf : leaves) {
        std::string texts;
        const loom_toml_entry entry = entry_of(leaf, texts);
        const loom_status status = visit(&entry, context, err);
        if (status != LOOM_OK) return status;
    }
    return LOOM_OK;
}

} // namespace

extern "C" loom_status loom_toml_read(const char *text, size_t length, const char *file, loom_toml_visit visit,
                                      void *context, loom_error *err) {
    try {
        return read(text, length, file, visit, context, err);
    } catch (const std::bad_alloc &) {
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", file);
    } catch (...) {
        return loom_fail(err, LOOM_INTERNAL, "the TOML reader failed on %s: please report it", file);
    }
}
