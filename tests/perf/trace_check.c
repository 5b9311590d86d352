/* trace_check.c - a strict reader of JSON that keeps no values, and the rules of the Trace Event Format. */
#include "trace_check.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static const char *whole; /* for messages */

static void bad(const char *at, const char *what) {
    fail_msg("the JSON is malformed at byte %zu (%s): %.60s", (size_t)(at - whole), what, at);
}

static const char *space(const char *at) {
    return at + strspn(at, " \t\r\n");
}

static const char *string(const char *at) {
    if (*at != '"') bad(at, "a string is missing");
    for (at++; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) bad(at, "a control character in a string");
        if (*at != '\\') continue;
        at++;
        if (*at == 'u') {
            for (int i = 0; i < 4; i++)
                if (!isxdigit((unsigned char)*++at)) bad(at, "a bad \\u escape");
        } else if (*at == '\0' || !strchr("\"\\/bfnrt", *at)) {
            bad(at, "a bad escape");
        }
    }
    return at + 1;
}

static const char *digits(const char *at) {
    if (!isdigit((unsigned char)*at)) bad(at, "a digit is missing");
    return at + strspn(at, "0123456789");
}

static const char *number(const char *at) {
    if (*at == '-') at++;
    at = *at == '0' ? at + 1 : digits(at);
    if (*at == '.') at = digits(at + 1);
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '+' || *at == '-') at++;
        at = digits(at);
    }
    return at;
}

/* Just behind the value at `at`. */
static const char *value(const char *at) {
    static const char *const words[] = {"true", "false", "null"};
    if (*at == '"') return string(at);
    if (*at == '-' || isdigit((unsigned char)*at)) return number(at);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0) return at + strlen(words[i]);
    if (*at != '{' && *at != '[') bad(at, "no value");
    bool object = *at == '{';
    char close = object ? '}' : ']';
    at = space(at + 1);
    if (*at == close) return at + 1;
    for (;;) {
        if (object) {
            at = space(string(at));
            if (*at != ':') bad(at, "a colon is missing");
            at = space(at + 1);
        }
        at = space(value(at));
        if (*at == close) return at + 1;
        if (*at != ',') bad(at, "a comma is missing");
        at = space(at + 1);
    }
}

void json_check(const char *text) {
    whole = text;
    const char *end = space(value(space(text)));
    if (*end != '\0') bad(end, "something follows the value");
}

/* The value of a member of the object at `at`; NULL if there is none. The JSON was checked before. */
static const char *member(const char *at, const char *name) {
    size_t length = strlen(name);
    if (*at != '{') return NULL;
    at = space(at + 1);
    while (*at != '}') {
        const char *end = string(at), *found = space(space(end) + 1);
        if ((size_t)(end - at) == length + 2 && strncmp(at + 1, name, length) == 0) return found;
        at = space(value(found));
        if (*at == ',') at = space(at + 1);
    }
    return NULL;
}

/* ---- one event ---- */

static void copy_text(const char *event, const char *name, bool required, char *text, size_t capacity) {
    const char *at = member(event, name);
    text[0] = '\0';
    if (!at || *at != '"') {
        if (required) fail_msg("an event has no text \"%s\": %.200s", name, event);
        return;
    }
    snprintf(text, capacity, "%.*s", (int)(string(at) - at) - 2, at + 1);
}

/* Microseconds with at most three decimals, exactly. */
static uint64_t nanoseconds(const char *event, const char *name) {
    const char *at = member(event, name);
    if (!at || !isdigit((unsigned char)*at)) fail_msg("an event has no number \"%s\": %.200s", name, event);
    char *end;
    uint64_t ns = strtoull(at, &end, 10) * 1000;
    if (*end == '.')
        for (uint64_t unit = 100; isdigit((unsigned char)*++end) && unit > 0; unit /= 10)
            ns += unit * (uint64_t)(*end - '0');
    return ns;
}

static trace_event read_event(const char *text) {
    trace_event event = {.text = text};
    char phase[8];
    copy_text(text, "name", true, event.name, sizeof event.name);
    copy_text(text, "ph", true, phase, sizeof phase);
    copy_text(text, "cat", false, event.cat, sizeof event.cat);
    if (strlen(phase) != 1 || !strchr("XiCM", phase[0])) fail_msg("an event of an unexpected kind: %.200s", text);
    event.phase = phase[0];
    assert_int_equal(nanoseconds(text, "pid"), 1000);
    event.thread = (unsigned)(nanoseconds(text, "tid") / 1000);
    if (event.phase == 'M') {
        assert_non_null(member(text, "args"));
        return event;
    }
    event.start_ns = event.end_ns = nanoseconds(text, "ts");
    if (event.phase == 'X') event.end_ns += nanoseconds(text, "dur");
    return event;
}

