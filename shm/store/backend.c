/* backend.c - implementations of a store that others bring, by scheme. */
#include "shm/store/backend.h"

#include <pthread.h>
#include <string.h>

enum { BACKENDS_MAX = 16 };

static const loom_backend *backends[BACKENDS_MAX];
static size_t backend_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_scheme(const char *scheme) {
    const char *colon = scheme != NULL ? strchr(scheme, ':') : NULL;
    if (colon == NULL || colon == scheme || colon[1] != '\0' || strchr(scheme, '/') != NULL) return false;
    return strcmp(scheme, "disk:") != 0 && strcmp(scheme, "sealed:") != 0 && strcmp(scheme, "memory:") != 0;
}

/* Under the lock; NULL: full. */
static const loom_backend **place_for(const char *scheme) {
    for (size_t i = 0; i < backend_count; i++)
        if (strcmp(backends[i]->scheme, scheme) == 0) return &backends[i];
    return backend_count < BACKENDS_MAX ? &backends[backend_count++] : NULL;
}

loom_status loom_store_register(const loom_backend *backend, loom_error *err) {
    if (backend == NULL || !is_scheme(backend->scheme) || backend->open == NULL || backend->attach == NULL)
        return loom_fail(err, LOOM_BAD_ARGUMENT,
                         "a backend has a scheme like \"toy:\", not \"disk:\" or \"memory:\", and both functions");
    pthread_mutex_lock(&lock);
    const loom_backend **place = place_for(backend->scheme);
    if (place != NULL) *place = backend;
    pthread_mutex_unlock(&lock);
    return place != NULL ? LOOM_OK
                         : loom_fail(err, LOOM_TOO_LARGE, "no more than %d backends can be registered", BACKENDS_MAX);
}

const loom_backend *loom_backend_of(const char *text, const char **place) {
    const loom_backend *found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < backend_count && found == NULL; i++) {
        size_t length = strlen(backends[i]->scheme);
        if (strncmp(text, backends[i]->scheme, length) != 0) continue;
        found = backends[i];
        *place = text + length;
    }
    pthread_mutex_unlock(&lock);
    return found;
}
