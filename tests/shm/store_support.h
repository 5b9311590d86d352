/* store_support.h - what the store's tests share: a temporary folder, results made from numbers, and checks. */
#ifndef LOOM_TESTS_STORE_SUPPORT_H
#define LOOM_TESTS_STORE_SUPPORT_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/store/storage.h"

#define REQUIRE_OK(call) require_ok((call), &err, #call, __FILE__, __LINE__)

static inline void require_ok(loom_status status, const loom_error *err, const char *what, const char *file, int line) {
    if (status == LOOM_OK) return;
    print_error("%s: %s: %s\n", what, loom_status_name(status), err->message);
    _fail(file, line);
}

/* An expected failure must say so in one line. */
#define REQUIRE_STATUS(call, expected)                                                                                 \
    do {                                                                                                               \
        loom_error_clear(&err);                                                                                        \
        loom_status got_ = (call);                                                                                     \
        if (got_ != (expected)) print_error("%s: %s\n", loom_status_name(got_), err.message);                          \
        assert_int_equal(got_, (expected));                                                                            \
        if ((expected) != LOOM_NOT_FOUND || err.message[0] != '\0') assert_int_equal(err.status, (expected));          \
        assert_null(strchr(err.message, '\n'));                                                                        \
    } while (0)

static inline void make_temporary(char path[256]) {
    const char *root = getenv("TMPDIR");
    snprintf(path, 256, "%s/loom-store-XXXXXX", root != NULL && strlen(root) < 200 ? root : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static inline void remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* An id that depends on all of its parts. */
static inline loom_id id_of(const char *kind, uint64_t number) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s %llu", kind, (unsigned long long)number);
    return loom_sha256(text, (size_t)length);
}

/* A small result: bytes that name the number. `payload` (>= 64 bytes) is the caller's. */
static inline loom_result small_result(uint64_t number, uint8_t payload[64]) {
    memset(payload, (int)(number % 251), 64);
    payload[0] = 0xc4; /* MessagePack: bin 8, 62 bytes */
    payload[1] = 62;
    memcpy(payload + 2, &number, sizeof number);
    loom_result result = {.rkey = id_of("rkey", number),
                          .vid = loom_sha256(payload, 64),
                          .type = LOOM_BYTES,
                          .payload = payload,
                          .payload_bytes = 64,
                          .created_ns = number + 1,
                          .cost_ns = 7 * number};
    return result;
}

static inline void require_small(loom_store *store, uint64_t number) {
    loom_error err = {0};
    uint8_t payload[64];
    loom_result expected = small_result(number, payload), found;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_find(store, &expected.rkey, arena, &found, &err));
    assert_memory_equal(&found.rkey, &expected.rkey, sizeof found.rkey);
    assert_memory_equal(&found.vid, &expected.vid, sizeof found.vid);
    assert_int_equal(found.type, LOOM_BYTES);
    assert_int_equal(found.payload_bytes, 64);
    assert_memory_equal(found.payload, payload, 64);
    assert_int_equal(found.created_ns, number + 1);
    assert_int_equal(found.cost_ns, 7 * number);
    loom_arena_free(arena);
}

static inline bool is_stored(loom_store *store, uint64_t number) {
    loom_error err = {0};
    loom_id rkey = id_of("rkey", number);
    loom_result found;
    loom_arena *arena = loom_arena_new();
    loom_status status = loom_store_find(store, &rkey, arena, &found, &err);
    loom_arena_free(arena);
    if (status != LOOM_NOT_FOUND) REQUIRE_OK(status);
    return status == LOOM_OK;
}

static inline void put_small(loom_store *store, uint64_t first, uint64_t count) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = first; i < first + count; i++) {
        uint8_t payload[64];
        loom_result result = small_result(i, payload);
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

/* An object of `bytes` bytes that follow from the number, written through a window; its image header as a volume. */
#define HASHES_MAX 64
typedef struct image_result {
    loom_result result;
    uint64_t hashes[HASHES_MAX];
    loom_image_header header;
    loom_buffer payload;
} image_result;

static inline uint32_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static inline void fill_image(uint8_t *voxels, uint64_t bytes, uint64_t number) {
    uint64_t state = number;
    for (uint64_t i = 0; i < bytes; i++)
        voxels[i] = (uint8_t)next_random(&state);
}

static inline void write_image(loom_extent_writer *writer, uint64_t number, uint64_t width, image_result *image) {
    loom_error err = {0};
    memset(image, 0, sizeof *image);
    image->header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){width, 3});
    loom_value value = loom_image(&image->header, NULL);
    REQUIRE_OK(loom_value_encode(&value, &image->payload));
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_reserve(writer, 3 * width, true, &reservation, &err));
    fill_image(reservation.window, 3 * width, number);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, image->hashes, image->result.root, &err));
    image->result.rkey = image->result.vid = id_of("image", number);
    image->result.type = LOOM_IMAGE;
    image->result.payload = image->payload.bytes;
    image->result.payload_bytes = image->payload.length;
    image->result.bulk = reservation.placement;
    image->result.block_hashes = image->hashes;
}

static inline void require_image(loom_store *store, uint64_t number, uint64_t width) {
    loom_error err = {0};
    loom_id rkey = id_of("image", number);
    loom_result found;
    loom_value value;
    loom_view view;
    loom_arena *arena = loom_arena_new();
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_OK(loom_store_verify(store, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    assert_int_equal(value.type, LOOM_IMAGE);
    assert_int_equal(value.image.header->size[0], width);
    uint8_t *expected = malloc(3 * width);
    fill_image(expected, 3 * width, number);
    assert_memory_equal(value.image.voxels, expected, 3 * width);
    free(expected);
    loom_extent_release(&view);
    loom_arena_free(arena);
}

/* Runs `body` in a forked child; its assertions end it with a status that is not 0. */
static inline int in_child(void (*body)(void *), void *context) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(context);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
