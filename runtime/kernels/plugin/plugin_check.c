/* plugin_check.c - the rows of a plug-in's table, before anything relies on them. */
#include <string.h>

#include "runtime/kernels/plugin/plugin.h"
#include "shm/segment/segment.h"

#define NAME_BYTES_MAX 128u

_Static_assert((int)LOOM_PLUGIN_SAME_DOMAIN == LOOM_OP_SHARES_DOMAIN &&
                   (int)LOOM_PLUGIN_NEW_DOMAIN == LOOM_OP_NEW_DOMAIN &&
                   (int)LOOM_PLUGIN_NOT_STORED == LOOM_OP_NOT_STORED,
               "the public flags are those of shm/operator.h");
_Static_assert((int)LOOM_PLUGIN_COST_SCALAR == LOOM_COST_SCALAR && (int)LOOM_PLUGIN_COST_VOXEL == LOOM_COST_VOXEL &&
                   (int)LOOM_PLUGIN_COST_FILTER == LOOM_COST_FILTER && (int)LOOM_PLUGIN_COST_GLOBAL == LOOM_COST_GLOBAL,
               "the public costs are those of shm/operator.h");

static bool is_word(const char *text, size_t length) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    bool digit_first = length > 0 && text[0] >= '0' && text[0] <= '9';
    return length > 0 && !digit_first && strspn(text, letters) >= length;
}

/* The namespaces of this build, "loom" among them, are its own. */
static bool is_taken(const char *name, size_t length) {
    const loom_operator_table *table = loom_operators();
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->operators[i]->name, name, length) == 0 && table->operators[i]->name[length] == '.')
            return true;
    return false;
}

static loom_status check_name(const char *path, const char *name, loom_error *err) {
    size_t length = name != NULL ? strnlen(name, NAME_BYTES_MAX + 1) : 0;
    const char *dot = length > 0 && length <= NAME_BYTES_MAX ? memchr(name, '.', length) : NULL;
    size_t space = dot != NULL ? (size_t)(dot - name) : 0;
    if (dot == NULL || !is_word(name, space) || !is_word(dot + 1, length - space - 1))
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the plug-in %s names an operator \"%.64s\"; a name is namespace.operator, in letters, digits "
                         "and '_'",
                         path, name != NULL ? name : "");
    if (is_taken(name, space))
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the plug-in %s defines %s, in a namespace of voxloom; give it a namespace of its own", path,
                         name);
    return LOOM_OK;
}

/* Where the result's letter stands, or NULL: letters, the last perhaps with a '*', ':', a letter. */
static const char *result_of(const char *signature) {
    static const char letters[] = "nbsqriv";
    size_t arguments = strspn(signature, letters);
    const char *at = signature + arguments;
    if (*at == '*' && arguments > 0) at++;
    if (*at != ':' || at[1] == '\0' || strchr(letters, at[1]) == NULL || at[2] != '\0') return NULL;
    return at + 1;
}

static bool takes_image(const char *signature) {
    return memchr(signature, 'i', strcspn(signature, ":")) != NULL;
}

static const char *what_is_wrong(const loom_plugin_kernel *row) {
    const uint32_t known = LOOM_PLUGIN_SAME_DOMAIN | LOOM_PLUGIN_NEW_DOMAIN | LOOM_PLUGIN_NOT_STORED;
    const char *result = row->signature != NULL ? result_of(row->signature) : NULL;
    if (result == NULL) return "its signature is malformed; write one such as \"in:i\" (voxloom/kernel.h)";
    if (row->arity_min > row->arity_max || row->arity_max > LOOM_PLUGIN_ANY_ARITY ||
        (row->arity_max > LOOM_ARGUMENTS_MAX && row->arity_max != LOOM_PLUGIN_ANY_ARITY))
        return "its arities are out of order or too large";
    if ((row->flags & ~known) != 0) return "its flags are not those of this version";
    bool same = (row->flags & LOOM_PLUGIN_SAME_DOMAIN) != 0, new_domain = (row->flags & LOOM_PLUGIN_NEW_DOMAIN) != 0;
    if (same && new_domain) return "its result cannot be on the arguments' grid and on another; drop a flag";
    if (same && !takes_image(row->signature)) return "it takes no image whose grid could be shared; drop the flag";
    if (*result == 'i' && !same && !new_domain)
        return "its result is an image; say on which grid, with LOOM_PLUGIN_SAME_DOMAIN or LOOM_PLUGIN_NEW_DOMAIN";
    if (*result == 'v' && row->flags & LOOM_PLUGIN_NEW_DOMAIN)
        return "a result on a grid of its own is an image; say i";
    if (row->version < 1 || row->version > UINT16_MAX) return "its version is not between 1 and 65535";
    if (row->cost > LOOM_PLUGIN_COST_GLOBAL || row->reserved != 0) return "its cost is not one of LOOM_PLUGIN_COST_...";
    return row->run == NULL ? "it has no code" : NULL;
}

loom_status loom_plugin_check(const char *path, const loom_plugin_kernel *row, loom_error *err) {
    LOOM_TRY(check_name(path, row->name, err));
    const char *wrong = what_is_wrong(row);
    if (wrong == NULL) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_CONFIG, "the plug-in %s defines %s, but %s", path, row->name, wrong);
}
