/* output.c - writes beside the target and renames, so that readers and crashes see the old file or the new one. */
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/activity.h"

/* Every folder above the last '/', the outermost first. */
static loom_status make_parents(char *path, const char *shown, loom_error *err) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int error = mkdir(path, 0777) != 0 ? errno : 0;
        /* mkdir in a forbidden or read-only parent fails even if the folder is there. */
        struct stat status;
        bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        loom_status failed = LOOM_OK;
        if (!is_folder)
            failed = loom_fail_errno(err, error == 0 || error == EEXIST ? ENOTDIR : error,
                                     "%s: folder %s cannot be made; choose another path", shown, path);
        *slash = '/';
        if (failed != LOOM_OK) return failed;
    }
    return LOOM_OK;
}

/* The file that `path` leads to: through a symbolic link, so that the link stays a link. NULL when out of memory. */
static char *resolve(const char *path) {
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
        char *target = realpath(path, NULL);
        if (target) return target;
    }
    return strdup(path);
}

static loom_status check_target(const char *path, bool *replaces, mode_t *mode, loom_error *err) {
    struct stat status;
    *replaces = stat(path, &status) == 0;
    if (!*replaces) return LOOM_OK;
    if (S_ISDIR(status.st_mode)) return loom_fail(err, LOOM_BAD_ARGUMENT, "%s: is a folder; name a file in it", path);
    if (!S_ISREG(status.st_mode))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "%s: is not a regular file and will not be replaced; use another name",
                         path);
    *mode = status.st_mode & 07777;
    return LOOM_OK;
}

/* A hidden name in the folder of `path`, so that a listing made meanwhile does not take it for data. Process, time and
 * attempt make it unique; O_EXCL makes sure. */
static loom_status create_temporary(loom_output *output, loom_error *err) {
    const char *slash = strrchr(output->path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - output->path) : 0;
    size_t capacity = folder + 80;
    output->temporary = malloc(capacity);
    if (!output->temporary) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", output->path);
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(output->temporary, capacity, "%.*s.voxloom-%ld-%lld%09ld-%u", (int)folder, output->path,
                 (long)getpid(), (long long)now.tv_sec, now.tv_nsec, attempt);
        output->fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->fd >= 0) return LOOM_OK;
        if (errno != EEXIST && errno != EINTR) break;
    }
    return loom_fail_errno(err, errno, "%s: cannot be written", output->path);
}

static void forget(loom_output *output) {
    if (output->fd >= 0) close(output->fd);
    free(output->path);
    free(output->temporary);
    *output = (loom_output){.fd = -1};
}

loom_status loom_output_open(const char *path, loom_output *output, loom_error *err) {
    *output = (loom_output){.fd = -1, .path = resolve(path)};
    if (!output->path) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", path);
    bool replaces = false;
    mode_t mode = 0;
    loom_status status = make_parents(output->path, path, err);
    if (status == LOOM_OK) status = check_target(output->path, &replaces, &mode, err);
    if (status == LOOM_OK) status = create_temporary(output, err);
    if (status == LOOM_OK && replaces && fchmod(output->fd, mode) != 0)
        status = loom_fail_errno(err, errno, "%s: its permissions cannot be kept", path);
    if (status != LOOM_OK) loom_output_abandon(output);
    return status;
}

void loom_output_abandon(loom_output *output) {
    if (output->fd >= 0) unlink(output->temporary);
    forget(output);
}

/* The new name lives in the folder, so the folder is made durable too. Not every file system can; that is no error. */
static void sync_folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path ? 1 : 0] = '\0';
    int folder = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    (void)fsync(folder);
    close(folder);
}

loom_status loom_output_sync(const loom_output *output, loom_error *err) {
    loom_activity before = loom_enter(LOOM_DOING_IO);
    int error = fsync(output->fd) != 0 ? errno : 0;
    loom_enter(before);
    return error ? loom_fail_errno(err, error, "%s: cannot be written", output->path) : LOOM_OK;
}

loom_status loom_output_commit(loom_output *output, loom_error *err) {
    int error = 0;
    loom_activity before = loom_enter(LOOM_DOING_IO);
    if (fsync(output->fd) != 0) error = errno;
    /* Network file systems report a full disk only here. */
    int closed = close(output->fd);
    output->fd = -1;
    if (error == 0 && closed != 0) error = errno;
    if (error == 0 && rename(output->temporary, output->path) != 0) error = errno;
    loom_status status = LOOM_OK;
    if (error != 0) {
        status = loom_fail_errno(err, error, "%s: cannot be written", output->path);
        unlink(output->temporary);
    } else {
        sync_folder_of(output->path);
    }
    loom_enter(before);
    forget(output);
    return status;
}

loom_status loom_write_all(int fd, const char *path, const void *bytes, size_t length, loom_error *err) {
    const char *next = bytes;
    int error = 0;
    loom_activity before = loom_enter(LOOM_DOING_IO);
    while (length > 0 && error == 0) {
        ssize_t written = write(fd, next, length < ((size_t)1 << 30) ? length : (size_t)1 << 30);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) error = written < 0 ? errno : EIO;
        if (written > 0) {
            next += written;
            length -= (size_t)written;
        }
    }
    loom_enter(before);
    return error ? loom_fail_errno(err, error, "%s: writing failed", path) : LOOM_OK;
}
