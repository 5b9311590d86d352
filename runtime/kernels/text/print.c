/* print.c - default.print_primitive: shows LABEL=VALUE when it runs, and gives that text.
 *
 * Workers' standard output is the run's standard error: what a run prints as its results stays apart. The line is
 * written whole, so that lines of several workers do not mix. A task that is tried again after a death prints again. */
#include <stdio.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/kernels.h"
#include "runtime/text.h"

/* Quotation marks around the label go, as VoxLogicA-2 takes them off. */
static loom_value unquoted(const loom_value *label) {
    if (label->type != LOOM_STRING || label->text.length < 1) return *label;
    const char *text = label->text.bytes;
    const size_t length = label->text.length;
    if (text[0] != '"' || text[length - 1] != '"') return *label;
    return length < 2 ? loom_string("", 0) : loom_string(text + 1, length - 2);
}

static loom_status render(const loom_value *label, const loom_value *value, loom_buffer *line) {
    const loom_value name = unquoted(label);
    LOOM_TRY(loom_value_str(&name, line));
    LOOM_TRY(loom_buffer_add(line, "=", 1));
    LOOM_TRY(loom_value_str(value, line));
    return loom_buffer_add(line, "\n", 1);
}

loom_status loom_run_print_primitive(loom_call *call) {
    const loom_value *label = NULL, *value = NULL;
    loom_buffer line = {0};
    LOOM_TRY(loom_arg(call, 0, &label));
    LOOM_TRY(loom_arg(call, 1, &value));
    loom_status status = render(label, value, &line);
    const char *text = status == LOOM_OK ? loom_arena_text(call->arena, (const char *)line.bytes, line.length) : NULL;
    if (text == NULL) {
        loom_buffer_free(&line);
        return loom_fail(call->err, status == LOOM_OK ? LOOM_NO_MEMORY : status,
                         "`%s` cannot write its value as text: %s", call->op->name,
                         loom_status_message(status == LOOM_OK ? LOOM_NO_MEMORY : status));
    }
    call->result = loom_string(text, line.length - 1);
    bool written = fwrite(line.bytes, 1, line.length, stdout) == line.length;
    written = fflush(stdout) == 0 && written;
    loom_buffer_free(&line);
    if (written) return LOOM_OK;
    clearerr(stdout);
    return loom_fail(call->err, LOOM_IO, "`%s` could not write its line; is standard error closed or its disk full?",
                     call->op->name);
}
