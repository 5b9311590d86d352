/* volume.c - one door for image files of every format: finds the format by content when reading, by suffix when
 * writing, and replaces files whole or not at all. */
#include "io/volume_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/output.h"

#define LEVEL_DEFAULT 6
#define LOOM_FORMATS_READ "NIfTI, NRRD, MetaImage, DICOM, TIFF, PNG, JPEG, BMP"

/* ---- reading ---- */

static loom_status fail_unknown(const loom_volume *volume, size_t length, loom_error *err) {
    if (length == 0) return loom_fail(err, LOOM_BAD_INPUT, "%s: is empty; get a fresh copy of the file", volume->path);
    return loom_fail(err, LOOM_BAD_INPUT,
                     "%s: is none of the image formats that are read (" LOOM_FORMATS_READ "); convert it to one",
                     volume->path);
}

static bool is_folder(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static loom_status recognise(loom_volume *volume, loom_error *err) {
    uint8_t start[LOOM_START_BYTES];
    size_t length;
    if (is_folder(volume->path)) {
        volume->format = &loom_format_dicom_folder;
        return volume->format->open(volume, NULL, 0, err);
    }
    LOOM_TRY(loom_input_open(volume->path, &volume->input, err));
    LOOM_TRY(loom_stream_open(&volume->input, &volume->stream, err));
    LOOM_TRY(loom_stream_read(volume->stream, start, sizeof start, &length, err));
    volume->format = loom_format_of_content(start, length, loom_stream_is_gzip(volume->stream));
    if (!volume->format) return fail_unknown(volume, length, err);
    return volume->format->open(volume, start, length, err);
}

loom_status loom_volume_open(const char *path, loom_volume **volume, loom_error *err) {
    *volume = NULL;
    loom_volume *made = calloc(1, sizeof *made);
    char *copy = made ? strdup(path) : NULL;
    if (!copy) {
        free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to open %s", path);
    }
    made->path = copy;
    made->input.fd = -1;
    loom_status status = recognise(made, err);
    if (status != LOOM_OK) {
        loom_volume_close(made);
        return status;
    }
    *volume = made;
    return LOOM_OK;
}

bool loom_volume_may_have_more_files(const char *path) {
    loom_input input;
    uint8_t start[LOOM_START_BYTES];
    size_t length = 0;
    if (is_folder(path)) return true;
    if (loom_input_open(path, &input, NULL) != LOOM_OK) return false;
    loom_status status = loom_input_read(&input, start, sizeof start, 0, &length, NULL);
    loom_input_close(&input);
    const loom_format *format = status == LOOM_OK ? loom_format_of_content(start, length, false) : NULL;
    return format && format->many_files;
}

const loom_image_header *loom_volume_header(const loom_volume *volume) {
    return &volume->header;
}

size_t loom_volume_file_count(const loom_volume *volume) {
    return (volume->input.fd >= 0 ? 1 : 0) + volume->other_count;
}

const char *loom_volume_file(const loom_volume *volume, size_t index) {
    if (volume->input.fd < 0) return volume->others[index];
    return index == 0 ? volume->path : volume->others[index - 1];
}

loom_status loom_volume_add_file(loom_volume *volume, char *path, loom_error *err) {
    bool room = path != NULL;
    if (room && volume->other_count == volume->other_capacity) {
        size_t capacity = volume->other_capacity ? 2 * volume->other_capacity : 4;
        char **grown = reallocarray(volume->others, capacity, sizeof *grown);
        room = grown != NULL;
        if (room) {
            volume->others = grown;
            volume->other_capacity = capacity;
        }
    }
    if (!room) {
        free(path);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    }
    volume->others[volume->other_count++] = path;
    return LOOM_OK;
}

char *loom_volume_beside(const loom_volume *volume, const char *name) {
    const char *slash = name[0] == '/' ? NULL : strrchr(volume->path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - volume->path) : 0, length = strlen(name);
    char *path = malloc(folder + length + 1);
    if (!path) return NULL;
    memcpy(path, volume->path, folder);
    memcpy(path + folder, name, length + 1);
    return path;
}

loom_status loom_volume_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err) {
    loom_status status = volume->format->load(volume, sink, err);
    /* A file that is being replaced looks damaged: say which of the two it is. */
    if (volume->input.fd >= 0 && (status == LOOM_OK || status == LOOM_BAD_INPUT)) {
        loom_error changed;
        loom_error_clear(&changed);
        if (loom_input_check_unchanged(&volume->input, &changed) != LOOM_OK) {
            if (err) *err = changed;
            return changed.status;
        }
    }
    return status;
}

