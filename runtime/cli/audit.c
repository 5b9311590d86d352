/* audit.c - `voxloom audit`: a sample of stored results is computed again and compared. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/cli/interrupt.h"
#include "runtime/cli/settings.h"
#include "runtime/coordinator/run.h"
#include "runtime/kernels/plugin/plugin.h"

#define SAMPLE_DEFAULT 100

static void show_notice(const char *line, void *context) {
    const loom_config *config = context;
    if (!config->output.quiet) fprintf(stderr, "voxloom: %s\n", line);
}

static void print_item(const loom_audited *item) {
    char rkey[LOOM_ID_HEX_BYTES], node[LOOM_ID_HEX_BYTES], stored[LOOM_ID_HEX_BYTES], computed[LOOM_ID_HEX_BYTES];
    loom_id_hex(&item->rkey, rkey);
    loom_id_hex(&item->node, node);
    loom_id_hex(&item->stored, stored);
    loom_id_hex(&item->computed, computed);
    bool named = !loom_id_is_zero(&item->node);
    const char *text = item->cause.message[0] ? item->cause.message : "it was not computed";
    switch (item->verdict) {
    case LOOM_AUDIT_DIFFERS:
        printf("differs  %.16s  %s%s%.8s: stored %.16s, computed %.16s; `voxloom store rm %.16s` has it computed "
               "again\n",
               rkey, item->op, named ? " node " : "", named ? node : "", stored, computed, rkey);
        break;
    case LOOM_AUDIT_DAMAGED:
        printf("damaged  %.16s  %s%s%.8s: %s; `voxloom store verify --repair` sets it apart\n", rkey, item->op,
               named ? " node " : "", named ? node : "", text);
        break;
    case LOOM_AUDIT_REFUSES:
        printf("refused  %.16s  %s%s%.8s: stored %.16s, computed nothing: %s; `voxloom store rm %.16s` forgets it\n",
               rkey, item->op, named ? " node " : "", named ? node : "", stored, text, rkey);
        break;
    case LOOM_AUDIT_UNKNOWN:
        printf("unknown  %.16s  %s%s%.8s: %s\n", rkey, item->op, named ? " node " : "", named ? node : "", text);
        break;
    case LOOM_AUDIT_SAME:
    case LOOM_AUDIT_ELSE:
        break;
    }
}

/* The lines of what is not as it was, and a closing one. Returns the exit status. */
static int print_report(const loom_audit *audit) {
    uint64_t of[LOOM_AUDIT_ELSE + 1] = {0};
    for (uint64_t i = 0; i < audit->count; i++) {
        print_item(&audit->items[i]);
        of[audit->items[i].verdict]++;
    }
    uint64_t bad = of[LOOM_AUDIT_DIFFERS] + of[LOOM_AUDIT_DAMAGED] + of[LOOM_AUDIT_REFUSES];
    uint64_t compared = bad + of[LOOM_AUDIT_SAME];
    printf("%" PRIu64 " of %" PRIu64 " results computed again: ", compared, audit->candidates);
    if (bad == 0)
        printf("%s", compared ? "each is what is stored" : "nothing could be compared");
    else
        printf("%" PRIu64 " not as stored", bad);
    if (of[LOOM_AUDIT_UNKNOWN]) printf("; %" PRIu64 " could not be computed here", of[LOOM_AUDIT_UNKNOWN]);
    if (of[LOOM_AUDIT_ELSE])
        printf("; %" PRIu64 " were made from other files or arguments than are there now", of[LOOM_AUDIT_ELSE]);
    if (audit->passed_over)
        printf("; %" PRIu64 " passed over, since what they were made from is not stored", audit->passed_over);
    putchar('\n');
    return bad > 0 ? 1 : 0;
}

