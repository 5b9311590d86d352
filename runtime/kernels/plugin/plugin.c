/* plugin.c - finds plug-ins, loads each once a process, and makes tables that have their operators too. */
#include "runtime/kernels/plugin/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/volume.h"

#define KERNELS_MAX 1024u

struct loom_plugin_file {
    loom_plugin_file *next;
    char *path;   /* absolute, without links */
    void *handle; /* closed only if the plug-in is refused */
    loom_id content;
    loom_plugin_operator *operators;
    size_t count;
};

/* A table and the list of plug-ins that it was made for. */
typedef struct plugin_table {
    struct plugin_table *next;
    loom_operator_table table;
    char *list;
} plugin_table;

/* Everything loaded so far; entries are added in front and stay. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static loom_plugin_file *files;
static plugin_table *tables;

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while loading plug-ins");
}

/* ---- one file ---- */

/* The code is what was hashed: the loader opens the file by its name, so its content is looked at before and after. */
static loom_status open_object(loom_plugin_file *file, const loom_plugin **plugin, loom_error *err) {
    const char *path = file->path;
    loom_id after;
    uint64_t bytes;
    LOOM_TRY(loom_file_hash(path, &file->content, &bytes, err));
    file->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (file->handle == NULL) {
        const char *reason = dlerror();
        return loom_fail(err, LOOM_BAD_CONFIG, "cannot load the plug-in %s: %.300s; check kernels.plugins", path,
                         reason != NULL ? reason : "it is no shared object");
    }
    LOOM_TRY(loom_file_hash(path, &after, &bytes, err));
    if (!loom_id_equal(&file->content, &after))
        return loom_fail(err, LOOM_BAD_CONFIG, "the plug-in %s changed while it was loaded; run again", path);
    *plugin = dlsym(file->handle, "voxloom_plugin");
    if (*plugin != NULL) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_CONFIG,
                     "%s is no plug-in: it exports no voxloom_plugin (voxloom/kernel.h); check kernels.plugins", path);
}

static loom_status check_table(const char *path, const loom_plugin *plugin, loom_error *err) {
    if (plugin->abi != LOOM_PLUGIN_ABI || plugin->kernel_bytes != sizeof(loom_plugin_kernel))
        return loom_fail(err, LOOM_BAD_CONFIG,
                         "the plug-in %s was built for version %u of the kernel interface, this voxloom has %u; build "
                         "it again with this voxloom's headers",
                         path, plugin->abi, LOOM_PLUGIN_ABI);
    if (plugin->kernels == NULL || plugin->kernel_count == 0 || plugin->kernel_count > KERNELS_MAX)
        return loom_fail(err, LOOM_BAD_CONFIG, "the plug-in %s has %llu operators; 1 to %u are allowed", path,
                         (unsigned long long)plugin->kernel_count, KERNELS_MAX);
    for (size_t i = 0; i < plugin->kernel_count; i++)
        LOOM_TRY(loom_plugin_check(path, &plugin->kernels[i], err));
    return LOOM_OK;
}

static int64_t version_of(const loom_plugin_kernel *row, const loom_id *content) {
    uint64_t digest = 0;
    for (size_t i = 0; i < 6; i++)
        digest = digest << 8 | content->bytes[i];
    return (int64_t)((digest & UINT64_C(0x7fffffffffff)) << 16 | row->version); /* below 2^63 */
}

static loom_plugin_operator operator_of(const loom_plugin_kernel *row, const loom_plugin_file *file) {
    return (loom_plugin_operator){.kernel = {.op = {.name = row->name,
                                                    .signature = row->signature,
                                                    .arity_min = (uint16_t)row->arity_min,
                                                    .arity_max = (uint16_t)row->arity_max,
                                                    .flags = row->flags,
                                                    .version = version_of(row, &file->content),
                                                    .cost = (uint16_t)row->cost,
                                                    .doc = row->doc != NULL ? row->doc : ""},
                                             .run = loom_run_plugin},
                                  .call = row->run,
                                  .file = file};
}

static loom_status fill(loom_plugin_file *file, loom_error *err) {
    const loom_plugin *plugin;
    LOOM_TRY(open_object(file, &plugin, err));
    LOOM_TRY(check_table(file->path, plugin, err));
    file->count = (size_t)plugin->kernel_count;
    file->operators = calloc(file->count, sizeof *file->operators);
    if (file->operators == NULL) return no_memory(err);
    for (size_t i = 0; i < file->count; i++)
        file->operators[i] = operator_of(&plugin->kernels[i], file);
    return LOOM_OK;
}

/* A file that was replaced since cannot be loaded beside what it was: the loader knows it by its name. */
static loom_status unchanged(const loom_plugin_file *file, loom_error *err) {
    loom_id now;
    uint64_t bytes;
    LOOM_TRY(loom_file_hash(file->path, &now, &bytes, err));
    if (loom_id_equal(&now, &file->content)) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_CONFIG, "the plug-in %s changed since this process loaded it; start it again",
                     file->path);
}

static loom_status load(const char *path, loom_plugin_file **found, loom_error *err) {
    for (*found = files; *found != NULL; *found = (*found)->next)
        if (strcmp((*found)->path, path) == 0) return unchanged(*found, err);
    loom_plugin_file *file = calloc(1, sizeof *file);
    if (file != NULL) file->path = strdup(path);
    loom_status status = file == NULL || file->path == NULL ? no_memory(err) : fill(file, err);
    if (status != LOOM_OK) {
        if (file != NULL && file->handle != NULL) dlclose(file->handle);
        if (file != NULL) free(file->path);
        free(file);
        return status;
    }
    file->next = files;
    files = file;
    *found = file;
    return LOOM_OK;
}