void loom_volume_close(loom_volume *volume) {
    if (!volume) return;
    for (size_t i = 0; i < volume->other_count; i++)
        free(volume->others[i]);
    free(volume->others);
    free(volume->detail);
    loom_stream_close(volume->stream);
    loom_input_close(&volume->input);
    free(volume->path);
    free(volume);
}

/* ---- writing ---- */

bool loom_volume_can_write(const char *path) {
    return loom_format_of_suffix(path) != NULL;
}

/* The name of the file for the voxels of "a/b.mhd": "a/b.mhd.raw", which is nobody else's. */
static char *data_path_of(const char *path) {
    size_t length = strlen(path);
    char *data = malloc(length + sizeof ".raw");
    if (!data) return NULL;
    memcpy(data, path, length);
    memcpy(data + length, ".raw", sizeof ".raw");
    return data;
}

/* Whether readers take the name, as it stands in a header, for one file: not for a pattern, a list or other lines. */
static bool can_be_named(const char *name) {
    bool plain = *name != ' ' && strchr(name, '%') == NULL && strncmp(name, "LIST ", 5) != 0;
    for (; *name != '\0' && plain; name++)
        plain = (unsigned char)*name >= ' ' && *name != 0x7f;
    return plain;
}

/* A header must never meet the voxels of another image: the old one is removed before the new voxels appear, and not
 * before both are on the disk, which may be full. */
static loom_status commit_pair(const char *path, loom_output *output, loom_output *data, loom_error *err) {
    loom_status status = loom_output_sync(data, err);
    if (status == LOOM_OK) status = loom_output_sync(output, err);
    if (status == LOOM_OK && unlink(output->path) != 0 && errno != ENOENT)
        status = loom_fail_errno(err, errno, "%s: the old file cannot be removed", path);
    if (status == LOOM_OK)
        status = loom_output_commit(data, err);
    else
        loom_output_abandon(data);
    if (status == LOOM_OK) return loom_output_commit(output, err);
    loom_output_abandon(output);
    return status;
}

static loom_status write_pair(const loom_format *format, loom_writing *writing, loom_error *err) {
    loom_output output, data;
    char *data_path = data_path_of(writing->path);
    if (!data_path) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", writing->path);
    const char *slash = strrchr(data_path, '/'), *data_name = slash ? slash + 1 : data_path;
    loom_status status = LOOM_OK;
    if (!can_be_named(data_name))
        status = loom_fail(err, LOOM_BAD_ARGUMENT,
                           "%s: readers would not find the voxels by the name in the header; use a name without %% and "
                           "control characters that begins with neither a blank nor LIST",
                           writing->path);
    if (status == LOOM_OK) status = loom_output_open(data_path, &data, err);
    if (status == LOOM_OK) {
        status = loom_output_open(writing->path, &output, err);
        if (status != LOOM_OK) loom_output_abandon(&data);
    }
    if (status == LOOM_OK) {
        writing->fd = output.fd;
        writing->data_fd = data.fd;
        writing->data_name = data_name;
        status = format->write(writing, err);
        if (status == LOOM_OK) {
            status = commit_pair(writing->path, &output, &data, err);
        } else {
            loom_output_abandon(&output);
            loom_output_abandon(&data);
        }
    }
    free(data_path);
    return status;
}

static loom_status write_one(const loom_format *format, loom_writing *writing, loom_error *err) {
    loom_output output;
    LOOM_TRY(loom_output_open(writing->path, &output, err));
    writing->fd = writing->data_fd = output.fd;
    loom_status status = format->write(writing, err);
    if (status == LOOM_OK) return loom_output_commit(&output, err);
    loom_output_abandon(&output);
    return status;
}

loom_status loom_volume_write_level(const char *path, const loom_image_header *header, const void *voxels, int level,
                                    loom_error *err) {
    const loom_format *format = loom_format_of_suffix(path);
    if (!format)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: images are written as %s; change the suffix", path,
                         loom_volume_suffixes());
    if (level < 0 || level > 9)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "compression level %d; use 0 (none) to 9 (smallest)", level);
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(header, &detail);
    if (status != LOOM_OK) return loom_fail(err, status, "%s: cannot be written: %s", path, detail.message);
    loom_writing writing = {.path = path, .level = level, .header = header, .voxels = voxels};
    bool pair = format->detached && loom_path_has_suffix(path, format->detached);
    return pair ? write_pair(format, &writing, err) : write_one(format, &writing, err);
}

loom_status loom_volume_write(const char *path, const loom_image_header *header, const void *voxels, loom_error *err) {
    return loom_volume_write_level(path, header, voxels, LEVEL_DEFAULT, err);
}
