/* test_config.c - the configuration: every key from every source, precedence, and what is refused, with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/config/config.h"
#include "runtime/config/config_keys.h"

static char folder[64];

/* A file in the test's folder with this text; the path is valid until the next call. */
static const char *file_with(const char *text) {
    static char path[128];
    snprintf(path, sizeof path, "%s/test.toml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static loom_status load_file(const char *text, loom_config *config, loom_error *err) {
    const loom_config_sources sources = {.file = file_with(text), .skip_system_files = true};
    memset(err, 0, sizeof *err);
    return loom_config_load(&sources, config, err);
}

static loom_status load_sets(const char *const *sets, size_t count, loom_config *config, loom_error *err) {
    const loom_config_sources sources = {.sets = sets, .set_count = count, .skip_system_files = true};
    memset(err, 0, sizeof *err);
    return loom_config_load(&sources, config, err);
}

/* What `config show` says of a key, without the name and the origin. */
static void shown(const loom_config_sources *sources, const char *key, char *value, size_t capacity, char *origin) {
    char *text = NULL;
    size_t length = 0;
    loom_error err = {0};
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    assert_int_equal(loom_config_show(sources, out, &err), LOOM_OK);
    assert_int_equal(fclose(out), 0);
    char start[128];
    snprintf(start, sizeof start, "%s = ", key);
    char *line = strstr(text, start);
    assert_non_null(line);
    char *comment = strstr(line, "  # ");
    assert_non_null(comment);
    assert_true((size_t)(comment - line) < capacity);
    snprintf(value, capacity, "%.*s", (int)(comment - line - (int)strlen(start)), line + strlen(start));
    if (origin != NULL) snprintf(origin, 256, "%.*s", (int)strcspn(comment + 4, "\n"), comment + 4);
    free(text);
}

/* Written by hand from config.h, so that the table of keys is checked against something else than itself. */
static const struct {
    const char *section, *key, *given, *shown, *variable;
} every_key[] = {
    {"store", "path", "\"/tmp/a \\\"b\\\"\"", "\"/tmp/a \\\"b\\\"\"", "VOXLOOM_STORE_PATH"},
    {"store", "persist", "\"goals\"", "\"goals\"", "VOXLOOM_STORE_PERSIST"},
    {"store", "durability", "\"strict\"", "\"strict\"", "VOXLOOM_STORE_DURABILITY"},
    {"store", "map_size", "\"1GiB\"", "\"1GiB\"", "VOXLOOM_STORE_MAP_SIZE"},
    {"store", "extent_size", "17179869184", "\"16GiB\"", "VOXLOOM_STORE_EXTENT_SIZE"},
    {"store", "extent_step", "\"64 MiB\"", "\"64MiB\"", "VOXLOOM_STORE_EXTENT_STEP"},
    {"store", "inline_limit", "1000", "1000", "VOXLOOM_STORE_INLINE_LIMIT"},
    {"store", "batch_rows", "17", "17", "VOXLOOM_STORE_BATCH_ROWS"},
    {"store", "batch_ms", "1", "1", "VOXLOOM_STORE_BATCH_MS"},
    {"store", "budget", "\"100GiB\"", "\"100GiB\"", "VOXLOOM_STORE_BUDGET"},
    {"store", "eviction", "\"lru\"", "\"lru\"", "VOXLOOM_STORE_EVICTION"},
    {"store", "ttl", "\"30 d\"", "\"30d\"", "VOXLOOM_STORE_TTL"},
    {"store", "compression", "\"cold\"", "\"cold\"", "VOXLOOM_STORE_COMPRESSION"},
    {"store", "compression_level", "19", "19", "VOXLOOM_STORE_COMPRESSION_LEVEL"},
    {"store", "cold_after", "5400", "\"90m\"", "VOXLOOM_STORE_COLD_AFTER"},
    {"store", "key", "\"env:MY_KEY\"", "\"env:MY_KEY\"", "VOXLOOM_STORE_KEY"},
    {"store", "ballast", "\"8MiB\"", "\"8MiB\"", "VOXLOOM_STORE_BALLAST"},
    {"store", "reuse", "\"2G\"", "\"2GiB\"", "VOXLOOM_STORE_REUSE"},
    {"workers", "count", "4", "4", "VOXLOOM_WORKERS_COUNT"},
    {"workers", "pin", "false", "false", "VOXLOOM_WORKERS_PIN"},
    {"workers", "share", "\"all\"", "\"all\"", "VOXLOOM_WORKERS_SHARE"},
    {"workers", "claims", "\"/tmp/cores\"", "\"/tmp/cores\"", "VOXLOOM_WORKERS_CLAIMS"},
    {"workers", "nice", "10", "10", "VOXLOOM_WORKERS_NICE"},
    {"workers", "deaths_max", "1", "1", "VOXLOOM_WORKERS_DEATHS_MAX"},
    {"workers", "heartbeat", "\"2m\"", "\"2m\"", "VOXLOOM_WORKERS_HEARTBEAT"},
    {"workers", "node_timeout", "\"2h\"", "\"2h\"", "VOXLOOM_WORKERS_NODE_TIMEOUT"},
    {"workers", "notice", "\"3m\"", "\"3m\"", "VOXLOOM_WORKERS_NOTICE"},
    {"io", "ring", "\"posix\"", "\"posix\"", "VOXLOOM_IO_RING"},
    {"io", "depth", "256", "256", "VOXLOOM_IO_DEPTH"},
    {"io", "tile", "\"64K\"", "\"64KiB\"", "VOXLOOM_IO_TILE"},
    {"memory", "budget", "\"3 GiB\"", "\"3GiB\"", "VOXLOOM_MEMORY_BUDGET"},
    {"memory", "segment", "\"32MiB\"", "\"32MiB\"", "VOXLOOM_MEMORY_SEGMENT"},
    {"memory", "tasks_max", "2048", "2048", "VOXLOOM_MEMORY_TASKS_MAX"},
    {"memory", "loop_items", "0", "0", "VOXLOOM_MEMORY_LOOP_ITEMS"},
    {"kernels", "plugins", "[\"/a b.so\", \"c.so\"]", "[\"/a b.so\", \"c.so\"]", "VOXLOOM_KERNELS_PLUGINS"},
    {"kernels", "fuse", "false", "false", "VOXLOOM_KERNELS_FUSE"},
    {"output", "progress", "false", "false", "VOXLOOM_OUTPUT_PROGRESS"},
    {"output", "quiet", "true", "true", "VOXLOOM_OUTPUT_QUIET"},
};
enum { KEYS = sizeof every_key / sizeof every_key[0] };

static void test_every_key_from_a_file(void **state) {
    (void)state;
    assert_int_equal(loom_config_key_count, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        char text[256], name[64], value[256], origin[256], place[192];
        snprintf(text, sizeof text, "# comment\n[%s]\n%s = %s\n", every_key[i].section, every_key[i].key,
                 every_key[i].given);
        snprintf(name, sizeof name, "%s.%s", every_key[i].section, every_key[i].key);
        const loom_config_sources sources = {.file = file_with(text), .skip_system_files = true};
        shown(&sources, name, value, sizeof value, origin);
        assert_string_equal(value, every_key[i].shown);
        snprintf(place, sizeof place, "%s:3", sources.file);
        assert_string_equal(origin, place);
    }
}

static void test_every_key_from_the_environment(void **state) {
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        char name[64], value[256], origin[256];
        snprintf(name, sizeof name, "%s.%s", every_key[i].section, every_key[i].key);
        bool is_path = strcmp(name, "store.path") == 0;
        assert_int_equal(setenv(every_key[i].variable, is_path ? "/tmp/plain" : every_key[i].given, 1), 0);
        const loom_config_sources sources = {.skip_system_files = true};
        shown(&sources, name, value, sizeof value, origin);
        assert_string_equal(value, is_path ? "\"/tmp/plain\"" : every_key[i].shown);
        assert_string_equal(origin, every_key[i].variable);
        unsetenv(every_key[i].variable);
    }
}

