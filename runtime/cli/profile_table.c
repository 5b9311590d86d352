/* profile_table.c - bars and columns. */
#include "runtime/cli/profile_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/human.h"

enum { ROWS_SHOWN = 20, NODES_SHOWN = 8, BAR_COLUMNS = 40, NAME_COLUMNS = 26 };

static const char *seconds_text(uint64_t ns, char text[LOOM_HUMAN_BYTES]) {
    return loom_human_seconds((double)ns * 1e-9, text);
}

static bool has(const loom_counts *counts, unsigned counter) {
    return counts->valid >> counter & 1;
}

/* ---- causes ---- */

static void print_causes(const loom_profile *profile, FILE *out) {
    char text[LOOM_HUMAN_BYTES];
    double all = (double)profile->workers * (double)profile->wall_ns;
    fprintf(out, "\nWhere %" PRIu32 " worker%s x %s went\n", profile->workers, profile->workers == 1 ? "" : "s",
            seconds_text(profile->wall_ns, text));
    for (unsigned i = 0; i < LOOM_CAUSE_COUNT; i++) {
        unsigned cause = loom_cause_shown(i);
        double share = all > 0 ? (double)profile->cause_ns[cause] / all : 0;
        if (share < 0.0005 && cause != LOOM_DOING_OTHER) continue; /* would read 0.0% */
        int columns = (int)(share * BAR_COLUMNS + 0.5);
        fprintf(out, "  %-13s %9s  %5.1f%%%s%.*s\n", loom_cause_name(cause),
                seconds_text(profile->cause_ns[cause], text), share * 100, columns > 0 ? "  " : "", columns,
                "########################################");
    }
}

/* ---- operators ---- */

/* A ratio with two decimals, or "-" where one of its parts was not counted. */
static void print_ratio(FILE *out, int width, bool known, double ratio) {
    if (known)
        fprintf(out, " %*.2f", width, ratio);
    else
        fprintf(out, " %*s", width, "-");
}

