/* status.c - the status table as text, and how a loom_error is filled and printed.
 *
 * Messages may quote file names and stored text, so nothing here trusts its arguments: everything is truncated at a
 * character boundary, and control characters never reach the user's terminal. */
#include "shm/status.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

const char *loom_status_name(loom_status status) {
    switch (status) {
#define LOOM_STATUS_NAME(name, value, text)                                                                            \
    case name:                                                                                                         \
        return #name;
        LOOM_STATUS_LIST(LOOM_STATUS_NAME)
#undef LOOM_STATUS_NAME
    }
    return "LOOM_UNKNOWN";
}

const char *loom_status_message(loom_status status) {
    switch (status) {
#define LOOM_STATUS_TEXT(name, value, text)                                                                            \
    case name:                                                                                                         \
        return text;
        LOOM_STATUS_LIST(LOOM_STATUS_TEXT)
#undef LOOM_STATUS_TEXT
    }
    return "unknown status";
}

/* The whole struct, because it is copied into shared memory as plain bytes. */
void loom_error_clear(loom_error *err) {
    if (err) memset(err, 0, sizeof *err);
}

static bool is_continuation(char byte) {
    return ((unsigned char)byte & 0xC0u) == 0x80u;
}

/* Copies as much as fits, never half of a UTF-8 character. `source` may overlap `target`. */
static void copy_text(char *target, size_t capacity, const char *source, size_t length) {
    if (length >= capacity) {
        length = capacity - 1;
        while (length > 0 && is_continuation(source[length]))
            length--;
    }
    memmove(target, source, length);
    target[length] = '\0';
}

/* Formats aside first, so that a message may quote the message it replaces. */
static void set_message(loom_error *err, const char *format, va_list arguments) {
    char text[sizeof err->message + 4];
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length < 0) {
        const char *fallback = loom_status_message(err->status);
        copy_text(err->message, sizeof err->message, fallback, strlen(fallback));
        return;
    }
    size_t written = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    copy_text(err->message, sizeof err->message, text, written);
}

loom_status loom_fail(loom_error *err, loom_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list arguments;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    return status;
}

static loom_status status_of_errno(int errnum) {
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return LOOM_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return LOOM_DENIED;
    case ENOENT:
        return LOOM_NOT_FOUND;
    case ENOMEM:
        return LOOM_NO_MEMORY;
    case EBUSY:
        return LOOM_BUSY;
    default:
        return LOOM_IO;
    }
}

/* strerror is not thread-safe, and strerror_r has two shapes. */
static const char *errno_text(int errnum, char *buffer, size_t capacity) {
#ifdef __GLIBC__
    return strerror_r(errnum, buffer, capacity);
#else
    return strerror_r(errnum, buffer, capacity) == 0 ? buffer : "unknown system error";
#endif
}

/* The remedy, from its "; " on; the end of the message if there is none. */
static char *last_clause(char *message) {
    char *found = message + strlen(message);
    for (char *next = strstr(message, "; "); next; next = strstr(next + 1, "; "))
        found = next;
    return found;
}

loom_status loom_fail_errno(loom_error *err, int errnum, const char *format, ...) {
    loom_status status = status_of_errno(errnum);
    if (!err) return status;
    err->status = status;
    va_list arguments;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    char buffer[128], reason[160], remedy[sizeof err->message];
    if (snprintf(reason, sizeof reason, ": %s", errno_text(errnum, buffer, sizeof buffer)) < 0) return status;
    char *at = last_clause(err->message);
    copy_text(remedy, sizeof remedy, at, strlen(at));
    copy_text(at, sizeof err->message - (size_t)(at - err->message), reason, strlen(reason));
    at += strlen(at);
    copy_text(at, sizeof err->message - (size_t)(at - err->message), remedy, strlen(remedy));
    return status;
}

void loom_error_at(loom_error *err, const char *file, uint32_t line, uint32_t column) {
    if (!err) return;
    bool file_known = err->file[0] != '\0';
    bool other_file = file_known && file && strcmp(err->file, file) != 0;
    if (file && !file_known) copy_text(err->file, sizeof err->file, file, strlen(file));
    /* A line of one file must not be shown with the name of another. */
    if (err->line == 0 && !other_file) {
        err->line = line;
        err->column = column;
    }
}

void loom_error_node(loom_error *err, const char *node) {
    if (err && node && err->node[0] == '\0') copy_text(err->node, sizeof err->node, node, strlen(node));
}

void loom_error_excerpt(loom_error *err, const char *line, size_t length) {
    if (!err || !line || err->excerpt[0] != '\0') return;
    const char *end = memchr(line, '\n', length);
    if (end) length = (size_t)(end - line);
    if (length > 0 && line[length - 1] == '\r') length--;
    copy_text(err->excerpt, sizeof err->excerpt, line, length);
}

/* Bounded by capacity: the struct may come from another process. */
static void print_safely(FILE *out, const char *text, size_t capacity, bool keep_newlines) {
    for (size_t i = 0; i < capacity && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool harmless = (byte >= 0x20 && byte != 0x7F) || byte == '\t' || (keep_newlines && byte == '\n');
        putc(harmless ? text[i] : '?', out);
    }
}

/* The caret's line repeats tabs, so that it lines up whatever a tab's width is. */
static void print_caret(const loom_error *err, FILE *out) {
    size_t limit = strnlen(err->excerpt, sizeof err->excerpt), at = 0;
    uint32_t column = 1;
    char pad[sizeof err->excerpt];
    size_t pad_length = 0;
    while (column < err->column && at < limit) {
        pad[pad_length++] = err->excerpt[at] == '\t' ? '\t' : ' ';
        at++;
        while (at < limit && is_continuation(err->excerpt[at]))
            at++;
        column++;
    }
    if (column < err->column) return; /* beyond what the excerpt holds */
    fprintf(out, "%.*s^\n", (int)pad_length, pad);
}

void loom_error_print(const loom_error *err, FILE *out) {
    if (err->file[0] != '\0') {
        print_safely(out, err->file, sizeof err->file, false);
        if (err->line > 0) {
            fprintf(out, ":%u", (unsigned)err->line);
            if (err->column > 0) fprintf(out, ":%u", (unsigned)err->column);
        }
        fputs(": ", out);
    }
    fputs("error: ", out);
    if (err->message[0] != '\0')
        print_safely(out, err->message, sizeof err->message, true);
    else
        fputs(loom_status_message(err->status), out);
    if (err->node[0] != '\0') {
        fputs(" [", out);
        print_safely(out, err->node, sizeof err->node, false);
        putc(']', out);
    }
    putc('\n', out);
    if (err->excerpt[0] == '\0') return;
    print_safely(out, err->excerpt, sizeof err->excerpt, false);
    putc('\n', out);
    if (err->column > 0) print_caret(err, out);
}
