/* progress.h - what a person sees while a run goes on: one live line on a terminal, a plain line now and then
 * elsewhere.
 */
#ifndef LOOM_CLI_PROGRESS_H
#define LOOM_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "runtime/coordinator/run.h"

typedef struct loom_progress_view {
    FILE *out;
    bool live;   /* out is a terminal: one line, rewritten */
    bool shown;  /* a live line stands there now */
    double last; /* seconds of the last plain line */
} loom_progress_view;

void loom_progress_begin(loom_progress_view *view, FILE *out);
/* Shows the state; plain lines come at least five seconds apart, the first after five. */
void loom_progress_show(loom_progress_view *view, const loom_progress *progress);
/* Takes the live line away, before anything else is printed on the terminal and at the end. */
void loom_progress_clear(loom_progress_view *view);

/* The line: "1200/5678 nodes (21%), 310 from store, 1.2 GiB written, 4/4 busy, 12 s left". */
void loom_progress_line(const loom_progress *progress, char *text, size_t capacity);

#endif
