/* partition_dot.c - see partition_dot.h. */
#include "runtime/coordinator/partition_dot.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/coordinator/session.h"

typedef struct drawing {
    loom_session *session;
    const loom_topology *topology;
    FILE *out;
} drawing;

typedef struct sums {
    uint64_t bytes, crossing, load[LOOM_TOPOLOGY_DOMAINS_MAX], total;
} sums;

static bool is_drawn(const loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    return step->op && step->alias == LOOM_STEP_NONE;
}

static uint16_t domain_of(const loom_session *session, uint32_t index) {
    return index < session->place_count ? session->places[index] : 0;
}

static void put_bytes(FILE *out, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    unsigned unit = 0;
    for (; amount >= 1023.95 && unit < 6; unit++)
        amount /= 1024;
    fprintf(out, unit == 0 || amount >= 99.95 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

/* Hues far apart for neighbouring numbers: steps of the golden ratio round the circle. */
static void put_colour(FILE *out, uint16_t domain) {
    double hue = 0.58 + 0.618034 * domain;
    fprintf(out, "%.3f 0.35 0.97", hue - (double)(int)hue);
}

static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc(*text, out);
    }
}

/* The operator without its namespace, where it stands in the program, and what it takes. */
static void draw_step(const drawing *to, uint32_t index) {
    const loom_step *step = &to->session->graph.steps[index];
    const char *dot = strrchr(step->op->name, '.');
    loom_error where = {0};
    loom_describe_step(to->session, index, &where);
    fprintf(to->out, "  s%" PRIu32 " [label=\"", index);
    put_escaped(to->out, dot && dot[1] ? dot + 1 : step->op->name);
    if (where.line) fprintf(to->out, "\\nline %" PRIu32, where.line);
    double milliseconds = (double)loom_step_cost_ns(to->session, index) * 1e-6;
    if (milliseconds >= 0.1) fprintf(to->out, "\\n%.1f ms", milliseconds);
    fputs("\" fillcolor=\"", to->out);
    put_colour(to->out, domain_of(to->session, index));
    fputs("\"]\n", to->out);
}

static void draw_edges(const drawing *to, uint32_t index) {
    const loom_step *step = &to->session->graph.steps[index];
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t from = loom_graph_resolve(&to->session->graph, step->arguments[i]);
        if (!is_drawn(to->session, from)) continue;
        bool crosses = domain_of(to->session, from) != domain_of(to->session, index);
        fprintf(to->out, "  s%" PRIu32 " -> s%" PRIu32 " [label=\"", from, index);
        put_bytes(to->out, loom_step_bytes(to->session, from));
        fputs(crosses ? "\" color=red fontcolor=red penwidth=2]\n" : "\"]\n", to->out);
    }
}

static void add_up(const drawing *to, sums *sum) {
    for (uint32_t index = 0; index < to->session->graph.step_count; index++) {
        if (!is_drawn(to->session, index)) continue;
        const loom_step *step = &to->session->graph.steps[index];
        uint64_t cost = loom_step_cost_ns(to->session, index);
        sum->load[domain_of(to->session, index)] += cost;
        sum->total += cost;
        for (uint32_t i = 0; i < step->argument_count; i++) {
            uint32_t from = loom_graph_resolve(&to->session->graph, step->arguments[i]);
            if (!is_drawn(to->session, from)) continue;
            uint64_t bytes = loom_step_bytes(to->session, from);
            sum->bytes += bytes;
            if (domain_of(to->session, from) != domain_of(to->session, index)) sum->crossing += bytes;
        }
    }
}

/* A box a domain, with its cores and its share of the work; the figures of the cut above. */
static void draw_legend(const drawing *to, const uint32_t *share) {
    sums sum = {0};
    add_up(to, &sum);
    fputs("  label=\"", to->out);
    put_bytes(to->out, sum.crossing);
    fputs(" of ", to->out);
    put_bytes(to->out, sum.bytes);
    fprintf(to->out, " cross between %" PRIu32 " domain%s\"\n  subgraph cluster_domains {\n    label=\"domains\"\n",
            to->topology->domains, to->topology->domains == 1 ? "" : "s");
    for (uint16_t d = 0; d < to->topology->domains; d++) {
        double part = sum.total ? 100.0 * (double)sum.load[d] / (double)sum.total : 0;
        fprintf(to->out, "    d%u [label=\"domain %u\\n%" PRIu32 " core%s, %.0f%% of the work\" fillcolor=\"",
                (unsigned)d, (unsigned)d, share[d], share[d] == 1 ? "" : "s", part);
        put_colour(to->out, d);
        fputs("\"]\n", to->out);
    }
    fputs("  }\n", to->out);
}

loom_status loom_partition_draw(loom_preview *preview, const loom_topology *topology, FILE *out, loom_error *err) {
    const drawing to = {loom_preview_session(preview), topology, out};
    uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX] = {0};
    for (uint32_t worker = 0; worker < topology->workers; worker++)
        share[loom_topology_domain(topology, worker)]++;
    LOOM_TRY(loom_place(to.session, topology->domains, share, err));
    fputs("digraph partition {\n  rankdir=TB labelloc=t fontname=\"sans-serif\"\n"
          "  node [shape=box style=\"filled,rounded\" fontname=\"sans-serif\" fontsize=11]\n"
          "  edge [fontname=\"sans-serif\" fontsize=9 color=gray50]\n",
          out);
    draw_legend(&to, share);
    for (uint32_t index = 0; index < to.session->graph.step_count; index++)
        if (is_drawn(to.session, index)) draw_step(&to, index);
    for (uint32_t index = 0; index < to.session->graph.step_count; index++)
        if (is_drawn(to.session, index)) draw_edges(&to, index);
    fputs("}\n", out);
    return ferror(out) ? loom_fail_errno(err, errno ? errno : EIO, "cannot write the partition") : LOOM_OK;
}
