/* Stat fields are only a memo: what counts is the content hash (DESIGN.md, section 4). */
#include "runtime/inputs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "io/volume.h"

#define SETTLE_NS 2000000000ll

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000ll + time.tv_nsec;
}

loom_status loom_file_stamp_of(const char *path, loom_file_stamp *stamp, loom_error *err) {
    struct stat found;
    if (stat(path, &found) != 0)
        return loom_fail_errno(err, errno, "cannot read %s; check the path and who may read it", path);
    *stamp = (loom_file_stamp){.device = (uint64_t)found.st_dev,
                               .inode = (uint64_t)found.st_ino,
                               .size = (uint64_t)found.st_size,
#ifdef __APPLE__
                               .mtime_ns = nanoseconds(found.st_mtimespec),
                               .ctime_ns = nanoseconds(found.st_ctimespec)};
#else
                               .mtime_ns = nanoseconds(found.st_mtim),
                               .ctime_ns = nanoseconds(found.st_ctim)};
#endif
    return LOOM_OK;
}

bool loom_file_stamp_equal(const loom_file_stamp *a, const loom_file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

bool loom_file_stamp_is_old(const loom_file_stamp *stamp) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
    int64_t latest = stamp->mtime_ns > stamp->ctime_ns ? stamp->mtime_ns : stamp->ctime_ns;
    return nanoseconds(now) - latest >= SETTLE_NS;
}

loom_status loom_file_known_hash(loom_store *store, const char *path, loom_id *content, loom_error *err) {
    loom_file_stamp stamp;
    LOOM_TRY(loom_file_stamp_of(path, &stamp, err));
    return loom_store_get_file(store, &stamp, content, err);
}

static loom_status read_effect(const uint8_t *payload, size_t bytes, loom_arena *arena, loom_effect_record *record) {
    loom_value value;
    LOOM_TRY(loom_value_decode(payload, bytes, arena, &value, NULL));
    if (value.type != LOOM_RECORD) return LOOM_CORRUPT;
    const loom_value *path = loom_record_get(&value, "path"), *content = loom_record_get(&value, "content");
    if (!path || path->type != LOOM_STRING || !content || content->type != LOOM_BYTES ||
        content->text.length != sizeof record->content)
        return LOOM_CORRUPT;
    record->path = loom_arena_text(arena, path->text.bytes, path->text.length);
    memcpy(&record->content, content->text.bytes, sizeof record->content);
    return record->path ? LOOM_OK : LOOM_NO_MEMORY;
}

loom_status loom_effect_record_write(const loom_effect_record *record, loom_arena *arena, loom_value *value) {
    loom_field fields[] = {
        {.name = "path", .name_length = 4, .value = loom_string_of(record->path)},
        {.name = "content",
         .name_length = 7,
         .value = loom_string((const char *)record->content.bytes, sizeof record->content)},
    };
    fields[1].value.type = LOOM_BYTES;
    loom_value whole = loom_record(fields, 2);
    return loom_value_copy(arena, &whole, value);
}

/* Of an image in several files: the hash of their hashes. */
static loom_status hash_files(const loom_volume *volume, loom_hash_file hash_file, void *context, loom_id *content,
                              loom_error *err) {
    loom_hasher *hasher = loom_hasher_new();
    if (!hasher) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while hashing %s", loom_volume_file(volume, 0));
    loom_hasher_begin(hasher);
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < loom_volume_file_count(volume) && status == LOOM_OK; i++) {
        loom_id one;
        status = hash_file(loom_volume_file(volume, i), &one, context, err);
        if (status == LOOM_OK) loom_hasher_add(hasher, one.bytes, sizeof one.bytes);
    }
    *content = loom_hasher_end(hasher);
    loom_hasher_free(hasher);
    return status;
}

loom_status loom_effect_content(const char *path, loom_hash_file hash_file, void *context, loom_id *content,
                                loom_error *err) {
    if (!loom_volume_may_have_more_files(path)) return hash_file(path, content, context, err);
    loom_volume *volume;
    LOOM_TRY(loom_volume_open(path, &volume, err));
    loom_status status = hash_files(volume, hash_file, context, content, err);
    loom_volume_close(volume);
    return status;
}

bool loom_effect_holds(const loom_result *result, loom_arena *arena, loom_hash_file hash_file, void *context) {
    loom_effect_record record;
    loom_id content;
    loom_error ignored = {0};
    return read_effect(result->payload, result->payload_bytes, arena, &record) == LOOM_OK &&
           loom_effect_content(record.path, hash_file, context, &content, &ignored) == LOOM_OK &&
           loom_id_equal(&content, &record.content);
}

loom_status loom_key_inputs(loom_call *call, loom_hash_file hash_file, void *context, loom_key_parts *parts) {
    const loom_kernel *kernel = loom_kernel_of(call->op);
    if (!kernel->inputs) return LOOM_OK;
    loom_input_list list = {.arena = call->arena, .hash_file = hash_file, .context = context};
    LOOM_TRY(kernel->inputs(call, &list));
    loom_id *hashes = loom_arena_array(call->arena, list.count, sizeof *hashes);
    if (!hashes)
        return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory while hashing the inputs of %s", call->op->name);
    for (size_t i = 0; i < list.count; i++)
        hashes[i] = list.items[i].content;
    parts->inputs = hashes;
    parts->input_count = list.count;
    if (call->argument_count && call->arguments[0].type == LOOM_STRING) {
        parts->path = call->arguments[0].text.bytes;
        parts->path_length = call->arguments[0].text.length;
    }
    return LOOM_OK;
}
