/* toy_files.c - the files of a toy store: `row-N` for each result, `manifest` for the rest. A commit writes new row
 * files, then the manifest beside the old one, and renames it: a crash leaves row files that no manifest names. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toy_state.h"

#define PATH_BYTES 4200
#define MAGIC UINT64_C(0x31594f544d4f4f4c) /* "LOOMTOY1" */
#define FILE_BYTES_MAX (UINT64_C(1) << 32)

typedef struct manifest_header {
    uint64_t magic, row_count, note_count, next_row, runs;
} manifest_header;

static loom_status exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the toy store");
}

/* ---- state ---- */

static bool grow(void **items, size_t item_bytes, size_t count, size_t *capacity) {
    if (count < *capacity) return true;
    size_t wanted = *capacity != 0 ? 2 * *capacity : 64;
    void *grown = realloc(*items, wanted * item_bytes);
    if (grown == NULL) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

toy_row *toy_add_row(toy_state *state) {
    if (!grow((void **)&state->rows, sizeof *state->rows, state->row_count, &state->row_capacity)) return NULL;
    state->rows[state->row_count] = (toy_row){0};
    return &state->rows[state->row_count++];
}

toy_note *toy_add_note(toy_state *state) {
    if (!grow((void **)&state->notes, sizeof *state->notes, state->note_count, &state->note_capacity)) return NULL;
    state->notes[state->note_count] = (toy_note){0};
    return &state->notes[state->note_count++];
}

void toy_state_free(toy_state *state) {
    free(state->rows);
    free(state->notes);
    *state = (toy_state){0};
}

loom_status toy_state_copy(const toy_state *from, toy_state *to, loom_error *err) {
    *to = (toy_state){.next_row = from->next_row, .runs = from->runs};
    for (size_t i = 0; i < from->row_count; i++) {
        toy_row *row = toy_add_row(to);
        if (row == NULL) return exhausted(err);
        *row = from->rows[i];
    }
    for (size_t i = 0; i < from->note_count; i++) {
        toy_note *note = toy_add_note(to);
        if (note == NULL) return exhausted(err);
        *note = from->notes[i];
    }
    return LOOM_OK;
}

/* ---- files ---- */

static bool write_all(int fd, const void *bytes, uint64_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(fd, at, length < 1 << 30 ? (size_t)length : 1 << 30);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        at += written;
        length -= (uint64_t)written;
    }
    return true;
}

static loom_status end_file(int fd, bool written, const char *path, loom_error *err) {
    bool synced = written && fsync(fd) == 0;
    int cause = errno;
    close(fd);
    return synced ? LOOM_OK : loom_fail_errno(err, cause, "cannot write %s", path);
}

static loom_status begin_file(const char *path, int *fd, loom_error *err) {
    *fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return *fd >= 0 ? LOOM_OK : loom_fail_errno(err, errno, "cannot write %s", path);
}

static void row_path(const char *folder, uint64_t number, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "%s/row-%" PRIu64, folder, number);
}

loom_status toy_write_row(const char *folder, const toy_row *row, const void *bulk, uint64_t bulk_bytes,
                          loom_error *err) {
    char path[PATH_BYTES];
    int fd;
    row_path(folder, row->number, path);
    LOOM_TRY(begin_file(path, &fd, err));
    return end_file(fd, write_all(fd, row->bytes, row->length) && write_all(fd, bulk, bulk_bytes), path, err);
}

static bool write_manifest(int fd, const toy_state *state) {
    const manifest_header header = {MAGIC, state->row_count, state->note_count, state->next_row, state->runs};
    if (!write_all(fd, &header, sizeof header)) return false;
    for (size_t i = 0; i < state->row_count; i++) {
        const uint64_t entry[2] = {state->rows[i].number, state->rows[i].length};
        if (!write_all(fd, entry, sizeof entry)) return false;
    }
    for (size_t i = 0; i < state->note_count; i++) {
        const toy_note *note = &state->notes[i];
        if (!write_all(fd, note, sizeof *note) || !write_all(fd, note->text, note->text_bytes) ||
            !write_all(fd, note->value, note->value_bytes))
            return false;
    }
    return true;
}

loom_status toy_write_manifest(const char *folder, const toy_state *state, loom_error *err) {
    char path[PATH_BYTES], made[PATH_BYTES + 8];
    int fd;
    snprintf(path, sizeof path, "%s/manifest", folder);
    snprintf(made, sizeof made, "%s.new", path);
    LOOM_TRY(begin_file(made, &fd, err));
    LOOM_TRY(end_file(fd, write_manifest(fd, state), made, err));
    if (rename(made, path) != 0) return loom_fail_errno(err, errno, "cannot rename %s", made);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0) close(fd);
    return synced ? LOOM_OK : loom_fail_errno(err, cause, "cannot sync %s", folder);
}

