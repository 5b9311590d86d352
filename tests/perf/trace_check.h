/* trace_check.h - reads a trace as a viewer would, strictly: JSON by its grammar (RFC 8259), events by the Trace Event
 * Format. Independent of the product's writer and readers. Any violation fails the test with its place. */
#ifndef LOOM_TESTS_PERF_TRACE_CHECK_H
#define LOOM_TESTS_PERF_TRACE_CHECK_H

/* cmocka needs these first, in this order */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct trace_event {
    char name[128], cat[32];
    char phase;
    unsigned thread;
    uint64_t start_ns, end_ns;
    const char *text; /* the event's object, NUL-terminated */
} trace_event;

typedef struct trace_file {
    trace_event *events;
    size_t count;
    char *text;
} trace_file;

/* Fails unless the text is one JSON value and nothing else. */
void json_check(const char *text);

/* Reads and checks: every event has name, phase, process, thread and, but for metadata, a time; complete events of a
 * thread come in order of their start and lie in each other or apart; instants lie in a complete event of their thread;
 * points of a counter come in order; every thread with events has a name. Free it with trace_free. */
trace_file trace_read(const char *text);
void trace_free(trace_file *file);

/* A field of the event's args, as text ("17", "\"a.imgql\""); NULL if it has none. Valid until the next call. */
const char *trace_argument(const trace_event *event, const char *name);
/* Complete events that stand for a task: those with an argument "task". */
size_t trace_task_count(const trace_file *file);

#endif
