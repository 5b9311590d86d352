/* Bad input of every kind: each gives exit status 1 or 2 and one error that names the place, the cause and what to do;
 * nothing crashes or hangs; the store holds what it held and works as before. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "harness.h"
#include "volumes.h"

#define MIB (UINT64_C(1) << 20)

static float ramp(int x, int y, int z) {
    return (float)(x + y + z);
}

static const char good[] = "import \"simpleitk\"\nprint \"n\" volume(geq_sv(3, ReadImage(\"good.nii\")))\n";

/* The scene, with a store that holds three results. */
static scene *with_store(void **state) {
    scene *at = *state;
    volume_make(at, "good.nii", 4, 4, 4, ramp);
    scene_write(at, "good.imgql", good);
    outcome result = run(at, "good.imgql", "");
    assert_prints(&result, "n=54.0\n");
    return at;
}

static void assert_usable(scene *at, uint64_t results) {
    assert_int_equal(results_in(at, "store"), results);
    outcome again = run(at, "good.imgql", "");
    assert_prints(&again, "n=54.0\n");
    assert_int_equal(computed_by(&again), 0);
}

static size_t occurrences(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

/* One error, of the wanted status, with each of `parts` (ended by NULL) in it; nothing that speaks of a bug. */
static void assert_error(const outcome *result, int status, const char *const *parts) {
    if (result->status != status) fail_msg("exit status %d, not %d:\n%s", result->status, status, result->err);
    size_t errors = occurrences(result->err, "error: ");
    if (errors != 1) fail_msg("%zu errors instead of one:\n%s", errors, result->err);
    for (; *parts; parts++)
        assert_contains(result->err, *parts);
    static const char *const forbidden[] = {"report it", "internal", "Assertion", "(null)"};
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        if (strstr(result->err, forbidden[i])) fail_msg("\"%s\" in:\n%s", forbidden[i], result->err);
    if (getenv("SHOW_ERRORS")) print_message("%s\n", result->err); /* to read them all */
}
#define ASSERT_ERROR(result, status, ...)                                                                              \
    assert_error(&(result), (status), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* ---- programs ---- */

typedef struct bad_program {
    const char *text;
    const char *place;  /* "2:7" */
    const char *source; /* the line shown, or NULL */
    const char *says[3];
} bad_program;

static void test_static_errors(void **state) {
    static const bad_program programs[] = {
        {"x = 1 +\n", "1:7", "x = 1 +", {"unexpected", "end of input"}},
        {"print \"a\" 1\nprint \"b\" (2 + 3\n", "2:", "print \"b\" (2 + 3", {"unexpected", "RPAR"}},
        {"print \"a\" 1 + + \n", "1:", "print \"a\" 1 + + ", {"unexpected"}},
        {"x = \"unterminated\nprint \"a\" x\n", "1:5", "x = \"unterminated", {NULL}},
        {"print \"a\" let y = 1\n", "1:", NULL, {"unexpected", "IN"}},
        {"x = `1`\n", "1:5", "x = `1`", {NULL}},
        {"print \"a\" 1\n\tprint \"b\" nothing_of_that_name(1)\n",
         "2:12",
         "\tprint \"b\" nothing_of_that_name(1)",
         {"nothing_of_that_name"}},
        {"f(x) = x + undefined_name\nprint \"a\" f(1)\n", "1:12", NULL, {"undefined_name", "f at "}},
        {"f(x, y) = x\nprint \"a\" f(1)\n", "2:11", "print \"a\" f(1)", {"f", "2", "1"}},
        {"print \"a\" range(1, 2, 3)\n", "1:11", NULL, {"range", "2", "3"}},
        {"print \"a\" volume()\n", "1:", NULL, {"unexpected"}},
        {"print \"a\" volume(\"text\")\n", "1:11", NULL, {"volume", "string"}},
        {"print \"a\" volume(1 < 2)\n", "1:11", NULL, {"volume"}},
        {"x = 1\nprint \"a\" x(2)\n", "2:11", NULL, {"x"}},
        {"f(x) = x\nprint \"a\" f\n", "2:11", NULL, {"f"}},
        {"print \"a\" fold % [1]\n", "1:11", NULL, {"%"}},
        {"$cwd = 1\n", "1:1", NULL, {"$cwd"}},
        {"import \"no_such_namespace\"\n", "1:", NULL, {"no_such_namespace"}},
        {"import \"missing.imgql\"\n", "1:", NULL, {"missing.imgql"}},
        {"import \"broken.imgql\"\n", "", NULL, {"broken.imgql:2:"}},
        {"print \"a\" map(1, [2])\n", "1:", NULL, {"map"}},
    };
    scene *at = with_store(state);
    scene_write(at, "broken.imgql", "x = 1\ny = (\n");
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        const bad_program *bad = &programs[i];
        outcome result = run_text(at, bad->text, "");
        const char *place = *bad->place ? scene_text(at, "program.imgql:%s", bad->place) : "";
        print_message("%s", result.status == 2 ? "" : bad->text);
        ASSERT_ERROR(result, 2, place, "error: ");
        for (size_t k = 0; k < 3 && bad->says[k]; k++)
            assert_contains(result.err, bad->says[k]);
        if (bad->source) assert_contains(result.err, scene_text(at, "\n%s\n", bad->source));
        const char *caret = strchr(result.err, '^');
        if (!caret) fail_msg("no caret in:\n%s", result.err);
        assert_true(caret[1] == '\n' && caret > result.err && strspn(caret - 1, " \t\n") > 0);
        assert_string_equal(result.out, "");
        outcome planned = voxloom(at, "plan program.imgql");
        ASSERT_ERROR(planned, 2, place);
    }
    assert_usable(at, 3);
}

/* Files that import each other end: the second time round there is nothing more to read. */
static void test_import_cycle(void **state) {
    scene *at = *state;
    scene_write(at, "loop.imgql", "import \"program.imgql\"\ny = 2\n");
    outcome result = run_text(at, "import \"loop.imgql\"\nprint \"y\" y\n", "");
    assert_prints(&result, "y=2.0\n");
    assert_contains(result.err, "loop.imgql:1:1: note: ");
}

static void test_odd_texts(void **state) {
    scene *at = with_store(state);
    outcome missing = voxloom(at, "run missing.imgql --store store");
    ASSERT_ERROR(missing, 2, "missing.imgql");
    outcome folder = voxloom(at, "run home --store store");
    ASSERT_ERROR(folder, 2, "home", "folder");
    scene_write_bytes(at, "program.imgql", "print \"a\" \"\xff\xfe\"\n", 16);
    outcome bytes = run(at, "program.imgql", "");
    ASSERT_ERROR(bytes, 2, "program.imgql:1:", "UTF-8");
    scene_write_bytes(at, "program.imgql", "print \"a\"\0 1\n", 13);
    outcome zero = run(at, "program.imgql", "");
    ASSERT_ERROR(zero, 2, "program.imgql:1:");
    scene_write(at, "program.imgql", "\xef\xbb\xbfprint \"a\" 1\n");
    outcome mark = run(at, "program.imgql", "");
    ASSERT_ERROR(mark, 2, "program.imgql:1:1");

    /* brackets a hundred thousand deep: one too few, and just enough */
    char *deep = scene_text(at, "print \"a\" %0200001d\n", 0);
    char *digits = strchr(deep, '0');
    memset(digits, '(', 100000);
    digits[100000] = '1';
    memset(digits + 100001, ')', 100000);
    outcome nested = run_text(at, deep, "");
    if (nested.status == 0)
        assert_string_equal(nested.out, "a=1.0\n");
    else
        ASSERT_ERROR(nested, 2, "program.imgql:1:");
    digits[200000] = ' ';
    outcome unclosed = run_text(at, deep, "");
    ASSERT_ERROR(unclosed, 2, "program.imgql:1:");
    assert_usable(at, 3);
}

/* ---- files that are read ---- */

static void expect_bad_image(scene *at, const char *name, const char *const *parts) {
    outcome result =
        run_text(at, scene_text(at, "import \"simpleitk\"\n\nprint \"n\" max(ReadImage(\"%s\"))\n", name), "");
    const char *const place[] = {"program.imgql:3:15", name, "simpleitk.ReadImage", NULL};
    assert_error(&result, 1, place);
    assert_error(&result, 1, parts);
    assert_string_equal(result.out, "");
    assert_string_equal(string_of(at, &result, "goals.0.status"), "failed");
    assert_contains(string_of(at, &result, "goals.0.error"), name);
    if (!SANITIZED) assert_in_range(result.peak_rss_bytes, 1, 200 * MIB);
    assert_true(result.seconds < 30);
}
#define EXPECT_BAD_IMAGE(at, name, ...)                                                                                \
    expect_bad_image((at), (name), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* good.nii with `length` bytes of its header replaced, cut or padded to `bytes` in all. */
static void spoil(scene *at, const char *name, size_t offset, const void *patch, size_t length, size_t bytes) {
    size_t had = 0;
    uint8_t *file = (uint8_t *)scene_read(at, "good.nii", &had);
    assert_non_null(file);
    uint8_t *made = calloc(1, bytes > had ? bytes : had);
    assert_non_null(made);
    memcpy(made, file, had);
    memcpy(made + offset, patch, length);
    scene_write_bytes(at, name, made, bytes ? bytes : had);
    free(made);
}

static void gzip_to(scene *at, const char *name, const void *bytes, size_t length, uint64_t zeros) {
    static const uint8_t nothing[65536];
    gzFile file = gzopen(scene_path(at, name), "wb9");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)length), length);
    for (; zeros >= sizeof nothing; zeros -= sizeof nothing)
        assert_int_equal(gzwrite(file, nothing, sizeof nothing), sizeof nothing);
    assert_int_equal(gzclose(file), Z_OK);
}

