/* config.h - every setting of a run, and where each came from.
 *
 * Merged in this order, later wins: built-in defaults < /etc/voxloom.toml < $XDG_CONFIG_HOME/voxloom/voxloom.toml
 * (~/.config) <
 * --config FILE < environment (VOXLOOM_STORE_PATH for store.path, ...) < --set key=value and other flags. One table
 * (config_keys.c) holds name, type, bounds, default and documentation of each key: the parser, the default file and
 * `config show` are all made from it. */
#ifndef LOOM_RUNTIME_CONFIG_H
#define LOOM_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "io/ring.h"
#include "shm/status.h"
#include "shm/store/storage.h"

#define LOOM_PATH_BYTES 4096

/* Which results a run leaves in the store. What is not an image is small, and keys depend on it: it is always kept. */
typedef enum loom_persist {
    LOOM_PERSIST_ALL,
    LOOM_PERSIST_GOALS, /* of images, those that are goals, or that a kept sequence refers to */
    LOOM_PERSIST_AUTO   /* and those that take longer to compute again than to read */
} loom_persist;

/* Towards other runs on this machine. */
typedef enum loom_share { LOOM_SHARE_POLITE, LOOM_SHARE_ALL } loom_share;

typedef struct loom_config {
    struct {
        char path[LOOM_PATH_BYTES];   /* store.path: folder or ":memory:" */
        loom_persist persist;         /* store.persist = "all" | "goals" | "auto" */
        loom_durability durability;   /* store.durability = "verified" | "strict" | "none" */
        uint64_t map_bytes;           /* store.map_size ("1TiB", 0 = automatic) */
        uint64_t step_bytes;          /* store.extent_step */
        uint64_t extent_bytes;        /* store.extent_size */
        uint64_t inline_bytes;        /* store.inline_limit: larger encoded values go to extents (16 KiB) */
        uint64_t batch_rows;          /* store.batch_rows: commit at least this often */
        uint64_t batch_ms;            /* store.batch_ms */
        uint64_t budget_bytes;        /* store.budget, 0 = none */
        loom_eviction eviction;       /* store.eviction = "cost" | "lru" */
        uint64_t ttl_s;               /* store.ttl, 0 = results are kept for ever */
        loom_compression compression; /* store.compression = "off" | "cold" | "always" */
        uint64_t compression_level;   /* store.compression_level, zstd's */
        uint64_t cold_after_s;        /* store.cold_after */
        char key[LOOM_PATH_BYTES];    /* store.key: where the key comes from, never the key; "" = plain */
        uint64_t ballast_bytes;       /* store.ballast */
        uint64_t reuse_bytes;         /* store.reuse */
    } store;
    struct {
        uint64_t count;               /* workers.count, 0 = one per usable core */
        bool pin;                     /* workers.pin */
        loom_share share;             /* workers.share = "polite" | "all" */
        char claims[LOOM_PATH_BYTES]; /* workers.claims: file through which runs tell each other of bound cores */
        uint64_t nice;                /* workers.nice */
        uint64_t deaths_max;          /* workers.deaths_max: a task that kills this many workers fails (3) */
        uint64_t heartbeat_s;         /* workers.heartbeat: a worker silent for so long is killed; 0 = none is */
        uint64_t node_timeout_s;      /* workers.node_timeout: so is one that runs a node for longer; 0 = no limit */
        uint64_t notice_s;            /* workers.notice: it is told of one that runs a node for longer; 0 = never */
    } workers;
    struct {
        loom_ring_kind ring; /* io.ring = "auto" | "uring" | "posix" */
        uint64_t depth;      /* io.depth */
        uint64_t tile_bytes; /* io.tile */
    } io;
    struct {
        uint64_t budget_bytes;  /* memory.budget, 0 = half of what the machine or the cgroup has */
        uint64_t segment_bytes; /* memory.segment: address space of the shared segment */
        uint64_t tasks_max;     /* memory.tasks_max */
        uint64_t loop_items;    /* memory.loop_items: see runtime/coordinator/loop.h */
    } memory;
    struct {
        char plugins[LOOM_PATH_BYTES]; /* kernels.plugins: paths separated by ':' */
        bool fuse;                     /* kernels.fuse: see runtime/coordinator/fuse.h */
    } kernels;
    struct {
        bool progress; /* output.progress */
        bool quiet;    /* output.quiet */
    } output;
} loom_config;

/* Where each key's value came from, for `config show`. */
typedef struct loom_config_origins loom_config_origins;

typedef struct loom_config_sources {
    const char *file;        /* --config, or NULL */
    const char *const *sets; /* "key=value" of each --set */
    size_t set_count;
    bool skip_system_files; /* tests: neither /etc nor ~/.config */
} loom_config_sources;

/* Merges all sources. Unknown keys, wrong types and values out of bounds are LOOM_BAD_CONFIG with file, line, column,
 * the key, and what is allowed (and the nearest key for a misspelt one). */
loom_status loom_config_load(const loom_config_sources *sources, loom_config *config, loom_error *err);
/* The commented default file, every key documented. */
loom_status loom_config_write_default(FILE *out);
/* key = value, one a line, with a comment that says where it came from. */
loom_status loom_config_show(const loom_config_sources *sources, FILE *out, loom_error *err);

#endif
