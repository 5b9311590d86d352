/* files.c - reading and writing: ReadImage, WriteImage, load, and the runtime's own loom.save.
 *
 * ReadImage streams voxels straight into the space of its result. What is read is reported to the runtime by content
 * hash, so that touching a file recomputes nothing and editing it does. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/volume.h"
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/utf8.h"
#include "runtime/kernels/files/json.h"
#include "runtime/kernels/kernels.h"

#define LOAD_BYTES_MAX (UINT64_C(256) << 20)

/* ---- ReadImage ---- */

static loom_status add_file(loom_input_list *list, const char *path, loom_error *err) {
    loom_id content;
    LOOM_TRY(list->hash_file(path, &content, list->context, err));
    loom_status status = loom_input_add(list, path, &content);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "out of memory while listing the input %s", path);
}

/* A header with its voxels elsewhere, or a folder of slices: each file is an input. */
static loom_status add_all_files(loom_input_list *list, const char *path, loom_error *err) {
    loom_volume *volume = NULL;
    LOOM_TRY(loom_volume_open(path, &volume, err));
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < loom_volume_file_count(volume) && status == LOOM_OK; i++) {
        /* The list keeps the path longer than the volume. */
        const char *file = loom_volume_file(volume, i);
        char *copy = loom_arena_text(list->arena, file, strlen(file));
        status = copy ? add_file(list, copy, err)
                      : loom_fail(err, LOOM_NO_MEMORY, "out of memory while listing the inputs of %s", path);
    }
    loom_volume_close(volume);
    return status;
}

loom_status loom_inputs_read_image(loom_call *call, loom_input_list *list) {
    const char *path = NULL;
    LOOM_TRY(loom_arg_path(call, 0, &path));
    return loom_volume_may_have_more_files(path) ? add_all_files(list, path, call->err)
                                                 : add_file(list, path, call->err);
}

/* SimpleITK's further arguments: an output pixel type (-1: that of the file) and the name of a reader (empty: any). */
static loom_status refuse_options(loom_call *call) {
    for (uint32_t k = 1; k < call->argument_count; k++) {
        const loom_value *value = &call->arguments[k];
        double number = 0;
        bool neutral =
            value->type == LOOM_STRING ? value->text.length == 0 : loom_value_number(value, &number) && number == -1;
        if (!neutral)
            return loom_fail(call->err, LOOM_UNSUPPORTED,
                             "`%s` takes no pixel type or reader here; leave argument %u out and use `Cast` or "
                             "`intensity`",
                             call->op->name, k + 1);
    }
    return LOOM_OK;
}

loom_status loom_run_read_image(loom_call *call) {
    const char *path = NULL;
    loom_volume *volume = NULL;
    LOOM_TRY(loom_arg_path(call, 0, &path));
    LOOM_TRY(refuse_options(call));
    LOOM_TRY(loom_volume_open(path, &volume, call->err));
    loom_volume_sink sink = {.ring = call->ring, .fd = -1, .tile_bytes = call->tile_bytes};
    loom_status status = call->services->new_stream(call, loom_volume_header(volume), &sink.fd, &sink.offset);
    if (status == LOOM_OK) status = loom_volume_load(volume, &sink, call->err);
    loom_volume_close(volume);
    return status;
}

/* ---- WriteImage, loom.save ---- */

static loom_status write_image(loom_call *call) {
    const loom_value *image = NULL;
    const char *path = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    LOOM_TRY(loom_arg_path(call, 1, &path));
    if (!loom_volume_can_write(path))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "cannot write %s: the suffix names no image format; use %s",
                         path, loom_volume_suffixes());
    LOOM_TRY(loom_volume_write(path, image->image.header, image->image.voxels, call->err));
    call->result = loom_null();
    return LOOM_OK;
}

loom_status loom_run_save(loom_call *call) {
    return write_image(call);
}

/* useCompression, imageIO and compressionLevel only choose how bytes are packed; the suffix decides that here. */
loom_status loom_run_write_image(loom_call *call) {
    return write_image(call);
}

/* ---- load ---- */

typedef struct text_file {
    char *bytes;
    size_t length;
} text_file;