static void test_bad_images(void **state) {
    scene *at = with_store(state);
    size_t length = 0;
    const char *file = scene_read(at, "good.nii", &length);

    EXPECT_BAD_IMAGE(at, "missing.nii");
    EXPECT_BAD_IMAGE(at, "home", "folder");
    scene_write(at, "empty.nii", "");
    EXPECT_BAD_IMAGE(at, "empty.nii", "empty");
    scene_write(at, "text.nii", "this is a text and not an image, whatever its name may say about that");
    EXPECT_BAD_IMAGE(at, "text.nii");
    scene_write_bytes(at, "header.nii", file, 200);
    EXPECT_BAD_IMAGE(at, "header.nii");
    scene_write_bytes(at, "cut.nii", file, length - 20);
    EXPECT_BAD_IMAGE(at, "cut.nii");

    const int16_t complex_type = 32, nonsense = 12345, negative[] = {3, -4, 4, 4}, none[] = {3, 0, 4, 4}, nine[] = {9};
    spoil(at, "complex.nii", 70, &complex_type, 2, 0);
    EXPECT_BAD_IMAGE(at, "complex.nii", "complex");
    spoil(at, "datatype.nii", 70, &nonsense, 2, 0);
    EXPECT_BAD_IMAGE(at, "datatype.nii", "12345");
    spoil(at, "negative.nii", 40, negative, sizeof negative, 0);
    EXPECT_BAD_IMAGE(at, "negative.nii");
    spoil(at, "none.nii", 40, none, sizeof none, 0);
    EXPECT_BAD_IMAGE(at, "none.nii");
    spoil(at, "nine.nii", 40, nine, sizeof nine, 0);
    EXPECT_BAD_IMAGE(at, "nine.nii");
    const float offset = 1e30f;
    spoil(at, "offset.nii", 108, &offset, 4, 0);
    EXPECT_BAD_IMAGE(at, "offset.nii");
    const int16_t lying[] = {3, 400, 400, 4};
    spoil(at, "lying.nii", 40, lying, sizeof lying, 0);
    EXPECT_BAD_IMAGE(at, "lying.nii");

    /* sizes whose product overflows 64 bits, or only memory */
    const int16_t huge[] = {7, 32767, 32767, 32767, 32767, 32767, 32767, 32767};
    spoil(at, "huge.nii", 40, huge, sizeof huge, 0);
    EXPECT_BAD_IMAGE(at, "huge.nii");
    const int16_t large[] = {3, 30000, 30000, 30000};
    spoil(at, "large.nii", 40, large, sizeof large, 0);
    EXPECT_BAD_IMAGE(at, "large.nii");
    assert_usable(at, 3);
}

