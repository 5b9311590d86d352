/* config_keys.c - the table of settings. Adding a setting is a field in config.h and an entry here; the parser, the
 * default file, `config show`, the environment variables and the tests follow. */
#include "runtime/config/config_keys.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/nearest.h"
#include "shm/segment/segment.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define TIB (KIB * GIB)
#define HOUR UINT64_C(3600)
#define DAY (24 * HOUR)

static const char *const durabilities[] = {"verified", "strict", "none", NULL};
_Static_assert(LOOM_DURABLE_VERIFIED == 0 && LOOM_DURABLE_STRICT == 1 && LOOM_DURABLE_NONE == 2, "order of choices");
static const char *const persists[] = {"all", "goals", "auto", NULL};
_Static_assert(LOOM_PERSIST_ALL == 0 && LOOM_PERSIST_GOALS == 1 && LOOM_PERSIST_AUTO == 2, "order of choices");
static const char *const evictions[] = {"cost", "lru", NULL};
_Static_assert(LOOM_EVICT_COST == 0 && LOOM_EVICT_LRU == 1, "order of choices");
static const char *const compressions[] = {"off", "cold", "always", NULL};
_Static_assert(LOOM_COMPRESS_OFF == 0 && LOOM_COMPRESS_COLD == 1 && LOOM_COMPRESS_ALWAYS == 2, "order of choices");
static const char *const shares[] = {"polite", "all", NULL};
_Static_assert(LOOM_SHARE_POLITE == 0 && LOOM_SHARE_ALL == 1, "order of choices");
static const char *const rings[] = {"auto", "uring", "posix", NULL};
_Static_assert(LOOM_RING_AUTO == 0 && LOOM_RING_URING == 1 && LOOM_RING_POSIX == 2, "order of choices");
_Static_assert(sizeof(loom_durability) == sizeof(int) && sizeof(loom_ring_kind) == sizeof(int) &&
                   sizeof(loom_eviction) == sizeof(int) && sizeof(loom_compression) == sizeof(int) &&
                   sizeof(loom_share) == sizeof(int) && sizeof(loom_persist) == sizeof(int),
               "choices are ints");

#define FIELD(member) offsetof(loom_config, member)

