/* progress.c - the progress line. */
#include "runtime/cli/progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/cli/human.h"

static const double plain_interval_seconds = 5;

void loom_progress_begin(loom_progress_view *view, FILE *out) {
    *view = (loom_progress_view){.out = out, .live = isatty(fileno(out)) == 1};
}

/* Time left if the rest goes as fast as what was computed; reused nodes cost nothing and say nothing. Negative while
 * there is too little to judge by. */
static double seconds_left(const loom_progress *progress) {
    uint64_t computed = progress->nodes_done - progress->nodes_reused;
    if (progress->nodes_reused > progress->nodes_done || computed < 3 || progress->seconds < 1) return -1;
    if (progress->nodes_total <= progress->nodes_done) return 0;
    return progress->seconds / (double)computed * (double)(progress->nodes_total - progress->nodes_done);
}

void loom_progress_line(const loom_progress *progress, char *text, size_t capacity) {
    char written[LOOM_HUMAN_BYTES], left[LOOM_HUMAN_BYTES], eta[64] = "";
    double percent = progress->nodes_total > 0 ? 100 * (double)progress->nodes_done / (double)progress->nodes_total : 0;
    double seconds = seconds_left(progress);
    if (seconds >= 0) snprintf(eta, sizeof eta, ", %s left", loom_human_seconds(seconds, left));
    snprintf(text, capacity,
             "%" PRIu64 "/%" PRIu64 " nodes (%.0f%%), %" PRIu64 " from store, %s written, %" PRIu32 "/%" PRIu32
             " busy%s",
             progress->nodes_done, progress->nodes_total, percent, progress->nodes_reused,
             loom_human_bytes(progress->bytes_written, written), progress->workers_busy, progress->workers, eta);
}

static size_t terminal_columns(FILE *out) {
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

void loom_progress_show(loom_progress_view *view, const loom_progress *progress) {
    char line[256];
    if (!view->live && progress->seconds - view->last < plain_interval_seconds) return;
    loom_progress_line(progress, line, sizeof line);
    if (view->live) {
        size_t columns = terminal_columns(view->out);
        if (strlen(line) >= columns) line[columns - 1] = '\0'; /* a wrapped line could not be taken back */
        fprintf(view->out, "\r%s\033[K", line);
        view->shown = true;
    } else {
        fprintf(view->out, "%s\n", line);
        view->last = progress->seconds;
    }
    fflush(view->out);
}

void loom_progress_clear(loom_progress_view *view) {
    if (!view->shown) return;
    fputs("\r\033[K", view->out);
    fflush(view->out);
    view->shown = false;
}
