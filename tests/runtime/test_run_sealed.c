/* Whole runs on an encrypted store: nothing of input, program or results stands on the disk in plain or in a file that
 * the processes have open for writing; the same program finds all of it again; a wrong key or changed bytes are errors
 * or computed again, never other data. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "shm/id.h"
#include "volumes.h"

#define SIDE 64
#define KEYED "--workers 2 --set store.key=file:key"

/* Voxels that spell a text, also after the identities of the program. */
static float spelt(int x, int y, int z) {
    float value;
    (void)y, (void)z;
    memcpy(&value, x % 2 == 0 ? "JANE" : "DOE!", sizeof value);
    return value;
}

static const char program[] = "import \"simpleitk\"\n"
                              "import \"vox1\"\n"
                              "let jane = intensity(ReadImage(\"patient_jane/flair.nii\"))\n"
                              "let blurred = near(near(near(jane >. 0.5)))\n"
                              "print \"label_of_jane\" volume(blurred)\n"
                              "print \"brightest_of_jane\" max(jane)\n"
                              "save \"saved_of_jane.nii\" jane\n";

static void write_key(scene *at, const char *name, const char *text) {
    scene_write(at, name, text);
    assert_int_equal(chmod(scene_path(at, name), 0600), 0);
}

static void make_scene(scene *at) {
    write_key(at, "key", "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n");
    write_key(at, "new_key", "another key that is long enough\n");
    scene_mkdir(at, "patient_jane");
    volume_make(at, "patient_jane/flair.nii", SIDE, SIDE, SIDE, spelt);
    scene_write(at, "jane.imgql", program);
}

/* ---- the search of all files ---- */

static const char *const needles[] = {"JANEDOE!JANEDOE!",
                                      "patient_jane",
                                      "label_of_jane",
                                      "brightest_of_jane",
                                      "saved_of_jane",
                                      "simpleitk",
                                      "ReadImage",
                                      "vox1.near",
                                      "intensity",
                                      "jane.imgql",
                                      "import \"simpleitk\"",
                                      "0f1e2d3c4b5a6978"};
#define NEEDLES (sizeof needles / sizeof *needles)
#define IDS_MAX 64
static loom_id ids[IDS_MAX];
static size_t id_count;
static size_t found_text, found_ids; /* bits are too few for a report: what is found is printed */
static bool aloud;

/* What the user wrote or asked for, and what the harness keeps. */
static bool is_the_users(const char *path) {
    static const char *const names[] = {"/patient_jane/",
                                        "/jane.imgql",
                                        "/saved_of_jane.nii",
                                        "/summary.json",
                                        "/.voxloom-" /* an output before it has its name */,
                                        "/.out-",
                                        "/.err-",
                                        "/key",
                                        "/new_key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(path, names[i])) return true;
    return false;
}

static int search_file(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)place;
    if (kind != FTW_F || status->st_size == 0 || is_the_users(path)) return 0;
    size_t length = 0;
    char *bytes = malloc((size_t)status->st_size);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && bytes);
    for (ssize_t got; (got = read(fd, bytes + length, (size_t)status->st_size - length)) > 0;)
        length += (size_t)got;
    close(fd);
    for (size_t i = 0; i < NEEDLES; i++) {
        if (!memmem(bytes, length, needles[i], strlen(needles[i]))) continue;
        if (aloud) print_message("%s holds \"%s\"\n", path, needles[i]);
        found_text++;
    }
    for (size_t i = 0; i < id_count; i++) {
        if (!memmem(bytes, length, ids[i].bytes, 16)) continue;
        if (aloud) print_message("%s holds an id\n", path);
        found_ids++;
    }
    free(bytes);
    return 0;
}

static void search_scene(scene *at, bool print) {
    aloud = print;
    found_text = found_ids = 0;
    assert_int_equal(nftw(scene_path(at, ""), search_file, 16, FTW_PHYS), 0);
}