/* What a careless program would wait for, or read for ever. */
static void test_files_that_never_end(void **state) {
    scene *at = with_store(state);
    assert_int_equal(mkfifo(scene_path(at, "pipe.nii"), 0600), 0);
    EXPECT_BAD_IMAGE(at, "pipe.nii", "regular file");
    EXPECT_BAD_IMAGE(at, "/dev/zero", "regular file");
    outcome load = run_text(at, "print \"a\" load(\"pipe.nii\")\n", "");
    ASSERT_ERROR(load, 1, "program.imgql:1:11", "pipe.nii", "regular file");
    char *endless = scene_text(at, "%05000d.nii", 0);
    outcome name =
        run_text(at, scene_text(at, "import \"simpleitk\"\nprint \"a\" max(ReadImage(\"%s\"))\n", endless), "");
    ASSERT_ERROR(name, 1, "program.imgql:2:15");
    assert_usable(at, 3);
}

static void test_bad_gzip(void **state) {
    scene *at = with_store(state);
    size_t length = 0, zipped = 0;
    const char *file = scene_read(at, "good.nii", &length);
    gzip_to(at, "whole.nii.gz", file, length, 0);
    char *bytes = scene_read(at, "whole.nii.gz", &zipped);
    scene_write_bytes(at, "cut.nii.gz", bytes, zipped - 12);
    EXPECT_BAD_IMAGE(at, "cut.nii.gz");
    bytes[zipped / 2] ^= 0x55;
    scene_write_bytes(at, "flipped.nii.gz", bytes, zipped);
    EXPECT_BAD_IMAGE(at, "flipped.nii.gz");
    bytes[zipped / 2] ^= 0x55;
    bytes[zipped - 8] ^= 0x55; /* the checksum */
    scene_write_bytes(at, "checksum.nii.gz", bytes, zipped);
    EXPECT_BAD_IMAGE(at, "checksum.nii.gz");
    gzip_to(at, "short.nii.gz", file, length - 20, 0);
    EXPECT_BAD_IMAGE(at, "short.nii.gz");

    /* a bomb: a header of 4x4x4, a gigabyte of zeros behind it */
    gzip_to(at, "bomb.nii.gz", file, length, (SANITIZED ? 64 : 512) * MIB);
    EXPECT_BAD_IMAGE(at, "bomb.nii.gz");
    /* a bomb of another kind: hundreds of bytes that claim 27 TB */
    const int16_t large[] = {3, 30000, 30000, 30000};
    spoil(at, "large.nii", 40, large, sizeof large, 0);
    const char *claim = scene_read(at, "large.nii", &length);
    gzip_to(at, "claim.nii.gz", claim, length, 0);
    EXPECT_BAD_IMAGE(at, "claim.nii.gz");
    assert_usable(at, 3);
}

