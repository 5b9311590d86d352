/* Backup and restore: a store that comes back result by result, however it was made, changed and interrupted. */
#include <signal.h>

#include "disk_scene.h"
#include "shm/care/admin.h"
#include "shm/pack/backup.h"
#include "shm/probe.h"
#include "shm/store/store.h"

static char target[300], copy[300];

static void name_places(void) {
    snprintf(target, sizeof target, "%.250s/backup", folder);
    snprintf(copy, sizeof copy, "%.250s/copy", folder);
}

static loom_store *open_at(const char *where) {
    loom_error err = {0};
    loom_store *store;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = where}, &store, &err));
    return store;
}

/* ---- comparison that knows nothing of packs ---- */

typedef struct comparison {
    loom_store *one, *other;
    uint64_t rows;
} comparison;

static void require_same_bytes(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    assert_int_equal(a_bytes, b_bytes);
    if (a_bytes > 0) assert_memory_equal(a, b, a_bytes);
}

static bool compare_result(const loom_result *a, void *context) {
    comparison *of = context;
    loom_error err = {0};
    loom_result b;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_find(of->other, &a->rkey, arena, &b, &err));
    assert_memory_equal(&a->vid, &b.vid, sizeof b.vid);
    assert_memory_equal(&a->node, &b.node, sizeof b.node);
    assert_int_equal(a->type, b.type);
    assert_int_equal(a->blob, b.blob);
    assert_int_equal(a->worker, b.worker);
    assert_int_equal(a->created_ns, b.created_ns);
    assert_int_equal(a->cost_ns, b.cost_ns);
    assert_int_equal(a->expires_ns, b.expires_ns);
    assert_int_equal(a->row, b.row);
    assert_int_equal(a->codec, b.codec);
    require_same_bytes(a->payload, a->payload_bytes, b.payload, b.payload_bytes);
    require_same_bytes(a->recipe, a->recipe_bytes, b.recipe, b.recipe_bytes);
    assert_memory_equal(a->root, b.root, sizeof b.root);
    assert_memory_equal(&a->bulk, &b.bulk, sizeof b.bulk);
    REQUIRE_OK(loom_store_verify(of->other, &b, &err));
    loom_arena_free(arena);
    of->rows++;
    return true;
}

static bool count_pin(const loom_pin_record *pin, void *context) {
    *(uint64_t *)context += pin->created_ns + (uint64_t)strlen(pin->owner) + pin->rkey.bytes[0];
    return true;
}

static bool count_goal(const loom_goal_record *goal, void *context) {
    *(uint64_t *)context += goal->created_ns + goal->run + (uint64_t)strlen(goal->label) + goal->rkey.bytes[1];
    return true;
}

static void require_same_stores(loom_store *one, loom_store *other) {
    loom_error err = {0};
    comparison there = {one, other, 0}, back = {other, one, 0};
    uint64_t pins[2] = {0}, goals[2] = {0};
    REQUIRE_OK(loom_store_each(one, compare_result, &there, &err));
    REQUIRE_OK(loom_store_each(other, compare_result, &back, &err));
    assert_int_equal(there.rows, back.rows);
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE_OK(loom_store_each_pin(i == 0 ? one : other, count_pin, &pins[i], &err));
        REQUIRE_OK(loom_store_each_goal(i == 0 ? one : other, count_goal, &goals[i], &err));
    }
    assert_int_equal(pins[0], pins[1]);
    assert_int_equal(goals[0], goals[1]);
}

static void show_finding(const loom_finding *finding, void *context) {
    (void)context;
    print_error("%s\n", finding->text);
}

static void require_sound(loom_store *store) {
    loom_error err = {0};
    loom_verify_report report;
    loom_verify_options options = {.threads = 1, .found = show_finding};
    REQUIRE_OK(loom_store_verify_all(store, &options, &report, &err));
    assert_int_equal(report.findings, 0);
}

/* The store at `path` against what the backup folder gives. */
static void require_restored(void) {
    loom_error err = {0};
    loom_pack_report report;
    REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err));
    loom_store *one = open_at(path), *other = open_at(copy);
    require_same_stores(one, other);
    require_sound(other);
    loom_store_close(other);
    loom_store_close(one);
    remove_tree(copy);
}

static loom_pack_report back_up(void) {
    loom_error err = {0};
    loom_pack_report report;
    loom_store *store = open_at(path);
    REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
    loom_store_close(store);
    return report;
}

/* ---- contents ---- */