static void test_fields(void **state) {
    (void)state;
    loom_config config;
    loom_error err;
    const char *text =
        "[store]\npath = \":memory:\"\ndurability = \"none\"\nmap_size = \"1TiB\"\nextent_step = 1048576\n"
        "inline_limit = \"4KiB\"\nbatch_rows = 3\nbatch_ms = 5\nextent_size = \"1GiB\"\n"
        "budget = \"1TiB\"\neviction = \"lru\"\nttl = \"2w\"\ncompression = \"always\"\ncompression_level = 4\n"
        "cold_after = \"12h\"\nkey = \"file:~/key\"\nballast = \"1MiB\"\nreuse = \"16MiB\"\n"
        "[workers]\ncount = 2\npin = false\ndeaths_max = 9\nheartbeat = 5\nnode_timeout = \"1h\"\nnotice = 0\nshare = "
        "\"all\"\n"
        "claims = \"/tmp/c\"\nnice = 19\n[io]\nring = \"uring\"\ndepth = 7\n"
        "tile = 1048576\n[memory]\nsegment = \"64MiB\"\ntasks_max = 4096\n"
        "[kernels]\nplugins = [\"/x.so\", \"~/y.so\"]\n"
        "[output]\nprogress = false\nquiet = true\n";
    assert_int_equal(load_file(text, &config, &err), LOOM_OK);
    assert_string_equal(config.store.path, ":memory:");
    assert_int_equal(config.store.durability, LOOM_DURABLE_NONE);
    assert_int_equal(config.store.map_bytes, UINT64_C(1) << 40);
    assert_int_equal(config.store.step_bytes, 1 << 20);
    assert_int_equal(config.store.extent_bytes, 1 << 30);
    assert_int_equal(config.store.inline_bytes, 4096);
    assert_int_equal(config.store.batch_rows, 3);
    assert_int_equal(config.store.batch_ms, 5);
    assert_int_equal(config.store.budget_bytes, UINT64_C(1) << 40);
    assert_int_equal(config.store.eviction, LOOM_EVICT_LRU);
    assert_int_equal(config.store.ttl_s, 14 * 86400);
    assert_int_equal(config.store.compression, LOOM_COMPRESS_ALWAYS);
    assert_int_equal(config.store.compression_level, 4);
    assert_int_equal(config.store.cold_after_s, 12 * 3600);
    assert_string_equal(config.store.key, "file:/home/someone/key");
    assert_int_equal(config.store.ballast_bytes, 1 << 20);
    assert_int_equal(config.store.reuse_bytes, 16 << 20);
    assert_int_equal(config.workers.count, 2);
    assert_false(config.workers.pin);
    assert_int_equal(config.workers.deaths_max, 9);
    assert_int_equal(config.workers.heartbeat_s, 5);
    assert_int_equal(config.workers.node_timeout_s, 3600);
    assert_int_equal(config.workers.notice_s, 0);
    assert_int_equal(config.workers.share, LOOM_SHARE_ALL);
    assert_string_equal(config.workers.claims, "/tmp/c");
    assert_int_equal(config.workers.nice, 19);
    assert_int_equal(config.io.ring, LOOM_RING_URING);
    assert_int_equal(config.io.depth, 7);
    assert_int_equal(config.io.tile_bytes, 1 << 20);
    assert_int_equal(config.memory.segment_bytes, 64 << 20);
    assert_int_equal(config.memory.tasks_max, 4096);
    assert_string_equal(config.kernels.plugins, "/x.so:/home/someone/y.so");
    assert_false(config.output.progress);
    assert_true(config.output.quiet);
}