static void test_address_space_limit(void **state) {
    scene *at = with_store(state);
    if (SANITIZED) {
        print_message("skipped: sanitizers need more address space than the limit\n");
        skip();
    }
    const limits tight = {.address_space_bytes = 2048 * MIB};
    outcome result =
        voxloom_limited(at, &tight, "run good.imgql --store tight --no-progress --set memory.segment=64MiB");
    assert_prints(&result, "n=54.0\n");
}

/* ---- folders ---- */

static void test_folders(void **state) {
    scene *at = with_store(state);
    outcome missing = run_text(at, "print \"d\" dir(\"no_such_folder\")\n", "");
    ASSERT_ERROR(missing, 1, "program.imgql:1:11", "no_such_folder", "default.dir");
    outcome file = run_text(at, "print \"d\" dir(\"good.nii\")\n", "");
    ASSERT_ERROR(file, 1, "program.imgql:1:11", "good.nii", "default.dir");
    scene_mkdir(at, "nothing");
    outcome empty =
        run_text(at, "print \"d\" dir(\"nothing\")\nprint \"n\" for c in dir(\"nothing\") do c\n", "");
    assert_prints(&empty, "d=[]\nn=[]\n");
    outcome image = run_text(at, "import \"simpleitk\"\nprint \"n\" max(ReadImage(dir(\"nothing\")[0]))\n", "");
    ASSERT_ERROR(image, 1, "program.imgql:2:");
}

/* ---- stores ---- */

static void test_stores_that_are_none(void **state) {
    scene *at = with_store(state);
    scene_mkdir(at, "other");
    scene_write(at, "other/thesis.txt", "years of work");
    outcome folder = voxloom(at, "run good.imgql --store other");
    ASSERT_ERROR(folder, 1, "other", "not a store");
    assert_string_equal(scene_read(at, "other/thesis.txt", NULL), "years of work");
    assert_false(scene_has(at, "other/index") || scene_has(at, "other/FORMAT"));
    outcome file = voxloom(at, "run good.imgql --store good.nii");
    ASSERT_ERROR(file, 1, "good.nii");
    outcome stat = voxloom(at, "store stat --store nowhere");
    ASSERT_ERROR(stat, 1, "nowhere");
    assert_false(scene_has(at, "nowhere"));
    outcome impossible = voxloom(at, "run good.imgql --store /proc/nowhere");
    ASSERT_ERROR(impossible, 1, "/proc/nowhere");

    size_t length = 0;
    char *format = scene_read(at, "store/FORMAT", &length);
    char *number = strstr(format, "format ");
    assert_non_null(number);
    char *newer = scene_text(at, "%.*s%s", (int)(number - format) + 7, format, "9");
    newer = scene_text(at, "%s%s", newer, strchr(number, '\n'));
    scene_write(at, "store/FORMAT", newer);
    outcome later = run(at, "good.imgql", "");
    ASSERT_ERROR(later, 1, "store", "newer", "9");
    outcome listing = voxloom(at, "store ls --store store");
    ASSERT_ERROR(listing, 1, "newer");
    scene_write(at, "store/FORMAT", "gibberish\n");
    outcome garbled = run(at, "good.imgql", "");
    ASSERT_ERROR(garbled, 1, "FORMAT");
    scene_write_bytes(at, "store/FORMAT", format, length);
    assert_usable(at, 3);
}

static void test_damaged_index(void **state) {
    scene *at = with_store(state);
    size_t length = 0;
    char *index = scene_read(at, "store/index/data.mdb", &length);
    assert_non_null(index);
    scene_write(at, "store/index/data.mdb", "this was an index once, and has now been replaced by a text");
    outcome garbled = run(at, "good.imgql", "");
    ASSERT_ERROR(garbled, 1, "store");
    scene_write_bytes(at, "store/index/data.mdb", index, length);
    assert_usable(at, 3);
}