/* Every id in hex that the store tells who has the key. */
static void learn_ids(scene *at, const char *more) {
    outcome list = voxloom(at, "store ls --json --store store %s", more);
    assert_well(&list);
    id_count = 0;
    for (const char *p = list.out; *p && id_count < IDS_MAX;) {
        size_t digits = strspn(p, "0123456789abcdef");
        if (digits == 64 && loom_id_from_hex(p, 64, &ids[id_count])) id_count++;
        p += digits > 0 ? digits : 1;
    }
    assert_true(id_count >= 8);
}

/* ---- what the processes have open ---- */

typedef struct watch {
    size_t looks, workers;
} watch;

/* Opened by whoever runs the tests and passed on through us, such as ctest's log. */
static bool was_inherited(const char *target) {
    char link[400], ours[4096];
    DIR *list = opendir("/proc/self/fd");
    bool found = false;
    assert_non_null(list);
    for (const struct dirent *entry; !found && (entry = readdir(list));) {
        snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(link, ours, sizeof ours - 1);
        if (length > 0) ours[length] = '\0';
        found = length > 0 && strcmp(ours, target) == 0;
    }
    closedir(list);
    return found;
}

static bool may_be_written(const char *target) {
    static const char *const fine[] = {"/memfd:", "anon_inode:", "pipe:", "socket:", "/dev/", "/secretmem"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (strncmp(target, fine[i], strlen(fine[i])) == 0) return true;
    return strstr(target, "/store/") || is_the_users(target) || was_inherited(target);
}

static void look_at_files(pid_t pid) {
    char folder[64], link[400], target[4096];
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    DIR *list = opendir(folder);
    if (!list) return; /* it has ended */
    for (const struct dirent *entry; (entry = readdir(list));) {
        snprintf(link, sizeof link, "%s/%s", folder, entry->d_name);
        struct stat how;
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length <= 0 || lstat(link, &how) != 0 || !(how.st_mode & S_IWUSR)) continue;
        target[length] = '\0';
        if (!may_be_written(target)) fail_msg("process %d writes to %s", (int)pid, target);
    }
    closedir(list);
}

/* Whether some extent in memory that the process maps would be in a core dump (VmFlags without "dd"). */
static bool shows_in_a_dump(pid_t pid, char where[64]) {
    char path[64], line[8192];
    bool extent = false, shown = false;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *maps = fopen(path, "r");
    while (maps && !shown && fgets(line, sizeof line, maps)) {
        if (strstr(line, "/memfd:")) {
            extent = strstr(line, "voxloom-extent") != NULL;
            snprintf(where, 64, "%.60s", line);
        }
        if (strncmp(line, "VmFlags:", 8) != 0) continue;
        shown = extent && !strstr(line, " dd");
        extent = false;
    }
    if (maps) fclose(maps);
    return shown;
}

/* A short file of /proc, every byte but zeros, which become spaces; 0 when the process is gone. */
static size_t read_entry(pid_t pid, const char *name, char *text, size_t capacity) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, text, capacity - 1) : 0;
    if (fd >= 0) close(fd);
    if (length < 0) length = 0;
    for (ssize_t i = 0; i < length; i++)
        if (text[i] == '\0') text[i] = ' ';
    text[length] = '\0';
    return (size_t)length;
}

static void look_at_worker(watch *all, pid_t pid) {
    char text[8192], before[64] = "", now[64] = "";
    /* A mapping is hidden just after it is made: one that is seen before is looked at again. */
    for (int again = 0; shows_in_a_dump(pid, now); again++) {
        if (again > 20 && strcmp(before, now) == 0) fail_msg("plain bytes would be in a core dump: %s", now);
        memcpy(before, now, sizeof before);
        pause_ms(1);
    }
    if (read_entry(pid, "cmdline", text, sizeof text) > 0) assert_null(strstr(text, "0f1e2d3c"));
    /* Soft limit of one byte or none: no core file, and no pipe either. */
    const char *limit = read_entry(pid, "limits", text, sizeof text) > 0 ? strstr(text, "Max core file size") : NULL;
    unsigned long long most = 0;
    if (limit && sscanf(limit, "Max core file size %llu", &most) == 1) assert_true(most <= 1);
    if (limit) assert_null(strstr(limit, "Max core file size unlimited"));
    all->workers++;
}