static void put_record(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_batch *batch;
    loom_buffer payload = {0};
    loom_field fields[] = {{.name = "age", .name_length = 3, .value = loom_int((int64_t)number)},
                           {.name = "id", .name_length = 2, .value = loom_string_of("p")}};
    loom_value record = loom_record(fields, 2);
    REQUIRE_OK(loom_value_encode(&record, &payload));
    loom_result result = {.rkey = id_of("record", number),
                          .vid = loom_sha256(payload.bytes, payload.length),
                          .node = id_of("node", number),
                          .type = LOOM_RECORD,
                          .payload = payload.bytes,
                          .payload_bytes = payload.length,
                          .recipe = (const uint8_t *)"\x94\xa1x\x01\xc0\x90",
                          .recipe_bytes = 6,
                          .created_ns = number + 5};
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_pin(batch, &result.rkey, "hand", &err));
    uint64_t run;
    REQUIRE_OK(loom_batch_begin_run(batch, "prog.imgql", &run, &err));
    REQUIRE_OK(loom_batch_put_goal(batch, run, "goal", &result.rkey, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "key", &number, sizeof number, &err));
    loom_file_stamp stamp = {.device = 1, .inode = number, .size = 2, .mtime_ns = 3, .ctime_ns = 4};
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &result.vid, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&payload);
}

static void erase(loom_store *store, const char *kind, uint64_t first, uint64_t count, uint64_t step) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = first; i < first + count; i += step) {
        loom_id rkey = id_of(kind, i);
        REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static void fill(void) {
    loom_store *store = open_ok();
    put_small(store, 0, 1000);
    for (uint64_t i = 0; i < 6; i++)
        put_image(store, i, 60000 * i * i + 77);
    for (uint64_t i = 0; i < 5; i++)
        put_record(store, i);
    loom_store_close(store);
}

static void everything_comes_back(void **state) {
    (void)state;
    loom_error err = {0};
    name_places();
    fill();
    loom_pack_report report = back_up();
    assert_int_equal(report.results, 1011);
    assert_int_equal(report.skipped + report.deleted + report.damaged, 0);
    REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err));
    assert_int_equal(report.results, 1011);
    loom_store *store = open_at(copy);
    for (uint64_t i = 0; i < 1000; i += 13)
        require_small(store, i);
    for (uint64_t i = 0; i < 6; i++)
        require_image(store, i, 60000 * i * i + 77);
    loom_id content, expected = id_of("none", 0);
    loom_file_stamp stamp = {.device = 1, .inode = 3, .size = 2, .mtime_ns = 3, .ctime_ns = 4};
    REQUIRE_OK(loom_store_get_file(store, &stamp, &content, &err));
    loom_id vid;
    loom_type type;
    loom_id rkey = id_of("record", 3);
    REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err));
    assert_memory_equal(&vid, &content, sizeof vid);
    assert_memory_not_equal(&vid, &expected, sizeof vid);
    put_small(store, 5000, 100); /* it is a store like any other */
    put_image(store, 77, 5000);
    require_image(store, 77, 5000);
    require_sound(store);
    loom_store_close(store);
    remove_tree(copy);
    require_restored();
}

static void only_what_is_new_is_written(void **state) {
    (void)state;
    name_places();
    fill();
    back_up();
    loom_store *store = open_ok();
    put_small(store, 1000, 200);
    put_image(store, 10, 100000);
    erase(store, "rkey", 0, 300, 3);
    erase(store, "image", 1, 4, 2);
    erase(store, "record", 1, 1, 1);
    loom_error err = {0};
    loom_batch *batch;
    loom_id rkey = id_of("rkey", 1);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_set_expiry(batch, &rkey, UINT64_MAX / 2, &err)); /* a row changes in place */
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_store_close(store);
    loom_pack_report report = back_up();
    assert_int_equal(report.results, 202);
    assert_int_equal(report.deleted, 103);
    assert_int_equal(report.skipped, 1011 - 103 - 1);
    require_restored();
    store = open_ok();
    put_small(store, 0, 1); /* over a tombstone: that row is gone altogether */
    put_image(store, 1, 60077);
    put_record(store, 1);
    put_record(store, 9);
    loom_store_close(store);
    report = back_up();
    assert_int_equal(report.results, 4);
    require_restored();
    report = back_up(); /* nothing is new */
    assert_int_equal(report.results + report.deleted, 0);
    require_restored();
}

/* A restored store that went another way than the first: the folder follows what it is given. */
static void two_lives_of_one_store(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    fill();
    back_up();
    REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err));
    loom_store *store = open_ok();
    put_small(store, 2000, 50);
    put_record(store, 20);
    loom_store_close(store);
    back_up();
    store = open_at(copy);
    put_small(store, 3000, 70);
    put_record(store, 30);
    put_image(store, 30, 9999);
    REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
    loom_store_close(store);
    char third[300];
    snprintf(third, sizeof third, "%.250s/third", folder);
    REQUIRE_OK(loom_restore(target, third, NULL, NULL, &report, &err));
    loom_store *one = open_at(copy), *other = open_at(third);
    require_same_stores(one, other);
    require_sound(other);
    loom_store_close(one);
    loom_store_close(other);
}