/* ---- tables ---- */

/* The plug-ins of one list while its table is made. */
typedef struct plugin_set {
    loom_plugin_file **files;
    size_t count;
    char *list; /* of their paths */
    size_t list_bytes;
} plugin_set;

static loom_status add_file(plugin_set *set, const char *path, loom_error *err) {
    loom_plugin_file *file;
    if (strchr(path, ':') != NULL)
        return loom_fail(err, LOOM_BAD_CONFIG, "the path of the plug-in %s has a ':', which parts paths; move it",
                         path);
    LOOM_TRY(load(path, &file, err));
    for (size_t i = 0; i < set->count; i++)
        if (set->files[i] == file) return LOOM_OK; /* named twice */
    size_t length = strlen(path);
    loom_plugin_file **grown = realloc(set->files, (set->count + 1) * sizeof(loom_plugin_file *));
    if (grown != NULL) set->files = grown;
    char *list = realloc(set->list, set->list_bytes + length + 2);
    if (list != NULL) set->list = list;
    if (grown == NULL || list == NULL) return no_memory(err);
    set->files[set->count++] = file;
    if (set->list_bytes > 0) list[set->list_bytes++] = ':';
    memcpy(list + set->list_bytes, path, length + 1);
    set->list_bytes += length;
    return LOOM_OK;
}

static loom_status gather(const char *plugins, plugin_set *set, loom_error *err) {
    loom_status status = LOOM_OK;
    while (*plugins != '\0' && status == LOOM_OK) {
        size_t length = strcspn(plugins, ":");
        char *name = strndup(plugins, length), *path = name != NULL ? realpath(name, NULL) : NULL;
        if (name == NULL)
            status = no_memory(err);
        else if (length > 0 && path == NULL)
            status = loom_fail(err, LOOM_BAD_CONFIG, "cannot load the plug-in %s: %s; check kernels.plugins", name,
                               strerror(errno));
        else if (length > 0)
            status = add_file(set, path, err);
        free(name);
        free(path);
        plugins += length + (plugins[length] == ':');
    }
    return status;
}

static int compare_names(const void *a, const void *b) {
    const loom_operator *const *left = a;
    const loom_operator *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Plug-ins cannot clash with this build's own operators (plugin_check.c), only with each other. */
static loom_status find_clash(const loom_operator *const *operators, size_t count, loom_error *err) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(operators[i - 1]->name, operators[i]->name) != 0) continue;
        const loom_plugin_operator *one = (const void *)operators[i - 1], *other = (const void *)operators[i];
        return loom_fail(err, LOOM_BAD_CONFIG, "%s is defined twice, by the plug-ins %s and %s; load one of them",
                         operators[i]->name, one->file->path, other->file->path);
    }
    return LOOM_OK;
}

static loom_status merge(const plugin_set *set, const loom_operator ***merged, size_t *count, loom_error *err) {
    const loom_operator_table *own = loom_operators();
    *count = own->count;
    for (size_t i = 0; i < set->count; i++)
        *count += set->files[i]->count;
    const loom_operator **operators = calloc(*count, sizeof(const loom_operator *));
    if (operators == NULL) return no_memory(err);
    size_t at = own->count;
    memcpy(operators, own->operators, own->count * sizeof *operators);
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->files[i]->count; k++)
            operators[at++] = &set->files[i]->operators[k].kernel.op;
    qsort(operators, *count, sizeof *operators, compare_names);
    loom_status status = find_clash(operators, *count, err);
    if (status != LOOM_OK) free(operators);
    *merged = operators;
    return status;
}

/* Takes the set's list over. */
static loom_status table_of(plugin_set *set, const loom_operator_table **table, loom_error *err) {
    for (const plugin_table *known = tables; known != NULL; known = known->next)
        if (strcmp(known->list, set->list) == 0) {
            *table = &known->table;
            return LOOM_OK;
        }
    const loom_operator **operators = NULL;
    size_t count = 0;
    LOOM_TRY(merge(set, &operators, &count, err));
    plugin_table *made = calloc(1, sizeof *made);
    if (made == NULL) {
        free(operators);
        return no_memory(err);
    }
    *made = (plugin_table){.next = tables, .table = {.operators = operators, .count = count}, .list = set->list};
    set->list = NULL;
    tables = made;
    *table = &made->table;
    return LOOM_OK;
}

loom_status loom_operators_with(const char *plugins, const loom_operator_table **table, loom_error *err) {
    plugin_set set = {0};
    *table = loom_operators();
    pthread_mutex_lock(&lock);
    loom_status status = gather(plugins, &set, err);
    if (status == LOOM_OK && set.count > 0) status = table_of(&set, table, err);
    pthread_mutex_unlock(&lock);
    free(set.files);
    free(set.list);
    return status;
}

const char *loom_operators_plugins(const loom_operator_table *table) {
    const char *list = "";
    pthread_mutex_lock(&lock);
    for (const plugin_table *known = tables; known != NULL; known = known->next)
        if (&known->table == table) list = known->list;
    pthread_mutex_unlock(&lock);
    return list;
}
