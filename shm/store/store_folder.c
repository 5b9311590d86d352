/* store_folder.c - see store_folder.h. */
#include "shm/store/store_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/store/storage.h"

#define FORMAT_BYTES_MAX 512
#define WRAPPING 1u /* how the master key is wrapped: key.c */

/* After a power failure a new folder is there only if its parent was synced. A parent that may not be read is left to
 * the file system. */
static void sync_parent(int fd) {
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return;
    (void)fsync(parent);
    close(parent);
}

static int make_folder(const char *path) {
    if (mkdir(path, 0700) != 0) return errno == EEXIST ? 0 : errno;
    int made = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made < 0) return errno;
    sync_parent(made);
    close(made);
    return 0;
}

/* As mkdir -p, with mode 0700: a store may hold patient data. */
static int make_folders(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) return ENOMEM;
    int failed = 0;
    for (char *at = copy + 1; failed == 0 && *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        failed = make_folder(copy);
        *at = '/';
    }
    if (failed == 0) failed = make_folder(copy);
    free(copy);
    return failed;
}

loom_status loom_folder_open(const char *path, bool create, loom_folder *folder, loom_error *err) {
    *folder = (loom_folder){.fd = -1};
    if (path == NULL || path[0] == '\0')
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a store needs a path; set store.path");
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 && errno == ENOENT && create) {
        int failed = make_folders(path);
        if (failed)
            return loom_fail_errno(
                err, failed, "cannot make the store %s; choose another folder with --store, or set store.path", path);
        folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (folder->fd < 0) {
        if (errno == ENOENT) return loom_fail(err, LOOM_NOT_FOUND, "there is no store at %s; check store.path", path);
        if (errno == ENOTDIR)
            return loom_fail(err, LOOM_BAD_STORE, "%s is not a folder, so not a store; check store.path", path);
        return loom_fail_errno(err, errno,
                               "cannot open the store %s; choose another folder with --store, or set store.path", path);
    }
    struct stat now;
    folder->path = realpath(path, NULL);
    if (folder->path == NULL || fstat(folder->fd, &now) != 0) {
        int failed = errno;
        loom_folder_close(folder);
        return loom_fail_errno(err, failed,
                               "cannot open the store %s; choose another folder with --store, or set store.path", path);
    }
    folder->device = (uint64_t)now.st_dev;
    folder->inode = (uint64_t)now.st_ino;
    return LOOM_OK;
}

void loom_folder_close(loom_folder *folder) {
    if (folder->fd >= 0) close(folder->fd);
    free(folder->path);
    *folder = (loom_folder){.fd = -1};
}

loom_status loom_folder_check_system(const loom_folder *folder, loom_error *err) {
    const char *name = loom_file_system_refused(folder->fd);
    if (name == NULL) return LOOM_OK;
    return loom_fail(
        err, LOOM_UNSUPPORTED,
        "%s lies on a %s file system, on which locks and shared maps cannot be trusted; put the store on a "
        "local disk (store.path)",
        folder->path, name);
}

/* ---- FORMAT ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* "KEY VALUE\n" at *text; moves *text behind it. NULL, or the value with its length. */
static const char *take_line(const char **text, const char *key, size_t *length) {
    size_t key_length = strlen(key);
    if (strncmp(*text, key, key_length) != 0 || (*text)[key_length] != ' ') return NULL;
    const char *value = *text + key_length + 1;
    const char *end = strchr(value, '\n');
    if (end == NULL) return NULL;
    *length = (size_t)(end - value);
    *text = end + 1;
    return value;
}