static void another_store_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_pack_report report;
    name_places();
    fill();
    back_up();
    loom_store *store;
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = copy, .create = true}, &store, &err));
    REQUIRE_STATUS(loom_backup(store, target, NULL, NULL, &report, &err), LOOM_BAD_USAGE);
    REQUIRE_STATUS(loom_backup(store, path, NULL, NULL, &report, &err),
                   LOOM_BAD_USAGE); /* a folder that is no backup */
    loom_store_close(store);
    REQUIRE_STATUS(loom_restore(target, copy, NULL, NULL, &report, &err), LOOM_BAD_USAGE); /* something is there */
    REQUIRE_STATUS(loom_restore(folder, "/tmp/nowhere", NULL, NULL, &report, &err), LOOM_BAD_USAGE);
    store = open_ok();
    assert_true(is_stored(store, 5));
    loom_store_close(store);
}

/* ---- streams ---- */

typedef struct piping {
    int from, to;
    bool restore;
} piping;

static void run_piped(void *context) {
    const piping *ends = context;
    loom_error err = {0};
    loom_pack_report report;
    if (ends->restore) {
        assert_true(dup2(ends->from, STDIN_FILENO) >= 0);
        REQUIRE_OK(loom_restore("-", copy, NULL, NULL, &report, &err));
        assert_int_equal(report.results, 1011);
        return;
    }
    assert_true(dup2(ends->to, STDOUT_FILENO) >= 0);
    loom_store *store = open_at(path);
    REQUIRE_OK(loom_backup(store, "-", NULL, NULL, &report, &err));
    loom_store_close(store);
}

static void through_a_pipe(void **state) {
    (void)state;
    int ends[2];
    name_places();
    fill();
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t writer = fork();
    if (writer == 0) {
        run_piped(&(piping){ends[0], ends[1], false});
        _exit(0);
    }
    close(ends[1]); /* the reader waits for the end of the stream */
    assert_int_equal(in_child(run_piped, &(piping){ends[0], ends[1], true}), 0);
    close(ends[0]);
    int status;
    waitpid(writer, &status, 0);
    assert_int_equal(status, 0);
    loom_store *one = open_at(path), *other = open_at(copy);
    require_same_stores(one, other);
    loom_store_close(one);
    loom_store_close(other);
}

/* ---- damage ---- */

static bool is_there(const char *where) {
    struct stat now;
    return lstat(where, &now) == 0;
}

/* Whatever happens to a pack: the same store, or none and nothing left behind. */
static void require_same_or_none(uint64_t *refused) {
    loom_error err = {0};
    loom_pack_report report;
    char left[400];
    snprintf(left, sizeof left, "%s.restoring", copy);
    loom_status status = loom_restore(target, copy, NULL, NULL, &report, &err);
    if (status != LOOM_OK) {
        assert_true(err.message[0] != '\0');
        assert_false(is_there(copy));
        ++*refused;
    } else {
        loom_store *one = open_at(path), *other = open_at(copy);
        require_same_stores(one, other);
        loom_store_close(one);
        loom_store_close(other);
        remove_tree(copy);
    }
    assert_false(is_there(left));
}

static void a_damaged_pack_gives_no_wrong_store(void **state) {
    (void)state;
    name_places();
    loom_store *store = open_ok();
    put_small(store, 0, 10);
    put_image(store, 1, 1000);
    put_record(store, 1);
    loom_store_close(store);
    back_up();
    store = open_ok();
    put_small(store, 10, 5);
    erase(store, "rkey", 2, 1, 1);
    loom_store_close(store);
    back_up();
    uint64_t refused = 0, tried = 0;
    for (unsigned number = 1; number <= 2; number++) {
        char name[400];
        struct stat now;
        snprintf(name, sizeof name, "%s/pack-%08u.loom", target, number);
        int fd = open(name, O_RDWR);
        assert_int_equal(fstat(fd, &now), 0);
        for (off_t at = 0; at < now.st_size; at += 97) {
            uint8_t byte, flipped;
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            flipped = byte ^ (uint8_t)(1u << at % 8);
            assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
            require_same_or_none(&refused);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            tried++;
        }
        uint8_t *whole = malloc((size_t)now.st_size);
        assert_int_equal(pread(fd, whole, (size_t)now.st_size, 0), now.st_size);
        for (off_t cut = now.st_size - 1; cut > 0; cut -= 97 * 7) {
            assert_int_equal(ftruncate(fd, cut), 0);
            require_same_or_none(&refused);
            tried++;
        }
        assert_int_equal(pwrite(fd, whole, (size_t)now.st_size, 0), now.st_size);
        free(whole);
        close(fd);
    }
    assert_true(refused > tried / 2); /* of the rest nobody needs the flipped bytes */
    require_restored();
}

