/* store_value.c - `voxloom store get` and `put`: results as files, and files as results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/volume.h"
#include "runtime/cli/store.h"
#include "runtime/kernels/base/utf8.h"
#include "runtime/kernels/files/json.h"
#include "runtime/program.h"
#include "runtime/stored_value.h"
#include "runtime/text.h"

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

/* ---- get ---- */

static loom_status write_bytes(const void *bytes, size_t length, const char *path, loom_error *err) {
    FILE *out = path != NULL ? fopen(path, "we") : stdout;
    if (out == NULL) return loom_fail_errno(err, errno, "cannot write %s", path);
    bool written = fwrite(bytes, 1, length, out) == length && fflush(out) == 0;
    int cause = errno;
    if (path != NULL) fclose(out); /* flushed above: nothing is left to fail */
    return written ? LOOM_OK : loom_fail_errno(err, cause, "cannot write %s", path != NULL ? path : "stdout");
}

static loom_status write_text(const loom_value *value, const char *path, loom_error *err) {
    loom_buffer text = {0};
    bool json = path != NULL && ends_with(path, ".json");
    loom_status status = json ? loom_value_json(value, &text, err) : loom_value_str(value, &text);
    if (status == LOOM_OK) status = loom_buffer_add(&text, "\n", 1);
    if (status == LOOM_NO_MEMORY) loom_fail(err, status, "out of memory for the text of this value");
    if (status == LOOM_OK) status = write_bytes(text.bytes, text.length, path, err);
    loom_buffer_free(&text);
    return status;
}

static loom_status write_value(const loom_value *value, const char *path, loom_error *err) {
    if (value->type == LOOM_BYTES && !(path != NULL && ends_with(path, ".json")))
        return write_bytes(value->text.bytes, value->text.length, path, err);
    if (value->type != LOOM_IMAGE) return write_text(value, path, err);
    if (path == NULL)
        return loom_fail(err, LOOM_BAD_USAGE, "this result is an image; name a file: %s", loom_volume_suffixes());
    if (!loom_volume_can_write(path))
        return loom_fail(err, LOOM_BAD_USAGE, "%s: the suffix of an image file is %s", path, loom_volume_suffixes());
    return loom_volume_write(path, value->image.header, value->image.voxels, err);
}

static loom_status get_value(loom_store_job *job, void *context, loom_error *err) {
    (void)context;
    loom_result result;
    loom_value value;
    loom_view view = {0};
    const char *path = job->words.count > 1 ? job->words.items[1] : NULL;
    LOOM_TRY(loom_store_resolve(job->store, job->words.items[0], job->arena, &result, err));
    LOOM_TRY(loom_store_verify(job->store, &result, err));
    LOOM_TRY(loom_store_value(job->store, &result, job->arena, &value, &view, err));
    loom_status status = write_value(&value, path, err);
    loom_extent_release(&view);
    return status;
}

