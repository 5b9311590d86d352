/* test_bounded.c - an object many times larger than the memory its writer and its reader may use, streamed into a store
 * by one process and out of it by another, under a limit that the kernel enforces: a memory cgroup (v2 memory.max, else
 * v1 memory.limit_in_bytes: page cache included), else RLIMIT_DATA.
 *
 *   test_shm_bounded [MIB LIMIT_MIB]     default 256 24; the whole figure of issue 3: 4096 64
 *
 * The bytes come from a generator (splitmix64) that knows nothing of streams and can make any part alone. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/stream/stream.h"
#include "store_support.h"

#define CHUNK (UINT64_C(1) << 20)

static char folder[256], path[300];
static uint64_t object_bytes, limit_bytes;

static uint64_t splitmix(uint64_t number) {
    uint64_t z = (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void make_chunk(uint64_t *words, uint64_t at) {
    for (uint64_t i = 0; i < CHUNK / 8; i++)
        words[i] = splitmix(at / 8 + i);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- the limit ---- */

static char group[300]; /* empty: no cgroup */
static bool second_version;

static bool write_text(const char *dir, const char *name, const char *text) {
    char file[400];
    snprintf(file, sizeof file, "%s/%s", dir, name);
    int fd = open(file, O_WRONLY);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

static bool try_group(const char *root, const char *limit_file) {
    char number[32];
    snprintf(group, sizeof group, "%s/voxloom-bounded-%d", root, (int)getpid());
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit_bytes);
    if (mkdir(group, 0755) != 0) {
        group[0] = '\0';
        return false;
    }
    if (write_text(group, limit_file, number)) return true;
    rmdir(group);
    group[0] = '\0';
    return false;
}

static const char *make_limit(void) {
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 && try_group("/sys/fs/cgroup", "memory.max")) {
        second_version = true;
        return "cgroup v2 memory.max";
    }
    if (try_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes")) return "cgroup v1 memory.limit_in_bytes";
    return "RLIMIT_DATA";
}

static void enter_limit(void) {
    char number[32];
    snprintf(number, sizeof number, "%d", (int)getpid());
    if (group[0] != '\0') {
        if (!write_text(group, "cgroup.procs", number)) _exit(20);
        return;
    }
    struct rlimit limit = {limit_bytes, limit_bytes};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) _exit(21);
}

static unsigned long long read_number(const char *file, const char *line_begin) {
    FILE *in = fopen(file, "r");
    char line[200];
    unsigned long long number = 0;
    size_t skip = strlen(line_begin);
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, line_begin, skip) == 0) {
            number = strtoull(line + skip, NULL, 10);
            break;
        }
    if (in != NULL) fclose(in);
    return number;
}

/* ---- the two processes ---- */

static void must(loom_status status, const loom_error *err) {
    if (status == LOOM_OK) return;
    print_error("%s: %s\n", loom_status_name(status), err->message);
    _exit(30);
}

static loom_store *open_limited(bool create) {
    loom_error err = {0};
    enter_limit();
    loom_store *store;
    loom_store_options options = {.path = path, .create = create};
    must(loom_store_open(&options, &store, &err), &err);
    return store;
}

static void report(const char *what, double began) {
    double taken = seconds() - began;
    print_message("%s %llu MiB in %.2f s (%.0f MiB/s); private memory at most %llu KiB resident\n", what,
                  (unsigned long long)(object_bytes >> 20), taken, (double)(object_bytes >> 20) / taken,
                  read_number("/proc/self/status", "RssAnon:"));
}

static void write_object(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store = open_limited(true);
    double began = seconds();
    loom_image_header header = loom_image_header_make(LOOM_U8, 3, (uint64_t[]){1024, 1024, object_bytes >> 20});
    loom_stream_options options = {.rkey = id_of("bounded", 1), .type = LOOM_IMAGE, .image = &header};
    loom_stream_writer *writer;
    must(loom_stream_writer_create(store, &options, &writer, &err), &err);
    uint64_t *words = malloc(CHUNK);
    for (uint64_t at = 0; at < object_bytes; at += CHUNK) {
        make_chunk(words, at);
        must(loom_stream_writer_write(writer, words, CHUNK, &err), &err);
    }
    must(loom_stream_writer_commit(writer, NULL, &err), &err);
    report("wrote", began);
    loom_store_close(store);
}

static void read_object(void *context) {
    (void)context;
    loom_error err = {0};
    loom_store *store = open_limited(false);
    double began = seconds();
    loom_id rkey = id_of("bounded", 1);
    loom_stream_reader *reader;
    must(loom_stream_reader_open(store, &rkey, &reader, &err), &err);
    uint64_t *words = malloc(CHUNK), *expected = malloc(CHUNK);
    for (uint64_t at = 0; at < object_bytes; at += CHUNK) {
        size_t got;
        must(loom_stream_reader_read(reader, words, CHUNK, &got, &err), &err);
        make_chunk(expected, at);
        if (got != CHUNK || memcmp(words, expected, CHUNK) != 0) _exit(31);
    }
    report("read", began);
    loom_stream_reader_close(reader);
    loom_store_close(store);
}

static void in_and_out(void **state) {
    (void)state;
    print_message("%llu MiB under %llu MiB: limited by %s\n", (unsigned long long)(object_bytes >> 20),
                  (unsigned long long)(limit_bytes >> 20), make_limit());
    assert_int_equal(in_child(write_object, NULL), 0);
    assert_int_equal(in_child(read_object, NULL), 0);
    if (group[0] == '\0') return;
    char peak[400];
    snprintf(peak, sizeof peak, "%s/%s", group, second_version ? "memory.peak" : "memory.max_usage_in_bytes");
    print_message("the group's peak, page cache included: %llu KiB\n", read_number(peak, "") / 1024);
}

static int make_folder(void **state) {
    (void)state;
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    remove_tree(folder);
    if (group[0] != '\0') rmdir(group);
    return 0;
}

int main(int argc, char **argv) {
#ifdef __SANITIZE_ADDRESS__
    fprintf(stderr, "skipped: a sanitizer needs more memory than the limit\n");
    return 77;
#endif
    object_bytes = (argc > 2 ? strtoull(argv[1], NULL, 10) : 256) << 20;
    limit_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 24) << 20;
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(in_and_out, make_folder, remove_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