static void test_default_store_path(void **state) {
    (void)state;
    loom_config config;
    loom_error err;
    setenv("XDG_DATA_HOME", "/data/home", 1);
    assert_int_equal(load_file("", &config, &err), LOOM_OK);
    assert_string_equal(config.store.path, "/data/home/voxloom");
    setenv("XDG_DATA_HOME", "relative", 1); /* must be ignored: XDG base directories, 0.8 */
    setenv("HOME", "/home/someone", 1);
    assert_int_equal(load_file("", &config, &err), LOOM_OK);
    assert_string_equal(config.store.path, "/home/someone/.local/share/voxloom");
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(load_file("[store]\npath = \"~/scans\"\n", &config, &err), LOOM_OK);
    assert_string_equal(config.store.path, "/home/someone/scans");
}

static void test_precedence(void **state) {
    (void)state;
    loom_config config;
    loom_error err = {0};
    const char *const sets[] = {"workers.count=3", "workers.count=4"};
    loom_config_sources sources = {.file = file_with("workers.count = 1\nio.depth = 1\nio.tile = 65536\n"),
                                   .sets = sets,
                                   .set_count = 2,
                                   .skip_system_files = true};
    setenv("VOXLOOM_WORKERS_COUNT", "2", 1);
    setenv("VOXLOOM_IO_DEPTH", "2", 1);
    assert_int_equal(loom_config_load(&sources, &config, &err), LOOM_OK);
    unsetenv("VOXLOOM_WORKERS_COUNT");
    unsetenv("VOXLOOM_IO_DEPTH");
    assert_int_equal(config.workers.count, 4);
    assert_int_equal(config.io.depth, 2);
    assert_int_equal(config.io.tile_bytes, 65536);
    assert_int_equal(config.store.batch_ms, 200);
}