static void look(const process *running, void *context) {
    watch *all = context;
    pid_t children[16];
    look_at_files(running->pid);
    size_t count = children_of(running->pid, children, 16);
    for (size_t i = 0; i < count; i++) {
        look_at_files(children[i]);
        look_at_worker(all, children[i]);
    }
    all->looks++;
}

/* ---- the tests ---- */

static void test_nothing_is_written_in_plain(void **state) {
    scene *at = *state;
    make_scene(at);
    watch all = {0};
    process running = start_run(at, "jane.imgql", KEYED);
    outcome first = finish(at, &running, look, &all);
    assert_well(&first);
    assert_true(all.looks > 0 && all.workers > 0);
    assert_true(computed_by(&first) >= 8);
    learn_ids(at, "--set store.key=file:key");
    search_scene(at, true);
    assert_int_equal(found_text + found_ids, 0);
    volume saved = volume_read(at, "saved_of_jane.nii"); /* which the user asked for: plain */
    assert_memory_equal(saved.voxels, "JANEDOE!", 8);
    outcome second = run(at, "jane.imgql", KEYED);
    assert_prints(&second, first.out);
    assert_int_equal(computed_by(&second), 0);
    search_scene(at, true);
    assert_int_equal(found_text + found_ids, 0);
}

/* The search is worth something: a plain store of the same run holds all but the key, and every id. */
static void test_a_plain_store_holds_what_is_searched(void **state) {
    scene *at = *state;
    make_scene(at);
    outcome first = run(at, "jane.imgql", "--workers 2");
    assert_well(&first);
    learn_ids(at, "");
    search_scene(at, false);
    assert_true(found_text >= 5);
    assert_true(found_ids >= id_count);
}

static void test_keys(void **state) {
    scene *at = *state;
    make_scene(at);
    outcome first = run(at, "jane.imgql", KEYED);
    assert_well(&first);
    outcome none = run(at, "jane.imgql", "--workers 2");
    assert_int_not_equal(none.status, 0);
    assert_contains(none.err, "is encrypted; give its key (store.key)");
    outcome wrong = run(at, "jane.imgql", "--workers 2 --set store.key=file:new_key");
    assert_int_not_equal(wrong.status, 0);
    assert_contains(wrong.err, "is not that of the store");
    assert_int_equal(chmod(scene_path(at, "key"), 0644), 0);
    outcome shown = run(at, "jane.imgql", KEYED);
    assert_int_not_equal(shown.status, 0);
    assert_contains(shown.err, "chmod 600");
    assert_int_equal(chmod(scene_path(at, "key"), 0600), 0);
    outcome rekeyed = voxloom(at, "store rekey --yes --store store --set store.key=file:key --new-key file:new_key");
    assert_well(&rekeyed);
    outcome old = run(at, "jane.imgql", KEYED);
    assert_int_not_equal(old.status, 0);
    outcome again = run(at, "jane.imgql", "--workers 2 --set store.key=file:new_key");
    assert_prints(&again, first.out);
    assert_int_equal(computed_by(&again), 0);
    search_scene(at, true);
    assert_int_equal(found_text, 0);
}

/* One bit in every 64 KiB of the extents: whatever is damaged is computed again, to the same values. */
static void test_flipped_bits_are_computed_again(void **state) {
    scene *at = *state;
    make_scene(at);
    outcome first = run(at, "jane.imgql", KEYED);
    assert_well(&first);
    int fd = open(scene_path(at, "store/extents/00000000.ext"), O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    for (off_t offset = 4096 + 77; pread(fd, &byte, 1, offset) == 1; offset += 65536) {
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    }
    close(fd);
    scene_remove(at, "saved_of_jane.nii");
    outcome second = run(at, "jane.imgql", KEYED);
    assert_prints(&second, first.out);
    assert_true(computed_by(&second) > 0);
    volume saved = volume_read(at, "saved_of_jane.nii");
    assert_memory_equal(saved.voxels, "JANEDOE!", 8);
    outcome third = run(at, "jane.imgql", KEYED);
    assert_prints(&third, first.out);
    assert_int_equal(computed_by(&third), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_written_in_plain, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_a_plain_store_holds_what_is_searched, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_keys, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bits_are_computed_again, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
