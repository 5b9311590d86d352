/* test_hostile.c - files that lie, break off or explode: each is refused with one line that names it, and memory stays
 * bounded. Also the content hash of files. */
#include "nifti_maker.h"
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const unsigned char ten[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static nifti_recipe ten_voxels(void) {
    const int64_t sizes[] = {5, 2, 1, 0};
    nifti_recipe recipe = nifti_recipe_make(2, 8, sizes);
    recipe.data = ten;
    recipe.data_bytes = sizeof ten;
    return recipe;
}

static long peak_kilobytes(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void things_that_are_no_image_files(void **state) {
    (void)state;
    assert_int_equal(expect_refusal(scratch_path("missing.nii"), "no such file"), LOOM_BAD_INPUT);
    assert_int_equal(mkdir(scratch_path("folder.nii"), 0700), 0);
    assert_int_equal(expect_refusal(scratch_path("folder.nii"), "folder without DICOM"), LOOM_BAD_INPUT);
    assert_int_equal(mkfifo(scratch_path("pipe.nii"), 0600), 0);
    assert_int_equal(expect_refusal(scratch_path("pipe.nii"), "regular file"), LOOM_BAD_INPUT);
    write_file(scratch_path("empty.nii.gz"), "", 0);
    assert_int_equal(expect_refusal(scratch_path("empty.nii.gz"), "is empty"), LOOM_BAD_INPUT);
    write_file(scratch_path("text.nii"), "hello\n", 6);
    assert_int_equal(expect_refusal(scratch_path("text.nii"), "none of"), LOOM_BAD_INPUT);
    if (geteuid() != 0) {
        write_file(scratch_path("secret.nii"), "x", 1);
        chmod(scratch_path("secret.nii"), 0);
        assert_int_equal(expect_refusal(scratch_path("secret.nii"), "permission"), LOOM_DENIED);
    }
}

static void every_truncation_is_noticed(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        nifti_recipe recipe = ten_voxels();
        recipe.version = version;
        size_t length, packed;
        unsigned char *bytes = nifti_make(&recipe, &length), *gzip = gzip_bytes(bytes, length, &packed);
        const char *plain = scratch_path("cut.nii"), *compressed = scratch_path("cut.nii.gz");
        for (size_t cut = 0; cut < length; cut++) {
            write_file(plain, bytes, cut);
            assert_int_equal(expect_refusal(plain, ""), LOOM_BAD_INPUT);
        }
        /* Even without the last byte of the checksum. */
        for (size_t cut = 0; cut < packed; cut++) {
            write_file(compressed, gzip, cut);
            assert_int_equal(expect_refusal(compressed, ""), LOOM_BAD_INPUT);
        }
        free(bytes);
        free(gzip);
    }
}

static void refuse(const nifti_recipe *recipe, const char *fragment, loom_status expected) {
    assert_int_equal(expect_refusal(nifti_make_file(recipe, "lie.nii"), fragment), expected);
    loom_status gzip = expect_refusal(nifti_make_file(recipe, "lie.nii.gz"), "");
    assert_int_equal(gzip, expected);
}

static void sizes_that_lie(void **state) {
    (void)state;
    nifti_recipe r = ten_voxels();
    r.dim[1] = 6;
    refuse(&r, "header promises", LOOM_BAD_INPUT);
    r.dim[1] = 4;
    refuse(&r, "describes only", LOOM_BAD_INPUT);
    r.dim[1] = 0;
    refuse(&r, "size of 0", LOOM_BAD_INPUT);
    r.dim[1] = -5;
    refuse(&r, "size of -5", LOOM_BAD_INPUT);
    r = ten_voxels();
    r.dim[3] = -1;
    refuse(&r, "size of -1", LOOM_BAD_INPUT);
    static const int64_t ranks[] = {0, -1, 8, 127, -32768};
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        r = ten_voxels();
        r.dim[0] = ranks[i];
        refuse(&r, "axes", LOOM_BAD_INPUT);
    }
    r = ten_voxels();
    r.dim[0] = 1;
    r.dim[1] = 10;
    refuse(&r, "one axis", LOOM_UNSUPPORTED);
    r = ten_voxels();
    r.dim[0] = 5;
    r.dim[1] = 1;
    r.dim[5] = 5;
    refuse(&r, "more than four", LOOM_UNSUPPORTED);
    r.dim[0] = 7;
    r.dim[5] = 1;
    r.dim[7] = 5;
    refuse(&r, "more than four", LOOM_UNSUPPORTED);
    /* The largest that 16 bits can say, and products that wrap round 64. */
    r = ten_voxels();
    r.datatype = 64;
    r.bitpix = 64;
    r.number_bytes = 1;
    r.dim[0] = 4;
    r.dim[1] = r.dim[2] = r.dim[3] = r.dim[4] = 32767;
    refuse(&r, "more voxels", LOOM_TOO_LARGE);
    r.version = 2;
    r.dim[1] = r.dim[2] = INT64_C(1) << 32;
    r.dim[3] = r.dim[4] = 1;
    refuse(&r, "more voxels", LOOM_TOO_LARGE);
    r.dim[1] = INT64_MAX;
    r.dim[2] = 2;
    refuse(&r, "more voxels", LOOM_TOO_LARGE);
    r.dim[1] = INT64_C(1) << 61; /* times 8 bytes wraps to 0 */
    r.dim[2] = 8;
    refuse(&r, "more voxels", LOOM_TOO_LARGE);
    r.dim[1] = INT64_MIN;
    refuse(&r, "size of", LOOM_BAD_INPUT);
}