static void test_the_users_own_file(void **state) {
    (void)state;
    char path[256];
    loom_config config;
    loom_error err = {0};
    setenv("XDG_CONFIG_HOME", folder, 1);
    snprintf(path, sizeof path, "mkdir -p %s/voxloom && printf '[io]\\ndepth = 5\\n' > %s/voxloom/voxloom.toml", folder,
             folder);
    assert_int_equal(system(path), 0);
    loom_config_sources sources = {0};
    assert_int_equal(loom_config_load(&sources, &config, &err), LOOM_OK);
    assert_int_equal(config.io.depth, 5);
    sources.skip_system_files = true;
    assert_int_equal(loom_config_load(&sources, &config, &err), LOOM_OK);
    assert_int_equal(config.io.depth, 16);
    unsetenv("XDG_CONFIG_HOME");
}

static void test_paths_as_text(void **state) {
    (void)state;
    static const char *const sets[] = {"kernels.plugins=a.so:~/b.so", "kernels.plugins=[\"a.so\", \"~/b.so\"]",
                                       "kernels.plugins=\":a.so::~/b.so:\""};
    setenv("HOME", "/home/someone", 1);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        loom_config config;
        loom_error err;
        assert_int_equal(load_sets(&sets[i], 1, &config, &err), LOOM_OK);
        assert_string_equal(config.kernels.plugins, "a.so:/home/someone/b.so");
    }
}

/* ---- what is refused ---- */

static void test_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t line, column;
        const char *says;
    } cases[] = {
        {"[store]\npth = \"x\"\n", 2, 1, "did you mean store.path?"},
        {"[workers]\n\n  cuont = 2\n", 3, 3, "did you mean workers.count?"},
        {"[stroe]\npath = \"x\"\n", 1, 2, "did you mean [store]?"},
        {"colour = 1\n", 1, 1, "unknown key colour"},
        {"[io]\ndepth = \"many\"\n", 2, 9, "io.depth cannot be text; it takes an integer from 1 to 256"},
        {"[io]\ndepth = 1.5\n", 2, 9, "io.depth cannot be a float"},
        {"[io]\ndepth = 0\n", 2, 9, "out of bounds"},
        {"[io]\ndepth = 257\n", 2, 9, "out of bounds"},
        {"[io]\ndepth = -1\n", 2, 9, "negative"},
        {"[io]\nring = \"fast\"\n", 2, 8, "\"auto\", \"uring\" or \"posix\""},
        {"[io]\nring = 1\n", 2, 8, "io.ring cannot be an integer"},
        {"[io]\ntile = \"64 parsecs\"\n", 2, 8, "is not a size"},
        {"[io]\ntile = \"1.5MiB\"\n", 2, 8, "is not a size"},
        {"[io]\ntile = 70000\n", 2, 8, "multiple of 4096"},
        {"[io]\ntile = \"16777216TiB\"\n", 2, 8, "is not a size"},
        {"[workers]\npin = 1\n", 2, 7, "workers.pin cannot be an integer; it takes true or false"},
        {"[workers]\ncount = true\n", 2, 9, "workers.count cannot be a boolean"},
        {"[workers]\ncount = 257\n", 2, 9, "0: one for each core"},
        {"[store]\npath = 3\n", 2, 8, "store.path cannot be an integer"},
        {"[store]\npath = \"a\\u0000b\"\n", 2, 8, "NUL"},
        {"[store]\npath = [\"x\"]\n", 2, 8, "store.path cannot be an array"},
        {"[store]\npath = { x = 1 }\n", 2, 8, "store.path cannot be a table"},
        {"[store]\npath = 2026-01-01\n", 2, 8, "store.path cannot be a date"},
        {"[store]\nttl = \"soon\"\n", 2, 7, "store.ttl is not a time; it takes a time from 1s to 36500d"},
        {"[store]\nttl = -1\n", 2, 7, "negative"},
        {"[store]\nbudget = 1\n", 2, 10, "or 0: no limit but the disk"},
        {"[store]\ncold_after = 0\n", 2, 14, "out of bounds"},
        {"[store]\neviction = \"random\"\n", 2, 12, "\"cost\" or \"lru\""},
        {"[kernels]\nplugins = [1]\n", 2, 11, "kernels.plugins cannot be an array; it takes paths"},
        {"[kernels]\nplugins = [\"a\", \"b:c\"]\n", 2, 11, "has a path with a ':' in it"},
        {"[kernels]\nplugins = [\"a\", \"\"]\n", 2, 11, "has an empty path"},
        {"[kernels]\nplugins = true\n", 2, 11, "kernels.plugins cannot be a boolean"},
        {"store = 3\n", 1, 1, "unknown key store"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        loom_config config;
        loom_error err;
        assert_int_equal(load_file(cases[i].text, &config, &err), LOOM_BAD_CONFIG);
        if (err.line != cases[i].line || err.column != cases[i].column || strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s gives %u:%u: %s", cases[i].text, err.line, err.column, err.message);
        assert_non_null(strstr(err.file, "test.toml"));
        assert_true(err.excerpt[0] != '\0');
    }
}

/* A key pasted where its source belongs is shown by no error. */
static void test_a_secret_is_not_shown(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "c0ffee15bad", "file:", "env:", "fd:", "fd:x", "fd:-1", "fd:1234567890", "env:A=c0ffee15bad"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        loom_config config;
        loom_error err;
        char text[128];
        snprintf(text, sizeof text, "[store]\nkey = \"%s\"\n", wrong[i]);
        assert_int_equal(load_file(text, &config, &err), LOOM_BAD_CONFIG);
        assert_int_equal(err.line, 2);
        assert_null(strstr(err.message, "c0ffee"));
        assert_string_equal(err.excerpt, "");
        assert_non_null(strstr(err.message, "\"file:PATH\""));
        snprintf(text, sizeof text, "store.key=%s", wrong[i]);
        const char *const set = text;
        assert_int_equal(load_sets(&set, 1, &config, &err), LOOM_BAD_CONFIG);
        assert_null(strstr(err.message, "c0ffee"));
    }
}

