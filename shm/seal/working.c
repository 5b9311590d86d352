/* working.c - see working.h. */
#include "shm/seal/working.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/seal/secret.h"

#define MASTER_BYTES 32u
#define NUMBERS_MAX 16384u /* of a list of descriptors as text */

loom_status loom_working_make(const loom_cipher *cipher, uint32_t writers, const char *path, loom_working *working,
                              loom_error *err) {
    *working = LOOM_WORKING_NONE;
    LOOM_TRY(loom_memory_files_make(writers, &working->files, err));
    int failed = loom_secret_send(loom_cipher_master(cipher), MASTER_BYTES, &working->key_fd);
    loom_status status = failed
                             ? loom_fail_errno(err, failed, "cannot hand the key of the store %s to its workers", path)
                             : loom_memory_files_open(&working->files, 0, true, path, &working->extents, err);
    if (status != LOOM_OK) loom_working_close(working);
    return status;
}

void loom_working_close(loom_working *working) {
    loom_extents_free(working->extents);
    loom_memory_files_close(&working->files);
    if (working->key_fd >= 0) close(working->key_fd);
    *working = LOOM_WORKING_NONE;
}

loom_status loom_working_token(const loom_working *working, const char *path, char *text, size_t capacity) {
    char numbers[NUMBERS_MAX];
    LOOM_TRY(loom_memory_files_print(&working->files, numbers, sizeof numbers));
    int used = snprintf(text, capacity, "sealed:%d:%s:%s", working->key_fd, numbers, path);
    return used > 0 && (size_t)used < capacity ? LOOM_OK : LOOM_TOO_LARGE;
}

size_t loom_working_inherit(const loom_working *working, int *fds, size_t capacity) {
    if (capacity > 0) fds[0] = working->key_fd;
    return 1 + loom_memory_files_list(&working->files, fds + 1, capacity > 0 ? capacity - 1 : 0);
}

/* "KEY:NUMBERS:PATH" */
static loom_status split(const char *token, int *key_fd, char numbers[NUMBERS_MAX], const char **path,
                         loom_error *err) {
    char *end;
    errno = 0;
    long key = strtol(token, &end, 10);
    const char *list = *end == ':' ? end + 1 : NULL;
    const char *colon = list != NULL ? strchr(list, ':') : NULL;
    if (errno != 0 || end == token || key < 0 || key > 1 << 20 || colon == NULL || colon[1] == '\0' ||
        (size_t)(colon - list) >= NUMBERS_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "\"%.40s\" names no encrypted store to attach to", token);
    memcpy(numbers, list, (size_t)(colon - list));
    numbers[colon - list] = '\0';
    *key_fd = (int)key;
    *path = colon + 1;
    return LOOM_OK;
}

loom_status loom_working_take(const char *token, uint32_t writer_index, loom_working *working, uint8_t master[32],
                              const char **path, loom_error *err) {
    *working = LOOM_WORKING_NONE;
    char numbers[NUMBERS_MAX];
    int key_fd = -1;
    uint32_t own = 0;
    LOOM_TRY(split(token, &key_fd, numbers, path, err));
    int failed = loom_secret_receive(key_fd, master, MASTER_BYTES);
    if (failed)
        return loom_fail_errno(err, failed, "the key of the store %s was not handed on by descriptor %d", *path,
                               key_fd);
    loom_process_hide(); /* only voxloom's own workers attach so */
    loom_status status = loom_memory_files_take(numbers, &working->files, err);
    if (status == LOOM_OK) status = loom_memory_files_own(&working->files, writer_index, &own, err);
    if (status == LOOM_OK) status = loom_memory_files_open(&working->files, own, true, *path, &working->extents, err);
    if (status != LOOM_OK) loom_working_close(working);
    return status;
}