static const limits nobody = {.uid = 65534};

static void test_read_only_store(void **state) {
    scene *at = with_store(state);
    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    outcome version = voxloom_limited(at, &nobody, "--version");
    if (version.status != 0) {
        print_message("skipped: another user cannot run the program here: %s\n", version.err);
        skip();
    }
    scene_write(at, "changed.imgql", "import \"simpleitk\"\nprint \"n\" volume(geq_sv(4, ReadImage(\"good.nii\")))\n");
    outcome closed = voxloom_limited(at, &nobody, "run changed.imgql --store store"); /* mode 0700 */
    ASSERT_ERROR(closed, 1, "store", "ermission denied");
    assert_int_equal(chmod(scene_path(at, "store"), 0555), 0);
    outcome readable = voxloom_limited(at, &nobody, "run changed.imgql --store store");
    ASSERT_ERROR(readable, 1, "store");
    outcome parent = voxloom_limited(at, &nobody, "run changed.imgql --store fresh");
    ASSERT_ERROR(parent, 1, "fresh", "ermission denied");
    assert_int_equal(chmod(scene_path(at, "store"), 0700), 0);
    assert_usable(at, 3);
}

static const char filling[] =
    "import \"simpleitk\"\nprint \"n\" for t in range(40) do volume(dt(geq_sv(t, ReadImage(\"big.nii\"))))\n";

/* A disk of 16 MiB of the test's own; false if this kernel or user may not have one. */
static bool mount_small_disk(scene *at) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    scene_mkdir(at, "disk");
    return mount("tmpfs", scene_path(at, "disk"), "tmpfs", 0, "size=16m") == 0;
}

static void test_full_disk(void **state) {
    scene *at = with_store(state);
    volume_make(at, "big.nii", 80, 80, 80, ramp);
    if (!mount_small_disk(at)) {
        print_message("skipped: cannot mount a small disk here: %s\n", strerror(errno));
        skip();
    }
    scene_write(at, "filling.imgql", filling);
    outcome small = voxloom(at, "run good.imgql --store disk/store --set store.extent_step=1MiB");
    outcome full = voxloom(at, "run filling.imgql --store disk/store --no-progress --set store.extent_step=1MiB");
    outcome after =
        voxloom(at, "run good.imgql --store disk/store --summary summary.json --set store.extent_step=1MiB");
    assert_int_equal(umount2(scene_path(at, "disk"), MNT_DETACH), 0);
    assert_prints(&small, "n=54.0\n");
    assert_int_equal(full.status, 1);
    assert_contains(full.err, "error: no space for "); /* more than one node may fail of it */
    assert_contains(full.err, "free some or move the store");
    assert_null(strstr(full.err, "report it"));
    assert_prints(&after, "n=54.0\n");
    assert_int_equal(computed_by(&after), 0);
}

static void test_file_size_limit(void **state) {
    scene *at = with_store(state);
    volume_make(at, "big.nii", 80, 80, 80, ramp);
    scene_write(at, "filling.imgql", filling);
    const limits small = {.file_bytes = 20 * MIB};
    outcome full =
        voxloom_limited(at, &small, "run filling.imgql --store store --no-progress --set store.extent_step=1MiB");
    assert_int_equal(full.status, 1);
    assert_contains(full.err, "error: ");
    assert_null(strstr(full.err, "report it"));
    if (getenv("SHOW_ERRORS")) print_message("%s\n", full.err);
    outcome good_again = run(at, "good.imgql", "");
    assert_prints(&good_again, "n=54.0\n");
    assert_int_equal(computed_by(&good_again), 0);
    scene_write(at, "save.imgql", "import \"simpleitk\"\nsave \"full/out.nii\" ReadImage(\"big.nii\")\n");
    const limits tiny = {.file_bytes = 1 * MIB};
    outcome unsaved = voxloom_limited(at, &tiny, "run save.imgql --store :memory: --no-progress");
    assert_int_equal(unsaved.status, 1);
    assert_false(scene_has(at, "full/out.nii"));
}

static void test_places_that_cannot_be_written(void **state) {
    scene *at = with_store(state);
    outcome result =
        run_text(at,
                 "import \"simpleitk\"\na = ReadImage(\"good.nii\")\nsave \"/proc/nowhere/x.nii\" a\n"
                 "save \"/proc/nowhere/x.txt\" 1\nsave \"home\" 1\nsave \"good.nii/x.txt\" 1\nprint \"ok\" 1\n",
                 "");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "ok=1.0\n");
    assert_int_equal(occurrences(result.err, "error: "), 4);
    for (int goal = 0; goal < 4; goal++)
        assert_string_equal(string_of(at, &result, scene_text(at, "goals.%d.status", goal)), "failed");
    assert_contains(result.err, "not done: save \"/proc/nowhere/x.nii\"");
    assert_contains(result.err, "program.imgql:4:1: error: cannot create the folder /proc/nowhere");
    outcome summary = voxloom(at, "run good.imgql --store store --summary /proc/nowhere/s.json");
    ASSERT_ERROR(summary, 1, "/proc/nowhere/s.json");
    assert_usable(at, 3);
}