static loom_status read_all(loom_call *call, int fd, const char *path, text_file *file) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) return loom_fail_errno(call->err, errno, "cannot examine %s", path);
    if (!S_ISREG(facts.st_mode))
        return loom_fail(call->err, LOOM_BAD_INPUT, "cannot load %s: it is not a regular file", path);
    if (facts.st_size < 0 || (uint64_t)facts.st_size > LOAD_BYTES_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE,
                         "cannot load %s: it has more than %llu bytes; read images with ReadImage", path,
                         (unsigned long long)LOAD_BYTES_MAX);
    size_t size = (size_t)facts.st_size, used = 0;
    file->bytes = loom_arena_alloc(call->arena, size + 1);
    if (file->bytes == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "no memory to load %s", path);
    while (used < size) {
        ssize_t got = read(fd, file->bytes + used, size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return loom_fail_errno(call->err, errno, "cannot read %s", path);
        if (got == 0) return loom_fail(call->err, LOOM_STALE_INPUT, "%s became shorter while it was read", path);
        used += (size_t)got;
    }
    file->length = size;
    return LOOM_OK;
}

static loom_status read_file(loom_call *call, const char *path, text_file *file) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return loom_fail(call->err, LOOM_BAD_INPUT, "cannot open %s: %s; check the path (relative to %s)", path,
                         strerror(errno), "the folder where voxloom was started");
    loom_status status = read_all(call, fd, path, file);
    close(fd);
    return status;
}

static bool has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), tail = strlen(suffix);
    return length > tail && strcasecmp(path + length - tail, suffix) == 0;
}

/* The end of the line that begins at `at` (its terminator excluded), and where the next one begins. */
static size_t line_end(const text_file *file, size_t at, size_t *next) {
    size_t end = at;
    while (end < file->length && file->bytes[end] != '\n' && file->bytes[end] != '\r')
        end++;
    bool pair = end + 1 < file->length && file->bytes[end] == '\r' && file->bytes[end + 1] == '\n';
    *next = end + (pair ? 2 : 1);
    return end;
}

static loom_status lines_of(loom_call *call, const text_file *file) {
    size_t count = 0, next = 0;
    for (size_t at = 0; at < file->length; at = next, count++)
        (void)line_end(file, at, &next);
    loom_value *items = loom_arena_array(call->arena, count == 0 ? 1 : count, sizeof *items);
    if (items == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "no memory for %zu lines", count);
    size_t line = 0;
    for (size_t at = 0; at < file->length; at = next) {
        size_t end = line_end(file, at, &next);
        items[line++] = loom_string(file->bytes + at, end - at);
    }
    call->result = loom_sequence(items, count);
    return LOOM_OK;
}

loom_status loom_inputs_load(loom_call *call, loom_input_list *list) {
    const loom_value *value = NULL;
    const char *path = NULL;
    LOOM_TRY(loom_arg(call, 0, &value));
    if (value->type == LOOM_SEQUENCE) {
        /* Keys of operators that read files hold inputs in place of the first argument: here it is the input. */
        loom_id content;
        loom_status status = loom_value_id(value, &content);
        if (status == LOOM_OK) status = loom_input_add(list, "", &content);
        return status == LOOM_OK ? LOOM_OK
                                 : loom_fail(call->err, status, "`%s` cannot identify its list", call->op->name);
    }
    LOOM_TRY(loom_arg_path(call, 0, &path));
    return add_file(list, path, call->err);
}

loom_status loom_run_load(loom_call *call) {
    const loom_value *value = NULL;
    const char *path = NULL;
    text_file file = {0};
    LOOM_TRY(loom_arg(call, 0, &value));
    if (value->type == LOOM_SEQUENCE) {
        call->result = *value;
        return LOOM_OK;
    }
    LOOM_TRY(loom_arg_path(call, 0, &path));
    LOOM_TRY(read_file(call, path, &file));
    bool json = has_suffix(path, ".json"), text = has_suffix(path, ".txt") || has_suffix(path, ".csv");
    if ((json || text) && !loom_utf8_valid(file.bytes, file.length))
        return loom_fail(call->err, LOOM_BAD_INPUT, "%s is not UTF-8 text; convert it, for example with iconv", path);
    if (json) return loom_json_read(path, file.bytes, file.length, call->arena, &call->result, call->err);
    if (text) return lines_of(call, &file);
    call->result = loom_string(file.bytes, file.length);
    call->result.type = LOOM_BYTES;
    return LOOM_OK;
}
