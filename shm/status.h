/* status.h - one status space, one message table, one error context.
 *
 * Every voxloom function that can fail returns a loom_status. Details for the user travel beside it in a loom_error
 * that the caller owns: which file, line, column and node, the cause, and the remedy. The struct is plain bytes (no
 * pointers), so it can be copied into shared memory and read by another process. */
#ifndef LOOM_SHM_STATUS_H
#define LOOM_SHM_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, value, default message. Values are part of the C API: append, never renumber. */
#define LOOM_STATUS_LIST(X)                                                                                            \
    X(LOOM_OK, 0, "ok")                                                                                                \
    X(LOOM_NOT_FOUND, 1, "not found")                                                                                  \
    X(LOOM_BAD_USAGE, 2, "wrong command line")                                                                         \
    X(LOOM_BAD_SYNTAX, 3, "syntax error")                                                                              \
    X(LOOM_BAD_PROGRAM, 4, "the program has a static error")                                                           \
    X(LOOM_BAD_PLAN, 5, "the plan file is malformed")                                                                  \
    X(LOOM_BAD_CONFIG, 6, "the configuration is malformed")                                                            \
    X(LOOM_BAD_ARGUMENT, 7, "an operator got a value it cannot take")                                                  \
    X(LOOM_BAD_DOMAIN, 8, "images of different geometry meet")                                                         \
    X(LOOM_BAD_INPUT, 9, "an input file is missing, malformed or truncated")                                           \
    X(LOOM_BAD_STORE, 10, "the store is damaged or not a store")                                                       \
    X(LOOM_NEWER_STORE, 11, "the store was written by a newer voxloom")                                                \
    X(LOOM_CORRUPT, 12, "stored bytes do not match their checksum")                                                    \
    X(LOOM_IRREPRODUCIBLE, 13, "a result differs from the one stored under its key")                                   \
    X(LOOM_NO_MEMORY, 14, "out of memory")                                                                             \
    X(LOOM_NO_SPACE, 15, "the disk or the store's map is full")                                                        \
    X(LOOM_TOO_LARGE, 16, "a size overflows or exceeds a limit")                                                       \
    X(LOOM_IO, 17, "input/output error")                                                                               \
    X(LOOM_DENIED, 18, "permission denied or read-only")                                                               \
    X(LOOM_BUSY, 19, "in use by another process")                                                                      \
    X(LOOM_UNSUPPORTED, 20, "not supported here")                                                                      \
    X(LOOM_LAYOUT_MISMATCH, 21, "a shared region was laid out by another build of voxloom")                            \
    X(LOOM_WORKER_DIED, 22, "worker processes died running it")                                                        \
    X(LOOM_CANCELLED, 23, "stopped on request")                                                                        \
    X(LOOM_SKIPPED, 24, "not run because something it needs failed")                                                   \
    X(LOOM_STALE_INPUT, 25, "an input file changed while it was read")                                                 \
    X(LOOM_INTERNAL, 26, "internal error: please report it")                                                           \
    X(LOOM_OLDER_STORE, 27, "the store was written by an older voxloom and must be upgraded")

typedef enum loom_status {
#define LOOM_STATUS_ENUM(name, value, text) name = (value),
    LOOM_STATUS_LIST(LOOM_STATUS_ENUM)
#undef LOOM_STATUS_ENUM
} loom_status;

/* The table's name ("LOOM_NO_SPACE") and default message of a status; never NULL. */
const char *loom_status_name(loom_status status);
const char *loom_status_message(loom_status status);

/* What a user is told. Strings are NUL-terminated and truncated to fit; empty and 0 mean unknown. */
typedef struct loom_error {
    loom_status status;
    uint32_t line;      /* 1-based */
    uint32_t column;    /* 1-based, in characters */
    char file[512];     /* program, plan, config or data file that `line` and `column` refer to */
    char node[160];     /* operator and short node id */
    char message[1280]; /* cause; remedy. One line, except for call chains (indented lines). */
    char excerpt[512];  /* the source line, as is */
} loom_error;

void loom_error_clear(loom_error *err);

/* Fills `err` (may be NULL) with a status and a printf-style message and returns the status, so that a failing function
 * can end with `return loom_fail(err, LOOM_BAD_INPUT, "...")`. Position and node fields already set are kept. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
loom_status
loom_fail(loom_error *err, loom_status status, const char *format, ...);

/* As loom_fail, with ": strerror(errnum)" put before the remedy (what follows the last "; "), else appended, and the
 * status derived from errnum (ENOSPC, EDQUOT -> LOOM_NO_SPACE; EACCES, EPERM, EROFS -> LOOM_DENIED; ENOENT ->
 * LOOM_NOT_FOUND; ENOMEM -> LOOM_NO_MEMORY; EBUSY -> LOOM_BUSY; else LOOM_IO). */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
loom_status
loom_fail_errno(loom_error *err, int errnum, const char *format, ...);

/* Adds the place (file may be NULL) or the node, where it is not yet known. */
void loom_error_at(loom_error *err, const char *file, uint32_t line, uint32_t column);
void loom_error_node(loom_error *err, const char *node);
void loom_error_excerpt(loom_error *err, const char *line, size_t length);

/* Prints `FILE:LINE:COL: error: MESSAGE` and, when there is an excerpt, the source line and a caret under the column.
 */
void loom_error_print(const loom_error *err, FILE *out);

/* Returns early with the status of a call that failed. */
#define LOOM_TRY(call)                                                                                                 \
    do {                                                                                                               \
        loom_status loom_try_status_ = (call);                                                                         \
        if (loom_try_status_ != LOOM_OK) return loom_try_status_;                                                      \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