static loom_status run_audit(loom_config *config, loom_audit *audit, loom_error *err) {
    const loom_operator_table *operators;
    loom_plan *plan = NULL;
    loom_summary summary = {0};
    LOOM_TRY(loom_operators_with(config->kernels.plugins, &operators, err));
    const loom_plan_options planning = {.operators = operators};
    LOOM_TRY(loom_plan_create(&planning, &plan, err));
    const loom_run_options options = {.config = config,
                                      .plan = plan,
                                      .notice = show_notice,
                                      .context = config,
                                      .audit = audit,
                                      .stop = loom_interrupt_install()};
    loom_status status = loom_run(&options, &summary, err);
    loom_summary_free(&summary);
    loom_plan_free(plan);
    return status;
}

static int audit_store(loom_config *config, loom_audit *audit) {
    loom_error err = {0};
    struct stat found;
    if (strcmp(config->store.path, ":memory:") == 0) {
        loom_fail(&err, LOOM_BAD_USAGE,
                  "the store is :memory:, which is empty between runs; name a folder with --store");
        return loom_exit_failed(&err);
    }
    if (stat(config->store.path, &found) != 0) { /* a run would make it */
        loom_fail_errno(&err, errno, "there is no store %s; name another folder with --store", config->store.path);
        return loom_exit_failed(&err);
    }
    audit->arena = loom_arena_new();
    loom_status status = audit->arena ? run_audit(config, audit, &err)
                                      : loom_fail(&err, LOOM_NO_MEMORY, "out of memory while drawing a sample");
    int exit_status = status == LOOM_OK ? print_report(audit) : loom_exit_failed(&err);
    loom_arena_free(audit->arena);
    return loom_exit_flushed(exit_status);
}

/* A whole number of digits only. */
static bool read_count(const char *text, uint64_t *count) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno) return false;
    *count = value;
    return true;
}

static int audit(const loom_command *self, int argc, char **argv) {
    loom_settings settings = {0};
    loom_words words = {0};
    const char *sample = NULL, *seed = NULL;
    bool no_fuse = false;
    loom_audit request = {.sample = SAMPLE_DEFAULT};
    const loom_option options[] = {{.name = "--sample", .value = &sample},
                                   {.name = "--seed", .value = &seed},
                                   LOOM_SETTINGS_CONFIG(&settings),
                                   LOOM_SETTINGS_STORE(&settings),
                                   LOOM_SETTINGS_WORKERS(&settings),
                                   {.name = "--no-fuse", .flag = &no_fuse},
                                   {.name = "--quiet", .letter = "-q", .flag = &settings.quiet}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 0, 0, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        loom_error err = {0};
        loom_config config;
        if (sample && !read_count(sample, &request.sample))
            status = loom_exit_usage(self, "--sample %s is no number of results", sample);
        else if (seed && !read_count(seed, &request.seed))
            status = loom_exit_usage(self, "--seed %s is no whole number", seed);
        else if (loom_settings_load(&settings, &config, &err) != LOOM_OK)
            status = loom_exit_failed(&err);
        else {
            config.kernels.fuse &= !no_fuse;
            status = audit_store(&config, &request);
        }
    }
    loom_words_free(&words);
    loom_settings_free(&settings);
    return status;
}

const loom_command loom_command_audit = {
    .name = "audit",
    .summary = "Computes a sample of stored results again and compares",
    .usage = "voxloom audit [--sample N] [--seed S] [options]",
    .help = "Draws stored results, computes each again from its recipe and its stored arguments, and compares type,\n"
            "value and voxels. Prints a line for each that is not as stored, and ends with status 1 if there is one.\n"
            "Nothing is changed.\n\n"
            "options:\n"
            "  --sample N             how many results (default 100)\n"
            "  --seed S               another sample (default 0); the same store and seed give the same one\n"
            "  --store DIR            the store (default ~/.local/share/voxloom)\n"
            "  -j, --workers N        worker processes (default: one per core)\n"
            "  --no-fuse              runs every operator by itself\n"
            "  --config FILE          reads this configuration file too\n"
            "  --set KEY=VALUE        sets one setting\n"
            "  -q, --quiet            no notices\n",
    .run = audit,
};