/* Lines are those of the TOML specification's rules; columns toml++ decides, so only lines are compared. */
static void test_malformed_toml(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
    } cases[] = {{"[store\npath = \"x\"\n", 1},
                 {"[store]\npath = \n", 2},
                 {"[store]\npath = \"x\n", 2},
                 {"[io]\ndepth = 1\ndepth = 2\n", 3},
                 {"[io]\n[store]\n[io]\n", 3},
                 {"a b = 1\n", 1},
                 {"[io]\ndepth = 99999999999999999999\n", 2},
                 {"\xff\xfe\n", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        loom_config config;
        loom_error err;
        assert_int_equal(load_file(cases[i].text, &config, &err), LOOM_BAD_CONFIG);
        if (err.line != cases[i].line || err.column == 0 || strstr(err.message, "malformed TOML") == NULL)
            fail_msg("%s gives %u:%u: %s", cases[i].text, err.line, err.column, err.message);
    }
}

static void test_refused_elsewhere(void **state) {
    (void)state;
    loom_config config;
    loom_error err;
    static const struct {
        const char *set, *says;
    } sets[] = {{"workers.count", "key=value"},
                {"workers.cuont=1", "did you mean workers.count?"},
                {"workers.count=two", "is not an integer"},
                {"workers.count=2x", "is not an integer"},
                {"workers.count=", "is not an integer"},
                {"workers.pin=yes", "true or false"},
                {"kernels.plugins=[1]", "is no array of paths"},
                {"kernels.plugins=[", "is no array of paths"},
                {"io.ring=", "\"auto\""}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        assert_int_equal(load_sets(&sets[i].set, 1, &config, &err), LOOM_BAD_CONFIG);
        assert_non_null(strstr(err.message, sets[i].says));
        assert_string_equal(err.file, "--set");
    }
    setenv("VOXLOOM_WORKERS_CUONT", "2", 1);
    assert_int_equal(load_sets(NULL, 0, &config, &err), LOOM_BAD_CONFIG);
    assert_non_null(strstr(err.message, "VOXLOOM_WORKERS_CUONT"));
    unsetenv("VOXLOOM_WORKERS_CUONT");
    setenv("VOXLOOM_WORKERS_COUNT", "minus one", 1);
    assert_int_equal(load_sets(NULL, 0, &config, &err), LOOM_BAD_CONFIG);
    assert_string_equal(err.file, "VOXLOOM_WORKERS_COUNT");
    unsetenv("VOXLOOM_WORKERS_COUNT");
    const loom_config_sources missing = {.file = "/nowhere/voxloom.toml", .skip_system_files = true};
    memset(&err, 0, sizeof err);
    assert_int_equal(loom_config_load(&missing, &config, &err), LOOM_BAD_CONFIG);
    assert_non_null(strstr(err.message, "does not exist"));
    const loom_config_sources a_folder = {.file = folder, .skip_system_files = true};
    assert_int_not_equal(loom_config_load(&a_folder, &config, &err), LOOM_OK);
}

