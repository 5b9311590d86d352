/* support.c - the tests' scratch folder and plain ways to make and read files. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[512];

int scratch_setup(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/voxloom-io-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    if (dir) {
        struct dirent *entry;
        while ((entry = readdir(dir)) != NULL) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
            char child[2048];
            snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            struct stat status;
            if (lstat(child, &status) == 0 && S_ISDIR(status.st_mode))
                remove_tree(child);
            else
                unlink(child);
        }
        closedir(dir);
    }
    rmdir(path);
}

int scratch_teardown(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

const char *scratch_path(const char *name) {
    static char paths[64][1024];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void write_file(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (length > 0) assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

unsigned char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *length = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*length + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *length, file), *length);
    bytes[*length] = 0;
    fclose(file);
    return bytes;
}

unsigned char *gzip_bytes(const void *bytes, size_t length, size_t *packed) {
    z_stream zlib = {0};
    assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&zlib, length) + 64;
    unsigned char *out = malloc(bound);
    assert_non_null(out);
    zlib.next_in = (z_const Bytef *)bytes;
    zlib.avail_in = (unsigned)length;
    zlib.next_out = out;
    zlib.avail_out = (unsigned)bound;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    *packed = zlib.total_out;
    deflateEnd(&zlib);
    return out;
}

unsigned char *gunzip_file(const char *path, size_t *length) {
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    size_t capacity = 1 << 16;
    unsigned char *bytes = malloc(capacity);
    *length = 0;
    for (;;) {
        assert_non_null(bytes);
        int got = gzread(file, bytes + *length, (unsigned)(capacity - *length));
        assert_true(got >= 0);
        if (got == 0) break;
        *length += (size_t)got;
        if (*length == capacity) bytes = realloc(bytes, capacity *= 2);
    }
    assert_int_equal(gzclose(file), Z_OK);
    return bytes;
}

void assert_loom_ok(loom_status status, const loom_error *err) {
    if (status != LOOM_OK) fail_msg("%s: %s", loom_status_name(status), err->message);
}

void *load_volume(const char *path, loom_image_header *header) {
    loom_error err = {0};
    loom_volume *volume;
    assert_loom_ok(loom_volume_open(path, &volume, &err), &err);
    *header = *loom_volume_header(volume);
    void *voxels = malloc((size_t)loom_image_bytes(header));
    assert_non_null(voxels);
    loom_volume_sink sink = {.fd = -1, .memory = voxels};
    assert_loom_ok(loom_volume_load(volume, &sink, &err), &err);
    loom_volume_close(volume);
    return voxels;
}

loom_status expect_refusal(const char *path, const char *fragment) {
    loom_error err = {0};
    loom_volume *volume;
    loom_status status = loom_volume_open(path, &volume, &err);
    if (status == LOOM_OK) {
        void *voxels = malloc((size_t)loom_image_bytes(loom_volume_header(volume)));
        assert_non_null(voxels);
        loom_volume_sink sink = {.fd = -1, .memory = voxels};
        status = loom_volume_load(volume, &sink, &err);
        free(voxels);
        loom_volume_close(volume);
    } else {
        assert_null(volume);
    }
    if (status == LOOM_OK) fail_msg("%s was read although it is bad", path);
    assert_int_equal(err.status, status);
    if (strncmp(err.message, path, strlen(path)) != 0) fail_msg("the message does not name the file: %s", err.message);
    if (strchr(err.message, '\n')) fail_msg("the message has more than one line: %s", err.message);
    if (!strstr(err.message, fragment)) fail_msg("'%s' is not in: %s", fragment, err.message);
    return status;
}

const char *shared_folder(void) {
    const char *shared = getenv("VOXLOOM_SHARED");
    struct stat status;
    if (shared && stat(shared, &status) == 0 && S_ISDIR(status.st_mode)) return shared;
    printf("skipped: the golden data (environment variable VOXLOOM_SHARED) is not here\n");
    return NULL;
}