static double per(uint64_t part, uint64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* Hardware columns are left out where the machine counts none of them. */
static bool counts_hardware(const loom_profile *profile) {
    bool any = false;
    for (size_t i = 0; i < profile->row_count; i++)
        any |= profile->rows[i].counts.valid >> LOOM_COUNTER_FIRST_HARDWARE != 0;
    return any;
}

static void print_hardware(const loom_counts *counts, FILE *out) {
    uint64_t instructions = counts->value[LOOM_COUNTER_INSTRUCTIONS];
    bool known = has(counts, LOOM_COUNTER_INSTRUCTIONS) && instructions > 0;
    print_ratio(out, 5, known && has(counts, LOOM_COUNTER_CYCLES),
                per(instructions, counts->value[LOOM_COUNTER_CYCLES]));
    print_ratio(out, 6, known && has(counts, LOOM_COUNTER_LLC_MISSES),
                1000 * per(counts->value[LOOM_COUNTER_LLC_MISSES], instructions));
    print_ratio(out, 6, known && has(counts, LOOM_COUNTER_DTLB_MISSES),
                1000 * per(counts->value[LOOM_COUNTER_DTLB_MISSES], instructions));
}

static void print_count(FILE *out, int width, bool known, uint64_t count) {
    if (known)
        fprintf(out, " %*" PRIu64, width, count);
    else
        fprintf(out, " %*s", width, "-");
}

static void print_row(const loom_profile *profile, const loom_profile_row *row, bool hardware, FILE *out) {
    char wall[LOOM_HUMAN_BYTES], cpu[LOOM_HUMAN_BYTES] = "-", in[LOOM_HUMAN_BYTES], made[LOOM_HUMAN_BYTES];
    double all = (double)profile->workers * (double)profile->wall_ns;
    if (has(&row->counts, LOOM_COUNTER_TASK_CLOCK)) seconds_text(row->counts.value[LOOM_COUNTER_TASK_CLOCK], cpu);
    fprintf(out, "  %-*.*s %8" PRIu64 " %9s %8s %5.1f%%", NAME_COLUMNS, NAME_COLUMNS, row->name, row->calls,
            seconds_text(row->task_ns, wall), cpu, all > 0 ? 100 * (double)row->task_ns / all : 0);
    if (hardware) print_hardware(&row->counts, out);
    print_count(out, 8, has(&row->counts, LOOM_COUNTER_FAULTS), row->counts.value[LOOM_COUNTER_FAULTS]);
    print_count(out, 7, has(&row->counts, LOOM_COUNTER_SWITCHES), row->counts.value[LOOM_COUNTER_SWITCHES]);
    fprintf(out, " %9s %9s", loom_human_bytes(row->bytes_in, in), loom_human_bytes(row->bytes_out, made));
    uint64_t moved = row->bytes_in + row->bytes_out;
    print_ratio(out, 6, moved > 0 && row->kernel_ns > 0, per(moved, row->kernel_ns)); /* bytes a nanosecond */
    fputc('\n', out);
}

static void print_operators(const loom_profile *profile, FILE *out) {
    bool hardware = counts_hardware(profile);
    fprintf(out, "\n  %-*s %8s %9s %8s %6s%s %8s %7s %9s %9s %6s\n", NAME_COLUMNS, "operator", "calls", "wall", "CPU",
            "share", hardware ? "   IPC  LLC/k  TLB/k" : "", "faults", "switch", "in", "out", "GB/s");
    for (size_t i = 0; i < profile->row_count && i < ROWS_SHOWN; i++)
        print_row(profile, &profile->rows[i], hardware, out);
    if (profile->row_count > ROWS_SHOWN)
        fprintf(out, "  ... and %zu more; --profile=FILE.json has all\n", profile->row_count - ROWS_SHOWN);
}

/* ---- nodes ---- */

static void print_nodes(const loom_profile *profile, FILE *out) {
    if (profile->node_count == 0) return;
    fprintf(out, "\n  the most expensive nodes\n");
    for (size_t i = 0; i < profile->node_count && i < NODES_SHOWN; i++) {
        const loom_profile_node *node = &profile->nodes[i];
        char wall[LOOM_HUMAN_BYTES];
        fprintf(out, "  %9s  %s %.8s", seconds_text(node->task_ns, wall), node->name, node->id);
        if (node->calls > 1) fprintf(out, "%s(%" PRIu64 " calls)", node->id[0] ? "  " : "", node->calls);
        if (node->file != NULL) fprintf(out, "  %s:%" PRIu32 ":%" PRIu32, node->file, node->line, node->column);
        fputc('\n', out);
    }
    if (profile->node_count > NODES_SHOWN)
        fprintf(out, "  ... and %zu more; --profile=FILE.json has %s\n", profile->node_count - NODES_SHOWN,
                profile->nodes_left_out > 0 ? "the first 16,384" : "all");
}

/* ---- what the figures rest on ---- */

/* Counters that are missing for one reason are named together. */
static void print_missing(const loom_profile *profile, FILE *out) {
    bool told[LOOM_COUNTER_COUNT] = {false};
    for (unsigned i = 0; i < LOOM_COUNTER_COUNT; i++) {
        const char *reason = profile->reasons[i];
        if (told[i] || reason == NULL || reason[0] == '\0') continue;
        fprintf(out, "  not counted: %s", loom_counter_key(i));
        for (unsigned other = i + 1; other < LOOM_COUNTER_COUNT; other++) {
            if (profile->reasons[other] == NULL || strcmp(profile->reasons[other], reason) != 0) continue;
            told[other] = true;
            fprintf(out, ", %s", loom_counter_key(other));
        }
        fprintf(out, ": %s\n", reason);
    }
}

static void print_basis(const loom_profile *profile, FILE *out) {
    fprintf(out, "  page fault: faults counted x %.2f us, as measured at start-up\n",
            (double)profile->fault_cost_ns * 1e-3);
    uint64_t kernels = 0;
    for (size_t i = 0; i < profile->row_count; i++)
        kernels += profile->rows[i].calls - profile->rows[i].reused;
    if (profile->sampled < kernels)
        fprintf(out,
                "  counters: read for %" PRIu64 " of %" PRIu64
                " kernels, %.1f us each time, and scaled up; at most 0.5%% of the time\n",
                profile->sampled, kernels, 2e-3 * (double)profile->reading_cost_ns);
    if (profile->lost > 0)
        fprintf(out, "  %" PRIu64 " entries of the log were lost: the coordinator was too far behind\n", profile->lost);
    print_missing(profile, out);
}

void loom_profile_print(const loom_profile *profile, FILE *out) {
    if (profile->workers == 0) {
        fprintf(out, "profile: nothing had to be computed, so no worker was started\n");
        return;
    }
    print_causes(profile, out);
    print_operators(profile, out);
    print_nodes(profile, out);
    fputc('\n', out);
    print_basis(profile, out);
}
