/* fuzz_value.c - decodes arbitrary bytes as a value. What is accepted must encode to the same bytes (so one value has
 * one vid; only long sequences of format 1 have another form), equal itself, and survive a deep copy. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shm/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void check_accepted(const loom_value *value, const uint8_t *data, size_t size, loom_arena *arena) {
    loom_buffer again = {0};
    require(loom_value_encode(value, &again) == LOOM_OK);
    if (again.length != size || memcmp(again.bytes, data, size) != 0) {
        require(size > LOOM_SEQUENCE_PLAIN_MAX);
        loom_value decoded;
        require(loom_value_decode(again.bytes, again.length, arena, &decoded, NULL) == LOOM_OK);
        require(loom_value_equal(value, &decoded));
    }
    loom_buffer_free(&again);
    loom_value copy;
    require(loom_value_copy(arena, value, &copy) == LOOM_OK);
    require(loom_value_equal(value, &copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    loom_arena *arena = loom_arena_new();
    if (!arena) return 0;
    loom_value value;
    loom_error err = {0};
    loom_status status = loom_value_decode(data, size, arena, &value, &err);
    if (status == LOOM_OK)
        check_accepted(&value, data, size, arena);
    else
        require(status == err.status && err.message[0] != '\0');
    loom_arena_free(arena);
    return 0;
}