/* ---- plans ---- */

static const char *plan_text(scene *at, const char *first, const char *second, const char *id, const char *op,
                             const char *a, const char *b, const char *goal) {
    return scene_text(
        at,
        "{\"nodes\":[%s,%s,{\"id\":\"%s\",\"type\":\"operation\",\"operator\":\"%s\",\"arguments\":{\"0\":\"%s\","
        "\"1\":\"%s\"},\"attrs\":{},\"output_kind\":\"scalar\"}],\"goals\":[{\"operation\":\"print\",\"id\":\"%s\","
        "\"name\":\"s\"}]}\n",
        first, second, id, op, a, b, goal);
}

static void test_bad_plans(void **state) {
    scene *at = with_store(state);
    /* a sound one first: 1.0 + 2.0, with the ids of voxlogica2.md, 3.5 */
    static const char one[] = "80d4cbcc106df22b52fd9a0dc4435b10cd838af0ea99a88b650748d1910e78f1";
    static const char two[] = "08d0f76057fb802a770b69433a5c24e1d623ef2ed8585be315d3b030d64e934b";
    static const char sum[] = "ae53ea5ad54f9c47bbe35036c4f0e228210b920d9205b0c63a3c1daff04c28bf";
    const char *constant_one =
        scene_text(at, "{\"id\":\"%s\",\"type\":\"constant\",\"value\":1.0,\"output_kind\":\"scalar\"}", one);
    const char *constant_two =
        scene_text(at, "{\"id\":\"%s\",\"type\":\"constant\",\"value\":2.0,\"output_kind\":\"scalar\"}", two);
    const char *sound = plan_text(at, constant_one, constant_two, sum, "vox1.+", one, two, sum);
    scene_write(at, "plan.json", sound);
    outcome result = run(at, "plan.json", "");
    assert_prints(&result, "s=3.0\n");

    static const char unknown[] = "00000000000000000000000000000000000000000000000000000000000000aa";
    const struct {
        const char *text, *says;
    } plans[] = {
        {plan_text(at, constant_one, constant_two, unknown, "vox1.+", one, two, unknown), "id"},
        {plan_text(at, constant_one, constant_two, sum, "vox1.-", one, two, sum), "id"},
        {plan_text(at, constant_one, constant_two, sum, "vox1.+", two, one, sum), "id"},
        {plan_text(at, constant_one, constant_two, sum, "vox1.+", one, unknown, sum), "no node"},
        {plan_text(at, constant_one, constant_two, sum, "vox1.+", sum, two, sum), "cycle"},
        {plan_text(at, constant_one, constant_two, sum, "vox1.+", one, two, unknown), "no node"},
        {plan_text(at, constant_one, constant_one, sum, "vox1.+", one, two, sum), ""},
        {plan_text(at, constant_one, constant_two, sum, "vox1.unheard_of", one, two, sum), "unheard_of"},
        {plan_text(at, constant_one, constant_two, "not hex", "vox1.+", one, two, sum), "id"},
        {scene_text(at, "%.*s", 200, sound), "plan.json:1:"},
        {"{\"nodes\":[],\"goals\":[}", "plan.json:1:"},
        {"{\"nodes\":7,\"goals\":[]}", "nodes"},
        {"{\"goals\":[]}", "nodes"},
        {"[]", "plan.json"},
        {"", "plan.json"},
        {"\xff\xfe\x00", "plan.json"},
        {"{\"nodes\":[],\"nodes\":[],\"goals\":[]} trailing", "plan.json"},
    };
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        scene_write(at, "plan.json", plans[i].text);
        outcome bad = run(at, "plan.json", "");
        print_message("%s", bad.status == 2 ? "" : plans[i].text);
        ASSERT_ERROR(bad, 2, "plan.json", plans[i].says);
    }

    /* two nodes that need each other */
    scene_write(at, "plan.json",
                scene_text(at,
                           "{\"nodes\":[{\"id\":\"%s\",\"type\":\"operation\",\"operator\":\"vox1.+\",\"arguments\":{"
                           "\"0\":\"%s\",\"1\":\"%s\"},"
                           "\"attrs\":{},\"output_kind\":\"scalar\"},{\"id\":\"%s\",\"type\":\"operation\","
                           "\"operator\":\"vox1.+\",\"arguments\":"
                           "{\"0\":\"%s\",\"1\":\"%s\"},\"attrs\":{},\"output_kind\":\"scalar\"}],\"goals\":[]}",
                           one, two, two, two, one, one));
    outcome cycle = run(at, "plan.json", "");
    ASSERT_ERROR(cycle, 2, "plan.json", "cycle");

    char *deep = scene_text(at, "%0100000d", 0);
    memset(deep, '[', 100000);
    scene_write(at, "plan.json", deep);
    outcome nested = run(at, "plan.json", "");
    ASSERT_ERROR(nested, 2, "plan.json");
    assert_usable(at, 4);
}