/* ---- the default file ---- */

static char *default_file(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    assert_int_equal(loom_config_write_default(out), LOOM_OK);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* As written, it changes nothing; with every setting uncommented, it still changes nothing. */
static void test_default_file_is_the_defaults(void **state) {
    (void)state;
    loom_config built_in, commented, uncommented;
    loom_error err = {0};
    char *text = default_file();
    assert_int_equal(load_sets(NULL, 0, &built_in, &err), LOOM_OK);
    assert_int_equal(load_file(text, &commented, &err), LOOM_OK);
    size_t settings = 0;
    for (char *line = text; line != NULL; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
        if (line[0] != '#' || line[1] == ' ') continue;
        line[0] = ' ';
        settings++;
    }
    assert_int_equal(settings, KEYS);
    assert_int_equal(load_file(text, &uncommented, &err), LOOM_OK);
    assert_memory_equal(&built_in, &commented, sizeof built_in);
    assert_memory_equal(&built_in, &uncommented, sizeof built_in);
    free(text);
}

/* Every setting stands once, right below the line that says what it takes. */
static void test_every_key_is_documented(void **state) {
    (void)state;
    char *text = default_file();
    size_t found[KEYS] = {0};
    const char *section = "";
    bool takes = false;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (line[0] == '[') section = line + 1;
        for (size_t i = 0; i < KEYS; i++) {
            size_t length = strlen(every_key[i].key);
            if (strncmp(section, every_key[i].section, strlen(every_key[i].section)) != 0) continue;
            bool is_key = line[0] == '#' && strncmp(line + 1, every_key[i].key, length) == 0 && line[length + 1] == ' ';
            found[i] += is_key && takes;
        }
        takes = strncmp(line, "# Takes ", 8) == 0;
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(found[i], 1);
    free(text);
}

/* ---- sizes ---- */

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"1", 1},
                {"7B", 7},
                {"2K", 2048},
                {"2KiB", 2048},
                {"3 MiB", 3 << 20},
                {"1G", 1u << 30},
                {"1TiB", 1ull << 40},
                {"8388607TiB", 8388607ull << 40}};
    static const char *const bad[] = {"",          "B",      "-1",    "+1",  " 1",
                                      "1 ",        "1  KiB", "1kb",   "1KB", "1.5G",
                                      "0x10",      "1e3",    "1KiBB", "K",   "18446744073709551616",
                                      "8388608TiB"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(loom_size_parse(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (loom_size_parse(bad[i], &bytes)) fail_msg("\"%s\" was taken as %llu", bad[i], (unsigned long long)bytes);
}

static void test_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
        const char *shown;
    } good[] = {{"0", 0, "0"},          {"0d", 0, "0"},
                {"1", 1, "1s"},         {"61s", 61, "61s"},
                {"90 m", 5400, "90m"},  {"2min", 120, "2m"},
                {"48h", 172800, "2d"},  {"30d", 2592000, "30d"},
                {"2w", 1209600, "14d"}, {"365250d", UINT64_C(31557600000), "365250d"}};
    static const char *const bad[] = {
        "", "d", "-1d", "1 d ", "1D", "1.5h", "1 month", "1y", " 1d", "0x1", "1dd", "365251d", "99999999999999999999"};
    uint64_t seconds = 0;
    char shown[LOOM_DURATION_TEXT_BYTES];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(loom_duration_parse(good[i].text, &seconds));
        assert_int_equal(seconds, good[i].seconds);
        loom_duration_text(seconds, shown);
        assert_string_equal(shown, good[i].shown);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (loom_duration_parse(bad[i], &seconds))
            fail_msg("\"%s\" was taken as %llu", bad[i], (unsigned long long)seconds);
}

static int make_folder(void **state) {
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/loom-config-XXXXXX", temporary != NULL ? temporary : "/tmp");
    setenv("HOME", "/home/someone", 1);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_from_a_file),
        cmocka_unit_test(test_every_key_from_the_environment),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_default_store_path),
        cmocka_unit_test(test_paths_as_text),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_the_users_own_file),
        cmocka_unit_test(test_refused_with_its_place),
        cmocka_unit_test(test_a_secret_is_not_shown),
        cmocka_unit_test(test_malformed_toml),
        cmocka_unit_test(test_refused_elsewhere),
        cmocka_unit_test(test_default_file_is_the_defaults),
        cmocka_unit_test(test_every_key_is_documented),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
