/* lineage_graph.h - what was computed from what, of a whole store: one pass over all rows, tombstones included, since a
 * result may be derived from one that was evicted. */
#ifndef LOOM_SHM_STORE_LINEAGE_GRAPH_H
#define LOOM_SHM_STORE_LINEAGE_GRAPH_H

#include "shm/care/admin.h"
#include "shm/store/store.h"

#define LINEAGE_NONE UINT32_MAX

typedef struct lineage_node {
    loom_id rkey, vid;
    uint64_t bytes;            /* inline and bulk, of a live one */
    uint32_t first, count;     /* its edges */
    uint32_t recipe;           /* where its recipe stands in `texts`; LINEAGE_NONE: it need not be looked at */
    bool live, derived, named; /* named: a string that is the input's path */
    uint8_t state;             /* of the walk */
} lineage_node;

typedef struct lineage_edge {
    uint8_t prefix[16]; /* of the argument's rkey */
    uint32_t node;      /* once resolved; LINEAGE_NONE: nothing is known of it */
} lineage_edge;

typedef struct lineage_graph {
    lineage_node *nodes;
    size_t count, capacity;
    lineage_edge *edges;
    size_t edge_count, edge_capacity;
    uint8_t *texts; /* recipes of results that may have read a file: u32 length, bytes */
    size_t text_bytes, text_capacity;
    uint32_t *places; /* hash of rkeys to nodes */
    size_t place_count;
} lineage_graph;

/* What the user asked for, prepared. */
typedef struct lineage_question {
    const char *op;    /* or NULL */
    const char *input; /* as given, or NULL */
    char *absolute;    /* without links; NULL if there is no such file */
    bool has_content;  /* the file could be read: */
    loom_id content;   /* its SHA-256 */
} lineage_question;

/* Reads the store. Nodes that the operator or the path names are marked as derived at once; so are, at the end, those
 * whose key says that they read the file's content. Edges are resolved. */
loom_status lineage_read(loom_store *store, const lineage_question *question, lineage_graph *graph, loom_error *err);
void lineage_free(lineage_graph *graph);
/* Marks what was computed from what is marked. Fills `order` (graph->count long) with the marked nodes, arguments
 * before results; returns how many. `stack` has room for graph->edge_count + 1. */
size_t lineage_spread(lineage_graph *graph, uint32_t *order, uint32_t *stack);

#endif