/* ---- while running ---- */

static void test_domains_that_differ(void **state) {
    scene *at = with_store(state);
    volume_make(at, "wide.nii", 5, 4, 4, ramp);
    outcome result = run_text(at,
                              "import \"simpleitk\"\na = ReadImage(\"good.nii\")\nb = ReadImage(\"wide.nii\")\n"
                              "print \"n\" max(a + b)\nprint \"a\" max(a)\n",
                              "");
    ASSERT_ERROR(result, 1, "program.imgql:4:15", "vox1.+", "4 against 5", "resample");
    assert_string_equal(result.out, "a=9.0\n");
}

static void test_division_by_zero(void **state) {
    scene *at = with_store(state);
    outcome result = run_text(at, "zero = 1 - 1\nprint \"bad\" 1 / zero + 5\nprint \"good\" 2 + 2\n", "");
    ASSERT_ERROR(result, 1, "program.imgql:2:13", "vox1./", "divisor of 0");
    assert_string_equal(result.out, "good=4.0\n");
    assert_int_equal(number_of(&result, "failed"), 2); /* the division, and the sum that needs it */
    assert_string_equal(string_of(at, &result, "goals.0.status"), "failed");
    assert_string_equal(string_of(at, &result, "goals.1.status"), "ok");
    assert_contains(result.err, "not done: print \"bad\"");
    outcome again = run_text(at, "zero = 1 - 1\nprint \"bad\" 1 / zero + 5\nprint \"good\" 2 + 2\n", "");
    ASSERT_ERROR(again, 1, "program.imgql:2:13");
    assert_string_equal(again.out, "good=4.0\n");
}

static void test_failing_item(void **state) {
    scene *at = with_store(state);
    outcome result =
        run_text(at, "xs = for k in range(4) do 10 / (k - 2)\nprint \"all\" xs\nprint \"one\" xs[3]\n", "");
    ASSERT_ERROR(result, 1, "program.imgql:1:27", "vox1./", "(item 2, 2, of the loop at program.imgql:1:6)");
    assert_string_equal(result.out, "one=10.0\n");
    assert_contains(result.err, "not done: print \"all\"");
    scene_mkdir(at, "cases");
    volume_make(at, "cases/a.nii", 4, 4, 4, ramp);
    scene_write(at, "cases/b.nii", "broken");
    outcome file = run_text(
        at, "import \"simpleitk\"\nprint \"max\" for c in dir(\"cases\", \"*\", false, true) do max(ReadImage(c))\n",
        "");
    ASSERT_ERROR(file, 1, "program.imgql:2:", "cases/b.nii", "simpleitk.ReadImage", "(item 1, ");
}

/* Item, operator, line, and which function called which, with lines: in the message and as a list. */
static void test_failing_call(void **state) {
    scene *at = with_store(state);
    const char *text = "inverse(x) = 10 / x\nboth(x) = inverse(x) + inverse(x - 2)\n"
                       "print \"all\" for k in range(2) do for l in [\"p\", \"q\"] do both(k + 1)\n";
    outcome result = run_text(at, text, "");
    ASSERT_ERROR(result, 1, "program.imgql:1:14", "vox1./",
                 "(in inverse called at program.imgql:2:24, in both called at program.imgql:3:57)",
                 "(item 0, 'p', of the loop at program.imgql:3:34) (item 1, 1, of the loop at program.imgql:3:13)");
    assert_string_equal(string_of(at, &result, "failures.0.calls.0.function"), "inverse");
    assert_int_equal(number_of(&result, "failures.0.calls.0.line"), 2);
    assert_int_equal(number_of(&result, "failures.0.calls.0.column"), 24);
    assert_string_equal(string_of(at, &result, "failures.0.calls.1.function"), "both");
    assert_string_equal(string_of(at, &result, "failures.0.calls.1.file"), "program.imgql");
    assert_int_equal(number_of(&result, "failures.0.calls.1.line"), 3);
}