/* ---- all of them ---- */

enum { THREADS_MAX = 300, DEPTH_MAX = 8 };

typedef struct thread_state {
    const trace_event *open[DEPTH_MAX]; /* complete events that the last one lies in, itself last */
    int depth;
    bool named;
} thread_state;

static void check_complete(thread_state *thread, const trace_event *event) {
    while (thread->depth > 0 && thread->open[thread->depth - 1]->end_ns <= event->start_ns)
        thread->depth--;
    if (thread->depth > 0) {
        const trace_event *around = thread->open[thread->depth - 1];
        if (event->start_ns < around->start_ns || event->end_ns > around->end_ns)
            fail_msg("overlap without nesting:\n%.300s\n%.300s", around->text, event->text);
    }
    assert_true(thread->depth < DEPTH_MAX);
    thread->open[thread->depth++] = event;
}

static void check_instant(const thread_state *thread, const trace_event *event) {
    const trace_event *around = thread->depth > 0 ? thread->open[0] : NULL;
    if (!around || event->start_ns < around->start_ns || event->start_ns > around->end_ns)
        fail_msg("an instant outside of any task: %.200s", event->text);
}

static void check_counter(const trace_file *file, const trace_event *event) {
    const char *arguments = member(event->text, "args");
    assert_non_null(arguments);
    assert_non_null(member(arguments, "value"));
    for (const trace_event *before = event; before-- > file->events;) {
        if (before->phase != 'C' || strcmp(before->name, event->name) != 0) continue;
        if (before->start_ns > event->start_ns) fail_msg("a counter goes back in time: %.200s", event->text);
        return;
    }
}

static void check_events(const trace_file *file) {
    thread_state *threads = calloc(THREADS_MAX, sizeof *threads);
    uint64_t last[THREADS_MAX] = {0};
    assert_non_null(threads);
    for (size_t i = 0; i < file->count; i++) {
        const trace_event *event = &file->events[i];
        assert_true(event->thread < THREADS_MAX);
        thread_state *thread = &threads[event->thread];
        if (event->phase == 'M') {
            thread->named |= strcmp(event->name, "thread_name") == 0;
            continue;
        }
        if (!thread->named) fail_msg("an event of a thread without a name: %.200s", event->text);
        if (event->phase == 'C') check_counter(file, event);
        if (event->phase == 'i') check_instant(thread, event);
        if (event->phase != 'X') continue;
        if (event->start_ns < last[event->thread]) fail_msg("a thread goes back in time: %.300s", event->text);
        last[event->thread] = event->start_ns;
        check_complete(thread, event);
    }
    free(threads);
}

trace_file trace_read(const char *text) {
    json_check(text);
    trace_file file = {.text = strdup(text)};
    assert_non_null(file.text);
    whole = file.text;
    char *at = (char *)member(space(file.text), "traceEvents");
    if (!at || *at != '[') fail_msg("no array \"traceEvents\"");
    at = (char *)space(at + 1);
    size_t capacity = 0;
    for (bool more = *at != ']'; more;) {
        char *end = (char *)value(at), *next = (char *)space(end);
        more = *next == ',';
        if (more) next = (char *)space(next + 1);
        *end = '\0';
        if (file.count == capacity) {
            capacity = capacity ? capacity * 2 : 256;
            file.events = realloc(file.events, capacity * sizeof *file.events);
            assert_non_null(file.events);
        }
        file.events[file.count++] = read_event(at);
        at = next;
    }
    check_events(&file);
    return file;
}

void trace_free(trace_file *file) {
    free(file->events);
    free(file->text);
    *file = (trace_file){0};
}

const char *trace_argument(const trace_event *event, const char *name) {
    static char text[512];
    const char *arguments = member(event->text, "args");
    const char *at = arguments ? member(arguments, name) : NULL;
    if (!at) return NULL;
    snprintf(text, sizeof text, "%.*s", (int)(value(at) - at), at);
    return text;
}

size_t trace_task_count(const trace_file *file) {
    size_t count = 0;
    for (size_t i = 0; i < file->count; i++)
        count += file->events[i].phase == 'X' && trace_argument(&file->events[i], "task") != NULL;
    return count;
}