static int get(const loom_command *self, int argc, char **argv) {
    const loom_store_shape shape = {.needs = LOOM_NEED_READ, .least = 1, .most = 2, .work = get_value};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_get = {
    .name = "store get",
    .summary = "Takes a result out: an image to a file, any other value as text",
    .usage = "voxloom store get ID [FILE]",
    .help = "ID: the first digits, at least 4, of a key, a value id or a node id; goal:LABEL; or key:NAME.\n"
            "FILE: an image file (.nii.gz, .nrrd, .mha, .png and others) for an image; .json for a value as JSON; else "
            "its\n"
            "text, or its bytes as they are. Without FILE to stdout.\n",
    .run = get,
};

/* ---- put ---- */

typedef struct put_request {
    const char *name; /* --key */
    const char *path;
    bool pin, evictable, replace;
    loom_draft draft;
} put_request;

static loom_status draft_volume(put_request *put, loom_volume *volume, loom_error *err) {
    void *voxels = NULL;
    LOOM_TRY(loom_draft_image(&put->draft, loom_volume_header(volume), &voxels, err));
    const loom_volume_sink sink = {.fd = -1, .memory = voxels};
    return loom_volume_load(volume, &sink, err);
}

static loom_status draft_image(put_request *put, loom_error *err) {
    loom_volume *volume = NULL;
    LOOM_TRY(loom_volume_open(put->path, &volume, err));
    loom_status status = draft_volume(put, volume, err);
    loom_volume_close(volume);
    return status;
}

/* Text where the bytes are UTF-8, else bytes; JSON is read. */
static loom_status draft_text(put_request *put, loom_arena *arena, loom_error *err) {
    char *text = NULL;
    size_t length = 0;
    LOOM_TRY(loom_program_read(put->path, &text, &length, err));
    loom_value value;
    loom_status status = LOOM_OK;
    if (ends_with(put->path, ".json"))
        status = loom_json_read(put->path, text, length, arena, &value, err);
    else if (loom_utf8_valid(text, length))
        value = loom_string(text, length);
    else
        value = loom_bytes(text, length);
    if (status == LOOM_OK) status = loom_draft_value(&put->draft, &value, err);
    free(text);
    return status;
}

static loom_status commit(put_request *put, loom_store *store, loom_error *err) {
    loom_batch *batch = NULL;
    LOOM_TRY(loom_store_begin(store, &batch, err));
    loom_status status = loom_draft_put(&put->draft, batch, put->replace, put->evictable, err);
    if (status == LOOM_OK && put->pin) status = loom_batch_pin(batch, &put->draft.result.rkey, "hand", err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    if (status == LOOM_IRREPRODUCIBLE)
        return loom_fail(err, status, "key:%s holds another value; pass --replace to give it up", put->name);
    return status;
}

static loom_status put_file(loom_store_job *job, void *context, loom_error *err) {
    put_request *put = context;
    put->path = job->words.items[0];
    put->draft =
        (loom_draft){.store = job->store, .arena = job->arena, .inline_bytes = (size_t)job->config.store.inline_bytes};
    loom_status status = loom_volume_can_write(put->path) ? draft_image(put, err) : draft_text(put, job->arena, err);
    if (status == LOOM_OK)
        status = loom_draft_finish(&put->draft, put->name, put->name != NULL ? strlen(put->name) : 0, err);
    if (status == LOOM_OK) status = commit(put, job->store, err);
    loom_draft_close(&put->draft);
    LOOM_TRY(status);
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(&put->draft.result.rkey, hex);
    puts(hex);
    return LOOM_OK;
}

static int put(const loom_command *self, int argc, char **argv) {
    put_request request = {.pin = false};
    const loom_option options[] = {{.name = "--key", .value = &request.name},
                                   {.name = "--pin", .flag = &request.pin},
                                   {.name = "--evictable", .flag = &request.evictable},
                                   {.name = "--replace", .flag = &request.replace}};
    const loom_store_shape shape = {.needs = LOOM_NEED_WRITE | LOOM_NEED_CREATE,
                                    .least = 1,
                                    .most = 1,
                                    .options = options,
                                    .option_count = LOOM_COUNT(options),
                                    .work = put_file,
                                    .context = &request};
    return loom_store_do(self, argc, argv, &shape);
}

const loom_command loom_store_put = {
    .name = "store put",
    .summary = "Puts a file in as a result, and prints its id",
    .usage = "voxloom store put FILE [--key NAME] [--replace] [--pin | --evictable]",
    .help = "An image (.nii.gz, .nii, .png), JSON (.json: a record, list, number or text), else text or bytes.\n"
            "Without --key the id follows from the content: the same value put twice is one result.\n\n"
            "  --key NAME     a name for it: `voxloom store get key:NAME`\n"
            "  --replace      another value under this name is given up\n"
            "  --pin          pins it by hand as well (`voxloom store pins`)\n"
            "  --evictable    may be evicted like a computed result; what is put is kept otherwise, since nothing can\n"
            "                 compute it again\n",
    .run = put,
};