const loom_config_key loom_config_keys[] = {
    {.name = "store.path",
     .type = LOOM_KEY_PATH,
     .offset = FIELD(store.path),
     .fallback = "\"\"",
     .doc = "Folder of the result store, made when missing; \":memory:\" keeps results for one run only.\n"
            "Empty: $XDG_DATA_HOME/voxloom, or ~/.local/share/voxloom."},
    {.name = "store.persist",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(store.persist),
     .choices = persists,
     .fallback = "\"all\"",
     .doc =
         "Which images a run leaves in the store; other results are small and always stored. \"all\": every one, so\n"
         "that a changed program computes only what changed. \"goals\": what is printed or saved, and items of\n"
         "sequences; the space of others is used again as soon as nothing needs them. \"auto\": also what would take\n"
         "longer to compute again than to read from a disk."},
    {.name = "store.durability",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(store.durability),
     .choices = durabilities,
     .fallback = "\"verified\"",
     .doc =
         "What survives a power loss. \"verified\": the index is synced in batches, images are checked against their\n"
         "checksums at first use and recomputed if damaged. \"strict\": images are synced before they are indexed.\n"
         "\"none\": synced when the run ends."},
    {.name = "store.map_size",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.map_bytes),
     .min = 16 * MIB,
     .max = 64 * TIB,
     .multiple = LOOM_PAGE_BYTES,
     .zero_means = "the smaller of 1TiB and a quarter of the address-space limit",
     .fallback = "0",
     .doc = "Address space for the index, an upper bound of its size; nothing is allocated ahead."},
    {.name = "store.extent_size",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.extent_bytes),
     .min = 16 * MIB,
     .max = 16 * TIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"64GiB\"",
     .doc = "An extent file takes no more images once it is this large."},
    {.name = "store.extent_step",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.step_bytes),
     .min = 1 * MIB,
     .max = 1 * GIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"32MiB\"",
     .doc = "Disk space is taken in steps of this size, one step per worker ahead of use."},
    {.name = "store.inline_limit",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.inline_bytes),
     .min = 256,
     .max = 64 * KIB,
     .fallback = "\"16KiB\"",
     .doc = "Numbers, texts and records up to this size, encoded, live in the index; larger ones in extents."},
    {.name = "store.batch_rows",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(store.batch_rows),
     .min = 1,
     .max = 1000000,
     .fallback = "8192",
     .doc = "Results are committed to the index at least every so many rows ..."},
    {.name = "store.batch_ms",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(store.batch_ms),
     .min = 1,
     .max = 60000,
     .fallback = "200",
     .doc = "... and at least every so many milliseconds: what a killed run may lose."},
    {.name = "store.budget",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.budget_bytes),
     .min = 16 * MIB,
     .max = 65536 * TIB,
     .zero_means = "no limit but the disk",
     .fallback = "0",
     .doc =
         "Disk space that the store may take, index included, whoever writes to it. Where it is short, results that\n"
         "nobody uses and nothing pins are evicted; they are computed again when they are needed."},
    {.name = "store.eviction",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(store.eviction),
     .choices = evictions,
     .fallback = "\"cost\"",
     .doc = "What goes first. \"cost\": what takes least time to compute again per byte, older before newer\n"
            "(GreedyDual-Size). \"lru\": what was not used for longest."},
    {.name = "store.ttl",
     .type = LOOM_KEY_DURATION,
     .offset = FIELD(store.ttl_s),
     .min = 1,
     .max = 36500 * DAY,
     .zero_means = "for ever",
     .fallback = "0",
     .doc = "How long a result is kept after it was computed; later it counts as absent, and gc removes it."},
    {.name = "store.compression",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(store.compression),
     .choices = compressions,
     .fallback = "\"off\"",
     .doc = "\"cold\": images that were not used for store.cold_after are compressed in the background, and made\n"
            "mappable again when they are read. \"always\": every image, as it is stored. \"off\": none."},
    {.name = "store.compression_level",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(store.compression_level),
     .min = 1,
     .max = 22,
     .fallback = "3",
     .doc = "zstd's level: 1 is fastest, 19 small, above 19 slow and hungry for memory."},
    {.name = "store.cold_after",
     .type = LOOM_KEY_DURATION,
     .offset = FIELD(store.cold_after_s),
     .min = 1,
     .max = 36500 * DAY,
     .fallback = "\"7d\"",
     .doc = "After how long without use a result is cold."},
    {.name = "store.key",
     .type = LOOM_KEY_SECRET,
     .offset = FIELD(store.key),
     .fallback = "\"\"",
     .doc = "Where the key of an encrypted store comes from; a store that is made with a key is encrypted for good.\n"
            "\"file:PATH\" (readable by you alone), \"env:NAME\" (an environment variable), or \"fd:NUMBER\" (an open\n"
            "file descriptor). Never the key itself. Empty: the store is not encrypted."},
    {.name = "store.ballast",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.ballast_bytes),
     .min = 1 * MIB,
     .max = 1 * GIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"4MiB\"",
     .doc = "Disk space kept back in the store, so that results can still be removed from it when the disk is full."},
    {.name = "store.reuse",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(store.reuse_bytes),
     .min = 1 * MIB,
     .max = 64 * TIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"1GiB\"",
     .doc =
         "Space of removed results that stays allocated for the next ones, which makes writing them faster; what is\n"
         "free beyond it goes back to the file system."},
    {.name = "workers.count",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(workers.count),
     .min = 1,
     .max = LOOM_WORKERS_MAX,
     .zero_means = "one for each core this process may use",
     .fallback = "0",
     .doc = "Worker processes."},
    {.name = "workers.pin",
     .type = LOOM_KEY_BOOL,
     .offset = FIELD(workers.pin),
     .fallback = "true",
     .doc = "Bind each worker to a core. Turn it off on a machine shared with other heavy programs."},
    {.name = "workers.share",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(workers.share),
     .choices = shares,
     .fallback = "\"polite\"",
     .doc = "Towards other runs on this machine. \"polite\": workers are bound only to cores that no other run has\n"
            "bound workers to; the rest go where the system finds room. \"all\": bound whoever else is there."},
    {.name = "workers.claims",
     .type = LOOM_KEY_PATH,
     .offset = FIELD(workers.claims),
     .fallback = "\"/dev/shm/voxloom-cores\"",
     .doc =
         "The file through which runs tell each other which cores are bound: an empty one that all may lock. Runs in\n"
         "several containers need one that they all mount."},
    {.name = "workers.nice",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(workers.nice),
     .min = 0,
     .max = 19,
     .fallback = "0",
     .doc = "How far workers stand back for other programs: 0 not at all, 19 as far as the system lets them."},
    {.name = "workers.deaths_max",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(workers.deaths_max),
     .min = 1,
     .max = 100,
     .fallback = "3",
     .doc = "A node fails when it has killed this many workers; before that it is tried again."},
    {.name = "workers.heartbeat",
     .type = LOOM_KEY_DURATION,
     .offset = FIELD(workers.heartbeat_s),
     .min = 1,
     .max = 1 * DAY,
     .zero_means = "stopped workers are waited for",
     .fallback = "\"30s\"",
     .doc = "A worker process that gives no sign of life for so long (it was stopped) is killed and replaced, and its\n"
            "node tried again. Long computations do give signs."},
    {.name = "workers.node_timeout",
     .type = LOOM_KEY_DURATION,
     .offset = FIELD(workers.node_timeout_s),
     .min = 1,
     .max = 365 * DAY,
     .zero_means = "no limit",
     .fallback = "0",
     .doc = "How long one node may run, waiting for other runs not counted. Its worker is then killed, and the node\n"
            "tried again, until workers.deaths_max workers were: then it fails."},
    {.name = "workers.notice",
     .type = LOOM_KEY_DURATION,
     .offset = FIELD(workers.notice_s),
     .min = 1,
     .max = 365 * DAY,
     .zero_means = "never",
     .fallback = "\"1m\"",
     .doc = "A node that runs for so long is told, with its worker; so is a worker that waits for another run for a\n"
            "twelfth of that, and that no worker has run anything for half of it."},
    {.name = "io.ring",
     .type = LOOM_KEY_CHOICE,
     .offset = FIELD(io.ring),
     .choices = rings,
     .fallback = "\"auto\"",
     .doc = "How bulk bytes are written: \"uring\" (io_uring), \"posix\" (pwrite), or \"auto\": io_uring where the "
            "kernel\n"
            "allows it."},
    {.name = "io.depth",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(io.depth),
     .min = 1,
     .max = 256,
     .fallback = "16",
     .doc = "Writes in flight per worker."},
    {.name = "io.tile",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(io.tile_bytes),
     .min = 64 * KIB,
     .max = 4 * MIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"256KiB\"",
     .doc = "Bytes of one write; a tile should fit in the core's own cache."},
    {.name = "memory.budget",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(memory.budget_bytes),
     .min = 1 * MIB,
     .max = 65536 * TIB,
     .zero_means = "half of the machine's memory, or of what its cgroup grants",
     .fallback = "0",
     .doc =
         "Memory for results that are not stored yet (of a store in memory: for all that are needed), for what\n"
         "kernels work in, and for the segment. Tasks for which it does not suffice wait, the broadest longest; one\n"
         "always runs. Pages of stored results are not counted: the system drops them as it needs."},
    {.name = "memory.segment",
     .type = LOOM_KEY_SIZE,
     .offset = FIELD(memory.segment_bytes),
     .min = 16 * MIB,
     .max = 32 * GIB,
     .multiple = LOOM_PAGE_BYTES,
     .fallback = "\"4GiB\"",
     .doc = "Address space of the segment shared by the workers; memory is used only as it fills."},
    {.name = "memory.tasks_max",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(memory.tasks_max),
     .min = 1024,
     .max = 1u << 30,
     .fallback = "4194304",
     .doc = "Most nodes that the segment has room for at once: those that run, wait, or are still needed."},
    {.name = "memory.loop_items",
     .type = LOOM_KEY_COUNT,
     .offset = FIELD(memory.loop_items),
     .min = 0,
     .max = 1u << 30,
     .fallback = "16384",
     .doc = "Items of loops that a run keeps to the end, to share them by name (2 KB each); beyond, loops over\n"
            "numbers and text go on in windows."},
    {.name = "kernels.plugins",
     .type = LOOM_KEY_PATHS,
     .offset = FIELD(kernels.plugins),
     .fallback = "[]",
     .doc = "Shared objects with operators of your own (voxloom/kernel.h); runtime/API.md shows how one is made."},
    {.name = "kernels.fuse",
     .type = LOOM_KEY_BOOL,
     .offset = FIELD(kernels.fuse),
     .fallback = "true",
     .doc = "Operators that go through their images voxel by voxel are computed together, where nothing else asks for\n"
            "what lies between them and it is not to be stored; results are the same. Also run --no-fuse."},
    {.name = "output.progress",
     .type = LOOM_KEY_BOOL,
     .offset = FIELD(output.progress),
     .fallback = "true",
     .doc = "Show progress while running (also: --no-progress)."},
    {.name = "output.quiet",
     .type = LOOM_KEY_BOOL,
     .offset = FIELD(output.quiet),
     .fallback = "false",
     .doc = "Print nothing but results and errors (also: -q)."},
};
_Static_assert(sizeof loom_config_keys / sizeof loom_config_keys[0] <= LOOM_CONFIG_KEYS_MAX,
               "raise LOOM_CONFIG_KEYS_MAX");
const size_t loom_config_key_count = sizeof loom_config_keys / sizeof loom_config_keys[0];

const loom_config_key *loom_config_key_find(const char *name) {
    for (size_t i = 0; i < loom_config_key_count; i++)
        if (strcmp(loom_config_keys[i].name, name) == 0) return &loom_config_keys[i];
    return NULL;
}

const char *loom_config_nearest(const char *name) {
    const char *names[sizeof loom_config_keys / sizeof loom_config_keys[0]];
    for (size_t i = 0; i < loom_config_key_count; i++)
        names[i] = loom_config_keys[i].name;
    return loom_nearest(name, names, loom_config_key_count);
}

void loom_config_variable(const loom_config_key *key, char name[LOOM_CONFIG_VARIABLE_BYTES]) {
    snprintf(name, LOOM_CONFIG_VARIABLE_BYTES, "VOXLOOM_%s", key->name);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}
