/* seats.h - where each worker of a run runs: on which core, in which NUMA domain, and whether it is bound there. */
#ifndef LOOM_RUNTIME_SEATS_H
#define LOOM_RUNTIME_SEATS_H

#include "runtime/config/config.h"
#include "runtime/coordinator/core_claims.h"
#include "runtime/topology.h"

typedef struct loom_seat {
    uint32_t cpu; /* its core's first usable CPU; means nothing unless bound */
    uint16_t domain;
    bool bound;
} loom_seat;

typedef struct loom_seats {
    loom_seat *seats; /* one a worker */
    uint32_t count;
    loom_core_claims *claims; /* held to the release; NULL: none were asked for */
} loom_seats;

/* Seats for `workers`. With workers.share = "polite" a worker is bound to a core that no other run of this machine has
 * claimed; when there are no more of these, the rest are left to the kernel, which moves them to wherever a core is
 * idle and else shares it fairly. More workers than cores go round again: their cores are this run's anyway. "all": one
 * core after another, whoever has it. Unbound ones take domains round robin. LOOM_NO_MEMORY. */
loom_status loom_seats_take(const loom_config *config, const loom_topology *topology, uint32_t workers,
                            loom_seats *seats, loom_error *err);
void loom_seats_release(loom_seats *seats); /* zeroed ones are accepted */

/* How many workers sit in each domain: LOOM_TOPOLOGY_DOMAINS_MAX entries. */
void loom_seats_share(const loom_seats *seats, uint32_t *share);

#endif