/* Beyond some calls the message tells the innermost and the outermost. */
static void test_failing_in_many_calls(void **state) {
    scene *at = with_store(state);
    char text[4000];
    size_t used = (size_t)snprintf(text, sizeof text, "f0(x) = 10 / x\n");
    for (int i = 1; i <= 40; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "f%d(x) = f%d(x)\n", i, i - 1);
    snprintf(text + used, sizeof text - used, "print \"p\" f40(0)\n");
    outcome result = run_text(at, text, "");
    ASSERT_ERROR(result, 1, "program.imgql:1:9",
                 "(in f0 called at program.imgql:2:9, in f1 called at program.imgql:3:9",
                 "in f5 called at program.imgql:7:9, ... 33 more, in f39 called at program.imgql:41:10, "
                 "in f40 called at program.imgql:42:11)");
}

static void test_arguments_found_wrong_late(void **state) {
    scene *at = with_store(state);
    const struct {
        const char *program, *says;
    } programs[] = {
        {"print \"a\" range(3)[7]\n", "default.index"},
        {"print \"a\" range(1 / 3)\n", "default.range"},
        {"print \"a\" argmax([])\n", "default.argmax"},
        {"print \"a\" fold max []\n", "default.fold"},
        {"print \"a\" [1, 2] + [1, 2, 3]\n", "vox1.+"},
        {"print \"a\" \"x\" + 1\n", "vox1.+"},
        {"import \"simpleitk\"\na = ReadImage(\"good.nii\")\nprint \"a\" avg(a, geq_sv(1000, a))\n", "vox1.avg"},
        {"print \"a\" for x in 5 do x\n", "sequence"},
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        outcome result = run_text(at, scene_text(at, "%sprint \"good\" 1\n", programs[i].program), "--store :memory:");
        print_message("%s", result.status == 1 ? "" : programs[i].program);
        if (result.status == 2) { /* found before running: then nothing ran */
            ASSERT_ERROR(result, 2, "program.imgql:", programs[i].says);
            continue;
        }
        ASSERT_ERROR(result, 1, "program.imgql:", programs[i].says);
        assert_string_equal(result.out, "good=1.0\n");
    }
    assert_usable(at, 3);
}

/* ---- configuration ---- */

static void test_configuration(void **state) {
    scene *at = with_store(state);
    const struct {
        const char *text, *place, *says;
    } files[] = {
        {"[workers\ncount = 2\n", "bad.toml:1:", ""},
        {"[workers]\ncount = \n", "bad.toml:2:", ""},
        {"[workers]\ncount = \"two\"\n", "bad.toml:2:", "workers.count"},
        {"[workers]\ncuont = 2\n", "bad.toml:2:", "workers.count"},
        {"[wrokers]\ncount = 2\n", "bad.toml:", "wrokers"},
        {"[store]\npath = 7\n", "bad.toml:2:", "store.path"},
        {"[workers]\ncount = -1\n", "bad.toml:2:", "workers.count"},
        {"[store]\nmap_size = \"12 elephants\"\n", "bad.toml:2:", "store.map_size"},
        {"[store]\ndurability = \"eternal\"\n", "bad.toml:2:", "verified"},
        {"[io]\nring = \"posix\"\nring = \"uring\"\n", "bad.toml:3:", "ring"},
        {"\xff\n", "bad.toml:1:", ""},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        scene_write(at, "bad.toml", files[i].text);
        outcome result = run(at, "good.imgql", "--config bad.toml");
        print_message("%s", result.status == 2 ? "" : files[i].text);
        ASSERT_ERROR(result, 2, files[i].place, files[i].says);
        outcome checked = voxloom(at, "config check bad.toml");
        assert_int_equal(checked.status, 2);
    }
    outcome missing = run(at, "good.imgql", "--config missing.toml");
    ASSERT_ERROR(missing, 2, "missing.toml");
    outcome unknown = run(at, "good.imgql", "--set workers.cuont=2");
    ASSERT_ERROR(unknown, 2, "workers.cuont", "workers.count");
    outcome value = run(at, "good.imgql", "--set workers.count=many");
    ASSERT_ERROR(value, 2, "workers.count", "integer");
    outcome option = run(at, "good.imgql", "--wrokers 2");
    assert_int_equal(option.status, 2);
    assert_contains(option.err, "unknown option --wrokers; did you mean --workers?");
    outcome workers = run(at, "good.imgql", "--workers 0x");
    ASSERT_ERROR(workers, 2, "workers.count", "integer");
    assert_usable(at, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_static_errors, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_import_cycle, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_odd_texts, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_bad_images, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_files_that_never_end, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_bad_gzip, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_address_space_limit, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_folders, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_stores_that_are_none, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_index, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_read_only_store, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_file_size_limit, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_places_that_cannot_be_written, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_bad_plans, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_domains_that_differ, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_division_by_zero, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_failing_item, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_failing_call, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_failing_in_many_calls, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_arguments_found_wrong_late, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_configuration, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