/* ---- while others write ---- */

static void write_and_delete(void *context) {
    int stop = *(int *)context;
    loom_store *store = open_at(path);
    for (uint64_t i = 100;; i++) {
        char byte;
        if (read(stop, &byte, 1) == 1) break;
        put_image(store, i, 30000 + i);
        put_small(store, 10 * i, 10);
        if (i >= 110) erase(store, "image", i - 10, 1, 1);
        loom_gc_report report;
        loom_error err = {0};
        if (i % 8 == 0) REQUIRE_OK(loom_store_gc(store, &(loom_gc_options){.keep_goals = UINT64_MAX}, &report, &err));
    }
    loom_store_close(store);
}

static bool check_image(const loom_result *result, void *context) {
    loom_error err = {0};
    if (result->type == LOOM_IMAGE) REQUIRE_OK(loom_store_verify(context, result, &err));
    return true;
}

static void others_go_on_writing(void **state) {
    (void)state;
    loom_error err = {0};
    int ends[2];
    name_places();
    loom_store *store = open_ok();
    put_small(store, 0, 100);
    loom_store_close(store);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    fflush(NULL);
    pid_t writer = fork();
    if (writer == 0) {
        write_and_delete(&ends[0]);
        _exit(0);
    }
    store = open_at(path);
    for (unsigned round = 0; round < 12; round++) {
        loom_pack_report report;
        REQUIRE_OK(loom_backup(store, target, NULL, NULL, &report, &err));
        assert_int_equal(report.damaged, 0);
        REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err));
        loom_store *other = open_at(copy);
        REQUIRE_OK(loom_store_each(other, check_image, other, &err));
        require_sound(other);
        loom_store_close(other);
        remove_tree(copy);
    }
    assert_int_equal(write(ends[1], "x", 1), 1);
    int status;
    waitpid(writer, &status, 0);
    assert_int_equal(status, 0);
    loom_store_close(store);
    close(ends[0]);
    close(ends[1]);
    back_up();
    require_restored();
}

/* ---- killed ---- */

static const char *die_at;

void loom_probe(const char *name) {
    if (die_at != NULL && strcmp(name, die_at) == 0) raise(SIGKILL);
}

static void back_up_and_die(void *context) {
    (void)context;
    back_up();
}

static void a_killed_backup_leaves_the_earlier(void **state) {
    (void)state;
    static const char *const probes[] = {"backup:locked",  "backup:snapshot", "backup:rows",   "backup:object",
                                         "backup:written", "backup:synced",   "backup:renamed"};
    loom_error err = {0};
    name_places();
    fill();
    back_up();
    for (unsigned i = 0; i < sizeof probes / sizeof *probes; i++) {
        loom_store *store = open_ok();
        put_image(store, 100 + i, 3000);
        loom_store_close(store);
        die_at = probes[i];
        assert_int_equal(in_child(back_up_and_die, NULL), 128 + SIGKILL);
        die_at = NULL;
        loom_pack_report report;
        REQUIRE_OK(loom_restore(target, copy, NULL, NULL, &report, &err)); /* the one before, or the whole new one */
        assert_true(report.results == 1011 + i ||
                    (report.results == 1012 + i && strcmp(probes[i], "backup:renamed") == 0));
        remove_tree(copy);
        back_up();
        require_restored();
    }
}

/* ---- folders ---- */

static void a_copied_folder_is_a_store(void **state) {
    (void)state;
    name_places();
    fill();
    char command[700], moved[300];
    snprintf(command, sizeof command, "cp -r '%s' '%s'", path, copy);
    assert_int_equal(system(command), 0);
    snprintf(moved, sizeof moved, "%.250s/moved", folder);
    loom_store *one = open_at(path), *other = open_at(copy);
    require_same_stores(one, other);
    put_small(other, 7000, 10);
    assert_false(is_stored(one, 7000));
    loom_store_close(other);
    assert_int_equal(rename(copy, moved), 0);
    other = open_at(moved);
    assert_true(is_stored(other, 7000));
    require_image(other, 5, 60000 * 25 + 77);
    require_sound(other);
    loom_store_close(other);
    loom_store_close(one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(everything_comes_back),
        DISK_TEST(only_what_is_new_is_written),
        DISK_TEST(two_lives_of_one_store),
        DISK_TEST(another_store_is_refused),
        DISK_TEST(through_a_pipe),
        DISK_TEST(a_damaged_pack_gives_no_wrong_store),
        DISK_TEST(others_go_on_writing),
        DISK_TEST(a_killed_backup_leaves_the_earlier),
        DISK_TEST(a_copied_folder_is_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