/* The whole file in memory, for the caller to free. */
static loom_status read_file(const char *path, uint8_t **bytes, uint64_t *length, loom_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    *bytes = NULL;
    if (fd < 0) return loom_fail_errno(err, errno, "cannot read %s", path);
    bool known = fstat(fd, &status) == 0 && status.st_size >= 0 && (uint64_t)status.st_size < FILE_BYTES_MAX;
    *length = known ? (uint64_t)status.st_size : 0;
    if (known) *bytes = malloc(*length + 1);
    uint64_t got = 0;
    while (*bytes != NULL && got < *length) {
        ssize_t part = read(fd, *bytes + got, *length - got);
        if (part <= 0) break;
        got += (uint64_t)part;
    }
    close(fd);
    if (*bytes != NULL && got == *length) return LOOM_OK;
    free(*bytes);
    *bytes = NULL;
    return loom_fail(err, LOOM_IO, "cannot read %s", path);
}

/* ---- back ---- */

typedef struct cursor {
    const uint8_t *at;
    uint64_t left;
    const char *folder;
    toy_state *state;
    toy_keep keep;
    toy_bulk bulk;
    void *context;
} cursor;

static bool take(cursor *from, void *bytes, uint64_t length) {
    if (length > from->left) return false;
    memcpy(bytes, from->at, length);
    from->at += length;
    from->left -= length;
    return true;
}

static loom_status damaged(const cursor *from, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "the manifest of %s is damaged", from->folder);
}

static loom_status read_row(cursor *from, loom_error *err) {
    uint64_t entry[2], length;
    char path[PATH_BYTES];
    uint8_t *file;
    void *kept;
    if (!take(from, entry, sizeof entry)) return damaged(from, err);
    row_path(from->folder, entry[0], path);
    LOOM_TRY(read_file(path, &file, &length, err));
    loom_status status = entry[1] <= length ? from->keep(from->context, file, entry[1], &kept, err)
                                            : loom_fail(err, LOOM_CORRUPT, "%s is too short", path);
    toy_row *row = status == LOOM_OK ? toy_add_row(from->state) : NULL;
    if (status == LOOM_OK && row == NULL) status = exhausted(err);
    if (status == LOOM_OK) {
        *row = (toy_row){entry[0], kept, entry[1]};
        status = from->bulk(from->context, row, file + entry[1], length - entry[1], err);
    }
    free(file);
    return status;
}

static loom_status keep_part(cursor *from, uint64_t length, const void **kept, loom_error *err) {
    void *copy;
    if (length > from->left) return damaged(from, err);
    LOOM_TRY(from->keep(from->context, from->at, length, &copy, err));
    from->at += length;
    from->left -= length;
    *kept = copy;
    return LOOM_OK;
}

static loom_status read_note(cursor *from, loom_error *err) {
    toy_note note;
    const void *text = NULL;
    if (!take(from, &note, sizeof note) || note.kind < TOY_PIN || note.kind > TOY_META) return damaged(from, err);
    LOOM_TRY(keep_part(from, note.text_bytes, &text, err));
    LOOM_TRY(keep_part(from, note.value_bytes, &note.value, err));
    note.text = text;
    if (note.text_bytes > 0 && note.text[note.text_bytes - 1] != '\0') return damaged(from, err);
    toy_note *added = toy_add_note(from->state);
    if (added == NULL) return exhausted(err);
    *added = note;
    return LOOM_OK;
}

loom_status toy_read(const char *folder, toy_state *state, toy_keep keep, toy_bulk bulk, void *context,
                     loom_error *err) {
    char path[PATH_BYTES];
    uint8_t *bytes;
    uint64_t length;
    manifest_header header;
    snprintf(path, sizeof path, "%s/manifest", folder);
    if (access(path, F_OK) != 0 && errno == ENOENT) return LOOM_NOT_FOUND;
    LOOM_TRY(read_file(path, &bytes, &length, err));
    cursor from = {bytes, length, folder, state, keep, bulk, context};
    loom_status status = take(&from, &header, sizeof header) && header.magic == MAGIC ? LOOM_OK : damaged(&from, err);
    for (uint64_t i = 0; status == LOOM_OK && i < header.row_count; i++)
        status = read_row(&from, err);
    for (uint64_t i = 0; status == LOOM_OK && i < header.note_count; i++)
        status = read_note(&from, err);
    if (status == LOOM_OK) {
        state->next_row = header.next_row;
        state->runs = header.runs;
    }
    free(bytes);
    return status;
}
