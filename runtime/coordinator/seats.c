/* seats.c - see seats.h. */
#include "runtime/coordinator/seats.h"

#include <stdlib.h>
#include <string.h>

/* The seats of the first round, one a core: `taken` cores that are ours alone first. */
static uint32_t claim_cores(const loom_topology *topology, uint32_t wanted, loom_seats *made) {
    uint32_t taken = 0;
    for (uint32_t core = 0; core < topology->cores && taken < wanted; core++)
        if (loom_core_claim(made->claims, topology->cpu[core]))
            made->seats[taken++] = (loom_seat){topology->cpu[core], topology->domain[core], true};
    return taken;
}

loom_status loom_seats_take(const loom_config *config, const loom_topology *topology, uint32_t workers,
                            loom_seats *made, loom_error *err) {
    uint32_t cores = topology->cores, round = workers < cores ? workers : cores;
    *made = (loom_seats){.seats = calloc(workers, sizeof *made->seats), .count = workers};
    if (!made->seats) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
    uint32_t own = 0;
    bool polite = config->workers.pin && config->workers.share == LOOM_SHARE_POLITE;
    if (polite && loom_core_claims_open(config->workers.claims, &made->claims, NULL) == LOOM_OK)
        own = claim_cores(topology, round, made);
    /* Without the file nobody can know of others: as if alone. */
    bool alone = made->claims == NULL && config->workers.pin;
    for (uint32_t i = own; i < round; i++)
        made->seats[i] = (loom_seat){topology->cpu[i], topology->domain[i], alone};
    for (uint32_t i = round; i < workers; i++)
        made->seats[i] = made->seats[i % round];
    return LOOM_OK;
}

void loom_seats_release(loom_seats *seats) {
    free(seats->seats);
    loom_core_claims_close(seats->claims);
    *seats = (loom_seats){0};
}

void loom_seats_share(const loom_seats *seats, uint32_t *share) {
    memset(share, 0, LOOM_TOPOLOGY_DOMAINS_MAX * sizeof *share);
    for (uint32_t i = 0; i < seats->count; i++)
        share[seats->seats[i].domain]++;
}