static bool parse_number(const char *text, size_t length, uint64_t *number) {
    if (length == 0 || length > 9 || (text[0] == '0' && length > 1)) return false;
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

static bool parse_hex(const char *text, size_t length, uint8_t *bytes, size_t count) {
    if (length != 2 * count) return false;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void write_hex(const uint8_t *bytes, size_t count, char *text) {
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static loom_status damaged_format(const loom_folder *folder, loom_error *err) {
    return loom_fail(err, LOOM_BAD_STORE, "%s/FORMAT is damaged; restore it from a copy", folder->path);
}

/* "key WRAPPING HEX\n", or nothing: a plain store. */
static loom_status parse_key(loom_folder *folder, const char *text, loom_error *err) {
    size_t length;
    uint64_t wrapping = 0;
    folder->encrypted = *text != '\0';
    if (!folder->encrypted) return LOOM_OK;
    const char *value = take_line(&text, "key", &length);
    const char *space = value != NULL ? memchr(value, ' ', length) : NULL;
    if (space == NULL || *text != '\0' || !parse_number(value, (size_t)(space - value), &wrapping))
        return damaged_format(folder, err);
    if (wrapping != WRAPPING)
        return loom_fail(err, LOOM_NEWER_STORE,
                         "the key of the store %s is wrapped in a way (%llu) that this voxloom does not know; use a "
                         "newer voxloom",
                         folder->path, (unsigned long long)wrapping);
    length -= (size_t)(space + 1 - value);
    return parse_hex(space + 1, length, folder->wrapped, sizeof folder->wrapped) ? LOOM_OK
                                                                                 : damaged_format(folder, err);
}

static loom_status parse_format(loom_folder *folder, const char *text, loom_error *err) {
    size_t length = 0;
    uint64_t format = 0;
    const char *value =
        strncmp(text, "voxloom store\n", 14) == 0 ? (text += 14, take_line(&text, "format", &length)) : NULL;
    if (value == NULL || !parse_number(value, length, &format) || format == 0)
        return loom_fail(
            err, LOOM_BAD_STORE,
            "%s/FORMAT is not that of a voxloom store; choose another folder, or restore FORMAT from a copy",
            folder->path);
    if (format > LOOM_STORE_FORMAT)
        return loom_fail(
            err, LOOM_NEWER_STORE,
            "the store %s has format %llu and this voxloom knows up to %u; use a newer voxloom (formats are not "
            "converted back), or another store",
            folder->path, (unsigned long long)format, LOOM_STORE_FORMAT);
    folder->format = (uint32_t)format;
    value = take_line(&text, "uuid", &length);
    if (value == NULL || !parse_hex(value, length, folder->uuid, sizeof folder->uuid))
        return damaged_format(folder, err);
    value = take_line(&text, "created", &length);
    if (value == NULL || length >= sizeof folder->created) return damaged_format(folder, err);
    memcpy(folder->created, value, length);
    folder->created[length] = '\0';
    return parse_key(folder, text, err);
}

static bool is_part_of_a_store(const char *name) {
    static const char *const parts[] = {".", "..", "control", "index", "extents", "FORMAT.new"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(name, parts[i]) == 0) return true;
    return false;
}

/* Without FORMAT: nothing but what an unfinished creation leaves. */
static loom_status check_unfinished(const loom_folder *folder, loom_error *err) {
    if (faccessat(folder->fd, "index/data.mdb", F_OK, 0) == 0)
        return loom_fail(err, LOOM_BAD_STORE, "the store %s has lost its FORMAT file; restore it from a copy",
                         folder->path);
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (listing == NULL) {
        int failed = errno;
        if (fd >= 0) close(fd);
        return loom_fail_errno(err, failed, "cannot list %s", folder->path);
    }
    loom_status status = LOOM_OK;
    const struct dirent *entry;
    while (status == LOOM_OK && (entry = readdir(listing)) != NULL)
        if (!is_part_of_a_store(entry->d_name))
            status =
                loom_fail(err, LOOM_BAD_STORE,
                          "%s is not a store and not empty (it holds %s); choose an empty or new folder (store.path)",
                          folder->path, entry->d_name);
    closedir(listing);
    return status;
}

loom_status loom_folder_read_format(loom_folder *folder, bool *present, loom_error *err) {
    LOOM_TRY(loom_folder_read_any_format(folder, present, err));
    if (!*present || folder->format == LOOM_STORE_FORMAT) return LOOM_OK;
    return loom_fail(err, LOOM_OLDER_STORE,
                     "the store %s has format %u and this voxloom writes %u; run `voxloom store upgrade --store %s`",
                     folder->path, folder->format, LOOM_STORE_FORMAT, folder->path);
}

static int open_format(const loom_folder *folder) {
    return openat(folder->fd, "FORMAT", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

loom_status loom_folder_read_any_format(loom_folder *folder, bool *present, loom_error *err) {
    *present = false;
    int fd = open_format(folder);
    if (fd < 0 && errno == ENOENT) {
        loom_status status = check_unfinished(folder, err);
        /* Another process may have created the store meanwhile. */
        if (status == LOOM_OK || (fd = open_format(folder)) < 0) return status;
        loom_error_clear(err);
    }
    if (fd < 0)
        return loom_fail_errno(
            err, errno, "cannot read %s/FORMAT; ask its owner, or choose another folder with --store", folder->path);
    char text[FORMAT_BYTES_MAX + 1] = {0};
    ssize_t got;
    do {
        got = read(fd, text, FORMAT_BYTES_MAX);
    } while (got < 0 && errno == EINTR);
    int failed = errno;
    close(fd);
    if (got < 0)
        return loom_fail_errno(
            err, failed, "cannot read %s/FORMAT; ask its owner, or choose another folder with --store", folder->path);
    *present = true;
    return parse_format(folder, text, err);
}

static int write_text(const loom_folder *folder, const char *text, size_t length) {
    int fd = openat(folder->fd, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return errno;
    int failed = 0;
    ssize_t done = write(fd, text, length);
    if (done != (ssize_t)length) failed = done < 0 ? errno : ENOSPC;
    if (failed == 0 && fsync(fd) != 0) failed = errno;
    if (close(fd) != 0 && failed == 0) failed = errno;
    if (failed == 0 && renameat(folder->fd, "FORMAT.new", folder->fd, "FORMAT") != 0) failed = errno;
    if (failed == 0 && fsync(folder->fd) != 0) failed = errno;
    return failed;
}

static int write_format(const loom_folder *folder) {
    char text[FORMAT_BYTES_MAX], uuid[33], key[2 * LOOM_WRAPPED_BYTES + 1] = "";
    write_hex(folder->uuid, sizeof folder->uuid, uuid);
    int length = snprintf(text, sizeof text, "voxloom store\nformat %u\nuuid %s\ncreated %s\n", LOOM_STORE_FORMAT, uuid,
                          folder->created);
    if (folder->encrypted) {
        write_hex(folder->wrapped, sizeof folder->wrapped, key);
        length += snprintf(text + length, sizeof text - (size_t)length, "key %u %s\n", WRAPPING, key);
    }
    return write_text(folder, text, (size_t)length);
}

loom_status loom_folder_write_format(const loom_folder *folder, loom_error *err) {
    int failed = write_format(folder);
    return failed == 0 ? LOOM_OK
                       : loom_fail_errno(err, failed, "cannot write %s/FORMAT; the old one holds", folder->path);
}

static int note_creation(loom_folder *folder) {
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL) return EOVERFLOW;
    strftime(folder->created, sizeof folder->created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return loom_random_bytes(folder->uuid, sizeof folder->uuid);
}

/* A master key that nobody knows but who has the user's key. */
static loom_status make_master_key(loom_folder *folder, const loom_key *key, loom_error *err) {
    folder->encrypted = key != NULL;
    if (key == NULL) return LOOM_OK;
    uint8_t master[32];
    int failed = loom_random_bytes(master, sizeof master);
    loom_status status = failed ? loom_fail_errno(err, failed, "cannot make the key of the store %s", folder->path)
                                : loom_key_wrap(key, folder->uuid, master, folder->wrapped, err);
    OPENSSL_cleanse(master, sizeof master);
    return status;
}

loom_status loom_folder_create(loom_folder *folder, const loom_key *key, loom_error *err) {
    folder->format = LOOM_STORE_FORMAT;
    int failed = note_creation(folder);
    if (failed == 0) LOOM_TRY(make_master_key(folder, key, err));
    if (failed == 0 && mkdirat(folder->fd, "index", 0700) != 0 && errno != EEXIST) failed = errno;
    if (failed == 0 && mkdirat(folder->fd, "extents", 0700) != 0 && errno != EEXIST) failed = errno;
    if (failed == 0 && fsync(folder->fd) != 0) failed = errno; /* FORMAT says that both are there */
    if (failed == 0) failed = write_format(folder);
    return failed == 0
               ? LOOM_OK
               : loom_fail_errno(err, failed,
                                 "cannot create the store %s; choose another folder with --store, or set store.path",
                                 folder->path);
}
