/* trace.c - writes Trace Event JSON, an event a line, without allocating. */
#include "perf/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Shorter phases tell little and are four times as many as tasks. */
#define PHASE_NS_MIN 100000u
/* Points of a counter track are at least this far apart. */
#define COUNTER_NS_MIN 1000000u
#define TEXT_BYTES_MAX 400u
#define LINE_BYTES 8192u /* three such texts, each byte escaped, and twenty numbers */

struct loom_trace {
    FILE *out;
    const loom_operator_table *operators;
    uint32_t workers;
    uint64_t start_ns;
    uint64_t *counted_ns; /* per worker: when its counter tracks last got a point */
    size_t used;
    char line[LINE_BYTES];
};

/* ---- text ---- */

/* What does not fit is left out: only texts can be long, and they are cut, see put_text. */
static void put(loom_trace *trace, const char *text, size_t length) {
    if (length > LINE_BYTES - trace->used) return;
    memcpy(trace->line + trace->used, text, length);
    trace->used += length;
}

#define PUT(trace, literal) put(trace, literal, sizeof(literal) - 1)

static void put_number(loom_trace *trace, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(trace, digits + at, sizeof digits - at);
}

/* Nanoseconds as microseconds. */
static void put_us(loom_trace *trace, uint64_t ns) {
    char fraction[] = {'.', (char)('0' + ns % 1000 / 100), (char)('0' + ns % 100 / 10), (char)('0' + ns % 10)};
    put_number(trace, ns / 1000);
    put(trace, fraction, sizeof fraction);
}