static void fields_that_lie(void **state) {
    (void)state;
    static const double offsets[] = {-1.0, 1e30, 1e9, 400.0, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        nifti_recipe r = ten_voxels();
        size_t length;
        r.vox_offset = 352.0;
        unsigned char *bytes = nifti_make(&r, &length);
        float offset = (float)offsets[i];
        memcpy(bytes + 108, &offset, 4);
        const char *path = scratch_path("offset.nii");
        write_file(path, bytes, length);
        assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
        free(bytes);
    }
    static const int16_t unsupported[] = {32, 1536, 1792, 2048}, unknown[] = {0, 1, 3, 255, -2, 32767};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        nifti_recipe r = ten_voxels();
        r.datatype = unsupported[i];
        refuse(&r, "voxels; save", LOOM_UNSUPPORTED);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        nifti_recipe r = ten_voxels();
        r.datatype = unknown[i];
        refuse(&r, "datatype", LOOM_BAD_INPUT);
    }
    nifti_recipe r = ten_voxels();
    r.magic = "ni1";
    refuse(&r, ".hdr/.img pair", LOOM_UNSUPPORTED);
    r.magic = "n+9";
    refuse(&r, "none of", LOOM_BAD_INPUT);
    r = ten_voxels();
    r.intent = 1005;
    refuse(&r, "symmetric", LOOM_UNSUPPORTED);
    r = ten_voxels();
    r.version = 2;
    r.intent = 1007;
    r.dim[0] = 5;
    r.dim[5] = 70000;
    refuse(&r, "70000", LOOM_UNSUPPORTED);
}

/* 100 MB of zeros behind a header that promises ten voxels: found after the tenth, in constant memory. */
static void a_bomb_does_not_go_off(void **state) {
    (void)state;
    nifti_recipe recipe = ten_voxels();
    size_t length;
    unsigned char *bytes = nifti_make(&recipe, &length);
    const char *path = scratch_path("bomb.nii.gz");
    gzFile file = gzopen(path, "wb1");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)length), length);
    unsigned char *zeros = calloc(1, 1 << 20);
    for (int i = 0; i < 100; i++)
        assert_int_equal(gzwrite(file, zeros, 1 << 20), 1 << 20);
    assert_int_equal(gzclose(file), Z_OK);
    free(zeros);
    free(bytes);
    long before = peak_kilobytes();
    assert_int_equal(expect_refusal(path, "more data than its header says"), LOOM_BAD_INPUT);
    assert_true(peak_kilobytes() - before < 8 * 1024);
    /* Into a file: not a byte beyond the promised ten. */
    int fd = open(scratch_path("target"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    loom_ring *ring;
    loom_volume *volume;
    loom_error err = {0};
    assert_loom_ok(loom_ring_open(LOOM_RING_AUTO, 4, &ring, NULL, &err), &err);
    assert_loom_ok(loom_volume_open(path, &volume, &err), &err);
    loom_volume_sink sink = {.ring = ring, .fd = fd};
    assert_int_equal(loom_volume_load(volume, &sink, &err), LOOM_BAD_INPUT);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(status.st_size <= 10);
    loom_volume_close(volume);
    loom_ring_close(ring);
    close(fd);
}

/* A header may not claim more than its compressed bytes can hold: nothing is reserved for it. */
static void a_claim_beyond_deflate_is_refused_at_once(void **state) {
    (void)state;
    nifti_recipe r = ten_voxels();
    r.dim[1] = 30000;
    r.dim[2] = 30000;
    loom_volume *volume;
    loom_error err = {0};
    assert_int_equal(loom_volume_open(nifti_make_file(&r, "claim.nii.gz"), &volume, &err), LOOM_BAD_INPUT);
    assert_non_null(strstr(err.message, "compressed bytes"));
}

static void corrupt_gzip_is_noticed(void **state) {
    (void)state;
    unsigned char data[3000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * i >> 3);
    const int64_t sizes[] = {100, 30, 0};
    nifti_recipe recipe = nifti_recipe_make(2, 8, sizes);
    recipe.data = data;
    recipe.data_bytes = sizeof data;
    size_t length, packed;
    unsigned char *bytes = nifti_make(&recipe, &length), *gzip = gzip_bytes(bytes, length, &packed);
    const char *path = scratch_path("corrupt.nii.gz");
    /* One flipped bit anywhere after the gzip header: checksum, length, or the data themselves. */
    for (size_t at = 10; at < packed; at += 7) {
        gzip[at] ^= 0x10;
        write_file(path, gzip, packed);
        assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
        gzip[at] ^= 0x10;
    }
    gzip[packed - 8] ^= 1;
    write_file(path, gzip, packed);
    assert_int_equal(expect_refusal(path, "wrong checksum"), LOOM_BAD_INPUT);
    gzip[packed - 8] ^= 1;
    /* Garbage after the end. */
    unsigned char *longer = calloc(1, packed + 20);
    memcpy(longer, gzip, packed);
    memcpy(longer + packed + 3, "garbage", 7);
    write_file(path, longer, packed + 20);
    assert_int_equal(expect_refusal(path, "other bytes follow"), LOOM_BAD_INPUT);
    memcpy(longer + packed, "garbage", 7);
    write_file(path, longer, packed + 20);
    assert_int_equal(expect_refusal(path, "other bytes follow"), LOOM_BAD_INPUT);
    free(longer);
    free(bytes);
    free(gzip);
}

static void a_full_disk_while_loading(void **state) {
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0) {
        printf("skipped: no /dev/full\n");
        skip();
        return;
    }
    nifti_recipe recipe = ten_voxels();
    loom_volume *volume;
    loom_ring *ring;
    loom_error err = {0};
    assert_loom_ok(loom_volume_open(nifti_make_file(&recipe, "ten.nii"), &volume, &err), &err);
    for (int kind = LOOM_RING_AUTO; kind <= LOOM_RING_POSIX; kind += 2) {
        assert_loom_ok(loom_ring_open((loom_ring_kind)kind, 4, &ring, NULL, &err), &err);
        loom_volume_sink sink = {.ring = ring, .fd = full};
        assert_int_equal(loom_volume_load(volume, &sink, &err), LOOM_NO_SPACE);
        loom_ring_close(ring);
    }
    loom_volume_close(volume);
    close(full);
}

