/* Engaging: the segment, the committer and the workers appear when there is something to compute, so that a run that
 * finds everything in the store starts no process. */
#include "io/ring.h"
#include "runtime/coordinator/session.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/machine.h"

#define TOPOLOGY_KEY "topology"

/* The machine's cores and NUMA domains, from the store's cache when it still fits: asking hwloc takes tens of
 * milliseconds. */
static loom_status load_topology(loom_session *session, loom_topology *topology, loom_error *err) {
    const void *cached = NULL;
    size_t length = 0;
    bool discovered;
    uint8_t bytes[LOOM_TOPOLOGY_BYTES_MAX];
    loom_arena_reset(session->scratch);
    if (loom_store_get_meta(session->store, TOPOLOGY_KEY, session->scratch, &cached, &length, NULL) != LOOM_OK)
        length = 0;
    LOOM_TRY(loom_topology_load(cached, length, topology, &discovered, err));
    length = discovered ? loom_topology_export(topology, bytes, sizeof bytes) : 0;
    if (!length) return LOOM_OK;
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(session->store, &batch, err));
    loom_status status = loom_batch_put_meta(batch, TOPOLOGY_KEY, bytes, length, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

/* Workers get their seats, and what is planned so far is placed on the NUMA domains in proportion to them. */
static loom_status place(loom_session *session, const loom_topology *topology, loom_error *err) {
    uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX];
    if (!session->seats.seats)
        LOOM_TRY(loom_seats_take(session->config, topology, session->workers, &session->seats, err));
    loom_seats_share(&session->seats, share);
    return loom_place(session, topology->domains, share, err);
}

/* Workers open rings of their own; opening one here tells which kind they will get, and why. */
static loom_status choose_ring(loom_session *session, loom_error *err) {
    loom_ring *ring;
    char reason[160] = "", line[256];
    LOOM_TRY(loom_ring_open(session->config->io.ring, (unsigned)session->config->io.depth, &ring, reason, err));
    session->ring = loom_ring_kind_of(ring) == LOOM_RING_URING ? "io_uring" : "posix";
    loom_ring_close(ring);
    if (!reason[0] || !session->options->notice) return LOOM_OK;
    snprintf(line, sizeof line, "writing without io_uring: %s", reason);
    session->options->notice(line, session->options->context);
    return LOOM_OK;
}

/* Half of what there is: the rest is for the page cache, which makes results on disk fast, and for other programs. */
static uint64_t memory_budget(const loom_config *config) {
    return config->memory.budget_bytes ? config->memory.budget_bytes : loom_machine_memory_limit("") / 2;
}

loom_status loom_engage(loom_session *session, loom_error *err) {
    if (session->crew) return LOOM_OK;
    const loom_config *config = session->config;
    loom_topology *topology = loom_arena_alloc(session->arena, sizeof *topology);
    if (!topology) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
    LOOM_TRY(load_topology(session, topology, err));
    if (!session->costs) {
        session->costs = loom_costs_new(session->operators);
        if (!session->costs) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
        loom_costs_load(session->costs, session->store);
    }
    LOOM_TRY(place(session, topology, err));
    loom_segment_options segment = {.workers = session->workers,
                                    .tasks_max = (uint32_t)config->memory.tasks_max,
                                    .heap_bytes = config->memory.segment_bytes,
                                    .budget_bytes = memory_budget(config),
                                    .operators = (uint32_t)session->operators->count,
                                    .deaths_max = (uint32_t)config->workers.deaths_max};
    LOOM_TRY(choose_ring(session, err));
    loom_operator_table_signature(session->operators, segment.table_signature);
    if (!session->segment) LOOM_TRY(loom_segment_create(&segment, &session->segment, err));
    loom_tell_costs(session);
    if (!session->committer)
        LOOM_TRY(loom_committer_start(session->store, session->segment, session->operators, config, &session->committer,
                                      err));
    LOOM_TRY(loom_profiling_engage(session, err));
    loom_committer_record(session->committer, loom_profiling_recorder(session));
    loom_crew_options crew = {.program = session->options->worker_program,
                              .config = config,
                              .store = session->store,
                              .segment = session->segment,
                              .workers = session->workers,
                              .seats = &session->seats,
                              .recorder = loom_profiling_recorder(session),
                              .afresh = session->options->audit != NULL,
                              .plugins = loom_operators_plugins(session->operators)};
    LOOM_TRY(loom_crew_start(&crew, &session->crew, err));
    const loom_watch_options watch = {.segment = session->segment,
                                      .crew = session->crew,
                                      .workers = session->workers,
                                      .heartbeat_s = config->workers.heartbeat_s,
                                      .node_timeout_s = config->workers.node_timeout_s,
                                      .notice_s = config->workers.notice_s};
    session->oom_kills = loom_machine_oom_kills("");
    session->watch = loom_watch_new(&watch);
    return session->watch ? LOOM_OK : loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
}