/* A JSON string, cut to TEXT_BYTES_MAX at the beginning of a character. */
static void put_text(loom_trace *trace, const char *text) {
    static const char hex[] = "0123456789abcdef";
    size_t length = strlen(text);
    if (length > TEXT_BYTES_MAX)
        for (length = TEXT_BYTES_MAX; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
            length--;
    PUT(trace, "\"");
    size_t plain = 0; /* what has been put */
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        put(trace, text + plain, i - plain);
        plain = i + 1;
        char escaped[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        if (byte < 0x20) {
            put(trace, escaped, sizeof escaped);
        } else {
            escaped[1] = (char)byte;
            put(trace, escaped, 2);
        }
    }
    put(trace, text + plain, length - plain);
    PUT(trace, "\"");
}

static void put_field(loom_trace *trace, const char *name, uint64_t number) {
    PUT(trace, ",\"");
    put(trace, name, strlen(name));
    PUT(trace, "\":");
    put_number(trace, number);
}

static void put_text_field(loom_trace *trace, const char *name, const char *text) {
    PUT(trace, ",\"");
    put(trace, name, strlen(name));
    PUT(trace, "\":");
    put_text(trace, text);
}

static void flush(loom_trace *trace) {
    fwrite(trace->line, 1, trace->used, trace->out); /* an error stays in the stream */
    trace->used = 0;
}

/* ---- events ---- */

/* The common beginning: separator, name, phase letter, thread, time. Without a closing brace. */
static void open_event(loom_trace *trace, const char *name, char letter, uint32_t thread, uint64_t at_ns) {
    char kind[] = {'"', letter, '"'};
    PUT(trace, ",\n{\"name\":");
    put_text(trace, name);
    PUT(trace, ",\"ph\":");
    put(trace, kind, sizeof kind);
    put_field(trace, "pid", 1);
    put_field(trace, "tid", thread);
    PUT(trace, ",\"ts\":");
    put_us(trace, at_ns - trace->start_ns);
}

static void put_duration(loom_trace *trace, uint64_t ns) {
    PUT(trace, ",\"dur\":");
    put_us(trace, ns);
}

static void name_thread(loom_trace *trace, uint32_t thread, const char *name) {
    PUT(trace, ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1");
    put_field(trace, "tid", thread);
    PUT(trace, ",\"args\":{\"name\":");
    put_text(trace, name);
    PUT(trace, "}},\n{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":1");
    put_field(trace, "tid", thread);
    PUT(trace, ",\"args\":{\"sort_index\":");
    put_number(trace, thread);
    PUT(trace, "}}");
    flush(trace);
}

static const char *outcome_of(const loom_log_entry *entry) {
    if (entry->state != LOOM_TASK_DONE) return "failed";
    return entry->origin == LOOM_ORIGIN_STORED ? "store hit" : "computed";
}

static void put_counts(loom_trace *trace, const loom_log_entry *entry) {
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++)
        if (entry->counted >> i & 1) put_field(trace, loom_counter_key(i), entry->counts[i]);
}

static void write_task(loom_trace *trace, const loom_log_entry *entry, const loom_trace_place *place) {
    const char *outcome = outcome_of(entry);
    open_event(trace, trace->operators->operators[entry->operator_index]->name, 'X', entry->lane + 1, entry->start_ns);
    put_duration(trace, entry->end_ns - entry->start_ns);
    put_text_field(trace, "cat", outcome);
    PUT(trace, ",\"args\":{\"outcome\":");
    put_text(trace, outcome);
    put_field(trace, "task", entry->task);
    put_field(trace, "attempt", entry->attempt);
    if (place && place->node) put_text_field(trace, "node", place->node);
    if (place && place->file) {
        put_text_field(trace, "file", place->file);
        put_field(trace, "line", place->line);
        put_field(trace, "column", place->column);
    }
    if (entry->bytes_in) put_field(trace, "bytes_in", entry->bytes_in);
    if (entry->bytes_out) put_field(trace, "bytes_out", entry->bytes_out);
    if (entry->io_ns) put_field(trace, "io_wait_us", entry->io_ns / 1000);
    if (entry->stolen_from != LOOM_NOT_STOLEN) put_field(trace, "stolen_from", entry->stolen_from);
    put_counts(trace, entry);
    PUT(trace, "}}");
    flush(trace);
}

static void write_phases(loom_trace *trace, const loom_log_entry *entry) {
    for (unsigned i = 0; i < entry->phase_count; i++) {
        const loom_phase_span *phase = &entry->phases[i];
        if (phase->ns < PHASE_NS_MIN) continue;
        open_event(trace, loom_activity_name(phase->activity), 'X', entry->lane + 1, entry->start_ns + phase->from_ns);
        put_duration(trace, phase->ns);
        PUT(trace, ",\"cat\":\"phase\"}");
        flush(trace);
    }
}

static void write_steal(loom_trace *trace, const loom_log_entry *entry) {
    open_event(trace, "steal", 'i', entry->lane + 1, entry->start_ns);
    PUT(trace, ",\"s\":\"t\",\"cat\":\"steal\",\"args\":{\"from\":");
    put_number(trace, entry->stolen_from);
    PUT(trace, "}}");
    flush(trace);
}

/* A point on a track of its own for each worker: "page faults, worker 1". */
static void write_point(loom_trace *trace, const char *what, uint32_t lane, uint64_t at_ns, uint64_t value,
                        bool thousandths) {
    char name[64];
    snprintf(name, sizeof name, "%s, worker %" PRIu32, what, lane);
    open_event(trace, name, 'C', lane + 1, at_ns);
    PUT(trace, ",\"args\":{\"value\":");
    if (thousandths)
        put_us(trace, value);
    else
        put_number(trace, value);
    PUT(trace, "}}");
    flush(trace);
}

static void write_counters(loom_trace *trace, const loom_log_entry *entry) {
    if (entry->end_ns < trace->counted_ns[entry->lane] + COUNTER_NS_MIN) return;
    const uint32_t both = 1u << LOOM_COUNTER_CYCLES | 1u << LOOM_COUNTER_INSTRUCTIONS;
    uint64_t cycles = entry->counts[LOOM_COUNTER_CYCLES];
    bool faults = entry->counted >> LOOM_COUNTER_FAULTS & 1, ipc = (entry->counted & both) == both && cycles > 0;
    if (faults)
        write_point(trace, "page faults", entry->lane, entry->end_ns, entry->counts[LOOM_COUNTER_FAULTS], false);
    if (ipc)
        write_point(trace, "instructions per cycle", entry->lane, entry->end_ns,
                    (uint64_t)(1000.0 * (double)entry->counts[LOOM_COUNTER_INSTRUCTIONS] / (double)cycles), true);
    if (faults || ipc) trace->counted_ns[entry->lane] = entry->end_ns;
}

static void write_commit(loom_trace *trace, const loom_log_entry *entry) {
    open_event(trace, "commit", 'X', trace->workers + 1, entry->start_ns);
    put_duration(trace, entry->end_ns - entry->start_ns);
    PUT(trace, ",\"cat\":\"store\",\"args\":{\"rows\":");
    put_number(trace, entry->value);
    put_field(trace, "bytes", entry->bytes_out);
    put_text_field(trace, "outcome", entry->state ? "stored" : "failed");
    PUT(trace, "}}");
    flush(trace);
}

/* ---- the file ---- */

loom_status loom_trace_begin(FILE *out, const loom_operator_table *operators, uint32_t workers, uint64_t start_ns,
                             loom_trace **trace, loom_error *err) {
    char name[32];
    *trace = NULL;
    loom_trace *made = calloc(1, sizeof *made);
    if (made) made->counted_ns = calloc(workers + 1u, sizeof *made->counted_ns);
    if (!made || !made->counted_ns) {
        free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory for the trace");
    }
    made->out = out;
    made->operators = operators;
    made->workers = workers;
    made->start_ns = start_ns;
    PUT(made, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
              "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"tid\":0,\"args\":{\"name\":\"voxloom run\"}}");
    name_thread(made, 0, "coordinator");
    for (uint32_t i = 0; i < workers; i++) {
        snprintf(name, sizeof name, "worker %" PRIu32, i);
        name_thread(made, i + 1, name);
    }
    name_thread(made, workers + 1, "committer");
    *trace = made;
    return LOOM_OK;
}

void loom_trace_add(loom_trace *trace, const loom_log_entry *entry, const loom_trace_place *place) {
    if (entry->start_ns < trace->start_ns || entry->end_ns < entry->start_ns) return;
    switch ((loom_entry_kind)entry->kind) {
    case LOOM_ENTRY_TASK:
        if (entry->lane >= trace->workers || entry->operator_index >= trace->operators->count) return;
        write_task(trace, entry, place);
        if (entry->stolen_from != LOOM_NOT_STOLEN) write_steal(trace, entry);
        write_phases(trace, entry);
        write_counters(trace, entry);
        return;
    case LOOM_ENTRY_IO_FLIGHT:
        if (entry->lane < trace->workers)
            write_point(trace, "writes in flight", entry->lane, entry->start_ns, entry->value, false);
        return;
    case LOOM_ENTRY_COMMIT:
        write_commit(trace, entry);
        return;
    case LOOM_ENTRY_SKIP:
        return;
    }
}

void loom_trace_end(loom_trace *trace, const loom_profile *profile) {
    if (!trace) return;
    PUT(trace, "\n],\"otherData\":{\"workers\":");
    put_number(trace, trace->workers);
    if (profile) {
        put_field(trace, "tasks", profile->tasks);
        put_field(trace, "tasks_in_trace", profile->traced);
        put_field(trace, "tasks_with_counters", profile->sampled);
        put_field(trace, "entries_lost", profile->lost);
    }
    PUT(trace, "}}\n");
    flush(trace);
    free(trace->counted_ns);
    free(trace);
}