static void a_file_that_changes_is_stale(void **state) {
    (void)state;
    nifti_recipe recipe = ten_voxels();
    const char *path = nifti_make_file(&recipe, "changing.nii");
    loom_volume *volume;
    loom_error err = {0};
    assert_loom_ok(loom_volume_open(path, &volume, &err), &err);
    const char *other = nifti_make_file(&recipe, "other.nii");
    assert_int_equal(rename(other, path), 0);
    unsigned char voxels[10];
    loom_volume_sink sink = {.fd = -1, .memory = voxels};
    assert_int_equal(loom_volume_load(volume, &sink, &err), LOOM_STALE_INPUT);
    assert_non_null(strstr(err.message, path));
    loom_volume_close(volume);
}

/* SHA-256 of "abc" and of nothing: FIPS 180-2, appendix B.1, and NIST's short message vectors. */
static void files_hash_as_sha256(void **state) {
    (void)state;
    char hex[LOOM_ID_HEX_BYTES];
    loom_id id;
    uint64_t bytes;
    loom_error err = {0};
    write_file(scratch_path("abc"), "abc", 3);
    assert_loom_ok(loom_file_hash(scratch_path("abc"), &id, &bytes, &err), &err);
    loom_id_hex(&id, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(bytes, 3);
    write_file(scratch_path("nothing"), "", 0);
    assert_loom_ok(loom_file_hash(scratch_path("nothing"), &id, NULL, &err), &err);
    loom_id_hex(&id, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /* B.3: a million times 'a', longer than one chunk. */
    char *many = malloc(1000000);
    memset(many, 'a', 1000000);
    write_file(scratch_path("million"), many, 1000000);
    free(many);
    assert_loom_ok(loom_file_hash(scratch_path("million"), &id, &bytes, &err), &err);
    loom_id_hex(&id, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(loom_file_hash(scratch_path("absent"), &id, &bytes, &err), LOOM_BAD_INPUT);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(loom_file_hash(scratch_path("."), &id, &bytes, &err), LOOM_BAD_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_that_are_no_image_files),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(fields_that_lie),
        cmocka_unit_test(a_bomb_does_not_go_off),
        cmocka_unit_test(a_claim_beyond_deflate_is_refused_at_once),
        cmocka_unit_test(corrupt_gzip_is_noticed),
        cmocka_unit_test(a_full_disk_while_loading),
        cmocka_unit_test(a_file_that_changes_is_stale),
        cmocka_unit_test(files_hash_as_sha256),
    };
    return cmocka_run_group_tests_name("io hostile", tests, scratch_setup, scratch_teardown);
}
