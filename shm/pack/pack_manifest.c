/* pack_manifest.c - the manifest of a finished pack. Its records lie between the rows, each naming the place of the one
 * before it; END names the last. So the places are gathered back to front, then the records are read front to back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/pack/pack_format.h"

struct loom_pack_manifest {
    int fd;
    const char *name;
    loom_pack_header header;
    loom_pack_end end;
    uint64_t *places; /* of its records, back to front */
    size_t count, capacity;
    size_t left;    /* records not yet read */
    uint8_t *bytes; /* of the record being read */
    size_t length, next;
    uint64_t row, seen; /* of the last item; items so far */
};

static loom_status damaged(const loom_pack_manifest *manifest, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "%s is damaged or cut short; remove it (what is before it stays good)",
                     manifest->name);
}

static loom_status read_at(const loom_pack_manifest *manifest, uint64_t at, void *bytes, size_t length,
                           loom_error *err) {
    for (size_t have = 0; have < length;) {
        if (at > INT64_MAX - have) return damaged(manifest, err);
        ssize_t got = pread(manifest->fd, (uint8_t *)bytes + have, length - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return loom_fail_errno(err, errno, "cannot read %s", manifest->name);
        if (got == 0) return damaged(manifest, err);
        have += (size_t)got;
    }
    return LOOM_OK;
}

/* Reads the record at a place; its content goes to manifest->bytes. */
static loom_status read_record(loom_pack_manifest *manifest, uint64_t at, uint32_t type, loom_error *err) {
    loom_pack_record_header header;
    LOOM_TRY(read_at(manifest, at, &header, sizeof header, err));
    if (header.type != type || header.length > loom_pack_record_limit(type)) return damaged(manifest, err);
    LOOM_TRY(read_at(manifest, at + sizeof header, manifest->bytes, header.length, err));
    uint64_t seed = loom_pack_seed(&manifest->header, header.type, header.length, at);
    if (XXH3_64bits_withSeed(manifest->bytes, header.length, seed) != header.check) return damaged(manifest, err);
    manifest->length = header.length;
    return LOOM_OK;
}

static loom_status add_place(loom_pack_manifest *manifest, uint64_t at, loom_error *err) {
    if (manifest->count == manifest->capacity) {
        size_t capacity = manifest->capacity == 0 ? 64 : 2 * manifest->capacity;
        uint64_t *grown = realloc(manifest->places, capacity * sizeof *grown);
        if (grown == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", manifest->name);
        manifest->places = grown;
        manifest->capacity = capacity;
    }
    manifest->places[manifest->count++] = at;
    return LOOM_OK;
}

static loom_status gather_places(loom_pack_manifest *manifest, loom_error *err) {
    uint64_t at = manifest->end.last_manifest;
    while (at != 0) {
        LOOM_TRY(add_place(manifest, at, err));
        LOOM_TRY(read_record(manifest, at, LOOM_PACK_MANIFEST, err));
        if (manifest->length < 8) return damaged(manifest, err);
        uint64_t before;
        memcpy(&before, manifest->bytes, sizeof before);
        if (before >= at) return damaged(manifest, err); /* places fall, so this ends */
        at = before;
    }
    return LOOM_OK;
}

static loom_status read_ends(loom_pack_manifest *manifest, loom_error *err) {
    struct stat now;
    if (fstat(manifest->fd, &now) != 0) return loom_fail_errno(err, errno, "cannot read %s", manifest->name);
    LOOM_TRY(read_at(manifest, 0, &manifest->header, sizeof manifest->header, err));
    LOOM_TRY(loom_pack_check_header(&manifest->header, manifest->name, err));
    if ((uint64_t)now.st_size < sizeof manifest->header + LOOM_PACK_END_BYTES) return damaged(manifest, err);
    LOOM_TRY(read_record(manifest, (uint64_t)now.st_size - LOOM_PACK_END_BYTES, LOOM_PACK_END, err));
    if (manifest->length != sizeof manifest->end) return damaged(manifest, err);
    memcpy(&manifest->end, manifest->bytes, sizeof manifest->end);
    return gather_places(manifest, err);
}

loom_status loom_pack_manifest_open(int fd, const char *name, loom_pack_manifest **manifest, loom_error *err) {
    *manifest = NULL;
    loom_pack_manifest *made = calloc(1, sizeof *made);
    if (made != NULL) made->bytes = malloc(loom_pack_record_limit(LOOM_PACK_MANIFEST));
    if (made == NULL || made->bytes == NULL) {
        loom_pack_manifest_free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", name);
    }
    made->fd = fd;
    made->name = name;
    loom_status status = read_ends(made, err);
    if (status != LOOM_OK) {
        loom_pack_manifest_free(made);
        return status;
    }
    loom_pack_manifest_rewind(made);
    *manifest = made;
    return LOOM_OK;
}

void loom_pack_manifest_rewind(loom_pack_manifest *manifest) {
    manifest->left = manifest->count;
    manifest->length = manifest->next = 0;
    manifest->row = manifest->seen = 0;
}

const loom_pack_header *loom_pack_manifest_header(const loom_pack_manifest *manifest) {
    return &manifest->header;
}

const loom_pack_end *loom_pack_manifest_end(const loom_pack_manifest *manifest) {
    return &manifest->end;
}

static loom_status next_record(loom_pack_manifest *manifest, loom_error *err) {
    LOOM_TRY(read_record(manifest, manifest->places[--manifest->left], LOOM_PACK_MANIFEST, err));
    if (manifest->length <= 8 || (manifest->length - 8) % sizeof(loom_pack_item) != 0) return damaged(manifest, err);
    manifest->next = 8;
    return LOOM_OK;
}

loom_status loom_pack_manifest_next(loom_pack_manifest *manifest, loom_pack_item *item, loom_error *err) {
    if (manifest->next == manifest->length) {
        if (manifest->left == 0) return manifest->seen == manifest->end.items ? LOOM_NOT_FOUND : damaged(manifest, err);
        LOOM_TRY(next_record(manifest, err));
    }
    memcpy(item, manifest->bytes + manifest->next, sizeof *item);
    manifest->next += sizeof *item;
    manifest->seen++;
    if (item->row <= manifest->row) return damaged(manifest, err);
    manifest->row = item->row;
    return LOOM_OK;
}

void loom_pack_manifest_free(loom_pack_manifest *manifest) {
    if (manifest == NULL) return;
    free(manifest->places);
    free(manifest->bytes);
    free(manifest);
}
